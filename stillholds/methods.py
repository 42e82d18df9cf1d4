"""A verifier in words, like a short methods section; the terminal, the reference page and the app say the same."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from verifiers.registry import Certificate, Truth, Verifier, certificate_of
from verifiers.stats import binomial_lower, binomial_upper

UNKNOWN = (
    "Nobody has measured that yet: it is uncertified. What it finds is shown with that word, and never enters a standing. "
    "`stillholds certify {name}` measures it."
)


class Section(NamedTuple):
    """A heading, a paragraph and a list; any of them may be empty."""

    title: str
    text: str = ""
    lines: tuple[str, ...] = ()


class Counted(NamedTuple):
    """How often something came out on one level of a certificate, where that was worst; `bound` is the exact 95 % one."""

    times: int
    n: int
    bound: float
    truth: Truth

    @property
    def said(self) -> str:
        """Count of n: 41 of 2,000."""
        return f"{self.times:,} of {self.n:,}"


class Errors(NamedTuple):
    """What one level of a certificate shows; None where no truth can show it."""

    false_holds: Counted | None
    false_refuted: Counted | None
    power: Counted | None
    coverage: Counted | None


def sections(one: Verifier) -> tuple[Section, ...]:
    """Everything but the tables, in the order of reading; an empty part is left out."""
    found = certificate_of(one.name)
    parts = (
        Section("", one.question),
        Section("Refused", _capital(one.refused) + "." if one.refused else ""),
        Section("Measured", one.measures),
        Section("On", one.on, tuple(f"{facts.name}: {facts.title}" for facts in one.own_subjects)),
        Section("Unit", _capital(one.unit) + "."),
        Section("What would refute", _capital(one.refuted_by) + "."),
        Section("What it does not say", lines=one.does_not_say),
        Section("Controls in every run", lines=one.controls),
        Section("How often it is wrong", "" if found or one.refused else UNKNOWN.format(name=one.name), wrong(found)),
        Section("Subjects of known truth", lines=_planted(one)),
        Section("Breaks that are caught" if found else "Breaks that must be caught", lines=_breaks(one, found)),
        Section("Sources", ", ".join(one.sources)),
    )
    return tuple(part for part in parts if part.text or part.lines)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _planted(one: Verifier) -> tuple[str, ...]:
    """What to type to see the instrument find what was planted."""
    if one.trial is None:
        return ()
    truths = {subject: value if isinstance(value, tuple) else (value,) for subject, value in one.trial.planted.items()}
    ordered = sorted(truths.items(), key=lambda item: item[1])
    said = [(subject, f"the truth is {', '.join(f'{value:g}' for value in values)}") for subject, values in ordered]
    said += [
        (one.trial.true, "the claim is true by construction"),
        (one.trial.false, "the claim is false by construction"),
    ]
    return tuple(f"{what}: `stillholds measure {one.name} --subject {subject}`" for subject, what in said)


def _breaks(one: Verifier, found: Certificate | None) -> tuple[str, ...]:
    if found:
        return tuple(f"{broken.name}: {broken.caught} of {broken.n}" for broken in found.instrument.breaks)
    return (*one.trial.breaks, *one.trial.training_breaks) if one.trial else ()


# --- how often it is wrong -------------------------------------------------------------------------------------------


def errors(truths: Sequence[Truth]) -> Errors:
    """The worst that one level of a certificate shows, each with its own bound."""
    return Errors(
        false_holds=_worst(truths, lambda truth: truth.false_holds, binomial_upper, most=True),
        false_refuted=_worst(truths, lambda truth: truth.false_refuted, binomial_upper, most=True),
        power=_worst(truths, lambda truth: truth.right, binomial_lower, most=False),
        coverage=_worst(truths, lambda truth: truth.covered, binomial_lower, most=False),
    )


def _worst(
    truths: Sequence[Truth],
    counted: Callable[[Truth], int | None],
    bound: Callable[[int, int], float],
    *,
    most: bool,
) -> Counted | None:
    shown = [(count, truth) for truth in truths if (count := counted(truth)) is not None]
    if not shown:
        return None
    count, truth = (max if most else min)(shown, key=lambda item: item[0] / item[1].n)
    return Counted(count, truth.n, bound(count, truth.n), truth)


def wrong(found: Certificate | None) -> tuple[str, ...]:
    """The three levels of a certificate in plain sentences, never pooled."""
    if found is None:
        return ()
    rule, instrument, whole = found.rule, found.instrument, found.end_to_end
    void = instrument.void_healthy
    return (
        f"The rule alone, read at every look of {rule.histories:,} simulated histories of {rule.looks} looks, at each of "
        f"{len(rule.truths)} truths: {_sentences(errors(rule.truths))}",
        f"The instrument, on planted subjects whose truth is known exactly, at each of {len(instrument.truths)} truths: "
        f"{_sentences(errors(instrument.truths))} Healthy runs that its controls made void: {void.count} of {void.n}, "
        f"at most {percent(void.bound)}.",
        f"End to end, training and all: {whole.as_planted} of {whole.n} complete runs came out as planted, so at most "
        f"{percent(whole.upper95)} come out otherwise.",
        f"Certified on {found.made_at:%Y-%m-%d}, version {found.version}; all bounds are exact and one-sided, 95 %.",
    )


def _sentences(shown: Errors) -> str:
    parts = [
        (shown.false_holds, "it said HOLDS falsely in {0} at worst (truth {1}), at most {2}"),
        (shown.false_refuted, "REFUTED falsely in {0} (truth {1}), at most {2}"),
        (shown.coverage, "its interval held the truth in {0} at worst (truth {1}), at least {2}"),
        (shown.power, "at the design effect {1} it was right in {0}, at least {2}"),
    ]
    said = [text.format(one.said, _values(one.truth), percent(one.bound)) for one, text in parts if one]
    return "; ".join(said) + "."


def _values(truth: Truth) -> str:
    return ", ".join(f"{value:g}" for value in (truth.value, *truth.also.values()))


def percent(share: float) -> str:
    """A share with three digits: 2.63 %, 22.1 %."""
    return f"{100 * share:.3g} %"
