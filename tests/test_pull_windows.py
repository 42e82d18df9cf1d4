"""Where a pull stands: a value, and what every answer makes of it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.papers import windows
from claims.papers.windows import AHEAD, FIRST, OLDEST, OVERLAP, Page, Seen, UnderWay
from tests.kb_support import reproducible
from tests.pull_support import NOW

few = settings(reproducible, max_examples=40)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def way(length: timedelta = DAY, **changes: object) -> UnderWay:
    begins = NOW - 10 * DAY
    values = {
        "begins": begins,
        "ends": begins + length,
        "until": NOW,
        "began_at": NOW,
        "seen_at": NOW,
        "asks": "cat:cs.LG",
    }
    return UnderWay.model_validate(values | changes)


def page(total: int, *ids: str, unreadable: int = 0) -> Page:
    return Page(total=total, ids=ids, unreadable=unreadable)


def after(state: UnderWay, answer: Page) -> tuple[UnderWay, windows.Next]:
    return windows.following(windows.taken(state, answer), answer)


def begins(reached: datetime | None, since: datetime | None, now: datetime, back: datetime | None = None) -> datetime:
    """Where a pull begins that comes after one that reached so far; BACK is when one looked far back, by default then."""
    return windows.start(Seen(reached, back or reached), since, now).begins


def test_a_new_query_looks_back_thirty_days_and_past_the_present() -> None:
    assert windows.start(Seen(None, None), None, NOW) == (NOW - FIRST, NOW + AHEAD, True)


def test_a_pull_begins_a_week_before_its_position() -> None:
    assert windows.start(Seen(NOW - DAY, NOW - DAY), None, NOW) == (NOW - DAY - OVERLAP, NOW + AHEAD, False)


def test_the_first_pull_of_a_week_begins_a_month_before_its_position() -> None:
    sunday, monday = datetime(2026, 5, 17, 23, tzinfo=UTC), datetime(2026, 5, 18, 1, tzinfo=UTC)
    assert begins(sunday, None, monday) == sunday - FIRST
    assert begins(monday, None, monday + HOUR) == monday - OVERLAP
    new_year = datetime(2027, 1, 3, 12, tzinfo=UTC)  # a Sunday, of the last week of 2026
    assert begins(new_year - DAY, None, new_year) == new_year - DAY - OVERLAP


def test_a_week_whose_first_pull_only_ended_that_of_the_week_before_looks_back_all_the_same() -> None:
    saturday, monday = datetime(2026, 5, 16, 23, tzinfo=UTC), datetime(2026, 5, 18, 1, tzinfo=UTC)
    assert begins(monday, None, monday + HOUR, back=saturday) == monday - FIRST
    ahead = monday + 365 * DAY  # of a clock that was wrong
    assert begins(monday, None, monday + HOUR, back=ahead) == monday - FIRST


@pytest.mark.parametrize("held", range(22))
def test_what_is_held_for_three_weeks_is_found_by_daily_pulls(held: int) -> None:
    begun = datetime(2026, 5, 18, 6, tzinfo=UTC)
    pulls = [begun + day * DAY for day in range(60)]
    firsts = [begins(before, None, now) for before, now in pairwise(pulls)]
    for submitted in (begun + hour * HOUR for hour in range(7 * 24)):
        listed = submitted + held * DAY
        assert any(first <= submitted and listed <= now for first, now in zip(firsts, pulls[1:], strict=True))


def test_a_position_in_the_future_counts_as_the_present() -> None:
    assert begins(NOW + 30 * DAY, None, NOW, back=NOW) == NOW - OVERLAP


def test_a_first_day_that_is_asked_for_leaves_no_gap_behind_the_position() -> None:
    assert begins(None, NOW - DAY, NOW) == NOW - DAY
    assert begins(NOW - 20 * DAY, NOW - DAY, NOW) == NOW - 20 * DAY - FIRST
    assert begins(NOW - DAY, NOW - 90 * DAY, NOW) == NOW - 90 * DAY


def test_a_first_day_is_never_to_come_nor_before_arxiv_was() -> None:
    assert begins(None, NOW + 90 * DAY, NOW) == NOW
    assert begins(None, datetime(1, 1, 1, tzinfo=UTC), NOW) == OLDEST
    earlier = windows.resumed(way(), "cat:cs.LG", datetime(1, 1, 1, tzinfo=UTC), NOW)
    assert earlier.begins == OLDEST


def test_a_window_with_too_many_papers_is_cut_and_the_rest_follows() -> None:
    whole = way(10 * DAY)
    shorter = windows.cut(whole, 10_000, most=2000)
    assert shorter is not None
    begins, ends = shorter.window()
    assert (begins, ends - begins) == (whole.begins, 0.16 * 10 * DAY)
    following, then = after(shorter, page(1, "a"))
    assert then == "window"
    assert following.window() == (ends, ends + (ends - begins))
    assert following.ids == ()


def test_what_is_being_read_is_not_cut_and_a_minute_is_the_shortest() -> None:
    assert windows.cut(way(read=10), 10_000) is None
    assert windows.cut(way(passes=2), 10_000) is None
    assert windows.cut(way(timedelta(minutes=1)), 10_000) is None
    assert windows.cut(way(), 2000) is None
    shortest = windows.cut(way(timedelta(minutes=2)), 10**9)
    assert shortest is not None
    assert shortest.window()[1] - shortest.window()[0] == timedelta(minutes=1)


def test_pages_follow_until_the_total_and_then_the_next_window_and_the_end() -> None:
    state, then = after(way(), page(3, "a", "b"))
    assert (state.read, then) == (2, "page")
    state, then = after(state, page(3, "c"))
    assert (then, state.read, state.begins) == ("window", 0, NOW - 9 * DAY)
    last = way(10 * DAY)
    assert after(last, page(1, "a"))[1] == "end"


def test_a_window_that_gave_fewer_than_was_said_is_read_again_and_once_more_in_the_next_pull() -> None:
    short = page(3, "a", "b", "b")
    state, then = after(way(10 * DAY), short)
    assert (then, state.read, state.passes, state.ids) == ("again", 0, 2, ("a", "b"))
    state, then = after(state, short)
    assert (then, state.passes, windows.lacking(state)) == ("short", 3, 1)
    assert after(state, short)[1] == "end"  # it counts what it never gives


def test_what_the_second_reading_brings_makes_a_window_whole() -> None:
    state, _ = after(way(10 * DAY), page(3, "a", "b", "b"))
    assert after(state, page(3, "a", "c", "c"))[1] == "end"


def test_an_entry_that_cannot_be_read_is_not_missed() -> None:
    assert after(way(10 * DAY), page(2, "a", unreadable=1))[1] == "end"


def test_a_total_that_shrinks_or_grows_ends_all_the_same() -> None:
    state, then = after(way(10 * DAY), page(5, "a", "b"))
    assert then == "page"
    state, then = after(state, page(2))
    assert then == "again"  # five were promised
    assert after(state, page(2, "a", "b"))[1] == "end"  # two is the least that was said


def test_a_broken_off_pull_goes_on_to_the_present() -> None:
    state = way(read=20, ids=("a",))
    later = windows.resumed(state, "cat:cs.LG", None, NOW + 3 * DAY)
    assert (later.read, later.ids, later.window()) == (20, ("a",), state.window())
    assert later.until == NOW + 3 * DAY + AHEAD


def test_another_question_or_an_earlier_first_day_reads_from_the_beginning() -> None:
    state = way(read=20, ids=("a",))
    other = windows.resumed(state, "cat:cs.CL", None, NOW)
    assert (other.read, other.asks, other.window()) == (0, "cat:cs.CL", state.window())
    earlier = windows.resumed(state, "cat:cs.LG", NOW - 60 * DAY, NOW)
    assert (earlier.read, earlier.window()[0]) == (0, NOW - 60 * DAY)


def test_the_position_follows_the_slowest_clock() -> None:
    assert windows.reached(NOW + AHEAD, NOW, NOW - HOUR, None) == NOW - HOUR
    assert windows.reached(NOW + AHEAD, NOW, NOW + DAY, None) == NOW
    assert windows.reached(NOW - DAY, NOW, None, None) == NOW - DAY


def test_the_position_never_goes_back_for_a_clock_that_is_wrong() -> None:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    assert windows.reached(NOW + AHEAD, NOW, long_ago, None) == NOW
    assert windows.reached(NOW + AHEAD, NOW, NOW - 9 * DAY, NOW - DAY) == NOW - DAY
    assert windows.reached(NOW + AHEAD, NOW, NOW, NOW + 90 * DAY) == NOW


def test_a_query_without_dates_has_no_window() -> None:
    with pytest.raises(ValueError, match="no dates"):
        UnderWay(began_at=NOW, seen_at=NOW).window()


@few
@given(
    st.lists(st.tuples(st.integers(0, 12), st.lists(st.sampled_from("abcdefgh"), max_size=4)), min_size=60, max_size=60)
)
def test_whatever_arxiv_says_a_pull_comes_to_an_end(answers: list[tuple[int, list[str]]]) -> None:
    state, then, seen = way(10 * DAY), "page", set[str]()
    for total, ids in answers:
        state, then = after(state, page(total, *ids))
        seen |= set(ids)
        if then in {"end", "short"}:
            break
        assert state.begins == NOW - 10 * DAY
    assert then in {"end", "short"}
    assert seen == set(state.ids)
