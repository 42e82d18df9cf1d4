"""The schedule and the library: settings that stay, what is due by the ledger, and asking for it once."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from claims import acts, runs, tasks, timetable
from claims.errors import ClaimError
from claims.hours import Settings
from claims.rhythm import DAY
from claims.schedule import Plan
from kb.models import ClaimState, Schedule, Task
from kb.store import Store
from tests.claims_support import NOW, a_library, around, measurement, run_with, written
from verifiers.measurement import Failure

LATER = NOW + timedelta(minutes=2)


@pytest.fixture(autouse=True)
def _made_by_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of tests say a code and an environment of their own: let those be today's."""
    monkeypatch.setattr("claims.today.code_of", lambda _name: "c" * 64)
    environment = timetable.today.environment_of(measurement([0.5] * 8).provenance)
    monkeypatch.setattr("claims.today.environment", lambda: environment)


def switched_on(folder: Path, claims: Any = None, **said: Any) -> Store:
    """A library whose schedule looks every minute."""
    store = a_library(folder, claims)
    timetable.change(store, {"on": True, "cron": "* * * * *", "budget_cpu_minutes": 10_000, **said}, NOW)
    return store


def plan(store: Store, at: Any = LATER) -> Plan:
    return timetable.timetable(store, at).plan


def asked(store: Store) -> list[Task]:
    with store.reading() as session:
        return list(session.exec(select(Task)))


def held(store: Store, at: Any = NOW, **changes: Any) -> None:
    """A run that came out well beyond the border."""
    run_with(store, measurement(around(0.6, 0.05), **changes), at=at)


def no_queue(_session: Any, _task: str) -> None:
    """Nobody is told of new tasks."""


def test_settings_stay_and_what_cannot_be_kept_changes_nothing(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    assert timetable.timetable(store, NOW).settings == Settings()
    timetable.change(store, {"on": True, "quiet": ["22:00-07:00"]}, NOW)
    with pytest.raises(ClaimError, match="cron: 'often' has 1 fields and needs 5"):
        timetable.change(store, {"on": False, "cron": "often"}, NOW)
    said = timetable.change(store, {"budget_cpu_minutes": 5}, NOW)
    assert said == timetable.timetable(store, NOW).settings
    assert (said.on, said.quiet, said.budget_cpu_minutes) == (True, ("22:00-07:00",), 5)


def test_settings_that_somebody_broke_are_named(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    with store.writing() as session:
        session.get_one(Schedule, 1).settings = {"cron": "nonsense"}
    with pytest.raises(ClaimError, match="cron: 'nonsense'"):
        timetable.timetable(store, NOW)


def test_a_claim_that_was_never_tested_is_due_and_asked_for_once(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    (due,) = plan(store).due
    assert due.claims == ("the-gap",)
    assert due.reasons == ("it was never tested under its present contract",)
    assert due.cost_cpu_seconds > 0
    timetable.tick(store, LATER, no_queue)
    timetable.tick(store, LATER + timedelta(minutes=1), no_queue)
    (task,) = asked(store)
    assert (task.asked_by, task.cause) == (timetable.WHO, "it was never tested under its present contract")
    assert plan(store).waiting[0].state == "under way"


def test_a_claim_that_was_tested_waits_for_its_turn(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    held(store)
    (waiting,) = plan(store, NOW + DAY).waiting
    assert waiting.state == "not due"
    assert "its interval is 11.2 days, because it lies far from every border" in waiting.reason
    assert plan(store, NOW + 12 * DAY).due[0].reasons[0].startswith("it was last tested on 2026-11-21")
    assert "is over since 2026-12-21" in plan(store, NOW + 31 * DAY).due[0].reasons[0]


def test_what_people_and_papers_say_makes_a_claim_due(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    held(store)
    acts.make_due(store, "the-gap", "a talk tomorrow", "ANNA", NOW + DAY)
    (due,) = plan(store, NOW + DAY).due
    assert due.reasons == ("asked for, by ANNA: a talk tomorrow",)
    acts.retire(store, "the-gap", "no longer of interest", "a new architecture", "ANNA", NOW + DAY)
    assert plan(store, NOW + 90 * DAY).due == ()


@pytest.mark.parametrize(
    ("what", "reason"),
    [("code_of", "the verifier changed"), ("environment", "the libraries that it runs on changed")],
)
def test_other_code_and_other_libraries_make_a_claim_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    store = switched_on(tmp_path)
    held(store)
    monkeypatch.setattr(f"claims.today.{what}", lambda *_: "d" * 64)
    assert plan(store, NOW + timedelta(hours=12)).due == ()  # nobody knows since when: once a day at most
    assert plan(store, NOW + 2 * DAY).due[0].reasons == (reason,)


def failed(store: Store, minutes: int) -> None:
    run_with(store, Failure(reason="out of memory"), at=NOW + timedelta(minutes=minutes))


def void(store: Store, minutes: int) -> None:
    from tests.claims_support import control

    values = measurement(around(0.6, 0.05), controls=[control(passed=False)])
    run_with(store, values, at=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("end", [failed, void])
def test_runs_that_gave_no_evidence_are_not_repeated_at_once(tmp_path: Path, end: Callable[[Store, int], None]) -> None:
    store = switched_on(tmp_path)
    end(store, 0)
    end(store, 2)
    (waiting,) = plan(store, NOW + timedelta(minutes=10)).waiting
    assert waiting.state == "failed lately"
    assert waiting.reason.startswith("its last 2 runs gave no evidence")
    assert plan(store, NOW + timedelta(hours=3)).due


def test_a_task_that_fails_before_it_has_a_run_is_not_asked_for_at_every_look(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    timetable.tick(store, LATER, no_queue)
    tasks.give_up(store, asked(store)[0].id, "no such folder", LATER)
    timetable.tick(store, LATER + timedelta(minutes=2), no_queue)
    assert len(asked(store)) == 1
    timetable.tick(store, LATER + timedelta(hours=2), no_queue)
    assert len(asked(store)) == 2


def test_costs_are_those_of_past_runs(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    card = plan(store).due[0].cost_cpu_seconds
    begun = run_with(store, measurement(around(0.6, 0.05)))
    with store.writing() as session:
        session.get_one(runs.Run, begun.id).cpu_seconds = 3 * card
    assert plan(store, NOW + 40 * DAY).due[0].cost_cpu_seconds == pytest.approx(3 * card)


def test_the_budget_counts_what_the_schedule_asked_for_today_and_nobody_else(tmp_path: Path) -> None:
    store = switched_on(tmp_path, {"one": written(), "two": written(parameters={"own_entropy": 0.5})})
    each = [due.cost_cpu_seconds for due in plan(store).due]
    timetable.change(store, {"budget_cpu_minutes": 1.5 * max(each) / 60}, NOW)
    timetable.tick(store, LATER, no_queue)
    assert len(asked(store)) == 1
    made = plan(store, LATER + timedelta(minutes=1))
    assert made.state == "budget used up"
    assert made.spent_today_cpu_seconds == pytest.approx(each[0])
    assert plan(store, NOW + DAY).spent_today_cpu_seconds == pytest.approx(each[0])  # not made yet, so it will be
    with store.writing() as session:
        session.exec(select(Task)).one().asked_by = "ANNA"
    assert plan(store, LATER + timedelta(minutes=1)).spent_today_cpu_seconds == 0


@pytest.mark.parametrize("said", [{"on": False}, {"budget_cpu_minutes": 0}, {"quiet": ["11:00-14:00"]}])
def test_nothing_is_asked_for_when_nothing_may_run(tmp_path: Path, said: dict[str, Any]) -> None:
    store = switched_on(tmp_path, **said)
    timetable.tick(store, LATER, no_queue)
    assert asked(store) == []


def test_nothing_is_asked_for_before_its_time_and_a_missed_look_is_made_up_for(tmp_path: Path) -> None:
    store = switched_on(tmp_path, cron="0 3 * * *")
    timetable.tick(store, LATER, no_queue)  # its first
    timetable.tick(store, LATER + timedelta(hours=1), no_queue)
    with store.reading() as session:
        assert session.get_one(Schedule, 1).looked_at == LATER
    late = NOW + 3 * DAY
    timetable.tick(store, late, no_queue)
    with store.reading() as session:
        assert session.get_one(Schedule, 1).looked_at == late


def test_a_clock_that_jumped_ahead_and_back_does_not_stop_the_schedule(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    with store.writing() as session:
        session.get_one(Schedule, 1).looked_at = NOW + 1000 * DAY
    timetable.tick(store, LATER, no_queue)
    assert len(asked(store)) == 1


def test_a_clock_in_the_past_asks_for_nothing(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    held(store, at=NOW + 40 * DAY)
    assert plan(store).state == "clock behind"
    timetable.tick(store, LATER, no_queue)
    assert asked(store) == []


def test_claims_that_share_a_measurement_are_asked_for_together(tmp_path: Path) -> None:
    store = switched_on(tmp_path, {"one": written(), "two": written(design_effect=1.9)})
    (due,) = plan(store).due
    assert sorted(due.claims) == ["one", "two"]


def test_only_what_begins_before_the_next_look_is_queued(tmp_path: Path) -> None:
    many = {f"claim-{number}": written(parameters={"own_entropy": 0.4 + number / 100}) for number in range(9)}
    store = switched_on(tmp_path, many)
    assert len(plan(store).now) == 9
    timetable.tick(store, LATER, no_queue)
    assert 1 <= len(asked(store)) < 9


def test_losing_the_tables_of_the_queue_costs_no_truth(tmp_path: Path) -> None:
    store = switched_on(tmp_path)
    held(store)
    before = plan(store, NOW + 12 * DAY).due[0].reasons
    with store.writing() as session:
        for run in session.exec(select(runs.Run)):
            session.delete(run)
        assert session.exec(select(ClaimState)).one().fresh_until
    assert plan(store, NOW + 12 * DAY).due[0].reasons == before
