"""Papers from arXiv in the store: each id once, an event for all that ever happens to one, and which the library has
reason to ask about again.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from kb.models import ArxivCheck, ArxivEvent, ArxivFound, ArxivPaper, Claim, Line, Note, Paper, Suggestion
from kb.sources.arxiv_id import arxiv_ids, versioned
from kb.sources.arxiv_record import Record

IN_TEXT = "arxiv:"  # before the id of a paper that stands in a text alone, where a check has the id of an entry


def put(session: Session, records: Sequence[Record], now: datetime) -> list[ArxivEvent]:
    """Keep what arXiv says of papers, inside the caller's transaction, and return what is new in it; what is said again
    changes nothing, and an older version than the one that is known is not taken.
    """
    ids = [record.arxiv for record in records]
    rows = {row.arxiv: row for row in session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(ids)))}
    counted = select(ArxivEvent.arxiv, func.count()).where(col(ArxivEvent.arxiv).in_(ids)).group_by(ArxivEvent.arxiv)
    past = Counter(dict(session.exec(counted).all()))
    events = []
    for record in records:
        for kind in _put(session, rows, record, now):
            past[record.arxiv] += 1
            events.append(_event(record, kind, past[record.arxiv], now))
    session.flush()  # the papers before what happened to them
    session.add_all(events)
    session.flush()
    return events


def _put(session: Session, rows: dict[str, ArxivPaper], record: Record, now: datetime) -> list[str]:
    """Keep a paper, and say what is new about it."""
    row = rows.get(record.arxiv)
    if row is None:
        row = ArxivPaper(arxiv=record.arxiv, version=record.version, seen_at=now, **_said(record, now))
        rows[record.arxiv] = row
        session.add(row)
        return ["new", *(["withdrawn"] if record.is_withdrawn else [])]
    if record.version < row.version:
        return []
    kinds = ["new version"] if record.version > row.version else []
    if record.is_withdrawn != row.is_withdrawn:
        kinds.append("withdrawn" if record.is_withdrawn else "returned")
    row.version = record.version
    for name, value in _said(record, now).items():
        setattr(row, name, value)
    return kinds


def _event(record: Record, kind: str, number: int, now: datetime) -> ArxivEvent:
    return ArxivEvent(
        arxiv=record.arxiv, number=number, kind=kind, version=record.version, at=record.updated_at, seen_at=now
    )


def _said(record: Record, now: datetime) -> dict[str, Any]:
    values = record.model_dump(exclude={"arxiv", "version"})
    lists = {"authors": list(record.authors), "categories": list(record.categories)}
    return {**values, **lists, "is_withdrawn": record.is_withdrawn, "asked_at": now}


def record_of(row: ArxivPaper) -> Record:
    """A row, as arXiv said it."""
    return Record.model_validate(row.model_dump(include=set(Record.model_fields)))


def canonical(arxiv: str) -> str:
    """An id as arXiv itself writes it, without a version."""
    named = versioned(arxiv)
    return named[0] if named else arxiv


def found(session: Session, query_id: str, ids: Iterable[str], now: datetime) -> int:
    """Keep that a query brought these papers, each once, and return how many it had not brought before."""
    asked = list(dict.fromkeys(ids))
    mine = select(ArxivFound.arxiv).where(ArxivFound.query_id == query_id, col(ArxivFound.arxiv).in_(asked))
    before = set(session.exec(mine))
    rows = [ArxivFound(query_id=query_id, arxiv=arxiv, found_at=now) for arxiv in asked if arxiv not in before]
    session.add_all(rows)
    session.flush()
    return len(rows)


# --- what is asked about by its id -----------------------------------------------------------------------------------


def named(session: Session) -> dict[str, list[str]]:
    """The ids that the library's pages name, as arXiv writes them, each with the papers that have it: none where it
    stands in a text alone.
    """
    entries = defaultdict(list)
    for entity_id, arxiv in session.exec(select(Paper.id, Paper.arxiv).order_by(Paper.id)):
        if arxiv:
            entries[canonical(arxiv)].append(entity_id)
    return {canonical(arxiv): [] for text in _texts(session) for arxiv in arxiv_ids(text)} | dict(entries)


def _texts(session: Session) -> Iterator[str]:
    for column in (Note.hook, Note.summary, Note.body, Line.hook, Line.body, Claim.body, Claim.documentary):
        yield from session.exec(select(column).where(col(column).ilike("%arxiv%")))
    for prompt in session.exec(select(Line.prompt).where(col(Line.prompt).is_not(None))):
        yield json.dumps(prompt, ensure_ascii=False)


def suggested(session: Session) -> list[str]:
    """The ids of papers that stand in the inbox, wait there for their day, or are attached."""
    standing = select(Suggestion.arxiv).where(Suggestion.state != "dismissed").distinct()
    return sorted(session.exec(standing))


def by_age(session: Session, ids: Collection[str], asked_before: datetime, now: datetime) -> list[str]:
    """Of IDS those that arXiv was not asked about since ASKED_BEFORE, the longest neglected first. A question in the
    future is one of a clock that was wrong.
    """
    asked = dict(session.exec(select(ArxivPaper.arxiv, ArxivPaper.asked_at)).all())
    for wanted, outcome, at in session.exec(select(ArxivCheck.asked_for, ArxivCheck.outcome, ArxivCheck.checked_at)):
        if outcome == "not found":
            asked.setdefault(canonical(wanted), at)
    due = [one for one in ids if one not in asked or not asked_before < asked[one] <= now]
    return sorted(due, key=lambda one: (one in asked, asked.get(one, now), one))


def check(session: Session, asked: Sequence[str], answered: Collection[str], now: datetime) -> list[str]:
    """Keep of the entries with the ids ASKED whether arXiv has them, and return the ids that it has never had. One that
    was here before is there, whatever a single answer left out: arXiv withdraws, and takes nothing away.
    """
    entries, missing = named(session), []
    for arxiv in asked:
        is_there = arxiv in answered or session.get(ArxivPaper, arxiv) is not None
        if not is_there:
            missing.append(arxiv)
        outcome = "found" if is_there else "not found"
        for entity_id in entries.get(arxiv, ()):
            _check(session, entity_id, session.get_one(Paper, entity_id).arxiv or "", outcome, now)
        if entries.get(arxiv) == []:
            _check(session, f"{IN_TEXT}{arxiv}", arxiv, outcome, now)
    session.flush()
    return missing


def _check(session: Session, entity_id: str, asked_for: str, outcome: str, now: datetime) -> None:
    row = session.get(ArxivCheck, entity_id)
    if row is None:
        row = ArxivCheck(entity_id=entity_id, asked_for="", outcome="", proposals=[], checked_at=now)
        session.add(row)
    row.asked_for, row.outcome, row.proposals, row.checked_at = asked_for, outcome, [], now
