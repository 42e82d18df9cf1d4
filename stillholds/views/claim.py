"""A claim's page: what stands, the runs on the contract's regions, controls, provenance, what leans on it, and the button that runs it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from claims import overview, runs, tasks
from claims.contract import Contract
from claims.history import Decision, Flip
from claims.impact import CARRIES, Leaning, Leans
from claims.overview import Going, Record, RunLine, of_part
from claims.papers import naming
from claims.papers.grounding import Ground
from claims.regime import count
from claims.standing import SubjectReading
from kb import read
from kb.latex import readable
from kb.read import Linked, View
from stillholds import options, workers
from stillholds.views import charts, cite, frame, grounded, instrument, marks, prose, run, timeline
from stillholds.views.lists import linked, mark_of_run
from stillholds.words import (
    Mark,
    between,
    changed_words,
    day,
    decision_mark,
    fresh_mark,
    mark,
    scale_mark,
    seconds,
    sentence,
    with_interval,
)


def page() -> None:
    """Draw the page."""
    view, record, papers = _load()
    _head(view, grounded.by_paper(papers))
    _then(view)
    frame.html(_facts(record))
    left, right = st.columns([0.67, 0.33], gap="large")
    with left:
        _plots(record)
        run.chosen(record)
        _history(view.card.id, record.runs)
        _flips(record.history.flips)
        _prose(view)
        _attached(view)
        _leaning(view)
    with right:
        _actions(view, record)
        if record.history.contract is not None:
            _contract(record.history.contract, record)
        _controls(record)
        if record.history.contract is not None:
            instrument.section(record.history.contract)


def _load() -> tuple[View, Record, list[Ground]]:
    slug = st.query_params.get("slug", "")
    with frame.store().reading() as session:
        entity = read.find(session, slug, "claim")
        record = overview.record(session, entity.id, frame.now(), timeline.as_of())
        return read.view(session, entity), record, naming.of_entry(session, entity)


def _then(view: View) -> None:
    """Say that this is not what stands now, where the address asks about a date."""
    if then := timeline.as_of():
        now = frame.anchor(frame.address("claim", view.card.slug), "What stands now")
        said = f"As it stood on {then:%Y-%m-%d at %H:%M} UTC, by the ledger of then. The text is today's. {now}"
        frame.html(f"<p class='sh-small'>{said}</p>")


def _head(view: View, known: Mapping[str, Ground]) -> None:
    notes = [link.other for link in view.links if link.direction == "in" and link.type == "states"]
    papers = [link.other for link in view.links if link.direction == "out" and link.type == "cites"]
    above = "Claim" + (f", from {' and '.join(frame.link(card) for card in notes)}" if notes else "")
    above += f", dated {escape(view.date)}" if view.date else ""
    above += (
        f", resting on {', '.join(frame.link(card) + grounded.suffix(known, card.id) for card in papers)}"
        if papers
        else ""
    )
    frame.title(view.card.title, above)


# --- the four facts ---------------------------------------------------------------------------------------------------


def _facts(record: Record) -> str:
    stands = record.history.standing
    facts = [
        ("Standing, in its own regime", marks.html(mark(stands.word, stands.tag), big=True), sentence(stands.reason))
    ]
    facts += [_beside(reading, record) for reading in stands.subjects if reading.runs]
    if said_by := record.history.decision:
        facts.append(_decided(said_by, has_contract=record.history.contract is not None))
    if record.freshness:
        fresh = marks.html(fresh_mark(record.freshness, timeline.as_of() or frame.now()), big=True)
        until = (
            f" Until {day(record.freshness.turn)}."
            if record.freshness.word == "FRESH" and record.freshness.turn
            else ""
        )
        said = sentence(record.freshness.reason) + until
        facts.append(("Freshness", fresh, said))
    if record.history.contract:
        facts.append(instrument.fact(record.history.contract))
    return (
        "<dl class='facts'>"
        + "".join(f"<div><dt>{name}</dt><dd>{shown}<p>{escape(said)}</p></dd></div>" for name, shown, said in facts)
        + "</dl>"
    )


def _decided(said: Decision, *, has_contract: bool) -> tuple[str, str, str]:
    """What a person said of a claim that no run can test, and where that comes from."""
    words = f"{sentence(said.reason)} From {said.source}, on {day(said.at)}."
    words += " Said before there was a contract; runs decide now." if has_contract else ""
    return "Decided by a person", marks.html(decision_mark(said.word, said.who), big=True), words


def _beside(reading: SubjectReading, record: Record) -> tuple[str, str, str]:
    """What one subject's runs say together: at another scale, or in the regime and uncertified; and what the newest says alone."""
    outside = bool(reading.differences)
    if outside:
        shown = scale_mark(reading.at_scale, certified=reading.certified)
    else:
        shown = mark(reading.word, reading.tag, certified=reading.certified)
    said = f"{reading.n} units. {sentence(reading.reason)}"
    if reading.looks:
        look = reading.looks[-1]
        runs_so_far = f"{reading.runs} run{'' if reading.runs == 1 else 's'}"
        said = f"{between(look.low, look.estimate, look.high)}, {look.n} units in {runs_so_far}."
    if reading.changed:
        said += f" {sentence(changed_words(reading))}"
    if outside:
        said += f" The subject: {'; '.join(reading.differences)}."
    alone = next((line for line in record.runs if line.subject == reading.subject and line.verdict), None)
    newest = f"<p>Run {alone.number} alone: {marks.html(mark_of_run(alone))}</p>" if alone else ""
    return ("At this scale" if outside else "So far, in the laboratory", marks.html(shown, big=True) + newest, said)


# --- plots and numbers ------------------------------------------------------------------------------------------------


def _plots(record: Record) -> None:
    contract = record.history.contract
    shown = _shown(record.runs)
    if contract is None or not shown:
        frame.html(frame.heading("Runs on the contract's regions"))
        frame.empty("No run yet." if contract else "This claim has no contract, so nothing can be run for it.")
        return
    palette = charts.DARK if st.context.theme.type == "dark" else charts.LIGHT
    for number, part in enumerate(contract.parts):
        noise = record.newest.findings.endpoint(part.endpoint).noise_floor if record.newest else 0
        how = "sign test on the median of units" if part.statistic == "median" else "t over units"
        title = f"{instrument.quantity_of(contract, part)}: one of {len(contract.parts)} parts" if contract.also else ""
        frame.html(
            frame.heading(
                sentence(title).rstrip(".") if title else "Runs on the contract's regions",
                f"{100 * contract.level:g} %, {how}; verdicts widen it by {noise:g}",
            )
        )
        _plots_of_part(of_part(record, number), palette)


def _plots_of_part(record: Record, palette: charts.Palette) -> None:
    plots = drawn(record, palette)
    words = _in_words(_shown(record.runs))
    st.altair_chart(charts.house(plots[0], palette), theme=None, width="stretch", alt=words)
    if len(plots) > 1:
        together = "<span class='sh-soft'>confidence sequence, valid at every look; the thick bar is now</span>"
        frame.html(f"<p class='sh-small'><b>All runs together so far</b> {together}</p>")
        st.altair_chart(
            charts.house(plots[1], palette),
            theme=None,
            width="stretch",
            alt="The confidence sequence over all units so far.",
        )


def drawn(record: Record, palette: charts.Palette) -> list[charts.Plot]:
    """The plots of a record: its runs, and the sequence over them where there is one."""
    contract = record.history.contract
    shown = list(reversed(_shown(record.runs)))
    if contract is None or not shown:
        return []
    reading = next((reading for reading in record.history.standing.subjects if reading.looks), None)
    axis = charts.Axis(contract, shown, reading)
    newest = record.history.runs[-1].units if record.history.runs else ()
    plots = [
        charts.runs_on_regions(
            contract, shown, [contract.shown(value) for value in newest if value is not None], axis, palette
        )
    ]
    if reading:
        quantity = instrument.quantity_of(contract, contract)
        scale = "log scale; " if contract.scale == "log" else ""
        plots.append(
            charts.sequence(contract, reading, axis, palette, f"{quantity}, {scale}{contract.null:g} = no effect")
        )
    return plots


def _shown(lines: Sequence[RunLine]) -> list[RunLine]:
    """Runs that have something to draw or to say: not smoke, not under way; the newest twelve."""
    return [line for line in lines if line.profile != "smoke" and line.word != "RUNNING"][:12]


def _in_words(lines: Sequence[RunLine]) -> str:
    return "; ".join(
        f"run {line.number}: {line.word.lower()}, {with_interval(line.verdict.endpoints[0])}"
        for line in lines
        if line.verdict and line.verdict.endpoints
    )


def _history(claim_id: str, lines: Sequence[RunLine]) -> None:
    if not lines:
        return
    rows = [
        [
            frame.anchor(f"/claim?{urlencode({'slug': claim_id, 'run': line.run})}", f"run {line.number}"),
            escape(day(line.at)),
            escape(f"{line.subject}, {line.profile}"),
            marks.html(mark_of_run(line)),
            f"<span class='sh-small sh-soft'>{escape(line.reason)}</span>",
        ]
        for line in lines
    ]
    frame.html(
        frame.heading("History", f"{len(lines)} run{'' if len(lines) == 1 else 's'}")
        + frame.table(["", "", "", "", ""], rows)
    )


def _flips(found: Sequence[Flip]) -> None:
    """Every change of standing, the newest first, with the sequence before and after."""
    if found:
        rows = [timeline.cells(flip) for flip in reversed(found)]
        frame.html(frame.heading("Changes of standing", str(len(found))) + frame.table(timeline.HEAD, rows))


# --- words ------------------------------------------------------------------------------------------------------------


def _prose(view: View) -> None:
    if view.body:
        frame.html(f"<div class='sh-prose'>{prose.render(view.body, view.links, lambda _: '')}</div>")


def _attached(view: View) -> None:
    """The papers that people attached, with what each is to the claim and the sentence that shows it."""
    entries = [
        f"<span class='sh-small sh-soft'>{escape(link.label)}</span> {frame.link(link.other)}"
        + (f"<br><span class='sh-small sh-theirs'>{escape(readable(link.sentence))}</span>" if link.sentence else "")
        for link in view.links
        if link.type == "attached"
    ]
    if entries:
        frame.html(frame.heading("Papers attached", str(len(entries))) + frame.listing(entries))


def _leaning(view: View) -> None:
    """Who leans on this claim, be it over others; then who only speaks of it."""
    with frame.store().reading() as session:
        leaning = Leans.read(session).on(view.card.id)
    named = [link for link in view.links if link.direction == "in" and link.type != "attached"]
    entries = [_further(one) if len(one.path) > 1 else _directly(one, named) for one in leaning]
    frame.html(frame.heading("What leans on it", str(len(entries))) + frame.listing(entries))
    if not entries:
        frame.empty("Nothing leans on this claim yet.")
    others = [linked(link) for link in named if link.type not in CARRIES]
    if others:
        frame.html(frame.heading("What else speaks of it", str(len(others))) + frame.listing(others))


def _directly(one: Leaning, named: Sequence[Linked]) -> str:
    """Who leans on the claim itself, how, and in which sentences."""
    links = [link for link in named if link.other.id == one.other.id and link.type in CARRIES]
    how = " and ".join(dict.fromkeys(link.type.replace("_", " ") for link in links))
    prompt = ", and its research prompt" if one.has_prompt else ""
    said = "".join(
        f"<br><span class='sh-small'>{prose.plain(sentence)}</span>"
        for sentence in dict.fromkeys(link.sentence for link in links if link.sentence)
    )
    return f"<span class='sh-small sh-soft'>{one.other.kind} {how}</span> {frame.link(one.other)}{prompt}{said}"


def _further(one: Leaning) -> str:
    """Who leans on what leans on the claim, with the path."""
    over = " and ".join(frame.link(hop.other, hop.other.label) for hop in one.path[:-1])
    prompt = ", and its research prompt" if one.has_prompt else ""
    return f"{frame.link(one.other)}{prompt}<br><span class='sh-small sh-soft'>{one.other.kind}, over {over}</span>"


# --- the right column -------------------------------------------------------------------------------------------------


def _actions(view: View, record: Record) -> None:
    verifier = instrument.verifier_of(record.history.contract) if record.history.contract else None
    if verifier is None or timeline.as_of():
        return
    if record.going is not None:
        _live(view.card.id)
        return
    again, save = st.columns(2)
    word = "Run again" if record.runs else "Run it now"
    with frame.store().reading() as session:
        jobs = runs.jobs_for(session, [view.card.id], "standard")
    kind: Literal["primary", "secondary"] = "secondary" if frame.is_read_only() else "primary"
    if again.button(word, type=kind, width="stretch", disabled=frame.is_read_only()):
        workers.ask(frame.store(), jobs, "asked for in the app", options.me())
        st.rerun()
    if save.button("Cite", width="stretch", disabled=not record.runs):
        cite.dialog(view, record)
    spent = sum(map(runs.expected_cpu_seconds, jobs))
    cost = f"{sum(map(runs.units_drawn, jobs))} fresh units, about {seconds(spent / 2)} on two cores."
    frame.html(
        f"<p class='sh-small sh-soft'>{'The app runs read-only. ' if frame.is_read_only() else ''}{escape(cost)}</p>"
    )


@st.fragment(run_every=1)
def _live(claim_id: str) -> None:
    """The run under way or in the queue, second by second; it goes on when nobody looks."""
    with frame.store().reading() as session:
        going = overview.going(session, claim_id, frame.now())
    if going is None:
        st.rerun(scope="app")
    if going.is_queued:
        _queued(going)
    else:
        _progress(going)
    if going.task is not None:
        _cancel(going, going.task)


def _queued(going: Going) -> None:
    wait = f"Waiting, {going.before} before it" if going.before else "Starting …"
    st.progress(0.0, wait if going.has_worker else "Waiting for a worker")
    if not going.has_worker:
        said = "No worker lives at the moment. The app starts one again by itself; `stillholds worker` is another."
        frame.html(f"<p class='sh-small sh-soft'>{said}</p>")


def _progress(going: Going) -> None:
    spent = (frame.now() - going.started_at).total_seconds() if going.started_at else 0.0
    left = (
        f", about {seconds(spent / going.done * (going.total - going.done))} left"
        if going.done
        else ", the first ones take a while"
    )
    st.progress(going.done / going.total, f"{going.done} of {going.total} done{left}")
    again = f", attempt {going.attempt} at the same units," if going.attempt > 1 else ""
    frame.html(
        f"<p class='sh-small sh-soft'>Run {going.number}{again} started {going.started_at:%H:%M} UTC. It goes on if you close this tab.</p>"
    )


def _cancel(going: Going, task: str) -> None:
    word = "Cancelling …" if going.cancel else "Cancel the run"
    if st.button(word, width="stretch", disabled=going.cancel or frame.is_read_only()):
        tasks.cancel(frame.store(), task, frame.now())


def _contract(contract: Contract, record: Record) -> None:
    since = f", {day(record.history.contract_since)}" if record.history.contract_since else ""
    looks = {
        "holds": ("holds", "holds", "Holds"),
        "weakened": ("smaller", "weak", "Weakened"),
        "refuted": ("refuted", "refuted", "Refuted"),
    }
    rows = []
    for part in contract.parts:
        if contract.also:
            rows.append(["", f"<b>{escape(instrument.quantity_of(contract, part))}</b>"])
        rows += [[marks.html(Mark("", *looks[name])), escape(str(span))] for name, span in part.regions.in_order()]
    verifier = instrument.verifier_of(contract)
    sizes = contract.regime.size
    size = " to ".join(count(bound) for bound in (sizes.low, sizes.high) if bound) + (
        " or more" if sizes.high is None else ""
    )
    units = f"{contract.unit.per_run} a run, {contract.unit.first_look} at the first look"
    rows += [
        [f"<span class='sh-soft'>{name}</span>", escape(said)]
        for name, said in (
            *(
                (f"Part {n}" if contract.also else "Quantity", instrument.meaning_of(contract, part))
                for n, part in enumerate(contract.parts, 1)
            ),
            ("Unit", f"{verifier.unit}; {units}" if verifier else units),
            ("Measured by", f"{contract.verifier} on {', '.join(contract.subjects)}"),
            ("With", ", ".join(f"{name} {value:g}" for name, value in contract.parameters.items())),
            ("Speaks of", f"{contract.regime.stage}, {contract.regime.domain}, {size} parameters"),
            ("Layer", f"as the {contract.layer} says it"),
            ("Design effect", ", ".join(f"{part.design_effect:g}" for part in contract.parts)),
            ("Shelf life", f"{contract.shelf_life_days} days"),
            ("Does not say", contract.does_not_say),
        )
        if said
    ]
    frame.html(
        frame.heading("Contract", f"version {record.history.contract_version}{since}") + frame.table(["", ""], rows)
    )


def _controls(record: Record) -> None:
    line = next((line for line in record.runs if line.verdict and line.verdict.controls), None)
    if line is None or line.verdict is None:
        return
    controls = line.verdict.controls
    inside = sum(one.passed is True for one in controls)
    rows = [
        [
            escape(one.name),
            "" if one.estimate is None else f"<span class='sh-num'>{one.estimate - one.target:+.2g}</span>",
            f"≤ {one.margin:.2g}",
            "" if one.passed else f"<b>{'could not run' if one.passed is None else 'failed'}</b>",
        ]
        for one in controls
    ]
    frame.html(
        frame.heading(f"Controls of run {line.number}", f"{inside} of {len(controls)} inside")
        + frame.table(["", "off by", "margin", ""], rows)
    )
