"""What else a run says of reward over entropy: which form fits points left out, what the early part foretells, and when.

Every function hands back a value, or the reason why the run has none. Predictions are never clipped to [0, 1]: a
ceiling put in by hand hides how far off a form is.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from verifiers.lab.fits import FALL, Array, Run, line, rise

SPAN = 1.0  # nats that entropy must span: below, exp(H) is all but a straight line in H
BLOCKS = 5  # of neighbouring points, each left out in turn
LEAST = 1e-3  # nats: the logarithm of an entropy stops there
CEILING = 0.9  # reward up to which the early part foretells the later one; above it every form runs into 1
EXACT = 1e-4  # an error of the reward that counts as none
ROSE = 0.05  # of reward, or there is no half of the way
EARLY_POINTS = 4

FORMS: Mapping[str, Callable[[Array], Array]] = {
    "exponential": np.exp,
    "linear": lambda entropy: entropy,
    "square root": np.sqrt,
    "logarithm": lambda entropy: np.log(np.maximum(entropy, LEAST)),
}


def shares(run: Run) -> dict[str, float]:
    """The R² of every form in entropy, and of a logistic curve in step."""
    found = {name: line(form(run.entropy), run.score).share for name, form in FORMS.items()}
    return found | {"logistic in step": rise(run.step, run.score, ["step"]).share}


# --- which form ----------------------------------------------------------------------------------------------------------


def over_forms(run: Run) -> float | str:
    """Log of the error of the best other form in entropy over that of the exponential, on blocks left out."""
    if (why_not := _spans_little(run)) is not None:
        return why_not
    errors = {name: _error(run, _in_entropy(form)) for name, form in FORMS.items()}
    law = errors.pop("exponential")
    return _log_ratio(min(errors.values()), law)


def over_rise(run: Run) -> float | str:
    """The same against a logistic curve in step."""
    if (why_not := _spans_little(run)) is not None:
        return why_not
    return _log_ratio(_error(run, _in_step), _error(run, _in_entropy(np.exp)))


def _spans_little(run: Run) -> str | None:
    span = float(np.ptp(run.entropy))
    return None if span > SPAN else f"not identified: entropy spans {span:.2f} nats, and only over one the form shows"


Predict = Callable[[Run, Run], Array]  # the rewards of a run, by what was fitted to another


def _in_entropy(form: Callable[[Array], Array]) -> Predict:
    return lambda seen, new: line(form(seen.entropy), seen.score).at(form(new.entropy))


def _in_step(seen: Run, new: Run) -> Array:
    best = rise(seen.step, seen.score, ["step"])
    return line(best.curve, seen.score).at(best.at(new.step, seen.step))


def _error(run: Run, predict: Predict) -> float:
    """The root mean square error on every block, predicted from the others."""
    left_out = np.array_split(np.arange(len(run.step)), BLOCKS)
    wrong = [predict(run.without(block), run.only(block)) - run.score[block] for block in left_out]
    return _size(np.concatenate(wrong))


def _size(wrong: Array) -> float:
    return float(np.sqrt(np.mean(wrong**2)))


def _log_ratio(one: float, other: float) -> float:
    return math.log(max(one, EXACT) / max(other, EXACT))


# --- what the beginning foretells ------------------------------------------------------------------------------------------


def forecast(run: Run) -> tuple[float, float] | str:
    """The law fitted to the first third, on the rest: its error in points, and log of the error of the better of two
    rivals over its own. The rivals carry the last value forward, and draw a straight line in entropy.
    """
    high = np.flatnonzero(run.score > CEILING)
    run = run.only(np.arange(high[0])) if len(high) else run
    count = len(run.step) // 3
    if count < EARLY_POINTS:
        return f"{len(run.step)} points with a reward up to {CEILING:g}: a third of them is too few to fit"
    seen, new = run.only(np.arange(count)), run.only(np.arange(count, len(run.step)))
    law, straight = (_size(_in_entropy(FORMS[form])(seen, new) - new.score) for form in ("exponential", "linear"))
    carried = _size(seen.score[-1] - new.score)
    return 100 * law, _log_ratio(min(straight, carried), law)


# --- when ------------------------------------------------------------------------------------------------------------------


def timing(run: Run) -> float | str:
    """Log of the step by which entropy has gone half of its way over the step by which reward has."""
    end = -(-len(run.step) // 10)
    gained = float(run.score[-end:].mean() - run.score[0])
    if gained < ROSE:
        return f"reward rises by {100 * gained:.1f} points: there is no half of the way"
    if abs(float(run.entropy[-end:].mean() - run.entropy[0])) < FALL:
        return "entropy ends where it began: there is no half of the way"
    return math.log(_half_way(run.step, run.entropy, end) / _half_way(run.step, run.score, end))


def _half_way(step: Array, y: Array, end: int) -> float:
    """Steps until Y has first gone half of the way from its first value to the mean of its last ones."""
    gone = (y - y[0]) / (y[-end:].mean() - y[0])
    after = int(np.argmax(gone >= 0.5))
    part = (0.5 - gone[after - 1]) / (gone[after] - gone[after - 1])
    return float(step[after - 1] + part * (step[after] - step[after - 1]) - step[0])


# --- off the curve ---------------------------------------------------------------------------------------------------------


def off_the_curve(run: Run, curve: Run) -> float | str:
    """How many points of reward a run lies above the CURVE of another, on average where both have the same entropy."""
    order = np.argsort(curve.entropy, kind="stable")
    entropy, score = curve.entropy[order], curve.score[order]
    shared = (run.entropy >= entropy[0]) & (run.entropy <= entropy[-1])
    if shared.sum() < EARLY_POINTS:
        return "too few points at an entropy that the run without intervention has too"
    return 100 * float(np.mean(run.score[shared] - np.interp(run.entropy[shared], entropy, score)))
