"""A paper as a bibliography has it, and the key by which texts cite it. Pure.

A key is made of the first author's name, the year of the first version, a word of the title and the paper's id:
`cui2025entropy-2505.22617`. It is made of the paper alone, whatever else is in a library, so that a key which stands in
somebody's text never comes to mean another paper. It begins with a letter or digit and holds letters, digits and single
hyphens and points between them, which BibTeX, biber, Zotero and Pandoc (https://pandoc.org/MANUAL.html#citation-syntax) all
take for one key.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import count

from slugify import slugify

from kb.latex import readable
from kb.sources.arxiv_record import Record
from kb.sources.page import Value
from kb.text import identity

_COMMON = frozenset("about after before between from have into over than that their them then these they this through under "
                    "toward towards upon what when where which while will with within without does".split())  # fmt: skip
SHORTEST = 4  # letters of a word that a title is known by
_BETWEEN = re.compile(r"[^a-z0-9]+")
_DIGEST = 8  # hexadecimal digits
_NAMED = ("collaboration", "consortium", "group", "team", "project", "committee")


class Work(Value):
    """A paper, as much as is known of it: what arXiv says, or only what pages do."""

    title: str
    authors: tuple[str, ...] = ()
    arxiv: str | None = None
    year: int | None = None
    date: datetime | None = None
    updated: datetime | None = None
    version: int | None = None
    primary: str = ""
    categories: tuple[str, ...] = ()
    doi: str = ""
    journal: str = ""
    abstract: str = ""
    note: str = ""

    @property
    def address(self) -> str:
        """Where a person reads it."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else ""


def work_of(record: Record) -> Work:
    """What arXiv says, without the version: a citation means the paper."""
    return Work(
        title=record.title,
        authors=record.authors,
        arxiv=record.arxiv,
        year=record.published_at.year,
        date=record.published_at,
        updated=record.updated_at,
        version=record.version,
        primary=record.categories[0] if record.categories else "",
        categories=record.categories,
        doi=_first_doi(record.doi),
        journal=record.journal,
        abstract=record.abstract,
        note="Withdrawn" if record.is_withdrawn else "",
    )


def _first_doi(said: str) -> str:
    """Of several DOIs, which arXiv sends with a space between them, the first: together they are none."""
    return next((one.rstrip(",;") for one in said.split()), "")


def keys(works: Sequence[Work]) -> list[str]:
    """A key for each. A paper that is there twice has two: a bibliography has no key twice."""
    found: dict[str, None] = {}
    for one in map(key, works):
        others = (f"{one}-{number}" for number in count(2))
        found[one if one not in found else next(other for other in others if other not in found)] = None
    return list(found)


def key(work: Work) -> str:
    """Author, year, word and what tells a paper from all others, in small letters of ASCII."""
    author = slugify(family(work.authors[0])).replace("-", "") if work.authors else ""
    words = [word for word in re.split(r"-+", slugify(readable(work.title))) if word]
    telling = [word for word in words if len(word) >= SHORTEST and word not in _COMMON and not word.isdigit()] or words
    year = str(work.year) if work.year else ""
    name = f"{author}{year}{telling[0] if telling else ''}" if author else f"{''.join(telling[:2]) or 'untitled'}{year}"
    return f"{name}-{_mark(work)}"


def _mark(work: Work) -> str:
    """Its id at arXiv, else its DOI, else a digest of its title."""
    own = _BETWEEN.sub(lambda found: "." if found[0] == "." else "-", (work.arxiv or work.doi).lower()).strip(".-")
    return own or hashlib.sha256((identity(work.title) or work.title).encode()).hexdigest()[:_DIGEST]


# --- names -----------------------------------------------------------------------------------------------------------


def is_group(author: str) -> bool:
    """Whether an author is no single person, or a name that a bibliography would take apart."""
    words = author.lower().split()
    return len(words) < 2 or "," in author or bool({"and", "others", "for", "the"} & set(words)) or words[-1] in _NAMED


def family(author: str) -> str:
    """The family name, with the small words before it; a group's whole name."""
    return author if is_group(author) else " ".join(parts(author)[1:3]).strip()


def parts(author: str) -> tuple[str, str, str, str]:
    """A person's given names, small words, family name and suffix, as BibTeX tells them apart."""
    from bibtexparser.middlewares.names import InvalidNameError, parse_single_name_into_parts

    words = author.split()
    suffix = words.pop() if len(words) > 2 and re.fullmatch(r"(?:Jr|Sr)\.?|I{2,3}|IV", words[-1]) else ""
    try:
        found = parse_single_name_into_parts(re.sub(r"[{}\\~]", "", " ".join(words)))
    except InvalidNameError:
        return "", "", author, suffix
    return " ".join(found.first), " ".join(found.von), " ".join(found.last), suffix
