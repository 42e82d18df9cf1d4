"""Matching papers to claims: the ranking, the span, the stance, what is learnt, and text that nobody may trust."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.contract import contract_from
from claims.papers import triage
from claims.papers.bearing import bearing
from claims.papers.triage import MATCHER, ClaimText, Lesson, Match, match
from claims.papers.triage_cues import facets_of
from claims.papers.triage_features import BEST, FEW, STEADY, TYPICAL, Values, asked, compared, standing, told
from claims.papers.triage_model import STANCES, guess, model
from claims.papers.triage_said import LARGEST_LEXICON, MOST_WORDS, expressions, lexicon, shares_said
from claims.papers.triage_text import FEWEST_WORDS, read, stems
from claims.papers.triage_words import because
from kb import embedding
from kb.embedding import BATCH, Embedder
from kb.sources.arxiv_record import Record
from tests.kb_support import BagOfWords, reproducible
from tests.triage_support import CLAIM, FAR, NEAR, OTHER, paper

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


def test_nothing_is_said_of_a_short_abstract() -> None:
    short, long = (paper("2601.00004", "Songs", " ".join([FAR] * times)) for times in (1, 4))
    assert sum(map(len, read(short).stems)) < FEWEST_WORDS <= sum(map(len, read(long).stems))
    assert not read(short).is_english
    assert read(long).is_english


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
    papers = [PAPERS[0], paper("2601.00002", "Songs", "Birds sing at dawn; males sing longest.")]
    before = match([CLAIM, OTHER], papers, BagOfWords())
    after = match([CLAIM, OTHER], papers, BagOfWords(), {CLAIM.id: [lesson()]})
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


def test_of_many_papers_all_are_judged_and_the_best_have_a_span() -> None:
    crowd = [paper(f"2602.{n:05}", f"Songs of birds {n}", f"{FAR} {FAR}") for n in range(triage.READ_CLOSELY + 50)]
    found = ranked([*crowd, PAPERS[0]])
    assert found[0][0] == PAPERS[0].arxiv
    assert [bool(one.span) for _, one in found] == [True] * triage.READ_CLOSELY + [False] * 51
    read_closely, other = found[1][1], found[-1][1]
    assert read_closely.sureness == pytest.approx(other.sureness, abs=0.1)  # whether there is a span or not
    assert "its sentences were not compared" in other.reason


def test_every_claim_has_spans_however_many_there_are() -> None:
    claims = [CLAIM.model_copy(update={"id": str(n), "title": f"{CLAIM.title} {n * 'x'}"}) for n in range(9)]
    crowd = [paper(f"2602.{n:05}", f"Songs of birds {n} {n % 9 * 'x'}", FAR) for n in range(triage.READ_CLOSELY + 50)]
    for ranking in match(claims, crowd, BagOfWords()).values():
        assert all(one.span for _, one in ranking[: triage.READ_AT_LEAST])


def test_who_watches_hears_of_every_text_that_is_read() -> None:
    heard: list[tuple[int, int]] = []
    crowd = [paper(f"2602.{n:05}", f"Songs of birds {n}", FAR) for n in range(2 * BATCH)]
    match([CLAIM], crowd, BagOfWords(), report=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 2 * BATCH + 1) for done in (BATCH, 2 * BATCH, 2 * BATCH + 1)]


def test_the_matcher_has_a_name_that_its_parts_make() -> None:
    assert len(MATCHER) == 16
    assert triage._digest() == MATCHER


# --- a paper among others, and a claim among others ------------------------------------------------------------------


@pytest.mark.parametrize(("claims", "papers"), [(1, 3), (2, 3), (2, 100), (30, 100)])
def test_the_one_paper_that_says_a_claim_stands_out_among_papers(claims: int, papers: int) -> None:
    found = standing(np.eye(claims, papers))
    assert found.shape == (claims, papers)
    assert found[0, 0] > max(0, found[0, 1:].max())


def test_a_paper_stands_out_less_where_papers_are_few() -> None:
    assert standing(np.eye(2, 3))[0, 0] < standing(np.eye(2, 100))[0, 0]


def test_a_paper_that_says_every_claim_stands_out_less_the_more_claims_there_are() -> None:
    def of_all(claims: int) -> float:
        said = np.zeros((claims, 50))
        said[:, 0] = 1
        return float(standing(said)[0, 0])

    assert of_all(1) > of_all(FEW) > of_all(10 * FEW) > 0
    assert of_all(FEW) == pytest.approx(of_all(1) * (1 - 1 / 2) / (1 - 1 / (1 + FEW)))


def test_nobody_stands_out_alone() -> None:
    assert standing(np.array([[0.7]])) == pytest.approx(0)
    assert standing(np.array([[0.7, 0.7]])) == pytest.approx(np.zeros((1, 2)))


def together(claims: list[list[float]], papers: list[list[float]]) -> list[list[Values]]:
    """What is compared where these are the vectors of claims and papers."""
    blank = read(PAPERS[0])
    return compared(
        [asked(CLAIM, "", np.array(claim)) for claim in claims],
        [told(blank, np.array(one)) for one in papers],
        np.zeros((len(claims), len(papers))),
    )


def test_a_paper_is_compared_with_the_nearest_other_claim() -> None:
    (here,), (there,), (far,) = together([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]])
    assert [one["near"] for one in (here, there, far)] == pytest.approx([0.6, 1.0, 0.0])
    assert [one["ahead"] for one in (here, there, far)] == pytest.approx([-0.4, 0.4, -1.0])
    believed = 2 / (2 + FEW)
    assert there["elsewhere"] == pytest.approx(TYPICAL["elsewhere"] + believed * (0.6 - TYPICAL["elsewhere"]))
    assert here["elsewhere"] == far["elsewhere"] > there["elsewhere"]


def test_a_claim_alone_is_compared_with_no_other() -> None:
    ((only,),) = together([[0.6, 0.8]], [[1.0, 0.0]])
    assert only["ahead"] == 0
    assert only["elsewhere"] == TYPICAL["elsewhere"]


def test_a_claim_said_twice_is_its_own_nearest_other() -> None:
    (one,), (same,) = together([[1.0, 0.0], [1.0, 0.0]], [[0.8, 0.6]])
    assert one == same
    assert one["ahead"] == 0
    assert one["elsewhere"] > TYPICAL["elsewhere"]


def test_how_near_the_nearest_papers_are_is_believed_where_papers_are_many() -> None:
    near, far = [1.0, 0.0], [0.0, 1.0]
    few, many = (together([near], [near] * count + [far] * 4 * count)[0][0]["best"] for count in (BEST, 20 * BEST))
    assert TYPICAL["best"] < few < many < 1
    assert few == pytest.approx(TYPICAL["best"] + 5 * BEST / (5 * BEST + STEADY) * (1 - TYPICAL["best"]))


@pytest.mark.parametrize(
    ("near", "ahead", "said"),
    [
        (0.6, 0.1, "; very near in meaning; "),
        (0.4, 0.0, "; near in meaning; "),
        (0.4, -0.1, "; near in meaning, nearer to another claim; "),
        (0.25, 0.1, "; somewhat near in meaning; "),
        (0.24, 0.1, "; far in meaning; "),
    ],
)
def test_a_reason_says_how_near_a_paper_is_and_whether_another_claim_is_nearer(
    near: float, ahead: float, said: str
) -> None:
    claim, paper = asked(CLAIM, "", np.ones(1)), told(read(PAPERS[0]), np.ones(1))
    assert said in because(claim, paper, {"said": 0.5, "near": near, "ahead": ahead}, "", 0, None)


@pytest.mark.parametrize(
    ("text", "facet"),
    [
        ("the reward on a validation set", "kind of model"),
        ("a mixture of experts, distilled into a student, is surveyed as we develop it", "kind of model"),
        ("we aim at shorter answers", "domain"),
    ],
)
def test_words_that_share_a_stem_with_another_meaning_say_nothing_of_a_regime(text: str, facet: str) -> None:
    assert facets_of(stems(text))[facet] == frozenset()


def test_a_text_says_which_kinds_of_model_and_domain_it_speaks_of() -> None:
    found = facets_of(
        stems("Chess robots and chat models answer questions of mathematics; participants judge stories.")
    )
    assert found["kind of model"] == {"robots and games", "language models", "people"}
    assert found["domain"] == {"mathematics and code", "open-ended text"}


def test_how_likely_the_stances_are_adds_up_to_one() -> None:
    values = next(iter(triage.features_of([CLAIM], PAPERS, BagOfWords()).values()))
    likely = model().stances(values)
    assert set(likely) == set(STANCES)
    assert sum(likely.values()) == pytest.approx(1)


# --- words -----------------------------------------------------------------------------------------------------------


def share(claim: str, *papers: str, same: dict[str, str] | None = None) -> list[float]:
    """How much of CLAIM each of PAPERS says."""
    (row,) = shares_said([expressions(claim)], [expressions(text) for text in papers], BagOfWords(same)).tolist()
    return [float(value) for value in row]


def test_words_of_one_stem_are_one() -> None:
    assert stems("Entropies, entropy") == ("entropi", "entropi")


def test_a_text_says_words_and_pairs_of_neighbours() -> None:
    said = expressions("The policy entropy of models, models fall")
    assert said.words == ("policy", "entropy", "models", "fall")
    assert said.pairs == (("policy", "entropy"), ("models", "fall"))


def test_a_paper_says_a_claim_wholly_in_part_or_not_at_all() -> None:
    whole, part, none = share(
        "Reward follows entropy", "Entropy: reward follows entropy", "entropy rises", "birds sing"
    )
    assert whole == pytest.approx(1)
    assert 0 < part < whole
    assert none == 0


def test_other_words_of_the_same_meaning_count() -> None:
    said = share("entropy", "uncertainty rises", "birds sing", same={"uncertainty": "entropy"})
    assert said == pytest.approx([1, 0])


def test_what_few_papers_say_counts_for_more() -> None:
    rare, common = share("reward; entropy", "reward", "entropy", "entropy here", "entropy there")[:2]
    assert rare > common


@pytest.mark.parametrize(("claim", "papers"), [("", ["entropy"]), ("entropy", [""]), ("", [""]), ("the of", ["12 7"])])
def test_who_says_nothing_shares_nothing(claim: str, papers: list[str]) -> None:
    assert share(claim, *papers) == [0]


def test_nothing_is_shared_where_there_is_nothing() -> None:
    assert shares_said([], [], BagOfWords()).shape == (0, 0)
    assert shares_said([expressions("entropy")], [], BagOfWords()).shape == (1, 0)


def test_texts_and_lexicon_are_bounded() -> None:
    said = expressions(" ".join(f"word{n}" for n in range(2 * MOST_WORDS)))
    assert (len(said.words), len(said.pairs)) == (MOST_WORDS, MOST_WORDS)
    many = [expressions(" ".join(f"w{n}x{k}" for k in range(300))) for n in range(LARGEST_LEXICON // 300 + 5)]
    known = lexicon([expressions("entropy")], [*many, *many[-1:]], BagOfWords())
    assert len(known.places) == LARGEST_LEXICON + 1
    assert {"entropy", *many[-1].words} <= set(known.places)  # what is asked, and what most papers have


# --- the real embedder -----------------------------------------------------------------------------------------------


def test_the_real_embedder_finds_what_other_words_say(minilm: Embedder) -> None:
    said_otherwise = (
        "Policies trained on a verifiable signal become ever more certain. We plot their score against their uncertainty "
        "and find one curve for all of the runs: what a policy earns is paid for with uncertainty."
    )
    papers = [PAPERS[1], paper("2601.00008", "Score against uncertainty of policies", said_otherwise)]
    (first, near), (_, far) = match([CLAIM], papers, minilm)[CLAIM.id]
    assert first == "2601.00008"
    assert near.parts.subject > far.parts.subject + 0.1


def test_what_is_far_from_all_claims_is_unrelated_however_few_they_are(minilm: Embedder) -> None:
    far = paper("2601.00002", "Songs of birds", " ".join([FAR] * 4))
    for claims in ([CLAIM], [CLAIM, OTHER]):
        found = dict(match(claims, [PAPERS[0], far], minilm)[CLAIM.id])
        assert found[far.arxiv].says == "unrelated"
        assert found[PAPERS[0].arxiv].says != "unrelated"


def test_a_field_counts_for_less_where_claims_are_few(minilm: Embedder) -> None:
    many = [CLAIM.model_copy(update={"id": f"claim-{n}"}) for n in range(10 * FEW)]
    alone, among = (
        triage.features_of(claims, PAPERS, minilm)[claims[0].id, "2601.00001"] for claims in ([CLAIM], many)
    )
    assert among["near"] == pytest.approx(alone["near"], abs=1e-5)
    assert TYPICAL["field"] < alone["field"] < among["field"] < among["near"]


def test_a_stance_is_guessed_of_what_bears_on_a_claim_before_it_is_called_unrelated() -> None:
    parted = {"supports": 0.3, "contradicts": 0.1, "qualifies": 0.1, "extends": 0.1, "unrelated": 0.4}
    assert guess(parted) == "supports"
    assert guess({**parted, "unrelated": 0.6}) == "unrelated"


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
    assert said.startswith(
        "If it contradicts the claim, a run of ours bears on that: collapse_fit on lab:collapse, profile standard, about "
    )


def test_a_run_outside_the_regime_says_only_so_much() -> None:
    said = bearing(contract_from({**CONTRACT, "regime": {**INSIDE, "size": ">= 5e8"}}), "qualifies")
    assert said.startswith("If it qualifies the claim, no run of ours decides that: all subjects lie outside")
    assert "500 M or more" in said
    assert "collapse_fit on lab:collapse" in said


def test_without_a_contract_no_run_would() -> None:
    said = bearing(None, "contradicts")
    assert said.startswith("If it contradicts the claim, no run of ours bears on that: there is no contract")
