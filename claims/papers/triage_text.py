"""A text as triage reads it: bounded, cut into sentences, its words by their stems. Nothing here knows what a claim is.

Papers are written by anybody. What is read of one has a bound, and every pattern takes time in proportion to its text.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import snowballstemmer
from numpy.typing import NDArray

from kb.passages import LONGEST
from kb.search import terms_of
from kb.text import sentence_spans

LONGEST_TITLE = 400  # characters
LONGEST_ABSTRACT = 6000  # characters; arXiv allows 1,920
MOST_SENTENCES = 40
LONGEST_WORD = 40
FEWEST_WORDS = 25  # of an abstract that a stance is guessed from
SMALL_WORDS = frozenset("the a of and to in is are we that for on by with it as at this from not be".split())
FEWEST_SMALL = 0.1  # of all words: English has more
# Words of the trade: that a claim and a paper share them says little. Each counts as a fraction of another word.
COMMON = frozenset(
    "model language large network neural learn train data set task result method show study find use approach perform "
    "perspective problem work paper base new high low better improve gain different many much few several number time "
    "make give take get it two three first one".split()
)
COMMON_WEIGHT = 0.25
_WORD = re.compile(r"[^\W_]+")
_stemmer = snowballstemmer.stemmer("english")

Numbers = NDArray[np.float64]


class Reading(NamedTuple):
    """A paper as triage reads it. Spans are of the abstract; `sentences` and `stems` follow them."""

    arxiv: str
    title: str
    spans: tuple[tuple[int, int], ...]
    sentences: tuple[str, ...]
    title_stems: tuple[str, ...]
    stems: tuple[tuple[str, ...], ...]

    @property
    def is_english(self) -> bool:
        """Whether there is enough plain English in the abstract for a guess at what it says."""
        said = [stem for sentence in self.stems for stem in sentence]
        small = sum(stem in SMALL_WORDS for stem in said)
        return len(said) >= FEWEST_WORDS and small >= FEWEST_SMALL * len(said)

    @property
    def words(self) -> tuple[str, ...]:
        """The stems of title and abstract, in order."""
        return self.title_stems + tuple(stem for sentence in self.stems for stem in sentence)


class Written(Protocol):
    """What is read of a paper: a record from arXiv has it, and so has a lesson."""

    @property
    def arxiv(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def abstract(self) -> str: ...


def read(paper: Written) -> Reading:
    """Read PAPER, as far as the bounds allow."""
    title, abstract = paper.title[:LONGEST_TITLE], paper.abstract[:LONGEST_ABSTRACT]
    spans = tuple((start, min(stop, start + LONGEST)) for start, stop in sentence_spans(abstract)[:MOST_SENTENCES])
    sentences = tuple(abstract[start:stop] for start, stop in spans)
    return Reading(paper.arxiv, title, spans, sentences, stems(title), tuple(stems(sentence) for sentence in sentences))


def stems(text: str) -> tuple[str, ...]:
    """The words of TEXT by their stems, in order."""
    return tuple(_stem(word[:LONGEST_WORD]) for word in _WORD.findall(text.lower()))


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word))


def terms(text: str) -> dict[str, float]:
    """The stems in TEXT that are worth looking for, each with its weight."""
    common = {_stem(word) for word in COMMON}
    found = dict.fromkeys(stem for term in terms_of(text) for stem in stems(term))
    return {stem: COMMON_WEIGHT if stem in common else 1.0 for stem in found}


def coverage(wanted: Mapping[str, float], words: Collection[str]) -> float:
    """The share of what is WANTED that stands among WORDS, by weight: 0 to 1."""
    whole = sum(wanted.values())
    return sum(weight for stem, weight in wanted.items() if stem in words) / whole if whole else 0.0


def bm25(wanted: Iterable[str], texts: Sequence[Sequence[str]], k: float = 1.2, b: float = 0.75) -> Numbers:
    """How well each of TEXTS, given as stems, answers the words that are WANTED (Robertson and Zaragoza 2009, with the
    constants that SQLite's index has).
    """
    lengths = np.array([len(text) for text in texts], dtype=float)
    scores = np.zeros(len(texts))
    norm = k * (1 - b + b * lengths / (lengths.mean() or 1.0)) if len(texts) else lengths
    for stem in wanted:
        counts = np.array([text.count(stem) for text in texts], dtype=float)
        holders = np.count_nonzero(counts)
        rarity = np.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
        scores += rarity * counts * (k + 1) / (counts + norm + 1e-9)
    return scores


def holds(sentence: Sequence[str], phrases: Collection[tuple[str, ...]]) -> int:
    """How many of PHRASES, given as stems, stand in SENTENCE."""
    joined = f" {' '.join(sentence)} "
    return sum(f" {' '.join(phrase)} " in joined for phrase in phrases)
