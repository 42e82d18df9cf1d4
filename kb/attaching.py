"""Draws and removes the links of attached papers, and lets the library know the papers or forget them. No page draws
these links, so no import touches them.

Folding all pages anew takes a second or two in a library of hundreds. A paper whose name and address nobody else has
changes nothing but itself, and is written alone; for every other one all pages are folded, and a test holds the two
against each other.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session, col, delete, or_, select

from kb.attached import sheet
from kb.catalog import Entry, catalogue
from kb.models import ArxivPaper, Entity, EntityKey, Link, Paper, Passage, SlugRedirect
from kb.passages import passages_of
from kb.reconcile import detail_values, reconcile, text_digest
from kb.text import identity, slug
from kb.vectors import touch


class Attachment(NamedTuple):
    """What a paper is to a claim."""

    claim_id: str
    arxiv: str
    relation: str
    sentence: str = ""  # of the abstract
    weight: float | None = None


def attach(session: Session, attachments: Sequence[Attachment], now: datetime) -> None:
    """Draw the links, inside the caller's transaction."""
    is_alone = [_attach(session, one, now) for one in attachments]
    if not all(is_alone):
        reconcile(session, now)


def detach(session: Session, pairs: Sequence[tuple[str, str]], now: datetime) -> None:
    """Take away the links of claims (id) and papers (arXiv id), inside the caller's transaction, and the papers too that
    nothing else names.
    """
    is_alone = [_detach(session, claim_id, arxiv) for claim_id, arxiv in pairs]
    if not all(is_alone):
        reconcile(session, now)


def _attach(session: Session, one: Attachment, now: datetime) -> bool:
    """Draw one link; whether nothing else of the library changes with it."""
    entity_id = _known(session, one.arxiv)
    is_alone = entity_id is not None and _is_attached(session, entity_id)
    if entity_id is None:
        entry = catalogue([sheet(session.get_one(ArxivPaper, one.arxiv))]).entries[0]
        is_alone = _is_alone(session, entry)
        entity_id = _written(session, entry, now) if is_alone else _bare(session, one.arxiv, now)
    link = Link(source_id=entity_id, target_id=one.claim_id, type="attached", created_at=now)
    link.label, link.sentence, link.weight = one.relation, one.sentence, one.weight
    session.add(link)
    session.flush()
    return is_alone


def _detach(session: Session, claim_id: str, arxiv: str) -> bool:
    """Take away one link; whether nothing else of the library changes with it."""
    entity_id = _known(session, arxiv)
    if entity_id is None:
        return True
    session.exec(
        delete(Link).where(
            col(Link.type) == "attached", col(Link.source_id) == entity_id, col(Link.target_id) == claim_id
        )
    )
    if _is_attached(session, entity_id):
        return True
    if session.get_one(Entity, entity_id).version_id is not None:
        return False  # a page names it too
    for table, column in ((Passage, Passage.entity_id), (EntityKey, EntityKey.entity_id), (Paper, Paper.id)):
        session.exec(delete(table).where(col(column) == entity_id))
    session.exec(delete(SlugRedirect).where(col(SlugRedirect.entity_id) == entity_id))
    session.exec(delete(Entity).where(col(Entity.id) == entity_id))
    touch(session)
    return True


def _known(session: Session, arxiv: str) -> str | None:
    return session.exec(select(EntityKey.entity_id).where(EntityKey.key == f"paper:arxiv:{arxiv}")).first()


def _is_attached(session: Session, entity_id: str) -> bool:
    drawn = select(Link.id).where(Link.type == "attached", Link.source_id == entity_id)
    return session.exec(drawn.limit(1)).first() is not None


def _is_alone(session: Session, entry: Entry) -> bool:
    """Whether no page means ENTRY, or could mean it by its title, by the part of it before a colon, or by a longer one
    that begins with it (`kb.catalog`), and its addresses are free.
    """
    title = identity(entry.title)
    names = {f"{kind}:{title}" for kind in ("note", "line", "claim")} | entry.keys
    names.add(f"paper:title:{title.partition(':')[0].strip()}")
    longer = col(EntityKey.key).startswith(f"paper:title:{title}:", autoescape=True)
    if session.exec(select(EntityKey).where(or_(col(EntityKey.key).in_(names), longer)).limit(1)).first():
        return False
    addresses = {slug(name) for name in entry.aliases}
    taken = session.exec(select(Entity.id).where(col(Entity.slug).in_(addresses))).first()
    moved = session.exec(select(SlugRedirect.slug).where(col(SlugRedirect.slug).in_(addresses))).first()
    return taken is None and moved is None


def _written(session: Session, entry: Entry, now: datetime) -> str:
    """Write an entry that is alone, as a fold over all pages would."""
    entity = Entity(kind="paper", slug=entry.slug, title=entry.title, is_stub=False, created_at=now, updated_at=now)
    detail = Paper(id=entity.id, **detail_values(entry))
    session.add(entity)
    session.flush()
    session.add(detail)
    session.add_all(EntityKey(key=key, entity_id=entity.id) for key in sorted(entry.keys))
    others = sorted({slug(name) for name in entry.aliases} - {entity.slug})
    session.add_all(SlugRedirect(slug=other, entity_id=entity.id) for other in others)
    for ordinal, text in enumerate(passages_of(entity, detail)):
        session.add(Passage(entity_id=entity.id, ordinal=ordinal, text=text, digest=text_digest(text)))
    touch(session)
    session.flush()
    return entity.id


def _bare(session: Session, arxiv: str, now: datetime) -> str:
    """An entry that has no more than its id until all pages are folded."""
    entity = Entity(kind="paper", slug="", title=f"arXiv:{arxiv}", is_stub=False, created_at=now, updated_at=now)
    entity.slug = entity.id
    session.add(entity)
    session.flush()
    session.add(EntityKey(key=f"paper:arxiv:{arxiv}", entity_id=entity.id))
    session.add(Paper(id=entity.id, arxiv=arxiv, titles=[]))
    session.flush()
    return entity.id
