"""What all pages share: the open library, links between pages, and HTML that stored text cannot break out of."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlencode

import streamlit as st

from claims import runs
from claims.errors import ClaimError
from kb.errors import KbError, NotFound
from kb.location import location_from
from kb.read import Card
from kb.store import Store
from stillholds.serve import READ_ONLY
from stillholds.views import marks
from stillholds.words import Mark

ASSETS = Path(__file__).parent / "assets"
PAGES = {"note": "note", "line": "line", "claim": "claim", "paper": "paper"}


@st.cache_resource(show_spinner=False)
def _opened(url: str, *, read_only: bool) -> Store:
    return Store.open(location_from(url, {}), read_only=read_only)


def store() -> Store:
    """The library that is served; opened once a process."""
    return _opened(location_from(None, os.environ).url, read_only=is_read_only())


def is_read_only() -> bool:
    """Whether pages may change anything."""
    return bool(os.environ.get(READ_ONLY))


def now() -> datetime:
    """The clock of the pages."""
    return datetime.now(UTC)


def settle() -> None:
    """Write down runs whose process has died, so that they show as what they are."""
    if not is_read_only():
        runs.bury(store(), now())


# --- HTML -------------------------------------------------------------------------------------------------------------


def style() -> None:
    """Our CSS, once a page."""
    st.html(f"<style>{(ASSETS / 'house.css').read_text(encoding='utf-8')}{marks.css()}</style>")


def html(body: str) -> None:
    """Draw HTML that we made ourselves; every stored word in it has been escaped."""
    st.html(f"<div class='sh'>{body}</div>")


def heading(text: str, right: str = "") -> str:
    """A section's heading with a remark at its right; both escaped."""
    return f"<h2 class='sh-h'>{escape(text)}<span>{escape(right)}</span></h2>"


def title(text: str, above: str = "") -> None:
    """A page's title, with a line of HTML above it."""
    html(f"<div class='sh-small sh-soft'>{above}</div><h1 class='sh-title'>{escape(text)}</h1>")


def table(head: list[str], rows: list[list[str]], caption: str = "") -> str:
    """A real table; cells are HTML. Without column names it has no header row."""
    names = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    header = f"<thead><tr>{names}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}{header}<tbody>{body}</tbody></table>"


def listing(entries: list[str]) -> str:
    """A list with rules between its entries; entries are HTML."""
    return f"<ul class='rows'>{''.join(f'<li>{entry}</li>' for entry in entries)}</ul>"


# --- links ------------------------------------------------------------------------------------------------------------


def address(kind: str, slug: str) -> str:
    """Where an entry's page is."""
    return f"/{PAGES[kind]}?{urlencode({'slug': slug})}"


def link(card: Card, text: str | None = None) -> str:
    """A link to an entry, as HTML; walking it stays inside the session."""
    return anchor(address(card.kind, card.slug), text or card.title)


def anchor(href: str, text: str, classes: str = "") -> str:
    """A link to one of our own pages, as HTML."""
    return f"<a class='sh-a {classes}' href='{escape(href, quote=True)}' target='_self'>{escape(text)}</a>"


# --- when something is not there --------------------------------------------------------------------------------------


@contextmanager
def in_words() -> Iterator[None]:
    """Turn errors that a reader can act on into a page that says so."""
    try:
        yield
    except (ClaimError, KbError) as error:
        failure(str(error), near=error.near if isinstance(error, NotFound) else ())


def failure(text: str, near: tuple[str, ...] | list[str] = ()) -> NoReturn:
    """Say what happened and what to do, in ink, and end the page."""
    html(f"<hr><p>{marks.glyph(_ERROR)} {escape(text)}</p>")
    if near:
        html(
            "".join(
                f"<p>{anchor(f'/search?{urlencode([(word, slug)])}', slug)}</p>"
                for word, slug in (("q", slug) for slug in near)
            )
        )
    st.stop()


_ERROR = Mark("", "error", "ink", "")


def empty(text: str) -> None:
    """Say what to do where there is nothing yet."""
    html(f"<p class='sh-soft'>{escape(text)}</p>")
