"""Copies of a library: one file of SQLite each, whatever engine the library lies on, made while others write, and put
back in one transaction.

A copy holds our own tables of one moment. What only living processes mean is not in it: no worker is enlisted, what was
under way waits again. The queue's own tables are in a copy of a file and not in one of a server; losing them costs
nothing.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, text
from sqlmodel import Session

from kb import migrate
from kb.errors import StoreError
from kb.location import Location
from kb.models import Table
from kb.store import Store, translated

ROWS = 1000  # that are carried over at once
SETTLE = (
    "DELETE FROM worker",
    "UPDATE task SET state = 'queued', worker = NULL WHERE state = 'running'",
    "UPDATE run SET pid = 0 WHERE state = 'running'",  # the number of no process
)


def write_copy(store: Store, file: Path) -> None:
    """Write what STORE holds now into FILE, which is not there yet, and see it safely on the disk.

    Raises:
        StoreError: when there is no room, or no way to write there.
    """
    with translated(Location.of(file)):
        if store.location.path is None:
            _carry_over(store, file)
        else:
            _copy_file(store.location.path, file)
        _settle(file)
    _sync(file)


def _copy_file(path: Path, file: Path) -> None:
    """All pages in one step: a reader of a WAL store stops no writer, and sees one moment."""
    with closing(_reader(path)) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def _carry_over(store: Store, file: Path) -> None:
    copy = Store.create(file)
    with store.reading() as source, copy.writing() as target:
        load(source, target)


def _settle(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in SETTLE:
            connection.execute(statement)
        connection.commit()
        connection.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it


def load(source: Session, target: Session) -> None:
    """Put what SOURCE holds in place of all that TARGET holds, inside the caller's transaction."""
    there = target.connection()
    for table in reversed(Table.metadata.sorted_tables):
        there.execute(table.delete())
    for table in Table.metadata.sorted_tables:
        for rows in source.connection().execute(table.select()).partitions(ROWS):
            there.execute(table.insert(), [dict(row._mapping) for row in rows])
    _count_on(there)


def _count_on(connection: Connection) -> None:
    """Let the numbers that PostgreSQL gives to passages go on where they are."""
    if connection.dialect.name == "postgresql":
        newest = "(SELECT coalesce(max(rowid), 0) + 1 FROM passage)"
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('passage', 'rowid'), {newest}, false)"))


def new_file(copy: Path, path: Path) -> None:
    """Make a library at PATH that is what COPY is, in one step; what lay there is gone."""
    with partial(path) as unfinished, translated(Location.of(path)):
        _copy_file(copy, unfinished)
        with closing(sqlite3.connect(unfinished)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        _sync(unfinished)
        for beside in ("-wal", "-shm"):  # of the one that lay there: they mean nothing to another file
            Path(f"{path}{beside}").unlink(missing_ok=True)


@contextlib.contextmanager
def partial(file: Path) -> Iterator[Path]:
    """A name to write under, which becomes FILE at the end of the block; nothing is left when that fails.

    Raises:
        StoreError: when nothing can be written there.
    """
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(OSError):
                Path(f"{unfinished}{ending}").unlink(missing_ok=True)


def unsound(file: Path) -> str:
    """What SQLite finds wrong with a file, or nothing."""
    with translated(Location.of(file)), closing(_reader(file)) as connection:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            return f"it is damaged: {said}"
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        return f"{len(broken)} references lead nowhere" if broken else ""


def is_older(file: Path) -> bool:
    """Whether a file is a library of an older version than this."""
    with translated(Location.of(file)), closing(_reader(file)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return False
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return found is not None and found[0] < migrate.HEAD


def _sync(path: Path) -> None:
    """Wait until what was written is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
