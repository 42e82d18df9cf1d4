"""The rhythm of a claim: when it is tested again, a fold over its runs. Pure."""

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, FiniteFloat

from verifiers.measurement import Value

DAY = timedelta(days=1)
FIRST = 0.25  # of the shelf life: the interval after the first run
LONGEST = 0.8  # of the shelf life: the rest is room for a queue, quiet hours and a machine that is off
SHORTEST = 1.0  # days
LONGER, SHORTER = 1.5, 0.5
FAR = 1.5  # half-widths from the nearest border
FEW_RUNS = 20  # an interval that so many more runs would bring off a border is worth running for
NEWEST = 0.4  # weight of the newest run in the mean of the newest runs
STRAY = 2.5  # standard errors
LAI = 3.5  # a sequence's half-width in standard errors of its mean: 3.2 to 3.8 from 8 to 2,000 units

DECIDED = ("HOLDS", "WEAKENED", "REFUTED", "CONTESTED")


class Look(Value):
    """The sequence after a run that counts, on the scale of analysis, and how the claim stood then."""

    at: AwareDatetime
    n: Annotated[int, Field(ge=1)]
    low: FiniteFloat
    estimate: FiniteFloat
    high: FiniteFloat
    border: FiniteFloat  # the one nearest to the estimate
    word: str


class Rhythm(Value):
    """How often a claim is tested, and the sums that this follows from: a value, made anew by every run."""

    interval_days: float
    why: str
    last: Look
    looks: int = 1
    newest: float  # mean of the newest runs, the last one weighing most
    strays: bool = False  # they lie across the border from the whole sample
    changes: int = 0  # of a decided standing
    days: float = 0.0  # watched


def rhythm(looks: Iterable[Look], shelf_life_days: float) -> Rhythm | None:
    """Fold LOOKS, those of the current sample, oldest first; None before the first."""
    state = None
    for look in looks:
        state = after(state, look, shelf_life_days)
    return state


def interval_days(looks: Iterable[Look], shelf_life_days: float) -> float:
    """Days from the last of LOOKS until the claim's next test."""
    state = rhythm(looks, shelf_life_days)
    return state.interval_days if state else clamped(FIRST * shelf_life_days, shelf_life_days)


def after(state: Rhythm | None, look: Look, shelf_life_days: float) -> Rhythm:
    """What LOOK makes of STATE: a claim that holds still earns a longer interval, one that wavers a shorter one."""
    if state is None:
        state = Rhythm(interval_days=FIRST * shelf_life_days, why="", last=look, looks=0, newest=look.estimate)
    newest = state.newest + NEWEST * (_own_mean(state.last, look) - state.newest)
    strays = _strays(look, newest, state.looks + 1)
    changed = state.last.word in DECIDED and look.word != state.last.word
    factor, why = _factor(look, changed=changed, strays=strays, runs=state.looks + 1)
    return Rhythm(
        interval_days=clamped(factor * state.interval_days, shelf_life_days),
        why=why,
        last=look,
        looks=state.looks + 1,
        newest=newest,
        strays=strays,
        changes=state.changes + changed,
        days=state.days + max((look.at - state.last.at) / DAY, 0.0),
    )


def clamped(days: float, shelf_life_days: float) -> float:
    """An interval between the shortest there is and the longest that leaves room within a shelf life."""
    return min(max(days, SHORTEST), LONGEST * shelf_life_days)


def _factor(look: Look, *, changed: bool, strays: bool, runs: int) -> tuple[float, str]:
    """How much longer or shorter the interval becomes, and why."""
    half, gap = half_width(look), abs(look.estimate - look.border)
    if changed:
        return SHORTER, "its standing changed"
    if strays:
        return SHORTER, "its newest runs lie across a border"
    if gap > half:
        return (LONGER, "it lies far from every border") if gap >= FAR * half else (1.0, "it lies close to a border")
    if runs * (half**2 - gap**2) <= FEW_RUNS * gap**2:  # runs that bring the half-width down to the gap
        return SHORTER, "it touches a border, and a few more runs would tell"
    return LONGER, "it sits on a border, where a few more runs would tell nothing"


def half_width(look: Look) -> float:
    """Half the width of the interval that a look gave."""
    return (look.high - look.low) / 2


def _own_mean(before: Look, look: Look) -> float:
    """The mean of the units that a run added to the sample."""
    drawn = look.n - before.n
    return (look.n * look.estimate - before.n * before.estimate) / drawn if drawn > 0 else look.estimate


def _strays(look: Look, newest: float, runs: int) -> bool:
    """Whether the newest runs lie across the border from the sample, by more than chance would have it."""
    crossed = (newest - look.border) * (look.estimate - look.border) < 0
    error = half_width(look) / LAI * math.sqrt(runs * NEWEST / (2 - NEWEST))  # of an exponentially weighted mean
    return crossed and abs(newest - look.estimate) > STRAY * error
