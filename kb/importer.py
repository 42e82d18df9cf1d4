"""Brings files into a library: each is read on its own, what can be read goes in together, in one transaction."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, col, update

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
    def place(self) -> str:
        return str(self.path.absolute())

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Stored:
    """A page that the library has, with its newest version."""

    document: Document
    version: DocumentVersion

    def says(self, file: Read) -> bool:
        """Whether FILE says nothing else."""
        page = file.page.model_dump(mode="json")
        return (self.version.digest, self.version.reader, self.version.page) == (file.digest, file.reader, page)


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
    stored = [Stored(document, version) for document, version in current_versions(session)]
    owners = _owners(files, stored)
    for file in files:
        known = owners.get(file.key)
        report.warnings += [Refused(file.path, warning) for warning in file.page.warnings]
        if known and known.says(file):
            report.unchanged.append(file.path)
            continue
        document = known.document if known else Document(key=file.key, source=file.place, created_at=now)
        if document.key != file.key:
            session.exec(update(Document).where(col(Document.key) == file.key).values(key=col(Document.id)))
        document.key, document.source = file.key, file.place
        session.add(document)
        session.flush()
        session.add(
            DocumentVersion(
                document_id=document.id,
                number=known.version.number + 1 if known else 1,
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


def _owners(files: list[Read], stored: list[Stored]) -> dict[str, Stored]:
    """Which stored page each file is another version of, by the file's key: the one of its title, or the one that was
    read from the same Markdown file before its title changed. A title that went from file to file goes with the
    files; a text file may hold another page each time.
    """
    by_key = {page.document.key: page for page in stored}
    by_place = {(page.document.source, page.version.page["kind"]): page for page in stored}
    places = {file.key: by_place.get((file.place, file.page.kind)) for file in files if file.page.slug}
    moving = {page.document.id for page in places.values() if page}
    owners = {}
    for file in files:
        here, there = places.get(file.key), by_key.get(file.key)
        elsewhere = there is not None and there is not here and there.document.id in moving
        owner = here if elsewhere or there is None else there
        if owner:
            owners[file.key] = owner
    return owners
