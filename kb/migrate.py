"""Bring a store to the newest schema; safe when several processes start at once, and whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from sqlalchemy import Connection, Engine, inspect, text

from kb import postgres
from kb.errors import StoreError
from kb.location import Location
from kb.store import MIGRATIONS, PATIENCE_MS

HEAD = "0005"  # the newest revision; a test holds it to the migrations


def check(engine: Engine, location: Location) -> None:
    """Refuse a store that is not of this version, without loading the migrations.

    Raises:
        StoreError: with what to do.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found is None and location.path is None:
        raise StoreError(f"there is no library at {location}: `stillholds init` makes one in an empty database")
    if found is None:
        raise StoreError(f"{location} is a database, but no library of Still Holds")
    if found < HEAD:
        raise StoreError(f"{location} was made by an older version: `stillholds init` upgrades it, and loses nothing")
    if found > HEAD:
        raise StoreError(
            f"{location} was made by a newer version of Still Holds (schema {found}, this is {HEAD}): update with `make env` or pip"
        )


def is_library(engine: Engine) -> bool:
    """Whether the database of ENGINE holds a library, of whatever version."""
    with engine.connect() as connection:
        return _revision(connection) is not None


def upgrade(engine: Engine, location: Location) -> None:
    """Upgrade to the newest revision inside one transaction that a second upgrader waits for.

    Raises:
        StoreError: when the store is newer than the code, or somebody else's database.
    """
    with _one_moment(engine).connect() as connection:
        found, tables = _revision(connection), inspect(connection).get_table_names()
    if found == HEAD:
        return
    if found is None and tables:
        raise StoreError(f"{location} is a database, but no library of Still Holds; choose another place")
    if found is not None and found > HEAD:
        check(engine, location)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _alone(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _one_moment(engine: Engine) -> Engine:
    """On SQLite every transaction sees one moment; on PostgreSQL one must ask for it, else two that create the same
    library take each other's tables for somebody else's.
    """
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(**postgres.READING)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that nobody writes beside."""
    with engine.execution_options(writes=True).connect() as connection:
        if engine.dialect.name == "sqlite":
            with _without_foreign_keys(connection):
                yield connection
        else:
            with connection.begin():
                postgres.prepare_upgrade(connection)
                yield connection


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    # Outside the transaction: SQLite ignores this pragma inside one, and a batch migration
    # drops the old table, which would delete its children.
    raw = connection.connection.driver_connection
    if raw is None:
        raise StoreError("the database closed its connection")
    raw.execute("PRAGMA foreign_keys=OFF")
    _keep_a_log(raw)
    with connection.begin():
        yield
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise StoreError(f"the upgrade would break {len(broken)} references, so nothing was changed: {broken[:3]}")


def _keep_a_log(raw: sqlite3.Connection) -> None:
    """Switch to WAL mode, which stays with the file; never done to a database that is not ours.

    Beside somebody who writes, SQLite refuses this at once, without the patience that it has everywhere else.
    """
    until = monotonic() + PATIENCE_MS / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as refused:
            if refused.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(0.05)
        else:
            return


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
