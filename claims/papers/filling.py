"""How far what fills the inbox has come, so that an empty one can say why it is. Reads only."""

from typing import NamedTuple

from sqlmodel import Session, col, func, select

from kb.models import ArxivPaper, ArxivQuery, Suggestion
from kb.read import find


class Filled(NamedTuple):
    """What there is so far; what was matched and decided, of all claims or of one."""

    queries: int
    papers: int
    was_pulled: bool
    was_matched: bool
    was_decided: bool


def filled(session: Session, slug: str | None = None) -> Filled:
    """How far it has come, for one claim or for all.

    Raises:
        NotFound: when no claim has that slug.
    """
    pulled = select(ArxivQuery.id).where(col(ArxivQuery.pulled_at).is_not(None)).limit(1)
    beside = select(Suggestion.arxiv).limit(1)
    if slug:
        beside = beside.where(Suggestion.claim_id == find(session, slug, "claim").id)
    return Filled(
        queries=session.exec(select(func.count()).select_from(ArxivQuery)).one(),
        papers=session.exec(select(func.count()).select_from(ArxivPaper)).one(),
        was_pulled=session.exec(pulled).first() is not None,
        was_matched=session.exec(beside.where(col(Suggestion.scored_at).is_not(None))).first() is not None,
        was_decided=session.exec(beside.where(Suggestion.state != "new")).first() is not None,
    )
