"""A claim's chain, folded: its contract, its runs, its standing; and the cache that pages filter by."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from claims import ledger
from claims.contract import Contract
from claims.ledger import ContractSet, Entry, RunStarted, VerdictGiven
from claims.standing import PastRun, Standing, fresh_until, standing
from kb.models import Claim, ClaimState
from verifiers.measurement import Value


class History(Value):
    """A claim's whole record; `runs` are those begun under its present contract that gave a verdict, oldest first."""

    claim_id: str
    contract: Contract | None
    contract_version: int | None
    contract_since: datetime | None
    entries: tuple[Entry, ...]
    runs: tuple[PastRun, ...]
    standing: Standing


def history(session: Session, claim_id: str) -> History:
    """A claim's record as it stands in the library."""
    return fold(claim_id, session.get_one(Claim, claim_id).documentary, ledger.entries(session, claim_id))


def fold(claim_id: str, documentary: str, entries: Sequence[Entry]) -> History:
    """Fold a claim's chain; DOCUMENTARY is why its page says that it cannot be tested, or empty."""
    newest = next((entry for entry in reversed(entries) if isinstance(entry.event, ContractSet)), None)
    event = newest.event if newest and isinstance(newest.event, ContractSet) else None
    contract = event.read() if event else None
    # A contract that comes back begins another sample: else one could try several, and keep the one that looks best.
    since = newest.seq if newest else 0
    begun = {entry.event.run for entry in entries if isinstance(entry.event, RunStarted) and entry.seq > since}
    runs = tuple(
        past_run(entry, entry.event)
        for entry in entries
        if isinstance(entry.event, VerdictGiven) and entry.event.run in begun
    )
    return History(
        claim_id=claim_id,
        contract=contract,
        contract_version=event.version if event else None,
        contract_since=newest.at if newest else None,
        entries=tuple(entries),
        runs=runs,
        standing=standing(contract, documentary, runs),
    )


def contracts(entries: Sequence[Entry]) -> dict[str, Contract]:
    """Every contract version in a chain, by its digest."""
    events = [entry.event for entry in entries if isinstance(entry.event, ContractSet)]
    return {event.contract_digest: contract for event in events if (contract := event.read())}


def current_contract(entries: Sequence[Entry]) -> Contract | None:
    """The newest contract in a chain; None before the first, and after it was taken away."""
    newest = next((entry.event for entry in reversed(entries) if isinstance(entry.event, ContractSet)), None)
    return newest.read() if newest else None


def past_run(entry: Entry, event: VerdictGiven) -> PastRun:
    """A verdict as the folds need it."""
    return PastRun(
        run=event.run,
        number=event.number,
        at=entry.at,
        subject=event.subject,
        profile=event.profile,
        verifier_code=event.verifier_code,
        certified=event.certificate is not None,
        word=event.verdict.word,
        tag=event.verdict.tag,
        units=event.units,
        cap=event.cap,
        noise_floor=event.noise_floor,
        also=event.also,
    )


def refresh(session: Session, claim_id: str) -> None:
    """Bring the cached state of a claim up to the end of its chain."""
    values = state_of(history(session, claim_id))
    row = session.get(ClaimState, claim_id)
    if row is None:
        session.add(ClaimState(claim_id=claim_id, **values))
    else:
        for name, value in values.items():
            setattr(row, name, value)


def state_of(record: History) -> dict[str, Any]:
    """What the cache must hold for a record."""
    return {
        "seq": record.entries[-1].seq if record.entries else 0,
        "standing": record.standing.word,
        "at_scale": record.standing.at_scale,
        "fresh_until": fresh_until(record.contract, record.runs) if record.contract else None,
        "last_run_at": record.runs[-1].at if record.runs else None,
        "body": record.standing.model_dump(mode="json"),
    }
