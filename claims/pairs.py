"""Two runs of a claim, one that held and one that did not: which they are, what is another between them, and whether
noise alone would do. Nothing is run for it.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import AwareDatetime
from sqlmodel import Session

from claims import ledger, recorded
from claims.contract import Contract, Part
from claims.errors import NoAnswer
from claims.judge import Units, Word, filled, interval_of, place
from claims.recorded import Difference, Recorded
from claims.samples import quantities
from claims.suspects import Side
from kb import read
from verifiers import stats
from verifiers.measurement import Measurement, Value
from verifiers.stats import welch

LESS_TELLING: dict[Word, int] = {"INCONCLUSIVE": 1, "VOID": 2}  # than a run that was decided against the claim
DRAWS = 2000  # of runs, to say how often noise alone gives either reading
LIKELY, UNLIKELY = 0.05, 0.01  # from here on noise would do: where something changed, and where nothing did


class Asked(NamedTuple):
    """Which flip is meant; None is the newest."""

    claim: str
    subject: str | None = None
    good: str | None = None
    bad: str | None = None


class Seen(Value):
    """One of the two runs, with its interval as it is shown."""

    run: str
    number: int
    at: AwareDatetime
    contract_version: int
    profile: str
    seed: int
    word: Word
    reason: str
    n: int
    low: float
    estimate: float
    high: float
    code: str
    commit: str | None


class Noise(Value):
    """What noise alone would do. `p`: how likely the means of the units lie this far apart if their truths are equal
    (Welch); `chance`: how likely, of so many RUNS of one truth, one holds and one does not.
    """

    p: float | None
    units: tuple[int, int]  # of all runs that were made as the good one was, and as the bad one
    runs: int
    chance: float | None
    would_do: bool
    said: str


# --- the two runs ----------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """The run that held and the one that did not, with all runs on their subject beside them."""

    good: Recorded
    bad: Recorded
    before: Measurement
    after: Measurement
    runs: tuple[Recorded, ...]

    def of(self, side: Side) -> tuple[Recorded, Measurement]:
        """The run of a side."""
        return (self.good, self.before) if side == "good" else (self.bad, self.after)

    @property
    def part(self) -> int:
        """The first part of the bad run's contract that does not hold there, which a composite claim fell by."""
        parts = self.bad.contract.parts
        held = [
            _reads(part, units_of(self.bad, number), self.bad.contract.level) == "HOLDS"
            for number, part in enumerate(parts)
        ]
        return next((number for number, holds in enumerate(held) if not holds), 0)


def pair(session: Session, asked: Asked) -> Pair:
    """The last run that held and the first after it that did not, by what each said for itself.

    Raises:
        NoAnswer: when there are no two such runs, or those that were named cannot be compared.
    """
    entity = read.find(session, asked.claim, "claim")
    runs = [one for one in recorded.of_claim(session, entity.id) if one.given.profile != "smoke"]
    named = [_named(session, said, entity.slug, runs) for said in (asked.good, asked.bad)]
    subject = asked.subject
    for here in _by_subject(runs, subject):
        if (found := _flip(here, *named)) is not None:
            before, after = (recorded.measurement_of(session, one) for one in found)
            return Pair(*found, before, after, here)
    on = f" on {subject}" if subject else ""
    held = sum(one.given.verdict.word == "HOLDS" for one in runs)
    raise NoAnswer(
        f"{entity.slug} has no run{on} that held and a later one that did not ({held} of {len(runs)} runs held; smoke runs do "
        "not count): name two with --good RUN --bad RUN"
    )


def _named(session: Session, said: str | None, slug: str, runs: Sequence[Recorded]) -> Recorded | None:
    if said is None:
        return None
    found = {one.given.run for one in recorded.find(session, f"{slug}:{said}" if said.isdigit() else said)}
    for one in runs:
        if one.given.run in found:
            return one
    raise NoAnswer(f"{said!r} is no run of {slug} that counts: smoke runs do not, nor do those of other claims")


def _by_subject(runs: Sequence[Recorded], subject: str | None) -> Iterator[tuple[Recorded, ...]]:
    """The runs on each subject, the newest first; then all together, for a contract may have changed its subject."""
    names = [subject] if subject else list(dict.fromkeys(one.given.subject for one in reversed(runs)))
    yield from (tuple(one for one in runs if one.given.subject == name) for name in names)
    if subject is None:
        yield tuple(runs)


def _flip(runs: Sequence[Recorded], good: Recorded | None, bad: Recorded | None) -> tuple[Recorded, Recorded] | None:
    """GOOD and BAD, each found where it is not named: the newest that held and has one after it that did not."""
    if any(one not in runs for one in (good, bad) if one):
        return None
    if good and bad:
        return good, bad
    if bad:
        held = [one for one in runs[: _place(runs, bad)] if one.given.verdict.word == "HOLDS"]
        return (held[-1], bad) if held else None
    for one in [good] if good else [one for one in reversed(runs) if one.given.verdict.word == "HOLDS"]:
        after = [later for later in runs[_place(runs, one) + 1 :] if later.given.verdict.word != "HOLDS"]
        if after:
            return one, min(after, key=lambda later: LESS_TELLING.get(later.given.verdict.word, 0))
    return None


def _place(runs: Sequence[Recorded], run: Recorded) -> int:
    return next((place for place, one in enumerate(runs) if one.given.run == run.given.run), len(runs))


# --- what needs no run -----------------------------------------------------------------------------------------------


def units_of(run: Recorded, part: int) -> Units:
    """The units of a part of the run's contract."""
    return run.given if part == 0 else run.given.also[part - 1]


def values_of(run: Recorded, part: int) -> list[float]:
    """The units of a part as they count: inside their caps, those without a value left out."""
    units = units_of(run, part)
    return filled([one for one in units.units if one is not None], units.cap, 0.0)


def _reads(part: Part, units: Units, level: float) -> Word:
    if not units.has_spread(units.cap[0]):
        return "INCONCLUSIVE"
    return place(part, interval_of(part, units.filled(units.cap[0]), level).widened(units.noise_floor)).word


def noise(two: Pair) -> Noise:
    """What noise alone would do. Where nothing but the seeds is another, the units of the two runs are held against each
    other; else all that were drawn as those of the good run were, against all that were drawn as those of the bad one.
    """
    good, bad = (_like(two, one) for one in (two.good, two.bad))
    is_same = _made_by(two.good) == _made_by(two.bad)
    sides = ([two.good], [two.bad]) if is_same else (good, bad)
    first, second = ([value for one in runs for value in values_of(one, two.part)] for runs in sides)
    comparable = _can_be_compared(two) and min(len(first), len(second)) > 1
    p = welch(first, second) if comparable else None
    runs = good if is_same else [*good, *bad]
    chance = _chance(two, runs) if comparable and (is_same or (p or 0) >= LIKELY) else None
    would_do = (p or 0) >= LIKELY or (is_same and (chance or 0) >= UNLIKELY)
    return Noise(
        p=p,
        units=(len(first), len(second)),
        runs=len(runs),
        chance=chance,
        would_do=would_do,
        said=_noise_words(p, chance, len(runs), is_same=is_same, would_do=would_do),
    )


def _can_be_compared(two: Pair) -> bool:
    """Whether the units of both runs are of the same quantities and decide: those of a VOID run do not."""
    same = quantities(two.good.contract)[2] == quantities(two.bad.contract)[2]
    return same and "VOID" not in {two.good.given.verdict.word, two.bad.given.verdict.word}


def _noise_words(p: float | None, chance: float | None, runs: int, *, is_same: bool, would_do: bool) -> str:
    whose = "of the two runs" if is_same else "before and after"
    by_mean = "" if p is None else f"the units {whose} differ with p = {p:.2g}"
    often = (
        ""
        if chance is None
        else f"of {runs} runs of one truth, some hold and some do not with a chance of {_percent(chance)}"
    )
    said = "; ".join(filter(None, (by_mean, often)))
    if not said:
        return "noise cannot be judged: the two runs have no units that can be held against each other"
    return f"noise alone {'would' if would_do else 'would hardly'} do: {said}"


def _percent(chance: float) -> str:
    return f"{100 * chance:.2g} %" if chance * DRAWS >= 1 else f"under {100 / DRAWS:.2g} %"


def _made_by(run: Recorded) -> tuple[object, ...]:
    started, given = run.started, run.given
    recipe = ledger.canonical(started.parameters), started.subject
    return given.verifier_code, given.environment, recipe, quantities(run.contract)


def _like(two: Pair, run: Recorded) -> list[Recorded]:
    """The runs that were made as RUN was, and are not VOID."""
    return [one for one in two.runs if one.given.verdict.word != "VOID" and _made_by(one) == _made_by(run)]


def _chance(two: Pair, runs: Sequence[Recorded]) -> float | None:
    """How likely, among so many runs of one truth, the mean of all their units, one holds and one does not: by drawing
    units with replacement from those on record, each moved to that truth (Efron 1979, Annals of Statistics 7:1).
    """
    by_run = [values for one in runs if len(values := values_of(one, two.part)) > 1]
    truth = stats.mean([value for values in by_run for value in values])
    apart = [step for values in by_run for step in _steps(values)]
    draw, contract, units = random.Random(1), two.bad.contract, units_of(two.bad, two.part)  # noqa: S311 - a simulation
    words = []
    for _ in range(DRAWS):
        drawn = tuple(truth + step for step in draw.choices(apart, k=len(units.units)))
        again = Units.model_construct(units=drawn, cap=units.cap, noise_floor=units.noise_floor)
        words.append(_reads(contract.parts[two.part], again, contract.level))
    held = words.count("HOLDS") / DRAWS
    failed = sum(is_bad(word, two.bad.given.verdict.word) for word in words) / DRAWS
    count = len(runs)
    return max(0.0, 1 - (1 - held) ** count - (1 - failed) ** count + (1 - held - failed) ** count)


def _steps(values: Sequence[float]) -> list[float]:
    """How far VALUES lie from their mean, drawn apart as much as that mean has drawn them together."""
    centre, wider = stats.mean(values), math.sqrt(len(values) / (len(values) - 1))
    return [(value - centre) * wider for value in values]


def is_bad(word: Word, recorded_word: Word) -> bool:
    """Whether a run came out as the bad one did: decided against the claim, or with that very word."""
    return word in {"WEAKENED", "REFUTED"} or (word == recorded_word and word != "HOLDS")


def differences(two: Pair) -> list[Difference]:
    """All that is another between the two runs, but their seeds."""
    good, bad, then, now = two.good, two.bad, two.before, two.after
    found = recorded.code_differences(then.provenance, now.provenance)
    found += recorded.environment_differences(then.provenance, now.provenance)
    found += _contract_differences(good.contract, bad.contract)
    found += _flat("setting", _settings(then), _settings(now))
    return found


def _settings(measured: Measurement) -> dict[str, Any]:
    return {name: value for name, value in measured.findings.settings.items() if name not in measured.parameters}


def _contract_differences(good: Contract, bad: Contract) -> list[Difference]:
    was, now = (one.model_dump(mode="json") for one in (good, bad))
    parameters = was.pop("parameters"), now.pop("parameters")
    return [*_flat("parameter", *parameters), *_flat("contract", was, now)]


def _flat(kind: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """What differs, down to the single setting: recipe.pretraining.steps."""
    found = []
    for name in sorted(was.keys() | now.keys()):
        old, new = was.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [
                one.model_copy(update={"what": f"{kind} {name}.{one.what.strip()}"}) for one in _flat("", old, new)
            ]
        elif old != new:
            found.append(Difference(what=f"{kind} {name}", was=shown(old), now=shown(new)))
    return found


def shown(value: Any) -> str | None:
    """A number or a setting, as it is written."""
    return None if value is None else f"{value:g}" if isinstance(value, float) else ledger.canonical(value)


def seen(two: Pair, side: Side) -> Seen:
    """A run of the pair, as it is shown: by the part of its contract that the claim fell by."""
    run, measured = two.of(side)
    number = two.part if len(run.contract.parts) > two.part else 0
    part = run.contract.parts[number]
    found = interval_of(part, values_of(run, number), run.contract.level).widened(units_of(run, number).noise_floor)
    return Seen(
        run=run.given.run,
        number=run.given.number,
        at=run.at,
        contract_version=run.contract_version,
        profile=run.given.profile,
        seed=run.started.seed,
        word=run.given.verdict.word,
        reason=run.given.verdict.reason,
        n=len(values_of(run, number)),
        low=part.shown(found.low),
        estimate=part.shown(found.estimate),
        high=part.shown(found.high),
        code=run.given.verifier_code[:12],
        commit=measured.provenance.commit,
    )
