"""An answer of arXiv's, read strictly before anything else reads it: bytes → a feed, or why it is none."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from lxml import etree

from kb.sources.arxiv_id import versioned
from kb.text import plain

_ATOM = "{http://www.w3.org/2005/Atom}"
_TOTAL = "{http://a9.com/-/spec/opensearch/1.1/}totalResults"
_ERRORS = "/api/errors"
# What may stand before the root of a document. A DOCTYPE can stand nowhere else.
_PROLOG = re.compile(r"\ufeff?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_RATE = re.compile(r"\s*rate exceeded", re.IGNORECASE)
_DIGITS = 9  # of a total
NOTHING = "an entry has neither an id nor a title"  # what may stand where arXiv has no paper of an id
_SHOWN = 200  # characters of somebody else's text in a message


class Feed(NamedTuple):
    """One page. `content` is what the package is given: the entries that it can read, and a total that ends with them."""

    total: int
    length: int  # entries on the page, those that cannot be read among them
    content: bytes
    problems: tuple[str, ...]


class NoFeed(Exception):
    """The bytes are no feed of arXiv's. `is_damage` says that they may have been one; `is_rate`, that they ask for patience."""

    def __init__(self, said: str, *, is_damage: bool = False, is_rate: bool = False) -> None:
        self.is_damage, self.is_rate = is_damage, is_rate
        super().__init__(said)


class Refusal(Exception):
    """An error entry. The words are arXiv's."""


def read_feed(body: bytes, start: int = 0) -> Feed:
    """Read a page whose first entry is the START-th of its search.

    Raises: NoFeed; Refusal.
    """
    root = _root(_text(body))
    total = _total(root)
    entries = list(root.iterchildren(f"{_ATOM}entry"))
    for entry in entries:
        _refuse_error(entry)
    problems = [problem for entry in entries for problem in _taken_out(root, entry)]
    count = len(entries) - len(problems)
    # The package goes on to the next page by itself as long as the total promises one. Here each page is asked for.
    root.find(_TOTAL).text = str(start + count)
    return Feed(total, len(entries), etree.tostring(root), tuple(problems))


def shown(text: str) -> str:
    """TEXT as a message of ours shows it: short, and with nothing in it that a terminal would obey."""
    line = "".join(each if each.isprintable() else " " for each in plain(text))
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoFeed(f"text that is not UTF-8 (at byte {error.start})", is_damage=True) from None


def _root(text: str) -> Any:
    prolog = _PROLOG.match(text)
    rest = text[prolog.end() :] if prolog else text
    if rest.startswith("<!DOCTYPE") and "<feed" in rest:
        raise NoFeed("a feed that declares entities, which arXiv's never do; nothing of it was read")
    try:
        root = etree.fromstring(text.encode(), _parser())
    except etree.XMLSyntaxError as error:
        if rest.startswith("<feed"):
            raise NoFeed(f"a feed that is cut off or damaged ({shown(str(error))})", is_damage=True) from None
        raise _page(text) from None
    if root.tag != f"{_ATOM}feed":
        raise _page(text)
    return root


def _parser() -> Any:
    """A parser that mends nothing, fetches nothing, and takes what was checked to be UTF-8 for nothing else."""
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )


def _page(text: str) -> NoFeed:
    return NoFeed(f"a page that is no feed: {shown(text)!r}", is_rate=bool(_RATE.match(text)))


def _total(root: Any) -> int:
    text = (root.findtext(_TOTAL) or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise NoFeed("a feed that does not say how many results there are, as arXiv's do")
    return int(text)


def _refuse_error(entry: Any) -> None:
    if _ERRORS in (entry.findtext(f"{_ATOM}id") or ""):
        raise Refusal(shown(entry.findtext(f"{_ATOM}summary") or "an error without words"))


def _taken_out(root: Any, entry: Any) -> Iterator[str]:
    """Remove an entry that the package would drop in silence, or stop at, and say what is wrong with it."""
    problem = _problem(entry)
    if problem:
        root.remove(entry)
        yield problem


def _problem(entry: Any) -> str:
    name = (entry.findtext(f"{_ATOM}id") or "").strip()
    if not name and not plain(entry.findtext(f"{_ATOM}title") or ""):
        return NOTHING
    named = versioned(name)
    if named is None or named[1] is None:
        return f"an entry is called {shown(name)!r}, which is no id with a version"
    for date in ("published", "updated"):
        text = entry.findtext(f"{_ATOM}{date}") or ""
        if not _is_date(text):
            return f"{named[0]}v{named[1]} has no date that can be read in <{date}>: {shown(text)!r}"
    return ""


def _is_date(text: str) -> bool:
    """Whether the package, which reads dates like this, will not stop at TEXT."""
    try:
        datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True
