"""What every reader returns: a page, the things it names, and the links it draws between them."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from kb.dates import WrittenDate

Kind = Literal["note", "line", "claim", "paper"]
LinkType = Literal["states", "cites", "leans_on", "relates", "extends", "contradicts", "supersedes"]


class Value(BaseModel):
    """An immutable record that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ref(Value):
    """Something that a page names without being its page: enough to make a stub, or to find what is there already.

    A `kind` of None is a name that may belong to any kind (a wikilink). A note whose page gives no title has its
    `summary`, and in `guess` the title that the reader would pair with it.
    """

    kind: Kind | None
    title: str | None = None
    arxiv: str | None = None
    hook: str = ""
    summary: str = ""
    guess: str | None = None
    date: WrittenDate | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not (self.title or self.arxiv or self.summary):
            raise ValueError("a thing that is named needs a title, an id or a text")
        return self


class PageLink(Value):
    """A link that a page draws; `source` and `target` are indexes into the page's refs, None is the page itself.

    A `type` of None is for the two kinds to decide, once they are known (a wikilink from a line to a note leans on it).

    `sentence` says why, and stands at [start, end) of the page's body; `mention_start` and `mention_end` are the
    words of the link itself. Without a sentence in the body the offsets are None.
    """

    type: LinkType | None
    source: int | None = None
    target: int | None = None
    sentence: str = ""
    start: int | None = None
    end: int | None = None
    mention_start: int | None = None
    mention_end: int | None = None
    label: str = ""
    weight: float | None = None


class Prompt(Value):
    """A research prompt: what it asks, what a library found until when, and what it holds for durable and for
    perishable.
    """

    introduction: str
    span: WrittenDate | None
    durable: str = ""
    perishable: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


class Page(Value):
    """One page, whatever its format was.

    `names` are further names it may be linked by (an original title, a file's stem); `short` is a label where the
    title is too long.
    """

    kind: Kind
    title: str
    slug: str | None = None
    short: str = ""
    names: tuple[str, ...] = ()
    hook: str = ""
    body: str = ""
    original_title: str = ""
    topics: tuple[str, ...] = ()
    date: WrittenDate | None = None
    arxiv: str | None = None
    documentary: str = ""
    contract: dict[str, Any] | None = None
    prompt: Prompt | None = None
    refs: tuple[Ref, ...] = ()
    links: tuple[PageLink, ...] = ()
    warnings: tuple[str, ...] = ()


class PageBuilder:
    """Collects what a page names and links while it is read; a thing named twice is one ref."""

    def __init__(self) -> None:
        self._refs: dict[Ref, int] = {}
        self.links: list[PageLink] = []

    @property
    def refs(self) -> tuple[Ref, ...]:
        """What was named, in order."""
        return tuple(self._refs)

    def ref(self, ref: Ref) -> int:
        """The index of REF, added if it is new."""
        return self._refs.setdefault(ref, len(self._refs))

    def link(self, kind: LinkType | None, target: Ref | None, **details: Any) -> None:
        """Link the page (or `source`) to TARGET; None is the page itself."""
        self.links.append(PageLink(type=kind, target=None if target is None else self.ref(target), **details))
