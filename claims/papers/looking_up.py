"""Asks arXiv about the papers that a library names: ids whether they exist, titles without an id for papers that may be
meant. Each answer is kept as it comes, so that the asking can be broken off at any point and goes on there next time.

What is found for a title is a proposal. That it is the one is for a person to say (`accept`); no machine does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from textwrap import shorten
from typing import NamedTuple, Protocol

from sqlmodel import Session

from claims.acts import said
from claims.errors import CannotSay
from claims.papers.grounding import Ground, Proposal
from claims.papers.naming import PROPOSALS, of_entry
from kb import arxiv_papers
from kb.arxiv_papers import IN_TEXT
from kb.errors import ArxivRefused
from kb.models import ArxivPaper
from kb.read import find
from kb.search import terms_of
from kb.sources.arxiv import LONGEST_QUERY, Batch, Known
from kb.sources.arxiv_id import could_be, versioned
from kb.sources.arxiv_record import Record
from kb.store import Store
from kb.titles import folded, likeness, similarity
from verifiers.measurement import Value

AT_ONCE = 100  # ids in one question
MOST = 5  # proposals for a title
LIKE = 0.6  # and how similar one must be
FEW = 4  # words that are asked for when all of them are too many
PAGES = 3  # of a hundred papers, for each way to ask for a title
PATIENT = 3  # titles that may be refused for good; where there are more, arXiv refuses us and no title
Report = Callable[[int, int], None]


class AskingIds(Protocol):
    """What is needed of arXiv for ids."""

    def by_ids(self, ids: Sequence[str]) -> Known: ...


class Asking(AskingIds, Protocol):
    """What is needed of arXiv for all."""

    def search(self, query: str, start: int = 0, size: int = 100, *, likest_first: bool = False) -> Batch: ...


class Wanted(NamedTuple):
    """What to ask for: ids, titles by the keys of the papers that have them, and versions that pages name, by their ids."""

    ids: list[str]
    titles: dict[str, str]
    versions: dict[str, list[int]]

    @property
    def total(self) -> int:
        """How many papers are asked about."""
        return len({*self.ids, *self.versions}) + len(self.titles)


class Answered(Value):
    """What came of asking; `problem` says why it ended early, or what could not be read."""

    wanted: int
    asked: int = 0
    problem: str = ""


def wanted(grounds: Iterable[Ground], now: datetime, days: float) -> Wanted:
    """The papers that were never asked about, or more than DAYS ago. A check in the future is one of a clock that was
    wrong. A title is not looked for again once a person said which paper it is; what is no id is not asked for.
    """
    asked = Wanted([], {}, {})
    for one in grounds:
        if one.named.no_id and not one.arxiv:
            continue
        is_due = not _is_lately(one.checked_at, now, days)
        if one.arxiv:
            if is_due and one.arxiv not in asked.ids:
                asked.ids.append(one.arxiv)
            if versions := _versions(one, now, days, is_due=is_due):
                asked.versions[one.arxiv] = versions
        elif is_due:
            asked.titles[one.named.key] = one.named.title
    return asked


def both(one: Wanted, other: Wanted) -> Wanted:
    """What either asks for."""
    ids = list(dict.fromkeys([*one.ids, *other.ids]))
    return Wanted(ids, other.titles | one.titles, other.versions | one.versions)


def _is_lately(at: datetime | None, now: datetime, days: float) -> bool:
    return at is not None and now - timedelta(days=days) <= at <= now


def _versions(one: Ground, now: datetime, days: float, *, is_due: bool) -> list[int]:
    """The versions that pages name and that may be older than the newest one. What a version is never changes: one that is
    here is not asked for again.
    """
    here, record = {known.version for known in one.known.older}, one.known.record
    newest = None if is_due or record is None else record.version
    return [
        number
        for number in sorted(one.named.versions - here)
        if (newest is None or number < newest) and not _is_lately(one.known.older_asked.get(number), now, days)
    ]


def look_up(store: Store, arxiv: Asking, asked: Wanted, clock: Callable[[], datetime], report: Report) -> Answered:
    """Ask about each, and keep each answer in a transaction of its own. What arXiv refuses is said, not raised: what
    was kept before it stays. A title that it refuses for good is not found, and holds up no other.
    """
    return _LookUp(store, arxiv, asked, clock, report).all()


class _LookUp:
    """One asking, from its beginning to its end."""

    def __init__(
        self, store: Store, arxiv: Asking, asked: Wanted, clock: Callable[[], datetime], report: Report
    ) -> None:
        self.store, self.arxiv, self.asked, self.clock, self.report = store, arxiv, asked, clock, report
        self._done: set[str] = set()  # ids, and the keys of papers without one
        self._problems: list[str] = []
        self._refused: dict[str, str] = {}

    def all(self) -> Answered:
        """Ask until all is answered, or arXiv refuses."""
        try:
            for chunk in _chunks(self.asked.ids):
                self._say()
                self._ask_ids(chunk)
            for chunk in _chunks(self._older()):
                self._say()
                self._ask_versions(chunk)
            self._done |= self.asked.versions.keys() - set(self.asked.ids)
            for key, title in self.asked.titles.items():
                self._say()
                self._ask_title(key, title)
            self._say()
        except ArxivRefused as error:
            self._problems.append(str(error))
        if self._done:  # who answers others does not refuse us
            self._keep_titles(dict.fromkeys(self._refused, ()))
        return Answered(wanted=self.asked.total, asked=len(self._done), problem="; ".join(self._problems))

    def _say(self) -> None:
        self.report(len(self._done), self.asked.total)

    def _ask_ids(self, ids: Sequence[str]) -> None:
        known, settled = ask_about(self.arxiv, ids)
        with self.store.writing() as session:
            arxiv_papers.put(session, known.records, self.clock())
            arxiv_papers.check(session, settled, known.ids, self.clock())
        self._problems += known.problems
        self._done.update(settled)

    def _older(self) -> list[str]:
        """The versions to ask for: those before the newest one. That one is here, and what comes after it is not there."""
        with self.store.reading() as session:
            newest = {arxiv: row.version for arxiv in self.asked.versions if (row := session.get(ArxivPaper, arxiv))}
        named = [(arxiv, number) for arxiv, numbers in self.asked.versions.items() for number in numbers]
        return [f"{arxiv}v{number}" for arxiv, number in named if number < newest.get(arxiv, 0)]

    def _ask_versions(self, names: Sequence[str]) -> None:
        known = self.arxiv.by_ids(names)
        found = {
            f"{record.arxiv}v{record.version}": Proposal(record=record, similarity=1.0) for record in known.records
        }
        with self.store.writing() as session:
            for name in names:
                if name in found:
                    _note(session, f"{IN_TEXT}{name}", name, "found", [found[name]], self.clock())
                elif name not in known.unsure:
                    _note(session, f"{IN_TEXT}{name}", name, "not found", [], self.clock())
        self._problems += known.problems

    def _ask_title(self, key: str, title: str) -> None:
        try:
            proposals = propose(self.arxiv, title)
        except ArxivRefused as error:
            if error.passing or len(self._refused) == PATIENT:
                raise
            self._problems.append(f"“{shorten(title, 60, placeholder=' …')}”: {error}")
            self._refused[key] = title
            return
        self._keep_titles({key: proposals})
        self._done.add(key)

    def _keep_titles(self, found: Mapping[str, Sequence[Proposal]]) -> None:
        with self.store.writing() as session:
            for key, proposals in found.items():
                outcome = "proposed" if proposals else "not found"
                _note(session, key, self.asked.titles[key], outcome, proposals, self.clock())


def ask_about(arxiv: AskingIds, ids: Sequence[str]) -> tuple[Known, list[str]]:
    """What arXiv says of IDS, and those of which it said whether it has them: not an id of which nobody can tell, because
    entries cannot be read. The next time it is asked for again.
    """
    real = [each for each in ids if could_be(each)]  # arXiv refuses a whole question for one bad id in it
    known = arxiv.by_ids(real) if real else Known(())
    return known, [each for each in ids if each not in known.unsure]


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]


def _note(session: Session, key: str, title: str, outcome: str, proposals: Sequence[Proposal], now: datetime) -> None:
    arxiv_papers.note(session, key, title, outcome, PROPOSALS.dump_python(tuple(proposals), mode="json"), now)


# --- titles ----------------------------------------------------------------------------------------------------------


def propose(arxiv: Asking, title: str) -> tuple[Proposal, ...]:
    """Papers that may be meant by TITLE, the most similar first. Once one of the same title came, nothing more is asked.

    Raises:
        ArxivRefused: when arXiv does not answer.
    """
    found: dict[str, Record] = {}
    for query in questions(title):
        for records in _pages(arxiv, query):
            found |= {record.arxiv: record for record in records}
            if any(likeness(title, record.title) == "same" for record in records):
                return ranked(title, found.values())
    return ranked(title, found.values())


def _pages(arxiv: Asking, query: str) -> Iterator[tuple[Record, ...]]:
    """What QUERY brings, the likest first; of many only the first pages."""
    start = 0
    for _ in range(PAGES):
        batch = arxiv.search(query, start, likest_first=True)
        yield batch.records
        start += batch.length
        if not batch.length or start >= batch.total:
            return


def questions(title: str) -> list[str]:
    """What to ask arXiv for: the title side by side, then all its telling words, then the longest few of them."""
    words = folded(title).split()
    telling = [word for word in terms_of(" ".join(words)) if len(word) > 2] or words
    longest = sorted(telling, key=len, reverse=True)[:FEW]
    asked = [f'ti:"{" ".join(words)}"', " AND ".join(f"ti:{word}" for word in telling)]
    asked += [" AND ".join(f"ti:{word}" for word in telling if word in longest)]
    return [one for one in dict.fromkeys(asked) if len(one) <= LONGEST_QUERY] if words else []


def ranked(title: str, records: Iterable[Record]) -> tuple[Proposal, ...]:
    """The papers whose title is like TITLE, the most similar first; of equals the earlier one."""
    proposals = [Proposal(record=record, similarity=similarity(title, record.title)) for record in records]
    likely = [one for one in proposals if one.similarity >= LIKE]
    return tuple(sorted(likely, key=lambda one: (-one.similarity, one.record.published_at, one.record.arxiv))[:MOST])


# --- a person's word -------------------------------------------------------------------------------------------------


class Accepted(Value):
    """What a person said that a paper is, and what to write where pages are the source of truth."""

    slug: str
    title: str
    arxiv: str
    who: str
    advice: str


def accept(store: Store, slug: str, arxiv_id: str, who: str, now: datetime, arxiv: AskingIds | None = None) -> Accepted:
    """Record that the paper SLUG, which pages name by its title alone, is the one with the id ARXIV_ID at arXiv. One that
    was proposed is known; ARXIV is asked about any other. Pages are a person's files: they stay as they are.

    Raises:
        CannotSay: when pages give it an id already, ARXIV_ID is none, nobody has seen that paper, or nobody says so.
        NotFound: when no paper has that slug.
        ArxivRefused: when arXiv does not answer.
    """
    who, named = said(who, "who"), versioned(arxiv_id)
    if named is None:
        raise CannotSay(f"{arxiv_id!r} is no arXiv id: write it like 2605.25459 or hep-th/9901001")
    with store.reading() as session:
        (one,) = of_entry(session, find(session, slug, "paper"))
        known = _seen(session, one, named[0])
    if one.named.arxiv:
        raise CannotSay(
            f"pages give the paper {slug!r} the id {one.named.arxiv}: change it there and import them again"
        )
    record, asked_at = known or (_asked(arxiv, named[0]), now)
    proposal = Proposal(record=record, similarity=similarity(one.named.title, record.title), who=who)
    with store.writing() as session:
        _put(session, record, asked_at, now)
        _note(session, one.named.key, one.named.title, "accepted", [proposal], now)
    card = one.named.card
    return Accepted(
        slug=card.slug if card else slug, title=record.title, arxiv=record.arxiv, who=who, advice=advice(one, record)
    )


def _seen(session: Session, one: Ground, arxiv: str) -> tuple[Record, datetime] | None:
    """What is known of a paper that is here, or was proposed, and when arXiv said so."""
    row = session.get(ArxivPaper, arxiv)
    if row:
        return arxiv_papers.record_of(row), row.asked_at
    lookup, proposed = one.known.lookup, [each.record for each in one.proposals if each.record.arxiv == arxiv]
    return (proposed[0], lookup.checked_at) if lookup and proposed else None


def _put(session: Session, record: Record, asked_at: datetime, now: datetime) -> None:
    """Keep a paper that comes here now, of which arXiv was asked at ASKED_AT; one that is here stays as it is."""
    if session.get(ArxivPaper, record.arxiv) is None:
        arxiv_papers.put(session, [record], now)
        session.get_one(ArxivPaper, record.arxiv).asked_at = asked_at


def _asked(arxiv: AskingIds | None, wanted_id: str) -> Record:
    if arxiv is None:
        raise CannotSay(f"there is no paper {wanted_id} to accept: it was not proposed, and arXiv was not asked")
    known = arxiv.by_ids([wanted_id])
    if not known.records:
        why = f"arXiv's entry cannot be read: {known.problems[0]}" if known.problems else "arXiv has none"
        raise CannotSay(f"there is no paper {wanted_id} to accept: {why}")
    return known.records[0]


def advice(one: Ground, record: Record) -> str:
    """What to write on pages, so that they say it themselves."""
    return (
        f"Pages do not say so yet. On the paper's own page (papers/NAME.md) write `arxiv: {record.arxiv}`; "
        f"where a note or claim lists it under `papers`, write `arXiv:{record.arxiv} – {one.named.title}`."
    )
