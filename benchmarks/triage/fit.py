"""Makes claims/papers/triage_weights.json from the tuning part and the practice pairs: `python -P benchmarks/triage/fit.py`.

The measured part is never read: `tuning()` drops it before anything else is done. Penalty, softness and the borders of
speaking come from cross-validation in which claims are left out with the papers that are labelled for them, each claim of
the tuning part in turn and the claims of practice in groups. Papers without a label count as not relevant where relevance
is fitted, and are left out where stances are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax

from benchmarks.triage import AT, LABELS, Labels, read
from claims.papers.triage import Stance, features_of, is_familiar
from claims.papers.triage_features import BEARING, BEARING_ABROAD, MANNER, RELEVANCE
from claims.papers.triage_model import MANNERS, STANCES, WEIGHTS, Field, Linear, Model
from kb import embedding
from kb.embedding import Embedder

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
PENALTIES = (1.0, 3.0, 10.0, 30.0)
RIGHT_WHEN_SPEAKING = 0.93  # in cross-validation, where 0.9 is the goal: the labels are few
FEWEST_SPOKEN = 8
NEVER = 1.1  # nothing is that sure
GROUPS = 12  # of the claims of practice: so many fits instead of one a claim
PRACTICE = LABELS / "practice.jsonl"


def main() -> None:
    """Fit, say what cross-validation found, and write the weights."""
    embedder = embedding.load()
    labels, practice = tuning(read(LABELS)), read(PRACTICE)
    tuned, practised = rows_of(labels, embedder), rows_of(practice, embedder)
    known = [row for row in tuned + practised if row.stance]
    related = [row for row in known if row.stance != "unrelated"]
    manner = fitted(MANNER, related, classes(related), len(MANNERS))
    at_home = tuned + [row for row in known if row.claim in labels.claims and row.paper in practice.papers]
    away = [row for row in practised if row.claim not in labels.claims]
    model = Model(
        made_from=digest(labels, practice),
        familiar=field(BEARING, [row for row in at_home if row.is_familiar], known, manner, related),
        abroad=field(BEARING_ABROAD, [row for row in away if not row.is_familiar], known, manner, related),
        manner=manner.model,
    )
    WEIGHTS.write_text(json.dumps(model.model_dump(mode="json"), indent=1) + "\n")
    print(f"written to {WEIGHTS}")


def field(
    bearing: Sequence[str], ranked: Sequence["Row"], known: Sequence["Row"], manner: "Fitted", related: Sequence["Row"]
) -> Field:
    """How the claims of one field are judged: by what is RANKED for them, and by those of their pairs that are KNOWN."""
    is_familiar = ranked[0].is_familiar
    print("--- familiar" if is_familiar else "--- abroad")
    pairs = [row for row in known if row.is_familiar == is_familiar]
    relevance = fitted(RELEVANCE, ranked, np.array([int(row.stance not in {None, "unrelated"}) for row in ranked]), 2)
    unrelated = fitted(bearing, pairs, np.array([int(row.stance == "unrelated") for row in pairs]), 2)
    shares = combined(unrelated, manner, pairs, related)
    return Field(
        relevance=one_row(relevance.model),
        unrelated=one_row(unrelated.model),
        speaks_from={stance: speaks_from(stance, shares, pairs) for stance in STANCES},
    )


class Row(NamedTuple):
    """A claim beside a paper."""

    claim: str
    paper: str
    stance: Stance | None
    is_familiar: bool
    values: Mapping[str, float]


def classes(rows: Sequence[Row]) -> Whole:
    """The number of each row's stance."""
    return np.array([STANCES.index(row.stance) for row in rows if row.stance])


def rows_of(labels: Labels, embedder: Embedder) -> list[Row]:
    """Every claim beside every paper, with what is compared."""
    familiar = {name: is_familiar(claim, embedder) for name, claim in labels.claims.items()}
    features = features_of(list(labels.claims.values()), list(labels.papers.values()), embedder)
    stance: dict[tuple[str, str], Stance] = {(pair.claim, pair.paper): pair.stance for pair in labels.pairs}
    return [Row(*key, stance.get(key), familiar[key[0]], values) for key, values in sorted(features.items())]


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
    """A model, made as sure as it was right on claims left out; what it said of them, (rows, classes), before the
    softmax; and by what its numbers were divided for that.
    """

    model: Linear
    left_out: Numbers
    penalty: float
    softness: float


def fitted(names: Sequence[str], rows: Sequence[Row], classes: Whole, count: int) -> Fitted:
    """The softmax model with the penalty that does best on claims left out."""
    values = values_of(names, rows)
    tried = {}
    for penalty in PENALTIES:
        said = np.zeros((len(rows), count))
        for out, kept in folds(rows):
            said[out] = logits(fit(values[kept], classes[kept], count, penalty, names), values[out])
        tried[penalty] = said
        print(f"penalty {penalty:g}: loss {loss(said, classes):.4f}")
        if count == 2:
            print(f"  recall at {AT}: {recall(said[:, 1] - said[:, 0], classes, rows):.3f}")
    best = min(tried, key=lambda penalty: loss(tried[penalty], classes))
    soft = float(minimize_scalar(lambda soft: loss(tried[best] / soft, classes), bounds=(0.3, 3.0), method="bounded").x)
    return Fitted(softened(fit(values, classes, count, best, names), soft), tried[best] / soft, best, soft)


def values_of(names: Sequence[str], rows: Sequence[Row]) -> Numbers:
    """The features NAMES of each row, (rows, names)."""
    return np.array([[row.values[name] for name in names] for row in rows])


def softened(model: Linear, softness: float) -> Linear:
    """A model whose numbers are divided by SOFTNESS."""
    return model.model_copy(
        update={
            "weights": tuple(tuple(round(weight / softness, 4) for weight in row) for row in model.weights),
            "intercepts": tuple(round(intercept / softness, 4) for intercept in model.intercepts),
        }
    )


def combined(unrelated: Fitted, manner: Fitted, pairs: Sequence[Row], related: Sequence[Row]) -> Numbers:
    """How likely each stance was said to be of claims left out, (pairs, STANCES).

    How an unrelated paper would stand to the claim is nowhere fitted, and so is said by models that its claim had no part in.
    """
    other = expit(unrelated.left_out[:, 1] - unrelated.left_out[:, 0])
    shares = np.zeros((len(pairs), len(STANCES)))
    for out, kept in folds(related, pairs):
        mine = [row for row, is_kept in zip(related, kept, strict=True) if is_kept]
        model = fit(values_of(MANNER, mine), classes(mine), len(MANNERS), manner.penalty, MANNER)
        theirs = [row for row, is_out in zip(pairs, out, strict=True) if is_out]
        shares[out, : len(MANNERS)] = softmax(logits(model, values_of(MANNER, theirs)) / manner.softness, axis=1)
    shares *= (1 - other)[:, None]
    shares[:, -1] = other
    return shares


def folds(rows: Sequence[Row], of: Sequence[Row] | None = None) -> list[tuple[Flags, Flags]]:
    """Rows to leave out, OF these or the same, each with the ROWS to fit on then: of other claims and, since labels of
    one paper are alike, of other papers than those that are labelled for the claims left out.
    """
    asked = rows if of is None else of
    practised = sorted({row.claim for row in asked if row.paper.startswith("practice/")})
    tuned = sorted({row.claim for row in asked} - set(practised))
    found = []
    for left in [{claim} for claim in tuned] + [set(practised[start::GROUPS]) for start in range(GROUPS)]:
        papers = {row.paper for row in [*rows, *asked] if row.claim in left and row.stance}
        out = np.array([row.claim in left for row in asked])
        if out.any():
            found.append((out, np.array([row.claim not in left and row.paper not in papers for row in rows])))
    return found


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


def speaks_from(stance: Stance, shares: Numbers, pairs: Sequence[Row]) -> float:
    """The lowest sureness from which on guesses of STANCE are right often enough; above 1 where there is none."""
    this = STANCES.index(stance)
    guessed = np.flatnonzero(shares.argmax(axis=1) == this)
    order = guessed[np.argsort(-shares[guessed, this], kind="stable")]
    right = np.cumsum(classes(pairs)[order] == this)
    enough = [n for n in range(FEWEST_SPOKEN, len(order) + 1) if right[n - 1] / n >= RIGHT_WHEN_SPEAKING]
    spoken = max(enough, default=0)
    print(f"{stance}: {len(order)} guesses of {len(pairs)}, {right[-1] if len(order) else 0} right", end="; ")
    practised = sum(pairs[index].paper.startswith("practice/") for index in order[:spoken])
    print(f"speaks on {spoken}, {practised} of them practice, right in {right[spoken - 1] if spoken else 0}")
    return round(float(shares[order[spoken - 1], this]), 4) if spoken else NEVER


if __name__ == "__main__":
    main()
