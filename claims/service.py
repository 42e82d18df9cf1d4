"""A worker as the library knows it: enlisted, heard of while it lives, and given up when it is dead."""

import bisect
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psutil
from sqlmodel import Session, select

import kb.alone
from claims.errors import Stopping, WorkerRuns
from claims.runs import Begun, Job
from kb.models import Worker
from kb.store import Store
from verifiers.measurement import Progress

SILENCE = timedelta(seconds=60)  # after which a worker on another machine counts as dead
SETTLING = 0.3  # seconds within which tasks that were asked for together have all come
VERSION = "1"  # of what workers and askers say to each other in tables


class Service:
    """One worker: its name, its slots, and whether it is being stopped."""

    def __init__(self, slots: int) -> None:
        me = psutil.Process()
        self.slots = slots
        self.pid, self.pid_started, self.host = me.pid, me.create_time(), socket.gethostname()
        self.name = f"{self.host}-{self.pid}-{int(self.pid_started * 100)}"
        self._free = slots
        self._line: list[tuple[datetime, int]] = []  # whoever waits for a slot, in the order of their turns
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._in_hand: set[str] = set()
        self._hand = threading.Lock()

    def stop(self) -> None:
        """End what is under way, and begin nothing more."""
        self._stopping.set()

    def is_stopping(self) -> bool:
        """Whether somebody has said so."""
        return self._stopping.is_set()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long, or until the end."""
        self._stopping.wait(seconds)

    def begun(self, job: Job, run: Begun) -> None:
        """Whoever wants to know looks into the library."""

    def progressed(self, progress: Progress) -> None:
        """So does this."""

    @contextmanager
    def taking(self, task_id: str) -> Iterator[bool]:
        """Have a task in hand; False where another thread of this worker has it already."""
        with self._hand:
            is_first = task_id not in self._in_hand
            self._in_hand.add(task_id)
        try:
            yield is_first
        finally:
            if is_first:
                self._in_hand.discard(task_id)

    def has(self, task_id: str) -> bool:
        """Whether a task is in hand."""
        return task_id in self._in_hand

    @contextmanager
    def slot(self, turn: datetime) -> Iterator[None]:
        """One of the runs that may go on at once: of those that wait, the one whose TURN is first has it.

        Raises:
            Stopping: when the end comes before one is free.
        """
        mine, settled = (turn, threading.get_ident()), time.monotonic() + SETTLING
        with self._moved:
            bisect.insort(self._line, mine)
            try:
                while not (self._free and self._line[0] == mine and time.monotonic() >= settled):
                    if self.is_stopping():
                        raise Stopping
                    self._moved.wait(0.1)
                if self.is_stopping():
                    raise Stopping
                self._free -= 1
            finally:
                self._line.remove(mine)
                self._moved.notify_all()
        try:
            yield
        finally:
            with self._moved:
                self._free += 1
                self._moved.notify_all()


def enlist(store: Store, service: Service, now: datetime) -> None:
    """Say that a worker is there, or still is."""
    with store.writing() as session:
        now = _common_time(session, now)
        row = session.get(Worker, service.name)
        if row is not None:
            row.seen_at = now
            return
        session.add(
            Worker(
                id=service.name,
                host=service.host,
                pid=service.pid,
                pid_started=service.pid_started,
                version=VERSION,
                slots=service.slots,
                started_at=now,
                seen_at=now,
            )
        )


def dismiss(store: Store, name: str) -> None:
    """A worker is gone."""
    with store.writing() as session:
        row = session.get(Worker, name)
        if row is not None:
            session.delete(row)


def living(session: Session, now: datetime) -> list[Worker]:
    """The workers that are there: on this machine by their process, elsewhere by how lately they were heard of."""
    now = _common_time(session, now)
    return [row for row in session.exec(select(Worker)) if is_living(row, now)]


def dead(session: Session, now: datetime) -> list[str]:
    """The names of those that are enlisted and gone."""
    now = _common_time(session, now)
    return [row.id for row in session.exec(select(Worker)) if not is_living(row, now)]


def _common_time(session: Session, now: datetime) -> datetime:
    """The clock by which workers are heard of: the server's where many machines share one, for theirs may differ."""
    if session.get_bind().dialect.name != "postgresql":
        return now
    told: datetime = session.connection().exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return told


def is_living(row: Worker, now: datetime) -> bool:
    """Whether a worker still is."""
    if row.host != socket.gethostname():
        return now - row.seen_at < SILENCE
    try:
        return abs(psutil.Process(row.pid).create_time() - row.pid_started) < 1.0
    except psutil.Error:
        return False


@contextmanager
def alone(store: Store) -> Iterator[None]:
    """On SQLite one worker a file: it has one disk and one machine, and two would only wait for each other.

    Raises:
        WorkerRuns: when there is one.
    """
    if store.location.path is None:
        yield
        return
    with kb.alone.alone(store, "worker") as is_ours:
        if not is_ours:
            raise WorkerRuns(
                f"a worker serves {store.location} already, and a library in a file has one: give that one more slots "
                "(`stillholds worker --slots N`), or keep the library on PostgreSQL, where any number may serve it"
            )
        yield


def on_leash(stop: Callable[[], None]) -> None:
    """Call STOP when whoever holds the other end of this process's input is gone."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        stop()

    threading.Thread(target=watch, daemon=True).start()
