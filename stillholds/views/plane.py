"""Runs in the plane of score over entropy, a small panel each: what was logged, and the law that was fitted to it. Drawn, and
never judged.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from stillholds.views.charts import Palette, Plot, house
from stillholds.words import number
from verifiers.measurement import Curve

LOGGED = "measured"
LINES = {  # what was fitted, by its stroke and its width
    "fitted law": ([1, 0], 1.5),
    "forecast of the first third": ([4, 3], 1.5),
    "straight line in entropy": ([1, 0], 0.5),
    "rise in step": ([1, 2], 1.0),
}
MOST = 12  # panels
ABREAST = 4
HEIGHT = 150


def show(curve: Curve, names: Sequence[str], values: Sequence[float | None], p: Palette) -> None:
    """Draw the panels, four abreast, which stand below each other on a phone."""
    places = st.columns(ABREAST)
    for place, (panel, words) in enumerate(panels(curve, names, values, p)):
        places[place % ABREAST].altair_chart(house(panel, p), theme=None, width="stretch", alt=words)


def panels(curve: Curve, names: Sequence[str], values: Sequence[float | None], p: Palette) -> list[tuple[Plot, str]]:
    """A panel for each of the first runs, all on the same axes, and what it shows in words; VALUES as they were measured."""
    table = pd.DataFrame(
        [(arm.name, unit, x, y) for arm in curve.arms for unit, x, y in arm.points], columns=["arm", "unit", "x", "y"]
    )
    axes = _axes(table, curve)
    shown = list(enumerate(zip(names, values, strict=True)))[:MOST]
    return [
        (_panel(table[table.unit == unit], axes, f"{name}: {_said(value)}", p), _words(name, value))
        for unit, (name, value) in shown
    ]


def _axes(table: pd.DataFrame, curve: Curve) -> tuple[alt.X, alt.Y]:
    logged = table[table.arm == LOGGED]
    x, y = (alt.Scale(domain=[float(logged[axis].min()), float(logged[axis].max())], nice=True) for axis in ("x", "y"))
    ticks = alt.Axis(tickCount=4)
    return alt.X("x:Q", title=curve.x, scale=x, axis=ticks), alt.Y("y:Q", title=curve.y, scale=y, axis=ticks)


def _panel(run: pd.DataFrame, axes: tuple[alt.X, alt.Y], title: str, p: Palette) -> Plot:
    x, y = axes
    layers: list[Plot] = [
        alt.Chart(run[run.arm == LOGGED])
        .mark_point(color=p["ink"], filled=True, size=18, opacity=0.55)
        .encode(x=x, y=y)
    ]
    layers += [
        alt.Chart(run[run.arm == arm])
        .mark_line(clip=True, color=p["ink"], strokeWidth=width, strokeDash=dash)
        .encode(x=x, y=y)
        for arm, (dash, width) in LINES.items()
    ]
    others = run[~run.arm.isin([LOGGED, *LINES])]  # runs with an intervention, beside the one that they belong to
    if len(others):
        shape = alt.Shape("arm:N", legend=None)
        layers.append(
            alt.Chart(others)
            .mark_point(clip=True, color=p["soft"], size=18)
            .encode(x=x, y=y, shape=shape, tooltip="arm:N")
        )
    head = alt.TitleParams(title, anchor="start", fontSize=12, fontWeight="normal", color=p["ink"], limit=240)
    return alt.layer(*layers).properties(width="container", height=HEIGHT, title=head)


def _said(value: float | None) -> str:
    return "not measured" if value is None else number(value)


def _words(name: str, value: float | None) -> str:
    return f"Score over entropy of the run {name} with the fitted law; it counts as {_said(value)}."
