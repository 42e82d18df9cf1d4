"""What came and what waits: the papers of the pulls, and the inbox, claim by claim. Reads only."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement
from sqlalchemy import select as select_fields  # sqlmodel's own takes four of them
from sqlmodel import Session, and_, col, func, or_, select

from claims.contract import Contract
from claims.history import contract_of
from claims.papers import queries
from claims.papers.bearing import ASKED_OF, bearing
from claims.papers.inbox import Became, became
from claims.papers.suggesting import INBOX, retired
from claims.papers.triage import Match
from kb.arxiv_papers import record_of
from kb.models import ArxivEvent, ArxivFound, ArxivPaper, ArxivQuery, Entity, Suggestion
from kb.read import Card, card, find
from kb.sources.arxiv_record import Record
from verifiers.measurement import Value


class Count(Value):
    """How much waits in the inbox."""

    papers: int  # each once, however many claims it stands beside
    claims: int
    news: int  # of papers that claims rest on


class Paper(Value):
    """A paper in a list."""

    arxiv: str
    version: int
    title: str
    authors: tuple[str, ...]
    published_at: AwareDatetime
    is_withdrawn: bool

    @property
    def address(self) -> str:
        """Where a person reads it; made of the id alone."""
        return f"https://arxiv.org/abs/{self.arxiv}v{self.version}"


class Item(Value):
    """A paper beside a claim: how they were matched, or what is new about it."""

    paper: Paper
    abstract: str
    state: str
    until: AwareDatetime | None
    rank: int  # of its week, for this claim; 0 for news, and for what nobody is asked to read
    match: Match | None  # None beside news
    news: Became | None
    bearing: str = ""  # the cheapest run of ours that would tell, where it seems to contradict


class Group(Value):
    """The papers beside one claim, news first and then the best; `more` are not shown."""

    claim: Card
    items: tuple[Item, ...]
    more: int


class Beside(Value):
    """What became of a paper beside one claim."""

    claim: str  # slug
    state: str
    until: AwareDatetime | None


class Happened(Value):
    """What happened to a paper: when by arXiv, and when it came here."""

    kind: str
    version: int
    at: AwareDatetime
    seen_at: AwareDatetime


class Arrival(Value):
    """A paper that came: what arXiv says of it, by which queries, when, and what became of it."""

    paper: Paper
    record: Record
    events: tuple[Happened, ...]
    seen_at: AwareDatetime
    queries: tuple[str, ...]
    beside: tuple[Beside, ...]  # claims at which it stands in the inbox or was decided


# --- the inbox -------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A paper beside a claim, or news of one, and what a person made of it."""

    claim_id: str
    arxiv: str
    is_news: bool
    state: str
    until: datetime | None

    def waits(self, now: datetime) -> bool:
        """Whether a person has not said anything of it yet, or not for now."""
        return self.state == "new" or (self.state == "snoozed" and self.until is not None and self.until <= now)


_IS_NEWS = col(Suggestion.news).is_not(None)
_ASKED = or_(
    _IS_NEWS, col(Suggestion.rank).between(1, INBOX)
)  # what a person is asked to read: news, the best of a week
_OPEN = col(Suggestion.state).in_(("new", "snoozed"))


def places(session: Session, *where: ColumnElement[bool]) -> list[Place]:
    """The suggestions of which all of WHERE is true, claim by claim: news first, then by score."""
    claim, arxiv = col(Suggestion.claim_id), col(Suggestion.arxiv)
    rows = select_fields(claim, arxiv, _IS_NEWS, col(Suggestion.state), col(Suggestion.until)).where(*where)
    order = (claim, _IS_NEWS.desc(), col(Suggestion.score).desc(), arxiv)
    return [Place(*row) for row in session.execute(rows.order_by(*order))]


def watched(session: Session) -> list[str]:
    """The papers that are attached, that a person is asked to read, or that wait for their day."""
    standing = or_(col(Suggestion.state).in_(("attached", "snoozed")), and_(Suggestion.state == "new", _ASKED))
    return sorted(session.exec(select(Suggestion.arxiv).where(standing).distinct()))


def waiting(session: Session, now: datetime) -> Count:
    """How much waits in the inbox."""
    gone = retired(session)
    open_ = [place for place in places(session, _ASKED, _OPEN) if place.waits(now) and place.claim_id not in gone]
    papers = {place.arxiv for place in open_ if not place.is_news}
    news = sum(place.is_news for place in open_)
    return Count(papers=len(papers), claims=len({place.claim_id for place in open_}), news=news)


def inbox(
    session: Session,
    now: datetime,
    slug: str | None = None,
    limit: int = INBOX,
    *,
    everything: bool = False,
    also: Collection[str] = (),
) -> list[Group]:
    """What waits, claim by claim, at most LIMIT papers a claim: what a person is asked to read, or EVERYTHING that was
    kept; of a retired claim only where it is asked for. The order of claims does not change while papers are decided;
    those of ALSO (ids) stay when nothing is left.

    Raises:
        NotFound: when no claim has that slug.
    """
    only = find(session, slug, "claim").id if slug else None
    where = [_OPEN] if everything else [_OPEN, _ASKED]
    where.append(col(Suggestion.claim_id).in_([only]) if only else col(Suggestion.claim_id).not_in(retired(session)))
    waits: dict[str, list[Place]] = {claim_id: [] for claim_id in also if only in {None, claim_id}}
    for place in places(session, *where):
        if place.waits(now):
            waits.setdefault(place.claim_id, []).append(place)
    first = _best(session, waits)
    order = sorted(waits, key=lambda claim_id: (*first[claim_id], claim_id))
    return [_group(session, claim_id, waits[claim_id], limit) for claim_id in order]


def _best(session: Session, claims: Collection[str]) -> dict[str, tuple[bool, float]]:
    """What claims are ordered by: those that ever had news first, then by the best score; decided or not."""
    found = dict.fromkeys(claims, (True, 0.0))
    best = select(Suggestion.claim_id, func.count(col(Suggestion.news)), func.max(Suggestion.score))
    best = best.where(_ASKED, col(Suggestion.claim_id).in_(claims)).group_by(Suggestion.claim_id)
    return found | {claim_id: (not news, -score) for claim_id, news, score in session.exec(best)}


def _group(session: Session, claim_id: str, found: Sequence[Place], limit: int) -> Group:
    first = found[:limit]
    ids = [place.arxiv for place in first]
    papers = {row.arxiv: row for row in session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(ids)))}
    rows = select(Suggestion).where(Suggestion.claim_id == claim_id, col(Suggestion.arxiv).in_(ids))
    found_by = {row.arxiv: row for row in session.exec(rows)}
    contract = contract_of(session, claim_id)
    items = tuple(_item(found_by[place.arxiv], papers[place.arxiv], contract) for place in first)
    return Group(claim=card(session.get_one(Entity, claim_id)), items=items, more=len(found) - len(first))


def _item(row: Suggestion, said: ArxivPaper, contract: Contract | None) -> Item:
    news = became(row)
    match = Match.model_validate(row.match) if row.match and not news else None
    return Item(
        paper=paper(said),
        abstract=said.abstract,
        state=row.state,
        until=row.until,
        rank=0 if news else row.rank,
        match=match,
        news=news,
        bearing=bearing(contract, match.stance) if match and match.stance in ASKED_OF else "",
    )


def paper(row: ArxivPaper) -> Paper:
    """A paper as lists show it."""
    return Paper(**row.model_dump(include=set(Paper.model_fields)))


# --- the papers ------------------------------------------------------------------------------------------------------


def arrivals(
    session: Session, now: datetime, limit: int = 100, query: str | None = None, *, new: bool = False
) -> list[Arrival]:
    """The papers that came, newest first: all, or those of one saved QUERY; with NEW those of which nobody has said
    anything yet, and on which no claim rests.

    Raises:
        NoQuery: when there is no such query.
    """
    rows = select(ArxivPaper).order_by(col(ArxivPaper.seen_at).desc(), col(ArxivPaper.arxiv).desc()).limit(limit)
    if query is not None:
        brought = select(ArxivFound.arxiv).where(ArxivFound.query_id == queries.find(session, query).id)
        rows = rows.where(col(ArxivPaper.arxiv).in_(brought))
    if new:
        said = select(Suggestion.arxiv).where(or_(Suggestion.state != "new", col(Suggestion.news).is_not(None)))
        rows = rows.where(col(ArxivPaper.arxiv).not_in(said))
    papers = session.exec(rows).all()
    ids = [row.arxiv for row in papers]
    by, beside, events = _brought_by(session, ids), _beside(session, ids, now), _events(session, ids)
    return [
        Arrival(
            paper=paper(row),
            record=record_of(row),
            events=tuple(events[row.arxiv]),
            seen_at=row.seen_at,
            queries=tuple(by[row.arxiv]),
            beside=tuple(beside[row.arxiv]),
        )
        for row in papers
    ]


def _events(session: Session, ids: Collection[str]) -> dict[str, list[Happened]]:
    found: dict[str, list[Happened]] = defaultdict(list)
    rows = select(ArxivEvent).where(col(ArxivEvent.arxiv).in_(ids)).order_by(col(ArxivEvent.number))
    for row in session.exec(rows):
        found[row.arxiv].append(Happened(**row.model_dump(include=set(Happened.model_fields))))
    return found


def _brought_by(session: Session, ids: Collection[str]) -> dict[str, list[str]]:
    """The names of the queries that brought papers."""
    found: dict[str, list[str]] = defaultdict(list)
    named = select(ArxivFound.arxiv, ArxivQuery.name).join(ArxivQuery, col(ArxivQuery.id) == ArxivFound.query_id)
    for arxiv, name in session.exec(named.where(col(ArxivFound.arxiv).in_(ids)).order_by(ArxivQuery.name)):
        found[arxiv].append(name)
    return found


def _beside(session: Session, ids: Collection[str], now: datetime) -> dict[str, list[Beside]]:
    slugs: dict[str, str] = dict(session.exec(select(Entity.id, Entity.slug).where(Entity.kind == "claim")).all())
    found: dict[str, list[Beside]] = defaultdict(list)
    for place in places(session, col(Suggestion.arxiv).in_(ids), or_(_ASKED, Suggestion.state != "new")):
        state = "new" if place.waits(now) else place.state
        found[place.arxiv].append(Beside(claim=slugs[place.claim_id], state=state, until=place.until))
    return found
