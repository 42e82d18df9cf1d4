"""Papers from arXiv in the store: each id once, and an event for all that ever happens to one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from kb.models import ArxivEvent, ArxivPaper
from kb.sources.arxiv_record import Record


def put(session: Session, records: Sequence[Record], now: datetime) -> list[ArxivEvent]:
    """Keep what arXiv says of papers, inside the caller's transaction, and return what is new in it; what is said again
    changes nothing, and an older version than the one that is known is not taken.
    """
    return [event for record in records for event in _put(session, record, now)]


def _put(session: Session, record: Record, now: datetime) -> list[ArxivEvent]:
    row = session.get(ArxivPaper, record.arxiv)
    if row is None:
        row = ArxivPaper(arxiv=record.arxiv, version=record.version, seen_at=now, **_said(record, now))
        session.add(row)
        session.flush()
        kinds = ["new", *(["withdrawn"] if record.is_withdrawn else [])]
        return [_happened(session, record, kind, now) for kind in kinds]
    if record.version < row.version:
        return []
    kinds = ["new version"] if record.version > row.version else []
    if record.is_withdrawn != row.is_withdrawn:
        kinds.append("withdrawn" if record.is_withdrawn else "returned")
    row.version = record.version
    for name, value in _said(record, now).items():
        setattr(row, name, value)
    return [_happened(session, record, kind, now) for kind in kinds]


def _said(record: Record, now: datetime) -> dict[str, Any]:
    values = record.model_dump(exclude={"arxiv", "version"})
    lists = {"authors": list(record.authors), "categories": list(record.categories)}
    return {**values, **lists, "is_withdrawn": record.is_withdrawn, "asked_at": now}


def _happened(session: Session, record: Record, kind: str, now: datetime) -> ArxivEvent:
    past = session.exec(select(func.count()).where(col(ArxivEvent.arxiv) == record.arxiv)).one()
    event = ArxivEvent(
        arxiv=record.arxiv, number=past + 1, kind=kind, version=record.version, at=record.updated_at, seen_at=now
    )
    session.add(event)
    session.flush()
    return event


def record_of(row: ArxivPaper) -> Record:
    """A row, as arXiv said it."""
    return Record.model_validate(row.model_dump(include=set(Record.model_fields)))
