"""Puts papers beside claims: every new paper is matched to every claim, and what becomes of a paper that a claim rests on
is told to that claim. Nothing is attached here: that is for a person to say.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, col, or_, select

from claims import ledger
from claims.freshness import Waiting
from claims.ledger import Entry, PaperAttached, PaperDismissed
from claims.papers import triage
from claims.papers.inbox import PAPER_KINDS, Became, Beside, inbox_of, shown
from claims.papers.triage import ClaimText, Lesson, Match
from kb.arxiv_papers import record_of
from kb.embedding import Embedder
from kb.models import ArxivEvent, ArxivPaper, Claim, ClaimState, Entity, LedgerEntry, Link, Paper, Suggestion
from kb.sources.arxiv_record import Record
from kb.store import Store
from verifiers.measurement import Value

WEEK = timedelta(weeks=1)
INBOX = 10  # papers a claim and week that a person is asked to read
LEAST = 0.02  # score below which nobody is asked to read: fewer than one in fifty would bear on the claim
KEPT = 100  # of one matching for a claim; they can be asked for
RECENT = timedelta(weeks=4)  # what came since then is matched when no papers are named

Ranked = Mapping[str, Sequence[tuple[str, Match]]]  # by claim: arXiv ids, best first


class Matching(NamedTuple):
    """What ranks papers for claims, and the digest of what makes its ranks."""

    match: Callable[..., Ranked] = triage.match
    name: str = triage.MATCHER


class Suggested(Value):
    """What one matching came to."""

    claims: int
    papers: int
    news: int  # of papers that claims rest on


def suggest(
    store: Store,
    embedder: Embedder,
    now: datetime,
    arxiv_ids: Sequence[str] | None = None,
    report: Callable[[int, int], None] = triage.unwatched,
    matching: Matching | None = None,
) -> Suggested:
    """Match papers (those named, else those that came lately) to all claims that are not retired, and tell claims the news
    of what they rest on. A claim that was matched to nothing yet is matched to all that came lately. Done twice, it says
    the same twice. What another matcher made of what came lately is made anew. REPORT(read, all) follows the texts.
    """
    how = matching or Matching()
    with store.reading() as session:
        asked = _asked(session, arxiv_ids, how.name, now)
        lessons = _lessons(session, standing_beside(session))
    ranked: dict[str, Sequence[tuple[str, Match]]] = {}
    for claims, papers in asked:
        ranked |= how.match(claims, papers, embedder, lessons, report)
    with store.writing() as session:
        beside = standing_beside(session)
        rests = _rests(session, beside)
        for claim_id, found in ranked.items():
            on = {one.arxiv for one in rests.get(claim_id, ())}
            _put(session, claim_id, [(arxiv, one) for arxiv, one in found if arxiv not in on], how.name, now)
        news = _tell(session, rests, beside)
    count = len({paper.arxiv for _, papers in asked for paper in papers})
    return Suggested(claims=len(ranked), papers=count, news=news)


def is_behind(store: Store, now: datetime) -> bool:
    """Whether there is a claim that was matched to nothing yet, though papers came lately."""
    with store.reading() as session:
        lately = select(ArxivPaper.arxiv).where(col(ArxivPaper.is_withdrawn).is_(False), _came_lately(now)).limit(1)
        return bool(_new(session, _claims(session)) and session.exec(lately).first())


# --- what is matched -------------------------------------------------------------------------------------------------


def _asked(
    session: Session, named: Sequence[str] | None, matcher: str, now: datetime
) -> list[tuple[list[ClaimText], list[Record]]]:
    """Which claims are to be matched to which papers; neither is empty."""
    claims = _claims(session)
    new = _new(session, claims)
    known = [claim for claim in claims if claim not in new]
    lately = _came_lately(now)
    meant = lately if named is None else col(ArxivPaper.arxiv).in_(named)
    stale = select(Suggestion.arxiv).where(col(Suggestion.matcher).not_in(("", matcher)))
    stale = stale.where(col(Suggestion.state).in_(("new", "snoozed")))
    papers = _papers(session, or_(meant, and_(lately, col(ArxivPaper.arxiv).in_(stale))))
    beside_new = _papers(session, or_(meant, lately)) if new else []
    return [(some, beside) for some, beside in ((known, papers), (new, beside_new)) if some and beside]


def _new(session: Session, claims: Sequence[ClaimText]) -> list[ClaimText]:
    """Those of CLAIMS that were matched to nothing yet."""
    known = set(session.exec(select(Suggestion.claim_id).where(Suggestion.matcher != "").distinct()))
    return [claim for claim in claims if claim.id not in known]


def _claims(session: Session) -> list[ClaimText]:
    """The claims that pages make, without those that were retired."""
    query = select(Entity, Claim).join(Claim, col(Claim.id) == Entity.id).where(col(Entity.is_stub).is_(False))
    return [
        ClaimText(id=claim.id, title=entity.title, body=claim.body, topics=claim.topics, contract=claim.contract)
        for entity, claim in session.exec(query.where(col(Claim.id).not_in(retired(session))).order_by(Entity.slug))
    ]


def retired(session: Session) -> set[str]:
    """The claims that were taken out of re-testing: nobody is asked to read for them."""
    states = session.exec(select(ClaimState.claim_id, ClaimState.waiting).where(col(ClaimState.waiting).is_not(None)))
    return {claim_id for claim_id, waits in states if Waiting.model_validate(waits).retired}


def _papers(session: Session, meant: ColumnElement[bool]) -> list[Record]:
    """The papers that are MEANT; one that was withdrawn is none."""
    query = select(ArxivPaper).where(col(ArxivPaper.is_withdrawn).is_(False), meant)
    return [record_of(row) for row in session.exec(query.order_by(ArxivPaper.arxiv))]


def _came_lately(now: datetime) -> ColumnElement[bool]:
    return col(ArxivPaper.seen_at) > now - RECENT


def _entries(session: Session) -> dict[str, list[Entry]]:
    """What people said of papers, by claim."""
    found: dict[str, list[Entry]] = defaultdict(list)
    query = select(LedgerEntry).where(col(LedgerEntry.kind).in_(PAPER_KINDS)).order_by(col(LedgerEntry.seq))
    for row in session.exec(query):
        found[row.claim_id].append(ledger.entry_of(row))
    return found


def standing_beside(session: Session) -> dict[str, dict[str, Beside]]:
    """What stands of every paper that people said something of: by claim, by arXiv id."""
    return {claim_id: inbox_of(entries) for claim_id, entries in _entries(session).items()}


def _lessons(session: Session, standing: Mapping[str, Mapping[str, Beside]]) -> dict[str, list[Lesson]]:
    """The papers that were dismissed, by claim, each with the reason: what the ranking learns from."""
    found: dict[str, list[Lesson]] = {}
    for claim_id, papers in standing.items():
        dismissed = [beside.paper.event for beside in papers.values() if beside.paper]
        events = [event for event in dismissed if isinstance(event, PaperDismissed)]
        found[claim_id] = [_lesson(event, session.get_one(ArxivPaper, event.arxiv)) for event in events]
    return found


def _lesson(event: PaperDismissed, paper: ArxivPaper) -> Lesson:
    return Lesson(arxiv=event.arxiv, reason=event.reason, title=paper.title, abstract=paper.abstract)


# --- what is suggested -----------------------------------------------------------------------------------------------


def _put(session: Session, claim_id: str, found: Sequence[tuple[str, Match]], matcher: str, now: datetime) -> None:
    """Write the best of one claim, each with its rank. What a person decided stays as it is."""
    beside = select(Suggestion).where(Suggestion.claim_id == claim_id)
    ids = [arxiv for arxiv, _ in found]
    rows = {row.arxiv: row for row in session.exec(beside.where(col(Suggestion.arxiv).in_(ids)))}
    for place, (arxiv, match) in enumerate(found):
        row = rows.get(arxiv)
        if row is None and place >= KEPT:
            continue
        if row is None:
            row = Suggestion(claim_id=claim_id, arxiv=arxiv)
            session.add(row)
        if row.state in {"new", "snoozed"}:
            row.match, row.matcher, row.score, row.scored_at = match.model_dump(mode="json"), matcher, match.score, now
            row.rank = int(is_asked(match))
    session.flush()
    _rank(session, claim_id, ids)


def is_asked(match: Match) -> bool:
    """Whether a person may be asked to read a paper that was matched so; else it can be asked for."""
    return match.says != "unrelated" and match.score >= LEAST


def _rank(session: Session, claim_id: str, ids: Sequence[str]) -> None:
    """Rank all papers of the weeks in which those with these IDS came, those that are asked about; what was decided keeps its
    place, so that no other paper takes it.
    """
    came = select(ArxivPaper.seen_at).where(col(ArxivPaper.arxiv).in_(ids)).order_by(col(ArxivPaper.seen_at))
    first = session.exec(came).first()
    if first is None:
        return
    beside = select(Suggestion, ArxivPaper.seen_at).join(ArxivPaper, col(ArxivPaper.arxiv) == Suggestion.arxiv)
    beside = beside.where(Suggestion.claim_id == claim_id, Suggestion.rank > 0, ArxivPaper.seen_at > first - WEEK)
    counted: Counter[tuple[int, int]] = Counter()
    for row, seen_at in session.exec(beside.order_by(col(Suggestion.score).desc(), col(Suggestion.arxiv))):
        week = seen_at.isocalendar()[:2]
        counted[week] += 1
        if week >= first.isocalendar()[:2]:
            row.rank = counted[week]
    session.flush()


class _Rest(NamedTuple):
    """A paper that a claim rests on, and from when on, and from which version on, something about it is news. RELATION is
    what it was attached as; empty where the claim's page cites it.
    """

    arxiv: str
    since: datetime
    version: int = 0
    relation: str = ""


def _rests(session: Session, standing: Mapping[str, Mapping[str, Beside]]) -> dict[str, list[_Rest]]:
    """What every claim rests on: what its page cites, and what was attached to it."""
    found: dict[str, dict[str, _Rest]] = defaultdict(dict)
    cited = select(Link.source_id, Paper.arxiv, Entity.created_at).join(Paper, col(Paper.id) == Link.target_id)
    cited = cited.join(Entity, col(Entity.id) == Link.source_id).where(Link.type == "cites", Entity.kind == "claim")
    for claim_id, arxiv, since in session.exec(cited):
        if arxiv:
            found[claim_id][arxiv] = _Rest(arxiv, since)
    for claim_id, papers in standing.items():
        for arxiv, beside in papers.items():
            if beside.paper and isinstance(event := beside.paper.event, PaperAttached):
                found[claim_id][arxiv] = _Rest(arxiv, beside.paper.at, event.version, event.relation)
    return {claim_id: list(rests.values()) for claim_id, rests in found.items()}


def _tell(session: Session, rests: Mapping[str, Sequence[_Rest]], beside: Mapping[str, Mapping[str, Beside]]) -> int:
    """Put the newest news of every paper beside the claims that rest on it; return how many were not told yet."""
    events: dict[str, list[ArxivEvent]] = defaultdict(list)
    about = {one.arxiv for found in rests.values() for one in found}
    query = select(ArxivEvent).where(col(ArxivEvent.arxiv).in_(about), ArxivEvent.kind != "new")
    for event in session.exec(query.order_by(col(ArxivEvent.number))):
        events[event.arxiv].append(event)
    told = 0
    for claim_id, found in rests.items():
        for one in found:
            if newest := news(one.since, one.version, events[one.arxiv]):
                said = Became.model_validate(
                    {"event": newest.kind, "version": newest.version, "relation": one.relation}
                )
                told += _tell_one(session, claim_id, one.arxiv, said, beside.get(claim_id, {}).get(one.arxiv))
    return told


def news(since: datetime, version: int, events: Iterable[ArxivEvent]) -> ArxivEvent | None:
    """The newest of EVENTS that is news to who knows a VERSION (0: none in particular) since then: a later version, or
    anything that was learned later; a withdrawal at any time, where no version was looked at.
    """
    told = [
        one
        for one in events
        if (one.version > version if version and one.kind == "new version" else one.seen_at > since)
        or (one.kind == "withdrawn" and not version)
    ]
    return told[-1] if told else None


def _tell_one(session: Session, claim_id: str, arxiv: str, said: Became, beside: Beside | None) -> bool:
    """Put one piece of news beside one claim, unless it stands there."""
    row = session.get(Suggestion, (claim_id, arxiv))
    if row is None:
        row = Suggestion(claim_id=claim_id, arxiv=arxiv)
        session.add(row)
    if row.news == said.model_dump():
        return False
    row.news = said.model_dump()
    row.state, row.until = shown(beside, said)
    session.flush()
    return row.state == "new"
