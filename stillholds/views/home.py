"""The library at a glance: what stands, what does not, what was tested last, what is due, what waits."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from claims import overview, runs
from claims.contract import Contract
from claims.overview import Row, RunLine
from claims.papers import arrivals
from claims.papers.arrivals import Count
from stillholds.views import frame, legend, marks
from stillholds.views.lists import card_of, mark_of_run
from stillholds.views.spark import spark
from stillholds.words import Mark, fresh_mark, mark, marks_of, seconds, with_interval

DECIDED = ("HOLDS", "WEAKENED", "REFUTED", "CONTESTED")
MOST_GLYPHS = 200


def page() -> None:
    """Draw the page."""
    with frame.store().reading() as session:
        rows = overview.rows(session, frame.now())
        tested = [(row, *overview.newest(session, row.id)) for row in overview.recent(session, rows, 5)]
        count = arrivals.waiting(session, frame.now())
    if not rows:
        frame.title("This library is empty.")
        frame.empty("Import a folder of pages to begin: stillholds import FOLDER, for example examples/library.")
        return
    frame.title(sentence(rows))
    frame.html(roll(rows))
    left, right = st.columns([0.65, 0.35], gap="large")
    with left:
        tested_last(tested, len(rows))
    with right:
        waits(count)
        due(rows)
    with st.expander("What the marks mean", expanded="sh-met" not in st.session_state):
        legend.text()
    st.session_state["sh-met"] = True


def sentence(rows: Sequence[Row]) -> str:
    """The counts that matter, as a sentence."""
    decided = [row for row in rows if row.standing.word in DECIDED]
    holding = sum(row.standing.word == "HOLDS" for row in decided)
    found = sum(bool(row.standing.at_scale or row.standing.so_far) for row in rows)
    first = f"{_count(len(rows), 'claim')}. "
    stand = f"{len(decided)} stand decided, {holding} of them as claimed." if decided else "None stands decided yet."
    return first + stand + (f" {found} have been tested here." if found else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- the roll: every claim as one glyph -------------------------------------------------------------------------------


def roll(rows: Sequence[Row]) -> str:
    """Every claim by its standing, and once more by what was found beside it."""
    standing = _groups([(row, mark(row.standing.word, row.standing.tag)) for row in rows])
    beside = _groups([(row, beside) for row in rows for beside in marks_of(row.standing)[1:]])
    said = f"<div class='roll'>{standing}</div>"
    return said + (
        f"<div class='sh-small sh-soft'>Found in the laboratory, beside the standing</div><div class='roll'>{beside}</div>"
        if beside
        else ""
    )


def _groups(marked: Sequence[tuple[Row, Mark]]) -> str:
    groups: dict[Mark, list[Row]] = {}
    for row, one in marked:
        groups.setdefault(one, []).append(row)
    return "".join(_group(one, members) for one, members in groups.items())


def _group(one: Mark, rows: Sequence[Row]) -> str:
    glyphs = "".join(
        f"<a class='sh-a mk {one.hue}{' lab' if one.is_lab else ''}' target='_self' title='{escape(row.title, quote=True)}' "
        f"aria-label='{escape(row.title, quote=True)}' href='{escape(frame.address('claim', row.slug), quote=True)}'>{marks.glyph(one)}</a>"
        for row in rows[:MOST_GLYPHS]
    )
    return (
        f"<div><div class='gl'>{glyphs}</div>{marks.html(one._replace(word=f'{len(rows)} {one.word.lower()}'))}</div>"
    )


# --- what was tested, what is due -------------------------------------------------------------------------------------


def tested_last(tested: Sequence[tuple[Row, RunLine | None, Contract | None]], total: int) -> None:
    """The claims tested last, each with what its newest run gave on the contract's regions."""
    right = frame.anchor("/claims", f"all {total} claims")
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _tested(*one))}</tr>" for one in tested)
    frame.html(
        f"<h2 class='sh-h'>Tested last<span>{right}</span></h2><table class='tested'><tbody>{rows}</tbody></table>"
    )
    if not tested:
        frame.empty("No run yet. Open a claim that has a contract and run it.")


def _tested(row: Row, newest: RunLine | None, contract: Contract | None) -> list[str]:
    cells = [frame.link(card_of(row)), "<br>".join(map(marks.html, marks_of(row.standing))), ""]
    if newest is None:
        return cells
    alone = marks.html(mark_of_run(newest))
    cells[1] += f"<br><span class='sh-small sh-soft'>run {newest.number}: {alone}</span>"
    if contract is None or newest.verdict is None or not newest.verdict.endpoints:
        return [*cells[:2], f"<span class='sh-small sh-soft'>{escape(newest.reason)}</span>"]
    judged = newest.verdict.endpoints[0]
    said = f"<span class='sh-small sh-soft'>{escape(with_interval(judged))}, n {judged.n}</span>"
    return [*cells[:2], spark(contract, judged) + said]


def due(rows: Sequence[Row]) -> None:
    """What is not fresh, why, and what testing all of it would cost."""
    waiting = [row for row in rows if row.freshness and row.freshness.word in {"DUE", "STALE"}]
    with frame.store().reading() as session:
        jobs = runs.jobs_for(session, [row.id for row in waiting], "standard")
    cost = sum(map(runs.expected_cpu_seconds, jobs))
    entries = []
    for row in waiting:
        if row.freshness:
            why = f"{marks.html(fresh_mark(row.freshness, frame.now()))} <span class='sh-soft'>{escape(row.freshness.reason)}</span>"
            entries.append(f"{frame.link(card_of(row), row.short or row.title)}<br><span class='sh-small'>{why}</span>")
    frame.html(frame.heading("Due", f"about {seconds(cost)} of one core" if waiting else "") + frame.listing(entries))
    if not waiting:
        frame.empty("Everything that can be tested is fresh.")


def waits(count: Count) -> None:
    """What waits in the inbox; nothing is said when nothing does."""
    if not count.claims:
        return
    papers = _count(count.papers, "new paper") if count.papers else ""
    news = (
        f"{_count(count.news, 'piece')} of news of papers that claims cite or that were attached" if count.news else ""
    )
    said = " and ".join(filter(None, [papers, news]))
    link = frame.anchor("/inbox", f"{said} for {_count(count.claims, 'claim')}")
    frame.html(f"{frame.heading('Inbox')}<p>{link}</p>")
