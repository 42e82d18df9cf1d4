"""From a contract and a measurement to a verdict: pure, and the same today as when the audit asks again."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from statistics import median
from typing import Literal, Protocol

from claims.contract import Contract, Part, Region, Span, shown
from verifiers import stats
from verifiers.measurement import Control, Endpoint, Measurement, Value

Word = Literal["HOLDS", "WEAKENED", "REFUTED", "INCONCLUSIVE", "VOID", "ERROR"]
Tag = Literal["SMALLER", "LARGER"]
DECIDED: tuple[Word, ...] = ("HOLDS", "WEAKENED", "REFUTED")


class Units(Value):
    """What a run's units gave for one endpoint, on the scale of analysis."""

    units: tuple[float | None, ...]
    cap: tuple[float, float]
    noise_floor: float

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Units":
        """Those of an endpoint."""
        return cls(units=endpoint.values, cap=endpoint.cap, noise_floor=endpoint.noise_floor)

    @property
    def missing(self) -> int:
        """How many units have no value."""
        return self.units.count(None)

    @property
    def ends(self) -> tuple[float, ...]:
        """What a unit without a value may have been: each of the caps; one of them stands for both where none is missing."""
        return self.cap if self.missing else self.cap[:1]

    def has_spread(self, end: float) -> bool:
        """Whether there is anything to judge by, with END for units without a value."""
        return stats.standard_deviation(self.filled(end)) > 0

    def filled(self, instead_of_missing: float) -> list[float]:
        """The units inside their caps, and INSTEAD_OF_MISSING for those without a value."""
        return filled(self.units, self.cap, instead_of_missing)


class Reading(Value):
    """What an interval says on a contract's regions."""

    word: Word
    tag: Tag | None = None
    reason: str


class Judged(Value):
    """One endpoint with everything a number needs beside it; values as they are shown, None where nothing was
    measured.
    """

    name: str
    quantity: str
    primary: bool
    estimate: float | None
    interval: tuple[float, float] | None
    level: float
    n: int
    unit: str
    null: float
    scale: str
    noise_floor: float
    verdict: Word | None
    reason: str


class Verdict(Value):
    """What one run says about its subject."""

    word: Word
    tag: Tag | None = None
    reason: str
    endpoints: tuple[Judged, ...] = ()
    controls: tuple[Control, ...] = ()


def judge(contract: Contract, measurement: Measurement) -> Verdict:
    """Apply CONTRACT to MEASUREMENT: controls first, then the endpoints that it is about; the others are shown and
    never decide.

    Raises:
        LookupError: when the measurement lacks an endpoint that the contract is about.
    """
    findings = measurement.findings
    primary = [findings.endpoint(part.endpoint) for part in contract.parts]
    others = [endpoint for endpoint in findings.endpoints if endpoint not in primary]
    early = _before_the_interval(contract, measurement, primary)
    reading = early or _read(contract, primary)
    shown = sum(len(endpoint.missing) < len(endpoint.values) for endpoint in others)
    secondary_level = stats.secondary_level(contract.level, shown)
    parts = zip(contract.parts, primary, strict=True)
    endpoints = [
        _judged(endpoint, findings.unit, contract.level, early or _read(contract.alone(part), [endpoint]))
        for part, endpoint in parts
    ]
    endpoints += [_judged(endpoint, findings.unit, secondary_level, None) for endpoint in others]
    return Verdict(
        word=reading.word,
        tag=reading.tag,
        reason=reading.reason,
        endpoints=tuple(endpoints),
        controls=findings.controls,
    )


def _before_the_interval(contract: Contract, measurement: Measurement, primary: Sequence[Endpoint]) -> Reading | None:
    """Reasons to say nothing, whatever the numbers are."""
    failed = [control for control in measurement.findings.controls if control.passed is not True]
    if failed:
        said = "; ".join(f"{control.name}: {control.reason or 'could not run'}" for control in failed)
        return Reading(word="VOID", reason=f"a control failed, so nothing is said about the claim ({said})")
    if measurement.profile == "smoke":
        return Reading(word="INCONCLUSIVE", reason="a smoke run only shows that the pipeline works")
    for endpoint in primary:
        if len(endpoint.missing) == len(endpoint.values):
            return Reading(
                word="INCONCLUSIVE",
                reason=f"no unit gave a value: {next(iter(endpoint.missing.values()), 'none was drawn')}",
            )
        if len(endpoint.values) < contract.unit.first_look:
            return Reading(
                word="INCONCLUSIVE",
                reason=f"{len(endpoint.values)} units, and the contract asks for {contract.unit.first_look}",
            )
    return None


def _read(contract: Contract, primary: Sequence[Endpoint]) -> Reading:
    parts = list(zip(contract.parts, map(Units.of, primary), strict=True))

    def intervals(level: float, ends: Sequence[float]) -> list[stats.Interval]:
        return [
            interval_of(part, units.filled(end), level).widened(units.noise_floor)
            for (part, units), end in zip(parts, ends, strict=True)
        ]

    return decided(contract, [units for _, units in parts], intervals)


class Evidence(Protocol):
    """The units of one part, kept or added up."""

    @property
    def missing(self) -> int: ...

    @property
    def ends(self) -> tuple[float, ...]: ...

    def has_spread(self, end: float) -> bool: ...


Intervals = Callable[[float, Sequence[float]], list[stats.Interval]]


def decided(contract: Contract, units: Sequence[Evidence], intervals: Intervals) -> Reading:
    """What UNITS, those of each part, say through INTERVALS(level, what each part's units without a value were).

    Units without a value count as each of their caps in turn, and decide only if all agree.
    """
    if not all(one.has_spread(end) for one in units for end in one.ends):
        return Reading(word="INCONCLUSIVE", reason="all units have the same value, so there is no spread to judge by")
    strict = stats.composite_level(contract.level, len(contract.parts))
    cases = product(*(one.ends for one in units))
    readings = [together(contract, intervals(contract.level, ends), intervals(strict, ends)) for ends in cases]
    if len({(reading.word, reading.tag) for reading in readings}) > 1:
        missing = max(one.missing for one in units)
        return Reading(
            word="INCONCLUSIVE",
            reason=f"{missing} units gave no value, and what they might have been decides",
        )
    return readings[0]


def interval_of(part: Part, values: Sequence[float], level: float) -> stats.Interval:
    """The interval of one look at VALUES, for the statistic that the part is about."""
    return (stats.sign_interval if part.statistic == "median" else stats.t_interval)(values, level)


def capped(endpoint: Endpoint) -> list[float]:
    """The values of an endpoint's units inside its caps, missing ones left out."""
    return filled([value for value in endpoint.values if value is not None], endpoint.cap, math.nan)


def filled(values: Sequence[float | None], cap: tuple[float, float], instead_of_missing: float) -> list[float]:
    """VALUES inside their caps, and INSTEAD_OF_MISSING where a unit gave none."""
    return [instead_of_missing if value is None else min(max(value, cap[0]), cap[1]) for value in values]


def together(contract: Contract, full: Sequence[stats.Interval], strict: Sequence[stats.Interval]) -> Reading:
    """What the parts of a contract say together; FULL are their intervals at its level, STRICT those at 1 − α/k.

    It HOLDS when every part does, is REFUTED when one is even at the stricter level, and is WEAKENED when none reaches
    into REFUTED there and one lies wholly in WEAKENED. Of a contract with one part this is where its interval lies.
    """
    parts = contract.parts
    if len(parts) == 1:
        return place(contract, full[0])
    alone = [place(part, interval) for part, interval in zip(parts, full, strict=True)]
    stricter = [place(part, interval) for part, interval in zip(parts, strict, strict=True)]
    named = [f"{part.endpoint}: {reading.reason}" for part, reading in zip(parts, alone, strict=True)]
    if all(reading.word == "HOLDS" for reading in alone):
        return Reading(word="HOLDS", reason="every part holds: " + "; ".join(named))
    for part, reading in zip(parts, stricter, strict=True):
        if reading.word == "REFUTED":
            said = f"{part.endpoint}, one of {len(parts)} parts that all have to hold: {reading.reason}"
            return Reading(word="REFUTED", reason=said)
    outside = [_reaches(part, interval).isdisjoint({"refuted"}) for part, interval in zip(parts, strict, strict=True)]
    weakened = next((reading for reading in stricter if reading.word == "WEAKENED"), None)
    if all(outside) and weakened:
        return Reading(word="WEAKENED", tag=weakened.tag, reason="; ".join(named))
    direction = "the direction is established; " if all(outside) else ""
    return Reading(word="INCONCLUSIVE", reason=f"{direction}not every part is decided: " + "; ".join(named))


def place(part: Part, interval: stats.Interval) -> Reading:
    """Say in which regions INTERVAL lies, on the scale of analysis and already widened."""
    touched = [(name, span) for name, span in part.regions.in_order() if _touches(part, span, interval)]
    names = {name for name, _ in touched}
    ends = f"[{part.shown(interval.low):.3g}, {part.shown(interval.high):.3g}]"
    if len(names) == 1:
        name, span = touched[0]
        tag = part.regions.side(span, part.null) if name == "weakened" else None
        words: dict[str, Word] = {"holds": "HOLDS", "weakened": "WEAKENED", "refuted": "REFUTED"}
        return Reading(word=words[name], tag=tag, reason=f"the interval {ends} lies wholly in {name.upper()} ({span})")
    reached = " and ".join(dict.fromkeys(name.upper() for name, _ in touched))
    direction = "; the direction is established" if "refuted" not in names else ""
    return Reading(word="INCONCLUSIVE", reason=f"the interval {ends} reaches into {reached}{direction}")


def _reaches(part: Part, interval: stats.Interval) -> set[Region]:
    return {name for name, span in part.regions.in_order() if _touches(part, span, interval)}


def _touches(part: Part, span: Span, interval: stats.Interval) -> bool:
    low = -math.inf if span.low is None else part.analysed(span.low)
    high = math.inf if span.high is None else part.analysed(span.high)
    return interval.high >= low and interval.low <= high


def _judged(endpoint: Endpoint, unit: str, level: float, reading: Reading | None) -> Judged:
    values = capped(endpoint)
    by_median = endpoint.statistic == "median"
    interval = (stats.sign_interval if by_median else stats.t_interval)(values, level) if len(values) > 1 else None
    if interval and math.isinf(interval.low):
        interval = None  # too few units for this level
    missing = (
        f"; not measured in {len(endpoint.missing)} units: {next(iter(endpoint.missing.values()))}"
        if endpoint.missing
        else ""
    )
    return Judged(
        name=endpoint.name,
        quantity=endpoint.quantity,
        primary=reading is not None,
        estimate=shown(median(values) if by_median else stats.mean(values), endpoint.scale) if values else None,
        interval=(shown(interval.low, endpoint.scale), shown(interval.high, endpoint.scale)) if interval else None,
        level=level,
        n=len(values),
        unit=unit,
        null=endpoint.null,
        scale=endpoint.scale,
        noise_floor=endpoint.noise_floor,
        verdict=reading.word if reading else None,
        reason=reading.reason if reading else f"secondary: shown, never decides{missing}",
    )
