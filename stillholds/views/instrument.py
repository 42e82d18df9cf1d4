"""The instrument on a claim's page: whether it may be believed, and how often it is wrong."""

from collections.abc import Sequence
from html import escape

from claims.certified import parts_of, speaks_of
from claims.contract import Contract, Part
from stillholds.methods import UNKNOWN, Counted, errors, percent
from stillholds.views import frame, marks
from stillholds.words import Mark, day
from verifiers import registry
from verifiers.registry import Certificate, EndpointSpec, Verifier

NOTHING = "<span class='sh-soft'>not asked</span>"


def verifier_of(contract: Contract) -> Verifier | None:
    """The verifier that a contract names; None when its package is not installed here, or is broken."""
    return registry.verifiers().get(contract.verifier)


def quantity_of(contract: Contract, part: Part) -> str:
    """What a part of a contract is about, in short; its name when the verifier no longer measures it."""
    found = _endpoint(contract, part)
    return found.quantity if found else part.endpoint


def meaning_of(contract: Contract, part: Part) -> str:
    """The same at length."""
    found = _endpoint(contract, part)
    return found.meaning if found else part.endpoint


def _endpoint(contract: Contract, part: Part) -> EndpointSpec | None:
    verifier = verifier_of(contract)
    return next((spec for spec in verifier.endpoints if spec.name == part.endpoint), None) if verifier else None


def fact(contract: Contract) -> tuple[str, str, str]:
    """The fourth of the four facts: its name, its mark, and what to know."""
    verifier = verifier_of(contract)
    if verifier is None:
        missing = f"{contract.verifier} is not installed here, so nothing new can be measured."
        said = registry.faults().get(contract.verifier, missing)
        return "Instrument", marks.html(Mark("", "uncertified", "ink", "Not there"), big=True), said
    found = registry.certificate_of(verifier.name)
    if found and not speaks_of(found, contract):
        said = (
            f"{verifier.name} {verifier.version} is certified for {', '.join(parts_of(found.contract))} at its own settings only; "
            "nobody has counted how often this quantity is wrong, so it enters no standing."
        )
        return "Instrument", marks.html(Mark("", "uncertified", "ink", "Uncertified"), big=True), said
    if found:
        whole = found.end_to_end
        said = f"{verifier.name} {verifier.version}: {whole.as_planted} of {whole.n} complete runs came out as planted."
        return "Instrument", marks.html(Mark("", "holds", "ink", "Certified"), big=True), said
    said = f"{verifier.name} {verifier.version} has no certificate yet; nothing here enters a standing."
    return "Instrument", marks.html(Mark("", "uncertified", "ink", "Uncertified"), big=True), said


def section(contract: Contract) -> None:
    """How often the instrument is wrong, level by level, or that nobody knows."""
    verifier = verifier_of(contract)
    if verifier is None:
        return
    found = registry.certificate_of(verifier.name)
    frame.html(
        frame.heading("How often this instrument is wrong")
        + (certified(found) if found else f"<p class='sh-small'>{escape(UNKNOWN.format(name=verifier.name))}</p>")
    )


def certified(found: Certificate) -> str:
    """The three levels of a certificate side by side, and the breaks that were caught."""
    rule, planted, whole = errors(found.rule.truths), errors(found.instrument.truths), found.end_to_end
    rows = [
        [name, _cell(alone, sign), _cell(measured, sign)]
        for name, alone, measured, sign in (
            ("Says HOLDS falsely", rule.false_holds, planted.false_holds, "≤"),
            ("Says REFUTED falsely", rule.false_refuted, planted.false_refuted, "≤"),
            ("Interval holds the truth", rule.coverage, planted.coverage, "≥"),
            (f"Right at {found.design_effect:g}", rule.power, planted.power, "≥"),
        )
    ]
    void = found.instrument.void_healthy
    rows.append(["Healthy run made void", NOTHING, _of(void.count, void.n, f"≤ {percent(void.bound)}")])
    below = f"For {found.contract['endpoint']}. Counts at the worst truth of each level; exact one-sided 95 % bounds."
    table = frame.table(["", "rule alone, simulated", "real code, planted"], rows, below)
    facts = [
        f"<b>End to end</b> {whole.as_planted} of {whole.n} complete runs came out as planted; "
        f"at most {percent(whole.upper95)} come out otherwise.",
        f"<b>Breaks caught</b> {_breaks(found)}",
        f"<b>Certified</b> {escape(f'{day(found.made_at)}, {found.verifier} {found.version}')}, for the very code that runs here.",
    ]
    return table + "".join(f"<p class='sh-small'>{said}</p>" for said in facts)


def _cell(one: Counted | None, sign: str) -> str:
    return _of(one.times, one.n, f"{sign} {percent(one.bound)}") if one else NOTHING


def _of(count: int, n: int, bound: str) -> str:
    return f"<span class='sh-num'>{count:,} of {n:,}<br><span class='sh-soft'>{escape(bound)}</span></span>"


def _breaks(found: Certificate) -> str:
    caught: Sequence[str] = [f"{one.name} ({one.caught} of {one.n})" for one in found.instrument.breaks]
    return escape(", ".join(caught) or "none was tried") + "."
