"""What workers do to each other, and what is done to them: a task is made by one, and nothing is made for nobody."""

import socket
import threading
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from sqlmodel import select

from claims import engine_dbos, runs, service, tasks
from claims.audit import audit
from claims.runs import Begun, Job, Means
from claims.service import Service
from kb import migrate
from kb.errors import StoreError
from kb.models import Run, Task, Worker
from kb.store import Store
from tests.claims_support import NOW, past
from tests.queue_support import a_queue_library, a_worker, ask, states, trivial, wait_for, work
from verifiers.measurement import Progress

__all__ = ["trivial"]
pytestmark = pytest.mark.usefixtures("trivial")
MEANS = Means(clock=lambda: NOW, processes=1, cache="")


class Serving(Service):
    """A worker in this process, under a name of its own; DOES is what happens as soon as a run has begun."""

    def __init__(self, name: str, does: object = None) -> None:
        super().__init__(1)
        self.name, self.does = name, does

    def begun(self, job: Job, run: Begun) -> None:
        if callable(self.does):
            self.does()


def enlist(store: Store, name: str, host: str | None = None) -> None:
    me = psutil.Process()
    with store.writing() as session:
        session.add(
            Worker(
                id=name,
                host=host or socket.gethostname(),
                pid=me.pid,
                pid_started=me.create_time(),
                version="1",
                slots=1,
                started_at=NOW,
                seen_at=NOW,
            )
        )


def has(store: Store, task_id: str, name: str) -> None:
    with store.writing() as session:
        task = session.get_one(Task, task_id)
        task.state, task.worker = "running", name


def kinds(store: Store) -> list[str]:
    return [entry.event.kind for entry in past(store, "numbers-0").entries]


def test_a_task_that_a_living_worker_has_is_not_taken_from_it(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    enlist(store, "first")
    has(store, task_id, "first")
    tasks.carry_out(store, task_id, MEANS, Serving("second"))
    assert kinds(store) == ["contract"]
    service.dismiss(store, "first")
    tasks.carry_out(store, task_id, MEANS, Serving("second"))
    assert kinds(store) == ["contract", "run", "verdict"]


def test_a_worker_that_was_taken_for_dead_records_nothing_and_its_task_waits(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    first = Serving("first", lambda: tasks.give_back(store, ["first"], NOW))
    tasks.carry_out(store, task_id, MEANS, first)
    assert kinds(store) == ["contract", "run", "error"]
    assert states(store, [task_id]) == ["queued"]
    tasks.carry_out(store, task_id, MEANS, Serving("second"))
    assert kinds(store) == ["contract", "run", "error", "run", "verdict"]
    assert states(store, [task_id]) == ["done"]
    assert audit(store).problems == ()


def test_what_one_worker_has_begun_meanwhile_is_not_given_back_for_another(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    has(store, task_id, "second")
    tasks.give_back(store, ["first"], NOW)
    with store.reading() as session:
        assert session.get_one(Task, task_id).worker == "second"


def test_one_worker_does_not_make_a_task_twice_at_once() -> None:
    one = Serving("first")
    with one.taking("task") as is_first, one.taking("task") as is_second:
        assert (is_first, is_second) == (True, False)
        assert one.has("task")
    assert not one.has("task")


def test_an_attempt_that_nobody_makes_is_recorded_before_the_next_one_of_its_task(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    with store.reading() as session:
        job = Job.model_validate(session.get_one(Task, task_id).job)
    runs.begin(store, job, NOW, task_id)  # written down, and the connection lost before this process knew
    tasks.carry_out(store, task_id, MEANS, Serving("first"))
    assert kinds(store) == ["contract", "run", "error", "run", "verdict"]
    numbers = {entry.event.number for entry in past(store, "numbers-0").entries[1:]}
    assert numbers == {1}


def test_how_far_a_run_is_may_go_unnoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("it is busy", passing=True)

    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    monkeypatch.setattr(runs, "follow", refuse)
    monkeypatch.setattr(runs, "is_cancelled", refuse)
    tasks.carry_out(store, task_id, MEANS, Serving("first"))
    with store.reading() as session:
        run = session.exec(select(Run)).one()
    assert (run.state, run.done, run.total) == ("measured", 8, 8)  # how far it came is written with its end


def test_the_newest_progress_is_kept_with_the_end_of_a_run(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    with store.reading() as session:
        job = Job.model_validate(session.get_one(Task, task_id).job)
    begun = runs.begin(store, job, NOW, task_id)
    from verifiers.measurement import Failure

    runs.end(store, begun.id, Failure(reason="x"), NOW, Progress(done=3, total=9, cpu_seconds=1.5))
    assert runs.progress(store, begun.id) == Progress(done=3, total=9, cpu_seconds=1.5)


@pytest.mark.slow
def test_what_the_queue_lost_hold_of_is_handed_out_anew(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    work(store)  # makes the queue's tables
    (task_id,) = ask(store)
    one = Serving("first")
    service.enlist(store, one, NOW)
    client = engine_dbos.client_of(store)
    left, dropped = engine_dbos._queue_again(store, one, client, NOW, set())
    assert (left, dropped) == (1, set())
    with store.writing() as session:
        session.connection().exec_driver_sql("UPDATE workflow_status SET status = 'PENDING', executor_id = 'first'")
    _, dropped = engine_dbos._queue_again(store, one, client, NOW, dropped)
    assert dropped == {task_id}
    assert status(store) == "PENDING"  # it may only just have been handed over
    engine_dbos._queue_again(store, one, client, NOW, dropped)
    assert status(store) == "ENQUEUED"
    with store.writing() as session:
        session.connection().exec_driver_sql("UPDATE workflow_status SET status = 'PENDING', executor_id = 'first'")
    with one.taking(task_id):
        for _ in range(3):
            _, dropped = engine_dbos._queue_again(store, one, client, NOW, dropped)
    assert status(store) == "PENDING"
    client.destroy()


def status(store: Store) -> str:
    with store.reading() as session:
        found: str = session.connection().exec_driver_sql("SELECT status FROM workflow_status").scalar_one()
    return found


@pytest.mark.slow
def test_a_worker_whose_library_was_upgraded_under_it_says_so_and_loses_no_task(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    with a_worker(store, until_idle=False) as worker:
        wait_for(lambda: enlisted(store))
        with store.writing() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        ids = ask(store)
        said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "made by a newer version of Still Holds" in said
    assert "Traceback" not in said
    with store.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = ?", (migrate.HEAD,))
    work(store)
    assert states(store, ids) == ["done"]


def enlisted(store: Store) -> list[str]:
    with store.reading() as session:
        return list(session.exec(select(Worker.id)))


def test_a_run_in_a_copy_is_nobodys(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0])
    (task_id,) = ask(store)
    with store.reading() as session:
        job = Job.model_validate(session.get_one(Task, task_id).job)
    runs.begin(store, job, NOW)
    with store.writing() as session:
        run = session.exec(select(Run)).one()
        run.host, run.pid = "a machine elsewhere", 0
    assert runs.bury(store, NOW + timedelta(days=1)) == 1


def test_the_next_run_begins_when_fewer_units_are_left_than_processes(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [6.0, 0.0])  # the first one's last unit takes three quarters of a second
    slow, quick = ask(store)
    seen: list[list[str]] = []

    def look() -> None:
        with store.reading() as session:
            seen.append(sorted(session.exec(select(Run.state))))

    here = Serving("here", look)
    means = Means(clock=lambda: NOW, processes=2, cache="")
    both = [threading.Thread(target=tasks.carry_out, args=(store, one, means, here)) for one in (slow, quick)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert seen == [["running"], ["running", "running"]]
    assert states(store, [slow, quick]) == ["done", "done"]


class Noting(Service):
    """A worker that remembers in which order runs began."""

    def __init__(self) -> None:
        super().__init__(1)
        self.order: list[str] = []

    def begun(self, job: Job, run: Begun) -> None:
        self.order += job.claims


def test_what_was_asked_for_first_has_the_slot_first(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.0, 0.0, 0.0])
    asked = ask(store)
    here = Noting()
    threads = [threading.Thread(target=tasks.carry_out, args=(store, one, MEANS, here)) for one in reversed(asked)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here.order == [claim for one in asked for claim in tasks.asked(store, one).job.claims]
