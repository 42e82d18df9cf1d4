"""What pages and commands show of claims: rows from the cache, which need no statistics, and one claim with its whole
record.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime
from sqlmodel import Session, col, select

from claims import ledger, service, tasks, today
from claims.contract import Contract
from claims.freshness import Freshness, Waiting, fresh_until, freshness
from claims.history import Decision, History, contracts, current_contract, fold, history
from claims.judge import Tag, Verdict
from claims.ledger import Decided, RunFailed, RunStarted, VerdictGiven
from claims.regime import differences
from claims.runs import DIED, is_alive
from claims.standing import Standing
from kb.models import Claim, ClaimState, Entity, LedgerEntry, Run, Task
from verifiers.measurement import Measurement, Value


class Row(Value):
    """A claim in one line."""

    id: str
    slug: str
    title: str
    short: str
    date: str | None
    verifier: str | None
    endpoint: str | None
    standing: Standing
    freshness: Freshness | None
    last_run_at: AwareDatetime | None
    due_at: AwareDatetime | None = None  # when its shelf life ends or ended; None where nothing is to be tested
    decision: Decision | None = None  # what a person says of it, where no run can


class RunLine(Value):
    """A run of a claim as its history shows it; ERROR and RUNNING are states of the run, never verdicts on the
    claim.
    """

    run: str
    number: int
    at: AwareDatetime
    subject: str
    profile: str
    contract_digest: str
    differences: tuple[str, ...]  # between the subject and what the claim speaks of
    word: str
    tag: Tag | None
    reason: str
    certified: bool
    verdict: Verdict | None
    measurement_digest: str | None


class Going(Value):
    """A run that is under way, or waits for its turn; `task` is what to cancel."""

    task: str | None
    is_queued: bool
    before: int = 0  # tasks that wait longer
    has_worker: bool = True
    run: str | None = None
    number: int | None = None
    attempt: int = 1
    profile: str
    done: int = 0
    total: int = 0
    started_at: AwareDatetime | None = None
    cancel: bool = False


class Record(Value):
    """Everything there is to show of one claim."""

    history: History
    freshness: Freshness | None
    runs: tuple[RunLine, ...]  # newest first
    newest: Measurement | None  # of the newest run with a verdict under the present contract
    going: Going | None


def of_part(record: Record, number: int) -> Record:
    """The record as if one part of the contract were all of it, to be drawn as any other."""
    past, contract = record.history, record.history.contract
    if contract is None or not contract.also:
        return record
    endpoint = contract.parts[number].endpoint
    lines = tuple(_line_of_part(line, endpoint) for line in record.runs)
    return record.model_copy(update={"history": fold(past.claim_id, "", past.entries, endpoint), "runs": lines})


def _line_of_part(line: RunLine, endpoint: str) -> RunLine:
    """A run with what one endpoint says alone; a run from before it was asked about shows nothing."""
    if line.verdict is None:
        return line
    judged = tuple(one for one in line.verdict.endpoints if one.name == endpoint)
    word = next((one.verdict for one in judged if one.verdict), line.word)
    return line.model_copy(update={"word": word, "verdict": line.verdict.model_copy(update={"endpoints": judged})})


def rows(session: Session, now: datetime) -> list[Row]:
    """All claims, by title, as their last entries left them."""
    query = (
        select(Entity, Claim, ClaimState)
        .join(Claim, col(Claim.id) == Entity.id)
        .outerjoin(ClaimState, col(ClaimState.claim_id) == Entity.id)
    )
    said = _decisions(session)
    return [
        _row(entity, claim, state, now).model_copy(update={"decision": said.get(entity.id)})
        for entity, claim, state in session.exec(query.order_by(Entity.title))
    ]


def _decisions(session: Session) -> dict[str, Decision]:
    """The newest decision on every claim that has one and no contract."""
    query = (
        select(LedgerEntry)
        .join(Claim, col(Claim.id) == LedgerEntry.claim_id)
        .where(LedgerEntry.kind == "decision", col(Claim.contract).is_(None))
        .order_by(col(LedgerEntry.seq))
    )
    entries = [(row.claim_id, ledger.entry_of(row)) for row in session.exec(query)]
    return {
        claim_id: Decision(**entry.event.model_dump(exclude={"kind"}), at=entry.at)
        for claim_id, entry in entries
        if isinstance(entry.event, Decided)
    }


def row(session: Session, claim_id: str, now: datetime) -> Row:
    """One claim in one line."""
    return _row(
        session.get_one(Entity, claim_id), session.get_one(Claim, claim_id), session.get(ClaimState, claim_id), now
    )


def _row(entity: Entity, claim: Claim, state: ClaimState | None, now: datetime) -> Row:
    written: dict[str, Any] = claim.contract or {}
    fresh = (
        fresh_of(state, str(written.get("verifier")), int(written.get("shelf_life_days", 30)), now) if written else None
    )
    return Row(
        id=entity.id,
        slug=entity.slug,
        title=entity.title,
        short=entity.short,
        date=claim.date_written,
        verifier=written.get("verifier"),
        endpoint=written.get("endpoint"),
        standing=Standing.model_validate(state.body) if state else _untested(claim),
        freshness=fresh,
        last_run_at=state.last_run_at if state else None,
        due_at=due_at(fresh, state.fresh_until if state else None, entity.created_at),
    )


def row_of(entity: Entity, claim: Claim, past: History, now: datetime) -> Row:
    """One claim in one line by its record, which may be that of another time: NOW is the clock of then."""
    contract = past.contract
    fresh = _fresh(past, now, then=True)
    return Row(
        id=entity.id,
        slug=entity.slug,
        title=entity.title,
        short=entity.short,
        date=claim.date_written,
        verifier=contract.verifier if contract else None,
        endpoint=contract.endpoint if contract else None,
        standing=past.standing,
        freshness=fresh,
        last_run_at=past.runs[-1].at if past.runs else None,
        due_at=due_at(fresh, fresh_until(contract, past.runs) if contract else None, entity.created_at),
        decision=None if contract else past.decision,
    )


def due_at(fresh: Freshness | None, over: datetime | None, since: datetime) -> datetime | None:
    """When a claim becomes due, or did: when its shelf life is OVER, or something else came first; SINCE is when one
    that was never tested could have been.
    """
    if fresh is None or fresh.word == "RETIRED":
        return None
    if over is None:
        return since
    return min(over, fresh.turn) if fresh.word == "DUE" and fresh.turn else over


def _fresh(past: History, now: datetime, *, then: bool) -> Freshness | None:
    """How fresh a claim is by its chain, or was THEN: which code and machine there were, is known of now alone."""
    if past.contract is None:
        return None
    newest = next((run for run in reversed(past.runs) if run.counts), None)
    because = past.waiting.because
    if newest is not None and not then:
        because += today.changes(past.contract.verifier, newest.verifier_code, newest.environment)
    waiting = past.waiting.model_copy(update={"because": because})
    return freshness(fresh_until(past.contract, past.runs), past.contract.shelf_life_days, now, waiting)


def fresh_of(state: ClaimState | None, verifier: str, shelf_life_days: int, now: datetime) -> Freshness:
    """How fresh a claim is by its cached state."""
    if state is None:
        return freshness(None, shelf_life_days, now)
    said = Waiting.model_validate(state.waiting or {})
    changed = today.changes(verifier, state.verifier_code, state.environment)
    return freshness(
        state.fresh_until, shelf_life_days, now, said.model_copy(update={"because": said.because + changed})
    )


def _untested(claim: Claim) -> Standing:
    if claim.documentary:
        return Standing(word="DOCUMENTARY", reason=claim.documentary)
    return Standing(word="UNTESTED", reason="no contract says yet how it could be tested")


def record(session: Session, claim_id: str, now: datetime, as_of: datetime | None = None) -> Record:
    """One claim with its whole record, as it stands, or stood at a date, by the clock of then."""
    past = history(session, claim_id, as_of)
    now = as_of or now
    lines = tuple(reversed(_lines(session, past, then=as_of is not None)))
    current = {run.run for run in past.runs}
    newest = next((line for line in lines if line.run in current), None)
    return Record(
        history=past,
        freshness=_fresh(past, now, then=as_of is not None),
        runs=lines,
        newest=ledger.measurement(session, newest.measurement_digest) if newest and newest.measurement_digest else None,
        going=None if as_of else going(session, claim_id, now),
    )


def newest(session: Session, claim_id: str) -> tuple[RunLine | None, Contract | None]:
    """The newest run of a claim that has ended, and the contract of now: what the claim shows in a line, without reading
    its whole chain.
    """
    ended = select(LedgerEntry).where(LedgerEntry.claim_id == claim_id, col(LedgerEntry.kind).in_(("verdict", "error")))
    last = session.exec(ended.order_by(col(LedgerEntry.seq).desc()).limit(1)).first()
    told = ledger.entries(session, claim_id, "contract")
    if last is None or not isinstance(event := ledger.entry_of(last).event, VerdictGiven | RunFailed):
        return None, current_contract(told)
    begun = ledger.begun(session, claim_id, event.run)
    under = contracts(told)[begun.event.contract_digest]
    return _line(begun.event, begun.at, event, under, lives=False), current_contract(told)


def _lines(session: Session, past: History, *, then: bool) -> list[RunLine]:
    """Every run that was begun, with what came of it; a run whose process is gone is an ERROR even before that is
    written down. THEN, what had not ended was under way.
    """
    ends = {entry.event.run: entry.event for entry in past.entries if isinstance(entry.event, VerdictGiven | RunFailed)}
    begun = [(entry.event, entry.at) for entry in past.entries if isinstance(entry.event, RunStarted)]
    known = contracts(past.entries)
    return [
        _line(
            event,
            at,
            ends.get(event.run),
            known[event.contract_digest],
            lives=event.run in ends or then or _lives(session, event.run),
        )
        for event, at in begun
    ]


def _line(
    started: RunStarted, at: datetime, ended: VerdictGiven | RunFailed | None, contract: Contract, *, lives: bool
) -> RunLine:
    word, reason = "RUNNING", "under way"
    if isinstance(ended, VerdictGiven):
        word, reason = ended.verdict.word, ended.verdict.reason
    elif isinstance(ended, RunFailed):
        word, reason = "ERROR", ended.reason
    elif not lives:
        word, reason = "ERROR", DIED
    given = ended if isinstance(ended, VerdictGiven) else None
    return RunLine(
        run=started.run,
        number=started.number,
        at=at,
        subject=started.subject,
        profile=started.profile,
        contract_digest=started.contract_digest,
        differences=differences(contract.regime, started.subject),
        word=word,
        tag=given.verdict.tag if given else None,
        reason=reason,
        certified=given is not None and given.certificate is not None,
        verdict=given.verdict if given else None,
        measurement_digest=given.measurement_digest if given else None,
    )


def _lives(session: Session, run_id: str) -> bool:
    run = session.get(Run, run_id)
    return run is not None and run.state == "running" and is_alive(run)


def going(session: Session, claim_id: str, now: datetime) -> Going | None:
    """The run of a claim that is under way or waits, if there is one."""
    for task_id in tasks.waiting(session):
        task = session.get_one(Task, task_id)
        if claim_id in task.claims:
            return _going_task(session, task, now)
    for run in session.exec(select(Run).where(Run.state == "running").order_by(col(Run.started_at).desc())):
        if claim_id in run.claims and is_alive(run):
            return _under_way(run)
    return None


def _going_task(session: Session, task: Task, now: datetime) -> Going:
    run = session.exec(select(Run).where(Run.task_id == task.id, Run.state == "running")).first()
    has_worker = bool(service.living(session, now))
    if run is not None and is_alive(run):
        return _under_way(run).model_copy(update={"cancel": task.cancel, "has_worker": has_worker})
    before = sum(one < task.id for one in tasks.waiting(session))
    return Going(
        task=task.id,
        is_queued=True,
        before=before,
        has_worker=has_worker,
        profile=task.job["profile"],
        cancel=task.cancel,
    )


def _under_way(run: Run) -> Going:
    return Going(
        task=run.task_id,
        is_queued=False,
        run=run.id,
        number=run.number,
        attempt=run.attempt,
        profile=run.profile,
        done=run.done,
        total=run.total,
        started_at=run.started_at,
        cancel=run.cancel,
    )


def recent(session: Session, claim_rows: Sequence[Row], limit: int) -> list[Row]:
    """The claims tested last, newest first."""
    tested = [line for line in claim_rows if line.last_run_at is not None]
    return sorted(tested, key=lambda line: line.last_run_at.timestamp() if line.last_run_at else 0.0, reverse=True)[
        :limit
    ]
