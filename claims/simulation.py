"""The rule alone, tried on simulated units: thousands of histories of many looks, read as a standing reads them.

Only the arithmetic is another: numpy on running sums, because millions of units are drawn. A test reads some through `claims.standing` too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from claims.contract import REGIONS, Contract, Part, Region
from claims.truths import Asked, is_design
from verifiers import stats
from verifiers.certificate import Truth

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

AT_ONCE = 2_000_000  # units held in memory


@dataclass(frozen=True)
class Simulated:
    """What simulated units look like: `shape` are units of complete runs around their mean, drawn from again and
    again; `run_share` of the variance is one normal number that all units of a run have in common. Cap and noise floor
    are those of their endpoint.
    """

    shape: tuple[float, ...]
    sd: float
    run_share: float
    cap: tuple[float, float]
    noise_floor: float
    by_median: bool = False

    def around(self, truth: float, chance: np.random.Generator, rows: Rows, size: tuple[int, int, int]) -> Numbers:
        """Histories × looks × units of a run with TRUTH as the mean or median on the scale of analysis, inside their
        caps; ROWS says which unit of the shape each of them is.
        """
        shape = np.array(self.shape)
        centre = np.median(shape) if self.by_median else shape.mean()
        own = ((shape - centre) / shape.std())[rows]
        shared = chance.standard_normal((*size[:2], 1))
        units = truth + self.sd * (np.sqrt(1 - self.run_share) * own + np.sqrt(self.run_share) * shared)
        capped: Numbers = units.clip(*self.cap)
        return capped


def drawn(
    units: Sequence[Simulated], truths: Sequence[float], chance: np.random.Generator, size: tuple[int, int, int]
) -> list[Numbers]:
    """Units of every part, of the same worlds: which row of the bank a unit is, is drawn once for all parts."""
    rows = chance.integers(0, len(units[0].shape), size)
    return [one.around(truth, chance, rows, size) for one, truth in zip(units, truths, strict=True)]


def histories(contract: Contract, asked: Asked, units: Sequence[Simulated], count: int, looks: int, seed: int) -> Truth:
    """Read COUNT histories of LOOKS runs where the truth is what is ASKED; UNITS of each part.

    A false word counts if the standing says it at any look, coverage if a part's sequence holds its truth at every
    look, of the part where that is rarest; `words` and `right` are those of the last look.
    """
    truths, chance = _analysed(contract, asked.values), np.random.default_rng(seed)
    size = max(1, AT_ONCE // (looks * contract.unit.per_run * len(units)))
    ever: dict[Region, int] = dict.fromkeys(REGIONS, 0)
    last: dict[Region, int] = dict.fromkeys(REGIONS, 0)
    covered = np.zeros(len(units), dtype=int)
    for start in range(0, count, size):
        parts = drawn(units, truths, chance, (min(size, count - start), looks, contract.unit.per_run))
        for region, within in standings(contract, parts, units).items():
            ever[region] += int(within.any(axis=1).sum())
            last[region] += int(within[:, -1].sum())
        covered += _covering(contract, parts, units, truths)
    return truth_of(
        contract,
        asked,
        n=count,
        words={region.upper(): last[region] for region in REGIONS} | {"INCONCLUSIVE": count - sum(last.values())},
        covered=int(covered.min()),
        false={region: ever[region] for region in ("holds", "refuted")},
        right=last["holds"],
    )


def truth_of(
    contract: Contract,
    asked: Asked,
    n: int,
    words: dict[str, int],
    covered: int,
    false: Mapping[Region, int],
    right: int,
) -> Truth:
    """What came out where the truth was known, with the errors that this truth can show."""
    return Truth(
        name=asked.name,
        value=asked.values[0],
        also={part.endpoint: value for part, value in zip(contract.also, asked.values[1:], strict=True)},
        n=n,
        words=words,
        covered=covered,
        false_holds=None if may_hold(contract, asked.values) else false["holds"],
        false_refuted=None if may_be_refuted(contract, asked.values) else false["refuted"],
        right=right if is_design(contract, asked.values) else None,
    )


def _analysed(contract: Contract, values: Sequence[float]) -> list[float]:
    return [part.analysed(value) for part, value in zip(contract.parts, values, strict=True)]


def _covering(
    contract: Contract, parts: Sequence[Numbers], units: Sequence[Simulated], truths: Sequence[float]
) -> list[int]:
    """In how many histories each part's sequence holds its truth at every look."""
    found = []
    for part, values, one, truth in zip(contract.parts, parts, units, truths, strict=True):
        low, high = intervals(contract.alone(part), values, one.noise_floor)
        found.append(int(((low <= truth) & (truth <= high)).all(axis=1).sum()))
    return found


def standings(contract: Contract, parts: Sequence[Numbers], units: Sequence[Simulated]) -> dict[Region, Flags]:
    """Which region each history stands in after each look: `claims.judge.together`, on arrays."""
    strict = stats.composite_level(contract.level, len(contract.parts))

    def at(level: float) -> list[dict[Region, Flags]]:
        alone = [contract.alone(part, level) for part in contract.parts]
        return [
            _touching(one, *intervals(one, values, of.noise_floor))
            for one, values, of in zip(alone, parts, units, strict=True)
        ]

    full = [_only(touched) for touched in at(contract.level)]
    if len(full) == 1:
        return full[0]
    stricter = at(strict)
    outside = np.logical_and.reduce([~touched["refuted"] for touched in stricter])
    return {
        "holds": np.logical_and.reduce([only["holds"] for only in full]),
        "weakened": outside & np.logical_or.reduce([_only(touched)["weakened"] for touched in stricter]),
        "refuted": np.logical_or.reduce([_only(touched)["refuted"] for touched in stricter]),
    }


def intervals(contract: Contract, units: Numbers, noise_floor: float) -> tuple[Numbers, Numbers]:
    """The sequence of a contract's first part after every look at UNITS (histories × looks × units of a run), widened:
    lows and highs (histories × looks), infinite where there is nothing to judge by.
    """
    low, high = (_signs if contract.statistic == "median" else _lai)(contract, units)
    return low - noise_floor, high + noise_floor


def _lai(contract: Contract, units: Numbers) -> tuple[Numbers, Numbers]:
    looks, per_run = units.shape[1:]
    n = per_run * np.arange(1, looks + 1)
    radius = np.array([stats.lai_radius(int(k), contract.unit.first_look, contract.level) for k in n])
    origin = units.mean()  # so that squares lose no digits
    sums = (units - origin).sum(axis=2).cumsum(axis=1)
    squares = ((units - origin) ** 2).sum(axis=2).cumsum(axis=1)
    deviations = squares - sums**2 / n
    has_spread = deviations > 1e-12 * squares  # equal values leave a rounding
    sd = np.sqrt(np.where(has_spread, deviations, np.inf) / (n - 1))
    centre, half = origin + sums / n, radius * sd
    return centre - half, centre + half


def _signs(contract: Contract, units: Numbers) -> tuple[Numbers, Numbers]:
    count, looks, per_run = units.shape
    low, high = np.full((count, looks), -np.inf), np.full((count, looks), np.inf)
    flat = units.reshape(count, -1)
    for look in range(looks):
        n = per_run * (look + 1)
        if rank := stats.sign_rank(n, contract.level):
            ordered = np.partition(flat[:, :n], (rank - 1, n - rank), axis=1)
            low[:, look], high[:, look] = ordered[:, rank - 1], ordered[:, n - rank]
    return low, high


def places(contract: Contract, low: Numbers, high: Numbers) -> dict[Region, Flags]:
    """In which intervals lie wholly inside each region: `claims.judge.place`, on arrays."""
    return _only(_touching(contract, low, high))


def _only(touched: Mapping[Region, Flags]) -> dict[Region, Flags]:
    many = sum(flags.astype(int) for flags in touched.values())
    return {region: flags & (many == 1) for region, flags in touched.items()}


def _touching(contract: Contract, low: Numbers, high: Numbers) -> dict[Region, Flags]:
    return {region: _touched(contract, region, low, high) for region in REGIONS}


def _touched(part: Part, region: Region, low: Numbers, high: Numbers) -> Flags:
    flags = np.zeros(low.shape, dtype=bool)
    for start, end in ends(part, region):
        flags |= (high >= start) & (low <= end)
    return flags


def ends(part: Part, wanted: Region) -> list[tuple[float, float]]:
    """Where the stretches of the WANTED region begin and end, on the scale of analysis."""
    return [
        (
            -np.inf if span.low is None else part.analysed(span.low),
            np.inf if span.high is None else part.analysed(span.high),
        )
        for region, span in part.regions.in_order()
        if region == wanted
    ]


def is_inside(part: Part, value: float, region: Region) -> bool:
    """Whether VALUE, as shown, lies in REGION and on none of its borders: on a border neither side is right."""
    truth = part.analysed(value)
    return any(start < truth < end for start, end in ends(part, region))


def may_hold(contract: Contract, values: Sequence[float]) -> bool:
    """Whether HOLDS is no error where these are the truths of the parts."""
    return all(is_inside(part, value, "holds") for part, value in zip(contract.parts, values, strict=True))


def may_be_refuted(contract: Contract, values: Sequence[float]) -> bool:
    """Whether REFUTED is no error there."""
    return any(is_inside(part, value, "refuted") for part, value in zip(contract.parts, values, strict=True))
