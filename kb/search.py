"""Finds entries by meaning and by words, and says of each hit why it was found.

Meaning: cosine between the question and every passage, an entry ranked by its best passage. Words: bm25 over the same
passages, by whatever index the database has. The two rankings are fused by reciprocal rank (Cormack, Clarke and
Büttcher 2009), the words' part weighed by the square of how much of the question they cover: a note that shares one
common word with a question must not pass the note that answers it in other words. The constants are from
docs/decisions/0004-search.md.
"""

import math
import re
from datetime import date
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session, col, select

from kb import fts5, tsvector
from kb.embedding import Embedder
from kb.models import Claim, ClaimState, Entity, Line, Note, Paper, Passage
from kb.vectors import vectors
from kb.words import Index, Met

RANK_CONSTANT = 10
DEEPEST = 50  # ranks of each list that count
MOST_TERMS = 12
_WORD = re.compile(r"\w+")
_STOP = frozenset(
    "a about after all also an and any are as at be been but by can could did do does for from had has have how i if in into is it "
    "its may me more most my no not of on one only or other our out over should so some such than that the their them then there "
    "these they this to up us was we were what when where whether which while who why will with would you your".split()
)


class Filters(BaseModel):
    """What a hit must be. A date filter keeps entries whose date may lie in it; a standing filter keeps claims."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    standings: tuple[str, ...] = ()


class Why(BaseModel):
    """Why an entry was found. A rank is None where that list did not find it."""

    passage: str
    terms: tuple[str, ...] = ()
    meaning_rank: int | None = None
    words_rank: int | None = None
    similarity: float | None = None


class Hit(BaseModel):
    """One entry found."""

    kind: str
    slug: str
    title: str
    score: float
    why: Why


class _Found(NamedTuple):
    """One entry's best passage in one list, and its value there."""

    passage: int
    value: float


def search(session: Session, question: str, embedder: Embedder | None, filters: Filters, limit: int = 10) -> list[Hit]:
    """The LIMIT entries that answer QUESTION best. Without an EMBEDDER by words alone."""
    allowed = _allowed(session, filters)
    terms, index = terms_of(question), _index(session)
    met = index.meet(session, terms) if terms else Met([], {}, 0)
    by_words = _by_words(met, allowed)
    by_meaning = _by_meaning(session, question, embedder, allowed) if embedder else {}
    weights = _coverage(met, by_words)
    scores: dict[str, float] = {}
    for rank, entity_id in enumerate(list(by_meaning)[:DEEPEST], start=1):
        scores[entity_id] = scores.get(entity_id, 0.0) + 1 / (RANK_CONSTANT + rank)
    for rank, entity_id in enumerate(list(by_words)[:DEEPEST], start=1):
        weight = weights[entity_id] ** 2 if embedder else 1.0
        scores[entity_id] = scores.get(entity_id, 0.0) + weight / (RANK_CONSTANT + rank)
    best = sorted(scores, key=lambda entity_id: (-scores[entity_id], entity_id))[:limit]
    ranks = [{entity_id: rank for rank, entity_id in enumerate(ranking, start=1)} for ranking in (by_meaning, by_words)]
    hits = []
    for entity_id in best:
        entity = session.get_one(Entity, entity_id)
        shown = by_meaning.get(entity_id) or by_words[entity_id]
        why = Why(
            passage=session.get_one(Passage, shown.passage).text,
            terms=index.shown(session, terms, by_words[entity_id].passage) if entity_id in by_words else (),
            meaning_rank=ranks[0].get(entity_id),
            words_rank=ranks[1].get(entity_id),
            similarity=round(by_meaning[entity_id].value, 4) if entity_id in by_meaning else None,
        )
        hits.append(
            Hit(kind=entity.kind, slug=entity.slug, title=entity.title, score=round(scores[entity_id], 6), why=why)
        )
    return hits


def _allowed(session: Session, filters: Filters) -> set[str] | None:
    """The ids that pass the filters; None when there are none."""
    if filters == Filters():
        return None
    query = select(Entity.id)
    if filters.kinds:
        query = query.where(col(Entity.kind).in_(filters.kinds))
    ids = set(session.exec(query))
    if filters.since or filters.until:
        ids &= _dated(session, filters)
    if filters.standings:
        state = dict(session.exec(select(ClaimState.claim_id, ClaimState.standing)).all())
        claims = session.exec(select(Claim.id, Claim.documentary)).all()
        ids &= {
            claim_id
            for claim_id, documentary in claims
            if state.get(claim_id, "DOCUMENTARY" if documentary else "UNTESTED") in filters.standings
        }
    return ids


def _dated(session: Session, filters: Filters) -> set[str]:
    ids: set[str] = set()
    for table in (Note, Line, Claim, Paper):
        query = select(table.id).where(col(table.date_latest).is_not(None))
        if filters.since:
            query = query.where(col(table.date_latest) >= filters.since)
        if filters.until:
            query = query.where(col(table.date_earliest) <= filters.until)
        ids |= set(session.exec(query))
    return ids


def terms_of(question: str) -> list[str]:
    """The words of QUESTION that are worth looking for, each once."""
    words = [word.lower() for word in _WORD.findall(question)]
    return list(dict.fromkeys(word for word in words if word not in _STOP))[:MOST_TERMS]


def _index(session: Session) -> Index:
    return fts5 if session.get_bind().dialect.name == "sqlite" else tsvector


def _by_words(met: Met, allowed: set[str] | None) -> dict[str, _Found]:
    """Entities by their best passage under bm25, best first."""
    found: dict[str, _Found] = {}
    for hit in met.best:
        if allowed is None or hit.entity in allowed:
            found.setdefault(hit.entity, _Found(hit.passage, hit.rank))
    return found


def _coverage(met: Met, found: dict[str, _Found]) -> dict[str, float]:
    """How much of the question each entity's words cover: the share of its terms' inverse document frequency."""
    weight = {term: math.log((met.passages + 1) / (len(rows) + 0.5)) for term, rows in met.by_term.items()}
    whole = math.fsum(weight.values()) or 1.0
    return {
        entity_id: math.fsum(weight[term] for term, rows in met.by_term.items() if best.passage in rows) / whole
        for entity_id, best in found.items()
    }


def _by_meaning(session: Session, question: str, embedder: Embedder, allowed: set[str] | None) -> dict[str, _Found]:
    """Entities by their best passage under the cosine, best first."""
    known = vectors(session, embedder.model)
    if not known.entities or not question.strip():
        return {}
    similarity = known.matrix @ embedder.encode([question])[0]
    found: dict[str, _Found] = {}
    for index in np.argsort(-similarity, kind="stable"):
        entity_id = known.entities[index]
        if allowed is None or entity_id in allowed:
            found.setdefault(entity_id, _Found(known.passages[index], float(similarity[index])))
    return found
