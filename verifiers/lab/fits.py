"""Fits of one training run: reward R over policy entropy H, as arXiv:2505.22617 draws it, R = −a·exp(H) + b.

Pure functions on arrays with one entry a logged point: `step`, `entropy` in nats, `score` as a share in [0, 1]. Two
series that both go one way always correlate, so a good fit of the law is believed only where it is more than that. What
can be seen from entropy alone is asked first (`unreadable`); then two guards look for a rise in step that knows nothing
of entropy (`fit`).

What no guard can tell apart: a reward that settles exponentially, for reasons of its own, with the same time constant
with which exp(H) settles. Nothing in one run distinguishes it from the law.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 12  # points of a run
FALL = 0.1  # nats from the first tenth of the points to the last
STRAIGHT = 0.97  # share of exp(H) that a line in step may explain before the two are the same thing
ONE_POINT = 0.75  # share of what varies in exp(H) that may lie in a single point
BEYOND = 0.5  # share of what a line leaves over that exp(H) must explain
AHEAD = 0.015  # share of all variance by which a rise in step may be ahead of the law
SURELY = 8.0  # and how many times what its two further numbers would win on noise alone


@dataclass(frozen=True)
class Run:
    """What was logged of one run: arrays of one length, steps going up."""

    step: Array
    entropy: Array  # nats
    score: Array  # share of what is right, validated

    @property
    def branching(self) -> Array:
        """exp(H), the effective number of choices."""
        effective: Array = np.exp(self.entropy)
        return effective

    def only(self, points: NDArray[np.intp]) -> "Run":
        """The run at these POINTS, by their numbers."""
        return Run(self.step[points], self.entropy[points], self.score[points])

    def without(self, points: NDArray[np.intp]) -> "Run":
        """The run at all other points."""
        return self.only(np.setdiff1d(np.arange(len(self.step)), points))


@dataclass(frozen=True)
class Line:
    """y = slope·x + intercept by least squares, and the share of the variance of y that it explains."""

    slope: float
    intercept: float
    share: float

    def at(self, x: Array) -> Array:
        """What the line says at X."""
        return self.slope * x + self.intercept


def line(x: Array, y: Array) -> Line:
    """The straight line of Y over X; level, and explaining nothing, where either does not vary."""
    right, up = centred(x), centred(y)
    width, height, both = float(right @ right), float(up @ up), float(right @ up)
    if width <= _nothing(x) or height <= _nothing(y):
        return Line(0.0, float(y.mean()), 0.0)
    slope = both / width
    return Line(slope, float(y.mean() - slope * x.mean()), min(1.0, slope * both / height))


def _nothing(x: Array) -> float:
    """The sum of squares that rounding leaves of equal numbers."""
    return 1e-24 * float(x @ x)


def beyond(taken: Array, x: Array, y: Array) -> Line:
    """The line of Y over X once a straight line in TAKEN is out of both; its share is the partial R²."""
    rest_x, rest_y = (values - line(taken, values).at(taken) for values in (x, y))
    if rest_y @ rest_y <= 1e-12 * _variation(y) or rest_x @ rest_x <= 1e-12 * _variation(x):
        return Line(0.0, 0.0, 0.0)  # only rounding is left
    return line(rest_x, rest_y)


def centred(x: Array) -> Array:
    """X less its mean."""
    return x - float(x.mean())


def _variation(x: Array) -> float:
    return float(centred(x) @ centred(x))


# --- a rise that knows only the step -----------------------------------------------------------------------------------

Clock = Literal["step", "log step"]
EARLY = 0.02  # of a run: the logarithm counts from there
# From 0 at the first step to 1 at the last.
CLOCKS: Mapping[Clock, Callable[[Array], Array]] = {
    "step": lambda time: time,
    "log step": lambda time: np.log1p(time / EARLY) / math.log1p(1 / EARLY),
}


@dataclass(frozen=True)
class Rise:
    """The best logistic curve in step: by which clock, where its middle is and how long it takes, what it explains."""

    clock: Clock
    middle: float
    width: float
    share: float
    curve: Array  # from 0 to 1

    def at(self, step: Array, run: Array) -> Array:
        """The curve at other STEPs of a run whose fitted steps were RUN."""
        return _curve(CLOCKS[self.clock](_time(step, run)), self.middle, self.width)


def rise(step: Array, y: Array, clocks: Sequence[Clock] = ("step", "log step")) -> Rise:
    """The logistic curve in STEP, or in its logarithm, that explains most of Y.

    A middle before the start makes it settle exponentially, a great width makes it a straight line or a logarithm: this
    is the family of all plain rises and falls.
    """
    return max((_best_rise(clock, step, y) for clock in clocks), key=lambda one: one.share)


def _best_rise(clock: Clock, step: Array, y: Array) -> Rise:
    """By a search over middles and widths, in runs; three times more around the best, each time more finely."""
    time = CLOCKS[clock](_time(step, step))
    middle, width = _best(time, y, np.linspace(-1.0, 1.5, 26), np.geomspace(0.01, 1.0, 9))
    for around, factor in ((0.2, 1.8), (0.1, 1.4), (0.03, 1.1)):
        middles = np.linspace(middle - around, middle + around, 9)
        middle, width = _best(time, y, middles, np.geomspace(width / factor, width * factor, 9))
    curve = _curve(time, middle, width)
    return Rise(clock, middle, width, line(curve, y).share, curve)


def _best(time: Array, y: Array, middles: Array, widths: Array) -> tuple[float, float]:
    """The pair whose curve explains most of Y."""
    middle, width = (axis.ravel() for axis in np.meshgrid(middles, widths))
    curves = _logistic(time, middle, width)  # (pairs, points)
    level = curves - curves.mean(1, keepdims=True)
    size = (level**2).sum(1)
    explained = np.where(size > 1e-12, (level @ centred(y)) ** 2 / np.maximum(size, 1e-12), 0.0)
    best = int(explained.argmax())
    return float(middle[best]), float(width[best])


def _time(step: Array, run: Array) -> Array:
    """Steps as parts of a RUN, which its first and last step bound."""
    time: Array = (step - run[0]) / (run[-1] - run[0])
    return time


def _curve(time: Array, middle: float, width: float) -> Array:
    one: Array = _logistic(time, np.array([middle]), np.array([width]))[0]
    return one


def _logistic(time: Array, middle: Array, width: Array) -> Array:
    """Curves (pairs, points) from 0 to 1."""
    far = np.clip((time - middle[:, None]) / width[:, None], -500, 500)
    curves: Array = 1 / (1 + np.exp(-far))
    return curves


# --- the law -----------------------------------------------------------------------------------------------------------


def unreadable(run: Run) -> str | None:
    """Why a run says nothing of the law, seen from entropy alone so that no outcome is chosen; None where it may."""
    count = len(run.step)
    if count < FEWEST:
        return f"{count} points, and fewer than {FEWEST} make any rising line fit"
    fallen = fall(run)
    if abs(fallen) < FALL:
        first, last = _ends(run.entropy)
        return f"entropy goes from {first:.3f} to {last:.3f} nats: it must fall by {FALL:g}, or the run is wholly after the collapse"
    squares = centred(run.branching) ** 2
    if (alone := float(squares.max() / squares.sum())) > ONE_POINT:
        return f"{alone:.0%} of what varies in exp(H) lies in one point: log the fall of entropy more often"
    straight = line(run.step, run.branching).share
    if fallen > 0 and straight >= STRAIGHT:
        return f"exp(H) is a straight line in step (R² {straight:.3f}): the law cannot be told from a drift"
    return None


def fall(run: Run) -> float:
    """By how many nats entropy falls from the first tenth of the points to the last."""
    first, last = _ends(run.entropy)
    return first - last


def _ends(x: Array) -> tuple[float, float]:
    tenth = -(-len(x) // 10)
    return float(x[:tenth].mean()), float(x[-tenth:].mean())


@dataclass(frozen=True)
class Fit:
    """What the law comes to on one run. Shares bear the sign of a: below 0 where reward rises with entropy."""

    a: float
    b: float
    raw: float  # R², signed
    beyond_line: float  # partial R² beyond a straight line in step, signed
    rise: float  # R² of the best rise in step
    value: float | str  # what counts, or why nothing does

    @property
    def ceiling(self) -> float:
        """The reward that is left to be had at no entropy."""
        return self.b - self.a


def fit(run: Run) -> Fit | str:
    """R = −a·exp(H) + b by least squares, and what of its R² counts.

    It counts in full where exp(H) explains half of what a straight line in step leaves over; else that share counts.
    Nothing counts where a rise in step that knows nothing of entropy is clearly ahead of a law that fits: the law can
    then be neither believed nor refuted. A run whose entropy rises can only speak against the law. A run that cannot be
    read at all gives the reason alone.
    """
    if (why_not := unreadable(run)) is not None:
        return why_not
    x, y = run.branching, run.score
    law, over_line = line(x, y), beyond(run.step, x, y)
    raw, past_line, alone = _signed(law), _signed(over_line), rise(run.step, y).share
    # Noise in the entropy that was logged is no fault of the law: it may follow the smooth course of exp(H) as well.
    followed = max(law.share, line(rise(run.step, x).curve, y).share)
    counts = min(raw, past_line) if raw > 0 and past_line < BEYOND else raw
    value: float | str = counts
    if counts >= BEYOND and _is_ahead(alone, followed, len(y)):
        value = f"a rise that knows only the step explains {alone:.3f} of the reward and the law {followed:.3f}: no evidence for it"
    if fall(run) < 0 and raw > 0:
        value = "entropy rises and reward falls: the law speaks of runs whose entropy falls"
    return Fit(-law.slope, law.intercept, raw, past_line, alone, value)


def _signed(one: Line) -> float:
    return one.share if one.slope < 0 else -one.share


def _is_ahead(rise: float, law: float, count: int) -> bool:
    """Whether a rise in step, which has two numbers more than the law, is ahead of it by much and not by luck."""
    return rise - law > max(AHEAD, 2 * SURELY * (1 - rise) / max(1, count - 4))
