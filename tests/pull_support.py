"""What the tests of pulling share: a library with a query, a pull that does not wait, and what came of it."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlmodel import select

from claims.papers import pull as pulling
from claims.papers import queries
from claims.papers.pulled import Means, Pulled
from claims.papers.queries import Saved
from claims.papers.terms import terms_from
from kb.models import ArxivEvent, ArxivFound, ArxivPaper, ArxivQuery
from kb.pace import Pace
from kb.sources.arxiv import Arxiv
from kb.sources.arxiv_wire import Limits
from kb.store import Store
from tests.arxiv_server import DAWN, Server

NOW = DAWN + timedelta(days=20)
LIMITS = Limits(connect=2.0, read=0.8, whole=3.0)


def save(store: Store, name: str = "learning", at: datetime = NOW, **terms: Any) -> Saved:
    """Save a query; by default for a category that all papers of the server have."""
    return queries.add(store, name, terms_from(terms or {"categories": ["cs.LG"]}), "the test", at)


def asking(server: Server, folder: Path, **options: Any) -> Arxiv:
    """Somebody who asks SERVER without any pause."""
    usual: dict[str, Any] = {"pauses": (0.0, 0.0, 0.0), "limits": LIMITS}
    return Arxiv(server.url, pace=Pace(0.0, folder=folder / "pace", patience=0.0), **(usual | options))


def pull(
    store: Store, server: Server, *names: str, at: datetime = NOW, page: int = 10, most: int = 2000, **how: Any
) -> list[Pulled]:
    """Pull at AT."""
    folder = Path(how.pop("folder", None) or store.path.parent)
    means = Means(clock=lambda: at, page=page, most=most, **how.pop("means", {}))
    return pulling.pull(store, how.pop("arxiv", None) or asking(server, folder), means, names or None, **how)


def one(done: Sequence[Pulled]) -> Pulled:
    (only,) = done
    return only


def row(store: Store, name: str = "learning") -> ArxivQuery:
    with store.reading() as session:
        return session.exec(select(ArxivQuery).where(ArxivQuery.name == name)).one()


def papers(store: Store) -> list[str]:
    with store.reading() as session:
        return sorted(session.exec(select(ArxivPaper.arxiv)))


def events(store: Store) -> Counter[tuple[str, str, int]]:
    with store.reading() as session:
        return Counter((each.arxiv, each.kind, each.version) for each in session.exec(select(ArxivEvent)))


def found(store: Store, name: str = "learning") -> list[str]:
    with store.reading() as session:
        mine = session.exec(select(ArxivQuery.id).where(ArxivQuery.name == name)).one()
        return sorted(session.exec(select(ArxivFound.arxiv).where(ArxivFound.query_id == mine)))


def assert_all_once(store: Store, server: Server, name: str = "learning") -> None:
    """Every paper of the server is in, brought by the query, and new exactly once."""
    ids = sorted(versions[0].arxiv for versions in server.papers)
    assert papers(store) == ids
    assert found(store, name) == ids
    assert {key: count for key, count in events(store).items() if key[1] == "new"} == dict.fromkeys(
        ((arxiv, "new", 1) for arxiv in ids), 1
    )


def dying_pull(path: Path, url: str, statements: int, folder: Path) -> list[Pulled]:
    """Pull 2,000 papers, and be killed after so many statements to the database, wherever that is."""
    store = Store.open(path)
    left = [statements]

    @event.listens_for(store.engine, "before_cursor_execute")
    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    arxiv = Arxiv(url, pace=Pace(0.01, folder=folder))
    return pulling.pull(store, arxiv, Means(clock=lambda: NOW, page=100))
