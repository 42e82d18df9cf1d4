"""Whether papers are grounded, on every page that shows them; what strangers wrote never becomes HTML there."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session
from streamlit.testing.v1 import AppTest

from claims.papers import looking_up, naming
from claims.papers.grounding import Proposal
from kb import arxiv_papers
from kb.models import ArxivCheck
from kb.store import Store
from tests.arxiv_server import DAWN, record
from tests.kb_support import vault

NOW = DAWN + timedelta(days=40)
HOSTILE = "<script>alert(1)</script> & <b>bees</b> $\\alpha$ :red[x]"
PAGES = {
    "notes__quorum": "---\npapers:\n- arXiv:2605.00001 – Bees Count\n- Scouts Walk the Hollow\n---\n# A quorum\n\nScouts count.\n",
    "claims__wasps": "---\nnote: quorum\npapers:\n- arXiv:2605.00002 – Wasps Rest\n---\n# Wasps rest\n\nThey do.\n",
}


def draw_paper() -> None:
    from stillholds.views import frame, paper

    with frame.in_words():
        paper.page()


def draw_papers() -> None:
    from stillholds.views import lists

    lists.papers()


def draw_note() -> None:
    from stillholds.views import note

    note.note()


def draw_claim() -> None:
    from stillholds.views import claim

    claim.page()


def draw_search() -> None:
    from stillholds.views import search

    search.page()


def draw_graph() -> None:
    from stillholds.views import graph

    graph.page()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("stillholds.views.search._embedder", lambda: (None, ""))  # by words alone: no model is loaded
    store = vault(tmp_path, **PAGES)
    monkeypatch.setenv("STILLHOLDS_STORE", str(store.path))
    with store.writing() as session:
        said = [record("2605.00001", title=HOSTILE, authors=(HOSTILE, "Bo"), abstract=HOSTILE, comment=HOSTILE)]
        said.append(record("2605.00002", 2, title="Wasps Rest", comment="This paper has been withdrawn"))
        arxiv_papers.put(session, said, NOW)
        _propose(session)
    return store


def _propose(session: Session) -> None:
    key = next(one.named.key for one in naming.grounds(session) if one.arxiv is None)
    proposal = Proposal(record=record("2605.00005", title=f"Scouts Walk {HOSTILE}"), similarity=0.7)
    row = ArxivCheck(entity_id=key, asked_for="Scouts Walk the Hollow", outcome="proposed", checked_at=NOW)
    row.proposals = naming.PROPOSALS.dump_python((proposal,), mode="json")
    session.add(row)


def opened(draw: Callable[[], None], **asked: str) -> AppTest:
    app = AppTest.from_function(draw, default_timeout=60)
    for name, value in asked.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html(app: AppTest) -> str:
    text = " ".join(str(element.proto.body) for element in app.get("html"))
    assert "<script" not in text
    assert "<b>bees" not in text
    return text


def test_the_papers_page_shows_each_with_its_state_and_both_titles(store: Store) -> None:
    text = html(opened(draw_papers))
    assert "3 papers named here: 1 proposed, 1 title differs, 1 withdrawn. Checked 2026-06-13." in text
    assert re.search(r"Bees Count</a>.*Title differs.*arXiv: &lt;script&gt;", text)
    assert "g-withdrawn" in text


def test_a_papers_page_shows_what_arxiv_says_beside_what_pages_do(store: Store) -> None:
    app = opened(draw_paper, slug="bees-count")
    text = html(app)
    for said in (
        "titles differ",
        "Bees Count",
        "&lt;script&gt;",
        "As arXiv has it",
        "What happened to it",
        "2026-05-04",
    ):
        assert said in text
    assert [button.label for button in app.get("download_button")] == ["BibTeX", "CSL-JSON"]


def test_a_paper_nobody_asked_about_says_how_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = vault(tmp_path / "other", notes__a="---\npapers: [arXiv:2605.00001]\n---\n# A note\n\nText.\n")
    monkeypatch.setenv("STILLHOLDS_STORE", str(other.path))
    text = html(opened(draw_paper, slug="arxiv-2605-00001"))
    assert "Not yet checked" in text
    assert "stillholds ground asks arXiv" in text


def test_a_person_takes_a_proposal_with_one_press(store: Store) -> None:
    app = opened(draw_paper, slug="scouts-walk-the-hollow")
    assert "similar 0.70" in html(app)
    app.button[0].click().run()
    assert not app.exception
    with store.reading() as session:
        (one,) = naming.chosen(session, ["scouts-walk-the-hollow"])
    assert one.arxiv == "2605.00005"
    assert one.accepted


def test_nothing_is_taken_where_pages_are_read_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillholds.views.frame.is_read_only", lambda: True)
    app = opened(draw_paper, slug="scouts-walk-the-hollow")
    assert [button.disabled for button in app.button] == [True]


@pytest.mark.parametrize(
    ("draw", "asked", "said"),
    [
        (draw_note, {"slug": "quorum"}, r"Bees Count</a> <span[^>]*><span[^>]*><i[^>]*></i>title differs"),
        (draw_claim, {"slug": "wasps"}, r"Wasps Rest</a> <span[^>]*><span[^>]*><i[^>]*></i>withdrawn"),
        (draw_search, {"q": "wasps rest"}, r"Wasps Rest</a> <span[^>]*><span[^>]*><i[^>]*></i>withdrawn"),
        (draw_graph, {"node": "quorum"}, r"Bees Count</a><br> <span[^>]*><i[^>]*></i>Title differs"),
    ],
    ids=["note", "claim", "search", "graph"],
)
def test_the_mark_stands_behind_the_paper(
    draw: Callable[[], None], asked: dict[str, str], said: str, store: Store
) -> None:
    assert re.search(said, html(opened(draw, **asked)))


def test_the_prompt_of_a_line_has_the_counts_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.kb_support import filled, page_paths

    store = filled(tmp_path, *page_paths())
    monkeypatch.setenv("STILLHOLDS_STORE", str(store.path))

    def draw_line() -> None:
        from stillholds.views import note

        note.line()

    with store.reading() as session:
        found = naming.chosen(session, ["how-does-a-colony-turn-noisy-dances-into-a-good-decision"])
    assert len(found) == 3
    text = html(opened(draw_line, slug="how-does-a-colony-turn-noisy-dances-into-a-good-decision"))
    assert "3 papers named here: 3 not yet checked." in text
    assert looking_up.wanted(found, NOW, 30).total == 3
