"""A text as triage reads it: bounded, cut into sentences, its words by their stems. Nothing here knows what a claim is.

Papers are written by anybody. What is read of one has a bound, and every pattern takes time in proportion to its text.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import snowballstemmer
from numpy.typing import NDArray

from kb.passages import LONGEST
from kb.text import sentence_spans

LONGEST_TITLE = 400  # characters
LONGEST_ABSTRACT = 6000  # characters; arXiv allows 1,920
MOST_SENTENCES = 40
LONGEST_WORD = 40
FEWEST_WORDS = 40  # of an abstract that a stance is guessed from: the shortest that were tried have about 55
SMALL_WORDS = frozenset("the a of and to in is are we that for on by with it as at this from not be".split())
FEWEST_SMALL = 0.1  # of all words: English has more
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


def holds(sentence: Sequence[str], phrases: Collection[tuple[str, ...]]) -> int:
    """How many of PHRASES, given as stems, stand in SENTENCE."""
    joined = f" {' '.join(sentence)} "
    return sum(f" {' '.join(phrase)} " in joined for phrase in phrases)
