"""The statistics of the house; every interval that anybody sees is computed here.

Values are one number a unit (a world, a training run, a prompt), never a token. In order: what makes units of raw
values (`contrast`, `jackknife`), intervals for one look (`t_interval`, `sign_interval`) and for every look (`lai_sequence`,
`sign_sequence`), levels, bounds on a rate, and what the certificate says of the shape of the units.

scipy is imported inside the functions, because listing claims must not wait for it, and numpy not at all, because
what judges a claim is kept free of it.
"""

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median
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


# --- units -----------------------------------------------------------------------------------------------------------


def contrast(arms: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> list[float]:
    """One number a unit: the weighted sum of its ARMS, each a list over the same units in the same order.

    A ratio against a margin is read this way, because a ratio of two noisy differences has no mean to put an interval
    around (Fieller 1954, Journal of the Royal Statistical Society B 16:175). "The top fifth loses at most a tenth of
    the gain", (top − all)/(all − base) > −0.10, is top − all + 0.10·(all − base) > 0: the weights
    {"top": 1, "all": −0.9, "base": −0.1}.

    Raises:
        ValueError: without weights, for a weight whose arm is not there, or when the arms differ in length.
    """
    missing = [name for name in weights if name not in arms]
    if missing or not weights:
        wanted = ", ".join(missing) or "anything"
        raise ValueError(f"no arm to weigh for {wanted}; the arms are {', '.join(arms)}: name some of these")
    lengths = {name: len(arms[name]) for name in weights}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the arms differ in length, {lengths}: give every arm one value for each unit, same order")
    chosen = [[weight * value for value in arms[name]] for name, weight in weights.items()]
    return [math.fsum(parts) for parts in zip(*chosen, strict=True)]


def jackknife(pairs: Sequence[Sequence[float]]) -> list[float]:
    """The pseudo-value of each of L lineages, from what every pair of them gave; their mean is the mean of all pairs.

    p_i = L·U − (L − 1)·U₋ᵢ, U the mean of y_ij over i ≠ j and U₋ᵢ the same without lineage i (Arvesen 1969, Annals of
    Mathematical Statistics 40:2076). The lineage is the unit: `t_interval` of these has L − 1 degrees of freedom.
    From L = 8 on it misses 5 % or less where normal effects of lineages add up, with or without noise of each pair (all
    pairs as units: up to 59 %); where they multiply or are skewed it misses up to 10 %, so put such a quantity on a
    scale on which they add. PAIRS is L by L; its diagonal is not read, and y_ij and y_ji count alike, so both are given
    even where they are one number.

    Raises:
        ValueError: with fewer than three lineages, or when the table is not square.
    """
    count = len(pairs)
    if count < 3 or any(len(row) != count for row in pairs):
        rows = [len(row) for row in pairs]
        raise ValueError(f"a square table of three lineages or more is needed; {count} rows came, of lengths {rows}")
    rest = range(count)
    with_each = [math.fsum(pairs[i][j] + pairs[j][i] for j in rest if j != i) for i in rest]
    total = math.fsum(with_each) / 2
    everything = total / (count * (count - 1))
    without_each = [(total - own) / ((count - 1) * (count - 2)) for own in with_each]
    return [count * everything - (count - 1) * without for without in without_each]


# --- intervals -------------------------------------------------------------------------------------------------------


def t_interval(values: Sequence[float], level: float) -> Interval:
    """The two-sided Student t interval for the mean of VALUES at LEVEL (Student 1908, Biometrika 6:1).

    Raises:
        ValueError: with fewer than two values, which have no spread.
    """
    if len(values) < 2:
        raise ValueError(f"a t interval needs two units or more, got {len(values)}")
    centre = mean(values)
    half = _t_boundary(len(values), level) * standard_deviation(values) / math.sqrt(len(values))
    return Interval(centre, centre - half, centre + half)


@lru_cache(maxsize=1024)
def _t_boundary(n: int, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf(0.5 + level / 2, n - 1))


def sign_interval(values: Sequence[float], level: float) -> Interval:
    """The two-sided interval for the median of VALUES at LEVEL that inverts the sign test, whatever the distribution.

    From the r-th smallest to the r-th largest unit, r the largest for which a fair coin shows fewer than r heads in n
    with a chance of at most α/2, α = 1 − LEVEL (Thompson 1936, Annals of Mathematical Statistics 7:122). Of 8 units at
    95 % r is 1: all of them. With too few units for any r the ends are infinite. The estimate is the sample's median.

    Raises:
        ValueError: without values.
    """
    if not values:
        raise ValueError("a median needs one unit or more, got none")
    ordered, rank = sorted(values), _sign_test_rank(len(values), level)
    if rank == 0:
        return Interval(median(ordered), -math.inf, math.inf)
    return Interval(median(ordered), ordered[rank - 1], ordered[-rank])


@lru_cache(maxsize=4096)
def _sign_test_rank(n: int, level: float) -> int:
    ways, rank = 0, 0
    while rank < n // 2:
        ways += math.comb(n, rank)
        if ways > (1 - level) / 2 * 2**n:
            break
        rank += 1
    return rank


def lai_sequence(values: Sequence[float], first_look: int, level: float) -> Interval:
    """The current interval of Lai's t confidence sequence, valid at every look from n = FIRST_LOOK on.

    Lai 1976, Annals of Statistics 4:265; as restated in arXiv:2310.03722. The half-width is s·`lai_radius`.

    Raises:
        ValueError: before the first look.
    """
    radius = lai_radius(len(values), first_look, level)
    centre, half = mean(values), radius * standard_deviation(values)
    return Interval(centre, centre - half, centre + half)


def lai_radius(n: int, first_look: int, level: float) -> float:
    """The half-width of Lai's sequence after N units whose standard deviation is 1.

    With m the first look and α = 1 − LEVEL, a solves 2(1 − F(a) + a·f(a)) = α for Student's t with m − 1 degrees of
    freedom, g = ln(n/m) + m·ln(1 + a²/(m − 1)), and the radius is sqrt((n − 1)/n · (exp(g/n) − 1)).

    Raises:
        ValueError: before the first look.
    """
    m = first_look
    if n < m or m < 2:
        raise ValueError(f"the sequence begins at its first look, {m} units (two or more); got {n}")
    g = math.log(n / m) + m * math.log1p(_lai_boundary(m, level) ** 2 / (m - 1))
    return math.sqrt((n - 1) / n * math.expm1(g / n))


@lru_cache(maxsize=64)
def _lai_boundary(first_look: int, level: float) -> float:
    from scipy.optimize import brentq
    from scipy.stats import t

    student = t(first_look - 1)

    def excess(a: float) -> float:
        return float(2 * (student.sf(a) + a * student.pdf(a))) - (1 - level)

    return float(brentq(excess, 0.0, 1e6, xtol=1e-12))  # falls from 1 at a = 0 towards 0


def sign_sequence(values: Sequence[float], level: float) -> Interval:
    """The current interval of the sign sequence for a median, valid at every look whatever the distribution.

    θ is kept while 2ⁿ·B(½ + S, ½ + n − S)/B(½, ½) < 1/α, with S the units above θ and α = 1 − LEVEL; units equal to θ
    count whichever way keeps it. So what is kept reaches from the r-th smallest to the r-th largest unit, r the
    `sign_rank`. The estimate is the sample's median.

    The fraction is a mixture of likelihood ratios against a fair coin, with the weights of Krichevsky and Trofimov
    1981 (IEEE Transactions on Information Theory 27:199); it passes 1/α with a chance of at most α, at any look
    (Ville 1939, Étude critique de la notion de collectif).

    Raises:
        ValueError: without values.
    """
    if not values:
        raise ValueError("a median needs one unit or more, got none")
    ordered, rank = sorted(values), sign_rank(len(values), level)
    if rank == 0:  # not even the end of all units on one side is ruled out
        return Interval(median(ordered), -math.inf, math.inf)
    return Interval(median(ordered), ordered[rank - 1], ordered[-rank])


@lru_cache(maxsize=4096)
def sign_rank(n: int, level: float) -> int:
    """The fewest of N units that may lie on one side of the median; 0 while N is too small to say (below 7 at 95 %)."""

    def minus_log(above: int) -> float:
        log_beta = math.lgamma(0.5 + above) + math.lgamma(0.5 + n - above) - math.lgamma(1 + n)
        return math.log(math.pi) - n * math.log(2) - log_beta

    return bisect_right(range(n // 2), math.log(1 - level), key=minus_log)  # an even split is always kept


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """How likely two means would lie at least this far apart if both truths were equal: the two-sided p of Welch's t.

    Welch 1947, Biometrika 34:28, with the degrees of freedom of Satterthwaite 1946, Biometrics Bulletin 2:110. Without
    any spread it is 1 for equal values and 0 for others.

    Raises:
        ValueError: with fewer than two values on a side, which have no spread.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"two units or more a side are needed, got {len(first)} and {len(second)}")
    errors = [standard_deviation(values) ** 2 / len(values) for values in (first, second)]
    apart = abs(mean(first) - mean(second))
    if sum(errors) == 0:
        return float(apart == 0)
    from scipy.stats import t

    freedom = sum(errors) ** 2 / (errors[0] ** 2 / (len(first) - 1) + errors[1] ** 2 / (len(second) - 1))
    return float(2 * t.sf(apart / math.sqrt(sum(errors)), freedom))


# --- levels ----------------------------------------------------------------------------------------------------------


def composite_level(level: float, parts: int) -> float:
    """The level 1 − α/k at which one of k PARTS may fail a composite endpoint, or weaken it.

    HOLDS needs every part to HOLD at the full LEVEL, with no correction: all of them would have to be wrong at once
    (Berger 1982, Technometrics 24:295). REFUTED needs only one, and WEAKENED all outside REFUTED with one wholly in
    WEAKENED, so there each part is read at this level (Dunn 1961, Journal of the American Statistical Association
    56:52).

    Raises:
        ValueError: without parts.
    """
    if parts < 1:
        raise ValueError(f"a composite endpoint has one part or more, got {parts}")
    return 1 - (1 - level) / parts


def secondary_level(level: float, others: int) -> float:
    """The level 1 − α/m at which each of m = OTHERS secondary endpoints is shown; they never decide (Dunn 1961)."""
    return 1 - (1 - level) / max(1, others)


def sample_level(level: float, number: int) -> float:
    """The level 1 − α·2^(1−v) of the v-th sample (NUMBER, from 1) of a claim and subject, a new one after every change.

    Raises:
        ValueError: below the first.
    """
    if number < 1:
        raise ValueError(f"samples are counted from 1, got {number}")
    return 1 - (1 - level) * 2.0 ** (1 - number)


# --- bounds on a rate ------------------------------------------------------------------------------------------------


def binomial_upper(count: int, n: int, level: float = 0.95) -> float:
    """The exact one-sided upper bound on a rate that showed COUNT times in N (Clopper and Pearson 1934, Biometrika 26:404).

    It is the rate at which COUNT or fewer have the chance 1 − LEVEL: 0 of 12 says at most 22 %, 0 of 59 under 5 %.

    Raises:
        ValueError: unless 0 ≤ COUNT ≤ N and N ≥ 1.
    """
    _check_count(count, n)
    from scipy.stats import beta

    return 1.0 if count == n else float(beta.ppf(level, count + 1, n - count))


def binomial_lower(count: int, n: int, level: float = 0.95) -> float:
    """The exact one-sided lower bound: the rate at which COUNT or more have the chance 1 − LEVEL. As `binomial_upper`."""
    _check_count(count, n)
    from scipy.stats import beta

    return 0.0 if count == 0 else float(beta.ppf(1 - level, count, n - count + 1))


def _check_count(count: int, n: int) -> None:
    if not 0 <= count <= n or n < 1:
        raise ValueError(f"a rate is a count out of one trial or more, and not above them; got {count} of {n}")


# --- the shape of the units ------------------------------------------------------------------------------------------


def skewness(values: Sequence[float]) -> float:
    """The adjusted sample skewness G₁ = g₁·sqrt(n(n − 1))/(n − 2), with g₁ = m₃/m₂^1.5 (Joanes and Gill 1998, The Statistician 47:183).

    G₁ and not g₁, which few units keep small whatever they are drawn from. Normal units give 0, exponential ones 2.

    Raises:
        ValueError: with fewer than three values or with equal ones, which have no shape.
    """
    n = len(values)
    if n < 3 or min(values) == max(values):
        raise ValueError(f"skewness needs three units or more that are not all equal; got {n}")
    centre, spread = mean(values), standard_deviation(values)
    return n / ((n - 1) * (n - 2)) * math.fsum(((value - centre) / spread) ** 3 for value in values)


def shape_error(
    values: Sequence[float],
    n: int,
    level: float = 0.95,
    *,
    first_look: int | None = None,
    looks: int = 1,
    draws: int = 20_000,
    seed: int = 1,
) -> float:
    """How often units of this shape would be misread on the worse side: the larger one-sided miss of the mean.

    A history draws LOOKS runs of N units from VALUES, with replacement, so that the mean of VALUES is the truth by
    construction (Efron 1979, Annals of Statistics 7:1). After every run all units so far are read: with FIRST_LOOK
    through Lai's sequence, which is a standing; without it through a t interval, which with one look is a run's
    verdict. A history misses above when any of its intervals lies wholly above the truth, below likewise. What comes
    back is the share of DRAWS histories that miss on whichever side has more. Units without spread are never read (the
    judge says INCONCLUSIVE), so they miss nothing.

    At 95 % normal units give 2.5 % in one run and 1.1 % in a sequence of 208 looks; a certificate needs 5 % at most.
    20,000 histories of one run, or 2,000 of 50 looks, take half a second.

    Raises:
        ValueError: with fewer than two values, runs of fewer than two, or no look at or after FIRST_LOOK.
    """
    if len(values) < 2 or n < 2 or looks * n < (first_look or 2):
        raise ValueError(f"nothing to read: {len(values)} values in {looks} runs of {n}, first look {first_look}")
    truth = mean(values)
    centred = [value - truth for value in values]
    radii = [_radius(look * n, first_look, level) for look in range(1, looks + 1)]
    chance = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    missed = Counter(side for _ in range(draws) for side in _sides_missed(chance, centred, n, radii))
    return max(missed.values(), default=0) / draws


def _radius(n: int, first_look: int | None, level: float) -> float:
    """The half-width after N units whose standard deviation is 1: infinite before the first look."""
    if first_look is None:
        return _t_boundary(n, level) / math.sqrt(n)
    return lai_radius(n, first_look, level) if n >= first_look else math.inf


def _sides_missed(chance: random.Random, centred: Sequence[float], n: int, radii: Sequence[float]) -> set[bool]:
    """The sides (True: above) on which one history's intervals miss 0."""
    total = squares = 0.0
    sides = set()
    for look, radius in enumerate(radii, start=1):
        run = chance.choices(centred, k=n)
        total += sum(run)
        squares += sum([value * value for value in run])
        count = look * n
        deviations = squares - total * total / count
        has_spread = deviations > 1e-12 * squares  # equal values leave a rounding
        if has_spread and abs(total) / count > radius * math.sqrt(deviations / (count - 1)):
            sides.add(total > 0)
    return sides


def shared_variance(runs: Sequence[Sequence[float]]) -> float:
    """The share of the variance of units that those of one run have in common: 0 when runs are only lists of units.

    The intraclass correlation of a one-way analysis of variance, (B − W)/(B + (n₀ − 1)·W) with B and W the mean squares
    between and within runs (Fisher 1925, Statistical Methods for Research Workers, chapter 7; ICC(1) of Shrout and
    Fleiss 1979, Psychological Bulletin 86:420), n₀ the size of a run, or (N − Σnᵢ²/N)/(k − 1) where k runs differ in size
    (Donner 1986, International Statistical Review 54:67). Below 0, which chance alone makes, it is 0.

    Raises:
        ValueError: with fewer than two runs, an empty one, none of two units or more, or no spread at all.
    """
    units = [value for run in runs for value in run]
    if len(runs) < 2 or not all(runs) or len(units) == len(runs) or min(units) == max(units):
        sizes = [len(run) for run in runs]
        raise ValueError(f"two runs or more with several units that differ are needed; got runs of {sizes}")
    centre, means = mean(units), [mean(run) for run in runs]
    between = math.fsum(len(run) * (own - centre) ** 2 for run, own in zip(runs, means, strict=True)) / (len(runs) - 1)
    deviations = math.fsum((value - own) ** 2 for run, own in zip(runs, means, strict=True) for value in run)
    within = deviations / (len(units) - len(runs))
    size = (len(units) - sum(len(run) ** 2 for run in runs) / len(units)) / (len(runs) - 1)
    return max(0.0, (between - within) / (between + (size - 1) * within))
