"""Runs a verifier in a child process of its own; knows its command line, never its modules.

The child reads one Request, tells its progress line by line, and ends with a Measurement or a Failure. Whatever else
it does (prints rubbish, dies, hangs, forks, eats memory or processor time) is a Failure with a reason. `-P` keeps the
user's folder off the child's import path: a `verifiers.py` that lies there must not run. A child that serves answers
one Request after the other.

Each child has a keeper (`_launch.py`), which ends it and all that came from it when this process says so or is gone,
and removes the run's scratch folder. Limits hold in three places: the child's own process sets what the kernel enforces
on memory, the keeper what it enforces on processor time, and here the whole family is added up once a second.
"""

import contextlib
import errno
import os
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated

import platformdirs
import psutil
from pydantic import Field, FiniteFloat, ValidationError

from claims import usage
from claims.scratch import MARK, end_marked, scratch_folder
from verifiers.measurement import EVENT, Event, Failure, Finished, Measurement, Progress, Request, Value

CHILD = (sys.executable, "-P", "-m", "verifiers")
KEEPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("_launch.py")))
PATIENCE = 5.0  # seconds that a keeper may take to end what it keeps, which takes it milliseconds
LONGEST = 64 * 2**20  # bytes of a line: a measurement of 1000 units takes one or two million
MOMENT = 1.0  # seconds that a look at the machine's processes is good for
WAITING = 4  # lines that may wait to be understood
REASON = 2000  # characters of a reason that are kept
MAY_PASS = {errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO}


class Limits(Value):
    """What a run may use. Processor time is that of all its processes together: None is what they can use in the time
    that it has. Memory is what each of its processes may hold, and all together as many times that as there are: None
    is what the request says.
    """

    wall_seconds: FiniteFloat
    cpu_seconds: Annotated[FiniteFloat, Field(gt=0)] | None = None
    memory_mb: Annotated[int, Field(ge=256)] | None = None

    def of(self, request: Request) -> "Limits":
        """These limits with what they leave to REQUEST."""
        return Limits(
            wall_seconds=self.wall_seconds,
            cpu_seconds=self.cpu_seconds or self.wall_seconds * _processes(request),
            memory_mb=self.memory_mb or request.memory_mb,
        )


def _processes(request: Request) -> int:
    """Those that work, and the one that leads them if there are several."""
    return request.processes + (request.processes > 1)


def cache_folder() -> Path:
    """Where checkpoints and logs may lie: $XDG_CACHE_HOME/stillholds, or the system's like."""
    return Path(platformdirs.user_cache_dir("stillholds"))


def measure(
    request: Request,
    limits: Limits | float,
    on_progress: Callable[[Progress], None],
    is_cancelled: Callable[[], bool],
    *,
    folder: Path | None = None,
) -> Measurement | Failure:
    """Run REQUEST to its end; IS_CANCELLED is asked about once a second and ends it early. LIMITS may be a number of
    seconds alone. The experiment works in FOLDER, or in a scratch folder of its own, which is removed afterwards.
    """
    allowed = _limits(limits).of(request)
    with contextlib.ExitStack() as afterwards:
        try:
            scratch = afterwards.enter_context(scratch_folder())
            child = Child(CHILD, cpu_seconds=allowed.cpu_seconds, scratch=scratch, folder=folder or scratch)
        except (OSError, RuntimeError) as error:
            if not _may_pass(error):
                raise
            return Failure(reason=f"no process could be started for the experiment: {error}", cause="lost")
        afterwards.callback(child.end)
        return child.answer(request, allowed, on_progress, is_cancelled)


def _limits(limits: Limits | float) -> Limits:
    return limits if isinstance(limits, Limits) else Limits(wall_seconds=limits)


def _may_pass(error: OSError | RuntimeError) -> bool:
    """Whether the machine had too little of something; a RuntimeError is what Python says when it gets no thread."""
    return isinstance(error, RuntimeError) or error.errno in MAY_PASS


def serving(threads: int = 1) -> "Child":
    """A child that answers one request after the other, each in the process that it is: planted subjects take less
    time than starting a process does. One that did not answer in time is of no more use.
    """
    return Child((*CHILD, "--serve"), threads)


class Child:
    """A verifier's process with its keeper, and threads that listen to it so that its pipes never fill."""

    def __init__(
        self,
        command: Sequence[str],
        threads: int = 1,
        *,
        cpu_seconds: float | None = None,
        scratch: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        if shutil.which(command[0]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        self._cpu_seconds = cpu_seconds
        self._mark = str(scratch or secrets.token_hex(8))
        marks = {MARK: self._mark, "OMP_NUM_THREADS": str(threads)} | ({"TMPDIR": str(scratch)} if scratch else {})
        held, self._leash = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*KEEPER, str(held), str(cpu_seconds or 0), str(scratch or ""), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that Ctrl-C is for whoever waits, who then ends it
                env=os.environ | _absolute_path() | marks,
                cwd=folder,
                pass_fds=(held,),
            )
        except OSError:
            os.close(self._leash)
            raise
        finally:
            os.close(held)
        self._lines: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._last_words: deque[bytes] = deque(maxlen=50)
        self._is_mute = self._has_answered = self._has_been_ended = False
        self._told = 0.0
        self._known: list[psutil.Process] = []
        self._looked = -float("inf")
        self._overhearing = threading.Thread(target=self._overhear, daemon=True)
        self._listening = threading.Thread(target=self._listen, daemon=True)
        try:
            self._overhearing.start()
            self._listening.start()
        except RuntimeError:
            self.end()
            raise

    def answer(
        self,
        request: Request,
        limits: Limits | float,
        on_progress: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
    ) -> Measurement | Failure:
        """Ask for REQUEST and wait for what comes of it."""
        allowed = _limits(limits).of(request)
        asked = request.model_copy(update={"memory_mb": allowed.memory_mb})
        began = time.monotonic()
        before = self.cpu_seconds() if allowed.cpu_seconds and self._has_answered else 0.0
        self._has_answered = True
        with contextlib.suppress(BrokenPipeError):  # it died at once; `events` says why
            self._stdin.write(asked.model_dump_json().encode() + b"\n")
            self._stdin.flush()  # and left open: its end tells the child that nobody waits any more

        def is_over() -> Failure | None:
            if is_cancelled():
                return Failure(reason="cancelled", cause="stopped")
            if time.monotonic() - began < 1:  # too early to have used much, and a look takes milliseconds
                return None
            return self._too_much(allowed, before, _processes(request))

        for event in self.events(began + allowed.wall_seconds, is_over):
            match event:
                case Progress():
                    on_progress(event)
                case Finished():
                    return event.measurement
                case Failure():
                    return event.model_copy(update={"reason": event.reason[:REASON]})
        return Failure(
            reason=f"it took longer than the {allowed.wall_seconds:g} s that its contract allows, and was stopped"
        )

    def events(self, deadline: float, is_over: Callable[[], Failure | None]) -> Iterator[Event]:
        """What the child says, until it has said all or the monotonic clock reaches DEADLINE; IS_OVER is asked about
        once a second, however much the child says.
        """
        looked = -float("inf")
        while (now := time.monotonic()) < deadline:
            if now - looked >= 1:
                looked = now
                if failure := is_over():
                    yield failure
                    return
            try:
                yield _understood(self._next(min(1.0, deadline - now)))
            except queue.Empty:
                if self._has_ended():
                    yield self._died()

    def cpu_seconds(self) -> float:
        """What the child and all that came from it have used so far; 0 once it is gone. To find them takes a look at every
        process of the machine, so those of a moment ago will do: what they have waited for since is in their times.
        """
        is_fresh = time.monotonic() - self._looked < MOMENT
        return usage.cpu_seconds(self._known if is_fresh else self._family())

    def spent(self) -> float:
        """Processor time since this was asked last, the first time with what it took to start."""
        before, self._told = self._told, self.cpu_seconds()
        return max(0.0, self._told - before)

    def end(self) -> None:
        """Leave nothing behind: neither the child nor any process that came from it."""
        if self._has_been_ended:
            return
        self._has_been_ended = True
        os.close(self._leash)
        if self._process.poll() is None:
            self._hush()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        code = self._process.returncode
        if code is None or code < 0:  # the keeper cannot end them, or perhaps it was the one that was killed
            self._process.kill()
            end_marked(self._mark)
            self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def _hush(self) -> None:
        """Wait until nobody can say anything more, which is sooner known than that all have ended."""
        with contextlib.suppress(queue.Empty):  # room for what the listener still holds
            while True:
                self._lines.get_nowait()
        if self._listening.ident is not None:
            self._listening.join(PATIENCE)

    @property
    def _stdin(self) -> IO[bytes]:
        return _opened(self._process.stdin)

    def _listen(self) -> None:
        with _opened(self._process.stdout) as said:
            while not self._has_been_ended and (line := said.readline(LONGEST + 1)):
                self._lines.put(line)
                if len(line) > LONGEST:
                    break
        self._lines.put(None)

    def _overhear(self) -> None:
        with _opened(self._process.stderr) as said:
            while line := said.readline(4096):
                self._last_words.append(line)

    def _next(self, seconds: float) -> bytes:
        """The next line.

        Raises:
            queue.Empty: when there is none within so many SECONDS, or there will be no more and the child has ended.
        """
        line = None if self._is_mute else self._lines.get(timeout=seconds)
        if line is not None:
            return line
        self._is_mute = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        raise queue.Empty

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
        said = b"".join(self._last_words).decode(errors="replace").strip().splitlines()
        last = said[-1][-REASON // 2 :] if said else "it said nothing"
        match -code:
            case signal.SIGXCPU if self._cpu_seconds:
                return _stopped("it used more processor time than", f"{self._cpu_seconds:g} s", "cpu_seconds")
            case signal.SIGKILL:  # and not by us, who listen no more once we have killed
                how = "was killed by SIGKILL before it had measured anything: by somebody else, or by a machine without memory"
                return Failure(reason=f"the experiment's process {how}", cause="lost")
        how = f"was killed by {_name_of(-code)}" if code < 0 else f"ended with code {code}"
        return Failure(reason=f"the experiment's process {how} before it had measured anything: {last}")

    def _too_much(self, allowed: Limits, before: float, processes: int) -> Failure | None:
        """Which limit the family has broken, if any. BEFORE is the processor time that earlier requests took."""
        family = self._family()
        cpu_seconds = usage.cpu_seconds(family) - before
        if allowed.cpu_seconds and cpu_seconds > allowed.cpu_seconds:
            used = f"it used {cpu_seconds:.1f} s of processor time, more than"
            return _stopped(used, f"{allowed.cpu_seconds:g} s", "cpu_seconds")
        together = (allowed.memory_mb or 0) * processes
        if together and (held := usage.memory_mb_over(together, family[1:])):
            each = f" ({allowed.memory_mb} MB for each of {processes} processes)" if processes > 1 else ""
            return _stopped(f"it held {held:.0f} MB of memory, more than", f"{together} MB{each}", "memory_mb")
        return None

    def _family(self) -> list[psutil.Process]:
        """The keeper first."""
        self._known, self._looked = usage.family(self._process.pid), time.monotonic()
        return self._known


def _stopped(did: str, allowed: str, budget: str) -> Failure:
    return Failure(
        reason=f"{did} the {allowed} that its contract allows, and was stopped: if the experiment needs more, "
        f"raise budget.{budget} in the contract"
    )


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _absolute_path() -> Mapping[str, str]:
    """$PYTHONPATH such that it means the same in another folder."""
    said = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, said.split(os.pathsep)))} if said else {}


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("the child was started without pipes")
    return pipe


def _understood(line: bytes) -> Event:
    if len(line) > LONGEST:
        return Failure(reason=f"the experiment's process said more than {LONGEST >> 20} MB without ending the line")
    try:
        return EVENT.validate_json(line)
    except ValidationError:
        said = line[:REASON].decode(errors="replace").strip()[:200]
        return Failure(reason=f"the experiment's process said something that is no measurement: {said!r}")
