"""Questions that pages and commands ask of a library; answers are plain records, whose readers need no session."""

import difflib
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from kb.errors import NotFound
from kb.models import (
    Claim,
    Document,
    DocumentVersion,
    Entity,
    LedgerEntry,
    Line,
    Link,
    Note,
    Paper,
    Run,
    SlugRedirect,
)
from kb.reconcile import detail_of


class Card(BaseModel):
    """An entry in one line."""

    id: str
    kind: str
    slug: str
    title: str
    short: str
    is_stub: bool

    @property
    def label(self) -> str:
        """What fits beside a dot."""
        return self.short or self.title


class Linked(BaseModel):
    """A link seen from one of its ends; offsets are into the body of the entry that it stands in."""

    type: str
    direction: Literal["out", "in"]
    other: Card
    sentence: str
    label: str
    stands_here: bool
    start: int | None
    end: int | None
    mention_start: int | None
    mention_end: int | None
    weight: float | None


class Source(BaseModel):
    """The page an entry comes from."""

    place: str
    version: int
    digest: str
    reader: str
    imported_at: datetime


class View(BaseModel):
    """All that is said of one entry; fields that its kind does not have are empty."""

    card: Card
    hook: str = ""
    summary: str = ""
    body: str = ""
    original_title: str = ""
    topics: tuple[str, ...] = ()
    date: str | None = None
    prompt: dict[str, Any] | None = None
    contract: dict[str, Any] | None = None
    documentary: str = ""
    arxiv: str | None = None
    titles: tuple[str, ...] = ()
    links: tuple[Linked, ...] = ()
    source: Source | None = None
    created_at: datetime
    updated_at: datetime


class Counts(BaseModel):
    """How much a library holds; `stubs` are notes and lines that are named and have no page of their own."""

    notes: int
    lines: int
    papers: int
    claims: int
    links: int
    runs: int
    verdicts: int
    stubs: int


def card(entity: Entity) -> Card:
    """ENTITY in one line."""
    return Card(
        id=entity.id, kind=entity.kind, slug=entity.slug, title=entity.title, short=entity.short, is_stub=entity.is_stub
    )


def find(session: Session, slug: str, kind: str | None = None) -> Entity:
    """The entry with that slug, an old slug of it, or its id.

    Raises:
        NotFound: with the nearest slugs.
    """
    moved = session.get(SlugRedirect, slug)
    same = or_(Entity.slug == slug, Entity.id == (moved.entity_id if moved else slug))
    entity = session.exec(select(Entity).where(same)).first()
    if entity is None or kind not in {None, entity.kind}:
        query = select(Entity.slug) if kind is None else select(Entity.slug).where(Entity.kind == kind)
        raise NotFound(slug, _near(slug, list(session.exec(query))), kind or "entry")
    return entity


def _near(slug: str, slugs: list[str]) -> list[str]:
    starting = sorted(name for name in slugs if name.startswith(slug))[:2]
    return starting or difflib.get_close_matches(slug, slugs, n=2, cutoff=0.5)


def cards(session: Session, kind: str) -> list[Card]:
    """All entries of a kind, by title."""
    return [card(entity) for entity in session.exec(select(Entity).where(Entity.kind == kind).order_by(Entity.title))]


def view(session: Session, entity: Entity) -> View:
    """Everything that is said of ENTITY."""
    detail = detail_of(session, entity)
    values = detail.model_dump(exclude={"id", "date_written", "date_earliest", "date_latest", "date_approximate"})
    return View(
        card=card(entity),
        date=detail.date_written,
        links=tuple(_linked(session, entity)),
        source=_source(session, entity),
        created_at=entity.created_at,
        updated_at=entity.updated_at,
        **values,
    )


def _linked(session: Session, entity: Entity) -> list[Linked]:
    query = select(Link).where(or_(Link.source_id == entity.id, Link.target_id == entity.id))
    links = session.exec(query.order_by(col(Link.position), col(Link.id))).all()
    ends = {end for link in links for end in (link.source_id, link.target_id)}
    others = {row.id: card(row) for row in session.exec(select(Entity).where(col(Entity.id).in_(ends)))}
    return [
        Linked(
            type=link.type,
            direction="out" if link.source_id == entity.id else "in",
            other=others[link.target_id if link.source_id == entity.id else link.source_id],
            stands_here=link.stands_in == entity.id,
            **link.model_dump(include={"sentence", "label", "start", "end", "mention_start", "mention_end", "weight"}),
        )
        for link in links
    ]


def _source(session: Session, entity: Entity) -> Source | None:
    version = session.get(DocumentVersion, entity.version_id) if entity.version_id else None
    if version is None:
        return None
    document = session.get_one(Document, version.document_id)
    return Source(
        place=document.source,
        version=version.number,
        digest=version.digest,
        reader=version.reader,
        imported_at=version.imported_at,
    )


def counts(session: Session) -> Counts:
    """How much the library holds."""

    def rows(table: type[Note] | type[Line] | type[Paper] | type[Claim] | type[Link] | type[Run]) -> int:
        return session.exec(select(func.count()).select_from(table)).one()

    verdicts = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.kind == "verdict")
    stubs = select(func.count()).select_from(Entity).where(Entity.is_stub)
    return Counts(
        notes=rows(Note),
        lines=rows(Line),
        papers=rows(Paper),
        claims=rows(Claim),
        links=rows(Link),
        runs=rows(Run),
        verdicts=session.exec(verdicts).one(),
        stubs=session.exec(stubs).one(),
    )
