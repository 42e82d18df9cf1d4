"""What the queue costs: `python -P benchmarks/queue.py [--tasks 200] [--seconds 1] [--slots 2] [--json]`. Without -P this
file would stand in for Python's own module of that name.

Claims on the verifier `trivial`, each a child process that sleeps for so long, queued and drained by one worker on SQLite.
What is counted is rows of the ledger: as many verdicts as tasks, or the benchmark fails. A child's own time is from the
moment before its process is started until that process is gone, so with the interpreter's start and end, as the
worker's own object for the child sees it. Overhead is what the slots were open beyond that:

    overhead = (wall time × slots − the children's own time together) / the children's own time together

once with the wall time from the first row that says a run begins to the last verdict, and once from the start of the
worker's process to its end, which adds the import of the queue's library and two quiet looks.

Beside it, in the same session on the same requests: a pool of threads around `subprocess.run` of the same children, which
keeps nothing, checks nothing and loses all when it is killed, and so says what the machine itself takes; and huey with its
queue in SQLite, where it is installed (`pip install --target FOLDER huey`, then PYTHONPATH=FOLDER).
"""

import argparse
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlmodel import select

from claims import verification
from claims.audit import audit
from kb.models import LedgerEntry
from kb.store import Store
from tests.claims_support import NOW
from tests.queue_support import PACKAGE, a_queue_library, ask
from verifiers.measurement import Request, SubjectRef

ROOT = Path(__file__).resolve().parents[1]
CHILD = [sys.executable, "-P", "-m", "verifiers"]
BOUND = 0.05

WORKER = """
import json, os, sys, time
from claims import worker

class Timed(worker.Child):
    took = []
    def __init__(self, *said, **named):
        self.began = time.monotonic()
        super().__init__(*said, **named)
    def end(self):
        first = not self._has_been_ended
        super().end()
        if first:
            Timed.took.append(time.monotonic() - self.began)

worker.Child = Timed
from stillholds.cli import main
try:
    main()
finally:
    with open(os.environ["CHILDREN"], "w") as out:
        json.dump(Timed.took, out)
"""

HUEY = """
import os, subprocess, sys
from huey import SqliteHuey
huey = SqliteHuey(filename=os.environ["HUEY"], fsync=True)

@huey.task()
def measured(request):
    command = [sys.executable, "-P", "-m", "verifiers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdin.write(request)
        child.stdin.flush()
        return child.stdout.read()
"""


class Drained(NamedTuple):
    """How a queue was drained."""

    name: str
    done: int
    wall_s: float
    own_s: float | None  # the children's, together
    slots: int

    @property
    def overhead(self) -> float | None:
        """The share of the open slots in which no child lived."""
        return (self.wall_s * self.slots - self.own_s) / self.own_s if self.own_s else None


def main() -> None:
    """Drain the queue in every way, and say what each took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    prepare()
    with tempfile.TemporaryDirectory(prefix="stillholds-queue-") as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        store = a_queue_library(folder, [said.seconds] * said.tasks)
        requests = requests_of(store)
        found = [] if said.only_ours else [pool(requests, said.slots)]
        found += ours(store, said.slots, folder)
        if not said.only_ours and importlib.util.find_spec("huey"):
            found.append(with_huey(requests, said.slots, folder))
        problems = audit(store).problems
    tell(found, said, as_json=said.json)
    drained = found[0 if said.only_ours else 1]
    whole = drained.done == said.tasks and not problems
    raise SystemExit(0 if whole and (drained.overhead or 0) <= BOUND else 1)


def prepare() -> None:
    """Let this process and its children know the verifier `trivial`."""
    sys.path.insert(0, str(PACKAGE))
    given = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PACKAGE), str(ROOT), *([given] if given else [])])
    os.environ["OMP_NUM_THREADS"] = "1"


def requests_of(store: Store) -> list[str]:
    """What the children are asked, but for their seeds."""
    jobs = verification.plan(store, None, "standard", NOW)
    return [
        Request(
            verifier=job.verifier,
            subject=SubjectRef.parse(job.subject),
            seed=number,
            profile=job.profile,
            parameters=job.parameters,
            units=job.units,
            processes=1,
            cache=os.environ["XDG_CACHE_HOME"],
            memory_mb=job.memory_mb,
        ).model_dump_json()
        + "\n"
        for number, job in enumerate(jobs)
    ]


# --- ours ------------------------------------------------------------------------------------------------------------


def ours(store: Store, slots: int, folder: Path) -> list[Drained]:
    """One worker until it is idle."""
    ids = ask(store)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-c", WORKER, "worker", "--until-idle", "--slots", str(slots), "--processes", "1"],
        env=os.environ | {"STILLHOLDS_STORE": store.location.url, "CHILDREN": str(folder / "children.json")},
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.monotonic() - began
    if done.returncode:
        sys.exit(done.stderr)
    own = sum(json.loads((folder / "children.json").read_text()))
    times = {kind: times_of(store, kind) for kind in ("run", "verdict")}
    between = (max(times["verdict"]) - min(times["run"])).total_seconds()
    count = len(times["verdict"])
    if count != len(ids):
        print(f"{count} verdicts for {len(ids)} tasks", file=sys.stderr)
    return [
        Drained("Still Holds, first row to last verdict", count, between, own, slots),
        Drained("Still Holds, with the worker's start and end", count, whole, own, slots),
    ]


def times_of(store: Store, kind: str) -> list[datetime]:
    """When the ledger's rows of one kind were written."""
    with store.reading() as session:
        return list(session.exec(select(LedgerEntry.at).where(LedgerEntry.kind == kind)))


# --- what one would pick instead -------------------------------------------------------------------------------------


def pool(requests: Sequence[str], slots: int) -> Drained:
    """The same children from a pool of threads: no queue, no record, no limits."""
    began = time.monotonic()
    with ThreadPoolExecutor(slots) as threads:
        took = list(threads.map(one_child, requests))
    return Drained("a pool of threads, nothing kept", len(took), time.monotonic() - began, sum(took), slots)


def one_child(request: str) -> float:
    """How long one child took."""
    began = time.monotonic()
    with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdin.write(request)
        child.stdin.flush()  # and left open: its end tells the child that nobody waits any more
        said = child.stdout.read()
    if '"finished"' not in said:
        raise RuntimeError(said)
    return time.monotonic() - began


def with_huey(requests: Sequence[str], slots: int, folder: Path) -> Drained:
    """The same children from huey's consumer, with its queue and results in SQLite."""
    (folder / "hueys.py").write_text(HUEY)
    where = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    environment = os.environ | {"HUEY": str(folder / "huey.db"), "PYTHONPATH": where}
    fill = "import sys, json, hueys\nfor one in json.load(sys.stdin): hueys.measured(one)"
    subprocess.run([sys.executable, "-c", fill], input=json.dumps(requests), env=environment, text=True, check=True)
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "hueys.huey", "-w", str(slots), "-q"]
    began = time.monotonic()
    consumer = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        done = 0
        while done < len(requests):
            time.sleep(0.5)
            with closing(sqlite3.connect(folder / "huey.db")) as there:
                done = there.execute("SELECT count(*) FROM kv").fetchone()[0]  # results
        return Drained("huey, its queue in SQLite", done, time.monotonic() - began, None, slots)
    finally:
        consumer.terminate()
        consumer.wait()


# --- what is said ----------------------------------------------------------------------------------------------------


def tell(found: Sequence[Drained], said: argparse.Namespace, *, as_json: bool) -> None:
    """Print it for people or for programs."""
    load = os.getloadavg()[0]
    if as_json:
        rows = [one._asdict() | {"overhead": one.overhead} for one in found]
        value: dict[str, Any] = {
            "tasks": said.tasks,
            "seconds": said.seconds,
            "load": load,
            "bound": BOUND,
            "runs": rows,
        }
        print(json.dumps(value, indent=2))
        return
    print(f"{said.tasks} tasks of {said.seconds:g} s on {said.slots} slots; load average {load:.1f}")
    for one in found:
        share = "" if one.overhead is None else f", overhead {one.overhead:.1%} over {one.own_s:.1f} s of children"
        print(f"{one.name}: {one.done} done in {one.wall_s:.1f} s{share}")
    if not said.only_ours:
        print(f"ratio to the pool: {found[1].wall_s / found[0].wall_s:.3f}")
        if not importlib.util.find_spec("huey"):
            print("huey is not installed; see the top of this file")


if __name__ == "__main__":
    main()
