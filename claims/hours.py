"""When the schedule may look and run, as a person sets it: minutes, quiet hours, a budget. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, FiniteFloat, ValidationError, field_validator, model_validator

from claims.errors import BadSchedule
from claims.rhythm import DAY
from verifiers.measurement import Value

if TYPE_CHECKING:
    from croniter import croniter

ScheduledProfile = Literal["standard", "thorough"]  # a smoke run is no evidence
SOON = timedelta(minutes=1)  # after its minute a look still counts as this one
_CRON_FIELDS = ("minute", "hour", "day", "month", "weekday")
_CRON_EXAMPLE = "write '*/15 * * * *' for every quarter of an hour, or '30 2 * * *' for half past two every night"
_BY_CHANCE = re.compile(r"(^|,)[rh](\(|/|,|$)", re.IGNORECASE)  # croniter draws these at random
_SPAN = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
_DAY_MINUTES = 24 * 60


class Settings(Value):
    """When the schedule looks, and how much it may use."""

    on: bool = False
    cron: str = "*/15 * * * *"
    timezone: str = "UTC"
    budget_cpu_minutes: Annotated[FiniteFloat, Field(ge=0)] = 60.0  # a day
    quiet: tuple[str, ...] = ()  # "22:00-07:00": nothing is started then; what is under way goes on to its end
    profile: ScheduledProfile = "standard"
    pulls: Literal["off", "daily"] = "off"  # of arXiv; a switch of its own

    @field_validator("cron")
    @classmethod
    def _is_a_cron(cls, text: str) -> str:
        _check_cron(text)
        return " ".join(text.split())

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone: write UTC, or a place such as Europe/Berlin") from error
        return name

    @field_validator("quiet")
    @classmethod
    def _leaves_some_of_the_day(cls, spans: tuple[str, ...]) -> tuple[str, ...]:
        if len({minute for span in spans for minute in _minutes(*_span(span))}) == _DAY_MINUTES:
            raise ValueError(
                f"{', '.join(spans)} is the whole day, so nothing would ever run: "
                "leave some of it, or switch the schedule off"
            )
        return spans

    @model_validator(mode="after")
    def _looks_while_awake(self) -> Self:
        quiet = {minute for span in self.quiet for minute in _minutes(*_span(span))}
        if _minutes_of(self.cron) <= quiet:
            raise ValueError(
                f"cron {self.cron!r} looks only within the quiet hours ({', '.join(self.quiet)}), "
                "so nothing would ever run: move one of them"
            )
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of days, quiet hours and words."""
        return ZoneInfo(self.timezone)

    @property
    def budget_cpu_seconds(self) -> float:
        """What a day may cost."""
        return 60 * self.budget_cpu_minutes

    def day(self, at: datetime, later: int = 0) -> datetime:
        """When the day of AT begins in the time zone, or the day that is LATER days after it."""
        local = at.astimezone(self.zone) + later * DAY
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)

    def quiet_until(self, at: datetime) -> datetime | None:
        """When the quiet hours end that AT lies in; None when it lies in none."""
        local = at.astimezone(self.zone)
        minute = 60 * local.hour + local.minute
        for begin, end in map(_span, self.quiet):
            if minute in _minutes(begin, end):
                ends = local.replace(hour=end // 60, minute=end % 60, second=0, microsecond=0)
                return (ends + DAY if end <= minute else ends).astimezone(UTC)
        return None

    def next_look(self, after: datetime) -> datetime:
        """The first time after AFTER at which the schedule looks."""
        return _named(self.cron, self.timezone, after)

    def next_start(self, after: datetime) -> datetime:
        """The first look from AFTER on that no quiet hours forbid; one whose minute has just begun still counts."""
        at = max(self.next_look(after - SOON), after)
        while quiet := self.quiet_until(at):
            at = max(self.next_look(quiet - SOON), quiet)
        return at

    def said(self, at: datetime) -> str:
        """A time as people read it, in the time zone."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M}"

    def day_of(self, at: datetime) -> str:
        """The day of a time, in the time zone."""
        return f"{at.astimezone(self.zone):%Y-%m-%d}"


def settings_from(written: Mapping[str, Any]) -> Settings:
    """The settings in WRITTEN, completed by what is usual.

    Raises:
        BadSchedule: with the setting that cannot be kept, and how it is written.
    """
    try:
        return Settings.model_validate(written)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise BadSchedule(f"{where}: {said}" if where else said) from error


def _cron(text: str, after: datetime) -> "croniter":
    from croniter import croniter

    return croniter(text, after)


def _check_cron(text: str) -> None:
    from croniter import CroniterError, croniter

    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(f"{text!r} has {len(fields)} fields and needs 5 ({' '.join(_CRON_FIELDS)}): {_CRON_EXAMPLE}")
    for place, (name, field) in enumerate(zip(_CRON_FIELDS, fields, strict=True)):
        alone = ["*"] * place + [field] + ["*"] * (len(fields) - place - 1)
        if _BY_CHANCE.search(field) or not croniter.is_valid(" ".join(alone)):
            raise ValueError(f"{text!r}: its {name}, {field!r}, cannot be read: {_CRON_EXAMPLE}")
    try:
        _cron(text, datetime(2028, 1, 1, tzinfo=UTC)).get_next(datetime)
    except CroniterError as error:
        raise ValueError(f"{text!r} never comes, there is no such day: {_CRON_EXAMPLE}") from error


def _minutes_of(cron: str) -> set[int]:
    """The minutes of the day at which a cron looks, on any day."""
    from croniter import croniter

    minutes, hours, *_ = croniter.expand(cron)[0]
    return {
        60 * hour + minute
        for hour in (range(24) if "*" in hours else map(int, hours))
        for minute in (range(60) if "*" in minutes else map(int, minutes))
    }


@lru_cache(maxsize=1024)
def _named(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after AFTER that a cron names."""
    at: datetime = _cron(cron, after.astimezone(ZoneInfo(timezone))).get_next(datetime)
    return at.astimezone(UTC)


@lru_cache(maxsize=64)
def _span(text: str) -> tuple[int, int]:
    """The first minute of the day in a span, and the first after it.

    Raises:
        ValueError: when TEXT is no span.
    """
    found = _SPAN.fullmatch(text.strip())
    hours = [int(part) for part in found.groups()] if found else [99] * 4
    if max(hours[::2]) > 23 or max(hours[1::2]) > 59:
        raise ValueError(f"{text!r} is no span of hours: write 22:00-07:00")
    begin, end = 60 * hours[0] + hours[1], 60 * hours[2] + hours[3]
    if begin == end:
        raise ValueError(f"{text!r} ends where it begins: leave it out, or switch the schedule off")
    return begin, end


@lru_cache(maxsize=64)
def _minutes(begin: int, end: int) -> frozenset[int]:
    return frozenset(minute % _DAY_MINUTES for minute in range(begin, end if end > begin else end + _DAY_MINUTES))
