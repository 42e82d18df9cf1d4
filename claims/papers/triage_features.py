"""What is compared between a claim and a paper: a handful of numbers, each with a meaning that a person can check."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from claims.papers.triage_cues import CUES, cues, facets_of, is_elsewhere, regime
from claims.papers.triage_measures import alike, measures_of
from claims.papers.triage_text import Numbers, Reading, coverage, stems, terms
from kb.types import Matrix

# What ranks papers for a claim.
RELEVANCE = ("sentence", "next", "title", "whole", "body", "words", "all_words", "regime", "method", "elsewhere")
# What says that a paper bears on a claim at all. Of a claim in another field the lists of quantities know too little,
# and how a paper stands among the others says more.
BEARING = ("whole", "whole_title", "all_words", "regime", "method", "elsewhere")
BEARING_ABROAD = (*RELEVANCE, "whole_among", "words_among")
# What says how a paper that bears on a claim stands to it: the cues near the claim's subject and in the whole abstract.
MANNER = (*RELEVANCE, *CUES, *(f"{name}_anywhere" for name in CUES))
FAMILIAR = 2  # quantities, and facets of a regime, that the lists know of a claim in the field that they were made for
STEADY = 20  # papers: among fewer, how one stands among them counts less than half of what it seems
NEAR = 0.1  # cosine: a sentence that much further from the claim than the nearest one counts 1/e of it

Vectors = Mapping[str, Matrix]
Facets = Mapping[str, frozenset[str]]


class Stated(Protocol):
    """A claim's words."""

    @property
    def title(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def topics(self) -> Sequence[str]: ...


class Asked(NamedTuple):
    """A claim, ready to be compared."""

    title: Matrix  # (dimension,)
    whole: Matrix  # (dimension,): the title with body and topics
    terms: Mapping[str, float]
    all_terms: Mapping[str, float]
    measures: Mapping[str, float]
    facets: Facets

    @property
    def is_familiar(self) -> bool:
        """Whether the lists of quantities and regimes know enough of what the claim speaks of."""
        return len(self.measures) >= FAMILIAR and sum(map(bool, self.facets.values())) >= FAMILIAR


class Told(NamedTuple):
    """A paper, ready to be compared. Of one that was not read deeply, `sentences` has no rows."""

    title: Matrix  # (dimension,)
    sentences: Matrix  # (n, dimension)
    whole: Matrix  # (dimension,): the mean of title and sentences, of length 1
    cues: Matrix  # (n, lists)
    words: frozenset[str]
    measures: Mapping[str, float]
    facets: Facets


class Compared(NamedTuple):
    """A claim beside a paper: the features, and which sentence is nearest; None where none was read."""

    values: Mapping[str, float]
    nearest: int | None


def claim_text(claim: Stated) -> str:
    """The claim's title with its body and its topics."""
    return " ".join(part for part in (claim.title, claim.body, ", ".join(claim.topics)) if part)


def asked(claim: Stated, regime_said: str, vectors: Vectors) -> Asked:
    """CLAIM, ready to be compared; VECTORS has its title and its whole text."""
    whole = claim_text(claim)
    words = stems(whole)
    return Asked(
        title=vectors[claim.title],
        whole=vectors[whole],
        terms=terms(claim.title),
        all_terms=terms(whole),
        measures=measures_of(words),
        facets=facets_of(words + stems(regime_said)),
    )


def told(reading: Reading, vectors: Vectors, deeply: bool) -> Told:
    """A paper, ready to be compared; VECTORS has its title and, where it is read DEEPLY, its sentences."""
    title = vectors[reading.title]
    read = reading.sentences if deeply else ()
    sentences = np.array([vectors[sentence] for sentence in read]).reshape(len(read), len(title))
    found = np.array([cues(words) for words in reading.stems[: len(read)]]).reshape(len(read), len(CUES))
    words = reading.words
    return Told(
        title,
        sentences,
        mean_direction([title, *sentences]),
        found,
        frozenset(words),
        measures_of(words),
        facets_of(words),
    )


def mean_direction(vectors: Sequence[Matrix]) -> Matrix:
    """The mean of VECTORS, of length 1."""
    mean: Matrix = np.mean(vectors, axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)


def compare(claim: Asked, paper: Told) -> Compared:
    """The features of CLAIM beside PAPER, all but the cues from 0 to about 1."""
    title = float(paper.title @ claim.title)
    near = paper.sentences @ claim.title  # (n,)
    order = np.argsort(-near, kind="stable")
    values = {
        "sentence": float(near[order[0]]) if len(near) else title,
        "next": float(near[order[1:3]].mean()) if len(near) > 1 else title,
        "title": title,
        "whole": float(paper.whole @ claim.whole),
        "whole_title": float(paper.whole @ claim.title),
        "body": float((paper.sentences @ claim.whole).max()) if len(near) else title,
        "words": coverage(claim.terms, paper.words),
        "all_words": coverage(claim.all_terms, paper.words),
        "regime": regime(claim.facets, paper.facets),
        "elsewhere": float(is_elsewhere(claim.facets, paper.facets)),
        "method": alike(claim.measures, paper.measures),
        **_cue_values(near, paper.cues),
    }
    return Compared(values, int(order[0]) if len(near) else None)


def among(compared: Sequence[Compared], answered: Numbers) -> list[Compared]:
    """COMPARED, one a paper, with how each stands among all of them: in meaning, and in how well it ANSWERED the words of
    the claim. In standard deviations, less of them where papers are few.
    """
    meaning = _standing(np.array([one.values["whole"] for one in compared]))
    words = _standing(answered)
    return [
        Compared({**one.values, "whole_among": float(near), "words_among": float(said)}, one.nearest)
        for one, near, said in zip(compared, meaning, words, strict=True)
    ]


def _standing(values: Numbers) -> Numbers:
    if not len(values):
        return values
    standing: Numbers = (values - values.mean()) / (values.std() + 1e-6) * len(values) / (len(values) + STEADY)
    return standing


def _cue_values(near: Matrix, found: Matrix) -> dict[str, float]:
    """How many cues of each list stand near the claim's subject, and in a sentence on average."""
    if not len(near):
        return {name: 0.0 for cue in CUES for name in (cue, f"{cue}_anywhere")}
    weights = np.exp((near - near.max()) / NEAR)
    close, anywhere = weights @ found / weights.sum(), found.mean(axis=0)
    return {
        name: float(value)
        for index, cue in enumerate(CUES)
        for name, value in ((cue, close[index]), (f"{cue}_anywhere", anywhere[index]))
    }
