"""What people see in a terminal. Answers go to stdout, everything about how it is going to stderr."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from claims.audit import Audit
from claims.contract import Contract
from claims.freshness import Freshness
from claims.history import Decision, Flip
from claims.judge import Judged
from claims.overview import Record, Row, RunLine
from claims.runs import Begun, Job, expected_cpu_seconds
from claims.standing import SubjectReading
from claims.tasks import Queue
from claims.timeline import Change, Difference
from claims.verification import Outcome
from kb.importer import Report
from kb.read import Card, Counts, Linked, View
from kb.search import Hit
from stillholds import gates
from stillholds.feeds import in_a_line
from stillholds.gates import Checked
from stillholds.methods import sections
from stillholds.words import (
    HUES,
    Mark,
    between,
    changed_words,
    day,
    decision_mark,
    event_words,
    flip_words,
    fresh_mark,
    look_words,
    marks_of,
    run_mark,
    seconds,
    sentence,
    stood_marks,
    with_interval,
)
from verifiers import registry
from verifiers.measurement import Control
from verifiers.measurement import Progress as Done
from verifiers.registry import Verifier


@cache
def out() -> Console:
    """Where answers go."""
    return Console(highlight=False, markup=False)  # stored text is never markup


@cache
def notes() -> Console:
    """Where remarks and progress go."""
    return Console(stderr=True, highlight=False, markup=False)


def marked(one: Mark) -> Text:
    """A glyph in its hue, and the word."""
    text = Text(f"{one.glyph} ", style=HUES[one.hue])
    return text.append(one.word, style="default" if one.is_lab else HUES[one.hue])


def _table(*columns: str, **named: Any) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black", show_header=bool(columns), **named
    )
    for column in columns:
        table.add_column(column, overflow="fold")  # a slug that is cut cannot be copied
    return table


# --- the library -----------------------------------------------------------------------------------------------------


def report(done: Report) -> None:
    """What an import did."""
    for item in done.refused:
        notes().print(f"refused {item.path}: it {item.reason}")
    for item in done.warnings:
        notes().print(f"note on {item.path}: {item.reason}")
    parts = [f"{len(done.new)} new", f"{len(done.changed)} changed", f"{len(done.unchanged)} unchanged"]
    if done.refused:
        parts.append(f"{len(done.refused)} refused")
    notes().print(f"Pages: {', '.join(parts)}. Entries: {done.entries.created} new, {done.entries.updated} changed.")


def counts(found: Counts) -> None:
    """How much the library holds."""
    table = _table()
    for name, value in found.model_dump().items():
        table.add_row(name, str(value))
    out().print(table)


def hits(found: Sequence[Hit]) -> None:
    """Search results, each with why it was found."""
    if not found:
        notes().print("Nothing was found. Fewer words, or other ones, may help.")
    for hit in found:
        why = hit.why
        reasons = []
        if why.meaning_rank:
            reasons.append(f"meaning: rank {why.meaning_rank}, cosine {why.similarity:.2f}")
        if why.words_rank:
            reasons.append(f"words: rank {why.words_rank} ({', '.join(why.terms)})")
        head = (
            Text(f"{hit.kind:5} ", style="bright_black")
            .append(hit.title, style="bold")
            .append(f"  {hit.slug}", style="bright_black")
        )
        out().print(
            Group(
                head,
                Padding(Text(why.passage), (0, 0, 0, 6)),
                Padding(Text("; ".join(reasons), style="bright_black"), (0, 0, 1, 6)),
            )
        )


def entry(view: View, record: Record | None, as_of: datetime | None = None) -> None:
    """One entry, whole."""
    card = view.card
    facts = [
        card.kind + (", named only" if card.is_stub else ""),
        *([view.date] if view.date else []),
        *([f"arXiv:{view.arxiv}"] if view.arxiv else []),
    ]
    out().print(Text(card.title, style="bold"))
    out().print(Text(f"{' · '.join(facts)} · {card.slug}", style="bright_black"))
    for part in (view.hook, view.summary if not view.body else "", view.original_title):
        if part:
            out().print(Padding(Text(part, style="italic"), (1, 0, 0, 0)))
    if record is not None:
        _record(record, as_of)
    if view.body:
        out().print(Padding(Text(view.body), (1, 0, 0, 0)))
    _links(view.links)


def _links(links: Sequence[Linked]) -> None:
    if not links:
        return
    table = _table("", "", "why")
    for link in links:
        way = link.type.replace("_", " ") if link.direction == "out" else f"← {link.type.replace('_', ' ')}"
        table.add_row(Text(way, style="bright_black"), f"{link.other.label}", Text(link.sentence, style="bright_black"))
    out().print(Padding(table, (1, 0, 0, 0)))


# --- claims and runs -------------------------------------------------------------------------------------------------


def claims(rows: Sequence[Row], as_of: datetime | None = None) -> None:
    """All claims with standing and freshness."""
    now = as_of or datetime.now(UTC)
    table = _table("claim", "standing", "beside it", "freshness", "slug")
    for one in rows:
        stands, *beside = marks_of(one.standing)
        beside += [decision_mark(one.decision.word, one.decision.who)] if one.decision else []
        table.add_row(
            one.short or one.title,
            marked(stands),
            Group(*map(marked, beside)) if beside else "",
            marked(fresh_mark(one.freshness, now)) if one.freshness else Text("no contract", style="bright_black"),
            Text(one.slug, style="bright_black"),
        )
    none = "There were no claims yet." if as_of else "No claims yet: `stillholds import FOLDER` brings some in."
    out().print(table if rows else none)


def _sequences(table: Table, readings: Sequence[SubjectReading]) -> None:
    for reading in readings:
        if reading.looks:
            look = reading.looks[-1]
            said = f"{between(look.low, look.estimate, look.high)}, {look.n} units, valid at every look"
            table.add_row(reading.subject, said)
        if reading.changed:
            table.add_row("changed", changed_words(reading))


def _record(record: Record, as_of: datetime | None = None) -> None:
    past = record.history
    table = _table()
    for one in marks_of(past.standing):
        table.add_row("at this scale" if one.is_lab else "standing", marked(one))
    table.add_row("", Text(past.standing.reason, style="bright_black"))
    _sequences(table, past.standing.subjects)
    if record.freshness:
        _freshness(table, record.freshness, as_of or datetime.now(UTC))
    if past.decision:
        _decision(table, past.decision, has_contract=past.contract is not None)
    if past.contract:
        _contract(table, past.contract, past.contract_version)
    out().print(Padding(table, (1, 0, 0, 0)))
    if record.runs:
        out().print(Padding(_runs(record.runs), (1, 0, 0, 0)))


def _freshness(table: Table, fresh: Freshness, now: datetime) -> None:
    table.add_row("freshness", marked(fresh_mark(fresh, now)))
    if fresh.word != "FRESH":
        table.add_row("", Text(fresh.reason, style="bright_black"))


def _decision(table: Table, said: Decision, *, has_contract: bool) -> None:
    table.add_row("decision", marked(decision_mark(said.word, said.who)))
    beside = " It was said before there was a contract; runs decide now." if has_contract else ""
    table.add_row(
        "", Text(f"{day(said.at)}, from {said.source}: {sentence(said.reason)}{beside}", style="bright_black")
    )


def _contract(table: Table, contract: Contract, version: int | None) -> None:
    endpoints = ", ".join(part.endpoint for part in contract.parts)
    subjects = ", ".join(contract.subjects)
    table.add_row("contract", f"version {version}: {contract.verifier}, {endpoints} on {subjects}")
    for part in contract.parts:
        of = f"{part.endpoint} " if contract.also else ""
        for region, span in part.regions.in_order():
            table.add_row("", f"{of}{region}: {span}")
    table.add_row("does not say", contract.does_not_say)


def _runs(lines: Sequence[RunLine]) -> Table:
    table = _table("run", "when", "subject", "profile", "", "reason")
    for line in lines:
        certified = line.certified or line.verdict is None
        table.add_row(
            str(line.number),
            day(line.at),
            line.subject,
            line.profile,
            marked(run_mark(line.word, line.tag, certified=certified, outside=bool(line.differences))),
            line.reason,
        )
    return table


def outcomes(found: Sequence[Outcome]) -> None:
    """What runs gave: for every claim the verdict, then once the numbers and controls that claims share."""
    shown: set[str | None] = set()
    for outcome in found:
        outside = bool(outcome.differences)
        head = marked(run_mark(outcome.verdict, outcome.tag, certified=outcome.certified, outside=outside))
        out().print(
            Text(outcome.claim or f"{outcome.verifier} on {outcome.subject}", style="bold")
            .append("  ")
            .append_text(head)
        )
        out().print(Padding(Text(outcome.reason), (0, 0, 0, 2)))
        if outside:
            far = f"at this scale only, which decides nothing about the claim: {'; '.join(outcome.differences)}"
            out().print(Padding(Text(far, style="bright_black"), (0, 0, 0, 2)))
        primary = [judged for judged in outcome.endpoints if judged.primary]
        out().print(Padding(_endpoints(primary), (0, 0, 1, 2)))
    for outcome in found:
        if outcome.endpoints and outcome.run not in shown:
            shown.add(outcome.run)
            out().print(
                f"Measured by {outcome.verifier} on {outcome.subject}, seed {outcome.provenance.seed if outcome.provenance else '?'}:"
            )
            out().print(Padding(_endpoints(outcome.endpoints), (0, 0, 1, 2)))
            out().print(Padding(_controls(outcome.controls), (0, 0, 1, 2)))


def _endpoints(judged: Sequence[Judged]) -> Table:
    """What was measured; the rest is counted below the table."""
    table = _table("quantity", "estimate [interval]", "level", "units", "null")
    for one in judged:
        if one.n or one.primary:
            table.add_row(one.quantity, with_interval(one), f"{100 * one.level:.3g} %", str(one.n), f"{one.null:g}")
    if absent := sum(not one.n and not one.primary for one in judged):
        table.caption = f"not measured here: {absent} other quantities"
    return table


def _controls(controls: Sequence[Control]) -> Table:
    table = _table("control", "", "found", "expected", "margin")
    for one in controls:
        said = {True: "passed", False: "FAILED", None: "could not run"}[one.passed]
        table.add_row(
            one.name,
            said,
            "" if one.estimate is None else f"{one.estimate:.3g}",
            f"{one.target:.3g}",
            f"{one.margin:.3g}",
        )
    return table


def audit(found: Audit) -> None:
    """What an audit recomputed, and what did not agree."""
    for problem in found.problems:
        out().print(f"{problem.where}: {problem.what}")
    said = f"{found.entries} entries of {found.claims} claims, {found.verdicts} verdicts and {found.checkpoints} checkpoints recomputed"
    out().print(
        f"{said}: {'all agree' if not found.problems else f'{len(found.problems)} do not agree, the first stands first'}."
    )
    out().print(f"head {found.head}", style="bright_black")


def queue(found: Queue) -> None:
    """What waits, what is under way, what ended last; and who makes it."""
    table = _table("task", "state", "what", "for", "why", "")
    for one in found.tasks:
        run = f"run {one.number}" + (f", attempt {one.attempt}" if one.attempt and one.attempt > 1 else "")
        going = f"{run}: {one.done} of {one.total}" if one.state == "running" and one.number else one.reason
        table.add_row(
            one.id,
            "cancelling" if one.is_cancelled and one.state == "running" else one.state,
            f"{one.verifier} on {one.subject} ({one.profile})",
            ", ".join(one.claims),
            f"{one.cause}, {one.asked_by}",
            going,
        )
    out().print(
        table if found.tasks else "Nothing was asked for yet: `stillholds verify CLAIM`, or `stillholds schedule on`."
    )
    for worker in found.workers:
        lives = "" if worker.is_living else ": gone; what it had begun is made again"
        slots = f"{worker.slots} slot{'' if worker.slots == 1 else 's'}"
        out().print(f"worker {worker.id}, {slots}, since {worker.started_at:%Y-%m-%d %H:%M} UTC{lives}")
    if not found.workers:
        out().print("No worker: `stillholds app` brings one along, `stillholds worker` is one.")


# --- over time --------------------------------------------------------------------------------------------------------


def history(card: Card, record: Record, as_of: datetime | None) -> None:
    """All that ever happened to a claim: what it comes to, entry by entry, and every change of standing."""
    out().print(Text(card.title, style="bold"))
    when = f", as of {as_of:%Y-%m-%d %H:%M} UTC" if as_of else ""
    out().print(Text(f"claim · {card.slug}{when}", style="bright_black"))
    _record(record, as_of)
    past = record.history
    out().print(Padding(_events(record), (1, 0, 0, 0)))
    _flips("Changes of standing", past.flips)


def _events(record: Record) -> Table:
    outside = {line.run for line in record.runs if line.differences}
    table = _table("entry", "when", "what", "")
    for entry in record.history.entries:
        what, said = event_words(entry.event, outside=getattr(entry.event, "run", None) in outside)
        table.add_row(str(entry.seq), f"{entry.at:%Y-%m-%d %H:%M}", what, said)
    return table


def _flips(title: str, found: Sequence[Flip]) -> None:
    if not found:
        return
    table = _table(title.lower(), "when", "before", "after", "why")
    for flip in reversed(found):
        table.add_row(
            flip_words(flip), f"{flip.at:%Y-%m-%d}", look_words(flip.before), look_words(flip.after), flip.why
        )
    out().print(Padding(table, (1, 0, 0, 0)))


def difference(found: Difference) -> None:
    """What is different between two dates, and what leans on it."""
    since, until = f"{found.since:%Y-%m-%d %H:%M}", f"{found.until:%Y-%m-%d %H:%M}"
    for change in found.changes:
        _change(change)
    told_already = {change.claim.id for change in found.changes}
    for card in (card for card in found.new if card.id not in told_already):
        out().print(
            Text("new    ", style="bright_black").append(card.title).append(f"  {card.slug}", style="bright_black")
        )
    counted = "1 claim" if len(found.changes) == 1 else f"{len(found.changes)} claims"
    out().print(
        f"From {since} to {until} UTC: {counted} changed, {len(found.new)} new, {found.same} as they were.",
        soft_wrap=True,
    )


def _change(change: Change) -> None:
    out().print(Text(change.claim.title, style="bold").append(f"  {change.claim.slug}", style="bright_black"))
    table = _table()
    for name, stood in (("before", change.before), ("after", change.after)):
        shown = [marked(one) for one in stood_marks(stood)] if stood.known else [Text("not in the library yet")]
        table.add_row(name, Group(*shown))
    for flip in change.flips:
        table.add_row(f"{flip.at:%Y-%m-%d}", flip_words(flip))
        table.add_row("", Text(f"{look_words(flip.before)}  →  {look_words(flip.after)}", style="bright_black"))
        table.add_row("", Text(flip.why, style="bright_black"))
    for one in change.leaning:
        table.add_row("leans on it", in_a_line(one))
    out().print(Padding(table, (0, 0, 1, 2)))


def checked(found: Sequence[Checked], words: frozenset[str]) -> None:
    """What a gate over the library says."""
    met = [one for one in found if one.met]
    for one in met:
        out().print(Text(one.row.title, style="bold").append(f"  {one.row.slug}", style="bright_black"))
        out().print(Padding(Text(gates.why(one)), (0, 0, 1, 2)))
    named = ", ".join(sorted(map(gates.spelled, words)))
    said = (
        f"{len(met)} of {len(found)} claims are in the gate" if met else f"None of {len(found)} claims is in the gate"
    )
    out().print(f"{said} ({named}).", soft_wrap=True)


# --- verifiers -------------------------------------------------------------------------------------------------------


def verifiers() -> None:
    """The verifiers in a table."""
    table = _table("verifier", "version", "status", "question")
    for one in registry.verifiers().values():
        table.add_row(one.name, one.version, registry.status(one), one.question)
    out().print(table)


def faults() -> None:
    """What other packages offer and cannot be used; silence when there is nothing."""
    for said in registry.faults().values():
        notes().print(said, soft_wrap=True)


def verifier(one: Verifier) -> None:
    """A verifier like a short methods section."""
    out().print(
        Text(f"{one.name} {one.version}", style="bold").append(f"  {registry.status(one)}", style="bright_black")
    )
    for part in sections(one):
        if part.title:
            out().print(Padding(Text(part.title, style="bright_black"), (1, 0, 0, 0)))
        if part.text:
            out().print(Padding(Text(part.text), (0 if part.title else 1, 0, 0, 0)))
        for line in part.lines:
            out().print(Padding(Text(f"– {line}"), (0, 0, 0, 2)))
    if not one.refused:
        _numbers(one)


def _numbers(one: Verifier) -> None:
    endpoints = _table("endpoint", "quantity", "null", "meaning")
    for spec in one.endpoints:
        endpoints.add_row(spec.name, spec.quantity, f"{spec.null:g}", spec.meaning)
    profiles = _table("profile", "units", "CPU-minutes", "says")
    for name, profile in one.profiles.items():
        profiles.add_row(name, str(profile.units), f"{profile.cpu_seconds / 60:.1f}", profile.says)
    out().print(Padding(endpoints, (1, 0, 0, 0)), Padding(profiles, (1, 0, 0, 0)), sep="")


# --- while it runs ---------------------------------------------------------------------------------------------------


class Terminal:
    """Follows runs with a bar: units done, and the time that is left."""

    def __init__(self, progress: Progress, processes: int) -> None:
        self._progress, self._processes = progress, processes
        self._task: TaskID | None = None
        self._began = 0.0

    def begun(self, job: Job, run: Begun, claims: Sequence[str]) -> None:
        """Announce a run and what it will cost."""
        cost = expected_cpu_seconds(job)
        what = f"{job.verifier} on {job.subject}" + (
            f", run {run.number}, for {len(claims)} claims" if claims else f", seed {run.seed}"
        )
        notes().print(
            f"{what}: about {cost / 60:.1f} CPU-minutes, {seconds(cost / self._processes)} in {self._processes} processes ({job.profile})."
        )
        self._began = time.monotonic()
        self._task = self._progress.add_task("starting", total=None)

    def progressed(self, done: Done) -> None:
        """Move the bar; what is left is judged by what the finished part took."""
        if self._task is not None:
            spent = time.monotonic() - self._began
            left = spent / done.done * (done.total - done.done)
            said = (
                f"{done.done} of {done.total} done, about {seconds(left)} left" if done.done < done.total else "judging"
            )
            self._progress.update(self._task, completed=done.done, total=done.total, description=said)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def described_bar() -> Progress:
    """A bar whose words say what is done; nothing without a terminal, where lines would only pile up."""
    return Progress(
        BarColumn(24),
        TextColumn("{task.description}"),
        console=notes(),
        transient=True,
        disable=not notes().is_terminal,
    )


def turn_words(left: float | None) -> str:
    """Why arXiv is not asked yet: so many seconds are LEFT, or another process has its turn."""
    return "another process is asking" if left is None else f"the next question in {left:.0f} s"


@contextmanager
def watching(jobs: Sequence[Job], processes: int) -> Iterator[Terminal]:
    """Show runs as they happen; without a terminal only their beginnings."""
    if not jobs:
        notes().print("There is nothing to run: no claim named here has a contract.")
    bar = described_bar()
    try:
        with bar:
            yield Terminal(bar, processes)
    except KeyboardInterrupt:
        notes().print("Interrupted: the run that was under way is recorded as ERROR and says nothing about its claims.")
        raise


@contextmanager
def texts_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar over texts to which WHAT is done; nothing without a terminal."""
    with Progress(
        TextColumn(what),
        BarColumn(24),
        TextColumn("{task.completed}/{task.total}"),
        console=notes(),
        transient=True,
        disable=not notes().is_terminal,
    ) as bar:
        task: TaskID | None = None

        def step(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task("", total=total)
            bar.update(task, completed=done)

        yield step
