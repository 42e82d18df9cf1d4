"""A claim's chain, folded: its contract, its runs, its standing, what changed it and when; and the cache that pages
filter by.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime
from sqlmodel import Session

from claims import ledger
from claims.contract import Contract
from claims.freshness import Because, Retirement, Waiting, fresh_until
from claims.ledger import (
    ContractSet,
    Decided,
    Entry,
    MadeDue,
    PaperUndone,
    Replayed,
    Retired,
    RunFailed,
    RunStarted,
    VerdictGiven,
    Woken,
)
from claims.samples import Look
from claims.standing import Fold, Headline, PastRun, Replay, Standing, headline
from kb.models import Claim, ClaimState
from verifiers.measurement import Value

ATTEMPTS = 3  # at one run: the first, and two more where what ended it may pass


Axis = Literal["standing", "at this scale", "so far"]


class Flip(Value):
    """The words of a standing changed: in its own regime, or of what was found at another scale. `before` and `after`
    are the sequences then, where there were any.
    """

    at: AwareDatetime
    seq: int
    axis: Axis
    was: str
    now: str
    why: str
    run: str | None = None
    number: int | None = None
    before: Look | None = None
    after: Look | None = None
    was_certified: bool = True  # whether a certificate covered the runs that it came of
    now_certified: bool = True


class Decision(Value):
    """What a person said of a claim that no experiment can test."""

    word: ledger.DecidedWord
    who: str
    source: str
    reason: str
    at: AwareDatetime


class History(Value):
    """A claim's whole record; `runs` are those begun under its present contract that gave a verdict, oldest first."""

    claim_id: str
    contract: Contract | None
    contract_version: int | None
    contract_since: datetime | None
    entries: tuple[Entry, ...]
    runs: tuple[PastRun, ...]
    standing: Standing
    flips: tuple[Flip, ...] = ()  # oldest first
    decision: Decision | None = None
    waiting: Waiting = Waiting()


def history(session: Session, claim_id: str, as_of: datetime | None = None) -> History:
    """A claim's record as it stands in the library, or stood at a time."""
    entries = ledger.entries(session, claim_id)
    return fold(claim_id, session.get_one(Claim, claim_id).documentary, until(entries, as_of))


def until(entries: Sequence[Entry], as_of: datetime | None) -> Sequence[Entry]:
    """The chain as it was at a time: up to the last entry from then or before, whatever a clock that jumped wrote
    between.
    """
    if as_of is None:
        return entries
    last = max((number for number, entry in enumerate(entries, 1) if entry.at <= as_of), default=0)
    return entries[:last]


def fold(claim_id: str, documentary: str, entries: Sequence[Entry], part: str | None = None) -> History:
    """Fold a claim's chain; DOCUMENTARY is why its page says that it cannot be tested, or empty. With the endpoint of
    one PART as if that were all that its contracts ever were about.
    """
    record = _Record(documentary, part)
    for entry in entries:
        record.take(entry)
    return History(
        claim_id=claim_id,
        contract=record.fold.contract,
        contract_version=record.version,
        contract_since=record.since,
        entries=tuple(entries),
        runs=tuple(record.runs),
        standing=record.fold.standing(),
        flips=tuple(record.flips),
        decision=record.decision,
        waiting=Waiting(retired=record.retired, because=tuple(record.because.values())),
    )


class _Record:
    """What a chain has come to, entry by entry."""

    def __init__(self, documentary: str, part: str | None = None) -> None:
        self.fold = Fold(documentary)
        self._part = part
        self._number: int | None = None  # of that part in the present contract
        self.version: int | None = None
        self.since: datetime | None = None
        self.begun: dict[str, RunStarted] = {}  # under the present contract
        self.begun_at: dict[str, int] = {}  # seq
        self.failed: dict[tuple[str, int], int] = {}  # attempts at a subject's number that gave nothing
        self.runs: list[PastRun] = []
        self.made_by: dict[str, tuple[str, str | None]] = {}  # of every run that came out
        self.flips: list[Flip] = []
        self.stood = self.fold.standing()
        self.decision: Decision | None = None
        self.retired: Retirement | None = None
        self.because: dict[int, Because] = {}  # by the entry that said it
        self.follows: dict[int, int] = {}  # the entry that says that it is due, by the one that it follows from

    def take(self, entry: Entry) -> None:
        """One more entry."""
        event = entry.event
        match event:
            case ContractSet():
                self._contract(entry, event)
            case RunStarted():
                self.begun[event.run], self.begun_at[event.run] = event, entry.seq
            case VerdictGiven():
                self._verdict(entry, event)
            case RunFailed():
                self._failure(entry, event)
            case Replayed():
                self._replay(event)
            case _:
                self._said(entry, event)
        if not isinstance(event, RunStarted):
            self._compare(entry)

    def _contract(self, entry: Entry, event: ContractSet) -> None:
        contract = event.read()
        self._number = _number_of(contract, self._part) if contract and self._part else None
        if contract and self._part:
            contract = None if self._number is None else contract.alone(contract.parts[self._number])
        self.fold.begin(contract)
        self.version, self.since = event.version, entry.at
        self.begun, self.failed, self.runs = {}, {}, []

    def _verdict(self, entry: Entry, event: VerdictGiven) -> None:
        if event.run not in self.begun:
            return  # it answers a contract that is gone
        run = past_run(entry, event)
        if self._number is not None:
            run = run.of_part(self._number)
        self.runs.append(run)
        self.made_by[event.run] = run.made_by
        self.fold.take(run)
        if run.counts:
            before = self.begun_at[event.run]
            self.because = {seq: because for seq, because in self.because.items() if seq > before}

    def _failure(self, entry: Entry, event: RunFailed) -> None:
        started = self.begun.get(event.run)
        if started is None or event.cause == "stopped":
            return
        which = (event.subject, event.number)
        self.failed[which] = self.failed.get(which, 0) + 1
        if event.cause == "failed" or self.failed[which] == ATTEMPTS:
            self.fold.take(_given_up(entry, started, self.fold.contract))

    def _replay(self, event: Replayed) -> None:
        was, now = self.made_by.get(event.run), (event.verifier_code, event.environment)
        if was is not None:
            self.fold.replayed(Replay(subject=event.subject, was=was, now=now, agrees=event.agrees))

    def _said(self, entry: Entry, event: ledger.Event) -> None:
        """What people and papers say; the newest counts."""
        match event:
            case Decided():
                self.decision = Decision(**event.model_dump(exclude={"kind"}), at=entry.at)
            case Retired():
                self.retired = Retirement(**event.model_dump(exclude={"kind"}), at=entry.at)
            case Woken():
                self.retired = None
                self.because[entry.seq] = Because(
                    cause="woken", said=f"woken by {event.who}: {event.reason}", at=entry.at
                )
            case MadeDue():
                self.because[entry.seq] = Because(cause=event.cause, said=why_due(event), at=entry.at)
                if event.of is not None:
                    self.follows[event.of] = entry.seq
            case PaperUndone():
                self.because.pop(self.follows.get(event.seq, 0), None)

    def _compare(self, entry: Entry) -> None:
        """Write down which words of the standing are others now."""
        stands = self.fold.standing()
        was, now = headline(self.stood), headline(stands)
        if was != now:
            self.flips += _flips(entry, self.stood, stands, was, now)
        self.stood = stands


def _number_of(contract: Contract, part: str) -> int | None:
    """Which part of CONTRACT is about the endpoint PART, if one is."""
    names = [one.endpoint for one in contract.parts]
    return names.index(part) if part in names else None


def _flips(entry: Entry, stood: Standing, stands: Standing, was: Headline, now: Headline) -> list[Flip]:
    event = entry.event
    certified = (stood.at_scale_certified or was.at_scale is None, stands.at_scale_certified or now.at_scale is None)
    words: list[tuple[Axis, str | None, str | None, tuple[bool, bool]]] = [
        ("standing", _with_tag(was.word, was.tag), _with_tag(now.word, now.tag), (True, True)),
        ("at this scale", was.at_scale, now.at_scale, certified),
        ("so far", was.so_far, now.so_far, (False, False)),
    ]
    run = event if isinstance(event, VerdictGiven | RunFailed) else None
    return [
        Flip(
            at=entry.at,
            seq=entry.seq,
            axis=axis,
            was=before or "nothing yet",
            now=after or "nothing",
            why=_why(event, stands),
            run=run.run if run else None,
            number=run.number if run else None,
            before=_newest_look(stood, run.subject if run else None),
            after=_newest_look(stands, run.subject if run else None),
            was_certified=was_covered,
            now_certified=now_covered,
        )
        for axis, before, after, (was_covered, now_covered) in words
        if before != after
    ]


def _with_tag(word: str, tag: str | None) -> str:
    return f"{word}, {tag}" if tag else word


def _why(event: ledger.Event, stands: Standing) -> str:
    match event:
        case ContractSet():
            return f"contract version {event.version}" if event.contract else "its page took the contract away"
        case VerdictGiven():
            reading = next((one for one in stands.subjects if one.subject == event.subject), None)
            return f"run {event.number}: {reading.reason if reading else event.verdict.reason}"
        case RunFailed():
            return f"run {event.number} was given up, and what its units might have been decides: {event.reason}"
        case _:
            return event.kind


def _newest_look(stands: Standing, subject: str | None) -> Look | None:
    readings = [one for one in stands.subjects if one.looks and subject in {None, one.subject}]
    return readings[0].looks[-1] if readings else None


def why_due(event: MadeDue) -> str:
    """What happened after which a claim should be tested again."""
    source = f" ({event.source})" if event.source else ""
    said = {
        "asked": "asked for",
        "contradicted": "a paper contradicts it",
        "superseded": "a paper supersedes its source",
    }
    said |= {
        "new version": "a paper that bears on it has a new version",
        "withdrawn": "a paper that bears on it was withdrawn",
    }
    said |= {"returned": "a paper that bears on it is back from withdrawal"}
    return f"{said[event.cause]}{source}, by {event.who}" + (f": {event.reason}" if event.reason else "")


def contracts(entries: Sequence[Entry]) -> dict[str, Contract]:
    """Every contract version in a chain, by its digest."""
    events = [entry.event for entry in entries if isinstance(entry.event, ContractSet)]
    return {event.contract_digest: contract for event in events if (contract := event.read())}


def contract_of(session: Session, claim_id: str) -> Contract | None:
    """The newest contract of a claim, without reading the rest of its chain."""
    return current_contract(ledger.entries(session, claim_id, "contract"))


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
        environment=event.environment,
        certified=event.certificate is not None,
        word=event.verdict.word,
        tag=event.verdict.tag,
        units=event.units,
        cap=event.cap,
        noise_floor=event.noise_floor,
        also=event.also,
    )


def _given_up(entry: Entry, started: RunStarted, contract: Contract | None) -> PastRun:
    """A run of which nobody will know the units: they count as each of their caps, which the sample knows."""
    drawn = started.units or (contract.unit.per_run if contract else 0)
    return PastRun(
        run=started.run,
        number=started.number,
        at=entry.at,
        subject=started.subject,
        profile=started.profile,
        verifier_code=started.verifier_code or "",
        certified=False,
        word="ERROR",
        tag=None,
        units=(None,) * drawn,
        cap=(0.0, 0.0),
        noise_floor=0.0,
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
    evidence = next((run for run in reversed(record.runs) if run.counts), None)
    waits = record.waiting != Waiting()
    return {
        "seq": record.entries[-1].seq if record.entries else 0,
        "standing": record.standing.word,
        "at_scale": record.standing.at_scale,
        "fresh_until": fresh_until(record.contract, record.runs) if record.contract else None,
        "verifier_code": evidence.verifier_code if evidence else None,
        "environment": evidence.environment if evidence else None,
        "waiting": record.waiting.model_dump(mode="json") if waits else None,
        "last_run_at": record.runs[-1].at if record.runs else None,
        "flips": [flip.model_dump(mode="json") for flip in record.flips],
        "body": record.standing.model_dump(mode="json"),
    }
