"""Arms side by side: every unit as a tick, the mean with its interval over them. Drawn, and never judged."""

import altair as alt
import pandas as pd

from claims.contract import shown
from stillholds.views.charts import Palette, Plot
from stillholds.views.curves import label
from stillholds.words import number
from verifiers.measurement import Arm, Curve
from verifiers.stats import Interval, t_interval


def arms(drawn: Curve, p: Palette) -> Plot:
    """Each arm in its column, in the order of its x; units of one number are joined by a thin line."""
    ordered = _ordered(drawn)
    names = [label(arm) for arm in ordered]
    units = pd.DataFrame(
        [(label(arm), unit, shown(y, drawn.scale)) for arm in ordered for unit, _, y in arm.points],
        columns=["arm", "unit", "y"],
    )
    means = pd.DataFrame(
        [(label(arm), *_interval(arm, drawn)) for arm in ordered if len(arm.points) > 1],
        columns=["arm", "mean", "low", "high"],
    )
    x = alt.X("arm:N", title=None, sort=names, axis=alt.Axis(labelAngle=0))
    scale = alt.Scale(type=drawn.scale, zero=False, nice=True)
    y = alt.Y("y:Q", title=drawn.y, scale=scale, axis=alt.Axis(tickCount=5))
    dots, summary = alt.Chart(units), alt.Chart(means)
    return alt.layer(
        dots.mark_line(color=p["soft"], strokeWidth=1, opacity=0.25).encode(x=x, y=y, detail="unit:N"),
        dots.mark_tick(color=p["ink"], size=26, thickness=1, opacity=0.5, orient="horizontal").encode(x=x, y=y),
        summary.mark_rule(color=p["ink"], strokeWidth=2).encode(
            x=x, y=alt.Y("low:Q", title=drawn.y, scale=scale), y2="high:Q"
        ),
        summary.mark_point(color=p["ink"], fill=p["paper"], size=70, strokeWidth=2, opacity=1).encode(
            x=x, y=alt.Y("mean:Q", title=drawn.y, scale=scale)
        ),
    ).properties(width="container", height=260)


def in_words(drawn: Curve) -> str:
    """The same for readers who cannot see it."""
    said = [
        f"{label(arm)} {number(mean)} [{number(low)}, {number(high)}]"
        for arm in _ordered(drawn)
        if len(arm.points) > 1
        for mean, low, high in [_interval(arm, drawn)]
    ]
    return f"{drawn.y}, mean and 95 % interval over units: {'; '.join(said)}."


def _ordered(drawn: Curve) -> list[Arm]:
    return sorted((arm for arm in drawn.arms if arm.points), key=lambda arm: arm.points[0][1])


def _interval(arm: Arm, drawn: Curve) -> Interval:
    return Interval(*(shown(one, drawn.scale) for one in t_interval([y for _, _, y in arm.points], 0.95)))
