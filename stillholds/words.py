"""The words and glyphs of verdicts and standings, the same in the terminal and on pages; `look` is the name of the
drawing.
"""

import math
from datetime import datetime
from typing import NamedTuple

from claims.freshness import Freshness
from claims.judge import Judged, Tag
from claims.standing import Standing, at_scale


class Mark(NamedTuple):
    """A glyph for terminals, the drawing's name for pages, a hue, and the word that always stands with it."""

    glyph: str
    look: str
    hue: str
    word: str
    is_lab: bool = False


HUES = {
    "holds": "#2B87A6",
    "weak": "#B07A10",
    "refuted": "#C0304F",
    "contested": "#9B5FD9",
    "none": "bright_black",
    "ink": "default",
}


def mark(word: str, tag: Tag | None = None, *, certified: bool = True) -> Mark:
    """The mark of a verdict or a standing."""
    marks = {
        "HOLDS": Mark("●", "holds", "holds", "Holds"),
        "WEAKENED": Mark("▼", "smaller", "weak", "Weakened"),
        "REFUTED": Mark("✕", "refuted", "refuted", "Refuted"),
        "CONTESTED": Mark("◐", "contested", "contested", "Contested"),
        "OPEN": Mark("◉", "open", "none", "Open"),
        "UNTESTED": Mark("◌", "untested", "none", "Untested"),
        "DOCUMENTARY": Mark("▤", "documentary", "none", "Documentary"),
        "INCONCLUSIVE": Mark("┼", "inconclusive", "ink", "Inconclusive"),
        "VOID": Mark("⊘", "void", "ink", "Void"),
        "ERROR": Mark("⊗", "error", "ink", "Error"),
        "RUNNING": Mark("…", "due", "ink", "Running"),
    }
    found = marks[word]
    if word == "WEAKENED" and tag:
        found = found._replace(word=f"Weakened, {tag.lower()}")
        if tag == "LARGER":
            found = found._replace(glyph="▲", look="larger")
    decided = word in {"HOLDS", "WEAKENED", "REFUTED", "CONTESTED", "INCONCLUSIVE"}
    return found if certified or not decided else found._replace(word=f"{found.word}, uncertified")


def scale_mark(word: str, *, certified: bool) -> Mark:
    """The mark of what was found at another scale than the claim speaks of."""
    marks = {
        "REPRODUCED": Mark("[●]", "holds", "holds", "Reproduced"),
        "REPRODUCED SMALLER": Mark("[▼]", "smaller", "weak", "Reproduced, smaller"),
        "REPRODUCED LARGER": Mark("[▲]", "larger", "weak", "Reproduced, larger"),
        "NOT REPRODUCED": Mark("[✕]", "refuted", "refuted", "Not reproduced"),
        "OPEN": Mark("[◉]", "open", "none", "Open"),
    }
    found = marks[word]._replace(is_lab=True)
    return found if certified else found._replace(word=f"{found.word}, uncertified")


def run_mark(word: str, tag: Tag | None, *, certified: bool, outside: bool) -> Mark:
    """The mark of one run: on a subject outside the claim's regime it may not look like a verdict on the claim."""
    if outside and word in {"HOLDS", "WEAKENED", "REFUTED"}:
        return scale_mark(at_scale(word, tag), certified=certified)
    return mark(word, tag, certified=certified)


def marks_of(standing: Standing) -> list[Mark]:
    """The standing, then what is shown beside it: the reading so far, or what came out at another scale."""
    marks = [mark(standing.word, standing.tag)]
    if standing.so_far and standing.so_far != "OPEN":
        reading = mark(standing.so_far, standing.so_far_tag, certified=False)
        marks.append(reading._replace(word=f"so far {reading.word[0].lower()}{reading.word[1:]}"))
    if standing.at_scale:
        marks.append(scale_mark(standing.at_scale, certified=standing.at_scale_certified))
    return marks


def fresh_mark(fresh: Freshness, now: datetime) -> Mark:
    """Freshness is always ink: it is never a verdict."""
    if fresh.word == "FRESH":
        return Mark("◕", "fresh", "none", "Fresh")
    if fresh.turn is None:
        return Mark("◔", "due", "ink", "Due, never tested")
    if fresh.word == "DUE":
        return Mark("◔", "due", "ink", f"Due since {day(fresh.turn)}")
    return Mark("◯", "stale", "ink", f"Stale for {(now - fresh.turn).days} days")


def day(when: datetime) -> str:
    """A day as people say it: 21 November 2026."""
    return f"{when.day} {when:%B %Y}"


def number(value: float, spread: float | None = None) -> str:
    """A number with the digits that it deserves: two of its SPREAD, two decimals at least and four at most."""
    if spread is None or spread <= 0:
        return f"{value:.2f}" if abs(value) >= 0.095 else f"{value:.3f}"
    return f"{value:.{min(4, max(2, 1 - math.floor(math.log10(spread))))}f}"


def with_interval(judged: Judged) -> str:
    """Estimate and interval: 1.62 [1.41, 1.86]."""
    if judged.estimate is None:
        return "not measured"
    if judged.interval is None:
        few = "1 unit is" if judged.n == 1 else f"{judged.n} units are"
        return f"{number(judged.estimate)}, {few} too few for an interval"
    return between(judged.interval[0], judged.estimate, judged.interval[1])


def between(low: float, estimate: float, high: float) -> str:
    """An estimate in its interval, with digits for its width."""
    spread = (high - low) / 2
    return f"{number(estimate, spread)} [{number(low, spread)}, {number(high, spread)}]"


def sentence(text: str) -> str:
    """TEXT with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""


def seconds(amount: float) -> str:
    """A stretch of time as people say it: 38 s, 2 min, 1.5 h."""
    if amount < 100:
        return f"{amount:.0f} s"
    return f"{amount / 60:.0f} min" if amount < 5400 else f"{amount / 3600:.1f} h"
