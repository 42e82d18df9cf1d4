"""Makes claims/triage_weights.json from the tuning part of the labels: `python -P benchmarks/triage/fit.py`.

The measured part is never read: `tuning()` drops it before anything else is done. Penalty, softness and the border of
speaking come from cross-validation in which each claim of the tuning part is left out in turn, so that no claim helps to
judge itself. Papers without a label count as not relevant where relevance is fitted, and are left out where stances are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from benchmarks.triage import AT, LABELS, Labels, read
from claims.triage import Stance, features_of
from claims.triage_features import RELEVANCE, STANCE
from claims.triage_model import STANCES, WEIGHTS, Linear, Model
from kb import embedding
from kb.embedding import Embedder

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
PENALTIES = (1.0, 3.0, 10.0, 30.0)
RIGHT_WHEN_SPEAKING = 0.92  # in cross-validation, where 0.9 is the goal: the labels are few
FEWEST_SPOKEN = 8
NEVER = 1.1  # nothing is that sure
PRACTICE = LABELS / "practice.jsonl"


def main() -> None:
    """Fit, say what cross-validation found, and write the weights."""
    embedder = embedding.load()
    labels, practice = tuning(read(LABELS)), read(PRACTICE)
    rows = rows_of(labels, embedder, every_paper=True)
    relevance = fitted(RELEVANCE, rows, np.array([int(row.stance not in {None, "unrelated"}) for row in rows]), 2)
    known = [row for row in rows + rows_of(practice, embedder, every_paper=False) if row.stance]
    taken = np.array([STANCES.index(row.stance) for row in known if row.stance])
    stances = fitted(STANCE, known, taken, len(STANCES))
    softness = minimize_scalar(lambda soft: loss(stances.left_out / soft, taken), bounds=(0.3, 3.0), method="bounded").x
    shares = softmax(stances.left_out / softness, axis=1)
    model = Model(
        made_from=digest(labels, practice),
        relevance=one_row(relevance.model),
        stance=stances.model,
        softness=round(float(softness), 4),
        speaks_from={stance: speaks_from(stance, shares, taken) for stance in STANCES},
    )
    WEIGHTS.write_text(json.dumps(model.model_dump(mode="json"), indent=1) + "\n")
    print(f"softness {softness:.3f}, speaks from {model.speaks_from}; written to {WEIGHTS}")


class Row(NamedTuple):
    """A claim beside a paper."""

    claim: str
    paper: str
    stance: Stance | None
    values: Mapping[str, float]


def rows_of(labels: Labels, embedder: Embedder, every_paper: bool) -> list[Row]:
    """The labelled pairs, or all pairs, with what is compared in them."""
    features = features_of(list(labels.claims.values()), list(labels.papers.values()), embedder)
    stance: dict[tuple[str, str], Stance] = {(pair.claim, pair.paper): pair.stance for pair in labels.pairs}
    return [
        Row(*key, stance.get(key), values) for key, values in sorted(features.items()) if every_paper or key in stance
    ]


def one_row(model: Linear) -> Linear:
    """A softmax model of two classes as a logistic one."""
    weights, intercepts = np.array(model.weights), np.array(model.intercepts)
    return model.model_copy(
        update={
            "weights": (tuple(np.round(weights[1] - weights[0], 4).tolist()),),
            "intercepts": (round(float(intercepts[1] - intercepts[0]), 4),),
        }
    )


def tuning(labels: Labels) -> Labels:
    """The tuning part alone, with all papers: they are what its claims are ranked against."""
    part = {claim: part for claim, part in labels.part.items() if part == "tuning"}
    return Labels(
        {claim: labels.claims[claim] for claim in part},
        part,
        labels.papers,
        [p for p in labels.pairs if p.claim in part],
    )


def digest(*sets: Labels) -> str:
    """The digest of what the weights are made from."""
    said = json.dumps([[list(pair) for pair in labels.pairs] for labels in sets])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


class Fitted(NamedTuple):
    """A model with what it said of each claim when that claim was left out, (rows, classes), before the softmax."""

    model: Linear
    left_out: Numbers


def fitted(names: Sequence[str], rows: Sequence[Row], classes: Whole, count: int) -> Fitted:
    """The softmax model with the penalty that does best on claims left out."""
    values = np.array([[row.values[name] for name in names] for row in rows])
    tried = {}
    for penalty in PENALTIES:
        said = np.zeros((len(rows), count))
        for claim in {row.claim for row in rows}:
            out, kept = apart(rows, claim)
            said[out] = logits(fit(values[kept], classes[kept], count, penalty, names), values[out])
        tried[penalty] = said
        print(f"penalty {penalty:g}: loss {loss(said, classes):.4f}")
        if count == 2:
            print(f"  recall at {AT}: {recall(said[:, 1] - said[:, 0], classes, rows):.3f}")
    best = min(tried, key=lambda penalty: loss(tried[penalty], classes))
    return Fitted(fit(values, classes, count, best, names), tried[best])


def apart(rows: Sequence[Row], claim: str) -> tuple[Flags, Flags]:
    """The rows of a CLAIM, and those to fit on when it is left out: of other claims and, since labels of one paper are
    alike, of other papers than those that are labelled for it.
    """
    papers = {row.paper for row in rows if row.claim == claim and row.stance}
    out = np.array([row.claim == claim for row in rows])
    return out, ~out & np.array([row.paper not in papers for row in rows])


def fit(values: Numbers, classes: Whole, count: int, penalty: float, names: Sequence[str]) -> Linear:
    """A softmax model of COUNT classes with a quadratic PENALTY on its weights."""
    mean, spread = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    standard = (values - mean) / spread
    truth = np.eye(count)[classes]

    def cost(flat: Numbers) -> tuple[float, Numbers]:
        weights, intercepts = flat[count:].reshape(count, -1), flat[:count]
        shares = log_softmax(standard @ weights.T + intercepts, axis=1)
        wrong = np.exp(shares) - truth  # (rows, classes)
        slope = np.concatenate([wrong.sum(axis=0), (wrong.T @ standard + penalty * weights).ravel()])
        return float(-(shares * truth).sum() + penalty / 2 * (weights**2).sum()), slope

    found = minimize(cost, np.zeros(count * (1 + values.shape[1])), jac=True, method="L-BFGS-B").x
    weights, intercepts = found[count:].reshape(count, -1), found[:count]
    return Linear(
        features=tuple(names),
        mean=tuple(np.round(mean, 4).tolist()),
        spread=tuple(np.round(spread, 4).tolist()),
        weights=tuple(tuple(row) for row in np.round(weights, 4).tolist()),
        intercepts=tuple(np.round(intercepts, 4).tolist()),
    )


def logits(model: Linear, values: Numbers) -> Numbers:
    """What a model says of each row, before the softmax."""
    standard = (values - np.array(model.mean)) / np.array(model.spread)
    said: Numbers = standard @ np.array(model.weights).T + np.array(model.intercepts)
    return said


def loss(said: Numbers, classes: Whole) -> float:
    """The mean of minus the logarithm of what the truth was given."""
    return float(-log_softmax(said, axis=1)[np.arange(len(classes)), classes].mean())


def recall(score: Numbers, relevant: Whole, rows: Sequence[Row]) -> float:
    """The share of what is relevant that stands among a claim's first ten."""
    found = 0
    for claim in {row.claim for row in rows}:
        mine = np.flatnonzero(np.array([row.claim == claim for row in rows]))
        found += int(relevant[mine[np.argsort(-score[mine], kind="stable")[:AT]]].sum())
    return found / int(relevant.sum())


def speaks_from(stance: Stance, shares: Numbers, classes: Whole) -> float:
    """The lowest sureness from which on guesses of STANCE are right often enough; above 1 where there is none."""
    this = STANCES.index(stance)
    guessed = np.flatnonzero(shares.argmax(axis=1) == this)
    order = guessed[np.argsort(-shares[guessed, this], kind="stable")]
    right = np.cumsum(classes[order] == this)
    enough = [n for n in range(FEWEST_SPOKEN, len(order) + 1) if right[n - 1] / n >= RIGHT_WHEN_SPEAKING]
    spoken = max(enough, default=0)
    print(f"{stance}: {len(order)} guesses, {right[-1] if len(order) else 0} right", end="; ")
    print(f"speaks on {spoken}, right in {right[spoken - 1] if spoken else 0}")
    return round(float(shares[order[spoken - 1], this]), 4) if spoken else NEVER


if __name__ == "__main__":
    main()
