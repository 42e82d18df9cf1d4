"""One at a time: what only one process may do on a library, whichever database keeps it. Whoever does it and dies, by
whatever death, leaves nothing behind that another would have to clear away.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError

from kb import postgres
from kb.store import Store, translated

LOCK, UNLOCK = sql("SELECT pg_try_advisory_lock(:number)"), sql("SELECT pg_advisory_unlock_all()")
LOCKS = {"pull": postgres.LOCK + 1}  # what is done, and its number among the advisory locks of a database


@contextmanager
def alone(store: Store, what: str) -> Iterator[bool]:
    """Do WHAT with nobody beside; False where somebody does it already.

    Raises:
        StoreError: when the library cannot be reached or written.
    """
    path = store.location.path
    with _beside(store, path, what) if path else _within(store, LOCKS[what]) as is_ours:
        yield is_ours


@contextmanager
def _beside(store: Store, path: Path, what: str) -> Iterator[bool]:
    """By a lock on a file beside the library, which the system lets go of when the process ends."""
    lock = FileLock(f"{path}.{what}")
    try:
        with translated(store.location):
            lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def _within(store: Store, number: int) -> Iterator[bool]:
    """By a lock of the server's, which it lets go of when the connection ends; it is not given back to the pool."""
    with translated(store.location):
        connection = store.engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    try:
        with translated(store.location):
            is_ours = bool(connection.execute(LOCK, {"number": number}).scalar_one())
        yield is_ours
    finally:
        with suppress(DBAPIError):  # a connection that was lost has let go of it
            connection.execute(UNLOCK)
        connection.invalidate()
        connection.close()
