"""Dates that somebody asks about, read into moments: a day alone means all of it."""

from datetime import UTC, date, datetime, time


def moment(text: str, *, end: bool) -> datetime:
    """A day's beginning or END in UTC, or the time itself; a time without a zone is in UTC.

    Raises:
        ValueError: when TEXT is neither.
    """
    said = text.strip()
    try:
        return datetime.combine(date.fromisoformat(said), time.max if end else time.min, UTC)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(said)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no date: write 2026-11-21, or 2026-11-21T14:30") from None


def option(text: str, name: str, *, end: bool = True) -> datetime:
    """The moment that an option or an argument of that name says.

    Raises:
        BadParameter: when it is none.
    """
    import typer

    try:
        return moment(text, end=end)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from error
