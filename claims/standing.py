"""What all runs together say of a claim, and whether that is still fresh: pure folds over its ledger.

A sample is everything drawn under one contract and one version of the verifier on one subject; it is read through
Lai's sequence, which stays valid however often it is looked at. Uncertified runs and subjects outside the claim's
regime are read the same way, shown beside the standing, and never enter it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Literal

from pydantic import AwareDatetime

from claims.contract import Contract, Part
from claims.judge import DECIDED, Reading, Tag, Units, Word, decided
from claims.regime import differences
from verifiers import stats
from verifiers.measurement import Value

StandingWord = Literal["HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "OPEN", "UNTESTED", "DOCUMENTARY"]
ScaleWord = Literal["REPRODUCED", "REPRODUCED SMALLER", "REPRODUCED LARGER", "NOT REPRODUCED", "OPEN"]
FreshWord = Literal["FRESH", "DUE", "STALE"]


class PastRun(Units):
    """A run with a verdict, as the fold needs it; its own units are those of the contract's first endpoint, and those
    of the further parts stand in `also`.
    """

    run: str
    number: int
    at: AwareDatetime
    subject: str
    profile: str
    verifier_code: str  # digest
    certified: bool
    word: Word
    tag: Tag | None
    also: tuple[Units, ...] = ()

    @property
    def parts(self) -> tuple[Units, ...]:
        """The units of each part of the contract."""
        return (self, *self.also)

    def of_part(self, number: int) -> "PastRun":
        """The same run with the units of one part alone."""
        return self.model_copy(update={**dict(self.parts[number]), "also": ()} if number else {"also": ()})

    @property
    def counts(self) -> bool:
        """Whether the run is evidence: not a smoke run, not void."""
        return self.profile != "smoke" and self.word not in {"VOID", "ERROR"}


class Look(Value):
    """The sequence after a run: how many units, and the interval they give, as shown."""

    run: int
    n: int
    low: float
    estimate: float
    high: float


class SubjectReading(Value):
    """One subject's sample, read."""

    subject: str
    differences: tuple[str, ...]  # from the claim's regime; empty inside it
    certified: bool
    runs: int
    n: int
    word: Word | Literal["OPEN"]
    tag: Tag | None
    reason: str
    looks: tuple[Look, ...]

    @property
    def at_scale(self) -> ScaleWord:
        """The same in the words for a subject outside the regime."""
        return at_scale(self.word, self.tag)


def at_scale(word: str, tag: Tag | None) -> ScaleWord:
    """A reading in the words for a subject outside the regime: it may not sound like a verdict on the claim."""
    if word == "HOLDS":
        return "REPRODUCED"
    if word == "WEAKENED":
        return "REPRODUCED LARGER" if tag == "LARGER" else "REPRODUCED SMALLER"
    return "NOT REPRODUCED" if word == "REFUTED" else "OPEN"


class Standing(Value):
    """What stands, and everything shown beside it.

    `so_far` reads the subjects inside the regime whose verifier has no certificate: what would stand if it had one.
    """

    word: StandingWord
    tag: Tag | None = None
    reason: str
    at_scale: ScaleWord | None = None
    at_scale_certified: bool = False
    so_far: Word | Literal["OPEN"] | None = None
    so_far_tag: Tag | None = None
    subjects: tuple[SubjectReading, ...] = ()


def standing(contract: Contract | None, documentary: str, runs: Sequence[PastRun]) -> Standing:
    """Fold RUNS, which are those of the current contract, oldest first."""
    if contract is None:
        if documentary:
            return Standing(word="DOCUMENTARY", reason=documentary)
        return Standing(word="UNTESTED", reason="no contract says yet how it could be tested")
    readings = [read(contract, subject, runs) for subject in contract.subjects]
    tested = [reading for reading in readings if reading.runs]
    inside = [reading for reading in tested if not reading.differences]
    outside = [reading for reading in tested if reading.differences]
    entering = [reading for reading in inside if reading.certified]
    so_far = [reading for reading in inside if not reading.certified]
    word, tag, reason = _decide(contract, entering, so_far, outside)
    if word == "OPEN" and len(entering) > 1 and _contested(contract, entering, runs):
        word, reason = "CONTESTED", "its subjects disagree"
    return Standing(
        word=word,
        tag=tag,
        reason=reason,
        at_scale=outside[0].at_scale if outside else None,
        at_scale_certified=bool(outside) and outside[0].certified,
        so_far=so_far[0].word if so_far else None,
        so_far_tag=so_far[0].tag if so_far else None,
        subjects=tuple(readings),
    )


def _decide(
    contract: Contract, entering: list[SubjectReading], so_far: list[SubjectReading], outside: list[SubjectReading]
) -> tuple[StandingWord, Tag | None, str]:
    words = {(reading.word, reading.tag) for reading in entering}
    if len(entering) == len(contract.subjects) and len(words) == 1 and entering[0].word in DECIDED:
        return entering[0].word, entering[0].tag, entering[0].reason  # type: ignore[return-value]
    if entering:
        return "OPEN", None, entering[0].reason
    if so_far:
        said = f"{so_far[0].n} units so far, but {contract.verifier} has no certificate that covers them, so they decide nothing"
        return "OPEN", None, said
    if outside:
        return "UNTESTED", None, "no run in its own regime"
    return "UNTESTED", None, "no run yet"


def _contested(contract: Contract, entering: Sequence[SubjectReading], runs: Sequence[PastRun]) -> bool:
    """Whether two subjects lie in different regions, each read at the level that all of them share."""
    level = 1 - (1 - contract.level) / len(contract.subjects)
    samples = [newest_sample(reading.subject, runs) for reading in entering]
    words = {_look(contract, sample, level)[0].word for sample in samples}
    return len(words.intersection(DECIDED)) > 1


def newest_sample(subject: str, runs: Sequence[PastRun]) -> list[PastRun]:
    """The runs that are evidence on SUBJECT since the verifier's code last changed, or got or lost its certificate."""
    valid = [run for run in runs if run.subject == subject and run.counts]
    newest = takewhile(lambda run: _version(run) == _version(valid[-1]), reversed(valid))
    return list(newest)[::-1]


def _version(run: PastRun) -> tuple[str, bool]:
    return run.verifier_code, run.certified


def read(contract: Contract, subject: str, runs: Sequence[PastRun]) -> SubjectReading:
    """The newest sample of SUBJECT."""
    newest = newest_sample(subject, runs)
    looks: list[Look] = []
    reading = Reading(word="INCONCLUSIVE", reason="no run yet")
    for number in range(1, len(newest) + 1):
        reading, look = _look(contract, newest[:number], contract.level)
        looks += [look] if look else []
    return SubjectReading(
        subject=subject,
        differences=differences(contract.regime, subject),
        certified=bool(newest) and newest[-1].certified,
        runs=len(newest),
        n=sum(len(run.units) for run in newest),
        word=reading.word if reading.word in DECIDED else "OPEN",
        tag=reading.tag,
        reason=reading.reason,
        looks=tuple(looks),
    )


def _look(contract: Contract, runs: Sequence[PastRun], level: float) -> tuple[Reading, Look | None]:
    """The sequence after RUNS, and how it shows: the interval of the contract's first endpoint."""
    drawn = sum(len(run.units) for run in runs)
    if drawn < contract.unit.first_look:
        return Reading(
            word="INCONCLUSIVE", reason=f"{drawn} units, and the first look needs {contract.unit.first_look}"
        ), None
    samples = [_pooled(parts) for parts in zip(*(run.parts for run in runs), strict=True)]
    at_level = contract.model_copy(update={"level": level})

    def intervals(level: float, ends: Sequence[float]) -> list[stats.Interval]:
        return [
            _sequence(part, sample, end, contract.unit.first_look, level)
            for part, sample, end in zip(contract.parts, samples, ends, strict=True)
        ]

    reading = decided(at_level, samples, intervals)
    if any(stats.standard_deviation(one.filled(end)) == 0 for one in samples for end in one.ends):
        return reading, None
    first = [_sequence(contract, samples[0], end, contract.unit.first_look, level) for end in samples[0].cap]
    low, high = contract.shown(first[0].low), contract.shown(first[1].high)
    estimate = contract.shown((first[0].estimate + first[1].estimate) / 2)
    return reading, Look(run=runs[-1].number, n=drawn, low=low, estimate=estimate, high=high)


def _pooled(runs: Sequence[Units]) -> Units:
    """All units of one part; caps and noise floor are those of the newest run."""
    newest = runs[-1]
    inside = (_inside(value, run.cap) for run in runs for value in run.units)
    return Units(units=tuple(inside), cap=newest.cap, noise_floor=newest.noise_floor)


def _inside(value: float | None, cap: tuple[float, float]) -> float | None:
    return None if value is None else min(max(value, cap[0]), cap[1])


def _sequence(part: Part, sample: Units, end: float, first_look: int, level: float) -> stats.Interval:
    """The confidence sequence of a part, for the statistic that it is about, with END for units without a value."""
    values = sample.filled(end)
    if part.statistic == "median":
        kept = stats.sign_sequence(values, level)  # endless while the units are too few; a median lies inside the caps
        inside = stats.Interval(kept.estimate, max(kept.low, sample.cap[0]), min(kept.high, sample.cap[1]))
        return inside.widened(sample.noise_floor)
    return stats.lai_sequence(values, first_look, level).widened(sample.noise_floor)


class Freshness(Value):
    """Whether a claim was tested lately enough, and until or since when."""

    word: FreshWord
    reason: str
    turn: AwareDatetime | None  # when FRESH ends, or since when it is DUE or STALE


def fresh_until(contract: Contract, runs: Sequence[PastRun]) -> datetime | None:
    """When the shelf life of the newest run that is evidence ends."""
    valid = [run.at for run in runs if run.counts]
    return max(valid) + timedelta(days=contract.shelf_life_days) if valid else None


def freshness(over: datetime | None, shelf_life_days: int, now: datetime) -> Freshness:
    """Judge NOW against the end of a claim's shelf life, which is None when it was never tested under its present
    contract.
    """
    if over is None:
        return Freshness(word="DUE", reason="it was never tested under its present contract", turn=None)
    life = timedelta(days=shelf_life_days)
    if now < over:
        return Freshness(word="FRESH", reason=f"its shelf life is {shelf_life_days} days", turn=over)
    if now < over + life:
        return Freshness(word="DUE", reason=f"its shelf life of {shelf_life_days} days is over", turn=over)
    return Freshness(word="STALE", reason="due, and not tested for another shelf life", turn=over + life)
