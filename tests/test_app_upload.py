"""The page for a log of one's own: what it reads, measures, refuses and leaves behind."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from claims import library
from stillholds.views import charts, plane
from tests.app_support import Visit, browser, now, served
from tests.cli_support import ROOT
from verifiers.measurement import Arm, Curve

LOGS = ROOT / "examples" / "logs"
OBEYS = sorted((LOGS / "obeys").glob("*.csv"))
HEADER = "step,entropy,val_accuracy\n"

File = tuple[str, bytes, str]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of the test's own, to see what is left there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def page() -> None:
    from stillholds.views import frame, upload

    with frame.in_words():
        upload.page()


def opened(*files: Path | File) -> AppTest:
    """The page with FILES uploaded."""
    app = AppTest.from_function(page, default_timeout=60).run()
    sent = [(file.name, file.read_bytes(), "text/csv") if isinstance(file, Path) else file for file in files]
    if sent:
        app.file_uploader[0].set_value(sent)
    return app.run()


def measured(app: AppTest) -> AppTest:
    app.button[0].click().run()
    assert not app.exception
    return app


def html(app: AppTest) -> str:
    return "".join(part.proto.body for part in app.get("html"))


def csv(*rows: Sequence[float]) -> bytes:
    return (HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows)).encode()


def test_an_empty_page_says_what_to_do() -> None:
    app = opened()
    assert "Upload one or more logs to begin" in html(app)
    assert not app.button


def test_what_is_read_is_said_before_anything_is_measured(temporary: Path) -> None:
    app = opened(*OBEYS)
    assert "8 runs with 248 points in 8 files." in html(app)
    assert "Entropy: column &#x27;entropy&#x27;, in nats a token." in html(app)
    assert [button.label for button in app.button] == ["Measure"]
    assert list(temporary.iterdir()) == []


def test_runs_that_obey_are_measured_and_shown_and_nothing_is_left(temporary: Path) -> None:
    app = measured(opened(*OBEYS))
    assert "Holds" in html(app)
    assert "lies wholly in HOLDS" in html(app)
    assert len(app.get("vega_lite_chart")) == 8
    assert "Not measured" in html(app)
    assert not app.button  # it is measured, and a second time would give the same
    assert list(temporary.iterdir()) == []


def test_runs_that_drift_never_hold() -> None:
    app = measured(opened(LOGS / "drifts.csv"))
    assert "Holds" not in html(app)
    assert "Inconclusive" in html(app) or "Refuted" in html(app)


def test_another_unit_is_another_measurement() -> None:
    app = measured(opened(*OBEYS))
    app.selectbox[0].select("bits").run()
    assert "in bits a token" in html(app)
    assert "Holds" not in html(app)
    assert [button.label for button in app.button] == ["Measure"]


def test_columns_can_be_named() -> None:
    content = OBEYS[0].read_text().replace("entropy", "actor/entropy")
    app = opened(("log.csv", content.encode(), "text/csv"))
    assert "has no column &#x27;entropy&#x27; or &#x27;H&#x27;" in html(app)
    next(field for field in app.text_input if field.label == "Column of the entropy").input("actor/entropy").run()
    assert "Entropy: column &#x27;actor/entropy&#x27;" in html(app)


def test_a_log_that_cannot_be_read_is_explained_and_not_measured(temporary: Path) -> None:
    app = opened(("log.csv", csv((0, 1, 0.1), (1, 0.5, 41)), "text/csv"))
    assert "log.csv, line 3, column &#x27;val_accuracy&#x27;" in html(app)
    assert not app.button
    assert list(temporary.iterdir()) == []


def test_one_name_for_two_files_and_a_copy() -> None:
    twice = ("metrics.csv", OBEYS[0].read_bytes(), "text/csv"), ("metrics.csv", OBEYS[1].read_bytes(), "text/csv")
    assert "2 runs with 62 points in 2 files." in html(opened(*twice))
    assert "has the same content as" in html(opened(twice[0], twice[0]))


def test_few_runs_are_counted() -> None:
    assert "3 units, and the contract asks for 8" in html(measured(opened(*OBEYS[:3])))


def test_runs_too_short_to_read_are_shown_and_not_measured() -> None:
    app = measured(
        opened(("one.csv", csv((0, 1, 0.1)), "text/csv"), ("two.csv", csv((0, 1, 0.1), (1, 0.9, 0.2)), "text/csv"))
    )
    assert "Inconclusive" in html(app)
    assert "fewer than 12" in html(app)
    assert len(app.get("vega_lite_chart")) == 2


def test_names_in_a_log_are_only_words() -> None:
    rows = OBEYS[0].read_text().splitlines()
    evil = "<img src=x onerror=alert(1)>"
    content = "\n".join([f"run,{rows[0]}", *(f"{evil},{row}" for row in rows[1:]), ""])
    app = measured(opened(("../../<b>.csv", content.encode(), "text/csv")))
    assert "<img" not in html(app)
    assert "<b>.csv" not in html(app)


def test_panels_share_their_axes_and_are_few() -> None:
    points = tuple((unit, 0.1 * (unit + step), 0.5) for unit in range(20) for step in range(3))
    arms = tuple(Arm(name=name, points=points) for name in ("measured", "fitted law", "entropy bonus"))
    curve = Curve(name="plane", x="entropy", y="score", scale="linear", null=0.0, arms=arms)
    drawn = plane.panels(curve, [f"run {unit}" for unit in range(20)], [None, *[0.9] * 19], charts.LIGHT)
    assert len(drawn) == 12
    specs = [panel.to_dict() for panel, _ in drawn]
    assert [spec["title"]["text"] for spec in specs[:2]] == ["run 0: not measured", "run 1: 0.90"]
    domains = [spec["layer"][0]["encoding"]["x"]["scale"]["domain"] for spec in specs]
    assert domains == [pytest.approx([0.0, 2.1])] * 12


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.mark.browser
@pytest.mark.slow
def test_a_read_only_app_measures_a_log_and_saves_what_came_out(chromium: Browser, tmp_path: Path) -> None:
    store = library.create(tmp_path / "library.db", now()).path
    with served(store, "--read-only") as address:
        visit = Visit(chromium, address, 390, 844)
        page = visit.go("/your-own-log")
        page.locator("input[type=file]").set_input_files(OBEYS)
        page.get_by_role("button", name="Measure").click()
        expect(page.locator(".facts .mk").first).to_contain_text("Holds", timeout=60_000)
        visit.drawn()
        assert page.evaluate("() => document.scrollingElement.scrollWidth") <= 390
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as JSON").click()
        whole = json.loads(saved.value.path().read_text())
        assert visit.unexpected() == []
    assert whole["verdict"] == "HOLDS"
    assert whole["subject"].startswith("runlog:seed-0.csv,seed-1.csv")
    assert len(whole["read"]["files"]) == 8
    assert "/stillholds-" not in json.dumps(whole)  # the temporary folder
