"""Rows as they lie on the disk, for an audit: past the session, and past everything that would make them look right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Dialect, Text, cast, func, inspect, select, type_coerce
from sqlalchemy.types import NullType
from sqlmodel import Session

from kb.models import Table
from kb.types import Float32Vector, Json, UtcDateTime

Row = TypeVar("Row", bound=Table)


@dataclass(frozen=True, slots=True)
class Stored(Generic[Row]):
    """A row, if it can be read, and what is wrong with it, if anything is."""

    where: str
    row: Row | None
    wrong: str = ""


def stored(session: Session, table: type[Row], order: str) -> Iterator[Stored[Row]]:
    """Every row of TABLE. One that cannot be read leaves the others readable, and one that says the same in other
    bytes than we write (a space more, another letter in a time) does not pass for ours.
    """
    dialect = session.get_bind().dialect
    columns = inspect(table).columns
    ways = {column.name: _way(column, dialect) for column in columns}
    raw = select(*(way.raw for way in ways.values())).order_by(columns[order])
    for number, values in enumerate(session.execute(raw), start=1):
        where = f"{table.__tablename__}, row {number}"
        try:
            read = {name: way.read(value) for (name, way), value in zip(ways.items(), values, strict=True)}
            ours = [way.written(read[name]) for name, way in ways.items()]
        except ValueError as error:
            yield Stored(where, None, f"it cannot be read: {error}")
        else:
            yield Stored(where, table(**read), "" if ours == list(values) else "it is not as this program writes it")


class _Way(NamedTuple):
    """How a column is fetched as it lies there, read, and written again."""

    raw: ColumnElement[Any]
    read: Callable[[Any], Any]
    written: Callable[[Any], Any]


def _way(column: ColumnElement[Any], dialect: Dialect) -> _Way:
    raw = type_coerce(column, NullType())
    if dialect.name == "sqlite":
        kind = column.type.dialect_impl(dialect)
        return _Way(raw, kind.result_processor(dialect, None) or _same, kind.bind_processor(dialect) or _same)
    if isinstance(column.type, UtcDateTime):
        # As text: the driver fails at a time that Python does not know, and all rows with it.
        return _Way(cast(func.timezone("UTC", column), Text), _time, _time_text)
    if isinstance(column.type, Json | Float32Vector):
        kind = column.type
        return _Way(
            raw,
            lambda value: kind.process_result_value(value, dialect),
            lambda value: kind.process_bind_param(value, dialect),
        )
    return _Way(raw, _same, _same)


def _same(value: Any) -> Any:
    return value


def _time(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said).replace(tzinfo=UTC)


def _time_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}"
