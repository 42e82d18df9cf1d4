"""Reads Markdown pages with front matter and [[wikilinks]]: a library as a folder. The format is
docs/library-format.md.
"""

import difflib
import re
from functools import lru_cache
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from kb.dates import WrittenDate
from kb.errors import PageError
from kb.sources import front_matter
from kb.sources.arxiv_id import arxiv_id
from kb.sources.page import Kind, LinkType, Page, PageBuilder, Ref
from kb.text import plain, sentence_around, slug

VERSION = "markdown-1"

FOLDERS: dict[str, Kind] = {"notes": "note", "lines": "line", "claims": "claim", "papers": "paper"}
_WIKILINK = re.compile(r"(?<!!)\[\[([^\[\]|#\n]+)(?:#[^\[\]|\n]*)?(?:\|([^\[\]\n]+))?\]\]")
_CODE = re.compile(r"```.*?```|~~~.*?~~~|`[^`\n]*`", re.DOTALL)
_HEADING = re.compile(r"#\s+(.+)")
_PAPER = re.compile(r"(.+?)(?:\s+[–—-]\s+(.+))?")


def _flat(value: Any) -> list[Any]:
    """One or many; and `[[name]]` without quotes, which YAML takes for a list in a list."""
    return (
        [part for inner in value for part in _flat(inner)]
        if isinstance(value, list)
        else []
        if value is None
        else [value]
    )


def _single(value: Any) -> Any:
    flat = _flat(value)
    return flat[0] if len(flat) == 1 else value


def _as_written(value: Any) -> Any:
    return WrittenDate.parse(str(value)) if value is not None and not isinstance(value, WrittenDate | dict) else value


def _with_reasons(value: Any) -> Any:
    """Names alone, or names with the reason behind them: `good-fit: the fit is weak evidence`."""
    if isinstance(value, dict):
        return {str(name): str(reason or "") for name, reason in value.items()}
    return {str(name): "" for name in _flat(value)}


Words = Annotated[tuple[str, ...], BeforeValidator(_flat)]
Related = Annotated[dict[str, str], BeforeValidator(_with_reasons)]


class Head(BaseModel):
    """What the front matter of a page may say. Notes and lines may carry other keys, as vaults do; claims and papers
    may not.
    """

    model_config = ConfigDict(extra="allow")

    kind: Kind | None = None
    title: str | None = None
    slug: str | None = None
    short: str = ""
    hook: str = ""
    date: Annotated[WrittenDate | None, BeforeValidator(_as_written)] = None
    topics: Words = ()
    aliases: Words = ()
    original_title: str = ""
    papers: Words = ()
    arxiv: str | None = None
    note: Annotated[str | None, BeforeValidator(_single)] = None
    documentary: str = ""
    contract: dict[str, Any] | None = None
    relates: Related = {}
    extends: Related = {}
    contradicts: Related = {}
    supersedes: Related = {}


def read(text: str, path: PurePath) -> Page:
    """Read one page; PATH gives its kind where the front matter does not, and its slug.

    Raises:
        PageError: when the front matter cannot be understood, with the key and what it takes.
    """
    data, body = front_matter.split(text)
    try:
        head = Head.model_validate(data)
    except ValidationError as error:
        raise PageError(_said_by(error)) from error
    kind = head.kind or FOLDERS.get(path.parent.name, "note")
    unknown = _check_keys(head, kind)
    title, body = _title(head, body, path)
    builder = PageBuilder()
    _wikilinks(body, builder)
    _front_links(head, builder)
    return Page(
        kind=kind,
        title=title,
        slug=slug(head.slug or path.stem),
        short=plain(head.short),
        names=(path.stem, *head.aliases, *([head.original_title] if head.original_title else [])),
        hook=plain(head.hook),
        body=body,
        original_title=plain(head.original_title),
        topics=head.topics,
        date=head.date,
        arxiv=_arxiv(head.arxiv) if head.arxiv else None,
        documentary=plain(head.documentary),
        contract=head.contract,
        refs=builder.refs,
        links=tuple(builder.links),
        warnings=tuple(f"the key {key!r} is not read" for key in unknown),
    )


ONLY: dict[str, frozenset[Kind]] = {
    "contract": frozenset({"claim"}),
    "documentary": frozenset({"claim"}),
    "note": frozenset({"claim"}),
    "arxiv": frozenset({"paper"}),
    "hook": frozenset({"note", "line"}),
    "topics": frozenset({"note", "line", "claim"}),
    "original_title": frozenset({"note"}),
}


def _check_keys(head: Head, kind: Kind) -> list[str]:
    """Keys that nothing reads: an error where a typo would cost a contract, a warning elsewhere."""
    unknown = list(head.model_extra or {})
    if unknown and kind in {"claim", "paper"}:
        near = difflib.get_close_matches(unknown[0], Head.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise PageError(f"has an unknown key {unknown[0]!r} in its front matter{hint}")
    for key, kinds in ONLY.items():
        if getattr(head, key) and kind not in kinds:
            raise PageError(
                f"is a {kind} and has the key {key!r}, which only a {' or a '.join(sorted(kinds))} has: is its `kind` right?"
            )
    return unknown


def _title(head: Head, body: str, path: PurePath) -> tuple[str, str]:
    """The title, from front matter, first heading or file name; and the body without that heading."""
    found = _HEADING.match(body)
    if head.title:
        title = head.title
    elif found:
        title, body = found[1], body[found.end() :].strip()
    else:
        title = path.stem.replace("-", " ").replace("_", " ")
    if not plain(title):
        raise PageError("has an empty title")
    return plain(title), body


def _wikilinks(body: str, builder: PageBuilder) -> None:
    visible = _CODE.sub(lambda code: " " * len(code.group()), body)  # same offsets, nothing in code is a link
    for found in _WIKILINK.finditer(visible):
        if not _bare(found[1]):
            continue  # [[ ]] names nothing: it stays the text that it is
        start, end = found.span()
        begin, stop = sentence_around(body, start, end)
        builder.link(
            None,
            named(found[1]),
            sentence=without_brackets(body[begin:stop]),
            start=begin,
            end=stop,
            mention_start=start,
            mention_end=end,
            label=plain(found[2] or found[1]),
        )


@lru_cache(maxsize=8)
def without_brackets(text: str) -> str:
    """TEXT with each wikilink as the words that a reader sees; a sentence with many links is asked for with each."""
    return _WIKILINK.sub(lambda found: found[2] or found[1], text)


def _front_links(head: Head, builder: PageBuilder) -> None:
    typed: dict[LinkType, dict[str, str]] = {
        "relates": head.relates,
        "extends": head.extends,
        "contradicts": head.contradicts,
        "supersedes": head.supersedes,
    }
    for kind, names in typed.items():
        for name, reason in names.items():
            builder.link(kind, named(name), sentence=plain(reason))
    if head.note:
        builder.link("states", None, source=builder.ref(named(head.note, "note")))
    for paper in head.papers:
        builder.link("cites", _paper(paper))


def _paper(text: str) -> Ref:
    """`arXiv:2605.25459 – From Simulation to Enaction`, an id or address alone, or a title alone."""
    said = plain(text)
    if not said:
        raise PageError("names a paper without an id or a title under `papers`")
    found = _PAPER.fullmatch(said)
    identifier = arxiv_id(found[1]) if found else None
    if found and identifier:
        return Ref(kind="paper", arxiv=identifier, title=found[2])
    return Ref(kind="paper", title=said)


def _arxiv(text: str) -> str:
    identifier = arxiv_id(text)
    if identifier is None:
        raise PageError(f"has arxiv: {text!r}, which is no arXiv id (expected 2605.25459)")
    return identifier


def named(text: str, kind: Kind | None = None) -> Ref:
    """What a link points at, by name: no brackets, no folders, no ending; never a path."""
    name = _bare(text)
    if not name:
        raise PageError(f"has a link that names nothing: {text!r}")
    identifier = arxiv_id(name) if kind is None else None
    return Ref(kind="paper", arxiv=identifier) if identifier else Ref(kind=kind, title=name)


def _bare(text: str) -> str:
    inner = _WIKILINK.fullmatch(text.strip())
    words = plain(inner[1] if inner else text)
    return words if arxiv_id(words) else words.rsplit("/", 1)[-1].removesuffix(".md").strip()


def _said_by(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"has a front matter key that cannot be read: {where}: {said}"
