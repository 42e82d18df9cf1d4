"""What a claim's page shows of a claim in several parts, of arms side by side, and of runs in panels."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from stillholds.views import arms, charts
from tests.app_support import Visit, browser, library_with_a_run, recorded, served, visiting
from verifiers.measurement import Arm, Curve
from verifiers.stats import t_interval

ARMS = Curve(
    name="arms",
    style="columns",
    x="arm",
    y="success",
    scale="linear",
    null=0.0,
    arms=(
        Arm(name="top", points=((0, 2.0, 0.7), (1, 2.0, 0.8), (2, 2.0, 0.75))),
        Arm(name="<b>base</b>", points=((0, 1.0, 0.3), (1, 1.0, 0.4), (2, 1.0, 0.32))),
        Arm(name="alone", points=((0, 3.0, 0.5),)),
    ),
)


# --- the columns themselves ----------------------------------------------------------------------------------------------


def test_arms_stand_in_the_order_of_their_places_with_every_unit_and_the_interval_of_their_mean() -> None:
    plot = charts.house(arms.arms(ARMS, charts.LIGHT), charts.LIGHT).to_dict()
    rows = [row for data in plot["datasets"].values() for row in data]
    assert sorted(row["y"] for row in rows if "unit" in row) == [0.3, 0.32, 0.4, 0.5, 0.7, 0.75, 0.8]
    means = {row["arm"]: (row["mean"], row["low"], row["high"]) for row in rows if "mean" in row}
    assert means == {
        "top": pytest.approx(t_interval([0.7, 0.8, 0.75], 0.95)),
        "<b>base</b>": pytest.approx(t_interval([0.3, 0.4, 0.32], 0.95)),
    }  # one unit has no interval
    assert plot["layer"][0]["encoding"]["x"]["sort"] == ["<b>base</b>", "top", "alone"]


def test_arms_are_told_in_words() -> None:
    said = arms.in_words(ARMS)
    assert said.startswith(
        "success, mean and 95 % interval over units: <b>base</b> 0.34 [0.21, 0.47]; top 0.75 [0.63, 0.87]"
    )
    assert "alone" not in said


# --- the pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path: Path = tmp_path_factory.mktemp("parts") / "library.db"
    library_with_a_run(path)
    with served(path, "--read-only") as where:  # without a worker, which takes longer to start than a page
        yield where


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Visit]:
    yield from visiting(chromium, address)


@pytest.mark.browser
@pytest.mark.slow
def test_a_claim_in_parts_shows_each_of_them_its_regions_and_its_arms(visit: Visit) -> None:
    page = visit.go("/claim?slug=forking-tokens")
    for part in ("Top share less all tokens", "Top share less a random", "The rest less the base"):
        expect(page.locator("h2.sh-h", has_text=part)).to_contain_text("one of 3 parts")
    contract = page.locator("table", has_text="Does not say")
    for region, span, count in (
        ("Holds", "0 or more", 2),
        ("Refuted", "below 0", 2),
        ("Holds", "below 0", 1),
        ("Refuted", "0 or more", 1),
    ):
        expect(contract.locator("tr", has_text=region).filter(has_text=span)).to_have_count(count)
    for figure in ("Arms", "Spectrum", "Grid"):
        expect(page.locator("h2.sh-h", has_text=figure)).to_be_visible()
    page.get_by_text("in numbers").click()
    expect(page.get_by_text("The first 3 decide together")).to_be_visible()
    beside = page.locator("table", has_text="Beside the endpoints")
    expect(beside.locator("tr", has_text="bases rejected")).to_contain_text("8")


@pytest.mark.browser
@pytest.mark.slow
def test_runs_stand_in_panels_with_the_law_that_was_fitted_to_each(visit: Visit) -> None:
    page = visit.go("/claim?slug=collapse-law-in-the-path-world")
    expect(page.locator("h2.sh-h", has_text="Reward over policy entropy")).to_contain_text("dotted: a rise in step")
    for unit in range(1, 9):
        expect(page.get_by_label(f"Score over entropy of the run unit {unit} ").first).to_be_visible()
    values = recorded("collapse_fit").findings.endpoint("fit").values
    assert min(value for value in values if value is not None) > 0.9
    expect(page.get_by_text("sign test on the median of units")).to_be_visible()
