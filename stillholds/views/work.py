"""The work: what is under way, what waits for its turn, what ended last, and who makes it."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from claims import tasks
from claims.tasks import Line, Queue
from stillholds.views import frame


def page() -> None:
    """Draw the page."""
    frame.title("Work", "Runs go on when nobody looks; a worker that dies is followed by another, with the same units.")
    _live()


@st.fragment(run_every=2)
def _live() -> None:
    found = tasks.overview(frame.store(), frame.now())
    going = [line for line in found.tasks if line.state in tasks.OPEN]
    ended = [line for line in found.tasks if line.state not in tasks.OPEN]
    frame.html(frame.heading("Under way and waiting", str(len(going))))
    for line in going:
        _going(line)
    if not going:
        frame.empty("Nothing waits. Open a claim and run it, or switch the schedule on.")
    frame.html(frame.heading("Ended last", str(len(ended))))
    if ended:
        frame.html(frame.table(["", "", "", "", ""], [_ended(line) for line in ended]))
    _workers(found)


def _going(line: Line) -> None:
    left, right = st.columns([0.85, 0.15])
    with left:
        run = f"run {line.number}, " if line.number else ""
        again = f"attempt {line.attempt}, " if line.attempt and line.attempt > 1 else ""
        said = f"{line.done} of {line.total} done" if line.state == "running" and line.total else "waiting"
        st.progress(
            line.done / line.total if line.total else 0.0, f"{line.verifier} on {line.subject}: {run}{again}{said}"
        )
        frame.html(
            f"<p class='sh-small sh-soft'>for {_claims(line.claims)}; {escape(line.cause)}, {escape(line.asked_by)}</p>"
        )
    word = "Cancelling …" if line.is_cancelled else "Cancel"
    if right.button(word, key=f"cancel-{line.id}", disabled=line.is_cancelled or frame.is_read_only()):
        tasks.cancel(frame.store(), line.id, frame.now())
        st.rerun(scope="fragment")


def _ended(line: Line) -> list[str]:
    when = f"{line.ended_at:%d %B %H:%M} UTC" if line.ended_at else ""
    return [
        escape(line.state),
        escape(when),
        f"{escape(line.verifier)} on {escape(line.subject)}",
        _claims(line.claims),
        f"<span class='sh-small sh-soft'>{escape(line.reason)}</span>",
    ]


def _claims(slugs: Sequence[str]) -> str:
    return ", ".join(frame.anchor(frame.address("claim", slug), slug) for slug in slugs)


def _workers(found: Queue) -> None:
    rows = [
        [
            escape(one.id),
            f"{one.slots} slot{'' if one.slots == 1 else 's'}",
            f"since {one.started_at:%d %B %H:%M} UTC",
            "" if one.is_living else "gone: what it had begun is made again",
        ]
        for one in found.workers
    ]
    frame.html(frame.heading("Workers", str(len(rows))))
    if rows:
        frame.html(frame.table(["", "", "", ""], rows))
    else:
        frame.empty("No worker lives. `stillholds app` brings one along; `stillholds worker` is one.")
