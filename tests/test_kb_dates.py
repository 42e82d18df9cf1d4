"""Dates as their sources write them, and the days they may mean."""

import calendar
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kb.dates import WrittenDate
from tests.kb_support import reproducible


@pytest.mark.parametrize(
    ("written", "earliest", "latest"),
    [
        ("2025", date(2025, 1, 1), date(2025, 12, 31)),
        ("2025-05", date(2025, 5, 1), date(2025, 5, 31)),
        ("2025-5", date(2025, 5, 1), date(2025, 5, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2025-05-22", date(2025, 5, 22), date(2025, 5, 22)),
        ("May 2026", date(2026, 5, 1), date(2026, 5, 31)),
        ("Sep. 2025", date(2025, 9, 1), date(2025, 9, 30)),
        ("25 May 2026", date(2026, 5, 25), date(2026, 5, 25)),
        ("2024–2026", date(2024, 1, 1), date(2026, 12, 31)),
        ("2024-2026", date(2024, 1, 1), date(2026, 12, 31)),
        ("2024 — 2026", date(2024, 1, 1), date(2026, 12, 31)),
        ("2024 to 2026", date(2024, 1, 1), date(2026, 12, 31)),
        ("2024..2026", date(2024, 1, 1), date(2026, 12, 31)),
        ("2024-11–2025-02", date(2024, 11, 1), date(2025, 2, 28)),
        ("2024-11-05–2025", date(2024, 11, 5), date(2025, 12, 31)),
    ],
)
def test_a_date_is_as_fine_as_its_source_gives_it(written, earliest, latest):
    assert WrittenDate.parse(written) == WrittenDate(written=written, earliest=earliest, latest=latest)


@pytest.mark.parametrize(
    "written",
    ["~2025", "≈ 2025", "c. 2025", "ca. 2025", "circa 2025", "about 2025", "Early 2025", "mid-2025", "late 2025"],
)
def test_a_date_that_its_source_was_unsure_of_has_the_bounds_of_its_words_and_says_so(written):
    parsed = WrittenDate.parse(written)
    assert (parsed.earliest, parsed.latest) == (date(2025, 1, 1), date(2025, 12, 31))
    assert parsed.approximate
    assert parsed.written == written


def test_a_month_can_be_unsure_too():
    parsed = WrittenDate.parse("~2025-05")
    assert (parsed.earliest, parsed.latest, parsed.approximate) == (date(2025, 5, 1), date(2025, 5, 31), True)


def test_the_words_are_kept_as_written_but_for_the_space_around_them():
    assert WrittenDate.parse("  May 2026\n").written == "May 2026"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25",
        "20255",
        "2025-13",
        "2025-00",
        "2025-02-30",
        "0000",
        "2025-05-22-01",
        "Mai 2025",
        "31 June 2025",
        "~",
    ],
)
def test_what_no_calendar_has_is_refused(text):
    with pytest.raises(ValueError, match=r"is no date|is no month|out of range|year 0"):
        WrittenDate.parse(text)


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="'2026–2024' ends before it begins"):
        WrittenDate.parse("2026–2024")


def test_the_refusal_says_what_a_date_looks_like():
    with pytest.raises(ValueError, match="'next week' is no date: write 2025, 2025-05, 2025-05-22, ~2025"):
        WrittenDate.parse("next week")


def test_a_date_made_by_hand_obeys_the_same_rules():
    with pytest.raises(ValidationError, match="ends before it begins"):
        WrittenDate(written="2025", earliest=date(2025, 12, 31), latest=date(2025, 1, 1))
    with pytest.raises(ValidationError, match="at least 1 character"):
        WrittenDate(written="", earliest=date(2025, 1, 1), latest=date(2025, 1, 1))


days = st.dates(min_value=date(1000, 1, 1))


def _month_of(day: date) -> tuple[date, date]:
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


@reproducible
@given(days)
def test_every_day_comes_back_at_each_fineness(day):
    finest = WrittenDate.parse(day.isoformat())
    month = WrittenDate.parse(f"{day:%Y-%m}")
    in_words = WrittenDate.parse(f"{calendar.month_name[day.month]} {day.year}")
    year = WrittenDate.parse(f"{day.year}")
    assert (finest.earliest, finest.latest) == (day, day)
    assert (month.earliest, month.latest) == (in_words.earliest, in_words.latest) == _month_of(day)
    assert (year.earliest, year.latest) == (date(day.year, 1, 1), date(day.year, 12, 31))


@reproducible
@given(days, days, st.sampled_from(["–", "—", " to ", "..", " - "]))
def test_every_range_comes_back(one, other, dash):
    first, last = sorted([one, other])
    parsed = WrittenDate.parse(f"{first.isoformat()}{dash}{last.isoformat()}")
    assert (parsed.earliest, parsed.latest) == (first, last)


@reproducible
@given(days, st.sampled_from(["%Y", "%Y-%m", "~%Y", "late %Y", "%Y-%m-%d"]))
def test_a_date_survives_the_store(day, form):
    parsed = WrittenDate.parse(day.strftime(form))
    assert WrittenDate.model_validate(parsed.model_dump(mode="json")) == parsed


@reproducible
@given(st.text() | st.text("0123456789-–~. toMay", max_size=20))
def test_any_text_is_a_date_or_a_value_error(text):
    try:
        parsed = WrittenDate.parse(text)
    except ValueError:
        return
    assert parsed.written == text.strip()
    assert parsed.earliest <= parsed.latest
