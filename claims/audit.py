"""Recomputes everything that the ledger claims: digests, chains, seals, every verdict from its measurement, every
standing.
"""

import hashlib
from collections.abc import Iterator

from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from claims import ledger
from claims.history import contracts, history, state_of
from claims.ledger import START, Entry, RunStarted, VerdictGiven, digest_of_contract
from claims.runs import given
from kb.models import Checkpoint, ClaimState, Entity, LedgerEntry, MeasurementRecord
from kb.store import Store
from verifiers.measurement import Measurement, Value


class Problem(Value):
    """One thing that does not agree, and where."""

    where: str
    what: str


class Audit(Value):
    """What was recomputed, what did not agree (the first first), and the head that a careful keeper writes down
    elsewhere.
    """

    claims: int
    entries: int
    verdicts: int
    checkpoints: int
    head: str
    problems: tuple[Problem, ...]


def audit(store: Store) -> Audit:
    """Recompute the whole ledger of a library."""
    with store.reading() as session:
        rows, problems = _readable(session)
        seals, unreadable = _readable_seals(session)
        problems += unreadable
        chains: dict[str, list[LedgerEntry]] = {}
        for row in rows:
            chains.setdefault(row.claim_id, []).append(row)
        measurements = dict(_measurements(session))
        problems += _measurement_problems(session)
        for claim_id, chain in chains.items():
            problems += _chain_problems(session, claim_id, chain, measurements)
        problems += _seal_problems(seals, chains)
        return Audit(
            claims=len(chains),
            entries=len(rows),
            verdicts=sum(row.kind == "verdict" for row in rows),
            checkpoints=len(seals),
            head=seals[-1].digest if seals else START,
            problems=tuple(problems),
        )


def _readable(session: Session) -> tuple[list[LedgerEntry], list[Problem]]:
    """All entries in order; one that cannot even be read is a problem."""
    keys = session.exec(
        select(LedgerEntry.id, LedgerEntry.claim_id, LedgerEntry.seq).order_by(
            col(LedgerEntry.claim_id), col(LedgerEntry.seq)
        )
    )
    rows, problems = [], []
    for key, claim_id, seq in keys.all():
        try:
            rows.append(session.get_one(LedgerEntry, key))
        except (ValueError, DBAPIError) as error:
            problems.append(Problem(where=f"claim {claim_id}, entry {seq}", what=f"it cannot be read: {error}"))
    return rows, problems


def _readable_seals(session: Session) -> tuple[list[Checkpoint], list[Problem]]:
    try:
        return list(session.exec(select(Checkpoint).order_by(col(Checkpoint.seq)))), []
    except (ValueError, DBAPIError) as error:
        return [], [Problem(where="checkpoints", what=f"one cannot be read: {error}")]


def _measurements(session: Session) -> Iterator[tuple[str, Measurement]]:
    for row in session.exec(select(MeasurementRecord)):
        try:
            yield row.digest, Measurement.model_validate_json(row.body)
        except ValidationError:
            continue  # reported by its digest


def _measurement_problems(session: Session) -> Iterator[Problem]:
    for row in session.exec(select(MeasurementRecord).order_by(col(MeasurementRecord.digest))):
        if hashlib.sha256(row.body.encode()).hexdigest() != row.digest:
            yield Problem(where=f"measurement {row.digest[:12]}", what="its text is not the one that was measured")


def _chain_problems(
    session: Session, claim_id: str, chain: list[LedgerEntry], measurements: dict[str, Measurement]
) -> Iterator[Problem]:
    claim = session.get(Entity, claim_id)
    name = claim.slug if claim else claim_id
    previous = START
    for expected, row in enumerate(chain, start=1):
        where = f"claim {name}, entry {row.seq}"
        if row.seq != expected:
            yield Problem(where=where, what=f"entry {expected} is missing before it")
            return
        if row.previous != previous:
            yield Problem(where=where, what="it does not follow the entry before it")
            return
        if ledger.entry_digest(row) != row.digest:
            yield Problem(where=where, what="it is not the entry that was written")
            return
        previous = row.digest
    entries = ledger.entries(session, claim_id)
    yield from _verdict_problems(name, entries, measurements)
    yield from _state_problems(session, claim_id, name)


def _verdict_problems(name: str, entries: list[Entry], measurements: dict[str, Measurement]) -> Iterator[Problem]:
    known = contracts(entries)
    begun = {entry.event.run for entry in entries if isinstance(entry.event, RunStarted)}
    for digest, contract in known.items():
        if digest_of_contract(contract) != digest:
            yield Problem(where=f"claim {name}", what=f"the contract {digest[:12]} is not the one its digest names")
    for entry in entries:
        event = entry.event
        if not isinstance(event, VerdictGiven):
            continue
        where = f"claim {name}, entry {entry.seq}"
        measured = measurements.get(event.measurement_digest)
        if measured is None:
            yield Problem(where=where, what=f"its measurement {event.measurement_digest[:12]} is missing")
        elif event.run not in begun or event.contract_digest not in known:
            yield Problem(where=where, what="its run or its contract was never written before it")
        elif given(
            known[event.contract_digest], measured, event.measurement_digest, event.run, event.number
        ) != event.model_copy(update={"certificate": None}):
            yield Problem(where=where, what="its verdict is not what its contract makes of its measurement")


def _state_problems(session: Session, claim_id: str, name: str) -> Iterator[Problem]:
    row = session.get(ClaimState, claim_id)
    wanted = state_of(history(session, claim_id))
    held = row.model_dump(exclude={"claim_id"}) if row else None
    if held != wanted:
        yield Problem(where=f"claim {name}", what="the standing that is shown is not the one its entries give")


def _seal_problems(seals: list[Checkpoint], chains: dict[str, list[LedgerEntry]]) -> Iterator[Problem]:
    previous, heads = START, dict[str, dict[str, object]]()
    for expected, seal in enumerate(seals, start=1):
        where = f"checkpoint {seal.seq}"
        if seal.seq != expected or seal.previous != previous:
            yield Problem(where=where, what="a checkpoint before it is missing or another")
            return
        if ledger.checkpoint_digest(seal) != seal.digest:
            yield Problem(where=where, what="it is not the checkpoint that was written")
            return
        previous = seal.digest
        heads |= ledger.heads_of(seal)
    for claim_id in sorted(heads.keys() | chains.keys()):
        last = chains[claim_id][-1] if claim_id in chains else None
        sealed = heads.get(claim_id)
        if last is None or sealed != {"seq": last.seq, "digest": last.digest}:
            yield Problem(
                where=f"claim {claim_id}",
                what="its chain does not end where the checkpoints say: entries were cut off, added or lost",
            )
