"""Alembic environment: runs only on a connection that `kb.migrate` hands over."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from kb.models import Table
from kb.tsvector import FULL_TEXT


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write the plain column type, so that an old migration never imports today's code."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def ours(_item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Leave alone what is in the database but not in our models: the full-text tables of SQLite, the full-text column
    of PostgreSQL with its index, the queue's tables.
    """
    return not (reflected and other is None and (kind == "table" or name in FULL_TEXT))


def run(connection: Connection) -> None:
    """Upgrade on CONNECTION, inside its transaction."""
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        include_object=ours,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
