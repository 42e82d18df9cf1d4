"""What a certificate asks for, and why one is not granted. Pure.

The numbers keep the exact 95 % upper bound of every rate of errors at 5 %: 83 of 2,000, 16 of 500 and 38 of 1,000 do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from claims.contract import Contract
from claims.simulation import Simulated
from verifiers import stats
from verifiers.certificate import Bank, EndToEnd, Instrument, NoiseFloor, Rule, Truth
from verifiers.registry import Trial

MOST_SKEWED = 1.0
MOST_MISREAD = 0.05  # by re-sampling the bank, on the worse side
MOST_VOID = 0.02  # of healthy runs


@dataclass(frozen=True)
class Effort:
    """How much is tried, and how many errors that may show; these numbers keep every exact upper bound at 5 %."""

    histories: int = 2_000
    looks: int = 208  # one a week for four years
    histories_wrong: int = 83
    complete: int = 6  # in each of the two worlds
    runs: int = 500  # on each planted subject
    pass_at: int = 16  # errors or fewer pass
    fail_above: int = 25  # more fail; between the two as many runs again are made,
    pass_at_twice: int = 38  # and so many or fewer pass
    right_at: int = 416  # of `runs` at the design effect: power is 80 % or more
    breaks: int = 59
    healthy: int = 200
    steady: int = 20  # on each planted subject
    varied: int = 2  # complete runs, measured once more in each other way


STANDARD = Effort()


def needs_more(truth: Truth, effort: Effort) -> bool:
    """Whether the errors are too many to pass and too few to fail, so that as many runs again decide."""
    wrong = [count for count in (truth.false_holds, truth.false_refuted) if count is not None]
    return truth.n <= effort.runs and effort.pass_at < max(wrong, default=0) <= effort.fail_above


def both_ways(trial: Trial, found: EndToEnd) -> Iterator[str]:
    """A verifier that cannot come out both ways says nothing."""
    if "HOLDS" not in found.verdicts[trial.true]:
        yield f"it cannot come out both ways: it never said HOLDS on {trial.true}, where the claim is true"
    if "REFUTED" not in found.verdicts[trial.false]:
        yield f"it cannot come out both ways: it never said REFUTED on {trial.false}, where the claim is false"


def shape(contract: Contract, bank: Bank, units: Simulated, effort: Effort) -> Iterator[str]:
    """Intervals for a mean are for units without much skew; those for a median bear any."""
    if contract.statistic == "median":
        return
    if abs(bank.skewness) > MOST_SKEWED:
        yield f"its units are skewed by {bank.skewness:.2f}, and the intervals bear {MOST_SKEWED:g} at most"
    level, per_run = contract.level, contract.unit.per_run
    one_run = stats.shape_error(units.shape, per_run, level)
    all_runs = stats.shape_error(
        units.shape,
        per_run,
        level,
        first_look=contract.unit.first_look,
        looks=effort.looks,
        draws=effort.histories,
    )
    if (misread := max(one_run, all_runs)) > MOST_MISREAD:
        yield f"re-sampled units are misread on one side in {100 * misread:.1f} % of histories, at most {100 * MOST_MISREAD:g} % pass"


def rule(found: Rule, effort: Effort) -> Iterator[str]:
    """False words in simulated histories."""
    for truth in found.truths:
        for word, wrong in _wrong(truth):
            if wrong > (allowed := effort.histories_wrong):
                yield f"the rule said {word} falsely at {truth.name} in {wrong} of {truth.n} histories, at most {allowed} pass"


def instrument(found: Instrument, effort: Effort) -> Iterator[str]:
    """False words, power, breaks that were missed and healthy runs that were not let through."""
    for truth in found.truths:
        allowed = effort.pass_at if truth.n <= effort.runs else effort.pass_at_twice
        for word, wrong in _wrong(truth):
            if wrong > allowed:
                yield f"the instrument said {word} falsely at {truth.name} in {wrong} of {truth.n} runs, at most {allowed} pass"
        if truth.right is not None and truth.right < effort.right_at * truth.n / effort.runs:
            yield f"it said HOLDS at the design effect in only {truth.right} of {truth.n} runs"
    for broken in found.breaks:
        if broken.caught < broken.n:
            yield f"the break {broken.name!r} was caught in only {broken.caught} of {broken.n} runs"
    if found.void_healthy.rate > MOST_VOID:
        healthy = found.void_healthy
        yield f"its controls made {healthy.count} of {healthy.n} healthy runs VOID, at most {100 * MOST_VOID:g} % pass"


def _wrong(truth: Truth) -> Iterator[tuple[str, int]]:
    if truth.false_holds is not None:
        yield "HOLDS", truth.false_holds
    if truth.false_refuted is not None:
        yield "REFUTED", truth.false_refuted


def noise(found: NoiseFloor) -> Iterator[str]:
    """What more units would not average away has to lie below what the verifier states."""
    sources = {
        "its own error on planted subjects": found.bias,
        "the size of a batch": found.batch,
        "the precision of numbers": found.dtype,
        "the number of threads": found.threads,
    }
    for name, size in sources.items():
        if size is not None and size > found.delta:
            yield f"{name} moves its estimates by {size:.2g}, more than the noise floor of {found.delta:g} that it states"
