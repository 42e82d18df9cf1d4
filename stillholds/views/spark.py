"""A contract's regions, one interval and the null on a single line."""

import math

from claims.contract import Contract
from claims.judge import Judged

_TINT = {"holds": "var(--holds-t)", "weakened": "var(--weak-t)", "refuted": "var(--refuted-t)"}


def spark(contract: Contract, judged: Judged) -> str:
    """The line as HTML; its words are for readers who cannot see it."""
    if judged.estimate is None or judged.interval is None:
        return ""
    low, high = domain(contract, judged)
    place = _Place(contract, low, high)
    stops = []
    for name, span in contract.regions.in_order():
        start, end = place(span.low, 0.0), place(span.high, 100.0)
        stops.append(f"{_TINT[name]} {start:.1f}% {end:.1f}%")
    left, right = place(judged.interval[0], 0.0), place(judged.interval[1], 100.0)
    tints = f"--bg:linear-gradient(90deg,{','.join(stops)})"
    bar = f"left:{left:.1f}%;width:{max(0.5, right - left):.1f}%"
    return (
        f"<span class='sp' style='{tints}'><u style='left:{place(judged.null, 0.0):.1f}%'></u>"
        f"<b style='{bar}'></b><i style='left:{place(judged.estimate, 0.0):.1f}%'></i></span>"
    )


def domain(contract: Contract, *shown: Judged) -> tuple[float, float]:
    """A stretch of the axis, on the scale of analysis, that holds all borders, the null and the intervals, with some air."""
    values = [contract.null, contract.design_effect]
    values += [
        border for _, span in contract.regions.in_order() for border in (span.low, span.high) if border is not None
    ]
    for judged in shown:
        if judged.interval is not None:
            values += judged.interval
    inner = sorted(contract.analysed(value) for value in values if contract.scale == "linear" or value > 0)
    air = 0.12 * (inner[-1] - inner[0]) or 0.1
    return inner[0] - air, inner[-1] + air


class _Place:
    """Percent of the way along the line."""

    def __init__(self, contract: Contract, low: float, high: float) -> None:
        self._contract, self._low, self._high = contract, low, high

    def __call__(self, value: float | None, otherwise: float) -> float:
        if value is None or (self._contract.scale == "log" and value <= 0):
            return otherwise
        share = (self._contract.analysed(value) - self._low) / (self._high - self._low)
        return 100 * min(1.0, max(0.0, share)) if math.isfinite(share) else otherwise
