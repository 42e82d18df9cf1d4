"""Makes the rows agree with the catalog, and touches none that already does: importing the same page again changes
nothing.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlmodel import Session, col, delete, select, update

from kb import attached
from kb.catalog import Catalog, Edge, Entry, Sheet, catalogue
from kb.dates import WrittenDate
from kb.models import (
    Claim,
    Document,
    DocumentVersion,
    Entity,
    EntityKey,
    LedgerEntry,
    Line,
    Link,
    Note,
    Paper,
    Passage,
    SlugRedirect,
    Suggestion,
)
from kb.passages import passages_of
from kb.sources.page import Page
from kb.text import slug as slug_of
from kb.vectors import touch

Detail = Note | Line | Claim | Paper
DETAILS: dict[str, type[Detail]] = {"note": Note, "line": Line, "claim": Claim, "paper": Paper}


def _rows(session: Session, table: type[Detail]) -> list[Detail]:
    return cast(list[Detail], list(session.exec(select(table))))  # select() loses the union


def detail_of(session: Session, entity: Entity) -> Detail:
    """The row that holds what the entity's kind adds."""
    return cast(Detail, session.get_one(DETAILS[entity.kind], entity.id))


@dataclass
class Changes:
    """How many entries an import made, changed and removed."""

    created: int = 0
    updated: int = 0
    removed: int = 0


def reconcile(session: Session, now: datetime) -> Changes:
    """Fold all current pages and attached papers and write what differs, inside the caller's transaction."""
    sheets = attached.sheets(session) + [
        Sheet(version.id, document.key, Page.model_validate(version.page), former)
        for document, version, former in current_pages(session)
    ]
    return _Reconciler(session, catalogue(sheets), now).run()


def current_versions(session: Session) -> list[tuple[Document, DocumentVersion]]:
    """Every document with its newest version."""
    return [(document, version) for document, version, _ in current_pages(session)]


def current_pages(session: Session) -> list[tuple[Document, DocumentVersion, tuple[str, ...]]]:
    """Every document with its newest version, and the titles that earlier versions had."""
    rows = session.exec(select(Document, DocumentVersion).join(DocumentVersion).order_by(col(DocumentVersion.number)))
    versions: dict[str, list[tuple[Document, DocumentVersion]]] = {}
    for document, version in rows:
        versions.setdefault(document.id, []).append((document, version))
    pages = []
    for history in versions.values():
        document, newest = history[-1]
        former = dict.fromkeys(str(version.page["title"]) for _, version in history[:-1])
        former.pop(str(newest.page["title"]), None)
        pages.append((document, newest, tuple(former)))
    return pages


class _Reconciler:
    def __init__(self, session: Session, catalog: Catalog, now: datetime) -> None:
        self.session, self.catalog, self.now = session, catalog, now
        self.changes = Changes()
        self.keys = {row.key: row.entity_id for row in session.exec(select(EntityKey))}
        self.entities = {row.id: row for row in session.exec(select(Entity))}
        self.redirects = {row.slug: row for row in session.exec(select(SlugRedirect))}
        self.details = {row.id: row for table in DETAILS.values() for row in _rows(session, table)}
        self.slugs = {entity.slug: entity.id for entity in self.entities.values()}
        self.tested = set(session.exec(select(LedgerEntry.claim_id).distinct()))
        self.ids: dict[int, str] = {}  # id(entry) → entity id
        self.taken: set[str] = set()
        self.touched: set[str] = set()

    def run(self) -> Changes:
        for entry in self.catalog.entries:
            self.ids[id(entry)] = self._owner(entry)
        gone = set(self.entities) - self.taken
        freed = self._free_slugs(gone - self.tested)
        for entry in self.catalog.entries:
            self._entity(self.entities[self.ids[id(entry)]], entry)
        self.session.flush()  # entities before what refers to them
        self._keys()
        self._links()
        self._remove(gone, freed)
        for entry in self.catalog.entries:  # behind the removal: of two papers that are one now, both had the id
            self._detail(self.ids[id(entry)], entry)
        self._aliases()
        self._passages()
        touch(self.session)
        for entity_id in self.touched:
            self.entities[entity_id].updated_at = self.now
        self.changes.updated = len(self.touched)
        return self.changes

    # --- entries -----------------------------------------------------------------------------------------------------

    def _owner(self, entry: Entry) -> str:
        """The entity that ENTRY is: one that is known by one of its keys, or a new one."""
        known = [
            entity_id
            for entity_id in {self.keys[key] for key in entry.keys if key in self.keys} - self.taken
            if self.entities[entity_id].kind == entry.kind
        ]
        known.sort(key=lambda entity_id: (entity_id not in self.tested, entity_id))  # a history is never left behind
        if not known:
            entity = Entity(kind=entry.kind, slug="", title="", created_at=self.now, updated_at=self.now)
            self.entities[entity.id] = entity
            self.changes.created += 1
            known = [entity.id]
        self.taken.add(known[0])
        return known[0]

    def _free_slugs(self, gone: set[str]) -> dict[str, str]:
        """Take the addresses of what goes, so that what it has become may have them; return them by id."""
        freed = {entity_id: self.entities[entity_id].slug for entity_id in sorted(gone)}
        for entity_id, slug in freed.items():
            del self.slugs[slug]
            self.entities[entity_id].slug = entity_id  # unique, and nobody's address
        self.session.flush()
        return freed

    def _entity(self, entity: Entity, entry: Entry) -> None:
        before = entity.model_dump()
        entity.title, entity.version_id = entry.title, entry.version_id
        entity.short = entry.own.page.short if entry.own else ""
        entity.is_stub = entry.own is None and entry.kind in {"note", "line"}
        self._slug(entity, entry.slug)
        self.session.add(entity)
        if before["slug"] and entity.model_dump() != before:
            self.touched.add(entity.id)
            self.session.flush()  # so that a slug is free before another takes it

    def _slug(self, entity: Entity, wanted: str) -> None:
        if entity.slug == wanted or (
            entity.slug.startswith(f"{wanted}-") and entity.slug.removeprefix(f"{wanted}-").isdigit()
        ):
            return
        free, number = wanted, 2
        while self.slugs.get(free, entity.id) != entity.id:
            free, number = f"{wanted}-{number}", number + 1
        if entity.slug:
            del self.slugs[entity.slug]
            self._redirect(entity.slug, entity.id)
        if free in self.redirects:  # a slug in use leads to who uses it now
            self.session.delete(self.redirects.pop(free))
        self.slugs[free] = entity.id
        entity.slug = free

    def _redirect(self, slug: str, entity_id: str) -> None:
        row = self.redirects.get(slug) or SlugRedirect(slug=slug, entity_id=entity_id)
        row.entity_id = entity_id
        self.redirects[slug] = row
        self.session.add(row)

    def _aliases(self) -> None:
        """Every name of an entry leads to it, as long as the address is nobody else's."""
        for entry in self.catalog.entries:
            for alias in map(slug_of, entry.aliases):
                if alias not in self.slugs and alias not in self.redirects:
                    self._redirect(alias, self.ids[id(entry)])

    def _detail(self, entity_id: str, entry: Entry) -> None:
        values = detail_values(entry)
        row = self.details.get(entity_id)
        if row is None:
            row = DETAILS[entry.kind](id=entity_id, **values)
            self.details[entity_id] = row
        elif any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
            self.touched.add(entity_id)
        self.session.add(row)

    def _keys(self) -> None:
        wanted = {key: self.ids[id(entry)] for entry in self.catalog.entries for key in entry.keys}
        for row in self.session.exec(select(EntityKey)):
            if row.key not in wanted and row.entity_id in self.taken | (self.entities.keys() - self.tested):
                self.session.delete(row)  # a claim that was tested stays known by its name
            elif row.entity_id != wanted.get(row.key, row.entity_id):
                row.entity_id = wanted[row.key]
        self.session.add_all(
            EntityKey(key=key, entity_id=owner) for key, owner in wanted.items() if key not in self.keys
        )

    def _remove(self, gone: set[str], freed: dict[str, str]) -> None:
        """Remove what no page speaks of any more, unless it has a history: a claim that was tested stays, as a stub."""
        by_key = {key: self.ids[id(entry)] for key, entry in self.catalog.by_key.items()}
        for entity_id in sorted(gone):
            entity = self.entities[entity_id]
            if entity_id in self.tested:
                self._keep_without_page(entity_id)
                continue
            heir = next((by_key[key] for key, owner in self.keys.items() if owner == entity_id and key in by_key), None)
            if heir:  # what a person attached goes with what the paper is now
                self.session.exec(update(Link).where(col(Link.source_id) == entity_id).values(source_id=heir))
            for table in (Passage, EntityKey):
                self.session.exec(delete(table).where(col(table.entity_id) == entity_id))
            for redirect in [row for row in self.redirects.values() if row.entity_id == entity_id]:
                redirect.entity_id = heir or redirect.entity_id
                if heir is None:
                    self.session.delete(self.redirects.pop(redirect.slug))
            self.session.exec(delete(Suggestion).where(col(Suggestion.claim_id) == entity_id))
            self.session.delete(self.details.pop(entity_id))
            self.session.flush()
            self.session.delete(entity)
            self.session.flush()
            if heir and freed[entity_id] not in self.slugs:
                self._redirect(freed[entity_id], heir)
            self.changes.removed += 1

    def _keep_without_page(self, entity_id: str) -> None:
        self.entities[entity_id].is_stub = True
        claim = self.details[entity_id]
        if isinstance(claim, Claim):
            claim.contract = None  # no page asks for it to be tested any more

    # --- links and passages ------------------------------------------------------------------------------------------

    def _links(self) -> None:
        wanted = {self._link_key(values): values for values in map(self._link_values, self.catalog.edges)}
        for row in self.session.exec(select(Link).where(col(Link.version_id).is_not(None))):
            values = wanted.pop(self._link_key(row.model_dump()), None)
            if values is None:
                self.session.delete(row)
                self.touched |= {row.source_id} & self.taken
            elif (row.version_id, row.position) != (values["version_id"], values["position"]):
                row.version_id, row.position = values["version_id"], values["position"]
        for values in wanted.values():
            self.session.add(Link(created_at=self.now, **values))
            if self.entities[values["source_id"]].created_at != self.now:
                self.touched.add(values["source_id"])
        self.session.flush()

    @staticmethod
    def _link_key(values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(values[name] for name in LINK_IDENTITY)

    def _link_values(self, edge: Edge) -> dict[str, Any]:
        end = self.catalog.by_key
        return {
            "source_id": self.ids[id(end[edge.source])],
            "target_id": self.ids[id(end[edge.target])],
            "type": edge.type,
            "sentence": edge.link.sentence,
            "label": edge.link.label,
            "stands_in": self.ids[id(end[edge.stands_in])] if edge.stands_in else None,
            "start": edge.link.start,
            "end": edge.link.end,
            "mention_start": edge.link.mention_start,
            "mention_end": edge.link.mention_end,
            "weight": edge.link.weight,
            "version_id": edge.version_id,
            "position": edge.position,
        }

    def _passages(self) -> None:
        rows = {(row.entity_id, row.ordinal): row for row in self.session.exec(select(Passage))}
        for entity_id in self.ids.values():
            for ordinal, text in enumerate(passages_of(self.entities[entity_id], self.details[entity_id])):
                row = rows.pop((entity_id, ordinal), None)
                digest = text_digest(text)
                if row is None:
                    self.session.add(Passage(entity_id=entity_id, ordinal=ordinal, text=text, digest=digest))
                elif row.digest != digest:
                    row.text, row.digest = text, digest
        for row in rows.values():
            self.session.delete(row)


LINK_IDENTITY = (
    "source_id",
    "target_id",
    "type",
    "sentence",
    "label",
    "stands_in",
    "start",
    "end",
    "mention_start",
    "mention_end",
    "weight",
)


def text_digest(text: str) -> str:
    """The key of a text's embedding."""
    return hashlib.sha256(text.encode()).hexdigest()


def detail_values(entry: Entry) -> dict[str, Any]:
    """What the row of an entry's kind holds."""
    page = entry.own.page if entry.own else None
    values = _date_values(entry.date) | {"body": page.body if page else ""}
    topics = list(page.topics) if page else []
    match entry.kind:
        case "note":
            original = page.original_title if page else ""
            return values | {"hook": entry.hook, "summary": entry.summary, "original_title": original, "topics": topics}
        case "line":
            prompt = page.prompt.model_dump(mode="json") if page and page.prompt else None
            return values | {"hook": entry.hook, "topics": topics, "prompt": prompt}
        case "claim":
            return values | {
                "topics": topics,
                "contract": page.contract if page else None,
                "documentary": page.documentary if page else "",
            }
        case "paper":
            return values | {"arxiv": entry.arxiv, "titles": entry.titles}


def _date_values(when: WrittenDate | None) -> dict[str, Any]:
    return {
        "date_written": when.written if when else None,
        "date_earliest": when.earliest if when else None,
        "date_latest": when.latest if when else None,
        "date_approximate": when.approximate if when else False,
    }
