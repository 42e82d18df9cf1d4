"""All lines, all notes, all claims, all papers: a page each."""

from datetime import datetime
from html import escape

from claims import overview
from claims.overview import Row, RunLine
from claims.papers import naming
from claims.papers.grounding import Ground
from kb import read
from kb.read import Card, Linked
from stillholds.views import frame, grounded, marks, prose
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


def papers() -> None:
    """Every paper that the library names, and whether it is what pages take it for."""
    with frame.store().reading() as session:
        found = naming.grounds(session)
    frame.title("Papers", "All that notes, lines, prompts and claims name.")
    if not found:
        frame.empty("No paper is named yet. Import a folder of pages: stillholds import FOLDER")
        return
    frame.html(grounded.summary(found))
    if any(one.headline.state == "not yet checked" for one in found):
        frame.empty("`stillholds ground` asks arXiv about those that were not checked yet.")
    head = ["Paper", "Grounding", "Dated here", "First at arXiv", "Named by"]
    frame.html(frame.table(head, list(map(_paper_cells, found))))


def _paper_cells(one: Ground) -> list[str]:
    record, card = one.known.record, one.named.card
    entries = len({naming.by.id for naming in one.named.namings})
    arxiv = f"<br><span class='sh-small sh-soft'>arXiv:{escape(one.arxiv)}</span>" if one.arxiv and card else ""
    return [
        (frame.link(card) if card else escape(one.named.title)) + arxiv,
        grounded.mark(one) + _both_titles(one),
        escape(one.named.date or ""),
        f"{record.published_at:%Y-%m-%d}" if record else "",
        f"{entries} entr{'y' if entries == 1 else 'ies'}",
    ]


def _both_titles(one: Ground) -> str:
    """The title that arXiv has, where it is another one."""
    if one.headline.state != "title differs":
        return ""
    return f"<br><span class='sh-small sh-soft sh-theirs'>arXiv: {escape(one.headline.theirs)}</span>"


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


def linked(link: Linked) -> str:
    """Who names an entry, how, and in which sentence; for a list."""
    how = f"<span class='sh-small sh-soft'>{escape(link.other.kind)} {escape(link.type.replace('_', ' '))}</span>"
    sentence = f"<br><span class='sh-small'>{prose.plain(link.sentence)}</span>" if link.sentence else ""
    return f"{how} {frame.link(link.other)}{sentence}"
