"""Brings files into a library: each is read on its own, what can be read goes in together, in one transaction."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, col, select

from kb.errors import PageError
from kb.models import Document, DocumentVersion
from kb.reconcile import Changes, current_versions, reconcile
from kb.sources.files import find, read_page, read_text
from kb.sources.page import Page
from kb.text import identity


@dataclass(frozen=True)
class Read:
    """A file that was understood."""

    path: Path
    text: str
    page: Page
    reader: str

    @property
    def key(self) -> str:
        """What the page defines, which is what makes another text of it a new version."""
        return f"{self.page.kind}:{identity(self.page.title)}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Refused:
    """A file that was not, and why."""

    path: Path
    reason: str


@dataclass
class Report:
    """What an import did, file by file."""

    new: list[Path] = field(default_factory=list)
    changed: list[Path] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    warnings: list[Refused] = field(default_factory=list)
    entries: Changes = field(default_factory=Changes)


def read_all(paths: list[Path], check: Callable[[Page], None]) -> tuple[list[Read], list[Refused]]:
    """Read the pages below PATHS; CHECK may refuse a page with a PageError, as a reader may."""
    read: list[Read] = []
    refused: list[Refused] = []
    defined: dict[str, Path] = {}
    for found in find(paths):
        try:
            if found.refused:
                raise PageError(found.refused)
            text = read_text(found.path)
            page, reader = read_page(found.path, text)
            check(page)
            file = Read(found.path, text, page, reader)
            if defined.setdefault(file.key, found.path) != found.path:
                raise PageError(f"has the same title as {defined[file.key]}: {page.title!r}. Only the first was read")
        except PageError as error:
            refused.append(Refused(found.path, str(error)))
        else:
            read.append(file)
    return read, refused


def put(session: Session, files: list[Read], now: datetime, report: Report) -> None:
    """Store FILES as page versions and let the library say what its pages now say; inside the caller's transaction."""
    documents = {document.key: (document, version) for document, version in current_versions(session)}
    by_place = {document.source: document.key for document, _ in documents.values()}
    for file in files:
        known = documents.get(file.key) or _renamed(file, documents, by_place)
        report.warnings += [Refused(file.path, warning) for warning in file.page.warnings]
        if known and (known[1].digest, known[1].reader, known[1].page) == (
            file.digest,
            file.reader,
            file.page.model_dump(mode="json"),
        ):
            report.unchanged.append(file.path)
            continue
        document = known[0] if known else Document(key=file.key, source=str(file.path), created_at=now)
        document.key, document.source = file.key, str(file.path.absolute())
        session.add(document)
        session.flush()
        session.add(
            DocumentVersion(
                document_id=document.id,
                number=known[1].number + 1 if known else 1,
                digest=file.digest,
                reader=file.reader,
                text=file.text,
                page=file.page.model_dump(mode="json"),
                imported_at=now,
            )
        )
        (report.changed if known else report.new).append(file.path)
    session.flush()
    if report.new or report.changed:
        report.entries = reconcile(session, now)


def _renamed(
    file: Read, documents: dict[str, tuple[Document, DocumentVersion]], by_place: dict[str, str]
) -> tuple[Document, DocumentVersion] | None:
    """The page that was read from the same Markdown file before its title changed. A text file may hold another page
    each time.
    """
    key = by_place.get(str(file.path.absolute())) if file.page.slug else None
    same_kind = key is not None and key.startswith(f"{file.page.kind}:")
    return documents.get(key) if key and same_kind else None


def versions_of(session: Session, entity_version_id: str | None) -> list[DocumentVersion]:
    """All versions of the page that a version belongs to, newest first."""
    version = session.get(DocumentVersion, entity_version_id) if entity_version_id else None
    if version is None:
        return []
    mine = select(DocumentVersion).where(DocumentVersion.document_id == version.document_id)
    return list(session.exec(mine.order_by(col(DocumentVersion.number).desc())))
