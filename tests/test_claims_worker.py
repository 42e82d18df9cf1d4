"""The worker against children that misbehave: each ends as a Failure with its reason, and leaves no process behind.

The child is replaced by small scripts; what is tested is everything around it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from claims import worker
from claims.worker import measure
from tests.claims_support import (
    around,
    finished,
    marked,
    measurement,
    progress,
    request,
    script,
    that_says,
    until,
)
from verifiers.measurement import Failure, Measurement, Progress

MEASURED = measurement(around(0.5, 0.1))
FOREVER = "time.sleep(600)"


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What every process carries that a test starts."""
    monkeypatch.setenv("STILLHOLDS_TEST", str(tmp_path))
    return str(tmp_path)


class Run:
    """One call of the worker with a child of our own, and everything that was heard."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        self.heard: list[Progress] = []
        self.asked = 0

    def __call__(self, child: Sequence[str], wall_seconds: float = 60, cancel_after: int | None = None) -> object:
        self._monkeypatch.setattr(worker, "CHILD", child)

        def is_cancelled() -> bool:
            self.asked += 1
            return cancel_after is not None and self.asked > cancel_after

        return measure(request(self._folder), wall_seconds, self.heard.append, is_cancelled)


@pytest.fixture
def run(tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    assert marker
    return Run(tmp_path, monkeypatch)


def reason(outcome: object) -> str:
    assert isinstance(outcome, Failure), outcome
    return outcome.reason


def test_a_finished_child_gives_its_measurement_and_progress_is_passed_on(run: Run, marker: str) -> None:
    outcome = run(that_says(progress(0, 2), progress(1, 2), finished(MEASURED)))
    assert outcome == MEASURED
    assert [(event.done, event.total) for event in run.heard] == [(0, 2), (1, 2)]
    assert marked(marker)[1:] == []  # nobody but, perhaps, ourselves


def test_the_child_gets_the_request_as_one_line_and_one_thread(run: Run, tmp_path: Path) -> None:
    code = (
        "import os, sys; line = sys.stdin.readline(); "
        f"open({str(tmp_path / 'asked')!r}, 'w').write(os.environ['OMP_NUM_THREADS'] + line); print({finished(MEASURED)!r})"
    )
    assert isinstance(run(script(code)), Measurement)
    assert (tmp_path / "asked").read_text() == "1" + request(tmp_path).model_dump_json() + "\n"


@pytest.mark.parametrize(
    "line",
    ["rubbish", "{}", '{"event": "finished"}', '{"event": "party"}', "[1, 2]", "null", "\x00\x01", "…" * 1000],
)
def test_rubbish_on_stdout_is_a_failure_that_quotes_it(line: str, run: Run) -> None:
    said = reason(run(that_says(line, then=FOREVER)))
    assert "said something that is no measurement" in said
    assert len(said) < 400


def test_bytes_that_are_no_text_are_a_failure(run: Run) -> None:
    child = script(f"import os, sys, time; sys.stdin.readline(); os.write(1, b'\\xff\\xfe\\n'); {FOREVER}")
    assert "said something that is no measurement" in reason(run(child))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_a_failure_and_never_a_measurement(number: str, run: Run) -> None:
    broken = finished(MEASURED).replace(f"{MEASURED.findings.endpoints[0].values[0]!r}", number)
    assert number in broken
    assert "said something that is no measurement" in reason(run(that_says(broken)))


def test_the_childs_own_failure_is_passed_on(run: Run) -> None:
    said = '{"event": "failure", "reason": "MemoryError: no more"}'
    assert reason(run(that_says(said))) == "MemoryError: no more"


def test_a_child_that_dies_at_once_is_a_failure(run: Run) -> None:
    said = reason(run(script("")))
    assert said == "the experiment's process ended with code 0 before it had measured anything: it said nothing"


def test_a_child_that_ends_with_words_is_quoted_with_its_code(run: Run) -> None:
    child = script("import sys; print('first words\\nlast words', file=sys.stderr); raise SystemExit(3)")
    said = reason(run(child))
    assert said == "the experiment's process ended with code 3 before it had measured anything: last words"


def test_a_child_with_an_error_gives_the_error(run: Run) -> None:
    assert reason(run(script("raise ValueError('the reason')"))).endswith("ValueError: the reason")


def test_a_child_that_cannot_be_started_is_an_error_of_ours_not_a_verdict(run: Run) -> None:
    with pytest.raises(FileNotFoundError):
        run(["/no/such/python"])


def test_a_child_that_is_killed_is_a_failure_that_names_the_signal(run: Run) -> None:
    said = reason(run(that_says(progress(0, 2), then="os.kill(os.getpid(), signal.SIGKILL)")))
    assert said.startswith("the experiment's process was killed by SIGKILL")
    assert len(run.heard) == 1


def test_a_child_that_hangs_is_stopped_at_the_deadline(run: Run, marker: str) -> None:
    said = reason(run(that_says(progress(0, 2), then=FOREVER), wall_seconds=1.5))
    assert said == "it took longer than the 1.5 s that its contract allows, and was stopped"
    assert until(lambda: not marked(marker)[1:])


def test_a_child_that_closes_its_mouth_and_hangs_is_stopped_too(run: Run) -> None:
    watchdog = "signal.alarm(6); os.close(1); sys.stdout = None; time.sleep(600)"  # so that the test itself ends
    said = reason(run(that_says(progress(0, 2), then=watchdog), wall_seconds=1.0))
    assert "SIGALRM" not in said, "the worker waited for the child beyond the deadline"


def test_a_child_that_never_reads_is_stopped_at_the_deadline(run: Run) -> None:
    assert "took longer" in reason(run(script("import time; time.sleep(600)"), wall_seconds=1.0))


def test_a_child_that_talks_without_end_is_stopped_at_the_deadline(run: Run) -> None:
    forever = f"while True: print({progress(1, 2)!r}, flush=True); time.sleep(0.01)"
    assert "took longer" in reason(run(that_says(progress(0, 2), then=forever), wall_seconds=1.0))
    assert len(run.heard) > 1


def test_a_cancelled_run_ends_early(run: Run, marker: str) -> None:
    assert reason(run(that_says(then=FOREVER), cancel_after=1)) == "cancelled"
    assert until(lambda: not marked(marker)[1:])


def test_a_child_that_prints_a_lot_to_stderr_neither_hangs_nor_fills_the_memory(run: Run) -> None:
    noise = "\nfor _ in range(20000): print('x' * 99, file=sys.stderr)\n"
    assert run(that_says(progress(0, 2), then=f"{noise}print({finished(MEASURED)!r})")) == MEASURED


def test_the_last_words_after_much_noise_are_quoted(run: Run) -> None:
    noise = "\nfor _ in range(20000): print('x' * 99, file=sys.stderr)\nraise SystemExit('the end')"
    assert reason(run(that_says(then=noise))).endswith("the end")


GRANDCHILD = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"


@pytest.mark.parametrize(
    "then",
    [
        f"{GRANDCHILD}print({finished(MEASURED)!r}, flush=True)",
        f"{GRANDCHILD}print({finished(MEASURED)!r}, flush=True); {FOREVER}",
        f"{GRANDCHILD}os.close(1); os.close(2); os._exit(3)",
        f"{GRANDCHILD}os.kill(os.getpid(), signal.SIGKILL)",
        f"{GRANDCHILD}{FOREVER}",
    ],
    ids=["finished", "finished and hangs", "dies", "killed", "hangs"],
)
def test_what_the_child_started_is_gone_afterwards(then: str, run: Run, marker: str) -> None:
    assert isinstance(run(that_says(progress(0, 2), then=then), wall_seconds=2.5), Measurement | Failure)
    assert until(lambda: not [one for one in marked(marker) if one.pid != os.getpid()]), marked(marker)


def test_a_child_that_is_killed_is_noticed_although_what_it_started_lives_on(run: Run) -> None:
    then = f"{GRANDCHILD}os.kill(os.getpid(), signal.SIGKILL)"  # the grandchild still holds the pipe
    assert "was killed by SIGKILL" in reason(run(that_says(then=then), wall_seconds=6))


def test_an_error_of_whoever_listens_ends_the_child_too(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHILD", that_says(progress(0, 2), then=FOREVER))

    def stumble(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(request(tmp_path), 60, stumble, lambda: False)
    assert until(lambda: not [one for one in marked(marker) if one.pid != os.getpid()])


def test_a_child_that_asks_for_more_memory_than_it_may_have_ends_with_a_reason(run: Run) -> None:
    code = "from verifiers.__main__ import limit_memory; limit_memory(512); bytearray(2**30); print('it got it')"
    assert "MemoryError" in reason(run(script(code)))


def test_the_request_carries_the_limit_to_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the child makes of it is tested above: with too little memory for their own start, libraries may also hang."""
    said = "print(json.dumps({'event': 'failure', 'reason': str(json.loads(sys.stdin.readline())['memory_mb'])}), flush=True)"
    monkeypatch.setattr(worker, "CHILD", script(f"import json, sys; {said}"))
    outcome = measure(request(tmp_path, memory_mb=777), 60, lambda _: None, lambda: False)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "777"


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert worker.cache_folder() == tmp_path / "stillholds"
