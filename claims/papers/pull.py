"""Pulls what is new at arXiv for the saved queries, page by page.

Every page is recorded in one transaction together with where the pull then stands (`claims.papers.windows`), so that it may be
broken off at any point, by whatever death, and goes on there. What is new is handed on once all queries were asked;
every event knows whether it was.
"""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlmodel import Session, col, func, select

from claims.errors import BadQuery, NoQuery, PullRuns
from claims.papers import arrivals, queries, windows
from claims.papers.looking_up import Asking, ask_about
from claims.papers.pulled import Means, Pulled, State, Tally
from claims.papers.terms import Terms
from claims.papers.windows import UnderWay
from kb import arxiv_papers
from kb.alone import alone
from kb.errors import NotFound
from kb.models import ArxivEvent, ArxivPaper, ArxivQuery
from kb.sources.arxiv import ArxivRefused, Batch, window
from kb.sources.arxiv_record import Record
from kb.store import Store

LATELY = timedelta(hours=20)  # a day, less what a daily pull may come earlier than the one before
SELDOM = timedelta(days=6)  # as often is asked about a paper that nobody leans on, and that nobody is asked to read
WATCHED = 2000  # ids that one pull asks about
AT_ONCE = 500  # rows in one statement
KNOWN_HERE = "papers known here"  # what is asked about by id beside the queries
IN_A_ROW = 2  # queries that fail for a reason that may pass: then the others are not even tried
SHOWN = 5  # ids in a note

After = Callable[[Store, Sequence[str], datetime], bool | None]


class _Cancelled(Exception):
    """Somebody wants this to end; all that came is in."""


class _Short(Exception):
    """A window gave fewer papers than arXiv says there are, as often as it was read."""


class _Query(NamedTuple):
    id: str
    name: str
    terms: Terms


def _nothing(_store: Store, _ids: Sequence[str], _now: datetime) -> None:
    """Do nothing: nobody waits for what is new."""


def pull(
    store: Store,
    arxiv: Asking,
    means: Means,
    names: Sequence[str] | None = None,
    since: datetime | None = None,
    after: After = _nothing,
) -> list[Pulled]:
    """Pull the queries with these NAMES, or all that are on; and ask, once a day, about the papers that the library
    names, has in its inbox or has attached, and about all others once a week. SINCE is the first day where a query has
    not come further yet. AFTER is told the ids of all papers that are new, or of which something is. What it cannot take
    now (it says False, or raises) it is told again by the next pull, as it is what a pull that broke off had brought.

    Raises:
        NoQuery: when there is none of a name.
        PullRuns: when another process pulls for this library.
        StoreError: when the library cannot be used; what came before that is in.
    """
    with alone(store, "pull") as is_ours:
        if not is_ours:
            raise PullRuns(_who_pulls(store))
        with store.reading() as session:
            rows = queries.chosen(session, names)
            chosen = [_Query(row.id, row.name, Terms.model_validate(row.terms)) for row in rows]
        going = _Pull(store, arxiv, means, since)
        done = [*going.ask_all(chosen), *going.ask_about_known()]
        going.hand_on(after)
        return done


def _who_pulls(store: Store) -> str:
    with store.reading() as session:
        rows = {row.name: _way_of(row) for row in session.exec(select(ArxivQuery))}
    name, way = max(rows.items(), key=lambda one: one[1].seen_at.timestamp() if one[1] else 0, default=("", None))
    if way is None:
        return "another process pulls for this library: wait until it is done"
    return f"{way.by} pulls for this library, and was last heard of at {way.seen_at:%H:%M:%S} UTC, with {name!r}: wait until it is done"


def _way_of(row: ArxivQuery) -> UnderWay | None:
    return UnderWay.model_validate(row.under_way) if row.under_way else None


def _row(session: Session, query: _Query) -> ArxivQuery:
    row = session.get(ArxivQuery, query.id)
    if row is None:
        raise NoQuery(f"the query {query.name!r} was removed while it was pulled; what it brought stays")
    return row


class _Pull:
    """One pull, from its beginning to its end."""

    def __init__(self, store: Store, arxiv: Asking, means: Means, since: datetime | None) -> None:
        self.store, self.arxiv, self.means, self.since = store, arxiv, means, since
        self.by = f"process {os.getpid()} on {socket.gethostname()}"
        self._failed_in_a_row = 0
        self._stopped_by: ArxivRefused | None = None  # nothing is asked any more

    # --- all queries --------------------------------------------------------------------------------------------------

    def ask_all(self, chosen: Sequence[_Query]) -> list[Pulled]:
        """One query after the other, until arXiv wants a pause or cannot be reached."""
        done = []
        for query in chosen:
            pulled = self._ask(query) if self._stopped_by is None else self._leave_out(query, self._stopped_by)
            self.means.watcher.ended(pulled)
            done.append(pulled)
        return done

    def _ask(self, query: _Query) -> Pulled:
        tally = Tally()
        self.means.watcher.begun(query.name)
        try:
            self._go_on()
            (self._ask_for_named if query.terms.cited else self._search)(query, tally)
        except _Cancelled:
            return self._told(query, tally, "interrupted")
        except (BadQuery, NoQuery, NotFound, _Short) as error:
            return self._failed(query, tally, str(error))
        except ArxivRefused as refused:
            self._take_to_heart(refused)
            return self._failed(query, tally, str(refused), refused)
        self._failed_in_a_row = 0
        return self._told(query, tally, "done")

    def _take_to_heart(self, refused: ArxivRefused) -> None:
        """Whether the others are tried after this: not if arXiv wants a pause, nor where it cannot be reached."""
        self._failed_in_a_row = self._failed_in_a_row + 1 if refused.passing else 0
        if refused.resume_at is not None or self._failed_in_a_row >= IN_A_ROW:
            self._stopped_by = refused

    def _leave_out(self, query: _Query, why: ArxivRefused) -> Pulled:
        words = f"not asked, because another query met this: {why}"
        with self.store.writing() as session:
            row = session.get(ArxivQuery, query.id)
            if row is not None:
                row.problem = words
        return self._told(query, Tally(), "not asked", words, why.resume_at)

    def _failed(self, query: _Query, tally: Tally, words: str, refused: ArxivRefused | None = None) -> Pulled:
        resume_at = refused.resume_at if refused else None
        with self.store.writing() as session:
            row = session.get(ArxivQuery, query.id)
            if row is not None:
                now = self.means.clock()
                way = _way_of(row) or self._way(now)
                spoilt = way.spoilt + bool(refused and refused.is_spoilt)
                failed = {"failures": way.failures + 1, "spoilt": spoilt, "seen_at": now, "resume_at": resume_at}
                row.problem, row.under_way = words, _kept(way.model_copy(update=failed))
        return self._told(query, tally, "failed", words, resume_at)

    def _told(
        self, query: _Query, tally: Tally, state: State, problem: str = "", resume_at: datetime | None = None
    ) -> Pulled:
        with self.store.reading() as session:
            row = session.get(ArxivQuery, query.id)
            return tally.pulled(query.name, state, row.reached_at if row else None, problem, resume_at)

    def _way(self, now: datetime, before: UnderWay | None = None) -> UnderWay:
        """A way that begins, after one that came nowhere."""
        return UnderWay(began_at=now, seen_at=now, by=self.by, failures=before.failures if before else 0)

    def _go_on(self) -> None:
        if self.means.is_cancelled():
            raise _Cancelled

    # --- searches -----------------------------------------------------------------------------------------------------

    def _search(self, query: _Query, tally: Tally) -> None:
        way = self._begin(query, tally)
        then: windows.Next = "page"
        while then != "end":
            self._go_on()
            asks = f"{way.asks} AND {window(*way.window())}"
            batch = self.arxiv.search(asks, start=way.read, size=windows.size(way, self.means.page))
            shorter = windows.cut(way, batch.total, self.means.most)
            if shorter is not None:
                way = shorter
                continue
            page = _page(batch)
            read = windows.taken(way, page)
            way, then = windows.following(read, page)
            self._record(query, batch, _Step(way, then, read.window()[1]), tally)
            self.means.watcher.page(query.name, min(read.read, batch.total), batch.total)
            _mind_what_is_missing(read, then, tally)

    def _begin(self, query: _Query, tally: Tally) -> UnderWay:
        """Begin, or go on where the last pull was broken off."""
        with self.store.writing() as session:
            row, now = _row(session, query), self.means.clock()
            tally.asks, before = queries.asked(session, query.terms), _way_of(row)
            if before is None or before.begins is None:
                start = windows.start(windows.Seen(row.reached_at, row.looked_back_at), self.since, now)
                dates = {
                    "begins": start.begins,
                    "ends": start.ends,
                    "until": start.ends,
                    "looks_back": start.looks_back,
                }
                way = self._way(now, before).model_copy(update={"asks": tally.asks, **dates})
            else:
                tally.notes += _given_up(before)
                way = windows.resumed(_unstuck(session, before, now), tally.asks, self.since, now)
                way = way.model_copy(update={"by": self.by, "seen_at": now})
            row.under_way, row.problem = _kept(way), ""
        return way

    def _record(self, query: _Query, batch: Batch, step: "_Step", tally: Tally) -> None:
        """One answer, and where the pull stands after it: in together, or not at all."""
        between = self._between(batch.records)
        with self.store.writing() as session:
            row, now = _row(session, query), self.means.clock()
            events = arxiv_papers.put(session, [*between, *batch.records], now)
            found = arxiv_papers.found(session, query.id, [one.arxiv for one in batch.records], now)
            if step.then in {"window", "end"}:
                row.reached_at = windows.reached(step.ends, now, batch.said_at, row.reached_at)
            if step.then == "end":
                row.looked_back_at = now if step.way.looks_back else row.looked_back_at
                _close(row, now)
            else:
                going = {"seen_at": now, "failures": 0, "spoilt": 0, "resume_at": None}
                row.under_way = _kept(step.way.model_copy(update=going))
        tally.count(events, found)
        tally.notes += batch.problems

    def _between(self, records: Sequence[Record]) -> list[Record]:
        """The versions of papers that came and went since they were seen last, oldest first: one of them may say that
        the paper was withdrawn.
        """
        with self.store.reading() as session:
            missed = arxiv_papers.between(session, records)[: self.means.page]
        found = self.arxiv.by_ids(missed).records if missed else ()
        return sorted(found, key=lambda record: (record.arxiv, record.version))

    # --- by id --------------------------------------------------------------------------------------------------------

    def _ask_for_named(self, query: _Query, tally: Tally) -> None:
        with self.store.writing() as session:
            row, now = _row(session, query), self.means.clock()
            row.under_way, row.problem = _kept(self._way(now, _way_of(row))), ""
            named = list(arxiv_papers.named(session))
            ids = arxiv_papers.by_age(session, named, now - LATELY, now)
        self._ask_by_id(query.name, ids, tally)
        if len(ids) < len(named):
            hours = LATELY.total_seconds() / 3600
            tally.notes.append(
                f"{len(named) - len(ids)} of {len(named)} ids were asked for in the last {hours:.0f} hours, and not again"
            )
        with self.store.writing() as session:
            row, now = _row(session, query), self.means.clock()
            here = select(ArxivPaper).where(col(ArxivPaper.arxiv).in_(list(arxiv_papers.named(session))))
            papers = session.exec(here).all()
            tally.found = arxiv_papers.found(session, query.id, [paper.arxiv for paper in papers], now)
            row.reached_at = min([now, *(paper.asked_at for paper in papers)])
            _close(row, now)

    def ask_about_known(self) -> list[Pulled]:
        """What became of the papers that came: once a day of those that somebody leans on or is asked to read, less often
        of all others.
        """
        with self.store.reading() as session:
            now = self.means.clock()
            named, shown = arxiv_papers.named(session), arrivals.watched(session)
            others = session.exec(select(ArxivPaper.arxiv)).all()
            ids = dict.fromkeys(arxiv_papers.by_age(session, named, now - LATELY, now))
            ids |= dict.fromkeys(arxiv_papers.by_age(session, shown, now - LATELY, now))
            ids |= dict.fromkeys(arxiv_papers.by_age(session, others, now - SELDOM, now))
        if not ids or self._failed_in_a_row or self._stopped_by is not None:
            return []
        tally = Tally()
        self.means.watcher.begun(KNOWN_HERE)
        try:
            self._ask_by_id(KNOWN_HERE, list(ids)[:WATCHED], tally)
            pulled = tally.pulled(KNOWN_HERE, "done", None)
        except _Cancelled:
            pulled = tally.pulled(KNOWN_HERE, "interrupted", None)
        except ArxivRefused as refused:
            pulled = tally.pulled(KNOWN_HERE, "failed", None, str(refused), refused.resume_at)
        self.means.watcher.ended(pulled)
        return [pulled]

    def _ask_by_id(self, name: str, ids: Sequence[str], tally: Tally) -> None:
        """Ask for IDS, some at a time; those that were asked for are not asked for again when this is broken off."""
        tally.asks = f"{len(ids)} ids"
        unknown: list[str] = []
        for at in range(0, len(ids), self.means.page):
            self._go_on()
            some = ids[at : at + self.means.page]
            known, settled = ask_about(self.arxiv, some)
            between = self._between(known.records)
            with self.store.writing() as session:
                now = self.means.clock()
                events = arxiv_papers.put(session, [*between, *known.records], now)
                unknown += arxiv_papers.check(session, settled, known.ids, now)
            tally.count(events)
            tally.notes += known.problems
            self.means.watcher.page(name, at + len(some), len(ids))
        if unknown:
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            tally.notes.append(f"arXiv does not know {', '.join(unknown[:SHOWN])}{more}")

    # --- the end ------------------------------------------------------------------------------------------------------

    def hand_on(self, after: After) -> None:
        """Tell AFTER what is new, and what an earlier pull could not tell it."""
        if self.means.is_cancelled():
            return
        with self.store.reading() as session:
            waiting = select(ArxivEvent.id, ArxivEvent.arxiv).where(col(ArxivEvent.is_handed_on).is_(False))
            events = dict(session.exec(waiting).all())
        if after(self.store, sorted(set(events.values())), self.means.clock()) is False:
            return
        with self.store.writing() as session:
            ids = list(events)
            for at in range(0, len(ids), AT_ONCE):
                some = col(ArxivEvent.id).in_(ids[at : at + AT_ONCE])
                session.exec(update(ArxivEvent).where(some).values(is_handed_on=True))


class _Step(NamedTuple):
    """Where a pull stands after an answer, what comes next, and where the window of that answer ended."""

    way: UnderWay
    then: windows.Next
    ends: datetime


def _close(row: ArxivQuery, now: datetime) -> None:
    """A query is in."""
    row.under_way, row.pulled_at, row.problem = None, now, ""


def _unstuck(session: Session, way: UnderWay, now: datetime) -> UnderWay:
    """The same, or, where answers to one page could not be used in several pulls, what lies beyond it. What lies before it
    is in, but where a window is read again because papers lack.
    """
    if not way.ids or way.spoilt < (windows.STUCK if way.passes == 1 else windows.GIVEN_UP):
        return way
    newest = select(func.max(ArxivPaper.published_at)).where(col(ArxivPaper.arxiv).in_(way.ids))
    return windows.beyond(way, session.exec(newest).one(), now)


def _given_up(way: UnderWay) -> list[str]:
    """A note where papers are not asked for any more."""
    if way.passes == 1 or way.spoilt < windows.GIVEN_UP or not windows.lacking(way):
        return []
    begins, ends = way.window()
    window = f"{windows.lacking(way)} papers from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M}"
    return [f"{window} are given up: answers to a page could not be used, {way.spoilt} times"]


def _page(batch: Batch) -> windows.Page:
    ids = tuple(one.arxiv for one in batch.records)
    return windows.Page(total=batch.total, ids=ids, unreadable=len(batch.problems))


def _kept(way: UnderWay) -> dict[str, Any]:
    return way.model_dump(mode="json")


def _mind_what_is_missing(read: UnderWay, then: windows.Next, tally: Tally) -> None:
    """Say that a window gave fewer papers than arXiv counts, where that cannot be helped in this pull.

    Raises:
        _Short: when it is to be read once more, in the next pull.
    """
    lacking = windows.lacking(read)
    if then in {"page", "again"} or not lacking:
        return
    begins, ends = read.window()
    counted = f"arXiv counts {read.least} papers from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} and does not give {lacking} of them"
    if then == "short":
        raise _Short(f"{counted}, however often it is asked. The others are in; the next pull asks once more")
    tally.notes.append(f"{counted}; the others are in")
