"""Words in passages on SQLite: the FTS5 table `passage_text`, ranked by its bm25."""

import re
from collections.abc import Sequence

from sqlalchemy import text as sql
from sqlmodel import Session

from kb.words import Met, Ranked

FOUND = sql(
    "SELECT p.entity_id, p.rowid, bm25(passage_text) AS rank FROM passage_text "
    "JOIN passage p ON p.rowid = passage_text.rowid WHERE passage_text MATCH :terms ORDER BY rank, p.rowid"
)
WITH_TERM = sql("SELECT rowid FROM passage_text WHERE passage_text MATCH :term")
MARKED = sql(
    "SELECT highlight(passage_text, 0, char(2), char(3)) FROM passage_text WHERE rowid = :rowid AND passage_text MATCH :terms"
)


def meet(session: Session, terms: Sequence[str]) -> Met:
    """Find the passages that have any of TERMS."""
    connection = session.connection()
    best = [Ranked(entity, rowid, -rank) for entity, rowid, rank in connection.execute(FOUND, {"terms": _any(terms)})]
    if not best:
        return Met([], {}, 0)
    by_term = {term: set(connection.scalars(WITH_TERM, {"term": _any([term])})) for term in terms}
    return Met(best, by_term, connection.execute(sql("SELECT count(*) FROM passage")).scalar_one())


def shown(session: Session, terms: Sequence[str], passage: int) -> tuple[str, ...]:
    """The words of a passage that TERMS meet, as they stand there, in small letters, each once."""
    marked = session.connection().execute(MARKED, {"rowid": passage, "terms": _any(terms)}).scalar_one()
    return tuple(dict.fromkeys(word.lower() for word in re.findall("\x02(.*?)\x03", marked)))


def _any(terms: Sequence[str]) -> str:
    return " OR ".join(f'"{term}"' for term in terms)
