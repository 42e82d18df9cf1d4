"""How often a standing is wrong over four years of weekly looks: `python -P benchmarks/standing.py [--json]`.

2,000 claims a case, each re-tested in 208 weeks through the product's own fold (`claims.standing.Fold`, without a
database), with the truth on every border, inside every region, with skewed units, new versions, lost units, VOID runs,
and effects that really change. A history counts as a false HOLDS if it ever stood so where that is wrong; on a border
neither word is right. Beside it stands what the plain 95 % interval over all units so far, read every week, makes of the same units.

An effect that changed leaves the old word standing for a while. That is late, and counted in weeks, as long as the word
is right for the effect's average over the units of the sample; it is false where it is right for neither.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from claims.contract import Contract
from claims.goals import Effort, shape
from claims.judge import Word
from claims.simulation import Simulated, may_be_refuted, may_hold, places
from claims.standing import Fold, PastRun
from verifiers import stats
from verifiers.certificate import Bank
from verifiers.measurement import Statistic

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Words = dict[str, Flags]  # by the week

SUBJECT = "lab:story"
UNITS = 8  # a run, and at the first look
BORDERS = {"HOLDS": 1.0, "REFUTED": 0.5}  # above the first HOLDS, below the second REFUTED
HALF_A_YEAR = 26
START = datetime(2026, 1, 5, tzinfo=UTC)
SEED = 20261121
AT_ONCE = 25  # histories that one process is given
MOST = 0.05


def main() -> None:
    """Simulate, and print a table or JSON."""
    asked = _arguments()
    begun = time.perf_counter()
    found = []
    if not asked.json:
        print(HEAD)
    with ProcessPoolExecutor(asked.processes) as pool:
        for number, case in enumerate(cases(asked.sd, asked.skew, asked.change, asked.weeks, asked.effect)):
            parts = [range(at, min(at + AT_ONCE, asked.claims)) for at in range(0, asked.claims, AT_ONCE)]
            histories = pool.map(read, repeat(case), repeat(asked.weeks), repeat((asked.seed, number)), parts)
            found.append(summed(case, [one for part in histories for one in part]))
            if not asked.json:
                print("\n".join(lines(found[-1])), flush=True)
    if asked.json:
        print(json.dumps({"cases": found}))
    else:
        print(f"\n{time.perf_counter() - begun:.0f} s with {asked.processes} processes")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How often a standing is wrong over years of weekly looks.")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--claims", type=int, default=2_000, help="histories of each case")
    parser.add_argument("--weeks", type=int, default=208, help="looks of each history, one a week")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--effect", type=float, action="append", default=[], help="a further truth; again for more")
    parser.add_argument("--sd", type=float, default=1.0, help="standard deviation of a unit; WEAKENED is 0.5 wide")
    parser.add_argument("--skew", type=float, default=4.0, help="skewness of strongly skewed units")
    parser.add_argument("--change", type=float, default=1.0, help="by how many standard deviations an effect falls")
    asked = parser.parse_args()
    if min(asked.claims, asked.weeks, asked.processes) < 1 or asked.sd <= 0:
        parser.error("claims, weeks and processes are 1 or more, and the standard deviation is above 0")
    return asked


# --- the cases -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What is true, what units look like, and what happens to runs."""

    name: str
    contract: Contract
    truth: float
    sd: float
    skew: float = 0.0
    version_every: int = 0  # weeks between versions of the verifier; 0 without any
    lost_units: float = 0.0  # the share of all units that have no value: the largest
    lost_runs: float = 0.0  # the share of runs that are given up: those with the largest means
    void: float = 0.0  # the share of runs that are VOID
    turns: int | None = None  # the week in which the effect becomes another
    turned: float = 0.0

    def truth_in(self, week: int) -> float:
        """The truth in that week."""
        return self.turned if self.turns is not None and week >= self.turns else self.truth

    def version_in(self, week: int) -> str:
        """The verifier's code in that week."""
        return f"version {week // self.version_every if self.version_every else 0}"


def cases(sd: float, skew: float, change: float, weeks: int, effects: Sequence[float]) -> list[Case]:
    """Everything that is tried."""
    usual, strong = contract(sd), contract(sd, statistic_for(skew))
    holds, refuted = BORDERS["HOLDS"], BORDERS["REFUTED"]
    found = [
        Case("border of HOLDS and WEAKENED", usual, holds, sd),
        Case("border of WEAKENED and REFUTED", usual, refuted, sd),
        Case("border of HOLDS and REFUTED, without WEAKENED", contract(sd, weakened=False), holds, sd),
        Case("middle of HOLDS", usual, holds + sd / 2, sd),
        Case("middle of WEAKENED", usual, (holds + refuted) / 2, sd),
        Case("middle of REFUTED", usual, refuted - sd / 2, sd),
    ]
    for name, border in BORDERS.items():
        found += [
            Case(f"skewness 1, border of {name}, by the mean", usual, border, sd, 1.0),
            Case(f"skewness {skew:g}, border of {name}, by the {strong.statistic}", strong, border, sd, skew),
            Case(f"a version every half year, border of {name}", usual, border, sd, version_every=HALF_A_YEAR),
            Case(f"the top 2 % of units without a value, border of {name}", usual, border, sd, lost_units=0.02),
        ]
    found += [
        Case("one run in twenty VOID, border of REFUTED", usual, refuted, sd, void=0.05),
        Case("the top 2 % of runs given up, border of REFUTED", usual, refuted, sd, lost_runs=0.02),
    ]
    found += [Case(f"effect {effect:g}", usual, effect, sd) for effect in effects]
    found += [Case(f"effect {effect:g}, skewness {skew:g}", strong, effect, sd, skew) for effect in effects]
    return found + changing(usual, sd, change, weeks)


def changing(usual: Contract, sd: float, change: float, weeks: int) -> list[Case]:
    """An effect that falls by CHANGE standard deviations half-way, in silence and with a version of the verifier."""
    turns = weeks // 2 // HALF_A_YEAR * HALF_A_YEAR or max(1, weeks // 2)
    middle = sum(BORDERS.values()) / 2
    before, after = middle + change * sd / 2, middle - change * sd / 2
    said = f"falls by {change:g} SD in week {turns}"
    return [
        Case(f"{said} with a version", usual, before, sd, version_every=turns, turns=turns, turned=after),
        Case(f"{said} in silence", usual, before, sd, turns=turns, turned=after),
    ]


def contract(sd: float, statistic: Statistic = "mean", *, weakened: bool = True) -> Contract:
    """The contract of a case; its one subject lies inside its regime."""
    refuted = BORDERS["REFUTED" if weakened else "HOLDS"]
    said = {
        "verifier": "simulated",
        "endpoint": "effect",
        "scale": "linear",
        "null": 0,
        "statistic": statistic,
        "regions": {
            "holds": f">= {BORDERS['HOLDS']}",
            "weakened": f"{refuted} .. {BORDERS['HOLDS']}" if weakened else [],
            "refuted": f"< {refuted}",
        },
        "design_effect": BORDERS["HOLDS"] + sd,
        "unit": {"per_run": UNITS, "first_look": UNITS},
        "parameters": {},
        "subjects": [SUBJECT],
        "regime": {
            "stage": "post-trained with reinforcement learning",
            "size": "1e4 .. 1e6",
            "domain": "synthetic stories",
        },
        "does_not_say": "anything about the world",
    }
    return Contract.model_validate(said)


def statistic_for(skew: float) -> Statistic:
    """What the shape check of a certificate says: the mean where it bears units that are so skewed, else the median."""
    units = shaped(skew, "mean", 1_000, np.random.default_rng(SEED))
    found = tuple(map(float, units))
    bank = Bank(n=len(found), sd=1.0, skewness=stats.skewness(found), run_share=0.0)
    simulated = Simulated(found, 1.0, 0.0, (-math.inf, math.inf), 0.0)
    return "median" if any(shape(contract(1.0), bank, simulated, Effort(histories=500))) else "mean"


# --- one history -----------------------------------------------------------------------------------------------------


class History(NamedTuple):
    """What one claim went through: whether a word was ever false, and in which week after a change something showed."""

    false: dict[str, bool]
    naive_false: dict[str, bool]
    last: str
    false_change: bool
    weeks: dict[str, float]  # infinite where it never did


def read(case: Case, weeks: int, seed: tuple[int, int], numbers: Sequence[int]) -> list[History]:
    """The histories of those NUMBERS; each has a stream of chance of its own, whoever reads it."""
    truths = np.array([case.truth_in(week) for week in range(weeks)])
    ours, naive = right(case, truths, case.version_every), right(case, truths, 0)
    return [_read(case, truths, ours, naive, np.random.default_rng((*seed, number))) for number in numbers]


def _read(
    case: Case, truths: Numbers, right_of_ours: Words, right_of_naive: Words, chance: np.random.Generator
) -> History:
    units = drawn(case, truths, chance)
    void = chance.random(len(truths)) < case.void
    given_up = _given_up(case, units)
    said, changed = folded(case, units, void, given_up)
    ours = {word: np.array([one == word for one in said]) for word in right_of_ours}
    naive = plain(case.contract, units, ~(void | given_up))
    turns = len(truths) if case.turns is None else case.turns
    return History(
        false={word: bool((ours[word] & ~right).any()) for word, right in right_of_ours.items()},
        naive_false={word: bool((naive[word] & ~right).any()) for word, right in right_of_naive.items()},
        last=said[-1],
        false_change=changed is not None and changed < turns,
        weeks={} if case.turns is None else _weeks(case, ours, naive, changed),
    )


def right(case: Case, truths: Numbers, version_every: int) -> Words:
    """In which weeks a word is no error: where the effect has it now, or had it on average over the sample's units."""
    begun = [week // version_every * version_every if version_every else 0 for week in range(len(truths))]
    average = [float(truths[start : week + 1].mean()) for week, start in enumerate(begun)]
    words = {"HOLDS": may_hold, "REFUTED": may_be_refuted}
    return {
        word: np.array([any(may(case.contract, [one]) for one in both) for both in zip(truths, average, strict=True)])
        for word, may in words.items()
    }


def drawn(case: Case, truths: Numbers, chance: np.random.Generator) -> Numbers:
    """Weeks × units of a run; the largest may have no value (NaN)."""
    around = shaped(case.skew, case.contract.statistic, len(truths) * UNITS, chance)
    if case.lost_units:
        around = np.where(around > _largest(case.lost_units), np.nan, around)
    return truths[:, None] + case.sd * around.reshape(-1, UNITS)


def shaped(skew: float, statistic: Statistic, count: int, chance: np.random.Generator) -> Numbers:
    """COUNT units around a mean or median of 0, of variance 1 and that SKEW: normal, or a shifted gamma variable."""
    if skew == 0:
        return chance.standard_normal(count)
    k = 4 / skew**2
    centre = k if statistic == "mean" else _median_of_gamma(k)
    return math.copysign(1, skew) * (chance.gamma(k, size=count) - centre) / math.sqrt(k)


@cache
def _median_of_gamma(k: float) -> float:
    from scipy.stats import gamma

    return float(gamma.ppf(0.5, k))


@cache
def _largest(share: float) -> float:
    from scipy.stats import norm

    return float(norm.isf(share))


def _given_up(case: Case, units: Numbers) -> Flags:
    if not case.lost_runs:
        return np.zeros(len(units), dtype=bool)
    largest: Flags = units.mean(axis=1) > case.truth + case.sd * _largest(case.lost_runs) / math.sqrt(UNITS)
    return largest


def folded(case: Case, units: Numbers, void: Flags, given_up: Flags) -> tuple[list[Word], int | None]:
    """What the claim stands at after each week, through the fold of the product, and when CHANGED first shows."""
    fold = Fold()
    fold.begin(case.contract)
    subject, words, changed = fold.subject(SUBJECT), [], None
    known = units.astype(object)
    known[np.isnan(units) | given_up[:, None]] = None
    for week, values in enumerate(known.tolist()):
        fold.take(past_run(case, week, values, "ERROR" if given_up[week] else "VOID" if void[week] else "INCONCLUSIVE"))
        words.append(subject.reading.word)  # what the standing says of one subject inside the regime
        if changed is None and case.version_every and subject.changed:
            changed = week
    return words, changed


def past_run(case: Case, week: int, units: Sequence[float | None], word: Word) -> PastRun:
    """The run of a week as the ledger would tell it."""
    return PastRun(
        run=str(week),
        number=week + 1,
        at=_monday(week),
        subject=SUBJECT,
        profile="standard",
        verifier_code=case.version_in(week),
        certified=True,
        word=word,
        tag=None,
        units=tuple(units),
        cap=(-12 * case.sd, 12 * case.sd + 2),
        noise_floor=0.0,
    )


def _weeks(case: Case, ours: Words, naive: Words, changed: int | None) -> dict[str, float]:
    """Weeks from a change until it shows; the first run after it is week 1."""
    turns = case.turns or 0

    def first(flags: Flags) -> float:
        return float(flags[turns:].argmax() + 1) if flags[turns:].any() else math.inf

    found = {"refuted": first(ours["REFUTED"]), "naive_refuted": first(naive["REFUTED"])}
    if case.version_every and (changed is None or changed >= turns):
        found["changed"] = math.inf if changed is None else changed - turns + 1.0
    if ours["HOLDS"][turns - 1]:
        found["holds_no_longer"] = first(~ours["HOLDS"])
    if naive["HOLDS"][turns - 1]:
        found["naive_holds_no_longer"] = first(~naive["HOLDS"])
    return found


@cache
def _monday(week: int) -> datetime:
    return START + timedelta(weeks=week)


# --- the naive re-test -----------------------------------------------------------------------------------------------


def plain(contract: Contract, units: Numbers, used: Flags) -> Words:
    """Where the plain 95 % interval over all units so far lies after each week, whatever has no value left out."""
    interval = _plain_medians if contract.statistic == "median" else _plain_means
    return {region.upper(): flags for region, flags in places(contract, *interval(units, used)).items()}


def _plain_means(units: Numbers, used: Flags) -> tuple[Numbers, Numbers]:
    known = used[:, None] & ~np.isnan(units)
    values = np.where(known, units, 0.0)
    n = known.sum(axis=1).cumsum()
    sums, squares = values.sum(axis=1).cumsum(), (values**2).sum(axis=1).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = sums / n
        half = _t_table(units.size)[n] * np.sqrt((squares - sums * centre) / (n - 1) / n)
    return np.where(n > 1, centre - half, -np.inf), np.where(n > 1, centre + half, np.inf)


@cache
def _t_table(most: int) -> Numbers:
    """Student's boundary for every number of units up to MOST."""
    from scipy.stats import t

    return np.concatenate(([np.inf, np.inf], t.ppf(0.975, np.arange(1, most))))


def _plain_medians(units: Numbers, used: Flags) -> tuple[Numbers, Numbers]:
    low, high = np.full(len(units), -np.inf), np.full(len(units), np.inf)
    for week in range(len(units)):
        values = units[: week + 1][used[: week + 1]]
        values = values[~np.isnan(values)]
        if rank := _rank(len(values)):
            ordered = np.partition(values, (rank - 1, len(values) - rank))
            low[week], high[week] = ordered[rank - 1], ordered[-rank]
    return low, high


@cache
def _rank(n: int) -> int:
    """Which of N units the plain interval for their median begins with: that of `stats.sign_interval`, at any N."""
    from scipy.stats import binom

    return int(binom.ppf(0.025, n, 0.5)) if n else 0


# --- what comes out --------------------------------------------------------------------------------------------------


def summed(case: Case, histories: Sequence[History]) -> dict[str, Any]:
    """A case as JSON: counts of histories, each with the exact upper bound (95 %) on its rate."""
    n = len(histories)
    counts = {
        "false_holds": sum(one.false["HOLDS"] for one in histories),
        "false_refuted": sum(one.false["REFUTED"] for one in histories),
        "naive_false_holds": sum(one.naive_false["HOLDS"] for one in histories),
        "naive_false_refuted": sum(one.naive_false["REFUTED"] for one in histories),
    }
    if case.version_every:
        counts["false_changed"] = sum(one.false_change for one in histories)
    last = [one.last for one in histories]
    return {
        "name": case.name,
        "n": n,
        **counts,
        "bounds": {name: round(stats.binomial_upper(count, n), 4) for name, count in counts.items()},
        "truth": case.truth,
        "sd": case.sd,
        "statistic": case.contract.statistic,
        "last": {word: last.count(word) for word in ("HOLDS", "WEAKENED", "REFUTED", "INCONCLUSIVE")},
        "weeks": {
            name: waited([one.weeks[name] for one in histories if name in one.weeks])
            for name in dict.fromkeys(name for one in histories for name in one.weeks)
        },
    }


def waited(weeks: Sequence[float]) -> dict[str, Any]:
    """Weeks until something showed: half and nine in ten of the histories need so many at most, with the exact upper
    bound on each; None where more never did.
    """
    from scipy.stats import binom

    ordered, n = sorted(weeks), len(weeks)
    never = sum(map(math.isinf, ordered))

    def at(rank: float) -> float | None:
        index = min(n, max(1, math.ceil(rank))) - 1
        return ordered[index] if rank <= n and math.isfinite(ordered[index]) else None

    return {
        "n": n,
        "half": at(0.5 * n),
        "half_bound": at(float(binom.ppf(0.95, n, 0.5)) + 1),
        "nine_in_ten": at(0.9 * n),
        "nine_in_ten_bound": at(float(binom.ppf(0.95, n, 0.9)) + 1),
        "never": never,
        "never_bound": round(stats.binomial_upper(never, n), 4),
    }


HEAD = (
    f"{'histories that were ever wrong, % (bound on the rate)':58} {'false HOLDS':>14} {'false REFUTED':>14}   "
    f"{'naive HOLDS':>11} {'REFUTED':>8}"
)
SAID = {
    "changed": "CHANGED shows",
    "holds_no_longer": "HOLDS no longer",
    "refuted": "REFUTED",
    "naive_holds_no_longer": "naive: HOLDS no longer",
    "naive_refuted": "naive: REFUTED",
}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """A case as text."""
    n, bounds = found["n"], found["bounds"]
    ours = [f"{100 * found[key] / n:.1f} ({100 * bounds[key]:.1f})" for key in ("false_holds", "false_refuted")]
    theirs = [f"{100 * found[key] / n:.1f}" for key in ("naive_false_holds", "naive_false_refuted")]
    yield f"{found['name']:58} {ours[0]:>14} {ours[1]:>14}   {theirs[0]:>11} {theirs[1]:>8}{_above(bounds)}"
    if "false_changed" in found:
        share, bound = 100 * found["false_changed"] / n, 100 * bounds["false_changed"]
        yield f"    CHANGED where nothing had: {share:.1f} ({bound:.1f})"
    for name, said in SAID.items():
        if weeks := found["weeks"].get(name):
            half, most = (_bounded(weeks[key], weeks[f"{key}_bound"]) for key in ("half", "nine_in_ten"))
            never = f"; never in {weeks['never']} of {weeks['n']}" if weeks["never"] else ""
            yield f"    weeks until {said}: half {half}, nine in ten {most}{never}"


def _bounded(weeks: float | None, bound: float | None) -> str:
    said = "" if bound is None else f" (at most {bound:g})"
    return "never" if weeks is None else f"{weeks:g}{said}"


def _above(bounds: Mapping[str, float]) -> str:
    return "  bound above 5 %" if max(bounds["false_holds"], bounds["false_refuted"]) > MOST else ""


if __name__ == "__main__":
    main()
