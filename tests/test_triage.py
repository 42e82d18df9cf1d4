"""Matching papers to claims: the ranking, the span, the stance, what is learnt, and text that nobody may trust."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.contract import contract_from
from claims.papers import triage
from claims.papers.bearing import bearing
from claims.papers.triage import MATCHER, ClaimText, Lesson, Match, match
from claims.papers.triage_features import STEADY, Compared, among
from claims.papers.triage_model import STANCES, model
from claims.papers.triage_text import coverage, read, stems, terms
from kb import embedding
from kb.embedding import Embedder
from kb.sources.arxiv_record import Record
from tests.kb_support import BagOfWords, reproducible
from tests.triage_support import CLAIM, FAR, NEAR, OTHER, paper

ABROAD = ClaimText(id="songs", title="The songs of birds are longer in the morning than in the evening.")
PAPERS = [paper("2601.00001", "Reward and policy entropy", NEAR), paper("2601.00002", "Songs of birds", FAR)]


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return embedding.load()


def ranked(papers: list[Record], claim: ClaimText = CLAIM) -> list[tuple[str, Match]]:
    return match([claim], papers, BagOfWords())[claim.id]


def test_all_papers_are_ranked_the_nearest_first() -> None:
    (first, near), (last, far) = ranked(PAPERS)
    assert (first, last) == ("2601.00001", "2601.00002")
    assert near.score > far.score
    assert near.parts.method > far.parts.method


def test_a_span_is_the_sentence_of_the_abstract_that_made_it() -> None:
    for arxiv, found in ranked(PAPERS):
        abstract = {one.arxiv: one.abstract for one in PAPERS}[arxiv]
        assert abstract[found.span_start : found.span_end] == found.span
    assert ranked(PAPERS)[0][1].span.startswith("In reinforcement learning, reward follows")


def test_spans_count_characters_whatever_they_are() -> None:
    abstract = f"🙂 Où est-ce? ﬁ Ünïcode comes first here.  {NEAR}"
    ((_, found),) = ranked([paper("2601.00003", "Reward", abstract)])
    assert found.span == abstract[found.span_start : found.span_end]
    assert "reward follows" in found.span


def test_the_order_does_not_depend_on_the_order_of_papers() -> None:
    papers = [*PAPERS, *(paper(f"2601.1000{n}", "The same title", NEAR) for n in range(4))]
    assert ranked(papers) == ranked(papers[::-1])
    assert [arxiv for arxiv, _ in ranked(papers) if arxiv.startswith("2601.1")] == [f"2601.1000{n}" for n in range(4)]


@pytest.mark.parametrize(
    "abstract",
    [
        "",
        " ",
        "Withdrawn.",
        "Reward follows entropy.",
        "$\\alpha$ " * 300,
        "Вознаграждение следует за энтропией политики модели. " * 10,
        "entropy" * 500,
    ],
)
def test_nothing_is_said_of_an_abstract_that_says_too_little(abstract: str) -> None:
    ((_, found),) = ranked([paper("2601.00004", "Reward follows policy entropy", abstract)])
    assert found.says == "unsure"
    assert found.sureness == 0
    assert "no stance is guessed" in found.reason


def test_no_papers_and_no_claims_match_nothing() -> None:
    assert match([CLAIM], [], BagOfWords()) == {CLAIM.id: []}
    assert match([], PAPERS, BagOfWords()) == {}


@reproducible
@given(st.text(max_size=300), st.text(max_size=900))
def test_any_text_is_matched_and_its_span_is_right(title: str, abstract: str) -> None:
    ((_, found),) = ranked([paper("2601.00005", title, abstract)])
    assert found.span == abstract[found.span_start : found.span_end]
    assert Match.model_validate(found.model_dump(mode="json")) == found


@pytest.mark.parametrize("text", ["a. " * 200_000, "(" * 500_000, ". " * 300_000, "x" * 1_000_000, "No. A. " * 100_000])
def test_a_hostile_abstract_is_read_as_far_as_the_bounds(text: str) -> None:
    reading = read(paper("2601.00006", text, text))
    assert len(reading.spans) <= 40
    assert sum(map(len, reading.sentences)) <= 6000


def test_markup_stays_text() -> None:
    evil = f"<script>alert(1)</script> {NEAR}"
    ((_, found),) = ranked([paper("2601.00007", "<img src=x>", evil)])
    assert found.span in evil
    assert "<" not in found.reason


# --- lessons ---------------------------------------------------------------------------------------------------------


def lesson(abstract: str = NEAR) -> Lesson:
    return Lesson(arxiv="2512.00001", reason="only about one lab", title="Reward and policy entropy", abstract=abstract)


def test_a_lesson_lowers_what_is_like_it_for_its_claim_alone() -> None:
    before = match([CLAIM, OTHER], PAPERS, BagOfWords())
    after = match([CLAIM, OTHER], PAPERS, BagOfWords(), {CLAIM.id: [lesson()]})
    was, now = dict(before[CLAIM.id])["2601.00001"], dict(after[CLAIM.id])["2601.00001"]
    assert now.score == pytest.approx(was.score * (1 - triage.LESSON_TAKES), abs=0.01)
    assert "only about one lab" in now.reason
    assert (now.stance, now.sureness, now.parts) == (was.stance, was.sureness, was.parts)
    assert dict(before[CLAIM.id])["2601.00002"] == dict(after[CLAIM.id])["2601.00002"]
    assert before[OTHER.id] == after[OTHER.id]


def test_more_lessons_take_no_more_than_the_one_that_is_most_alike() -> None:
    one = match([CLAIM], PAPERS, BagOfWords(), {CLAIM.id: [lesson()]})
    many = match([CLAIM], PAPERS, BagOfWords(), {CLAIM.id: [lesson()] * 5})
    assert one == many


def test_a_lesson_without_words_teaches_nothing() -> None:
    empty = Lesson(arxiv="2512.00002", reason="", title="", abstract="")
    assert match([CLAIM], PAPERS, BagOfWords(), {CLAIM.id: [empty]}) == match([CLAIM], PAPERS, BagOfWords())


# --- many papers -----------------------------------------------------------------------------------------------------


def test_of_many_papers_the_candidates_alone_are_read_deeply() -> None:
    crowd = [paper(f"2602.{n:05}", f"Songs of birds {n}", FAR) for n in range(triage.READ_AT_MOST + 200)]
    found = dict(ranked([*crowd, PAPERS[0]]))
    read_deeply = [one for one in found.values() if one.span]
    assert len(found) == len(crowd) + 1
    assert len(read_deeply) <= triage.READ_AT_MOST
    assert found["2601.00001"].span
    assert found["2601.00001"].score == max(one.score for one in found.values())
    assert {one.says for one in found.values() if not one.span} == {"unsure"}


def test_the_matcher_has_a_name_that_its_parts_make() -> None:
    assert len(MATCHER) == 16
    assert triage._digest() == MATCHER


# --- a paper among others, and claims of other fields --------------------------------------------------------------


def compared_with(*nearness: float) -> list[Compared]:
    return [Compared({"whole": one}, None) for one in nearness]


@pytest.mark.parametrize("count", [1, 3, 100])
def test_how_a_paper_stands_among_others_counts_for_less_where_they_are_few(count: int) -> None:
    found = among(compared_with(0.9, *[0.1] * (count - 1)), np.arange(count, dtype=float))
    standing = [one.values["whole_among"] for one in found]
    assert sum(standing) == pytest.approx(0, abs=1e-6)
    alone = math.sqrt(count - 1)  # standard deviations of one value that differs from all others
    assert standing[0] == pytest.approx(alone * count / (count + STEADY), abs=1e-3)


def test_nobody_stands_among_no_papers() -> None:
    assert among([], np.array([])) == []


def test_a_claim_is_familiar_where_the_lists_know_what_it_speaks_of() -> None:
    assert triage.is_familiar(CLAIM, BagOfWords())
    assert not triage.is_familiar(ABROAD, BagOfWords())


def test_of_a_claim_in_another_field_nothing_is_said_from_few_papers() -> None:
    assert [found.says for _, found in ranked(PAPERS, ABROAD)] == ["unsure", "unsure"]


def test_how_likely_the_stances_are_adds_up_to_one() -> None:
    values = next(iter(triage.features_of([CLAIM], PAPERS, BagOfWords()).values()))
    for is_familiar in (True, False):
        likely = model().stances(model().field(is_familiar), values)
        assert set(likely) == set(STANCES)
        assert sum(likely.values()) == pytest.approx(1)


# --- words -----------------------------------------------------------------------------------------------------------


def test_words_of_one_stem_are_one_and_words_of_the_trade_count_less() -> None:
    assert stems("Entropies, entropy") == ("entropi", "entropi")
    wanted = terms("the models' entropies")
    assert coverage(wanted, stems("entropy")) > coverage(wanted, stems("a model"))
    assert coverage({}, stems("anything")) == 0


# --- the real embedder -----------------------------------------------------------------------------------------------


def test_the_real_embedder_finds_what_other_words_say(minilm: Embedder) -> None:
    said_otherwise = (
        "Policies trained on a verifiable signal become ever more certain. We plot their score against their uncertainty "
        "and find one curve for all of the runs: what a policy earns is paid for with uncertainty."
    )
    papers = [PAPERS[1], paper("2601.00008", "Score against uncertainty of policies", said_otherwise)]
    (first, near), (_, far) = match([CLAIM], papers, minilm)[CLAIM.id]
    assert first == "2601.00008"
    assert near.parts.subject > far.parts.subject
    assert far.says == "unrelated"


# --- what run would bear on it ---------------------------------------------------------------------------------------

CONTRACT = {
    "verifier": "collapse_fit",
    "endpoint": "fit",
    "subjects": ["lab:collapse"],
    "unit": {"per_run": 8, "first_look": 8},
    "regions": {"holds": ">= 0.9", "weakened": "0.6 .. 0.9", "refuted": "< 0.6"},
    "design_effect": 0.97,
    "does_not_say": "anything else",
}
INSIDE = {"stage": "post-trained with reinforcement learning", "size": "1e4 .. 1e6", "domain": "synthetic paths"}


def test_a_run_inside_the_regime_would_bear_on_it() -> None:
    said = bearing(contract_from({**CONTRACT, "regime": INSIDE}), "contradicts")
    assert said.startswith("A run of ours would bear on this: collapse_fit on lab:collapse, profile standard, about ")


def test_a_run_outside_the_regime_says_only_so_much() -> None:
    said = bearing(contract_from({**CONTRACT, "regime": {**INSIDE, "size": ">= 5e8"}}), "qualifies")
    assert said.startswith("No run of ours decides this: all subjects lie outside")
    assert "500 M or more" in said
    assert "collapse_fit on lab:collapse" in said


def test_without_a_contract_no_run_would() -> None:
    assert "has no contract" in bearing(None, "contradicts")


@pytest.mark.parametrize("stance", ["supports", "extends", "unrelated"])
def test_what_does_not_speak_against_asks_for_no_run(stance: triage.Stance) -> None:
    assert bearing(None, stance).startswith("No run is asked for")
