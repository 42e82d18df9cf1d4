"""Copies of a library: whole while others write, proved before they have their name, and put back as a whole."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

from claims import backups, ledger, library, service
from claims.audit import audit
from claims.errors import CannotKeep
from kb.errors import StoreError
from kb.location import Location, location_from
from kb.models import Claim, Passage, Run, Task, Worker
from kb.search import Filters, search
from kb.store import Store
from tests.claims_support import NOW, all_endpoints, around, claim_page, written
from tests.claims_support import a_library as library_of
from tests.cli_support import stillholds, typed
from tests.kb_support import contents, dump, is_sound, small_disk
from tests.postgres_support import Server
from tests.queue_support import a_queue_library, a_worker, ask, trivial, wait_for

__all__ = ["trivial"]
COPY = "copy.db"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A library with one run that held."""
    made = library_of(tmp_path)
    a_run(made)
    return made


def a_run(store: Store) -> None:
    from claims import runs, verification
    from tests.claims_support import measurement

    (job,) = verification.plan(store, ["the-gap"], "standard", NOW)
    begun = runs.begin(store, job, NOW)
    runs.end(store, begun.id, measurement(all_endpoints(around(3.0, 0.1)), seed=begun.seed), NOW)


def heads(store: Store) -> dict[str, str]:
    with store.reading() as session:
        ids = session.exec(select(Claim.id)).all()
        return {one: last.digest for one in ids if (last := ledger.head(session, one))}


# --- making ----------------------------------------------------------------------------------------------------------


def test_a_copy_is_one_file_that_says_what_the_library_says(store: Store, tmp_path: Path) -> None:
    found = backups.make(store, tmp_path / COPY)
    assert (found, found.problems, found.verdicts) == (audit(store), (), 1)
    assert {path.name for path in tmp_path.iterdir() if COPY in path.name} == {COPY}
    copy = Store.open(tmp_path / COPY)
    assert contents(copy) == contents(store)
    assert is_sound(tmp_path / COPY)


def test_a_copy_that_is_there_is_replaced_only_on_demand(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    a_run(store)
    with pytest.raises(CannotKeep, match="is there already"):
        backups.make(store, tmp_path / COPY)
    with pytest.raises(CannotKeep, match="is the library itself"):
        backups.make(store, store.path, force=True)
    assert backups.compare(tmp_path / COPY, store).entries_only_in_library == 2
    assert backups.make(store, tmp_path / COPY, force=True).verdicts == 2
    assert not backups.compare(tmp_path / COPY, store).would_lose


def test_a_library_that_does_not_agree_with_itself_gives_no_copy(store: Store, tmp_path: Path) -> None:
    with store.writing() as session:
        session.connection().exec_driver_sql("UPDATE ledger_entry SET body = replace(body, 'HOLDS', 'REFUTED')")
    with pytest.raises(CannotKeep, match="is no good copy: claim the-gap, entry 3: it is not the entry"):
        backups.make(store, tmp_path / COPY)
    assert not list(tmp_path.glob(f"*{COPY}*"))


def test_a_disk_that_is_full_leaves_the_old_copy_and_nothing_else(store: Store, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        kept = disk / COPY
        backups.make(store, kept)
        before = kept.read_bytes()
        (disk / "ballast").write_bytes(b"b" * (2**20 - len(before) - 65536))
        with pytest.raises(StoreError, match=r"the disk that holds .* is full; nothing was changed") as caught:
            backups.make(store, kept, force=True)
        assert caught.value.passing
        assert kept.read_bytes() == before
        assert {path.name for path in disk.iterdir()} == {COPY, "ballast"}


@pytest.mark.slow
@pytest.mark.usefixtures("trivial")
def test_a_copy_made_while_a_worker_writes_is_a_moment_of_the_library(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [0.1] * 6)
    ask(store)
    made = []
    with a_worker(store, "--slots", "2") as worker:
        wait_for(lambda: audit(store).verdicts)
        while worker.poll() is None:
            made.append(backups.make(store, tmp_path / f"copy-{len(made)}.db"))
    assert made
    for number, found in enumerate(made):
        assert found.problems == ()
        assert backups.compare(tmp_path / f"copy-{number}.db", store).is_beginning
    assert audit(store).verdicts == 6


@pytest.mark.slow
@pytest.mark.usefixtures("trivial")
def test_what_was_under_way_waits_again_in_a_copy_and_is_made_there(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [2.0])
    ask(store)
    with a_worker(store, until_idle=False) as worker:
        wait_for(lambda: started(store))
        backups.make(store, tmp_path / COPY)
        copy = Store.open(tmp_path / COPY)
        with copy.reading() as session:
            assert session.exec(select(Task.state)).all() == ["queued"]
            assert session.exec(select(Worker)).all() == []
        with a_worker(copy) as other:  # while the first one lives
            assert other.wait(60) == 0
        assert worker.poll() is None
    found = audit(copy)
    assert (found.problems, found.verdicts) == ((), 1)


def started(store: Store) -> list[Run]:
    with store.reading() as session:
        return list(session.exec(select(Run).where(Run.state == "running", Run.done > 0)))


# --- proving ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_copy_is_refused_in_words(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    whole = (tmp_path / COPY).read_bytes()
    bad = tmp_path / "bad.db"
    for content, said in {
        b"honey" * 1000: "is no SQLite file",
        whole[: len(whole) // 2]: "is damaged",
        b"": "is a database, but no library",
    }.items():
        bad.write_bytes(content)
        with pytest.raises((StoreError, CannotKeep), match=said):
            backups.prove(bad)
        with pytest.raises((StoreError, CannotKeep), match=said):
            backups.restore(bad, store.location, NOW)
    with pytest.raises(StoreError, match="there is no file"):
        backups.compare(tmp_path / "none.db", store)
    assert audit(store).problems == ()


def test_a_copy_of_a_newer_version_says_so(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    with closing(sqlite3.connect(tmp_path / COPY)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreError, match="made by a newer version"):
        backups.restore(tmp_path / COPY, Location.of(tmp_path / "new.db"), NOW)
    assert not (tmp_path / "new.db").exists()


def test_one_byte_changed_in_a_copy_is_found(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    with closing(sqlite3.connect(tmp_path / COPY)) as connection:
        connection.execute("UPDATE measurement SET body = replace(body, '3.', '4.')")
        connection.commit()
    with pytest.raises(CannotKeep, match="is no good copy: measurement"):
        backups.prove(tmp_path / COPY)


# --- putting back ----------------------------------------------------------------------------------------------------


def test_a_copy_is_put_where_there_is_no_library(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    (tmp_path / "elsewhere").mkdir()
    place = Location.of(tmp_path / "elsewhere" / "library.db")
    backups.restore(tmp_path / COPY, place, NOW)
    assert contents(Store.open(place)) == contents(store)
    a_run(Store.open(place))  # it goes on as the library would have
    a_run(store)
    assert [one.units for one in units(Store.open(place))] == [one.units for one in units(store)]


def units(store: Store) -> list[ledger.VerdictGiven]:
    with store.reading() as session:
        chains = [ledger.entries(session, claim_id) for claim_id in session.exec(select(Claim.id))]
    return [entry.event for chain in chains for entry in chain if isinstance(entry.event, ledger.VerdictGiven)]


def test_a_library_that_has_more_is_not_overwritten_but_on_demand(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    before = heads(store)
    backups.restore(tmp_path / COPY, store.location, NOW)  # nothing would be lost
    a_run(store)
    after = heads(store)
    with pytest.raises(CannotKeep, match="has 2 entries and 0 versions of pages that"):
        backups.restore(tmp_path / COPY, store.location, NOW)
    assert heads(store) == after
    with store.reading() as reader:
        reader.exec(select(Claim.id)).all()
        backups.restore(tmp_path / COPY, store.location, NOW, force=True)
        assert {last.digest for one in reader.exec(select(Claim.id)) if (last := ledger.head(reader, one))} == set(
            after.values()
        )  # whoever reads goes on with what was there
    assert heads(store) == before
    assert audit(store).problems == ()


def test_pages_that_came_since_are_not_overwritten_either(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    page = tmp_path / "note.md"
    page.write_text("# A note\n\nThat came since.\n")
    library.bring_in(store, [page], NOW)
    with pytest.raises(CannotKeep, match="has 0 entries and 1 versions of pages"):
        backups.restore(tmp_path / COPY, store.location, NOW)


def test_what_is_put_back_is_found_by_its_words(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    page = claim_page(tmp_path / "more", "the-honey", None, documentary="it is a matter of taste")
    assert not library.bring_in(store, [page], NOW).refused
    backups.restore(tmp_path / COPY, store.location, NOW, force=True)
    with store.reading() as session:
        assert [hit.slug for hit in search(session, "the gap in words", None, Filters(), 5)] == ["the-gap"]
        assert search(session, "honey", None, Filters(), 5) == []


def test_while_a_worker_serves_a_library_nothing_takes_its_place(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    with service.alone(store), pytest.raises(CannotKeep, match=r"a worker serves .*: end it, and the app"):
        backups.restore(tmp_path / COPY, store.location, NOW)


def test_a_library_past_reading_is_replaced_on_demand(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    before = contents(store)
    place = store.location
    store.path.write_bytes(b"spoilt" * 1000)
    with pytest.raises(CannotKeep, match=r"is no SQLite file\. --force puts the copy in its place"):
        backups.restore(tmp_path / COPY, place, NOW)
    backups.restore(tmp_path / COPY, place, NOW, force=True)
    assert contents(Store.open(place)) == before


DYING = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from claims import backups
from kb.location import location_from

def die(_connection, _cursor, statement, *_):
    if statement.startswith("INSERT INTO ledger_entry"):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "before_cursor_execute", die)
backups.restore(Path(sys.argv[1]), location_from(sys.argv[2], {}), datetime.now(UTC), force=True)
"""


def test_a_restore_that_is_killed_changes_nothing(store: Store, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    a_run(store)
    before = dump(store.path)
    done = subprocess.run([sys.executable, "-c", DYING, tmp_path / COPY, store.path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert dump(store.path) == before


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_a_copy_goes_from_one_engine_to_the_other_and_back(store: Store, postgres: Server, tmp_path: Path) -> None:
    backups.make(store, tmp_path / COPY)
    there = location_from(postgres.fresh(), {})
    backups.restore(tmp_path / COPY, there, NOW)
    on_server = Store.open(there)
    assert contents(on_server) == contents(store)
    assert audit(on_server) == audit(store)
    page = claim_page(tmp_path / "more", "the-honey", written())
    assert not library.bring_in(on_server, [page], NOW).refused  # passages go on being numbered
    with pytest.raises(CannotKeep, match="has 1 entries and 1 versions"):
        backups.restore(tmp_path / COPY, there, NOW)
    found = backups.make(on_server, tmp_path / "back.db")
    assert found == audit(on_server)
    assert contents(Store.open(tmp_path / "back.db")) == contents(on_server)
    assert not backups.compare(tmp_path / "back.db", on_server).would_lose
    with Store.open(tmp_path / "back.db").reading() as session:
        assert session.exec(select(Passage.rowid)).all()


# --- the commands ----------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did_and_what_a_copy_is(store: Store, tmp_path: Path) -> None:
    done = stillholds("backup", tmp_path / COPY, "--json", store=store.path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["head"] == audit(store).head
    a_run(store)
    checked = typed("restore", tmp_path / COPY, "--check", store=store.path)
    assert "1 claims, 3 entries, 1 verdicts" in checked.stdout
    assert "the beginning of the library, which has had 2 entries" in " ".join(checked.stdout.split())
    refused = typed("restore", tmp_path / COPY, store=store.path)
    assert refused.returncode == 1
    assert "make a copy of it first" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert stillholds("restore", tmp_path / COPY, "--force", store=store.path).returncode == 0
    assert "It is the library as it stands." in typed("backup", tmp_path / COPY, "--check", store=store.path).stdout
