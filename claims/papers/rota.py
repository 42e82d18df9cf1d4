"""When a machine that nobody watches pulls: once a day a query, at most once an hour in all, and ever more seldom what
fails. Pure.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from claims.hours import Settings
from claims.rhythm import DAY
from verifiers.measurement import Value

HOUR = timedelta(hours=1)
DOUBLINGS = 5  # of the wait after a failure: two hours, four … up to a day


class Turn(Value):
    """A query, and when it had its turn."""

    name: str
    pulled_at: AwareDatetime | None = None  # its last pull that came to its end
    tried_at: AwareDatetime | None = None  # its last pull at all
    failures: int = 0  # since then
    is_broken_off: bool = False
    resume_at: AwareDatetime | None = None  # not before then, as arXiv said


def due(turns: Sequence[Turn], said: Settings, now: datetime) -> tuple[str, ...]:
    """The names of the queries that are to be pulled now."""
    if said.pulls == "off" or said.quiet_until(now) or now < _not_before(turns, now):
        return ()
    return tuple(turn.name for turn in turns if _due_at(turn, now) <= now)


def next_pull(turns: Sequence[Turn], said: Settings, now: datetime) -> datetime | None:
    """When the next pull begins, if a worker is there; None when none will."""
    if said.pulls == "off" or not turns:
        return None
    at = max(min(_due_at(turn, now) for turn in turns), _not_before(turns, now), now)
    return said.quiet_until(at) or at


def _due_at(turn: Turn, now: datetime) -> datetime:
    tried, pulled = _known(turn.tried_at, now), _known(turn.pulled_at, now)
    if tried and turn.failures:
        wait: timedelta = HOUR * 2 ** min(turn.failures, DOUBLINGS)
        return tried + min(wait, DAY)
    if tried and turn.is_broken_off:
        return tried + HOUR
    return pulled + DAY if pulled else now


def _not_before(turns: Sequence[Turn], now: datetime) -> datetime:
    """The end of the hour in which somebody pulled last, and of the pause that arXiv wants from everybody."""
    times = [at for turn in turns for at in (_known(turn.tried_at, now), _known(turn.pulled_at, now)) if at]
    pauses = [at for turn in turns if (at := _known(turn.resume_at, now))]
    return max([now, *(at + HOUR for at in times), *pauses])


def _known(at: datetime | None, now: datetime) -> datetime | None:
    """A time that can be relied on: one that lies more than a day ahead comes from a clock that was wrong."""
    return at if at and at <= now + DAY else None
