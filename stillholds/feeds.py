"""What a person can subscribe to: an Atom feed of changes of standing, and a calendar of due dates. Rows in, bytes out.

Ids are the same whoever makes the feed and whenever: a reader shows nothing twice. All text is stored text: it goes in as
text, never as HTML.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from sqlmodel import Session, select

from claims import overview, timeline
from claims.impact import Leaning, Leans
from claims.overview import Row
from claims.timeline import ClaimFlip
from kb.models import Library
from stillholds.junit import plain
from stillholds.words import day, flip_words, look_words, sentence

if TYPE_CHECKING:
    from icalendar import Event

ATOM, CALENDAR = "changes.atom", "due.ics"
TYPES = {ATOM: "application/atom+xml; charset=utf-8", CALENDAR: "text/calendar; charset=utf-8"}
HERE = "http://127.0.0.1:8501"  # where the app is, if nobody says otherwise
NEWEST = 200  # flips in a feed


class Of(NamedTuple):
    """Whose feeds they are, and where their links lead."""

    library: str  # id
    since: datetime
    address: str

    @property
    def tag(self) -> str:
        """What all ids begin with (RFC 4151; a library has no domain of its own)."""
        return f"tag:stillholds.invalid,{self.since:%Y-%m-%d}:{self.library}"

    def claim(self, slug: str) -> str:
        """The address of a claim's page."""
        return f"{self.address}/claim?{urlencode({'slug': slug})}"


def made(session: Session, name: str, now: datetime, address: str) -> bytes:
    """The feed of that name, over the library as it is."""
    library = session.exec(select(Library)).one()
    of = Of(library.id, library.created_at, address.rstrip("/"))
    if name == CALENDAR:
        return calendar(of, overview.rows(session, now))
    flips = timeline.flips(session)[:NEWEST]
    leans = Leans.read(session)
    return atom(of, flips, {one.claim.id: leans.on(one.claim.id) for one in flips})


# --- Atom ------------------------------------------------------------------------------------------------------------


def atom(of: Of, flips: Sequence[ClaimFlip], leaning: Mapping[str, Sequence[Leaning]]) -> bytes:
    """An entry for every flip, the newest first."""
    from feedgen.feed import FeedGenerator  # type: ignore[import-untyped]  # it has none

    feed = FeedGenerator()
    feed.id(of.tag)
    feed.title("Still Holds: changes of standing")
    feed.subtitle("Every time the standing of a claim changed, with the interval before and after.")
    feed.author(name="Still Holds")
    feed.generator("Still Holds")
    feed.link(href=f"{of.address}/feeds/{ATOM}", rel="self", type="application/atom+xml")
    feed.link(href=f"{of.address}/changes", rel="alternate", type="text/html")
    feed.updated(max((one.flip.at for one in flips), default=of.since))
    for one in flips:
        entry = feed.add_entry(order="append")
        entry.id(f"{of.tag}/{one.claim.id}/{one.flip.seq}/{one.flip.axis.replace(' ', '-')}")
        entry.title(plain(f"{flip_words(one.flip)}: {one.claim.title}"))
        entry.updated(one.flip.at)
        entry.published(one.flip.at)
        entry.link(href=of.claim(one.claim.slug), rel="alternate", type="text/html")
        entry.content(plain(told(one, leaning.get(one.claim.id, ()))), type="text")
    text: bytes = feed.atom_str(pretty=True)
    return text


def told(one: ClaimFlip, leaning: Sequence[Leaning]) -> str:
    """A flip at length: both intervals, why, and what leans on the claim."""
    flip = one.flip
    lines = [
        one.claim.title,
        f"{flip_words(flip)}, on {day(flip.at)}.",
        f"Before: {look_words(flip.before)}.",
        f"After: {look_words(flip.after)}.",
        f"Why: {sentence(flip.why)}",
    ]
    lines += ["What leans on it:"] * bool(leaning)
    return "\n".join([*lines, *(f"- {in_a_line(other)}" for other in leaning)])


def in_a_line(other: Leaning) -> str:
    """Who leans on a claim, and over whom."""
    between = " and ".join(hop.other.label for hop in other.path[:-1])
    prompt = ", and its research prompt" if other.has_prompt else ""
    return f"{other.other.kind}: {other.other.title}{prompt}" + (f" (over {between})" if between else "")


# --- iCalendar -------------------------------------------------------------------------------------------------------


def calendar(of: Of, rows: Sequence[Row]) -> bytes:
    """A day for every claim that something tests: when its shelf life ends, or ended."""
    from icalendar import Calendar

    made = Calendar()
    made.add("prodid", "-//Still Holds//due dates//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", "Still Holds: claims that become due")
    made.add("refresh-interval", timedelta(hours=12), parameters={"VALUE": "DURATION"})
    due = [(row.due_at, row) for row in rows if row.due_at is not None]
    for when, row in sorted(due, key=lambda one: (one[0], one[1].slug)):
        made.add_component(_event(of, when, row))
    text: bytes = made.to_ical()
    return text


def _event(of: Of, when: datetime, row: Row) -> "Event":
    from icalendar import Event

    said = [row.title, sentence(row.freshness.reason) if row.freshness else "", f"Standing: {row.standing.word}."]
    event = Event()
    event.add("uid", f"{of.library}-{row.id}@stillholds.invalid")
    event.add("dtstamp", row.last_run_at or when)
    event.add("dtstart", when.date())
    event.add("dtend", when.date() + timedelta(days=1))
    event.add("summary", plain(f"Due: {row.short or row.title}"))
    event.add("description", plain("\n".join(filter(None, said))))
    event.add("url", of.claim(row.slug))
    event.add("transp", "TRANSPARENT")  # a day on which nobody is busy
    return event
