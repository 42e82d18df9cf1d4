"""Stored text as HTML: Markdown without HTML, links only to our own pages, at the words where the text itself has them.

Stored text is never trusted: markdown-it runs with HTML off and with its own links and images off; the only anchors in what comes out
are those that the library's links ask for, set in after rendering.
"""

import re
from collections.abc import Callable, Sequence
from html import escape

from markdown_it import MarkdownIt

from kb.read import Linked
from stillholds.views.frame import address

_MARKDOWN = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .disable(["link", "autolink", "image", "reference"])
)
_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters: a place where a link will stand
_PLACE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_PRIVATE = re.compile("[\ue000-\uf8ff]")


def render(body: str, links: Sequence[Linked], after: Callable[[Linked], str]) -> str:
    """BODY as HTML; each link stands at its words, followed by what AFTER gives for it."""
    standing = sorted(
        (
            link
            for link in links
            if link.stands_here and link.mention_start is not None and link.mention_end is not None
        ),
        key=lambda link: link.mention_start or 0,
    )
    marked: list[str] = []
    kept: list[str] = []
    position = 0
    for link in standing:
        start, end = link.mention_start or 0, link.mention_end or 0
        if start < position:
            continue
        marked += [_PRIVATE.sub("", body[position:start]), f"{_OPEN}{len(kept)}{_CLOSE}"]
        kept.append(_anchor(link, body[start:end]) + after(link))
        position = end
    marked.append(_PRIVATE.sub("", body[position:]))
    rendered = _MARKDOWN.render("".join(marked))
    return _PLACE.sub(lambda found: kept[int(found[1])], rendered)


def plain(text: str) -> str:
    """A paragraph without links."""
    rendered: str = _MARKDOWN.renderInline(_PRIVATE.sub("", text))
    return rendered


def _anchor(link: Linked, words: str) -> str:
    href = escape(address(link.other.kind, link.other.slug), quote=True)
    return f"<a class='sh-a' href='{href}' target='_self'>{escape(link.label or words)}</a>"
