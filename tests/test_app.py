"""The app as its readers meet it: a real server, a real browser."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from claims import library
from tests.app_support import Visit, browser, library_with_a_run, now, served, visiting
from tests.cli_support import EXAMPLES, NO_WEIGHTS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = """---
title: "<img src=x onerror=window.hit=1> [evil](javascript:window.hit=2) $x$ :red[x] <script>window.hit=3</script>"
hook: "<b onmouseover=window.hit=4>hook</b> [link](javascript:window.hit=5)"
topics: ["<i>t</i>"]
---

<script>window.hit = 6</script> <img src="http://example.org/x.png" onerror="window.hit=7"> [click](javascript:window.hit=8)
![picture](http://example.org/y.png) <a href="http://example.org">out</a> [[own-words|<svg onload=window.hit=9>]] \ue0005\ue001
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "notes").mkdir()
    (folder / "notes" / "evil.md").write_text(EVIL)
    return library_with_a_run(folder / "library.db", folder / "notes").path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def address(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Started from a folder whose files must not be taken for modules, nor its settings for ours.
    folder = tmp_path_factory.mktemp("user")
    for name in ("streamlit", "verifiers", "claims", "torch"):
        (folder / f"{name}.py").write_text("raise SystemExit('a file of the user was run')\n")
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "config.toml").write_text(
        '[theme]\nprimaryColor = "#ff0000"\n[server]\naddress = "0.0.0.0"\n'
    )
    with served(
        store, cwd=folder, PYTHONPATH=str(NO_WEIGHTS)
    ) as where:  # to embed all pages takes longer than to look at them
        yield where


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Visit]:
    yield from visiting(chromium, address)


def graph(page: Page) -> dict[str, Any]:
    """The picture's nodes by id: position, kind, and whether one stands there."""
    page.wait_for_function("() => window.__network && window.__network.nodes().length > 0")
    found: dict[str, Any] = page.evaluate(
        "() => Object.fromEntries(window.__network.nodes().map(n => [n.id(), {x: n.position().x, y: n.position().y, kind: n.data('kind'),"
        " here: n.hasClass('here'), glyph: n.data('glyph') || ''}]))"
    )
    return found


def tap(page: Page, node: str, *, twice: bool = False) -> None:
    """Click a node where it is drawn."""
    page.wait_for_function("() => !window.__network.animated()")
    page.wait_for_timeout(400)
    at = page.evaluate("id => window.__network.getElementById(id).renderedPosition()", node)
    box = page.locator(".net").bounding_box()
    assert box is not None
    (page.mouse.dblclick if twice else page.mouse.click)(box["x"] + at["x"], box["y"] + at["y"])


def test_home_says_what_stands_and_what_was_tested_last(visit: Visit) -> None:
    page = visit.go("/")
    expect(page.locator("h1.sh-title")).to_contain_text("18 claims")
    expect(page.get_by_text("Tested last")).to_be_visible()
    assert page.locator("table.tested tr").count() == 5
    assert page.locator("table.tested .mk").count() >= 5  # each with its mark
    assert page.locator("table.tested .sp").count() == 5  # each with its interval on the regions
    expect(page.get_by_text("What the marks mean")).to_be_visible()


def test_the_page_fits_a_phone(chromium: Browser, address: str) -> None:
    phone = Visit(chromium, address, 390, 844)
    for path in ("/", "/claim?slug=lower-on-own-text", "/line?slug=recognition-or-exhaustion", "/claims"):
        page = phone.go(path)
        wide = page.evaluate("() => document.scrollingElement.scrollWidth")
        assert wide <= 390, path
    assert phone.unexpected() == []
    phone.page.context.close()


def test_links_walk_inside_the_session_and_back_comes_back(visit: Visit) -> None:
    page = visit.go("/line?slug=recognition-or-exhaustion")
    page.evaluate("() => { window.same_session = true; }")
    page.locator(".sh-prose a.sh-a", has_text="surer of its next word").click()
    page.wait_for_url("**/claim?slug=lower-on-own-text")
    expect(page.locator("h1.sh-title")).to_contain_text("After post-training")
    assert page.evaluate("() => window.same_session") is True
    page.go_back()
    expect(page.locator("h1.sh-title")).to_contain_text("Is a confident model")
    assert "slug=recognition-or-exhaustion" in page.url


def test_a_line_shows_the_standing_behind_the_phrase_that_leans_on_it(visit: Visit) -> None:
    page = visit.go("/line?slug=recognition-or-exhaustion")
    prose = page.locator(".sh-prose p").first
    expect(prose.locator(".mk").first).to_have_text("untested")
    expect(page.get_by_text("What this line leans on")).to_be_visible()


def test_a_claim_shows_contract_regions_controls_history_and_what_leans_on_it(visit: Visit) -> None:
    page = visit.go("/claim?slug=three-to-four-times")
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text("Untested")
    expect(facts).to_contain_text("0.02 M parameters against 1 B or more")
    expect(facts).to_contain_text("nobody has counted")
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
    for heading in ("Runs on the contract's regions", "History", "What leans on it", "Contract", "Controls of run 1"):
        expect(page.locator("h2.sh-h", has_text=heading).last).to_be_visible()
    expect(page.locator("h2.sh-h", has_text="Controls of run 1")).to_contain_text("9 of 9 inside")
    expect(page.get_by_text("REPRODUCED, SMALLER").first).to_be_visible()  # in the plot, as text
    expect(page.get_by_text("how hard the other text is")).to_have_count(0)
    expect(page.locator("ul.rows", has_text="three- to fourfold")).to_be_visible()  # the sentence that leans on it


def test_the_numbers_of_a_run_are_at_its_own_address(visit: Visit, store: Path) -> None:
    with sqlite3.connect(store) as connection:
        (run,) = connection.execute("SELECT id FROM run").fetchone()
        (claim,) = connection.execute("SELECT id FROM entity WHERE slug = 'three-to-four-times'").fetchone()
    page = visit.go(f"/claim?slug={claim}&run={run}")  # by id, which stays when titles and slugs change
    expect(page.get_by_text("Run 1 in numbers")).to_be_visible()
    expect(page.get_by_text("interaction ratio after post-training").first).to_be_visible()
    expect(page.get_by_text("Provenance")).to_be_visible()


def test_a_run_can_be_cited_with_link_json_and_picture(visit: Visit) -> None:
    page = visit.go("/claim?slug=lower-on-own-text")
    page.get_by_role("button", name="Cite").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("sha256")
    visit.drawn()  # or the dialog is drawn anew under the click
    with page.expect_download() as saved:
        dialog.get_by_role("button", name="JSON").click()
    record = json.loads(Path(saved.value.path()).read_text())
    assert record["link"].startswith(visit.address + "/claim?slug=")
    assert record["contract"]["endpoint"] == "interaction_did"
    assert len(record["measurement"]["findings"]["endpoints"][0]["values"]) == 12
    assert record["ledger"]["sha256"] in record["citation"]
    for name, begins in (("Picture, PNG", b"\x89PNG"), ("Picture, SVG", b"<svg")):
        visit.drawn()
        with page.expect_download() as saved:
            dialog.get_by_role("button", name=name).click()
        assert Path(saved.value.path()).read_bytes().startswith(begins)


def test_the_graph_is_walked_by_clicks_and_its_map_stays(visit: Visit) -> None:
    page = visit.go("/graph?node=own-words")
    before = graph(page)
    assert before["own-words"]["here"]
    assert {node["kind"] for node in before.values()} == {"note", "line", "claim", "paper"}
    assert all(node["glyph"] for node in before.values() if node["kind"] == "claim")
    tap(page, "row-ratio")
    page.wait_for_url("**/graph?node=row-ratio")
    page.wait_for_function("() => window.__network.getElementById('row-ratio').hasClass('here')")
    after = graph(page)
    moved = [
        name
        for name in before.keys() & after.keys()
        if abs(before[name]["x"] - after[name]["x"]) + abs(before[name]["y"] - after[name]["y"]) > 1
    ]
    assert moved == []
    page.go_back()
    page.wait_for_function("() => window.__network.getElementById('own-words').hasClass('here')")
    tap(page, "lower-on-own-text", twice=True)
    page.wait_for_url("**/claim?slug=lower-on-own-text")


def test_the_same_neighbourhood_stands_in_a_table(visit: Visit) -> None:
    page = visit.go("/graph?node=own-words")
    nodes = graph(page)
    edges = page.evaluate("() => window.__network.edges().length")
    page.get_by_role("radio", name="Table").or_(page.get_by_role("button", name="Table")).first.click()
    table = page.locator("table", has=page.locator("caption"))
    expect(table.locator("caption")).to_contain_text(f"{len(nodes)} entries and {edges} links")
    assert table.locator("tbody tr").count() == edges
    expect(table.get_by_role("columnheader", name="Relation")).to_be_visible()


def test_kinds_can_be_hidden_and_two_steps_reach_further(visit: Visit) -> None:
    page = visit.go("/graph?node=own-words")
    one = graph(page)
    page.get_by_role("button", name="2 steps").or_(page.get_by_role("radio", name="2 steps")).first.click()
    page.wait_for_function(f"() => window.__network.nodes().length > {len(one)}")
    page.get_by_role("button", name="Papers").click()
    page.wait_for_function("() => window.__network.nodes(\"[kind = 'paper']\").length === 0")


def test_slash_searches_and_question_mark_explains(visit: Visit) -> None:
    page = visit.go("/claims")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Void means that a control failed")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.wait_for_url("**/search")
    expect(page.get_by_placeholder("Ask in your own words")).to_be_focused()


def test_text_from_a_page_stays_text(visit: Visit) -> None:
    for path in ("/note?slug=evil", "/notes", "/graph?node=evil", "/search?q=evil+picture", "/"):
        page = visit.go(path)
        page.wait_for_timeout(500)
        assert page.evaluate("() => window.hit") is None, path
        hrefs = page.eval_on_selector_all(
            "[data-testid=stMain] a", "links => links.map(a => a.getAttribute('href') || '')"
        )
        assert [href for href in hrefs if not href.startswith("/")] == [], path
        assert page.locator("[data-testid=stMain] img, [data-testid=stMain] script").count() == 0
    page = visit.go("/note?slug=evil")
    expect(page.locator("h1.sh-title")).to_contain_text("<img src=x onerror=window.hit=1>")


def test_an_unknown_address_says_what_is_near(visit: Visit) -> None:
    page = visit.go("/claim?slug=lower-on-own-txt")
    expect(page.get_by_text("did you mean lower-on-own-text")).to_be_visible()


def test_a_run_started_here_outlives_the_tab_and_can_be_cancelled(chromium: Browser, address: str, store: Path) -> None:
    first = Visit(chromium, address)
    page = first.go("/claim?slug=gap-in-the-story-world")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("It goes on if you close this tab.")).to_be_visible(timeout=60_000)
    page.context.close()
    second = Visit(chromium, address)
    page = second.go("/claim?slug=gap-in-the-story-world")
    expect(page.locator("[data-testid=stProgress]")).to_contain_text("of 13 done", timeout=60_000)
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_role("button", name="Run again")).to_be_visible(timeout=60_000)
    expect(page.locator("table", has_text="cancelled")).to_contain_text("Error")
    assert second.unexpected() == []
    page.context.close()
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT state, reason FROM run ORDER BY number DESC").fetchone() == (
            "error",
            "cancelled",
        )


def test_a_read_only_app_shows_everything_and_offers_no_run(chromium: Browser, store: Path) -> None:
    with served(store, "--read-only") as address:
        visit = Visit(chromium, address)
        page = visit.go("/claim?slug=lower-on-own-text")
        expect(page.get_by_role("button", name="Run again")).to_be_disabled()
        expect(page.get_by_text("The app runs read-only.")).to_be_visible()
        assert visit.unexpected() == []


def test_an_empty_library_says_what_to_do_and_what_comes_in_is_found_by_meaning(
    chromium: Browser, tmp_path: Path
) -> None:
    empty = library.create(tmp_path / "library.db", now())
    with served(empty.path) as address:
        visit = Visit(chromium, address)
        for path in ("/", "/lines", "/notes", "/claims", "/graph"):
            expect(visit.go(path).get_by_text("stillholds import FOLDER")).to_be_visible()
        library.bring_in(
            empty, [EXAMPLES / "notes" / name for name in ("good-fit.md", "own-words.md", "row-ratio.md")], now()
        )
        page = visit.go("/search")
        page.get_by_placeholder("Ask in your own words").fill("why might an excellent curve fit still prove little")
        page.keyboard.press("Enter")
        first = page.locator("ul.rows li").first
        expect(first).to_contain_text("meaning, rank", timeout=90_000)
        assert "/note?slug=good-fit" in page.eval_on_selector_all(
            "ul.rows li a.sh-a", "links => links.slice(0, 3).map(a => a.getAttribute('href'))"
        )
        assert "q=why+might" in page.url
        assert visit.unexpected() == []
