"""Saved queries: what may be asked, how it is said to arXiv, and what is kept."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.errors import BadQuery, NoQuery
from claims.papers import pull as pulling
from claims.papers import queries, terms
from claims.papers.terms import Telling, Terms, expression, terms_from
from kb.errors import NotFound
from kb.telling import rarity, telling
from tests.arxiv_server import many, serving, understood
from tests.kb_support import entity, new_store, reproducible, vault
from tests.pull_support import NOW, papers, pull, row, save

few = settings(reproducible, max_examples=50)


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ({"categories": ["cs.lg"]}, "cat:cs.LG"),
        ({"categories": ["HEP-TH", "cond-mat.Mtrl-Sci"]}, "(cat:hep-th OR cat:cond-mat.mtrl-sci)"),
        ({"categories": ["cs.*"]}, "cat:cs.*"),
        ({"words": ["entropy"]}, "all:entropy"),
        ({"words": ['entropy "policy gradient"']}, '(all:entropy AND all:"policy gradient")'),
        ({"words": ["entropy collapse", "exploration"]}, "((all:entropy AND all:collapse) OR all:exploration)"),
        (
            {"words": ["f(x) self-play cat:cs.CL a\\b"]},
            '(all:"f x" AND all:"self-play" AND all:"cat cs.CL" AND all:"a b")',
        ),
        ({"words": ["and or not"]}, "(all:and AND all:or AND all:not)"),
        ({"authors": ["Doe, Jane"]}, 'au:"Jane Doe"'),
        ({"authors": ["Jürgen Müller"]}, '(au:"Jürgen Müller" OR au:"Jurgen Muller")'),
        ({"categories": ["cs.LG"], "words": ["entropy"], "authors": ["Doe"]}, 'cat:cs.LG AND all:entropy AND au:"Doe"'),
    ],
)
def test_what_a_person_says_in_arxivs_words(said: dict[str, list[str]], asks: str) -> None:
    assert expression(terms_from(said)) == asks
    understood(asks)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "the query is empty"),
        ({"categories": ["learning"]}, "no category"),
        ({"categories": ["cs.learning machines"]}, "no category"),
        ({"categories": ["cs"]}, r"cs\.\* for all"),
        ({"categories": ["hep-th.XX"]}, "no category"),
        ({"categories": ["cs.LG OR cat:cs.CL"]}, "no category"),
        ({"words": ['(((:""\'']}, "no word that arXiv could look for"),
        ({"words": ['a "quotation']}, "does not close it"),
        ({"words": ["entropy OR collapse"]}, "OR is not needed"),
        ({"words": ["\ud800"]}, "no text"),
        ({"words": ["long " * 400]}, "arXiv takes 1500"),
        ({"authors": ["&&"]}, "no name of an author"),
        ({"cited": True, "words": ["entropy"]}, "nothing else fits"),
        ({"sort": "newest"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(said: dict[str, list[str]], words: str) -> None:
    with pytest.raises(BadQuery, match=words):
        terms_from(said)


@few
@given(st.lists(st.text(max_size=40), max_size=2), st.lists(st.text(max_size=20), max_size=2))
def test_whatever_is_written_is_refused_or_understood(words: list[str], authors: list[str]) -> None:
    try:
        asks = expression(terms_from({"words": words, "authors": authors}))
    except BadQuery:
        return
    understood(asks)


@few
@given(st.lists(st.from_regex(r"[a-z]{3,8}", fullmatch=True), min_size=1, max_size=12, unique=True))
def test_words_of_an_entry_go_out_alone_and_in_no_order_of_its_text(words: list[str]) -> None:
    asks = expression(Terms(like="a"), Telling.of(words))
    assert asks.count("all:") == min(len(words), terms.CORE + terms.AROUND)
    understood(asks)
    assert asks == expression(Terms(like="a"), Telling.of([*sorted(words[:3], reverse=True), *words[3:]]))


# --- the telling words -----------------------------------------------------------------------------------------------

ENTROPY = "---\ntitle: Entropy collapses under clipping\n---\nMarie Kowalczyk saw exploration end. The paper shows exploration.\n"
OTHERS = {
    f"notes__n{number}": f"---\ntitle: Note {number}\n---\nGradients and exploration of gradients in case {number}.\n"
    for number in range(8)
}


def told(store_folder: Path, **pages: str) -> list[str]:
    store = vault(store_folder, **pages)
    with store.reading() as session:
        return [one.word for one in telling(session, entity(session, "a"), 9)]


def test_an_entry_is_told_by_its_title_and_never_by_names_that_it_alone_has(tmp_path: Path) -> None:
    words = told(tmp_path, notes__a=ENTROPY, **OTHERS)
    assert set(words[:3]) == {"clipping", "collapses", "entropy"}
    assert not {"marie", "kowalczyk", "paper", "shows"} & set(words)


def test_a_word_that_the_others_say_less_tells_more(tmp_path: Path) -> None:
    others = {**OTHERS, "notes__x": "---\ntitle: X\n---\nOn clipping.\n", "notes__y": "---\ntitle: Y\n---\nMore.\n"}
    words = told(tmp_path, notes__a=ENTROPY, **others)
    assert words.index("clipping") < words.index("exploration")


def test_what_everybody_says_tells_less_in_whatever_form() -> None:
    assert rarity("the") < rarity("wrote") < rarity("policy") < rarity("entropy") <= rarity("grpo") == 1
    assert rarity("policies") == rarity("policy")
    assert rarity("narrowed") <= rarity("narrow") < 0.5


def test_an_entry_without_words_of_its_own_is_refused(tmp_path: Path) -> None:
    store = vault(tmp_path, notes__a="---\ntitle: What now?\n---\nNothing.\n")
    with pytest.raises(BadQuery, match="too few words"):
        save(store, like="a")
    with pytest.raises(NotFound):
        save(store, like="nothing-of-the-kind")


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_query_is_kept_with_who_and_when_and_stands_nowhere_yet(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    made = save(store, "  entropy\nand more ", words=["entropy"])
    assert (made.name, made.kind, made.asks, made.is_on) == ("entropy and more", "words", "all:entropy", True)
    assert (made.made_by, made.made_at, made.reached_at, made.papers) == ("the test", NOW, None, 0)
    with store.reading() as session:
        assert queries.saved(session) == [made]


def test_a_name_is_given_once_and_is_a_name(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    save(store)
    with pytest.raises(NoQuery, match="already"):
        save(store)
    for name in ("", " \n", "n" * 81, "\ud800"):
        with pytest.raises(BadQuery, match="needs a name"):
            save(store, name)


def test_a_query_that_is_off_is_left_out_and_keeps_its_place(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    save(store)
    with serving(many(3)) as arxiv:
        pull(store, arxiv)
        assert not queries.switch(store, "learning", on=False).is_on
        done = pull(store, arxiv, at=NOW.replace(day=30))
        assert [one.name for one in done] == [pulling.KNOWN_HERE]  # what came is watched all the same
        assert queries.switch(store, "learning", on=True).reached_at == NOW


def test_what_a_query_brought_stays_when_it_goes(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    save(store)
    with serving(many(3)) as arxiv:
        pull(store, arxiv)
    queries.remove(store, "learning")
    assert len(papers(store)) == 3
    with store.reading() as session:
        assert queries.saved(session) == []
    with pytest.raises(NoQuery, match="there is: none yet"):
        queries.remove(store, "learning")
    save(store)
    assert row(store).reached_at is None
