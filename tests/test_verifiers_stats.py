"""The statistics against scipy, against the tables of the design, against their definition, and by simulation."""

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.special import betaln
from scipy.stats import binomtest, f_oneway, norm, skew, t, ttest_1samp

from tests.claims_support import around, reproducible
from verifiers.stats import (
    Interval,
    binomial_lower,
    binomial_upper,
    composite_level,
    contrast,
    jackknife,
    lai_radius,
    lai_sequence,
    mean,
    sample_level,
    secondary_level,
    shape_error,
    shared_variance,
    sign_interval,
    sign_rank,
    sign_sequence,
    skewness,
    standard_deviation,
    t_interval,
)

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


@pytest.mark.parametrize("n", [8, 16, 200])
def test_the_radius_is_the_half_width_for_a_standard_deviation_of_1(n: int) -> None:
    assert lai_radius(n, 8, 0.95) == pytest.approx(lai_sequence(around(0.0, 1.0, n), 8, 0.95).high, rel=1e-12)
    with pytest.raises(ValueError, match="begins at its first look"):
        lai_radius(7, 8, 0.95)


# --- the sign sequence -----------------------------------------------------------------------------------------------


def is_kept_by_definition(theta: float, values: list[float], level: float) -> bool:
    """verdicts.md, word for word: the mixture at every count that the ties allow."""
    n, above, ties = len(values), sum(v > theta for v in values), sum(v == theta for v in values)
    counts = np.arange(above, above + ties + 1)
    logs = n * math.log(2) + betaln(0.5 + counts, 0.5 + n - counts) - betaln(0.5, 0.5)
    return bool((logs < -math.log(1 - level)).any())


@reproducible
@given(
    values=st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=60), level=st.sampled_from([0.8, 0.95, 0.99])
)
def test_the_sign_sequence_keeps_what_its_definition_keeps(values: list[float], level: float) -> None:
    interval = sign_sequence(values, level)
    for theta in np.arange(-5.0, 5.25, 0.25).tolist():
        assert (interval.low <= theta <= interval.high) == is_kept_by_definition(theta, values, level)
    assert interval.estimate == np.median(values)


def test_up_to_six_units_rule_out_no_median_at_all() -> None:
    assert sign_sequence([1.0] * 6, 0.95) == Interval(1.0, -math.inf, math.inf)
    assert sign_sequence([3.0, 1.0, 2.0, 7.0, 5.0, 4.0, 6.0], 0.95) == Interval(4.0, 1.0, 7.0)
    with pytest.raises(ValueError, match="one unit or more"):
        sign_sequence([], 0.95)


@cache  # a few hundred questions, asked a hundred thousand times
def sign_test(below: int, n: int) -> float:
    return float(binomtest(below, n).pvalue)


@reproducible
@given(values=st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60, unique=True))
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_sign_interval_keeps_what_the_sign_test_does_not_reject(level: float, values: list[float]) -> None:
    interval = sign_interval(values, level)
    for theta in np.arange(-51.0, 51.0, 0.5).tolist():
        below, ties = sum(value < theta for value in values), theta in values
        counts = [below, below + 1] if ties else [below]
        kept = any(sign_test(count, len(values)) > 1 - level for count in counts)
        assert (interval.low <= theta <= interval.high) == kept
    assert interval.estimate == np.median(values)


@pytest.mark.parametrize(
    ("n", "level", "rank"), [(5, 0.95, 0), (6, 0.95, 1), (8, 0.95, 1), (9, 0.95, 2), (12, 0.95, 3), (8, 0.995, 0)]
)
def test_the_rank_of_the_sign_interval_is_that_of_the_tables(n: int, level: float, rank: int) -> None:
    values = [float(one) for one in range(1, n + 1)]
    ends = (float(rank), float(n + 1 - rank)) if rank else (-math.inf, math.inf)
    assert sign_interval(values, level)[1:] == ends


def test_looking_208_times_at_the_median_misses_in_2_3_percent() -> None:
    # whatever the distribution: the units above its median are a fair coin, and nothing else enters
    n = np.arange(1, LOOKS + 1) * UNITS_A_LOOK
    rank = np.array([sign_rank(int(units), 0.95) for units in n])
    above = np.random.default_rng(11).binomial(UNITS_A_LOOK, 0.5, size=(20_000, LOOKS)).cumsum(axis=1)
    missed = ((above < rank) | (n - above < rank)).any(axis=1).mean()
    assert missed == pytest.approx(0.023, abs=0.004)  # 3.8 standard errors


@pytest.mark.parametrize("with_ties", [False, True])
def test_the_median_of_heavy_and_of_tied_units_is_kept_through_many_looks(with_ties: bool) -> None:
    chance = np.random.default_rng(12)
    histories, looks, truth = 200, 30, 1.0
    values = chance.lognormal(0.0, 2.0, size=(histories, looks * UNITS_A_LOOK))
    if with_ties:
        values = np.ceil(values).clip(0, 4)  # the median of whole numbers: half of the units are 1
    missed = 0
    for history in values.tolist():
        seen = [sign_sequence(history[: look * UNITS_A_LOOK], 0.95) for look in range(1, looks + 1)]
        missed += not all(interval.low <= truth <= interval.high for interval in seen)
    assert missed <= 12  # 2.3 % of 200 is 5


# --- units from arms and from pairs ----------------------------------------------------------------------------------


def test_non_inferiority_is_a_contrast_of_three_arms() -> None:
    arms = {"base": [0.1, 0.2, 0.0], "all": [0.9, 0.7, 0.5], "top20": [0.85, 0.5, 0.7], "bottom80": [0.2, 0.2, 0.2]}
    units = contrast(arms, {"top20": 1, "all": -0.9, "base": -0.1})
    rows = zip(arms["base"], arms["all"], arms["top20"], strict=True)
    assert units == pytest.approx([top - all_ + 0.10 * (all_ - base) for base, all_, top in rows])
    keeps_enough = [(arms["top20"][i] - arms["all"][i]) / (arms["all"][i] - arms["base"][i]) > -0.1 for i in range(3)]
    assert [unit > 0 for unit in units] == keeps_enough == [True, False, True]


def test_a_contrast_is_refused_with_what_to_do() -> None:
    arms = {"all": [0.5, 0.6], "base": [0.1]}
    with pytest.raises(ValueError, match=r"differ in length, .*'base': 1.*one value for each unit"):
        contrast(arms, {"all": 1, "base": -1})
    with pytest.raises(ValueError, match="no arm to weigh for top20; the arms are all, base"):
        contrast(arms, {"top20": 1, "all": -1})
    with pytest.raises(ValueError, match="no arm to weigh for anything"):
        contrast(arms, {})


def pairs_of(lineages: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return lineages[:, None] + lineages + noise + noise.T


def test_pseudo_values_of_additive_lineages_are_twice_their_effects() -> None:
    effects = np.array([0.3, -1.0, 2.0, 0.7, 0.0])
    table = 0.5 + pairs_of(effects, np.zeros((5, 5)))
    np.fill_diagonal(table, math.nan)  # not read
    assert jackknife(table.tolist()) == pytest.approx(0.5 + 2 * effects)


def test_pseudo_values_follow_their_definition() -> None:
    table = np.random.default_rng(3).normal(size=(6, 6))

    def mean_of_pairs(among: list[int]) -> float:
        return float(np.mean([table[i, j] for i, j in itertools.permutations(among, 2)]))

    everyone = mean_of_pairs(list(range(6)))
    expected = [6 * everyone - 5 * mean_of_pairs([j for j in range(6) if j != i]) for i in range(6)]
    pseudo = jackknife(table.tolist())
    assert pseudo == pytest.approx(expected)
    assert mean(pseudo) == pytest.approx(everyone)


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0])
def test_intervals_over_lineages_miss_as_rarely_as_the_design_found(noise: float) -> None:
    chance = np.random.default_rng(8)
    tables = [pairs_of(chance.normal(size=8), noise * chance.normal(size=(8, 8))) for _ in range(2000)]

    def share_that_misses(units_of: Callable[[np.ndarray], list[float]]) -> float:
        intervals = [t_interval(units_of(table), 0.95) for table in tables]
        return float(np.mean([not interval.low <= 0 <= interval.high for interval in intervals]))

    assert 0.010 < share_that_misses(lambda table: jackknife(table.tolist())) < 0.066  # 1.6 to 5.1 %, 3 errors
    assert share_that_misses(lambda table: table[np.triu_indices(8, 1)].tolist()) > 0.09


@pytest.mark.parametrize("table", [[], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0, 2.0]] * 2 + [[0.0]]])
def test_a_table_that_is_too_small_or_not_square_is_refused(table: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="square table of three lineages or more"):
        jackknife(table)


# --- levels ----------------------------------------------------------------------------------------------------------


def test_levels_share_out_what_may_go_wrong() -> None:
    assert composite_level(0.95, 1) == secondary_level(0.95, 1) == sample_level(0.95, 1) == pytest.approx(0.95)
    assert composite_level(0.95, 2) == pytest.approx(0.975)
    assert secondary_level(0.95, 6) == pytest.approx(1 - 0.05 / 6)
    assert secondary_level(0.95, 0) == pytest.approx(0.95)
    assert [sample_level(0.95, number) for number in (2, 3)] == pytest.approx([0.975, 0.9875])


@pytest.mark.parametrize("level_of", [composite_level, sample_level])
def test_there_is_no_level_for_nothing(level_of: Callable[[float, int], float]) -> None:
    with pytest.raises(ValueError, match="got 0"):
        level_of(0.95, 0)


def test_a_composite_endpoint_is_seldom_wrong_either_way() -> None:
    chance = np.random.default_rng(4)
    n, half = 8, {level: lai_radius(8, 8, level) for level in (0.95, composite_level(0.95, 3))}

    def ends(border: list[float], level: float, sign: int) -> np.ndarray:
        """The upper (+1) or lower (−1) end for each of three parts that share half of their variance."""
        values = chance.standard_normal((4000, 3, n)) + chance.standard_normal((4000, 1, n))
        return np.asarray(values.mean(2) + border + sign * half[level] * values.std(2, ddof=1))

    holds = (ends([0.0, 1.0, 1.0], 0.95, -1) > 0).all(axis=1).mean()  # one part is no better than the border of HOLDS
    refuted = (ends([0.0, 0.0, 0.0], composite_level(0.95, 3), 1) < 0).any(axis=1).mean()  # all are as good as it
    assert holds < 0.035
    assert 0.002 < refuted < 0.035


# --- bounds on a rate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 12), (3, 12), (12, 12), (7, 59), (83, 2000), (500, 500)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_bounds_are_the_exact_ones_of_scipy(count: int, n: int, level: float) -> None:
    both = binomtest(count, n).proportion_ci(2 * level - 1, method="exact")
    assert binomial_lower(count, n, level) == pytest.approx(both.low, abs=1e-9)
    assert binomial_upper(count, n, level) == pytest.approx(both.high, abs=1e-9)


@reproducible
@given(n=st.integers(1, 40), share=st.floats(0, 1))
def test_the_bounds_leave_the_promised_tail(n: int, share: float) -> None:
    count = round(share * n)
    upper, lower = binomial_upper(count, n), binomial_lower(count, n)

    def chance_of(counts: range, rate: float) -> float:
        return math.fsum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in counts)

    assert upper == 1 if count == n else chance_of(range(count + 1), upper) == pytest.approx(0.05)
    assert lower == 0 if count == 0 else chance_of(range(count, n + 1), lower) == pytest.approx(0.05)


def test_the_counts_of_the_design_mean_what_it_says() -> None:
    assert binomial_upper(0, 12) == pytest.approx(0.2209, abs=5e-5)  # twelve right of twelve
    assert binomial_upper(0, 59) == pytest.approx(0.0495, abs=5e-5)  # a break caught 59 times of 59
    for count, n in [(83, 2000), (16, 500), (38, 1000)]:  # the most errors that still show at most 5 %
        assert binomial_upper(count, n) < 0.05 < binomial_upper(count + 1, n)
    assert binomial_lower(416, 500) > 0.8 > binomial_lower(415, 500)  # right at the design effect
    assert binomial_lower(12, 12) == pytest.approx(1 - binomial_upper(0, 12))


@pytest.mark.parametrize(("count", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_count_of_trials_has_no_bound(count: int, n: int) -> None:
    for bound in (binomial_lower, binomial_upper):
        with pytest.raises(ValueError, match=f"got {count} of {n}"):
            bound(count, n)


# --- the shape of the units ------------------------------------------------------------------------------------------


@reproducible
@given(values=st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=3, max_size=40))
def test_skewness_is_the_adjusted_one_of_scipy(values: list[float]) -> None:
    assume(np.ptp(values) > 0.01)
    assert skewness(values) == pytest.approx(float(skew(values, bias=False)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [0.1] * 9])
def test_what_has_no_shape_has_no_skewness(values: list[float]) -> None:
    with pytest.raises(ValueError, match="three units or more that are not all equal"):
        skewness(values)


@pytest.mark.parametrize("bank", [[0.0, 0.1, 0.3, 2.0], [0.0, 0.0, 0.0, 1.0, 1.0], [-3.0, 1.0, 1.0, 1.0, 2.0]])
def test_the_error_of_a_shape_is_the_one_over_all_possible_runs(bank: list[float]) -> None:
    runs = np.array(list(itertools.product(bank, repeat=5)))
    runs_with_spread = runs[np.ptp(runs, axis=1) > 0]
    off = (runs_with_spread.mean(1) - np.mean(bank)) / (runs_with_spread.std(1, ddof=1) / math.sqrt(5))
    boundary = t.ppf(0.9, 4)
    exact = max((off > boundary).sum(), (off < -boundary).sum()) / len(runs)
    assert exact > 0.02
    assert shape_error(bank, 5, 0.8, draws=20_000) == pytest.approx(exact, abs=0.01)  # 3 standard errors or more


def test_the_error_of_a_shape_does_not_ask_which_side_or_scale() -> None:
    bank = np.random.default_rng(6).exponential(size=100)
    error = shape_error(bank.tolist(), 8, draws=2000, seed=5)
    assert error == shape_error((7 - 1024 * bank).tolist(), 8, draws=2000, seed=5)
    assert error != shape_error(bank.tolist(), 8, draws=2000, seed=6)


SHARES = (np.arange(2000) + 0.5) / 2000
BANKS = {
    "normal": norm.ppf(SHARES),
    "exponential": -np.log1p(-SHARES),
}


def test_normal_units_pass_the_check_and_exponential_ones_fail_it() -> None:
    rates = {
        name: [shape_error(bank, 8), shape_error(bank, 8, first_look=8, looks=20, draws=2000)]
        for name, bank in BANKS.items()
    }
    assert rates["normal"] == [pytest.approx(0.025, abs=0.004), pytest.approx(0.009, abs=0.007)]
    assert rates["exponential"] == [
        pytest.approx(one_sided_misses_of_exponential_units(looks=1), abs=0.01),
        pytest.approx(one_sided_misses_of_exponential_units(looks=20), abs=0.025),
    ]
    assert min(rates["exponential"]) > 0.05


def one_sided_misses_of_exponential_units(looks: int) -> float:
    """Histories in which the interval is once wholly below the mean, 1: t in one look, Lai's sequence in more."""
    values = np.random.default_rng(21).exponential(size=(5000, looks * 8))
    n = np.arange(1, looks + 1) * 8
    means = values.cumsum(1)[:, n - 1] / n
    spread = np.stack([values[:, :units].std(1, ddof=1) for units in n], axis=1)
    lai = [half_width_by_definition(int(units), 1.0, 8, 0.05) for units in n]
    radius = np.array(lai if looks > 1 else [t.ppf(0.975, 7) / math.sqrt(8)])
    return float((means + radius * spread < 1).any(axis=1).mean())


@pytest.mark.parametrize("asked", [{"values": [1.0]}, {"n": 1}, {"first_look": 9}, {"looks": 0}])
def test_no_shape_is_checked_where_nothing_could_be_read(asked: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="nothing to read"):
        shape_error(**{"values": [0.0, 1.0, 2.0], "n": 8} | asked)


def test_looks_before_the_first_look_are_not_read() -> None:
    bank = BANKS["exponential"].tolist()
    early, late = (shape_error(bank, 4, first_look=m, looks=3, draws=2000) for m in (4, 12))
    assert late < early


def runs_that_share(share: float, sizes: list[int], chance: np.random.Generator) -> list[list[float]]:
    return [
        (math.sqrt(share) * chance.normal() + math.sqrt(1 - share) * chance.normal(size=size)).tolist()
        for size in sizes
    ]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_shared_variance_is_what_was_planted(share: float) -> None:
    chance = np.random.default_rng(31)
    assert shared_variance(runs_that_share(share, [4, 8, 12] * 700, chance)) == pytest.approx(share, abs=0.03)


def test_the_shared_variance_follows_from_the_f_ratio() -> None:
    runs = runs_that_share(0.4, [8] * 12, np.random.default_rng(32))
    ratio = float(f_oneway(*runs).statistic)
    assert shared_variance(runs) == pytest.approx((ratio - 1) / (ratio + 7))


def test_the_shared_variance_is_never_below_0_nor_above_1() -> None:
    assert shared_variance([[-1.0, 1.0], [1.0, -1.0], [-2.0, 2.0]]) == 0
    assert shared_variance([[1.0, 1.0], [2.0, 2.0], [5.0]]) == 1
    independent = [runs_that_share(0.0, [8] * 12, np.random.default_rng(seed)) for seed in range(200)]
    assert 0 < np.mean([shared_variance(runs) for runs in independent]) < 0.03  # chance alone, cut at 0


@pytest.mark.parametrize("runs", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 2.0], []], [[1.0, 1.0], [1.0, 1.0]]])
def test_runs_that_cannot_share_anything_are_refused(runs: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="two runs or more with several units that differ"):
        shared_variance(runs)


def test_the_statistics_load_neither_numpy_nor_scipy_until_asked() -> None:
    code = "import verifiers.stats, sys; print({'numpy', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
