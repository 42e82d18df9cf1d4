"""A library over time: what stood at a date, what flipped, and what is different between two dates.

What pages say is taken as it is now: titles, and what leans on what. Everything else is a fold over the ledger as it was.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime
from sqlmodel import Session, col, select

from claims import ledger
from claims.errors import CannotSay
from claims.freshness import Retirement
from claims.history import Decision, Flip, History, fold, until
from claims.impact import Leaning, Leans
from claims.ledger import PaperAttached, PaperUndone
from claims.overview import Row, row_of
from claims.papers.inbox import PAPER_KINDS, Act
from claims.standing import Standing, headline
from kb.models import Checkpoint, Claim, ClaimState, Entity, LedgerEntry
from kb.read import Card, card
from verifiers.measurement import Value


class ClaimFlip(Value):
    """A flip, and whose."""

    claim: Card
    flip: Flip


class ClaimAct(Value):
    """What a person made of a paper beside a claim, and whose it is; `undone_at` is when that was taken back."""

    claim: Card
    act: Act
    undone_at: AwareDatetime | None = None


class Stood(Value):
    """What a claim came to at a date; `known` is false before it came into the library."""

    known: bool
    standing: Standing
    decision: Decision | None
    retired: Retirement | None


class Change(Value):
    """A claim that is not what it was, or that was something else between: the flips in between, oldest first."""

    claim: Card
    before: Stood
    after: Stood
    flips: tuple[Flip, ...]
    leaning: tuple[Leaning, ...]

    @property
    def came_back(self) -> bool:
        """Whether both dates say the same, and something else was said between."""
        return bool(self.flips) and headline(self.before.standing) == headline(self.after.standing)


class Difference(Value):
    """What is different between two dates."""

    since: AwareDatetime
    until: AwareDatetime
    changes: tuple[Change, ...]
    new: tuple[Card, ...]  # claims that came into the library between
    same: int


# --- dates -----------------------------------------------------------------------------------------------------------


def in_order(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Two dates, the earlier first.

    Raises:
        CannotSay: when they are the other way round.
    """
    if since > until:
        raise CannotSay(
            f"the first date, {since:%Y-%m-%d %H:%M} UTC, is later than the second, {until:%Y-%m-%d %H:%M} UTC"
        )
    return since, until


# --- one claim -------------------------------------------------------------------------------------------------------


def stood(past: History, *, known: bool) -> Stood:
    """What a record comes to."""
    return Stood(known=known, standing=past.standing, decision=past.decision, retired=past.waiting.retired)


def difference_of(before: History, after: History, *, was_known: bool) -> tuple[Stood, Stood, tuple[Flip, ...]]:
    """What a claim's record was and is, and the flips between: those of entries that the earlier one does not have."""
    seen = before.entries[-1].seq if before.entries else 0
    between = tuple(flip for flip in after.flips if flip.seq > seen)
    return stood(before, known=was_known), stood(after, known=True), between


def is_other(before: Stood, after: Stood, flips: Sequence[Flip]) -> bool:
    """Whether there is anything to tell."""
    said = (before.decision, before.retired) != (after.decision, after.retired)
    return bool(flips) or said or (before.known and headline(before.standing) != headline(after.standing))


# --- all claims ------------------------------------------------------------------------------------------------------


def flips(session: Session, since: datetime | None = None, until: datetime | None = None) -> list[ClaimFlip]:
    """The flips of all claims after SINCE and until UNTIL, newest first."""
    kept = dict(session.exec(select(ClaimState.claim_id, ClaimState.flips)).all())
    found = [
        ClaimFlip(claim=card(claim), flip=flip)
        for claim in _claims(session)
        for flip in map(Flip.model_validate, kept.get(claim.id) or ())
        if (since is None or flip.at > since) and (until is None or flip.at <= until)
    ]
    return sorted(found, key=lambda one: (one.flip.at, one.claim.slug, one.flip.seq), reverse=True)


def attachments(session: Session, since: datetime | None = None, until: datetime | None = None) -> list[ClaimAct]:
    """The papers that were attached to claims after SINCE and until UNTIL, newest first, with those taken back since."""
    cards = {claim.id: card(claim) for claim in _claims(session)}
    found: dict[tuple[str, int], ClaimAct] = {}
    query = select(LedgerEntry).where(col(LedgerEntry.kind).in_(PAPER_KINDS)).order_by(col(LedgerEntry.seq))
    for row in session.exec(query):
        entry = ledger.entry_of(row)
        match entry.event:
            case PaperAttached() as event:
                act = Act(seq=entry.seq, at=entry.at, event=event)
                found[row.claim_id, entry.seq] = ClaimAct(claim=cards[row.claim_id], act=act)
            case PaperUndone(seq=seq) if (row.claim_id, seq) in found:
                found[row.claim_id, seq] = found[row.claim_id, seq].model_copy(update={"undone_at": entry.at})
            case _:
                pass
    told = [
        one
        for one in found.values()
        if (since is None or one.act.at > since) and (until is None or one.act.at <= until)
    ]
    return sorted(told, key=lambda one: (one.act.at, one.claim.slug, one.act.seq), reverse=True)


def rows(session: Session, as_of: datetime) -> list[Row]:
    """All claims that the library had at a date, by title, as they stood then, fresh or due by the clock of then."""
    found = []
    for entity in _claims(session):
        claim = session.get_one(Claim, entity.id)
        entries = until(ledger.entries(session, entity.id), as_of)
        if entries or entity.created_at <= as_of:
            found.append(row_of(entity, claim, fold(entity.id, claim.documentary, entries), as_of))
    return found


def difference(session: Session, since: datetime, until_: datetime) -> Difference:
    """What is different between two dates, each as it stood then, and what leans on every claim that changed.

    Raises:
        CannotSay: when the dates are the other way round.
    """
    in_order(since, until_)
    leans = Leans.read(session)
    changes, new, same = [], [], 0
    for entity in _claims(session):
        documentary, entries = session.get_one(Claim, entity.id).documentary, ledger.entries(session, entity.id)
        then, now = until(entries, since), until(entries, until_)
        if not now and entity.created_at > until_:
            continue
        was_known = bool(then) or entity.created_at <= since
        if len(then) == len(now) and was_known:
            same += 1
            continue
        before, after, between = difference_of(
            fold(entity.id, documentary, then), fold(entity.id, documentary, now), was_known=was_known
        )
        new += [] if was_known else [card(entity)]
        if is_other(before, after, between):
            on = leans.on(entity.id)
            changes.append(Change(claim=card(entity), before=before, after=after, flips=between, leaning=on))
        else:
            same += was_known
    changes.sort(key=lambda one: max((flip.at for flip in one.flips), default=since), reverse=True)
    return Difference(since=since, until=until_, changes=tuple(changes), new=tuple(new), same=same)


def head(session: Session) -> str:
    """The newest seal of the ledger, which stands for all of it."""
    last = session.exec(select(Checkpoint).order_by(col(Checkpoint.seq).desc()).limit(1)).first()
    return last.digest if last else ledger.START


def _claims(session: Session) -> Sequence[Entity]:
    return session.exec(select(Entity).where(Entity.kind == "claim").order_by(Entity.title)).all()
