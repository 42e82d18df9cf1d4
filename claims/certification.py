"""From the runs of a trial to a certificate: what was counted, and whether that is enough. Pure.

Three levels, side by side and never pooled. The rule is simulated, the instrument measures planted subjects of exactly
known truth, and complete runs are made where the claim is true and where it is false by construction. The units of the
complete runs are the bank: the other levels draw with their spread. Nothing here is certain; every count is given with
its exact binomial bound.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from claims import goals
from claims.contract import Contract, Part
from claims.errors import CannotCertify
from claims.goals import Effort
from claims.judge import Units, Word, interval_of, judge
from claims.simulation import Simulated, histories, truth_of
from claims.truths import Asked, said_of
from verifiers import stats
from verifiers.certificate import (
    Bank,
    Break,
    Certificate,
    EndToEnd,
    Instrument,
    NoiseFloor,
    PartTried,
    Rate,
    Rule,
    Truth,
)
from verifiers.measurement import Measurement, Value
from verifiers.registry import EndpointSpec, Trial, find

METHODS = {
    "mean": "Student's t interval over the units of a run; Lai's t confidence sequence over all runs",
    "median": "the sign test's interval for the median over the units of a run; the sign sequence over all runs",
}
STEADY = 1e-3  # of the bank's spread: planted units that hardly differ show the instrument's own error


class TriedPart(Value):
    """The units of one endpoint on the scale of analysis, and their interval as it is judged."""

    units: tuple[float | None, ...]
    interval: tuple[float, float] | None


class Tried(TriedPart):
    """What is kept of one finished run; its own units are those of the contract's first endpoint."""

    word: Word
    cpu_s: float
    also: tuple[TriedPart, ...] = ()

    @property
    def parts(self) -> tuple[TriedPart, ...]:
        """What each part of the contract gave."""
        return (self, *self.also)


@dataclass(frozen=True)
class Results:
    """Every run of a trial: complete ones by subject, the others by the name of their truth or their break."""

    complete: Mapping[str, Sequence[Tried]]
    planted: Mapping[str, Sequence[Tried]]
    breaks: Mapping[str, Sequence[Tried]]
    healthy: Sequence[Tried]
    steady: Mapping[str, Sequence[Tried]]
    varied: Mapping[str, Sequence[Tried]]  # the first complete runs once more, by what was changed


# --- what one run gave -----------------------------------------------------------------------------------------------


def tried(contract: Contract, measured: Measurement, cpu_s: float) -> Tried:
    """Judge a run as any other, and keep what is counted."""
    first, *others = (
        _tried_part(part, Units.of(measured.findings.endpoint(part.endpoint)), contract.level)
        for part in contract.parts
    )
    return Tried(word=judge(contract, measured).word, cpu_s=cpu_s, also=tuple(others), **dict(first))


def _tried_part(part: Part, found: Units, level: float) -> TriedPart:
    """Units inside their caps, and the interval; a unit without a value counts as each of its caps in turn, so from end
    to end.
    """
    inside = tuple(None if value is None else min(max(value, found.cap[0]), found.cap[1]) for value in found.units)
    if len(inside) < 2:
        return TriedPart(units=inside, interval=None)
    both = [interval_of(part, found.filled(cap), level).widened(found.noise_floor) for cap in found.cap]
    ends = both[0].low, both[1].high
    return TriedPart(units=inside, interval=ends if all(map(math.isfinite, ends)) else None)


# --- what was counted ------------------------------------------------------------------------------------------------


def counted(contract: Contract, asked: Asked, runs: Sequence[Tried]) -> Truth:
    """Words, errors and coverage of RUNS on a planted subject; of several parts, the coverage of the worst."""
    words = Counter(run.word for run in runs)
    covered = []
    for number, (part, value) in enumerate(zip(contract.parts, asked.values, strict=True)):
        truth, ends = part.analysed(value), [run.parts[number].interval for run in runs]
        covered.append(sum(one is not None and one[0] <= truth <= one[1] for one in ends))
    return truth_of(
        contract,
        asked,
        n=len(runs),
        words={word: words[word] for word in get_args(Word) if words[word]},
        covered=min(covered),
        false={"holds": words["HOLDS"], "refuted": words["REFUTED"]},
        right=words["HOLDS"],
    )


def bank_of(contract: Contract, complete: Mapping[str, Sequence[Tried]], trial: Trial) -> list[tuple[Bank, Simulated]]:
    """For each part of the contract the bank, and units as they are drawn from it, with the trial's spread where the
    bank's own is less. The rows of all parts are those of the same units.

    Only the spread and the shape of units are of use. `sd` is that of the subject whose units vary more, or for a
    median that of the true one, for what power is promised on: the sign test's errors are the same for any spread. For
    shape and for what units of a run share, units are centred and scaled by subject, so that each counts alike. Runs
    that are VOID and units without a value are left out.

    Raises:
        CannotCertify: when there is too little to draw from.
    """
    whole = {subject: [_whole_rows(run) for run in runs if run.word != "VOID"] for subject, runs in complete.items()}
    verifier = find(contract.verifier)
    return [
        _bank_of_part(part, number, whole, complete, trial, verifier.endpoint(part.endpoint))
        for number, part in enumerate(contract.parts)
    ]


Rows = list[tuple[float, ...]]  # a unit's values, one a part


def _whole_rows(run: Tried) -> Rows:
    rows = zip(*(part.units for part in run.parts), strict=True)
    return [tuple(value for value in row if value is not None) for row in rows if None not in row]


def _bank_of_part(
    part: Part,
    number: int,
    whole: Mapping[str, Sequence[Rows]],
    complete: Mapping[str, Sequence[Tried]],
    trial: Trial,
    endpoint: EndpointSpec,
) -> tuple[Bank, Simulated]:
    scaled: list[list[float]] = []  # by run
    spreads: dict[str, float] = {}
    for subject, runs in whole.items():
        values = [[row[number] for row in rows] for rows in runs]
        every = [unit for units in values for unit in units]
        if len(every) < 3:
            raise CannotCertify(
                f"the complete runs on {subject} gave no units to draw from; {_said(complete[subject])}"
            )
        centre, own = stats.mean(every), stats.standard_deviation(every)
        if own == 0:
            raise CannotCertify(f"the units of the complete runs on {subject} have no spread to draw with")
        scaled += [[(unit - centre) / own for unit in units] for units in values if units]
        spreads[subject] = own
    by_median = part.statistic == "median"
    sd = spreads[trial.true] if by_median else max(spreads.values())
    shape, drawn_sd = tuple(unit for units in scaled for unit in units), max(sd, trial.spread_of(number))
    bank = Bank(
        n=len(shape),
        sd=sd,
        drawn_sd=drawn_sd,
        skewness=stats.skewness(shape),
        run_share=stats.shared_variance(scaled),
    )
    return bank, Simulated(shape, drawn_sd, bank.run_share, endpoint.cap, endpoint.noise_floor, by_median)


def spread_of(banks: Sequence[tuple[Bank, Simulated]], trial: Trial) -> float:
    """The spread that planted units are asked for with: that of the first part, so much larger than the trial's own that
    no part is drawn with less than its bank asks for.
    """
    drawn = [units.sd for _, units in banks]
    if len(drawn) == 1 or not trial.spread_of(0):
        return drawn[0]
    return trial.spread_of(0) * max(one / trial.spread_of(number) for number, one in enumerate(drawn))


def _said(runs: Sequence[Tried]) -> str:
    return "verdicts: " + ", ".join(run.word for run in runs)


def rule_of(contract: Contract, asked: Sequence[Asked], units: Sequence[Simulated], effort: Effort, seed: int) -> Rule:
    """Simulate histories at every truth."""
    counts = [
        histories(contract, one, units, effort.histories, effort.looks, seed + number)
        for number, one in enumerate(asked)
    ]
    return Rule(histories=effort.histories, looks=effort.looks, truths=tuple(counts))


def instrument_of(contract: Contract, asked: Sequence[Asked], results: Results) -> Instrument:
    """Count what came out on planted subjects, how often each break was caught, and how often nothing was wrong and a
    control failed all the same.
    """
    voids = sum(run.word == "VOID" for run in results.healthy)
    return Instrument(
        truths=tuple(counted(contract, one, results.planted[one.name]) for one in asked),
        breaks=tuple(
            Break(name=name, caught=sum(run.word == "VOID" for run in runs), n=len(runs))
            for name, runs in results.breaks.items()
        ),
        void_healthy=upper(voids, len(results.healthy)),
    )


def end_to_end_of(trial: Trial, complete: Mapping[str, Sequence[Tried]]) -> EndToEnd:
    """Count the complete runs that came out as planted; INCONCLUSIVE did not."""
    right: dict[str, Word] = {trial.true: "HOLDS", trial.false: "REFUTED"}
    n = sum(map(len, complete.values()))
    as_planted = sum(run.word == right[subject] for subject, runs in complete.items() for run in runs)
    return EndToEnd(
        n=n,
        as_planted=as_planted,
        upper95=stats.binomial_upper(n - as_planted, n),
        verdicts={subject: tuple(run.word for run in runs) for subject, runs in complete.items()},
    )


def noise_floor_of(
    contract: Contract, number: int, trial: Trial, asked: Sequence[Asked], results: Results
) -> NoiseFloor:
    """That of one part. `delta` is what the verifier states. `bias` is the mean error plus two standard errors of planted
    runs whose units hardly differ, where it is worst; the others are mean changes of complete runs whose weights and
    seeds are the same.
    """
    part = contract.parts[number]
    errors = [_errors(_of_part(results.steady[one.name], number), part.analysed(one.values[number])) for one in asked]
    complete = _of_part(results.complete[trial.true], number)
    changes = {name: _change(complete, _of_part(runs, number)) for name, runs in results.varied.items()}
    return NoiseFloor(
        delta=find(contract.verifier).endpoint(part.endpoint).noise_floor,
        bias=max(abs(stats.mean(one)) + 2 * stats.standard_deviation(one) / math.sqrt(len(one)) for one in errors),
        batch=changes.get("batch"),
        dtype=changes.get("dtype"),
        threads=changes["threads"],
    )


def _of_part(runs: Sequence[Tried], number: int) -> list[TriedPart]:
    return [run.parts[number] for run in runs]


def _change(complete: Sequence[TriedPart], varied: Sequence[TriedPart]) -> float:
    """By how much the mean over units changed where COMPLETE runs were made once more in another way."""
    pairs = [
        (one, other)
        for run, again in zip(complete, varied, strict=False)
        for one, other in zip(run.units, again.units, strict=True)
        if one is not None and other is not None
    ]
    if not pairs:
        raise CannotCertify("the complete runs gave no units to compare when they were measured in another way")
    return abs(stats.mean([other - one for one, other in pairs]))


def _errors(runs: Sequence[TriedPart], truth: float) -> list[float]:
    """How far the mean of each run's units is from TRUTH."""
    means = [stats.mean(units) for run in runs if (units := [unit for unit in run.units if unit is not None])]
    if len(means) < 2:
        raise CannotCertify("the planted subjects gave no units to see the instrument's own error by")
    return [value - truth for value in means]


# --- the certificate -------------------------------------------------------------------------------------------------


def upper(count: int, n: int) -> Rate:
    """A rate of errors with its exact upper bound."""
    return Rate(rate=count / n, count=count, n=n, bound=stats.binomial_upper(count, n))


def lower(count: int, n: int) -> Rate:
    """A rate of successes with its exact lower bound."""
    return Rate(rate=count / n, count=count, n=n, bound=stats.binomial_lower(count, n))


def cost(results: Results) -> float:
    """The CPU-seconds of all runs."""
    groups = (results.complete, results.planted, results.breaks, results.steady, results.varied)
    runs = [*results.healthy, *(run for group in groups for runs in group.values() for run in runs)]
    return math.fsum(run.cpu_s for run in runs)


@dataclass(frozen=True)
class Made:
    """With what code, when, from which seed and at what cost."""

    code_digest: str
    verifier_code: str
    at: datetime
    seed: int
    cpu_s: float


def assemble(
    contract: Contract, trial: Trial, asked: Sequence[Asked], rule: Rule, results: Results, effort: Effort, made: Made
) -> Certificate:
    """Everything that was counted, the worst of it on top, and whether it is enough."""
    banks = bank_of(contract, results.complete, trial)
    verifier = find(contract.verifier)
    parts = [
        PartTried(
            endpoint=part.endpoint,
            bank=bank,
            noise_floor=noise_floor_of(contract, number, trial, asked, results),
            design_effect=part.design_effect,
        )
        for number, (part, (bank, _)) in enumerate(zip(contract.parts, banks, strict=True))
    ]
    instrument = instrument_of(contract, asked, results)
    end_to_end = end_to_end_of(trial, results.complete)
    every = (*rule.truths, *instrument.truths)
    reasons = (
        *goals.both_ways(trial, end_to_end),
        *(
            why
            for part, (bank, units) in zip(contract.parts, banks, strict=True)
            for why in goals.shape(contract.alone(part), bank, units, effort)
        ),
        *goals.rule(rule, effort),
        *goals.instrument(instrument, effort),
        *(why for part in parts for why in goals.noise(part.noise_floor)),
    )
    return Certificate(
        verifier=contract.verifier,
        version=verifier.version,
        code_digest=made.code_digest,
        verifier_code=made.verifier_code,
        made_at=made.at,
        contract=said_of(contract, verifier),
        alpha=round(1 - contract.level, 12),
        method="; ".join(dict.fromkeys(METHODS[part.statistic] for part in contract.parts)),
        m=contract.unit.first_look,
        b=contract.unit.per_run,
        rule=rule,
        instrument=instrument,
        end_to_end=end_to_end,
        bank=parts[0].bank,
        noise_floor=parts[0].noise_floor,
        design_effect=contract.design_effect,
        also=tuple(parts[1:]),
        false_holds=_worst(every, lambda truth: truth.false_holds, upper, max),
        false_refuted=_worst(every, lambda truth: truth.false_refuted, upper, max),
        power=_worst(every, lambda truth: truth.right, lower, min),
        coverage=_worst(every, lambda truth: truth.covered, lower, min),
        cost={"cpu_s": round(made.cpu_s, 1)},
        seeds={"certificate": made.seed},
        granted=not reasons,
        reasons=reasons,
    )


def _worst(
    truths: Sequence[Truth],
    count_of: Callable[[Truth], int | None],
    rate: Callable[[int, int], Rate],
    extreme: Callable[..., Rate],
) -> Rate:
    """The rate with the worst bound: what can be claimed of all truths on both levels."""
    rates = [rate(count, truth.n) for truth in truths if (count := count_of(truth)) is not None]
    return extreme(rates, key=lambda one: one.bound)
