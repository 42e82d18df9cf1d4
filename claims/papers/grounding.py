"""Whether the papers that a library names are what it takes them for: what its pages say beside what arXiv says. Pure.

A paper may be several things at once: withdrawn, and under another title. The findings stand in the order of how much
they matter, and the first is what is shown where there is room for one.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from pydantic import AwareDatetime, Field

from kb.dates import WrittenDate
from kb.read import Card
from kb.sources.arxiv_id import no_ids
from kb.sources.arxiv_record import Record
from kb.titles import likeness
from verifiers.measurement import Value

State = Literal[
    "not found",
    "withdrawn",
    "title differs",
    "later than the statement",
    "newer version",
    "proposed",
    "not yet checked",
    "grounded",
]
STATES: tuple[State, ...] = get_args(State)  # what matters most stands first
# How a command line says them.
GATE: dict[str, State] = {
    "missing": "not found",
    "withdrawn": "withdrawn",
    "differs": "title differs",
    "later": "later than the statement",
    "newer": "newer version",
    "proposed": "proposed",
    "unchecked": "not yet checked",
}
# How a statement rests on a paper: by a link, or by the paper's id in its text. The other links only relate.
SUPPORTS = frozenset({"cites", "leans_on", "names"})
# West of Greenwich a day begins up to twelve hours later: what was sent then may bear the day before.
ZONES = timedelta(hours=12)


class Naming(Value):
    """An entry that names a paper: how, in which sentence, which version, and when the entry says what it says."""

    by: Card
    type: str
    sentence: str = ""
    date: WrittenDate | None = None
    version: int | None = None


class Called(Value):
    """What a page calls a paper, and the version that it names."""

    title: str
    by: Card | None = None
    version: int | None = None


class Named(Value):
    """A paper as the library's pages have it. One that only stands in a text, by its id, is no entry: it has no card."""

    key: str  # the entry's id, or `arxiv:` and the paper's
    card: Card | None = None
    arxiv: str | None = None
    written: str = ""  # what a text marks as an id and is none
    titles: tuple[str, ...] = ()
    called: tuple[Called, ...] = ()
    date: str | None = None
    namings: tuple[Naming, ...] = ()

    @property
    def title(self) -> str:
        """What it is called here."""
        return self.card.title if self.card else self.written or f"arXiv:{self.arxiv}"

    @property
    def no_id(self) -> str:
        """What is written in the place of its id and is none; nothing for a paper that has one."""
        return "" if self.arxiv else self.written or next(iter(no_ids(self.title)), "")

    @property
    def versions(self) -> set[int]:
        """The versions that entries name."""
        said = [*(one.version for one in self.namings), *(one.version for one in self.called)]
        return {version for version in said if version}


class Proposal(Value):
    """A paper at arXiv that may be the one which a page names by its title alone."""

    record: Record
    similarity: float
    who: str = ""  # the person who said that it is the one


class Lookup(Value):
    """What came of asking arXiv about a paper, by its id or its title."""

    asked_for: str
    outcome: Literal["found", "not found", "proposed", "accepted"]
    proposals: tuple[Proposal, ...] = ()
    checked_at: AwareDatetime


class News(Value):
    """Something that happened to a paper, by arXiv's clock."""

    kind: str
    version: int
    at: AwareDatetime


class Known(Value):
    """What is known of a paper from arXiv."""

    record: Record | None = None
    older: tuple[Record, ...] = ()  # the versions before it that entries name, as far as arXiv has them
    older_asked: dict[int, AwareDatetime] = Field(default_factory=dict)  # by version, when it was asked about it
    is_withdrawn: bool = False
    asked_at: AwareDatetime | None = None
    news: tuple[News, ...] = ()
    lookup: Lookup | None = None

    def version(self, number: int | None) -> Record | None:
        """A version that somebody names; the newest where none is named, or that one is not known."""
        return next((one for one in self.older if one.version == number), self.record)


class Finding(Value):
    """One thing that holds of a paper, in words; where two texts disagree, both."""

    state: State
    said: str
    by: Card | None = None  # the entry that it is about
    ours: str = ""
    theirs: str = ""


class Ground(Value):
    """A paper that is named, what arXiv says, and what comes of it; what matters most stands first."""

    named: Named
    known: Known
    findings: tuple[Finding, ...]

    @property
    def headline(self) -> Finding:
        """What matters most."""
        return self.findings[0]

    @property
    def arxiv(self) -> str | None:
        """Its id: the one that pages give, else the one that a person said it has."""
        return self.named.arxiv or (self.accepted.record.arxiv if self.accepted else None)

    @property
    def accepted(self) -> Proposal | None:
        """What a person said that it is, where no page gives an id."""
        lookup = self.known.lookup
        return lookup.proposals[0] if lookup and lookup.outcome == "accepted" and lookup.proposals else None

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """What it may be, the likeliest first."""
        lookup = self.known.lookup
        return lookup.proposals if lookup and lookup.outcome == "proposed" else ()

    @property
    def checked_at(self) -> datetime | None:
        """When arXiv was asked about it last."""
        lookup = self.known.lookup
        asked = lookup if lookup and lookup.outcome != "accepted" else None  # a person's word asks nobody
        return max(filter(None, [self.known.asked_at, asked.checked_at if asked else None]), default=None)

    def has(self, states: Iterable[str]) -> tuple[State, ...]:
        """Which of STATES it is in."""
        wanted = set(states)
        return tuple(dict.fromkeys(finding.state for finding in self.findings if finding.state in wanted))


def ground(named: Named, known: Known) -> Ground:
    """What holds of a paper."""
    known = known.model_copy(update={"lookup": _about(named, known.lookup)})
    found = list(_findings(named, known))
    found.sort(key=lambda finding: STATES.index(finding.state))
    return Ground(named=named, known=known, findings=tuple(found))


def _about(named: Named, lookup: Lookup | None) -> Lookup | None:
    """A lookup, as long as it asked for what pages say now."""
    if lookup is None:
        return None
    if named.arxiv:
        return lookup if lookup.asked_for == named.arxiv else None
    return lookup if lookup.asked_for in {named.title, *named.titles} else None


def _findings(named: Named, known: Known) -> Iterator[Finding]:
    if known.record is None:
        yield _without_record(named, known.lookup)
        return
    troubles = [
        *_versions_missing(named, known.record),
        *_withdrawn(known),
        *_titles(named, known),
        *_later(named, known),
        *_newer(named, known.record),
    ]
    yield from troubles or [_grounded(named, known)]


def _without_record(named: Named, lookup: Lookup | None) -> Finding:
    if named.no_id:
        return Finding(state="not found", said=f"{named.no_id} is no arXiv id", ours=named.no_id)
    if lookup is None or lookup.outcome in {"found", "accepted"}:
        what = f"arXiv:{named.arxiv}" if named.arxiv else "its title"
        return Finding(state="not yet checked", said=f"arXiv was not asked about {what} yet")
    if lookup.outcome == "proposed":
        return _proposed(lookup)
    if named.arxiv:
        return Finding(state="not found", said=f"arXiv has no paper {named.arxiv}", ours=named.arxiv)
    return Finding(state="not found", said="pages give no id, and arXiv has no title like this", ours=named.title)


def _proposed(lookup: Lookup) -> Finding:
    best = lookup.proposals[0]
    others = f", and {len(lookup.proposals) - 1} more" if len(lookup.proposals) > 1 else ""
    said = f"pages give no id; it may be arXiv:{best.record.arxiv}{others}: a person decides"
    return Finding(state="proposed", said=said, ours=lookup.asked_for, theirs=best.record.title)


def _versions_missing(named: Named, record: Record) -> Iterator[Finding]:
    for naming in _each(named.namings):
        if naming.version and naming.version > record.version:
            has = "its only version is the first" if record.version == 1 else f"it has {record.version} versions"
            said = f"version {naming.version} is not at arXiv: {has}"
            yield Finding(
                state="not found", said=said, by=naming.by, ours=f"v{naming.version}", theirs=f"v{record.version}"
            )


def _withdrawn(known: Known) -> Iterator[Finding]:
    if known.is_withdrawn and known.record:
        record = known.record
        first = News(kind="withdrawn", version=record.version, at=record.updated_at)
        last = next((one for one in reversed(known.news) if one.kind == "withdrawn"), first)
        said = f"withdrawn with version {last.version} of {last.at:%Y-%m-%d}"
        yield Finding(state="withdrawn", said=said, theirs=record.comment or record.abstract)


def _titles(named: Named, known: Known) -> Iterator[Finding]:
    """A title that is not the one of the version which its page names, for each page that gives it."""
    for title in named.titles:
        for by, version in _who_calls(named, title):
            record = known.version(version)
            how = likeness(title, record.title) if record else "same"
            if record and how != "same":
                said = "the title on pages is only the beginning of arXiv's" if how == "cut short" else "titles differ"
                yield Finding(state="title differs", said=said, by=by, ours=title, theirs=record.title)


def _who_calls(named: Named, title: str) -> list[tuple[Card | None, int | None]]:
    """The pages that give a title, with the versions that they name; where nobody knows, none."""
    return [(one.by, one.version) for one in named.called if one.title == title] or [(None, None)]


def _later(named: Named, known: Known) -> Iterator[Finding]:
    """A paper that came after what rests on it; where a version is named, that version."""
    for naming in _each(named.namings):
        at, what = _came(naming, known)
        last = _last_day(naming.date)
        if at and naming.type in SUPPORTS and naming.date and last and (at - ZONES).date() > last:
            yield Finding(
                state="later than the statement",
                said=f"{what} on {at:%Y-%m-%d}, after the {naming.by.kind} that rests on it",
                by=naming.by,
                ours=naming.date.written,
                theirs=f"{at:%Y-%m-%d}",
            )


def _came(naming: Naming, known: Known) -> tuple[datetime | None, str]:
    """When that came which an entry names: a version, or the paper."""
    record = known.version(naming.version)
    if record and record.version == naming.version:
        return record.updated_at, f"version {record.version} came" if record.version > 1 else "first at arXiv"
    return (record.published_at if record else None), "first at arXiv"


def _newer(named: Named, record: Record) -> Iterator[Finding]:
    """A version after the one that an entry names; after the day of what it says, where it names none."""
    for naming in _each(named.namings):
        theirs = f"v{record.version}, {record.updated_at:%Y-%m-%d}"
        if naming.version and naming.version < record.version:
            said = f"version {record.version} is out; version {naming.version} is named"
            yield Finding(state="newer version", said=said, by=naming.by, ours=f"v{naming.version}", theirs=theirs)
        elif not naming.version and _came_after(record, naming.date) and naming.date:
            said = f"version {record.version} came after the {naming.by.kind} that names the paper"
            yield Finding(state="newer version", said=said, by=naming.by, ours=naming.date.written, theirs=theirs)


def _came_after(record: Record, statement: WrittenDate | None) -> bool:
    """Whether the newest version, and not the paper itself, is later than a statement."""
    last = _last_day(statement)
    if last is None or record.version == 1:
        return False
    return (record.updated_at - ZONES).date() > last >= (record.published_at - ZONES).date()


def _last_day(said: WrittenDate | None) -> date | None:
    """The last day that a date may mean; `~2025` may be off by as much as it spans."""
    if said is None:
        return None
    spread = said.latest - said.earliest + timedelta(days=1)
    try:
        return said.latest + spread if said.approximate else said.latest
    except OverflowError:
        return date.max


def _grounded(named: Named, known: Known) -> Finding:
    record = known.version(named.called[0].version if named.called else None)
    title = record.title if record else ""
    said = f"arXiv:{named.arxiv} under this title" if named.arxiv and named.titles else "it is at arXiv"
    if not named.arxiv and known.lookup and known.lookup.proposals:
        one = known.lookup.proposals[0]
        said = f"arXiv:{one.record.arxiv}, says {one.who}; no page gives the id yet"
    return Finding(state="grounded", said=said, ours=named.titles[0] if named.titles else "", theirs=title)


def _each(namings: Iterable[Naming]) -> list[Naming]:
    """One naming an entry: of several the one that says most, an explicit version before a link that leans on it."""
    best: dict[str, Naming] = {}
    for naming in namings:
        held = best.get(naming.by.id)
        if held is None or _weight(naming) > _weight(held):
            best[naming.by.id] = naming
    return list(best.values())


def _weight(naming: Naming) -> tuple[bool, bool]:
    return naming.type in SUPPORTS, naming.version is not None


# --- many papers -----------------------------------------------------------------------------------------------------


def counts(grounds: Iterable[Ground]) -> dict[State, int]:
    """How many papers are first of all what, in the order of how much it matters."""
    headlines = [one.headline.state for one in grounds]
    return {state: headlines.count(state) for state in STATES if state in headlines}


def checked(grounds: Iterable[Ground]) -> str:
    """When arXiv was asked about them last, as a sentence; nothing where it never was."""
    days = sorted(f"{one.checked_at:%Y-%m-%d}" for one in grounds if one.checked_at)
    if not days:
        return ""
    return f"Checked {days[0]}." if days[0] == days[-1] else f"Checked {days[0]} to {days[-1]}."


def summary(grounds: Sequence[Ground]) -> str:
    """How many papers are what, as a sentence; what is well stands first."""
    said = ", ".join(f"{number} {state}" for state, number in reversed(counts(grounds).items()))
    return f"{len(grounds)} paper{'' if len(grounds) == 1 else 's'} named here: {said}."
