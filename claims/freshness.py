"""Whether a claim was tested lately enough: its own axis, never mixed with what stands. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime

from claims.contract import Contract
from claims.standing import PastRun
from verifiers.measurement import Value

SKEW = timedelta(hours=1)  # by which clocks of machines that share a library may differ
FreshWord = Literal["FRESH", "DUE", "STALE", "RETIRED"]


class Because(Value):
    """Why a claim is due before its shelf life is over; since when, if anybody knows."""

    cause: str
    said: str
    at: AwareDatetime | None = None


class Retirement(Value):
    """Who took a claim out of re-testing, why, and what would wake it."""

    who: str
    reason: str
    wakes_on: str
    at: AwareDatetime


class Waiting(Value):
    """What counts beside the shelf life."""

    retired: Retirement | None = None
    because: tuple[Because, ...] = ()


class Freshness(Value):
    """Whether a claim was tested lately enough, and until or since when."""

    word: FreshWord
    reason: str
    turn: AwareDatetime | None  # when FRESH ends, or since when it is DUE, STALE or RETIRED


def fresh_until(contract: Contract, runs: Sequence[PastRun]) -> datetime | None:
    """When the shelf life of the newest run that is evidence ends: the last of RUNS, whatever clocks said before."""
    newest = next((run.at for run in reversed(runs) if run.counts), None)
    return newest + timedelta(days=contract.shelf_life_days) if newest else None


def freshness(over: datetime | None, shelf_life_days: int, now: datetime, waiting: Waiting | None = None) -> Freshness:
    """Judge NOW against the end of a claim's shelf life, which is None when it was never tested under its present
    contract, and against what else is WAITING.
    """
    waiting = waiting or Waiting()
    if waiting.retired:
        gone = waiting.retired
        said = f"retired by {gone.who}: {gone.reason}. What would wake it: {gone.wakes_on}"
        return Freshness(word="RETIRED", reason=said, turn=gone.at)
    if over is None:
        never = ["it was never tested under its present contract", *(one.said for one in waiting.because)]
        return Freshness(word="DUE", reason="; ".join(never), turn=None)
    life = timedelta(days=shelf_life_days)
    if now < over - life - SKEW:
        said = f"its newest run is dated {over - life:%Y-%m-%d %H:%M} UTC, which has not come yet: set this machine's clock right"
        return Freshness(word="DUE", reason=said, turn=None)
    if now < over and not waiting.because:
        return Freshness(word="FRESH", reason=f"its shelf life is {shelf_life_days} days", turn=over)
    return _due(over, shelf_life_days, now, waiting.because)


def _due(over: datetime, shelf_life_days: int, now: datetime, because: Sequence[Because]) -> Freshness:
    said = [one.said for one in because]
    if now >= over:
        said.append(f"its shelf life of {shelf_life_days} days is over")
    since = min([one.at for one in because if one.at] + [over] * (now >= over), default=None)
    life = timedelta(days=shelf_life_days)
    if since is not None and now >= since + life:
        before = f"{'; '.join(said[:-1])}; " if because else ""
        return Freshness(word="STALE", reason=f"{before}due, and not tested for another shelf life", turn=since + life)
    return Freshness(word="DUE", reason="; ".join(said), turn=since)
