"""The five real pages, wherever they are: nobody's clone has them, so they are looked for beside the repository.

Sentences are quoted by their first and last words only.
"""

import re

import pytest
from sqlmodel import select

from kb.models import Claim, Entity, Line, Note
from kb.read import counts
from tests.kb_support import (
    LATER,
    NO_SEEDS,
    SEEDS,
    bring_in,
    contents,
    dump,
    entity,
    filled,
    links_between,
    new_store,
    page_paths,
    seed_paths,
    titles,
)

pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason=NO_SEEDS)

FIVE = range(5)
ORDERS = [[(start + step) % 5 for step in FIVE] for start in FIVE] + [[4, 3, 2, 1, 0], [3, 0, 4, 2, 1], [1, 4, 0, 3, 2]]
COLLAPSE = "does-policy-entropy-collapse"
FORKING = "do-high-entropy-tokens"
SEARCH = "does-reinforcement-learning-squeeze"
OWN_TEXT = "why-do-models-produce-less"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """All five in one import; no test changes it."""
    return filled(tmp_path_factory.mktemp("seeds"), SEEDS)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_any_order_gives_each_thing_exactly_once(order, store, tmp_path):
    other = new_store(tmp_path)
    for number in order:
        assert bring_in(other, seed_paths()[number]).refused == []
    with other.reading() as session:
        found = counts(session)
    assert (found.notes, found.lines, found.papers, found.claims) == (18, 20, 15, 15)
    assert contents(other) == contents(store)


def test_no_two_entries_have_the_same_words(store):
    for kind in ("note", "line", "paper", "claim"):
        words = [re.sub(r"\W+", " ", title.lower()).strip() for title in titles(store, kind)]
        assert len(set(words)) == len(words)


def test_importing_again_changes_nothing(tmp_path):
    store = filled(tmp_path, SEEDS)
    before = dump(store.path)
    assert len(bring_in(store, SEEDS, now=LATER).unchanged) == 5
    assert dump(store.path) == before


@pytest.mark.parametrize(
    ("source", "target", "first", "last", "paragraph"),
    [
        ("how-does-on-policy", "do-models-recognize", "The measurable tell is", "actions shaping future inputs?.", 0),
        ("how-does-on-policy", COLLAPSE, "The empirical law R =", "reasoning performance in RL?.", 1),
        ("how-does-on-policy", SEARCH, "The same squeeze shows up", "in search agents?.", 1),
        ("how-does-on-policy", FORKING, "Only about 20%", "drive reasoning model improvements?.", 3),
        ("how-does-on-policy", "does-rl-training-follow", "The two-phase view", "never the whole picture.", 3),
        ("how-does-on-policy", "does-binary-reward", "If you want the doorway", "indifferent to truth?.", 4),
        ("how-does-on-policy", "does-rlhf-make", "If you want the doorway", "indifferent to truth?.", 4),
        ("how-does-policy-entropy", COLLAPSE, "The anchor is the finding", "reasoning performance in RL?.", 1),
        ("how-does-policy-entropy", "can-non-reasoning", "The payoff for the inference", "up with more compute?.", 3),
        ("how-does-policy-entropy", "do-base-models", "This connects to the deeper", "before training narrowed it.", 3),
        ("why-does-policy-entropy", "is-the-exploration", "The sharpest piece here", "actually fundamental?.", 1),
        (
            "why-does-policy-entropy",
            "do-reasoning-cycles",
            "Distilled reasoning models develop",
            "reveal aha moments?.",
            3,
        ),
        (
            "why-do-structured",
            "can-identical-outputs",
            "Entropy here isn't noise",
            "broken internal representations?.",
            2,
        ),
        ("why-do-structured", OWN_TEXT, "There's even a hint", "on their own text?.", 3),
    ],
)
def test_a_note_is_leaned_on_at_the_sentence_that_names_it(source, target, first, last, paragraph, store):
    (link,) = links_between(store, source, target)
    with store.reading() as session:
        body = session.get_one(Line, link.source_id).body
        title = entity(session, target).title
    assert (link.type, link.stands_in) == ("leans_on", link.source_id)
    assert body[link.start : link.end] == link.sentence
    assert link.sentence.startswith(first)
    assert link.sentence.endswith(last)
    assert body[link.mention_start : link.mention_end] == title
    assert body[: link.start].count("\n\n") == paragraph


UNTITLED = {
    FORKING: "Only ~20% of tokens exhibit",
    COLLAPSE: "Empirical law R =",
    "can-llms-reason-creatively": "Research identifies combinational",
    "can-identical-outputs": "Networks trained with SGD",
    "what-makes-a-research-domain": "Autonomous research pipelines require",
    OWN_TEXT: "Post-trained models produce 3-4x",
}


@pytest.mark.parametrize("with_pages", [[4], [4, 3], [4, 0], [0, 1, 2, 3, 4], [3, 4, 1]], ids=str)
def test_untitled_sources_belong_to_the_right_notes_whatever_came_before(with_pages, tmp_path):
    store = new_store(tmp_path)
    for number in with_pages:
        bring_in(store, seed_paths()[number])
    for slug, beginning in UNTITLED.items():
        assert links_between(store, "why-do-structured", slug)
        with store.reading() as session:
            assert session.get_one(Note, entity(session, slug).id).summary.startswith(beginning)


def test_the_note_page_says_why_its_neighbours_are_related(store):
    reasons = {
        "do-models-recognize": "the entropy gap is",
        "why-do-reasoning-models": "adds a third entropy regime",
        "does-training-order": "both treat output entropy",
        COLLAPSE: "extends the entropy-as-lever picture",
    }
    for slug, beginning in reasons.items():
        (link,) = links_between(store, OWN_TEXT, slug)
        assert link.type == "relates"
        assert link.sentence.startswith(beginning)


def test_seventeen_lines_use_the_note_and_one_of_them_has_a_page(store):
    with store.reading() as session:
        note = entity(session, OWN_TEXT)
        lines = session.exec(select(Entity).where(Entity.kind == "line")).all()
        using = [row for row in lines if links_between(store, row.slug, note.slug)]
    assert len(using) == 17
    assert [row.slug for row in using if not row.is_stub] == [
        "why-do-structured-and-creative-domains-exhibit-opposite-entropy-dynamics"
    ]


def test_dates_are_as_fine_as_the_findings_give_them(store):
    with store.reading() as session:
        dates = sorted(row.date_written for row in session.exec(select(Claim)))
    assert dates == ["2025"] * 4 + ["2026"] + ["~2025"] * 8 + ["~2026"] * 2


def test_papers_known_by_id_and_by_title_are_one(store):
    with store.reading() as session:
        paper = entity(session, "from-simulation-to-enaction")
        assert entity(session, "arxiv-2605-25459").id == paper.id
    assert links_between(store, OWN_TEXT, "from-simulation")
    assert links_between(store, "how-does-on-policy", "from-simulation")


def test_durable_and_perishable_are_parted_in_all_wordings(store):
    parted = {}
    with store.reading() as session:
        for row in session.exec(select(Line)):
            if row.prompt:
                slug = session.get_one(Entity, row.id).slug
                parted[slug[:18]] = (row.prompt["durable"], len(row.prompt["perishable"]))
    assert parted == {
        "how-does-on-policy": ("entropy's dual role", 2),
        "how-does-policy-en": ("entropy during training shapes inference search", 2),
        "why-does-policy-en": ("Are token and hidden-state entropy genuinely decoupled", 1),
    }


def test_our_own_pages_hold_no_sentence_of_theirs():
    def runs(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[start : start + 11]) for start in range(len(words) - 10)}

    theirs = set().union(*(runs(path.read_text()) for path in seed_paths()))
    assert [path.name for path in page_paths() if runs(path.read_text()) & theirs] == []
