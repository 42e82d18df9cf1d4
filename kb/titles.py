"""Whether two titles are the same one, whoever typed them: LaTeX, case, dashes, accents and a left-out subtitle do not
count. Pure.
"""

import re
import unicodedata
from difflib import SequenceMatcher
from typing import Literal

from kb.latex import readable
from kb.text import identity

Likeness = Literal["same", "cut short", "different"]

LONGEST = 400  # characters that are compared: no title is longer, and the time grows with their square
_SUBTITLE = re.compile(r"\s*:\s+|\s+[-–—]+\s+")
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]")
FEWEST_WORDS = 3  # of a title that was cut short: two are the beginning of many titles


def folded(title: str) -> str:
    """What makes titles the same: words, in plain letters, the Greek ones by their names."""
    spelled = _GREEK.sub(_by_name, unicodedata.normalize("NFKC", readable(title)))
    letters = unicodedata.normalize("NFKD", spelled)
    bare = "".join(character for character in letters if not unicodedata.combining(character))
    return " ".join(identity(bare).replace(":", " ").split())


def likeness(ours: str, theirs: str) -> Likeness:
    """How OURS is like THEIRS: the same, with or without a subtitle; its beginning; another one."""
    one, other = folded(ours), folded(theirs)
    if not one or not other:
        return "different"
    if one == other or one == _head(theirs) or _head(ours) == other:
        return "same"
    is_beginning = len(one.split()) >= FEWEST_WORDS and f"{other} ".startswith(f"{one} ")
    return "cut short" if is_beginning else "different"


def similarity(ours: str, theirs: str) -> float:
    """From 0 to 1, the last for titles that are the same."""
    if likeness(ours, theirs) == "same":
        return 1.0
    one, other = folded(ours)[:LONGEST], folded(theirs)[:LONGEST]
    whole = SequenceMatcher(None, one, other, autojunk=False).ratio()
    begun = SequenceMatcher(None, one, other[: len(one)], autojunk=False).ratio()
    return round(min(0.99, max(whole, 0.95 * begun)), 3)


def _head(title: str) -> str:
    """The title in front of its subtitle."""
    return folded(_SUBTITLE.split(readable(title), maxsplit=1)[0])


def _by_name(letter: re.Match[str]) -> str:
    name = unicodedata.name(letter[0], "")
    return f" {name.split('LETTER ')[1].split()[0].lower()} " if "LETTER " in name else letter[0]
