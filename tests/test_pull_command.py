"""Pulling as people meet it: `stillholds pull`, `stillholds queries`, and the worker that pulls when it is time."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from claims import timetable
from claims.errors import BadQuery, BadSchedule, NoQuery
from kb.models import Suggestion
from kb.store import Store
from stillholds.commands import pull as pulling
from stillholds.commands import schedule as scheduling
from stillholds.workers import Pulls
from tests import arxiv_server as faults
from tests.arxiv_server import Server, many, serving
from tests.claims_support import a_library, claim_page, until
from tests.cli_support import INTERRUPTIBLE
from tests.kb_support import BagOfWords, bring_in
from tests.pull_support import NOW, papers, row, save

DAY = timedelta(days=1)


@pytest.fixture
def arxiv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """arXiv with a few papers, and nobody who has asked it before."""
    with serving(many(5)) as server:
        monkeypatch.setenv("STILLHOLDS_ARXIV_URL", server.url)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        yield server


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = a_library(tmp_path)
    monkeypatch.setenv("STILLHOLDS_STORE", str(made.path))
    monkeypatch.setattr("stillholds.commands.pull.now", lambda: NOW)
    monkeypatch.setattr("stillholds.commands.schedule.now", lambda: NOW)
    monkeypatch.setattr("stillholds.commands.common.embed", lambda _store: BagOfWords())
    return made


@pytest.fixture
def say(store: Store) -> Callable[..., str]:
    """Run one command in this process; what it said."""
    app = typer.Typer()
    app.command()(pulling.pull)
    app.add_typer(pulling.queries_app, name="queries")
    app.add_typer(scheduling.schedule_app, name="schedule")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        return f"{done.exit_code} {done.output}" if done.exit_code else done.output

    return run


def told(text: str) -> Any:
    return json.loads(text)


# --- queries ---------------------------------------------------------------------------------------------------------


def test_before_anything_is_saved_both_commands_say_how(say: Callable[..., str], arxiv: Server) -> None:
    for command in (["pull"], ["queries"], ["queries", "list"]):
        assert "stillholds queries add entropy --category cs.LG --words 'entropy collapse'" in say(*command)
    assert told(say("pull", "--json")) == []
    assert arxiv.begun == 0


def test_a_query_is_saved_shown_switched_and_removed(say: Callable[..., str]) -> None:
    said = say("queries", "add", "entropy", "--category", "cs.LG", "--category", "cs.CL", "--words", "entropy")
    assert "(cat:cs.LG OR cat:cs.CL) AND all:entropy" in said
    assert "stillholds pull entropy" in said
    assert "entropy" in say("queries")
    assert "is off" in say("queries", "off", "entropy")
    assert [one["is_on"] for one in told(say("queries", "--json"))] == [False]
    assert "is on" in say("queries", "on", "entropy")
    say("queries", "remove", "entropy")
    assert told(say("queries", "list", "--json")) == []
    with pytest.raises(NoQuery):
        say("queries", "on", "entropy")


def test_papers_like_a_claim_show_what_will_be_asked(say: Callable[..., str]) -> None:
    saved = told(say("queries", "add", "alike", "--like", "the-gap", "--json"))
    assert (saved["kind"], saved["terms"]["like"]) == ("like", "the-gap")
    assert saved["asks"].count("all:") >= 2


def test_what_cannot_be_asked_is_not_saved(say: Callable[..., str]) -> None:
    with pytest.raises(BadQuery, match="no category"):
        say("queries", "add", "entropy", "--category", "machine learning")
    with pytest.raises(BadQuery, match="empty"):
        say("queries", "add", "entropy")
    assert told(say("queries", "--json")) == []


# --- pulling ---------------------------------------------------------------------------------------------------------


def test_a_pull_brings_papers_and_sums_up(say: Callable[..., str], store: Store, arxiv: Server) -> None:
    save(store)
    said = say("pull")
    assert "learning" in said
    assert f"{NOW:%Y-%m-%d %H:%M}" in said
    assert len(papers(store)) == 5


def test_a_claim_that_comes_later_is_matched_by_the_next_pull(
    say: Callable[..., str], store: Store, arxiv: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store)
    assert "Matched 5 papers to 1 claim:" in say("pull")
    monkeypatch.setattr("stillholds.commands.pull.now", lambda: NOW + DAY)
    assert "Matched" not in say("pull")
    bring_in(store, claim_page(tmp_path / "pages", "late", None))
    assert "Matched 5 papers to 1 claim:" in say("pull")
    with store.reading() as session:
        beside = Counter(row.claim_id for row in session.exec(select(Suggestion)))
    assert sorted(beside.values()) == [5, 5]


def test_json_tells_all_of_it(say: Callable[..., str], store: Store, arxiv: Server) -> None:
    save(store)
    (one,) = told(_json_of(say("pull", "learning", "--since", "2026-01-01", "--json")))
    assert (one["name"], one["state"], one["new"], one["found"], one["problem"]) == ("learning", "done", 5, 5, "")
    assert "[202601010000 TO " in arxiv.requests[0].params["search_query"]


def _json_of(said: str) -> str:
    """The answer, without what stands on the other stream."""
    return said[said.index("[\n") : said.rindex("]") + 1]


def test_a_query_that_fails_is_said_and_the_command_fails(say: Callable[..., str], store: Store, arxiv: Server) -> None:
    save(store)
    arxiv.faults[1] = faults.too_many(retry_after=7200)
    said = say("pull")
    assert said.startswith("1 ")
    assert "busy" in said
    assert "busy" in say("queries")


def test_an_interrupted_pull_ends_with_130_and_keeps_what_came(store: Store, arxiv: Server) -> None:
    save(store)
    arxiv.papers[:] = many(150, since=datetime.now(UTC) - 5 * DAY)
    with subprocess.Popen([*INTERRUPTIBLE, "pull"], stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert until(lambda: papers(store))
        process.send_signal(signal.SIGINT)  # in the three seconds before the next question
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted: what came is in" in said
    assert "Traceback" not in said
    assert len(papers(store)) == 100
    assert row(store).under_way is not None


# --- the schedule ----------------------------------------------------------------------------------------------------


def test_pulls_have_a_switch_of_their_own(say: Callable[..., str], store: Store) -> None:
    assert told(say("schedule", "show", "--json"))["settings"]["pulls"] == "off"
    save(store)
    said = told(say("schedule", "set", "--pulls", "daily", "--json"))
    assert (said["settings"]["pulls"], said["settings"]["on"]) == ("daily", False)
    assert said["next_pull"] == NOW.isoformat()
    assert "daily, next 2026-05-24 06:00" in say("schedule", "show")
    with pytest.raises(BadSchedule, match="pulls"):
        say("schedule", "set", "--pulls", "hourly")
    assert told(say("schedule", "set", "--pulls", "off", "--json"))["next_pull"] is None


def test_a_scheduled_pull_asks_only_what_is_due(say: Callable[..., str], store: Store, arxiv: Server) -> None:
    save(store)
    assert say("pull", "--scheduled") == ""
    assert arxiv.begun == 0
    timetable.change(store, {"pulls": "daily"}, NOW)
    assert "learning" in say("pull", "--scheduled")
    assert say("pull", "--scheduled") == ""
    assert arxiv.begun == 1


def test_a_worker_pulls_when_it_is_time_and_ends_the_pull_when_it_ends(store: Store, arxiv: Server) -> None:
    save(store)
    pulls = Pulls(store)
    pulls.look(NOW)
    assert arxiv.begun == 0
    timetable.change(store, {"pulls": "daily"}, NOW)
    arxiv.papers[:] = many(150, since=datetime.now(UTC) - 5 * DAY)
    try:
        pulls.look(NOW)
        pulls.look(NOW)  # one is under way
        assert until(lambda: papers(store))
    finally:
        pulls.stop()  # in the three seconds before the next question
    assert (arxiv.begun, len(papers(store))) == (1, 100)
    assert row(store).under_way["read"] == 100  # it goes on when the next worker is there
    pulls.stop()
