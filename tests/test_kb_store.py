"""The database file: what is opened and what is refused, read-only and full, many writers, and migrations."""

import os
import re
import shutil
import sqlite3
import tempfile
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeDecorator
from sqlmodel import select

from kb import migrate
from kb.errors import StoreError
from kb.location import Location, location_from
from kb.models import Document, Entity, Table
from kb.store import MIGRATIONS, Store
from kb.types import Float32Vector, Json, UtcDateTime
from tests.kb_support import (
    NOON,
    PAGES,
    become_nobody,
    bring_in,
    contents,
    dump,
    fill,
    filled,
    in_children,
    is_sound,
    new_store,
    reproducible,
    small_disk,
    write,
)

# --- where it is -----------------------------------------------------------------------------------------------------


def test_the_option_comes_before_the_variable_and_the_variable_before_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variable = {"STILLHOLDS_STORE": "there.db"}
    assert location_from("here.db", variable).path == tmp_path / "here.db"
    assert location_from(None, variable).path == tmp_path / "there.db"
    assert location_from(None, {}).path == tmp_path / "library.db"


@pytest.mark.parametrize(
    ("address", "path"),
    [("sqlite:////srv/bees.db", "/srv/bees.db"), ("sqlite:///bees.db", "bees.db"), ("~/bees.db", "~/bees.db")],
)
def test_an_address_is_a_path_too(address, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/keeper")
    assert location_from(address, {}).path == tmp_path / path.replace("~", "/home/keeper")


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "100%20.db", "a#b.db", "é.db"])
def test_a_location_hands_itself_on_as_an_address(name, tmp_path):
    location = Location.of(tmp_path / name)
    assert location_from(location.url, {}) == location
    assert str(location) == str(tmp_path / name)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://localhost/bees",
        "sqlite://",
        "postgresql+asyncpg://localhost/bees",
        "postgresql://localhost",
        "postgresql://localhost:port/bees",
        "://",
        "not a name://bees",
        "nothing-known://bees",
    ],
)
def test_what_is_no_address_of_a_store_is_refused(address):
    with pytest.raises(StoreError, match=f"{re.escape(repr(address))} is no address of a store: use a path, sqlite"):
        location_from(address, {})


# --- what is opened --------------------------------------------------------------------------------------------------


def test_a_missing_store_is_not_made_by_opening_it(tmp_path):
    with pytest.raises(StoreError, match=r"there is no library at .*missing.db: `stillholds init` makes one"):
        Store.open(tmp_path / "missing.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="there is no library"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.create(tmp_path)


def foreign(path: Path) -> Path:
    """Somebody else's database."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE honey (jars)")
        connection.execute("INSERT INTO honey VALUES (12)")
        connection.commit()
    return path


@pytest.mark.parametrize("way", [Store.open, Store.create])
def test_a_database_that_is_no_library_is_refused_and_not_touched(way, tmp_path):
    path = foreign(tmp_path / "honey.db")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is a database, but no library of Still Holds"):
        way(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["honey.db"]


@pytest.mark.parametrize("way", [Store.open, Store.create])
def test_a_text_file_is_refused_and_not_touched(way, tmp_path):
    path = write(tmp_path / "notes.db", "Bees rest in bouts.\n" * 100)
    with pytest.raises(StoreError, match=r"notes.db is no SQLite file"):
        way(path)
    assert path.read_text() == "Bees rest in bouts.\n" * 100


def test_an_empty_file_becomes_a_library(tmp_path):
    path = write(tmp_path / "empty.db", "")
    Store.create(path)
    assert Store.open(path).path == path


def test_a_library_is_made_with_the_folders_above_it(tmp_path):
    path = tmp_path / "a" / "b" / "library.db"
    Store.create(path)
    Store.create(path)
    with Store.open(path).reading() as session:
        assert session.exec(select(Entity)).all() == []


def test_a_damaged_store_is_called_damaged(tmp_path):
    store = filled(tmp_path)
    raw = bytearray(store.path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    store.path.write_bytes(raw)
    with pytest.raises(StoreError, match="is damaged: restore it from a copy"), store.reading() as session:
        session.exec(select(Entity)).all()


def set_revision(store: Store, revision: str) -> None:
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path):
    store = filled(tmp_path)
    set_revision(store, "9999")
    before = dump(store.path)
    for way in (Store.open, Store.create):
        with pytest.raises(
            StoreError, match=r"made by a newer version of Still Holds \(schema 9999, this is \d+\): update"
        ):
            way(store.path)
    assert dump(store.path) == before


def test_a_store_of_an_older_version_says_how_to_upgrade_it(tmp_path):
    store = new_store(tmp_path)
    set_revision(store, "0000")
    with pytest.raises(StoreError, match="made by an older version: `stillholds init` upgrades it, and loses nothing"):
        Store.open(store.path)


def test_a_store_without_a_revision_is_no_library(tmp_path):
    store = new_store(tmp_path)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.commit()
    with pytest.raises(StoreError, match="no library of Still Holds"):
        Store.open(store.path)


# --- read-only -------------------------------------------------------------------------------------------------------


def test_a_store_that_was_opened_read_only_reads_and_never_writes(tmp_path):
    filled(tmp_path)
    store = Store.open(tmp_path / "library.db", read_only=True)
    before = dump(store.path)
    assert len(contents(store)["entities"]) == 34
    with pytest.raises(StoreError, match="was opened read-only"), store.writing():
        pass
    with pytest.raises(StoreError, match="is read-only"), store.reading() as session:
        session.connection().exec_driver_sql("DELETE FROM link")
    assert dump(store.path) == before


@contextmanager
def protected(file_mode: int, folder_mode: int):
    """A filled library whose file and folder have these permissions, where anybody can get at it."""
    folder = Path(tempfile.mkdtemp(prefix="stillholds-protected-"))
    try:
        path = filled(folder).path
        write(folder / "new.md", "# New\n\nText.")
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        yield path
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def read_without_rights(path: Path) -> int:
    """Run in a child."""
    become_nobody()
    return len(contents(Store.open(path, read_only=True))["entities"])


def write_without_rights(path: Path) -> None:
    """Run in a child."""
    become_nobody()
    bring_in(Store.open(path), path.parent / "new.md")


NO_RIGHTS = [(0o444, 0o555), (0o644, 0o555), (0o444, 0o755)]
NAMES = ["both", "folder", "file"]


@pytest.mark.parametrize(("file_mode", "folder_mode"), NO_RIGHTS, ids=NAMES)
def test_a_library_on_a_read_only_disk_can_be_read(file_mode, folder_mode):
    with protected(file_mode, folder_mode) as path:
        assert in_children(read_without_rights, (path,)) == [(0, 34)]


@pytest.mark.parametrize(("file_mode", "folder_mode"), NO_RIGHTS, ids=NAMES)
def test_writing_to_a_read_only_library_is_refused_with_what_to_do(file_mode, folder_mode):
    with protected(file_mode, folder_mode) as path:
        before = path.read_bytes()
        ((code, said),) = in_children(write_without_rights, (path,))
        assert code == 1
        assert re.match(r"StoreError: \S+library.db (is read-only: give|cannot be opened: is|cannot be written)", said)
        assert path.read_bytes() == before


def create_without_rights(path: Path) -> None:
    """Run in a child."""
    become_nobody()
    Store.create(path)


def test_a_library_in_a_read_only_folder_is_not_made():
    with protected(0o644, 0o555) as path:
        for there in (path.parent / "other.db", path.parent / "deeper" / "other.db"):
            ((code, said),) = in_children(create_without_rights, (there,))
            assert code == 1
            assert re.match(r"StoreError: \S+other.db cannot be (opened|written)", said)


# --- a full disk -----------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_grow_says_that_the_disk_is_full_and_changes_nothing(tmp_path):
    store = filled(tmp_path, PAGES / "line_warmth.txt")
    before = dump(store.path)
    pages = store.path.stat().st_size // 4096

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 1}")

    event.listen(store.engine, "connect", limit)
    with pytest.raises(StoreError, match=r"the disk that holds .*library\.db is full; nothing was changed"):
        bring_in(store, PAGES)
    assert is_sound(store.path)
    assert dump(store.path) == before
    event.remove(store.engine, "connect", limit)
    assert bring_in(store, PAGES).refused == []


def test_a_full_disk_is_called_full_and_nothing_is_lost(tmp_path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = filled(disk, PAGES / "line_warmth.txt")
        before = dump(store.path)
        ballast = disk / "ballast"
        fill(ballast, leaving=80_000)
        with pytest.raises(StoreError, match=r"the disk that holds .*; nothing was changed"):
            bring_in(store, PAGES)
        ballast.unlink()
        assert is_sound(store.path)
        assert dump(store.path) == before
        assert bring_in(store, PAGES).refused == []


# --- many at once ----------------------------------------------------------------------------------------------------


def add_document(store: Store, key: str) -> None:
    with store.writing() as session:
        known = len(session.exec(select(Document)).all())
        session.add(Document(key=key, source=str(known), created_at=NOON))


def test_writers_wait_for_each_other_and_each_sees_what_the_one_before_wrote(tmp_path):
    store = new_store(tmp_path)
    writers = [threading.Thread(target=add_document, args=(store, f"note:{number}")) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with store.reading() as session:
        assert sorted(int(row.source) for row in session.exec(select(Document))) == list(range(12))


def test_a_reader_sees_one_moment_while_another_writes(tmp_path):
    store = filled(tmp_path)
    with store.reading() as session:
        before = len(session.exec(select(Entity)).all())
        bring_in(store, write(tmp_path / "new.md", "# New\n\nText."))
        assert len(session.exec(select(Entity)).all()) == before
    with store.reading() as session:
        assert len(session.exec(select(Entity)).all()) == before + 1


def test_what_is_raised_inside_a_transaction_undoes_all_of_it(tmp_path):
    store = new_store(tmp_path)
    before = dump(store.path)
    with pytest.raises(KeyError, match="stop"):
        add_document_and_stop(store)
    assert dump(store.path) == before


def add_document_and_stop(store: Store) -> None:
    with store.writing() as session:
        session.add(Document(key="note:a", source="a", created_at=NOON))
        session.flush()
        raise KeyError("stop")


def test_references_are_enforced(tmp_path):
    store = filled(tmp_path)
    with pytest.raises(StoreError, match="FOREIGN KEY constraint failed"), store.writing() as session:
        session.delete(session.exec(select(Entity).where(Entity.kind == "note")).first())


# --- column types ----------------------------------------------------------------------------------------------------


def test_a_time_without_a_zone_is_refused(tmp_path):
    store = new_store(tmp_path)
    with pytest.raises(StatementError, match="has no time zone: pass an aware time"), store.writing() as session:
        session.add(Document(key="note:a", source="a", created_at=datetime(2026, 1, 1)))


zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=9))])


@reproducible
@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=zones))
def test_every_aware_time_comes_back_as_the_same_moment_in_utc(moment):
    column = UtcDateTime()
    kept = column.process_bind_param(moment, None).replace(tzinfo=None)  # as SQLite hands it back
    again = column.process_result_value(kept, None)
    assert again == moment
    assert again.utcoffset() == timedelta(0)


@reproducible
@given(st.lists(st.floats(width=32, allow_nan=False), max_size=50))
def test_every_vector_comes_back(values):
    column = Float32Vector()
    assert column.process_result_value(column.process_bind_param(values, None), None).tolist() == values


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@reproducible
@given(plain_data)
def test_all_plain_data_comes_back(value):
    column = Json()
    assert column.process_result_value(column.process_bind_param(value, None), None) == value


@pytest.mark.parametrize("column", [UtcDateTime(), Float32Vector(), Json()], ids=lambda column: type(column).__name__)
def test_nothing_stays_nothing(column: TypeDecorator):
    assert column.process_bind_param(None, None) is None
    assert column.process_result_value(None, None) is None


# --- migrations ------------------------------------------------------------------------------------------------------


def test_head_is_the_newest_revision_and_there_is_one_history():
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert scripts.get_heads() == [migrate.HEAD]
    files = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("*.py"))
    assert files == [revision.revision for revision in reversed([*scripts.walk_revisions()])]


def ours(_item: object, _name: str | None, kind: str, reflected: bool, other: object) -> bool:
    """As kb.migrations.env: the full-text tables are in the file and not in our models."""
    return not (kind == "table" and reflected and other is None)


def test_a_fresh_store_is_what_the_models_say(tmp_path):
    store = Store.create(tmp_path / "fresh.db")
    options = {"include_object": ours, "compare_type": True, "render_as_batch": True}
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata) == []


def test_the_tables_that_are_not_ours_are_the_full_text_index(tmp_path):
    tables = set(dump(Store.create(tmp_path / "fresh.db").path)) - set(Table.metadata.tables)
    assert {name for name in tables if not name.startswith("passage_text")} == {"alembic_version"}
    assert "passage_text" in tables


def test_an_upgrade_of_an_up_to_date_library_changes_nothing(tmp_path):
    store = filled(tmp_path)
    before = dump(store.path)
    Store.create(store.path)
    assert dump(store.path) == before


def create(path: Path) -> str:
    """Run in a child."""
    with Store.create(path).reading() as session:
        return str(len(session.exec(select(Entity)).all()))


def test_six_processes_that_upgrade_at_once_all_succeed(tmp_path):
    path = tmp_path / "new.db"
    assert in_children(create, *[(path,)] * 6) == [(0, "0")] * 6
    assert is_sound(path)
    assert dump(path)["alembic_version"] == [(migrate.HEAD,)]


def test_an_upgrade_waits_for_one_who_writes_before_the_log_is_kept(tmp_path):
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.5, other.rollback)
        done.start()
        Store.create(path)
        done.join()
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert dump(path)["alembic_version"] == [(migrate.HEAD,)]


def upgrade_and_die(path: Path) -> None:
    """Run in a child: killed before the third table is made."""
    import signal

    store = Store(path)
    made = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        made.extend([statement] if "CREATE TABLE" in statement else [])
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.engine, "before_cursor_execute", count)
    migrate.upgrade(store.engine, path)


def test_an_upgrade_that_is_killed_leaves_nothing_half_made(tmp_path):
    path = tmp_path / "new.db"
    ((code, _),) = in_children(upgrade_and_die, (path,))
    assert code == -9
    assert dump(path) == {}
    Store.create(path)
    assert is_sound(path)


def test_a_message_from_sqlite_that_nobody_foresaw_is_passed_on(tmp_path):
    store = new_store(tmp_path)
    with pytest.raises(StoreError, match=r"library.db: no such table: honey"), store.reading() as session:
        session.connection().exec_driver_sql("SELECT * FROM honey")
