"""The schedule and the library: its settings, what it has to choose from, and asking for what is due.

What the pure `claims.schedule` needs is gathered from the caches (`ClaimState`, `Run`, `Task`), never by reading whole
chains: losing those rows makes it forget costs and failures, not truth.
"""

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from claims import ledger, runs, schedule, tasks, today
from claims.contract import Contract, Part
from claims.freshness import Waiting
from claims.hours import ScheduledProfile, Settings, settings_from
from claims.impact import Leans
from claims.ledger import ContractSet
from claims.papers import queries, rota
from claims.rhythm import DAY, Look, rhythm
from claims.runs import Job
from claims.schedule import Candidate, Event, Plan, Watched
from claims.standing import Standing, SubjectReading
from claims.tasks import OPEN, Enqueue
from kb.models import ClaimState, Entity, LedgerEntry, Run, Schedule, Task
from kb.store import Store
from verifiers.registry import verifiers

WHO = "the schedule"
MEMORY = timedelta(days=30)  # for which failed tasks are remembered
CAUSES: Mapping[str, schedule.Cause] = {"woken": "asked"}  # of a ledger's entry, where the schedule says it otherwise


# --- settings --------------------------------------------------------------------------------------------------------


def settings(session: Session) -> Settings:
    """What was set, or what is usual: switched off.

    Raises:
        BadSchedule: when what stands there cannot be kept.
    """
    row = session.get(Schedule, 1)
    return settings_from(row.settings) if row else Settings()


def change(store: Store, said: Mapping[str, Any], now: datetime) -> Settings:
    """Set what is SAID, and leave the rest as it was.

    Raises:
        BadSchedule: when that could never be kept; then nothing is changed.
    """
    with store.writing() as session:
        row = session.get(Schedule, 1)
        changed = settings_from({**(row.settings if row else {}), **said})
        if row is None:
            row = Schedule(settings={}, changed_at=now)
            session.add(row)
        row.settings, row.changed_at = changed.model_dump(mode="json"), now
    return changed


# --- what is due -----------------------------------------------------------------------------------------------------


class Timetable(NamedTuple):
    """The settings, what follows from them now, and when somebody looked last and will look next."""

    settings: Settings
    plan: Plan
    looked_at: datetime | None
    next_look: datetime | None
    next_pull: datetime | None  # of what is new at arXiv

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The settings in words, each with its name."""
        said = self.settings
        used = self.plan.spent_today_cpu_seconds / 60
        looks = [f"next {said.said(self.next_look)}"] if self.next_look else []
        looks += [f"last {said.said(self.looked_at)}"] if self.looked_at else []
        return [
            ("Schedule", f"{'on' if said.on else 'off'}, {said.profile} runs"),
            ("Looks", f"{', '.join([said.cron, *looks])} ({said.timezone})"),
            ("Budget", f"{said.budget_cpu_minutes:g} CPU-minutes a day, {used:.3g} of them used today"),
            ("Quiet", ", ".join(said.quiet) or "never"),
            ("Pulls", f"{said.pulls}, next {said.said(self.next_pull)}" if self.next_pull else said.pulls),
        ]


def timetable(store: Store, now: datetime) -> Timetable:
    """What is due at NOW, and what the schedule will do about it.

    Raises:
        BadSchedule: when the settings that stand in the library cannot be kept.
    """
    with store.reading() as session:
        said = settings(session)
        row = session.get(Schedule, 1)
        _, plan = _planned(session, said, now, is_shared=store.location.path is None)
        pull_at = rota.next_pull(queries.turns(session), said, now)
        return Timetable(said, plan, row.looked_at if row else None, said.next_look(now) if said.on else None, pull_at)


def to_pull(store: Store, now: datetime) -> tuple[str, ...]:
    """The names of the saved queries whose turn it is."""
    with store.reading() as session:
        return rota.due(queries.turns(session), settings(session), now)


def tick(store: Store, now: datetime, enqueue: Enqueue) -> None:
    """Ask for what is due, if it is time to look. A look that was missed is made up for once.

    Only what is likely begun before the next look is asked for, so that a person who asks meanwhile need not wait for a
    whole day's queue.
    """
    with store.reading() as session:
        said = settings(session)
        row = session.get(Schedule, 1)
        if row is None or not said.on or not _is_time(row, said, now):
            return
        jobs, plan = _planned(session, said, now, is_shared=store.location.path is None)
    until = said.next_look(now)
    for due in plan.now:
        if due.starts and due.starts < until:
            tasks.ask(store, [jobs[due.key]], "; ".join(due.reasons), WHO, now, enqueue)
    with store.writing() as session:
        session.get_one(Schedule, 1).looked_at = now


def _is_time(row: Schedule, said: Settings, now: datetime) -> bool:
    """Whether a look was named since the last one. A look in the future is one of a clock that was wrong."""
    if row.looked_at is None or row.looked_at > now:
        return True
    return said.next_look(max(row.looked_at, min(row.changed_at, now))) <= now


def _planned(session: Session, said: Settings, now: datetime, *, is_shared: bool) -> tuple[dict[str, Job], Plan]:
    """The measurements that there are, by their stream, and what to do about them."""
    states = {state.claim_id: state for state in session.exec(select(ClaimState))}
    contracts = _contracts(session, states)
    jobs = _jobs(contracts, said.profile)
    open_tasks = session.exec(select(Task).where(col(Task.state).in_(OPEN))).all()
    known = _Known(
        contracts=contracts,
        states=states,
        slugs=dict(session.exec(select(Entity.id, Entity.slug).where(Entity.kind == "claim")).all()),
        leans=Leans.read(session),
        past=_past(session),
        given_up=_given_up(session, now),
        queued=frozenset(Job.model_validate(task.job).stream for task in open_tasks),
        codes={name: today.code_of(name) for name in {job.verifier for job in jobs.values()}},
        environment=None if is_shared else today.environment(),
    )
    candidates = [_candidate(job, known) for job in jobs.values()]
    spent = _spent(session, open_tasks, said, now)
    return jobs, schedule.next_due(candidates, spent, said, now, os.cpu_count() or 1)


# --- what there is to choose from ------------------------------------------------------------------------------------


Contracts = Mapping[str, tuple[Contract, datetime]]  # of each claim, and since when


def _jobs(contracts: Contracts, profile: ScheduledProfile) -> dict[str, Job]:
    """Every measurement that a contract asks for and that can be made here, by its stream."""
    known = {claim_id: contract for claim_id, (contract, _) in contracts.items() if contract.verifier in verifiers()}
    return {job.stream: job for job in runs.jobs_of(known, profile)}


def _contracts(session: Session, states: Mapping[str, ClaimState]) -> dict[str, tuple[Contract, datetime]]:
    """The contract of every claim that has one and is not retired, and since when."""
    retired = {claim_id for claim_id, state in states.items() if _waiting(state).retired}
    newest: dict[str, ledger.Entry] = {}
    for row in session.exec(
        select(LedgerEntry).where(LedgerEntry.kind == "contract").order_by(col(LedgerEntry.seq), LedgerEntry.claim_id)
    ):
        newest[row.claim_id] = ledger.entry_of(row)
    found = {}
    for claim_id, entry in newest.items():
        contract = entry.event.read() if isinstance(entry.event, ContractSet) else None
        if contract is not None and claim_id not in retired:
            found[claim_id] = (contract, entry.at)
    return found


def _waiting(state: ClaimState) -> Waiting:
    return Waiting.model_validate(state.waiting or {})


class _Past(NamedTuple):
    """A run that could be evidence."""

    number: int
    state: str
    profile: str
    cpu_seconds: float
    ended_at: datetime | None


class _Known(NamedTuple):
    """What is read once for all candidates."""

    contracts: Contracts
    states: Mapping[str, ClaimState]
    slugs: Mapping[str, str]
    leans: Leans
    past: Mapping[str, Sequence[_Past]]  # runs of each stream, oldest first
    given_up: Mapping[str, Sequence[datetime]]  # when tasks of each stream failed
    queued: frozenset[str]  # streams
    codes: Mapping[str, str]  # of each verifier, as it would run now
    environment: str | None  # None where many machines share a library, for theirs differ

    def last_of(
        self, claim_id: str, contract: Contract, reading: SubjectReading | None, stream: str
    ) -> datetime | None:
        """When a claim was last tested on one of its subjects."""
        state = self.states.get(claim_id)
        if state is None or state.fresh_until is None or reading is None or not reading.runs:
            return None
        newest = state.fresh_until - contract.shelf_life_days * DAY
        if len(contract.subjects) == 1 or not reading.looks:
            return newest
        return self.times(stream).get(reading.looks[-1].run, newest)

    def times(self, stream: str) -> dict[int, datetime]:
        """When each run of a stream was measured."""
        past = self.past.get(stream, ())
        return {run.number: run.ended_at for run in past if run.state == "measured" and run.ended_at}


def _past(session: Session) -> dict[str, list[_Past]]:
    """Every run that could be evidence."""
    columns = (Run.number, Run.state, Run.profile, Run.cpu_seconds, Run.ended_at)
    past = defaultdict(list)
    query = select(Run.stream, *columns).where(Run.profile != "smoke").order_by(col(Run.started_at))  # type: ignore[call-overload]  # over four columns
    for stream, *told in session.exec(query):
        past[stream].append(_Past(*told))
    return past


def _given_up(session: Session, now: datetime) -> dict[str, list[datetime]]:
    """Tasks that ended without a run that measured: one may fail before it has any."""
    ended = select(Task).where(col(Task.state).in_(("failed", "cancelled")), col(Task.ended_at) > now - MEMORY)
    found = defaultdict(list)
    for task in session.exec(ended):
        if task.ended_at:
            found[Job.model_validate(task.job).stream].append(task.ended_at)
    return found


def _candidate(job: Job, known: _Known) -> Candidate:
    watched = tuple(_watched(claim_id, job, known) for claim_id in job.claims)
    evidence = max(claim.tested_at for claim in watched)
    past = known.past.get(job.stream, ())
    tried = [run.ended_at for run in past if run.ended_at and run.ended_at > evidence]
    given_up = [at for at in known.given_up.get(job.stream, ()) if at > evidence]
    return Candidate(
        key=job.stream,
        claims=watched,
        leaning=_leaning(job, known.leans),
        cost_cpu_seconds=_cost(job, past),
        failures=max(len(tried), len(given_up)),
        last_attempt_at=max([*tried, *given_up], default=None),
        under_way=job.stream in known.queued or any(run.state == "running" for run in past),
    )


def _watched(claim_id: str, job: Job, known: _Known) -> Watched:
    contract, since = known.contracts[claim_id]
    state = known.states.get(claim_id)
    stands = Standing.model_validate(state.body) if state else None
    reading = next((one for one in stands.subjects if one.subject == job.subject), None) if stands else None
    last = known.last_of(claim_id, contract, reading, job.stream)
    return Watched(
        id=claim_id,
        slug=known.slugs[claim_id],
        shelf_life_days=contract.shelf_life_days,
        since=since,
        last_run_at=last,
        events=tuple(_events(state, job.verifier, known, was_tested=last is not None)) if state else (),
        standing=state.standing if state else "UNTESTED",
        rhythm=rhythm(_looks(reading, contract, known.times(job.stream), last), contract.shelf_life_days)
        if reading and last
        else None,
    )


def _events(state: ClaimState, verifier: str, known: _Known, *, was_tested: bool) -> list[Event]:
    """What people and papers said, and whether the code or the libraries are others than those of the newest run."""
    because = _waiting(state).because
    events = [Event(cause=CAUSES.get(one.cause, one.cause), at=one.at, said=one.said) for one in because]  # type: ignore[arg-type]  # or one that needs no other name
    if not was_tested:
        return events
    if state.verifier_code and state.verifier_code != known.codes[verifier]:
        events.append(Event(cause="verifier", at=None))
    if known.environment and state.environment and state.environment != known.environment:
        events.append(Event(cause="library", at=None))
    return events


def _looks(reading: SubjectReading, contract: Contract, times: Mapping[int, datetime], newest: datetime) -> list[Look]:
    """The sequence after each run of the newest sample, on the scale of analysis: that of the first endpoint."""
    looks, borders = [], _borders(contract)
    for look in reading.looks:
        low, estimate, high = (_analysed(contract, value) for value in (look.low, look.estimate, look.high))
        border = min(borders, key=lambda at: abs(at - estimate))
        at = min(times.get(look.run, newest), newest)
        looks.append(Look(at=at, n=look.n, low=low, estimate=estimate, high=high, border=border, word=look.word))
    return looks


def _analysed(part: Part, value: float) -> float:
    return part.analysed(max(value, math.ulp(0.0)) if part.scale == "log" else value)


def _borders(part: Part) -> list[float]:
    return [part.analysed(span.high) for _, span in part.regions.in_order() if span.high is not None]


def _leaning(job: Job, leans: Leans) -> int:
    """How many notes, lines and prompts lean on the claims of a job."""
    found = {one.other.id: one for claim_id in job.claims for one in leans.on(claim_id)}
    return sum(1 + one.has_prompt for other, one in found.items() if other not in job.claims)


def _cost(job: Job, past: Sequence[_Past]) -> float:
    """What a run will cost: by its card, corrected by what its runs in this profile really cost."""
    expected = runs.expected_cpu_seconds(job)
    like = [run for run in past if run.state == "measured" and run.profile == job.profile and run.cpu_seconds > 0]
    return schedule.learned_cost(expected, [(run.cpu_seconds, expected) for run in like])


def _spent(session: Session, open_tasks: Sequence[Task], said: Settings, now: datetime) -> float:
    """What the schedule's tasks have cost today, with what those that are not done will."""
    midnight = said.day(now)
    ended = select(Task).where(Task.asked_by == WHO, col(Task.ended_at) >= midnight)
    ours = {task.id: task for task in (*open_tasks, *session.exec(ended)) if task.asked_by == WHO}
    used: dict[str, float] = defaultdict(float)
    query = select(Run.task_id, Run.cpu_seconds).where(col(Run.task_id).in_(ours), col(Run.started_at) >= midnight)
    for task_id, cpu_seconds in session.exec(query):
        used[task_id or ""] += cpu_seconds
    return math.fsum(
        max(used[task.id], runs.expected_cpu_seconds(Job.model_validate(task.job)))
        if task.state in OPEN
        else used[task.id]
        for task in ours.values()
    )
