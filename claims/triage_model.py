"""The two small linear models behind triage. Their weights stand in triage_weights.json, made by
benchmarks/triage/fit.py from the tuning part of the labels, and can be read: a feature's weight is what one standard
deviation of it moves.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from claims.triage_text import Numbers
from verifiers.measurement import Value

WEIGHTS = Path(__file__).with_name("triage_weights.json")

Stance = Literal["supports", "contradicts", "qualifies", "extends", "unrelated"]
STANCES: tuple[Stance, ...] = ("supports", "contradicts", "qualifies", "extends", "unrelated")


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
    """Relevance as a logistic model, stance as a softmax one. `softness` divides the softmax's numbers, so that it is as
    sure as it was right on claims that it was not fitted to. From `speaks_from` on, for each stance, it was right
    often enough to speak; above 1 says that it never was.
    """

    made_from: str  # digest of the labels
    relevance: Linear
    stance: Linear
    softness: float
    speaks_from: dict[Stance, float]

    def score(self, values: Mapping[str, float]) -> float:
        """How likely a paper bears on a claim."""
        return float(1 / (1 + np.exp(-self.relevance.of(values)[0])))

    def stances(self, values: Mapping[str, float]) -> dict[Stance, float]:
        """How likely each stance is."""
        said = self.stance.of(values) / self.softness
        shares = np.exp(said - said.max())
        return {stance: float(share) for stance, share in zip(STANCES, shares / shares.sum(), strict=True)}

    def speaks(self, stance: Stance, sureness: float) -> bool:
        """Whether it was right often enough where it was that sure."""
        return sureness >= self.speaks_from[stance]


@cache
def model() -> Model:
    """The model that ships."""
    return Model.model_validate(json.loads(WEIGHTS.read_text()))
