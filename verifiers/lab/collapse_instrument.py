"""How runs are read before anything is fitted, and what that must answer where the answer is known.

Each known way to read a log wrongly has a name, and a control must catch it. A broken instrument is only ever used to see
whether that works: a run in a ledger has the healthy one. Controls are planted runs and an exact bandit; nothing is
trained.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from verifiers.lab import bandit, fits
from verifiers.lab import collapse_planted as planted
from verifiers.lab.fits import Fit, Run
from verifiers.lab.randomness import stream
from verifiers.measurement import Control

RUNS = 8  # that a control is the mean over
SHARE = 0.9  # planted
WEAK = 0.6  # below this R² nothing is left of the law
MARGIN = 0.05  # of R²: a sixth of the way between the two


@dataclass(frozen=True)
class Instrument:
    """What every measurement is made with."""

    read: Callable[[Sequence[Run]], Sequence[Run]] = lambda runs: runs
    fit: Callable[[Run], Fit | str] = fits.fit
    planted: float = 1.0  # how much of the effect that a planted run names is really there


HEALTHY = Instrument()


def _each(change: Callable[[Run], Run]) -> Callable[[Sequence[Run]], Sequence[Run]]:
    return lambda runs: [change(run) for run in runs]


def _mixed_up(runs: Sequence[Run]) -> Sequence[Run]:
    return [replace(run, score=other.score) for run, other in zip(runs, [*runs[1:], runs[0]], strict=True)]


def _shuffled(run: Run) -> Run:
    return replace(run, score=planted.generator("shuffled steps").permutation(run.score))


def _unguarded(run: Run) -> Fit | str:
    found = fits.fit(run)
    return found if isinstance(found, str) else replace(found, value=abs(found.raw))


def _in_single(run: Run) -> Run:
    return Run(*(x.astype(np.float32).astype(np.float64) for x in (run.step, run.entropy, run.score)))


# Another way to read that must not matter; by how much it does is part of the noise floor.
VARIATIONS: Mapping[str, Instrument] = {"dtype": Instrument(read=_each(_in_single))}

BREAKS: Mapping[str, Instrument] = {
    "entropy in bits": Instrument(read=_each(lambda run: replace(run, entropy=run.entropy / math.log(2)))),
    "entropy of the point before": Instrument(
        read=_each(lambda run: replace(run, entropy=np.concatenate([run.entropy[:1], run.entropy[:-1]])))
    ),
    "steps shuffled": Instrument(read=_each(_shuffled)),
    "rewards mixed up between runs": Instrument(read=_mixed_up),
    "guards and sign left out": Instrument(fit=_unguarded),
    "planted effect of half size": Instrument(planted=0.5),
}


def controls(name: tuple[str | int, ...], instrument: Instrument) -> tuple[Control, ...]:
    """Ask INSTRUMENT for answers that are known."""
    chance = planted.generator(*name, "controls")

    def found(make: Callable[[np.random.Generator], Run]) -> list[Fit | str]:
        return [instrument.fit(run) for run in instrument.read([make(chance) for _ in range(RUNS)])]

    laws = found(lambda chance: planted.law(instrument.planted * SHARE, chance))
    exact = [planted.law(1.0, chance) for _ in range(RUNS)]  # without noise a is the ratio of two lengths
    sizes = [
        math.log(_a(instrument.fit(run)) / _ratio(own)) for run, own in zip(instrument.read(exact), exact, strict=True)
    ]
    alike = [value(one) for subject in ("logistic", "drift", "flat") for one in found(planted.FALSE[subject])]
    rising = [value(one) for one in found(planted.rising)]
    late = [value(one) for one in found(planted.late)]
    check = Control.within
    return (
        check("planted law", "positive", fmean(map(_number, map(value, laws))), SHARE, MARGIN),
        check("planted coefficient, log ratio", "positive", fmean(map(abs, sizes)), 0.0, 0.05),
        check("share of unrelated series that fit", "negative", fmean(_number(x) >= WEAK for x in alike), 0.0, 0.1),
        check("rising entropy", "negative", fmean(map(_number, rising)), -1.0, MARGIN),
        check("runs after the collapse that are read", "negative", sum(not isinstance(x, str) for x in late), 0.0, 0.5),
        check("exact bandit, first order", "positive", first_order(name), 1.0, 0.1),
    )


def value(found: Fit | str) -> float | str:
    """What counts of a fit, or why nothing does."""
    return found if isinstance(found, str) else found.value


def _number(found: float | str) -> float:
    """A value; none counts as 0 here."""
    return 0.0 if isinstance(found, str) else found


def _a(found: Fit | str) -> float:
    return 1e-9 if isinstance(found, str) else max(abs(found.a), 1e-9)


def _ratio(run: Run) -> float:
    return float(np.linalg.norm(fits.centred(run.score)) / np.linalg.norm(fits.centred(run.branching)))


def first_order(name: tuple[str | int, ...]) -> float:
    """The slope of what small exact steps do to a bandit's entropy over what the covariance foretells."""
    series = bandit.run(bandit.Bandit(prompts=32, rate=0.05, steps=60), stream(*name, "bandit"))
    return fits.line(series.predicted.numpy(), np.diff(series.entropy.numpy())).slope
