"""Gates that scripts use, the JUnit file, feeds that readers subscribe to, and what people say on the command line."""

import json
import re
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from junitparser import JUnitXml
from lxml import etree
from sqlmodel import select

from claims import acts, overview, timeline, verification
from claims.judge import judge
from claims.overview import Row
from claims.samples import Changed, Look
from kb.errors import StoreError
from kb.models import Library
from kb.store import Store
from stillholds import feeds, gates, junit
from stillholds.cli import ExitCode
from tests.app_support import Visit, browser, served
from tests.claims_support import (
    NOW,
    a_library,
    claim_id,
    contract,
    job,
    large_models,
    measurement,
    past,
    run_with,
    written,
)
from tests.cli_support import answer, typed
from tests.test_timeline import DAY, HIGH, LOW, certified_run
from verifiers.measurement import Failure

EVIL = "<script>alert(1)</script> & ]]> \u0007\x00 \ud83d"
ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A claim that was refuted after it had held, one that is never tested, one without a contract."""
    store = a_library(tmp_path_factory.mktemp("gates"), {"the-gap": written(), "large": large_models(), "spoken": None})
    certified_run(store, HIGH, NOW + DAY)
    certified_run(store, LOW, NOW + 10 * DAY, code="d" * 64)
    run_with(store, measurement(LOW), "large", at=NOW + 11 * DAY)
    return store


def rows(store: Store) -> dict[str, Row]:
    with store.reading() as session:
        return {row.slug: row for row in timeline.rows(session, NOW + 12 * DAY)}


# --- gates -----------------------------------------------------------------------------------------------------------


def test_without_words_a_gate_is_refuted_and_contested() -> None:
    assert gates.gate(None) == {"REFUTED", "CONTESTED"}
    assert gates.gate(" Not-reproduced, stale,CHANGED,") == {"NOT REPRODUCED", "STALE", "CHANGED"}


@pytest.mark.parametrize(
    ("said", "hint"),
    [("refutd", "did you mean refuted"), ("not-reproducd", "did you mean not-reproduced"), (",", "there is")],
)
def test_a_word_that_no_claim_can_have_is_answered_with_the_nearest(said: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        gates.gate(said)


def test_a_claim_has_the_words_of_its_standing_of_its_scale_and_of_its_freshness(store: Store) -> None:
    found = rows(store)
    assert gates.words_of(found["the-gap"]) == ["REFUTED", "FRESH", "CHANGED"]
    assert gates.words_of(found["large"]) == ["UNTESTED", "NOT REPRODUCED", "FRESH"]
    assert gates.words_of(found["spoken"]) == ["UNTESTED"]


def test_a_refutation_at_another_scale_is_not_in_the_usual_gate(store: Store) -> None:
    met = {one.row.slug for one in gates.checked(list(rows(store).values()), gates.USUAL) if one.met}
    assert met == {"the-gap"}


def test_two_samples_that_lie_apart_are_changed(store: Store) -> None:
    row = rows(store)["large"]
    look = Look(run=1, n=8, low=1.0, estimate=1.1, high=1.2, word="HOLDS")
    reading = row.standing.subjects[0].model_copy(
        update={"changed": Changed(endpoint="interaction_did", before=look, after=look)}
    )
    other = row.model_copy(update={"standing": row.standing.model_copy(update={"subjects": (reading,)})})
    assert "CHANGED" in gates.words_of(other)
    assert any("changed between two samples, from 1.10 [1.00, 1.20]" in line for line in gates.facts(other))


# --- JUnit -----------------------------------------------------------------------------------------------------------


def written_cases(path: Path, cases: list[junit.Case]) -> Any:
    junit.write(path, cases, {"store": "x"})
    (suite,) = JUnitXml.fromfile(str(path))
    return suite


def test_a_claim_in_the_gate_fails_with_reason_and_interval_and_the_others_pass(store: Store, tmp_path: Path) -> None:
    checked = gates.checked(list(rows(store).values()), gates.USUAL)
    suite = written_cases(tmp_path / "report.xml", [gates.case(one, "library") for one in checked])
    cases = {case.name: case for case in suite}
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (3, 1, 0, 0)
    failed = cases["the-gap"]
    assert failed.classname == "library/entropy_gap"
    (result,) = failed.result
    assert "refuted" in result.message
    assert "8 units in 1 run" in result.message
    assert "changed between two samples" in failed.system_out
    assert cases["large"].result == []
    assert "at 95 %" in cases["large"].system_out


def test_what_cannot_be_tested_is_skipped_unless_the_gate_names_it(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written()})
    acts.retire(store, "the-gap", "costs too much", "a faster lab", "ada", NOW)
    with store.reading() as session:
        found = timeline.rows(session, NOW + DAY)
    (usual,) = gates.checked(found, gates.USUAL)
    (named,) = gates.checked(found, frozenset({"RETIRED"}))
    assert gates.case(usual, "x").outcome == "skipped"
    assert "What would wake it: a faster lab" in gates.case(usual, "x").said
    assert gates.case(named, "x").outcome == "failed"


def test_stored_text_stays_text_in_a_junit_file(tmp_path: Path) -> None:
    suite = written_cases(tmp_path / "x.xml", [junit.Case(EVIL, EVIL, "failed", EVIL, EVIL)])
    (case,) = suite
    clean = "<script>alert(1)</script> & ]]>"
    assert case.name.startswith(clean)
    assert case.result[0].text.startswith(clean)
    assert case.system_out.startswith(clean)


def test_a_run_is_a_case_with_what_it_gave(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    asked = job(store)
    given = verification.outcome_of(asked, measurement(LOW), judge(contract(), measurement(LOW)))
    broken = verification.outcome_of(asked, Failure(reason="no memory"), None)
    void = given.model_copy(update={"verdict": "VOID"})
    junit.of_outcomes(tmp_path / "x.xml", [given, broken, void], frozenset({"REFUTED"}))
    (suite,) = JUnitXml.fromfile(str(tmp_path / "x.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (3, 1, 1, 1)
    assert next(iter(suite)).time == 1.0


def test_a_file_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        junit.write(tmp_path / "file" / "x.xml", [])
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        junit.replace(tmp_path / "folder", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


# --- feeds -----------------------------------------------------------------------------------------------------------


def made(store: Store, name: str, now: datetime = NOW) -> bytes:
    with store.reading() as session:
        return feeds.made(session, name, now, "http://127.0.0.1:8501/")


def test_the_atom_feed_has_an_entry_for_every_flip_with_both_intervals(store: Store) -> None:
    feed = etree.fromstring(made(store, feeds.ATOM))
    titles = feed.xpath("a:entry/a:title/text()", namespaces=ATOM)
    assert titles == [
        "At this scale: Nothing yet → Not reproduced, uncertified: large in words",
        "Holds → Refuted: the-gap in words",
        "Untested → Holds: the-gap in words",
    ]
    said = feed.xpath("a:entry/a:content/text()", namespaces=ATOM)[1]
    assert "Before: 1.82 [" in said
    assert "After: 1.000 [" in said
    assert "Why: Run 2: " in said
    assert feed.xpath("string(a:updated)", namespaces=ATOM) == (NOW + 11 * DAY + timedelta(minutes=1)).isoformat()
    assert {node.get("type") for node in feed.iter("{*}content")} == {"text"}


def test_ids_are_the_same_whoever_asks_and_whenever(store: Store) -> None:
    assert made(store, feeds.ATOM) == made(store, feeds.ATOM, NOW + 99 * DAY)
    with store.reading() as session:
        library = session.exec(select(Library.id)).one()
    ids = etree.fromstring(made(store, feeds.ATOM)).xpath("a:entry/a:id/text()", namespaces=ATOM)
    assert len(set(ids)) == 3
    assert f"tag:stillholds.invalid,2026-11-21:{library}/{claim_id(store)}/3/standing" in ids


def test_the_calendar_has_a_whole_day_for_every_claim_that_becomes_due(store: Store) -> None:
    events = Calendar.from_ical(made(store, feeds.CALENDAR, NOW + 12 * DAY)).walk("VEVENT")
    days = {str(event["URL"]).rpartition("=")[2]: event["DTSTART"].dt for event in events}
    assert days == {"the-gap": (NOW + 40 * DAY).date(), "large": (NOW + 41 * DAY).date()}
    assert len({str(event["UID"]) for event in events}) == 2


def test_a_claim_that_was_never_tested_is_due_since_it_came_and_a_retired_one_never_is(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written(), "other": written()})
    acts.retire(store, "other", "a reason", "a paper", "ada", NOW)
    (event,) = Calendar.from_ical(made(store, feeds.CALENDAR, NOW + 99 * DAY)).walk("VEVENT")
    assert event["DTSTART"].dt == NOW.date()


def test_stored_text_stays_text_in_feeds(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    certified_run(store, HIGH, NOW + DAY)
    with store.reading() as session:
        (one,) = timeline.flips(session)
        row = overview.row(session, claim_id(store), NOW)
    of = feeds.Of("library", NOW, "http://127.0.0.1:8501")
    evil = one.model_copy(update={"claim": one.claim.model_copy(update={"title": EVIL, "slug": "a b&c"})})
    entry = etree.fromstring(feeds.atom(of, [evil], {})).find("a:entry", ATOM)
    assert entry is not None
    assert "<script>alert(1)</script> & ]]>" in entry.findtext("a:title", "", ATOM)
    assert len(entry.findall(".//{*}script")) == 0
    text = feeds.calendar(of, [row.model_copy(update={"title": EVIL + "\nEND:VEVENT", "due_at": NOW})])
    (event,) = Calendar.from_ical(text).walk("VEVENT")
    assert "END:VEVENT" in str(event["DESCRIPTION"])


# --- the command line ------------------------------------------------------------------------------------------------


def test_check_ends_with_the_code_of_a_gate_and_writes_the_file(store: Store, tmp_path: Path) -> None:
    report = tmp_path / "new folder" / "report.xml"
    day = f"{NOW + 12 * DAY:%Y-%m-%d}"
    done = typed("check", "--as-of", day, "--junit", report, "--json", store=store.path)
    assert done.returncode == ExitCode.GATE, done.stderr
    said = json.loads(done.stdout)
    assert {one["slug"]: one["met"] for one in said["claims"]} == {"the-gap": ["refuted"], "large": [], "spoken": []}
    assert not said["passed"]
    (suite,) = JUnitXml.fromfile(str(report))
    properties = {one.name: one.value for one in suite.properties()}
    assert properties.keys() == {"store", "as-of", "head", "gate"}
    assert properties["head"] == said["head"]
    before = typed("check", "--as-of", f"{NOW + 2 * DAY:%Y-%m-%d}", store=store.path)
    assert (before.returncode, before.stdout.startswith("None of 3 claims")) == (ExitCode.OK, True)


def test_history_tells_everything_and_diff_what_leans_on_it(store: Store) -> None:
    told = answer("history", "the-gap", store=store.path)
    assert [event["kind"] for event in told["events"]] == ["contract", "run", "verdict", "run", "verdict"]
    assert [(flip["was"], flip["now"]) for flip in told["flips"]] == [("UNTESTED", "HOLDS"), ("HOLDS", "REFUTED")]
    assert told["flips"][1]["before"]["low"] > told["flips"][1]["after"]["high"]
    then = answer("history", "the-gap", "--as-of", f"{NOW + 2 * DAY:%Y-%m-%d}", store=store.path)
    assert (then["standing"]["word"], len(then["events"])) == ("HOLDS", 3)
    days = [f"{NOW + days * DAY:%Y-%m-%d}" for days in (5, 20)]
    found = answer("diff", *days, store=store.path)
    assert [change["slug"] for change in found["changes"]] == ["large", "the-gap"]
    in_words = {"history": typed("history", "the-gap", store=store.path)}
    in_words["diff"] = typed("diff", *days, store=store.path)
    assert all(said.returncode == ExitCode.OK for said in in_words.values())
    assert all("Holds → Refuted" in said.stdout for said in in_words.values())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["history", "the-gab"], ExitCode.FAILED, "did you mean the-gap"),
        (["history", "the-gap", "--as-of", "yesterday"], ExitCode.USAGE, "no date"),
        (["diff", "2026-12-01", "2026-11-01"], ExitCode.FAILED, "later than"),
        (["check", "--fail-on", "refutd"], ExitCode.USAGE, "did you mean refuted"),
        (["decide", "spoken", "maybe", "--source", "x", "--reason", "x"], ExitCode.USAGE, "holds, weakened or refuted"),
        (["decide", "the-gap", "holds", "--source", "x", "--reason", "x"], ExitCode.FAILED, "runs decide"),
        (["retire", "the-gap", "--reason", " ", "--wakes-on", "x"], ExitCode.FAILED, "a reason is missing"),
    ],
)
def test_what_was_not_understood_is_said(store: Store, arguments: list[str], code: ExitCode, words: str) -> None:
    done = typed(*arguments, store=store.path)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(past(store).entries) == 5


def test_what_people_say_goes_into_the_ledger_with_their_name(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written(), "spoken": None})
    why = ["--reason", "we looked", "--who", "ada"]
    answer("decide", "spoken", "holds", "--source", "a paper", *why, store=store.path)
    answer("retire", "the-gap", "--wakes-on", "a paper", *why, store=store.path)
    answer("wake", "the-gap", *why, store=store.path)
    answer("due-now", "the-gap", *why, store=store.path)
    events = [entry.event for entry in [*past(store, "spoken").entries, *past(store).entries[1:]]]
    assert [event.kind for event in events] == ["decision", "retired", "woken", "due"]
    assert all(getattr(event, "who", "") == "ada" for event in events)
    assert answer("show", "spoken", store=store.path)["decision"]["word"] == "HOLDS"
    assert answer("audit", store=store.path)["problems"] == []


def test_the_app_serves_what_the_command_writes(store: Store, tmp_path: Path) -> None:
    with served(store.path, "--read-only") as address:
        answer("feeds", tmp_path / "feeds", "--address", address, store=store.path)
        for name, kind in feeds.TYPES.items():
            with urllib.request.urlopen(f"{address}/feeds/{name}") as reply:
                assert reply.headers["Content-Type"] == kind
                assert reply.read() == (tmp_path / "feeds" / name).read_bytes()
                tag = reply.headers["ETag"]
        for headers, code in (({"If-None-Match": tag}, 304), ({"Host": "library.example"}, 403)):
            asked = urllib.request.Request(f"{address}/feeds/{feeds.CALENDAR}", headers=headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked)
            assert refused.value.code == code
            refused.value.close()
    assert sorted(path.name for path in (tmp_path / "feeds").iterdir()) == sorted(feeds.TYPES)


@pytest.mark.browser
@pytest.mark.slow
def test_the_app_shows_every_flip_with_both_intervals_and_what_stood_at_a_date(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": written(), "spoken": None}, NOW)
    certified_run(store, HIGH, NOW + DAY)
    certified_run(store, LOW, NOW + 10 * DAY, code="d" * 64)
    acts.decide(store, "spoken", "HOLDS", "a paper", "<b>because</b>", "ada", NOW + DAY)
    then = f"{NOW + 5 * DAY:%Y-%m-%d}"
    with browser() as chromium, served(store.path, "--read-only") as address:
        visit = Visit(chromium, address)
        flips = visit.go("/changes").locator("table tbody tr")
        assert flips.count() == 2
        for said in ("Holds", "Refuted", "1.82 [", "1.000 [", "Run 2"):
            assert said in flips.nth(0).inner_text()
        before = visit.go(f"/changes?as-of={then}")
        assert before.locator("table tbody tr").count() == 3  # one flip, two claims
        claim = visit.go(f"/claim?slug=the-gap&as-of={then}")
        assert "As it stood on" in claim.inner_text("[data-testid=stMainBlockContainer]")
        assert "Holds" in claim.locator("dl.facts").inner_text()
        assert claim.get_by_role("button", name=re.compile("^Run (again|it now)$")).count() == 0
        assert "<b>because</b>" in visit.go("/claim?slug=spoken").locator("dl.facts").inner_text()
        assert "no date" in visit.go("/changes?as-of=soon").inner_text("[data-testid=stMainBlockContainer]")
        assert visit.unexpected() == []
