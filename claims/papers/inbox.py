"""What people make of papers beside claims: attach one, dismiss it, look at it later, take that back. Each is an entry
in the claim's chain, with who said it and when; rows and links that pages show are a cache of those entries.

A paper and the news of one that a claim rests on (a new version, a withdrawal, a return) are two topics: who attached
a paper still hears of its next version, and never again of the paper itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, get_args

from pydantic import AwareDatetime
from sqlmodel import Session, col, select

from claims import ledger
from claims.acts import said
from claims.errors import CannotSay
from claims.history import History, history, refresh, why_due
from claims.impact import Leaning, Leans
from claims.ledger import (
    DueCause,
    Entry,
    MadeDue,
    News,
    PaperAct,
    PaperAttached,
    PaperDismissed,
    PaperSnoozed,
    PaperUndone,
    Relation,
)
from kb import attaching
from kb.attaching import Attachment
from kb.latex import readable
from kb.models import ArxivEvent, ArxivPaper, Entity, Link, Paper, Suggestion
from kb.read import Card, card, find
from kb.sources.arxiv_id import arxiv_id
from kb.store import Store
from verifiers.measurement import Value

PAPER_KINDS = ("attached", "dismissed", "snoozed", "undone")  # of entries that say something of papers
NEWS: tuple[News, ...] = get_args(News)
RELATIONS: tuple[Relation, ...] = get_args(Relation)
CAUSES: dict[str, DueCause] = {
    "contradicts": "contradicted",
    "supersedes": "superseded",
    "new version": "new version",
    "withdrawn": "withdrawn",
    "returned": "returned",
}  # what is said of a paper after which the claim should be tested again
NEWS_SAID: dict[str, str] = {"new version": "new version", "withdrawn": "withdrawal", "returned": "return"}


# --- what stands, folded ---------------------------------------------------------------------------------------------


class Act(Value):
    """What a person made of a paper, or of news of one, and has not taken back."""

    seq: int
    at: AwareDatetime
    event: PaperAct

    @property
    def news(self) -> News | None:
        """The news that it is about; None when it is about the paper itself."""
        if isinstance(self.event, PaperAttached):
            return next((one for one in NEWS if one == self.event.relation), None)
        return self.event.news

    @property
    def is_attached(self) -> bool:
        """Whether it attaches the paper, or takes note of the news."""
        return isinstance(self.event, PaperAttached)

    def is_with(self, other: "Act") -> bool:
        """Whether a person said both at once, of several papers."""
        return self.at == other.at and self.event.kind == other.event.kind and self.news == other.news

    def answers(self, news: str, version: int) -> bool:
        """Whether it answers this news, or later ones."""
        return self.event.version > version or (self.event.version == version and self.news == news)


class Beside(Value):
    """What stands of one paper beside one claim: the newest act on the paper, and the newest on news of it."""

    paper: Act | None = None
    news: Act | None = None


class Became(Value):
    """What became of a paper that a claim rests on, as its row says it."""

    event: News
    version: int
    relation: str = ""  # what the paper was attached as; empty where the claim's page cites it


def became(row: Suggestion) -> Became | None:
    """The news that a row tells, if it does."""
    return Became.model_validate(row.news) if row.news else None


class Shown(NamedTuple):
    """What the row of a suggestion says of it."""

    state: str
    until: datetime | None = None


def standing_acts(entries: Iterable[Entry]) -> list[Act]:
    """All acts of a chain that nobody took back, oldest first."""
    acts: dict[int, Act] = {}
    for entry in entries:
        match entry.event:
            case PaperAttached() | PaperDismissed() | PaperSnoozed() as event:
                acts[entry.seq] = Act(seq=entry.seq, at=entry.at, event=event)
            case PaperUndone(seq=seq):
                acts.pop(seq, None)
            case _:
                pass
    return list(acts.values())


def inbox_of(entries: Iterable[Entry]) -> dict[str, Beside]:
    """What stands of every paper that people said something of, by arXiv id."""
    found: dict[str, Beside] = {}
    for act in standing_acts(entries):
        topic = "news" if act.news else "paper"
        found[act.event.arxiv] = found.get(act.event.arxiv, Beside()).model_copy(update={topic: act})
    return found


def shown(beside: Beside | None, news: Became | None) -> Shown:
    """What a suggestion must say of itself: NEWS are new until somebody answers them or later ones."""
    act = None if beside is None else beside.news if news else beside.paper
    if act is None or (news and not act.answers(news.event, news.version)):
        return Shown("new")
    match act.event:
        case PaperAttached():
            return Shown("attached")
        case PaperDismissed():
            return Shown("dismissed")
        case PaperSnoozed(until=until):
            return Shown("snoozed", until)


# --- what people do --------------------------------------------------------------------------------------------------


class Attach(Value):
    """Say what a paper is to a claim, or take note of news."""

    relation: Relation | News
    reason: str = ""


class Dismiss(Value):
    """Say that it is nothing to the claim."""

    reason: str


class Snooze(Value):
    """Look at it later."""

    until: AwareDatetime


Deed = Attach | Dismiss | Snooze


class Done(Value):
    """What an act, or taking one back, came to. `due` is why the claim is due now, `not_due` why it is not although a
    paper speaks against it; both are empty where there is nothing to test.
    """

    claim: Card
    arxiv: str
    title: str
    seq: int  # of the act: what `undo` takes
    kind: str
    relation: str = ""
    due: str = ""
    not_due: str = ""
    leaning: tuple[Leaning, ...] = ()


def attach(
    store: Store, claim: str, arxiv: str, relation: Relation | News, who: str, now: datetime, *, reason: str = ""
) -> Done:
    """Attach a paper to a claim, or take note of news of one; the claim is due when that speaks against it.

    Raises:
        CannotSay: when arXiv's paper never came here, or stands attached already.
    """
    (done,) = many(store, [(claim, arxiv)], Attach(relation=relation, reason=reason), who, now)
    return done


def dismiss(store: Store, claim: str, arxiv: str, reason: str, who: str, now: datetime) -> Done:
    """Say that a paper is nothing to a claim: it does not come back for this claim, and the ranking learns from it.

    Raises:
        CannotSay: when a reason is missing, or it is attached or dismissed already.
    """
    (done,) = many(store, [(claim, arxiv)], Dismiss(reason=reason), who, now)
    return done


def snooze(store: Store, claim: str, arxiv: str, until: datetime, who: str, now: datetime) -> Done:
    """Look at a paper later: until then it does not stand in the inbox.

    Raises:
        CannotSay: when that time is over, or it is attached or dismissed already.
    """
    (done,) = many(store, [(claim, arxiv)], Snooze(until=until), who, now)
    return done


def many(store: Store, pairs: Sequence[tuple[str, str]], deed: Deed, who: str, now: datetime) -> list[Done]:
    """Do the same to every pair of a claim and a paper: all, or none of them.

    Raises:
        CannotSay: when one does not fit, with what it is.
        NotFound: when there is no such claim.
    """
    who = said(who, "who")
    with store.writing() as session:
        named = dict.fromkeys((find(session, claim, "claim").id, _id_of(arxiv)) for claim, arxiv in pairs)
        taken = [_take(session, _pair(session, *one), deed, who, now) for one in named]
        drawn = [one.attachment for one in taken if one.attachment]
        if drawn:
            attaching.attach(session, drawn, now)
        return _settled(session, [one.done for one in taken], now, leans=isinstance(deed, Attach))


def undo(store: Store, claim: str, who: str, now: datetime, seq: int | None = None) -> list[Done]:
    """Take back what WHO said last of papers beside this claim, of one or of many at once; or the entry SEQ, whoever wrote it.

    Raises:
        CannotSay: when there is nothing to take back.
    """
    with store.reading() as session:
        entity = find(session, claim, "claim")
        mine = [act for act in standing_acts(ledger.entries(session, entity.id)) if act.event.who == said(who, "who")]
    if seq is None and not mine:
        raise _nothing(claim, f"nothing by {who}")
    meant = [act.seq for act in mine if act.is_with(mine[-1])] if seq is None else [seq]
    return undo_many(store, [(claim, one) for one in meant], who, now)


def undo_many(store: Store, acts: Sequence[tuple[str, int]], who: str, now: datetime) -> list[Done]:
    """Take back several acts, named by claim and entry: all, or none of them.

    Raises:
        CannotSay: when one of them is not there.
        NotFound: when there is no such claim.
    """
    who = said(who, "who")
    with store.writing() as session:
        taken = [_take_back(session, find(session, claim, "claim"), seq, who, now) for claim, seq in acts]
        gone = [one.pair for one in taken if one.was_attached]
        if gone:
            attaching.detach(session, gone, now)
        return _settled(session, [one.done for one in taken], now, leans=False)


# --- one act ---------------------------------------------------------------------------------------------------------


class _Pair(NamedTuple):
    """A claim, a paper, the row that shows them beside each other, and what stands of the two."""

    claim: Entity
    paper: ArxivPaper
    row: Suggestion
    past: History
    beside: Beside

    @property
    def became(self) -> Became | None:
        """What is new about a paper that the claim rests on, where that is what the row is about."""
        return became(self.row)

    @property
    def news(self) -> News | None:
        """Its kind."""
        return self.became.event if self.became else None

    @property
    def version(self) -> int:
        """The version that the row shows."""
        return self.became.version if self.became else self.paper.version


class _Taken(NamedTuple):
    """An act that is in the ledger, and the link that goes with it."""

    done: Done
    attachment: Attachment | None = None


class _Back(NamedTuple):
    """An act that was taken back."""

    done: Done
    pair: tuple[str, str]
    was_attached: bool


def _id_of(text: str) -> str:
    found = arxiv_id(text)
    if found is None:
        raise CannotSay(f"{text!r} is no arXiv id: write it as 2605.25459 or hep-th/9901001")
    return found


def _pair(session: Session, claim_id: str, arxiv: str) -> _Pair:
    paper, claim = session.get(ArxivPaper, arxiv), session.get_one(Entity, claim_id)
    if paper is None:
        raise CannotSay(
            f"no paper arXiv:{arxiv} has come here: `stillholds papers` shows those that did, `stillholds pull` brings more"
        )
    past = history(session, claim_id)
    return _Pair(claim, paper, _row(session, claim_id, arxiv), past, inbox_of(past.entries).get(arxiv, Beside()))


def _row(session: Session, claim_id: str, arxiv: str) -> Suggestion:
    """The row that shows a paper beside a claim; a new one where nothing was suggested."""
    row = session.get(Suggestion, (claim_id, arxiv))
    if row is None:
        row = Suggestion(claim_id=claim_id, arxiv=arxiv)
        session.add(row)
    return row


def _take(session: Session, pair: _Pair, deed: Deed, who: str, now: datetime) -> _Taken:
    """Write one act into the ledger, with what follows from it."""
    event = _event(session, pair, deed, who, now)
    entry = ledger.append(session, pair.claim.id, event, now)
    act = Act(seq=entry.seq, at=now, event=event)
    beside = pair.beside.model_copy(update={"news" if act.news else "paper": act})
    pair.row.state, pair.row.until = shown(beside, pair.became)
    done = Done(claim=card(pair.claim), arxiv=pair.paper.arxiv, title=pair.paper.title, seq=entry.seq, kind=event.kind)
    if not isinstance(event, PaperAttached):
        return _Taken(done)
    due, not_due = _made_due(session, pair, event, entry.seq, now)
    done = done.model_copy(update={"relation": event.relation, "due": due, "not_due": not_due})
    if act.news:
        return _Taken(done)
    match = pair.row.match or {}
    weight = match.get("sureness") if match.get("stance") == event.relation else None
    return _Taken(done, Attachment(pair.claim.id, pair.paper.arxiv, event.relation, event.span, weight))


def _event(session: Session, pair: _Pair, deed: Deed, who: str, now: datetime) -> PaperAct:
    """What goes into the ledger.

    Raises:
        CannotSay: when it does not fit what stands.
    """
    paper: dict[str, Any] = {"arxiv": pair.paper.arxiv, "title": pair.paper.title, "who": who}
    match deed:
        case Attach():
            return _attached(session, pair, deed, paper)
        case Dismiss():
            _open(pair, "dismissed")
            reason = said(deed.reason, "a reason")
            return PaperDismissed(**paper, version=pair.version, reason=reason, news=pair.news)
        case Snooze():
            if deed.until <= now:
                raise CannotSay(f"{deed.until:%Y-%m-%d %H:%M} UTC is over: say a time that is to come")
            _open(pair, "put off")
            return PaperSnoozed(**paper, version=pair.version, until=deed.until, news=pair.news)


def _attached(session: Session, pair: _Pair, deed: Attach, paper: Mapping[str, Any]) -> PaperAttached:
    reason = said(deed.reason, "a reason") if deed.reason.strip() else ""
    if deed.relation in NEWS:
        _has_news(session, pair, deed.relation)
        version = pair.version if pair.news == deed.relation else pair.paper.version
        return PaperAttached(**paper, version=version, relation=deed.relation, reason=reason)
    if pair.beside.paper and pair.beside.paper.is_attached:
        _refuse(pair, pair.beside.paper, "attached")
    span = (pair.row.match or {}).get("span", "")
    return PaperAttached(**paper, version=pair.paper.version, relation=deed.relation, reason=reason, span=span)


def _has_news(session: Session, pair: _Pair, relation: str) -> None:
    """Refuse news that are none."""
    about = f"arXiv:{pair.paper.arxiv}"
    if pair.paper.arxiv not in rests_on(session, pair.claim.id):
        raise CannotSay(f"the claim {pair.claim.slug!r} does not rest on {about}: attach it first, as what it is to it")
    said = select(ArxivEvent).where(ArxivEvent.arxiv == pair.paper.arxiv, ArxivEvent.kind == relation)
    act = pair.beside.paper
    known = act.event.version if act and act.is_attached else 0
    if not any(event.version > known or relation != "new version" for event in session.exec(said)):
        since = f" after version {known}, which was attached" if known and relation == "new version" else ""
        raise CannotSay(f"arXiv has told of no {NEWS_SAID[relation]} of {about}{since}: `stillholds pull` asks again")
    told = pair.beside.news
    if told and told.is_attached and told.answers(relation, pair.version):
        _refuse(pair, told, "attached")


def _open(pair: _Pair, word: str) -> None:
    """Refuse what was decided already: whoever thinks otherwise now takes that back first."""
    act = pair.beside.news if pair.news else pair.beside.paper
    if act is None or (pair.news and not act.answers(pair.news, pair.version)):
        return
    if not isinstance(act.event, PaperSnoozed):
        _refuse(pair, act, word)


def _refuse(pair: _Pair, act: Act, word: str) -> None:
    event = act.event
    stands = f"attached as {event.relation}" if isinstance(event, PaperAttached) else "dismissed"
    raise CannotSay(
        f"arXiv:{event.arxiv} cannot be {word} for {pair.claim.slug!r}: it was {stands} by {event.who} on {act.at:%Y-%m-%d}. "
        f"`stillholds triage undo {pair.claim.slug} --entry {act.seq}` takes that back"
    )


def _made_due(session: Session, pair: _Pair, event: PaperAttached, seq: int, now: datetime) -> tuple[str, str]:
    """Say in the chain that the claim should be tested again, where the paper speaks against it: why it is due, or why it is
    not now. It is once it is woken, or has a contract.
    """
    cause = CAUSES.get(event.relation)
    if cause is None:
        return "", ""
    reason = readable(event.title) + (f": {event.reason}" if event.reason else "")
    due = MadeDue(cause=cause, who=event.who, reason=reason, source=f"arXiv:{event.arxiv}v{event.version}", of=seq)
    ledger.append(session, pair.claim.id, due, now)
    if pair.past.contract is None:
        return "", "it has no contract, so no run can answer that"
    if gone := pair.past.waiting.retired:
        wakes = f'`stillholds wake {pair.claim.slug} --reason "…"` brings it back'
        return "", f"it was retired by {gone.who} on {gone.at:%Y-%m-%d}; {wakes}"
    return why_due(due), ""


def _nothing(claim: str, which: str) -> CannotSay:
    return CannotSay(
        f"there is nothing to take back on {claim!r}: {which}; `stillholds history {claim}` shows all entries"
    )


def _take_back(session: Session, claim: Entity, seq: int, who: str, now: datetime) -> _Back:
    acts = standing_acts(ledger.entries(session, claim.id))
    act = next((act for act in acts if act.seq == seq), None)
    if act is None:
        raise _nothing(claim.slug, f"entry {seq} is nothing that was made of a paper, or was taken back")
    ledger.append(session, claim.id, PaperUndone(seq=act.seq, who=who), now)
    beside = inbox_of(ledger.entries(session, claim.id)).get(act.event.arxiv)
    row = _row(session, claim.id, act.event.arxiv)
    was_attached = act.is_attached and act.news is None
    if was_attached and row.arxiv not in _cited(session, claim.id):
        row.news = None  # of what the claim no longer rests on
    row.state, row.until = shown(beside, became(row))
    event = act.event
    done = Done(claim=card(claim), arxiv=event.arxiv, title=event.title, seq=act.seq, kind="undone")
    return _Back(done, (claim.id, event.arxiv), was_attached)


def _settled(session: Session, done: Sequence[Done], now: datetime, *, leans: bool) -> list[Done]:
    """Bring caches and seal up to the entries; with what LEANS on the claims."""
    claims = list(dict.fromkeys(one.claim.id for one in done))
    for claim_id in claims:
        refresh(session, claim_id)
    if claims:
        ledger.seal(session, claims, now)
    if not leans:
        return list(done)
    known = Leans.read(session)
    return [one.model_copy(update={"leaning": known.on(one.claim.id)}) for one in done]


# --- what a claim rests on --------------------------------------------------------------------------------------------


def rests_on(session: Session, claim_id: str) -> set[str]:
    """The arXiv ids of the papers that a claim's page cites, and of those that were attached to it."""
    drawn = select(Paper.arxiv).join(Link, col(Link.source_id) == Paper.id)
    drawn = drawn.where(Link.target_id == claim_id, Link.type == "attached")
    return {arxiv for arxiv in session.exec(drawn) if arxiv} | _cited(session, claim_id)


def _cited(session: Session, claim_id: str) -> set[str]:
    cited = select(Paper.arxiv).join(Link, col(Link.target_id) == Paper.id)
    cited = cited.where(Link.source_id == claim_id, Link.type == "cites")
    return {arxiv for arxiv in session.exec(cited) if arxiv}
