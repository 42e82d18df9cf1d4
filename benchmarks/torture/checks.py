"""What must be true of a library after any fault, once a last worker has made what was left.

What a whole run would have given is known without any run: the units of `trivial` follow from the seed of their run
alone, and that from the library, the stream and the number. They are drawn again here, by code that shares nothing with
the child's but Python's own generator.
"""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, select

from benchmarks.torture.scratch import Scratch
from claims import ledger, runs
from claims.audit import audit
from claims.ledger import Entry, RunFailed, RunStarted, VerdictGiven
from claims.runs import Job
from kb.models import Claim, Library, Run, Task, Worker
from kb.store import Store

ENDED = {"done", "failed", "cancelled"}
UNITS, SPREAD = 8, 0.3


@dataclass
class Found:
    """What was counted after a fault, and what was wrong."""

    tasks: int = 0
    attempts: int = 0
    verdicts: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    made_up: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All of it, one line each."""
        kinds = ("lost", "twice", "made_up", "broken", "stuck", "left")
        return [f"{kind}: {line}" for kind in kinds for line in getattr(self, kind)]

    def words(self) -> str:
        """How much there was to find."""
        return f"{self.tasks} tasks, {self.attempts} attempts, {self.verdicts} verdicts"


def check(scratch: Scratch) -> Found:
    """Look at everything."""
    found, store = Found(), scratch.store
    with store.reading() as session:
        chains = {claim_id: ledger.entries(session, claim_id) for claim_id in session.exec(select(Claim.id))}
        found.tasks = len(session.exec(select(Task.id)).all())
        _tasks(session, scratch, chains, found)
        _queue(session, found)
        for chain in chains.values():
            _once(chain, found)
            _as_drawn(session, chain, found)
    found.broken += [f"{problem.where}: {problem.what}" for problem in audit(store).problems]
    found.broken += _file_problems(store)
    return found


# --- nothing lost ----------------------------------------------------------------------------------------------------


def _tasks(session: Session, scratch: Scratch, chains: dict[str, list[Entry]], found: Found) -> None:
    """Every task that somebody was told of is there and has ended, and each that is done has its verdict."""
    known = {task.id: task for task in session.exec(select(Task))}
    found.lost += [f"task {one} is gone" for one in scratch.asked if one not in known]
    done: Counter[str] = Counter()
    for task in known.values():
        if task.state not in ENDED:
            found.stuck.append(f"task {task.id} is {task.state}")
        elif task.state == "failed" and not _was_tried_enough(session, task, scratch):
            found.lost.append(f"task {task.id} failed: {task.reason}")
        elif task.state == "done":
            done.update(Job.model_validate(task.job).claims)
    for claim_id, chain in chains.items():
        given = sum(isinstance(entry.event, VerdictGiven) for entry in chain)
        wanted = done[claim_id] + scratch.had.get(claim_id, 0)
        if given != wanted:
            kind = found.lost if given < wanted else found.twice
            kind.append(f"claim {claim_id}: {given} verdicts, and {wanted} tasks that are done")


def _was_tried_enough(session: Session, task: Task, scratch: Scratch) -> bool:
    """Three attempts that were all killed are a failure that the ledger has, where the fault kills children."""
    killed = session.exec(select(Run).where(Run.task_id == task.id, Run.state == "error")).all()
    return scratch.may_fail and len(killed) >= 3


def _queue(session: Session, found: Found) -> None:
    """Nobody is at anything any more."""
    found.stuck += [f"run {run.id} is open" for run in session.exec(select(Run).where(Run.state == "running"))]
    found.stuck += [f"worker {row.id} is enlisted and gone" for row in session.exec(select(Worker))]


# --- nothing twice ---------------------------------------------------------------------------------------------------


def _once(chain: list[Entry], found: Found) -> None:
    """Every number has one verdict at most, every attempt one end, and none is left open."""
    events = [entry.event for entry in chain]
    begun = [event.run for event in events if isinstance(event, RunStarted)]
    ended = [event for event in events if isinstance(event, VerdictGiven | RunFailed)]
    numbers = Counter(event.number for event in ended if isinstance(event, VerdictGiven))
    ends = Counter(event.run for event in ended)
    found.attempts += len(begun)
    found.verdicts += numbers.total()
    found.twice += [f"number {number} has {count} verdicts" for number, count in numbers.items() if count > 1]
    found.twice += [f"attempt {run} has {count} ends" for run, count in ends.items() if count > 1]
    found.twice += [f"attempt {run} began {count} times" for run, count in Counter(begun).items() if count > 1]
    found.lost += [f"attempt {run} has no end" for run in begun if run not in ends]
    found.made_up += [f"attempt {run} ended and never began" for run in ends if run not in begun]


# --- nothing made up -------------------------------------------------------------------------------------------------


def _as_drawn(session: Session, chain: list[Entry], found: Found) -> None:
    """Every verdict is of the units that a whole run draws."""
    library = session.exec(select(Library.id)).one()
    begun = {entry.event.run: entry.event for entry in chain if isinstance(entry.event, RunStarted)}
    for entry in chain:
        event = entry.event
        if isinstance(event, VerdictGiven) and event.run in begun:
            wrong = _difference(session, library, begun[event.run], event)
            if wrong:
                found.made_up.append(f"verdict of run {event.number}: {wrong}")


def _difference(session: Session, library: str, begun: RunStarted, event: VerdictGiven) -> str:
    stream = ledger.digest_of({"verifier": begun.verifier, "parameters": begun.parameters, "subject": begun.subject})
    if begun.seed != runs.seed_of(library, stream, begun.number):
        return "its seed is not that of its number"
    wanted = drawn(begun.seed, begun.parameters)
    measured = ledger.measurement(session, event.measurement_digest)
    values = list(measured.findings.endpoint("size").values)
    if values != wanted or list(event.units) != wanted:
        return f"its units are {values}, and a whole run draws {wanted}"
    return ""


def drawn(seed: int, parameters: dict[str, Any]) -> list[float]:
    """The units of a run of `trivial`."""
    chance = random.Random(seed)  # noqa: S311 - as the verifier has it
    return [parameters["truth"] + chance.gauss(0, SPREAD) for _ in range(UNITS)]


# --- the file --------------------------------------------------------------------------------------------------------


def _file_problems(store: Store) -> list[str]:
    """What SQLite itself finds wrong."""
    if store.location.path is None:
        return []
    with closing(sqlite3.connect(store.location.path)) as connection:
        said = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return said + [f"a reference leads nowhere: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
