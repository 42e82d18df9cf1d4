"""Plots of a claim: runs on the contract's regions, and the sequence over all units so far. Ink on tints; words stand at the data."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from claims.contract import Contract, Region
from claims.overview import RunLine
from claims.standing import SubjectReading
from stillholds.views.spark import domain
from stillholds.words import run_mark

Palette = dict[str, str]
Plot = Any  # altair's own types lose themselves in its layers
LIGHT: Palette = {
    "ink": "#1D2126", "soft": "#565D65", "rule": "#D9DAD7", "paper": "#FBFBFA", "panel": "#F1F1EF",
    "holds": "#006A8E", "weak": "#946300", "refuted": "#86102E", "contested": "#8044C2",
    "holds_t": "#DBEAF0", "weak_t": "#F9F1DD", "refuted_t": "#F2DDE2",
}  # fmt: skip
DARK: Palette = {
    "ink": "#E4E6E8", "soft": "#A2A9B1", "rule": "#363B41", "paper": "#15171A", "panel": "#1E2125",
    "holds": "#4FC8D2", "weak": "#E9BD5B", "refuted": "#F0777F", "contested": "#B994F6",
    "holds_t": "#16343A", "weak_t": "#3A301A", "refuted_t": "#40222A",
}  # fmt: skip
FONT = '"Source Sans", "Source Sans 3", system-ui, "Liberation Sans", sans-serif'
HUE: dict[Region, str] = {"holds": "holds", "weakened": "weak", "refuted": "refuted"}
LEFT = 92  # px for labels, the same in both charts, so that their axes align
ROW = 24
WORDS = 42  # px above the rows for the regions' words; the chart's height includes them
NICE = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 20, 50, 100)


class Axis:
    """The axis of the effect as it is shown, cut to what there is to see."""

    def __init__(self, contract: Contract, runs: Sequence[RunLine], reading: SubjectReading | None) -> None:
        judged = [run.verdict.endpoints[0] for run in runs if run.verdict and run.verdict.endpoints]
        low, high = domain(contract, *judged)
        rim = 0.04 * (high - low)  # an interval that ends at the axis's end looks cut off
        for look in reading.looks if reading else ():
            low, high = min(low, contract.analysed(look.low) - rim), max(high, contract.analysed(look.high) + rim)
        self.contract = contract
        self.low, self.high = contract.shown(low), contract.shown(high)
        self.scale = alt.Scale(
            type="log" if contract.scale == "log" else "linear", domain=[self.low, self.high], nice=False
        )

    def x(self, field: str, axis: alt.Axis | None = None) -> alt.X:
        """The horizontal encoding."""
        return alt.X(field, scale=self.scale, axis=axis)

    def inside(self, value: float) -> float:
        """VALUE, or the end of the axis that it lies beyond."""
        return min(max(value, self.low), self.high)

    def ticks(self) -> list[float]:
        """The null and the borders, then round numbers, none too near to another."""
        borders = [b for _, span in self.contract.regions.in_order() for b in (span.low, span.high) if b is not None]
        span = self.contract.analysed(self.high) - self.contract.analysed(self.low)
        round_numbers = (
            NICE if self.contract.scale == "log" else [self.low + (self.high - self.low) * k / 4 for k in range(5)]
        )
        kept: list[float] = []
        for value in [self.contract.null, *borders, *round_numbers]:
            apart = all(
                abs(self.contract.analysed(value) - self.contract.analysed(other)) > 0.07 * span for other in kept
            )
            if self.low <= value <= self.high and apart:
                kept.append(value)
        return sorted(kept)


def runs_on_regions(
    contract: Contract, runs: Sequence[RunLine], units: Sequence[float], axis: Axis, p: Palette
) -> Plot:
    """Each run's interval on the regions, oldest first; below them the units of the newest run, as they are shown."""
    rows = pd.DataFrame([_row(number, run, axis) for number, run in enumerate(runs)])
    labels = [f"run {run.number}, {run.at:%d %b}" for run in runs] + (["its units"] if units else [])
    words = f"datum.value >= 0 && datum.value < {len(labels)} ? {labels!r}[datum.value] : ''"
    y_axis = alt.Axis(
        values=list(range(len(labels))),
        labelExpr=words,
        title=None,
        domain=False,
        ticks=False,
        minExtent=LEFT,
        maxExtent=LEFT,
    )
    y = alt.Y("row:Q", scale=alt.Scale(domain=[-0.6, len(labels) - 0.4], nice=False, reverse=True), axis=y_axis)
    measured = alt.Chart(rows[rows.estimate.notna()]).encode(y=y)
    layers: list[Plot] = [
        _regions(contract, axis, p),
        _region_words(contract, axis, p),
        measured.mark_rule(color=p["ink"], strokeWidth=1.5).encode(x=axis.x("low:Q"), x2="high:Q"),
        measured.mark_point(filled=True, opacity=1, size=60, color=p["ink"]).encode(
            x=axis.x("estimate:Q"), tooltip=["said", "units"]
        ),
        alt.Chart(rows)
        .mark_text(align="right", fontSize=10, color=p["soft"], dx=-6, dy=-7)
        .encode(y=y, x=alt.value("width"), text="said:N"),
    ]
    if units:
        dots = pd.DataFrame([{"row": len(runs), "value": axis.inside(value)} for value in units])
        layers.append(
            alt.Chart(dots)
            .mark_tick(color=p["ink"], thickness=1.2, size=11, opacity=0.7)
            .encode(x=axis.x("value:Q"), y=y)
        )
    return (
        alt.layer(*layers)
        .resolve_scale(color="independent")
        .properties(width="container", height=ROW * len(labels) + WORDS)
    )


def _row(number: int, run: RunLine, axis: Axis) -> dict[str, Any]:
    judged = run.verdict.endpoints[0] if run.verdict and run.verdict.endpoints else None
    spoken = judged is not None and run.word not in {"VOID", "ERROR"}
    interval = judged.interval if judged and spoken else None
    said = run_mark(run.word, run.tag, certified=True, outside=bool(run.differences)).word.upper()
    return {
        "row": number,
        "low": axis.inside(interval[0]) if interval else math.nan,
        "high": axis.inside(interval[1]) if interval else math.nan,
        "estimate": axis.inside(judged.estimate) if judged and spoken and judged.estimate is not None else math.nan,
        "units": judged.n if judged else 0,
        "said": said if spoken or run.word == "RUNNING" else f"{said}: nothing is said about the claim",
    }


def sequence(contract: Contract, reading: SubjectReading, axis: Axis, p: Palette, title: str) -> Plot:
    """The two borders of the confidence sequence closing as units come in; the thick bar is now."""
    looks = [
        {
            "n": look.n,
            "low": axis.inside(look.low),
            "estimate": axis.inside(look.estimate),
            "high": axis.inside(look.high),
        }
        for look in reading.looks
    ]
    first, last = looks[0]["n"], looks[-1]["n"]
    scale = alt.Scale(domain=[first - 4, last + 6], nice=False, reverse=True)
    y_axis = alt.Axis(
        values=[look["n"] for look in looks],
        labelExpr="datum.value + ' units'",
        title=None,
        domain=False,
        ticks=False,
        minExtent=LEFT,
        maxExtent=LEFT,
    )
    y = alt.Y("n:Q", scale=scale, axis=y_axis)
    below = alt.Axis(values=axis.ticks(), format="~g", title=title)
    data, now = alt.Chart(pd.DataFrame(looks)), alt.Chart(pd.DataFrame(looks[-1:]))
    return (
        alt.layer(
            _regions(contract, axis, p, below),
            data.mark_area(opacity=0.10, color=p["ink"], orient="horizontal").encode(
                y=y, x=axis.x("low:Q", below), x2="high:Q"
            ),
            data.mark_line(color=p["ink"], strokeWidth=1.2).encode(y=y, x=axis.x("low:Q", below), order="n:Q"),
            data.mark_line(color=p["ink"], strokeWidth=1.2).encode(y=y, x=axis.x("high:Q", below), order="n:Q"),
            data.mark_line(color=p["ink"], strokeWidth=1, strokeDash=[2, 2]).encode(
                y=y, x=axis.x("estimate:Q", below), order="n:Q"
            ),
            now.mark_rule(color=p["ink"], strokeWidth=4).encode(y=y, x=axis.x("low:Q", below), x2="high:Q"),
            now.mark_point(filled=True, size=130, opacity=1, color=p["paper"], stroke=p["ink"], strokeWidth=2.5).encode(
                y=y, x=axis.x("estimate:Q", below)
            ),
        )
        .resolve_scale(color="independent")
        .properties(width="container", height=90 if len(looks) == 1 else 190)
    )


def _cut(contract: Contract, axis: Axis) -> pd.DataFrame:
    rows = []
    for name, span in contract.regions.in_order():
        low = axis.low if span.low is None else axis.inside(span.low)
        high = axis.high if span.high is None else axis.inside(span.high)
        if low < high:
            rows.append({"low": low, "high": high, "region": HUE[name], "word": name.upper()})
    return pd.DataFrame(rows)


def _regions(contract: Contract, axis: Axis, p: Palette, below: alt.Axis | None = None) -> Plot:
    """Tints over the full height, paper rules between them, the null dashed."""
    cut = _cut(contract, axis)
    tint = alt.Color(
        "region:N",
        scale=alt.Scale(domain=list(HUE.values()), range=[p[f"{hue}_t"] for hue in HUE.values()]),
        legend=None,
    )
    bands = alt.Chart(cut).mark_rect().encode(x=axis.x("low:Q", below), x2="high:Q", color=tint)
    edges = alt.Chart(cut[1:]).mark_rule(color=p["paper"], strokeWidth=2).encode(x=axis.x("low:Q", below))
    null = (
        alt.Chart(pd.DataFrame([{"null": contract.null}]))
        .mark_rule(color=p["soft"], strokeDash=[3, 3])
        .encode(x=axis.x("null:Q", below))
    )
    return alt.layer(bands, edges, null)


def _region_words(contract: Contract, axis: Axis, p: Palette) -> Plot:
    """Each region's word above it; WEAKENED one row higher, so that narrow regions never collide."""
    cut = _cut(contract, axis)
    hue = alt.Color(
        "region:N", scale=alt.Scale(domain=list(HUE.values()), range=[p[name] for name in HUE.values()]), legend=None
    )

    def words(rows: pd.DataFrame, dy: int) -> Plot:
        text = alt.Chart(rows).mark_text(fontSize=11, fontWeight=600, baseline="bottom", align="left", dy=dy, dx=1)
        return text.encode(x=axis.x("low:Q"), y=alt.value(0), text="word:N", color=hue)

    return alt.layer(words(cut[cut.region != "weak"], -4), words(cut[cut.region == "weak"], -17))


def house(chart: Plot, p: Palette) -> Plot:
    """One theme for every plot: ink on nothing, few ticks, short titles."""
    return chart.properties(background="transparent", padding={"left": 2, "right": 8, "top": 4, "bottom": 2}).configure(
        font=FONT,
        axis=alt.AxisConfig(
            labelColor=p["soft"], titleColor=p["ink"], labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=8,
            domainColor=p["soft"], tickColor=p["soft"], tickSize=4, grid=False, labelPadding=4, titleAnchor="start", labelFlush=False,
        ),
        view=alt.ViewConfig(stroke=None),
    )  # fmt: skip


def picture(charts: Sequence[Plot], kind: str) -> bytes:
    """The plots below each other as PNG (twice the size) or SVG, on paper."""
    import vl_convert

    fixed = [chart.properties(width=640) for chart in charts]
    whole = house(alt.vconcat(*fixed), LIGHT).properties(background=LIGHT["paper"]).to_json()
    if kind == "svg":
        return str(vl_convert.vegalite_to_svg(whole)).encode()
    return bytes(vl_convert.vegalite_to_png(whole, scale=2))
