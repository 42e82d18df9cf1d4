"""Changes: every time a standing changed, with the interval before and after; papers that were attached; and what stood
at a date.
"""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from html import escape

import streamlit as st

from claims import timeline
from claims.history import Flip
from claims.ledger import PaperAttached
from claims.timeline import ClaimAct, ClaimFlip
from kb.latex import readable
from kb.read import Card
from stillholds import moments
from stillholds.feeds import ATOM, CALENDAR
from stillholds.serve import FEEDS
from stillholds.views import frame, lists, marks
from stillholds.words import day, event_words, flip_marks, look_words, sentence

MOST = 100  # flips on the page
BESIDE = {"standing": "", "at this scale": "at this scale", "so far": "so far, decides nothing"}


def page() -> None:
    """Draw the page."""
    then = as_of()
    frame.title("Changes", _above(then))
    since, until = _between(then)
    with frame.store().reading() as session:
        found = timeline.flips(session, since, until)
        attached = timeline.attachments(session, since, until)
    _flips(found)
    _attached(attached)
    if then is not None:
        _stood(then)


def _above(then: datetime | None) -> str:
    said = f"As of {then:%Y-%m-%d %H:%M} UTC. {frame.anchor('/changes', 'Now')}" if then else "Newest first, in UTC."
    return said + _subscribe()


def _subscribe() -> str:
    """Where a feed reader and a calendar ask, where this server has them."""
    if not os.environ.get(FEEDS):
        return ""
    links = [(ATOM, "Atom feed of changes"), (CALENDAR, "calendar of due dates")]
    shown = [f"<a style='color:inherit' href='/feeds/{name}' target='_blank'>{said}</a>" for name, said in links]
    return f" Subscribe: {', '.join(shown)}."


def _between(then: datetime | None) -> tuple[datetime | None, datetime | None]:
    """The days that were asked for; with `as-of`, nothing later than that."""
    left, right, _ = st.columns([0.2, 0.2, 0.6])
    first = left.date_input("From", value=None, key="changes-from", format="YYYY-MM-DD")
    last = right.date_input("To", value=None, key="changes-to", format="YYYY-MM-DD")
    since = datetime.combine(first, time.min, UTC) if isinstance(first, date) else None
    until = datetime.combine(last, time.max, UTC) if isinstance(last, date) else None
    if since and until and since > until:
        frame.failure(f"{first} is later than {last}: choose an earlier day under From.")
    return since, min(filter(None, [until, then]), default=None)


def _flips(found: Sequence[ClaimFlip]) -> None:
    if not found:
        frame.empty("No standing changed then. A run, a new contract or a replay can change one.")
        return
    rows = [[frame.link(one.claim), *cells(one.flip)] for one in found[:MOST]]
    shown = f"the newest {MOST} of {len(found)}; choose days to see others" if len(found) > MOST else str(len(found))
    frame.html(frame.heading("Changes of standing", shown) + frame.table(["Claim", *HEAD], rows))


def _attached(found: Sequence[ClaimAct]) -> None:
    """Papers that were attached to claims, and what people took note of."""
    if found:
        rows = [[frame.link(one.claim), *attached_cells(one)] for one in found[:MOST]]
        shown = f"the newest {MOST} of {len(found)}" if len(found) > MOST else str(len(found))
        frame.html(frame.heading("Papers attached", shown) + frame.table(["Claim", "", "", "", ""], rows))


def attached_cells(one: ClaimAct) -> list[str]:
    """An attachment as cells of a table: when, what the paper is to the claim, the paper, and who said so."""
    event = one.act.event
    what, _ = event_words(event)
    undone = f"<br><span class='sh-small sh-soft'>taken back on {day(one.undone_at)}</span>" if one.undone_at else ""
    reason = f": {escape(event.reason)}" if isinstance(event, PaperAttached) and event.reason else ""
    return [
        f"<span class='sh-small'>{escape(day(one.act.at))}</span>",
        escape(sentence(what.removeprefix("attached, ")).rstrip(".")) + undone,
        f"<span class='sh-theirs'>{escape(readable(event.title))}</span> "
        f"<span class='sh-small sh-soft'>arXiv:{escape(event.arxiv)}v{event.version}</span>",
        f"<span class='sh-small sh-soft'>by {escape(event.who)}{reason}</span>",
    ]


HEAD = ["", "Was", "Is", "Before", "After", "Why"]


def cells(flip: Flip) -> list[str]:
    """A flip as cells of a table: when, the words, both intervals side by side, and why."""
    was, now = flip_marks(flip)
    beside = f"<br><span class='sh-small sh-soft'>{BESIDE[flip.axis]}</span>" if BESIDE[flip.axis] else ""
    return [
        f"<span class='sh-small'>{escape(day(flip.at))}</span>",
        marks.html(was),
        marks.html(now) + beside,
        f"<span class='sh-num sh-small'>{escape(look_words(flip.before))}</span>",
        f"<span class='sh-num sh-small'>{escape(look_words(flip.after))}</span>",
        f"<span class='sh-small sh-soft'>{escape(sentence(flip.why))}</span>",
    ]


def _stood(then: datetime) -> None:
    """Every claim as it stood at a date."""
    with frame.store().reading() as session:
        rows = timeline.rows(session, then)
    if not rows:
        frame.empty("There were no claims yet.")
        return
    shown = []
    for row in rows:
        card = Card(id=row.id, kind="claim", slug=row.slug, title=row.title, short=row.short, is_stub=False)
        _, *others = lists.claim_cells(row, then)
        shown.append([frame.anchor(as_of_address(card.slug, then), card.title), *others])
    frame.html(
        frame.heading("What stood then", str(len(rows)))
        + frame.table(["Claim", "Standing", "Beside it", "Freshness", "Tested by"], shown)
    )


# --- as of -----------------------------------------------------------------------------------------------------------


def as_of() -> datetime | None:
    """The date that the address asks about, if it does."""
    asked = st.query_params.get("as-of", "")
    if not asked:
        return None
    try:
        return moments.moment(asked, end=True)
    except ValueError as error:
        frame.failure(str(error))


def as_of_address(slug: str, then: datetime) -> str:
    """A claim's page as of a date."""
    return f"{frame.address('claim', slug)}&as-of={then:%Y-%m-%dT%H:%M:%S}"
