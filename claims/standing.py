"""What all runs together say of a claim: a pure fold over its ledger.

A sample is everything drawn under one contract and one version of the verifier on one subject; it is read through
Lai's sequence, which stays valid however often it is looked at (`claims.samples`). Uncertified runs and subjects outside
the claim's regime are read the same way, shown beside the standing, and never enter it.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pydantic import AwareDatetime

from claims.contract import Contract
from claims.judge import DECIDED, Reading, Tag, Units, Word
from claims.regime import differences
from claims.samples import Changed, Look, Sample, begun, changed, read
from verifiers.measurement import Value

StandingWord = Literal["HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "OPEN", "UNTESTED", "DOCUMENTARY"]
ScaleWord = Literal["REPRODUCED", "REPRODUCED SMALLER", "REPRODUCED LARGER", "NOT REPRODUCED", "OPEN"]
WINDOW, MOST_VOID = 20, 3  # a fourth VOID among the last twenty runs suspends


class PastRun(Units):
    """A run with a verdict, as the fold needs it; its own units are those of the contract's first endpoint, and those
    of the further parts stand in `also`. One that was given up is an ERROR, and all its units are missing.
    """

    run: str
    number: int
    at: AwareDatetime
    subject: str
    profile: str
    verifier_code: str  # digest
    environment: str | None = None  # digest
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

    @property
    def is_lost(self) -> bool:
        """Whether it was given up: its units exist, and nobody knows them."""
        return self.word == "ERROR" and self.profile != "smoke" and self.missing == len(self.units)

    @property
    def made_by(self) -> tuple[str, str | None]:
        """The code and the environment that drew its units."""
        return self.verifier_code, self.environment


class Replay(Value):
    """One run made again by other code or elsewhere, and whether its units came out the same within the noise floor."""

    subject: str
    was: tuple[str, str | None]
    now: tuple[str, str | None]
    agrees: bool


class SubjectReading(Value):
    """One subject's newest sample, read. `sample` counts those of this claim and subject, `level` is what it is read at."""

    subject: str
    differences: tuple[str, ...]  # from the claim's regime; empty inside it
    certified: bool
    runs: int
    n: int
    word: Word | Literal["OPEN"]
    tag: Tag | None
    reason: str
    looks: tuple[Look, ...]
    sample: int = 1
    level: float | None = None
    is_suspended: bool = False
    changed: Changed | None = None

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


class Headline(NamedTuple):
    """What a standing comes to, in words that can be compared."""

    word: StandingWord
    tag: Tag | None
    at_scale: ScaleWord | None
    so_far: str | None


def headline(stands: Standing) -> Headline:
    """The words of a standing."""
    return Headline(stands.word, stands.tag, stands.at_scale, stands.so_far)


# --- one subject -----------------------------------------------------------------------------------------------------


class Subject:
    """What is known of one subject of a claim, run by run; it outlives contracts, because its samples are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sample: Sample | None = None  # under the present contract
        self.made_by: set[tuple[str, str | None]] = set()  # what drew the units of that sample
        self.numbers: set[int] = set()  # of its runs
        self.before: dict[bool, Sample] = {}  # the newest sample that ended: of certified runs, and of the others
        self.samples = {True: 0, False: 0}
        self.checked: list[bool] = []  # of the last runs by the newest code: whether they were VOID
        self.checked_code = ""
        self.waiting: list[PastRun] = []  # given up before any run of their sample came out
        self.alike: set[frozenset[str]] = set()
        self.apart: set[frozenset[tuple[str, str | None]]] = set()

    def end_sample(self) -> None:
        """Nothing that comes belongs to the sample any more: there is another contract, or other code."""
        if self.sample is not None:
            self.before[self.sample.certified] = self.sample
        self.sample, self.made_by, self.numbers = None, set(), set()

    def take(self, contract: Contract, run: PastRun) -> None:
        """One more run on this subject under CONTRACT."""
        if run.profile != "smoke" and run.word != "ERROR":
            self._check(run)
        if run.is_lost:
            self._miss(run)
        elif run.counts:
            self._grow(contract, run)
        elif run.word == "VOID":
            self._leave_out(run)

    def replayed(self, replay: Replay) -> None:
        """A run was made again: code that agrees goes on with the sample, an environment that does not may not. What
        disagrees with itself says nothing of where a sample ends: else every run would begin one.
        """
        if replay.agrees:
            self.alike.add(frozenset({replay.was[0], replay.now[0]}))
        elif replay.was != replay.now:
            self.apart.add(frozenset({replay.was, replay.now}))

    @property
    def is_suspended(self) -> bool:
        return sum(self.checked[-WINDOW:]) > MOST_VOID

    @property
    def reading(self) -> Reading:
        """What the newest sample says; nothing while it is suspended."""
        if self.sample is None:
            return Reading(word="INCONCLUSIVE", reason="no run yet")
        if self.is_suspended:
            last = self.checked[-WINDOW:]
            said = f"suspended: {sum(last)} of its last {len(last)} runs were VOID, so its instrument is in doubt"
            return Reading(word="INCONCLUSIVE", reason=said)
        return self.sample.reading

    @property
    def changed(self) -> Changed | None:
        """How the newest sample differs from the one before it, if it does."""
        if self.sample is None or self.sample.certified not in self.before:
            return None
        return changed(self.before[self.sample.certified], self.sample)

    def _check(self, run: PastRun) -> None:
        if run.verifier_code != self.checked_code:
            self.checked, self.checked_code = [], run.verifier_code
        self.checked.append(run.word == "VOID")

    def _miss(self, run: PastRun) -> None:
        if self.sample is None or run.verifier_code not in {code for code, _ in self.made_by}:
            self.waiting.append(run)
        elif run.number not in self.numbers:
            self.sample = self.sample.without(run.number, len(run.units))

    def _leave_out(self, run: PastRun) -> None:
        """A run that had been given up came out after all, and is VOID."""
        self.waiting = [
            one for one in self.waiting if (one.number, one.verifier_code) != (run.number, run.verifier_code)
        ]
        if self.sample is not None and run.verifier_code in {code for code, _ in self.made_by}:
            self.sample = self.sample.leaving_out(run.number)

    def _grow(self, contract: Contract, run: PastRun) -> None:
        sample = self.sample
        if sample is None or not self._belongs(run, sample):
            sample = self._begin(contract, run)
        elif run.number in self.numbers:
            return  # a number is one set of units for ever, and they are in the sample
        self.made_by.add(run.made_by)
        self.numbers.add(run.number)
        if self.waiting:
            sample = self._with_waiting(sample, run.verifier_code)
        self.sample = sample.after(run.number, run.parts)

    def _with_waiting(self, sample: Sample, code: str) -> Sample:
        """SAMPLE with the runs by CODE that were given up before any of it came out."""
        for lost in self.waiting:
            if lost.verifier_code == code:
                sample = sample.without(lost.number, len(lost.units))
        self.waiting = [one for one in self.waiting if one.verifier_code != code]
        return sample

    def _begin(self, contract: Contract, run: PastRun) -> Sample:
        self.end_sample()
        self.samples[run.certified] += 1
        return begun(contract, self.samples[run.certified], run.parts, certified=run.certified)

    def _belongs(self, run: PastRun, sample: Sample) -> bool:
        """Whether RUN was drawn by what drew the sample, as far as anybody has looked."""
        same_caps = all(one.cap == tally.cap for one, tally in zip(run.parts, sample.tallies, strict=True))
        return self._is_alike(run) and same_caps and run.certified == sample.certified

    def _is_alike(self, run: PastRun) -> bool:
        if self.apart and any(frozenset({run.made_by, other}) in self.apart for other in self.made_by):
            return False
        codes = {code for code, _ in self.made_by}
        return run.verifier_code in codes or any(frozenset({run.verifier_code, code}) in self.alike for code in codes)


# --- the fold --------------------------------------------------------------------------------------------------------


class Fold:
    """A claim's record, taken in event by event: contracts, runs, replays; `standing` says what it comes to so far."""

    def __init__(self, documentary: str = "") -> None:
        self.contract: Contract | None = None
        self._documentary = documentary
        self._subjects: dict[str, Subject] = {}

    def begin(self, contract: Contract | None) -> None:
        """A contract, or its end. One that comes back begins another sample: else one could try several, and keep the
        one that looks best.
        """
        self.contract = contract
        for subject in self._subjects.values():
            subject.end_sample()
            subject.waiting, subject.checked = [], []

    def take(self, run: PastRun) -> None:
        """A run that was begun under the present contract came out. One with other parts is no answer to it: the audit
        says so, and the fold goes on.
        """
        if self.contract is not None and (run.is_lost or len(run.parts) == len(self.contract.parts)):
            self.subject(run.subject).take(self.contract, run)

    def replayed(self, replay: Replay) -> None:
        """A run was made again."""
        self.subject(replay.subject).replayed(replay)

    def subject(self, name: str) -> Subject:
        """What is known of the subject of that name."""
        return self._subjects.setdefault(name, Subject(name))

    def standing(self) -> Standing:
        """What everything so far comes to."""
        if self.contract is None:
            if self._documentary:
                return Standing(word="DOCUMENTARY", reason=self._documentary)
            return Standing(word="UNTESTED", reason="no contract says yet how it could be tested")
        readings = [_reading(self.contract, self.subject(name)) for name in self.contract.subjects]
        return self._together(self.contract, readings)

    def _together(self, contract: Contract, readings: Sequence[SubjectReading]) -> Standing:
        tested = [reading for reading in readings if reading.runs]
        inside = [reading for reading in tested if not reading.differences]
        outside = [reading for reading in tested if reading.differences]
        entering = [reading for reading in inside if reading.certified]
        so_far = [reading for reading in inside if not reading.certified]
        word, tag, reason = _decide(contract, entering, so_far, outside)
        if word == "OPEN" and len(entering) > 1 and self._is_contested(contract, entering):
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

    def _is_contested(self, contract: Contract, entering: Sequence[SubjectReading]) -> bool:
        """Whether two subjects lie in different regions, each read at the level that all of them share."""
        words = set()
        for reading in entering:
            sample = self.subject(reading.subject).sample
            if sample is not None and not reading.is_suspended:
                level = 1 - (1 - sample.at_level.level) / len(contract.subjects)
                words.add(read(contract.model_copy(update={"level": level}), sample.tallies).word)
        return len(words.intersection(DECIDED)) > 1


def standing(contract: Contract | None, documentary: str, runs: Iterable[PastRun]) -> Standing:
    """Fold RUNS, which are all of one contract, oldest first."""
    fold = Fold(documentary)
    fold.begin(contract)
    for run in runs:
        fold.take(run)
    return fold.standing()


def _reading(contract: Contract, subject: Subject) -> SubjectReading:
    sample, far = subject.sample, differences(contract.regime, subject.name)
    if sample is None:
        return SubjectReading(
            subject=subject.name,
            differences=far,
            certified=False,
            runs=0,
            n=0,
            word="OPEN",
            tag=None,
            reason="no run yet",
            looks=(),
        )
    word, tag, reason = subject.reading.word, subject.reading.tag, subject.reading.reason
    return SubjectReading(
        subject=subject.name,
        differences=far,
        certified=sample.certified,
        runs=sample.runs,
        n=sample.n,
        word=word if word in DECIDED else "OPEN",
        tag=tag,
        reason=reason,
        looks=sample.looks,
        sample=sample.number,
        level=sample.at_level.level,
        is_suspended=subject.is_suspended,
        changed=subject.changed,
    )


def _decide(
    contract: Contract, entering: list[SubjectReading], so_far: list[SubjectReading], outside: list[SubjectReading]
) -> tuple[StandingWord, Tag | None, str]:
    words = {(reading.word, reading.tag) for reading in entering}
    if len(entering) == len(contract.subjects) and len(words) == 1 and entering[0].word in DECIDED:
        return entering[0].word, entering[0].tag, entering[0].reason  # type: ignore[return-value]  # one of DECIDED
    if entering:
        return "OPEN", None, entering[0].reason
    if so_far:
        said = f"{so_far[0].n} units so far, but {contract.verifier} has no certificate that covers them, so they decide nothing"
        return "OPEN", None, said
    if outside:
        return "UNTESTED", None, "no run in its own regime"
    return "UNTESTED", None, "no run yet"
