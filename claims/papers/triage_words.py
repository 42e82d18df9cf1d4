"""Why a paper stands where it stands, in words. They are ours, but for the title and reason of a dismissed paper."""

from typing import NamedTuple

from claims.papers.triage_cues import CUES
from claims.papers.triage_features import Asked, Told, Values

MOST_NAMED = 4  # of one kind
LONGEST_QUOTED = 120  # characters of a title or a reason


class Taken(NamedTuple):
    """What a dismissed paper takes of the score of one that is like it."""

    title: str
    reason: str
    factor: float


CUES_SAY = {
    "against": "words that speak against",
    "within_limits": "words that set limits",
    "further": "words that go further",
    "in_support": "words that show or confirm",
}


def because(claim: Asked, paper: Told, values: Values, unread: str, nearest: int | None, taken: Taken | None) -> str:
    """Say what made a match: what claim and paper share, what the NEAREST sentence has, what was learnt, and, if there
    is a reason why nothing is guessed of the stance, UNREAD.
    """
    said = [_told(values["said"]), _near(values["near"], values["ahead"]), _shared(claim, paper)]
    said += [f"no stance is guessed: {unread}"] if unread else [_heard(paper, nearest)]
    said += [_lowered(taken)] if taken else []
    return "; ".join(said)


def _told(share: float) -> str:
    return f"it says {100 * share:.0f} % of the claim, in its words or near ones"


def _near(near: float, ahead: float) -> str:
    words = "very near" if near >= 0.6 else "near" if near >= 0.4 else "somewhat near" if near >= 0.25 else "far"
    return f"{words} in meaning" + (", nearer to another claim" if ahead < 0 else "")


def _shared(claim: Asked, paper: Told) -> str:
    both = [name for name in claim.measures if name in paper.measures]
    kinds = [value for facet, values in claim.facets.items() for value in sorted(values & paper.facets[facet])]
    measured = f"both speak of {_listed(both)}" if both else "no quantity or procedure in common"
    return f"{measured}; same kind: {_listed(kinds)}" if kinds else measured


def _heard(paper: Told, nearest: int | None) -> str:
    """Which kinds of cue the nearest sentence has."""
    if nearest is None:
        return "its sentences were not compared: others are nearer"
    heard = [CUES_SAY[cue] for cue, count in zip(CUES, paper.cues[nearest], strict=True) if count]
    return f"the sentence has {_listed(heard)}" if heard else "the sentence takes no side in words that are known here"


def _lowered(taken: Taken) -> str:
    title, reason = (text[:LONGEST_QUOTED] for text in (taken.title, taken.reason))
    why = f" ({reason})" if reason else ""
    return f"lowered by {1 - taken.factor:.0%}, because it is like “{title}”, which was dismissed for this claim{why}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED])
