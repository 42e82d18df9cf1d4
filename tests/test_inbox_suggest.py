"""Papers beside claims: what is suggested, what stands in the inbox, and what is told of papers that claims rest on."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from claims import acts
from claims.errors import CannotSay, NoQuery
from claims.papers import arrivals, inbox
from claims.papers.suggesting import KEPT, LEAST, Matching, Suggested, is_asked, is_behind, suggest
from claims.papers.triage import ClaimText, Lesson, Match
from kb.models import ArxivEvent, Suggestion
from kb.sources.arxiv_record import Record
from kb.store import Store
from tests.claims_support import NOW, a_library, claim_id, claim_page, written
from tests.inbox_support import DAY, came, matched, paper, row_of
from tests.kb_support import BagOfWords, bring_in, write

WEEK = 7 * DAY


class Ranker:
    """Ranks papers by their ids, the lowest first, and remembers what it was asked."""

    def __init__(self, **match: Any) -> None:
        self.match_, self.asked, self.lessons = match, list[tuple[list[str], list[str]]](), {}

    def __call__(
        self,
        claims: Sequence[ClaimText],
        papers: Sequence[Record],
        _embedder: Any,
        lessons: Mapping[str, Sequence[Lesson]],
        _report: Any,
    ) -> dict[str, list[tuple[str, Match]]]:
        self.asked.append(([claim.title for claim in claims], [paper.arxiv for paper in papers]))
        self.lessons = lessons
        order = sorted(paper.arxiv for paper in papers)
        step = 1 / (len(order) + 1)
        scored = {arxiv: matched(score=1 - step * (n + 1), **self.match_) for n, arxiv in enumerate(order)}
        return {claim.id: [(arxiv, Match.model_validate(scored[arxiv])) for arxiv in order] for claim in claims}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return a_library(tmp_path, {"the-gap": written(), "spoken": None})


def run(store: Store, ranker: Ranker, *ids: str, now: datetime = NOW, name: str = "m1") -> Suggested:
    return suggest(store, BagOfWords(), now, list(ids) or None, matching=Matching(ranker, name))


def waits(store: Store, slug: str = "the-gap", now: datetime = NOW, **options: Any) -> list[str]:
    with store.reading() as session:
        groups = arrivals.inbox(session, now, slug, limit=1000, **options)
    return [item.paper.arxiv for group in groups for item in group.items]


def ids(count: int, first: int = 0) -> list[str]:
    return [f"2611.{first + number:05}" for number in range(count)]


def test_ten_a_claim_and_week_stand_in_the_inbox_and_the_rest_can_be_asked_for(store: Store) -> None:
    came(store, *map(paper, ids(12)))
    came(store, *map(paper, ids(3, 100)), now=NOW + WEEK)
    run(store, Ranker(), *ids(12), now=NOW + WEEK)
    run(store, Ranker(), *ids(3, 100), now=NOW + WEEK)
    assert set(waits(store)) == {*ids(10), *ids(3, 100)}
    assert set(waits(store, everything=True)) == {*ids(12), *ids(3, 100)}
    inbox.dismiss(store, "the-gap", ids(1)[0], "no", "ada", NOW)
    assert set(waits(store)) == {*ids(9, 1), *ids(3, 100)}  # no other takes its place


def test_no_more_than_a_hundred_of_one_matching_are_kept(store: Store) -> None:
    came(store, *map(paper, ids(KEPT + 5)))
    run(store, Ranker())
    with store.reading() as session:
        assert len(session.exec(select(Suggestion)).all()) == 2 * KEPT


def test_what_seems_unrelated_is_kept_and_does_not_stand_there(store: Store) -> None:
    came(store, paper("2611.00001"))
    run(store, Ranker(says="unrelated", stance="unrelated"))
    assert waits(store) == []
    assert waits(store, everything=True) == ["2611.00001"]
    assert is_asked(Match.model_validate(matched(score=0.5)))
    assert not is_asked(Match.model_validate(matched(score=LEAST / 2)))


def test_retired_claims_and_withdrawn_papers_are_not_matched(store: Store) -> None:
    acts.retire(store, "the-gap", "too dear", "a cheaper run", "ada", NOW)
    came(store, paper("2611.00001"), paper("2611.00002", comment="This paper has been withdrawn by the authors"))
    ranker = Ranker()
    run(store, ranker)
    assert ranker.asked == [(["spoken in words"], ["2611.00001"])]


def test_what_was_decided_stays_and_never_comes_back_whatever_the_matcher(store: Store) -> None:
    came(store, *map(paper, ids(4)))
    run(store, Ranker())
    inbox.attach(store, "the-gap", "2611.00000", "supports", "ada", NOW)
    inbox.dismiss(store, "the-gap", "2611.00001", "another thing", "ada", NOW)
    inbox.snooze(store, "the-gap", "2611.00002", NOW + WEEK, "ada", NOW)
    came(store, paper("2611.00001", 2), now=NOW + DAY)
    ranker = Ranker(reason="made anew")
    run(store, ranker, "2611.00001", name="m2")
    assert waits(store) == ["2611.00003"]
    assert waits(store, now=NOW + 8 * DAY) == ["2611.00002", "2611.00003"]
    assert row_of(store, "the-gap", "2611.00002").match["reason"] == "made anew"
    assert [row_of(store, "the-gap", one).matcher for one in ids(2)] == ["m1", "m1"]
    learnt = ranker.lessons[claim_id(store)]
    assert [(one.arxiv, one.reason) for one in learnt] == [("2611.00001", "another thing")]
    assert waits(store, "spoken") == ids(4)  # for another claim nobody said anything


def test_only_what_another_matcher_made_is_matched_again(store: Store) -> None:
    came(store, *map(paper, ids(2)))
    run(store, Ranker())
    ranker = Ranker()
    run(store, ranker, "2611.00001")
    run(store, ranker, "2611.00001", name="m2")
    assert [papers for _, papers in ranker.asked] == [["2611.00001"], ids(2)]


def test_what_another_matcher_made_long_ago_stays_as_it_is(store: Store) -> None:
    came(store, paper("2609.00001"), now=NOW - 5 * WEEK)
    run(store, Ranker(), "2609.00001", now=NOW - 5 * WEEK)
    came(store, paper("2611.00001"))
    ranker = Ranker()
    run(store, ranker, "2611.00001", name="m2")
    assert ranker.asked[0][1] == ["2611.00001"]


def test_without_names_the_papers_of_four_weeks_are_matched(store: Store) -> None:
    came(store, paper("2609.00001"), now=NOW - 5 * WEEK)
    came(store, paper("2611.00001"))
    ranker = Ranker()
    run(store, ranker)
    assert ranker.asked[0][1] == ["2611.00001"]


def test_a_claim_that_comes_after_the_papers_is_matched_to_what_came_lately(store: Store, tmp_path: Path) -> None:
    came(store, paper("2609.00001"), now=NOW - 5 * WEEK)
    came(store, *map(paper, ids(3)))
    assert is_behind(store, NOW)
    run(store, Ranker())
    assert not is_behind(store, NOW)
    bring_in(store, claim_page(tmp_path / "later", "late", None))
    assert is_behind(store, NOW)
    assert not is_behind(store, NOW + 5 * WEEK)  # nothing came lately then
    ranker = Ranker()
    came(store, paper("2611.00009"))
    found = run(store, ranker, "2611.00009")
    assert sorted(ranker.asked, key=str) == sorted(
        [(["spoken in words", "the-gap in words"], ["2611.00009"]), (["late in words"], [*ids(3), "2611.00009"])],
        key=str,
    )
    assert (found.claims, found.papers) == (3, 4)
    assert waits(store, "late") == [*ids(3), "2611.00009"]
    assert not is_behind(store, NOW)


# --- papers that a claim rests on ------------------------------------------------------------------------------------


@pytest.fixture
def citing(tmp_path: Path) -> Store:
    """A library with a claim that cites a paper."""
    store = a_library(tmp_path, {"the-gap": written()})
    page = write(tmp_path / "claims" / "it-rests.md", "---\ntitle: It rests\npapers: ['2611.00001']\n---\n\nOn it.\n")
    assert bring_in(store, page, now=NOW).refused == []
    came(store, paper("2611.00001"), paper("2611.00002"))
    return store


def told(store: Store, slug: str = "it-rests") -> list[tuple[str, int]]:
    with store.reading() as session:
        items = [item for group in arrivals.inbox(session, NOW + 99 * DAY, slug) for item in group.items]
    return [(item.news.event, item.news.version) for item in items if item.news]


def test_a_claim_hears_of_what_it_cites_and_only_news(citing: Store) -> None:
    ranker = Ranker()
    run(citing, ranker)
    assert waits(citing, "it-rests") == ["2611.00002"]  # what it cites already is no new paper to it
    came(citing, paper("2611.00001", 2), now=NOW + DAY)
    assert run(citing, ranker, now=NOW + DAY).news == 1
    assert run(citing, ranker, now=NOW + DAY).news == 0
    assert told(citing) == [("new version", 2)]
    inbox.dismiss(citing, "it-rests", "2611.00001", "a typing error", "ada", NOW + DAY)
    assert told(citing) == []
    came(citing, paper("2611.00001", 3, comment="This paper has been withdrawn"), now=NOW + 2 * DAY)
    run(citing, ranker, now=NOW + 2 * DAY)
    assert told(citing) == [("withdrawn", 3)]
    came(citing, paper("2611.00001", 4), now=NOW + 3 * DAY)
    run(citing, ranker, now=NOW + 3 * DAY)
    assert told(citing) == [("returned", 4)]


def test_a_claim_hears_of_a_later_version_of_what_was_attached_to_it(citing: Store) -> None:
    came(citing, paper("2611.00002", 2), now=NOW + DAY)
    inbox.attach(citing, "the-gap", "2611.00002", "supports", "ada", NOW + 2 * DAY)
    run(citing, Ranker(), now=NOW + 2 * DAY)
    assert told(citing, "the-gap") == []
    came(citing, paper("2611.00002", 3), now=NOW + 3 * DAY)
    run(citing, Ranker(), now=NOW + 3 * DAY)
    assert told(citing, "the-gap") == [("new version", 3)]
    done = inbox.attach(citing, "the-gap", "2611.00002", "new version", "ada", NOW + 3 * DAY)
    assert "arXiv:2611.00002v3" in done.due
    assert told(citing, "the-gap") == []
    with citing.reading() as session:
        assert len(session.exec(select(ArxivEvent).where(ArxivEvent.arxiv == "2611.00002")).all()) == 3


# --- what waits, and what came ---------------------------------------------------------------------------------------


def test_the_counts_are_of_papers_once_and_of_claims(citing: Store) -> None:
    run(citing, Ranker())
    with citing.reading() as session:
        assert arrivals.waiting(session, NOW).model_dump() == {"papers": 2, "claims": 2, "news": 0}
    came(citing, paper("2611.00001", 2), now=NOW + DAY)
    run(citing, Ranker(), now=NOW + DAY)
    with citing.reading() as session:
        assert arrivals.waiting(session, NOW + DAY).model_dump() == {"papers": 2, "claims": 2, "news": 1}


def test_a_claim_to_which_a_paper_was_attached_by_hand_is_new_to_the_matcher_all_the_same(store: Store) -> None:
    came(store, *map(paper, ids(3)))
    inbox.attach(store, "the-gap", "2611.00001", "supports", "ada", NOW)
    ranker = Ranker()
    run(store, ranker, "2611.00002")
    assert sorted(papers for _, papers in ranker.asked) == [ids(3)]


def test_news_say_what_the_paper_was_attached_as(citing: Store) -> None:
    inbox.attach(citing, "the-gap", "2611.00002", "contradicts", "ada", NOW)
    came(citing, paper("2611.00001", 2), paper("2611.00002", 2), now=NOW + DAY)
    run(citing, Ranker(), now=NOW + DAY)
    with citing.reading() as session:
        items = [item for group in arrivals.inbox(session, NOW + DAY) for item in group.items if item.news]
    assert sorted((item.paper.arxiv, item.news.relation) for item in items if item.news) == [
        ("2611.00001", ""),
        ("2611.00002", "contradicts"),
    ]


def test_a_match_outlives_the_news_of_its_paper(store: Store) -> None:
    came(store, *map(paper, ids(3)))
    run(store, Ranker())
    done = inbox.attach(store, "the-gap", "2611.00001", "supports", "ada", NOW)
    came(store, paper("2611.00001", 2), now=NOW + DAY)
    run(store, Ranker(), now=NOW + DAY)
    assert [(item, news) for item, news in told_of(store) if news] == [("2611.00001", "new version")]
    inbox.undo(store, "the-gap", "ada", NOW + DAY, seq=done.seq)
    assert told_of(store) == [(one, "") for one in ids(3)]  # at its own rank again


def told_of(store: Store) -> list[tuple[str, str]]:
    with store.reading() as session:
        (group,) = arrivals.inbox(session, NOW + DAY, "the-gap")
    return [(item.paper.arxiv, item.news.event if item.news else "") for item in group.items]


def test_nobody_is_asked_to_read_for_a_retired_claim_unless_he_wants_to(store: Store) -> None:
    came(store, *map(paper, ids(2)))
    run(store, Ranker())
    acts.retire(store, "the-gap", "too dear", "a cheaper run", "ada", NOW)
    with store.reading() as session:
        assert [group.claim.slug for group in arrivals.inbox(session, NOW)] == ["spoken"]
        assert arrivals.waiting(session, NOW).claims == 1
    assert waits(store) == ids(2)


def test_the_papers_that_are_watched_are_those_that_somebody_leans_on_or_is_asked_to_read(store: Store) -> None:
    came(store, *map(paper, ids(13)))
    run(store, Ranker())
    with store.reading() as session:
        assert arrivals.watched(session) == ids(10)
    for claim in ("the-gap", "spoken"):
        inbox.dismiss(store, claim, "2611.00000", "no", "ada", NOW)
        inbox.snooze(store, claim, "2611.00001", NOW + 400 * DAY, "ada", NOW)
    inbox.attach(store, "spoken", "2611.00012", "supports", "ada", NOW)
    with store.reading() as session:
        assert arrivals.watched(session) == [*ids(9, 1), "2611.00012"]


def test_a_list_of_papers_is_of_one_query_and_as_long_as_asked_for(store: Store) -> None:
    came(store, *map(paper, ids(3)))
    with store.reading() as session:
        assert [one.paper.arxiv for one in arrivals.arrivals(session, NOW, limit=2)] == ["2611.00002", "2611.00001"]
        with pytest.raises(NoQuery, match="tpyo"):
            arrivals.arrivals(session, NOW, query="tpyo")


def test_what_arxiv_says_of_a_paper_and_what_happened_to_it_is_in_the_list(store: Store) -> None:
    came(store, paper("2611.00001"))
    came(store, paper("2611.00001", 2, comment="This paper has been withdrawn"), now=NOW + DAY)
    with store.reading() as session:
        (one,) = arrivals.arrivals(session, NOW)
    assert (one.record.arxiv, one.record.comment) == ("2611.00001", "This paper has been withdrawn")
    assert one.record.abstract
    assert [(each.kind, each.version, each.seen_at) for each in one.events] == [
        ("new", 1, NOW),
        ("new version", 2, NOW + DAY),
        ("withdrawn", 2, NOW + DAY),
    ]


def test_what_came_says_what_became_of_it(store: Store) -> None:
    came(store, *map(paper, ids(3)))
    run(store, Ranker())
    inbox.attach(store, "the-gap", "2611.00001", "supports", "ada", NOW)
    with store.reading() as session:
        found = arrivals.arrivals(session, NOW)
        new = arrivals.arrivals(session, NOW, new=True)
    assert [one.paper.arxiv for one in found] == list(reversed(ids(3)))
    assert {(one.claim, one.state) for one in found[1].beside} == {("the-gap", "attached"), ("spoken", "new")}
    assert [one.paper.arxiv for one in new] == ["2611.00002", "2611.00000"]


def test_a_group_shows_the_match_whole_and_how_many_more_wait(store: Store) -> None:
    came(store, *map(paper, ids(5)))
    run(store, Ranker())
    with store.reading() as session:
        (group,) = arrivals.inbox(session, NOW, "the-gap", limit=2)
    assert (len(group.items), group.more, [item.rank for item in group.items]) == (2, 3, [1, 2])
    first = group.items[0]
    assert first.match is not None
    assert first.abstract[first.match.span_start : first.match.span_end] == first.match.span
    assert first.bearing
    with pytest.raises(CannotSay, match="has come here"):
        inbox.attach(store, "the-gap", "2611.77777", "supports", "ada", NOW)
