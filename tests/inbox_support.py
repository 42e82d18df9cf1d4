"""What tests of the inbox build with: papers as arXiv would say them, and suggestions as the triage leaves them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from claims import library
from kb import arxiv_papers
from kb.location import Location
from kb.models import ArxivPaper, Entity, Suggestion
from kb.sources.arxiv_record import Record
from kb.store import Store
from tests.claims_support import NOW, claim_page, written

DAY = timedelta(days=1)
SPAN = "Entropy fell on every text."
ABSTRACT = f"We trained ten models. {SPAN} The gap did not depend on who wrote the text."


def paper(arxiv: str, version: int = 1, **changes: Any) -> Record:
    """A paper of the day before."""
    said = {
        "arxiv": arxiv,
        "version": version,
        "title": f"On {arxiv}",
        "authors": ("Ada Example", "Bo Sample"),
        "abstract": ABSTRACT,
        "categories": ("cs.LG",),
        "published_at": NOW - DAY,
        "updated_at": NOW - DAY + (version - 1) * timedelta(hours=1),
    }
    return Record.model_validate(said | changes)


def matched(stance: str = "contradicts", says: str | None = None, **changes: Any) -> dict[str, Any]:
    """How the triage would have matched it."""
    start = ABSTRACT.index(SPAN)
    return {
        "score": 0.8,
        "parts": {"subject": 0.9, "method": 0.5, "regime": 0.7, "stance": 0.8},
        "span_start": start,
        "span_end": start + len(SPAN),
        "span": SPAN,
        "stance": stance,
        "sureness": 0.8,
        "says": says or stance,
        "reason": "both speak of the entropy of a model on its own text",
    } | changes


def came(store: Store, *records: Record, now: datetime = NOW) -> None:
    """Papers have come here."""
    with store.writing() as session:
        arxiv_papers.put(session, records, now)


def suggested(
    store: Store, claim: str, arxiv: str, match: Mapping[str, Any] | None = None, score: float = 0.8, rank: int = 1
) -> None:
    """A paper stands beside a claim, as the triage leaves it."""
    with store.writing() as session:
        row = Suggestion(
            claim_id=id_of(session, claim), arxiv=arxiv, score=score, rank=rank, matcher="m", scored_at=NOW
        )
        row.match = dict(matched() if match is None else match)
        session.add(row)


def id_of(session: Session, slug: str) -> str:
    return session.exec(select(Entity.id).where(Entity.slug == slug)).one()


def row_of(store: Store, claim: str, arxiv: str) -> Suggestion:
    with store.reading() as session:
        return session.get_one(Suggestion, (id_of(session, claim), arxiv))


def version_of(store: Store, arxiv: str) -> int:
    with store.reading() as session:
        return session.get_one(ArxivPaper, arxiv).version


def an_inbox(folder: Path, place: Location | None = None) -> Store:
    """A library with a claim that runs test and one that none does, a note that leans on the first, and three papers
    that stand beside it.
    """
    pages = [claim_page(folder / "pages", "the-gap", written()), claim_page(folder / "pages", "spoken", None)]
    note = folder / "pages" / "notes" / "a-note.md"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("---\ntitle: Does the gap last?\n---\n\nIt does, for [[the-gap]] says so.\n", encoding="utf-8")
    store = library.create(place or folder / "library.db", NOW)
    report = library.bring_in(store, [*pages, note], NOW)
    assert not report.refused, report.refused
    came(store, *(paper(f"2611.0000{number}") for number in (1, 2, 3)))
    for number, stance in ((1, "contradicts"), (2, "supports"), (3, "qualifies")):
        suggested(store, "the-gap", f"2611.0000{number}", matched(stance), score=0.9 - number / 10, rank=number)
    return store
