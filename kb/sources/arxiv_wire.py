"""What lies between the `arxiv` package and the network: the pace, the patience, and a strict look at every answer.

The package sends requests without a time limit, takes a page for people for a search without results, and knows no
Retry-After (https://github.com/lukasschwab/arxiv.py). An adapter of its HTTP library does all that.
"""

import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from io import BytesIO
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from kb.errors import ArxivRefused, Held, PaceError
from kb.pace import LONGEST, Pace, Turn, Waiting
from kb.sources.arxiv_feed import Feed, NoFeed, Refusal, read_feed, shown

_BUSY: Final = {429, 503}
_PIECE: Final = 1 << 16


class Limits(NamedTuple):
    """What one answer may take: seconds to be connected, from one byte to the next, and in all; bytes."""

    connect: float = 5.0
    read: float = 30.0
    whole: float = 90.0
    size: int = 32 << 20


class Trouble(Exception):
    """One request came to nothing. `again` says whether it is worth asking once more, `away` is what Retry-After says in
    seconds, `is_busy` that arXiv asks for patience, `is_lost` that nobody knows what it would have said.
    """

    def __init__(
        self,
        said: str,
        *,
        again: bool = False,
        passing: bool = True,
        is_busy: bool = False,
        is_lost: bool = False,
        away: float | None = None,
    ) -> None:
        self.again, self.passing, self.is_busy, self.is_lost, self.away = again, passing, is_busy, is_lost, away
        super().__init__(said)


class Said(NamedTuple):
    """What came over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def understand(said: Said, start: int, least: int, wall: float) -> Feed:
    """The feed in an answer to a request for the results from START on. LEAST is how many entries it must have where
    the total promises as many. WALL is our clock.

    Raises: Trouble.
    """
    if said.status in _BUSY:
        raise _busy(f"is busy (HTTP {said.status})", said, wall)
    try:
        feed = read_feed(said.body, start)
    except Refusal as refusal:
        again = said.status >= 500
        raise Trouble(f"refuses the request, and says: {refusal}", again=again, passing=again) from None
    except NoFeed as error:
        raise _no_feed(error, said, wall) from None
    if said.status != 200:
        raise _status(said.status)
    _check_length(feed, start, least)
    return feed


def _busy(words: str, said: Said, wall: float) -> Trouble:
    return Trouble(words, again=True, is_busy=True, away=retry_after(said.headers, wall))


def _no_feed(error: NoFeed, said: Said, wall: float) -> Trouble:
    if error.is_rate:
        return _busy("is busy (it says that the rate was exceeded)", said, wall)
    if said.status != 200:
        return _status(said.status)
    return Trouble(f"answered with {error}", again=error.is_damage)


def _status(status: int) -> Trouble:
    if status >= 500 or status == 408:
        return Trouble(f"failed (HTTP {status})", again=True)
    return Trouble(f"refuses the request (HTTP {status})", passing=False)


def _check_length(feed: Feed, start: int, least: int) -> None:
    promised = max(feed.total - start, 0)
    if feed.length < min(promised, least):
        raise Trouble(
            f"sent {feed.length or 'no'} entries from number {start} on, though it counts {feed.total} results",
            again=True,
        )


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds that a Retry-After asks for; None where there is none that can be read. A date is taken against the date of
    the answer, so that it does not matter how far the two clocks are apart; WALL is ours, for an answer without one.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), LONGEST)
    until, sent = _date(text), _date(headers.get("Date", ""))
    if until is None:
        return None
    return min(max((until - (sent or datetime.fromtimestamp(wall, UTC))).total_seconds(), 0.0), LONGEST)


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


class _Deadline:
    """Ends a connection when its time is up, whatever it is doing: a handshake too. The time limit of a socket begins anew
    with every byte, so that a slow drip would never end.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._socket: socket.socket | None = None

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        self._let_go()

    def watch(self, connected: socket.socket) -> None:
        """Mind this connection. Encryption takes the socket away from whoever has it, so this keeps a second handle."""
        self._let_go()
        self._socket = connected.dup()
        if self.is_over:  # the timer may have found nothing to end
            self._shut_down()

    def _end(self) -> None:
        self.is_over = True
        self._shut_down()

    def _shut_down(self) -> None:
        watched = self._socket
        if watched is not None:
            with suppress(OSError):  # it has ended by itself
                watched.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _WatchedHttp(HTTPConnection):
    deadline: _Deadline

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.deadline.watch(connected)
        return connected


class _WatchedHttps(HTTPSConnection):
    deadline: _Deadline

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.deadline.watch(connected)
        return connected

    def _tunnel(self) -> None:
        super()._tunnel()
        if self.deadline.is_over:  # it takes an answer that was cut off for one that is whole
            raise TimeoutError


class Wire(HTTPAdapter):
    """One page, asked for at the common pace as often as is decent. `feed` is what came, and `said_at` when, by arXiv's
    clock. PAUSES are the seconds for which everybody stays away after each attempt that failed; the last one, after the
    last, only from a busy arXiv.
    """

    def __init__(
        self,
        home: str,
        host: str,
        pace: Pace,
        *,
        least: int,
        waiting: Waiting,
        pauses: Sequence[float],
        limits: Limits | None,
    ) -> None:
        super().__init__()
        self.feed: Feed | None = None
        self.said_at: datetime | None = None
        self._home, self._host, self._pace = urlsplit(home), host, pace
        self._least, self._waiting, self._pauses, self._limits = least, waiting, pauses, limits or Limits()
        self._deadline = _Deadline(self._limits.whole)

    def send(self, request: requests.PreparedRequest, *_: Any, **how: Any) -> requests.Response:
        """Ask until there is a feed.

        Raises: ArxivRefused.
        """
        request.headers["User-Agent"] = f"stillholds/{version('stillholds')}"
        request.headers["Connection"] = "close"  # one that stayed open between two requests would be a second one
        how |= {"stream": True, "timeout": (self._limits.connect, self._limits.read)}
        try:
            self._check_home(request.url or "")
            return self._ask(request, how)
        except PaceError as error:
            raise self._refused(error) from error

    def _ask(self, request: requests.PreparedRequest, how: Mapping[str, Any]) -> requests.Response:
        pauses = list(self._pauses)
        while True:
            pause = pauses.pop(0)
            with self._pace.turn(self._host, self._waiting) as turn:
                try:
                    return self._asked_once(request, how)
                except Trouble as trouble:
                    is_earned = trouble.is_busy or (trouble.again and bool(pauses))
                    turn.hold(max(trouble.away or 0.0, pause if is_earned else 0.0))
                    if not pauses or not trouble.again or turn.away > self._pace.patience:
                        raise self._given_up(trouble, turn) from trouble

    def _asked_once(self, request: requests.PreparedRequest, how: Mapping[str, Any]) -> requests.Response:
        said = self._fetched(request, how)
        if said.status in {301, 302, 303, 307, 308} and said.headers.get("Location"):
            return _response(request, said)  # the session follows it, and comes back here
        start = int(parse_qs(urlsplit(request.url or "").query).get("start", ["0"])[0])
        self.feed = understand(said, start, self._least, self._pace.clock().wall)
        self.said_at = _date(said.headers.get("Date", ""))
        return _response(request, Said(200, {}, self.feed.content))

    def _fetched(self, request: requests.PreparedRequest, how: Mapping[str, Any]) -> Said:
        self._deadline = _Deadline(self._limits.whole)
        try:
            with self._deadline, super().send(request, **how) as response:
                said = Said(response.status_code, response.headers, self._body(response))
        except requests.RequestException as error:
            raise self._unheard(error) from error
        finally:
            self.close()
        if self._deadline.is_over:  # an answer of no announced length ends like one that is whole
            raise self._overdue()
        return said

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_content(_PIECE):
            body += piece
            if len(body) > self._limits.size:
                raise Trouble(f"sent more than {self._limits.size >> 20} MiB in one answer; the rest was not read")
        return bytes(body)

    def _unheard(self, error: requests.RequestException) -> Trouble:
        if self._deadline.is_over:
            return self._overdue()
        if isinstance(error, requests.ConnectTimeout):
            return Trouble(f"could not be reached in {self._limits.connect:g} seconds", again=True, is_lost=True)
        if isinstance(error, requests.ReadTimeout) or "timed out" in str(error):
            return Trouble(f"said nothing for {self._limits.read:g} seconds", again=True, is_lost=True)
        words = f"could not be reached, or hung up before the end ({_cause(error)})"
        return Trouble(words, again=True, is_lost=True)

    def _overdue(self) -> Trouble:
        return Trouble(f"did not come to the end of its answer in {self._limits.whole:g} seconds", is_lost=True)

    def get_connection_with_tls_context(self, *args: Any, **how: Any) -> HTTPConnectionPool:
        """A connection that the deadline minds."""
        pool = super().get_connection_with_tls_context(*args, **how)
        watched = _WatchedHttps if issubclass(pool.ConnectionCls, HTTPSConnection) else _WatchedHttp
        pool.ConnectionCls = type(watched.__name__, (watched,), {"deadline": self._deadline})
        return pool

    def _check_home(self, address: str) -> None:
        asked = urlsplit(address)
        if (asked.scheme, asked.hostname, asked.port) not in self._at_home():
            raise ArxivRefused(
                f"{self._name} sends us on to {shown(f'{asked.scheme}://{bare(asked.netloc)}')}, and other machines are not "
                "followed; if that is right, name the address in STILLHOLDS_ARXIV_URL",
                passing=True,
            )

    def _at_home(self) -> set[tuple[str, str | None, int | None]]:
        """The address that was asked, and the same machine behind encryption."""
        home = self._home
        return {(home.scheme, home.hostname, home.port), ("https", home.hostname, None)}

    def _given_up(self, trouble: Trouble, turn: Turn) -> ArxivRefused:
        if trouble.away is not None and turn.away > self._pace.patience:
            return self._later(f"{self._name} {trouble}", turn.away)
        hint = "try again later" if trouble.passing else "look at what was asked for, and at STILLHOLDS_ARXIV_URL"
        is_spoilt = not (trouble.is_busy or trouble.is_lost)
        return ArxivRefused(f"{self._name} {trouble}; {hint}", passing=trouble.passing, is_spoilt=is_spoilt)

    def _refused(self, error: PaceError) -> ArxivRefused:
        if isinstance(error, Held):
            return self._later(f"{self._name} asked for patience", error.seconds)
        return ArxivRefused(str(error))

    def _later(self, words: str, seconds: float) -> ArxivRefused:
        at = datetime.fromtimestamp(self._pace.clock().wall + seconds, UTC)
        return ArxivRefused(
            f"{words}; it can be asked again from {at:%Y-%m-%d %H:%M:%S} UTC on", passing=True, resume_at=at
        )

    @property
    def _name(self) -> str:
        return f"arXiv ({bare(self._home.netloc)})"


def bare(netloc: str) -> str:
    """A machine's name and port, without whatever stands before them to log in with."""
    return netloc.rpartition("@")[2]


def _cause(error: BaseException) -> str:
    """What happened in the end, below all that the HTTP library says about it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _response(request: requests.PreparedRequest, said: Said) -> requests.Response:
    response = requests.Response()
    response.status_code = said.status
    response.headers.update(said.headers)
    response.url, response.request = request.url or "", request
    response.raw = BytesIO(said.body)
    return response
