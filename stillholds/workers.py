"""A worker for whoever needs one: the app keeps one while it runs, a command borrows one until its work is done."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from claims import service, tasks, timetable
from claims.runs import Job
from claims.worker import cache_folder
from kb.location import VARIABLE, Location
from kb.store import Store


def ask(store: Store, jobs: Sequence[Job], cause: str, who: str) -> list[str]:
    """Queue jobs; the ids are those of the tasks that will make them."""
    from claims.engine_dbos import Asker

    return tasks.ask(store, jobs, cause, who, datetime.now(UTC), Asker(store))


class Borrowed:
    """Sees to it that there is a worker: where none lives, one that ends when there is nothing left to do."""

    def __init__(self, store: Store, processes: int | None = None) -> None:
        self._store, self._processes = store, processes
        self._started: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Look, and start one if there is need."""
        if self._started is not None and self._started.poll() is None:
            return
        with self._store.reading() as session:
            if service.living(session, datetime.now(UTC)):
                return
        self._started = start(self._store.location, "--until-idle", processes=self._processes)


@contextmanager
def kept(location: Location) -> Iterator[None]:
    """A worker for as long as this lasts: one that dies is followed by another, and none outlives this process."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(location, over), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(location: Location, over: threading.Event) -> None:
    pause = 1.0
    while not over.is_set():
        began = time.monotonic()
        worker = start(location, on_leash=True)
        while worker.poll() is None and not over.wait(0.5):
            pass
        _let_go(worker)
        pause = 1.0 if time.monotonic() - began > 60 else min(2 * pause, 60.0)  # there may be another one already
        over.wait(pause)


class Pulls:
    """Lets a worker pull when it is time, in a process of its own: what it waits for holds up nothing else, and what it
    loads is gone afterwards.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pull: subprocess.Popen[bytes] | None = None

    def look(self, now: datetime) -> None:
        """Begin a pull if one is due and none is under way."""
        if self._pull is not None and self._pull.poll() is None:
            return
        if timetable.to_pull(self._store, now):
            self._pull = _started(self._store.location, "pull", ["--scheduled"], on_leash=True)

    def stop(self) -> None:
        """End what is under way; it goes on with the next worker."""
        if self._pull is not None:
            _let_go(self._pull)


def _let_go(worker: "subprocess.Popen[bytes]") -> None:
    """End a worker by its leash, and by force if it does not listen."""
    with contextlib.suppress(BrokenPipeError):
        if worker.stdin is not None:
            worker.stdin.close()
    try:
        worker.wait(timeout=20)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def start(
    location: Location, *options: str, processes: int | None = None, on_leash: bool = False
) -> "subprocess.Popen[bytes]":
    """Start a worker in a process of its own; one on a leash ends when this process does. Its words go into a file."""
    shared = ["--processes", str(processes)] if processes else []
    return _started(location, "worker", [*options, *shared], on_leash=on_leash)


def _started(location: Location, command: str, options: Sequence[str], *, on_leash: bool) -> "subprocess.Popen[bytes]":
    log = cache_folder() / "logs" / f"{command}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as words:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "stillholds", command, *options, *(["--leash"] if on_leash else [])],
            env=os.environ | {VARIABLE: location.url},  # not on the command line, which all users of a machine can read
            stdin=subprocess.PIPE if on_leash else subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,  # what interrupts the command or the app is not for it
        )
