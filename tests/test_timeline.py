"""Questions one asks of a library over time: what people said, what stood when, what flipped, what leans on it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from claims import acts, audit, ledger, library, overview, runs, timeline
from claims.errors import CannotSay
from claims.impact import Leans
from claims.runs import Attempt
from claims.runs import given as verdict_of
from claims.standing import headline
from kb.errors import NotFound
from kb.models import Run
from kb.store import Store
from stillholds import moments
from stillholds.words import flip_words
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    contract,
    job,
    large_models,
    measurement,
    past,
    run_with,
    written,
)
from verifiers.measurement import Failure

HIGH, LOW = around(0.6, 0.05), around(0.0, 0.05)  # logs: wholly in HOLDS, wholly in REFUTED
DAY = timedelta(days=1)


def certified_run(store: Store, values: list[float], at: datetime, code: str = "c" * 64) -> None:
    """A run of `the-gap` as a certificate would cover it."""
    begun = runs.begin(store, job(store), at)
    measured = measurement(values, code=code)
    with store.writing() as session:
        digest = ledger.keep(session, measured)
        event = verdict_of(contract(), measured, digest, Attempt(begun.id, begun.number), "f" * 64)
        acts.record(session, claim_id(store), event, at)
        session.get_one(Run, begun.id).state = "measured"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return a_library(tmp_path, {"the-gap": written(), "spoken": None})


@pytest.fixture
def told_store(tmp_path: Path) -> Store:
    """Holds on the first day, and is refuted by other code on the tenth."""
    store = a_library(tmp_path, {"the-gap": written(), "still": written(endpoint="one_topic_did")} | {"spoken": None})
    certified_run(store, HIGH, NOW + DAY)
    certified_run(store, LOW, NOW + 10 * DAY, code="d" * 64)
    return store


# --- what people say -------------------------------------------------------------------------------------------------


def test_a_decision_is_kept_with_its_source_and_is_no_standing(store: Store) -> None:
    acts.decide(store, "spoken", "REFUTED", "arXiv:2605.25459, table 2", "measured\n at scale", "ada", NOW + DAY)
    record = past(store, "spoken")
    assert record.decision is not None
    assert (record.decision.word, record.decision.reason) == ("REFUTED", "measured at scale")
    assert record.standing.word == "UNTESTED"
    with store.reading() as session:
        row = next(row for row in overview.rows(session, NOW + DAY) if row.slug == "spoken")
    assert row.decision == record.decision
    assert audit.audit(store).problems == ()


def test_where_there_is_a_contract_runs_decide(store: Store) -> None:
    with pytest.raises(CannotSay, match="runs decide"):
        acts.decide(store, "the-gap", "HOLDS", "a paper", "a reason", "ada", NOW)
    assert len(past(store).entries) == 1


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 2001, "bytes \udcff"])
def test_a_reason_that_says_nothing_is_refused(store: Store, text: str) -> None:
    for act in (
        lambda: acts.retire(store, "the-gap", text, "a paper", "ada", NOW),
        lambda: acts.retire(store, "the-gap", "a reason", text, "ada", NOW),
        lambda: acts.make_due(store, "the-gap", text, "ada", NOW),
        lambda: acts.decide(store, "spoken", "HOLDS", text, "a reason", "ada", NOW),
    ):
        with pytest.raises(CannotSay):
            act()
    assert len(past(store).entries) == 1


def test_a_retired_claim_is_not_due_until_somebody_wakes_it(store: Store) -> None:
    acts.retire(store, "the-gap", "costs too much", "a faster lab", "ada", NOW + DAY)
    with store.reading() as session:
        fresh = overview.row(session, claim_id(store), NOW + 99 * DAY).freshness
    assert fresh is not None
    assert fresh.word == "RETIRED"
    assert "ada: costs too much. What would wake it: a faster lab" in fresh.reason
    for act in (
        lambda: acts.retire(store, "the-gap", "again", "nothing", "bob", NOW + 2 * DAY),
        lambda: acts.make_due(store, "the-gap", "now", "bob", NOW + 2 * DAY),
    ):
        with pytest.raises(CannotSay, match="stillholds wake the-gap"):
            act()
    acts.wake(store, "the-gap", "there is one", "bob", NOW + 3 * DAY)
    with store.reading() as session:
        awake = overview.row(session, claim_id(store), NOW + 3 * DAY).freshness
    assert awake is not None
    assert awake.word == "DUE"
    with pytest.raises(CannotSay, match="not retired"):
        acts.wake(store, "the-gap", "twice", "bob", NOW + 4 * DAY)
    assert audit.audit(store).problems == ()


def test_a_claim_made_due_is_due_until_a_run_answers(store: Store) -> None:
    run_with(store, measurement(HIGH))
    acts.make_due(store, "the-gap", "a colleague doubts it", "ada", NOW + DAY)
    with store.reading() as session:
        fresh = overview.row(session, claim_id(store), NOW + DAY).freshness
    assert fresh is not None
    assert fresh.word == "DUE"
    assert "asked for, by ada: a colleague doubts it" in fresh.reason
    run_with(store, measurement(HIGH), at=NOW + 2 * DAY)
    with store.reading() as session:
        (fresh,) = [row.freshness for row in timeline.rows(session, NOW + 3 * DAY) if row.slug == "the-gap"]
    assert fresh is not None
    assert fresh.word == "FRESH"


def test_what_nothing_tests_can_neither_be_retired_nor_made_due(store: Store) -> None:
    with pytest.raises(CannotSay, match="no contract"):
        acts.retire(store, "spoken", "a reason", "a paper", "ada", NOW)
    with pytest.raises(CannotSay, match="no contract"):
        acts.make_due(store, "spoken", "a reason", "ada", NOW)


def test_an_unknown_claim_is_answered_with_the_nearest(store: Store) -> None:
    with pytest.raises(NotFound, match="the-gap"):
        acts.retire(store, "the-gab", "a reason", "a paper", "ada", NOW)


# --- as of -----------------------------------------------------------------------------------------------------------


def test_every_claim_stands_as_it_stood_at_a_date(told_store: Store) -> None:
    words = {}
    for days in (0, 5, 20):
        with told_store.reading() as session:
            rows = {row.slug: row for row in timeline.rows(session, NOW + days * DAY)}
        words[days] = rows["the-gap"].standing.word
        assert rows.keys() == {"the-gap", "still", "spoken"}
    assert words == {0: "UNTESTED", 5: "HOLDS", 20: "REFUTED"}


def test_freshness_is_judged_by_the_clock_of_then(told_store: Store) -> None:
    with told_store.reading() as session:
        then = next(row for row in timeline.rows(session, NOW + 5 * DAY) if row.slug == "the-gap")
        later = next(row for row in timeline.rows(session, NOW + 60 * DAY) if row.slug == "the-gap")
    assert then.freshness is not None
    assert later.freshness is not None
    assert (then.freshness.word, later.freshness.word) == ("FRESH", "DUE")
    assert then.due_at == NOW + 31 * DAY


def test_before_a_library_was_there_it_had_no_claims(told_store: Store) -> None:
    with told_store.reading() as session:
        assert timeline.rows(session, NOW - DAY) == []


def test_a_record_as_of_a_date_shows_a_run_of_then_as_under_way(store: Store) -> None:
    begun = runs.begin(store, job(store), NOW + DAY)
    runs.end(store, begun.id, Failure(reason="the disk was full", cause="lost"), NOW + DAY + timedelta(hours=1))
    with store.reading() as session:
        then = overview.record(session, claim_id(store), NOW + 9 * DAY, NOW + DAY + timedelta(minutes=5))
        now = overview.record(session, claim_id(store), NOW + 9 * DAY)
    assert ([line.word for line in then.runs], [line.word for line in now.runs]) == (["RUNNING"], ["ERROR"])
    assert then.going is None


def test_the_standing_as_of_a_date_is_what_the_ledger_said_on_that_day(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    said = {NOW: past(store).standing}
    for day, values, code in ((1, HIGH, "c"), (10, LOW, "d"), (11, LOW, "d"), (20, around(0.16, 0.3), "e")):
        certified_run(store, values, NOW + day * DAY, code=code * 64)
        said[NOW + day * DAY] = past(store).standing
    assert len({headline(standing) for standing in said.values()}) == 4
    with store.reading() as session:
        for at, standing in said.items():
            assert [row.standing for row in timeline.rows(session, at)] == [standing]
            assert [row.standing for row in timeline.rows(session, at + timedelta(hours=23))] == [standing]


# --- flips -----------------------------------------------------------------------------------------------------------


def test_a_flip_carries_both_intervals_and_the_run_that_made_it(told_store: Store) -> None:
    with told_store.reading() as session:
        newest, first = timeline.flips(session)
    assert (first.flip.was, first.flip.now) == ("UNTESTED", "HOLDS")
    assert first.flip.before is None
    assert (newest.flip.was, newest.flip.now, newest.flip.number) == ("HOLDS", "REFUTED", 2)
    assert newest.flip.before is not None
    assert newest.flip.after is not None
    assert newest.flip.before.low > newest.flip.after.high
    assert newest.flip.at == NOW + 10 * DAY


def test_flips_are_filtered_by_dates_and_a_chain_that_grew_is_read_again(told_store: Store) -> None:
    with told_store.reading() as session:
        assert len(timeline.flips(session, since=NOW + 5 * DAY)) == 1
        assert len(timeline.flips(session, until=NOW + 5 * DAY)) == 1
        assert timeline.flips(session, since=NOW + 20 * DAY) == []
    certified_run(told_store, HIGH, NOW + 30 * DAY, code="e" * 64)
    with told_store.reading() as session:
        assert timeline.flips(session)[0].flip.now == "HOLDS"


def test_what_an_uncertified_run_flips_at_another_scale_is_called_uncertified(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": large_models()})
    run_with(store, measurement(HIGH))
    (flip,) = past(store).flips
    assert not flip.now_certified
    assert flip_words(flip) == "At this scale: Nothing yet → Reproduced, uncertified"


# --- between two dates -----------------------------------------------------------------------------------------------


def test_a_difference_says_what_changed_why_and_what_stayed(told_store: Store) -> None:
    with told_store.reading() as session:
        found = timeline.difference(session, NOW + 5 * DAY, NOW + 20 * DAY)
    (change,) = found.changes
    assert (change.before.standing.word, change.after.standing.word) == ("HOLDS", "REFUTED")
    assert [flip.number for flip in change.flips] == [2]
    assert (found.new, found.same) == ((), 2)


def test_a_standing_that_came_back_is_still_told(told_store: Store) -> None:
    certified_run(told_store, HIGH, NOW + 30 * DAY, code="e" * 64)
    with told_store.reading() as session:
        (change,) = timeline.difference(session, NOW + 5 * DAY, NOW + 40 * DAY).changes
    assert change.came_back
    assert [flip.now for flip in change.flips] == ["REFUTED", "HOLDS"]


def test_what_people_said_is_a_difference_too(told_store: Store) -> None:
    acts.decide(told_store, "spoken", "HOLDS", "a paper", "a reason", "ada", NOW + 50 * DAY)
    acts.retire(told_store, "still", "a reason", "a paper", "ada", NOW + 51 * DAY)
    with told_store.reading() as session:
        found = timeline.difference(session, NOW + 49 * DAY, NOW + 52 * DAY)
    assert {change.claim.slug for change in found.changes} == {"spoken", "still"}
    assert all(change.flips == () for change in found.changes)


def test_claims_from_between_the_dates_are_new(told_store: Store) -> None:
    with told_store.reading() as session:
        found = timeline.difference(session, NOW - DAY, NOW)
        nothing = timeline.difference(session, NOW + 20 * DAY, NOW + 21 * DAY)
    assert len(found.new) == 3
    assert not any(change.before.known for change in found.changes)
    assert (nothing.changes, nothing.new, nothing.same) == ((), (), 3)


def test_dates_the_wrong_way_round_are_refused(told_store: Store) -> None:
    with told_store.reading() as session, pytest.raises(CannotSay, match="later than"):
        timeline.difference(session, NOW, NOW - DAY)


# --- what leans on it ------------------------------------------------------------------------------------------------


def test_what_leans_on_a_claim_is_followed_through_every_step_with_its_path(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written()})
    pages = {
        "notes/a.md": "---\ntitle: A\n---\nIt says [[the-gap]].\n",
        "notes/b.md": "---\ntitle: B\nextends: A\n---\nMore.\n",
        "notes/c.md": "---\ntitle: C\nrelates: A\n---\nBeside it.\n",
        "lines/d.md": "---\ntitle: D\n---\nBecause of [[B]]. And of [[A]].\n",
        "lines/e.md": "---\ntitle: E\n---\nBecause of [[B]].\n",
    }
    for name, text in pages.items():
        path = tmp_path / "more" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert not library.bring_in(store, [tmp_path / "more"], NOW).refused
    with store.reading() as session:
        found = {one.other.title: one for one in Leans.read(session).on(claim_id(store))}
    assert {title: [hop.other.title for hop in one.path] for title, one in found.items()} == {
        "A": ["A"],
        "B": ["A", "B"],
        "D": ["A", "D"],
        "E": ["A", "B", "E"],
    }
    assert [hop.type for hop in found["E"].path] == ["states", "extends", "leans_on"]
    assert found["E"].path[-1].sentence == "Because of B."


# --- dates on the command line ---------------------------------------------------------------------------------------


def test_a_day_means_all_of_it_and_a_time_without_a_zone_is_in_utc() -> None:
    assert moments.moment("2026-11-21", end=True) == datetime(2026, 11, 21, 23, 59, 59, 999999, UTC)
    assert moments.moment("2026-11-21", end=False) == datetime(2026, 11, 21, tzinfo=UTC)
    assert moments.moment(" 2026-11-21T14:30 ", end=True) == datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    assert moments.moment("2026-11-21T14:30:00+02:00", end=True) == datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30", "0001-01-01T00:00+14:00"])
def test_nonsense_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="no date"):
        moments.moment(text, end=True)
