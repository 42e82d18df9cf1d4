"""Attached papers as entries of the library: beside what pages name, whatever order things came in."""

from itertools import permutations
from pathlib import Path

import pytest
from sqlmodel import select

from claims import audit
from claims.papers import inbox
from kb.models import ArxivPaper, Entity, Link, Suggestion
from kb.reconcile import Changes, reconcile
from kb.store import Store
from tests.claims_support import NOW, claim_page, written
from tests.inbox_support import ABSTRACT, DAY, came, id_of, paper, row_of
from tests.kb_support import bring_in, contents, is_sound, new_store, write
from tests.postgres_support import Server

ID, TITLE = "2611.00001", "Entropy: a study of ten models"
NAMES_BY_TITLE = "---\ntitle: By title\npapers: [Entropy]\n---\n\nIt shows.\n"
NAMES_BY_ID = "---\ntitle: By id\npapers: ['2611.00001']\n---\n\nIt shows.\n"
OWN = f"---\ntitle: What a person calls it\nkind: paper\narxiv: '{ID}'\n---\n\nTheir own words.\n"


def pages(folder: Path) -> dict[str, Path]:
    return {
        "claim": claim_page(folder, "the-gap", written()),
        "title": write(folder / "notes" / "by-title.md", NAMES_BY_TITLE),
        "id": write(folder / "notes" / "by-id.md", NAMES_BY_ID),
        "own": write(folder / "papers" / "own.md", OWN),
    }


def attached(store: Store) -> None:
    came(store, paper(ID, title=TITLE))
    inbox.attach(store, "the-gap", ID, "extends", "ada", NOW)


def told(store: Store) -> dict[str, object]:
    """What the library says, without old addresses: those depend on what a thing was called when."""
    return {name: part for name, part in contents(store).items() if name != "redirects"}


@pytest.mark.parametrize("others", [("title", "id"), ("title", "own")], ids=["named", "with its own page"])
def test_the_library_says_the_same_in_whatever_order_pages_and_attachment_come(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    found = pages(tmp_path / "pages")
    said = []
    for number, order in enumerate(permutations(["attach", *others])):
        store = new_store(tmp_path, f"{number}.db")
        bring_in(store, found["claim"])
        for step in order:
            if step == "attach":
                attached(store)
            else:
                assert bring_in(store, found[step], now=NOW + DAY).refused == []
        assert is_sound(store.path)
        assert audit.audit(store).problems == ()
        said.append(told(store))
    assert all(one == said[0] for one in said)


def the_paper(store: Store) -> tuple[str, str, bool]:
    """Title, body, and whether a page defines it; there is one alone."""
    with store.reading() as session:
        (entity,) = session.exec(select(Entity).where(Entity.kind == "paper")).all()
    said = contents(store)["details"][entity.slug]
    return entity.title, said["body"], entity.version_id is not None


def test_a_paper_that_is_written_alone_is_what_a_fold_over_all_pages_makes_of_it(tmp_path: Path) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    bring_in(store, found["claim"], found["title"])
    came(store, paper("2611.00005", title="Quite: another study", version=3))
    before = contents(store)
    done = inbox.attach(store, "the-gap", "2611.00005", "extends", "ada", NOW)
    after = contents(store)
    assert after["entities"].keys() - before["entities"].keys() == {"quite-another-study"}
    with store.writing() as session:
        assert reconcile(session, NOW + DAY) == Changes()
    assert contents(store) == after
    inbox.undo(store, "the-gap", "ada", NOW, seq=done.seq)
    assert contents(store) == before
    with store.writing() as session:
        assert reconcile(session, NOW + DAY) == Changes()
    assert contents(store) == before
    assert is_sound(store.path)


@pytest.mark.parametrize("title", ["Entropy", "By title", "Entropy: more", "The-gap in words", "by-title"])
def test_a_paper_whose_name_another_entry_has_ends_as_any_import_would_leave_it(tmp_path: Path, title: str) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    bring_in(store, found["claim"], found["title"])
    came(store, paper("2611.00005", title=title))
    inbox.attach(store, "the-gap", "2611.00005", "extends", "ada", NOW)
    after = contents(store)
    with store.writing() as session:
        assert reconcile(session, NOW + DAY) == Changes()
    assert contents(store) == after
    assert audit.audit(store).problems == ()


def test_a_paper_that_two_claims_have_attached_stays_until_both_let_go(tmp_path: Path) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    bring_in(store, found["claim"], claim_page(tmp_path / "pages", "other", None))
    attached(store)
    inbox.attach(store, "other", ID, "supports", "ada", NOW)
    inbox.undo(store, "the-gap", "ada", NOW)
    assert the_paper(store) == (TITLE, ABSTRACT, False)
    inbox.undo(store, "other", "ada", NOW)
    assert contents(store)["entities"].keys() == {"the-gap", "other"}


def test_a_persons_own_page_says_what_a_paper_is(tmp_path: Path) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    bring_in(store, found["claim"])
    attached(store)
    assert the_paper(store) == (TITLE, ABSTRACT, False)
    assert bring_in(store, found["own"]).refused == []
    assert the_paper(store) == ("What a person calls it", "Their own words.", True)


def test_undo_leaves_what_pages_say_of_a_paper(tmp_path: Path) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    assert bring_in(store, found["claim"], found["title"], found["id"]).refused == []
    before = told(store)
    attached(store)
    assert told(store) != before
    inbox.undo(store, "the-gap", "ada", NOW)
    assert told(store) == before
    assert is_sound(store.path)


def test_a_claim_keeps_what_was_attached_when_its_page_goes_and_when_it_comes_back(tmp_path: Path) -> None:
    store, found = new_store(tmp_path), pages(tmp_path / "pages")
    bring_in(store, found["claim"])
    attached(store)
    with store.reading() as session:
        slug = session.exec(select(Entity.slug).where(Entity.kind == "claim")).one()
    text = found["claim"].read_text()
    found["claim"].write_text("---\ntitle: quite another\n---\n\nOther words.\n")
    bring_in(store, found["claim"])
    assert row_of(store, slug, ID).state == "attached"
    assert audit.audit(store).problems == ()
    found["claim"].write_text(text)
    bring_in(store, found["claim"])
    assert audit.audit(store).problems == ()
    assert is_sound(store.path)
    with store.reading() as session:
        assert len(session.exec(select(Link).where(Link.type == "attached")).all()) == 1


def test_the_same_acts_on_postgresql(tmp_path: Path, postgres: Server) -> None:
    store = Store(postgres.library())
    found = pages(tmp_path / "pages")
    bring_in(store, found["claim"], found["title"])
    attached(store)
    inbox.dismiss(store, "the-gap", came_too(store, "2611.00002"), "about another thing", "ada", NOW)
    inbox.snooze(store, "the-gap", came_too(store, "2611.00003"), NOW + DAY, "ada", NOW)
    with store.reading() as session:
        rows = session.exec(select(Suggestion.arxiv, Suggestion.state).order_by(Suggestion.arxiv)).all()
        assert session.exec(select(Link.label).where(Link.type == "attached")).all() == ["extends"]
        assert id_of(session, "entropy-a-study-of-ten-models")
        assert len(session.exec(select(ArxivPaper)).all()) == 3
    assert [state for _, state in rows] == ["attached", "dismissed", "snoozed"]
    inbox.undo(store, "the-gap", "ada", NOW)
    assert audit.audit(store).problems == ()


def came_too(store: Store, arxiv: str) -> str:
    came(store, paper(arxiv))
    return arxiv
