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

from claims.contract import Contract
from claims.judge import DECIDED, Reading, Tag, Word, filled, place
from claims.regime import differences
from verifiers import stats
from verifiers.measurement import Value

StandingWord = Literal["HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "OPEN", "UNTESTED", "DOCUMENTARY"]
ScaleWord = Literal["REPRODUCED", "REPRODUCED SMALLER", "REPRODUCED LARGER", "NOT REPRODUCED", "OPEN"]
FreshWord = Literal["FRESH", "DUE", "STALE"]


class PastRun(Value):
    """A run with a verdict, as the fold needs it; `units` are the primary endpoint's values, capped, on the scale of
    analysis.
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
    units: tuple[float | None, ...]
    cap: tuple[float, float]
    noise_floor: float

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
    """The sequence after RUNS. A unit without a value counts as each of its caps in turn, and decides only if both agree."""
    newest, drawn = runs[-1], sum(len(run.units) for run in runs)
    if drawn < contract.unit.first_look:
        return Reading(
            word="INCONCLUSIVE", reason=f"{drawn} units, and the first look needs {contract.unit.first_look}"
        ), None
    intervals, readings = [], []
    for side in (0, 1):
        units = [value for run in runs for value in filled(run.units, run.cap, run.cap[side])]
        if stats.standard_deviation(units) == 0:
            return Reading(word="INCONCLUSIVE", reason="all units have the same value: no spread to judge by"), None
        interval = stats.lai_sequence(units, contract.unit.first_look, level).widened(newest.noise_floor)
        intervals.append(interval)
        readings.append(place(contract, interval))
    low, high = (contract.shown(value) for value in (intervals[0].low, intervals[1].high))
    estimate = contract.shown((intervals[0].estimate + intervals[1].estimate) / 2)
    look = Look(run=newest.number, n=drawn, low=low, estimate=estimate, high=high)
    if (readings[0].word, readings[0].tag) != (readings[1].word, readings[1].tag):
        return Reading(word="INCONCLUSIVE", reason="units gave no value, and what they might have been decides"), look
    return readings[0], look


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
