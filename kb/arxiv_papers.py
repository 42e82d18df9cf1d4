"""Papers from arXiv in the store: each id once, an event for all that ever happens to one, and which the library has
reason to ask about again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Text, type_coerce
from sqlmodel import Session, col, func, or_, select

from kb.errors import ArxivRefused
from kb.models import ArxivCheck, ArxivEvent, ArxivFound, ArxivPaper, Claim, Line, Note, Paper
from kb.sources.arxiv_id import HOLDS_ID, arxiv_ids
from kb.sources.arxiv_record import Record

IN_TEXT = "arxiv:"  # before the id of a paper that stands in a text alone, where a check has the id of an entry
FEW = 50  # ids that the database is asked for one by one
Spoken = Note | Line | Claim
_DIGIT = "[0-9]"
# What is an id without being marked as one: `hep-th/9901001`, `2605.25459v2`.
_LIKE_IDS = (f"*/{_DIGIT * 7}*", f"*.{_DIGIT * 4}[vV][1-9]*", f"*.{_DIGIT * 5}[vV][1-9]*")
# What may name a paper in its text, and where it says something.
_TEXTS: dict[type[Spoken], tuple[str, ...]] = {
    Note: ("hook", "summary", "body"),
    Line: ("hook", "body", "prompt"),
    Claim: ("body", "documentary"),
}


def put(session: Session, records: Sequence[Record], now: datetime) -> list[ArxivEvent]:
    """Keep what arXiv says of papers, inside the caller's transaction, and return what is new in it; what is said again
    changes nothing, and an older version than the one that is known is not taken.
    """
    ids = [record.arxiv for record in records]
    rows = {row.arxiv: row for row in _known(session, ids)}
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


def _known(session: Session, ids: Collection[str]) -> Sequence[ArxivPaper]:
    return session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(ids))).all()


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


def between(session: Session, records: Iterable[Record]) -> list[str]:
    """The versions, by id, that came out between those that are here and RECORDS, and have not been seen."""
    rows = {row.arxiv: row.version for row in _known(session, [record.arxiv for record in records])}
    return [
        f"{record.arxiv}v{version}"
        for record in records
        if record.arxiv in rows
        for version in range(rows[record.arxiv] + 1, record.version)
    ]


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
    """The ids that the library's pages name, each with the papers that have it: none where it stands in a text alone."""
    entries = defaultdict(list)
    for entity_id, arxiv in session.exec(select(Paper.id, Paper.arxiv).order_by(Paper.id)):
        if arxiv:
            entries[arxiv].append(entity_id)
    return {arxiv: [] for row in naming_any(session) for arxiv in arxiv_ids(text_of(row))} | dict(entries)


def naming_any(session: Session, only: Collection[str] | None = None) -> Iterator[Spoken]:
    """The rows whose text may hold an id, or one of a few; the database looks through the others."""
    few = sorted(only) if only and len(only) <= FEW else []
    for table, names in _TEXTS.items():
        fields = [type_coerce(getattr(table, name), Text) for name in names]
        if few:  # an old id may carry its subject class: its number is enough
            numbers = [arxiv.rpartition("/")[2] for arxiv in few]
            holds = or_(*(field.contains(number) for field in fields for number in numbers))
        else:
            holds = or_(*(_may_hold_id(session, field) for field in fields))
        yield from _spoken(session, table, holds)


def _may_hold_id(session: Session, field: Any) -> Any:
    """Whether a text holds what an id looks like. SQLite has no regular expressions of its own, and Python's take ten
    times as long as its patterns.
    """
    if session.get_bind().dialect.name != "sqlite":
        return field.regexp_match(HOLDS_ID)
    return or_(field.ilike("%arxiv%"), *(field.op("GLOB")(pattern) for pattern in _LIKE_IDS))


def spoken(session: Session, ids: Collection[str]) -> list[Spoken]:
    """What the entries with these IDS say; a paper says when it was written, and states nothing by it."""
    return [row for table in _TEXTS for row in _spoken(session, table, col(table.id).in_(ids))]


def _spoken(session: Session, table: type[Spoken], which: Any) -> list[Spoken]:
    rows = session.exec(select(table).where(which).order_by(table.id))
    return cast(list[Spoken], list(rows))  # select() loses the union


def text_of(row: Spoken) -> str:
    """All that a row says; of a prompt all its parts."""
    return "\n".join(said for name in _TEXTS[type(row)] for said in _strings(getattr(row, name)))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def by_age(session: Session, ids: Collection[str], asked_before: datetime, now: datetime) -> list[str]:
    """Of IDS those that arXiv was not asked about since ASKED_BEFORE, the longest neglected first. A question in the
    future is one of a clock that was wrong.
    """
    asked = dict(session.exec(select(ArxivPaper.arxiv, ArxivPaper.asked_at)).all())
    for wanted, outcome, at in session.exec(select(ArxivCheck.asked_for, ArxivCheck.outcome, ArxivCheck.checked_at)):
        if outcome == "not found":
            asked.setdefault(wanted, at)
    due = [one for one in ids if one not in asked or not asked_before < asked[one] <= now]
    return sorted(due, key=lambda one: (one in asked, asked.get(one, now), one))


def check(session: Session, asked: Sequence[str], answered: Collection[str], now: datetime) -> list[str]:
    """Keep of the entries with the ids ASKED whether arXiv has them, and return the ids that it has never had. One that
    was here before is there, whatever a single answer left out: arXiv withdraws, and takes nothing away.

    Raises: ArxivRefused, where nothing was answered though one of ASKED was here before: that says nothing of the others.
    """
    here = {row.arxiv for row in _known(session, asked)}
    if here and not answered:
        raise ArxivRefused(f"arXiv sent nothing, though it has {min(here)}; try again later", passing=True)
    entries, missing = named(session), []
    for arxiv in asked:
        is_there = arxiv in answered or arxiv in here
        if not is_there:
            missing.append(arxiv)
        for key in entries.get(arxiv, ()) or ([f"{IN_TEXT}{arxiv}"] if arxiv in entries else []):
            note(session, key, arxiv, "found" if is_there else "not found", [], now)
    session.flush()
    return missing


def note(session: Session, key: str, asked_for: str, outcome: str, proposals: Sequence[Any], now: datetime) -> None:
    """Keep what came of asking for the paper KEY; PROPOSALS are data."""
    row = session.get(ArxivCheck, key)
    if row is None:
        row = ArxivCheck(entity_id=key, asked_for="", outcome="", proposals=[], checked_at=now)
        session.add(row)
    row.asked_for, row.outcome, row.proposals, row.checked_at = asked_for, outcome, list(proposals), now
