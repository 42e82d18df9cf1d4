"""What the marks mean, in the same words wherever it is asked."""

import streamlit as st

from stillholds.views import frame, marks
from stillholds.words import Mark, mark, scale_mark

RUN = (
    "A run measures one number and compares its interval with three regions fixed before the run: it holds, is weakened or is "
    "refuted only when the whole interval lies inside that region, and is inconclusive when it touches two. Void means that a "
    "control failed and error that the run broke; neither says anything about the claim."
)
SCALE = (
    "Refuted means that evidence from the kind of model the claim speaks of lies wholly where the claim would be false. Not "
    "reproduced at this scale means that the effect did not appear in a much smaller or different model, which limits how far the "
    "claim reaches but cannot decide it where it was made."
)
UNCERTIFIED = (
    "Uncertified means that nobody has measured yet how often the instrument is wrong. What an uncertified instrument found is "
    "shown, and never enters a standing."
)


def text() -> None:
    """Marks, and the sentences that explain them."""
    standing = [mark(word) for word in ("HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "OPEN", "UNTESTED", "DOCUMENTARY")]
    scale = [scale_mark(word, certified=True) for word in ("REPRODUCED", "REPRODUCED SMALLER", "NOT REPRODUCED")]
    runs = [mark(word) for word in ("INCONCLUSIVE", "VOID", "ERROR")]
    fresh = [
        Mark("", "fresh", "none", "Fresh"),
        *(Mark("", word.lower(), "ink", word) for word in ("Due", "Stale", "Retired")),
    ]
    rows = [("Standing", standing), ("At this scale", scale), ("Runs only", runs), ("Freshness", fresh)]
    frame.html(
        frame.table(
            ["", ""],
            [[f"<span class='sh-soft'>{name}</span>", " &ensp; ".join(map(marks.html, row))] for name, row in rows],
        )
        + "".join(f"<p>{part}</p>" for part in (RUN, SCALE, UNCERTIFIED))
    )


@st.dialog("What the marks mean", width="large")
def explain() -> None:
    """The same, over the page."""
    text()
