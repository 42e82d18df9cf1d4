"""What people read of papers beside claims: nothing is said that nobody knows, and nothing more often than once."""

import io

import pytest
from rich.console import Console

from claims.papers.arrivals import Arrival, Beside, Group, Item, Paper
from claims.papers.inbox import NEWS, RELATIONS, Became, Done
from claims.papers.triage import Match
from kb.read import Card
from stillholds import told
from stillholds.words import BESIDE, HAPPENED, news_words, stance_words
from tests.claims_support import NOW
from tests.inbox_support import DAY, matched, paper

LATEX = r"It falls by 95\%, so $\alpha > \beta$ is \textbf{sure}."
READ = "It falls by 95%, so α > β is sure."
CLAIM = Card(id="c", kind="claim", slug="the-gap", title="The gap", short="", is_stub=False)
PAPER = Paper(arxiv="2611.00001", version=1, title=LATEX, authors=(), published_at=NOW, is_withdrawn=False)


def out() -> Console:
    return Console(file=io.StringIO(), width=400, highlight=False, markup=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def came(*beside: Beside) -> str:
    console = out()
    record = paper("2611.00001", title=LATEX)
    one = Arrival(paper=PAPER, record=record, events=(), seen_at=NOW, queries=("q",), beside=beside)
    told.arrivals(console, [one])
    return written(console)


@pytest.mark.parametrize("sureness", [0.05, 0.3, 0.9])
def test_a_stance_that_nobody_may_rely_on_is_not_named_however_sure_the_guess(sureness: float) -> None:
    said = stance_words(Match.model_validate(matched("contradicts", "unsure", sureness=sureness)))
    assert said == "unsure how it stands to the claim"


def test_a_stance_that_was_right_often_enough_is_named_with_how_sure_it_is() -> None:
    assert stance_words(Match.model_validate(matched("unrelated", sureness=0.9))) == "unrelated (90 % sure)"


def test_claims_of_which_the_same_became_are_named_together_and_the_first_of_them() -> None:
    waiting = [Beside(claim=f"claim-{number}", state="new", until=None) for number in range(7)]
    gone = [Beside(claim="w", state="attached", until=None), Beside(claim="x", state="dismissed", until=None)]
    later = [Beside(claim=name, state="snoozed", until=NOW + days * DAY) for name, days in (("y", 1), ("z", 2))]
    said = came(*waiting, *gone, *later)
    assert "in the inbox of claim-0, claim-1, claim-2 and 4 more · attached to w · dismissed for x" in said
    assert f"put off for y until {NOW + DAY:%Y-%m-%d} · put off for z until {NOW + 2 * DAY:%Y-%m-%d}" in said


def test_what_was_put_off_and_waits_again_is_in_the_inbox_without_a_date() -> None:
    assert came(Beside(claim="w", state="new", until=NOW)).rstrip().endswith("in the inbox of w")


def test_titles_and_spans_are_told_as_a_person_reads_them() -> None:
    match = Match.model_validate(matched(span=LATEX))
    item = Item(paper=PAPER, abstract=LATEX, state="new", until=None, rank=1, match=match, news=None)
    console = out()
    told.inbox(console, [Group(claim=CLAIM, items=(item,), more=0)])
    told.done(console, [Done(claim=CLAIM, arxiv="2611.00001", title=LATEX, seq=1, kind="dismissed")])
    said = written(console)
    assert f"“{READ}”" in said
    assert f"dismissed for the-gap: {READ} (arXiv:2611.00001)" in said
    assert "\\textbf" not in said


@pytest.mark.parametrize(
    ("relation", "said"),
    [
        ("", "This paper, which the claim's page cites, was withdrawn (version 3)"),
        ("contradicts", "This paper, attached as contradicting the claim, was withdrawn (version 3)"),
    ],
)
def test_news_say_how_the_paper_stands_to_the_claim(relation: str, said: str) -> None:
    assert news_words(Became(event="withdrawn", version=3, relation=relation)) == said


def test_there_is_a_word_for_every_relation_and_all_news() -> None:
    assert set(BESIDE) == set(RELATIONS)
    assert set(HAPPENED) == set(NEWS)
