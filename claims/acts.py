"""What people do to a claim: decide it where no run can, take it out of re-testing, bring it back, ask for it to be
tested again. Each is one entry in the claim's chain, with who said it, why, and where that comes from.
"""

from collections.abc import Callable
from datetime import datetime

from sqlmodel import Session

from claims import ledger
from claims.errors import CannotSay
from claims.history import History, history, refresh
from claims.ledger import Decided, DecidedWord, DueCause, Event, MadeDue, Retired, Woken
from kb.read import find
from kb.store import Store

LONGEST = 2000  # characters


def decide(store: Store, slug: str, word: DecidedWord, source: str, reason: str, who: str, now: datetime) -> str:
    """Record what a person says of a claim that nothing here can test; return the claim's slug.

    Raises:
        CannotSay: when the claim has a contract, or a reason or source is missing.
    """
    event = Decided(word=word, who=said(who, "who"), source=said(source, "a source"), reason=said(reason, "a reason"))
    return _act(store, slug, event, _without_contract, now)


def retire(store: Store, slug: str, reason: str, wakes_on: str, who: str, now: datetime) -> str:
    """Take a claim out of re-testing; return its slug.

    Raises:
        CannotSay: when nothing tests it, it is retired already, or a reason or what would wake it is missing.
    """
    event = Retired(
        who=said(who, "who"), reason=said(reason, "a reason"), wakes_on=said(wakes_on, "what would wake it")
    )
    return _act(store, slug, event, _in_testing, now)


def wake(store: Store, slug: str, reason: str, who: str, now: datetime) -> str:
    """Bring a retired claim back, due at once; return its slug.

    Raises:
        CannotSay: when it is not retired, or a reason is missing.
    """
    return _act(store, slug, Woken(who=said(who, "who"), reason=said(reason, "a reason")), _retired, now)


def make_due(
    store: Store, slug: str, reason: str, who: str, now: datetime, cause: DueCause = "asked", source: str = ""
) -> str:
    """Say that a claim should be tested again before its shelf life is over; return its slug.

    Raises:
        CannotSay: when nothing tests it, it is retired, or a reason is missing.
    """
    event = MadeDue(cause=cause, who=said(who, "who"), reason=said(reason, "a reason"), source=source)
    return _act(store, slug, event, _in_testing, now)


def _act(store: Store, slug: str, event: Event, check: Callable[[str, History], None], now: datetime) -> str:
    """One writing transaction: nobody can say something else between the look and the entry."""
    with store.writing() as session:
        entity = find(session, slug, "claim")
        check(entity.slug, history(session, entity.id))
        record(session, entity.id, event, now)
        return entity.slug


def record(session: Session, claim_id: str, event: Event, now: datetime) -> None:
    """Append what somebody said, in the caller's transaction, with the cached state and the seal that go with it."""
    ledger.append(session, claim_id, event, now)
    refresh(session, claim_id)
    ledger.seal(session, [claim_id], now)


def said(text: str, what: str) -> str:
    """TEXT as it goes into the ledger: on one line.

    Raises:
        CannotSay: when it is empty, no text, or too long.
    """
    plain = " ".join(text.split())
    if not plain:
        raise CannotSay(f"{what} is missing: an entry of the ledger can be questioned later, so it needs one")
    if len(plain) > LONGEST:
        raise CannotSay(
            f"{what} has {len(plain)} characters, and the ledger takes {LONGEST}: write it down elsewhere and link to it"
        )
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise CannotSay(f"{what} holds bytes that are no text: write it in UTF-8") from None
    return plain


# --- what fits what stands -------------------------------------------------------------------------------------------


def _without_contract(slug: str, past: History) -> None:
    if past.contract is not None:
        raise CannotSay(
            f"the claim {slug!r} has a contract, so runs decide it and nobody's word does: `stillholds verify {slug}`; "
            "a decision is for claims that cannot be tested"
        )


def _in_testing(slug: str, past: History) -> None:
    if past.contract is None:
        raise CannotSay(
            f"the claim {slug!r} has no contract, so nothing tests it and there is nothing to retire or to make due"
        )
    if past.waiting.retired is not None:
        gone = past.waiting.retired
        raise CannotSay(
            f"the claim {slug!r} was retired by {gone.who} on {gone.at:%Y-%m-%d}: {gone.reason}. "
            f"`stillholds wake {slug}` brings it back"
        )


def _retired(slug: str, past: History) -> None:
    if past.waiting.retired is None:
        raise CannotSay(f"the claim {slug!r} is not retired, so there is nothing to wake")
