"""What a library says, as one fold over its current pages: pure, and the same whatever order the pages came in.

Every page defines one entry and names others. Names are gathered into entries: notes, lines and claims by title or
alias; an untitled source by its text, where another page gives that text a title, else by the title that stands in
its own page's body; papers by arXiv id, or when one's title is the other's or the part of it before a colon, as long
as only one fits. A name without a page is a stub.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kb.dates import WrittenDate
from kb.sources.page import Kind, Page, PageLink, Ref
from kb.text import identity, slug

# What a wikilink means, by the kinds at its two ends.
MEANING: dict[tuple[Kind, Kind], str] = {
    ("line", "note"): "leans_on",
    ("line", "claim"): "leans_on",
    ("note", "claim"): "states",
    ("note", "paper"): "cites",
    ("line", "paper"): "cites",
    ("claim", "paper"): "cites",
}
KIND_ORDER: tuple[Kind, ...] = ("note", "line", "claim", "paper")


@dataclass(frozen=True)
class Sheet:
    """A current page, by the id of its version, if it is one that was imported; `key` orders pages whatever order they
    came in.

    `former` are titles that earlier versions of the page had: what still links to them means this page.
    """

    version_id: str | None
    key: str
    page: Page
    former: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything but its title that the page may be linked by."""
        return (*self.page.names, *self.former)


@dataclass
class Entry:
    """One thing the library knows: all its keys, its own page if it has one, and every way it is named."""

    kind: Kind
    keys: set[str] = field(default_factory=set)
    own: Sheet | None = None
    named: list[tuple[Sheet, Ref]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The title of its own page; else the fullest that it is named by; else its id or text."""
        if self.own:
            return self.own.page.title
        titles = sorted({ref.title for _, ref in self.named if ref.title}, key=lambda title: (-len(title), title))
        return (
            titles[0] if titles else next(f"arXiv:{ref.arxiv}" if ref.arxiv else ref.summary for _, ref in self.named)
        )

    @property
    def slug(self) -> str:
        return (self.own.page.slug if self.own else None) or slug(self.title)

    @property
    def titles(self) -> list[str]:
        """Everything it is called, sorted."""
        own = [self.own.page.title, *self.own.page.names] if self.own else []
        return sorted({*own, *(ref.title for _, ref in self.named if ref.title)})

    @property
    def aliases(self) -> list[str]:
        """Everything it may be looked for by: what it is called, its id, and the text that an untitled source gave."""
        untitled = {ref.summary for _, ref in self.named if ref.summary and not ref.title}
        return [*self.titles, *sorted(untitled), *([f"arXiv:{self.arxiv}"] if self.arxiv else [])]

    @property
    def arxiv(self) -> str | None:
        own = self.own.page.arxiv if self.own else None
        return own or next((ref.arxiv for _, ref in self.named if ref.arxiv), None)

    @property
    def hook(self) -> str:
        own = self.own.page.hook if self.own else ""
        return own or _fullest(ref.hook for _, ref in self.named)

    @property
    def summary(self) -> str:
        return _fullest(ref.summary for _, ref in self.named)

    @property
    def date(self) -> WrittenDate | None:
        """Its own page's date; else the finest that it is named with."""
        if self.own and self.own.page.date:
            return self.own.page.date
        dates = [ref.date for _, ref in self.named if ref.date]
        return min(dates, key=lambda date: (date.latest - date.earliest, date.approximate, date.written), default=None)

    @property
    def version_id(self) -> str | None:
        """The page version that defines it, or names it first."""
        own = self.own.version_id if self.own else None
        return own or next((sheet.version_id for sheet, _ in self.named), None)


@dataclass(frozen=True)
class Edge:
    """A link between two entries, drawn by a page."""

    source: str  # a key of the entry
    target: str
    type: str
    link: PageLink
    stands_in: str | None  # key of the entry whose body holds the sentence
    version_id: str | None
    position: int


@dataclass(frozen=True)
class Catalog:
    """All entries, by each of their keys, and all edges."""

    entries: list[Entry]
    by_key: dict[str, Entry]
    edges: list[Edge]


def catalogue(sheets: Iterable[Sheet]) -> Catalog:
    """Gather all names on all pages into entries, and all links into edges."""
    ordered = sorted(sheets, key=lambda sheet: sheet.key)
    names = _Names(ordered)
    by_root: dict[str, Entry] = {}
    for sheet in ordered:
        entry = by_root.setdefault(names.root(names.of_page(sheet.page)), Entry(sheet.page.kind))
        entry.own = entry.own or sheet
    for sheet in ordered:
        for ref in sheet.page.refs:
            key = names.of_ref(ref)
            by_root.setdefault(names.root(key), Entry(_kind(key))).named.append((sheet, ref))
    for key in names.all_keys():
        if names.root(key) in by_root:
            by_root[names.root(key)].keys.add(key)
    by_key = {key: entry for entry in by_root.values() for key in entry.keys}
    edges = list(_without_echoes(_edges(ordered, names)))
    return Catalog(sorted(by_root.values(), key=lambda entry: min(entry.keys)), by_key, edges)


def _edges(sheets: list[Sheet], names: "_Names") -> Iterator[Edge]:
    for sheet in sheets:
        own = names.root(names.of_page(sheet.page))
        ends = [names.root(names.of_ref(ref)) for ref in sheet.page.refs]
        pairs = [
            (own if link.source is None else ends[link.source], own if link.target is None else ends[link.target])
            for link in sheet.page.links
        ]
        said = {pair: link.type for pair, link in zip(pairs, sheet.page.links, strict=True) if link.type}
        for position, ((source, target), link) in enumerate(zip(pairs, sheet.page.links, strict=True)):
            if source != target:
                # A wikilink means what the front matter says of the same two entries, else what their kinds say.
                meaning = (
                    link.type or said.get((source, target)) or MEANING.get((_kind(source), _kind(target)), "relates")
                )
                yield Edge(
                    source, target, meaning, link, own if link.start is not None else None, sheet.version_id, position
                )


def _without_echoes(edges: Iterable[Edge]) -> Iterator[Edge]:
    """Each link once; one without a sentence not at all where another says the same with its sentence."""
    seen: set[tuple[object, ...]] = set()
    edges = list(edges)
    said = {(edge.source, edge.target, edge.type) for edge in edges if edge.link.sentence}
    for edge in edges:
        triple = (edge.source, edge.target, edge.type)
        whole = (*triple, edge.link.sentence, edge.link.start)
        if whole not in seen and (edge.link.sentence or triple not in said):
            seen.add(whole)
            yield edge


class _Names:
    """Which names mean the same entry: a union–find over keys such as `note:do models …` and
    `paper:arxiv:2605.25459`.
    """

    def __init__(self, sheets: list[Sheet]) -> None:
        self._parent: dict[str, str] = {}
        refs = [ref for sheet in sheets for ref in sheet.page.refs]
        self._join_names(sheets)
        self._by_text = _unambiguous(
            (identity(ref.summary), f"note:{identity(ref.title)}")
            for ref in refs
            if ref.kind == "note" and ref.title and ref.summary
        )
        self._by_name = {
            identity(ref.title).partition(":")[0]: self.of_ref(ref) for ref in refs if ref.kind == "paper" and ref.title
        }
        self._by_name |= {identity(ref.title): self.of_ref(ref) for ref in refs if ref.kind and ref.title}
        for kind in reversed(KIND_ORDER):  # what comes last wins: notes before lines, claims and papers
            for sheet in (sheet for sheet in sheets if sheet.page.kind == kind):
                self._by_name |= dict.fromkeys(
                    map(identity, (*sheet.page.names, sheet.page.title)), self.of_page(sheet.page)
                )
        for ref in refs:
            key = self._add(self.of_ref(ref))
            if ref.kind == "paper" and ref.arxiv and ref.title:
                self._join(key, self._add(f"paper:title:{identity(ref.title)}"))
        self._join_papers()

    def of_page(self, page: Page) -> str:
        return f"paper:arxiv:{page.arxiv}" if page.arxiv else _key(page.kind, page.title)

    def of_ref(self, ref: Ref) -> str:
        if ref.kind == "paper":
            return f"paper:arxiv:{ref.arxiv}" if ref.arxiv else _key("paper", ref.title or "")
        if ref.kind is None:
            return self._by_name.get(identity(ref.title or ""), f"note:{identity(ref.title or '')}")
        if ref.title:
            return f"{ref.kind}:{identity(ref.title)}"
        return self._by_text.get(identity(ref.summary)) or f"{ref.kind}:{identity(ref.guess or ref.summary)}"

    def root(self, key: str) -> str:
        while self._parent[key] != key:
            key = self._parent[key]
        return key

    def all_keys(self) -> Iterable[str]:
        return self._parent

    def _add(self, key: str) -> str:
        self._parent.setdefault(key, key)
        return key

    def _join(self, one: str, other: str) -> None:
        roots = sorted((self.root(one), self.root(other)))
        if not all(root.startswith("paper:arxiv:") for root in set(roots)) or roots[0] == roots[1]:
            self._parent[roots[1]] = roots[0]  # `paper:arxiv:` sorts first, so that a group with an id is known by it

    def _join_names(self, sheets: list[Sheet]) -> None:
        """A page's other names mean it too, unless they are another page's title or name: then they mean neither."""
        owners: dict[str, set[str]] = defaultdict(set)
        for sheet in sheets:
            own = self._add(self.of_page(sheet.page))
            for name in (sheet.page.title, *sheet.names):
                owners[_key(sheet.page.kind, name)].add(own)
        for key, owned_by in owners.items():
            if len(owned_by) == 1:
                self._join(min(owned_by), self._add(key))

    def _join_papers(self) -> None:
        """A short title means the one longer title that begins with it and a colon; if several do, it means none of them."""
        titles = {key.removeprefix("paper:title:") for key in self._parent if key.startswith("paper:title:")}
        longer: dict[str, set[str]] = defaultdict(set)
        for title in titles:
            head, colon, _ = title.partition(":")
            if colon and head.strip() in titles:
                longer[head.strip()].add(title)
        for head, fuller in longer.items():
            if len({self.root(f"paper:title:{title}") for title in fuller}) == 1:
                self._join(f"paper:title:{head}", f"paper:title:{min(fuller)}")


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Text → key, for the texts that only one title is given to."""
    found: dict[str, set[str]] = defaultdict(set)
    for text, key in pairs:
        found[text].add(key)
    return {text: min(keys) for text, keys in found.items() if len(keys) == 1}


def _key(kind: Kind, name: str) -> str:
    """The key of an entry that is known by a name."""
    return f"paper:title:{identity(name)}" if kind == "paper" else f"{kind}:{identity(name)}"


def _kind(key: str) -> Kind:
    return next(kind for kind in KIND_ORDER if key.startswith(f"{kind}:"))


def _fullest(texts: Iterable[str]) -> str:
    return max(sorted(texts), key=len, default="")
