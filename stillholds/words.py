"""The words and glyphs of verdicts and standings, the same in the terminal and on pages; `look` is the name of the
drawing.
"""

import math
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from claims.freshness import Freshness
from claims.history import Flip
from claims.judge import Judged, Tag
from claims.ledger import (
    ContractSet,
    Decided,
    Event,
    MadeDue,
    PaperAct,
    PaperAttached,
    PaperDismissed,
    PaperSnoozed,
    PaperUndone,
    Replayed,
    Retired,
    RunFailed,
    RunStarted,
    VerdictGiven,
    Woken,
)
from claims.papers.grounding import State
from claims.samples import Look
from claims.standing import Standing, SubjectReading, at_scale
from claims.timeline import Stood

if TYPE_CHECKING:
    from claims.papers.inbox import Became
    from claims.papers.triage import Match


BESIDE = {
    "supports": "supporting",
    "contradicts": "contradicting",
    "qualifies": "qualifying",
    "extends": "extending",
    "supersedes": "superseding",
}
HAPPENED = {"new version": "has a new version", "withdrawn": "was withdrawn", "returned": "is back from withdrawal"}


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
    if fresh.word == "RETIRED":
        return Mark("⊖", "retired", "ink", f"Retired on {day(fresh.turn)}" if fresh.turn else "Retired")
    if fresh.turn is None:
        return Mark("◔", "due", "ink", "Due, never tested" if "never tested" in fresh.reason else "Due")
    if fresh.word == "DUE":
        return Mark("◔", "due", "ink", f"Due since {day(fresh.turn)}")
    return Mark("◯", "stale", "ink", f"Stale for {(now - fresh.turn).days} days")


def decision_mark(word: str, who: str) -> Mark:
    """What a person says of a claim that no run can decide: ink, never the colour of a verdict that was measured."""
    return Mark("✎", "decided", "ink", f"{mark(word).word}, says {who}")


def ground_mark(state: State) -> Mark:
    """Whether a paper is what pages take it for: ink, for it is no verdict on a claim."""
    marks: dict[State, Mark] = {
        "grounded": Mark("✓", "grounded", "none", "Grounded"),
        "title differs": Mark("≠", "differs", "ink", "Title differs"),
        "not found": Mark("∅", "missing", "ink", "Not found"),
        "not yet checked": Mark("·", "unchecked", "none", "Not yet checked"),
        "proposed": Mark("?", "proposed", "ink", "Proposed"),
        "withdrawn": Mark("⊟", "withdrawn", "ink", "Withdrawn"),
        "newer version": Mark("↑", "newer", "ink", "Newer version"),
        "later than the statement": Mark("⧖", "later", "ink", "Later than the statement"),
    }
    return marks[state]


def flip_marks(flip: Flip) -> tuple[Mark, Mark]:
    """What stood, and what stands after a flip."""
    return (
        _flip_mark(flip.axis, flip.was, certified=flip.was_certified),
        _flip_mark(flip.axis, flip.now, certified=flip.now_certified),
    )


def _flip_mark(axis: str, said: str, *, certified: bool) -> Mark:
    if said.startswith("nothing"):
        return Mark("·", "untested", "none", sentence(said).rstrip("."))
    if axis == "at this scale":
        return scale_mark(said, certified=certified)
    word, _, tag = said.partition(", ")
    return mark(word, "LARGER" if tag == "LARGER" else "SMALLER" if tag else None, certified=certified)


def flip_words(flip: Flip) -> str:
    """A flip in words: Refuted → Holds; what was found beside the standing says so."""
    was, now = flip_marks(flip)
    beside = {"standing": "", "at this scale": "At this scale: ", "so far": "So far, uncertified: "}[flip.axis]
    words = [one.word.removesuffix(", uncertified") if flip.axis == "so far" else one.word for one in (was, now)]
    return f"{beside}{words[0]} → {words[1]}"


def stood_marks(stood: Stood) -> list[Mark]:
    """What a claim came to at a date: its standing, what is shown beside it, and what people said."""
    said = [decision_mark(stood.decision.word, stood.decision.who)] if stood.decision else []
    return [*marks_of(stood.standing), *said, *([Mark("⊖", "retired", "ink", "Retired")] if stood.retired else [])]


def event_words(event: Event, *, outside: bool = False) -> tuple[str, str]:
    """An entry of the ledger: what it is, and what it says; a run OUTSIDE the claim's regime gives no verdict on it."""
    match event:
        case ContractSet():
            taken = f"{event.contract['verifier']}, {event.contract_digest[:12]}" if event.contract else "taken away"
            return f"contract {event.version}", taken
        case RunStarted() | VerdictGiven() | RunFailed() | Replayed():
            return _run_words(event, outside=outside)
        case PaperAttached() | PaperDismissed() | PaperSnoozed() | PaperUndone():
            return _paper_words(event)
        case _:
            return _said_words(event)


def _run_words(event: RunStarted | VerdictGiven | RunFailed | Replayed, *, outside: bool) -> tuple[str, str]:
    """What happened to a run."""
    run = f"run {event.number}"
    match event:
        case RunStarted():
            attempt = f"attempt {event.attempt}, {event.profile}, {event.subject}, seed {event.seed}"
            return f"{run} began", attempt
        case VerdictGiven():
            given, certified = event.verdict, event.certificate is not None
            word = run_mark(given.word, given.tag, certified=certified, outside=outside).word
            return f"{run} gave", f"{word}: {given.reason}"
        case RunFailed():
            return f"{run} failed", f"attempt {event.attempt}, {event.cause}: {event.reason}"
        case Replayed():
            return f"{run} replayed", _replay_words(event)


def _said_words(event: Decided | Retired | Woken | MadeDue) -> tuple[str, str]:
    """What somebody said."""
    match event:
        case Decided():
            return "decided", f"{mark(event.word).word}, says {event.who}, from {event.source}: {event.reason}"
        case Retired():
            return "retired", f"by {event.who}: {event.reason}. What would wake it: {event.wakes_on}"
        case Woken():
            return "woken", f"by {event.who}: {event.reason}"
        case MadeDue():
            source = f", {event.source}" if event.source else ""
            return "made due", f"{event.cause}{source}, by {event.who}: {event.reason}"


def _paper_words(event: PaperAct | PaperUndone) -> tuple[str, str]:
    """What somebody made of a paper."""
    if isinstance(event, PaperUndone):
        return "taken back", f"entry {event.seq}, by {event.who}"
    paper = f"arXiv:{event.arxiv}v{event.version}, {event.title}, by {event.who}"
    match event:
        case PaperAttached():
            what = f"attached, {event.relation}"
            return what, paper + (f": {event.reason}" if event.reason else "")
        case PaperDismissed():
            return _about(event.news, "dismissed"), f"{paper}: {event.reason}"
        case PaperSnoozed():
            return _about(event.news, "put off"), f"{paper}, until {event.until:%Y-%m-%d}"


def _about(news: str | None, word: str) -> str:
    return f"{news} {word}" if news else f"paper {word}"


def news_words(news: "Became") -> str:
    """What became of a paper that a claim cites, or that was attached to it."""
    beside = f"attached as {BESIDE[news.relation]} the claim" if news.relation else "which the claim's page cites"
    return f"This paper, {beside}, {HAPPENED[news.event]} (version {news.version})"


def stance_words(match: "Match") -> str:
    """How a paper seems to stand to a claim, and how sure that guess is; a guess that nobody may rely on is not named."""
    if match.says == "unsure":
        return "unsure how it stands to the claim"
    return f"{match.says} ({100 * match.sureness:.0f} % sure)"


def parts_words(match: "Match") -> str:
    """What a score is made of: subject 0.91, method 0.40, and so on."""
    return ", ".join(f"{name} {value:.2f}" for name, value in match.parts.model_dump().items())


def _replay_words(event: Replayed) -> str:
    if event.identical:
        return "the same bits"
    far = (
        "a unit has a value in one and none in the other"
        if event.largest is None
        else f"units differ by {event.largest:.2g} at most"
    )
    return f"{far}, {'within' if event.agrees else 'beyond'} the noise floor"


def look_words(look: Look | None) -> str:
    """The sequence of then: 1.62 [1.41, 1.86], 24 units."""
    return f"{between(look.low, look.estimate, look.high)}, {look.n} units" if look else "no interval yet"


def changed_words(reading: SubjectReading) -> str:
    """How the newest sample differs from the one before it, where they lie apart; else nothing."""
    if reading.changed is None:
        return ""
    was, now = (between(one.low, one.estimate, one.high) for one in (reading.changed.before, reading.changed.after))
    return f"{reading.changed.endpoint} changed between two samples, from {was} to {now}"


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
