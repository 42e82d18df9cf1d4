"""Small questions that are asked of text: is this the same title, where does this sentence begin, what is a readable
slug.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from functools import lru_cache

from slugify import slugify

NEAR = 1000  # characters; no sentence that a person wrote goes on for twice as long
_SPACE = re.compile(r"\s+")
# Turns the direction of what follows, or hides in it: nothing that a text of one line needs.
UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_NOT_WORD = re.compile(r"[^\w\s:]|_")
# A sentence's end and a new one's capital, a blank line, or the beginning of a list entry, heading or quotation.
_BOUNDARY = re.compile(
    r"(?<![.!?])[.!?]++[)\]\"'”’*]*+\s+(?=[\"'“‘(*\[]*+[A-Z0-9]|\[\[)"
    r"|\n\s*\n|\n(?=[-*+]\s|#{1,6}\s|>|\||\d+[.)]\s)"
)
# A short form, or an initial: a letter behind a name, a comma or a small word, not "… the entropy H. The next …".
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|al|Fig|Eq|Sec|approx|resp|No)|(?:^|[A-Z][\w'’-]*\.?|\b(?:and|or|by|with|of|from)|[,&(])\s*\b[A-Z])\.\s+\Z"
)


def plain(text: str) -> str:
    """TEXT with one kind of space, composed characters, and none that control others or turn their direction."""
    composed = unicodedata.normalize("NFC", UNSEEN.sub("", text))
    return _SPACE.sub(" ", "".join(c for c in composed if c.isspace() or unicodedata.category(c) != "Cc")).strip()


def identity(title: str) -> str:
    """What makes two titles the same: words and colons, whatever their case, quotes, dashes and punctuation."""
    folded = unicodedata.normalize("NFKC", title).casefold().replace("-", " ").replace("–", " ").replace("—", " ")
    return _SPACE.sub(" ", _NOT_WORD.sub("", folded)).strip()


def slug(title: str) -> str:
    """A readable name for addresses, never cut."""
    return slugify(title) or "untitled"


@lru_cache(maxsize=8)
def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Where each sentence of TEXT begins and ends, without the space between them."""
    spans, begin = [], 0
    for found in _BOUNDARY.finditer(text):
        if not _ABBREVIATION.search(text, max(0, found.end() - 12), found.end()):
            spans.append((begin, found.start() + len(found.group().rstrip())))
            begin = found.end()
    spans.append((begin, len(text)))
    return tuple((start, stop) for start, stop in spans if text[start:stop].strip())


def sentence_around(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the sentence that holds TEXT[START:END] begins and ends; of one that has no end, what is near, in steps, so
    that neighbours share it.
    """
    spans = sentence_spans(text)
    first = bisect_right(spans, start, key=lambda span: span[1])  # the first that ends behind START
    last = bisect_left(spans, end, key=lambda span: span[0])  # the first that begins at END or later
    if first >= last:
        return start, end
    return max(spans[first][0], (start // NEAR - 1) * NEAR), min(spans[last - 1][1], (end // NEAR + 2) * NEAR)


def sentences(text: str) -> list[str]:
    """TEXT as its sentences."""
    return [text[start:stop].strip() for start, stop in sentence_spans(text)]


def paragraphs(text: str) -> list[str]:
    """The paragraphs of TEXT, without empty ones."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
