"""Acts in the inbox that come faster than the library answers, or that it refuses; where keys act; and what stands where
nothing waits.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from claims import ledger, library
from claims.papers import inbox
from claims.papers.inbox import inbox_of
from kb.models import ArxivQuery
from kb.read import find
from kb.store import Store
from tests.app_support import Visit, browser, served, visiting
from tests.claims_support import NOW, a_library, claim_page, written
from tests.inbox_support import ABSTRACT, SPAN, came, paper, suggested
from tests.pull_support import save

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLAIMS = ("fast", "skipped", "several", "walked", "away", "refused", "asked", "revised", "focused", "off", "held")
PAPERS = [f"2612.0000{number}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A claim for every test, and the same five papers beside each."""
    folder = tmp_path_factory.mktemp("acts")
    store = library.create(folder / "library.db", NOW)
    library.bring_in(store, [claim_page(folder / "pages", slug, None) for slug in CLAIMS], NOW)
    came(store, *map(paper, PAPERS))
    for slug in CLAIMS:
        for number, arxiv in enumerate(PAPERS, start=1):
            suggested(store, slug, arxiv, score=1 - number / 10)
    return store


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    with served(store.path) as where:
        yield where


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Visit]:
    yield from visiting(chromium, address)


def opened(visit: Visit, slug: str) -> Page:
    page = visit.go(f"/inbox?claim={slug}")
    page.locator("html[data-sh-inbox=on]").wait_for(state="attached")
    expect(page.locator(".in-row.now .in-title")).to_have_text(f"On {PAPERS[0]}")
    return page


def stands(store: Store, slug: str) -> dict[str, str]:
    """What stands of the papers beside a claim, by the ledger: relation or kind of act, by the last digit of the paper."""
    with store.reading() as session:
        beside = inbox_of(ledger.entries(session, find(session, slug, "claim").id))
    acts = {arxiv[-1]: one.paper.event for arxiv, one in beside.items() if one.paper}
    return {arxiv: getattr(event, "relation", event.kind) for arxiv, event in acts.items()}


def at_hand(page: Page, number: int) -> None:
    expect(page.locator(".in-row.now .in-title")).to_have_text(f"On {PAPERS[number - 1]}")


def waiting(page: Page, count: int) -> None:
    """Every act was answered, and so many papers wait."""
    page.locator("html[data-sh-inbox=on]").wait_for(state="attached")
    expect(page.locator(".in-row")).to_have_count(count)


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Another process writes."""
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def out_of_reach(store: Store) -> Iterator[None]:
    """The ledger takes nothing, as when another process holds it for longer than anybody waits."""
    other = sqlite3.connect(store.path, isolation_level=None)
    said = "SELECT RAISE(ABORT, 'database is locked')"
    other.execute(f"CREATE TRIGGER shut BEFORE INSERT ON ledger_entry BEGIN {said}; END")
    try:
        yield
    finally:
        other.execute("DROP TRIGGER shut")
        other.close()


# --- the line of acts --------------------------------------------------------------------------------------------------


def test_acts_typed_without_waiting_are_all_done_and_taken_back_newest_first(store: Store, visit: Visit) -> None:
    page = opened(visit, "fast")
    page.keyboard.type("secpq")
    waiting(page, 0)
    all_five = {"1": "supports", "2": "extends", "3": "contradicts", "4": "supersedes", "5": "qualifies"}
    assert stands(store, "fast") == all_five

    page.keyboard.type("uu")
    waiting(page, 2)
    at_hand(page, 4)
    assert stands(store, "fast") == {"1": "supports", "2": "extends", "3": "contradicts"}
    page.get_by_role("button", name="Undo the one before").click()
    waiting(page, 3)
    at_hand(page, 3)
    page.keyboard.type("us")  # what comes after an undo is meant for the paper that it brings back
    waiting(page, 3)
    assert stands(store, "fast") == {"1": "supports", "2": "supports"}


def test_a_key_meets_the_same_paper_however_soon_it_comes(store: Store, visit: Visit) -> None:
    page = opened(visit, "skipped")
    page.keyboard.type("sje")
    waiting(page, 3)
    assert stands(store, "skipped") == {"1": "supports", "3": "extends"}
    at_hand(page, 4)
    page.keyboard.type("qkkp")
    waiting(page, 1)
    assert stands(store, "skipped") == {"1": "supports", "2": "supersedes", "3": "extends", "4": "qualifies"}


def test_several_papers_at_once_are_one_act_and_a_pick_outlasts_an_answer(store: Store, visit: Visit) -> None:
    page = opened(visit, "several")
    page.keyboard.type("sxjx")
    waiting(page, 4)
    expect(page.locator(".in-row.picked")).to_have_count(2)
    page.keyboard.type("ce")
    waiting(page, 1)
    page.keyboard.press("u")
    waiting(page, 2)
    page.keyboard.press("u")
    waiting(page, 4)
    assert stands(store, "several") == {"1": "supports"}


def test_acts_show_that_they_are_under_way_and_outlast_a_walk_to_another_page(
    store: Store, visit: Visit, tmp_path: Path
) -> None:
    page = opened(visit, "walked")
    with held(store):
        page.keyboard.type("se")
        expect(page.locator(".in-row.gone[aria-busy=true]")).to_have_count(2)
        at_hand(page, 3)
        gone = page.locator(".in-row", has_text=PAPERS[0])
        gone.click(position={"x": 5, "y": 5})
        expect(gone.get_by_role("button")).to_have_count(0)  # none can be pressed
        page.screenshot(path=str(tmp_path / "under-way.png"))
        page.get_by_role("link", name="Claims", exact=True).click()
    page.wait_for_url("**/claims")
    page.go_back()
    waiting(page, 3)
    assert stands(store, "walked") == {"1": "supports", "2": "extends"}


def test_an_act_that_the_library_is_too_busy_for_says_so_and_its_row_comes_back(
    store: Store, visit: Visit, tmp_path: Path
) -> None:
    page = opened(visit, "away")
    page.keyboard.press("s")
    waiting(page, 4)
    with out_of_reach(store):
        page.keyboard.type("eq")
        waiting(page, 4)
        expect(page.locator(".in-done")).to_contain_text("is busy: another process has been writing")
        page.screenshot(path=str(tmp_path / "busy.png"))
        page.keyboard.press("u")
        waiting(page, 4)
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
    assert stands(store, "away") == {"1": "supports"}
    page.keyboard.press("u")  # it was not taken back before, so it is now
    waiting(page, 5)
    assert stands(store, "away") == {}


def test_what_was_decided_elsewhere_is_refused_in_words_and_the_rest_is_done(store: Store, visit: Visit) -> None:
    page = opened(visit, "refused")
    inbox.attach(store, "refused", PAPERS[0], "extends", "somebody", NOW)
    page.keyboard.type("se")
    waiting(page, 3)  # the sentence outlasts the answer to the act that followed
    expect(page.locator(".in-page .in-done")).to_contain_text("was attached as extends by somebody")
    expect(page.locator("section .in-done")).to_contain_text(f"Attached as extending: On {PAPERS[1]}")
    assert stands(store, "refused") == {"1": "extends", "2": "extends"}
    page.keyboard.press("u")
    waiting(page, 4)
    page.keyboard.press("u")
    expect(page.get_by_text("nothing was done here that could be taken back")).to_be_visible()
    assert stands(store, "refused") == {"1": "extends"}


# --- asking, focus and keys ----------------------------------------------------------------------------------------------


def test_dialogs_have_names_and_say_what_is_wrong_with_an_answer(store: Store, visit: Visit, tmp_path: Path) -> None:
    page = opened(visit, "asked")
    page.keyboard.press("z")
    expect(page.get_by_role("dialog", name="Days until it comes back")).to_be_visible()
    days = page.get_by_role("spinbutton", name="Days until it comes back")
    days.fill("3.5")
    page.keyboard.press("Enter")
    expect(days).to_be_visible()
    page.screenshot(path=str(tmp_path / "days.png"))
    assert days.evaluate("one => one.validity.stepMismatch && document.activeElement === one")
    days.fill("3")
    page.keyboard.press("Enter")
    expect(page.locator(".in-done")).to_contain_text(f"Put off: On {PAPERS[0]}")

    page.keyboard.press("d")
    expect(page.get_by_role("dialog", name="Why is it nothing to this claim?")).to_be_visible()
    why = page.get_by_role("textbox", name="Why is it nothing to this claim?")
    why.fill("   ")
    page.get_by_role("button", name="Dismiss", exact=True).click()
    assert why.evaluate("one => one.validity.valueMissing")
    why.fill("another thing")
    page.screenshot(path=str(tmp_path / "why.png"))
    page.keyboard.press("Enter")
    waiting(page, 3)
    assert stands(store, "asked") == {"1": "snoozed", "2": "dismissed"}


def test_focus_goes_with_the_row_at_hand(visit: Visit, tmp_path: Path) -> None:
    page = opened(visit, "focused")
    page.keyboard.press("j")
    row = page.get_by_role("article", name=f"On {PAPERS[1]}")
    expect(row).to_be_focused()
    expect(row).to_have_attribute("aria-current", "true")
    expect(page.locator("[aria-current=true].in-row")).to_have_count(1)
    page.screenshot(path=str(tmp_path / "focus.png"))
    page.keyboard.press("s")
    waiting(page, 4)
    expect(page.get_by_role("article", name=f"On {PAPERS[2]}")).to_be_focused()
    page.get_by_role("article", name=f"On {PAPERS[4]}").get_by_role("link").focus()
    at_hand(page, 5)


def test_keys_act_where_the_focus_is_in_the_inbox_and_can_be_switched_off(
    store: Store, visit: Visit, tmp_path: Path
) -> None:
    page = opened(visit, "off")
    page.get_by_role("link", name="All claims").focus()
    page.keyboard.press("s")
    page.locator(".in-row.now").click(position={"x": 5, "y": 5})
    page.get_by_role("button", name="Turn the keys off").click()
    page.screenshot(path=str(tmp_path / "keys-off.png"))
    page.keyboard.press("c")
    page = opened(visit, "off")
    page.keyboard.press("p")
    page.get_by_role("button", name="Turn the keys on").click()
    page.keyboard.press("e")
    waiting(page, 4)
    assert stands(store, "off") == {"1": "extends"}

    page.get_by_role("link", name="Claims", exact=True).click()
    page.wait_for_url("**/claims")
    page.get_by_role("link", name="Inbox", exact=True).click()  # it has the focus, and gives it to what it leads to
    expect(page.locator(".in-row.now")).to_be_focused()


def test_a_key_that_is_held_down_decides_once(store: Store, visit: Visit) -> None:
    page = opened(visit, "held")
    for _ in range(3):
        page.keyboard.down("s")
    page.keyboard.up("s")
    page.keyboard.press("e")
    waiting(page, 3)
    assert stands(store, "held") == {"1": "supports", "2": "extends"}


# --- what is shown -------------------------------------------------------------------------------------------------------


def test_words_that_no_longer_stand_in_an_abstract_are_not_marked(store: Store, visit: Visit) -> None:
    page = opened(visit, "revised")
    expect(page.locator(".in-row.now mark")).to_have_text(SPAN)
    came(store, paper(PAPERS[0], version=2, abstract=f"Revised. {ABSTRACT}"))
    page = opened(visit, "revised")
    expect(page.locator(".in-row.now .in-text")).to_have_text(f"Revised. {ABSTRACT}")
    expect(page.locator(".in-row.now mark")).to_have_count(0)


def test_where_nothing_waits_the_page_says_why_and_what_to_do(chromium: Browser, tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written()})
    with served(store.path) as address:
        visit = Visit(chromium, address)
        nothing = visit.go("/inbox").get_by_text("Nothing waits")
        expect(nothing).to_contain_text("nothing is asked of arXiv yet")
        expect(nothing).to_contain_text("stillholds queries add")

        save(store)
        visit.go("/inbox")
        expect(nothing).to_contain_text("arXiv was not asked yet. Ask it with: stillholds pull")
        with store.writing() as session:
            session.exec(select(ArxivQuery)).one().pulled_at = NOW
        visit.go("/inbox")
        expect(nothing).to_contain_text("arXiv had nothing for what it was asked")

        came(store, paper(PAPERS[0]), paper(PAPERS[1]))  # on a machine without the weights of the embedding model
        visit.go("/inbox")
        expect(nothing).to_contain_text("2 papers came and were not matched to claims yet")
        visit.page.screenshot(path=str(tmp_path / "nothing.png"))

        suggested(store, "the-gap", PAPERS[0], rank=0)
        visit.go("/inbox")
        expect(nothing).to_contain_text("nothing among 2 papers is worth a look")
        inbox.dismiss(store, "the-gap", PAPERS[0], "about another subject", "somebody", NOW)
        visit.go("/inbox?claim=the-gap")
        expect(nothing).to_contain_text("all that is worth a look among 2 papers was decided or put off")
        visit.go("/inbox?claim=no-such")
        expect(visit.page.get_by_text("no claim has the slug 'no-such'")).to_be_visible()
        assert visit.unexpected() == []
        visit.leave()
