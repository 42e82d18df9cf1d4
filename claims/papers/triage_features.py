"""What is compared between a claim and a paper: a handful of numbers, each with a meaning that a person can check."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from claims.papers.triage_cues import CUES, cues, facets_of, regime
from claims.papers.triage_measures import alike, measures_of
from claims.papers.triage_said import Expressions, expressions
from claims.papers.triage_text import Numbers, Reading, stems
from kb.types import Matrix

RELEVANCE = ("said_here", "near", "elsewhere", "method", "regime")  # what ranks papers for a claim
BEARING = ("near", "elsewhere", "best", "field", "method", "regime")  # what says that a paper bears on a claim at all
MANNER = (*RELEVANCE, *CUES)  # what says how a paper that bears on a claim stands to it
BEST = 10  # papers: as many as a person would read for a claim
# What is typical where there are many claims and papers; where there are few, what is found moves towards it.
TYPICAL = {"field": 0.2, "elsewhere": 0.32, "best": 0.43}
FEW = 5  # claims: what comes of comparing as few of them counts half
STEADY = 20  # papers: what comes of comparing as few of them counts half

Values = Mapping[str, float]
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

    whole: Matrix  # (dimension,): the title with body and topics, as the tuned embedder sees it
    measures: Values
    facets: Facets


class Told(NamedTuple):
    """A paper, ready to be compared."""

    whole: Matrix  # (dimension,): title and abstract, as the tuned embedder sees them
    cues: Matrix  # (sentences, lists)
    measures: Values
    facets: Facets


def claim_text(claim: Stated) -> str:
    """The claim's title with its body and its topics."""
    return " ".join(part for part in (claim.title, claim.body, ", ".join(claim.topics)) if part)


def paper_text(reading: Reading) -> str:
    """A paper's title with its abstract, as far as it is read."""
    return " ".join((f"{reading.title}.", *reading.sentences))


def claim_expressions(claim: Stated) -> Expressions:
    """What a claim is looked for by."""
    return expressions(". ".join((claim.title, claim.body, *claim.topics)))


def paper_expressions(reading: Reading) -> Expressions:
    """What a paper is found by."""
    return expressions(". ".join((reading.title, *reading.sentences)))


def asked(claim: Stated, regime_said: str, whole: Matrix) -> Asked:
    """CLAIM, ready to be compared; WHOLE is the vector of its text."""
    words = stems(claim_text(claim))
    return Asked(whole=whole, measures=measures_of(words), facets=facets_of(words + stems(regime_said)))


def told(reading: Reading, whole: Matrix) -> Told:
    """A paper, ready to be compared; WHOLE is the vector of its text."""
    return Told(
        whole=whole,
        cues=np.array([cues(words) for words in reading.stems]).reshape(len(reading.stems), len(CUES)),
        measures=measures_of(reading.words),
        facets=facets_of(reading.words),
    )


def compared(claims: Sequence[Asked], papers: Sequence[Told], shares: Numbers) -> list[list[Values]]:
    """The features of every claim beside every paper, for each of CLAIMS a list that follows PAPERS; SHARES, (claims,
    papers), is how much of each claim each paper says.
    """
    if not claims or not papers:
        return [[] for _ in claims]
    wholes = (np.array([one.whole for one in ones], dtype=np.float64) for ones in (claims, papers))
    together = {**_together(*wholes), "said": shares, "said_here": standing(shares)}
    numbers = np.stack(list(together.values()), axis=-1).tolist()  # (claims, papers, features)
    return [
        [_values(claim, paper) | dict(zip(together, row, strict=True)) for paper, row in zip(papers, rows, strict=True)]
        for claim, rows in zip(claims, numbers, strict=True)
    ]


def _together(claims: Numbers, papers: Numbers) -> dict[str, Numbers]:
    """What comes of comparing all CLAIMS, (claims, dimension), with all PAPERS, (papers, dimension); each (claims, papers).

    `near` is the cosine, `elsewhere` that with the nearest other claim, and by `ahead` this claim is nearer than that;
    `best` is the mean cosine of the papers that are nearest to the claim, `field` that of the claims on the whole with a paper.
    """
    near: Numbers = claims @ papers.T
    elsewhere = _other(near)
    best = np.sort(near, axis=1)[:, -BEST:].mean(axis=1, keepdims=True)
    whole = claims.sum(axis=0)
    field = papers @ whole / max(float(np.linalg.norm(whole)), 1e-9)
    return {
        "near": near,
        "ahead": near - elsewhere,
        "elsewhere": _tempered("elsewhere", elsewhere, _known(len(claims) - 1, FEW)),
        "best": np.broadcast_to(_tempered("best", best, _known(len(papers), STEADY)), near.shape),
        "field": np.broadcast_to(_tempered("field", field, _known(len(claims), FEW)), near.shape),
    }


def _other(near: Numbers) -> Numbers:
    """How near each paper is to the nearest of the other claims; where there is no other, as near as to this."""
    if len(near) == 1:
        return near
    second, first = np.sort(near, axis=0)[-2:]
    other: Numbers = np.where(near == first, second, first)
    return other


def _tempered(name: str, values: Numbers, known: float) -> Numbers:
    """VALUES as far as they are KNOWN, 0 to 1, and what is typical as far as they are not."""
    return TYPICAL[name] + known * (values - TYPICAL[name])


def standing(values: Numbers) -> Numbers:
    """How VALUES, (claims, papers), stand out: among the papers for a claim, and of that, as far as there are claims to compare
    it with, among the claims for a paper. In standard deviations, less of them where papers are few.
    """
    claims, papers = values.shape
    among_papers = _standardised(values, 1)
    known = _known(claims, FEW)
    blended = known * _standardised(among_papers, 0) + (1 - known) * among_papers
    steady: Numbers = blended * _known(papers, STEADY)
    return steady


def _known(count: int, half: int) -> float:
    """How much of what a comparison of COUNT shows is believed, 0 to 1, where of HALF as much is."""
    return count / (count + half)


def _standardised(values: Numbers, axis: int) -> Numbers:
    found: Numbers = (values - values.mean(axis, keepdims=True)) / (values.std(axis, keepdims=True) + 1e-6)
    return found


def _values(claim: Asked, paper: Told) -> dict[str, float]:
    """The features of CLAIM beside PAPER that nothing else has a part in, from 0 to about 1; how many cues of each list
    stand in a sentence on average.
    """
    return {
        "regime": regime(claim.facets, paper.facets),
        "method": alike(claim.measures, paper.measures),
        **dict(zip(CUES, (paper.cues.sum(axis=0) / max(len(paper.cues), 1)).tolist(), strict=True)),
    }
