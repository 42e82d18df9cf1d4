"""How much of what a claim says a paper says too, be it in other words: "uncertainty" answers to "entropy".

A text is taken apart into its words and its pairs of neighbouring words, and each of the claim's is looked for among the
paper's by meaning. What all papers say counts little, and what few of them say counts much, as in bm25. Words are encoded
once, however many papers have them: that is cheap enough for all papers.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from claims.papers.triage_text import LONGEST_WORD, Numbers
from kb.embedding import Embedder
from kb.search import terms_of
from kb.types import Matrix

ANOTHER = 0.5  # cosine: up to there one word does not say what another says
MOST_WORDS = 400  # of one text, each once
LARGEST_LEXICON = 10_000  # words of all papers: more are not encoded, those that the fewest have are left out
_PART = re.compile(r"[^.;:,()]+")
_WORD = re.compile(r"[a-z0-9][a-z0-9-]*")

Places = npt.NDArray[np.int64]


class Expressions(NamedTuple):
    """What a text says: its words and its pairs of neighbours, each once."""

    words: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


class Lexicon(NamedTuple):
    """The words of many texts: where the vector of each stands."""

    places: Mapping[str, int]
    vectors: Matrix  # (words, dimension)


class Placed(NamedTuple):
    """Expressions by their places in a lexicon."""

    words: Places  # (n,)
    pairs: Places  # (2, m)
    lengths: Matrix  # (m,): of the sum of both vectors of a pair


def expressions(text: str) -> Expressions:
    """The words of TEXT and the pairs of neighbours among them, without those that say nothing."""
    words: dict[str, None] = {}
    pairs: dict[tuple[str, str], None] = {}
    for part in _PART.findall(text.lower()):
        said = [word[:LONGEST_WORD] for word in _WORD.findall(part)]
        speaking = set(filter(_says_something, said))
        words |= dict.fromkeys(word for word in said if word in speaking)
        pairs |= dict.fromkeys(pair for pair in pairwise(said) if speaking.issuperset(pair))
        if len(words) >= MOST_WORDS:
            break
    return Expressions(tuple(words)[:MOST_WORDS], tuple(pairs)[:MOST_WORDS])


@lru_cache(maxsize=50_000)
def _says_something(word: str) -> bool:
    return bool(terms_of(word)) and not word.isdigit()


def lexicon(claims: Sequence[Expressions], papers: Sequence[Expressions], embedder: Embedder) -> Lexicon:
    """The words of CLAIMS and PAPERS, each encoded once."""
    asked = set(chain.from_iterable(chain(one.words, *one.pairs) for one in claims))
    told = Counter(chain.from_iterable(one.words for one in papers))
    commonest = sorted(told, key=lambda word: (-told[word], word))[:LARGEST_LEXICON]
    words = sorted(asked | set(commonest))
    vectors = embedder.encode(words) if words else np.zeros((0, 1), dtype=np.float32)
    return Lexicon({word: place for place, word in enumerate(words)}, vectors)


def placed(said: Expressions, known: Lexicon) -> Placed:
    """Where what is SAID stands in a lexicon; what it does not have is left out."""
    words = [known.places[word] for word in said.words if word in known.places]
    both = [(known.places[one], known.places[two]) for one, two in said.pairs if {one, two} <= known.places.keys()]
    pairs = np.array(both, dtype=np.int64).reshape(-1, 2).T
    summed = known.vectors[pairs[0]] + known.vectors[pairs[1]]
    return Placed(np.array(words, dtype=np.int64), pairs, np.maximum(np.linalg.norm(summed, axis=1), 1e-6))


def shares_said(claims: Sequence[Expressions], papers: Sequence[Expressions], embedder: Embedder) -> Numbers:
    """How much of what each claim says each paper says too, (claims, papers), 0 to 1."""
    known = lexicon(claims, papers, embedder)
    told = [placed(paper, known) for paper in papers]
    shares = [_said(placed(claim, known), told, known.vectors) for claim in claims]
    return np.array(shares).reshape(len(claims), len(papers))


def _said(claim: Placed, papers: Sequence[Placed], vectors: Matrix) -> Numbers:
    """How much of CLAIM each of PAPERS says; what few of them say counts for more."""
    pairs = (vectors[claim.pairs[0]] + vectors[claim.pairs[1]]) / claim.lengths[:, None]
    near = vectors @ np.concatenate([vectors[claim.words], pairs]).T  # (words of the lexicon, expressions of the claim)
    found = np.array([_answered(near, paper) for paper in papers]).reshape(len(papers), near.shape[1])
    sayers = found.sum(axis=0)
    rarity = np.log(1 + (len(papers) - sayers + 0.5) / (sayers + 0.5))
    shares: Numbers = found @ rarity / max(rarity.sum(), 1e-9)
    return shares


def _answered(near: Matrix, paper: Placed) -> Numbers:
    """How well the best of PAPER's expressions answers each of the claim's."""
    by_word = near[paper.words].max(axis=0, initial=0)
    by_pair = ((near[paper.pairs[0]] + near[paper.pairs[1]]) / paper.lengths[:, None]).max(axis=0, initial=0)
    nearest = np.maximum(by_word, by_pair).astype(float)
    answered: Numbers = np.clip((nearest - ANOTHER) / (1 - ANOTHER), 0, 1)
    return answered
