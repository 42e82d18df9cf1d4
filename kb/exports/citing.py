"""A paper as a bibliography has it, and the key by which texts cite it. Pure.

A key is made of the first author's name, the year of the first version and a word of the title: `cui2025entropy`. Where
several papers of a library would have the same one, each carries its id too, so that a key which stands in somebody's
text never comes to mean another paper.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from slugify import slugify

from kb.latex import readable
from kb.sources.arxiv_record import Record
from kb.sources.page import Value

_COMMON = frozenset("about after before between from have into over than that their them then these they this through under "
                    "toward towards upon what when where which while will with within without does".split())  # fmt: skip
SHORTEST = 4  # letters of a word that a title is known by
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
        doi=record.doi,
        journal=record.journal,
        abstract=record.abstract,
        note="Withdrawn" if record.is_withdrawn else "",
    )


def keys(works: Sequence[Work]) -> list[str]:
    """A key for each; pass all papers of a library, so that what is exported together with what makes no difference."""
    plain = [key(work) for work in works]
    often = Counter(plain)
    told = [f"{one}-{_mark(work)}" if often[one] > 1 else one for one, work in zip(plain, works, strict=True)]
    return _numbered(told)


def key(work: Work) -> str:
    """Author, year, word, in small letters of ASCII."""
    author = slugify(family(work.authors[0])).replace("-", "") if work.authors else ""
    words = [word for word in re.split(r"-+", slugify(readable(work.title))) if word]
    telling = [word for word in words if len(word) >= SHORTEST and word not in _COMMON and not word.isdigit()] or words
    year = str(work.year) if work.year else ""
    if author:
        return f"{author}{year}{telling[0] if telling else ''}"
    return f"{''.join(telling[:2]) or 'untitled'}{year}"


def _mark(work: Work) -> str:
    """What tells a paper from all others: its id, else its title."""
    own = re.sub(r"[^a-z0-9.]+", "-", work.arxiv.lower()) if work.arxiv else ""
    return own or hashlib.sha256(work.title.encode()).hexdigest()[:6]


def _numbered(told: Sequence[str]) -> list[str]:
    """The same paper twice is two entries still: a bibliography has no key twice."""
    seen: Counter[str] = Counter()
    found = []
    for one in told:
        seen[one] += 1
        found.append(one if seen[one] == 1 else f"{one}-{seen[one]}")
    return found


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
