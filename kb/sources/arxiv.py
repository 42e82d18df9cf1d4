"""arXiv's query API: a search, or ids → records. Nothing is asked faster than arXiv allows, whoever asks."""

import os
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from kb.errors import ArxivRefused
from kb.pace import INTERVAL, Pace, Waiting, unseen
from kb.sources.arxiv_id import versioned
from kb.sources.arxiv_record import Record
from kb.text import plain

if TYPE_CHECKING:  # the package and its HTTP library are loaded by whoever asks, not by whoever may ask
    from kb.sources.arxiv_feed import Feed
    from kb.sources.arxiv_wire import Limits, Wire

__all__ = ["LARGEST", "LONGEST_QUERY", "REAL", "Arxiv", "ArxivRefused", "Batch", "Known", "window"]

REAL: Final = "https://export.arxiv.org/api/query"
LARGEST: Final = 2000  # entries on one page
_IDS_AT_ONCE: Final = 100
_ALONE: Final = 12  # ids that are asked for one by one, where nobody can tell which of them an answer is about
# The first paper under an id of this form: an answer of arXiv's without it is no answer.
_FIRST: Final = {"arxiv.org": "0704.0001"}
LONGEST_QUERY: Final = 4000  # characters: an address must hold it
# Seconds for which everybody stays away after an attempt that failed; the last, after the last, only from a busy arXiv.
_PAUSES: Final = (5.0, 20.0, 60.0)


class Batch(NamedTuple):
    """One page of a search. `problems` name the entries of the page that cannot be read, each in words; a search goes on
    at its start + `length`. `said_at` is the date that the answer carries, by arXiv's clock.
    """

    total: int
    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    said_at: datetime | None = None

    @property
    def length(self) -> int:
        """How many entries the page has."""
        return len(self.records) + len(self.problems)

    @property
    def is_short(self) -> bool:
        """Whether it has fewer entries than are counted, as the first page of a search that has only one."""
        return self.length < self.total


class Known(NamedTuple):
    """What arXiv says of ids. An id without a record is one that arXiv does not have, unless it is among the `unsure`:
    those of which nobody knows, because of the `problems`, each in words.
    """

    records: tuple[Record, ...]
    problems: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()

    @property
    def ids(self) -> set[str]:
        """The ids that have a record, without versions."""
        return {record.arxiv for record in self.records}


class Arxiv:
    """arXiv at URL; by default at that of STILLHOLDS_ARXIV_URL, or the real one. PACE is shared by all processes of the
    account, whatever the address; WAITING is told while we wait, and may raise to stop.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        pace: Pace | None = None,
        waiting: Waiting = unseen,
        pauses: Sequence[float] = _PAUSES,
        limits: "Limits | None" = None,
    ) -> None:
        self.url = _address(url or os.environ.get("STILLHOLDS_ARXIV_URL") or REAL)
        self._host = _host(self.url)
        self._pace = pace or Pace()
        self._waiting, self._pauses, self._limits = waiting, pauses, limits
        self._sent: str | None = None  # a paper that it sent last, so that it has it
        if self._host == "arxiv.org" and self._pace.interval < INTERVAL:
            raise ValueError(f"arXiv asks for {INTERVAL:g} seconds between requests, not {self._pace.interval:g}")

    def search(self, query: str, start: int = 0, size: int = 100, *, likest_first: bool = False) -> Batch:
        """The page of SIZE results of QUERY from number START on, the earliest submitted first, or those that are most
        like QUERY.

        Raises: ArxivRefused.
        """
        if start < 0 or not 0 < size <= LARGEST:
            raise ValueError(f"a page has 1 to {LARGEST} entries from number 0 on, not {size} from {start}")
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise ArxivRefused(
                f"a query has 1 to {LONGEST_QUERY} characters, and this one has {len(query)}; shorten it, or make it two"
            )
        by = "Relevance" if likest_first else "SubmittedDate"
        return self._page({"query": query}, start, size, least=1, by=by)

    def by_ids(self, ids: Sequence[str]) -> Known:
        """The papers that have these ids, each in the version that its id names or else in its newest one, in the order of
        IDS; an id that arXiv does not know is absent.

        Raises: ArxivRefused, also when one of IDS is no arXiv id.
        """
        asked = list(dict.fromkeys(map(_asked, ids)))
        answers = [self._of_ids(asked[at : at + _IDS_AT_ONCE]) for at in range(0, len(asked), _IDS_AT_ONCE)]
        found = {(record.arxiv, record.version): record for known in answers for record in known.records}
        order = {name: place for place, name in reversed(list(enumerate(asked)))}
        return Known(
            tuple(sorted(found.values(), key=lambda record: _place(record, order))),
            tuple(problem for known in answers for problem in known.problems),
            frozenset(one for known in answers for one in known.unsure),
        )

    def _of_ids(self, ids: Sequence[str]) -> Known:
        """What arXiv says of so many IDS as fit into one question. For one that it does not have, it sends nothing, or an
        entry that says nothing, or fewer entries than it counts. So what did not come is asked for again, beside a paper
        that it does have: an answer without that one says nothing either.
        """
        first = self._ids_page(ids)
        missing = _missing(ids, first.records)
        if not missing or not (first.is_short or _unread(first)):
            return Known(first.records)
        witness = list(filter(None, [self._sent or _FIRST.get(self._host)]))
        again = self._ids_page([*missing, *witness])
        if _missing(witness, again.records):
            problem = f"arXiv left out {witness[0]}, which it has, and {len(missing)} that may be there"
            return _unless_empty(Known(first.records, (problem,), frozenset(missing)))
        records = (*first.records, *(record for record in again.records if _is_asked(record, missing)))
        missing = _missing(missing, records)
        return self._one_by_one(records, missing) if missing and _unread(again) else Known(records)

    def _one_by_one(self, records: tuple[Record, ...], missing: Sequence[str]) -> Known:
        """Ask for each of the ids MISSING alone, so that an entry which cannot be read is that of the id."""
        problems: list[str] = []
        unsure = set(missing[_ALONE:])
        for one in missing[:_ALONE]:
            alone = self._ids_page([one])
            records += tuple(record for record in alone.records if _is_asked(record, [one]))
            if _unread(alone):
                problems += _unread(alone)
                unsure.add(one)
        return Known(records, tuple(problems), frozenset(unsure))

    def _ids_page(self, ids: Sequence[str]) -> Batch:
        page = self._page({"id_list": list(ids)}, 0, len(ids), least=0)
        self._sent = page.records[0].arxiv if page.records else self._sent
        return page

    def _page(self, asked: dict[str, Any], start: int, size: int, least: int, by: str = "SubmittedDate") -> Batch:
        import arxiv
        import requests

        from kb.sources.arxiv_wire import Wire

        wire = Wire(
            self.url,
            self._host,
            self._pace,
            least=least,
            waiting=self._waiting,
            pauses=self._pauses,
            limits=self._limits,
        )
        order = arxiv.SortOrder.Descending if by == "Relevance" else arxiv.SortOrder.Ascending
        search = arxiv.Search(**asked, max_results=None, sort_by=arxiv.SortCriterion[by], sort_order=order)
        try:
            results = list(self._client(wire, size).results(search, offset=start))
        except (requests.RequestException, arxiv.ArxivError, ValueError) as error:
            raise ArxivRefused(
                f"arXiv ({self._host}) could not be asked: {error}; try again later", passing=True
            ) from error
        return _batch(wire.feed, results)._replace(said_at=wire.said_at)

    def _client(self, wire: "Wire", size: int) -> Any:
        import arxiv

        client = arxiv.Client(page_size=size, delay_seconds=0, num_retries=0)  # the wire paces and asks again
        client.query_url_format = self.url.replace("{", "{{").replace("}", "}}") + "?{}"
        session = client._session  # the package offers no other way to its adapters
        session.max_redirects = 3
        session.mount("https://", wire)
        session.mount("http://", wire)
        return client


def window(since: datetime, until: datetime) -> str:
    """The part of a query that asks for papers submitted from SINCE to UNTIL, in whole minutes that hold both.

    Raises: ValueError.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise ValueError("a window lies between two moments with a time zone")
    first, last = since.astimezone(UTC), until.astimezone(UTC)
    if last < first:
        raise ValueError(f"a window cannot end ({last}) before it begins ({first})")
    whole = last.replace(second=0, microsecond=0)
    last = whole if whole == last else whole + timedelta(minutes=1)
    return f"submittedDate:[{first:%Y%m%d%H%M} TO {last:%Y%m%d%H%M}]"


def _address(text: str) -> str:
    """TEXT as the address of a query API; one without a path means arXiv's own path.

    Raises: ArxivRefused.
    """
    told = _without_login(text)[:100]
    refused = ArxivRefused(f"{told!r} is no address of an arXiv API; STILLHOLDS_ARXIV_URL has to be like {REAL}")
    try:
        parts = urlsplit(text.strip())
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise refused from None
    if not is_one:
        raise refused
    path = parts.path.rstrip("/")
    path = {"": "/api/query", "/api": "/api/query"}.get(path, path)
    return f"{parts.scheme}://{parts.netloc}{path}"


def _without_login(text: str) -> str:
    """TEXT, which may be no address, without whatever stands in it to log in with."""
    before, _, after = text.rpartition("@")
    scheme = re.match(r"[a-z][a-z0-9+.-]*://", before, re.IGNORECASE)
    return f"{scheme[0] if scheme else ''}{after}"


def _host(url: str) -> str:
    """Who is asked. All of arXiv's machines are one."""
    parts = urlsplit(url)
    name = (parts.hostname or "").rstrip(".")
    return "arxiv.org" if name == "arxiv.org" or name.endswith(".arxiv.org") else parts.netloc.rpartition("@")[2]


def _asked(text: str) -> str:
    named = versioned(text)
    if named is None:
        raise ArxivRefused(f"{text[:60]!r} is no arXiv id; ids are like 2605.25459, 2605.25459v2 or hep-th/9901001")
    return named[0] if named[1] is None else f"{named[0]}v{named[1]}"


def _is_asked(record: Record, ids: Collection[str]) -> bool:
    return record.arxiv in ids or f"{record.arxiv}v{record.version}" in ids


def _missing(ids: Sequence[str], records: Collection[Record]) -> list[str]:
    """Those of IDS that no record has."""
    here = {record.arxiv for record in records} | {f"{record.arxiv}v{record.version}" for record in records}
    return [one for one in ids if one not in here]


def _unread(batch: Batch) -> tuple[str, ...]:
    """What cannot be read in an answer to ids. An entry that says nothing is arXiv's word for an id that it lacks."""
    from kb.sources.arxiv_feed import NOTHING

    return tuple(problem for problem in batch.problems if problem != NOTHING)


def _unless_empty(known: Known) -> Known:
    """What came, if anything did.

    Raises: ArxivRefused.
    """
    if not known.records:
        raise ArxivRefused(f"{known.problems[0]}; try again later", passing=True)
    return known


def _place(record: Record, order: dict[str, int]) -> int:
    places = (order.get(record.arxiv), order.get(f"{record.arxiv}v{record.version}"))
    return min((place for place in places if place is not None), default=len(order))


def _batch(feed: "Feed | None", results: Sequence[Any]) -> Batch:
    read = [_record(result) for result in results]
    records = tuple(each for each in read if isinstance(each, Record))
    problems = (*(feed.problems if feed else ()), *(each for each in read if isinstance(each, str)))
    return Batch(feed.total if feed else len(records), records, problems)


def _record(result: Any) -> Record | str:
    """A result of the package as a record, or what is wrong with it."""
    arxiv, version = versioned(result.entry_id) or ("", None)
    name = f"{arxiv}v{version}"
    title = plain(result.title)
    if not title:
        return f"{name} has no title"
    try:
        return Record(
            arxiv=arxiv,
            version=version or 0,
            title=title,
            authors=tuple(filter(None, (plain(author.name) for author in result.authors))),
            abstract=plain(result.summary),
            categories=tuple(dict.fromkeys(filter(None, (result.primary_category, *result.categories)))),
            comment=plain(result.comment or ""),
            doi=plain(result.doi or ""),
            journal=plain(result.journal_ref or ""),
            published_at=result.published,
            updated_at=result.updated,
        )
    except ValidationError as error:
        return f"{name} cannot be read: {'; '.join(each['msg'] for each in error.errors())}"
