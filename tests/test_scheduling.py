"""The schedule as people meet it: the commands, and the page."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from claims import timetable
from claims.errors import ClaimError
from kb.store import Store
from stillholds.commands import schedule as scheduling
from tests.claims_support import NOW, a_library, around, measurement, run_with


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = a_library(tmp_path)
    monkeypatch.setenv("STILLHOLDS_STORE", str(made.path))
    monkeypatch.setattr("stillholds.commands.schedule.now", lambda: NOW)
    return made


@pytest.fixture
def say(store: Store) -> Callable[..., str]:
    """Run one command in this process; what it said."""
    app = typer.Typer()
    app.add_typer(scheduling.schedule_app, name="schedule")
    app.command()(scheduling.due)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        return f"{done.exit_code} {done.output}" if done.exit_code else done.output

    return run


def test_the_schedule_is_off_until_somebody_switches_it_on(say: Callable[..., str]) -> None:
    said = json.loads(say("schedule", "show", "--json"))
    assert (said["settings"]["on"], said["state"], said["next_look"]) == (False, "switched off", None)
    assert json.loads(say("schedule", "on", "--json"))["state"] == "ready"
    assert json.loads(say("schedule", "off", "--json"))["state"] == "switched off"


def test_what_is_set_stays_and_the_rest_stays_as_it_was(say: Callable[..., str]) -> None:
    say("schedule", "on")
    say("schedule", "set", "--budget", "0", "--quiet", "22:00-07:00", "--quiet", "12:00-13:00")
    said = json.loads(say("schedule", "set", "--timezone", "Europe/Berlin", "--json"))
    assert said["settings"]["quiet"] == ["22:00-07:00", "12:00-13:00"]
    assert (said["settings"]["on"], said["settings"]["timezone"]) == (True, "Europe/Berlin")
    assert (said["state"], said["budget_cpu_seconds"]) == ("no budget", 0)
    assert "the budget is 0 CPU-minutes a day, so nothing runs" in said["reason"]
    assert json.loads(say("schedule", "set", "--quiet", "none", "--json"))["settings"]["quiet"] == []


def test_nonsense_is_refused_and_changes_nothing(say: Callable[..., str]) -> None:
    with pytest.raises(ClaimError, match="cron: 'whenever' has 1 fields and needs 5"):
        say("schedule", "set", "--cron", "whenever", "--budget", "3")
    assert json.loads(say("schedule", "show", "--json"))["settings"]["budget_cpu_minutes"] == 60
    assert "say what to set" in say("schedule", "set")


def test_due_says_what_why_at_which_cost_and_when(say: Callable[..., str]) -> None:
    say("schedule", "on")
    said = json.loads(say("due", "--json"))
    (due,) = said["due"]
    assert due["claims"] == ["the-gap"]
    assert due["reasons"] == ["it was never tested under its present contract"]
    assert due["cost_cpu_seconds"] > 0
    assert due["starts"] < due["done"]
    shown = say("due")
    assert "it was never tested under its present contract" in shown
    assert "Measurement due." in shown


def test_what_waits_is_shown_when_asked_for(say: Callable[..., str], store: Store) -> None:
    run_with(store, measurement(around(0.6, 0.05)))
    assert "1 wait: --all shows them" in say("due")
    assert "its turn comes" in say("due", "--all")


def test_a_budget_that_cannot_keep_every_shelf_life_is_said(say: Callable[..., str]) -> None:
    say("schedule", "on")
    assert "The budget cannot keep every shelf life" in say("schedule", "set", "--budget", "0.1")
    assert "The budget cannot keep every shelf life" in say("due")


def draw() -> None:
    from stillholds.views import schedule

    schedule.page()


def html(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def opened() -> AppTest:
    return AppTest.from_function(draw, default_timeout=60).run()


def test_the_page_shows_what_is_due_and_switches_the_schedule(store: Store) -> None:
    app = opened()
    assert not app.exception
    assert "The schedule is off" in html(app)
    assert "It was never tested under its present contract." in html(app)
    app.button[0].click().run()
    assert not app.exception
    assert timetable.timetable(store, NOW).settings.on
    assert "1 measurement is due" in html(app)


def test_the_page_says_why_a_setting_cannot_be_kept(store: Store) -> None:
    app = opened()
    app.text_input[0].set_value("now and then")
    next(button for button in app.button if button.label == "Set").click()
    app.run()
    assert "Nothing was changed. cron: &#x27;now and then&#x27; has 3 fields" in html(app)
    assert timetable.timetable(store, NOW).settings.cron == "*/15 * * * *"


def test_a_read_only_page_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillholds.views.frame.is_read_only", lambda: True)
    app = opened()
    assert not app.exception
    assert len(app.button) == 0
