"""What a saved query asks for, and how that is said to arXiv. Pure.

arXiv's search has signs of its own (quotes, brackets, a colon behind a field) and no way to mean them as text, so they
are taken out of what a person writes; words that stand together are sent as a phrase.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from claims.errors import BadQuery
from kb.text import plain
from verifiers.measurement import Value

Kind = Literal["words", "author", "like", "cited"]
LONGEST = 1500  # characters of a whole question: it travels in an address
LONGEST_NAME = 80
CORE, AROUND = 3, 6  # telling words of which one must be there, and of the others

# Archives that have categories below them, and those that are categories themselves: https://arxiv.org/category_taxonomy
_DIVIDED = frozenset("astro-ph cond-mat cs econ eess math nlin physics q-bio q-fin stat".split())
_WHOLE = frozenset("gr-qc hep-ex hep-lat hep-ph hep-th math-ph nucl-ex nucl-th quant-ph".split())
_CATEGORY = re.compile(r"([a-z]+(?:-[a-z]+)?)(?:\.(\*|[a-z]{2}|[a-z]+-[a-z]+))?", re.IGNORECASE)
_PARTS = re.compile(r'"([^"]*)"|(\S+)')
_SIGNS = re.compile(r"[^\w.'’-]|_")
_OPERATORS = frozenset({"AND", "OR", "NOT", "ANDNOT", "TO"})


class Terms(Value):
    """What is asked for; all that is given must hold. Of several categories, authors or groups of words one is enough;
    of a group all words must be there, those in double quotes side by side.
    """

    categories: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    like: Annotated[str, Field(max_length=2000)] = ""  # the slug of an entry
    cited: bool = False  # instead: the papers that the library's pages name, by their ids

    @field_validator("categories")
    @classmethod
    def _are_categories(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_category(name) for name in names)

    @field_validator("words", "authors")
    @classmethod
    def _are_texts(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_text(text) for text in texts)

    @field_validator("words")
    @classmethod
    def _can_be_looked_for(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            _phrases(group)
        return groups

    @field_validator("authors")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_name(name) for name in names)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        others = bool(self.categories or self.words or self.authors or self.like)
        if self.cited and others:
            raise ValueError("the papers that pages name are asked for by their ids, so nothing else fits beside them")
        if not self.cited and not others:
            raise ValueError(
                "the query is empty: give it a category (cs.LG), words, an author, an entry that papers should be like, "
                "or ask for the papers that pages name"
            )
        return self

    @property
    def kind(self) -> Kind:
        """What it is in the main."""
        if self.cited:
            return "cited"
        return "like" if self.like else "author" if self.authors and not self.words else "words"


class Telling(Value):
    """The words that tell an entry from the others: one of the first must be in a paper, and one of the rest."""

    core: tuple[str, ...]
    around: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: Sequence[str]) -> "Telling":
        """The best words, best first, in their parts."""
        return cls(core=tuple(words[:CORE]), around=tuple(words[CORE : CORE + AROUND]))


def terms_from(said: Mapping[str, Any]) -> Terms:
    """The terms that somebody wrote.

    Raises:
        BadQuery: with what cannot be asked, and how it is written.
    """
    try:
        terms = Terms.model_validate(said)
    except ValidationError as error:
        raise BadQuery(error.errors()[0]["msg"].removeprefix("Value error, ")) from error
    if not terms.cited:
        expression(terms, Telling(core=("words",)) if terms.like else None)
    return terms


def name_from(said: str) -> str:
    """The name of a saved query.

    Raises:
        BadQuery: when it is none.
    """
    name = plain(said)
    if not name or len(name) > LONGEST_NAME or not _is_text(name):
        raise BadQuery(f"a query needs a name of 1 to {LONGEST_NAME} characters, such as 'entropy', and not {said!r}")
    return name


def expression(terms: Terms, telling: Telling | None = None) -> str:
    """What arXiv is asked, without the dates. The words that TELLING has stand in no order of a person's text.

    Raises:
        BadQuery: when it is too long, or has no word in it.
    """
    parts = [
        _any([f"cat:{name}" for name in terms.categories]),
        _any([_all(_phrases(group)) for group in terms.words]),
        _any([_author(spelled) for name in terms.authors for spelled in _spellings(name)]),
        *(_like(telling) if telling else []),
    ]
    whole = " AND ".join(part for part in parts if part)
    if not whole:
        raise BadQuery("nothing is left to ask for")
    if len(whole) > LONGEST:
        raise BadQuery(
            f"the query has {len(whole)} characters, and arXiv takes {LONGEST}: ask for less, in two queries"
        )
    return whole


def _like(telling: Telling) -> list[str]:
    if not telling.around:
        return [_all([_phrase("all", word) for word in sorted(telling.core)])]
    return [_any([_phrase("all", word) for word in sorted(words)]) for words in (telling.core, telling.around)]


def _any(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})" if parts else ""


def _all(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})" if parts else ""


# --- what a person writes --------------------------------------------------------------------------------------------


def _category(said: str) -> str:
    found = _CATEGORY.fullmatch(said.strip())
    archive, below = (found[1].lower(), found[2]) if found else ("", None)
    if archive not in (_DIVIDED if below else _DIVIDED | _WHOLE):
        raise ValueError(f"{said!r} is no category of arXiv: write cs.LG, stat.ML, hep-th, or cs.* for a whole archive")
    if not below:
        if archive in _DIVIDED:
            raise ValueError(f"{said!r} is an archive with categories: write one of them, or {archive}.* for all")
        return archive
    return f"{archive}.{below.upper() if len(below) == 2 else below.lower()}"


def _text(said: str) -> str:
    if not _is_text(said):
        raise ValueError("words hold bytes that are no text: write them in UTF-8")
    return plain(said)


def _is_text(said: str) -> bool:
    return not any(unicodedata.category(letter) == "Cs" for letter in said)


def _phrases(group: str) -> list[str]:
    """Each word of a group, and what stands between quotes, as arXiv is asked for it.

    Raises:
        ValueError: when there is none, or it is written as arXiv's own language is.
    """
    if group.count('"') % 2:
        raise ValueError(f"{group!r} opens a quotation and does not close it")
    parts = [(quoted, word) for quoted, word in _PARTS.findall(group)]
    for _, word in parts:
        if word in _OPERATORS:
            raise ValueError(
                f"{group!r}: write words alone, {word} is not needed. Another --words is another way to match"
            )
    phrases = [_phrase("all", quoted or word) for quoted, word in parts if _bare(quoted or word)]
    if not phrases:
        raise ValueError(f"{group!r} has no word that arXiv could look for")
    return phrases


def _phrase(field: str, text: str) -> str:
    bare = _bare(text)
    return f"{field}:{bare}" if bare.isalnum() and bare not in _OPERATORS else f'{field}:"{bare}"'


def _bare(text: str) -> str:
    """TEXT without what arXiv takes for a sign."""
    words = (word.strip(".'’-") for word in _SIGNS.sub(" ", text).split())
    return " ".join(word for word in words if word)


def _name(said: str) -> str:
    last, _, first = said.partition(",")
    name = _bare(f"{first} {last}" if first.strip() else last)
    if not any(letter.isalpha() for letter in name):
        raise ValueError(f"{said!r} is no name of an author: write 'Jane Doe'")
    return name


def _author(name: str) -> str:
    return f'au:"{name}"'


def _spellings(name: str) -> list[str]:
    """A name as it is written, and without its accents: arXiv has many both ways."""
    letters = unicodedata.normalize("NFKD", name)
    return list(dict.fromkeys([name, "".join(letter for letter in letters if not unicodedata.combining(letter))]))
