"""The labels and what is measured on them: their shape, how the parts are kept apart, and bad labels."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.matcher import fit
from benchmarks.triage import AT, LABELS, BadLabels, by_words, measure, read, read_sets, table
from claims.papers.triage_model import STANCES, Stance
from claims.papers.triage_text import FEWEST_WORDS
from claims.papers.triage_text import read as read_paper
from tests.kb_support import BagOfWords
from tests.triage_support import CLAIM, FAR, NEAR

EXIST = {"tuning": tuple(sorted(fit.EXIST)), "measured": ("al", "am")}  # hands whose papers exist
TUNING = (*"abfghilmnopqtuvwxyz", "aa", "ab", "ac", "ad", "ae", *EXIST["tuning"])
MEASURED = (*"dejkrs", *EXIST["measured"])  # of what the first author wrote, there is some of both
PAIR = {
    "claim": {"id": CLAIM.id, "title": CLAIM.title},
    "paper": {"arxiv": "2601.00001", "title": "Reward and policy entropy", "abstract": NEAR},
    "stance": "supports",
}
BIRDS = {**PAIR, "paper": {"arxiv": "2601.00002", "title": "Songs", "abstract": FAR}, "stance": "unrelated"}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_the_labels_are_what_they_should_be() -> None:
    sets = read_sets(LABELS)
    assert list(sets) == sorted([*TUNING, *MEASURED, "first"])
    for labels in sets.values():
        assert len(labels.pairs) >= 96
        assert len(labels.papers) >= 58
        assert len(labels.claims) >= 18
        relevant = Counter(pair.claim for pair in labels.pairs if pair.stance != "unrelated")
        assert max(relevant.values()) <= AT  # so that a recall of 1 at ten is possible
        for part in set(labels.part.values()):
            assert {pair.stance for pair in labels.of(part)} >= {*STANCES} - {"extends"}


def test_no_claim_is_tuned_on_and_measured_on() -> None:
    sets = read_sets(LABELS)
    parts = {name: set(labels.part.values()) for name, labels in sets.items()}
    assert parts == {
        **{name: {"tuning"} for name in TUNING},
        **{name: {"measured"} for name in MEASURED},
        "first": {"tuning", "measured"},
    }
    titles = {
        part: {
            labels.claims[claim].title for labels in sets.values() for claim, of in labels.part.items() if of == part
        }
        for part in ("tuning", "measured")
    }
    assert titles["tuning"].isdisjoint(titles["measured"])


def titles(part: str) -> list[str]:
    """The titles of the papers that exist, in the hands of one part."""
    papers = [paper for hand in EXIST[part] for paper in read(LABELS / hand).papers.values()]
    return [re.sub(r"\W", "", paper.title.lower()) for paper in papers]


def test_what_was_fitted_to_one_paper_is_not_asked_of_it_in_another_hand() -> None:
    fitted = titles("tuning")
    assert len(set(fitted)) == len(fitted)
    assert set(fitted).isdisjoint(titles("measured"))


def test_papers_that_exist_count_as_much_as_all_others_where_it_is_chosen_when_to_speak() -> None:
    def row(hand: str, stance: Stance) -> fit.Row:
        return fit.Row(hand, "claim", "paper", stance, is_readable=True, values={})

    made_up = [row("a", "unrelated")] * 40
    existing = [row("af", stance) for stance in ("supports", "extends", "unrelated", "unrelated")]
    sure = [0.95] * len(made_up) + [0.85] * len(existing)
    shares = np.array([[(1 - unrelated) / 4] * 4 + [unrelated] for unrelated in sure])
    assert fit.speaks_from("unrelated", shares, made_up + existing) == 0.95  # though 42 of 44 are right
    assert fit.speaks_from("unrelated", shares, made_up + existing[2:] * 2) == 0.85
    assert fit.speaks_from("supports", shares, made_up + existing) == fit.NEVER


@pytest.mark.parametrize("hand", [hand for hands in EXIST.values() for hand in hands])
def test_two_read_what_a_hand_says_of_papers_that_exist(hand: str) -> None:
    pairs = read(LABELS / hand).pairs
    assert all(pair.second for pair in pairs)
    bears = [(pair.stance == "unrelated") == (pair.second == "unrelated") for pair in pairs]
    assert sum(bears) / len(pairs) > 0.8


@pytest.mark.parametrize("hand", TUNING + MEASURED)
def test_what_a_hand_wrote_is_as_long_as_at_arxiv(hand: str) -> None:
    words = [sum(map(len, read_paper(paper).stems)) for paper in read(LABELS / hand).papers.values()]
    assert min(words) >= FEWEST_WORDS


def test_practice_has_each_stance_of_most_of_its_claims() -> None:
    pairs = read(LABELS.parent / "practice.jsonl").pairs
    assert len(pairs) >= 400
    assert min(Counter(pair.stance for pair in pairs).values()) >= 70
    stances: dict[str, set[str]] = {}
    for pair in pairs:
        stances.setdefault(pair.claim, set()).add(pair.stance)
    assert sum(len(said) == 5 for said in stances.values()) >= 60


def test_what_is_measured_has_the_shape_that_is_documented(tmp_path: Path) -> None:
    found = json.loads(json.dumps(measure(read_sets(written(tmp_path, PAIR, BIRDS)), BagOfWords())))
    assert set(found) == {"papers", "seconds", "matcher", "parts"}
    (part,) = found["parts"].values()
    assert set(found["parts"]) == {"measured"}
    assert (part["claims"], part["pairs"], part["relevant"], part["at"]) == (1, 2, 1, AT)
    for who in ("ours", "cosine", "words"):
        assert set(part[who]) == {"found", "recall", "low", "high", "precision"}
        assert (part[who]["recall"], part[who]["precision"]) == (1.0, 0.5)
    stance = part["stance"]
    assert set(stance) == {
        *("spoke", "of", "share", "right", "accuracy", "low", "high"),
        *("by_stance", "related", "commonest"),
    }
    assert stance["of"] == 2
    assert stance["low"] <= (stance["accuracy"] or 0) <= stance["high"]


def test_a_second_reader_is_measured_where_there_was_one(tmp_path: Path) -> None:
    rows = [{**PAIR, "second": "qualifies"}, {**BIRDS, "second": "supports"}]
    far = [{**BIRDS, "paper": {"arxiv": f"2602.{n:05}", "title": "Songs", "abstract": FAR}} for n in range(3)]
    rows += [{**far[0], "second": "unrelated"}, {**far[1], "stance": "extends", "second": "unrelated"}, far[2]]
    found = measure(read_sets(written(tmp_path, *rows)), BagOfWords())
    reader = found["parts"]["measured"]["reader"]
    assert (reader["of"], reader["agrees"], reader["unrelated"], reader["right"]) == (4, 0.5, 2, 1)
    assert reader["low"] < reader["accuracy"] == 0.5 < reader["high"]
    assert "a second reader of 4 pairs: agrees in 0.500" in table(found)
    alone = measure(read_sets(written(tmp_path, PAIR)), BagOfWords())
    assert alone["parts"]["measured"]["reader"] is None
    assert "second reader" not in table(alone)


def test_sets_are_measured_each_alone_and_together(tmp_path: Path) -> None:
    for name, pairs in (("one", [PAIR, BIRDS]), ("two", [PAIR])):
        folder = tmp_path / name
        folder.mkdir()
        for kind, rows in (
            ("claims", [PAIR["claim"]]),
            ("papers", [pair["paper"] for pair in pairs]),
            (
                "pairs",
                [{"claim": CLAIM.id, "paper": pair["paper"]["arxiv"], "stance": pair["stance"]} for pair in pairs],
            ),
        ):
            (folder / f"{kind}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = measure(read_sets(tmp_path), BagOfWords())
    together, alone = found["parts"]["measured"], {name: one["measured"] for name, one in found["sets"].items()}
    assert found["papers"] == 3
    assert (together["claims"], together["pairs"], together["relevant"]) == (2, 3, 2)  # one id, two claims
    assert {name: one["pairs"] for name, one in alone.items()} == {"one": 2, "two": 1}
    assert together["ours"]["precision"] == round(2 / 3, 4)
    assert alone["two"]["ours"]["precision"] == 1.0


def test_a_claim_may_be_its_words_and_a_paper_may_have_no_id(tmp_path: Path) -> None:
    labels = read(written(tmp_path, {"claim": "Birds sing.", "paper": {"title": "Songs"}, "stance": "extends"}))
    assert list(labels.claims) == ["Birds sing."]
    assert list(labels.papers) == ["Songs"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no pairs"),
        (["{"], "line 1: no JSON"),
        (["[1]"], "line 1: list instead of an object"),
        ([{**PAIR, "stance": "agrees"}], "line 1: the stance is 'agrees'; it has to be one of supports, contradicts"),
        ([{**PAIR, "second": "agrees"}], "line 1: the stance is 'agrees'"),
        ([{"claim": PAIR["claim"], "stance": "supports"}], "line 1: says no 'paper'"),
        ([{**PAIR, "claim": 3}], "line 1: the claim is int"),
        ([{**PAIR, "claim": {"id": "x"}}], "line 1: title: Field required"),
        ([{**PAIR, "paper": {"abstract": "x"}}], "line 1: arxiv: "),
        ([PAIR, PAIR], "line 2: the pair of 'entropy' and '2601.00001' is labelled twice"),
        (
            [PAIR, {**BIRDS, "claim": {"id": CLAIM.id, "title": "Another."}}],
            "line 2: 'entropy' stands here with another",
        ),
    ],
)
def test_bad_labels_are_refused_with_where_and_why(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(BadLabels, match=re.escape(said)):
        read(written(tmp_path, *rows))


def test_labels_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLabels, match="cannot be read"):
        read(tmp_path / "nothing.jsonl")
    with pytest.raises(BadLabels, match=r"claims\.jsonl cannot be read"):
        read(tmp_path)


def test_words_rank_by_the_words_of_the_claim(tmp_path: Path) -> None:
    labels = read(written(tmp_path, BIRDS, PAIR))
    assert by_words([CLAIM], list(labels.papers.values()))[CLAIM.id] == ["2601.00001", "2601.00002"]


def test_a_claim_of_a_single_file_may_say_which_part_it_is_of_and_says_it_once(tmp_path: Path) -> None:
    tuned = {**PAIR, "claim": {**PAIR["claim"], "split": "tuning"}}
    assert read(written(tmp_path, tuned, BIRDS)).part == {CLAIM.id: "tuning"}
    with pytest.raises(BadLabels, match=r"line 2: the claim .* had another 'split' before"):
        read(written(tmp_path, PAIR, {**BIRDS, "claim": tuned["claim"]}))
