"""What looking for words in passages gives, whichever index of the database looked: `kb.fts5` or `kb.tsvector`."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from sqlmodel import Session


class Ranked(NamedTuple):
    """A passage that has one of the words; the higher its rank, the better."""

    entity: str
    passage: int
    rank: float


class Met(NamedTuple):
    """The passages that have any of the words, best first, and those of each word, among how many."""

    best: Iterable[Ranked]
    by_term: dict[str, set[int]]
    passages: int


class Index(Protocol):
    """An index of all passages by their words, in which words that differ by an ending or an accent are one."""

    def meet(self, session: Session, terms: Sequence[str]) -> Met:
        """Find the passages that have any of TERMS."""

    def shown(self, session: Session, terms: Sequence[str], passage: int) -> tuple[str, ...]:
        """The words of a passage that TERMS meet, as they stand there, in small letters, each once."""
