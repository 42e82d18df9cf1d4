"""What a claim's page shows of its instrument: dose curves, how often it is wrong, and that it may be missing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, expect

from claims import library, runs, verification
from stillholds.views import charts, curves
from tests.app_support import Visit, browser, now, served, visiting
from tests.verifiers_support import certificate_for, package
from verifiers import registry
from verifiers.__main__ import run as measure
from verifiers.measurement import Arm, Curve, Request, SubjectRef

Test = TypeVar("Test", bound=Callable[..., None])
CLAIM = """---
title: The clock of {verifier} is late
contract:
  verifier: {verifier}
  subjects: ["{module}:tower"]
  endpoint: lateness
  regions: {{holds: ">= 1", refuted: "< 1"}}
  design_effect: 2.0
  unit: {{per_run: 8, first_look: 8}}
  regime: {{stage: wound up, size: 1 .. 10, domain: hours}}
  does_not_say: why
---

It is late.
"""
CURVE = Curve(
    name="lateness over the day",
    x="hour",
    y="lateness ratio",
    scale="log",
    null=1.0,
    arms=(
        Arm(name="wound", points=((0, 0.0, 0.0), (0, 2.0, 1.0), (1, 0.0, 0.2), (1, 2.0, 1.2))),
        Arm(name="<b>stopped</b>", points=((0, 0.0, 0.0), (0, 2.0, 0.1))),
    ),
)


def in_the_browser(test: Test) -> Test:
    """Mark TEST as one that drives a real browser."""
    for mark in (pytest.mark.browser, pytest.mark.slow):
        test = mark(test)
    return test


# --- the curve itself --------------------------------------------------------------------------------------------------


def test_a_mean_is_taken_where_units_share_their_places() -> None:
    assert curves.mean_line(CURVE.arms[0]) == [(0.0, pytest.approx(0.1)), (2.0, pytest.approx(1.1))]


def test_a_mean_reads_units_between_their_points_and_stops_where_one_of_them_ends() -> None:
    line = curves.mean_line(
        Arm(name="", points=((0, 0.0, 0.0), (0, 4.0, 4.0), (1, 1.0, 5.0), (2, 1.0, 9.0), (2, 2.0, 9.0)))
    )
    assert line == [(1.0, pytest.approx((1 + 5 + 9) / 3))]  # at 2 unit 1 is missing


def test_nothing_is_drawn_as_a_mean_where_units_have_no_place_in_common() -> None:
    lonely = Arm(name="lonely", points=((0, 0.0, 1.0), (0, 0.1, 1.0), (1, 1.0, 2.0), (2, 2.0, 3.0)))
    assert curves.mean_line(lonely) == []
    assert "lonely, mean of 3 units: too few points to say" in curves.in_words(
        CURVE.model_copy(update={"arms": (lonely,)})
    )


def test_a_curve_is_told_in_words_as_ratios() -> None:
    said = curves.in_words(CURVE)
    assert "lateness ratio over hour; 1 is no effect" in said
    assert "wound, mean of 2 units: 1.11 at 0, 3.00 at 2" in said  # exp(0.1), exp(1.1)


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("palette", [charts.LIGHT, charts.DARK])
def test_a_curve_is_drawn_with_null_and_key_and_without_hue(palette: charts.Palette, scale: str) -> None:
    drawn = CURVE.model_copy(update={"scale": scale, "null": 1.0 if scale == "log" else 0.0})
    plot = charts.house(curves.curve(drawn, palette), palette).to_dict()
    rows = [row for data in plot["datasets"].values() for row in data]
    assert {"y": drawn.null} in rows
    heights = [row["y"] for row in rows if "unit" in row]
    assert max(heights) == pytest.approx(3.3201 if scale == "log" else 1.2, abs=1e-4)
    colours = {layer["mark"]["color"] for layer in plot["layer"]}
    assert colours == {palette["ink"], palette["soft"]}
    keys = [
        layer["encoding"]["strokeDash"]["scale"]["domain"]
        for layer in plot["layer"]
        if "strokeDash" in layer["encoding"]
    ]
    assert keys == [["wound", "<b>stopped</b>"]] * 2
    assert charts.picture([curves.curve(drawn, palette)], "svg").count(b"wound") >= 1


# --- the page -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two verifiers of other packages, one certified, each with a claim that was tested once."""
    folder = tmp_path_factory.mktemp("instruments")
    caches = (registry.faults, registry._offered, registry._loaded, registry.certificate_of)
    with pytest.MonkeyPatch.context() as patch:
        for module, verifier in (("clocks", "lateness"), ("sundials", "shade")):
            package(folder / "packages", module, verifier)
            page = folder / "claims" / f"{verifier}.md"
            page.parent.mkdir(exist_ok=True)
            page.write_text(CLAIM.format(verifier=verifier, module=module))
        patch.syspath_prepend(str(folder / "packages"))
        for cache in caches:
            cache.cache_clear()
        (folder / "packages" / "clocks" / "certificates").mkdir()
        certificate = certificate_for(registry.find("lateness")).model_dump_json()
        (folder / "packages" / "clocks" / "certificates" / "lateness.json").write_text(certificate)
        _test_all(folder)
        yield folder
    for cache in caches:
        cache.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in {"clocks", "sundials"}]:
        del sys.modules[name]  # others make packages of these names


def _test_all(folder: Path) -> None:
    store = library.create(folder / "library.db", now())
    library.bring_in(store, [folder / "claims"], now())
    for job in verification.plan(store, None, "standard", now()):
        run = runs.begin(store, job, now())
        request = Request(
            verifier=job.verifier, subject=SubjectRef.parse(job.subject), seed=run.seed, units=job.units, cache=""
        )
        measured = measure(request, lambda _: None)
        findings = measured.findings.model_copy(update={"curves": (CURVE,)})
        runs.end(store, run.id, measured.model_copy(update={"findings": findings}), now())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder / "library.db", "--read-only", PYTHONPATH=str(folder / "packages")) as where:
        yield where


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Visit]:
    yield from visiting(chromium, address)


@in_the_browser
def test_a_certified_instrument_says_how_often_it_is_wrong(visit: Visit) -> None:
    page = visit.go("/claim?slug=lateness")
    expect(page.locator("dl.facts")).to_contain_text("Certified")
    expect(page.locator("dl.facts")).to_contain_text("12 of 12 complete runs came out as planted")
    expect(page.locator("h2.sh-h", has_text="How often this instrument is wrong")).to_be_visible()
    table = page.locator("table", has_text="Says HOLDS falsely")
    expect(table.locator("tr", has_text="Says HOLDS falsely")).to_contain_text("44 of 2,000")
    expect(table.locator("tr", has_text="Says HOLDS falsely")).to_contain_text("12 of 500")
    expect(table.locator("tr", has_text="Says REFUTED falsely")).to_contain_text("1 of 2,000")
    expect(table.locator("tr", has_text="Right at 1.82")).to_contain_text("470 of 500")
    expect(page.get_by_text("at most 22.1 % come out otherwise")).to_be_visible()
    expect(page.get_by_text("stopped clock (59 of 59), bent <hand> (59 of 59)")).to_be_visible()
    expect(page.get_by_text("20 November 2026, lateness 0.1, for the very code")).to_be_visible()


@in_the_browser
def test_an_uncertified_instrument_is_said_to_be_one(visit: Visit) -> None:
    page = visit.go("/claim?slug=shade")
    expect(page.locator("dl.facts")).to_contain_text("Uncertified")
    expect(page.get_by_text("Nobody has measured that yet: it is uncertified.")).to_be_visible()
    expect(page.locator("table", has_text="Says HOLDS falsely")).to_have_count(0)


@in_the_browser
def test_the_dose_curve_of_a_run_is_drawn_with_words(visit: Visit) -> None:
    page = visit.go("/claim?slug=lateness")
    expect(page.locator("h2.sh-h", has_text="Lateness over the day")).to_contain_text(
        "thick: the mean; line at 1: no effect"
    )
    drawing = page.locator("[data-testid=stVegaLiteChart][aria-label*='wound, mean of 2 units: 1.11 at 0, 3.00 at 2']")
    expect(drawing.locator("canvas, svg").first).to_be_visible()
    box = drawing.bounding_box()
    assert box is not None
    assert box["width"] > 300


@in_the_browser
def test_a_claim_whose_verifier_is_gone_is_shown_all_the_same(chromium: Browser, folder: Path) -> None:
    with served(folder / "library.db") as address:
        visit = Visit(chromium, address)
        page = visit.go("/claim?slug=lateness")
        expect(page.locator("dl.facts")).to_contain_text("lateness is not installed here")
        expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()
        expect(page.locator("h2.sh-h", has_text="Contract").last).to_be_visible()
        expect(page.get_by_role("button", name="Run again")).to_have_count(0)
        expect(visit.go("/").locator("body")).to_contain_text("The clock of lateness is late")
        assert visit.unexpected() == []
