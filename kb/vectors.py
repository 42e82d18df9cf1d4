"""All vectors of a library in memory, read once and again only when its text has changed."""

from typing import NamedTuple

import numpy as np
from sqlalchemy import text as sql
from sqlmodel import Session

from kb.models import TextState, new_id
from kb.types import Matrix


class Vectors(NamedTuple):
    """The embedded passages: their entities, their rows, and their vectors (n, dimension) in the same order."""

    entities: list[str]
    passages: list[int]
    matrix: Matrix


_held: dict[tuple[str, str], tuple[str, Vectors]] = {}  # (database, model) → state of its text, vectors


def touch(session: Session) -> None:
    """Say that passages or their vectors have changed; part of the transaction that changes them."""
    state = session.get(TextState, 1) or TextState(id=1, token="")
    state.token = new_id()  # no number: a library made anew at the same place would count to the same
    session.add(state)


def vectors(session: Session, model: str) -> Vectors:
    """The vectors of a library under MODEL."""
    state = session.get(TextState, 1)
    token = state.token if state else ""
    key = (_database(session), model)
    held = _held.get(key)
    if held is None or held[0] != token:
        held = (token, _read(session, model))
        _held[key] = held
    return held[1]


def _database(session: Session) -> str:
    if session.get_bind().dialect.name == "sqlite":
        return str(session.connection().exec_driver_sql("PRAGMA database_list").all()[0][2])
    return session.connection().engine.url.render_as_string()


def _read(session: Session, model: str) -> Vectors:
    rows = session.connection().execute(
        sql(
            "SELECT p.entity_id, p.rowid, e.vector FROM passage p "
            "JOIN embedding e ON e.digest = p.digest AND e.model = :model ORDER BY p.rowid"
        ),
        {"model": model},
    )
    kept = rows.all()
    joined = np.frombuffer(b"".join(row[2] for row in kept), dtype="<f4")  # at once: much faster than row by row
    return Vectors(
        [row[0] for row in kept],
        [row[1] for row in kept],
        joined.reshape(len(kept), -1) if kept else joined.reshape(0, 0),
    )
