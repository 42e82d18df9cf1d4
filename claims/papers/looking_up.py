"""Asks arXiv about the papers that a library names: ids whether they exist, titles without an id for papers that may be
meant. Each answer is kept as it comes, so that the asking can be broken off at any point and goes on there next time.

What is found for a title is a proposal. That it is the one is for a person to say (`accept`); no machine does.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from sqlmodel import Session

from claims.errors import CannotSay
from claims.papers.grounding import Ground, Proposal
from claims.papers.naming import IN_TEXT, PROPOSALS, of_entry
from kb import arxiv_papers
from kb.arxiv_papers import canonical
from kb.errors import ArxivRefused
from kb.models import ArxivCheck, ArxivPaper
from kb.read import find
from kb.search import terms_of
from kb.sources.arxiv import Batch, Known
from kb.sources.arxiv_id import versioned
from kb.sources.arxiv_record import Record
from kb.store import Store
from kb.titles import folded, similarity
from verifiers.measurement import Value

AT_ONCE = 100  # ids in one question
MOST = 5  # proposals for a title
LIKE = 0.6  # and how similar one must be
FEW = 4  # words that are asked for when all of them are too many
# https://info.arxiv.org/help/arxiv_identifier.html: what stood in front of the slash.
_ARCHIVES = frozenset(
    "acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas cond-mat cs dg-ga "
    "funct-an gr-qc hep-ex hep-lat hep-ph hep-th math math-ph mtrl-th nlin nucl-ex nucl-th patt-sol physics plasm-ph "
    "q-alg q-bio quant-ph solv-int supr-con".split()
)

Report = Callable[[int, int], None]


class Asking(Protocol):
    """What is needed of arXiv."""

    def by_ids(self, ids: Sequence[str]) -> Known: ...

    def search(self, query: str, start: int = 0, size: int = 100) -> Batch: ...


class Wanted(NamedTuple):
    """What to ask for: ids and titles, each with the keys of the papers that have it."""

    ids: dict[str, tuple[str, ...]]
    titles: dict[str, str]  # by the key

    @property
    def total(self) -> int:
        """How many papers are asked about."""
        return len(self.ids) + len(self.titles)


class Answered(Value):
    """What came of asking; `problem` says why it ended early, or what could not be read."""

    wanted: int
    asked: int = 0
    problem: str = ""


def wanted(grounds: Iterable[Ground], now: datetime, days: float) -> Wanted:
    """The papers that were never asked about, or more than DAYS ago. A check in the future is one of a clock that was
    wrong. A title is not looked for again once a person said which paper it is.
    """
    ids: dict[str, tuple[str, ...]] = {}
    titles: dict[str, str] = {}
    for one in grounds:
        at = one.checked_at
        if at is not None and now - timedelta(days=days) <= at <= now:
            continue
        if one.arxiv:
            arxiv = canonical(one.arxiv)
            ids[arxiv] = (*ids.get(arxiv, ()), one.named.key)
        else:
            titles[one.named.key] = one.named.title
    return Wanted(ids, titles)


def look_up(store: Store, arxiv: Asking, asked: Wanted, clock: Callable[[], datetime], report: Report) -> Answered:
    """Ask about each, and keep each answer in a transaction of its own. What arXiv refuses is said, not raised: what
    was kept before it stays.
    """
    done = 0
    problems: list[str] = []
    try:
        for chunk in _chunks(list(asked.ids)):
            report(done, asked.total)
            known, settled = ask_about(arxiv, chunk)
            with store.writing() as session:
                _keep(session, {each: asked.ids[each] for each in settled}, known.records, clock())
            problems += known.problems
            done += len(settled)
        for key, title in asked.titles.items():
            report(done, asked.total)
            proposals = propose(arxiv, title)
            with store.writing() as session:
                outcome = "proposed" if proposals else "not found"
                _note(session, key, title, outcome, proposals, clock())
            done += 1
    except ArxivRefused as refused:
        return Answered(wanted=asked.total, asked=done, problem="; ".join([*problems, str(refused)]))
    report(done, asked.total)
    return Answered(wanted=asked.total, asked=done, problem="; ".join(problems))


def ask_about(arxiv: Asking, ids: Sequence[str]) -> tuple[Known, list[str]]:
    """What arXiv says of IDS, and those of which it said whether it has them: not an id without a record where entries
    cannot be read, for it may be one of those. The next time it is asked for again.
    """
    real = [each for each in ids if could_be(each)]  # arXiv refuses a whole question for one bad id in it
    known = arxiv.by_ids(real) if real else Known(())
    unsure = set(real) - known.ids if known.problems else set()
    return known, [each for each in ids if each not in unsure]


def could_be(arxiv: str) -> bool:
    """Whether arXiv ever gave out ids like this one, as it writes them: archives of before April 2007, four digits until
    2014, five from then on.
    """
    archive, slash, _ = arxiv.rpartition("/")
    if slash:
        return archive in _ARCHIVES
    month, _, number = arxiv.partition(".")
    return month >= "0704" and len(number) == (5 if month >= "1501" else 4)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]


def _keep(session: Session, asked: dict[str, tuple[str, ...]], records: Sequence[Record], now: datetime) -> None:
    """Papers as arXiv says them, and which of those that were asked for it has."""
    arxiv_papers.put(session, records, now)
    answered = {record.arxiv for record in records}
    arxiv_papers.check(session, list(asked), answered, now)
    for arxiv, keys in asked.items():
        is_there = arxiv in answered or session.get(ArxivPaper, arxiv) is not None
        for key in (key for key in keys if key.startswith(IN_TEXT)):
            _note(session, key, arxiv, "found" if is_there else "not found", (), now)


def _note(
    session: Session, key: str, asked_for: str, outcome: str, proposals: Sequence[Proposal], now: datetime
) -> None:
    row = session.get(ArxivCheck, key)
    if row is None:
        row = ArxivCheck(entity_id=key, asked_for="", outcome="", proposals=[], checked_at=now)
        session.add(row)
    row.asked_for, row.outcome, row.checked_at = asked_for, outcome, now
    row.proposals = PROPOSALS.dump_python(tuple(proposals), mode="json")


# --- titles ----------------------------------------------------------------------------------------------------------


def propose(arxiv: Asking, title: str) -> tuple[Proposal, ...]:
    """Papers that may be meant by TITLE, the most similar first: from the first question that brings any.

    Raises:
        ArxivRefused: when arXiv does not answer.
    """
    for query in questions(title):
        found = {record.arxiv: record for record in arxiv.search(query).records}
        if proposals := ranked(title, found.values()):
            return proposals
    return ()


def questions(title: str) -> list[str]:
    """What to ask arXiv for: the title side by side, then all its telling words, then the longest few of them."""
    words = folded(title).split()
    telling = [word for word in terms_of(" ".join(words)) if len(word) > 2] or words
    longest = sorted(telling, key=len, reverse=True)[:FEW]
    asked = [f'ti:"{" ".join(words)}"', " AND ".join(f"ti:{word}" for word in telling)]
    asked += [" AND ".join(f"ti:{word}" for word in telling if word in longest)]
    return list(dict.fromkeys(asked)) if words else []


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


def accept(store: Store, slug: str, said: str, who: str, now: datetime, arxiv: Asking | None = None) -> Accepted:
    """Record that the paper SLUG, which pages name by its title alone, is the one with the id SAID at arXiv. One that was
    proposed is known; ARXIV is asked about any other. Pages are a person's files: they stay as they are.

    Raises:
        CannotSay: when pages give it an id already, SAID is no id, or nobody has seen that paper.
        NotFound: when no paper has that slug.
        ArxivRefused: when arXiv does not answer.
    """
    named = versioned(said)
    if named is None:
        raise CannotSay(f"{said!r} is no arXiv id: write it like 2605.25459 or hep-th/9901001")
    with store.reading() as session:
        (one,) = of_entry(session, find(session, slug, "paper"))
        known = _seen(session, one, named[0])
    if one.named.arxiv:
        raise CannotSay(
            f"pages give the paper {slug!r} the id {one.named.arxiv}: change it there and import them again"
        )
    record = known or _asked(arxiv, named[0])
    proposal = Proposal(record=record, similarity=similarity(one.named.title, record.title), who=who)
    with store.writing() as session:
        arxiv_papers.put(session, [record], now)
        _note(session, one.named.key, one.named.title, "accepted", [proposal], now)
    card = one.named.card
    return Accepted(
        slug=card.slug if card else slug, title=record.title, arxiv=record.arxiv, who=who, advice=advice(one, record)
    )


def _seen(session: Session, one: Ground, arxiv: str) -> Record | None:
    row = session.get(ArxivPaper, arxiv)
    proposed = next((each.record for each in one.proposals if each.record.arxiv == arxiv), None)
    return arxiv_papers.record_of(row) if row else proposed


def _asked(arxiv: Asking | None, wanted_id: str) -> Record:
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
