"""What was measured, endpoint by endpoint, as a table: on a claim's page and for a log of one's own."""

from collections.abc import Sequence
from html import escape

from claims.judge import Judged
from stillholds.views import frame
from stillholds.words import with_interval


def endpoints(judged: Sequence[Judged], unit: str) -> str:
    """Every endpoint that has a value, those that decide in bold, with the number of units of each under UNIT."""
    rows = [
        [
            f"<b>{escape(one.quantity)}</b>" if one.primary else escape(one.quantity),
            escape(with_interval(one)),
            f"{100 * one.level:.3g} %",
            str(one.n),
            f"{one.null:g}",
        ]
        for one in judged
        if one.n or one.primary
    ]
    deciding, absent = sum(one.primary for one in judged), len(judged) - len(rows)
    below = "The first decides" if deciding == 1 else f"The first {deciding} decide together"
    below += "; the others are shown." + (f" Not measured here: {absent} others." if absent else "")
    return frame.table(["Quantity", "Estimate [interval]", "Level", unit, "Null"], rows, below)
