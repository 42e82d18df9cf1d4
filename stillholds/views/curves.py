"""A quantity over another, in several arms: the dose curve of a claim's page. Drawn, and never judged."""

import math
from collections.abc import Sequence
from itertools import pairwise

import altair as alt
import pandas as pd

from claims.contract import shown
from stillholds.views.charts import NICE, Palette, Plot
from stillholds.words import number
from verifiers.measurement import Arm, Curve
from verifiers.stats import t_interval

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def curve(drawn: Curve, p: Palette) -> Plot:
    """Arms that were followed along x as lines, thin by unit and thick for the mean; arms with one point a unit as a
    symbol at their mean with its interval; the null across.
    """
    followed = [arm for arm in drawn.arms if is_followed(arm)]
    spots = [arm for arm in drawn.arms if not is_followed(arm) and len(arm.points) > 1]
    x = alt.X("x:Q", title=drawn.x, scale=alt.Scale(zero=False, nice=False, padding=12), axis=alt.Axis(tickCount=6))
    y = _height(drawn, [*(shown(height, drawn.scale) for arm in drawn.arms for _, _, height in arm.points), drawn.null])
    null = alt.Chart(pd.DataFrame([{"y": drawn.null}])).mark_rule(color=p["soft"], strokeWidth=1).encode(y=y)
    layers: list[Plot] = [null]
    layers += _lines(drawn, followed, p, x, y) if followed else []
    layers += _symbols(drawn, spots, p, x, y) if spots else []
    return alt.layer(*layers).properties(width="container", height=280)


def is_followed(arm: Arm) -> bool:
    """Whether an arm has several points a unit, so that it is a line."""
    return len(arm.points) > len({unit for unit, _, _ in arm.points})


def label(arm: Arm) -> str:
    """An arm's name for people; `this` is what the run was on."""
    return "this subject" if arm.name == "this" else arm.name.replace("_", " ")


def _lines(drawn: Curve, arms: Sequence[Arm], p: Palette, x: alt.X, y: alt.Y) -> list[Plot]:
    units = _table(drawn, [(label(arm), unit, x, y) for arm in arms for unit, x, y in arm.points])
    means = _table(drawn, [(label(arm), 0, x, y) for arm in arms for x, y in mean_line(arm)])
    dash = _dash([label(arm) for arm in arms], p)
    one = alt.Chart(units)
    return [
        one.mark_line(color=p["ink"], strokeWidth=1, opacity=0.25).encode(x=x, y=y, strokeDash=dash, detail="unit:N"),
        alt.Chart(means).mark_line(color=p["ink"], strokeWidth=3).encode(x=x, y=y, strokeDash=dash),
    ]


def _symbols(drawn: Curve, arms: Sequence[Arm], p: Palette, x: alt.X, y: alt.Y) -> list[Plot]:
    table = pd.DataFrame([(label(arm), *_spot(arm, drawn)) for arm in arms], columns=["arm", "x", "y", "low", "high"])
    names = [label(arm) for arm in arms]
    key = alt.Legend(title=None, orient="top", columns=4, labelColor=p["ink"], labelFontSize=12, labelLimit=0)
    shapes = alt.Scale(domain=names, range=[SHAPES[n % len(SHAPES)] for n in range(len(names))])
    base = alt.Chart(table)
    return [
        base.mark_rule(color=p["soft"], strokeWidth=1.5).encode(
            x=x, y=alt.Y("low:Q", title=_title(drawn)), y2="high:Q"
        ),
        base.mark_point(color=p["ink"], fill=p["paper"], size=90, strokeWidth=1.5, opacity=1).encode(
            x=x, y=y, shape=alt.Shape("arm:N", scale=shapes, legend=key)
        ),
    ]


def _spot(arm: Arm, drawn: Curve) -> tuple[float, float, float, float]:
    """Mean x, and y with its 95 % interval as shown."""
    estimate, low, high = t_interval([height for _, _, height in arm.points], 0.95)
    across, _ = _mean_point(arm)
    return across, shown(estimate, drawn.scale), shown(low, drawn.scale), shown(high, drawn.scale)


def _table(drawn: Curve, rows: Sequence[tuple[str, int, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(arm, unit, x, shown(y, drawn.scale)) for arm, unit, x, y in rows], columns=["line", "unit", "x", "y"]
    )


def _height(drawn: Curve, values: Sequence[float]) -> alt.Y:
    """The vertical encoding; ratios on a log scale with round ticks."""
    scale = alt.Scale(type=drawn.scale, nice=False, zero=False, padding=12)
    if drawn.scale == "linear":
        return alt.Y("y:Q", title=_title(drawn), scale=scale, axis=alt.Axis(tickCount=5))
    ticks = _round_between(min(values), max(values), drawn.null)
    return alt.Y("y:Q", title=_title(drawn), scale=scale, axis=alt.Axis(values=ticks, format="~g"))


def _title(drawn: Curve) -> str:
    return f"{drawn.y}, log scale" if drawn.scale == "log" else drawn.y


def _round_between(low: float, high: float, null: float) -> list[float]:
    """The null and round numbers from LOW to HIGH, none too near to another."""
    kept = [null]
    for value in NICE:
        far = all(abs(math.log(value / other)) > 0.1 * math.log(high / low) for other in kept)
        if low <= value <= high and far:
            kept.append(value)
    return sorted(kept)


def _dash(names: Sequence[str], p: Palette) -> alt.StrokeDash:
    """Hue means a verdict, so arms differ in their strokes."""
    key = alt.Legend(
        title=None, orient="top", symbolStrokeWidth=2, symbolSize=300, symbolOpacity=1, symbolStrokeColor=p["ink"], labelColor=p["ink"],
        labelFontSize=12, labelLimit=0,
    )  # fmt: skip
    scale = alt.Scale(domain=list(names), range=[DASHES[index % len(DASHES)] for index in range(len(names))])
    return alt.StrokeDash("line:N", scale=scale, legend=key)  # a field of its own, or its key joins the symbols'


def mean_line(arm: Arm) -> list[tuple[float, float]]:
    """The mean over units along x, as analysed: each unit is read on the straight lines between its points, and the
    mean stands where nine tenths of the units or more have points on both sides, lest it jump where some end.
    """
    lines: dict[int, list[tuple[float, float]]] = {}
    for unit, x, y in arm.points:
        lines.setdefault(unit, []).append((x, y))
    ordered = [sorted(points) for points in lines.values()]
    found = []
    for x in _grid([x for _, x, _ in arm.points]):
        heights = [_at(points, x) for points in ordered if points[0][0] <= x <= points[-1][0]]
        if 10 * len(heights) >= 9 * len(ordered):
            found.append((x, sum(heights) / len(heights)))
    return found


def _grid(xs: Sequence[float]) -> list[float]:
    """The places themselves when they are few, because units share them; otherwise 25 evenly between."""
    places = sorted(set(xs))
    if len(places) <= 25:
        return places
    return [places[0] + (places[-1] - places[0]) * step / 24 for step in range(25)]


def _at(points: Sequence[tuple[float, float]], x: float) -> float:
    """The height at X of the line through POINTS, which are in order and reach to both sides of it."""
    for (left, low), (right, high) in pairwise(points):
        if left <= x <= right:
            return low if left == right else low + (high - low) * (x - left) / (right - left)
    return points[0][1]


def in_words(drawn: Curve) -> str:
    """What the curve shows, for readers who cannot see it."""
    said = [f"{drawn.y} over {drawn.x}; {drawn.null:g} is no effect"]
    for arm in drawn.arms:
        units = len({unit for unit, _, _ in arm.points})
        line = mean_line(arm) if is_followed(arm) else [_mean_point(arm)] if arm.points else []
        ends = [f"{number(shown(height, drawn.scale))} at {x:.3g}" for x, height in (*line[:1], *line[1:][-1:])]
        said.append(f"{label(arm)}, mean of {units} units: {', '.join(ends) or 'too few points to say'}")
    return "; ".join(said) + "."


def _mean_point(arm: Arm) -> tuple[float, float]:
    _, across, heights = zip(*arm.points, strict=True)
    return sum(across) / len(arm.points), sum(heights) / len(arm.points)
