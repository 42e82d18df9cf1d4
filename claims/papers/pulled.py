"""What a pull is given of the world, and what came of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from pydantic import AwareDatetime

from claims.papers import windows
from kb.models import ArxivEvent
from verifiers.measurement import Value

PAGE = 100  # papers in an answer, and ids in a question
State = Literal["done", "failed", "interrupted", "not asked"]


class Pulled(Value):
    """What came of one query."""

    name: str
    state: State
    asks: str = ""  # what arXiv was asked, without the dates
    found: int = 0  # papers that this query had not brought before
    new: int = 0  # to the library
    new_versions: int = 0
    withdrawn: int = 0
    returned: int = 0
    answers: int = 0  # of arXiv
    reached_at: AwareDatetime | None = None  # until then everything was seen
    problem: str = ""
    resume_at: AwareDatetime | None = None  # not before then, as arXiv said
    notes: tuple[str, ...] = ()


class Watcher(Protocol):
    """Who looks on."""

    def begun(self, name: str) -> None: ...

    def page(self, name: str, read: int, total: int) -> None: ...

    def ended(self, pulled: Pulled) -> None: ...


class Nobody:
    """Looks on, and says nothing."""

    def begun(self, name: str) -> None:
        """A query begins, or goes on."""

    def page(self, name: str, read: int, total: int) -> None:
        """READ of the TOTAL papers of a window are in."""

    def ended(self, pulled: Pulled) -> None:
        """That is what came of it."""


def _never() -> bool:
    return False


class Means(NamedTuple):
    """What a pull is given of the world."""

    clock: Callable[[], datetime]
    watcher: Watcher = Nobody()
    is_cancelled: Callable[[], bool] = _never
    page: int = PAGE
    most: int = windows.MOST  # papers in a window


class Tally:
    """What came of a query so far."""

    def __init__(self) -> None:
        self.asks = ""
        self.found = self.answers = 0
        self.notes: list[str] = []
        self._events: Counter[str] = Counter()

    def count(self, events: Sequence[ArxivEvent], found: int = 0) -> None:
        """An answer came, and this was new in it."""
        self.answers += 1
        self.found += found
        self._events.update(event.kind for event in events)

    def pulled(
        self, name: str, state: State, reached_at: datetime | None, problem: str = "", resume_at: datetime | None = None
    ) -> Pulled:
        """All of it."""
        return Pulled(
            name=name,
            state=state,
            asks=self.asks,
            found=self.found,
            new=self._events["new"],
            new_versions=self._events["new version"],
            withdrawn=self._events["withdrawn"],
            returned=self._events["returned"],
            answers=self.answers,
            reached_at=reached_at,
            problem=problem,
            resume_at=resume_at,
            notes=tuple(dict.fromkeys(self.notes)),
        )
