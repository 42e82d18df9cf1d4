"""One pace for all that an account asks of arXiv: one request at a time, and a pause after the end of each answer.

A file lock is the turn: whoever holds it may ask, and an operating system takes it from a process that dies. Beside it
lies a stamp: when the last request ended, and until when a service asked everybody to stay away. The stamp counts
seconds since the machine started (CLOCK_BOOTTIME where there is one, so that sleep counts too), which nobody can set,
and names that start. So a wall clock that jumps changes nothing. After another start, after a process that died between
its question and the answer, and with a stamp that nobody can read, the whole pause begins when the turn is taken; a time
to stay away then counts by the wall clock, and never for longer than was asked.

All addresses share the turn and the pause, since two names may be one machine; a time to stay away belongs to a host.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs
from filelock import FileLock, Timeout
from pydantic import ValidationError

from kb.errors import Held, PaceError
from kb.sources.page import Value

INTERVAL: Final = 3.0  # seconds between the end of one answer and the next request: arXiv's terms of use
PATIENCE: Final = 60.0  # seconds that a caller waits for a service that asks everybody to stay away
LONGEST: Final = 86_400.0  # no service can send us away for longer

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
_MARGIN: Final = 0.1  # a server under load may read the end of its answer off its clock later than we do
_STEP: Final = 1.0  # seconds between two words to whoever waits with us
_COURTESY: Final = 0.2  # seconds after a turn of our own in which those who wait come first: they look every 0.05

Waiting = Callable[[float | None], None]
"""Told about once a second that we wait, and how many seconds are left (None: another process has its turn). It may raise
to give up waiting.
"""


class Moment(NamedTuple):
    """One instant, by three clocks."""

    seconds: float  # since the machine started, asleep or awake
    start: str  # which start; empty where the system does not say
    wall: float  # seconds since 1970, as somebody set them


class Hold(Value):
    """A time to stay away from one host."""

    seconds: float  # as it was asked for
    until: float  # since the machine started
    wall_until: float


class Stamp(Value):
    """What the last request left behind."""

    start: str
    at: float  # when it ended, or, if it has not, began
    has_ended: bool = True
    holds: Mapping[str, Hold] = {}


class Turn:
    """One request of ours. What `hold` says is for all processes."""

    def __init__(self) -> None:
        self.away = 0.0

    def hold(self, seconds: float) -> None:
        """Stay away from the host for SECONDS after this turn."""
        self.away = min(max(seconds, 0.0), LONGEST)


def since_start() -> Moment:
    """This instant, on this machine."""
    seconds = time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
    return Moment(seconds, _boot_id(), time.time())


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # a container that hides it: the clock, which starts anew too, has to do
        return ""


def pause_left(stamp: Stamp | None, now: Moment, interval: float) -> float:
    """Seconds until the next request may be made, for whoever has the turn; None is a machine that never asked."""
    if stamp is None:
        return 0.0
    if not stamp.has_ended or stamp.start != now.start:
        return interval
    return min(max(stamp.at + interval - now.seconds, 0.0), interval)


def hold_left(stamp: Stamp | None, host: str, now: Moment) -> float:
    """Seconds for which HOST asked everybody to stay away."""
    hold = stamp.holds.get(host) if stamp else None
    if stamp is None or hold is None:
        return 0.0
    left = hold.until - now.seconds if stamp.start == now.start else hold.wall_until - now.wall
    return min(max(left, 0.0), hold.seconds)


def stamped(stamp: Stamp | None, now: Moment, *, has_ended: bool, held: tuple[str, float] | None = None) -> Stamp:
    """The stamp of a request that begins or has ended now; what was held before and is not over stays held. HELD is a
    host and the seconds for which it sent us away.
    """
    left = {host: hold_left(stamp, host, now) for host in (stamp.holds if stamp else {})}
    left |= dict([held] if held else [])
    holds = {
        host: Hold(seconds=seconds, until=now.seconds + seconds, wall_until=now.wall + seconds)
        for host, seconds in left.items()
        if seconds > 0
    }
    return Stamp(start=now.start, at=now.seconds, has_ended=has_ended, holds=holds)


def unseen(_: float | None) -> None:
    """Nobody asked to be told."""


class Pace:
    """The pace of this account on this machine. FOLDER is where its processes find each other; INTERVAL is in seconds."""

    def __init__(
        self,
        interval: float = INTERVAL,
        *,
        folder: Path | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], Moment] = since_start,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.interval, self.patience, self.clock = interval, patience, clock
        self._folder = folder or Path(platformdirs.user_state_dir("stillholds"))
        self._sleep = sleep
        self._is_next_in_line = True

    @contextmanager
    def turn(self, host: str, waiting: Waiting = unseen) -> Iterator[Turn]:
        """Wait until HOST may be asked, and have the machine's one request for as long as the block lasts.

        Raises: Held, when the host asked everybody to stay away for longer than our patience; PaceError, when the
        folder cannot be used; whatever WAITING raises.
        """
        with self._alone(waiting):
            stamp = self._read()
            self._wait(stamp, host, waiting)
            self._write(stamped(stamp, self.clock(), has_ended=False))
            turn = Turn()
            try:
                yield turn
            finally:
                self._is_next_in_line = False
                # A disk that is full by now loses no answer: the stamp of the beginning makes the next one wait longer.
                with suppress(PaceError):
                    held = (host, turn.away) if turn.away else None
                    self._write(stamped(stamp, self.clock(), has_ended=True, held=held))

    @contextmanager
    def _alone(self, waiting: Waiting) -> Iterator[None]:
        if not self._is_next_in_line:
            self._sleep(min(_COURTESY, self.interval / 2))
        with self._said_in_words():
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / "pace.lock")
        while not self._taken(lock):
            waiting(None)
        try:
            yield
        finally:
            lock.release()

    def _taken(self, lock: FileLock) -> bool:
        with self._said_in_words():
            try:
                lock.acquire(timeout=_STEP)
            except Timeout:
                return False
        return True

    def _wait(self, stamp: Stamp | None, host: str, waiting: Waiting) -> None:
        now = self.clock()
        away = hold_left(stamp, host, now)
        if away > self.patience:
            raise Held(host, away)
        interval = self.interval + _MARGIN if self.interval else 0.0
        ready = now.seconds + max(away, pause_left(stamp, now, interval))
        while (left := ready - self.clock().seconds) > 0:
            waiting(left)
            self._sleep(min(left, _STEP))

    def _read(self) -> Stamp | None:
        with self._said_in_words():
            try:
                text = self._stamp.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return Stamp.model_validate_json(text)
        except ValidationError:
            return Stamp(start="", at=0.0, has_ended=False)

    def _write(self, stamp: Stamp) -> None:
        written = self._stamp.with_suffix(".new")
        with self._said_in_words():
            written.write_text(stamp.model_dump_json())
            written.replace(self._stamp)

    @property
    def _stamp(self) -> Path:
        return self._folder / "pace.json"

    @contextmanager
    def _said_in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PaceError(
                f"the folder {self._folder}, where the processes of your account agree on when to ask arXiv, cannot be "
                f"used: {error.strerror or error}; make it writable, or name another one in XDG_STATE_HOME"
            ) from error
