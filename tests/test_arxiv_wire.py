"""What arXiv says, over real HTTP: right records from right answers, and one clear message from everything else.

Every test asks a server of ours. `pytest --arxiv-live tests/test_arxiv_wire.py` asks the real arXiv in those whose papers
are real ones, at its pace.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kb.pace import Moment, Pace
from kb.sources.arxiv import REAL, Arxiv, ArxivRefused, window
from kb.sources.arxiv_feed import NoFeed, Refusal, read_feed
from kb.sources.arxiv_record import Record
from kb.sources.arxiv_wire import Limits, _Deadline, retry_after
from tests.arxiv_server import (
    DAWN,
    Answer,
    Fault,
    Server,
    another_total,
    billion_laughs,
    broken,
    counts_ids,
    drip,
    drops,
    empty_page,
    endless,
    entities,
    entry,
    html,
    http_date,
    inflated,
    many,
    moved,
    murmurs,
    not_utf8,
    record,
    replaced,
    respond,
    said,
    said_again,
    says_nothing,
    serving,
    silent,
    skewed,
    too_many,
    truncated,
    unavailable,
    versions,
)

SOON = Limits(connect=2, read=0.8, whole=1.0, size=1 << 20)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

Ask = Callable[..., Arxiv]


@pytest.fixture
def asking(tmp_path: Path) -> Ask:
    """arXiv at an address, asked without a pause, and given up soon."""

    def made(server: Server, **how: object) -> Arxiv:
        return Arxiv(server.url, **{"pace": Pace(0, folder=tmp_path), "pauses": (0, 0, 0), "limits": SOON, **how})

    return made


# --- right answers ---------------------------------------------------------------------------------------------------


def test_a_record_has_all_that_arxiv_says(asking: Ask) -> None:
    paper = record(
        "hep-th/9901001",
        3,
        title="A bound on $\\Delta S$ & more",
        authors=tuple(f"Person Number{each}" for each in range(40)),
        abstract="We show that $x < y$.",
        categories=("hep-th", "cs.LG", "68T05"),
        comment="12 pages; v3 <mends> a proof",
        doi="10.1000/182",
        journal="J. Test. 1 (1999) 1",
    )
    with serving([versions(paper)]) as server:
        assert asking(server).search("all:bound")[:3] == (1, (paper,), ())


def test_text_comes_on_one_line(asking: Ask) -> None:
    paper = record(
        title="Entropy of\n  $\\pi_\\theta$\n  falls", abstract="  One.\n\n  Two.", authors=("Ada\n Vogel", " ")
    )
    with serving([versions(paper)]) as server:
        (read,) = asking(server).search("all:entropy").records
    assert (read.title, read.abstract, read.authors) == ("Entropy of $\\pi_\\theta$ falls", "One. Two.", ("Ada Vogel",))


def test_nothing_in_a_text_turns_the_direction_of_what_follows(asking: Ask) -> None:
    written = record(
        title="Good \u202e\u2066elif.exe\u200b", authors=("\u200fAda\u061c Vogel",), abstract="\ufeffBees."
    )
    with serving([versions(written)]) as server:
        (read,) = asking(server).search("all:good").records
    assert (read.title, read.authors, read.abstract) == ("Good elif.exe", ("Ada Vogel",), "Bees.")


def test_a_search_begins_with_what_was_submitted_first(asking: Ask) -> None:
    papers = many(25)
    with serving(papers[::-1]) as server:
        pages = [asking(server).search("cat:cs.LG", start, 10) for start in (0, 10, 20, 30)]
        assert [record for page in pages for record in page.records] == [paper[0] for paper in papers]
        assert [(page.total, page.length) for page in pages] == [(25, 10), (25, 10), (25, 5), (25, 0)]
        assert len(server.requests) == 4
        assert server.requests[1].params["start"] == "10"


def test_a_date_in_the_future_stays_as_arxiv_says_it(asking: Ask) -> None:
    paper = record(published_at=datetime(2099, 1, 1, tzinfo=UTC))
    with serving([versions(paper)]) as server:
        assert asking(server).search("all:paper").records == (paper,)


def test_ids_are_asked_for_in_every_form(asking: Ask) -> None:
    old, new = [record("hep-th/9901001", each) for each in (1, 2)], [record("2605.25459", each) for each in (1, 2, 3)]
    with serving([old, new]) as server:
        asked = [
            "2605.25459v2",
            "https://arxiv.org/abs/hep-th/9901001",
            "2605.99999",
            "arXiv:2605.25459",
            "2605.25459v9",
        ]
        assert asking(server).by_ids(asked).records == (new[1], old[1], new[2])
        assert asking(server).by_ids([]).records == ()
        assert len(server.requests) == 1


def test_an_old_id_with_a_subject_class_is_the_one_without(asking: Ask) -> None:
    paper = record("math/0309136")
    with serving([versions(paper)]) as server:
        assert asking(server).by_ids(["math.GT/0309136v1"]).records == (paper,)


def test_many_ids_are_asked_for_a_hundred_at_a_time(asking: Ask) -> None:
    papers = many(250)
    with serving(papers) as server:
        found = asking(server).by_ids([paper[0].arxiv for paper in reversed(papers)]).records
        assert found == tuple(paper[0] for paper in reversed(papers))
        assert [served.params["id_list"].count(",") + 1 for served in server.requests] == [100, 100, 50]


def test_a_duplicate_and_a_changing_total_are_passed_on_as_they_are(asking: Ask) -> None:
    with serving(many(20), faults={2: said_again(3), 3: another_total(500)}) as server:
        first, second, third = (asking(server).search("cat:cs.LG", start, 10) for start in (0, 10, 10))
    assert first.records[-3:] == second.records[:3]
    assert (first.total, second.total, third.total) == (20, 20, 500)
    assert third.length == 10


@pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=-1)])
def test_a_server_whose_clock_is_off_is_read_all_the_same(asking: Ask, by: timedelta) -> None:
    with serving(many(3), faults={1: skewed(by)}) as server:
        batch = asking(server).search("cat:cs.LG")
    assert batch.length == 3
    assert batch.said_at is not None
    assert abs(batch.said_at - by - datetime.now(UTC)) < timedelta(minutes=5)


def test_who_asks_says_so_and_hangs_up(asking: Ask) -> None:
    with serving(many(1)) as server:
        for _ in range(3):
            asking(server).search("cat:cs.LG")
        assert all(headers["User-Agent"].startswith("stillholds/") for headers in server.headers)
        assert {headers["Connection"] for headers in server.headers} == {"close"}
        assert server.most_at_once == 1


# --- entries that cannot be read -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"<published>2026-05-04T06:20", b"<published>2026-05-05T06:20", "2605.00002v1 .* dated before its first one"),
        (b"<published>2026-05-04T06:20:00Z</published>", b"", "2605.00002v1 has no date .* <published>: ''"),
        (b"<updated>2026-05-04T06:20:00Z", b"<updated>today", "2605.00002v1 has no date .* <updated>: 'today'"),
        (b"What the paper 2605.00002 shows", b" ", "2605.00002v1 has no title"),
        (
            b"/abs/2605.00002v1<",
            b"/abs/2605.00002<",
            "an entry is called 'http.*2605.00002', which is no id with a ver",
        ),
        (b"/abs/2605.00002v1<", b"/abs/2605.00002v0<", "an entry is called"),
        (b"<id>http://arxiv.org/abs/2605.00002v1</id>", b"", "an entry is called ''"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_and_the_others_are_given(
    asking: Ask, old: bytes, new: bytes, problem: str
) -> None:
    papers = many(3)
    with serving(papers, faults={1: replaced(old, new)}) as server:
        batch = asking(server).search("cat:cs.LG")
    assert batch.records == (papers[0][0], papers[2][0])
    assert (batch.total, batch.length, len(batch.problems)) == (3, 3, 1)
    assert re.search(problem, batch.problems[0])


def test_an_entry_that_cannot_be_read_is_never_taken_for_an_unknown_id(asking: Ask) -> None:
    spoilt = replaced(b"What the paper 2605.00002 shows", b"")
    with serving(many(3), faults={lambda _: True: spoilt}) as server:
        known = asking(server).by_ids(["2605.00001", "2605.00002", "2605.77777"])
    assert known.ids == {"2605.00001"}
    assert known.problems == ("2605.00002v1 has no title",)
    assert known.unsure == {"2605.00002"}  # and not the other one, which was asked for alone


def test_of_many_ids_that_an_entry_may_be_about_only_some_are_asked_for_alone(asking: Ask) -> None:
    absent = [f"2605.7{number:04d}" for number in range(20)]
    with serving(many(3), faults={lambda _: True: replaced(b"What the paper 2605.00002 shows", b"")}) as server:
        known = asking(server).by_ids(["2605.00001", "2605.00002", *absent])
        assert len(server.requests) == 2 + 12
    assert known.unsure == {"2605.00002", *absent[11:]}


def test_an_entry_that_says_nothing_is_a_paper_that_arxiv_does_not_have(asking: Ask) -> None:
    with serving(many(3), faults={lambda _: True: says_nothing()}) as server:
        known = asking(server).by_ids(["2605.00001", "2605.77777", "2605.00002"])
        assert len(server.requests) == 1
        assert asking(server).by_ids(["2605.77777"]) == ((), (), frozenset())
    assert (known.ids, known.problems, known.unsure) == ({"2605.00001", "2605.00002"}, (), frozenset())


def test_an_entry_that_says_nothing_is_told_of_a_search(asking: Ask) -> None:
    nothing = replaced(entry(many(2)[1][0]).encode(), b"<entry><title/></entry>")
    with serving(many(2), faults={1: nothing}) as server:
        batch = asking(server).search("cat:cs.LG")
    assert (batch.length, batch.problems) == (2, ("an entry has neither an id nor a title",))


# --- what goes wrong, and passes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "again", "message"),
    [
        (too_many(), True, r"is busy \(HTTP 429\); try again later"),
        (too_many(retry_after=0), True, "is busy"),
        (too_many(retry_after="when it suits"), True, "is busy"),
        (unavailable(), True, r"is busy \(HTTP 503\)"),
        (lambda _: Answer(b"Rate exceeded."), True, "is busy .*rate was exceeded"),
        (broken(), True, r"failed \(HTTP 500\)"),
        (broken(502), True, r"failed \(HTTP 502\)"),
        (said("internal error", status=500), True, "refuses the request, and says: internal error"),
        (empty_page(), True, "sent no entries from number 10 on, though it counts 25 results"),
        (truncated(), True, "a feed that is cut off or damaged"),
        (not_utf8(), True, r"text that is not UTF-8 \(at byte \d+\)"),
        (drops(), True, "hung up before the end"),
        (drops(0), True, "hung up before the end"),
        (silent(), True, r"said nothing for 0\.8 seconds"),
        (html(), False, "a page that is no feed: '<!DOCTYPE html> <html><head><title>Are you a robot"),
        (lambda _: Answer(b""), False, "a page that is no feed: ''"),
        (lambda _: Answer(b"{}"), False, "a page that is no feed: '{}'"),
        (lambda _: Answer(b"<feedback/>"), False, "a page that is no feed: '<feedback/>'"),
        (entities(), False, "declares entities"),
        (billion_laughs(), False, "declares entities"),
        (replaced(b"opensearch:totalResults", b"opensearch:totalBananas"), False, "does not say how many results"),
        (replaced(b">25</opensearch:total", b">25e3</opensearch:total"), False, "does not say how many results"),
        (drip(), False, "did not come to the end of its answer in 1 seconds"),
        (murmurs(), False, "did not come to the end of its answer in 1 seconds"),
        (inflated(), False, "sent more than 1 MiB in one answer; the rest was not read"),
        (endless(), False, "sent more than 1 MiB in one answer; the rest was not read"),
        (moved("http://127.0.0.1:9/api/query"), False, "sends us on to http://127.0.0.1:9, and other machines"),
        (moved("http://example.org/api/query"), False, "sends us on to http://example.org, and other machines"),
    ],
)
def test_trouble_that_may_pass_is_said_and_loses_nothing(asking: Ask, fault: Fault, again: bool, message: str) -> None:
    papers = many(25)
    with serving(papers) as server:
        arxiv = asking(server)
        first = arxiv.search("cat:cs.LG", 0, 10)
        server.faults = dict.fromkeys(range(2, 9), fault)
        with pytest.raises(ArxivRefused, match=message) as refused:
            arxiv.search("cat:cs.LG", 10, 10)
        assert refused.value.passing
        assert refused.value.resume_at is None
        assert "arXiv (127.0.0.1:" in str(refused.value)
        assert len(server.requests) == 1 + (3 if again else 1)
        server.faults = {}
        following = arxiv.search("cat:cs.LG", 10, 10)
        assert [*first.records, *following.records] == [paper[0] for paper in papers[:20]]
        server.faults = {len(server.requests) + 1: fault}
        if again:
            assert arxiv.search("cat:cs.LG", 10, 10).records == following.records


@contextmanager
def dripping(begin: bytes, seconds: float = 6) -> Iterator[int]:
    """The port of somebody who sends BEGIN, and then one byte after the other."""

    def drip_on(one: socket.socket) -> None:
        until = time.monotonic() + seconds
        with one, suppress(OSError):
            one.sendall(begin)
            while time.monotonic() < until:
                time.sleep(0.1)
                one.sendall(b"x")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip_on, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


HANDSHAKE = b"\x16\x03\x03\x40\x00\x02"  # a record of 16 KiB, of which the rest is to come


@pytest.mark.parametrize("is_proxy", [False, True], ids=["handshake", "proxy"])
def test_a_connection_that_is_never_made_ends_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_proxy: bool
) -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nVia: " if is_proxy else HANDSHAKE) as port:
        if is_proxy:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        url = "https://arxiv.example" if is_proxy else f"https://127.0.0.1:{port}"
        began = time.monotonic()
        with pytest.raises(ArxivRefused, match="did not come to the end of its answer in 1 seconds") as refused:
            Arxiv(url, pace=Pace(0, folder=tmp_path), pauses=(0,), limits=SOON._replace(connect=5)).search("cat:cs.LG")
    assert time.monotonic() - began < 3
    assert refused.value.passing


def test_a_connection_that_is_made_when_the_time_is_up_ends_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with _Deadline(0.0) as deadline:
            until = time.monotonic() + 5
            while not deadline.is_over and time.monotonic() < until:
                time.sleep(0.01)
            deadline.watch(ours)
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
        assert ours.fileno() > 0  # it is for its owner to close


def test_nobody_at_the_address_is_said(asking: Ask) -> None:
    with serving() as server:
        pass
    with pytest.raises(
        ArxivRefused, match=r"arXiv \(127\.0\.0\.1:\d+\) could not be reached.*\(Connection refused\)"
    ) as refused:
        asking(server).search("cat:cs.LG")
    assert refused.value.passing


def test_a_short_page_is_given_to_a_search_but_proves_no_id_unknown(asking: Ask) -> None:
    papers = many(3)
    short = replaced(entry(papers[2][0]).encode(), b"")
    with serving(papers) as server:
        server.faults = {1: short}
        assert asking(server).search("cat:cs.LG").length == 2
        server.faults = {2: short}
        assert len(asking(server).by_ids([paper[0].arxiv for paper in papers]).records) == 3


def test_an_arxiv_that_counts_what_was_asked_for_fails_no_id_that_it_has(asking: Ask) -> None:
    ids = [paper[0].arxiv for paper in many(3)]
    with serving(many(3), faults={lambda _: True: counts_ids()}) as server:
        known = asking(server).by_ids([*ids, "2605.77777"])
        assert (known.ids, known.unsure) == (set(ids), frozenset())
        assert [served.params["id_list"] for served in server.requests[1:]] == ["2605.77777,2605.00001"]
        assert asking(server).by_ids(["2605.77777"]) == ((), (), frozenset())


def test_an_empty_answer_says_nothing_of_any_id(asking: Ask) -> None:
    ids = [paper[0].arxiv for paper in many(3)]
    with serving(many(3), faults={lambda asked: asked.number in {2, 4, 5}: empty_page()}) as server:
        arxiv = asking(server)
        assert arxiv.by_ids(ids[:1]).ids == set(ids[:1])
        assert arxiv.by_ids(ids).ids == set(ids)  # the second time it came
        with pytest.raises(
            ArxivRefused, match=r"left out 2605\.00001, which it has, and 3 that may be there"
        ) as refused:
            arxiv.by_ids(ids)
        assert refused.value.passing


def test_arxiv_is_asked_for_its_first_paper_where_it_sent_nothing(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(many(1), faults={lambda _: True: counts_ids()}) as server:
        monkeypatch.setattr("kb.sources.arxiv._FIRST", {urlsplit(server.url).netloc: "2605.00001"})
        assert asking(server).by_ids(["2605.77777"]) == ((), (), frozenset())
        assert server.requests[1].params["id_list"] == "2605.77777,2605.00001"
        server.faults = {lambda _: True: lambda asked: another_total(1)(replace(asked, papers=[]))}
        with pytest.raises(ArxivRefused, match=r"left out 2605\.00001"):
            asking(server).by_ids(["2605.77777"])


def test_what_was_left_out_twice_beside_a_paper_that_is_there_stays_unsure(asking: Ask) -> None:
    gone = replaced(entry(many(3)[2][0]).encode(), b"")
    with serving(many(3), faults={1: gone, 2: empty_page()}) as server:
        known = asking(server).by_ids([paper[0].arxiv for paper in many(3)])
    assert (known.ids, known.unsure) == ({"2605.00001", "2605.00002"}, {"2605.00003"})
    assert len(known.problems) == 1


def test_a_search_for_what_is_most_like_a_query_says_so(asking: Ask) -> None:
    with serving(many(3)) as server:
        asking(server).search("all:paper", likest_first=True)
        assert (server.requests[0].params["sortBy"], server.requests[0].params["sortOrder"]) == (
            "relevance",
            "descending",
        )


def test_an_address_that_moved_on_the_same_machine_is_followed(asking: Ask) -> None:
    with serving(many(3)) as server:
        server.faults = {1: moved("/api/query?search_query=cat:cs.LG&max_results=2")}
        assert asking(server).search("cat:cs.LG", size=2).length == 2
        server.faults = {lambda _: True: moved("/api/query?search_query=cat:cs.LG")}
        with pytest.raises(ArxivRefused, match="Exceeded 3 redirects"):
            asking(server).search("cat:cs.LG")


# --- patience --------------------------------------------------------------------------------------------------------


def test_a_short_retry_after_is_waited_for(asking: Ask) -> None:
    with serving(many(3), faults={1: too_many(retry_after=1)}) as server:
        assert asking(server).search("cat:cs.LG").length == 3
        assert min(server.gaps) >= 1


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(days=1), timedelta(days=-1)])
@pytest.mark.parametrize("as_date", [False, True])
def test_a_long_retry_after_keeps_every_process_away(
    asking: Ask, tmp_path: Path, skew: timedelta, *, as_date: bool
) -> None:
    now = datetime.now(UTC)
    until = http_date(now + skew + timedelta(hours=1)) if as_date else "3600"
    sent_away = Answer(b"", 503, {"Retry-After": until, "Date": http_date(now + skew)})
    with serving(many(3), faults={1: lambda _: sent_away}) as server:
        with pytest.raises(
            ArxivRefused, match=r"is busy \(HTTP 503\); it can be asked again from 20.* UTC on"
        ) as refused:
            asking(server).search("cat:cs.LG")
        assert refused.value.passing
        assert refused.value.resume_at is not None
        assert timedelta(minutes=59) < refused.value.resume_at - now < timedelta(minutes=61)
        with pytest.raises(ArxivRefused, match=r"asked for patience; it can be asked again from .* UTC on") as held:
            asking(server, pace=Pace(0, folder=tmp_path)).search("cat:cs.LG")
        assert held.value.resume_at is not None
        assert abs(held.value.resume_at - refused.value.resume_at) < timedelta(seconds=30)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "9" * 400}, 86_400.0),
        ({"Retry-After": http_date(DAWN + timedelta(seconds=40)), "Date": http_date(DAWN)}, 40.0),
        ({"Retry-After": http_date(DAWN - timedelta(seconds=40)), "Date": http_date(DAWN)}, 0.0),
        ({"Retry-After": http_date(DAWN + timedelta(seconds=40))}, 40.0),
        ({"Retry-After": http_date(DAWN + timedelta(days=400))}, 86_400.0),
    ],
)
def test_retry_after_is_read_in_both_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, wall=DAWN.timestamp()) == seconds


def test_the_pauses_between_attempts_grow(asking: Ask, tmp_path: Path) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(0, folder=tmp_path, clock=lambda: Moment(now[0], "this", 0.0), sleep=sleep)
    with serving(many(3), faults={1: broken(), 2: broken()}) as server:
        assert asking(server, pace=pace, pauses=(5, 20, 60)).search("cat:cs.LG").length == 3
    assert sum(slept) == pytest.approx(25)


def test_whoever_is_told_to_wait_may_give_up(asking: Ask) -> None:
    def give_up(_: float | None) -> None:
        raise KeyboardInterrupt

    with serving(many(3), faults={1: too_many(retry_after=30)}) as server, pytest.raises(KeyboardInterrupt):
        asking(server, waiting=give_up).search("cat:cs.LG")


# --- what is wrong with the question ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400])
def test_the_words_of_an_error_entry_are_given(asking: Ask, status: int) -> None:
    with (
        serving(faults={1: said("incorrect id format for \u202eabc", status)}) as server,
        pytest.raises(ArxivRefused, match="refuses the request, and says: incorrect id format for") as refused,
    ):
        asking(server).search("id:abc")
    assert not refused.value.passing
    assert "\u202e" not in str(refused.value)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_without_words_does_not_pass(asking: Ask, status: int) -> None:
    with (
        serving(faults={1: html(status)}) as server,
        pytest.raises(
            ArxivRefused, match=rf"refuses the request \(HTTP {status}\); look at what was asked for"
        ) as refused,
    ):
        asking(server).search("cat:cs.LG")
    assert not refused.value.passing


@pytest.mark.parametrize("name", ["", "abc", "2613.00001", "2605.00001v0", "2605.00001v12345", "9" * 10_000, "a,b"])
def test_an_id_that_cannot_be_one_is_named_and_nothing_is_asked(asking: Ask, name: str) -> None:
    with serving() as server:
        with pytest.raises(ArxivRefused, match="is no arXiv id; ids are like") as refused:
            asking(server).by_ids(["2605.00001", name])
        assert len(str(refused.value)) < 200
        assert not server.requests


@pytest.mark.parametrize("query", ["", "  ", "a" * 4001])
def test_a_query_that_does_not_fit_is_not_asked(asking: Ask, query: str) -> None:
    with serving() as server:
        with pytest.raises(ArxivRefused, match="a query has 1 to 4000 characters"):
            asking(server).search(query)
        assert not server.requests


@pytest.mark.parametrize(("start", "size"), [(-1, 10), (0, 0), (0, 2001)])
def test_a_page_that_cannot_be_is_a_mistake(asking: Ask, start: int, size: int) -> None:
    with serving() as server, pytest.raises(ValueError, match="a page has 1 to 2000 entries"):
        asking(server).search("cat:cs.LG", start, size)


def test_a_folder_that_cannot_be_used_is_said(asking: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving() as server, pytest.raises(ArxivRefused, match="make it writable") as refused:
        asking(server, pace=Pace(0, folder=tmp_path / "file")).search("cat:cs.LG")
    assert not refused.value.passing


def test_no_password_stands_in_a_message(tmp_path: Path) -> None:
    with pytest.raises(ArxivRefused, match=r"^arXiv \(127\.0\.0\.1:9\) could not be reached") as refused:
        Arxiv("http://me:secret@127.0.0.1:9/", pace=Pace(0, folder=tmp_path), pauses=(0,)).search("cat:cs.LG")
    assert "secret" not in str(refused.value)


# --- the address -----------------------------------------------------------------------------------------------------


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLHOLDS_ARXIV_URL", "http://mirror.example.org:8080/")
    assert Arxiv().url == "http://mirror.example.org:8080/api/query"
    assert Arxiv("http://127.0.0.1:1/api").url == "http://127.0.0.1:1/api/query"
    assert Arxiv("http://127.0.0.1:1/own/path").url == "http://127.0.0.1:1/own/path"
    monkeypatch.delenv("STILLHOLDS_ARXIV_URL")
    assert Arxiv().url == REAL


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "http://", "http://[", "http://a:b", "file:///etc"]
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(ArxivRefused, match="is no address of an arXiv API; STILLHOLDS_ARXIV_URL has to be like http"):
        Arxiv(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("htps://ada:s3cret@proxy.example/api/query", "'htps://proxy.example/api/query' is no address"),
        ("ada:s3cret@proxy.example", "'proxy.example' is no address"),
        ("http://ada:s3@cret@proxy.example:x", "'http://proxy.example:x' is no address"),
        ("http://ada:s3cret/@[", r"'http://\[' is no address"),
    ],
)
def test_what_is_no_address_is_shown_without_its_password(url: str, shown: str) -> None:
    with pytest.raises(ArxivRefused, match=f"^{shown}") as refused:
        Arxiv(url)
    assert not re.search("ada|s3|cret", str(refused.value))


@pytest.mark.parametrize("url", [REAL, "https://arxiv.org", "http://EXPORT.arxiv.org./api/query"])
def test_the_real_arxiv_is_never_asked_faster_than_it_allows(url: str) -> None:
    with pytest.raises(ValueError, match="arXiv asks for 3 seconds between requests, not 0"):
        Arxiv(url, pace=Pace(0))


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_holds_both_of_its_ends() -> None:
    east = timezone(timedelta(hours=2))
    since, until = datetime(2026, 5, 4, 8, 59, 59, tzinfo=east), datetime(2026, 5, 4, 23, 59, 1, tzinfo=UTC)
    assert window(since, until) == "submittedDate:[202605040659 TO 202605050000]"
    assert window(NOON, NOON) == "submittedDate:[202605041200 TO 202605041200]"
    with pytest.raises(ValueError, match="cannot end"):
        window(NOON, DAWN)
    with pytest.raises(ValueError, match="with a time zone"):
        window(NOON.replace(tzinfo=None), NOON)


def test_a_window_is_a_part_of_a_query(asking: Ask) -> None:
    papers = many(40)  # one in ten minutes
    with serving(papers) as server:
        found = asking(server).search(f"cat:cs.LG AND {window(DAWN + timedelta(hours=1), DAWN + timedelta(hours=2))}")
    assert found.records == tuple(paper[0] for paper in papers[5:12])


# --- our own reading -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"<?xml version='1.0' encoding='UTF-8'?><!DOCTYPE feed [<!ENTITY a 'b'>]>",
        b"\xef\xbb\xbf<!-- x --><?y?>\n<!DOCTYPE feed SYSTEM 'http://127.0.0.1:9/x.dtd'>",
        "<?xml version='1.0' encoding='UTF-16'?>".encode("utf-16"),
        b"<a>" * 10_000,
    ],
)
def test_no_declaration_gets_as_far_as_the_parser(head: bytes) -> None:
    body = respond({"search_query": "cat:cs.LG"}, many(1)).body
    with pytest.raises(NoFeed):
        read_feed(head + body.split(b"\n", 1)[1])


def test_an_undeclared_entity_is_damage() -> None:
    body = respond({"search_query": "cat:cs.LG"}, many(1)).body.replace(b"</title>", b"&nbsp;</title>")
    with pytest.raises(NoFeed, match="damaged") as refused:
        read_feed(body)
    assert refused.value.is_damage


def test_an_older_error_entry_is_known_too() -> None:
    body = respond({"id_list": "abc"}, ()).body.replace(b"https://arxiv.org/api/errors", b"http://arxiv.org/api/errors")
    with pytest.raises(Refusal, match=r"^incorrect id format for abc$"):
        read_feed(body)


# --- the same at the real arXiv --------------------------------------------------------------------------------------


def real(arxiv: str, title: str, category: str, at: datetime, **more: object) -> Record:
    """A paper that arXiv has, as far as these tests look at it."""
    return record(arxiv, title=title, categories=(category,), published_at=at, updated_at=at, **more)


REAL_PAPERS = [
    real("hep-ex/0406020", "Sparticle Reconstruction at LHC", "hep-ex", datetime(2004, 6, 7, 11, 8, 22, tzinfo=UTC)),
    real("2104.12255", "0", "cs.CR", datetime(2021, 4, 20, 16, 7, 14, tzinfo=UTC)),
    real(
        "1709.03221",
        "Fairness Testing: Testing Software for Discrimination",
        "cs.SE",
        datetime(2017, 9, 11, 2, 45, 22, tzinfo=UTC),
    ),
]


@pytest.fixture(scope="module")
def real_arxiv(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arxiv]:
    """The real arXiv where the flag says so, and otherwise a server of ours that has a few of its papers."""
    if request.config.getoption("--arxiv-live"):
        yield Arxiv(REAL)
        return
    with serving([versions(paper) for paper in REAL_PAPERS]) as server:
        yield Arxiv(server.url, pace=Pace(0, folder=tmp_path_factory.mktemp("pace")))


def test_real_papers_are_found_by_their_ids(real_arxiv: Arxiv) -> None:
    found = real_arxiv.by_ids(["hep-ex/0406020v1", "2104.12255v1", "0808.05394"])
    assert [(paper.arxiv, paper.version, paper.title, paper.published_at) for paper in found.records] == [
        (paper.arxiv, 1, paper.title, paper.published_at) for paper in REAL_PAPERS[:2]
    ]


def test_real_papers_are_found_in_their_window(real_arxiv: Arxiv) -> None:
    paper = REAL_PAPERS[2]
    near = window(paper.published_at - timedelta(hours=2), paper.published_at + timedelta(hours=2))
    batch = real_arxiv.search(f'cat:cs.SE AND ti:"fairness testing" AND {near}')
    assert [(found.arxiv, found.title) for found in batch.records] == [(paper.arxiv, paper.title)]
    assert (batch.total, batch.problems) == (1, ())


def test_real_pages_follow_one_another(real_arxiv: Arxiv) -> None:
    days = window(datetime(2004, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC))
    query = f"(cat:hep-ex OR cat:cs.CR OR cat:cs.SE) AND {days}"
    pages = [real_arxiv.search(query, start, 1) for start in (0, 1, 2)]
    papers = [paper for page in pages for paper in page.records]
    assert len({paper.arxiv for paper in papers}) == 3
    assert papers == sorted(papers, key=lambda paper: paper.published_at)
    assert real_arxiv.search("cat:cs.CR AND ti:qzxqzxqzx").length == 0


def test_a_malformed_query_is_refused_in_the_words_of_arxiv(real_arxiv: Arxiv) -> None:
    with pytest.raises(ArxivRefused, match="refuses the request"):
        real_arxiv.search("cat:cs.LG AND (ti:entropy")
