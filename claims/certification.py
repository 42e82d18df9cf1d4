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
from claims.contract import Contract
from claims.errors import CannotCertify
from claims.goals import Effort
from claims.judge import Word, filled, judge
from claims.simulation import Units, histories, is_inside
from claims.truths import Asked, said_of
from verifiers import stats
from verifiers.certificate import Bank, Break, Certificate, EndToEnd, Instrument, NoiseFloor, Rate, Rule, Truth
from verifiers.measurement import Endpoint, Measurement, Value
from verifiers.registry import EndpointSpec, Trial, find

METHOD = "Student's t interval over the units of a run; Lai's t confidence sequence over all runs"
STEADY = 1e-3  # of the bank's spread: planted units that hardly differ show the instrument's own error


class Tried(Value):
    """What is kept of one finished run: the units and the interval on the scale of analysis, the interval as judged."""

    word: Word
    units: tuple[float | None, ...]
    interval: tuple[float, float] | None
    cpu_s: float


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
    primary = measured.findings.endpoint(contract.endpoint)
    return Tried(
        word=judge(contract, measured).word,
        units=tuple(None if value is None else _capped(value, primary) for value in primary.values),
        interval=_interval(contract, primary),
        cpu_s=cpu_s,
    )


def _capped(value: float, endpoint: Endpoint) -> float:
    return min(max(value, endpoint.cap[0]), endpoint.cap[1])


def _interval(contract: Contract, primary: Endpoint) -> tuple[float, float] | None:
    """The interval that is judged; a unit without a value counts as each of its caps in turn, so from end to end."""
    if len(primary.values) < 2:
        return None
    both = [
        stats.t_interval(filled(primary.values, primary.cap, cap), contract.level).widened(primary.noise_floor)
        for cap in primary.cap
    ]
    return both[0].low, both[1].high


# --- what was counted ------------------------------------------------------------------------------------------------


def counted(contract: Contract, asked: Asked, runs: Sequence[Tried]) -> Truth:
    """Words, errors and coverage of RUNS on a planted subject."""
    truth = contract.analysed(asked.value)
    words = Counter(run.word for run in runs)
    return Truth(
        name=asked.name,
        value=asked.value,
        n=len(runs),
        words={word: words[word] for word in get_args(Word) if words[word]},
        covered=sum(run.interval is not None and run.interval[0] <= truth <= run.interval[1] for run in runs),
        false_holds=None if is_inside(contract, asked.value, "holds") else words["HOLDS"],
        false_refuted=None if is_inside(contract, asked.value, "refuted") else words["REFUTED"],
        right=words["HOLDS"] if asked.value == contract.design_effect else None,
    )


def bank_of(complete: Mapping[str, Sequence[Tried]], endpoint: EndpointSpec, spread: float = 0.0) -> tuple[Bank, Units]:
    """The bank, and units as they are drawn from it, with SPREAD where the bank's own is less.

    Only the spread and the shape of units are of use. `sd` is that of the subject whose units vary more; for shape and
    for what units of a run share, units are centred and scaled by subject, so that each counts alike. Runs that are
    VOID and units without a value are left out.

    Raises:
        CannotCertify: when there is too little to draw from.
    """
    scaled: list[list[float]] = []  # by run
    sd = 0.0
    for subject, runs in complete.items():
        values = [[unit for unit in run.units if unit is not None] for run in runs if run.word != "VOID"]
        every = [unit for units in values for unit in units]
        if len(every) < 3:
            raise CannotCertify(f"the complete runs on {subject} gave no units to draw from; {_said(runs)}")
        centre, own = stats.mean(every), stats.standard_deviation(every)
        if own == 0:
            raise CannotCertify(f"the units of the complete runs on {subject} have no spread to draw with")
        scaled += [[(unit - centre) / own for unit in units] for units in values if units]
        sd = max(sd, own)
    shape = tuple(unit for units in scaled for unit in units)
    bank = Bank(
        n=len(shape),
        sd=sd,
        drawn_sd=max(sd, spread),
        skewness=stats.skewness(shape),
        run_share=stats.shared_variance(scaled),
    )
    return bank, Units(shape, max(sd, spread), bank.run_share, endpoint.cap, endpoint.noise_floor)


def _said(runs: Sequence[Tried]) -> str:
    return "verdicts: " + ", ".join(run.word for run in runs)


def rule_of(contract: Contract, asked: Sequence[Asked], units: Units, effort: Effort, seed: int) -> Rule:
    """Simulate histories at every truth."""
    counts = [
        histories(contract, one.name, one.value, units, effort.histories, effort.looks, seed + number)
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
    contract: Contract, trial: Trial, asked: Sequence[Asked], results: Results, delta: float
) -> NoiseFloor:
    """DELTA is what the verifier states. `bias` is the mean error plus two standard errors of planted runs whose units
    hardly differ, where it is worst; the others are mean changes of complete runs whose weights and seeds are the same.
    """
    errors = [_errors(results.steady[one.name], contract.analysed(one.value)) for one in asked]
    changes = {name: _change(results.complete[trial.true], runs) for name, runs in results.varied.items()}
    return NoiseFloor(
        delta=delta,
        bias=max(abs(stats.mean(one)) + 2 * stats.standard_deviation(one) / math.sqrt(len(one)) for one in errors),
        batch=changes.get("batch"),
        dtype=changes.get("dtype"),
        threads=changes["threads"],
    )


def _change(complete: Sequence[Tried], varied: Sequence[Tried]) -> float:
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


def _errors(runs: Sequence[Tried], truth: float) -> list[float]:
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
    verifier = find(contract.verifier)
    endpoint = verifier.endpoint(contract.endpoint)
    bank, units = bank_of(results.complete, endpoint, trial.spread)
    instrument = instrument_of(contract, asked, results)
    end_to_end = end_to_end_of(trial, results.complete)
    noise_floor = noise_floor_of(contract, trial, asked, results, endpoint.noise_floor)
    every = (*rule.truths, *instrument.truths)
    reasons = (
        *goals.both_ways(trial, end_to_end),
        *goals.shape(contract, bank, units, effort),
        *goals.rule(rule, effort),
        *goals.instrument(instrument, effort),
        *goals.noise(noise_floor),
    )
    return Certificate(
        verifier=contract.verifier,
        version=verifier.version,
        code_digest=made.code_digest,
        verifier_code=made.verifier_code,
        made_at=made.at,
        contract=said_of(contract, verifier),
        alpha=round(1 - contract.level, 12),
        method=METHOD,
        m=contract.unit.first_look,
        b=contract.unit.per_run,
        rule=rule,
        instrument=instrument,
        end_to_end=end_to_end,
        bank=bank,
        noise_floor=noise_floor,
        design_effect=contract.design_effect,
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
