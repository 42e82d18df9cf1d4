"""The schedule and the library: what is due is asked for when its time has come."""

from datetime import datetime

from claims.tasks import Enqueue
from kb.store import Store


def tick(_store: Store, _now: datetime, _enqueue: Enqueue) -> None:
    """Ask for what is due."""
