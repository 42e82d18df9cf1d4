"""The inbox as its readers meet it: from three new papers to a claim that is due, by keys alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from claims.audit import audit
from kb.store import Store
from tests.app_support import Visit, browser, served
from tests.claims_support import past
from tests.inbox_support import ABSTRACT, an_inbox, came, matched, paper, row_of, suggested

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = "<img src=x onerror=window.hit=1> $x$ :red[x] <script>window.hit=2</script>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = an_inbox(tmp_path_factory.mktemp("inbox"))
    came(store, paper("2611.00009", title=EVIL, abstract=EVIL, authors=(EVIL,)))
    odd = matched("supports", "unsure", span=EVIL, span_start=0, span_end=len(EVIL), reason=EVIL)
    suggested(store, "spoken", "2611.00009", odd, score=0.1)
    return store


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    with served(store.path) as where:
        yield where


def opened(visit: Visit, path: str = "/inbox") -> Page:
    page = visit.go(path)
    page.locator("html[data-sh-inbox=on]").wait_for(state="attached")
    page.locator(".in-row.now").wait_for()
    return page


def test_from_three_new_papers_to_an_attached_one_a_due_claim_and_what_leans_on_it(
    chromium: Browser, address: str, store: Store, tmp_path: Path
) -> None:
    visit = Visit(chromium, address)
    page = visit.go("/")
    page.get_by_text(re.compile("4 new papers for 2 claims")).click()
    page.wait_for_url("**/inbox")
    page.locator(".in-row.now").wait_for()
    expect(page.locator(".in-row")).to_have_count(4)
    page.keyboard.press("j")
    expect(page.locator(".in-row.now .in-title")).to_have_text("On 2611.00002")
    expect(page.locator(".in-row.now .in-text")).to_have_text(ABSTRACT)  # three sentences, with the spaces between them
    page.keyboard.press("k")
    page.screenshot(path=str(tmp_path / "before.png"))
    page.keyboard.press("a")  # as guessed: it contradicts
    done = page.locator(".in-done")
    expect(done).to_contain_text("Attached as contradicting: On 2611.00001")
    expect(done).to_contain_text("DUE because a paper contradicts it (arXiv:2611.00001v1)")
    expect(done.get_by_role("link", name="Does the gap last?")).to_be_visible()
    page.screenshot(path=str(tmp_path / "after.png"))
    assert row_of(store, "the-gap", "2611.00001").state == "attached"

    page.keyboard.press("u")
    expect(done).to_contain_text("Taken back: On 2611.00001")
    expect(page.locator(".in-row")).to_have_count(4)
    assert past(store).waiting.because == ()

    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("d")
    asked = page.get_by_role("textbox", name="Why is it nothing to this claim?")
    asked.fill("about another subject / another thing?")
    page.keyboard.press("Enter")
    expect(page.locator(".in-row")).to_have_count(2)
    page.keyboard.press("z")
    page.keyboard.press("Enter")
    expect(done).to_contain_text("Put off: On 2611.00003")
    assert [row_of(store, "the-gap", f"2611.0000{n}").state for n in (1, 2, 3)] == ["dismissed", "dismissed", "snoozed"]
    assert audit(store).problems == ()
    assert page.evaluate("() => window.hit") is None
    assert visit.unexpected() == []
    page.context.close()


def test_the_inbox_fits_a_phone_and_buttons_do_what_keys_do(
    chromium: Browser, address: str, store: Store, tmp_path: Path
) -> None:
    suggested_again(store)
    phone = Visit(chromium, address, 390, 844)
    page = opened(phone)
    page.screenshot(path=str(tmp_path / "phone.png"))
    assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 390
    row = page.locator(".in-row", has_text="On 2611.00007")
    row.click(position={"x": 5, "y": 5})
    row.get_by_role("button", name=re.compile("qualifies")).click()
    expect(page.locator(".in-done")).to_contain_text("Attached as qualifying: On 2611.00007")
    assert phone.unexpected() == []
    page.context.close()


def suggested_again(store: Store) -> None:
    came(store, paper("2611.00007"))
    suggested(store, "the-gap", "2611.00007")


def test_a_read_only_app_shows_the_inbox_and_decides_nothing(chromium: Browser, store: Store) -> None:
    came(store, paper("2611.00008"))
    suggested(store, "the-gap", "2611.00008")
    with served(store.path, "--read-only") as address:
        visit = Visit(chromium, address)
        page = opened(visit, "/inbox?claim=the-gap")
        expect(page.get_by_text("The app runs read-only")).to_be_visible()
        expect(page.locator(".in-row.now button").first).to_be_disabled()
        page.keyboard.press("c")
        page.keyboard.press("j")
        page.wait_for_timeout(300)
        assert page.locator(".in-row.gone").count() == 0
        assert visit.unexpected() == []
        page.context.close()
    assert row_of(store, "the-gap", "2611.00008").state == "new"
