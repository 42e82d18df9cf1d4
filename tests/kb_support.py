"""What the tests of kb share: a clock, our own pages, stores, dumps of them, a toy embedder, and other processes."""

import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from sqlmodel import Session, select

from claims.library import bring_in as _bring_in
from kb.catalog import Sheet
from kb.importer import Report
from kb.models import DocumentVersion, Entity, EntityKey, Link, Passage, SlugRedirect
from kb.read import find
from kb.reconcile import DETAILS
from kb.sources import inquiry, markdown
from kb.sources.files import read_page
from kb.sources.page import Page
from kb.store import Store
from kb.types import Matrix

ROOT = Path(__file__).parents[1]
PAGES = Path(__file__).parent / "pages"
SEEDS = ROOT.parent / "shared" / "seeds"
NO_SEEDS = "the five seed pages are not here (../shared/seeds)"

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=1)

# Hypothesis with the same examples everywhere, no clock, and no folder of its own.
reproducible = settings(derandomize=True, deadline=None, database=None)


def versions_of(session: Session, version_id: str | None) -> list[DocumentVersion]:
    """All versions of the page that a version belongs to, newest first."""
    version = session.get_one(DocumentVersion, version_id)
    mine = select(DocumentVersion).where(DocumentVersion.document_id == version.document_id)
    return sorted(session.exec(mine), key=lambda row: -row.number)


# --- pages -----------------------------------------------------------------------------------------------------------


def page_paths() -> list[Path]:
    """Our own inquiry pages."""
    return sorted(PAGES.glob("*.txt"))


def seed_paths() -> list[Path]:
    """The real ones."""
    return sorted(SEEDS.glob("*.txt"))


def text_of(name: str) -> str:
    return (PAGES / name).read_text()


def page_of(name: str) -> Page:
    return inquiry.read(text_of(name))


def md(text: str, path: str = "notes/a-page.md") -> Page:
    """Read Markdown as if it stood at PATH."""
    return markdown.read(text, Path(path))


def sheet(page: Page) -> Sheet:
    key = f"{page.kind}:{page.title}"
    return Sheet(version_id=f"version of {key}", key=key, page=page)


def sheets_of(paths: Iterable[Path]) -> list[Sheet]:
    return [sheet(read_page(path, path.read_text())[0]) for path in paths]


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# --- stores ----------------------------------------------------------------------------------------------------------


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return Store.create(Path(folder) / "library.db").path.read_bytes()


def new_store(folder: Path, name: str = "library.db") -> Store:
    """An empty library in FOLDER; the migrations run once for all tests."""
    return Store(write(folder / name, _empty()))


def filled(folder: Path, *paths: Path) -> Store:
    """A library with the pages at PATHS, or with our own ones."""
    store = new_store(folder)
    report = bring_in(store, *(paths or page_paths()))
    assert report.refused == []
    return store


def vault(folder: Path, **pages: str) -> Store:
    """A library of Markdown pages, named by their paths with `__` for `/`."""
    paths = [write(folder / "vault" / f"{name.replace('__', '/')}.md", text) for name, text in pages.items()]
    return filled(folder, *paths)


def bring_in(store: Store, *paths: Path, now: datetime = NOON) -> Report:
    """Import as the command does."""
    return _bring_in(store, list(paths), now)


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as the file has it."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(connection.execute(f'SELECT * FROM "{table}"'), key=repr) for table in tables}


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file, and no reference leads nowhere."""
    with closing(sqlite3.connect(path)) as connection:
        checked = connection.execute("PRAGMA integrity_check").fetchall()
        return checked == [("ok",)] and connection.execute("PRAGMA foreign_key_check").fetchall() == []


def contents(store: Store) -> dict[str, Any]:
    """What a library says, without the ids and times that differ from one library to the next."""
    with store.reading() as session:
        slugs = {row.id: row.slug for row in session.exec(select(Entity))}
        return {
            "entities": {
                row.slug: (row.kind, row.title, row.short, row.is_stub) for row in session.exec(select(Entity))
            },
            "details": {
                slugs[row.id]: row.model_dump(exclude={"id"})
                for table in DETAILS.values()
                for row in session.exec(select(table))
            },
            "keys": {row.key: slugs[row.entity_id] for row in session.exec(select(EntityKey))},
            "redirects": {row.slug: slugs[row.entity_id] for row in session.exec(select(SlugRedirect))},
            "links": sorted((_link(row, slugs) for row in session.exec(select(Link))), key=repr),
            "passages": sorted((slugs[row.entity_id], row.ordinal, row.text) for row in session.exec(select(Passage))),
        }


def _link(row: Link, slugs: dict[str, str]) -> tuple[Any, ...]:
    ends = (slugs[row.source_id], slugs[row.target_id], slugs[row.stands_in] if row.stands_in else None)
    values = row.model_dump(exclude={"id", "source_id", "target_id", "stands_in", "version_id", "created_at"})
    return (*ends, tuple(values.items()))


def entity(session: Session, slug: str) -> Entity:
    """The entry whose slug begins so; there must be one alone."""
    named = [row for row in session.exec(select(Entity)) if row.slug.startswith(slug)]
    return find(session, slug) if len(named) != 1 else named[0]


def titles(store: Store, kind: str) -> list[str]:
    with store.reading() as session:
        return sorted(session.exec(select(Entity.title).where(Entity.kind == kind)))


def links_between(store: Store, source: str, target: str) -> list[Link]:
    """All links from one entry to another, by the beginnings of their slugs."""
    with store.reading() as session:
        ends = (entity(session, source).id, entity(session, target).id)
        query = select(Link).where(Link.source_id == ends[0], Link.target_id == ends[1])
        return list(session.exec(query.order_by(Link.position)))


# --- a toy embedder --------------------------------------------------------------------------------------------------


class BagOfWords:
    """Hashed word counts as unit vectors: texts are near when they share words, or words that SAME calls one."""

    model = "bag-of-words"

    def __init__(self, same: dict[str, str] | None = None) -> None:
        self.same = same or {}
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Matrix:
        self.encoded += texts
        return np.stack([self._vector(text) for text in texts])

    def tuned(self, adapter: Path) -> "BagOfWords":
        """The same: it has no weights to be changed."""
        return self

    def _vector(self, text: str) -> Matrix:
        vector = np.zeros(512, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(self.same.get(word, word).encode()).digest()
            vector[int.from_bytes(digest[:4], "big") % vector.size] += 1
        return vector / (np.linalg.norm(vector) or 1)


def quiet(_done: int, _total: int) -> None:
    """Nobody watches the progress of a test."""


# --- a disk that is small --------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str):
    """A file system of its own, where this machine lets us make one."""
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if not done or done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path, leaving: int) -> None:
    """Fill the disk that PATH lies on."""
    free = shutil.disk_usage(path.parent).free
    path.write_bytes(b"b" * (free - leaving))


# --- time and other processes ----------------------------------------------------------------------------------------


@contextmanager
def watchdog(seconds: int = 30) -> Iterator[None]:
    """End a test that would hang; it is no measure of speed."""

    def bark(_signal: int, _frame: Any) -> None:
        raise TimeoutError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# A server that starts once, with the heavy imports done, and forks a child a call.
_FORKS = multiprocessing.get_context("forkserver")
_PRELOADED = [
    *("alembic.command", "alembic.config", "claims.library", "kb.migrate", "tests.kb_support"),
    *("arxiv", "tests.pull_support"),
]


def in_children(task: Callable[..., Any], *calls: tuple[Any, ...]) -> list[tuple[int, Any]]:
    """Run TASK in one process for each of CALLS, all starting at once: exit codes, and what was returned or raised."""
    _FORKS.set_forkserver_preload(_PRELOADED)
    start = _FORKS.Barrier(len(calls))
    running = []
    for call in calls:
        here, there = _FORKS.Pipe(duplex=False)
        process = _FORKS.Process(target=_child, args=(task, call, start, there))
        process.start()
        there.close()
        running.append((process, here))
    return [_outcome(process, here) for process, here in running]


def _outcome(process: Any, here: Any) -> tuple[int, Any]:
    with here:
        try:
            said = here.recv()
        except EOFError:
            said = None  # it died before it could say anything
    process.join()
    code = process.exitcode
    process.close()
    return code, said


def _child(task: Callable[..., Any], call: tuple[Any, ...], start: Any, there: Any) -> None:
    start.wait()
    try:
        said = task(*call)
    except Exception as error:  # noqa: BLE001  whatever it was, the parent is told
        there.send(f"{type(error).__name__}: {error}")
        os._exit(1)
    there.send(said)


def become_nobody() -> None:
    """Give up the rights of root, for which no file is read-only."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
