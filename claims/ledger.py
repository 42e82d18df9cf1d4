"""The only writer of history: one chain of entries a claim, sealed by checkpoints; appended, never changed.

An entry's digest covers everything in its row and the digest of the entry before it, as canonical JSON (RFC 8785). A
checkpoint carries the heads that moved since the one before, so that the checkpoints together name the last entry of
every chain.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import rfc8785
from pydantic import AwareDatetime, Field, TypeAdapter
from sqlmodel import Session, col, func, select

from claims.contract import Contract
from claims.judge import Units, Verdict
from kb.models import Checkpoint, LedgerEntry, MeasurementRecord, new_id
from verifiers.measurement import Cause, Measurement, Value
from verifiers.registry import Certificate

DecidedWord = Literal["HOLDS", "WEAKENED", "REFUTED"]
DueCause = Literal["asked", "new version", "withdrawn", "returned", "contradicted", "superseded"]
News = Literal["new version", "withdrawn", "returned"]  # of a paper that a claim rests on
Relation = Literal["supports", "contradicts", "qualifies", "extends", "supersedes"]  # of a paper to a claim
START = "0" * 64  # what the first entry of a chain has before it


class ContractSet(Value):
    """A contract version, before any run that uses it; None when the claim's page took its contract away."""

    kind: Literal["contract"] = "contract"
    version: int
    contract: dict[str, Any] | None
    contract_digest: str

    def read(self) -> Contract | None:
        """The contract, if there is one."""
        return None if self.contract is None else Contract.model_validate(self.contract)


class RunStarted(Value):
    """An attempt at a run begins; if nothing ever follows it, it died. A number is one set of units for ever: a second
    attempt at it draws the same ones.
    """

    kind: Literal["run"] = "run"
    run: str
    number: int
    attempt: int = 1
    verifier: str
    verifier_version: str
    verifier_code: str | None = None  # digest
    subject: str
    profile: str
    parameters: dict[str, Any]
    units: int | None = None  # that it draws
    seed: int
    contract_digest: str


class VerdictGiven(Units):
    """A run ended with a measurement, and this is what the contract makes of it; its own units are those of the
    contract's first endpoint.
    """

    kind: Literal["verdict"] = "verdict"
    run: str
    number: int
    attempt: int = 1
    subject: str
    profile: str
    contract_digest: str
    verifier_code: str
    environment: str | None = None  # digest of what else may change the bits: versions, machine, threads
    measurement_digest: str
    certificate: str | None
    also: tuple[Units, ...] = ()  # those of the further parts, where a contract has any
    verdict: Verdict


class RunFailed(Value):
    """An attempt ended without one: ERROR, which says nothing about the claim."""

    kind: Literal["error"] = "error"
    run: str
    number: int
    attempt: int = 1
    subject: str
    profile: str
    cause: Cause = "stopped"
    reason: str


class Replayed(Value):
    """A run was made again with its own seed. Where its units agree within the noise floor, what made them now may go
    on with its sample; where they do not, it may not.
    """

    kind: Literal["replay"] = "replay"
    run: str
    number: int
    subject: str
    verifier_code: str
    environment: str
    identical: bool  # bit by bit
    largest: (
        float | None
    )  # difference of a unit's value on the scale of analysis; None where one has a value and the other none
    agrees: bool
    measurement_digest: str


class Decided(Value):
    """A person says what stands of a claim that no experiment can test, and where that comes from."""

    kind: Literal["decision"] = "decision"
    word: DecidedWord
    who: str
    source: str
    reason: str


class Retired(Value):
    """A person takes a claim out of re-testing, and says what would bring it back."""

    kind: Literal["retired"] = "retired"
    who: str
    reason: str
    wakes_on: str


class Woken(Value):
    """It is back."""

    kind: Literal["woken"] = "woken"
    who: str
    reason: str


class MadeDue(Value):
    """Something happened after which a claim should be tested again before its time."""

    kind: Literal["due"] = "due"
    cause: DueCause
    who: str
    reason: str
    source: str = ""  # the paper, where one is the cause
    of: int | None = None  # seq of the entry that it follows from; once that is taken back, this says nothing


class PaperAttached(Value):
    """A person says what a paper is to a claim, or takes note of what became of one that the claim rests on."""

    kind: Literal["attached"] = "attached"
    arxiv: str
    version: int
    title: str
    relation: Relation | News
    who: str
    reason: str = ""
    span: str = ""  # of the abstract that shows it


class PaperDismissed(Value):
    """A person says that a paper, or news of one, is nothing to a claim, and why."""

    kind: Literal["dismissed"] = "dismissed"
    arxiv: str
    version: int
    title: str
    who: str
    reason: str
    news: News | None = None


class PaperSnoozed(Value):
    """A person will look at a paper, or news of one, later."""

    kind: Literal["snoozed"] = "snoozed"
    arxiv: str
    version: int
    title: str
    until: AwareDatetime
    who: str
    news: News | None = None


class PaperUndone(Value):
    """What a person made of a paper is taken back."""

    kind: Literal["undone"] = "undone"
    seq: int  # of the entry that said it
    who: str


PaperAct = PaperAttached | PaperDismissed | PaperSnoozed
Event = Annotated[
    ContractSet
    | RunStarted
    | VerdictGiven
    | RunFailed
    | Replayed
    | Decided
    | Retired
    | Woken
    | MadeDue
    | PaperAttached
    | PaperDismissed
    | PaperSnoozed
    | PaperUndone,
    Field(discriminator="kind"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


class Entry(Value):
    """One entry of a chain, read back."""

    seq: int
    at: datetime
    digest: str
    event: Event


def canonical(value: Any) -> str:
    """VALUE as RFC 8785 JSON: one value, one text."""
    return rfc8785.dumps(value).decode()


def digest_of(value: Any) -> str:
    """The digest of VALUE's canonical JSON."""
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def digest_of_contract(contract: Contract | None) -> str:
    """The digest that verdicts name a contract by."""
    return digest_of(contract.model_dump(mode="json") if contract else None)


def append(session: Session, claim_id: str, event: Event, now: datetime) -> Entry:
    """Add EVENT to the chain of a claim, inside the caller's transaction; `seal` must follow before it ends."""
    last = head(session, claim_id)
    row = LedgerEntry(
        id=new_id(),
        claim_id=claim_id,
        seq=last.seq + 1 if last else 1,
        kind=event.kind,
        at=now,
        body=canonical(event.model_dump(mode="json")),
        previous=last.digest if last else START,
        digest="",
    )
    row.digest = entry_digest(row)
    session.add(row)
    session.flush()
    return entry_of(row)


def entry_digest(row: LedgerEntry) -> str:
    """The digest that ROW must carry."""
    return _digest_of_row(row)


def head(session: Session, claim_id: str) -> LedgerEntry | None:
    """The last entry of a chain."""
    return session.exec(
        select(LedgerEntry).where(LedgerEntry.claim_id == claim_id).order_by(col(LedgerEntry.seq).desc()).limit(1)
    ).first()


def entries(session: Session, claim_id: str, kind: str | None = None) -> list[Entry]:
    """A claim's chain from its beginning, or what there is of one KIND in it."""
    rows = select(LedgerEntry).where(LedgerEntry.claim_id == claim_id).order_by(col(LedgerEntry.seq))
    return [entry_of(row) for row in session.exec(rows if kind is None else rows.where(LedgerEntry.kind == kind))]


class Begun(Value):
    """How an attempt began."""

    at: datetime
    event: RunStarted


def begun(session: Session, claim_id: str, run: str) -> Begun:
    """The entry with which an attempt began."""
    rows = select(LedgerEntry).where(LedgerEntry.claim_id == claim_id, LedgerEntry.kind == "run")
    row = session.exec(rows.where(col(LedgerEntry.body).contains(run))).one()
    event = entry_of(row).event
    if not isinstance(event, RunStarted):
        raise TypeError(f"entry {row.seq} does not begin a run")
    return Begun(at=row.at, event=event)


def entry_of(row: LedgerEntry) -> Entry:
    """A row, read back.

    Raises:
        ValueError: when its text is not one of an event.
    """
    return Entry(seq=row.seq, at=row.at, digest=row.digest, event=EVENT.validate_json(row.body))


def seal(session: Session, claim_ids: Iterable[str], now: datetime) -> Checkpoint:
    """Write a checkpoint over the heads of the chains that moved."""
    heads = {}
    for claim_id in sorted(set(claim_ids)):
        last = head(session, claim_id)
        if last is not None:
            heads[claim_id] = {"seq": last.seq, "digest": last.digest}
    last_seal = session.exec(select(Checkpoint).order_by(col(Checkpoint.seq).desc()).limit(1)).first()
    row = Checkpoint(
        seq=last_seal.seq + 1 if last_seal else 1,
        at=now,
        body=canonical({"heads": heads, "entries": session.exec(select(func.count()).select_from(LedgerEntry)).one()}),
        previous=last_seal.digest if last_seal else START,
        digest="",
    )
    row.digest = checkpoint_digest(row)
    session.add(row)
    session.flush()
    return row


def heads_of(seal: Checkpoint) -> dict[str, dict[str, Any]]:
    """The heads that a checkpoint says moved: claim id → seq and digest."""
    heads: dict[str, dict[str, Any]] = dict(json.loads(seal.body)["heads"])
    return heads


def checkpoint_digest(row: Checkpoint) -> str:
    """The digest that a checkpoint must carry."""
    return _digest_of_row(row)


def _digest_of_row(row: LedgerEntry | Checkpoint) -> str:
    """Over all columns but the digest itself; the time in UTC, as it comes back from the store."""
    return digest_of(row.model_dump(exclude={"digest"}) | {"at": row.at.astimezone(UTC).isoformat()})


def keep(session: Session, record: Measurement | Certificate) -> str:
    """Keep a measurement, or the certificate that covers one, under its digest, once, and return the digest."""
    body = canonical(record.model_dump(mode="json"))
    digest = hashlib.sha256(body.encode()).hexdigest()
    if session.get(MeasurementRecord, digest) is None:
        session.add(MeasurementRecord(digest=digest, body=body))
        session.flush()
    return digest


def measurement(session: Session, digest: str) -> Measurement:
    """The measurement of that digest."""
    return Measurement.model_validate_json(session.get_one(MeasurementRecord, digest).body)
