"""Neighbourhoods: what lies within some steps, whichever way the links point."""

import pytest

from kb.graph import Neighbourhood, neighbourhood
from kb.read import find
from kb.store import Store
from tests.kb_support import bring_in, entity, filled, vault, write


def around(store: Store, slug: str, steps: int = 1, limit: int = 300) -> Neighbourhood:
    with store.reading() as session:
        return neighbourhood(session, entity(session, slug), steps, limit)


@pytest.fixture
def chain(tmp_path):
    """a → b → c → d, and e → b."""
    return vault(
        tmp_path,
        notes__a="# A\n\nFirst [[b]] here.",
        notes__b="# B\n\nThen [[c]].",
        notes__c="# C\n\nThen [[d]].",
        notes__d="# D\n\nEnd.",
        notes__e="# E\n\nAlso [[b]]. And [[b|once more]].",
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize(
    ("start", "steps", "distances"),
    [
        ("a", 0, {"a": 0}),
        ("a", 1, {"a": 0, "b": 1}),
        ("a", 2, {"a": 0, "b": 1, "c": 2, "e": 2}),
        ("a", 3, {"a": 0, "b": 1, "c": 2, "e": 2, "d": 3}),
        ("a", 9, {"a": 0, "b": 1, "c": 2, "e": 2, "d": 3}),
        ("b", 1, {"b": 0, "a": 1, "c": 1, "e": 1}),
        ("d", 1, {"d": 0, "c": 1}),
    ],
)
def test_distances_count_links_whichever_way_they_point(start, steps, distances, chain):
    found = around(chain, start, steps)
    assert found.steps == distances
    assert found.left_out == 0
    assert found.here.slug == start


def test_nodes_come_nearest_first_and_the_entry_itself_before_all(chain):
    assert [node.slug for node in around(chain, "a", 3).nodes] == ["a", "b", "c", "e", "d"]


def test_edges_are_those_among_the_nodes_and_keep_their_direction(chain):
    assert [(edge.source, edge.target) for edge in around(chain, "a", 2).edges] == [("a", "b"), ("b", "c"), ("e", "b")]
    assert [(edge.source, edge.target) for edge in around(chain, "c", 1).edges] == [("b", "c"), ("c", "d")]


def test_an_edge_keeps_all_the_sentences_of_its_links(chain):
    edges = {(edge.source, edge.target): edge.sentences for edge in around(chain, "b").edges}
    assert edges["a", "b"] == ("First b here.",)
    assert edges["e", "b"] == ("Also b.", "And once more.")


def test_links_of_two_types_between_two_entries_are_two_edges(tmp_path):
    store = vault(
        tmp_path, notes__a="---\nextends: [[b]]\ncontradicts: [[b]]\n---\n# A\n\nText.", notes__b="# B\n\nText."
    )
    assert sorted(edge.type for edge in around(store, "a").edges) == ["contradicts", "extends"]


def test_an_entry_without_links_is_alone(tmp_path):
    found = around(vault(tmp_path, notes__a="# A\n\nText."), "a", 5)
    assert [node.slug for node in found.nodes] == ["a"]
    assert found.edges == ()


@pytest.mark.parametrize(
    ("limit", "kept"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"]), (5, ["a", "b", "c", "e", "d"])]
)
def test_the_nearest_are_kept_and_the_others_counted(limit, kept, chain):
    found = around(chain, "a", 3, limit)
    assert [node.slug for node in found.nodes] == kept
    assert set(found.steps) == set(kept)
    assert found.left_out == 5 - limit
    assert all({edge.source, edge.target} <= set(kept) for edge in found.edges)


def test_a_ring_is_walked_once(tmp_path):
    store = vault(tmp_path, notes__a="# A\n\n[[b]].", notes__b="# B\n\n[[c]].", notes__c="# C\n\n[[a]].")
    assert around(store, "a", 10).steps == {"a": 0, "b": 1, "c": 1}
    assert len(around(store, "a", 10).edges) == 3


def test_a_line_stands_among_its_notes_claims_papers_and_next_lines(pages):
    found = around(pages, "how-does-a-colony")
    kinds = {node.kind for node in found.nodes}
    assert kinds == {"note", "line", "claim", "paper"}
    assert found.steps["do-stop-signals-prevent-a-swarm-from-splitting"] == 1
    assert "do-guards-recognise-nestmates-by-scent-alone" not in found.steps


def test_two_lines_that_lean_on_one_note_are_two_steps_apart(pages):
    found = around(pages, "why-does-warmth", 2)
    assert found.steps["why-do-winter-clusters-rotate-their-outer-bees"] == 1
    assert found.steps["what-holds-a-colony-together-when-its-signals-fade"] == 2


def test_every_entry_of_our_pages_hangs_together(pages):
    assert len(around(pages, "how-does-a-colony", 10).nodes) == 34


def test_a_neighbourhood_follows_an_edited_page(tmp_path, chain):
    bring_in(chain, write(tmp_path / "vault/notes/a.md", "# A\n\nNow [[d]]."))
    assert around(chain, "a").steps == {"a": 0, "d": 1}


def test_a_large_library_is_walked_to_its_limit(tmp_path):
    names = [f"n{number}" for number in range(400)]
    hub = "# Hub\n\n" + " ".join(f"See [[{name}]]." for name in names)
    store = vault(tmp_path, notes__hub=hub)
    found = around(store, "hub", 2)
    assert (len(found.nodes), found.left_out) == (300, 101)
    with store.reading() as session:
        assert find(session, "n399").is_stub
