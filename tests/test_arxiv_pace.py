"""Nothing is asked faster than arXiv allows: not by four processes, not after a kill, not by a clock that jumps."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kb.errors import Held, PaceError
from kb.pace import INTERVAL, LONGEST, Hold, Moment, Pace, Stamp, hold_left, pause_left, since_start
from tests.arxiv_server import serving, silent

DAY = 86_400.0
MARGIN = 0.1  # on top of every interval
NOW = Moment(seconds=1000.0, start="this", wall=1.8e9)


class Clock:
    """A machine's clocks, moved by whoever sleeps."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept = 0.0

    def __call__(self) -> Moment:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now = self.now._replace(seconds=self.now.seconds + seconds, wall=self.now.wall + seconds)

    def set_wall(self, by: float) -> None:
        self.now = self.now._replace(wall=self.now.wall + by)

    def start_anew(self) -> None:
        self.now = self.now._replace(seconds=5.0, start="next")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(tmp_path: Path, clock: Clock) -> Callable[[], Pace]:
    """The pace, as each process has it."""
    return lambda: Pace(folder=tmp_path, clock=clock, sleep=clock.sleep)


def ask(pace: Pace, clock: Clock, *, takes: float = 2.0, hold: float = 0.0, host: str = "arxiv.org") -> float:
    """Make one request, and return the seconds that it had to wait."""
    before = clock.now.seconds
    with pace.turn(host) as turn:
        waited = clock.now.seconds - before
        clock.pass_by(takes)
        turn.hold(hold)
    return waited


# --- the decisions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "left"),
    [
        (None, 0.0),
        (Stamp(start="this", at=999.0), 2.0),
        (Stamp(start="this", at=990.0), 0.0),
        (Stamp(start="this", at=990.0, has_ended=False), 3.0),  # it died, and nobody knows when arXiv stopped answering
        (Stamp(start="before", at=999.0), 3.0),
        (Stamp(start="this", at=5000.0), 3.0),  # a machine that was set back to an earlier state
    ],
)
def test_the_pause_runs_from_the_end_of_the_last_request(stamp: Stamp | None, left: float) -> None:
    assert pause_left(stamp, NOW, 3.0) == left


@pytest.mark.parametrize(
    ("start", "hold", "left"),
    [
        ("this", Hold(seconds=600, until=1100.0, wall_until=0), 100.0),
        ("this", Hold(seconds=600, until=900.0, wall_until=NOW.wall + 500), 0.0),
        ("before", Hold(seconds=600, until=0, wall_until=NOW.wall + 200), 200.0),
        ("before", Hold(seconds=600, until=0, wall_until=NOW.wall + DAY), 600.0),  # never longer than arXiv asked for
        ("before", Hold(seconds=600, until=5000, wall_until=NOW.wall - 1), 0.0),
    ],
)
def test_a_time_to_stay_away_outlives_a_restart(start: str, hold: Hold, left: float) -> None:
    stamp = Stamp(start=start, at=0, holds={"arxiv.org": hold})
    assert hold_left(stamp, "arxiv.org", NOW) == left
    assert hold_left(stamp, "example.org", NOW) == 0.0


def test_this_machine_has_a_clock_that_goes_on() -> None:
    first, second = since_start(), since_start()
    assert first.seconds <= second.seconds
    assert first.start == second.start


# --- turns, by a clock of ours ---------------------------------------------------------------------------------------


def test_three_seconds_pass_from_the_end_of_an_answer_to_the_next_request(
    pace: Callable[[], Pace], clock: Clock
) -> None:
    one, other = pace(), pace()
    assert ask(one, clock, takes=40.0) == 0.0
    assert ask(other, clock) == pytest.approx(INTERVAL + MARGIN)
    clock.pass_by(1.0)
    assert ask(one, clock) == pytest.approx(INTERVAL + MARGIN - 1.0)
    clock.pass_by(10.0)
    assert ask(other, clock) == pytest.approx(0.2)  # whoever asked before lets others go first


def test_all_addresses_share_the_pause(pace: Callable[[], Pace], clock: Clock) -> None:
    ask(pace(), clock, host="127.0.0.1:1")
    assert ask(pace(), clock, host="localhost:1") == pytest.approx(INTERVAL + MARGIN)


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_wall_clock_that_jumps_changes_nothing(pace: Callable[[], Pace], clock: Clock, jump: float) -> None:
    ask(pace(), clock)
    clock.set_wall(jump)
    assert ask(pace(), clock, hold=50.0) == pytest.approx(INTERVAL + MARGIN)
    clock.set_wall(jump)
    assert ask(pace(), clock) == pytest.approx(50.0)


def test_after_a_restart_the_whole_pause_is_kept(pace: Callable[[], Pace], clock: Clock) -> None:
    ask(pace(), clock)
    clock.start_anew()
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)


def test_one_process_that_is_sent_away_keeps_all_away(pace: Callable[[], Pace], clock: Clock) -> None:
    ask(pace(), clock, hold=600.0)
    clock.pass_by(100.0)
    with pytest.raises(Held, match=r"arxiv\.org asked not to be asked again for another 500 seconds") as held:
        ask(pace(), clock)
    assert held.value.seconds == pytest.approx(500.0)
    assert ask(pace(), clock, host="127.0.0.1:1") == 0.0
    clock.pass_by(480.0)
    assert 0 < ask(pace(), clock) <= 18.0  # less than our patience: it waits
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)


def test_nobody_is_sent_away_for_longer_than_a_day(pace: Callable[[], Pace], clock: Clock) -> None:
    ask(pace(), clock, hold=1e12)
    with pytest.raises(Held) as held:
        ask(pace(), clock)
    assert held.value.seconds == pytest.approx(LONGEST)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"start": "this", "at": "soon"}', "\0" * 100])
def test_a_stamp_that_nobody_can_read_costs_a_pause(
    pace: Callable[[], Pace], clock: Clock, tmp_path: Path, text: str
) -> None:
    ask(pace(), clock)
    clock.pass_by(100.0)
    (tmp_path / "pace.json").write_text(text)
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)
    assert json.loads((tmp_path / "pace.json").read_text())["has_ended"]


def test_a_disk_that_fills_up_during_a_request_loses_no_answer(
    pace: Callable[[], Pace], clock: Clock, tmp_path: Path
) -> None:
    with pace().turn("arxiv.org"):
        (tmp_path / "pace.new").mkdir()
    clock.pass_by(100.0)
    with pytest.raises(PaceError):
        ask(pace(), clock)
    (tmp_path / "pace.new").rmdir()
    clock.pass_by(100.0)
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(PaceError, match=r"the folder .*file/state.* cannot be used: Not a directory; make it writable"),
        Pace(folder=tmp_path / "file" / "state").turn("arxiv.org"),
    ):
        pytest.fail("nobody may ask without a pace")


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_whoever_waits_is_told_how_long(pace: Callable[[], Pace], clock: Clock) -> None:
    told: list[float | None] = []
    ask(pace(), clock)
    with pace().turn("arxiv.org", told.append):
        pass
    assert told == pytest.approx([3.1, 2.1, 1.1, 0.1])


class GivenUp(Exception):
    """Whoever waited has other things to do."""


def _give_up(_: float | None) -> None:
    raise GivenUp


def test_whoever_waits_can_give_up(pace: Callable[[], Pace], clock: Clock) -> None:
    ask(pace(), clock)
    with pytest.raises(GivenUp), pace().turn("arxiv.org", _give_up):
        pytest.fail("it gave up")
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)


def test_whoever_waits_for_another_process_is_told_and_can_give_up(tmp_path: Path) -> None:
    told: list[float | None] = []

    def give_up(left: float | None) -> None:
        told.append(left)
        raise GivenUp

    def wait() -> None:
        with pytest.raises(GivenUp), Pace(folder=tmp_path).turn("arxiv.org", give_up):
            pytest.fail("it gave up")

    with Pace(folder=tmp_path).turn("arxiv.org"):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(30)
    assert told == [None]


# --- real processes --------------------------------------------------------------------------------------------------

_ASKER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell in the background may have taken away
from pathlib import Path
from kb.pace import Pace
from kb.sources.arxiv import Arxiv
url, folder, interval, count = sys.argv[1:]
say = lambda left: print("waits", left, flush=True)
arxiv = Arxiv(url, pace=Pace(float(interval), folder=Path(folder)), waiting=say)
for _ in range(int(count)):
    assert arxiv.search("cat:cs.LG").total == 0
"""


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process that asks COUNT times."""
    with ExitStack() as ended:

        def start(url: str, *, interval: float, count: int) -> subprocess.Popen[bytes]:
            command = [sys.executable, "-c", _ASKER, url, str(tmp_path), str(interval), str(count)]
            process = ended.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            ended.callback(process.kill)
            return process

        yield start


@pytest.mark.parametrize(("interval", "processes", "count"), [(0.3, 4, 2), (INTERVAL, 2, 1)])
def test_processes_never_ask_at_once_nor_too_soon(
    asker: Callable[..., subprocess.Popen[bytes]], interval: float, processes: int, count: int
) -> None:
    with serving() as arxiv:
        started = [asker(arxiv.url, interval=interval, count=count) for _ in range(processes)]
        assert [process.wait(60) for process in started] == [0] * processes
        assert len(arxiv.requests) == processes * count
        assert min(arxiv.gaps) >= interval
        assert arxiv.most_at_once == 1


def test_after_a_kill_in_the_middle_of_a_request_the_whole_pause_is_kept(
    asker: Callable[..., subprocess.Popen[bytes]], pace: Callable[[], Pace], clock: Clock
) -> None:
    with serving(faults={1: silent()}) as arxiv:
        killed = asker(arxiv.url, interval=0.3, count=1)
        arxiv.wait_for(1)
        killed.kill()
        killed.wait(30)
        following = asker(arxiv.url, interval=0.3, count=1)
        assert following.wait(30) == 0
        assert len(arxiv.requests) == 2
        assert min(arxiv.gaps) >= 0.3
    assert ask(pace(), clock) == pytest.approx(INTERVAL + MARGIN)  # whatever its clock: another start of the machine


def test_a_process_that_waits_can_be_interrupted(asker: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    with serving(faults={1: silent()}) as arxiv:
        first = asker(arxiv.url, interval=0.3, count=1)
        arxiv.wait_for(1)
        second = asker(arxiv.url, interval=0.3, count=1)
        assert second.stdout is not None
        assert second.stdout.readline() == b"waits None\n"
        os.kill(second.pid, signal.SIGINT)
        assert second.wait(30) == -signal.SIGINT
        first.kill()
        first.wait(30)
        assert asker(arxiv.url, interval=0.3, count=1).wait(30) == 0
