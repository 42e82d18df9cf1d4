"""Gates for other people's automation: which claims have one of the words that somebody does not want to see. Pure."""

import difflib
from collections.abc import Sequence
from typing import NamedTuple, get_args

from claims.freshness import FreshWord
from claims.overview import Row
from claims.standing import ScaleWord, StandingWord, SubjectReading
from stillholds.junit import Case, Kind
from stillholds.words import between, changed_words, marks_of, sentence

CHANGED = "CHANGED"  # two neighbouring samples lie apart: what is measured is not what was measured before
STANDINGS: tuple[str, ...] = get_args(StandingWord)
SCALE = tuple(word for word in get_args(ScaleWord) if word != "OPEN")
FRESHNESS: tuple[str, ...] = get_args(FreshWord)
WORDS = (*STANDINGS, *SCALE, *FRESHNESS, CHANGED)
USUAL = frozenset({"REFUTED", "CONTESTED"})


class Checked(NamedTuple):
    """A claim, and which words of the gate it has."""

    row: Row
    met: tuple[str, ...]


def gate(said: str | None) -> frozenset[str]:
    """The words of --fail-on; without any, a claim that is refuted or contested where it speaks.

    Raises:
        ValueError: for a word that no claim can have.
    """
    if said is None:
        return USUAL
    names = [" ".join(part.replace("-", " ").replace("_", " ").split()).upper() for part in said.split(",")]
    unknown = next((name for name in names if name and name not in WORDS), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, WORDS, n=1)
        hint = f"did you mean {spelled(near[0])}?" if near else f"there is: {', '.join(map(spelled, WORDS))}"
        raise ValueError(f"no claim can be {spelled(unknown)!r}; {hint}")
    if not any(names):
        raise ValueError(f"it names nothing; there is: {', '.join(map(spelled, WORDS))}")
    return frozenset(filter(None, names))


def spelled(word: str) -> str:
    """A word as the command line takes it: not-reproduced."""
    return word.lower().replace(" ", "-")


def checked(rows: Sequence[Row], words: frozenset[str]) -> list[Checked]:
    """Every claim with the words of the gate that it has."""
    return [Checked(row, tuple(word for word in words_of(row) if word in words)) for row in rows]


def words_of(row: Row) -> list[str]:
    """All words that a claim has."""
    stands = row.standing
    said: list[str | None] = [stands.word, stands.at_scale if stands.at_scale != "OPEN" else None]
    said.append(row.freshness.word if row.freshness else None)
    said.append(CHANGED if any(reading.changed for reading in stands.subjects) else None)
    return [word for word in said if word]


# --- in words, and as cases ------------------------------------------------------------------------------------------


def case(one: Checked, library: str) -> Case:
    """A claim as a test: failed when the gate is met, skipped when nothing tests it."""
    row = one.row
    kind, said = _kind(one)
    numbers = "\n".join([f"title: {row.title}", *facts(row)])
    return Case(row.slug, f"{library}/{row.verifier or 'no verifier'}", kind, said, numbers)


def _kind(one: Checked) -> tuple[Kind, str]:
    row = one.row
    if one.met:
        return "failed", why(one)
    if row.standing.word == "DOCUMENTARY":
        return "skipped", f"documentary: {row.standing.reason}"
    if row.freshness and row.freshness.word == "RETIRED":
        return "skipped", row.freshness.reason
    return "passed", ""


def why(one: Checked) -> str:
    """Which words were met, the reason, and the interval."""
    row = one.row
    reasons = [row.standing.reason]
    if row.freshness and row.freshness.word in one.met:
        reasons.append(row.freshness.reason)
    shown = [look for look in map(_interval, row.standing.subjects) if look]
    return f"{', '.join(map(spelled, one.met))}: {'; '.join(filter(None, [*reasons, *shown]))}"


def facts(row: Row) -> list[str]:
    """The numbers of a claim, line by line."""
    lines = [f"standing: {', '.join(mark.word for mark in marks_of(row.standing))}. {sentence(row.standing.reason)}"]
    for reading in row.standing.subjects:
        lines += filter(None, [_interval(reading), *_changed(reading)])
    if row.freshness:
        lines.append(f"freshness: {row.freshness.word.lower()}, {row.freshness.reason}")
    if row.decision:
        lines.append(
            f"decided: {row.decision.word}, by {row.decision.who} from {row.decision.source}: {row.decision.reason}"
        )
    return lines


def _interval(reading: SubjectReading) -> str:
    if not reading.looks:
        return ""
    look = reading.looks[-1]
    level = f" at {100 * reading.level:.3g} %" if reading.level else ""
    runs = "1 run" if reading.runs == 1 else f"{reading.runs} runs"
    return f"{reading.subject}: {between(look.low, look.estimate, look.high)}{level}, {look.n} units in {runs}"


def _changed(reading: SubjectReading) -> list[str]:
    return [f"{reading.subject}: {changed_words(reading)}"] if reading.changed else []
