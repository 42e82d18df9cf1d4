"""The statistics of the house; every interval that anybody sees is computed here.

Values are one number a unit (a world, a training run, a prompt), never a token. scipy is imported inside the functions,
because listing claims must not wait for it.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate and the interval around it."""

    estimate: float
    low: float
    high: float

    def widened(self, by: float) -> "Interval":
        """Move both ends outwards by BY, error that more units would not average away."""
        return Interval(self.estimate, self.low - by, self.high + by)


def mean(values: Sequence[float]) -> float:
    """The mean, summed without rounding error."""
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float:
    """The sample standard deviation (n − 1); exactly 0 for equal values, whose mean may be a rounding away."""
    if min(values) == max(values):
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def t_interval(values: Sequence[float], level: float) -> Interval:
    """The two-sided Student t interval for the mean of VALUES at LEVEL (Student 1908, Biometrika 6:1).

    Raises:
        ValueError: with fewer than two values, which have no spread.
    """
    if len(values) < 2:
        raise ValueError(f"a t interval needs two units or more, got {len(values)}")
    from scipy.stats import t

    centre = mean(values)
    half = float(t.ppf(0.5 + level / 2, len(values) - 1)) * standard_deviation(values) / math.sqrt(len(values))
    return Interval(centre, centre - half, centre + half)


def lai_sequence(values: Sequence[float], first_look: int, level: float) -> Interval:
    """The current interval of Lai's t confidence sequence, valid at every look from n = FIRST_LOOK on.

    Lai 1976, Annals of Statistics 4:265; as restated in arXiv:2310.03722. With m the first look and α = 1 − LEVEL, a
    solves 2(1 − F(a) + a·f(a)) = α for Student's t with m − 1 degrees of freedom, g = ln(n/m) + m·ln(1 + a²/(m − 1)),
    and the half-width is s·sqrt((n − 1)/n · (exp(g/n) − 1)).

    Raises:
        ValueError: before the first look.
    """
    n, m = len(values), first_look
    if n < m or m < 2:
        raise ValueError(f"the sequence begins at its first look, {m} units (two or more); got {n}")
    g = math.log(n / m) + m * math.log1p(_lai_boundary(m, level) ** 2 / (m - 1))
    half = standard_deviation(values) * math.sqrt((n - 1) / n * math.expm1(g / n))
    centre = mean(values)
    return Interval(centre, centre - half, centre + half)


@lru_cache(maxsize=64)
def _lai_boundary(first_look: int, level: float) -> float:
    from scipy.optimize import brentq
    from scipy.stats import t

    student = t(first_look - 1)

    def excess(a: float) -> float:
        return float(2 * (student.sf(a) + a * student.pdf(a))) - (1 - level)

    return float(brentq(excess, 0.0, 1e6, xtol=1e-12))  # falls from 1 at a = 0 towards 0
