"""The audit against a forger: whatever is changed behind the ledger's back is found, and nothing makes it crash."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from claims import ledger, library
from claims.audit import audit
from claims.history import refresh
from kb.models import Checkpoint, LedgerEntry
from kb.store import Store
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    claim_page,
    control,
    large_models,
    measurement,
    run_with,
    sql,
    written,
)
from verifiers.measurement import Failure

TABLES = {
    "ledger_entry": ("id", "claim_id", "seq", "kind", "at", "body", "previous", "digest"),
    "checkpoint": ("seq", "at", "body", "previous", "digest"),
    "measurement": ("digest", "body"),
    "claim_state": ("claim_id", "seq", "standing", "at_scale", "fresh_until", "last_run_at", "body"),
}
COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two claims with a contract and one without, and runs that ended in every way."""
    claims = {"the-gap": written(), "at-scale": large_models(), "no-contract": None}
    store = a_library(tmp_path_factory.mktemp("library"), claims)
    run_with(store, measurement(around(0.5, 0.1), seed=1), "the-gap", "at-scale")
    run_with(store, measurement(around(0.1, 0.3), seed=2), "the-gap")
    run_with(store, measurement([*around(0.5, 0.1), "it diverged"], seed=3), "the-gap")
    run_with(store, measurement(around(0.5, 0.1), controls=[control(passed=False)], seed=4), "at-scale")
    run_with(store, Failure(reason="no power"), "the-gap")
    return store


@pytest.fixture
def store(original: Store, tmp_path: Path) -> Iterator[Store]:
    """A copy of it to forge in."""
    sql(original, "PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "library.db").write_bytes(original.path.read_bytes())
    return Store.open(tmp_path / "library.db")


def problems(store: Store) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in audit(store).problems]


def put(store: Store, table: str, column: str, rowid: int, value: Any) -> None:
    sql(store, f"UPDATE {table} SET {column} = ? WHERE rowid = ?", value, rowid)


def values(store: Store, table: str, column: str) -> list[tuple[int, Any]]:
    return sql(store, f"SELECT rowid, {column} FROM {table} ORDER BY rowid")


# --- health ----------------------------------------------------------------------------------------------------------


def test_a_healthy_library_agrees(store: Store) -> None:
    found = audit(store)
    assert found.problems == ()
    assert (found.claims, found.entries, found.verdicts, found.checkpoints) == (2, 14, 5, 11)


def test_the_head_is_the_digest_of_the_last_seal(store: Store) -> None:
    with store.reading() as session:
        last = session.exec(select(Checkpoint).order_by(col(Checkpoint.seq).desc())).first()
    assert last is not None
    assert audit(store).head == last.digest


def test_an_empty_library_agrees(tmp_path: Path) -> None:
    assert audit(library.create(tmp_path / "empty.db", NOW)).problems == ()


def test_an_audit_changes_nothing_and_works_on_a_store_that_is_opened_read_only(store: Store) -> None:
    before = store.path.read_bytes()
    assert audit(Store.open(store.path, read_only=True)).problems == ()
    assert store.path.read_bytes() == before


def test_contracts_that_come_and_go_agree(tmp_path: Path) -> None:
    store, pages = a_library(tmp_path), tmp_path / "pages"
    for said, more in [
        (written(shelf_life_days=9), {}),
        (written(), {}),
        (None, {"documentary": "nothing to measure"}),
        (None, {"documentary": "nothing that can be measured"}),
        (None, {}),
        (written(), {}),
    ]:
        library.bring_in(store, [claim_page(pages, "the-gap", said, **more)], NOW)
        assert problems(store) == []


# --- a single changed byte -------------------------------------------------------------------------------------------


def one_byte_off(value: Any) -> Any:
    """The value with one byte changed: a number's second, for a neighbour's may be taken; a text's last."""
    return value + 256 if isinstance(value, int) else value[:-1] + chr(ord(value[-1]) ^ 1)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_changed_byte_in_any_column_of_any_row_is_found(table: str, column: str, store: Store) -> None:
    for rowid, value in values(store, table, column):
        put(store, table, column, rowid, "X" if value is None else one_byte_off(value))
        assert problems(store), (rowid, value)
        moved = one_byte_off(value) if (table, column) == ("checkpoint", "seq") else rowid  # its key is its rowid
        put(store, table, column, moved, value)
    assert problems(store) == []


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_byte_that_is_no_text_is_found(table: str, column: str, store: Store) -> None:
    rowid, value = values(store, table, column)[-1]
    if isinstance(value, str):
        raw = value.encode()
        sql(store, f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE rowid = ?", raw[:-1] + b"\xff", rowid)
        assert problems(store)


@pytest.mark.parametrize(("table", "column"), [pair for pair in COLUMNS if pair[1] != "seq"])
def test_a_value_that_vanished_is_found(table: str, column: str, store: Store) -> None:
    for rowid, value in values(store, table, column)[:3]:
        if value:
            put(store, table, column, rowid, "")
            assert problems(store), rowid
            put(store, table, column, rowid, value)


BODIES = [("ledger_entry", kind) for kind in ("contract", "run", "verdict", "error")]
BODIES += [(table, "") for table in ("checkpoint", "measurement", "claim_state")]


@pytest.mark.parametrize(("table", "kind"), BODIES)
def test_a_changed_byte_anywhere_in_a_body_is_found(table: str, kind: str, store: Store) -> None:
    where = f"WHERE kind = '{kind}'" if kind else ""
    rowid, body = sql(store, f"SELECT rowid, body FROM {table} {where} ORDER BY rowid DESC")[0]
    for place in range(0, len(body), max(1, len(body) // 25)):
        changed = body[:place] + chr(ord(body[place]) ^ 1) + body[place + 1 :]
        put(store, table, "body", rowid, changed)
        assert problems(store), f"{place}: {body[place - 9 : place]}[{body[place]}]{body[place + 1 : place + 9]}"
    put(store, table, "body", rowid, body)
    assert problems(store) == []


@pytest.mark.parametrize(
    ("table", "column"), [("ledger_entry", "at"), ("checkpoint", "at"), ("claim_state", "last_run_at")]
)
def test_a_changed_byte_anywhere_in_a_time_is_found(table: str, column: str, store: Store) -> None:
    rowid, value = next((rowid, value) for rowid, value in values(store, table, column) if value)
    unnoticed = []
    for place, letter in enumerate(value):
        put(store, table, column, rowid, value[:place] + chr(ord(letter) ^ 1) + value[place + 1 :])
        unnoticed += [] if problems(store) else [value[:place] + f"[{letter}]" + value[place + 1 :]]
    assert unnoticed == []


def test_a_space_more_in_a_body_is_found(store: Store) -> None:
    for table in TABLES:
        ((rowid, body), *_) = values(store, table, "body")
        put(store, table, "body", rowid, body.replace(":", ": ", 1) if ": " not in body else body.replace(": ", ":", 1))
        assert problems(store), table
        put(store, table, "body", rowid, body)


# --- things that vanish, move or appear ------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["the-gap", "at-scale"])
def test_a_removed_last_entry_is_found(slug: str, store: Store) -> None:
    claim = claim_id(store, slug)
    ((last,),) = sql(store, "SELECT max(seq) FROM ledger_entry WHERE claim_id = ?", claim)
    sql(store, "DELETE FROM ledger_entry WHERE claim_id = ? AND seq = ?", claim, last)
    assert any("does not end where the checkpoints say" in problem for problem in problems(store))


def test_a_removed_entry_in_the_middle_is_found(store: Store) -> None:
    sql(store, "DELETE FROM ledger_entry WHERE claim_id = ? AND seq = 3", claim_id(store))
    assert problems(store)[0] == "claim the-gap, entry 4: entry 3 is missing before it"


def test_a_removed_chain_is_found(store: Store) -> None:
    claim = claim_id(store)
    sql(store, "DELETE FROM ledger_entry WHERE claim_id = ?", claim)
    sql(store, "DELETE FROM claim_state WHERE claim_id = ?", claim)
    assert any("does not end where the checkpoints say" in problem for problem in problems(store))


@pytest.mark.parametrize("which", ["min(seq)", "max(seq)", "min(seq) + 3"])
def test_a_removed_checkpoint_is_found(which: str, store: Store) -> None:
    sql(store, f"DELETE FROM checkpoint WHERE seq = (SELECT {which} FROM checkpoint)")
    assert problems(store)


def test_all_checkpoints_removed_is_found(store: Store) -> None:
    sql(store, "DELETE FROM checkpoint")
    assert problems(store)


def test_a_removed_measurement_is_found(store: Store) -> None:
    sql(store, "DELETE FROM measurement WHERE rowid = 1")
    assert any("is missing" in problem for problem in problems(store))


def test_a_removed_standing_is_found(store: Store) -> None:
    sql(store, "DELETE FROM claim_state WHERE claim_id = ?", claim_id(store))
    assert problems(store) == ["claim the-gap: the standing that is shown is not the one its entries give"]


def test_a_standing_for_a_claim_without_any_entry_is_found(store: Store) -> None:
    sql(
        store,
        "INSERT INTO claim_state (claim_id, seq, standing, at_scale, fresh_until, last_run_at, body) "
        "SELECT ?, seq, 'HOLDS', NULL, fresh_until, last_run_at, replace(body, 'OPEN', 'HOLDS') FROM claim_state WHERE claim_id = ?",
        claim_id(store, "no-contract"),
        claim_id(store),
    )
    assert problems(store)


def test_a_claim_that_was_removed_while_its_chain_is_left_is_found(store: Store) -> None:
    sql(store, "DELETE FROM claim WHERE id = ?", claim_id(store))
    assert problems(store)


def test_swapped_entries_are_found(store: Store) -> None:
    claim = claim_id(store)
    for here, there in ((3, 100), (5, 3), (100, 5)):
        sql(store, "UPDATE ledger_entry SET seq = ? WHERE claim_id = ? AND seq = ?", there, claim, here)
    assert problems(store)[0].startswith("claim the-gap, entry 3: ")


def test_an_entry_moved_to_another_claim_is_found(store: Store) -> None:
    sql(
        store,
        "UPDATE ledger_entry SET claim_id = ?, seq = 99 WHERE claim_id = ? AND seq = 3",
        claim_id(store, "at-scale"),
        claim_id(store),
    )
    assert problems(store)


# --- forgers who know the digests ------------------------------------------------------------------------------------


def forged(store: Store, claim: str, seq: int, change: Callable[[dict[str, Any]], Any], *, onwards: bool) -> None:
    """Change the body of an entry and recompute its digest, and if ONWARDS those of all entries after it."""
    with store.writing() as session:
        rows = session.exec(
            select(LedgerEntry)
            .where(LedgerEntry.claim_id == claim, LedgerEntry.seq >= seq)
            .order_by(col(LedgerEntry.seq))
        ).all()
        body = json.loads(rows[0].body)
        rows[0].body = ledger.canonical(change(body) or body)
        previous = rows[0].previous
        for row in rows if onwards else rows[:1]:
            row.previous = previous
            row.digest = previous = ledger.entry_digest(row)
            session.add(row)


def holds(body: dict[str, Any]) -> None:
    body["verdict"] |= {"word": "HOLDS", "tag": None, "reason": "because I say so"}


def test_a_verdict_replaced_with_a_fitting_digest_is_found(store: Store) -> None:
    forged(store, claim_id(store), 5, holds, onwards=False)
    assert problems(store)[0] == "claim the-gap, entry 6: it does not follow the entry before it"


def test_a_verdict_replaced_with_the_whole_chain_recomputed_is_found_by_its_measurement(store: Store) -> None:
    forged(store, claim_id(store), 5, holds, onwards=True)
    found = problems(store)
    assert found[0] == "claim the-gap, entry 5: its verdict is not what its contract makes of its measurement"
    assert any("does not end where the checkpoints say" in problem for problem in found)


def test_the_last_verdict_replaced_with_a_fitting_digest_is_found(store: Store) -> None:
    forged(store, claim_id(store, "at-scale"), 5, holds, onwards=False)
    assert "its verdict is not what its contract makes of its measurement" in problems(store)[0]


def test_units_dressed_up_in_a_chain_that_was_recomputed_are_found(store: Store) -> None:
    forged(store, claim_id(store), 5, lambda body: body.update(units=[0.9] * 8), onwards=True)
    assert "entry 5: its verdict is not what" in problems(store)[0]


def test_a_run_called_certified_without_a_certificate_is_found(store: Store) -> None:
    forged(store, claim_id(store), 5, lambda body: body.update(certificate="mine"), onwards=True)
    with store.writing() as session:
        refresh(session, claim_id(store))
        ledger.seal(session, [claim_id(store)], NOW)
    assert problems(store)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["contract"].update(endpoint="gone"),
        lambda body: body["contract"].update(level=7),
        lambda body: body.update(contract={}),
        lambda body: body.update(kind="poem"),
        lambda body: {"kind": "contract"},
        lambda body: body.update(contract_digest="f" * 64),
    ],
    ids=["another endpoint", "impossible level", "empty contract", "unknown kind", "missing parts", "another digest"],
)
@pytest.mark.parametrize("onwards", [True, False])
def test_a_contract_forged_beyond_reading_is_found_and_nothing_crashes(
    change: Callable[[dict[str, Any]], Any], onwards: bool, store: Store
) -> None:
    forged(store, claim_id(store), 1, change, onwards=onwards)
    assert problems(store)[0].startswith("claim the-gap")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(measurement_digest="0" * 64),
        lambda body: body.update(contract_digest="0" * 64),
        lambda body: body.update(run="never begun"),
        lambda body: body.update(units="eight"),
        lambda body: body.pop("verdict") and None,
    ],
    ids=["no such measurement", "no such contract", "no such run", "units are words", "no verdict"],
)
def test_a_last_entry_forged_beyond_reading_is_found_and_nothing_crashes(
    change: Callable[[dict[str, Any]], Any], store: Store
) -> None:
    forged(store, claim_id(store, "at-scale"), 5, change, onwards=True)
    assert problems(store)[0].startswith("claim at-scale")


def test_a_measurement_replaced_under_its_own_new_digest_is_found(store: Store) -> None:
    body = ledger.canonical(measurement(around(0.9, 0.1)).model_dump(mode="json"))
    digest = hashlib.sha256(body.encode()).hexdigest()
    sql(store, "UPDATE measurement SET body = ?, digest = ? WHERE rowid = 1", body, digest)
    found = problems(store)
    assert any("is missing" in problem for problem in found)


def test_an_inserted_entry_with_a_fitting_digest_is_found(store: Store) -> None:
    claim = claim_id(store)
    with store.writing() as session:
        last = ledger.head(session, claim)
        assert last is not None
        ledger.append(session, claim, ledger.EVENT.validate_json(last.body), NOW)  # without a seal
    found = problems(store)
    assert any("does not end where the checkpoints say" in problem for problem in found)


def test_a_checkpoint_rewritten_with_a_fitting_digest_breaks_the_one_after_it(store: Store) -> None:
    with store.writing() as session:
        seal = session.get_one(Checkpoint, 3)
        seal.body = ledger.canonical({"heads": {}, "entries": 1})
        seal.digest = ledger.checkpoint_digest(seal)
        session.add(seal)
    assert any(problem.startswith("checkpoint 4: ") for problem in problems(store))


def test_a_last_checkpoint_without_sense_is_found(store: Store) -> None:
    with store.writing() as session:
        seal = session.exec(select(Checkpoint).order_by(col(Checkpoint.seq).desc())).first()
        assert seal is not None
        seal.body = ledger.canonical(["no heads"])
        seal.digest = ledger.checkpoint_digest(seal)
        session.add(seal)
    assert problems(store)


# --- order -----------------------------------------------------------------------------------------------------------


def test_the_first_problem_of_a_chain_comes_first(store: Store) -> None:
    claim = claim_id(store)
    for seq in (7, 2, 5):
        sql(store, "UPDATE ledger_entry SET body = body || ' ' WHERE claim_id = ? AND seq = ?", claim, seq)
    found = audit(store)
    assert found.problems[0].where == "claim the-gap, entry 2"
    assert found.problems[0].what == "it is not the entry that was written"


def test_the_rest_is_still_counted_and_the_other_claim_still_read(store: Store) -> None:
    sql(store, "UPDATE ledger_entry SET body = body || ' ' WHERE claim_id = ? AND seq = 2", claim_id(store))
    sql(store, "UPDATE ledger_entry SET body = body || ' ' WHERE claim_id = ? AND seq = 3", claim_id(store, "at-scale"))
    found = audit(store)
    assert {problem.where for problem in found.problems} >= {"claim the-gap, entry 2", "claim at-scale, entry 3"}
    assert found.entries == 14
