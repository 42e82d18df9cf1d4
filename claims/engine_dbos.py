"""The durable queue, by DBOS on the library's own database: the only module that knows it.

A workflow is named after its task and does one thing: carry it out. DBOS remembers what is queued and who has begun
it, hands it to one worker, and wakes the schedule; what came of a task stands in our own tables and in the ledger, so
that losing the queue's tables costs nothing: what is not made is found and queued again.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer
from sqlalchemy import Engine, create_engine, event, inspect
from sqlmodel import Session

from claims import tasks
from claims.errors import Stopping
from claims.runs import Means
from claims.scratch import sweep_scratch
from claims.service import VERSION, Service, alone, dead, dismiss, enlist, living
from kb import migrate
from kb.errors import StoreError
from kb.store import Store, translated
from verifiers import stats

QUEUE, CARRY_OUT, TICK = "runs", "carry out", "tick"
AHEAD = 2  # tasks that are handed over before a slot is free, so that no slot waits for the queue
PATIENCE = 0.5  # seconds between two looks at the queue, and at what became of other workers
HEARTBEAT = 10.0
LIVING, ENDED = ("ENQUEUED", "PENDING", "DELAYED"), ("SUCCESS", "ERROR", "CANCELLED")
TIDY, KEPT = 3600.0, timedelta(days=1)  # how often the queue forgets, and what it does not forget yet
BATCH, BATCHES = 500, 20

LOG = logging.getLogger(__name__)
Tick = Callable[[datetime], None]


class Asker:
    """Queues tasks from a process that runs none: the app, the command line."""

    def __init__(self, store: Store) -> None:
        self._client = client_of(store)

    def __call__(self, session: Session, task_id: str) -> None:
        """Queue a task inside the transaction that writes it down. Before the first worker there is no queue: it finds
        what was asked for.
        """
        if _has_queue(session):
            self._client.enqueue_in_transaction(session, _named(task_id), task_id)


def serve(store: Store, service: Service, means: Means, tick: Tick, *, until_idle: bool) -> None:
    """Carry out tasks until SERVICE is stopped, or, with UNTIL_IDLE, until there is none.

    Raises:
        WorkerRuns: when a library in a file has a worker already.
        StoreError: when the library cannot be used.
    """
    with alone(store):
        sweep_scratch()
        enlist(store, service, means.clock())  # before it takes anything: what a stranger has is taken from him
        try:
            with translated(store.location):
                _launch(store, service, means, tick)
            _look_after(store, service, means, until_idle=until_idle)
        finally:
            service.stop()
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=30)
            tasks.give_back(store, [service.name], means.clock())
            dismiss(store, service.name)


def _launch(store: Store, service: Service, means: Means, tick: Tick) -> None:
    logging.getLogger("dbos").setLevel(logging.ERROR)
    config: DBOSConfig = {
        "name": "stillholds",
        "system_database_engine": _engine(store),
        "executor_id": service.name,  # of its own: whoever takes another's name begins its runs again
        "application_version": VERSION,  # pinned: by default it is a digest of the code, and old tasks would wait for ever
        "serializer": DBOSPortableJSONSerializer(),  # not pickle: whoever can write the tables could run code
        "log_level": "ERROR",
        "use_listen_notify": False,
        "scheduler_polling_interval_sec": 5.0,
    }
    DBOS(config=config)

    @DBOS.workflow(name=CARRY_OUT)
    def carry_out(task_id: str) -> None:
        DBOS.run_step({"name": CARRY_OUT}, _carried_out, store, task_id, means, service)

    @DBOS.workflow(name=TICK)
    def ticked(_scheduled: Any, _context: Any) -> None:
        DBOS.run_step({"name": TICK}, tick, means.clock())

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=service.slots + AHEAD, polling_interval_sec=PATIENCE)
    if DBOS.get_schedule(TICK) is None:
        DBOS.create_schedule(schedule_name=TICK, workflow_fn=ticked, schedule="* * * * *")


@cache
def _warm_up() -> None:
    """Load the statistics while the first child runs: the first verdict would wait for them with the store locked, and
    everybody else with it.
    """
    threading.Thread(target=stats.lai_radius, args=(8, 8, 0.95), daemon=True).start()


def _carried_out(store: Store, task_id: str, means: Means, service: Service) -> None:
    with service.taking(task_id) as is_first:
        if is_first:
            _warm_up()
            _to_its_end(store, task_id, means, service)


def _to_its_end(store: Store, task_id: str, means: Means, service: Service) -> None:
    try:
        tasks.carry_out(store, task_id, means, service)
    except Stopping:
        return  # it waits for the next worker
    except Exception as error:  # a task must end in words, not come back for ever
        if isinstance(error, StoreError) and (error.passing or _is_of_another_version(store)):
            return  # the worker is being stopped, or ends: the task is open, and is found again
        LOG.exception("task %s", task_id)
        tasks.give_up(store, task_id, f"{type(error).__name__}: {error}", means.clock())


def _is_of_another_version(store: Store) -> bool:
    """Whether somebody has upgraded the library under a worker that is older than that."""
    try:
        migrate.check(store.engine, store.location)
    except StoreError:
        return True
    return False


def _look_after(store: Store, service: Service, means: Means, *, until_idle: bool) -> None:
    """Say that this worker lives, take over from those that do not, and queue again what no queue knows."""
    client = client_of(store)
    dropped: set[str] = set()
    heard, tidied, quiet = time.monotonic(), float("-inf"), 0
    while not service.is_stopping():
        try:
            if time.monotonic() - tidied >= TIDY:
                with translated(store.location):
                    forget(client, means.clock())
                tidied = time.monotonic()
            if time.monotonic() - heard >= HEARTBEAT:
                with translated(store.location):
                    migrate.check(store.engine, store.location)  # or end, with what to do
                enlist(store, service, means.clock())
                heard = time.monotonic()
            with translated(store.location):
                left, dropped = _queue_again(store, service, client, means.clock(), dropped)
        except StoreError as error:
            if not error.passing:
                raise
            left = 1
        quiet = 0 if left else quiet + 1
        if until_idle and quiet > 1:
            return
        service.wait(PATIENCE)


def forget(client: DBOSClient, now: datetime) -> None:
    """Drop what the queue keeps of what ended a day ago or longer; every minute's tick leaves a row, half a million a year."""
    before = (now - KEPT).isoformat()
    for _ in range(BATCHES):
        ended = client.list_workflows(
            status=list(ENDED), completed_before=before, limit=BATCH, load_input=False, load_output=False
        )
        client.delete_workflows([one.workflow_id for one in ended])
        if len(ended) < BATCH:
            return


def _queue_again(
    store: Store, service: Service, client: DBOSClient, now: datetime, dropped: set[str]
) -> tuple[int, set[str]]:
    """Queue what no living worker has and no queue knows; return how many tasks there are still to make, and which the
    queue handed to this worker that does not have them: those that it had DROPPED the last time as well (the queue could
    not write when it began with them) are handed out anew.

    The order of the three looks matters: whoever has begun a task was enlisted before, and what waits was queued before.
    """
    with store.reading() as session:
        waiting, gone = tasks.makers(session), dead(session, now)
    if gone:
        tasks.give_back(store, gone, now)
        for name in gone:
            dismiss(store, name)
    if not waiting:
        return 0, set()
    known = client.list_workflows(name=CARRY_OUT, status=list(LIVING), load_input=False, load_output=False)
    with store.reading() as session:
        here = {worker.id for worker in living(session, now)}
    begun = [one for one in known if one.status == "PENDING"]
    idle = {
        one.workflow_id
        for one in begun
        if one.executor_id == service.name and not service.has(_task_of(one.workflow_id))
    }
    orphans = [one.workflow_id for one in begun if one.executor_id not in here or one.workflow_id in idle & dropped]
    if orphans:
        client.resume_workflows(orphans, queue_name=QUEUE)
    queued = {_task_of(one.workflow_id) for one in known}
    for task_id, maker in waiting.items():
        if task_id not in queued and not (service.has(task_id) if maker == service.name else maker in here):
            past = client.list_workflows(workflow_id_prefix=task_id, load_input=False, load_output=False)
            client.enqueue(_named(task_id, sum(one.status not in LIVING for one in past)), task_id)
    return len(waiting), idle


def _named(task_id: str, before: int = 0) -> Any:
    """How the workflow of a task is queued; one that has so many BEFORE it that ended has another name, and the same
    one whichever worker gives it: what has a name is queued once.
    """
    name = f"{task_id}.{before}" if before else task_id
    return {"queue_name": QUEUE, "workflow_name": CARRY_OUT, "workflow_id": name, "app_version": VERSION}


def _task_of(workflow_id: str) -> str:
    return workflow_id.partition(".")[0]


def _has_queue(session: Session) -> bool:
    is_shared = session.get_bind().dialect.name == "postgresql"  # there DBOS has a schema of its own
    return inspect(session.connection()).has_table("workflow_status", schema="dbos" if is_shared else None)


def client_of(store: Store) -> DBOSClient:
    """A way to the queue of a library from a process that runs nothing."""
    return DBOSClient(
        system_database_engine=_engine(store),
        serializer=DBOSPortableJSONSerializer(),
        application_name="stillholds",
        lazy=True,
        retry_connection_errors=False,
    )


def _engine(store: Store) -> Engine:
    """A way of its own into the library's database: DBOS begins transactions as it likes, and has no need of a disk
    that is waited for, because losing what it wrote last costs a task that is found again.
    """
    if store.location.path is None:
        return store.engine
    engine = create_engine(store.location.url)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
