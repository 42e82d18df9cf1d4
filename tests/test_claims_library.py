"""Pages and contracts come into a library together or not at all; contract versions follow what pages say."""

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from claims import ledger, library
from claims.audit import audit
from claims.errors import BadContract
from claims.ledger import ContractSet
from kb.models import Claim, DocumentVersion, Entity, Library
from kb.store import Store
from tests.claims_support import NOW, a_library, around, claim_page, large_models, measurement, past, run_with, written


def bring_in(store: Store, *pages: Path) -> Any:
    return library.bring_in(store, list(pages), NOW)


def versions(store: Store, slug: str = "the-gap") -> list[ContractSet]:
    return [entry.event for entry in past(store, slug).entries if isinstance(entry.event, ContractSet)]


def slugs(store: Store) -> set[str]:
    with store.reading() as session:
        return set(session.exec(select(Entity.slug)))


def pages_stored(store: Store) -> int:
    with store.reading() as session:
        return len(session.exec(select(DocumentVersion)).all())


# --- identity --------------------------------------------------------------------------------------------------------


def test_a_library_has_one_identity_that_opening_it_again_keeps(tmp_path: Path) -> None:
    identities = set()
    for _ in range(2):
        with library.create(tmp_path / "library.db", NOW).reading() as session:
            identities.add(session.exec(select(Library.id)).one())
    with library.create(tmp_path / "other.db", NOW).reading() as session:
        identities.add(session.exec(select(Library.id)).one())
    assert len(identities) == 2


# --- refusals --------------------------------------------------------------------------------------------------------

BAD = {
    "overlapping regions": written(regions={"holds": ">= 1.2", "weakened": "1.1 .. 1.3", "refuted": "< 1.1"}),
    "a gap between regions": written(regions={"holds": ">= 1.25", "refuted": "< 1.1"}),
    "no unit": {key: value for key, value in written().items() if key != "unit"},
    "an unknown verifier": written(verifier="entropy_gab"),
    "an unknown subject": written(subjects=["lab:storey"]),
    "nothing but a word": {"verifier": "entropy_gap"},
    "nothing at all": {},
    "empty parameters": written(parameters=None),
    "no subjects": written(subjects=None),
    "an endless budget": written(budget={"wall_seconds": float("inf")}),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_contract_refuses_its_page_alone_and_leaves_nothing_of_it(name: str, tmp_path: Path) -> None:
    store = library.create(tmp_path / "library.db", NOW)
    good = claim_page(tmp_path, "good", written())
    bad = claim_page(tmp_path, "bad", BAD[name])
    report = bring_in(store, good, bad)
    assert [item.path for item in report.refused] == [bad]
    assert "has a contract that cannot decide" in report.refused[0].reason
    assert report.new == [good]
    assert slugs(store) == {"good"}
    assert pages_stored(store) == 1
    assert len(versions(store, "good")) == 1
    assert audit(store).problems == ()


def test_an_edit_that_breaks_a_contract_is_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    report = bring_in(store, claim_page(tmp_path / "pages", "the-gap", BAD["no unit"]))
    assert len(report.refused) == 1
    assert (pages_stored(store), len(versions(store))) == (1, 1)
    assert past(store).contract is not None


def test_a_contract_is_checked_by_the_same_rules_wherever_it_is_written(tmp_path: Path) -> None:
    page = claim_page(tmp_path, "inline", None)
    page.write_text("---\nkind: claim\ntitle: t\ncontract: {verifier: entropy_gap, endpoint: row_ratio}\n---\nx\n")
    report = bring_in(library.create(tmp_path / "library.db", NOW), page)
    assert "says no unit" in report.refused[0].reason


def test_a_failure_in_the_middle_of_an_import_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = library.create(tmp_path / "library.db", NOW)

    def break_down(*_: Any) -> None:
        raise OSError("the power went")

    monkeypatch.setattr(ledger, "seal", break_down)
    with pytest.raises(OSError, match="the power went"):
        bring_in(store, claim_page(tmp_path, "the-gap", written()))
    assert slugs(store) == set()
    assert pages_stored(store) == 0


# --- versions --------------------------------------------------------------------------------------------------------


def test_the_first_contract_is_version_one_and_sealed(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written(), "other": large_models(), "none": None})
    (first,) = versions(store)
    assert first.version == 1
    assert first.contract_digest == ledger.digest_of_contract(past(store).contract)
    assert versions(store, "none") == []
    found = audit(store)
    assert (found.claims, found.entries, found.checkpoints, found.problems) == (2, 2, 1, ())


def test_importing_again_adds_no_version_and_no_seal(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    report = bring_in(store, tmp_path / "pages")
    assert len(report.unchanged) == 1
    assert len(versions(store)) == 1
    assert audit(store).checkpoints == 1


def test_a_changed_contract_is_version_two_and_the_first_stays_as_it_was(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    (first,) = versions(store)
    bring_in(store, claim_page(tmp_path / "pages", "the-gap", written(shelf_life_days=7)))
    kept, second = versions(store)
    assert kept == first
    assert second.version == 2
    assert second.contract_digest != first.contract_digest
    found = past(store)
    assert found.contract is not None
    assert (found.contract.shelf_life_days, found.contract_version) == (7, 2)


@pytest.mark.parametrize("edit", ["commentary", "title", "spelling of the contract"])
def test_an_edit_of_anything_else_adds_none(edit: str, tmp_path: Path) -> None:
    store = a_library(tmp_path)
    page = tmp_path / "pages" / "claims" / "the-gap.md"
    changes = {
        "commentary": (page.read_text() + "\nA new remark.\n"),
        "title": page.read_text().replace("the-gap in words", "the-gap in other words"),
        "spelling of the contract": page.read_text().replace("'>= 1.25'", "from 1.25").replace(">= 1.25", "from 1.25"),
    }
    assert changes[edit] != page.read_text()
    page.write_text(changes[edit])
    report = bring_in(store, page)
    assert report.changed == [page]
    assert len(versions(store)) == 1
    assert audit(store).checkpoints == 1


def test_going_back_to_an_earlier_contract_is_a_version_too(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    pages = tmp_path / "pages"
    bring_in(store, claim_page(pages, "the-gap", written(shelf_life_days=7)))
    bring_in(store, claim_page(pages, "the-gap", written()))
    assert [event.version for event in versions(store)] == [1, 2, 3]
    found = past(store)
    assert found.contract is not None
    assert found.contract.shelf_life_days == 30


def test_going_back_to_an_earlier_contract_begins_a_new_sample(tmp_path: Path) -> None:
    """Else somebody may try contracts in turn, and return to the one whose sample looks best."""
    store = a_library(tmp_path)
    pages = tmp_path / "pages"
    run_with(store, measurement(around(0.6, 0.1)))
    bring_in(store, claim_page(pages, "the-gap", written(shelf_life_days=7)))
    run_with(store, measurement(around(0.0, 0.1), seed=2))
    bring_in(store, claim_page(pages, "the-gap", written()))
    assert past(store).runs == ()


def test_a_contract_that_is_taken_away_leaves_the_claim_untested_and_its_past_in_the_ledger(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    run_with(store, measurement(around(0.6, 0.1)))
    bring_in(store, claim_page(tmp_path / "pages", "the-gap", None))
    found = past(store)
    assert (found.contract, found.standing.word) == (None, "UNTESTED")
    assert len(found.entries) == 4
    assert [event.contract is None for event in versions(store)] == [False, True]
    bring_in(store, claim_page(tmp_path / "pages", "the-gap", written()))
    assert past(store).contract is not None
    assert audit(store).problems == ()


def test_a_claim_that_cannot_be_tested_mechanically_is_documentary(tmp_path: Path) -> None:
    store = library.create(tmp_path / "library.db", NOW)
    bring_in(store, claim_page(tmp_path, "survey", None, documentary="a count of papers"))
    assert past(store, "survey").standing.word == "DOCUMENTARY"
    with store.reading() as session:
        assert session.exec(select(Claim)).one().contract is None


def test_a_stored_contract_that_this_version_no_longer_accepts_harms_no_other_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update may refuse what an older version took: the instrument turned out to be less sure."""
    store = a_library(tmp_path)
    right = library.contract_from

    def stricter(said: Any) -> Any:
        if said["endpoint"] == "interaction_did":
            raise BadContract("asks for more than the instrument can see")
        return right(said)

    monkeypatch.setattr(library, "contract_from", stricter)
    page = claim_page(tmp_path / "pages", "another", written(endpoint="deeper_did"))
    report = bring_in(store, page)
    assert report.new == [page]
    assert len(versions(store, "another")) == 1
    assert len(versions(store)) == 1
