"""A growing sample: the units of many runs, added up, and read again after each through a sequence that may be looked
at as often as one likes. Pure.

A mean needs no more than sums (Welford 1962, Technometrics 4:419, so that equal values leave exactly no spread); a
median needs the units themselves, in order.
"""

import math
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from claims.contract import Contract, Part
from claims.judge import Reading, Tag, Units, Word, decided, place
from verifiers import stats
from verifiers.measurement import Value

FINEST = (
    1e-12  # the smallest α that a sample is read at: halved any further, 1 − α would soon be 1, and nothing be read
)


class Look(Value):
    """The sequence after a run: how many units, the interval they give, as shown, and what that says."""

    run: int
    n: int
    low: float
    estimate: float
    high: float
    word: Word
    tag: Tag | None = None


class Changed(Value):
    """Two neighbouring samples whose sequences, each at 1 − α/2, have no value in common: as shown."""

    endpoint: str
    before: Look
    after: Look


@dataclass(frozen=True, slots=True)
class Tally:
    """The units of one part, inside their caps; MISSING of them have no value."""

    cap: tuple[float, float]
    noise_floor: float
    by_median: bool
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of the distances from the mean
    missing: int = 0
    ordered: tuple[float, ...] = ()  # only where a median is asked for

    @property
    def drawn(self) -> int:
        """Units with a value and without."""
        return self.n + self.missing

    @property
    def ends(self) -> tuple[float, ...]:
        """What a unit without a value may have been: each of the caps; one stands for both where none is missing."""
        return self.cap if self.missing else self.cap[:1]

    def plus(self, units: Iterable[float | None], noise_floor: float = 0.0, found: int = 0) -> "Tally":
        """The tally with more units, which may have a larger noise floor; so many that were missing were FOUND."""
        n, mean, squares, missing = self.n, self.mean, self.squares, self.missing - found
        ordered = list(self.ordered)
        low, high = self.cap
        for unit in units:
            if unit is None:
                missing += 1
                continue
            value = min(max(unit, low), high)
            n += 1
            step = value - mean
            mean += step / n
            squares += step * (value - mean)
            if self.by_median:
                insort(ordered, value)
        floor = max(self.noise_floor, noise_floor)
        return Tally(self.cap, floor, self.by_median, n, mean, squares, missing, tuple(ordered))

    def filled(self, end: float) -> "Tally":
        """The tally with END, one of its caps, for every unit without a value."""
        if not self.missing:
            return self
        n, step = self.drawn, end - self.mean if self.n else 0.0
        return replace(
            self,
            n=n,
            mean=self.mean + step * self.missing / n if self.n else end,
            squares=self.squares + step * step * self.n * self.missing / n,
            missing=0,
            ordered=tuple(sorted((*self.ordered, *(end,) * self.missing))) if self.by_median else (),
        )

    def has_spread(self, end: float) -> bool:
        """Whether there is anything to judge by, with END for units without a value."""
        return self.filled(end).squares > 0

    def sequence(self, end: float, first_look: int, level: float) -> stats.Interval:
        """The confidence sequence after these units, with END for those without a value, widened by the noise floor."""
        whole = self.filled(end)
        if self.by_median:
            return whole.signs(level).widened(self.noise_floor)
        half = _radius(whole.n, first_look, level) * math.sqrt(whole.squares / (whole.n - 1))
        return stats.Interval(whole.mean, whole.mean - half, whole.mean + half).widened(self.noise_floor)

    def signs(self, level: float) -> stats.Interval:
        """The sign sequence for the median; endless while the units are too few, but a median lies inside the caps."""
        kept = stats.sign_sequence(self.ordered, level)
        return stats.Interval(kept.estimate, max(kept.low, self.cap[0]), min(kept.high, self.cap[1]))


@lru_cache(maxsize=4096)
def _radius(n: int, first_look: int, level: float) -> float:
    return stats.lai_radius(n, first_look, level)


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything drawn on one subject under one contract and one version of the verifier."""

    contract: Contract
    at_level: Contract  # the same, read at the level that this sample has
    number: int  # of this claim and subject, from 1
    certified: bool
    tallies: tuple[Tally, ...]
    runs: int = 0
    lost: tuple[tuple[int, int], ...] = ()  # runs that were given up: their number, and how many units are missing
    reading: Reading = field(default_factory=lambda: Reading(word="INCONCLUSIVE", reason="no run yet"))
    looks: tuple[Look, ...] = ()

    @property
    def n(self) -> int:
        """The units drawn so far, those without a value too."""
        return self.tallies[0].drawn

    def after(self, number: int, parts: Sequence[Units]) -> "Sample":
        """The sample after one more run: NUMBER, with the units of each part; they are missing no longer if it had been
        given up. It is widened by the largest noise floor that any of its runs has said.
        """
        found = self._missing_of(number)
        both = zip(self.tallies, parts, strict=True)
        tallies = [tally.plus(one.units, one.noise_floor, found) for tally, one in both]
        return self._read(tallies, number, self._lost_but(number), self.runs + 1)

    def without(self, number: int, units: int) -> "Sample":
        """The sample after a run of so many units was given up: they exist, and nobody knows them. Given up twice, it is
        missing once.
        """
        more = units - self._missing_of(number)
        tallies = [replace(tally, missing=tally.missing + more) for tally in self.tallies]
        return self._read(tallies, number, (*self._lost_but(number), (number, units)), self.runs)

    def leaving_out(self, number: int) -> "Sample":
        """The sample after a run that had been given up came out VOID: its units are left out, as those of any other."""
        found = self._missing_of(number)
        if not found:
            return self
        tallies = [replace(tally, missing=tally.missing - found) for tally in self.tallies]
        return self._read(tallies, number, self._lost_but(number), self.runs)

    def _missing_of(self, number: int) -> int:
        return sum(missing for run, missing in self.lost if run == number) if self.lost else 0

    def _lost_but(self, number: int) -> tuple[tuple[int, int], ...]:
        return tuple(one for one in self.lost if one[0] != number) if self.lost else ()

    def _read(self, tallies: Sequence[Tally], number: int, lost: tuple[tuple[int, int], ...], runs: int) -> "Sample":
        reading = read(self.at_level, tallies)
        has_look = tallies[0].drawn >= self.contract.unit.first_look and all(map(_has_spread, tallies))
        looks = (
            (*self.looks, seen(self.at_level, tallies[0], self.at_level, number, reading)) if has_look else self.looks
        )
        return replace(self, tallies=tuple(tallies), runs=runs, lost=lost, reading=reading, looks=looks)


def begun(contract: Contract, number: int, parts: Sequence[Units], *, certified: bool) -> Sample:
    """The NUMBER-th sample of a claim and subject, still empty, read at 1 − α·2^(1−v); PARTS bring caps and noise
    floors.
    """
    tallies = [
        Tally(one.cap, one.noise_floor, part.statistic == "median")
        for part, one in zip(contract.parts, parts, strict=True)
    ]
    level = min(stats.sample_level(contract.level, number), 1 - FINEST)
    return Sample(contract, contract.model_copy(update={"level": level}), number, certified, tuple(tallies))


def read(contract: Contract, tallies: Sequence[Tally]) -> Reading:
    """What the sequences over TALLIES, those of each part, say at the level of CONTRACT."""
    drawn, first_look = tallies[0].drawn, contract.unit.first_look
    if drawn < first_look:
        return Reading(word="INCONCLUSIVE", reason=f"{drawn} units, and the first look needs {first_look}")

    if len(tallies) == 1 and not tallies[0].missing and _has_spread(tallies[0]):
        return place(contract, tallies[0].sequence(0.0, first_look, contract.level))  # the same, for nearly every look

    def intervals(level: float, ends: Sequence[float]) -> list[stats.Interval]:
        return [tally.sequence(end, first_look, level) for tally, end in zip(tallies, ends, strict=True)]

    return decided(contract, tallies, intervals)


def seen(part: Part, tally: Tally, contract: Contract, run: int, reading: Reading) -> Look:
    """A part's sequence at the level of CONTRACT as it shows: from the lowest to the highest value that missing units
    leave possible.
    """
    found = [tally.sequence(end, contract.unit.first_look, contract.level) for end in tally.ends]
    return Look(
        run=run,
        n=tally.drawn,
        low=part.shown(min(one.low for one in found)),  # a far cap for missing units widens to both sides
        estimate=part.shown((found[0].estimate + found[-1].estimate) / 2),
        high=part.shown(max(one.high for one in found)),
        word=reading.word,
        tag=reading.tag,
    )


def changed(before: Sample, after: Sample) -> Changed | None:
    """Whether two neighbouring samples of the same quantities lie apart, each read at 1 − α/2 of its contract's level."""
    if not before.looks or not after.looks or quantities(before.contract) != quantities(after.contract):
        return None
    for number, part in enumerate(after.contract.parts):
        old, new = (_halved(sample, number) for sample in (before, after))
        if old.high < new.low or new.high < old.low:
            return Changed(endpoint=part.endpoint, before=old, after=new)
    return None


def _halved(sample: Sample, part: int) -> Look:
    """A part's sequence at 1 − α/2."""
    contract = sample.contract.model_copy(update={"level": stats.sample_level(sample.contract.level, 2)})
    return seen(contract.parts[part], sample.tallies[part], contract, sample.looks[-1].run, sample.reading)


def quantities(contract: Contract) -> tuple[object, ...]:
    """What has to be equal for two samples to be about the same thing."""
    parts = [(part.endpoint, part.scale, part.statistic) for part in contract.parts]
    return contract.verifier, tuple(sorted(contract.parameters.items())), tuple(parts)


def _has_spread(tally: Tally) -> bool:
    return all(map(tally.has_spread, tally.ends)) if tally.missing else tally.squares > 0
