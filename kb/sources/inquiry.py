"""Reads the pages of an inquiry site as they come when copied as text: lines with their sources and research prompt,
and notes.

A page is a head (title, hook, body) and sections that begin with a heading line of their own. Formats differ in what
they leave out: the banner, blank lines between paragraphs, the titles of the sources. Inside a body a note is named
by its title, set into the sentence as it is: "… that depends on how cold the hive is Why do winter clusters move?. And
then …".
"""

import re
from collections.abc import Iterator

from kb.dates import WrittenDate
from kb.errors import PageError
from kb.sources.arxiv_id import arxiv_id, arxiv_ids
from kb.sources.page import Page, PageBuilder, Prompt, Ref
from kb.sources.pairing import pair
from kb.text import plain, sentence_around

VERSION = "inquiry-1"

_BANNER = re.compile(r"inquiring line", re.IGNORECASE)
_HEADINGS = {
    "sources": re.compile(r"Sources\s+(\d{1,6})\s+notes?", re.IGNORECASE),
    "prompt": re.compile(r"Research prompt for your LLM.*", re.IGNORECASE),
    "next": re.compile(r"Next inquiring lines.*", re.IGNORECASE),
    "used_by": re.compile(r"Inquiring lines that use this note as a source\s*(\d{1,6})?", re.IGNORECASE),
    "related": re.compile(r"Related concepts in this collection\s*(\d{1,6})?", re.IGNORECASE),
    "papers": re.compile(r"Related papers in this collection\s*(\d{1,6})?", re.IGNORECASE),
    "original": re.compile(r"Original note title", re.IGNORECASE),
}
_LINE_SECTIONS, _NOTE_SECTIONS = {"sources", "prompt", "next"}, {"used_by", "related", "papers", "original"}
_BULLET = re.compile(r"[•\-*–]\s*")
_OPENERS = (
    "Do|Does|Did|Can|Could|Is|Are|Was|Were|Why|What|When|Where|Which|Who|How|Should|Will|Would|Has|Have|Must|May|Might"
)
# A question in the middle of a sentence, begun with a capital: a title that was set in.
_SET_IN = re.compile(
    rf"(?<=[^\s.?!:(\"“] )((?:{_OPENERS})\b(?:[^.?!\n]|\.(?=\S)){{0,300}}\?)(?=[.,;:)]|\s[–—-]|\s*$)", re.MULTILINE
)


def recognises(text: str) -> bool:
    """Whether TEXT is one of these pages."""
    lines = [line.strip() for line in text.splitlines()]
    first = next(filter(None, lines), "")
    return bool(_BANNER.fullmatch(first)) or any(_heading(line) in _LINE_SECTIONS | _NOTE_SECTIONS for line in lines)


def read(text: str) -> Page:
    """Read one page.

    Raises:
        PageError: when the page is no whole page of this kind, with what is missing.
    """
    head, sections = _split(text)
    paragraphs = _paragraphs(head)
    if paragraphs and _BANNER.fullmatch(paragraphs[0]):
        paragraphs.pop(0)
    if len(paragraphs) < 2:
        raise PageError("has no title with a text below it")
    title, hook, *body = paragraphs
    page = _line if not _NOTE_SECTIONS & sections.keys() else _note
    return page(title, hook, "\n\n".join(body), sections)


Sections = dict[str, "Section"]


class Section:
    """The lines below a heading, and the number of entries that the heading promises."""

    def __init__(self, promised: str | None) -> None:
        self.promised = int(promised) if promised else None
        self.lines: list[str] = []

    def check(self, what: str, found: int) -> None:
        """Refuse a page that has lost entries."""
        if self.promised is not None and found != self.promised:
            raise PageError(f"promises {self.promised} {what} and has {found}: the page seems to be cut off")


def _split(text: str) -> tuple[list[str], Sections]:
    head: list[str] = []
    sections: Sections = {}
    current = head
    for line in (raw.strip() for raw in text.splitlines()):
        name = _heading(line)
        if name is None or name in sections:
            current.append(line)
        else:
            found = _HEADINGS[name].fullmatch(line)
            promised = found[1] if found and found.re.groups else None
            sections[name] = Section(promised)
            current = sections[name].lines
    return head, sections


def _heading(line: str) -> str | None:
    return next((name for name, pattern in _HEADINGS.items() if pattern.fullmatch(line)), None)


def _paragraphs(lines: list[str]) -> list[str]:
    """Paragraphs stand apart by blank lines; where there are none, each line is one."""
    text = "\n".join(lines).strip()
    parts = re.split(r"\n\s*\n", text) if re.search(r"\n\s*\n", text) else text.split("\n")
    return [plain(part) for part in parts if part.strip()]


# --- lines -----------------------------------------------------------------------------------------------------------


def _line(title: str, hook: str, body: str, sections: Sections) -> Page:
    builder = PageBuilder()
    if "sources" in sections:
        _sources(sections["sources"], body, builder, is_end=[*sections][-1] == "sources")
    elif "prompt" not in sections:
        raise PageError("has no list of sources: the page seems to be cut off")
    prompt = _prompt(sections["prompt"], builder) if "prompt" in sections else None
    for following in _entries(sections.get("next")):
        builder.link("relates", Ref(kind="line", title=following), label="next inquiring line")
    return Page(
        kind="line",
        title=title,
        hook=hook,
        body=body,
        prompt=prompt,
        refs=builder.refs,
        links=tuple(builder.links),
    )


def _sources(section: Section, body: str, builder: PageBuilder, *, is_end: bool) -> None:
    sources = list(_titled_or_not(section))
    section.check("sources", len(sources))
    if is_end and sources and sources[-1][0] is None and any(title for title, _ in sources):
        raise PageError("ends with a source that has no title, where others have one: the page seems to be cut off")
    titles = [title for title, _ in sources if title]
    untitled = [summary for title, summary in sources if title is None]
    mentions = list(_mentions_of(titles, body)) if titles else list(_set_in(body))
    for start, end in mentions:
        begin, stop = sentence_around(body, start, end)
        builder.link(
            "leans_on",
            Ref(kind="note", title=plain(body[start:end])),
            sentence=body[begin:stop],
            start=begin,
            end=stop,
            mention_start=start,
            mention_end=end,
        )
    named = {
        plain(body[start:end]): body[slice(*sentence_around(body, start, end))] for start, end in reversed(mentions)
    }
    guesses = pair(untitled, dict(reversed(named.items())))
    for title, summary in sources:
        guess = None if title else guesses.get(summary)
        builder.link("leans_on", Ref(kind="note", title=title, summary=summary, guess=guess))


def _titled_or_not(section: Section) -> Iterator[tuple[str | None, str]]:
    """Sources are a title and a text below it, or a text alone. A title is a question."""
    lines = [plain(line) for line in section.lines if line]
    while lines:
        first = lines.pop(0)
        if first.endswith("?") and lines and not lines[0].endswith("?"):
            yield first, lines.pop(0)
        elif first.endswith("?"):
            yield first, ""
        else:
            yield None, first


def _mentions_of(titles: list[str], body: str) -> Iterator[tuple[int, int]]:
    """Every place in BODY where one of TITLES stands, in order; of two that overlap the longer."""
    found = [match.span() for title in titles for match in re.finditer(_loosely(title), body)]
    last = 0
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if start >= last:
            yield start, end
            last = end


def _loosely(title: str) -> str:
    return r"\s+".join(re.escape(word) for word in title.split())


def _set_in(body: str) -> Iterator[tuple[int, int]]:
    yield from (found.span(1) for found in _SET_IN.finditer(body))


# --- research prompts ------------------------------------------------------------------------------------------------

_FOUND = re.compile(r"What a curated library found.*", re.IGNORECASE)
_ANCHORS = re.compile(r"Anchor papers.*", re.IGNORECASE)
_TASKS = re.compile(r"Your task:?.*", re.IGNORECASE)
_SPAN = re.compile(r"\b(\d{4}\s*[–-]\s*\d{4})\b")
_SAID = re.compile(r"\s*\(([^()]*)\)[.;]?\s*$")
_ANCHOR = re.compile(r"((?:arXiv:\s*)?\S+)\s+(?:\(([^()]*)\)\s*)?[–—:-]\s+(.+)", re.IGNORECASE)
_PARTED = re.compile(
    r"Separate:?\s+(?:the\s+)?(?P<durable>(?:(?!\sfrom\s).){1,400})\s+from\s+(?P<perishable>(?:\([^()]{0,400}\)|[^.()]){1,400}?)\.(?=\s|$)"
)


def _prompt(section: Section, builder: PageBuilder) -> Prompt:
    lines = [line for line in section.lines if line]
    parts = dict(zip(("introduction", "found", "anchors", "tasks"), _cut(lines, _FOUND, _ANCHORS, _TASKS), strict=True))
    tasks = [line for line in parts["tasks"] if re.match(r"\(\d+\)", line)]
    if not parts["found"] or not tasks:
        raise PageError("ends inside its research prompt: the page seems to be cut off")
    spans = (_date(found) for line in parts["found"] for found in _SPAN.findall(line))
    span = next(filter(None, spans), None)
    for line in _bullets(parts["found"]):
        _finding(line, span, builder)
    for line in _bullets(parts["anchors"]):
        _anchor(line, builder)
    durable, perishable = _parted(" ".join(tasks))
    introduction = [line for line in parts["introduction"] if not line.startswith("Copy into ")]
    return Prompt(
        introduction=plain(" ".join(introduction)),
        span=span,
        durable=durable,
        perishable=perishable,
        tasks=tuple(map(plain, tasks)),
    )


def _cut(lines: list[str], *headings: re.Pattern[str]) -> list[list[str]]:
    """LINES before the first heading, then from each heading on; an absent heading gives an empty part."""
    parts: list[list[str]] = [[]]
    wanted = list(headings)
    for line in lines:
        index = next((i for i, heading in enumerate(wanted) if heading.match(line)), None)
        if index is not None:
            parts.extend([] for _ in range(index + 1))
            del wanted[: index + 1]
        parts[-1].append(line)
    return parts + [[] for _ in wanted]


def _bullets(lines: list[str]) -> list[str]:
    return [plain(line[found.end() :]) for line in lines if (found := _BULLET.match(line))]


def _finding(line: str, span: WrittenDate | None, builder: PageBuilder) -> None:
    """A dated finding: the statement, and in brackets at its end when and where it was found."""
    said = _SAID.search(line)
    about = said[1] if said else ""
    when = next((date for part in about.split(",") if (date := _date(part))), None)
    papers = arxiv_ids(about)
    known = when or papers
    statement = (line[: said.start()] if said and known else line).replace("*", "").strip()
    if not statement:
        return
    claim = Ref(kind="claim", title=statement, date=when or span)
    builder.link("states", claim, sentence=line)
    for paper in papers:
        builder.link("cites", Ref(kind="paper", arxiv=paper), source=builder.ref(claim), sentence=line)


def _anchor(line: str, builder: PageBuilder) -> None:
    """An anchor paper: its id, its date, and its title or a gloss; a gloss is a sentence and ends like one."""
    found = _ANCHOR.match(line)
    identifier = arxiv_id(found[1]) if found else None
    if found is None or identifier is None:
        raise PageError(f"has an anchor paper that cannot be read: {line!r} (expected: arXiv:ID (DATE) – TITLE)")
    is_gloss = found[3].endswith(".")
    paper = Ref(kind="paper", arxiv=identifier, title=None if is_gloss else found[3], date=_date(found[2] or ""))
    builder.link("cites", paper, sentence=found[3] if is_gloss else "")


def _date(text: str) -> WrittenDate | None:
    try:
        return WrittenDate.parse(text)
    except ValueError:
        return None


def _parted(tasks: str) -> tuple[str, tuple[str, ...]]:
    """What a prompt calls durable and what perishable: the bracket behind the word, or the words in front of it."""
    found = _PARTED.search(tasks)
    if found is None:
        return "", ()
    durable, *_ = _named(found["durable"], r"\(durable\)")
    return durable, tuple(_named(found["perishable"], r"\(possibly outdated\)"))


def _named(text: str, tag: str) -> list[str]:
    bracket = None if re.search(tag, text) else re.search(r"\(([^()]*)\)\s*$", text)
    words = re.sub(r"^e\.g\.,?\s*", "", bracket[1]) if bracket else re.sub(tag, "", text)
    return [
        plain(part.strip(" *'‘’\""))
        for part in re.split(r";\s*|,\s+(?=[^,]*$)" if bracket else r";\s*", words)
        if part.strip()
    ]


# --- notes -----------------------------------------------------------------------------------------------------------


def _note(title: str, hook: str, body: str, sections: Sections) -> Page:
    builder = PageBuilder()
    if used_by := sections.get("used_by"):
        lines = _entries(used_by)
        used_by.check("lines", len(lines))
        for line in lines:
            builder.link("leans_on", None, source=builder.ref(Ref(kind="line", title=line)))
    if related := sections.get("related"):
        _related(related, body, builder)
    if papers := sections.get("papers"):
        titles = _entries(papers)
        papers.check("papers", len(titles))
        for rank, paper in enumerate(titles, start=1):
            builder.link("relates", Ref(kind="paper", title=paper), label=f"near in meaning, {rank} of {len(titles)}")
    original = " ".join(line for line in sections["original"].lines if line) if "original" in sections else ""
    return Page(
        kind="note",
        title=title,
        names=(original,) if original else (),
        hook=hook,
        body=body,
        original_title=plain(original),
        refs=builder.refs,
        links=tuple(builder.links),
    )


def _related(section: Section, body: str, builder: PageBuilder) -> None:
    """Blocks behind a lone dash: title, hook, and why it is related."""
    blocks: list[list[str]] = []
    for line in filter(None, section.lines):
        if line in {"-", "•", "–"}:
            blocks.append([])
        elif blocks:
            blocks[-1].append(plain(line))
    section.check("related notes", len(blocks))
    for block in blocks:
        if not block:
            raise PageError("has a related note without a title: the page seems to be cut off")
        title, hook, reason = (*block, "", "")[:3]
        builder.link("relates", Ref(kind="note", title=title, hook=hook), sentence=reason)
    for start, end in _mentions_of([block[0] for block in blocks], body):
        begin, stop = sentence_around(body, start, end)
        builder.link(
            "relates",
            Ref(kind="note", title=plain(body[start:end])),
            sentence=body[begin:stop],
            start=begin,
            end=stop,
            mention_start=start,
            mention_end=end,
        )


def _entries(section: Section | None) -> list[str]:
    """The list below a heading; a heading's own explanations are no entries, which its bullets tell apart."""
    lines = [] if section is None else [line for line in section.lines if line]
    bulleted = [plain(line[found.end() :]) for line in lines if (found := _BULLET.match(line))]
    return [entry for entry in (bulleted or [plain(line) for line in lines if line.endswith("?")]) if entry]
