"""A server of ours that speaks arXiv's query API over real HTTP: searches, id lists, pages, sorting, error entries, in the
shape of the Atom that arXiv sends in 2026; and that goes wrong where it is told to.

    with serving([versions(record("2605.00001")), ...]) as arxiv:
        Arxiv(arxiv.url, ...).search("cat:cs.LG")
        arxiv.requests      # [Served(start, end, path, params), ...]: monotonic seconds, in the order of their ends
        arxiv.papers.append(versions(record("2605.00002")))  # a paper appears while it runs

A paper is the sequence of its versions, oldest first: the newest is served, and in an id list `ID` + `vN` serves that one.

Faults stand by the number of the request, from 1, or by a predicate of what is asked; the first that fits is played:

    serving(papers, faults={2: too_many(retry_after=1), lambda asked: asked.start == 100: empty_page()})

A fault is a function from `Asked` to the `Answer` that is sent; `asked.answer()` is the right one. `arxiv.faults` may be
changed while the server runs.
"""

import gzip
import re
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

from kb.sources.arxiv_record import Record

PATH = "/api/query"
LARGEST_PAGE = 2000

Versions = Sequence[Record]


# --- papers ----------------------------------------------------------------------------------------------------------

DAWN = datetime(2026, 5, 4, 6, tzinfo=UTC)


def record(arxiv: str = "2605.00001", version: int = 1, **changes: Any) -> Record:
    """A plain paper of ours, with CHANGES."""
    plain: dict[str, Any] = {
        "title": f"What the paper {arxiv} shows",
        "authors": ("Ada Vogel", "Bo Lindqvist"),
        "abstract": f"We train small models on the task {arxiv} and watch their entropy fall.",
        "categories": ("cs.LG", "cs.CL"),
        "published_at": DAWN,
        "updated_at": changes.get("published_at", DAWN) + timedelta(days=version - 1),
    }
    return Record(arxiv=arxiv, version=version, **{**plain, **changes})


def versions(*records: Record) -> list[Record]:
    """One paper in all its versions."""
    return sorted(records, key=lambda each: each.version)


def many(count: int, *, every: timedelta = timedelta(minutes=10), since: datetime = DAWN) -> list[list[Record]]:
    """COUNT papers with one version each, EVERY so often."""
    return [
        versions(record(f"2605.{number:05d}", published_at=since + number * every)) for number in range(1, count + 1)
    ]


# --- what is asked, and what is sent ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What goes over the wire. `length` is announced in place of the body's own; the connection closes after `cut`
    bytes; the body is sent in pieces of `piece` bytes with `pause` seconds between them; nothing at all is sent for
    `silence` seconds, or, where it `murmurs`, a header that does not end, and then the connection is closed.
    """

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    cut: int | None = None
    piece: int = 1 << 16
    pause: float = 0
    silence: float | None = None
    murmurs: bool = False


@dataclass(frozen=True)
class Asked:
    """One request. `papers` are those of the server at that moment."""

    number: int
    path: str
    params: Mapping[str, str]
    papers: Sequence[Versions]

    @property
    def start(self) -> int:
        """The number of results that are left out."""
        return int(self.params.get("start") or 0)

    def answer(self, **changed: object) -> Answer:
        """The right answer; with CHANGED, the one to other parameters."""
        params = {**self.params, **{name: str(value) for name, value in changed.items()}}
        return respond(params, self.papers)


When = int | Callable[[Asked], bool]
Fault = Callable[[Asked], Answer]


# --- faults ----------------------------------------------------------------------------------------------------------


def too_many(retry_after: object = None, status: int = 429) -> Fault:
    """Ask for patience: in seconds, or as an HTTP date, or without saying for how long."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return lambda _: Answer(b"Rate exceeded.", status, {"Content-Type": "text/plain", **headers})


def unavailable(retry_after: object = None) -> Fault:
    """Have no time at the moment."""
    return too_many(retry_after, 503)


def broken(status: int = 500) -> Fault:
    """Fail, with a page that says so."""
    return html(status)


def html(status: int = 200) -> Fault:
    """A page for people in place of a feed."""
    page = b"<!DOCTYPE html>\n<html><head><title>Are you a robot?</title></head><body>Tick the box.</body></html>"
    return lambda _: Answer(page, status, {"Content-Type": "text/html; charset=utf-8"})


def said(words: str, status: int = 200) -> Fault:
    """An error entry of arXiv's."""
    return lambda _: _error(words, status)


def empty_page() -> Fault:
    """No entries, though the total promises some."""
    return _body(lambda body: re.sub(rb"\s*<entry>.*?</entry>", b"", body, flags=re.DOTALL))


def another_total(total: int) -> Fault:
    """Another total than on the pages beside it."""
    element = b"<opensearch:totalResults>%d</opensearch:totalResults>" % total
    return _body(lambda body: re.sub(rb"<opensearch:totalResults>\d+</opensearch:totalResults>", element, body))


def counts_ids() -> Fault:
    """A total of as many papers as ids were asked for, those among them that arXiv does not have."""
    return lambda asked: another_total(len(asked.params["id_list"].split(",")))(asked)


def says_nothing() -> Fault:
    """For each paper that arXiv does not have an entry that says nothing, which counts."""
    nothing = b"<entry>\n    <title/>\n    <summary/>\n    <published/>\n    <author>\n      <name/>\n    </author>\n  </entry>\n"

    def play(asked: Asked) -> Answer:
        answer = counts_ids()(asked)
        missing = len(asked.params["id_list"].split(",")) - answer.body.count(b"<entry>")
        return replace(answer, body=answer.body.replace(b"</feed>", nothing * missing + b"</feed>"))

    return play


def said_again(count: int) -> Fault:
    """A page whose first COUNT papers stood on the page before."""
    return lambda asked: asked.answer(start=max(0, asked.start - count))


def truncated(share: float = 0.6) -> Fault:
    """XML that ends too soon, with a length that fits it."""
    return _body(lambda body: body[: int(len(body) * share)])


def not_utf8() -> Fault:
    """Latin-1 where UTF-8 is announced."""
    return _body(lambda body: body.replace(b"</title>", "é</title>".encode("latin-1")))


def replaced(old: bytes, new: bytes) -> Fault:
    """Other bytes in place of some of the body's."""
    return _body(lambda body: body.replace(old, new))


def entities() -> Fault:
    """A file of the reader's machine, as an entity in the first title."""
    declared = b'<!DOCTYPE feed [<!ENTITY file SYSTEM "file:///etc/hostname">]>'
    return _body(lambda body: _declaring(body, declared, b"&file;"))


def billion_laughs() -> Fault:
    """Entities of entities, ten to the ninth of them."""
    levels = [b'<!ENTITY l0 "ha">']
    levels += [b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)]
    return _body(lambda body: _declaring(body, b"<!DOCTYPE feed [%s]>" % b"".join(levels), b"&l9;"))


def drops(after: int = 300) -> Fault:
    """A connection that closes in the middle of the body."""
    return lambda asked: replace(asked.answer(), cut=after)


def silent(seconds: float = 60) -> Fault:
    """A connection that is taken and never answered."""
    return lambda _: Answer(b"", silence=seconds)


def drip(pause: float = 0.05, piece: int = 1) -> Fault:
    """The right answer, so slowly that no single read ever times out."""
    return lambda asked: replace(asked.answer(), pause=pause, piece=piece)


def murmurs(seconds: float = 60) -> Fault:
    """An answer that never comes to the end of its headers."""
    return lambda _: Answer(b"", silence=seconds, murmurs=True)


def endless(length: int = 1 << 30) -> Fault:
    """A feed that begins well and grows to LENGTH bytes of nothing."""
    return lambda asked: replace(asked.answer(), body=asked.answer().body[:200] + b" " * (64 << 20), length=length)


def inflated(size: int = 64 << 20) -> Fault:
    """A small answer that unpacks to SIZE bytes."""
    packed = gzip.compress(b" " * size)
    return lambda _: Answer(packed, headers={**_ATOM, "Content-Encoding": "gzip"})


def skewed(by: timedelta = timedelta(days=1)) -> Fault:
    """The right answer, from a server whose clock is off."""
    return lambda asked: replace(asked.answer(), headers={"Date": http_date(datetime.now(UTC) + by)})


def moved(to: str, status: int = 301) -> Fault:
    """An address elsewhere."""
    return lambda _: Answer(b"", status, {"Location": to})


def in_turn(*faults: Fault | None) -> Fault:
    """One fault for each request that meets this one, None for the right answer; the last one for all that follow."""
    waiting = list(faults)

    def play(asked: Asked) -> Answer:
        fault = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return fault(asked) if fault else asked.answer()

    return play


def http_date(at: datetime) -> str:
    """A moment as HTTP headers write it."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _body(change: Callable[[bytes], bytes]) -> Fault:
    def play(asked: Asked) -> Answer:
        answer = asked.answer()
        return replace(answer, body=change(answer.body))

    return play


def _declaring(body: bytes, declared: bytes, used: bytes) -> bytes:
    head, rest = body.split(b"\n", 1)
    return head + b"\n" + declared + b"\n" + rest.replace(b"</title>", used + b"</title>")


# --- queries ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r'\s*(?:(\()|(\))|(AND|ANDNOT|OR)\b|(?:(\w+):)?(?:"([^"]*)"|\[(\d{12}) TO (\d{12})\]|([^\s()"\[\]]+)))'
)
_TEXTS: dict[str, Callable[[Record], str]] = {
    "ti": lambda paper: paper.title,
    "abs": lambda paper: paper.abstract,
    "au": lambda paper: " ; ".join(paper.authors),
    "co": lambda paper: paper.comment,
    "jr": lambda paper: paper.journal,
    "id": lambda paper: paper.arxiv,
}

Matches = Callable[[Record], bool]


class Malformed(Exception):
    """A request that arXiv refuses; the words are its own."""


def understood(query: str) -> Matches:
    """What QUERY asks of a paper: AND and ANDNOT bind closer than OR; a word without a field is looked for everywhere.

    Raises: Malformed.
    """
    tokens = _tokens(query)
    matches = _either(tokens)
    if tokens:
        raise Malformed("malformed query")
    return matches


def _tokens(query: str) -> list[re.Match[str]]:
    found, at = [], 0
    while query[at:].strip():
        token = _TOKEN.match(query, at)
        if token is None:
            raise Malformed("malformed query")
        found.append(token)
        at = token.end()
    return found


def _either(tokens: list[re.Match[str]]) -> Matches:
    sides = [_both(tokens)]
    while tokens and tokens[0][3] == "OR":
        tokens.pop(0)
        sides.append(_both(tokens))
    return lambda paper: any(side(paper) for side in sides)


def _both(tokens: list[re.Match[str]]) -> Matches:
    sides = [(True, _one(tokens))]
    while tokens and tokens[0][3] in {"AND", "ANDNOT"}:
        wanted = tokens.pop(0)[3] == "AND"
        sides.append((wanted, _one(tokens)))
    return lambda paper: all(side(paper) == wanted for wanted, side in sides)


def _one(tokens: list[re.Match[str]]) -> Matches:
    if not tokens or tokens[0][2] or tokens[0][3]:
        raise Malformed("malformed query")
    token = tokens.pop(0)
    if not token[1]:
        return _term(token)
    inner = _either(tokens)
    if not tokens or not tokens.pop(0)[2]:
        raise Malformed("malformed query")
    return inner


def _term(token: re.Match[str]) -> Matches:
    name, phrase, since, until, word = token[4] or "all", token[5], token[6], token[7], token[8]
    if since:
        return _dated(name, since, until)
    text = word if phrase is None else phrase
    if name == "cat":
        return lambda paper: any(_like(category, text) for category in paper.categories)
    if name == "all":
        return lambda paper: any(_says(read(paper), text) for read in _TEXTS.values())
    if name not in _TEXTS:
        raise Malformed(f"unknown field {name}")
    return lambda paper: _says(_TEXTS[name](paper), text)


def _dated(name: str, since: str, until: str) -> Matches:
    """Both minutes are part of the window."""
    if name not in {"submittedDate", "lastUpdatedDate"}:
        raise Malformed(f"unknown field {name}")
    try:
        first, last = (datetime.strptime(at, "%Y%m%d%H%M").replace(tzinfo=UTC) for at in (since, until))
    except ValueError:
        raise Malformed("malformed date") from None
    after = last + timedelta(minutes=1)
    return lambda paper: first <= (paper.published_at if name == "submittedDate" else paper.updated_at) < after


def _like(whole: str, asked: str) -> bool:
    whole, asked = whole.casefold(), asked.casefold()
    return whole.startswith(asked[:-1]) if asked.endswith("*") else whole == asked


def _says(text: str, phrase: str) -> bool:
    said, asked = re.findall(r"\w+", text.casefold()), re.findall(r"[^\W_]+\*?", phrase.casefold())
    ends = range(len(said) - len(asked) + 1)
    return bool(asked) and any(all(map(_like, said[at : at + len(asked)], asked)) for at in ends)


# --- answers ---------------------------------------------------------------------------------------------------------

_ID = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Za-z]{2})?/\d{7})(?:v(\d+))?")
_SORTS: dict[str, Callable[[Record], Any]] = {
    "relevance": lambda paper: -len(paper.title.split()),  # what was asked for is more of a short title
    "submittedDate": lambda paper: (paper.published_at, paper.arxiv),
    "lastUpdatedDate": lambda paper: (paper.updated_at, paper.arxiv),
}
_HEAD = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    '<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom"'
    ' xmlns="http://www.w3.org/2005/Atom">'
)


def respond(params: Mapping[str, str], papers: Sequence[Versions]) -> Answer:
    """What arXiv would say."""
    try:
        start, size = _number(params, "start", 0), _number(params, "max_results", 10)
        if size > LARGEST_PAGE:
            raise Malformed(f"max_results must not be larger than {LARGEST_PAGE}")
        found = _sorted(_found(params, papers), params)
    except Malformed as refused:
        return _error(str(refused), 400)
    entries = "".join(map(entry, found[start : start + size]))
    return Answer(_feed(params, (len(found), start, size), entries), headers=_ATOM)


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name) or str(default)
    if not text.isdecimal():
        raise Malformed(f"{name} must be a non-negative integer")
    return int(text)


def _found(params: Mapping[str, str], papers: Sequence[Versions]) -> list[Record]:
    query, ids = params.get("search_query", "").strip(), [each for each in params.get("id_list", "").split(",") if each]
    newest = [paper[-1] for paper in papers]
    chosen = _by_ids(ids, papers) if ids else newest
    matches = understood(query) if query else None
    if matches is None:
        return chosen if ids else []
    return [paper for paper in chosen if matches(paper)]


def _by_ids(ids: Sequence[str], papers: Sequence[Versions]) -> list[Record]:
    known = {each.arxiv: paper for paper in papers for each in paper}
    chosen = []
    for asked in dict.fromkeys(ids):
        parsed = _ID.fullmatch(asked)
        if parsed is None:
            raise Malformed(f"incorrect id format for {asked}")
        paper = known.get(parsed[1], ())
        chosen += [each for each in paper if each.version == int(parsed[2])] if parsed[2] else paper[-1:]
    return chosen


def _sorted(found: list[Record], params: Mapping[str, str]) -> list[Record]:
    by = _SORTS.get(params.get("sortBy", ""))
    return sorted(found, key=by, reverse=params.get("sortOrder") != "ascending") if by else found


_ATOM = {"Content-Type": "application/atom+xml; charset=utf-8"}


def _feed(params: Mapping[str, str], counts: tuple[int, int, int], entries: str) -> bytes:
    total, start, size = counts
    asked = "&".join(f"{name}={params.get(name, '')}" for name in ("search_query", "id_list", "start", "max_results"))
    return (
        f"{_HEAD}\n  <id>https://arxiv.org/api/ours</id>\n  <title>arXiv Query: {escape(asked)}</title>\n"
        f"  <updated>2026-11-22T00:00:00Z</updated>\n"
        f'  <link href={quoteattr("https://arxiv.org/api/query?" + asked)} type="application/atom+xml"/>\n'
        f"  <opensearch:itemsPerPage>{size}</opensearch:itemsPerPage>\n"
        f"  <opensearch:totalResults>{total}</opensearch:totalResults>\n"
        f"  <opensearch:startIndex>{start}</opensearch:startIndex>{entries}\n</feed>\n"
    ).encode()


def _error(words: str, status: int) -> Answer:
    address = "https://arxiv.org/api/errors#" + re.sub(r"\W+", "_", words)
    entries = (
        f"\n  <entry>\n    <id>{address}</id>\n    <title>Error</title>\n    <updated>2026-11-22T00:00:00Z</updated>\n"
        f'    <link href="{address}" rel="alternate" type="text/html"/>\n    <summary>{escape(words)}</summary>\n'
        "    <author>\n      <name>arXiv api core</name>\n    </author>\n  </entry>"
    )
    return Answer(_feed({}, (1, 0, 1), entries), status, _ATOM)


def entry(paper: Record) -> str:
    """One entry of a feed."""
    at = f"arxiv.org/abs/{paper.arxiv}v{paper.version}"
    lines = [
        f"<id>http://{at}</id>",
        f"<title>{escape(paper.title)}</title>",
        f"<updated>{paper.updated_at:%Y-%m-%dT%H:%M:%SZ}</updated>",
        f'<link href="https://{at}" rel="alternate" type="text/html"/>',
        f'<link href="https://{at.replace("/abs/", "/pdf/")}" rel="related" type="application/pdf" title="pdf"/>',
        f"<summary>{escape(paper.abstract)}</summary>",
        *(f'<category term={quoteattr(each)} scheme="http://arxiv.org/schemas/atom"/>' for each in paper.categories),
        f"<published>{paper.published_at:%Y-%m-%dT%H:%M:%SZ}</published>",
        *([f"<arxiv:comment>{escape(paper.comment)}</arxiv:comment>"] if paper.comment else []),
        *(f"<arxiv:primary_category term={quoteattr(each)}/>" for each in paper.categories[:1]),
        *([f"<arxiv:journal_ref>{escape(paper.journal)}</arxiv:journal_ref>"] if paper.journal else []),
        *(f"<author>\n      <name>{escape(name)}</name>\n    </author>" for name in paper.authors),
        *([f"<arxiv:doi>{escape(paper.doi)}</arxiv:doi>"] if paper.doi else []),
    ]
    return "\n  <entry>\n" + "".join(f"    {line}\n" for line in lines) + "  </entry>"


# --- the server ------------------------------------------------------------------------------------------------------


class Served(NamedTuple):
    """One request that has come to its end, in monotonic seconds of this machine."""

    start: float  # its last line was read
    end: float  # the last byte was sent, or the connection given up
    path: str
    params: dict[str, str]


class Server:
    """What a test sees of the server. `begun` counts requests that came in, ended or not; `most_at_once` is the largest
    number of connections that were open together.
    """

    def __init__(self, url: str, papers: Sequence[Versions], faults: Mapping[When, Fault]) -> None:
        self.url = url
        self.papers: list[Versions] = list(papers)
        self.faults: dict[When, Fault] = dict(faults)
        self.headers: list[dict[str, str]] = []  # of the requests that came in, in their order
        self.begun = 0
        self._served: list[Served] = []
        self.connections = self.most_at_once = 0
        self.arrived = threading.Condition()
        self._stopping = threading.Event()

    @property
    def requests(self) -> list[Served]:
        """The requests that have come to their end. Waits a moment for one whose last byte is already with the client."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self._served) == self.begun, timeout=0.5)
            return list(self._served)

    @property
    def gaps(self) -> list[float]:
        """Seconds from the end of each request to the start of the next."""
        served = sorted(self.requests, key=lambda each: each.start)
        return [after.start - before.end for before, after in pairwise(served)]

    def wait_for(self, count: int, timeout: float = 30) -> None:
        """Wait until COUNT requests came in, whether or not they were answered."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.begun >= count, timeout), f"{self.begun} of {count} requests came"

    def stop(self) -> None:
        """Let go of every request that is held up."""
        self._stopping.set()

    def pause(self, seconds: float) -> bool:
        """Wait, but no longer than the server lives; whether it lives on."""
        return not self._stopping.wait(seconds)

    def begin(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Asked:
        """Take note of a request that came in."""
        with self.arrived:
            self.begun += 1
            self.headers.append(headers)
            self.arrived.notify_all()
            return Asked(self.begun, path, params, list(self.papers))

    def end(self, served: Served) -> None:
        """Take note of a request that came to its end."""
        with self.arrived:
            self._served.append(served)
            self.arrived.notify_all()

    def chosen(self, asked: Asked) -> Answer:
        """What is sent: the right answer, or what the first fault that fits makes of it."""
        fits = (
            fault
            for when, fault in list(self.faults.items())
            if (when(asked) if callable(when) else when == asked.number)
        )
        fault = next(fits, None)
        return fault(asked) if fault else asked.answer()

    def connected(self, by: int) -> None:
        """Count a connection that was opened or closed."""
        with self.arrived:
            self.connections += by
            self.most_at_once = max(self.most_at_once, self.connections)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open unless the client asks otherwise, as arXiv's do
    ours: Server

    def setup(self) -> None:
        super().setup()
        self.ours.connected(1)

    def finish(self) -> None:
        self.ours.connected(-1)
        super().finish()

    def do_GET(self) -> None:
        start = time.monotonic()
        address = urlsplit(self.path)
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        asked = self.ours.begin(address.path, params, dict(self.headers))
        try:
            self._send(self.ours.chosen(asked) if address.path == PATH else Answer(b"not found", 404))
        except OSError:
            self.close_connection = True  # the client went away: its right
        finally:
            self.ours.end(Served(start, time.monotonic(), address.path, params))

    def _send(self, answer: Answer) -> None:
        if answer.silence is not None:
            self._say_nothing(answer.silence, b"x" if answer.murmurs else b"")
            return
        self._send_head(answer)
        body = answer.body[: answer.cut]
        for at in range(0, len(body), answer.piece):
            if answer.pause and not self.ours.pause(answer.pause):
                break
            self.wfile.write(body[at : at + answer.piece])
        self.close_connection = self.close_connection or answer.cut is not None or answer.length is not None

    def _say_nothing(self, seconds: float, murmur: bytes) -> None:
        until = time.monotonic() + seconds
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: " if murmur else b"")
        while time.monotonic() < until and self.ours.pause(0.01):
            if select.select([self.connection], [], [], 0)[0]:  # nobody asks twice on one connection: they hung up
                return
            self.wfile.write(murmur)

    def _send_head(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        length = len(answer.body) if answer.length is None else answer.length
        for name, value in {"Date": self.date_time_string(), "Content-Length": length, **answer.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the parent's name
        """Say nothing: a test's output is its own."""


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request that is held up must not hold up the end of a test

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle of a line is no news."""


@contextmanager
def serving(papers: Sequence[Versions] = (), *, faults: Mapping[When, Fault] | None = None) -> Iterator[Server]:
    """Serve PAPERS at a free port of this machine, with FAULTS, for as long as the block lasts."""
    handler = type("_OfOne", (_Handler,), {})
    with _Threads(("127.0.0.1", 0), handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}{PATH}", papers, faults or {})
        handler.ours = server
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            http.shutdown()
            thread.join()
