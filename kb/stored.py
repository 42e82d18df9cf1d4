"""Rows as they lie on the disk, for an audit: past the session, and past everything that would make them look right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import inspect, select, type_coerce
from sqlalchemy.types import NullType
from sqlmodel import Session

from kb.models import Table

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
    kinds = {column.name: column.type.dialect_impl(dialect) for column in columns}
    raw = select(*(type_coerce(column, NullType()) for column in columns)).order_by(columns[order])
    for number, values in enumerate(session.execute(raw), start=1):
        where = f"{table.__tablename__}, row {number}"
        try:
            read = {
                name: _through(kind.result_processor(dialect, None), value)
                for (name, kind), value in zip(kinds.items(), values, strict=True)
            }
            ours = [_through(kind.bind_processor(dialect), read[name]) for name, kind in kinds.items()]
        except ValueError as error:
            yield Stored(where, None, f"it cannot be read: {error}")
        else:
            yield Stored(where, table(**read), "" if ours == list(values) else "it is not as this program writes it")


def _through(processor: Callable[[Any], Any] | None, value: Any) -> Any:
    return processor(value) if processor else value
