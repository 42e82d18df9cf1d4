"""All lines, all notes, all claims: a page each."""

from datetime import datetime
from html import escape

from claims import overview
from claims.overview import Row, RunLine
from kb import read
from kb.read import Card
from stillholds.views import frame, marks
from stillholds.words import Mark, decision_mark, fresh_mark, marks_of, run_mark


def lines() -> None:
    """The inquiring lines; those without a page of their own last."""
    _cards("line", "Lines", "Questions answered by walking over notes.")


def notes() -> None:
    """The notes; those without a page of their own last."""
    _cards("note", "Notes", "Findings, each as a question.")


def _cards(kind: str, title: str, about: str) -> None:
    with frame.store().reading() as session:
        cards = read.cards(session, kind)
    frame.title(title, escape(about))
    if not cards:
        frame.empty(f"No {kind} yet. Import a folder of pages: stillholds import FOLDER")
        return
    for group, heading in (
        ([card for card in cards if not card.is_stub], ""),
        ([card for card in cards if card.is_stub], "Named, without a page yet"),
    ):
        if group:
            frame.html(
                (frame.heading(heading, str(len(group))) if heading else "")
                + frame.listing([frame.link(card) for card in group])
            )


def claims() -> None:
    """Every claim with its standing."""
    with frame.store().reading() as session:
        rows = overview.rows(session, frame.now())
    frame.title("Claims", f"{len(rows)} in this library")
    if not rows:
        frame.empty("No claim yet. Import a folder of pages: stillholds import FOLDER")
        return
    frame.html(
        frame.table(["Claim", "Standing", "Beside it", "Freshness", "Tested by"], [claim_cells(row) for row in rows])
    )


def claim_cells(row: Row, then: datetime | None = None) -> list[str]:
    """A claim's cells in a table, by the clock of THEN where it is about a date."""
    stands, *beside = marks_of(row.standing)
    beside += [decision_mark(row.decision.word, row.decision.who)] if row.decision else []
    fresh = (
        marks.html(fresh_mark(row.freshness, then or frame.now()))
        if row.freshness
        else "<span class='sh-soft'>no contract</span>"
    )
    return [
        frame.link(card_of(row)),
        marks.html(stands),
        "<br>".join(map(marks.html, beside)),
        fresh,
        escape(row.verifier or ""),
    ]


def mark_of_run(line: RunLine) -> Mark:
    """A run's mark; one without a verdict has nothing to certify."""
    return run_mark(
        line.word, line.tag, certified=line.certified or line.verdict is None, outside=bool(line.differences)
    )


def card_of(row: Row) -> Card:
    """The entry that a claim's row is about."""
    return Card(id=row.id, kind="claim", slug=row.slug, title=row.title, short=row.short, is_stub=False)
