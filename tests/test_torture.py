"""A short torture; `FAULTS=40 make torture` is the long one. And what its checks are worth: they see what they are for."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.torture.checks import Found, check, drawn
from benchmarks.torture.scratch import Scratch, Servers
from claims import runs, verification
from kb.models import Task
from kb.store import Store
from tests.claims_support import NOW, measurement
from tests.queue_support import trivial
from verifiers.measurement import Measurement, SubjectRef
from verifiers.registry import find

__all__ = ["trivial"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("trivial")]

KINDS = (
    "kill_all",
    "kill_worker_between_statements_on_postgres",
    "full_disk",
)


def test_three_faults_lose_nothing_make_nothing_twice_and_make_nothing_up() -> None:
    kinds = [part for kind in KINDS for part in ("--kind", kind)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks.torture", "--faults", "3", "--seed", "5", *kinds],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert "3 faults" in last
    assert "0 lost, 0 twice, 0 wrong, chains valid, queues drained, nothing left behind (seed 5" in last


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A library on which a task was made as it should be."""
    made = Scratch(tmp_path / "fault", random.Random(1), Servers())
    made.library(1, longest=0.0)
    made.asked = ["01"]
    with made.store.writing() as session:
        (job,) = jobs(made.store)
        session.add(
            Task(
                id="01",
                job=job.model_dump(mode="json"),
                claims=list(job.claims),
                key="k",
                cause="c",
                asked_by="a",
                asked_at=NOW,
                state="done",
            )
        )
    a_run(made.store)
    return made


def jobs(store: Store) -> list[runs.Job]:
    return verification.plan(store, None, "standard", NOW)


def a_run(store: Store, shift: float = 0.0) -> None:
    (job,) = jobs(store)
    begun = runs.begin(store, job, NOW)
    values = [value + shift for value in drawn(begun.seed, job.parameters)]
    runs.end(store, begun.id, measured(values, begun.seed), NOW)


def measured(values: list[float], seed: int) -> Measurement:
    endpoint = find("trivial").endpoint("size").filled(values)
    made = measurement([endpoint], seed=seed)
    return made.model_copy(update={"verifier": "trivial", "subject": SubjectRef.parse("trivial:numbers")})


def wrong(found: Found) -> set[str]:
    return {line.partition(":")[0] for line in found.wrong}


def test_nothing_is_wrong_where_nothing_is(scratch: Scratch) -> None:
    assert check(scratch).wrong == []


def test_a_task_that_is_gone_is_seen(scratch: Scratch) -> None:
    scratch.asked.append("02")
    assert wrong(check(scratch)) == {"lost"}


def test_a_verdict_without_its_task_is_seen(scratch: Scratch) -> None:
    a_run(scratch.store)
    assert wrong(check(scratch)) == {"twice"}


def test_a_verdict_that_no_whole_run_gives_is_seen(scratch: Scratch) -> None:
    scratch.had = dict.fromkeys(jobs(scratch.store)[0].claims, 1)
    a_run(scratch.store, shift=1e-9)
    assert wrong(check(scratch)) == {"made_up"}


def test_a_run_that_is_open_is_seen(scratch: Scratch) -> None:
    runs.begin(scratch.store, jobs(scratch.store)[0], NOW)
    assert wrong(check(scratch)) == {"lost", "stuck"}


def test_a_chain_that_was_cut_is_seen(scratch: Scratch) -> None:
    with scratch.store.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM ledger_entry WHERE kind = 'verdict'")
    assert {"broken", "lost"} <= wrong(check(scratch))


def test_a_folder_that_was_left_is_seen_and_removed(scratch: Scratch) -> None:
    (scratch.folder / "tmp" / "stillholds-run-x").mkdir()
    (left,) = scratch.clean()
    assert "stillholds-run-x" in left
    assert not scratch.folder.exists()
