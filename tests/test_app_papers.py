"""Papers on the pages of claims, and claims on the pages of papers; what strangers wrote stays in its box."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from claims import library
from claims.impact import Leans
from claims.papers import inbox
from kb.models import Entity, Paper
from kb.store import Store
from tests.app_support import Visit, browser, served, visiting
from tests.claims_support import NOW
from tests.inbox_support import an_inbox, came, id_of, matched, paper, suggested
from tests.kb_support import write

LATEX = r"It falls by 95\%, so $\alpha > \beta$ is \textbf{sure}."
READ = "It falls by 95%, so α &gt; β is sure."
WIDE, TURNED = "W" * 300, "\u202eturned"
PAGES = {
    "notes/further.md": "---\ntitle: Does more follow?\nextends: Does the gap last?\n---\n\nMore follows.\n",
    "notes/beside.md": "---\ntitle: What stands beside it?\nrelates: the-gap in words\n---\n\nOther things.\n",
    "lines/twice.md": "---\ntitle: Why twice?\n---\n\nBecause of [[the-gap]].\n\nOnce more, because of [[the-gap]].\n",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("papers")
    store = an_inbox(folder)
    pages = [write(folder / "more" / name, text.encode()) for name, text in PAGES.items()]
    assert not library.bring_in(store, pages, NOW).refused
    came(store, paper("2611.00009", title=f"{WIDE} {TURNED}", abstract=f"{WIDE} {TURNED}.", authors=(WIDE,)))
    suggested(store, "spoken", "2611.00001", matched(span=LATEX))
    suggested(store, "the-gap", "2611.00009", matched(span=f"{WIDE} {TURNED}."))
    suggested(store, "spoken", "2611.00009")
    inbox.attach(store, "spoken", "2611.00001", "qualifies", "ada", NOW)
    inbox.attach(store, "the-gap", "2611.00001", "supports", "bo", NOW)
    inbox.attach(store, "the-gap", "2611.00009", "contradicts", "ada", NOW)
    return store


def draw_claim() -> None:
    from stillholds.views import claim

    claim.page()


def draw_paper() -> None:
    from stillholds.views import paper

    paper.page()


def drawn(page: Callable[[], None], store: Store, monkeypatch: pytest.MonkeyPatch, slug: str) -> str:
    monkeypatch.setenv("STILLHOLDS_STORE", str(store.path))
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params["slug"] = slug
    app.run()
    assert not app.exception
    return " ".join(str(element.proto.body) for element in app.get("html"))


def section(text: str, heading: str) -> str:
    """What stands under a heading, with its count."""
    return text.split(f"<h2 class='sh-h'>{heading}<span>")[1].split("<h2", maxsplit=1)[0]


def test_what_leans_on_a_claim_is_the_same_on_its_page_as_after_attaching(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = drawn(draw_claim, store, monkeypatch, "the-gap")
    with store.reading() as session:
        leaning = Leans.read(session).on(id_of(session, "the-gap"))
    shown = section(text, "What leans on it")
    assert shown.startswith(f"{len(leaning)}<")
    assert shown.count("<li>") == len(leaning) == 3
    assert all(one.other.title in shown for one in leaning)
    assert ("Because of the-gap." in shown, "Once more, because of the-gap." in shown) == (True, True)
    assert "What stands beside it?" not in shown
    assert "note relates" in section(text, "What else speaks of it")


def test_the_span_of_an_attached_paper_is_shown_as_a_person_reads_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert READ in section(drawn(draw_claim, store, monkeypatch, "spoken"), "Papers attached")


def test_a_paper_says_to_which_claims_it_is_attached_as_what_by_whom_and_when(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = section(drawn(draw_paper, store, monkeypatch, "on-2611-00001"), "Attached to")
    assert shown.startswith("2<")
    assert re.search(rf"qualifies</span> <a [^>]*slug=spoken[^>]*>.*{re.escape(READ)}.*by ada, ", shown)
    assert re.search(r"supports</span> <a [^>]*slug=the-gap[^>]*>.*by bo, ", shown)


# --- in a browser ----------------------------------------------------------------------------------------------------

BEYOND = """() => [...document.querySelectorAll('.sh')].flatMap(box => [...box.querySelectorAll('*')].filter(one =>
    one.getBoundingClientRect().right > box.getBoundingClientRect().right + 1).map(one => one.outerHTML.slice(0, 80)))"""


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


@pytest.mark.browser
@pytest.mark.slow
def test_a_word_of_300_letters_stays_in_its_box_and_turns_nothing_else(visit: Visit, store: Store) -> None:
    with store.reading() as session:
        slug = session.exec(select(Entity.slug).join(Paper).where(Paper.arxiv == "2611.00009")).one()
    for path in ("/", "/claim?slug=the-gap", f"/paper?slug={slug}", "/papers", "/inbox?claim=spoken"):
        page = visit.go(path)
        page.locator(".sh", has_text="WWWWWWWW").first.wait_for()
        assert page.evaluate(BEYOND) == [], path
    page = visit.go("/claim?slug=the-gap")
    theirs = page.locator("li .sh-theirs", has_text="WWWWWWWW").first
    assert theirs.evaluate("one => getComputedStyle(one).unicodeBidi") == "isolate"
    ours = page.locator(".sh-h, .sh th, .sh td:first-child").evaluate_all(
        "all => all.map(one => getComputedStyle(one).overflowWrap)"
    )
    assert set(ours) == {"break-word"}  # a narrow column or heading is never narrower than its longest word
