"""Bring a store to the newest schema; safe when several processes start at once, and whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from kb.errors import StoreError
from kb.store import MIGRATIONS

HEAD = "0001"  # the newest revision; a test holds it to the migrations


def check(engine: Engine, path: Path) -> None:
    """Refuse a store that is not of this version, without loading the migrations.

    Raises:
        StoreError: with what to do.
    """
    with engine.connect() as connection:
        found = _revision(connection)
    if found is None:
        raise StoreError(f"{path} is a database, but no library of Still Holds")
    if found < HEAD:
        raise StoreError(f"{path} was made by an older version: `stillholds init` upgrades it, and loses nothing")
    if found > HEAD:
        raise StoreError(
            f"{path} was made by a newer version of Still Holds (schema {found}, this is {HEAD}): update with `make env` or pip"
        )


def upgrade(engine: Engine, path: Path) -> None:
    """Upgrade to the newest revision inside one transaction that a second upgrader waits for.

    Raises:
        StoreError: when the store is newer than the code, or somebody else's database.
    """
    with engine.connect() as connection:
        found, tables = _revision(connection), inspect(connection).get_table_names()
    if found == HEAD:
        return
    if found is None and tables:
        raise StoreError(f"{path} is a database, but no library of Still Holds; choose another file")
    if found is not None and found > HEAD:
        check(engine, path)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _alone(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    with engine.execution_options(writes=True).connect() as connection:
        # Outside the transaction: SQLite ignores this pragma inside one, and a batch migration
        # drops the old table, which would delete its children.
        raw = connection.connection.driver_connection
        if raw is None:
            raise StoreError("the database closed its connection")
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("PRAGMA journal_mode=WAL")  # stays with the file; never set on a database that is not ours
        with connection.begin():
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise StoreError(
                    f"the upgrade would break {len(broken)} references, so nothing was changed: {broken[:3]}"
                )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
