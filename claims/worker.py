"""Runs a verifier in a child process of its own; knows its command line, never its modules.

The child reads one Request, tells its progress line by line, and ends with a Measurement or a Failure. Whatever else
it does (prints rubbish, dies, hangs, eats memory) is a Failure with a reason. `-P` keeps the user's folder off the
child's import path: a `verifiers.py` that lies there must not run. The child watches its stdin and ends when this
process does, even when that is killed. A child that serves answers one Request after the other.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import platformdirs
import psutil
from pydantic import ValidationError

from verifiers.measurement import EVENT, Event, Failure, Finished, Measurement, Progress, Request

CHILD = (sys.executable, "-P", "-m", "verifiers")


def cache_folder() -> Path:
    """Where checkpoints and logs may lie: $XDG_CACHE_HOME/stillholds, or the system's like."""
    return Path(platformdirs.user_cache_dir("stillholds"))


def measure(
    request: Request,
    wall_seconds: float,
    on_progress: Callable[[Progress], None],
    is_cancelled: Callable[[], bool],
) -> Measurement | Failure:
    """Run REQUEST to its end; IS_CANCELLED is asked about once a second and ends it early."""
    child = Child(CHILD)
    try:
        return child.answer(request, wall_seconds, on_progress, is_cancelled)
    finally:
        child.end()


def serving(threads: int = 1) -> "Child":
    """A child that answers one request after the other, each in the process that it is: planted subjects take less
    time than starting a process does. One that did not answer in time is of no more use.
    """
    return Child((*CHILD, "--serve"), threads)


class Child:
    """A verifier's process, and threads that listen to it so that its pipes never fill."""

    def __init__(self, command: Sequence[str], threads: int = 1) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a group of its own, so that its own children end with it
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._last_words: deque[str] = deque(maxlen=50)
        self._overhearing = threading.Thread(target=self._overhear, daemon=True)
        self._overhearing.start()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def answer(
        self,
        request: Request,
        wall_seconds: float,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Measurement | Failure:
        """Ask for REQUEST and wait for what comes of it."""
        deadline = time.monotonic() + wall_seconds
        with contextlib.suppress(BrokenPipeError):  # it died at once; `events` says why
            self._stdin.write(request.model_dump_json() + "\n")
            self._stdin.flush()  # and left open: its end tells the child that this process has ended
        for event in self.events(deadline, is_cancelled):
            match event:
                case Progress():
                    on_progress(event)
                case Finished():
                    return event.measurement
                case Failure():
                    return event
        return Failure(reason=f"it took longer than the {wall_seconds:g} s that its contract allows, and was stopped")

    def events(self, deadline: float, is_cancelled: Callable[[], bool]) -> Iterator[Event]:
        """What the child says, until it has said all or the monotonic clock reaches DEADLINE."""
        while time.monotonic() < deadline:
            if is_cancelled():
                yield Failure(reason="cancelled")
                return
            try:
                yield _understood(self._lines.get(timeout=1.0))
            except queue.Empty:
                if self._has_ended():
                    yield self._died()

    def cpu_seconds(self) -> float:
        """What the child has used so far, with those of its own children that have ended; 0 once it is gone."""
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return times.user + times.system + times.children_user + times.children_system

    def end(self) -> None:
        """Leave nothing behind: neither the child nor any process that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    @property
    def _stdin(self) -> IO[str]:
        return _opened(self._process.stdin)

    def _listen(self) -> None:
        with _opened(self._process.stdout) as said:
            for line in said:
                self._lines.put(line)

    def _overhear(self) -> None:
        with _opened(self._process.stderr) as said:
            self._last_words.extend(said)

    def _has_ended(self) -> bool:
        """Whether the child is gone and all it said was read. Its pipe says nothing of that: the child may have closed
        it and live, and what it started may hold it open after it died.
        """
        if self._process.poll() is None:
            return False
        self._listening.join(timeout=1.0)
        return self._lines.empty()

    def _died(self) -> Failure:
        code = self._process.wait()
        self._overhearing.join(timeout=2)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        said = "".join(self._last_words).strip().splitlines()
        return Failure(
            reason=f"the experiment's process {how} before it had measured anything: {said[-1] if said else 'it said nothing'}"
        )


def _opened(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise TypeError("the child was started without pipes")
    return pipe


def _understood(line: str) -> Event:
    try:
        return EVENT.validate_json(line)
    except ValidationError:
        return Failure(reason=f"the experiment's process said something that is no measurement: {line.strip()[:200]!r}")
