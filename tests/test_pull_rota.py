"""When a machine that nobody watches pulls."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.hours import Settings
from claims.papers.rota import Turn, due, next_pull
from tests.kb_support import reproducible
from tests.pull_support import NOW

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
DAILY = Settings(pulls="daily")


def turn(name: str = "one", **said: object) -> Turn:
    return Turn.model_validate({"name": name, **said})


def test_nothing_is_due_unless_somebody_switched_it_on() -> None:
    assert due([turn()], Settings(), NOW) == ()
    assert due([turn()], Settings(on=True), NOW) == ()
    assert next_pull([turn()], Settings(), NOW) is None
    assert due([turn()], DAILY, NOW) == ("one",)  # its own switch
    assert next_pull([], DAILY, NOW) is None


def test_a_query_has_its_turn_once_a_day_and_a_missed_one_once() -> None:
    pulled = [turn(pulled_at=NOW)]
    assert due(pulled, DAILY, NOW + DAY - MINUTE) == ()
    assert next_pull(pulled, DAILY, NOW + HOUR) == NOW + DAY
    assert due(pulled, DAILY, NOW + DAY) == ("one",)
    assert due(pulled, DAILY, NOW + 9 * DAY) == ("one",)
    assert due([turn(pulled_at=NOW + 9 * DAY)], DAILY, NOW + 9 * DAY + HOUR) == ()


def test_a_new_query_waits_for_the_hour_after_another() -> None:
    turns = [turn("new"), turn("old", pulled_at=NOW)]
    assert due(turns, DAILY, NOW + HOUR - MINUTE) == ()
    assert due(turns, DAILY, NOW + HOUR) == ("new",)
    assert next_pull(turns, DAILY, NOW) == NOW + HOUR


def test_quiet_hours_are_kept() -> None:
    quiet = Settings(pulls="daily", quiet=("05:00-07:30",))  # NOW is six in the morning
    assert due([turn()], quiet, NOW) == ()
    assert next_pull([turn()], quiet, NOW) == NOW + 1.5 * HOUR
    assert due([turn()], quiet, NOW + 2 * HOUR) == ("one",)


@pytest.mark.parametrize(("failures", "hours"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 24), (50, 24)])
def test_what_fails_is_tried_ever_more_seldom(failures: int, hours: int) -> None:
    failed = [turn(pulled_at=NOW - 3 * DAY, tried_at=NOW, failures=failures, is_broken_off=True)]
    assert due(failed, DAILY, NOW + hours * HOUR - MINUTE) == ()
    assert due(failed, DAILY, NOW + hours * HOUR) == ("one",)


def test_a_pause_that_arxiv_wants_is_for_all() -> None:
    turns = [turn("a", tried_at=NOW, failures=1, resume_at=NOW + 6 * HOUR), turn("b", pulled_at=NOW - 3 * DAY)]
    assert due(turns, DAILY, NOW + 5 * HOUR) == ()
    assert due(turns, DAILY, NOW + 6 * HOUR) == ("a", "b")


def test_what_was_broken_off_goes_on_an_hour_later() -> None:
    broken_off = [turn(pulled_at=NOW - DAY, tried_at=NOW, is_broken_off=True)]
    assert due(broken_off, DAILY, NOW + 59 * MINUTE) == ()
    assert due(broken_off, DAILY, NOW + HOUR) == ("one",)


def test_a_time_far_ahead_is_one_of_a_clock_that_was_wrong() -> None:
    assert due([turn(pulled_at=NOW + 40 * DAY)], DAILY, NOW) == ("one",)
    assert due([turn(pulled_at=NOW + HOUR)], DAILY, NOW) == ()


@reproducible
@given(
    st.lists(st.tuples(st.integers(-100, 0), st.integers(-100, 0), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(0, 60),
)
def test_the_next_pull_is_the_first_moment_at_which_one_is_due(past: list[tuple[int, int, int]], later: int) -> None:
    turns = [
        turn(str(place), pulled_at=NOW + pulled * HOUR, tried_at=NOW + tried * HOUR, failures=failures)
        for place, (pulled, tried, failures) in enumerate(past)
    ]
    at = NOW + later * MINUTE
    then = next_pull(turns, DAILY, at)
    assert then is not None
    assert due(turns, DAILY, then)
    assert bool(due(turns, DAILY, at)) == (then == at)
