"""The saved queries of a library: kept, shown, switched, and put into arXiv's words when they are asked."""

import difflib
from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime
from sqlmodel import Session, col, func, select

from claims.errors import BadQuery, NoQuery
from claims.papers import terms
from claims.papers.rota import Turn
from claims.papers.terms import Kind, Telling, Terms
from claims.papers.windows import UnderWay
from kb import arxiv_papers
from kb.errors import NotFound
from kb.models import ArxivFound, ArxivQuery
from kb.read import find as find_entry
from kb.store import Store
from kb.telling import telling
from verifiers.measurement import Value

LEAST = 2  # telling words, below which papers that are alike cannot be asked for


class Saved(Value):
    """A saved query and where it stands."""

    name: str
    kind: Kind
    terms: Terms
    asks: str  # what arXiv is asked, without the dates; of ids, in words
    is_on: bool
    papers: int  # that it brought
    made_by: str
    made_at: AwareDatetime
    reached_at: AwareDatetime | None  # until then everything was seen
    pulled_at: AwareDatetime | None
    is_under_way: bool
    problem: str


def add(store: Store, name: str, wanted: Terms, who: str, now: datetime) -> Saved:
    """Save a query, switched on.

    Raises:
        NoQuery: when another one has the name.
        BadQuery: when papers like an entry are wanted that has too few words of its own.
        NotFound: when there is no such entry.
    """
    name = terms.name_from(name)
    with store.writing() as session:
        if session.exec(select(ArxivQuery).where(ArxivQuery.name == name)).first():
            raise NoQuery(f"there is a query {name!r} already: give this one another name, or remove that one first")
        if wanted.like:
            wanted = wanted.model_copy(update={"like": find_entry(session, wanted.like).slug})
        asked(session, wanted)
        row = ArxivQuery(name=name, terms=wanted.model_dump(mode="json"), made_by=who, made_at=now)
        session.add(row)
        session.flush()
        return _saved(session, row)


def remove(store: Store, name: str) -> None:
    """Forget a query. The papers that it brought stay, with all that was made of them.

    Raises:
        NoQuery: when there is none of that name.
    """
    with store.writing() as session:
        row = find(session, name)
        for found in session.exec(select(ArxivFound).where(ArxivFound.query_id == row.id)):
            session.delete(found)
        session.flush()
        session.delete(row)


def switch(store: Store, name: str, *, on: bool) -> Saved:
    """Let a query be pulled, or not; it keeps its place.

    Raises:
        NoQuery: when there is none of that name.
    """
    with store.writing() as session:
        row = find(session, name)
        row.is_on = on
        session.flush()
        return _saved(session, row)


def saved(session: Session) -> list[Saved]:
    """All queries, by name."""
    return [_saved(session, row) for row in session.exec(select(ArxivQuery).order_by(col(ArxivQuery.name)))]


def find(session: Session, name: str) -> ArxivQuery:
    """The query of that name.

    Raises:
        NoQuery: with the nearest names.
    """
    row = session.exec(select(ArxivQuery).where(ArxivQuery.name == name)).first()
    if row is None:
        names = list(session.exec(select(ArxivQuery.name).order_by(col(ArxivQuery.name))))
        near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is: {', '.join(names) or 'none yet'}"
        raise NoQuery(f"no saved query is called {name!r}; {hint}")
    return row


def chosen(session: Session, names: Sequence[str] | None) -> list[ArxivQuery]:
    """The queries with these NAMES, on or off; without names, all that are on.

    Raises:
        NoQuery: when there is none of a name.
    """
    if names is None:
        return list(session.exec(select(ArxivQuery).where(col(ArxivQuery.is_on)).order_by(col(ArxivQuery.name))))
    return [find(session, name) for name in dict.fromkeys(names)]


def turns(session: Session) -> list[Turn]:
    """The queries that are on, as the schedule needs to know them."""
    return [_turn(row) for row in chosen(session, None)]


def _turn(row: ArxivQuery) -> Turn:
    way = UnderWay.model_validate(row.under_way) if row.under_way else None
    if way is None:
        return Turn(name=row.name, pulled_at=row.pulled_at)
    return Turn(
        name=row.name,
        pulled_at=row.pulled_at,
        tried_at=way.seen_at,
        failures=way.failures,
        is_broken_off=True,
        resume_at=way.resume_at,
    )


def asked(session: Session, wanted: Terms) -> str:
    """What arXiv is asked, without the dates; made anew from the library where papers like an entry are wanted. Empty
    where papers are asked for by their ids.

    Raises:
        BadQuery: when the entry has too few telling words.
        NotFound: when the entry is gone.
    """
    if wanted.cited:
        return ""
    return terms.expression(wanted, _telling(session, wanted.like) if wanted.like else None)


def _telling(session: Session, slug: str) -> Telling:
    entry = find_entry(session, slug)
    words = [one.word for one in telling(session, entry, terms.CORE + terms.AROUND)]
    if len(words) < LEAST:
        raise BadQuery(
            f"{entry.slug!r} has too few words of its own to ask for papers like it: say --words or --category instead"
        )
    return Telling.of(words)


def _saved(session: Session, row: ArxivQuery) -> Saved:
    wanted = Terms.model_validate(row.terms)
    brought = select(func.count()).select_from(ArxivFound).where(ArxivFound.query_id == row.id)
    columns = {"name", "is_on", "made_by", "made_at", "reached_at", "pulled_at", "problem"}
    return Saved(
        kind=wanted.kind,
        terms=wanted,
        asks=_said(session, wanted),
        papers=session.exec(brought).one(),
        is_under_way=row.under_way is not None,
        **row.model_dump(include=columns),
    )


def _said(session: Session, wanted: Terms) -> str:
    """What is asked, as a person may read it."""
    if wanted.cited:
        count = len(arxiv_papers.named(session))
        return f"{count} paper{'' if count == 1 else 's'} that pages name, by id"
    try:
        return asked(session, wanted)
    except (BadQuery, NotFound) as error:
        return f"nothing: {error}"
