"""The papers of a library as a bibliography: what arXiv says of each, else what pages do, under keys that stay."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlmodel import Session

from claims.papers.grounding import Ground
from claims.papers.naming import grounds, of_entry
from kb.arxiv_papers import record_of
from kb.dates import WrittenDate
from kb.errors import NotFound
from kb.exports.citing import Work, keys, work_of
from kb.models import ArxivPaper
from kb.read import find
from kb.sources.arxiv_id import versioned


class Cited(NamedTuple):
    """A paper and its key."""

    work: Work
    key: str


def everything(session: Session) -> list[Cited]:
    """All papers that the library names."""
    works = [work_of_ground(one) for one in _papers(grounds(session))]
    return list(map(Cited, works, keys(works)))


def chosen(session: Session, names: Sequence[str], of: str | None = None) -> list[Cited]:
    """The papers with these slugs or arXiv ids, and those that the entry OF names, each once. A paper that was pulled and
    that no page names has its id alone.

    Raises:
        NotFound: when there is no such paper or entry.
    """
    all_named = grounds(session)
    picked = dict.fromkeys(key for name in names for key in _keys_of(session, name, all_named))
    if of is not None:
        picked |= dict.fromkeys(one.named.key for one in _papers(of_entry(session, find(session, of))))
    named = {one.named.key: one for one in all_named}
    works = [work_of_ground(named[key]) if key in named else _pulled(session, key) for key in picked]
    return list(map(Cited, works, keys(works)))


def _papers(found: Collection[Ground]) -> list[Ground]:
    """What is one: not what stands in a text as the id of none."""
    return [one for one in found if not one.named.written]


def _keys_of(session: Session, name: str, named: Collection[Ground]) -> list[str]:
    """The papers that NAME means; one that was only pulled is its id."""
    said = versioned(name)
    if said is None:
        return [find(session, name, "paper").id]
    mine = [one.named.key for one in named if one.arxiv == said[0]]
    if not mine and session.get(ArxivPaper, said[0]) is None:
        raise NotFound(name, [], "paper")
    return mine or [said[0]]


def _pulled(session: Session, arxiv: str) -> Work:
    return work_of(record_of(session.get_one(ArxivPaper, arxiv)))


def work_of_ground(one: Ground) -> Work:
    """A paper that pages name."""
    if one.known.record is not None:
        work = work_of(one.known.record)
        return work.model_copy(update={"note": "Withdrawn" if one.known.is_withdrawn else ""})
    note = "arXiv does not have it" if one.headline.state == "not found" else ""
    return Work(title=one.named.title, arxiv=one.arxiv, year=_year(one.named.date), note=note)


def _year(said: str | None) -> int | None:
    """The year of a date that is no more than one year long."""
    if said is None:
        return None
    when = WrittenDate.parse(said)
    return when.earliest.year if when.earliest.year == when.latest.year else None
