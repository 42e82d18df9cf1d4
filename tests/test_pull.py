"""Pulling, against a real server of ours: nothing lost, nothing twice, the position right, whatever goes wrong."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from claims.errors import NoQuery, PullRuns
from claims.papers import pull as pulling
from claims.papers import queries
from claims.papers.windows import AHEAD, FIRST, OVERLAP
from kb.alone import alone
from kb.models import ArxivCheck, ArxivEvent, Suggestion
from kb.sources.arxiv import Arxiv, Batch
from kb.store import Store
from tests import arxiv_server as faults
from tests.arxiv_server import DAWN, Asked, Fault, When, many, record, serving, versions
from tests.kb_support import entity, in_children, new_store, vault
from tests.postgres_support import Server as Postgres
from tests.pull_support import (
    NOW,
    asking,
    assert_all_once,
    dying_pull,
    events,
    found,
    one,
    papers,
    pull,
    row,
    save,
)

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = new_store(tmp_path)
    save(opened)
    return opened


# --- what comes ------------------------------------------------------------------------------------------------------


def test_the_first_pull_brings_thirty_days_and_the_next_only_what_is_new(store: Store) -> None:
    old = versions(record("2604.00001", published_at=NOW - FIRST - DAY))
    with serving([old, *many(25)]) as arxiv:
        first = one(pull(store, arxiv))
        assert (first.state, first.new, first.found, first.answers) == ("done", 25, 25, 3)
        assert first.reached_at == NOW
        assert "2604.00001" not in papers(store)
        arxiv.papers.append(versions(record("2605.09999", published_at=NOW + DAY / 4)))
        second = one(pull(store, arxiv, at=NOW + DAY / 2))  # in the same week
        assert (second.new, second.found, second.reached_at) == (1, 1, NOW + DAY / 2)
        arxiv.papers.pop(0)
        assert_all_once(store, arxiv)
        asked = arxiv.requests[-1].params["search_query"]
        assert f"[{NOW - OVERLAP:%Y%m%d%H%M} TO {NOW + DAY / 2 + AHEAD:%Y%m%d%H%M}]" in asked


def test_what_is_listed_late_comes_with_the_next_pull(store: Store) -> None:
    with serving(many(5)) as arxiv:
        pull(store, arxiv)
        arxiv.papers.append(versions(record("2605.00099", published_at=NOW - 6 * DAY)))
        assert one(pull(store, arxiv, at=NOW + DAY / 2)).new == 1
        arxiv.papers.append(versions(record("2605.00100", published_at=NOW - 20 * DAY)))
        assert one(pull(store, arxiv, at=NOW + 0.7 * DAY)).new == 0
        assert one(pull(store, arxiv, at=NOW + DAY)).new == 1  # a new week
        assert_all_once(store, arxiv)


def test_a_first_day_can_be_said(store: Store) -> None:
    old = versions(record("2603.00001", published_at=NOW - 70 * DAY))
    with serving([old, *many(3)]) as arxiv:
        assert one(pull(store, arxiv, since=NOW - 80 * DAY)).new == 4
        assert_all_once(store, arxiv)


def test_windows_with_too_many_papers_are_cut_and_nothing_falls_between_them(store: Store) -> None:
    with serving(many(120, every=timedelta(hours=3))) as arxiv:
        done = one(pull(store, arxiv, page=20, most=50))
        assert (done.state, done.reached_at) == ("done", NOW)
        assert_all_once(store, arxiv)
        assert max(int(served.params["start"]) for served in arxiv.requests) < 50


def test_events_of_papers_come_with_their_dates_and_once(tmp_path: Path, store: Store) -> None:
    shown = record("2605.00001")
    with serving([versions(shown)]) as arxiv:
        pull(store, arxiv)
        with store.writing() as session:
            claim = vault_claim(session)
            session.add(Suggestion(claim_id=claim, arxiv="2605.00001", rank=1))
        gone = shown.model_copy(update={"comment": "This paper has been withdrawn by its author"})
        steps = [
            {"version": 2, "updated_at": NOW + DAY},
            {"version": 3, "updated_at": NOW + 2 * DAY, "comment": gone.comment},
            {"version": 4, "updated_at": NOW + 3 * DAY},
        ]
        for day, step in enumerate(steps, start=1):
            arxiv.papers[0] = versions(shown, shown.model_copy(update=step))
            for _ in range(2):
                pull(store, arxiv, at=NOW + day * DAY + timedelta(hours=1))
    kinds = [("new", 1), ("new version", 2), ("new version", 3), ("withdrawn", 3), ("new version", 4), ("returned", 4)]
    assert events(store) == {("2605.00001", kind, version): 1 for kind, version in kinds}


def vault_claim(session: Any) -> str:
    from kb.models import Claim, Entity

    made = Entity(kind="claim", slug="a-claim", title="A claim", created_at=NOW, updated_at=NOW)
    session.add(made)
    session.flush()
    session.add(Claim(id=made.id, topics=[]))
    session.flush()
    return made.id


def test_versions_that_came_between_two_pulls_are_events_too(store: Store) -> None:
    first = record("2605.00001")
    gone = {"version": 2, "updated_at": NOW + DAY, "comment": "This paper has been withdrawn by its author"}
    back = {"version": 3, "updated_at": NOW + 2 * DAY}
    with serving([versions(first)]) as arxiv:
        pull(store, arxiv)
        arxiv.papers[0] = versions(first, *(first.model_copy(update=step) for step in (gone, back)))
        pull(store, arxiv, at=NOW + 3 * DAY)
        pull(store, arxiv, at=NOW + 4 * DAY)
    kinds = [("new", 1), ("new version", 2), ("withdrawn", 2), ("new version", 3), ("returned", 3)]
    assert events(store) == {("2605.00001", kind, version): 1 for kind, version in kinds}
    with store.reading() as session:
        dates = session.exec(select(ArxivEvent.at).order_by(ArxivEvent.number)).all()
    assert dates[1:] == [NOW + DAY, NOW + DAY, NOW + 2 * DAY, NOW + 2 * DAY]


def test_what_nobody_leans_on_is_asked_about_once_a_week(store: Store) -> None:
    first = record("2605.00001", published_at=NOW - DAY)
    withdrawn = versions(first, first.model_copy(update={"version": 2, "comment": "Withdrawn by the author"}))
    with serving([versions(first)]) as arxiv:
        pull(store, arxiv)
        pull(store, arxiv, at=NOW + 40 * DAY)
        arxiv.papers[0] = withdrawn
        for day in (80, 81):  # when no window reaches back to it
            pull(store, arxiv, at=NOW + day * DAY)
        assert events(store)["2605.00001", "withdrawn", 2] == 1
        assert len([one for one in arxiv.requests if one.params["id_list"]]) == 1


def test_new_papers_are_handed_on_at_the_end(store: Store) -> None:
    told: list[tuple[list[str], datetime]] = []
    with serving(many(12)) as arxiv:
        pull(store, arxiv, after=lambda _, ids, now: told.append((list(ids), now)))
        pull(store, arxiv, after=lambda _, ids, now: told.append((list(ids), now)), at=NOW + DAY)
        assert told == [(papers(store), NOW), ([], NOW + DAY)]


@pytest.mark.parametrize("is_said", [True, False])
def test_what_could_not_be_handed_on_is_handed_on_by_the_next_pull(store: Store, is_said: bool) -> None:
    told: list[str] = []

    def fail(*_: object) -> bool:
        if is_said:
            return False
        raise RuntimeError("the model is damaged")

    with serving(many(12)) as arxiv:
        with nullcontext() if is_said else pytest.raises(RuntimeError):
            pull(store, arxiv, after=fail)
        assert row(store).pulled_at == NOW  # all is in
        pull(store, arxiv, at=NOW + DAY, after=lambda _, ids, __: told.extend(ids))
    assert told == papers(store)
    assert row(store).under_way is None


# --- what is asked for by id -----------------------------------------------------------------------------------------

NAMED = "---\ntitle: A note\n---\nSee [[arXiv:2605.00001]], arXiv:hep-th/9901001v2 and [[arXiv:2605.04040]].\n"


def test_papers_that_pages_name_are_asked_for_by_their_ids_once_a_day(tmp_path: Path) -> None:
    store = vault(tmp_path, notes__a=NAMED)
    save(store, "named", cited=True)
    old = record("hep-th/9901001", version=2, published_at=datetime(1999, 1, 4, tzinfo=UTC))
    with serving([versions(record("2605.00001")), versions(old), *many(30)[20:]]) as arxiv:
        done = one(pull(store, arxiv, "named"))
        assert (done.state, done.new, done.found, done.answers) == ("done", 2, 2, 1)
        assert done.notes == ("arXiv does not know 2605.04040",)
        assert found(store, "named") == ["2605.00001", "hep-th/9901001"]
        soon = one(pull(store, arxiv, "named", at=NOW + timedelta(hours=1)))
        assert len(arxiv.requests) == 1
        assert soon.notes == ("3 of 3 ids were asked for in the last 20 hours, and not again",)
        assert soon.reached_at == NOW  # nothing was seen since
        arxiv.papers[0] = versions(record("2605.00001"), record("2605.00001", version=2))
        again = one(pull(store, arxiv, at=NOW + DAY))
        assert (again.new, again.new_versions, len(arxiv.requests)) == (0, 1, 2)
    with store.reading() as session:
        checks = {check.asked_for: check.outcome for check in session.exec(select(ArxivCheck))}
    assert checks == {"2605.00001": "found", "hep-th/9901001": "found", "2605.04040": "not found"}


def test_papers_that_pages_name_are_watched_beside_any_query(tmp_path: Path) -> None:
    store = vault(tmp_path, notes__a=NAMED)
    save(store)
    with serving([versions(record("2605.00001")), *many(30)[20:]]) as arxiv:
        search, known = pull(store, arxiv)
        assert (search.state, known.name, known.state) == ("done", pulling.KNOWN_HERE, "done")
        assert len(pull(store, arxiv, at=NOW + timedelta(hours=2))) == 1


def test_a_paper_with_an_id_that_never_was_holds_up_no_other(tmp_path: Path) -> None:
    store = vault(tmp_path, notes__a="---\ntitle: A note\n---\nSee [[arXiv:2605.00001]] and [[arXiv:2605.0002]].\n")
    save(store, "named", cited=True)
    with serving(many(1)) as arxiv:
        done = one(pull(store, arxiv, "named"))
    assert (done.state, done.new, done.notes) == ("done", 1, ("arXiv does not know 2605.0002",))


def test_an_entry_that_cannot_be_read_holds_up_no_other_and_is_asked_for_again(tmp_path: Path) -> None:
    store = vault(tmp_path, notes__a="---\ntitle: A note\n---\nSee [[arXiv:2605.00001]] and [[arXiv:2605.00002]].\n")
    save(store, "named", cited=True)
    spoilt = faults.replaced(b"What the paper 2605.00002 shows", b"")
    with serving(many(2), faults=dict.fromkeys((1, 2, 3), spoilt)) as arxiv:
        named, known = pull(store, arxiv, "named")
        assert (named.state, named.new, named.notes) == ("done", 1, ("2605.00002v1 has no title",))
        assert (known.state, known.new, known.notes) == ("done", 1, ())
        assert [request.params["id_list"] for request in arxiv.requests[2:]] == ["2605.00002", "2605.00002"]


def test_ids_that_were_asked_for_are_not_asked_for_again_after_a_break(tmp_path: Path) -> None:
    ids = [f"2605.{number:05d}" for number in range(1, 31)]
    store = vault(tmp_path, notes__a=f"---\ntitle: A note\n---\n{' '.join(f'arXiv:{one}' for one in ids)}\n")
    save(store, "named", cited=True)
    with serving(many(30), faults={2: faults.html()}) as arxiv:
        assert one(pull(store, arxiv, "named")).state == "failed"
        assert len(papers(store)) == 10
        assert one(pull(store, arxiv, "named")).state == "done"
        assert papers(store) == ids
        assert len([served for served in arxiv.requests if ids[0] in served.params["id_list"]]) == 1


# --- like an entry ---------------------------------------------------------------------------------------------------


def test_papers_like_a_note_are_asked_for_anew_at_each_pull(tmp_path: Path) -> None:
    note = "---\ntitle: Entropy collapses in policy optimisation\n---\nWithout clipping, exploration ends early.\n"
    store = vault(tmp_path, notes__a=note, notes__b="---\ntitle: Exploration\n---\nClipping keeps exploration alive.\n")
    saved = save(store, "alike", like="a")
    assert (
        saved.asks
        == "(all:collapses OR all:entropy OR all:optimisation) AND (all:clipping OR all:exploration OR all:policy)"
    )
    near = record("2605.00001", title="Entropy and exploration", abstract="Policy entropy falls.")
    far = record("2605.00002", title="Entropy of gases", abstract="On heat.")
    with serving([versions(near), versions(far)]) as arxiv:
        done = one(pull(store, arxiv))
        assert (done.asks, done.new) == (saved.asks, 1)
        assert papers(store) == ["2605.00001"]


def test_a_query_that_never_comes_to_its_end_has_nothing_handed_on_twice(tmp_path: Path) -> None:
    store, told = new_store(tmp_path), list[list[str]]()
    save(store, "broken", categories=["cs.CL"])
    save(store, "learning", categories=["cs.LG"])
    asked_for_broken: dict[When, Fault] = {lambda asked: "cs.CL" in asked.params["search_query"]: faults.html()}
    with serving(many(10), faults=asked_for_broken) as arxiv:
        for day in range(3):
            pull(store, arxiv, at=NOW + day * DAY, after=lambda _, ids, __: told.append(list(ids)))
            arxiv.papers.append(versions(record(f"2605.1000{day}", published_at=NOW)))
    assert [len(ids) for ids in told] == [10, 1, 1]


def test_a_query_whose_entry_is_gone_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    note = "---\ntitle: Entropy collapses in policy optimisation\n---\nWithout clipping.\n"
    store = vault(tmp_path, notes__a=note)
    save(store, "alike", like="a")
    save(store)
    with store.writing() as session:
        entity(session, "a").slug = "another-name"
    with serving(many(3)) as arxiv:
        alike, learning = pull(store, arxiv)
    assert (alike.state, learning.state, learning.new) == ("failed", "done", 3)
    assert "no entry has the slug 'a'" in row(store, "alike").problem


# --- what goes wrong -------------------------------------------------------------------------------------------------

ALWAYS: dict[str, tuple[Fault, str]] = {
    "too many": (faults.too_many(), "busy"),
    "too many, later": (faults.too_many(retry_after=3600), "asked again from"),
    "unavailable": (faults.unavailable(), "busy"),
    "broken": (faults.broken(), "500"),
    "a page for people": (faults.html(), "robot"),
    "empty": (faults.empty_page(), "no entries"),
    "cut off": (faults.truncated(), "cut off"),
    "latin": (faults.not_utf8(), "UTF-8"),
    "a file": (faults.entities(), "entities"),
    "laughs": (faults.billion_laughs(), "entities"),
    "hung up": (faults.drops(), "hung up"),
    "an error entry": (faults.said("incorrect date format", 400), "incorrect date format"),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_a_fault_that_stays_is_said_and_the_next_pull_goes_on(store: Store, tmp_path: Path, name: str) -> None:
    fault, words = ALWAYS[name]
    with serving(many(25), faults={_second_page: fault}) as arxiv:
        broken = one(pull(store, arxiv))
        assert (broken.state, broken.new, broken.reached_at) == ("failed", 10, None)
        assert words in broken.problem
        assert row(store).problem == broken.problem
        assert papers(store) == found(store) != []
        arxiv.faults.clear()
        before = len(arxiv.requests)
        after = one(pull(store, arxiv, at=NOW + DAY, folder=tmp_path / "an-hour-later"))
        assert (after.state, after.new, after.reached_at, after.problem) == ("done", 15, NOW + DAY, "")
        assert row(store).problem == ""
        assert_all_once(store, arxiv)
        asked = [(served.params["start"], served.params["search_query"]) for served in arxiv.requests[before:]]
        assert [start for start, _ in asked] == ["10", "20", "0"]  # and what came since then
        assert asked[0][1] == asked[1][1] != asked[2][1]


def _second_page(asked: Asked) -> bool:
    return asked.start == 10


PASSING: dict[str, Fault] = {
    "too many": faults.too_many(),
    "soon": faults.too_many(retry_after=0),
    "unavailable": faults.unavailable(),
    "a page for people": faults.in_turn(faults.broken(), None),
    "empty": faults.empty_page(),
    "cut off": faults.truncated(),
    "latin": faults.not_utf8(),
    "hung up": faults.drops(),
    "silent": faults.silent(),
    "more": faults.another_total(40),
    "fewer": faults.another_total(12),
    "said again": faults.said_again(4),
    "a day ahead": faults.skewed(DAY),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_loses_nothing_and_brings_nothing_twice(store: Store, name: str) -> None:
    with serving(many(25), faults={2: PASSING[name]}) as arxiv:
        pull(store, arxiv)
        done = one(pull(store, arxiv, at=NOW + DAY))
        assert (done.state, done.reached_at) == ("done", NOW + DAY)
        assert_all_once(store, arxiv)


def test_a_list_that_changes_under_the_reader_is_read_again(store: Store) -> None:
    def shrinks(asked: Asked) -> bool:
        if asked.number == 2:
            arxiv.papers.pop(0)  # what stood on the first page is gone, and the eleventh is the tenth
        return False

    with serving(many(25), faults={shrinks: faults.html()}) as arxiv:
        gone = arxiv.papers[0][0].arxiv
        done = one(pull(store, arxiv))
        assert (done.state, done.new) == ("done", 25)
        assert papers(store) == sorted([gone, *(paper[0].arxiv for paper in arxiv.papers)])


def test_what_comes_in_behind_the_reader_comes_too(store: Store) -> None:
    def grows(asked: Asked) -> bool:
        if asked.number == 2:
            arxiv.papers.insert(0, versions(record("2605.00000", published_at=DAWN)))
        return False

    with serving(many(25), faults={grows: faults.html()}) as arxiv:
        pull(store, arxiv)
        assert_all_once(store, arxiv)


def test_a_page_that_is_wrong_for_good_is_got_round(store: Store) -> None:
    with serving(many(25), faults={_second_page: faults.said_again(4)}) as arxiv:
        assert one(pull(store, arxiv)).state == "done"
        assert_all_once(store, arxiv)


def test_a_page_that_never_comes_is_got_round_after_two_pulls(store: Store) -> None:
    def never_comes(asked: Asked) -> bool:
        return asked.start == 10 and f"[{NOW - FIRST:%Y%m%d%H%M} TO" in asked.params["search_query"]

    with serving(many(25), faults={never_comes: faults.empty_page()}) as arxiv:
        assert [one(pull(store, arxiv, at=NOW + day * DAY)).state for day in range(3)] == ["failed", "failed", "done"]
        assert_all_once(store, arxiv)
        assert row(store).reached_at == NOW + 2 * DAY


def test_what_a_window_lacks_is_looked_for_however_often_the_net_is_down(store: Store) -> None:
    seen = list[int]()

    def lacks_one(asked: Asked) -> bool:
        seen.append(asked.start)
        return seen == [0, 10]

    def is_down(_: Asked) -> bool:
        return 3 <= len(seen) <= down

    down = 10**6
    one_twice = faults.replaced(b"2605.00012v1", b"2605.00011v1")
    with serving(many(25), faults={lacks_one: one_twice, is_down: faults.drops()}) as arxiv:
        assert [one(pull(store, arxiv, at=NOW + day * DAY)).state for day in range(3)] == ["failed"] * 3
        assert len(papers(store)) < 25
        down = 0
        assert one(pull(store, arxiv, at=NOW + 3 * DAY)).state == "done"
        assert_all_once(store, arxiv)


def test_papers_that_are_counted_and_never_given_hold_a_query_up_once(store: Store) -> None:
    def twice(asked: Asked) -> faults.Answer:
        return faults.replaced(b"2605.00002v1", b"2605.00001v1")(asked)

    with serving(many(5), faults={lambda _: True: twice}) as arxiv:
        first = one(pull(store, arxiv))
        assert (first.state, first.reached_at) == ("failed", None)
        assert "does not give 1 of them" in first.problem
        second = one(pull(store, arxiv, at=NOW + DAY))
        assert (second.state, second.reached_at) == ("done", NOW + DAY)
        assert "does not give 1 of them" in second.notes[0]
        assert len(papers(store)) == 4


def test_an_entry_that_cannot_be_read_is_told_of_and_the_others_come(store: Store) -> None:
    damaged = faults.replaced(b"<published>2026-05-04T06:20:00Z", b"<published>some day")
    with serving(many(5), faults={lambda _: True: damaged}) as arxiv:
        done = one(pull(store, arxiv))
        assert (done.state, done.new, len(done.notes)) == ("done", 4, 1)
        assert "2605.00002" in done.notes[0]


def _one_of(totals: Iterator[int]) -> Fault:
    def play(asked: Asked) -> faults.Answer:
        return faults.another_total(next(totals))(asked)

    return play


def test_a_total_that_is_another_one_on_each_page_ends(store: Store) -> None:
    totals = iter([30, 25, 12, 60, 25, 25] + [25] * 20)
    with serving(many(25), faults={lambda _: True: _one_of(totals)}) as arxiv:
        assert one(pull(store, arxiv)).state in {"done", "failed"}
        arxiv.faults.clear()
        pull(store, arxiv, at=NOW + DAY)
        assert_all_once(store, arxiv)


def test_a_pause_that_arxiv_wants_is_for_all_queries(store: Store) -> None:
    save(store, "second", categories=["cs.CL"])
    with serving(many(3), faults={1: faults.too_many(retry_after=3600)}) as arxiv:
        first, second = pull(store, arxiv)
        assert (first.state, second.state) == ("failed", "not asked")
        assert first.resume_at is not None
        assert second.resume_at == first.resume_at
        assert f"{first.resume_at:%Y-%m-%d %H:%M:%S} UTC" in first.problem
        assert first.problem in row(store, "second").problem
        assert len(arxiv.requests) == 1


def test_a_refusal_of_one_query_leaves_the_others(store: Store) -> None:
    save(store, "a refused one", categories=["cs.CL"])
    refused = faults.said("incorrect query", 400)
    with serving(many(3), faults={lambda asked: "cs.CL" in asked.params["search_query"]: refused}) as arxiv:
        bad, good = pull(store, arxiv)
    assert (bad.state, good.state, good.new) == ("failed", "done", 3)


def test_two_queries_that_cannot_be_asked_end_a_pull(store: Store) -> None:
    for name in ("second", "third"):
        save(store, name, categories=["cs.CL"])
    with serving(faults={lambda _: True: faults.drops()}) as arxiv:
        assert [done.state for done in pull(store, arxiv)] == ["failed", "failed", "not asked"]
        assert len(arxiv.requests) == 6  # three attempts each


def test_a_machine_without_a_network_says_so(store: Store) -> None:
    with serving() as arxiv:
        pass
    done = one(pull(store, arxiv))
    assert done.state == "failed"
    assert "could not be reached" in done.problem


# --- clocks ----------------------------------------------------------------------------------------------------------


class WithDate:
    """Answers as arXiv does, with another date on the answers."""

    def __init__(self, inner: Arxiv, at: datetime | None) -> None:
        self._inner, self._at = inner, at

    def search(self, query: str, start: int = 0, size: int = 100) -> Batch:
        return self._inner.search(query, start, size)._replace(said_at=self._at)

    def by_ids(self, ids: Any) -> Any:
        return self._inner.by_ids(ids)


@pytest.mark.parametrize("ahead", [DAY, -DAY, 40 * DAY, timedelta(0)])
def test_a_clock_that_is_wrong_neither_leaves_papers_out_nor_moves_the_position_ahead(
    store: Store, tmp_path: Path, ahead: timedelta
) -> None:
    with serving(many(5)) as arxiv:
        truth = WithDate(asking(arxiv, tmp_path), NOW)
        pull(store, arxiv, at=NOW + min(ahead, DAY), arxiv=truth)
        arxiv.papers.append(versions(record("2605.00090", published_at=NOW)))
        for wrong in (ahead, timedelta(0)):
            at = NOW + DAY + wrong
            done = one(pull(store, arxiv, at=at, arxiv=WithDate(asking(arxiv, tmp_path), NOW + DAY)))
            assert done.reached_at == min(at, NOW + DAY)
        assert_all_once(store, arxiv)


def test_the_date_of_an_answer_comes_from_its_head(tmp_path: Path) -> None:
    with serving(many(1), faults={1: faults.skewed(DAY)}) as arxiv:
        said = asking(arxiv, tmp_path).search("cat:cs.LG").said_at
    assert said is not None
    assert timedelta(hours=23) < said - datetime.now(UTC) < timedelta(hours=25)


def test_a_paper_that_is_dated_ahead_comes_and_does_not_move_the_position(store: Store) -> None:
    with serving([*many(2), versions(record("2605.00050", published_at=NOW + DAY))]) as arxiv:
        done = one(pull(store, arxiv))
        assert (done.new, done.reached_at) == (3, NOW)
        arxiv.papers.append(versions(record("2605.00051", published_at=NOW + timedelta(hours=1))))
        assert one(pull(store, arxiv, at=NOW + DAY)).new == 1


# --- broken off ------------------------------------------------------------------------------------------------------


def test_a_pull_that_is_cancelled_keeps_what_came(store: Store) -> None:
    with serving(many(30)) as arxiv:
        done = one(pull(store, arxiv, means={"is_cancelled": lambda: arxiv.begun >= 2}))
        assert (done.state, done.new) == ("interrupted", 20)
        with store.reading() as session:
            assert queries.saved(session)[0].is_under_way
        assert one(pull(store, arxiv)).new == 10
        assert_all_once(store, arxiv)
        assert len(arxiv.requests) == 3


@pytest.mark.slow
def test_a_pull_of_two_thousand_papers_that_is_killed_ten_times_brings_each_once(store: Store, tmp_path: Path) -> None:
    chance = random.Random(6)
    with serving(many(2000)) as arxiv:
        for _ in range(10):
            before = len(papers(store))
            ((code, _said),) = in_children(
                dying_pull, (store.path, arxiv.url, chance.randint(5, 25), tmp_path / "pace")
            )
            assert code == -signal.SIGKILL
            assert len(papers(store)) % 100 == 0  # a page is in as a whole or not at all
            assert len(papers(store)) >= before
        done = one(pull(store, arxiv, page=100))
        assert (done.state, done.reached_at) == ("done", NOW)
        assert_all_once(store, arxiv)
        assert len(arxiv.requests) <= 20 + 10  # each death cost one answer


# --- two at once -----------------------------------------------------------------------------------------------------


def test_a_second_pull_says_who_pulls(store: Store) -> None:
    def meanwhile(asked: Asked) -> bool:
        with pytest.raises(PullRuns, match=rf"process {os.getpid()} on .* with 'learning'"):
            pull(store, arxiv)
        return False

    with serving(many(25), faults={_second_page_then(meanwhile): faults.html()}) as arxiv:
        assert one(pull(store, arxiv)).state == "done"
        assert len(arxiv.requests) == 3


def _second_page_then(act: Callable[[Asked], bool]) -> When:
    return lambda asked: asked.start == 10 and act(asked)


def test_a_second_pull_before_the_first_has_asked_anything(store: Store) -> None:
    with alone(store, "pull") as is_ours, serving(many(2)) as arxiv:
        assert is_ours
        with pytest.raises(PullRuns, match="another process"):
            pull(store, arxiv)


def test_without_a_query_the_papers_that_pages_name_are_asked_about(tmp_path: Path) -> None:
    with serving(many(2)) as arxiv:
        known = one(pull(vault(tmp_path, notes__a=NAMED), arxiv))
    assert (known.name, known.new, known.notes) == (
        pulling.KNOWN_HERE,
        1,
        ("arXiv does not know 2605.04040, hep-th/9901001",),
    )


def test_a_library_without_queries_asks_nothing(tmp_path: Path) -> None:
    with serving(many(2)) as arxiv:
        assert pull(new_store(tmp_path), arxiv) == []
        assert arxiv.begun == 0


def test_queries_can_be_named_and_an_unknown_one_is_said(store: Store) -> None:
    save(store, "other", categories=["cs.CL"])
    queries.switch(store, "other", on=False)
    with serving(many(2)) as arxiv:
        assert [done.name for done in pull(store, arxiv)] == ["learning"]
        assert [done.name for done in pull(store, arxiv, "other")] == ["other"]
        with pytest.raises(NoQuery, match="did you mean learning"):
            pull(store, arxiv, "learnin")


def test_a_query_that_is_removed_while_it_is_pulled_keeps_what_it_brought(store: Store) -> None:
    def removed(asked: Asked) -> bool:
        queries.remove(store, "learning")
        return False

    with serving(many(25), faults={_second_page_then(removed): faults.html()}) as arxiv:
        done = one(pull(store, arxiv))
    assert (done.state, len(papers(store))) == ("failed", 10)
    assert "was removed" in done.problem


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_it_is_the_same_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    store = Store.open(postgres.library())
    save(store)

    def meanwhile(asked: Asked) -> bool:
        with pytest.raises(PullRuns, match="process"):
            pull(store, arxiv, folder=tmp_path)
        return False

    with serving(many(45), faults={_second_page_then(meanwhile): faults.html(), 4: faults.html()}) as arxiv:
        assert one(pull(store, arxiv, folder=tmp_path)).state == "failed"
        done = one(pull(store, arxiv, folder=tmp_path, at=NOW + DAY))
        assert (done.state, done.reached_at) == ("done", NOW + DAY)
        assert_all_once(store, arxiv)
    with alone(store, "pull") as is_ours:
        assert is_ours
    store.engine.dispose()
