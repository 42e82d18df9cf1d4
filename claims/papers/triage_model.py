"""The small linear models behind triage. Their weights stand in triage_weights.json, made by
benchmarks/matcher/fit.py from the labels that may be tuned on, and can be read: a feature's weight is what one standard
deviation of it moves.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from claims.papers.triage_text import Numbers
from verifiers.measurement import Value

WEIGHTS = Path(__file__).with_name("triage_weights.json")
ADAPTER = Path(__file__).with_name("triage_adapter.safetensors")  # what it adds to the embedder's weights

Stance = Literal["supports", "contradicts", "qualifies", "extends", "unrelated"]
MANNERS: tuple[Stance, ...] = ("supports", "contradicts", "qualifies", "extends")
STANCES: tuple[Stance, ...] = (*MANNERS, "unrelated")
EVEN = 0.5  # from there on one stance is likelier than all others together


class Linear(Value):
    """A linear model on standardised features, one row of weights for each thing that it tells apart."""

    features: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]

    def of(self, values: Mapping[str, float]) -> Numbers:
        """One number a row of weights."""
        row = np.array([values[name] for name in self.features])
        standard = (row - np.array(self.mean)) / np.array(self.spread)
        found: Numbers = np.array(self.weights) @ standard + np.array(self.intercepts)
        return found


class Model(Value):
    """Two logistic models and a softmax model of how a paper stands to a claim that it bears on. All are as sure as they
    were right on claims and papers of a hand that they were not fitted to. From `speaks_from` on, for each stance,
    guesses were right often enough to speak; above 1 says that they never were.
    """

    made_from: str  # digest of the labels
    relevance: Linear  # ranks papers
    unrelated: Linear  # tells what only shares words
    manner: Linear
    speaks_from: dict[Stance, float]

    def score(self, values: Mapping[str, float]) -> float:
        """How likely a paper bears on a claim."""
        return _logistic(self.relevance.of(values)[0])

    def speaks(self, stance: Stance, sureness: float) -> bool:
        """Whether it was right often enough where it was that sure."""
        return sureness >= self.speaks_from[stance]

    def stances(self, values: Mapping[str, float]) -> dict[Stance, float]:
        """How likely each stance is: first whether a paper bears on the claim at all, then how."""
        unrelated = _logistic(self.unrelated.of(values)[0])
        said = self.manner.of(values)
        shares = np.exp(said - said.max())
        shares *= (1 - unrelated) / shares.sum()
        return {**{stance: float(share) for stance, share in zip(MANNERS, shares, strict=True)}, "unrelated": unrelated}


def guess(likely: Mapping[Stance, float]) -> Stance:
    """The stance to be named: "unrelated" only where that is likelier than all others together."""
    return "unrelated" if likely["unrelated"] > EVEN else max(MANNERS, key=lambda stance: likely[stance])


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


@cache
def model() -> Model:
    """The model that ships."""
    return Model.model_validate(json.loads(WEIGHTS.read_text()))
