"""From a contract and a measurement to a verdict: pure, and the same today as when the audit asks again."""

import math
from collections.abc import Sequence
from typing import Literal

from claims.contract import Contract, Span, shown
from verifiers import stats
from verifiers.measurement import Control, Endpoint, Measurement, Value

Word = Literal["HOLDS", "WEAKENED", "REFUTED", "INCONCLUSIVE", "VOID", "ERROR"]
Tag = Literal["SMALLER", "LARGER"]
DECIDED: tuple[Word, ...] = ("HOLDS", "WEAKENED", "REFUTED")


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
    """Apply CONTRACT to MEASUREMENT: controls first, then the primary endpoint; the others are shown and never
    decide.

    Raises:
        LookupError: when the measurement lacks the endpoint that the contract is about.
    """
    findings = measurement.findings
    primary = findings.endpoint(contract.endpoint)
    others = [endpoint for endpoint in findings.endpoints if endpoint is not primary]
    reading = _before_the_interval(contract, measurement) or _read(contract, primary)
    shown = sum(len(endpoint.missing) < len(endpoint.values) for endpoint in others)
    secondary_level = stats.secondary_level(contract.level, shown)
    endpoints = [_judged(primary, findings.unit, contract.level, reading)]
    endpoints += [_judged(endpoint, findings.unit, secondary_level, None) for endpoint in others]
    return Verdict(
        word=reading.word,
        tag=reading.tag,
        reason=reading.reason,
        endpoints=tuple(endpoints),
        controls=findings.controls,
    )


def _before_the_interval(contract: Contract, measurement: Measurement) -> Reading | None:
    """Reasons to say nothing, whatever the numbers are."""
    failed = [control for control in measurement.findings.controls if control.passed is not True]
    if failed:
        said = "; ".join(f"{control.name}: {control.reason or 'could not run'}" for control in failed)
        return Reading(word="VOID", reason=f"a control failed, so nothing is said about the claim ({said})")
    if measurement.profile == "smoke":
        return Reading(word="INCONCLUSIVE", reason="a smoke run only shows that the pipeline works")
    primary = measurement.findings.endpoint(contract.endpoint)
    if len(primary.missing) == len(primary.values):
        return Reading(
            word="INCONCLUSIVE",
            reason=f"no unit gave a value: {next(iter(primary.missing.values()), 'none was drawn')}",
        )
    if len(primary.values) < contract.unit.first_look:
        return Reading(
            word="INCONCLUSIVE",
            reason=f"{len(primary.values)} units, and the contract asks for {contract.unit.first_look}",
        )
    return None


def _read(contract: Contract, primary: Endpoint) -> Reading:
    """Units without a value count as each of their caps in turn, and decide only if both agree."""
    readings = []
    for cap in primary.cap if primary.missing else primary.cap[:1]:
        values = filled(primary.values, primary.cap, cap)
        if stats.standard_deviation(values) == 0:
            return Reading(
                word="INCONCLUSIVE", reason="all units have the same value, so there is no spread to judge by"
            )
        readings.append(place(contract, stats.t_interval(values, contract.level).widened(primary.noise_floor)))
    if len({(reading.word, reading.tag) for reading in readings}) > 1:
        return Reading(
            word="INCONCLUSIVE",
            reason=f"{len(primary.missing)} units gave no value, and what they might have been decides",
        )
    return readings[0]


def capped(endpoint: Endpoint) -> list[float]:
    """The values of an endpoint's units inside its caps, missing ones left out."""
    return filled([value for value in endpoint.values if value is not None], endpoint.cap, math.nan)


def filled(values: Sequence[float | None], cap: tuple[float, float], instead_of_missing: float) -> list[float]:
    """VALUES inside their caps, and INSTEAD_OF_MISSING where a unit gave none."""
    return [instead_of_missing if value is None else min(max(value, cap[0]), cap[1]) for value in values]


def place(contract: Contract, interval: stats.Interval) -> Reading:
    """Say in which regions INTERVAL lies, on the scale of analysis and already widened."""
    touched = [(name, span) for name, span in contract.regions.in_order() if _touches(contract, span, interval)]
    names = {name for name, _ in touched}
    ends = f"[{contract.shown(interval.low):.3g}, {contract.shown(interval.high):.3g}]"
    if len(names) == 1:
        name, span = touched[0]
        tag = contract.regions.side(span, contract.null) if name == "weakened" else None
        words: dict[str, Word] = {"holds": "HOLDS", "weakened": "WEAKENED", "refuted": "REFUTED"}
        return Reading(word=words[name], tag=tag, reason=f"the interval {ends} lies wholly in {name.upper()} ({span})")
    reached = " and ".join(dict.fromkeys(name.upper() for name, _ in touched))
    direction = "; the direction is established" if "refuted" not in names else ""
    return Reading(word="INCONCLUSIVE", reason=f"the interval {ends} reaches into {reached}{direction}")


def _touches(contract: Contract, span: Span, interval: stats.Interval) -> bool:
    low = -math.inf if span.low is None else contract.analysed(span.low)
    high = math.inf if span.high is None else contract.analysed(span.high)
    return interval.high >= low and interval.low <= high


def _judged(endpoint: Endpoint, unit: str, level: float, reading: Reading | None) -> Judged:
    values = capped(endpoint)
    interval = stats.t_interval(values, level) if len(values) > 1 else None
    missing = (
        f"; not measured in {len(endpoint.missing)} units: {next(iter(endpoint.missing.values()))}"
        if endpoint.missing
        else ""
    )
    return Judged(
        name=endpoint.name,
        quantity=endpoint.quantity,
        primary=reading is not None,
        estimate=shown(stats.mean(values), endpoint.scale) if values else None,
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
