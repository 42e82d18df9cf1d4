"""What came and what waits: the papers of the pulls, and the inbox, claim by claim. Reads only."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import AwareDatetime
from sqlalchemy.orm import defer
from sqlmodel import Session, col, func, or_, select

from claims.contract import Contract
from claims.history import contract_of
from claims.papers.bearing import ASKED_OF, bearing
from claims.papers.suggesting import FIRST, INBOX
from claims.papers.triage import Match
from kb.models import ArxivFound, ArxivPaper, ArxivQuery, Entity, Suggestion
from kb.read import Card, card, find
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


class News(Value):
    """What became of a paper that a claim rests on."""

    event: str
    version: int


class Item(Value):
    """A paper beside a claim: how they were matched, or what is new about it."""

    paper: Paper
    abstract: str
    state: str
    until: AwareDatetime | None
    rank: int  # of its week, for this claim; 0 for news
    match: Match | None
    news: News | None
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


class Arrival(Value):
    """A paper that came: by which queries, when, and what became of it."""

    paper: Paper
    seen_at: AwareDatetime
    queries: tuple[str, ...]
    beside: tuple[Beside, ...]  # claims at which it stands in the inbox or was decided


# --- the inbox -------------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """How much there is of what fills the inbox."""

    queries: int
    papers: int


def known(session: Session) -> Known:
    """How many queries are saved, and how many papers came."""
    queries = session.exec(select(func.count()).select_from(ArxivQuery)).one()
    return Known(queries, session.exec(select(func.count()).select_from(ArxivPaper)).one())


class Place(NamedTuple):
    """Where a suggestion stands: a claim, a paper, and its rank for that claim among those of the same week."""

    claim_id: str
    arxiv: str
    rank: int
    score: float
    state: str
    until: datetime | None

    def waits(self, now: datetime) -> bool:
        """Whether a person has not said anything of it yet, or not for now."""
        return self.state == "new" or (self.state == "snoozed" and self.until is not None and self.until <= now)

    @property
    def is_asked(self) -> bool:
        """Whether a person is asked to read it: news, and the best of a week."""
        return self.rank <= INBOX and self.score >= 0


def places(session: Session, claim_id: str | None = None) -> list[Place]:
    """All suggestions, claim by claim, news first, then by week and rank. What was decided keeps its rank, so that no paper
    takes its place.
    """
    query = select(Suggestion, ArxivPaper.seen_at).join(ArxivPaper, col(ArxivPaper.arxiv) == Suggestion.arxiv)
    query = query.where(or_(col(Suggestion.scored_at).is_not(None), Suggestion.state != "new"))
    query = query.options(defer(col(Suggestion.match)))  # type: ignore[arg-type]  # it is the attribute, typed as a column
    rows = session.exec(query if claim_id is None else query.where(Suggestion.claim_id == claim_id)).all()
    found, counted = [], defaultdict[tuple[Any, ...], int](int)
    for row, seen_at in sorted(rows, key=lambda pair: (pair[0].claim_id, -pair[0].score, pair[0].arxiv)):
        week = (row.claim_id, *seen_at.isocalendar()[:2])
        counted[week] += row.score < FIRST
        rank = counted[week] if row.score < FIRST else 0
        found.append(Place(row.claim_id, row.arxiv, rank, row.score, row.state, row.until))
    return found


def waiting(session: Session, now: datetime) -> Count:
    """How much waits in the inbox."""
    open_ = [place for place in places(session) if place.is_asked and place.waits(now)]
    papers = {place.arxiv for place in open_ if place.rank}
    return Count(papers=len(papers), claims=len({place.claim_id for place in open_}), news=_news(open_))


def _news(found: Iterable[Place]) -> int:
    return sum(not place.rank for place in found)


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
    kept. The order of claims does not change while papers are decided; those of ALSO (ids) stay when nothing is left.

    Raises:
        NotFound: when no claim has that slug.
    """
    only = find(session, slug, "claim").id if slug else None
    waits: dict[str, list[Place]] = {claim_id: [] for claim_id in also if only in {None, claim_id}}
    best: dict[str, float] = defaultdict(float)
    for place in places(session, only):
        if everything or place.is_asked:
            best[place.claim_id] = max(best[place.claim_id], place.score)
            if place.waits(now):
                waits.setdefault(place.claim_id, []).append(place)
    order = sorted(waits, key=lambda claim_id: (-best[claim_id], claim_id))
    return [_group(session, claim_id, waits[claim_id], limit) for claim_id in order]


def _group(session: Session, claim_id: str, found: Sequence[Place], limit: int) -> Group:
    first = found[:limit]
    ids = [place.arxiv for place in first]
    papers = {row.arxiv: row for row in session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(ids)))}
    rows = select(Suggestion).where(Suggestion.claim_id == claim_id, col(Suggestion.arxiv).in_(ids))
    matches = {row.arxiv: row.match for row in session.exec(rows)}
    contract = contract_of(session, claim_id)
    items = tuple(_item(place, papers[place.arxiv], matches[place.arxiv], contract) for place in first)
    return Group(claim=card(session.get_one(Entity, claim_id)), items=items, more=len(found) - len(first))


def _item(place: Place, row: ArxivPaper, said: Mapping[str, Any] | None, contract: Contract | None) -> Item:
    is_news = said is not None and "event" in said
    match = Match.model_validate(said) if said and not is_news else None
    return Item(
        paper=paper(row),
        abstract=row.abstract,
        state=place.state,
        until=place.until,
        rank=place.rank,
        match=match,
        news=News(event=said["event"], version=said["version"]) if said and is_news else None,
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
    anything yet.
    """
    found_by: dict[str, list[str]] = defaultdict(list)
    named = select(ArxivFound.arxiv, ArxivQuery.name).join(ArxivQuery, col(ArxivQuery.id) == ArxivFound.query_id)
    for arxiv, name in session.exec(named.order_by(ArxivQuery.name)):
        found_by[arxiv].append(name)
    beside = _beside(session, now)
    found = []
    for row in session.exec(select(ArxivPaper).order_by(col(ArxivPaper.seen_at).desc(), col(ArxivPaper.arxiv).desc())):
        decided = any(one.state != "new" for one in beside[row.arxiv])
        if (query is None or query in found_by[row.arxiv]) and not (new and decided):
            queries, there = tuple(found_by[row.arxiv]), tuple(beside[row.arxiv])
            found.append(Arrival(paper=paper(row), seen_at=row.seen_at, queries=queries, beside=there))
        if len(found) == limit:
            break
    return found


def _beside(session: Session, now: datetime) -> dict[str, list[Beside]]:
    slugs: dict[str, str] = dict(session.exec(select(Entity.id, Entity.slug).where(Entity.kind == "claim")).all())
    found: dict[str, list[Beside]] = defaultdict(list)
    for place in places(session):
        if place.waits(now) and not place.is_asked:
            continue
        state = "new" if place.waits(now) else place.state
        found[place.arxiv].append(Beside(claim=slugs[place.claim_id], state=state, until=place.until))
    return found
