"""From claims to verdicts through a real worker; the experiment is a script, and once, slowly, the real one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlmodel import select

from claims import ledger, library, measuring, overview, runs, today, verification, worker
from claims.audit import audit
from claims.errors import NoContract
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from claims.runs import DIED
from kb.errors import NotFound
from kb.models import MeasurementRecord, Run
from kb.store import Store
from tests.claims_support import (
    NOW,
    ROOT,
    Silent,
    a_library,
    around,
    claim_id,
    claim_page,
    contract,
    finished,
    large_models,
    marked,
    means,
    measurement,
    past,
    progress,
    run_with,
    sql,
    that_says,
    until,
    written,
)
from verifiers.measurement import Progress
from verifiers.registry import UnknownSubject, UnknownVerifier

GOOD = measurement(around(0.6, 0.1))
TWO_TO_FOUR = {"holds": "2 .. 4", "weakened": ["1.25 .. 2", "> 4"], "refuted": "< 1.25"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    claims = {
        "the-gap": written(),
        "three-times": written(regions=TWO_TO_FOUR, design_effect=3),
        "another-dose": written(parameters={"own_entropy": 0.6, "deeper_entropy": 0.3}),
        "no-contract": None,
    }
    return a_library(tmp_path, claims)


def verify(store: Store, *slugs: str, watcher: Silent | None = None, **options: Any) -> list[verification.Outcome]:
    jobs = verification.plan(store, slugs or None, "standard", NOW, **options)
    return verification.verify(store, jobs, means(store.path.parent), watcher or Silent())


def events(store: Store, slug: str = "the-gap") -> list[Any]:
    return [entry.event for entry in past(store, slug).entries]


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CHILD", that_says(progress(0, 9), progress(8, 9), finished(GOOD)))


# --- planning --------------------------------------------------------------------------------------------------------


def test_a_claim_that_is_not_there_gets_a_suggestion(store: Store) -> None:
    with pytest.raises(NotFound, match="did you mean the-gap"):
        verification.plan(store, ["the-gab"], "standard", NOW)


def test_a_claim_without_a_contract_cannot_be_verified_by_name(store: Store) -> None:
    with pytest.raises(NoContract, match="'no-contract' has no contract"):
        verification.plan(store, ["the-gap", "no-contract"], "standard", NOW)


def test_all_claims_are_those_with_a_contract(store: Store) -> None:
    jobs = verification.plan(store, None, "standard", NOW)
    asked = {claim for job in jobs for claim in job.claims}
    assert asked == {claim_id(store, slug) for slug in ("the-gap", "three-times", "another-dose")}
    assert len(jobs) == 2


def test_a_claim_named_twice_is_verified_once(store: Store) -> None:
    (job,) = verification.plan(store, ["the-gap", "the-gap"], "standard", NOW)
    assert job.claims == (claim_id(store),)


def test_a_claim_named_by_its_old_and_its_new_slug_is_verified_once(store: Store, tmp_path: Path) -> None:
    page = claim_page(tmp_path / "pages", "the-gap", written(), slug="renamed")
    library.bring_in(store, [page], NOW)
    (job,) = verification.plan(store, ["the-gap", "renamed"], "standard", NOW)
    assert job.claims == (claim_id(store, "renamed"),)


def test_only_what_is_due_is_planned_when_asked(store: Store) -> None:
    def due(at: Any) -> set[str]:
        jobs = verification.plan(store, None, "standard", at, only_due=True)
        return {claim for job in jobs for claim in job.claims}

    everything = {claim_id(store, slug) for slug in ("the-gap", "three-times", "another-dose")}
    assert due(NOW) == everything
    run_with(store, measurement(around(0.6, 0.1), profile="smoke"), "the-gap", profile="smoke")
    assert due(NOW) == everything  # a smoke run makes nothing fresh
    run_with(store, GOOD, "the-gap")
    assert due(NOW) == everything  # the code that made this run is no longer ours
    run_with(store, measurement(around(0.6, 0.1), code=today.code_of("entropy_gap")), "the-gap")
    assert due(NOW) == everything - {claim_id(store)}
    assert due(NOW + timedelta(days=31)) == everything


# --- verifying -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("good")
def test_two_claims_on_one_measurement_get_each_its_own_verdict_from_it(store: Store) -> None:
    watcher = Silent()
    outcomes = verify(store, "the-gap", "three-times", watcher=watcher)
    assert [(one.claim, one.verdict, one.tag) for one in outcomes] == [
        ("the-gap", "HOLDS", None),
        ("three-times", "WEAKENED", "SMALLER"),
    ]
    assert len({one.run for one in outcomes}) == 1
    assert all(one.number == 1 and not one.certified and one.provenance == GOOD.provenance for one in outcomes)
    with store.reading() as session:
        assert len(list(session.exec(select(MeasurementRecord)))) == 1
        (row,) = session.exec(select(Run))
    assert (row.state, row.done, row.total) == ("measured", 8, 9)
    begun, *progressed, first, second = watcher.heard
    assert begun.number == 1
    assert progressed == [Progress(done=0, total=9), Progress(done=8, total=9)]
    assert [first, second] == outcomes
    assert audit(store).problems == ()


@pytest.mark.usefixtures("good")
def test_every_verification_is_the_next_run_with_a_seed_of_its_own(store: Store) -> None:
    numbers = [verify(store, "the-gap")[0].number for _ in range(3)]
    assert numbers == [1, 2, 3]
    seeds = [event.seed for event in events(store) if isinstance(event, RunStarted)]
    assert len(set(seeds)) == 3


def test_the_child_is_asked_for_what_the_contract_and_the_run_say(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import sys; open({str(tmp_path / 'asked')!r}, 'w').write(sys.stdin.readline()); print({finished(GOOD)!r})"
    monkeypatch.setattr(worker, "CHILD", [sys.executable, "-c", code])
    verify(store, "another-dose")
    asked = json.loads((tmp_path / "asked").read_text())
    started = next(event for event in events(store, "another-dose") if isinstance(event, RunStarted))
    assert asked["seed"] == started.seed
    assert asked["parameters"] == {"own_entropy": 0.6, "deeper_entropy": 0.3, "rivals": 1} == started.parameters
    assert (asked["verifier"], asked["profile"], asked["units"]) == ("entropy_gap", "standard", 8)
    assert asked["subject"] == {"scheme": "lab", "locator": "story"}
    assert asked["memory_mb"] == 4096


@pytest.mark.usefixtures("good")
def test_a_verdict_on_a_subject_outside_the_regime_says_how_far_outside(tmp_path: Path) -> None:
    store = a_library(tmp_path / "large", {"the-gap": large_models()})
    (outcome,) = verify(store, "the-gap")
    assert outcome.verdict == "HOLDS"
    assert "0.02 M parameters against 1 B or more" in outcome.differences
    assert past(store).standing.word == "UNTESTED"


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (that_says(then="raise SystemExit('out of power')"), "out of power"),
        (that_says(then="os.kill(os.getpid(), signal.SIGKILL)"), "killed by SIGKILL"),
        (that_says("rubbish"), "no measurement"),
        (that_says('{"event": "failure", "reason": "the disk is full"}'), "the disk is full"),
    ],
)
def test_a_run_that_dies_is_an_error_with_its_reason_and_never_a_verdict(
    child: list[str], reason: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHILD", child)
    outcomes = verify(store, "the-gap", "three-times")
    assert [one.verdict for one in outcomes] == ["ERROR", "ERROR"]
    for slug, outcome in zip(("the-gap", "three-times"), outcomes, strict=True):
        assert reason in outcome.reason
        assert (outcome.endpoints, outcome.provenance) == ((), None)
        last = events(store, slug)[-1]
        assert isinstance(last, RunFailed)
        assert last.reason == outcome.reason
        assert past(store, slug).standing.word == "UNTESTED"
    assert audit(store).problems == ()


def test_one_job_that_dies_does_not_keep_the_next_from_running(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    children = iter([that_says(then="raise SystemExit('no')"), that_says(finished(GOOD))])
    watcher = Silent(on_begun=lambda: monkeypatch.setattr(worker, "CHILD", next(children)))
    outcomes = verify(store, watcher=watcher)
    assert sorted(one.verdict for one in outcomes) in (["ERROR", "ERROR", "HOLDS"], ["ERROR", "HOLDS", "WEAKENED"])


def test_a_run_that_is_cancelled_is_an_error_that_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CHILD", that_says(then="time.sleep(600)"))

    def cancel() -> None:
        with store.reading() as session:
            running = session.exec(select(Run.id)).one()
        runs.cancel(store, running)

    (outcome,) = verify(store, "the-gap", watcher=Silent(on_begun=cancel))
    assert (outcome.verdict, outcome.reason) == ("ERROR", "cancelled")


def test_an_error_of_ours_in_the_middle_leaves_no_run_that_seems_to_go_on(store: Store) -> None:
    def stumble() -> None:
        raise RuntimeError("a bug in a watcher")

    with pytest.raises(RuntimeError, match="a bug in a watcher"):
        verify(store, "the-gap", watcher=Silent(on_begun=stumble))
    assert isinstance(events(store)[-1], RunFailed)


# --- contracts that change under way ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("good")
def test_a_contract_changed_during_a_run_leaves_the_verdict_to_the_one_at_the_start(
    store: Store, tmp_path: Path
) -> None:
    before = ledger.digest_of_contract(past(store).contract)
    stricter = written(regions={"holds": ">= 5", "weakened": "1.1 .. 5", "refuted": "< 1.1"}, design_effect=9)
    page = claim_page(tmp_path / "pages", "the-gap", stricter)
    (outcome,) = verify(store, "the-gap", watcher=Silent(on_begun=lambda: library.bring_in(store, [page], NOW)))
    assert outcome.verdict == "HOLDS"
    last = events(store)[-1]
    assert isinstance(last, VerdictGiven)
    assert last.contract_digest == before
    found = past(store)
    assert (found.contract_version, found.runs) == (2, ())  # and is no evidence under the new one
    assert audit(store).problems == ()


@pytest.mark.usefixtures("good")
def test_a_contract_taken_away_during_a_run_leaves_the_verdict_to_the_one_at_the_start(
    store: Store, tmp_path: Path
) -> None:
    page = claim_page(tmp_path / "pages", "the-gap", None)
    (outcome,) = verify(store, "the-gap", watcher=Silent(on_begun=lambda: library.bring_in(store, [page], NOW)))
    assert outcome.verdict == "HOLDS"
    assert past(store).standing.word == "UNTESTED"
    assert audit(store).problems == ()


@pytest.mark.usefixtures("good")
def test_a_measurement_planned_for_another_contract_is_never_judged_by_the_new_one(
    store: Store, tmp_path: Path
) -> None:
    """The page changes after `plan` and before the run begins: while another claim's run takes its minutes."""
    jobs = verification.plan(store, ["the-gap"], "standard", NOW)
    elsewhere = written(parameters={"own_entropy": 0.9, "deeper_entropy": 0.3})
    library.bring_in(store, [claim_page(tmp_path / "pages", "the-gap", elsewhere)], NOW)
    with contextlib.suppress(NoContract):  # to refuse is one way to do it right
        verification.verify(store, jobs, means(tmp_path), Silent())
    measured_at = {event.parameters["own_entropy"] for event in events(store) if isinstance(event, RunStarted)}
    assert measured_at <= {0.9} or past(store).runs == ()


@pytest.mark.usefixtures("good")
def test_a_contract_taken_away_before_the_run_begins_breaks_nothing(store: Store, tmp_path: Path) -> None:
    jobs = verification.plan(store, ["the-gap", "three-times"], "standard", NOW)
    library.bring_in(store, [claim_page(tmp_path / "pages", "the-gap", None)], NOW)
    verification.verify(store, jobs, means(tmp_path), Silent())
    with store.reading() as session:
        assert overview.record(session, claim_id(store), NOW).history.standing.word == "UNTESTED"
        assert [row.slug for row in overview.rows(session, NOW)]
    assert past(store, "three-times").runs
    assert audit(store).problems == ()


# --- killed and interrupted ------------------------------------------------------------------------------------------

INLINE = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path

    from claims import runs, verification, worker
    from kb.store import Store
    from tests.claims_support import Silent

    worker.CHILD = {child!r}
    store = Store.open(Path({store!r}))
    means = runs.Means(lambda: datetime.now(UTC), 1, {cache!r})
    verification.verify(store, verification.plan(store, ["the-gap"], "standard", means.clock()), means, Silent())
"""
COMMAND = """
    import signal, sys

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background ignores it
    sys.argv = ["stillholds", "verify", "the-gap", "--store", {store!r}, "--processes", "2"]
    from stillholds.cli import main

    main()
"""


def started(code: str, store: Store, **said: object) -> "subprocess.Popen[str]":
    """A process that runs CODE, marked with all that come from it."""
    cache = str(store.path.parent / "cache")
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code).format(store=str(store.path), cache=cache, **said)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"STILLHOLDS_TEST": str(store.path), "XDG_CACHE_HOME": cache},
    )


def at_work(store: Store, processes: int) -> bool:
    """Whether the run is written down, and so many processes live under the command."""
    return bool(sql(store, "SELECT id FROM run")) and len(marked(str(store.path))) >= processes


def test_a_verification_that_is_killed_shows_as_error_before_anything_writes_and_is_buried_afterwards(
    store: Store,
) -> None:
    until_its_stdin_ends = that_says(progress(1, 9), then="sys.stdin.read()")
    process = started(INLINE, store, child=until_its_stdin_ends)
    assert until(lambda: at_work(store, 2) and sql(store, "SELECT id FROM run WHERE done = 1"), 60)
    psutil.Process(process.pid).kill()
    process.communicate()
    assert until(lambda: not marked(str(store.path))), marked(str(store.path))
    written_down = len(events(store))
    with store.reading() as session:
        record = overview.record(session, claim_id(store), NOW)
    assert record.going is not None
    assert record.going.is_queued  # it is made again when there is a worker
    assert [(line.word, line.reason, line.verdict) for line in record.runs] == [("ERROR", DIED, None)]
    assert len(events(store)) == written_down
    assert runs.bury(store, NOW) == 1
    last = events(store)[-1]
    assert isinstance(last, RunFailed)
    assert last.reason == DIED
    assert audit(store).problems == ()


def test_an_interrupt_from_the_keyboard_records_an_error_and_ends_with_130(store: Store) -> None:
    process = started(COMMAND, store)  # the real experiment, on two processes, made by a worker
    assert until(lambda: at_work(store, 4), 60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "recorded as ERROR" in said
    last = events(store)[-1]
    assert isinstance(last, RunFailed)
    assert (last.reason, last.cause) == ("cancelled", "stopped")
    assert past(store).standing.word == "UNTESTED"
    assert until(lambda: not marked(str(store.path))), marked(str(store.path))
    assert audit(store).problems == ()


# --- without a library -----------------------------------------------------------------------------------------------


def test_measuring_judges_by_the_verifiers_own_contract_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHILD", that_says(finished(measurement(around(0.6, 0.1, 12), seed=7))))
    monkeypatch.chdir(tmp_path)
    job, own = measuring.plan("entropy_gap", "lab:story", "standard")
    watcher = Silent()
    outcome, _ = measuring.measure(job, own, 7, means(tmp_path), watcher)
    assert (outcome.verdict, outcome.claim, outcome.run, outcome.number) == ("HOLDS", None, None, None)
    assert outcome.provenance is not None
    assert outcome.provenance.seed == watcher.heard[0].seed == 7
    assert own.unit.per_run == 12
    assert not (tmp_path / "library.db").exists()


def test_measuring_what_is_not_there_gets_a_suggestion() -> None:
    with pytest.raises(UnknownVerifier, match="did you mean entropy_gap"):
        measuring.plan("entropygap", "lab:story", "smoke")
    with pytest.raises(UnknownSubject, match="did you mean lab:story"):
        measuring.plan("entropy_gap", "lab:storie", "smoke")


# --- the real thing --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_smoke_run_goes_all_the_way_from_the_command_to_the_ledger(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stillholds", "verify", "the-gap", "three-times", "--profile", "smoke", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"STILLHOLDS_STORE": str(store.path), "XDG_CACHE_HOME": str(store.path.parent / "cache")},
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert [one["claim"] for one in outcomes] == ["the-gap", "three-times"]
    assert {one["verdict"] for one in outcomes} == {"INCONCLUSIVE"}
    assert all(control["passed"] for one in outcomes for control in one["controls"])
    assert len({json.dumps(one["provenance"]) for one in outcomes}) == 1
    started, given = events(store)[-2:]
    assert isinstance(given, VerdictGiven)
    assert outcomes[0]["provenance"]["seed"] == started.seed
    assert given.contract_digest == ledger.digest_of_contract(contract())
    assert past(store).standing.word == "UNTESTED"
    assert audit(store).problems == ()
