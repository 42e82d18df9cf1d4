"""The database: where it is, how it is opened, and what its refusals mean.

SQLite in WAL mode. A transaction that writes begins with BEGIN IMMEDIATE: with a later lock two read-then-append
transactions clash.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from kb.errors import StoreError

VARIABLE = "STILLHOLDS_STORE"
DEFAULT = "library.db"
MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE_MS = 30_000  # how long a writer waits for another


def path_from(option: str | None, environment: Mapping[str, str]) -> Path:
    """The database file that was asked for: an option, else STILLHOLDS_STORE, else ./library.db; as a path or a
    sqlite:/// address.

    Raises:
        StoreError: for an address of another kind.
    """
    said = option or environment.get(VARIABLE) or DEFAULT
    if "://" not in said:
        return Path(said).expanduser().absolute()
    try:
        url = make_url(said)
    except Exception as error:
        raise StoreError(f"{said!r} is no address of a store: use sqlite:///PATH or a path") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StoreError(f"{said!r}: only SQLite stores work in this version; use sqlite:///PATH or a path")
    return Path(url.database).expanduser().absolute()


class Store:
    """An open library. `reading` and `writing` are the only ways in."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        self.engine = _engine(path, read_only=read_only)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> "Store":
        """Open an existing library of this version.

        Raises:
            StoreError: when it is not there, not a library, or of another version.
        """
        from kb import migrate

        if not path.is_file():
            raise StoreError(
                f"there is no library at {path}: `stillholds init` makes one, `stillholds import FOLDER` fills it"
            )
        store = cls(path, read_only=read_only)
        with translated(path):
            migrate.check(store.engine, path)
        return store

    @classmethod
    def create(cls, path: Path) -> "Store":
        """Open the library at PATH, made or upgraded where needed."""
        from kb import migrate

        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            store = cls(path)
            migrate.upgrade(store.engine, path)
        return store

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one moment and changes nothing."""
        with translated(self.path), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: committed as a whole at the end of the block, or not at all."""
        if self.read_only:
            raise StoreError(f"{self.path} was opened read-only")
        with (
            translated(self.path),
            Session(self.engine.execution_options(writes=True), expire_on_commit=False) as session,
        ):
            yield session
            session.commit()


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say what a refusal of the database means.

    Raises:
        StoreError: in place of the driver's error.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise StoreError(_meaning(str(getattr(error, "orig", error)), path)) from error
    except PermissionError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def _meaning(said: str, path: Path) -> str:
    known = {
        "readonly": f"{path} is read-only: give the file and its folder write permission, or use another store",
        "unable to open": f"{path} cannot be opened: is its folder there, and may you write in it?",
        "disk is full": f"the disk that holds {path} is full; nothing was changed. Make room and do it again",
        "disk I/O error": f"the disk that holds {path} refused to write; nothing was changed. Is it full?",
        "locked": f"{path} is busy: another process has been writing for {PATIENCE_MS // 1000} s; nothing was changed. Do it again",
        "not a database": f"{path} is no SQLite file",
        "malformed": f"{path} is damaged: restore it from a copy",
    }
    return next((meaning for words, meaning in known.items() if words in said), f"{path}: {said}")


def _engine(path: Path, *, read_only: bool) -> Engine:
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
