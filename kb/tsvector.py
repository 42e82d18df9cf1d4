"""Words in passages on PostgreSQL: the generated column `words` under a GIN index, ranked by a bm25 of our own.

ts_rank does not know how rare a word is, so the ranking is made here. A passage is a sentence or two, in which a word
hardly ever stands twice: it counts once, and a passage is as long as it has different words.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text as sql
from sqlmodel import Session

from kb.words import Met, Ranked

FULL_TEXT = frozenset({"words", "ix_passage_words"})  # what the migration makes and the models do not know
SATURATION, LENGTH_MATTERS = 1.2, 0.75  # k1 and b, as FTS5 has them

ALL = sql("SELECT count(*), coalesce(avg(length(words)), 0) FROM passage")
WITH_TERM = sql(
    "SELECT rowid, entity_id, length(words) FROM passage WHERE words @@ phraseto_tsquery('stillholds', :term)"
)
SHOWN = sql(
    "SELECT word FROM unnest(CAST(:words AS text[]), CAST(:plain AS text[])) WITH ORDINALITY AS said(word, plain, place) "
    "WHERE tsvector_to_array(to_tsvector('stillholds', plain)) && tsvector_to_array(to_tsvector('stillholds', :terms)) "
    "ORDER BY place"
)


def meet(session: Session, terms: Sequence[str]) -> Met:
    """Find the passages that have any of TERMS."""
    connection = session.connection()
    passages, mean = connection.execute(ALL).one()
    by_term: dict[str, set[int]] = {}
    scores: dict[tuple[int, str], float] = defaultdict(float)
    for term in terms:
        rows = connection.execute(WITH_TERM, {"term": _plain(term)}).all()
        by_term[term] = {row[0] for row in rows}
        rarity = _rarity(len(rows), passages)
        for rowid, entity, length in rows:
            scores[rowid, entity] += rarity * _share(length / float(mean))
    best = [Ranked(entity, rowid, score) for (rowid, entity), score in scores.items()]
    return Met(sorted(best, key=lambda found: (-found.rank, found.passage)), by_term, passages)


def shown(session: Session, terms: Sequence[str], passage: int) -> tuple[str, ...]:
    """The words of a passage that TERMS meet, as they stand there, in small letters, each once."""
    connection = session.connection()
    said = connection.execute(sql("SELECT text FROM passage WHERE rowid = :rowid"), {"rowid": passage}).scalar_one()
    words = list(dict.fromkeys(word.lower() for word in re.findall(r"[^\W_]+", said)))
    asked = {"words": words, "plain": list(map(_plain, words)), "terms": " ".join(map(_plain, terms))}
    return tuple(connection.scalars(SHOWN, asked))


def _plain(word: str) -> str:
    """A word as the column has it: without accents, and in two where it is tied together."""
    letters = unicodedata.normalize("NFKD", word.replace("_", " "))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _rarity(having: int, passages: int) -> float:
    return max(math.log((passages - having + 0.5) / (having + 0.5)), 1e-6)


def _share(length: float) -> float:
    """What one word counts in a passage, by its length in mean lengths."""
    return (SATURATION + 1) / (1 + SATURATION * (1 - LENGTH_MATTERS + LENGTH_MATTERS * length))
