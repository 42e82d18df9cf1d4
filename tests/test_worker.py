"""The worker and its queue: every task is made, every attempt recorded, every result once, whoever is killed."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlmodel import select

from claims import engine_dbos, runs, service, tasks, verification
from claims.audit import audit
from claims.history import history
from claims.judge import Units
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from kb.models import Run, Task, Worker
from kb.store import Store
from tests.claims_support import NOW, claim_id, marked, past, until
from tests.queue_support import a_queue_library, a_worker, ask, states, trivial, wait_for, work

__all__ = ["trivial"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("trivial")]


def events(store: Store, slug: str = "numbers-0") -> list[Any]:
    return [entry.event for entry in past(store, slug).entries]


def kinds(store: Store, slug: str = "numbers-0") -> list[str]:
    return [event.kind for event in events(store, slug)]


def running(store: Store) -> list[Run]:
    with store.reading() as session:
        return list(session.exec(select(Run).where(Run.state == "running", Run.done > 0)))


def settled(store: Store) -> None:
    """Nothing is left of any run, and the record is whole."""
    assert until(lambda: not marked(str(store.location))), marked(str(store.location))
    assert audit(store).problems == ()
    with store.reading() as session:
        assert not session.exec(select(Run).where(Run.state == "running")).all()


def test_what_was_asked_for_is_made_once_and_the_worker_goes_home(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0, 0.0, 0.0])
    ids = ask(store)
    work(store, "--slots", "2")
    assert states(store, ids) == ["done"] * 3
    for which in range(3):
        assert kinds(store, f"numbers-{which}") == ["contract", "run", "verdict"]
    with store.reading() as session:
        assert session.exec(select(Worker)).all() == []
    settled(store)


def test_what_waits_already_is_not_asked_for_twice(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    assert ask(store) == ask(store)
    work(store)
    assert ask(store) not in [[], None]
    with store.reading() as session:
        assert len(session.exec(select(Task)).all()) == 2  # asked again once it was made


def test_a_killed_worker_is_followed_by_one_that_draws_the_same_units_again(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [3.0])
    ids = ask(store)
    with a_worker(store) as worker:
        wait_for(lambda: running(store))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert until(lambda: not marked(str(store.location))), "the child outlived its worker"
    work(store)
    started, failed, again, given = events(store)[1:]
    assert [type(one) for one in (started, failed, again, given)] == [RunStarted, RunFailed, RunStarted, VerdictGiven]
    assert (failed.cause, failed.reason) == ("lost", runs.DIED)
    assert (started.number, started.seed, started.attempt) == (again.number, again.seed, again.attempt - 1)
    assert states(store, ids) == ["done"]
    settled(store)


def test_a_worker_that_is_stopped_gives_its_task_back(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [30.0])
    ids = ask(store)
    with a_worker(store, until_idle=False) as worker:
        wait_for(lambda: running(store))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
    failed = events(store)[-1]
    assert isinstance(failed, RunFailed)
    assert (failed.cause, failed.reason) == ("stopped", tasks.STOPPED)
    assert states(store, ids) == ["queued"]
    assert past(store, "numbers-0").standing.word == "UNTESTED"
    settled(store)


def test_a_second_worker_on_one_file_says_what_to_do(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    with a_worker(store, until_idle=False) as first:
        wait_for(lambda: living(store))
        with a_worker(store) as second:
            said, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "a worker serves" in said
        assert "--slots" in said
        assert "Traceback" not in said
        assert first.poll() is None


def living(store: Store) -> list[Worker]:
    with store.reading() as session:
        return service.living(session, NOW)


def test_a_task_is_cancelled_in_the_queue_and_under_way(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [30.0, 0.0])
    first, second = ask(store, "numbers-0")[0], ask(store, "numbers-1")[0]
    tasks.cancel(store, second, NOW)
    assert states(store, [first, second]) == ["queued", "cancelled"]
    with a_worker(store) as worker:
        wait_for(lambda: running(store))
        tasks.cancel(store, first, NOW)
        assert worker.wait(timeout=60) == 0
    assert states(store, [first, second]) == ["cancelled", "cancelled"]
    assert events(store)[-1].cause == "stopped"
    assert kinds(store, "numbers-1") == ["contract"]
    settled(store)


LOSING = """
    import sys
    from claims import worker

    said = '{"event": "failure", "reason": "the disk is full", "cause": "CAUSE"}'
    worker.CHILD = [sys.executable, "-c", "import sys; sys.stdin.readline(); print(" + repr(said) + ", flush=True)"]
    from claims import tasks

    tasks.PAUSES = (0.0, 0.0, 0.0)
    from stillholds.cli import main

    sys.argv = ["stillholds", "worker", "--until-idle"]
    main()
"""


@pytest.mark.parametrize(("cause", "attempts"), [("lost", 3), ("failed", 1)])
def test_only_what_may_pass_is_tried_again_and_three_times_at_most(tmp_path: Path, cause: str, attempts: int) -> None:
    store = a_queue_library(tmp_path, [0.0])
    ask(store)
    work(store)  # a first run that measured
    ids = ask(store)
    code = "\n".join(line.removeprefix("    ") for line in LOSING.replace("CAUSE", cause).splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"STILLHOLDS_STORE": store.location.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    failed = [event for event in events(store) if isinstance(event, RunFailed)]
    assert [(one.number, one.attempt, one.cause) for one in failed] == [(2, k + 1, cause) for k in range(attempts)]
    assert states(store, ids) == ["failed"]
    (reading,) = past(store, "numbers-0").standing.subjects
    assert (reading.runs, reading.n) == (1, 16)  # the eight of the lost run count as each of their caps
    assert reading.word == "OPEN"
    settled(store)


def test_a_run_that_was_stopped_is_made_again_before_any_other(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (job,) = verification.plan(store, None, "standard", NOW)
    stopped = runs.begin(store, job, NOW)
    from verifiers.measurement import Failure

    runs.end(store, stopped.id, Failure(reason="cancelled", cause="stopped"), NOW)
    again = runs.begin(store, job, NOW)
    assert (again.number, again.seed, again.attempt) == (stopped.number, stopped.seed, 2)
    at_once = runs.begin(store, job, NOW)
    assert at_once.number == 2  # the first is under way


def test_a_worker_on_a_leash_ends_with_whoever_holds_it(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    code = (
        "import sys, time; from kb.location import Location; from pathlib import Path; from stillholds import workers\n"
        "one = workers.start(Location.of(Path(sys.argv[1])), on_leash=True)\n"
        "print(one.pid, flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    worker = psutil.Process(int(holder.stdout.readline()))
    wait_for(lambda: living(store))
    holder.kill()
    holder.communicate()
    assert until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_the_queue_is_found_again_when_its_tables_are_lost(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    work(store)
    ids = ask(store)
    with store.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM operation_outputs")
        session.connection().exec_driver_sql("DELETE FROM workflow_status")
    work(store)
    assert states(store, ids) == ["done"]


def test_the_queue_forgets_what_ended_long_ago_and_nothing_else(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    ids = ask(store)
    work(store)
    client = engine_dbos.client_of(store)
    engine_dbos.forget(client, datetime.now(UTC))
    assert client.list_workflows()
    engine_dbos.forget(client, datetime.now(UTC) + timedelta(days=2))
    assert client.list_workflows() == []
    assert states(store, ids) == ["done"]
    again = ask(store)
    work(store)
    assert states(store, again) == ["done"]


def test_units_of_a_number_are_the_same_in_every_attempt(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    for _ in range(3):
        ask(store)
        work(store)
    with store.reading() as session:
        found = history(session, claim_id(store, "numbers-0"))
    drawn: list[Units] = list(found.runs)
    assert len({one.units for one in drawn}) == 3
    assert [run.number for run in found.runs] == [1, 2, 3]
