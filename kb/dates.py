"""Dates as fine as the source gives them: the words as written, and the days they may mean."""

import calendar
import re
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}

_PART = r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?"
_NUMBERS = re.compile(_PART)
_RANGE = re.compile(rf"{_PART}\s*(?:–|—|to|\.\.|-)\s*{_PART}")
_WORDS = re.compile(r"(?:(\d{1,2})\s+)?([A-Za-z]{3,9})\.?\s+(\d{4})")
_ABOUT = re.compile(r"^(?:~|≈|c\.|ca\.|circa|about|around|early|mid|late)[\s-]*", re.IGNORECASE)

Bounds = tuple[date, date]


class WrittenDate(BaseModel):
    """A date with its bounds: `2025-05`, `~2025`, `2024–2026`, `May 2026`, `2026-05-25`.

    `approximate` says that the source itself was not sure (`~2025`, `late 2025`); the bounds are then those of the
    words without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    written: Annotated[str, Field(min_length=1)]
    earliest: date
    latest: date
    approximate: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.earliest > self.latest:
            raise ValueError(f"the date {self.written!r} ends before it begins")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a date as people write it.

        Raises:
            ValueError: when TEXT is no date, or one that no calendar has.
        """
        written = text.strip()
        plain = _ABOUT.sub("", written)
        bounds = _of_range(plain) or _of_numbers(plain) or _of_words(plain)
        if bounds is None:
            raise ValueError(f"{written!r} is no date: write 2025, 2025-05, 2025-05-22, ~2025, 2024–2026 or May 2025")
        return cls(written=written, earliest=bounds[0], latest=bounds[1], approximate=plain != written)


def _of_range(text: str) -> Bounds | None:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    parts = found.groups()
    return _days(*parts[:3])[0], _days(*parts[3:])[1]


def _of_numbers(text: str) -> Bounds | None:
    found = _NUMBERS.fullmatch(text)
    return None if found is None else _days(*found.groups())


def _of_words(text: str) -> Bounds | None:
    found = _WORDS.fullmatch(text)
    if found is None or found[2].lower() not in MONTHS:
        return None
    return _days(found[3], str(MONTHS[found[2].lower()]), found[1])


def _days(year: str, month: str | None, day: str | None) -> Bounds:
    if month is None:
        return date(int(year), 1, 1), date(int(year), 12, 31)
    if day is None:
        if not 1 <= int(month) <= 12:
            raise ValueError(f"{year}-{month} is no month")
        return date(int(year), int(month), 1), date(
            int(year), int(month), calendar.monthrange(int(year), int(month))[1]
        )
    return date(int(year), int(month), int(day)), date(int(year), int(month), int(day))
