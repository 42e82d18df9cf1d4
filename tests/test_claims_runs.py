"""A run's life: its number and seed, what it writes before and after, and what becomes of it when its process dies."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from claims import ledger, overview, runs
from claims.audit import audit
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from claims.runs import DIED, Job
from kb.models import MeasurementRecord, Run
from kb.store import Store
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    endpoint,
    job,
    measurement,
    past,
    run_with,
    sql,
    written,
)
from verifiers.measurement import Failure, Progress

LATER = NOW + timedelta(minutes=2)
OTHER_PARAMETERS = {"parameters": {"own_entropy": 0.6, "deeper_entropy": 0.3}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    two_to_four = {"holds": "2 .. 4", "weakened": ["1.25 .. 2", "> 4"], "refuted": "< 1.25"}
    claims = {
        "the-gap": written(),
        "three-times": written(regions=two_to_four, design_effect=3),
        "another-dose": written(**OTHER_PARAMETERS),
    }
    return a_library(tmp_path, claims)


def rows(store: Store) -> list[Run]:
    with store.reading() as session:
        return list(session.exec(select(Run).order_by(Run.started_at, Run.number)))  # type: ignore[arg-type]


def events(store: Store, slug: str = "the-gap") -> list[Any]:
    return [entry.event for entry in past(store, slug).entries]


# --- numbers and seeds -----------------------------------------------------------------------------------------------


def test_every_run_of_a_stream_has_the_next_number_and_a_seed_of_its_own(store: Store) -> None:
    begun = [runs.begin(store, job(store), NOW) for _ in range(3)]
    assert [run.number for run in begun] == [1, 2, 3]
    assert len({run.seed for run in begun}) == 3
    assert all(0 <= run.seed < 2**53 for run in begun)


def test_other_parameters_are_another_stream_with_numbers_and_seeds_of_its_own(store: Store) -> None:
    one, other = runs.begin(store, job(store), NOW), runs.begin(store, job(store, "another-dose"), NOW)
    assert (one.number, other.number) == (1, 1)
    assert one.seed != other.seed


def test_what_a_stream_is_depends_on_what_is_measured_and_not_for_whom_or_how_much(store: Store) -> None:
    plain = job(store)
    for same in (job(store, "three-times"), job(store, profile="smoke"), plain.model_copy(update={"memory_mb": 9999})):
        assert same.stream == plain.stream
    assert job(store, "another-dose").stream != plain.stream
    assert plain.model_copy(update={"subject": "lab:other"}).stream != plain.stream


def test_a_seed_follows_from_library_stream_and_number_alone() -> None:
    assert runs.seed_of("L", "s", 1) == runs.seed_of("L", "s", 1)
    seeds = {runs.seed_of(name, stream, number) for name in "LM" for stream in "st" for number in range(1, 100)}
    assert len(seeds) == 2 * 2 * 99


def test_two_libraries_never_draw_the_same_units(store: Store, tmp_path: Path) -> None:
    elsewhere = a_library(tmp_path / "elsewhere")
    assert runs.begin(store, job(store), NOW).seed != runs.begin(elsewhere, job(elsewhere), NOW).seed


def test_losing_the_rows_of_past_runs_makes_no_run_draw_the_same_units_again(store: Store) -> None:
    """The table says of itself that losing a row loses no truth; units drawn twice would be counted twice."""
    first = run_with(store, measurement(around(0.5, 0.1)))
    sql(store, "DELETE FROM run")
    assert runs.begin(store, job(store), NOW).seed != first.seed


# --- beginning and ending --------------------------------------------------------------------------------------------


def test_a_run_is_in_every_chain_before_anything_is_measured(store: Store) -> None:
    begun = runs.begin(store, job(store, "the-gap", "three-times"), NOW)
    for slug in ("the-gap", "three-times"):
        last = events(store, slug)[-1]
        assert isinstance(last, RunStarted)
        assert (last.run, last.number, last.seed) == (begun.id, begun.number, begun.seed)
        assert last.contract_digest == ledger.digest_of_contract(past(store, slug).contract)
    (row,) = rows(store)
    assert (row.state, row.pid, row.host) == ("running", os.getpid(), socket.gethostname())
    assert row.total == 9  # eight units and the controls
    assert audit(store).problems == ()


def test_claims_on_the_same_measurement_share_one_run_and_each_gets_its_own_verdict(store: Store) -> None:
    begun = run_with(store, measurement(around(0.5, 0.1)), "the-gap", "three-times")
    (row,) = rows(store)
    assert row.claims == [claim_id(store), claim_id(store, "three-times")]
    with store.reading() as session:
        (kept,) = session.exec(select(MeasurementRecord))
    for slug, word in (("the-gap", "HOLDS"), ("three-times", "WEAKENED")):
        last = events(store, slug)[-1]
        assert isinstance(last, VerdictGiven)
        assert (last.run, last.verdict.word, last.measurement_digest) == (begun.id, word, kept.digest)
    assert audit(store).problems == ()


def test_a_run_takes_what_all_its_claims_allow_and_as_many_units_as_one_of_them_asks_for(tmp_path: Path) -> None:
    claims = {
        "patient": written(budget={"wall_seconds": 900, "memory_mb": 1024}, unit={"per_run": 8, "first_look": 8}),
        "frugal": written(budget={"wall_seconds": 600, "memory_mb": 2048}, unit={"per_run": 16, "first_look": 8}),
    }
    shared = job(a_library(tmp_path, claims), *claims)
    assert (shared.wall_seconds, shared.memory_mb, shared.units) == (600, 1024, 16)


@pytest.mark.parametrize(("profile", "drawn"), [("smoke", 2), ("standard", 8), ("thorough", 16)])
def test_profiles_draw_units_in_proportion(profile: Any, drawn: int, store: Store) -> None:
    assert runs.units_drawn(job(store, profile=profile)) == drawn


def test_a_run_that_failed_is_an_error_with_its_reason_in_every_chain_and_never_a_verdict(store: Store) -> None:
    run_with(store, Failure(reason="no power"), "the-gap", "three-times")
    (row,) = rows(store)
    assert (row.state, row.reason) == ("error", "no power")
    for slug in ("the-gap", "three-times"):
        last = events(store, slug)[-1]
        assert isinstance(last, RunFailed)
        assert last.reason == "no power"
        assert past(store, slug).runs == ()
        assert past(store, slug).standing.word == "UNTESTED"


def test_a_measurement_without_the_endpoint_of_the_contract_is_an_error_with_a_reason(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW)
    runs.end(store, begun.id, measurement([endpoint(around(0.5, 0.1), "row_ratio")]), LATER)
    last = events(store)[-1]
    assert isinstance(last, RunFailed)
    assert "interaction_did" in last.reason


def test_progress_is_noted_and_a_run_that_ended_is_not_ended_again(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW)
    runs.follow(store, begun.id, Progress(done=3, total=9, cpu_seconds=12.5), LATER)
    (row,) = rows(store)
    assert (row.done, row.total, row.cpu_seconds, row.seen_at) == (3, 9, 12.5, LATER)
    runs.end(store, begun.id, Failure(reason="the first word"), LATER)
    runs.end(store, begun.id, measurement(around(0.5, 0.1)), LATER)
    assert [type(event) for event in events(store)[1:]] == [RunStarted, RunFailed]
    assert rows(store)[0].reason == "the first word"


def test_a_run_can_be_asked_to_stop(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW)
    assert not runs.is_cancelled(store, begun.id)
    runs.cancel(store, begun.id)
    assert runs.is_cancelled(store, begun.id)


# --- the dead --------------------------------------------------------------------------------------------------------


def shown(store: Store, slug: str = "the-gap") -> overview.Record:
    with store.reading() as session:
        return overview.record(session, claim_id(store, slug), LATER)


def test_a_run_that_lives_shows_as_running_and_is_not_buried(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW)
    record = shown(store)
    assert record.going is not None
    assert record.going.run == begun.id
    assert [line.word for line in record.runs] == ["RUNNING"]
    assert runs.bury(store, LATER) == 0


@pytest.mark.parametrize("how", ["no such process", "another process with the same number", "no row at all"])
def test_a_run_whose_process_is_gone_shows_as_error_before_anything_is_written(how: str, store: Store) -> None:
    runs.begin(store, job(store, "the-gap", "three-times"), NOW)
    if how == "no such process":
        sql(store, "UPDATE run SET pid = 2147483646")
    elif how == "another process with the same number":
        sql(store, "UPDATE run SET pid_started = pid_started - 100")
    else:
        sql(store, "DELETE FROM run")
    before = len(events(store))
    for slug in ("the-gap", "three-times"):
        record = shown(store, slug)
        assert record.going is None
        assert [(line.word, line.reason, line.verdict) for line in record.runs] == [("ERROR", DIED, None)]
    assert len(events(store)) == before


def test_the_dead_are_buried_once_with_their_reason(store: Store) -> None:
    begun = runs.begin(store, job(store, "the-gap", "three-times"), NOW)
    sql(store, "UPDATE run SET pid = 2147483646")
    assert runs.bury(store, LATER) == 1
    assert runs.bury(store, LATER) == 0
    for slug in ("the-gap", "three-times"):
        last = events(store, slug)[-1]
        assert isinstance(last, RunFailed)
        assert (last.run, last.reason) == (begun.id, DIED)
    assert rows(store)[0].state == "error"
    assert audit(store).problems == ()


def test_what_a_dead_run_would_have_said_comes_too_late(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW)
    sql(store, "UPDATE run SET pid = 2147483646")
    runs.bury(store, LATER)
    runs.end(store, begun.id, measurement(around(0.5, 0.1)), LATER)
    assert isinstance(events(store)[-1], RunFailed)


def test_a_run_of_another_machine_counts_as_alive(store: Store) -> None:
    runs.begin(store, job(store), NOW)
    sql(store, "UPDATE run SET host = 'elsewhere', pid = 2147483646")
    assert runs.bury(store, LATER) == 0
    assert [line.word for line in shown(store).runs] == ["RUNNING"]


def test_jobs_are_one_for_each_thing_to_measure(store: Store) -> None:
    ids = [claim_id(store, slug) for slug in ("the-gap", "another-dose", "three-times")]
    with store.reading() as session:
        found: list[Job] = runs.jobs_for(session, ids, "standard")
    assert [one.claims for one in found] == [(ids[0], ids[2]), (ids[1],)]
    assert [one.parameters["own_entropy"] for one in found] == [0.45, 0.6]
