"""The statistics against scipy, against the tables of the design, against their definition, and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.stats import ttest_1samp

from tests.claims_support import around, reproducible
from verifiers.stats import Interval, lai_sequence, mean, standard_deviation, t_interval

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


@reproducible
@given(values=st.lists(NUMBERS, min_size=2, max_size=40), level=st.sampled_from([0.8, 0.9, 0.95, 0.99, 1 - 0.05 / 6]))
def test_the_t_interval_is_the_one_of_scipy(values: list[float], level: float) -> None:
    if np.ptp(values) < 1e-6 * max(1.0, float(np.max(np.abs(values)))):
        return  # scipy warns that nearly equal values lose precision; ours are summed exactly
    ours, theirs = t_interval(values, level), ttest_1samp(values, 0.0).confidence_interval(level)
    size = float(np.ptp(values)) + abs(ours.estimate)
    assert ours.estimate == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9 * size)
    assert ours.low == pytest.approx(theirs.low, rel=1e-9, abs=1e-9 * size)
    assert ours.high == pytest.approx(theirs.high, rel=1e-9, abs=1e-9 * size)


def test_the_t_interval_covers_as_often_as_it_says() -> None:
    chance = np.random.default_rng(20261121)
    samples = chance.normal(0.3, 2.0, size=(2000, 12))
    intervals = [t_interval(sample.tolist(), 0.95) for sample in samples]
    covered = sum(interval.low <= 0.3 <= interval.high for interval in intervals)
    assert 1865 <= covered <= 1935  # 1900 expected, 3.6 standard errors of 9.7 to either side


def test_widening_moves_both_ends_and_not_the_estimate() -> None:
    assert Interval(1.0, 0.5, 1.5).widened(0.25) == Interval(1.0, 0.25, 1.75)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_a_t_interval_of_fewer_than_two_values_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two units or more"):
        t_interval(values, 0.95)


def test_mean_and_standard_deviation_are_those_of_numpy() -> None:
    values = [1e16, 1.0, -1e16, 3.5, 0.1]
    assert mean(values) == pytest.approx(4.6 / 5, rel=1e-15)  # numpy itself loses the small ones here
    assert standard_deviation([0.1, 0.4, 0.9]) == pytest.approx(np.std([0.1, 0.4, 0.9], ddof=1))


@reproducible
@example(value=5.704143449055001, count=27)
@given(value=st.floats(-10, 10), count=st.integers(2, 60))
def test_equal_values_have_no_spread_at_all(value: float, count: int) -> None:
    assert standard_deviation([value] * count) == 0


# --- Lai's sequence --------------------------------------------------------------------------------------------------

# verdicts.md, "Looking often must be free": (n, mean, s, m, α) → interval
TABLE = [
    (8, 0.5, 0.2, 8, 0.05, 0.2447, 0.7553),
    (16, 0.5, 0.2, 8, 0.05, 0.3304, 0.6696),
    (8, 0.5, 0.2, 8, 0.025, 0.2028, 0.7972),
    (80, 0.5, 0.2, 8, 0.05, 0.4248, 0.5752),
    (1664, 0.5, 0.2, 8, 0.05, 0.4818, 0.5182),
    (5, 0.0, 1.0, 5, 0.05, -1.9887, 1.9887),
    (12, 0.0, 1.0, 12, 0.05, -0.9470, 0.9470),
    (24, 0.0, 1.0, 12, 0.05, -0.6551, 0.6551),
]


@pytest.mark.parametrize(("n", "centre", "spread", "first_look", "alpha", "low", "high"), TABLE)
def test_the_sequence_gives_the_values_of_the_design(
    n: int, centre: float, spread: float, first_look: int, alpha: float, low: float, high: float
) -> None:
    interval = lai_sequence(around(centre, spread, n), first_look, 1 - alpha)
    assert interval.low == pytest.approx(low, abs=5.1e-5)
    assert interval.high == pytest.approx(high, abs=5.1e-5)


def half_width_by_definition(n: int, spread: float, m: int, alpha: float) -> float:
    """Lai 1976 with a density and a tail of our own: nothing of scipy.stats and nothing of the house."""
    constant = math.gamma(m / 2) / (math.sqrt((m - 1) * math.pi) * math.gamma((m - 1) / 2))

    def density(x: float) -> float:
        return constant * (1 + x * x / (m - 1)) ** (-m / 2)

    def excess(a: float) -> float:
        tail, _ = integrate.quad(density, a, math.inf, epsabs=1e-13)
        return 2 * (tail + a * density(a)) - alpha

    a = optimize.bisect(excess, 0.1, 60.0, xtol=1e-12)
    g = math.log(n / m) + m * math.log(1 + a * a / (m - 1))
    return spread * math.sqrt((n - 1) / n * (math.exp(g / n) - 1))


@pytest.mark.parametrize("first_look", [5, 8, 12])
@pytest.mark.parametrize("times", [1, 1.5, 4, 40])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.05 / 4])
def test_the_sequence_follows_its_defining_formula(first_look: int, times: float, alpha: float) -> None:
    n = int(times * first_look)
    interval = lai_sequence(around(2.0, 0.7, n), first_look, 1 - alpha)
    half = half_width_by_definition(n, 0.7, first_look, alpha)
    assert (interval.low, interval.high) == pytest.approx((2.0 - half, 2.0 + half), rel=1e-7)


LOOKS, UNITS_A_LOOK, HISTORIES = 208, 8, 600


def histories_that_miss(half_width_over_spread: list[float]) -> int:
    """How many of 600 four-year histories of weekly looks exclude the truth at least once."""
    chance = np.random.default_rng(7)
    values = chance.standard_normal((HISTORIES, LOOKS * UNITS_A_LOOK))
    n = np.arange(1, LOOKS + 1) * UNITS_A_LOOK
    sums, squares = values.cumsum(1)[:, n - 1], (values**2).cumsum(1)[:, n - 1]
    means = sums / n
    spread = np.sqrt((squares - n * means**2) / (n - 1))
    return int((np.abs(means) > spread * np.array(half_width_over_spread)).any(axis=1).sum())


def half_widths(interval_of: object) -> list[float]:
    looks = [around(0.0, 1.0, look * UNITS_A_LOOK) for look in range(1, LOOKS + 1)]
    return [interval_of(values).high for values in looks]  # type: ignore[operator]


def test_looking_208_times_misses_no_more_often_than_promised() -> None:
    missed = histories_that_miss(half_widths(lambda values: lai_sequence(values, 8, 0.95)))
    # 2.2 to 2.5 % are about 14 of 600; a sequence that misses 2.5 % is above 30 with a chance of less than 1 in 20,000
    assert 3 <= missed <= 30


def test_a_plain_t_interval_misses_far_too_often_when_read_208_times() -> None:
    missed = histories_that_miss(half_widths(lambda values: t_interval(values, 0.95)))
    assert missed > 0.35 * HISTORIES  # the design found 43 %


def test_the_sequence_narrows_as_units_come_in() -> None:
    widths = half_widths(lambda values: lai_sequence(values, 8, 0.95))
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("count", "first_look"), [(7, 8), (0, 8), (1, 1)])
def test_the_sequence_is_refused_before_its_first_look(count: int, first_look: int) -> None:
    with pytest.raises(ValueError, match="begins at its first look"):
        lai_sequence([0.5] * count, first_look, 0.95)
