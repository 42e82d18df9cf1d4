"""The ledger: chains that cannot fork, digests that cover everything, seals over all heads."""

import hashlib
import json
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from claims import ledger
from claims.audit import audit
from claims.ledger import ContractSet, RunFailed, canonical, digest_of
from kb.errors import StoreError
from kb.models import Checkpoint, LedgerEntry, MeasurementRecord, new_id
from kb.store import Store
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    large_models,
    measurement,
    reproducible,
    run_with,
    sql,
    written,
)


def failed(number: int = 1) -> RunFailed:
    return RunFailed(run="R", number=number, subject="lab:story", profile="standard", reason="no power")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return a_library(tmp_path, {"the-gap": written(), "other": large_models()})


def rows(session: Session, claim: str) -> list[LedgerEntry]:
    return list(session.exec(select(LedgerEntry).where(LedgerEntry.claim_id == claim).order_by(col(LedgerEntry.seq))))


# --- canonical JSON --------------------------------------------------------------------------------------------------


def test_canonical_json_is_the_one_of_the_standard() -> None:
    value = {"b": [1, 1.0, 0.1, 1e21, 1e-7, -0.0], "ä": "é\n\x01", "a": {"z": None, "Z": True}}
    assert canonical(value) == '{"a":{"Z":true,"z":null},"b":[1,1,0.1,1e+21,1e-7,0],"ä":"é\\n\\u0001"}'


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@reproducible
@given(JSON)
def test_canonical_json_means_what_was_written_and_comes_back_as_the_same_text(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert digest_of(value) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60])
def test_what_json_cannot_carry_exactly_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical(value)


# --- chains ----------------------------------------------------------------------------------------------------------


def test_a_chain_begins_at_the_start_and_every_entry_names_the_one_before(store: Store) -> None:
    run_with(store, measurement(around(0.5, 0.1)))
    with store.reading() as session:
        chain = rows(session, claim_id(store))
    assert [row.kind for row in chain] == ["contract", "run", "verdict"]
    assert [row.seq for row in chain] == [1, 2, 3]
    assert [row.previous for row in chain] == [ledger.START, chain[0].digest, chain[1].digest]


def test_a_digest_covers_every_column_of_its_entry(store: Store) -> None:
    with store.reading() as session:
        (row,) = rows(session, claim_id(store))
    assert ledger.entry_digest(row) == row.digest
    for name in ("id", "claim_id", "kind", "body", "previous"):
        changed = row.model_copy(update={name: getattr(row, name) + " "})
        assert ledger.entry_digest(changed) != row.digest, name
    assert ledger.entry_digest(row.model_copy(update={"seq": 2})) != row.digest
    assert ledger.entry_digest(row.model_copy(update={"at": row.at + timedelta(microseconds=1)})) != row.digest


def test_an_entry_comes_back_as_it_was_appended(store: Store) -> None:
    with store.writing() as session:
        appended = ledger.append(session, claim_id(store), failed(), NOW)
        ledger.seal(session, [claim_id(store)], NOW)
    with store.reading() as session:
        *_, last = ledger.entries(session, claim_id(store))
        head = ledger.head(session, claim_id(store))
    assert last == appended
    assert (last.event, last.at) == (failed(), NOW)
    assert head is not None
    assert head.digest == last.digest


def test_an_entry_that_is_written_by_a_clock_of_another_zone_still_agrees_with_its_digest(store: Store) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
    with store.writing() as session:
        ledger.append(session, claim_id(store), failed(), elsewhere)
        ledger.seal(session, [claim_id(store)], elsewhere)
    with store.reading() as session:
        row = ledger.head(session, claim_id(store))
        seal = session.exec(select(Checkpoint).order_by(col(Checkpoint.seq).desc())).first()
        assert row is not None
        assert seal is not None
        assert ledger.entry_digest(row) == row.digest
        assert ledger.checkpoint_digest(seal) == seal.digest


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="time zone"), store.writing() as session:
        ledger.append(session, claim_id(store), failed(), datetime(2026, 1, 1))


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def half_done() -> None:
        with store.writing() as session:
            ledger.append(session, claim_id(store), failed(), NOW)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        half_done()
    with store.reading() as session:
        assert len(rows(session, claim_id(store))) == 1


def test_two_entries_cannot_follow_the_same_one(store: Store) -> None:
    """What two writers would do that both read the head before either wrote."""
    claim = claim_id(store)

    def fork() -> None:
        with store.writing() as session:
            for _ in range(2):
                fields = {"claim_id": claim, "seq": 2, "kind": "error", "at": NOW, "body": "{}", "previous": "x"}
                session.add(LedgerEntry(id=new_id(), digest="y", **fields))
            session.flush()

    with pytest.raises((StoreError, IntegrityError), match="UNIQUE"):
        fork()
    with store.reading() as session:
        assert len(rows(session, claim)) == 1


APPENDING = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from claims import ledger
    from claims.history import refresh
    from claims.ledger import RunFailed
    from kb.store import Store

    path, claim, who = sys.argv[1:]
    store = Store.open(Path(path))
    sys.stdin.readline()
    for number in range(1, 16):
        with store.writing() as session:
            event = RunFailed(run=who, number=number, subject="lab:story", profile="standard", reason="x")
            ledger.append(session, claim, event, datetime.now(UTC))
            refresh(session, claim)
            ledger.seal(session, [claim], datetime.now(UTC))
"""


def test_two_processes_that_append_at_once_make_one_whole_chain(store: Store) -> None:
    code = textwrap.dedent(APPENDING)
    command = [sys.executable, "-c", code, str(store.path), claim_id(store)]
    both = [subprocess.Popen([*command, who], stdin=subprocess.PIPE, text=True) for who in ("one", "two")]
    for process in both:
        process.communicate("go\n")
    assert [process.returncode for process in both] == [0, 0]
    with store.reading() as session:
        events = [entry.event for entry in ledger.entries(session, claim_id(store))]
    assert len(events) == 31
    for who in ("one", "two"):
        mine = [event.number for event in events if isinstance(event, RunFailed) and event.run == who]
        assert mine == list(range(1, 16))
    assert audit(store).problems == ()


# --- seals -----------------------------------------------------------------------------------------------------------


def seals(session: Session) -> list[Checkpoint]:
    return list(session.exec(select(Checkpoint).order_by(col(Checkpoint.seq))))


def test_a_seal_names_the_heads_that_moved_and_follows_the_seal_before(store: Store) -> None:
    run_with(store, measurement(around(0.5, 0.1)), "the-gap")
    with store.reading() as session:
        first, *_, last = found = seals(session)
        assert set(ledger.heads_of(first)) == {claim_id(store), claim_id(store, "other")}
        head = ledger.head(session, claim_id(store))
        assert head is not None
        assert ledger.heads_of(last) == {claim_id(store): {"seq": 3, "digest": head.digest}}
        assert json.loads(last.body)["entries"] == 4
        assert [seal.seq for seal in found] == [1, 2, 3]  # at the import, the beginning and the end of the run
        assert [seal.previous for seal in found] == [ledger.START, first.digest, found[1].digest]
        assert all(ledger.checkpoint_digest(seal) == seal.digest for seal in found)


def test_the_seals_together_name_the_last_entry_of_every_chain(store: Store) -> None:
    for slugs in (["the-gap"], ["other"], ["the-gap", "other"]):
        run_with(store, measurement(around(0.5, 0.1)), *slugs)
    heads: dict[str, Any] = {}
    with store.reading() as session:
        for seal in seals(session):
            heads |= ledger.heads_of(seal)
        for slug in ("the-gap", "other"):
            head = ledger.head(session, claim_id(store, slug))
            assert head is not None
            assert heads[claim_id(store, slug)] == {"seq": head.seq, "digest": head.digest}


# --- measurements ----------------------------------------------------------------------------------------------------


def test_a_measurement_is_kept_once_under_its_digest(store: Store) -> None:
    measured = measurement(around(0.5, 0.1))
    with store.writing() as session:
        digests = {ledger.keep(session, measured) for _ in range(2)}
    assert len(digests) == 1
    (digest,) = digests
    with store.reading() as session:
        (row,) = session.exec(select(MeasurementRecord))
        assert hashlib.sha256(row.body.encode()).hexdigest() == row.digest == digest
        assert ledger.measurement(session, digest) == measured


def test_a_contract_is_named_by_the_digest_of_what_the_chain_keeps(store: Store) -> None:
    with store.reading() as session:
        event = ledger.entries(session, claim_id(store))[0].event
    assert isinstance(event, ContractSet)
    assert event.version == 1
    assert digest_of(event.contract) == event.contract_digest


def test_no_row_of_the_past_ever_changes(store: Store) -> None:
    before = sql(store, "SELECT * FROM ledger_entry ORDER BY claim_id, seq"), sql(store, "SELECT * FROM checkpoint")
    run_with(store, measurement(around(0.5, 0.1)), "the-gap", "other")
    entries, checkpoints = sql(store, "SELECT * FROM ledger_entry"), sql(store, "SELECT * FROM checkpoint")
    assert set(before[0]) < set(entries)
    assert set(before[1]) < set(checkpoints)
