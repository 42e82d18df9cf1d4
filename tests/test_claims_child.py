"""The process of a run against children that want to get away: from their limits, from their end, from their folder.

Real processes, with small scripts in place of the experiment. Whatever they do, the answer is a Failure that says why
and whether it may pass, nothing is left running, and nothing is left lying about.
"""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from claims import measuring, scratch, worker
from claims.errors import BadContract
from claims.scratch import BEGINS, MARK, scratch_folder, sweep_scratch
from claims.worker import Limits, measure
from tests.claims_support import (
    Silent,
    around,
    contract,
    finished,
    marked,
    means,
    measurement,
    progress,
    request,
    script,
    that_says,
    until,
)
from verifiers.measurement import Failure, Measurement, Progress

MEASURED = measurement(around(0.5, 0.1))
DONE = f"print({finished(MEASURED)!r}, flush=True)\n"
FOREVER = "time.sleep(600)\n"
AWAY = """
def sleeper(*steps):  # each step is a way to leave: a fork, whose parent ends, or a session
    if os.fork() == 0:
        for step in steps:
            os.setsid() if step == "session" else os.fork() and os._exit(0)
        time.sleep(600)
        os._exit(0)
"""


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What every process carries that a test starts."""
    monkeypatch.setenv("STILLHOLDS_TEST", str(tmp_path))
    return str(tmp_path)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own, so that only its own scratch folders are seen and swept."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


Run = Callable[..., Measurement | Failure]


@pytest.fixture
def run(tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Measure with a child of our own."""
    assert marker

    def measured(
        child: list[str],
        limits: Limits | float = 60,
        on_progress: Callable[[Progress], None] = lambda _: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        processes: int = 1,
        folder: Path | None = None,
    ) -> Measurement | Failure:
        monkeypatch.setattr(worker, "CHILD", child)
        asked = request(tmp_path, processes=processes)
        return measure(asked, limits, on_progress, is_cancelled, folder=folder)

    return measured


def failed(outcome: object) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def others(marker: str) -> list[psutil.Process]:
    """The processes that a test has started and that live."""
    return [one for one in marked(marker) if one.pid != os.getpid()]


def scratch_folders(temporary: Path) -> list[Path]:
    return list(temporary.glob(f"{BEGINS}*"))


# --- limits ----------------------------------------------------------------------------------------------------------


def test_processor_time_is_limited_over_all_processes_together(run: Run, marker: str) -> None:
    busy = "subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
    failure = failed(run(that_says(then=busy * 2 + FOREVER), Limits(wall_seconds=60, cpu_seconds=1)))
    assert failure.reason.startswith("it used ")
    assert "s of processor time, more than the 1 s that its contract allows, and was stopped" in failure.reason
    assert "raise budget.cpu_seconds in the contract" in failure.reason
    assert failure.cause == "failed"
    assert not others(marker)


def test_a_child_that_chatters_without_pause_is_watched_too(run: Run) -> None:
    child = that_says(then=f"while True: print({progress(1, 2)!r}, flush=True)")
    assert "s of processor time, more than" in failed(run(child, Limits(wall_seconds=60, cpu_seconds=0.1))).reason


def test_the_processor_time_of_children_that_have_ended_counts(run: Run) -> None:
    waste = "import time\nwhile time.process_time() < 1.2: pass"
    child = that_says(then=f"subprocess.run([sys.executable, '-c', {waste!r}])\n{FOREVER}")
    assert "s of processor time, more than" in failed(run(child, Limits(wall_seconds=60, cpu_seconds=1))).reason


def test_the_kernel_knows_the_limit_of_processor_time(run: Run) -> None:
    child = that_says(then="import resource; print(resource.getrlimit(resource.RLIMIT_CPU)[0])")
    assert "'8'" in failed(run(child, Limits(wall_seconds=60, cpu_seconds=7))).reason


def test_without_a_limit_of_its_own_the_processor_time_is_what_its_processes_can_use(run: Run) -> None:
    child = that_says(then="import resource; print(resource.getrlimit(resource.RLIMIT_CPU)[0])")
    assert "'61'" in failed(run(child, 60)).reason
    assert "'181'" in failed(run(child, 60, processes=2)).reason  # two that work and one that leads them


def test_a_child_that_the_kernel_stops_for_its_processor_time_has_reached_its_limit(run: Run) -> None:
    child = that_says(then="os.kill(os.getpid(), signal.SIGXCPU)")
    failure = failed(run(child, Limits(wall_seconds=60, cpu_seconds=7)))
    assert failure.reason.startswith("it used more processor time than the 7 s that its contract allows")
    assert failure.cause == "failed"


@pytest.mark.parametrize(
    "eats",
    [
        "held = bytearray(os.urandom(2**20)) * 400",
        "import mmap; held = mmap.mmap(-1, 400 << 20); held[:] = bytes(400 << 20)",
    ],
    ids=["its own", "shared"],
)
def test_a_child_that_eats_memory_is_stopped(eats: str, run: Run, marker: str) -> None:
    failure = failed(run(that_says(then=f"{eats}\n{FOREVER}"), Limits(wall_seconds=60, memory_mb=256)))
    said = re.match(
        r"it held (\d+) MB of memory, more than the 256 MB that its contract allows, and was stopped", failure.reason
    )
    assert said, failure.reason
    assert 256 < int(said[1]) < 600  # seen at some moment while it grew
    assert "raise budget.memory_mb in the contract" in failure.reason
    assert failure.cause == "failed"
    assert not others(marker)


def test_memory_is_that_of_all_processes_together_as_many_times_as_there_are(run: Run) -> None:
    eats = "import os, time; held = bytearray(os.urandom(2**20)) * 150; time.sleep(600)"
    child = that_says(then=f"for _ in range(3): subprocess.Popen([sys.executable, '-c', {eats!r}])\n{FOREVER}")
    assert "more than the 256 MB that" in failed(run(child, Limits(wall_seconds=60, memory_mb=256))).reason
    assert "longer than the 3 s" in failed(run(child, Limits(wall_seconds=3, memory_mb=256), processes=2)).reason


def test_what_the_system_can_take_back_is_not_held(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(400 << 20)
    reads = f"import mmap; seen = mmap.mmap(os.open({str(tmp_path / 'weights')!r}, 0), 0, prot=mmap.PROT_READ)\n"
    reads += "sum(seen[place] for place in range(0, len(seen), 4096)); time.sleep(2.5)\n"
    assert run(that_says(then=reads + DONE), Limits(wall_seconds=60, memory_mb=256)) == MEASURED


def test_a_budget_that_says_nothing_of_processor_time_keeps_its_digest() -> None:
    assert contract().model_dump(mode="json")["budget"] == {"wall_seconds": 1800, "memory_mb": 4096}
    more = contract(budget={"cpu_seconds": 60})
    assert more.model_dump(mode="json")["budget"] == {"wall_seconds": 1800, "cpu_seconds": 60, "memory_mb": 4096}
    assert type(more).model_validate(more.model_dump(mode="json")) == more
    for nonsense in (0, -1, float("inf")):
        with pytest.raises(BadContract, match=r"budget\.cpu_seconds"):
            contract(budget={"cpu_seconds": nonsense})


# --- rubbish ---------------------------------------------------------------------------------------------------------


def test_a_line_without_end_is_a_failure(run: Run, marker: str) -> None:
    child = that_says(then="while True: sys.stdout.write('x' * 2**20)")
    assert failed(run(child)).reason == "the experiment's process said more than 64 MB without ending the line"
    assert not others(marker)


def test_words_without_end_wait_until_they_are_heard(run: Run) -> None:
    before = psutil.Process().memory_info().rss
    most = 0

    def listen(_: Progress) -> None:
        nonlocal most
        most = max(most, psutil.Process().memory_info().rss)
        time.sleep(0.05)

    child = that_says(then=f"while True: print({progress(1, 2)[:-1]!r} + ' ' * 2**20 + '}}')")
    assert "took longer" in failed(run(child, 1.5, listen)).reason
    assert most - before < 100 * 2**20  # it would have said gigabytes


def test_a_last_word_without_end_is_cut(run: Run) -> None:
    child = that_says(then="sys.stderr.write('x' * 10**8 + 'the end'); raise SystemExit(3)")
    said = failed(run(child)).reason
    assert said.startswith("the experiment's process ended with code 3")
    assert said.endswith("the end")
    assert len(said) < 2000


def test_a_reason_without_end_is_cut(run: Run) -> None:
    child = that_says(then="import json; print(json.dumps({'event': 'failure', 'reason': 'x' * 10**6}))")
    assert len(failed(run(child)).reason) == 2000


# --- getting away ----------------------------------------------------------------------------------------------------


def test_a_child_that_hears_no_signal_is_ended(run: Run, marker: str) -> None:
    deaf = "for number in range(1, 32):\n  if number not in (9, 19): signal.signal(number, signal.SIG_IGN)\n"
    assert "took longer" in failed(run(that_says(then=deaf + FOREVER), 1)).reason
    assert not others(marker)


LEAVE = AWAY + "for n in range(20): sleeper(*[(), ('session',), ('fork', 'session'), ('session', 'fork')][n % 4])\n"


@pytest.mark.parametrize(
    "then",
    [LEAVE + DONE, LEAVE + DONE + FOREVER, LEAVE + "os._exit(3)", LEAVE + "os.kill(os.getpid(), 9)", LEAVE + FOREVER],
    ids=["finished", "finished and hangs", "dies", "killed", "hangs"],
)
def test_nobody_gets_away_by_a_session_of_its_own_or_by_forking_twice(then: str, run: Run, marker: str) -> None:
    run(that_says(then=then), 1.5)
    assert not others(marker)


def test_nobody_gets_away_by_forking_and_ending_again_and_again(run: Run, marker: str) -> None:
    hops = "\nend = time.monotonic() + 20\nif os.fork() == 0:\n  os.setsid()\n  while time.monotonic() < end: os.fork() and os._exit(0)\n"
    assert run(that_says(then=hops + DONE)) == MEASURED
    assert not others(marker)


def test_nobody_gets_away_without_the_mark(run: Run, marker: str) -> None:
    unmarked = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)', {marker!r}], env={{}}, start_new_session=True)\n"
    assert run(that_says(then=unmarked + DONE)) == MEASURED
    assert not [one for one in psutil.process_iter(["cmdline"]) if marker in (one.info["cmdline"] or [])]


def test_nobody_gets_away_by_killing_its_keeper(run: Run, marker: str) -> None:
    failure = failed(run(that_says(then=LEAVE + "os.kill(os.getppid(), 9)\n" + FOREVER)))
    assert "was killed by SIGKILL" in failure.reason
    assert not others(marker)


def test_a_keeper_that_is_stopped_does_not_keep_the_worker(
    run: Run, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    assert run(that_says(then=LEAVE + "os.kill(os.getppid(), signal.SIGSTOP)\n" + DONE + FOREVER)) == MEASURED
    assert not others(marker)


# --- the end of the worker -------------------------------------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
from claims import worker
from tests.claims_support import request

worker.CHILD = {child!r}
worker.measure(request(Path({folder!r})), 600, lambda said: print("heard", flush=True), lambda: False)
"""


@pytest.fixture
def a_worker(tmp_path: Path, marker: str) -> "subprocess.Popen[str]":
    """A worker that waits for a child that has started many others."""
    assert marker
    child = that_says(then=f"{LEAVE}open('left', 'w').close()\nprint({progress(1, 2)!r}, flush=True)\n{FOREVER}")
    with subprocess.Popen(
        [sys.executable, "-c", WORKER.format(child=child, folder=str(tmp_path))],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    ) as waiting:
        assert waiting.stdout
        assert waiting.stdout.readline() == "heard\n"
        yield waiting
        waiting.kill()


def test_a_killed_worker_leaves_neither_processes_nor_a_folder(
    a_worker: "subprocess.Popen[str]", marker: str, temporary: Path
) -> None:
    assert until(lambda: len(others(marker)) > 20)
    assert len(scratch_folders(temporary)) == 1
    a_worker.kill()
    assert until(lambda: not others(marker) and not scratch_folders(temporary))


def test_what_a_worker_and_its_keeper_left_when_both_were_killed_is_swept_away(
    a_worker: "subprocess.Popen[str]", marker: str, temporary: Path
) -> None:
    assert sweep_scratch() == 0, "it is in use"
    (keeper,) = psutil.Process(a_worker.pid).children()
    keeper.suspend()  # so that it cannot do its duty in between
    a_worker.kill()
    a_worker.wait()
    keeper.kill()
    assert until(lambda: not keeper.is_running() or keeper.status() == psutil.STATUS_ZOMBIE)
    assert others(marker)
    assert sweep_scratch() == 1
    assert not others(marker)
    assert not scratch_folders(temporary)
    assert sweep_scratch() == 0


# --- the scratch folder ----------------------------------------------------------------------------------------------


def test_a_run_works_in_a_folder_of_its_own_that_is_gone_afterwards(run: Run, temporary: Path, tmp_path: Path) -> None:
    tells = f"""
import tempfile
said = [os.getcwd(), tempfile.gettempdir(), oct(os.stat('.').st_mode)[-3:], os.environ[{MARK!r}]]
open({str(tmp_path / "said")!r}, 'w').write('\\n'.join(said))
os.makedirs('deep/er')
open('deep/er/file', 'w').close()
os.symlink('/', 'deep/root')
os.chmod('deep/er', 0)
os.chmod('deep', 0)
"""
    assert run(that_says(then=tells + DONE)) == MEASURED
    folder, temporary_one, mode, mark = (tmp_path / "said").read_text().splitlines()
    assert folder == temporary_one == mark
    assert Path(folder).parent == temporary
    assert mode == "700"
    assert scratch_folders(temporary) == []


@pytest.mark.parametrize(
    "then", ["raise SystemExit(1)", "os.kill(os.getpid(), 9)", FOREVER], ids=["dies", "killed", "hangs"]
)
def test_the_folder_is_gone_however_the_run_ended(then: str, run: Run, temporary: Path) -> None:
    assert isinstance(run(that_says(then=f"open('left', 'w').close(); {then}"), 1.0), Failure)
    assert scratch_folders(temporary) == []


def test_a_run_can_be_sent_to_another_folder_with_a_scratch_folder_all_the_same(
    run: Run, tmp_path: Path, temporary: Path
) -> None:
    child = that_says(then="open('here', 'w').write(os.environ['TMPDIR']); " + DONE)
    assert run(child, folder=tmp_path) == MEASURED
    assert Path((tmp_path / "here").read_text()).parent == temporary


def test_a_measurement_without_a_library_works_where_its_files_have_their_names(
    tmp_path: Path, marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert marker
    monkeypatch.setattr(worker, "CHILD", that_says(then="open('here', 'w').close(); " + DONE))
    monkeypatch.chdir(tmp_path)
    job, own = measuring.plan("entropy_gap", "lab:story", "standard")
    measuring.measure(job, own, 1, means(tmp_path), Silent())
    assert (tmp_path / "here").exists()


def test_a_relative_python_path_means_the_same_in_the_scratch_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    assert run(that_says(then="import only_here; " + DONE)) == MEASURED


def test_only_scratch_folders_that_nobody_holds_are_swept(temporary: Path) -> None:
    (temporary / f"{BEGINS}file").write_text("")
    (temporary / "elsewhere").mkdir()
    (temporary / f"{BEGINS}link").symlink_to(temporary / "elsewhere")
    (temporary / "another").mkdir()
    (temporary / f"{BEGINS}left").mkdir()
    with scratch_folder() as held:
        assert sweep_scratch() == 1
        assert held.is_dir()
    left = {path.name for path in temporary.iterdir()}
    assert left == {f"{BEGINS}file", f"{BEGINS}link", "elsewhere", "another"}


def test_a_folder_that_was_swept_before_it_was_held_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = scratch._opened
    swept: list[int] = []

    def after_a_sweep(folder: Path) -> int:
        if not swept:
            swept.append(0)
            swept[0] = sweep_scratch()
        return opened(folder)

    monkeypatch.setattr(scratch, "_opened", after_a_sweep)
    with scratch_folder() as folder:
        assert folder.is_dir()
    assert swept == [1]


# --- whose fault it is -----------------------------------------------------------------------------------------------


def test_a_cancelled_run_was_stopped(run: Run) -> None:
    assert failed(run(that_says(then=FOREVER), is_cancelled=lambda: True)).cause == "stopped"


def test_a_child_killed_from_outside_was_lost(run: Run) -> None:
    assert failed(run(that_says(then="os.kill(os.getpid(), 9)"))).cause == "lost"


@pytest.mark.parametrize("then", ["raise SystemExit(3)", "os.abort()", "print('rubbish')", FOREVER])
def test_what_the_experiment_does_is_its_own_fault(then: str, run: Run) -> None:
    assert failed(run(that_says(then=then), 1.0)).cause == "failed"


REAL = """
import resource, sys
from verifiers import __main__ as child

def experiment(request, report):
    {experiment}

child.load = lambda verifier: experiment
child.main()
"""


@pytest.mark.parametrize(
    ("experiment", "cause", "said"),
    [
        ("open('/dev/full', 'w').write('x' * 10**5)", "lost", "No space left on device"),
        ("raise Exception('I/O error: No space left on device (os error 28)')", "lost", "No space left"),
        ("import socket; socket.create_connection(('127.0.0.1', 1), timeout=5)", "lost", "Connection refused"),
        ("raise TimeoutError", "lost", "TimeoutError"),
        (
            "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)); open('f', 'wb', 0).writelines([b'x'] * 99)",
            "failed",
            "File too large",
        ),
        ("open('/nowhere')", "failed", "FileNotFoundError"),
        ("1 / 0", "failed", "ZeroDivisionError: division by zero"),
        ("bytearray(2**40)", "failed", "MemoryError"),
    ],
)
def test_an_error_in_an_experiment_says_whether_it_may_pass(experiment: str, cause: str, said: str, run: Run) -> None:
    failure = failed(run(script(REAL.format(experiment=experiment))))
    assert said in failure.reason
    assert failure.cause == cause


def test_a_full_disk_behind_an_error_of_another_kind_may_pass_all_the_same(run: Run) -> None:
    wrapped = "\n    ".join(
        ["try:", "    open('/dev/full', 'w').write('x' * 10**5)", "except OSError: raise ValueError('no')"]
    )
    failure = failed(run(script(REAL.format(experiment=wrapped))))
    assert (failure.reason, failure.cause) == ("ValueError: no", "lost")


def test_a_lack_of_memory_names_the_limit(run: Run) -> None:
    child = script(REAL.format(experiment="bytearray(2**30)"))
    failure = failed(run(child, Limits(wall_seconds=60, memory_mb=512)))
    assert failure.reason.startswith(
        "MemoryError (each process may hold 512 MB: if it needs more, raise budget.memory_mb"
    )
    assert failure.cause == "failed"


@pytest.mark.parametrize(
    "error",
    [
        BlockingIOError(errno.EAGAIN, "no processes"),
        OSError(errno.ENOMEM, "no memory"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_machine_that_can_start_no_process_may_do_so_later(
    error: Exception, run: Run, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", refuse)
    failure = failed(run(that_says()))
    assert failure.reason == f"no process could be started for the experiment: {error}"
    assert failure.cause == "lost"
    assert scratch_folders(temporary) == []


def test_a_full_disk_for_the_scratch_folder_may_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert failed(run(that_says())).cause == "lost"


def test_a_command_that_is_no_program_is_named(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("no program")
    program.chmod(0o700)
    failure = failed(run([str(program)]))
    assert failure.reason == f"{program} could not be started: Exec format error"
    assert failure.cause == "failed"


# --- the experiment's own process, asked by hand ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "no request came: write one as a line of JSON to stdin"),
        ("\n", "no request came: write one as a line of JSON to stdin"),
        ("rubbish\n", "no request: the line: Invalid JSON"),
        ("{}\n", "no request: verifier: Field required"),
        ('{"verifier": 3}\n', "no request: verifier: Input should be a valid string"),
    ],
)
def test_a_child_that_is_asked_nothing_says_so(said: str, reason: str) -> None:
    done = subprocess.run(worker.CHILD, input=said, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert answer["event"] == "failure"
    assert answer["reason"].startswith(reason)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_child_that_serves_goes_on_after_what_was_no_request(marker: str) -> None:
    assert marker
    with subprocess.Popen(
        [*worker.CHILD, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write("rubbish\n{}\n")
        child.stdin.flush()
        assert [json.loads(child.stdout.readline())["event"] for _ in range(2)] == ["failure", "failure"]
        child.send_signal(signal.SIGKILL)
