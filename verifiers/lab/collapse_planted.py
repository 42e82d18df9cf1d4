"""Runs whose truth is known, without any training: laws of exactly known R², and what only looks like a law.

In a planted law the score is −exp(H), stretched, plus noise that is exactly orthogonal to exp(H) and to the step, and as
large as the R² asked for demands. So R² is exact and not an average. Entropy falls early and then slowly, as in the runs
of arXiv:2505.22617, which keeps exp(H) far from a straight line in step.

The others are the ways to be fooled: two series that go one way for reasons of their own.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from verifiers.lab import fits
from verifiers.lab.fits import Array, Run
from verifiers.lab.randomness import derive

POINTS = 80
SHARES = {"no-law": 0.0, "law-0.60": 0.6, "law-0.75": 0.75, "law-0.90": 0.9, "law-0.97": 0.97}


def law(share: float, chance: np.random.Generator) -> Run:
    """A run on which the law explains exactly SHARE; below 0 reward rises with entropy, by a law of that R²."""
    share = min(max(share, -1.0), 1.0)
    _, step = _clock()
    entropy = _collapse(chance)
    signal, time = (fits.centred(x) for x in (-np.exp(entropy), step))
    noise = _orthogonal(np.diff(chance.standard_normal(POINTS + 1)), signal, time)  # differences hold no slow drift
    together = math.copysign(math.sqrt(abs(share)), share) * _unit(signal) + math.sqrt(1 - abs(share)) * _unit(noise)
    return Run(step, entropy, 0.6 + chance.uniform(0.2, 0.6) * together)


def _collapse(chance: np.random.Generator) -> Array:
    """Entropy in nats that falls early, in a few logged points, and then slowly."""
    time = np.linspace(0.0, 1.0, POINTS)
    start, end = chance.uniform(0.8, 1.4), chance.uniform(0.02, 0.06)
    early, late = np.exp(-time / chance.uniform(0.03, 0.05)), np.exp(-time / chance.uniform(0.3, 0.6))
    return end + (start - end) * (0.9 * early + 0.1 * late)


def _orthogonal(x: Array, *directions: Array) -> Array:
    """X, centred, without any part along the centred DIRECTIONS."""
    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), *directions], axis=1))
    return x - basis @ (basis.T @ x)


def _unit(x: Array) -> Array:
    return x / np.linalg.norm(x)


# --- what only looks like a law ----------------------------------------------------------------------------------------


def logistic(chance: np.random.Generator) -> Run:
    """A reward that rises by a logistic of its own beside an entropy that decays by itself."""
    time, step = _clock()
    entropy = 0.05 + chance.uniform(0.5, 1.3) * np.exp(-time / chance.uniform(0.08, 0.3))
    middle, width = chance.uniform(0.35, 0.65), chance.uniform(0.04, 0.12)
    return Run(step, entropy, 0.2 + 0.5 / (1 + np.exp(-(time - middle) / width)) + _noise(chance))


def drift(chance: np.random.Generator) -> Run:
    """Entropy and reward that both drift in a straight line, each with noise of its own: their R² is high."""
    time, step = _clock()
    entropy = 1.1 - time + 4 * _noise(chance)
    return Run(step, np.maximum(entropy, 0.0), 0.2 + chance.uniform(0.3, 0.6) * time + _noise(chance))


def rising(chance: np.random.Generator) -> Run:
    """Entropy and reward that rise together."""
    time, step = _clock()
    entropy = 0.2 + chance.uniform(0.6, 1.0) * (1 - np.exp(-time / chance.uniform(0.1, 0.3)))
    return Run(step, entropy, 0.1 + 0.3 * (np.exp(entropy) - 1) + _noise(chance))


def late(chance: np.random.Generator) -> Run:
    """A run that was logged wholly after its collapse."""
    time, step = _clock()
    return Run(step, 0.05 + 0.03 * np.exp(-time / 0.3), 0.6 + 0.1 * time + _noise(chance))


def flat(chance: np.random.Generator) -> Run:
    """An entropy that collapses while the reward stays where it is."""
    _, step = _clock()
    return Run(step, _collapse(chance), 0.3 + _noise(chance))


def _clock() -> tuple[Array, Array]:
    """The points of a run as parts of it, and as steps."""
    time: Array = np.linspace(0.0, 1.0, POINTS)
    return time, np.arange(0.0, 4.0 * POINTS, 4.0)


def _noise(chance: np.random.Generator) -> Array:
    return 0.01 * chance.standard_normal(POINTS)


FALSE: Mapping[str, Callable[[np.random.Generator], Run]] = {
    "logistic": logistic, "drift": drift, "rising": rising, "late": late, "flat": flat,
}  # fmt: skip


# --- subjects ----------------------------------------------------------------------------------------------------------


def run_of(subject: str, name: tuple[str | int, ...], spread: float, effect: float = 1.0) -> Run:
    """A run of a planted SUBJECT: a law's share is drawn about its own with that SPREAD, and multiplied by EFFECT."""
    chance = generator(*name, "planted")
    if subject in SHARES:
        return law(effect * (SHARES[subject] + spread * float(chance.standard_normal())), chance)
    return FALSE[subject](chance)


def generator(*name: str | int) -> np.random.Generator:
    """The numpy random stream of that name."""
    return np.random.default_rng(derive(*name))
