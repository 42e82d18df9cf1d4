"""The rule alone, tried on simulated units: thousands of histories of many looks, read as a standing reads them.

Only the arithmetic is another: numpy on running sums, because millions of units are drawn. A test reads some through `claims.standing` too.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from claims.contract import REGIONS, Contract, Region
from verifiers import stats
from verifiers.certificate import Truth

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

AT_ONCE = 2_000_000  # units held in memory


@dataclass(frozen=True)
class Units:
    """What simulated units look like: `shape` are units of complete runs around their mean, drawn from again and
    again; `run_share` of the variance is one normal number that all units of a run have in common. Cap and noise floor
    are those of their endpoint.
    """

    shape: tuple[float, ...]
    sd: float
    run_share: float
    cap: tuple[float, float]
    noise_floor: float

    def around(self, truth: float, chance: np.random.Generator, size: tuple[int, int, int]) -> Numbers:
        """Histories × looks × units of a run, of mean TRUTH on the scale of analysis, inside their caps."""
        shape = np.array(self.shape)
        own = chance.choice((shape - shape.mean()) / shape.std(), size)
        shared = chance.standard_normal((*size[:2], 1))
        units = truth + self.sd * (np.sqrt(1 - self.run_share) * own + np.sqrt(self.run_share) * shared)
        capped: Numbers = units.clip(*self.cap)
        return capped


def histories(contract: Contract, name: str, value: float, units: Units, count: int, looks: int, seed: int) -> Truth:
    """Read COUNT histories of LOOKS runs where the truth is VALUE, as shown.

    A false word counts if the sequence says it at any look, coverage if it holds the truth at every look; `words` and
    `right` are those of the last look.
    """
    truth, chance = contract.analysed(value), np.random.default_rng(seed)
    size = max(1, AT_ONCE // (looks * contract.unit.per_run))
    ever: dict[Region, int] = dict.fromkeys(REGIONS, 0)
    last: dict[Region, int] = dict.fromkeys(REGIONS, 0)
    covered = 0
    for start in range(0, count, size):
        drawn = units.around(truth, chance, (min(size, count - start), looks, contract.unit.per_run))
        low, high = intervals(contract, drawn, units.noise_floor)
        for region, within in places(contract, low, high).items():
            ever[region] += int(within.any(axis=1).sum())
            last[region] += int(within[:, -1].sum())
        covered += int(((low <= truth) & (truth <= high)).all(axis=1).sum())
    return Truth(
        name=name,
        value=value,
        n=count,
        words={region.upper(): last[region] for region in REGIONS} | {"INCONCLUSIVE": count - sum(last.values())},
        covered=covered,
        false_holds=None if is_inside(contract, value, "holds") else ever["holds"],
        false_refuted=None if is_inside(contract, value, "refuted") else ever["refuted"],
        right=last["holds"] if value == contract.design_effect else None,
    )


def intervals(contract: Contract, units: Numbers, noise_floor: float) -> tuple[Numbers, Numbers]:
    """Lai's sequence after every look at UNITS (histories × looks × units of a run), widened: lows and highs
    (histories × looks), infinite where there is no spread to judge by.
    """
    looks, per_run = units.shape[1:]
    n = per_run * np.arange(1, looks + 1)
    radius = np.array([stats.lai_radius(int(k), contract.unit.first_look, contract.level) for k in n])
    origin = units.mean()  # so that squares lose no digits
    sums = (units - origin).sum(axis=2).cumsum(axis=1)
    squares = ((units - origin) ** 2).sum(axis=2).cumsum(axis=1)
    deviations = squares - sums**2 / n
    has_spread = deviations > 1e-12 * squares  # equal values leave a rounding
    sd = np.sqrt(np.where(has_spread, deviations, np.inf) / (n - 1))
    centre, half = origin + sums / n, radius * sd + noise_floor
    return centre - half, centre + half


def places(contract: Contract, low: Numbers, high: Numbers) -> dict[Region, Flags]:
    """In which intervals lie wholly inside each region: `claims.judge.place`, on arrays."""
    touched = {region: _touched(contract, region, low, high) for region in REGIONS}
    many = sum(flags.astype(int) for flags in touched.values())
    return {region: flags & (many == 1) for region, flags in touched.items()}


def _touched(contract: Contract, region: Region, low: Numbers, high: Numbers) -> Flags:
    flags = np.zeros(low.shape, dtype=bool)
    for start, end in ends(contract, region):
        flags |= (high >= start) & (low <= end)
    return flags


def ends(contract: Contract, wanted: Region) -> list[tuple[float, float]]:
    """Where the stretches of the WANTED region begin and end, on the scale of analysis."""
    return [
        (
            -np.inf if span.low is None else contract.analysed(span.low),
            np.inf if span.high is None else contract.analysed(span.high),
        )
        for region, span in contract.regions.in_order()
        if region == wanted
    ]


def is_inside(contract: Contract, value: float, region: Region) -> bool:
    """Whether VALUE, as shown, lies in REGION and on none of its borders: on a border neither side is right."""
    truth = contract.analysed(value)
    return any(start < truth < end for start, end in ends(contract, region))
