"""A child that serves: one process answers one request after the other, and ends when nobody can ask any more."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from claims import worker
from tests import fake_verifier
from tests.claims_support import until
from verifiers.measurement import Failure, Measurement, Request

SERVE = [*worker.CHILD, "--serve"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in which children find the fake verifier."""
    with fake_verifier.installed(tmp_path) as package:
        yield package


@pytest.fixture
def child(folder: Path) -> Iterator[worker.Child]:
    assert folder
    serving = worker.serving()
    yield serving
    serving.end()


def asked(folder: Path, seed: int = 1, subject: str = "null", **changes: object) -> Request:
    said = {"verifier": "fake_gap", "subject": {"scheme": "fakegap", "locator": subject}, "seed": seed, "units": 8}
    return Request.model_validate(said | {"cache": str(folder)} | changes)


def answered(child: worker.Child, request: Request) -> Measurement:
    measured = child.answer(request, 60, lambda _: None, lambda: False)
    assert isinstance(measured, Measurement), measured
    return measured


def test_many_requests_are_answered_in_one_process_each_by_its_own_seed(folder: Path, child: worker.Child) -> None:
    first = [answered(child, asked(folder, seed)) for seed in (1, 2, 3)]
    again = [answered(child, asked(folder, seed)) for seed in (3, 1)]
    assert [one.provenance.seed for one in first] == [1, 2, 3]
    assert first[0].findings != first[1].findings
    assert [one.findings for one in again] == [first[2].findings, first[0].findings]
    assert len((folder / "processes").read_text().splitlines()) == 1


def test_it_answers_as_a_child_that_serves_one_request_only(folder: Path, child: worker.Child) -> None:
    alone = worker.measure(asked(folder), 60, lambda _: None, lambda: False)
    assert isinstance(alone, Measurement)
    served = answered(child, asked(folder))
    assert served.findings == alone.findings
    assert served.provenance.code_digest == alone.provenance.code_digest


def test_a_failure_is_an_answer_and_the_next_request_another(folder: Path, child: worker.Child) -> None:
    failed = child.answer(asked(folder, subject="nobody"), 60, lambda _: None, lambda: False)
    assert isinstance(failed, Failure)
    assert "nobody" in failed.reason
    assert answered(child, asked(folder)).provenance.seed == 1


def test_it_counts_what_it_costs(folder: Path, child: worker.Child) -> None:
    answered(child, asked(folder))
    before = child.cpu_seconds()
    assert before > 0
    for seed in range(200):
        answered(child, asked(folder, seed))
    assert child.cpu_seconds() > before


def test_a_child_that_was_ended_cost_nothing_more(folder: Path) -> None:
    assert folder
    child = worker.serving()
    child.end()
    assert child.cpu_seconds() == 0


def test_it_ends_when_its_stdin_ends_even_in_the_middle_of_a_run(folder: Path) -> None:
    with subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(
            asked(folder).model_dump_json() + "\n" + asked(folder, broken="hangs").model_dump_json() + "\n"
        )
        child.stdin.flush()
        events = [json.loads(child.stdout.readline())["event"] for _ in range(2)]
        assert events == ["progress", "finished"]
        assert until(lambda: "hangs" in (folder / "made").read_text())
        started = time.monotonic()
        child.stdin.close()
        child.wait(timeout=30)
    assert time.monotonic() - started < 30  # it would have hung for ten minutes
