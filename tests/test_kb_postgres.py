"""A library on PostgreSQL: the same as on SQLite in what it says, finds and refuses; and what only a server can do."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData
from sqlmodel import Session, select

from claims import ledger, library, runs, verification
from claims.audit import audit
from claims.history import refresh
from claims.ledger import RunFailed
from claims.papers.inbox import Became, became
from claims.papers.windows import UnderWay
from kb import migrate
from kb.embedding import embed_due
from kb.errors import StoreError
from kb.location import Location, location_from
from kb.models import (
    ArxivEvent,
    ArxivQuery,
    Document,
    Embedding,
    Entity,
    LedgerEntry,
    Link,
    Passage,
    Run,
    Suggestion,
    Table,
    new_id,
)
from kb.reconcile import text_digest
from kb.search import Filters, Hit, search
from kb.store import MIGRATIONS, Store
from kb.tsvector import FULL_TEXT
from tests.claims_support import (
    NOW,
    a_library,
    all_endpoints,
    around,
    claim_id,
    claim_page,
    measurement,
    until,
    written,
)
from tests.cli_support import EXAMPLES, stillholds, typed
from tests.kb_support import (
    NOON,
    PAGES,
    BagOfWords,
    bring_in,
    contents,
    fill,
    filled,
    in_children,
    new_store,
    page_paths,
    quiet,
    small_disk,
    write,
)
from tests.postgres_support import KEEPER, PASSWORD, Server, give_to_the_server, server

ENGINES = ["sqlite", "postgresql"]


@pytest.fixture
def store(postgres: Server) -> Store:
    """An empty library on PostgreSQL."""
    return Store(postgres.library())


@pytest.fixture(params=ENGINES)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty library on each engine."""
    if request.param == "sqlite":
        return new_store(tmp_path)
    return Store(request.getfixturevalue("postgres").library())


def name_of(location: Location) -> str:
    return location.url.partition("?")[0].rpartition("/")[2]


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [f"{scheme}://keeper:honey@localhost/bees" for scheme in ("postgresql", "postgres", "postgresql+psycopg")],
)
def test_every_way_to_name_a_database_is_understood_and_shows_no_password(address: str) -> None:
    location = location_from(address, {})
    assert location.url == "postgresql+psycopg://keeper:honey@localhost/bees"
    assert location.path is None
    assert str(location) == "postgresql://keeper:***@localhost/bees"
    assert "honey" not in repr(location)
    assert location_from(location.url, {}) == location


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://localhost/bees?password=honey",
        "postgresql://localhost/bees?sslpassword=honey&host=a",
        "postgresql://keeper:honey@localhost",
        "postgresql://keeper:honey@localhost:door/bees",
        "postgresql://keeper:pot/honey@b@localhost:door/bees",
        "mysql://keeper:honey@localhost/bees",
    ],
)
def test_no_message_and_no_text_shows_a_password(address: str) -> None:
    try:
        said = str(location_from(address, {}))
    except StoreError as error:
        said = str(error)
    assert "honey" not in said
    assert "***" in said


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None  # what the import system takes for a package that is not there
from kb.location import location_from
from kb.store import Store, StoreError
try:
    Store.open(location_from("postgresql://localhost/bees", {}))
except StoreError as error:
    print(error)
"""


def test_without_the_driver_one_is_told_which_extra_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], capture_output=True, text=True, check=True)
    assert "pip install 'stillholds[postgres]'" in done.stdout


# --- what is opened --------------------------------------------------------------------------------------------------


def test_an_empty_database_is_no_library_until_it_is_made_one(postgres: Server) -> None:
    location = location_from(postgres.fresh(), {})
    assert not Store.exists(location)
    with pytest.raises(
        StoreError, match=r"there is no library at .*: `stillholds init` makes one in an empty database"
    ):
        Store.open(location)
    Store.create(location)
    Store.create(location)
    assert Store.exists(location)
    with Store.open(location).reading() as session:
        assert session.exec(select(Entity)).all() == []


def test_a_library_on_a_server_is_no_file(store: Store) -> None:
    with pytest.raises(StoreError, match="is no file"):
        _ = store.path


def test_somebody_elses_database_is_refused_and_not_touched(postgres: Server) -> None:
    location = location_from(postgres.fresh(), {})
    postgres.run("CREATE TABLE honey (jars integer)", name_of(location))
    with pytest.raises(StoreError, match="is a database, but no library of Still Holds; choose another place"):
        Store.create(location)
    tables = postgres.run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", name_of(location))
    assert tables == [("honey",)]


def test_a_database_that_cannot_keep_every_letter_is_refused(postgres: Server) -> None:
    postgres.run(f"CREATE DATABASE ascii OWNER {KEEPER} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    with pytest.raises(StoreError, match="keeps text as SQL_ASCII: make one WITH ENCODING 'UTF8'"):
        Store.create(location_from(postgres.url("ascii"), {}))


@pytest.mark.parametrize(
    ("revision", "said"),
    [("9999", r"made by a newer version of Still Holds \(schema 9999"), ("0000", "`stillholds init` upgrades it")],
)
def test_a_library_of_another_version_is_refused(store: Store, postgres: Server, revision: str, said: str) -> None:
    postgres.run("UPDATE alembic_version SET version_num = %(it)s", name_of(store.location), it=revision)
    with pytest.raises(StoreError, match=said):
        Store.open(store.location)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_both_engines_say_the_same_of_the_same_pages(store: Store, tmp_path: Path) -> None:
    assert bring_in(store, *page_paths()).refused == []
    assert contents(store) == contents(filled(tmp_path))
    bring_in(store, write(tmp_path / "new.md", "# New\n\nText."))
    assert bring_in(store, *page_paths()).unchanged == page_paths()


def test_every_kind_of_value_comes_back(either: Store) -> None:
    moment = datetime(2026, 5, 1, 23, 59, 59, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    vector = np.array([0.1, -2.5e-30, 3.4e38], dtype=np.float32)
    with either.writing() as session:
        session.add(Entity(id="a", kind="note", slug="a", title="é ß 🐝\n'--", created_at=moment, updated_at=NOON))
        session.add(Entity(id="b", kind="note", slug="b", is_stub=False, created_at=NOON, updated_at=NOON))
        session.flush()
        session.add(Link(source_id="a", target_id="b", type="cites", weight=0.1, end=3, created_at=NOON))
        session.add(Embedding(model="m", digest="d", vector=vector))
        session.add(a_run(claims=["b", "a", {"z": 1, "a": None}], pid_started=1763719234.123456))
    with either.reading() as session:
        entity, link, run = (
            session.get_one(Entity, "a"),
            session.exec(select(Link)).one(),
            session.exec(select(Run)).one(),
        )
        assert (entity.title, entity.created_at, entity.is_stub) == ("é ß 🐝\n'--", moment, True)
        assert entity.created_at.utcoffset() == timedelta(0)
        assert (link.weight, link.start, link.end) == (0.1, None, 3)
        assert (run.claims, run.pid_started, run.cancel) == (["b", "a", {"z": 1, "a": None}], 1763719234.123456, False)
        assert session.get_one(Embedding, ("m", "d")).vector.tolist() == vector.tolist()


def a_run(**changes: Any) -> Run:
    values = {"stream": "s", "number": 1, "verifier": "v", "subject": "lab:story", "profile": "smoke", "claims": []}
    values |= {"host": "hive", "pid": 1, "pid_started": 1.0, "started_at": NOON, "seen_at": NOON}
    return Run(**(values | changes))


def test_passages_number_themselves_and_no_number_comes_twice(either: Store, tmp_path: Path) -> None:
    bring_in(either, write(tmp_path / "a.md", "# A\n\nOne. Two. Three."))
    with either.reading() as session:
        numbers = set(session.exec(select(Passage.rowid)))
        assert len(numbers) == 4
    bring_in(either, write(tmp_path / "a.md", "# A\n\nFour. Five. Six."))
    with either.reading() as session:
        assert len(set(session.exec(select(Passage.rowid)))) == 4


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entity SET kind = 'bee'", "ck_entity_kind"),
        ("DELETE FROM document", "foreign key"),
        ("UPDATE entity SET slug = 'same'", "uq_entity_slug"),
    ],
)
def test_the_rules_are_the_databases_own(store: Store, statement: str, said: str) -> None:
    bring_in(store, PAGES / "line_warmth.txt")
    with pytest.raises(StoreError, match=said) as caught, store.writing() as session:
        session.connection().exec_driver_sql(statement)
    assert not caught.value.passing


def test_a_name_that_no_index_takes_is_refused_in_words(store: Store) -> None:
    name = "".join(text_digest(str(number)) for number in range(200))
    with pytest.raises(StoreError, match="names and titles of up to 2,600 bytes"), store.writing() as session:
        session.add(Document(key=name, source="a", created_at=NOON))


# --- search ----------------------------------------------------------------------------------------------------------


def ask(store: Store, question: str, embedder: BagOfWords | None = None, **filters: Any) -> list[Hit]:
    with store.reading() as session:
        return search(session, question, embedder, Filters(**filters), 50)


@pytest.fixture(scope="module")
def both(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """Our own pages on each engine, embedded; no test changes them."""
    stores = [filled(tmp_path_factory.mktemp("pages")), Store(postgres_server.library())]
    bring_in(stores[1], *page_paths())
    for store in stores:
        embed_due(store, BagOfWords(), quiet)
    return stores


QUESTIONS = [
    "stop signals in a swarm",
    "Does the waggle dance say how far away food is?",
    "warm",
    "winter cluster temperatures and the queen",
    "dancing dancers danced",
    "2024 bees-per-minute 1.5 e-mail",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_engines_find_the_same_entries_for_the_same_reasons(both: list[Store], question: str) -> None:
    on_sqlite, on_postgresql = ({hit.slug: hit.why for hit in ask(store, question)} for store in both)
    assert on_sqlite.keys() == on_postgresql.keys()
    assert next(iter(on_sqlite)) in list(on_postgresql)[:2]
    for slug, why in on_sqlite.items():
        same = why.passage == on_postgresql[slug].passage
        assert why.terms == on_postgresql[slug].terms or not same


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_engines_rank_by_meaning_alike(both: list[Store], question: str) -> None:
    ranks = [{hit.slug: hit.why.meaning_rank for hit in ask(store, question, BagOfWords())} for store in both]
    shared = ranks[0].keys() & ranks[1].keys()
    similarity = [{hit.slug: hit.why.similarity for hit in ask(store, question, BagOfWords())} for store in both]
    assert len(shared) >= min(len(ranks[0]), 45)
    assert {slug: similarity[0][slug] for slug in shared} == {slug: similarity[1][slug] for slug in shared}


def test_filters_mean_the_same(both: list[Store]) -> None:
    for filters in ({"kinds": ("line",)}, {"since": date(2024, 1, 1)}, {"until": date(2020, 12, 31)}):
        on_sqlite, on_postgresql = ({hit.slug for hit in ask(store, "bees dance warm", **filters)} for store in both)
        assert on_sqlite == on_postgresql


@pytest.mark.parametrize(
    ("text", "question", "terms"),
    [
        ("Die Blüte öffnet.", "blute", ("blüte",)),
        ("They waggled, and shiver.", "waggle shivering", ("waggled", "shiver")),
        ("The on_policy gap of 1.25, self-made.", "policy", ("policy",)),
        ("Its own text is not here.", "own text", ("own", "text")),
        ("Пчёлы танцуют.", "пчёлы", ("пчёлы",)),
        ("See https://hive.example/frost-report.html.", "frost report", ("frost", "report")),
        ("Frost’s end—cold “nights”.", "frost nights cold", ("frost", "cold", "nights")),
    ],
)
def test_words_are_cut_and_shown_alike(
    either: Store, tmp_path: Path, text: str, question: str, terms: tuple[str]
) -> None:
    bring_in(either, write(tmp_path / "a.md", f"# A\n\n{text}"))
    (hit,) = ask(either, question)
    assert hit.why.terms == terms


@pytest.mark.parametrize(
    "question", ['frost" OR', "frost & !winter | (", "frost:* <-> ''", "frost \\ %s %(x)s :y", "___"]
)
def test_signs_that_mean_something_to_the_index_are_just_signs(either: Store, tmp_path: Path, question: str) -> None:
    bring_in(either, write(tmp_path / "a.md", "# A\n\nFrost comes."))
    assert [hit.slug for hit in ask(either, question)] == (["a"] if "frost" in question else [])


def test_what_changes_is_found_by_its_new_words_only(either: Store, tmp_path: Path) -> None:
    bring_in(either, write(tmp_path / "a.md", "# A\n\nFrost comes."))
    bring_in(either, write(tmp_path / "a.md", "# A\n\nHoney flows."))
    assert ask(either, "frost") == []
    embedder = BagOfWords()
    embed_due(either, embedder, quiet)
    assert [hit.slug for hit in ask(either, "honey", embedder)] == ["a"]
    bring_in(either, write(tmp_path / "a.md", "# A\n\nWax melts."))
    embed_due(either, embedder, quiet)
    assert ask(either, "wax", embedder)[0].why.similarity == pytest.approx(
        ask(either, "wax", embedder)[0].why.similarity
    )
    assert ask(either, "wax", embedder)[0].why.passage == "Wax melts."


def test_rare_words_count_more_than_common_ones(either: Store, tmp_path: Path) -> None:
    pages = [write(tmp_path / f"{number}.md", f"# Page {number}\n\nBees hum.") for number in range(9)]
    bring_in(either, *pages, write(tmp_path / "rare.md", "# Rare\n\nFrost falls."))
    assert ask(either, "bees frost")[0].slug == "rare"


def test_words_of_other_scripts_are_found_where_the_database_knows_only_ascii(postgres: Server, tmp_path: Path) -> None:
    postgres.run(f"CREATE DATABASE plain OWNER {KEEPER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    store = Store.create(location_from(postgres.url("plain"), {}))
    bring_in(store, write(tmp_path / "a.md", "# A\n\nDie Blüte öffnet, пчёлы letят."))
    for question in ("blute", "öffnet", "пчёлы"):
        assert [hit.slug for hit in ask(store, question)] == ["a"]


# --- many at once ----------------------------------------------------------------------------------------------------


def a_store_with_a_claim(location: Location, folder: Path) -> Store:
    store = library.create(location, NOW)
    assert not library.bring_in(store, [claim_page(folder / "pages", "the-gap", written())], NOW).refused
    return store


def append(store: Store, claim: str, who: str, times: int) -> None:
    for number in range(1, times + 1):
        with store.writing() as session:
            event = RunFailed(run=who, number=number, subject="lab:story", profile="standard", reason="x")
            ledger.append(session, claim, event, NOW)
            refresh(session, claim)
            ledger.seal(session, [claim], NOW)


def append_elsewhere(location: Location, claim: str, who: str, times: int) -> None:
    """Run in a child."""
    append(Store.open(location), claim, who, times)


def said_by(store: Store, who: str) -> list[int]:
    with store.reading() as session:
        events = [entry.event for entry in ledger.entries(session, claim_id(store))]
    return [event.number for event in events if isinstance(event, RunFailed) and event.run == who]


def test_eight_threads_that_append_at_once_make_one_whole_chain(postgres: Server, tmp_path: Path) -> None:
    store = a_store_with_a_claim(postgres.library(), tmp_path)
    claim = claim_id(store)
    writers = [threading.Thread(target=append, args=(store, claim, f"thread {number}", 12)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all(said_by(store, f"thread {number}") == list(range(1, 13)) for number in range(8))
    assert audit(store).problems == ()


def test_four_processes_that_append_at_once_make_one_whole_chain(postgres: Server, tmp_path: Path) -> None:
    store = a_store_with_a_claim(postgres.library(), tmp_path)
    calls = [(store.location, claim_id(store), f"process {number}", 12) for number in range(4)]
    assert in_children(append_elsewhere, *calls) == [(0, None)] * 4
    assert all(said_by(store, f"process {number}") == list(range(1, 13)) for number in range(4))
    assert audit(store).problems == ()


def test_a_reader_sees_one_moment_while_another_writes(store: Store, tmp_path: Path) -> None:
    bring_in(store, PAGES / "line_warmth.txt")
    with store.reading() as session:
        before = len(session.exec(select(Entity)).all())
        bring_in(store, write(tmp_path / "new.md", "# New\n\nText."))
        assert len(session.exec(select(Entity)).all()) == before
    with store.reading() as session:
        assert len(session.exec(select(Entity)).all()) == before + 1


def test_what_is_raised_inside_a_transaction_undoes_all_of_it(store: Store) -> None:
    with pytest.raises(KeyError, match="stop"):
        add_document_and_stop(store)
    assert documents(store) == []


def add_document_and_stop(store: Store) -> None:
    with store.writing() as session:
        session.add(Document(key="note:a", source="a", created_at=NOON))
        session.flush()
        raise KeyError("stop")


def documents(store: Store) -> list[str]:
    with store.reading() as session:
        return sorted(session.exec(select(Document.key)))


def add_document(store: Store, key: str) -> None:
    with store.writing() as session:
        session.add(Document(key=key, source="a", created_at=NOON))


def test_the_queue_may_write_beside_a_writer_on_the_same_engine(store: Store) -> None:
    with store.writing() as session:
        session.add(Document(key="note:a", source="a", created_at=NOON))
        session.flush()
        with store.engine.begin() as connection:  # no lock of ours: as the queue's library opens its transactions
            connection.exec_driver_sql("CREATE TABLE queue (id integer)")
    assert documents(store) == ["note:a"]


# --- what is refused, and what may pass ------------------------------------------------------------------------------


def refusal(store: Store, statement: str) -> StoreError:
    with pytest.raises(StoreError) as caught, store.writing() as session:
        session.connection().exec_driver_sql(statement)
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("state", "said", "passing"),
    [
        ("53100", "the disk of the server .* is full; nothing was changed", True),
        ("53200", "has run out of means: it hurts", True),
        ("53300", "has too many connections", True),
        ("55P03", "is busy: another process has been writing for 30 s", True),
        ("57014", "took too long over one question", True),
        ("57P01", "is stopping or starting", True),
        ("40001", "was changed by another process at the same time", True),
        ("40P01", "was changed by another process at the same time", True),
        ("58030", "the disk of the server .* refused: it hurts", True),
        ("08006", "the connection to .* was lost", True),
        ("25006", "is read-only for this connection", False),
        ("42501", "it hurts. Its owner can GRANT the right", False),
        ("XX001", "is damaged: restore it from a copy", False),
        ("22012", "it hurts$", False),
    ],
)
def test_what_the_server_says_is_put_in_words(store: Store, state: str, said: str, passing: bool) -> None:
    error = refusal(store, f"DO $$ BEGIN RAISE EXCEPTION 'it hurts' USING ERRCODE = '{state}'; END $$")
    assert error.passing == passing
    with pytest.raises(StoreError, match=said):
        raise error
    assert "keeper:***@" in str(error)


def opening(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store.open(location_from(url, {}))
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_a_server_that_is_not_there_cannot_be_reached_and_may_come_back(tmp_path: Path) -> None:
    error = opening(f"postgresql://keeper:honey@/bees?host={tmp_path}")
    assert error.passing
    assert "cannot be reached" in str(error)
    assert "No such file or directory" in str(error)
    assert "honey" not in str(error)
    refused = opening("postgresql://keeper:honey@127.0.0.1:1/bees")
    assert refused.passing
    assert "Connection refused" in str(refused)


def test_who_is_not_let_in_is_told_so(postgres: Server, store: Store) -> None:
    name = name_of(store.location)
    wrong, nobody = opening(postgres.url(name, KEEPER, "wrong")), opening(postgres.url(name, "stranger"))
    assert "does not let you in: password authentication failed" in str(wrong)
    assert "wrong" not in str(wrong)
    assert "does not let you in" in str(nobody)
    assert not wrong.passing
    assert not nobody.passing


def test_a_full_disk_of_the_server_is_called_full_and_nothing_is_lost(postgres: Server, tmp_path: Path) -> None:
    disk = Path(tempfile.mkdtemp(dir=postgres.folder))  # where the server's user can reach it
    give_to_the_server(disk)
    with small_disk(disk / "disk", "24m") as small:
        give_to_the_server(small)
        postgres.run(f"CREATE TABLESPACE small LOCATION '{small}'")
        store = Store(postgres.library())
        name = name_of(store.location)
        store.engine.dispose()
        postgres.run(f"ALTER DATABASE {name} SET TABLESPACE small")
        add_document(store, "note:before")
        fill(small / "ballast", leaving=200_000)
        with pytest.raises(
            StoreError, match=r"the disk of the server that keeps .* is full; nothing was changed"
        ) as it:
            bring_in(store, *page_paths())
        assert it.value.passing
        assert documents(store) == ["note:before"]
        (small / "ballast").unlink()
        assert bring_in(store, *page_paths()).refused == []
        postgres.drop([name])
        postgres.run("DROP TABLESPACE small")


def test_a_database_that_is_not_there_is_named(postgres: Server) -> None:
    error = opening(postgres.url("nowhere"))
    assert "there is no database at postgresql://keeper:***@/nowhere" in str(error)
    assert "createdb" in str(error)
    assert not error.passing


def test_an_address_with_a_setting_that_nobody_knows_is_refused(postgres: Server, store: Store) -> None:
    error = opening(postgres.url(name_of(store.location)) + "&honey=1")
    assert "honey" in str(error)
    assert not error.passing


def test_too_many_connections_are_called_so_and_pass(postgres: Server, store: Store) -> None:
    postgres.run(f"ALTER DATABASE {name_of(store.location)} CONNECTION LIMIT 0")
    error = opening(store.location.url)
    assert error.passing
    assert "has too many connections" in str(error)
    postgres.run(f"ALTER DATABASE {name_of(store.location)} CONNECTION LIMIT -1")
    assert documents(Store.open(store.location)) == []


def test_a_store_that_was_opened_read_only_reads_and_never_writes(store: Store) -> None:
    bring_in(store, PAGES / "line_warmth.txt")
    closed = Store.open(store.location, read_only=True)
    assert contents(closed) == contents(store)
    with pytest.raises(StoreError, match="was opened read-only"), closed.writing():
        pass
    for opened in (closed, store):
        with pytest.raises(StoreError, match="is read-only"), opened.reading() as session:
            session.connection().exec_driver_sql("DELETE FROM link")


def test_a_role_that_may_only_read_reads_and_is_told_what_it_may_not(postgres: Server, store: Store) -> None:
    name = name_of(store.location)
    bring_in(store, PAGES / "line_warmth.txt")
    postgres.run("CREATE ROLE visitor LOGIN PASSWORD 'nectar'")
    postgres.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO visitor", name)
    visited = Store.open(location_from(postgres.url(name, "visitor", "nectar"), {}))
    assert contents(visited) == contents(store)
    assert ask(visited, "warm") == ask(store, "warm")
    error = refusal(visited, "DELETE FROM link")
    assert "permission denied for table link. Its owner can GRANT the right" in str(error)
    assert not error.passing


@contextmanager
def a_writer(store: Store) -> Iterator[Session]:
    with store.writing() as session:
        session.add(Document(key="note:first", source="a", created_at=NOON))
        session.flush()
        yield session


def test_who_waits_too_long_for_another_writer_is_told_so(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr("kb.store.PATIENCE_MS", 1000)
    hasty = Store.open(store.location)
    with a_writer(store):
        with pytest.raises(StoreError, match="is busy: another process has been writing for 1 s") as caught:
            add_document(hasty, "note:second")
        assert caught.value.passing
    add_document(hasty, "note:second")
    assert documents(store) == ["note:first", "note:second"]


def test_more_readers_at_once_than_the_process_has_connections_are_told_to_wait(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr("kb.store.PATIENCE_MS", 500)
    opened = Store.open(store.location)
    with ExitStack() as readers:
        for _ in range(15):
            readers.enter_context(opened.reading()).exec(select(Document)).all()
        with pytest.raises(StoreError, match="this process has used up its connections") as caught:
            documents(opened)
        assert caught.value.passing
    assert documents(opened) == []


def test_a_store_that_nobody_uses_any_more_leaves_no_connection_behind(postgres: Server) -> None:
    location = postgres.library()
    store = Store(location)
    add_document(store, "note:a")
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = %(name)s"
    assert postgres.run(open_ones, name=name_of(location)) == [(1,)]
    del store
    assert until(lambda: postgres.run(open_ones, name=name_of(location)) == [(0,)])


def test_on_sqlite_too_what_may_pass_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.store.PATIENCE_MS", 100)
    store, hasty = new_store(tmp_path), Store.open(tmp_path / "library.db")
    with a_writer(store), pytest.raises(StoreError, match="is busy") as caught:
        add_document(hasty, "note:second")
    assert caught.value.passing
    with pytest.raises(StoreError) as missing:
        Store.open(tmp_path / "missing.db")
    assert not missing.value.passing


def cut_off_while_writing(postgres: Server, store: Store) -> None:
    with a_writer(store):
        assert postgres.end_connections(name_of(store.location))


def test_a_connection_that_is_dropped_undoes_what_was_not_finished_and_the_next_one_works(
    postgres: Server, store: Store
) -> None:
    add_document(store, "note:before")
    with pytest.raises(StoreError, match=r"is stopping or starting|was lost") as caught:
        cut_off_while_writing(postgres, store)
    assert caught.value.passing
    assert documents(store) == ["note:before"]
    assert postgres.end_connections(name_of(store.location))
    add_document(store, "note:after")  # a dead connection of the pool is noticed before it is used
    assert documents(store) == ["note:after", "note:before"]


def test_a_server_that_restarts_keeps_what_was_written(tmp_path: Path) -> None:
    with server() as own:
        store = Store(own.library())
        add_document(store, "note:before")
        own.stop()
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            documents(store)
        assert caught.value.passing
        own.restart()
        add_document(store, "note:after")
        assert documents(store) == ["note:after", "note:before"]


def write_and_die(location: Location) -> None:
    """Run in a child: killed in the middle of a transaction, with the writers' lock."""
    with a_writer(Store.open(location)):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_writer_that_is_killed_leaves_neither_its_lock_nor_half_of_its_work(store: Store) -> None:
    assert in_children(write_and_die, (store.location,)) == [(-signal.SIGKILL, None)]
    add_document(store, "note:second")
    assert documents(store) == ["note:second"]


# --- migrations ------------------------------------------------------------------------------------------------------


def ours(_item: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
    """As kb.migrations.env."""
    return not (reflected and other is None and (kind == "table" or name in FULL_TEXT))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fresh_library_is_what_the_models_say(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    place = empty(request, tmp_path, engine)
    store = Store.create(place)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def empty(request: pytest.FixtureRequest, folder: Path, engine: str) -> Location:
    if engine == "sqlite":
        return Location.of(folder / "library.db")
    return location_from(request.getfixturevalue("postgres").fresh(), {})


def create(location: Location) -> int:
    """Run in a child."""
    with Store.create(location).reading() as session:
        return len(session.exec(select(Entity)).all())


def test_six_processes_that_make_one_library_at_once_all_succeed(postgres: Server) -> None:
    location = location_from(postgres.fresh(), {})
    assert in_children(create, *[(location,)] * 6) == [(0, 0)] * 6
    assert postgres.run("SELECT version_num FROM alembic_version", name_of(location)) == [(migrate.HEAD,)]


def upgrade_and_die(location: Location) -> None:
    """Run in a child: killed before the full-text index is made."""
    from sqlalchemy import event

    store = Store(location)

    def die(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "ix_passage_words" in statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.engine, "before_cursor_execute", die)
    migrate.upgrade(store.engine, location)


def test_an_upgrade_that_is_killed_leaves_nothing_half_made(postgres: Server) -> None:
    location = location_from(postgres.fresh(), {})
    assert in_children(upgrade_and_die, (location,)) == [(-signal.SIGKILL, None)]
    made = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert until(lambda: postgres.run(made, name_of(location)) == [])
    assert create(location) == 0


OLDEST: dict[str, list[dict[str, Any]]] = {
    "library": [{"id": "the library", "created_at": NOON}],
    "document": [{"id": "page", "key": "claim:frost", "source": "/a.md", "created_at": NOON}],
    "document_version": [
        {"id": "v", "document_id": "page", "number": 1, "digest": "d", "reader": "r", "text": "t", "page": "{}"}
        | {"imported_at": NOON}
    ],
    "entity": [
        {"id": name, "kind": "claim", "slug": name, "title": name, "short": "", "is_stub": False, "version_id": "v"}
        | {"created_at": NOON, "updated_at": NOON}
        for name in ("frost", "honey")
    ],
    "claim": [
        {"id": "frost", "body": "", "topics": "[]", "contract": None, "documentary": "", "date_approximate": False}
    ],
    "link": [
        {"id": "l", "source_id": "frost", "target_id": "honey", "type": "relates", "sentence": "", "label": ""}
        | {"position": 0, "created_at": NOON}
    ],
    "passage": [{"rowid": 7, "entity_id": "frost", "ordinal": 0, "text": "Frost comes early.", "digest": "d"}],
    "embedding": [{"model": "m", "digest": "d", "vector": np.ones(3, dtype="<f4").tobytes()}],
    "measurement": [{"digest": "m", "body": "{}"}],
    "ledger_entry": [
        {"id": "e", "claim_id": "frost", "seq": 1, "kind": "contract", "at": NOON, "body": "{}", "previous": "0"}
        | {"digest": "1"}
    ],
    "checkpoint": [{"seq": 1, "at": NOON, "body": "{}", "previous": "0", "digest": "1"}],
    "run": [
        {"id": "r", "stream": "s", "number": 1, "verifier": "v", "subject": "x", "profile": "smoke", "claims": "[]"}
        | {"state": "error", "reason": "", "host": "h", "pid": 1, "pid_started": 1.5, "done": 0, "total": 1}
        | {"cpu_seconds": 0.0, "cancel": False, "started_at": NOON, "seen_at": NOON, "ended_at": None}
    ],
}


# A library of the third schema: papers of two weeks beside a claim, and two pulls that were not over.
EARLY, LATE = datetime(2026, 11, 15, 20, tzinfo=UTC), datetime(2026, 11, 16, 1, tzinfo=UTC)  # a Sunday, a Monday
PULLED = OLDEST | {
    "arxiv_paper": [
        {"arxiv": f"2611.0000{number}", "version": 1, "title": "t", "authors": "[]", "abstract": "", "categories": "[]"}
        | {"comment": "", "doi": "", "journal": "", "published_at": at, "updated_at": at, "is_withdrawn": False}
        | {"seen_at": at, "asked_at": at}
        for number, at in enumerate((EARLY, LATE, LATE, LATE, LATE), start=1)
    ],
    "arxiv_event": [
        {"id": f"event {number}", "arxiv": f"2611.0000{number}", "number": 1, "kind": "new", "version": 1}
        | {"at": at, "seen_at": at}
        for number, at in ((1, EARLY), (2, LATE))
    ],
    "arxiv_query": [
        {"id": name, "name": name, "terms": "{}", "is_on": True, "made_by": "ada", "made_at": EARLY, "problem": ""}
        | {"reached_at": reached, "under_way": way and json.dumps(way), "pulled_at": None}
        for name, reached, way in (
            ("done", EARLY, None),
            ("in", LATE, {"began_at": LATE.isoformat(), "seen_at": LATE.isoformat(), "is_in": True}),
            ("broken off", None, {"began_at": LATE.isoformat(), "seen_at": LATE.isoformat(), "is_in": False}),
        )
    ],
    "suggestion": [
        {"claim_id": "frost", "arxiv": f"2611.0000{number}", "score": score, "match": match, "matcher": "m"}
        | {"state": "new", "until": None, "scored_at": LATE}
        for number, score, match in (
            (1, 0.2, "{}"),
            (2, 0.3, "{}"),
            (3, 0.9, "{}"),
            (4, 0.1 - 1, "{}"),
            (5, 2.0, '{"event": "withdrawn", "title": "t", "version": 1}'),
        )
    ],
}


def old_library(
    location: Location, revision: str = "0001", filled: Mapping[str, Sequence[Mapping[str, Any]]] = OLDEST
) -> dict[str, list[dict[str, Any]]]:
    """A library with an old schema and rows in its tables; gives every row as the database has it."""
    store, config, tables = Store(location), Config(), MetaData()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        tables.reflect(connection)
        for name, rows in filled.items():
            connection.execute(tables.tables[name].insert(), [dict(row) for row in rows])
        return {
            name: [dict(row._mapping) for row in connection.execute(tables.tables[name].select())] for name in filled
        }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
def test_a_library_of_the_oldest_schema_is_upgraded_and_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    location = empty(request, tmp_path, engine)
    before = old_library(location)
    store, tables = Store.create(location), MetaData()
    with store.engine.connect() as connection:
        tables.reflect(connection)
        for name, rows in before.items():
            now = [dict(row._mapping) for row in connection.execute(tables.tables[name].select())]
            assert [{key: row[key] for key in old} for row, old in zip(now, rows, strict=True)] == rows
    assert [hit.slug for hit in ask(store, "frost")] == ["frost"]
    with store.reading() as session:
        assert session.exec(select(LedgerEntry)).one().at == NOON
        assert session.exec(select(Run)).one().pid_started == 1.5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
def test_papers_of_an_older_library_keep_their_ranks_their_news_and_what_was_not_handed_on(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    location = empty(request, tmp_path, engine)
    rows = {name: [row | {"attempt": 1} for row in rows] if name == "run" else rows for name, rows in PULLED.items()}
    old_library(location, "0003", rows)
    with Store.create(location).reading() as session:
        beside = session.exec(select(Suggestion).order_by(Suggestion.arxiv)).all()
        queries = {row.name: row for row in session.exec(select(ArxivQuery))}
        handed_on = [row.is_handed_on for row in session.exec(select(ArxivEvent).order_by(ArxivEvent.arxiv))]
    assert [row.rank for row in beside] == [1, 2, 1, 0, 0]
    assert [row.score for row in beside] == pytest.approx([0.2, 0.3, 0.9, 0.1, 0.0])
    assert [row.match for row in beside] == [{}, {}, {}, {}, None]
    assert [became(row) for row in beside[3:]] == [None, Became(event="withdrawn", version=1)]
    assert handed_on == [True, False]
    assert {name: row.under_way is None for name, row in queries.items()} == {
        "done": True,
        "in": True,
        "broken off": False,
    }
    assert UnderWay.model_validate(queries["broken off"].under_way).began_at == LATE
    assert queries["done"].looked_back_at == EARLY


# --- from the first page to the audit --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tested(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The example library on PostgreSQL, and a claim of ours with a run that held and one that failed."""
    store = library.create(postgres_server.library(), NOW)
    page = claim_page(tmp_path_factory.mktemp("pages"), "the-gap", written())
    assert not library.bring_in(store, [EXAMPLES, page], NOW).refused
    (job,) = verification.plan(store, ["the-gap"], "standard", NOW)
    begun = runs.begin(store, job, NOW)
    runs.end(store, begun.id, measurement(all_endpoints(around(3.0, 0.1)), seed=begun.seed), NOW + timedelta(minutes=1))
    return store


def test_a_run_is_recorded_and_the_audit_finds_nothing_wrong(tested: Store) -> None:
    found = audit(tested)
    assert found.problems == ()
    assert found.verdicts == 1
    assert found.claims > 5


@pytest.mark.parametrize(
    ("forgery", "said"),
    [
        ("UPDATE ledger_entry SET body = replace(body, 'HOLDS', 'REFUTED') WHERE kind = 'verdict'", "not the entry"),
        ("UPDATE ledger_entry SET at = at + interval '1 microsecond' WHERE kind = 'run'", "not the entry"),
        ("UPDATE ledger_entry SET at = 'infinity' WHERE kind = 'run'", "cannot be read"),
        ("DELETE FROM ledger_entry WHERE kind = 'verdict'", "does not end where the checkpoints say"),
        ("UPDATE claim_state SET standing = 'REFUTED' WHERE seq > 1", "not the one its entries give"),
        ("UPDATE claim_state SET body = body || ' ' WHERE seq > 1", "not as this program writes it"),
        ("UPDATE measurement SET body = replace(body, '3.', '4.')", "not the one that was measured"),
        ("UPDATE checkpoint SET previous = digest WHERE seq = 2", "a checkpoint before it is missing or another"),
    ],
)
def test_whoever_changes_a_row_by_hand_is_found_out(tested: Store, postgres: Server, forgery: str, said: str) -> None:
    name, forged = name_of(tested.location), f"forged_{new_id().lower()}"
    tested.engine.dispose()  # a database in use cannot be copied
    postgres.run(f"CREATE DATABASE {forged} OWNER {KEEPER} TEMPLATE {name}")
    assert postgres.run(f"{forgery} RETURNING 1", forged)
    problems = audit(Store.open(location_from(postgres.url(forged), {}))).problems
    assert any(said in problem.what for problem in problems), problems


def test_a_dump_makes_the_same_library_elsewhere(tested: Store, postgres: Server) -> None:
    where = ["-h", postgres.folder, "-U", "postgres"]
    dumped = [postgres.programs / "pg_dump", *where, "-d", name_of(tested.location)]
    there = location_from(postgres.fresh(), {})
    text = subprocess.run(dumped, capture_output=True, check=True).stdout
    restore = [postgres.programs / "psql", *where, "-q", "-v", "ON_ERROR_STOP=1", "-d", name_of(there)]
    subprocess.run(restore, input=text, capture_output=True, check=True)
    copy = Store.open(there)
    assert audit(copy) == audit(tested)
    assert contents(copy) == contents(tested)
    assert ask(copy, "forking tokens") == ask(tested, "forking tokens")


def test_the_same_run_on_both_engines_has_the_same_units_and_the_same_verdict(tested: Store, tmp_path: Path) -> None:
    beside = a_library(tmp_path)
    (job,) = verification.plan(beside, ["the-gap"], "standard", NOW)
    begun = runs.begin(beside, job, NOW)
    runs.end(
        beside, begun.id, measurement(all_endpoints(around(3.0, 0.1)), seed=begun.seed), NOW + timedelta(minutes=1)
    )
    words = []
    for store in (tested, beside):
        with store.reading() as session:
            entries = ledger.entries(session, claim_id(store))
        words.append([(entry.event.kind, entry.at) for entry in entries])
    assert words[0] == words[1]


def test_the_command_line_works_on_a_server_and_never_shows_the_password(postgres: Server, tmp_path: Path) -> None:
    url = postgres.fresh()

    def said(*arguments: str | Path, how: Callable[..., Any] = typed) -> str:
        done = how(*arguments, "--store", url)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout

    assert "postgresql://keeper:***@" in said("init", how=stillholds)
    assert '"created": false' in said("init", "--json")
    said("import", claim_page(tmp_path / "pages", "the-gap", written()), how=stillholds)
    assert "the-gap" in said("claims", "--json")
    assert "Because of the-gap" in said("show", "the-gap")
    assert "the-gap" in said("search", "gap in words", "--json", how=stillholds)
    assert '"problems": []' in said("audit", "--json")
    there = typed("claims", "--store", f"{url}&connect_timeout=x")
    assert there.returncode == 1
    assert PASSWORD not in there.stderr
    assert "Traceback" not in there.stderr


def test_utc_is_what_a_time_means_whatever_zone_the_server_lives_in(postgres: Server, store: Store) -> None:
    add_document(store, "note:a")
    ((there,),) = postgres.run("SELECT created_at AT TIME ZONE 'UTC' FROM document", name_of(store.location))
    assert there.replace(tzinfo=UTC) == NOON
