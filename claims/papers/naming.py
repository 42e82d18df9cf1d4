"""Which papers a library names, who names them, and what is known of them: read from the store, decided in `grounding`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter
from sqlalchemy import Text, type_coerce
from sqlmodel import Session, and_, col, or_, select

from claims.papers.grounding import Ground, Known, Lookup, Named, Naming, News, Proposal, ground
from kb.arxiv_papers import canonical, record_of
from kb.dates import WrittenDate
from kb.errors import NotFound
from kb.models import (
    ArxivCheck,
    ArxivEvent,
    ArxivPaper,
    Claim,
    Dated,
    Document,
    DocumentVersion,
    Entity,
    Line,
    Link,
    Note,
    Paper,
)
from kb.read import Card, card, find
from kb.sources.arxiv_id import arxiv_ids, versioned
from kb.text import identity

PROPOSALS: TypeAdapter[tuple[Proposal, ...]] = TypeAdapter(tuple[Proposal, ...])
FEW = 50  # ids that the database is asked for one by one
IN_TEXT = "arxiv:"  # before the id of a paper that stands in a text alone
_KINDS: dict[type[Note | Line | Claim], tuple[str, ...]] = {
    Note: ("hook", "summary", "body"),
    Line: ("hook", "body", "prompt"),
    Claim: ("body", "documentary"),
}


def grounds(session: Session, only: Collection[str] | None = None) -> list[Ground]:
    """All papers that the library names, or those entries ONLY, by title."""
    if only is not None:
        return judged(session, papers(session, in_texts(session, _ids_of(session, only)), only))
    texts = in_texts(session)
    named = papers(session, texts)
    return judged(session, [*named, *_unlisted(texts, named)])


def of_entry(session: Session, entity: Entity) -> list[Ground]:
    """The papers that one entry names: on its page, in its research prompt, in its text."""
    if entity.kind == "paper":
        return grounds(session, [entity.id])
    ends = or_(col(Link.source_id) == entity.id, col(Link.target_id) == entity.id)
    if entity.version_id and not entity.is_stub:  # what its prompt says of a claim is drawn from the claim
        ends = or_(ends, col(Link.version_id) == entity.version_id)
    near = {end for link in session.exec(select(Link.source_id, Link.target_id).where(ends)) for end in link}
    mine = _in_text_of(session, entity)
    listed = {canonical(arxiv): paper for paper, arxiv in session.exec(select(Paper.id, Paper.arxiv)) if arxiv}
    near |= {listed[arxiv] for arxiv in mine if arxiv in listed}
    texts = in_texts(session, mine | _ids_of(session, near))
    rest = [_unlisted_one(arxiv, texts.get(arxiv, ())) for arxiv in sorted(mine) if arxiv not in listed]
    return judged(session, [*papers(session, texts, near), *rest])


def _ids_of(session: Session, only: Collection[str]) -> set[str]:
    """The ids that entries have, as arXiv writes them."""
    return {canonical(arxiv) for arxiv in session.exec(select(Paper.arxiv).where(col(Paper.id).in_(only))) if arxiv}


def chosen(session: Session, names: Sequence[str]) -> list[Ground]:
    """The papers that NAMES mean, slugs or arXiv ids, and those that entries of these names name; each once.

    Raises:
        NotFound: when there is no such entry, and no page that names such a paper.
    """
    found: dict[str, Ground] = {}
    everything = grounds(session) if any(map(versioned, names)) else []
    for name in names:
        said = versioned(name)
        mine = [one for one in everything if said and one.arxiv and canonical(one.arxiv) == said[0]]
        if said and not mine:
            raise NotFound(name, [], "paper that the library names")
        found |= {one.named.key: one for one in mine or of_entry(session, find(session, name))}
    return list(found.values())


def judged(session: Session, named: Iterable[Named]) -> list[Ground]:
    """What holds of each paper, by title."""
    named = list(named)
    known = _known(session, named)
    return sorted((ground(one, known[one.key]) for one in named), key=lambda one: (one.named.title, one.named.key))


# --- who names what --------------------------------------------------------------------------------------------------


def papers(session: Session, texts: Mapping[str, Sequence[Naming]], only: Collection[str] | None = None) -> list[Named]:
    """The papers that are entries, all or ONLY these, with every entry that is linked to one, or has its id in what
    TEXTS say.
    """
    wanted = col(Paper.id).in_(only) if only is not None else col(Paper.id).is_not(None)
    rows = session.exec(select(Entity, Paper).join(Paper, col(Paper.id) == Entity.id).where(wanted)).all()
    namings = _namings(session, {paper.id: paper.arxiv for _, paper in rows})
    by_names = _other_names(session, [entity.version_id for entity, _ in rows if entity.version_id])
    return [
        Named(
            key=paper.id,
            card=card(entity),
            arxiv=paper.arxiv,
            titles=_titles(paper, entity.title, by_names.get(entity.version_id or "", frozenset())),
            date=paper.date_written,
            namings=(*namings[paper.id], *texts.get(canonical(paper.arxiv or ""), ())),
        )
        for entity, paper in rows
    ]


def _titles(paper: Paper, own: str, names: frozenset[str]) -> tuple[str, ...]:
    """What pages call it, without the names by which its own page may be linked: they are no titles."""
    return tuple(title for title in paper.titles if title == own or identity(title) not in names)


def _other_names(session: Session, versions: Collection[str]) -> dict[str, frozenset[str]]:
    """By the page that is a paper's own, the names that it has beside its title."""
    query = select(DocumentVersion.id, DocumentVersion.page).join(Document)
    own = query.where(col(DocumentVersion.id).in_(versions), col(Document.key).startswith("paper:"))
    return {version: frozenset(map(identity, page.get("names", ()))) for version, page in session.exec(own)}


def _namings(session: Session, ids: Mapping[str, str | None]) -> dict[str, list[Naming]]:
    ends = or_(col(Link.target_id).in_(ids), col(Link.source_id).in_(ids))
    links = session.exec(
        select(Link).where(ends, Link.type != "suggested").order_by(col(Link.position), col(Link.id))
    ).all()
    pairs = [(link, *_ends(link, ids)) for link in links]
    others = _cards(session, {other for _, _, other in pairs})
    dates = _dates(session, others)
    texts = _texts_of(session, {link.version_id for link in links if link.version_id})
    found: dict[str, list[Naming]] = defaultdict(list)
    for link, paper, other in pairs:
        arxiv = ids[paper]
        version = _version_named(texts.get(link.version_id or "", ""), arxiv) if arxiv else None
        found[paper].append(
            Naming(by=others[other], type=link.type, sentence=link.sentence, date=dates.get(other), version=version)
        )
    return found


def _ends(link: Link, papers: Mapping[str, Any]) -> tuple[str, str]:
    """The paper of a link, and the entry at its other end."""
    if link.target_id in papers:
        return link.target_id, link.source_id
    return link.source_id, link.target_id


def _cards(session: Session, ids: Collection[str]) -> dict[str, Card]:
    return {row.id: card(row) for row in session.exec(select(Entity).where(col(Entity.id).in_(ids)))}


def _dates(session: Session, ids: Collection[str]) -> dict[str, WrittenDate]:
    """The dates of what entries say; a paper says when it was written, and states nothing by it."""
    rows: list[Note | Line | Claim] = []
    for table in _KINDS:
        rows += _rows(session, table, col(table.id).in_(ids))
    return {row.id: date for row in rows if (date := _date(row))}


def _rows(session: Session, table: type[Note | Line | Claim], which: Any) -> list[Note | Line | Claim]:
    found = session.exec(select(table).where(which).order_by(table.id))
    return cast(list[Note | Line | Claim], list(found))  # select() loses the union


def _date(row: Dated) -> WrittenDate | None:
    if not (row.date_written and row.date_earliest and row.date_latest):
        return None
    return WrittenDate(
        written=row.date_written,
        earliest=row.date_earliest,
        latest=row.date_latest,
        approximate=row.date_approximate,
    )


def _texts_of(session: Session, versions: Collection[str]) -> dict[str, str]:
    query = select(DocumentVersion.id, DocumentVersion.text).where(col(DocumentVersion.id).in_(versions))
    return dict(session.exec(query).all())


def _version_named(text: str, arxiv: str) -> int | None:
    """The newest version of a paper that TEXT names, as in `2605.25459v2`."""
    found = re.findall(rf"(?<![\w.]){re.escape(arxiv)}v(\d{{1,4}})\b", text, re.IGNORECASE)
    return max((int(number) for number in found if int(number)), default=None)


# --- ids in texts ----------------------------------------------------------------------------------------------------


def in_texts(session: Session, only: Collection[str] | None = None) -> dict[str, list[Naming]]:
    """By id, as arXiv writes it, every entry that has it in its text; all ids, or these ONLY."""
    if only is not None and not only:
        return {}
    said = [(row, text) for row in _texts(session, only) if (text := "\n".join(_said(row)))]
    pairs = [(row, text, arxiv) for row, text in said for arxiv in arxiv_ids(text)]
    pairs = [each for each in pairs if only is None or canonical(each[2]) in only]
    cards = _cards(session, {row.id for row, _, _ in pairs})
    found: dict[str, list[Naming]] = defaultdict(list)
    for row, text, arxiv in pairs:
        version = _version_named(text, arxiv)
        found[canonical(arxiv)].append(Naming(by=cards[row.id], type="names", date=_date(row), version=version))
    return dict(found)


def _in_text_of(session: Session, entity: Entity) -> set[str]:
    """The ids in the text of one entry."""
    rows = [row for table in _KINDS for row in _rows(session, table, col(table.id) == entity.id)]
    return {canonical(arxiv) for row in rows for text in _said(row) for arxiv in arxiv_ids(text)}


def _unlisted(texts: Mapping[str, Sequence[Naming]], named: Iterable[Named]) -> list[Named]:
    """The papers that stand in texts alone."""
    known = {canonical(one.arxiv) for one in named if one.arxiv}
    return [_unlisted_one(arxiv, said) for arxiv, said in texts.items() if arxiv not in known]


def _unlisted_one(arxiv: str, said: Sequence[Naming]) -> Named:
    return Named(key=f"{IN_TEXT}{arxiv}", arxiv=arxiv, namings=tuple(said))


def _texts(session: Session, only: Collection[str] | None) -> Iterator[Note | Line | Claim]:
    """The rows whose text may hold an id, or one of a few; the database looks through the others."""
    few = sorted(only) if only and len(only) <= FEW else []
    for table, names in _KINDS.items():
        fields = [type_coerce(getattr(table, name), Text) for name in names]
        holds = or_(*(field.ilike("%arxiv%") for field in fields))
        if few:  # an old id may carry its subject class: its number is enough
            numbers = [arxiv.rpartition("/")[2] for arxiv in few]
            holds = and_(holds, or_(*(field.contains(number) for field in fields for number in numbers)))
        yield from _rows(session, table, holds)


def _said(row: Note | Line | Claim) -> Iterator[str]:
    """The texts of a row; of a prompt all its parts."""
    for name in _KINDS[type(row)]:
        value = getattr(row, name)
        yield from _strings(list(value.values()) if isinstance(value, dict) else value)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


# --- what is known ---------------------------------------------------------------------------------------------------


def _known(session: Session, named: Collection[Named]) -> dict[str, Known]:
    lookups = _lookups(session, [one.key for one in named])
    ids = {one.key: _id_of(one, lookups.get(one.key)) for one in named}
    wanted = {arxiv for arxiv in ids.values() if arxiv}
    rows = {row.arxiv: row for row in session.exec(select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(wanted)))}
    news = defaultdict(list)
    happened = select(ArxivEvent).where(col(ArxivEvent.arxiv).in_(wanted)).order_by(col(ArxivEvent.number))
    for event in session.exec(happened):
        news[event.arxiv].append(News(kind=event.kind, version=event.version, at=event.at))
    return {
        key: _of_row(rows.get(arxiv or ""), tuple(news[arxiv or ""]), lookups.get(key)) for key, arxiv in ids.items()
    }


def _of_row(row: ArxivPaper | None, news: tuple[News, ...], lookup: Lookup | None) -> Known:
    if row is None:
        return Known(lookup=lookup)
    return Known(record=record_of(row), is_withdrawn=row.is_withdrawn, asked_at=row.asked_at, news=news, lookup=lookup)


def _id_of(named: Named, lookup: Lookup | None) -> str | None:
    """The id under which arXiv knows it: a page's, else the one that a person accepted for this title."""
    if named.arxiv:
        return canonical(named.arxiv)
    is_mine = lookup is not None and lookup.outcome == "accepted" and lookup.asked_for in {named.title, *named.titles}
    return lookup.proposals[0].record.arxiv if lookup and is_mine and lookup.proposals else None


def _lookups(session: Session, keys: Collection[str]) -> dict[str, Lookup]:
    rows = session.exec(select(ArxivCheck).where(col(ArxivCheck.entity_id).in_(keys)))
    return {
        row.entity_id: Lookup.model_validate(
            {
                "asked_for": row.asked_for,
                "outcome": row.outcome,
                "proposals": PROPOSALS.validate_python(row.proposals or [], strict=False),
                "checked_at": row.checked_at,
            }
        )
        for row in rows
    }
