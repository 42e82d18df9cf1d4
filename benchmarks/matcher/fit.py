"""Makes what triage ships from the labels that may be tuned on, the adapter and the weights:
`python -P -m benchmarks.matcher.fit`. Adapters take an hour of two cores; those in --adapters are not trained again.

The measured part is never read: `tuning()` drops it before anything else is done. Penalty, softness and the borders of
speaking are what does best where a whole hand is left out, claims, papers and labels: everything is fitted to what the
other hands wrote, and asked of what it wrote; an adapter leaves out several hands at a time, and no adapter sees a hand
all of whose papers exist. The first of these adapters ships: one that had seen all hands would be sure in another way than
those that the borders were chosen with. Papers without a label count as not relevant where relevance is fitted, and are
left out where stances are; whether a pair is unrelated is learnt and asked only where an abstract is long enough.
"""

import argparse
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax

from benchmarks.matcher.adapter import adapter
from benchmarks.triage import AT, LABELS, Labels, read, read_sets
from claims.papers.triage import Stance, features_of
from claims.papers.triage_features import BEARING, MANNER, RELEVANCE
from claims.papers.triage_model import ADAPTER, MANNERS, STANCES, WEIGHTS, Linear, Model, guess
from claims.papers.triage_text import read as read_paper
from kb import embedding
from kb.embedding import Embedder

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
PRACTICE = LABELS.parent / "practice.jsonl"  # other fields, short abstracts: seen by adapters alone, by all of them
EXIST = {"af", "ag", "ah", "ai", "aj", "ak"}  # hands whose papers exist
FOLDS, AT_ONCE = 3, 2  # adapters, each of which leaves other hands out; adapters that are trained side by side
SHIPS = 0  # the adapter of this fold
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
RIGHT_WHEN_SPEAKING = 0.9  # of hands left out, papers that exist counting as much as all others
FEWEST_SPOKEN = 8
NEVER = 1.1  # nothing is that sure


def main() -> None:
    """Fit, say what was found on hands left out, and write adapter and weights."""
    parser = argparse.ArgumentParser(description="Make what triage ships from the labels that may be tuned on.")
    parser.add_argument("--adapters", type=Path, default=Path(".adapters"), help="a folder that adapters are kept in")
    kept = parser.parse_args().adapters
    sets = {name: tuning(labels) for name, labels in read_sets(LABELS).items()}
    hands = {name: labels for name, labels in sets.items() if labels.pairs}
    folds_of = {name: number % FOLDS for number, name in enumerate(name for name in hands if name not in EXIST)}
    adapters = trained([without(fold, hands, folds_of) for fold in range(FOLDS)], kept)
    embedder = embedding.load()
    rows = [
        row
        for hand, labels in hands.items()
        for row in rows_of(hand, labels, embedder, adapters[folds_of.get(hand, SHIPS)])
    ]
    related = [row for row in rows if row.stance not in {None, "unrelated"}]
    known = [row for row in rows if row.stance and row.is_readable]
    relevance = fitted(
        "relevance", RELEVANCE, rows, np.array([int(row.stance not in {None, "unrelated"}) for row in rows]), 2
    )
    unrelated = fitted("unrelated", BEARING, known, np.array([int(row.stance == "unrelated") for row in known]), 2)
    manner = fitted("manner", MANNER, related, classes(related), len(MANNERS))
    shares = combined(unrelated, manner, known, related)
    model = Model(
        made_from=digest(*hands.values()),
        relevance=one_row(relevance.model),
        unrelated=one_row(unrelated.model),
        manner=manner.model,
        speaks_from={stance: speaks_from(stance, shares, known) for stance in STANCES},
    )
    shutil.copyfile(adapters[SHIPS], ADAPTER)
    WEIGHTS.write_text(json.dumps(model.model_dump(mode="json"), indent=1) + "\n")
    print(f"written to {ADAPTER} and {WEIGHTS}")


def without(fold: int, hands: Mapping[str, Labels], folds_of: Mapping[str, int]) -> list[Labels]:
    """The hands that are not left out in FOLD, of those that any adapter sees."""
    return [hands[name] for name, left_out in folds_of.items() if left_out != fold]


def trained(folds: Iterable[Sequence[Labels]], kept: Path) -> list[Path]:
    """An adapter for each of FOLDS, made of its hands and of what all practise on."""
    practice = read(PRACTICE)
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(adapter, folder=kept), [[*hands, practice] for hands in folds]))


class Row(NamedTuple):
    """A claim beside a paper of the same hand."""

    hand: str
    claim: str
    paper: str
    stance: Stance | None
    is_readable: bool
    values: Mapping[str, float]


def classes(rows: Sequence[Row]) -> Whole:
    """The number of each row's stance."""
    return np.array([STANCES.index(row.stance) for row in rows if row.stance])


def rows_of(hand: str, labels: Labels, embedder: Embedder, adapter: Path) -> list[Row]:
    """Every claim beside every paper, with what is compared, ADAPTER being made without this hand."""
    readable = {name: read_paper(paper).is_english for name, paper in labels.papers.items()}
    features = features_of(list(labels.claims.values()), list(labels.papers.values()), embedder, adapter)
    stance: dict[tuple[str, str], Stance] = {(pair.claim, pair.paper): pair.stance for pair in labels.pairs}
    return [Row(hand, *key, stance.get(key), readable[key[1]], values) for key, values in sorted(features.items())]


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
    """A model, made as sure as it was right on hands left out; what it said of them, (rows, classes), before the
    softmax; and by what its numbers were divided for that.
    """

    model: Linear
    left_out: Numbers
    penalty: float
    softness: float


def fitted(what: str, names: Sequence[str], rows: Sequence[Row], classes: Whole, count: int) -> Fitted:
    """The softmax model with the penalty that does best on hands left out."""
    values = values_of(names, rows)
    tried = {}
    for penalty in PENALTIES:
        said = np.zeros((len(rows), count))
        for out, kept in folds(rows):
            said[out] = logits(fit(values[kept], classes[kept], count, penalty, names), values[out])
        tried[penalty] = said
    best = min(tried, key=lambda penalty: loss(tried[penalty], classes))
    soft = float(minimize_scalar(lambda soft: loss(tried[best] / soft, classes), bounds=(0.3, 3.0), method="bounded").x)
    print(f"{what}: penalty {best:g}, loss {loss(tried[best] / soft, classes):.3f} on hands left out")
    for hand in dict.fromkeys(row.hand for row in rows if what == "relevance"):
        mine = np.array([row.hand == hand for row in rows])
        score = (tried[best][:, 1] - tried[best][:, 0])[mine]
        print(
            f"  recall at {AT}, {hand} left out: {recall(score, classes[mine], [r for r in rows if r.hand == hand]):.3f}"
        )
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
    """How likely each stance was said to be of pairs of a hand left out, (pairs, STANCES).

    How an unrelated paper would stand to the claim is nowhere fitted, and so is said by models that its hand had no part in.
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
    """For each hand what to leave out, OF these or the same, and the ROWS of the others to fit on then."""
    asked = rows if of is None else of
    return [
        (np.array([row.hand == hand for row in asked]), np.array([row.hand != hand for row in rows]))
        for hand in dict.fromkeys(row.hand for row in asked)
    ]


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
    """The lowest sureness from which on guesses of STANCE are right often enough; above 1 where there is none. Papers that
    exist are what comes, and count as much as all that are made up.
    """
    this = STANCES.index(stance)
    guessed = np.flatnonzero([guess(dict(zip(STANCES, row, strict=True))) == stance for row in shares])
    order = guessed[np.argsort(-shares[guessed, this], kind="stable")]
    is_right = classes(pairs)[order] == this
    exist = np.array([row.hand in EXIST for row in pairs])
    counts = np.where(exist, 1 / max(exist.sum(), 1), 1 / max((~exist).sum(), 1))[order]
    share = np.cumsum(counts * is_right) / np.cumsum(counts)
    hands = dict.fromkeys(row.hand for row in pairs)
    spoken = max((n for n in range(FEWEST_SPOKEN, len(order) + 1) if share[n - 1] >= RIGHT_WHEN_SPEAKING), default=0)
    print(f"{stance}: {len(order)} guesses of {len(pairs)}, {is_right.sum()} right", end="; ")
    by = {
        hand: [pairs[index].stance == stance for index in order[:spoken] if pairs[index].hand == hand] for hand in hands
    }
    print("speaks on", ", ".join(f"{len(said)} of {hand}, {sum(said)} right" for hand, said in by.items()))
    return round(float(shares[order[spoken - 1], this]), 4) if spoken else NEVER


if __name__ == "__main__":
    main()
