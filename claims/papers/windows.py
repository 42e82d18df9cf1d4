"""Where a pull stands, page by page: a value that is written down with every page, so that whoever goes on knows all that
the one before knew. Pure.

A pull asks for papers by the day they were submitted, in windows. arXiv lists late: what is submitted on a Friday is
announced on Monday, a holiday or a moderator may hold it longer, and then it appears under its old date. So a pull
begins a week before the day until which everything was seen, and the first of a calendar week that comes to its end a
month before it.
What is held for up to three weeks is found so; what is held for longer may be missed.

Deep in a list arXiv's pages are not to be relied on, so a window with too many papers is cut. A list may change while
it is read: what comes in behind the reader moves the rest to the next page (it is read twice, and kept once), what goes
moves it to the page before (it is skipped). So the papers of a window are counted: one that gave fewer than the most
that arXiv said there were is read again, and where it then has fewer than the least, once more in the next pull. After
that it is taken as it is: a list may count what it never gives.

No day in this is taken from this machine's clock alone. What is asked for ends two days ahead of it, and how far
everything was seen is the earlier of this clock and the one that arXiv's answers carry: a clock that is wrong by a day
leaves nothing out, and one that is ahead does not carry the position along.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from verifiers.measurement import Value

OVERLAP = timedelta(days=7)  # for what is listed late
FIRST = timedelta(days=30)  # how far back a new query looks, and every query once a week
OLDEST = datetime(1991, 8, 14, tzinfo=UTC)  # arXiv's first paper
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)  # what says that it is earlier, when this was written, is no clock
AHEAD = timedelta(days=2)  # of this machine's clock: it may be wrong, and so may a paper's date
MOST = 2000  # papers in a window
ROOM = 0.8  # of them that a cut window is likely to have: papers do not come evenly
SHORTEST = timedelta(minutes=1)  # arXiv's dates are no finer
PASSES = 2  # over a window in one pull; in the next there is one more
STUCK = 2  # unusable answers to the same page, each in another pull
GIVEN_UP = 6  # and to a page of a window that is read again

Next = Literal["page", "window", "end", "again", "short"]


class UnderWay(Value):
    """A pull that goes on, or was broken off. Of a query without dates only the lower half is used."""

    asks: str = ""  # the question: another one is read from the window's beginning
    until: AwareDatetime | None = None  # where the last window ends
    begins: AwareDatetime | None = None  # the window
    ends: AwareDatetime | None = None
    read: Annotated[int, Field(ge=0)] = 0  # entries of this window that are in, in this pass
    ids: tuple[str, ...] = ()  # papers of this window, from all passes
    unreadable: int = 0  # entries that could not be read, in this pass
    least: int | None = None  # totals that arXiv said of this window
    most: int | None = None
    passes: int = 1

    began_at: AwareDatetime
    seen_at: AwareDatetime  # when its last page came, or its last try failed
    by: str = ""  # who pulls
    failures: int = 0  # in a row
    spoilt: int = 0  # of these, answers to the same page that nobody could use
    resume_at: AwareDatetime | None = None  # not before then, as arXiv said
    looks_back: bool = False  # as far as a new query

    def window(self) -> tuple[datetime, datetime]:
        """The window that it is at."""
        if self.begins is None or self.ends is None:
            raise ValueError("this query has no dates")
        return self.begins, self.ends


class Seen(NamedTuple):
    """Until when a query has seen everything, and when it last looked far back."""

    reached_at: datetime | None
    looked_back_at: datetime | None


class Start(NamedTuple):
    """What a pull that begins covers."""

    begins: datetime
    ends: datetime
    looks_back: bool


class Page(Value):
    """What came with one answer, as far as it decides anything."""

    total: int
    ids: tuple[str, ...]
    unreadable: int = 0


def start(query: Seen, since: datetime | None, now: datetime) -> Start:
    """What a pull covers: from SINCE where that is said, but never from later than it must."""
    looks_back = query.looked_back_at is None or query.looked_back_at.isocalendar()[:2] != now.isocalendar()[:2]
    seen = min(query.reached_at or now, now) - (FIRST if looks_back else OVERLAP)
    begins = min(since, seen if query.reached_at else now) if since else seen
    return Start(_minute(max(begins, OLDEST)), _minute(now + AHEAD), looks_back)


def resumed(way: UnderWay, asks: str, since: datetime | None, now: datetime) -> UnderWay:
    """A pull that was broken off, as it goes on now: to the present, and from the window's beginning where the question
    or the first day is another one.
    """
    begins, ends = way.window()
    until = max(way.until or ends, _minute(now + AHEAD))
    if since and max(since, OLDEST) < begins:
        return _window(way, _minute(max(since, OLDEST)), until, until).model_copy(update={"asks": asks})
    if asks != way.asks:
        return _window(way, begins, ends, until).model_copy(update={"asks": asks})
    return way.model_copy(update={"until": until})


def beyond(way: UnderWay, at: datetime, now: datetime) -> UnderWay:
    """What is left of a pull that came no further than to the papers of AT, whatever was tried: from these on, as the
    beginning of a list of its own.
    """
    begins, ends = way.window()
    until = max(way.until or ends, _minute(now + AHEAD))
    return _window(way, min(max(_minute(at), begins), ends), until, until)


def size(way: UnderWay, page: int) -> int:
    """How many papers to ask for: fewer when a window is read again, so that other pages begin elsewhere than those
    that were not right.
    """
    return max(3 * page // (2 + way.passes), 1)


def cut(way: UnderWay, total: int, most: int = MOST) -> UnderWay | None:
    """A shorter window that likely holds no more than MOST papers, where this one has TOTAL; None where it is short
    enough, or cannot be shorter, or is being read already.
    """
    begins, ends = way.window()
    if total <= most or way.read or way.passes > 1 or ends - begins <= SHORTEST:
        return None
    length = max(_minute_down((ends - begins) * (ROOM * most / total)), SHORTEST)
    return _window(way, begins, begins + length, way.until or ends)


def taken(way: UnderWay, page: Page) -> UnderWay:
    """The window with PAGE in it."""
    totals = [page.total, *(total for total in (way.least, way.most) if total is not None)]
    counted = {
        "read": way.read + len(page.ids) + page.unreadable,
        "unreadable": way.unreadable + page.unreadable,
        "ids": tuple(dict.fromkeys([*way.ids, *page.ids])),
        "least": min(totals),
        "most": max(totals),
    }
    return way.model_copy(update=counted)


def following(way: UnderWay, page: Page) -> tuple[UnderWay, Next]:
    """What comes after PAGE, the last one that was TAKEN: another page, this window again, the next window, the end; or
    nothing in this pull, because the window was short each time.
    """
    is_empty = not page.ids and not page.unreadable
    if way.read < page.total and not is_empty:
        return way, "page"
    if way.passes > PASSES or not _lacks(way, way.most if way.passes < PASSES else way.least):
        return _next_window(way)
    once_more = way.model_copy(update={"read": 0, "unreadable": 0, "passes": way.passes + 1})
    return once_more, "again" if way.passes < PASSES else "short"


def lacking(way: UnderWay) -> int:
    """How many papers of its window a pull has not seen, by the least that arXiv said there are."""
    return _lacks(way, way.least)


def _lacks(way: UnderWay, counted: int | None) -> int:
    return max((counted or 0) - len(way.ids) - way.unreadable, 0)


def _next_window(way: UnderWay) -> tuple[UnderWay, Next]:
    begins, ends = way.window()
    until = way.until or ends
    if ends >= until:
        return way, "end"
    return _window(way, ends, min(ends + (ends - begins), until), until), "window"


def _window(way: UnderWay, begins: datetime, ends: datetime, until: datetime) -> UnderWay:
    """Nothing read yet of a window."""
    kept = way.model_dump(include={"asks", "began_at", "seen_at", "by", "failures", "resume_at", "looks_back"})
    return UnderWay(begins=begins, ends=min(ends, until), until=until, **kept)


def reached(ends: datetime, now: datetime, said_at: datetime | None, before: datetime | None) -> datetime:
    """Until when everything was seen, once a window is whole that ENDS then: no later than now, by this machine's clock
    and by that of arXiv's answer; and, whatever that says, no earlier than it was seen BEFORE.
    """
    clocks = [now] if said_at is None or said_at < WRITTEN else [now, said_at]
    seen = min(ends, *clocks)
    return seen if before is None else max(seen, min(before, now))


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _minute_down(length: timedelta) -> timedelta:
    return length - length % timedelta(minutes=1)
