"""The faults. Each makes a library, queues tasks, breaks something at a random point, and lets a last worker make what is
left; each returns what chance chose, in words. The first sentence of its docstring is its name.
"""

import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from alembic import command
from alembic.config import Config
from sqlmodel import select

from benchmarks.torture.scratch import Scratch, kill
from claims import ledger, verification
from kb.models import Claim
from kb.store import MIGRATIONS, Store
from stillholds.commands import common
from tests.claims_support import NOW, claim_page, marked
from tests.queue_support import numbers

DYING = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine

left = int(os.environ["DIES_AFTER"])

def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", count)
event.listen(Engine, "commit", count)
from stillholds.cli import main
main()
"""

SKEWED = """
import os, random
from datetime import UTC, datetime, timedelta
from stillholds.commands import common, work

chance = random.Random(os.environ["SKEW"])

def now():
    return datetime.now(UTC) + timedelta(seconds=chance.uniform(-1, 1) * 10 ** chance.uniform(0, 7))

common.now = work.now = now
from stillholds.cli import main
main()
"""

WRITER = """
import os, sys
from pathlib import Path
from claims import library
from kb.location import location_from
from kb.store import Store
from tests.claims_support import NOW, claim_page
from tests.queue_support import ask, numbers

store, me = Store.open(location_from(None, os.environ)), int(sys.argv[1])
for turn in range(3):
    slug = f"writer-{me}-{turn}"
    page = claim_page(Path(sys.argv[2]), slug, numbers(100 + 10 * me + turn, 0.1))
    assert not library.bring_in(store, [page], NOW).refused
    print(*ask(store, slug), flush=True)
"""


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def kill_worker(scratch: Scratch) -> str:
    """Kill the worker. The next one goes on with what it left."""
    scratch.library(5)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    scratch.until_it_runs()
    waited = scratch.pause(0, 1.5)
    kill(worker)
    scratch.finish()
    return f"{waited:.2f} s after its first child"


def kill_worker_between_statements(scratch: Scratch) -> str:
    """Kill the worker in the middle of its writing. What was not committed was never there."""
    scratch.library(4, longest=0.3)
    return _die_between_statements(scratch)


def kill_worker_between_statements_on_postgres(scratch: Scratch) -> str:
    """Kill the worker in the middle of its writing, on PostgreSQL. The server undoes what was not committed."""
    scratch.on_postgres(4, longest=0.3)
    return _die_between_statements(scratch)


def _die_between_statements(scratch: Scratch) -> str:
    scratch.ask()
    after = scratch.chance.randrange(600)
    worker = scratch.worker("--until-idle", code=DYING, DIES_AFTER=str(after))
    worker.wait(120)
    died = worker.returncode == -signal.SIGKILL
    scratch.ask(f"numbers-{scratch.chance.randrange(4)}")
    scratch.finish()
    return f"at statement {after}" if died else f"it needed fewer than {after} statements"


def kill_children(scratch: Scratch) -> str:
    """Kill verifiers' processes. What was killed is tried again, three times at most."""
    scratch.may_fail = True
    return _kill_some(scratch, "child")


def kill_keepers(scratch: Scratch) -> str:
    """Kill the keepers of verifiers' processes. Nothing gets away."""
    scratch.may_fail = True
    return _kill_some(scratch, "keeper")


def _kill_some(scratch: Scratch, kind: str) -> str:
    scratch.library(4)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    killed = 0
    for _ in range(scratch.chance.randint(1, 3)):
        scratch.until_it_runs()
        scratch.pause(0, 0.5)
        for process in scratch.children(kind)[:1]:
            kill(process)
            killed += 1
    worker.wait(120)
    scratch.finish()
    return f"{killed} of them"


def kill_all(scratch: Scratch) -> str:
    """Kill worker, keepers and children at once. It is as if the power had failed."""
    scratch.library(5)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    scratch.until_it_runs()
    waited = scratch.pause(0, 1.0)
    for process in [psutil.Process(worker.pid), *marked(scratch.mark)]:
        kill(process)
    worker.wait()
    scratch.finish()
    return f"{waited:.2f} s after the first child"


def kill_importer(scratch: Scratch) -> str:
    """Kill an import. Either all of its pages are in, or none."""
    scratch.library(2, longest=0.2)
    before = _claims(scratch.store)
    pages = scratch.folder / "more"
    for which in range(20):
        claim_page(pages, f"more-{which:02}", numbers(1000 + which, 0.0))
    after = scratch.chance.randrange(900)
    arguments = ("import", str(pages), "--json")
    dying = scratch.start(*arguments, code=DYING, DIES_AFTER=str(after))
    dying.wait(120)
    there = _claims(scratch.store) - before
    if there not in {0, 20}:
        raise AssertionError(f"{there} of 20 pages are in")
    again = scratch.start("-m", "stillholds", *arguments)
    if again.wait(120):
        raise RuntimeError(scratch.last_words())
    if _claims(scratch.store) - before != 20:
        raise AssertionError("the second import did not bring in what the first left out")
    scratch.ask("numbers-0", "numbers-1", "more-07")
    scratch.finish()
    return f"at statement {after}, {there} of 20 pages in"


def _claims(store: Store) -> int:
    with store.reading() as session:
        return len(session.exec(select(Claim.id)).all())


def kill_migration(scratch: Scratch) -> str:
    """Kill an upgrade from the first schema. The library is of the old one or of the new one, and whole."""
    scratch.library(3, longest=0.0)
    return _die_upgrading(scratch)


def kill_migration_on_postgres(scratch: Scratch) -> str:
    """Kill an upgrade from the first schema, on PostgreSQL. It is whole there too."""
    scratch.on_postgres(3, longest=0.0)
    return _die_upgrading(scratch)


def _die_upgrading(scratch: Scratch) -> str:
    jobs = verification.plan(scratch.store, None, "standard", NOW)
    verification.verify(scratch.store, jobs, common.means_for(1), Nobody())
    heads = _heads(scratch.store)
    _downgrade(scratch.store)
    scratch.asked = []  # the first schema knows no tasks
    after = scratch.chance.randrange(90)
    dying = scratch.start("init", code=DYING, DIES_AFTER=str(after))
    dying.wait(120)
    again = scratch.start("-m", "stillholds", "init")
    if again.wait(120):
        raise RuntimeError(scratch.last_words())
    if _heads(scratch.store) != heads:
        raise AssertionError("the upgrade changed the record")
    scratch.had = dict.fromkeys(heads, 1)
    scratch.ask()
    scratch.finish()
    return f"at statement {after}"


class Nobody:
    """Who watches runs that are made here and now."""

    def begun(self, *_: object) -> None:
        """Look away."""

    progressed = ended = begun


def _heads(store: Store) -> dict[str, str]:
    """The last entry of every chain, by its digest."""
    with store.reading() as session:
        ids = session.exec(select(Claim.id)).all()
        return {claim_id: last.digest for claim_id in ids if (last := ledger.head(session, claim_id))}


def _downgrade(store: Store) -> None:
    """Make it a library of the first schema, with everything that has a place there."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.engine.execution_options(writes=True).connect() as connection:
        if store.location.path is not None:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")


# --- the disk --------------------------------------------------------------------------------------------------------


def full_disk(scratch: Scratch) -> str:
    """Fill the disk. The worker waits, and goes on when there is room."""
    disk = scratch.mount("8m")
    if disk is None:
        return _small_files(scratch)
    scratch.library(4, disk / "library.db", longest=0.5)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    scratch.until_it_runs()
    scratch.pause(0, 1.0)
    ballast, leaving = disk / "ballast", scratch.chance.randrange(0, 200_000, 4096)
    with suppress(OSError):
        ballast.write_bytes(b"b" * max(0, shutil.disk_usage(disk).free - leaving))
    waited = scratch.pause(1.0, 4.0)
    ballast.unlink()
    worker.wait(120)
    scratch.finish()
    return f"{leaving >> 10} KB left for {waited:.1f} s"


def _small_files(scratch: Scratch) -> str:
    """Without the right to mount a small disk: a worker that may write no file beyond a size."""
    store = scratch.library(4, longest=0.5)
    scratch.ask()
    size = store.path.stat().st_size + scratch.chance.randrange(4096, 400_000)
    worker = scratch.worker("--until-idle", limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    waited = scratch.pause(3.0, 6.0)
    kill(worker)
    scratch.finish()
    return f"no file over {size >> 10} KB for {waited:.1f} s"


# --- many at once ----------------------------------------------------------------------------------------------------


def eight_writers(scratch: Scratch) -> str:
    """Let eight processes write at once beside a worker, and kill one. Whatever was said to be written is there."""
    scratch.library(2)
    scratch.ask()
    worker = scratch.worker()
    said = scratch.folder / "said"
    said.mkdir()
    writers = [_writer(scratch, number, said) for number in range(8)]
    scratch.pause(0.5, 4.0)
    victim = scratch.chance.randrange(8)
    kill(writers[victim])
    codes = [writer.wait(120) for writer in writers]
    wrong = [number for number, code in enumerate(codes) if code and number != victim]
    if wrong:
        raise RuntimeError(f"writers {wrong} failed: {scratch.last_words()}")
    for path in said.iterdir():
        scratch.asked += [line for line in path.read_text().split("\n")[:-1] if line]
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    scratch.finish()
    return f"{len(scratch.asked)} tasks from them, writer {victim} killed"


def _writer(scratch: Scratch, number: int, said: Path) -> "subprocess.Popen[str]":
    pages = scratch.folder / f"pages-{number}"
    with (said / str(number)).open("w") as out:
        return scratch.start(str(number), str(pages), code=WRITER, out=out)


def three_workers(scratch: Scratch) -> str:
    """Let three workers serve one PostgreSQL, and kill one. The two others make what it had."""
    scratch.on_postgres(7)
    scratch.ask()
    workers = [scratch.worker("--until-idle") for _ in range(3)]
    scratch.until_it_runs()
    waited = scratch.pause(0, 2.0)
    victim = scratch.chance.randrange(3)
    kill(workers[victim])
    codes = [worker.wait(150) for number, worker in enumerate(workers) if number != victim]
    if any(codes):
        raise RuntimeError(f"workers ended with {codes}: {scratch.last_words()}")
    return f"worker {victim} after {waited:.2f} s"


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def drop_connections(scratch: Scratch) -> str:
    """Drop all connections to PostgreSQL, again and again. Workers connect anew."""
    store = scratch.on_postgres(4)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    scratch.until_it_runs()
    name = store.location.url.partition("?")[0].rpartition("/")[2]
    dropped = 0
    for _ in range(scratch.chance.randint(3, 8)):
        scratch.pause(0, 0.6)
        dropped += scratch.servers.get().end_connections(name)
    if worker.wait(150):
        raise RuntimeError(f"the worker ended: {scratch.last_words()}")
    scratch.finish()
    return f"{dropped} connections"


def restart_server(scratch: Scratch) -> str:
    """Stop PostgreSQL at once, and start it a while later. Workers wait."""
    scratch.on_postgres(4)
    scratch.ask()
    worker = scratch.worker("--until-idle")
    scratch.until_it_runs()
    scratch.pause(0, 1.0)
    down, running = scratch.chance.uniform(0, 3), scratch.servers.get()
    running.stop()
    time.sleep(down)
    running.restart()
    if worker.wait(150):
        raise RuntimeError(f"the worker ended: {scratch.last_words()}")
    scratch.finish()
    return f"down for {down:.1f} s"


# --- the clock -------------------------------------------------------------------------------------------------------


def skew_clock(scratch: Scratch) -> str:
    """Turn the clock back and forth by up to four months, between any two looks at it. Order comes from no clock."""
    scratch.library(4, longest=0.5)
    scratch.ask()
    seed = str(scratch.chance.random())
    worker = scratch.worker("--until-idle", code=SKEWED, SKEW=seed)
    scratch.until_it_runs()
    waited = scratch.pause(0, 1.5)
    if scratch.chance.random() < 0.5:
        kill(worker)
    worker.wait(120)
    scratch.ask(f"numbers-{scratch.chance.randrange(4)}")
    again = scratch.worker("--until-idle", code=SKEWED, SKEW=seed)
    again.wait(120)
    scratch.finish()
    return f"killed after {waited:.2f} s" if worker.returncode else "not killed"


FAULTS: tuple[Callable[[Scratch], str], ...] = (
    kill_worker,
    kill_worker_between_statements,
    kill_worker_between_statements_on_postgres,
    kill_children,
    kill_keepers,
    kill_all,
    kill_importer,
    kill_migration,
    kill_migration_on_postgres,
    full_disk,
    eight_writers,
    three_workers,
    drop_connections,
    restart_server,
    skew_clock,
)
