"""What a pull shows while it goes on, and what is made of what it brought."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.progress import Progress, TaskID

from claims.papers.pulled import Pulled
from kb.store import Store
from stillholds.console import described_bar, notes, texts_progress, turn_words


class Terminal:
    """Follows a pull with a bar: how many papers are in, and what is waited for."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._words = ""

    def begun(self, name: str) -> None:
        """A query begins, or goes on."""
        self._words = name
        self._task = self._bar.add_task(name, total=None)

    def page(self, name: str, read: int, total: int) -> None:
        """READ of TOTAL papers are in."""
        self._words = f"{name}: {read} of {total}"
        if self._task is not None:
            self._bar.update(self._task, completed=read, total=total, description=self._words)

    def waiting(self, left: float | None) -> None:
        """The next question has to wait; None where another process has its turn."""
        if self._task is not None:
            self._bar.update(self._task, description=f"{self._words} ({turn_words(left)})")

    def ended(self, _pulled: Pulled) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


@contextmanager
def watching() -> Iterator[Terminal]:
    """Show a pull as it goes on; without a terminal only that it was interrupted."""
    try:
        with described_bar() as bar:
            yield Terminal(bar)
    except KeyboardInterrupt:
        notes().print("Interrupted: what came is in, and the next pull goes on there.")
        raise


def hand_on(store: Store, ids: Sequence[str], now: datetime) -> bool:
    """Match what is new to the claims, and claims that are new to what came lately; False without the weights of the
    embedding model, so that it waits for a pull that has them.
    """
    from claims.papers.suggesting import is_behind, suggest
    from stillholds.commands.common import embed

    if not ids and not is_behind(store, now):
        return True
    embedder = embed(store)
    if embedder is None:
        return False
    with texts_progress("reading papers") as report:
        done = suggest(store, embedder, now, ids, report)
    beside = " to ".join(
        f"{number} {noun}{'' if number == 1 else 's'}"
        for number, noun in ((done.papers, "paper"), (done.claims, "claim"))
    )
    notes().print(f"Matched {beside}: `stillholds triage` shows what they touch.")
    return True
