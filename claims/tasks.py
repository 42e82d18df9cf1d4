"""What was asked for: from the moment somebody asks until it is made or given up.

A task is made by `carry_out`, which may be begun again at any point, by whoever: every attempt is recorded, the result
once. What queues tasks is told of new ones inside the transaction that writes them down (`Enqueue`), and may forget
them: `waiting` finds all that is not made yet.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from pydantic import AwareDatetime
from sqlmodel import Session, col, func, select

from claims import ledger, runs, service, worker
from claims.errors import NoContract, NoTask
from claims.runs import Begun, Job, Means
from kb.errors import StoreError
from kb.models import Entity, Run, Task, Worker
from kb.store import Store
from verifiers.measurement import Failure, Measurement, Progress, Request, SubjectRef, Value

Result = TypeVar("Result")
TURN = (
    threading.Lock()
)  # between threads of a process: one that waits here is woken, in the database it sleeps and looks
Enqueue = Callable[[Session, str], None]
OPEN = ("queued", "running")
PAUSES = (0.0, 2.0, 10.0)  # seconds before each attempt
NOTE_EVERY = 1.0  # seconds between two notes of how far a run is: each is a write, and writers wait for each other
FIRST = 0.05  # seconds by which a verdict waits for the next run to begin: that has a slot open, and this has not
STOPPED = "the worker was stopped; it is made again when one runs"


class Asked(Value):
    """A task as others may know it."""

    id: str
    job: Job
    state: str
    reason: str
    run: str | None  # the newest attempt


class Host(Protocol):
    """Who carries tasks out."""

    @property
    def name(self) -> str: ...

    def is_stopping(self) -> bool: ...

    def slot(self, turn: datetime) -> AbstractContextManager[object]: ...

    def begun(self, job: Job, run: Begun) -> None: ...

    def progressed(self, progress: Progress) -> None: ...


# --- asking ----------------------------------------------------------------------------------------------------------


def ask(store: Store, jobs: Sequence[Job], cause: str, who: str, now: datetime, enqueue: Enqueue) -> list[str]:
    """Write down what is wanted, and return the ids of the tasks that will make it; what is queued already is not
    queued twice.
    """
    with store.writing() as session:
        return [_ask(session, job, cause, who, now, enqueue) for job in jobs]


def _ask(session: Session, job: Job, cause: str, who: str, now: datetime, enqueue: Enqueue) -> str:
    key = ledger.digest_of(job.model_dump(mode="json"))
    queued = session.exec(
        select(Task).where(Task.key == key, Task.state == "queued", col(Task.cancel).is_(False))
    ).first()
    if queued is not None:
        return queued.id
    asked_at = _next(session.exec(select(func.max(Task.asked_at))).one(), now)
    task = Task(
        job=job.model_dump(mode="json"), claims=list(job.claims), key=key, cause=cause, asked_by=who, asked_at=asked_at
    )
    session.add(task)
    session.flush()
    enqueue(session, task.id)
    return task.id


def _next(newest: datetime | None, now: datetime) -> datetime:
    """When a task was asked for: at NOW, and behind the one before it, so that what is asked for together keeps its
    order.
    """
    tick = timedelta(microseconds=1)
    return newest + tick if newest and now <= newest < now + timedelta(seconds=1) else now


def asked(store: Store, task_id: str) -> Asked:
    """How far a task is."""
    with store.reading() as session:
        task = session.get_one(Task, task_id)
        newest = session.exec(select(Run.id).where(Run.task_id == task_id).order_by(col(Run.attempt).desc())).first()
        job = Job.model_validate(task.job)
        return Asked(id=task.id, job=job, state=task.state, reason=task.reason, run=newest)


def cancel(store: Store, task_id: str, now: datetime) -> None:
    """Ask for a task to stop: at once where it has not begun, within a second or two where it has."""
    with store.writing() as session:
        task = session.get_one(Task, task_id)
        if task.state in OPEN:
            task.cancel = True
        if task.state == "queued":
            task.state, task.reason, task.ended_at = "cancelled", "cancelled before it began", now


class Line(Value):
    """A task in one line."""

    id: str
    verifier: str
    subject: str
    profile: str
    claims: tuple[str, ...]  # slugs
    state: str
    reason: str
    cause: str
    asked_by: str
    asked_at: AwareDatetime
    ended_at: AwareDatetime | None
    worker: str | None
    number: int | None  # of the newest attempt
    attempt: int | None
    done: int
    total: int
    is_cancelled: bool


class Serving(Value):
    """A worker in one line."""

    id: str
    host: str
    pid: int
    slots: int
    started_at: AwareDatetime
    seen_at: AwareDatetime
    is_living: bool


class Queue(Value):
    """What waits, what is under way, what ended last, and who makes it."""

    tasks: tuple[Line, ...]
    workers: tuple[Serving, ...]


def overview(store: Store, now: datetime, ended: int = 20) -> Queue:
    """All that waits or is under way, the newest that ENDED, and the workers."""
    with store.reading() as session:
        here = {worker.id for worker in service.living(session, now)}
        order = (col(Task.asked_at), col(Task.id))
        open_ones = session.exec(select(Task).where(col(Task.state).in_(OPEN)).order_by(*order)).all()
        past = session.exec(
            select(Task).where(col(Task.state).not_in(OPEN)).order_by(col(Task.ended_at).desc()).limit(ended)
        ).all()
        return Queue(
            tasks=tuple(_line(session, task) for task in [*open_ones, *past]),
            workers=tuple(
                Serving(is_living=row.id in here, **row.model_dump(exclude={"pid_started", "version"}))
                for row in session.exec(select(Worker).order_by(col(Worker.started_at)))
            ),
        )


def _line(session: Session, task: Task) -> Line:
    job = Job.model_validate(task.job)
    run = session.exec(select(Run).where(Run.task_id == task.id).order_by(col(Run.attempt).desc())).first()
    return Line(
        id=task.id,
        verifier=job.verifier,
        subject=job.subject,
        profile=job.profile,
        claims=tuple(session.get_one(Entity, claim_id).slug for claim_id in task.claims),
        state=task.state,
        reason=task.reason,
        cause=task.cause,
        asked_by=task.asked_by,
        asked_at=task.asked_at,
        ended_at=task.ended_at,
        worker=task.worker,
        number=run.number if run else None,
        attempt=run.attempt if run else None,
        done=run.done if run else 0,
        total=run.total if run else 0,
        is_cancelled=task.cancel,
    )


def find(store: Store, said: str) -> str:
    """The id of the task that SAID is, or begins.

    Raises:
        NoTask: when there is none, or more than one.
    """
    with store.reading() as session:
        ids = session.exec(select(Task.id).where(col(Task.id).startswith(said.upper(), autoescape=True)).limit(2)).all()
    if len(ids) != 1:
        raise NoTask(
            f"{'no task' if not ids else 'more than one task'} begins with {said!r}: `stillholds queue` shows them"
        )
    return ids[0]


def waiting(session: Session) -> list[str]:
    """The tasks that are not made yet, oldest first."""
    return list(makers(session))


def makers(session: Session) -> dict[str, str | None]:
    """The tasks that are not made yet, oldest first, each with the worker that makes it, if one does."""
    found = select(Task.id, Task.worker).where(col(Task.state).in_(OPEN)).order_by(col(Task.asked_at), Task.id)
    return dict(session.exec(found).all())


def give_back(store: Store, workers: Sequence[str], now: datetime) -> None:
    """What workers that are gone had begun waits again; their attempts are recorded as what they were."""
    with store.reading() as session:
        begun = list(session.exec(select(Task.id).where(Task.state == "running", col(Task.worker).in_(workers))))
        attempts = list(session.exec(select(Run.id).where(Run.state == "running", col(Run.task_id).in_(begun))))
    for run_id in attempts:
        runs.end(store, run_id, Failure(reason=runs.DIED, cause="lost"), now)
    with store.writing() as session:
        theirs = (col(Task.id).in_(begun), col(Task.worker).in_(workers))  # another may have begun one meanwhile
        for task in session.exec(select(Task).where(Task.state == "running", *theirs)):
            task.state, task.worker = "queued", None


def give_up(store: Store, task_id: str, reason: str, now: datetime) -> None:
    """A task cannot be made, and why."""
    with store.writing() as session:
        task = session.get_one(Task, task_id)
        if task.state in OPEN:
            task.state, task.reason, task.ended_at = "failed", reason, now


# --- making ----------------------------------------------------------------------------------------------------------


def carry_out(store: Store, task_id: str, means: Means, host: Host) -> None:
    """Make what a task asks for: up to three attempts where what ended one may pass, and never one more for a verdict
    that somebody does not like.
    """
    turn = insist(lambda: _asked_at(store, task_id, means.clock()), host)
    with ExitStack() as slot:
        slot.enter_context(host.slot(turn))
        job = insist(lambda: _take(store, task_id, host, means.clock()), host)
        if job is None:
            return
        for attempt, pause in enumerate(PAUSES):
            _wait(pause, host)
            if attempt:  # into the line again: the one before may have let its slot go
                slot.close()
                slot.enter_context(host.slot(turn))
            ended = _attempt(store, job, task_id, means, host, slot.close)
            if ended is None or ended.cause != "lost" or host.is_stopping():
                break
        insist(lambda: _finish(store, task_id, ended, host, means.clock()), host)


def _asked_at(store: Store, task_id: str, now: datetime) -> datetime:
    with store.reading() as session:
        return session.exec(select(Task.asked_at).where(Task.id == task_id)).first() or now


def _take(store: Store, task_id: str, host: Host, now: datetime) -> Job | None:
    """Begin with a task, or go on with what is left of it; None where nothing is, or where another living worker makes
    it.
    """
    with store.writing() as session:
        task = session.get(Task, task_id)
        if task is None or task.state not in OPEN or _is_made_by_another(session, task, host, now):
            return None
        made = session.exec(select(Run.id).where(Run.task_id == task_id, Run.state == "measured")).first()
        if made is not None:  # the worker died between the verdict and this
            task.state, task.ended_at = "done", now
            return None
        if task.cancel:
            task.state, task.reason, task.ended_at = "cancelled", "cancelled", now
            return None
        task.state, task.worker, task.begun_at = "running", host.name, task.begun_at or now
        return Job.model_validate(task.job)


def _is_made_by_another(session: Session, task: Task, host: Host, now: datetime) -> bool:
    """The queue may hand one task to two: when both found that its worker was dead, or when it forgot what goes on."""
    if task.state == "running" and task.worker not in {None, host.name}:
        return task.worker in {worker.id for worker in service.living(session, now)}
    going = session.exec(select(Run).where(Run.task_id == task.id, Run.state == "running"))
    return any(runs.is_alive(run) and not runs.is_ours(run) for run in going)


def _attempt(
    store: Store, job: Job, task_id: str, means: Means, host: Host, let_go: Callable[[], None]
) -> Failure | None:
    """One attempt, recorded whatever comes of it; what ended it, unless it measured. LET_GO frees the slot once this run
    can no longer use every processor: the next one begins beside its last units, and while its verdict is written.
    """
    try:
        run = insist(lambda: _begin(store, job, task_id, means.clock()), host)
    except NoContract as error:
        return Failure(reason=str(error), cause="stopped")
    noted = _Noted(store, run.id, means)
    outcome: Measurement | Failure = Failure(reason="interrupted", cause="stopped")
    try:
        host.begun(job, run)
        outcome = measured(store, job, run, means, host, noted, let_go)
        if isinstance(outcome, Measurement):
            let_go()
            time.sleep(FIRST)
    except KeyboardInterrupt:
        outcome = Failure(reason="interrupted from the keyboard", cause="stopped")
        give_up(store, task_id, outcome.reason, means.clock())
        raise
    finally:
        insist(lambda: runs.end(store, run.id, outcome, means.clock(), noted.newest), host)
    return outcome if isinstance(outcome, Failure) else None


def _begin(store: Store, job: Job, task_id: str, now: datetime) -> Begun:
    """Begin an attempt. An older one of this task that is still open has nobody: a connection was lost just when it
    was written down.
    """
    runs.bury(store, now, task_id)
    return runs.begin(store, job, now, task_id)


class _Noted:
    """How far a run is, for whoever looks into the library: not more than once a second, and not at any price."""

    def __init__(self, store: Store, run_id: str, means: Means) -> None:
        self._store, self._run_id, self._means = store, run_id, means
        self._written = float("-inf")
        self.newest: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.newest = progress
        if time.monotonic() - self._written < NOTE_EVERY:
            return
        self._written = time.monotonic()
        _if_it_can(lambda: runs.follow(self._store, self._run_id, progress, self._means.clock()), instead=None)


def measured(
    store: Store,
    job: Job,
    run: Begun,
    means: Means,
    host: Host,
    noted: Callable[[Progress], None],
    let_go: Callable[[], None],
) -> Measurement | Failure:
    """What a run's child process says in the end; NOTED is told how far it is, LET_GO is called when fewer units are
    left than processes.
    """

    def on_progress(progress: Progress) -> None:
        noted(progress)
        host.progressed(progress)
        if 0 < progress.total - progress.done < request.processes:
            let_go()

    def is_cancelled() -> bool:
        return host.is_stopping() or _if_it_can(lambda: runs.is_cancelled(store, run.id), instead=False)

    request = Request(
        verifier=job.verifier,
        subject=SubjectRef.parse(job.subject),
        seed=run.seed,
        profile=job.profile,
        parameters=job.parameters,
        units=job.units,
        processes=job.processes or means.processes,
        cache=means.cache,
        memory_mb=job.memory_mb,
    )
    limits = worker.Limits(wall_seconds=job.wall_seconds, cpu_seconds=job.cpu_seconds)
    outcome = worker.measure(request, limits, on_progress, is_cancelled)
    if host.is_stopping() and isinstance(outcome, Failure):
        return Failure(reason=STOPPED, cause="stopped")
    return outcome


def _if_it_can(act: Callable[[], Result], *, instead: Result) -> Result:
    """Do ACT, which a run can do without: where the store refuses for a reason that may pass, INSTEAD."""
    try:
        return act()
    except StoreError as error:
        if not error.passing:
            raise
        return instead


def _finish(store: Store, task_id: str, ended: Failure | None, host: Host, now: datetime) -> None:
    with store.writing() as session:
        task = session.get_one(Task, task_id)
        if task.worker != host.name:
            return  # this worker was taken for dead, and what it made was not recorded: another makes it
        if ended is not None and host.is_stopping():
            task.state, task.worker = "queued", None
            return
        task.ended_at = now
        if ended is None:
            task.state = "done"
        else:
            task.state, task.reason = "cancelled" if task.cancel else "failed", ended.reason


def insist(act: Callable[[], Result], host: Host) -> Result:
    """Do ACT, again and again while the store refuses for a reason that may pass; a worker that is being stopped gives
    up.

    Raises:
        StoreError: for a reason that will not pass, or when there is no more time.
    """
    pause = 0.2
    while True:
        try:
            with TURN:
                return act()
        except StoreError as error:
            if not error.passing or host.is_stopping():
                raise
        _wait(pause, host)
        pause = min(2 * pause, 30.0)


def _wait(seconds: float, host: Host) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not host.is_stopping():
        time.sleep(min(0.2, seconds))
