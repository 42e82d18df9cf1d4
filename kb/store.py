"""The database: how it is opened, how it is read and written, and what its refusals mean.

SQLite in WAL mode, or PostgreSQL (`kb.postgres`). On SQLite a transaction that writes begins with BEGIN IMMEDIATE:
with a later lock two read-then-append transactions clash.
"""

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from kb import postgres
from kb.errors import StoreError
from kb.location import Location

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE_MS = 30_000  # how long a writer waits for another


class Store:
    """An open library. `reading` and `writing` are the only ways in; `engine` is for the queue's library, which has its
    own tables in the same database, and is good for as long as the store is kept.
    """

    def __init__(self, place: Path | Location, *, read_only: bool = False) -> None:
        self.location, self.read_only = Location.of(place), read_only
        self.engine = _engine(self.location, read_only=read_only)
        weakref.finalize(self, self.engine.dispose)  # a server's connections are closed with the last who uses them

    @property
    def path(self) -> Path:
        """The file of a library on SQLite.

        Raises:
            StoreError: when it lies on a server.
        """
        if self.location.path is None:
            raise StoreError(f"{self.location} is no file")
        return self.location.path

    @classmethod
    def open(cls, place: Path | Location, *, read_only: bool = False) -> "Store":
        """Open an existing library of this version.

        Raises:
            StoreError: when it is not there, not a library, or of another version.
        """
        from kb import migrate

        location = Location.of(place)
        if location.path and not location.path.is_file():
            raise StoreError(
                f"there is no library at {location}: `stillholds init` makes one, `stillholds import FOLDER` fills it"
            )
        store = cls(location, read_only=read_only)
        with translated(location):
            migrate.check(store.engine, location)
        return store

    @classmethod
    def create(cls, place: Path | Location) -> "Store":
        """Open the library at PLACE, made or upgraded where needed."""
        from kb import migrate

        location = Location.of(place)
        with translated(location):
            if location.path:
                location.path.parent.mkdir(parents=True, exist_ok=True)
            store = cls(location)
            migrate.upgrade(store.engine, location)
        return store

    @staticmethod
    def exists(place: Path | Location) -> bool:
        """Whether there is a library at PLACE, of whatever version."""
        from kb import migrate

        location = Location.of(place)
        if location.path:
            return location.path.exists()
        store = Store(location)
        with translated(location):
            return migrate.is_library(store.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one moment and changes nothing."""
        options = {} if self.location.path else postgres.READING
        with translated(self.location), Session(self.engine.execution_options(**options)) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction, which no other writer runs beside: committed as a whole at the end of the block, or not at
        all.
        """
        if self.read_only:
            raise StoreError(f"{self.location} was opened read-only")
        with (
            translated(self.location),
            Session(self.engine.execution_options(writes=True), expire_on_commit=False) as session,
        ):
            yield session
            session.commit()


@contextmanager
def translated(location: Location) -> Iterator[None]:
    """Say what a refusal of the database means.

    Raises:
        StoreError: in place of the driver's error.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error, PoolTimeout) as error:
        raise _refusal(error, location) from error
    except PermissionError as error:
        raise StoreError(f"{location} cannot be written: {error.strerror}") from error


def _refusal(error: Exception, location: Location) -> StoreError:
    if isinstance(error, DBAPIError) and location.path is None:
        said, (text, passing) = postgres.said(error), postgres.meaning(error)
    else:
        said = str(getattr(error, "orig", error))
        text, passing = next(
            (meaning for words, meaning in MEANINGS.items() if words in said), ("{place}: {said}", False)
        )
    return StoreError(text.format(place=location, said=said, patience=PATIENCE_MS // 1000), passing=passing)


# --- SQLite ----------------------------------------------------------------------------------------------------------

# By what SQLite, or the pool of connections, says. True: it may pass.
MEANINGS = {
    "readonly": ("{place} is read-only: give the file and its folder write permission, or use another store", False),
    "unable to open": ("{place} cannot be opened: is its folder there, and may you write in it?", False),
    "disk is full": ("the disk that holds {place} is full; nothing was changed. Make room and do it again", True),
    "disk I/O error": ("the disk that holds {place} refused to write; nothing was changed. Is it full?", True),
    "locked": (
        "{place} is busy: another process has been writing for {patience} s; nothing was changed. Do it again",
        True,
    ),
    "QueuePool limit": ("{place} is busy: this process has used up its connections. Do it again", True),
    "not a database": ("{place} is no SQLite file", False),
    "malformed": ("{place} is damaged: restore it from a copy", False),
}


def _engine(location: Location, *, read_only: bool) -> Engine:
    path = location.path
    if path is None:
        return postgres.engine(location.url, PATIENCE_MS, read_only=read_only)
    engine = create_engine("sqlite://", creator=lambda: _connect(path, read_only=read_only), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    mode = "rwc"
    if read_only:
        # Without write permission SQLite cannot keep the files beside a WAL store; nobody else can be writing then
        # either.
        mode = "ro" if _writable(path) else "ro&immutable=1"
    uri = f"{path.as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=PATIENCE_MS / 1000, check_same_thread=False
    )
    connection.text_factory = _text
    connection.execute("PRAGMA foreign_keys=ON")
    if not read_only:
        connection.execute("PRAGMA synchronous=FULL")  # a verdict that was reported must survive a power cut
    return connection


def _text(raw: bytes) -> str:
    """Text from the disk; a damaged byte shows as what it is, and hides nothing else."""
    return raw.decode(errors="replace")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
