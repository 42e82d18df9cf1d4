"""Which papers a library names, who names them, and what is known of them: read from the store, decided in `grounding`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from sqlmodel import Session, col, or_, select

from claims.papers.grounding import Called, Ground, Known, Lookup, Named, Naming, News, Proposal, ground
from kb.arxiv_papers import IN_TEXT, naming_any, record_of, spoken, text_of
from kb.dates import WrittenDate
from kb.errors import NotFound
from kb.models import (
    ArxivCheck,
    ArxivEvent,
    ArxivPaper,
    Dated,
    Document,
    DocumentVersion,
    Entity,
    Link,
    Paper,
)
from kb.read import Card, card, find
from kb.sources.arxiv_id import arxiv_id, arxiv_ids, newest_named, no_ids, versioned
from kb.text import identity

PROPOSALS: TypeAdapter[tuple[Proposal, ...]] = TypeAdapter(tuple[Proposal, ...])


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
    listed = {arxiv: paper for paper, arxiv in session.exec(select(Paper.id, Paper.arxiv)) if arxiv}
    near |= {listed[arxiv] for arxiv in mine if arxiv in listed}
    texts = in_texts(session, mine | _ids_of(session, near))
    rest = [_unlisted_one(arxiv, texts.get(arxiv, ())) for arxiv in sorted(mine) if arxiv not in listed]
    return judged(session, [*papers(session, texts, near), *rest])


def _ids_of(session: Session, only: Collection[str]) -> set[str]:
    """The ids that entries have."""
    return {arxiv for arxiv in session.exec(select(Paper.arxiv).where(col(Paper.id).in_(only))) if arxiv}


def chosen(session: Session, names: Sequence[str]) -> list[Ground]:
    """The papers that NAMES mean, slugs or arXiv ids, and those that entries of these names name; each once.

    Raises:
        NotFound: when there is no such entry, and no page that names such a paper.
    """
    found: dict[str, Ground] = {}
    everything = grounds(session) if any(map(versioned, names)) else []
    for name in names:
        said = versioned(name)
        mine = [one for one in everything if said and one.arxiv == said[0]]
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
    links = _links(session, {paper.id for _, paper in rows})
    pages = _pages(session, {each for (_, paper) in rows for each in _page_ids(links[paper.id])} | _own(rows))
    namings = _namings(session, {paper.id: paper.arxiv for _, paper in rows}, links, pages)
    by_names = _other_names(session, _own(rows))
    return [
        _named(
            entity, paper, _Seen(links[paper.id], pages, by_names.get(entity.version_id or "", frozenset()))
        ).model_copy(update={"namings": (*namings[paper.id], *texts.get(paper.arxiv or "", ()))})
        for entity, paper in rows
    ]


class _Page(NamedTuple):
    """A page: its text, what was read in it, and its entry."""

    text: str
    read: Mapping[str, Any]
    card: Card | None


class _Seen(NamedTuple):
    """What is known of a paper from pages: its links, the pages, and the names that its own page has beside its title."""

    links: Sequence[Link]
    pages: Mapping[str, _Page]
    names: frozenset[str]


def _named(entity: Entity, paper: Paper, seen: _Seen) -> Named:
    called = tuple(_called(entity, paper, seen))
    return Named(
        key=paper.id,
        card=card(entity),
        arxiv=paper.arxiv,
        titles=_titles(paper, entity.title, seen, {one.title for one in called}),
        called=called,
        date=paper.date_written,
    )


def _titles(paper: Paper, own: str, seen: _Seen, called: Collection[str]) -> tuple[str, ...]:
    """What pages call it, without the names by which its own page may be linked: they are no titles; nor is that one
    which arXiv had for it when it was attached.
    """
    titles = [title for title in paper.titles if title == own or identity(title) not in seen.names]
    is_attached = any(link.type == "attached" for link in seen.links)
    return tuple(title for title in titles if title in called or not is_attached)


def _called(entity: Entity, paper: Paper, seen: _Seen) -> Iterator[Called]:
    """What its own page calls it, and each page that names it."""
    for key in dict.fromkeys([entity.version_id, *_page_ids(seen.links)]):
        page = seen.pages.get(key or "")
        if page is not None:
            version = newest_named(page.text, paper.arxiv) if paper.arxiv else None
            is_own = page.card is not None and page.card.id == paper.id
            titles = [page.read.get("title")] if is_own else _refs(page.read, paper)
            yield from (Called(title=title, by=page.card, version=version) for title in titles if title)


def _refs(read: Mapping[str, Any], paper: Paper) -> list[str]:
    """The titles of a paper on a page that names it."""
    refs = [ref for ref in read.get("refs", ()) if ref.get("kind") in {None, "paper"}]
    mine = [ref for ref in refs if ref.get("arxiv") in {None, paper.arxiv}]
    return list(dict.fromkeys(ref["title"] for ref in mine if ref.get("title") in paper.titles))


def _other_names(session: Session, versions: Collection[str]) -> dict[str, frozenset[str]]:
    """By the page that is a paper's own, the names that it has beside its title."""
    query = select(DocumentVersion.id, DocumentVersion.page).join(Document)
    own = query.where(col(DocumentVersion.id).in_(versions), col(Document.key).startswith("paper:"))
    return {version: frozenset(map(identity, page.get("names", ()))) for version, page in session.exec(own)}


def _links(session: Session, papers: Collection[str]) -> dict[str, list[Link]]:
    """By paper the links that it is an end of."""
    ends = or_(col(Link.target_id).in_(papers), col(Link.source_id).in_(papers))
    drawn = select(Link).where(ends, Link.type != "suggested").order_by(col(Link.position), col(Link.id))
    found: dict[str, list[Link]] = defaultdict(list)
    for link in session.exec(drawn):
        found[link.target_id if link.target_id in papers else link.source_id].append(link)
    return found


def _page_ids(links: Iterable[Link]) -> list[str]:
    return [link.version_id for link in links if link.version_id]


def _own(rows: Iterable[tuple[Entity, Paper]]) -> set[str]:
    """The pages that define papers, or name them first."""
    return {entity.version_id for entity, _ in rows if entity.version_id}


def _pages(session: Session, versions: Collection[str]) -> dict[str, _Page]:
    """Pages with their entries; a page is that of whatever else it names first, too."""
    entries = select(Entity).where(col(Entity.version_id).in_(versions))
    cards = {(row.version_id, row.kind, row.title): card(row) for row in session.exec(entries)}
    query = select(DocumentVersion.id, DocumentVersion.text, DocumentVersion.page)
    rows = session.exec(query.where(col(DocumentVersion.id).in_(versions)))
    return {key: _Page(text, read, cards.get((key, read.get("kind"), read.get("title")))) for key, text, read in rows}


def _namings(
    session: Session,
    ids: Mapping[str, str | None],
    links: Mapping[str, Sequence[Link]],
    pages: Mapping[str, _Page],
) -> dict[str, list[Naming]]:
    pairs = [(link, paper, _other(link, paper)) for paper in ids for link in links.get(paper, ())]
    others = _cards(session, {other for _, _, other in pairs})
    dates = _dates(session, others)
    found: dict[str, list[Naming]] = defaultdict(list)
    for link, paper, other in pairs:
        arxiv, page = ids[paper], pages.get(link.version_id or "")
        version = newest_named(page.text, arxiv) if arxiv and page else None
        found[paper].append(
            Naming(by=others[other], type=link.type, sentence=link.sentence, date=dates.get(other), version=version)
        )
    return found


def _other(link: Link, paper: str) -> str:
    """The entry at the other end."""
    return link.source_id if link.target_id == paper else link.target_id


def _cards(session: Session, ids: Collection[str]) -> dict[str, Card]:
    return {row.id: card(row) for row in session.exec(select(Entity).where(col(Entity.id).in_(ids)))}


def _dates(session: Session, ids: Collection[str]) -> dict[str, WrittenDate]:
    """The dates of what entries say."""
    return {row.id: date for row in spoken(session, ids) if (date := _date(row))}


def _date(row: Dated) -> WrittenDate | None:
    if not (row.date_written and row.date_earliest and row.date_latest):
        return None
    return WrittenDate(
        written=row.date_written,
        earliest=row.date_earliest,
        latest=row.date_latest,
        approximate=row.date_approximate,
    )


# --- ids in texts ----------------------------------------------------------------------------------------------------


def in_texts(session: Session, only: Collection[str] | None = None) -> dict[str, list[Naming]]:
    """By id every entry that has it in its text, whatever is marked as one among them; all, or these ONLY."""
    if only is not None and not only:
        return {}
    said = [(row, text_of(row)) for row in naming_any(session, only)]
    pairs = [(row, text, arxiv) for row, text in said for arxiv in _ids_in(text) if only is None or arxiv in only]
    cards = _cards(session, {row.id for row, _, _ in pairs})
    found: dict[str, list[Naming]] = defaultdict(list)
    for row, text, arxiv in pairs:
        version = newest_named(text, arxiv) if arxiv_id(arxiv) else None
        found[arxiv].append(Naming(by=cards[row.id], type="names", date=_date(row), version=version))
    return dict(found)


def _ids_in(text: str) -> tuple[str, ...]:
    return (*arxiv_ids(text), *no_ids(text))


def _in_text_of(session: Session, entity: Entity) -> set[str]:
    """The ids in the text of one entry."""
    return {arxiv for row in spoken(session, [entity.id]) for arxiv in _ids_in(text_of(row))}


def _unlisted(texts: Mapping[str, Sequence[Naming]], named: Iterable[Named]) -> list[Named]:
    """The papers that stand in texts alone."""
    known = {one.arxiv for one in named}
    return [_unlisted_one(arxiv, said) for arxiv, said in texts.items() if arxiv not in known]


def _unlisted_one(arxiv: str, said: Sequence[Naming]) -> Named:
    is_one = arxiv_id(arxiv) is not None
    return Named(
        key=f"{IN_TEXT}{arxiv}",
        arxiv=arxiv if is_one else None,
        written="" if is_one else arxiv,
        namings=tuple(said),
    )


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
    older = _older(session, {one.key: one.versions for one in named}, ids)
    return {
        key: _of_row(rows.get(arxiv or ""), tuple(news[arxiv or ""]), lookups.get(key)).model_copy(update=older[key])
        for key, arxiv in ids.items()
    }


def _of_row(row: ArxivPaper | None, news: tuple[News, ...], lookup: Lookup | None) -> Known:
    if row is None:
        return Known(lookup=lookup)
    return Known(record=record_of(row), is_withdrawn=row.is_withdrawn, asked_at=row.asked_at, news=news, lookup=lookup)


def _older(
    session: Session, versions: Mapping[str, Collection[int]], ids: Mapping[str, str | None]
) -> dict[str, dict[str, Any]]:
    """By paper what is known of the versions that entries name, and when arXiv was asked about each."""
    keys = {
        key: {number: f"{IN_TEXT}{arxiv}v{number}" for number in versions[key]} if arxiv else {}
        for key, arxiv in ids.items()
    }
    asked = _lookups(session, [each for named in keys.values() for each in named.values()])
    found = {
        key: {number: asked[each] for number, each in named.items() if each in asked} for key, named in keys.items()
    }
    return {
        key: {
            "older": tuple(one.proposals[0].record for one in lookups.values() if one.proposals),
            "older_asked": {number: one.checked_at for number, one in lookups.items()},
        }
        for key, lookups in found.items()
    }


def _id_of(named: Named, lookup: Lookup | None) -> str | None:
    """The id under which arXiv knows it: a page's, else the one that a person accepted for this title."""
    if named.arxiv:
        return named.arxiv
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
