"""What a verifier is tried under, and the truths that its certificate asks about. Pure."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from claims.contract import Contract, Part, contract_from
from claims.errors import CannotCertify
from verifiers.registry import Trial, Verifier


class Asked(NamedTuple):
    """A truth that the certificate asks about, a value as shown for each part of the contract, and the planted subject
    that has it.
    """

    name: str
    values: tuple[float, ...]
    subject: str


_SAME = 1e-9  # on the scale of analysis


def contract_for(verifier: Verifier) -> Contract:
    """The default contract, without what costs more, adds endpoints and changes no other value."""
    without = {spec.name: 0 for spec in verifier.parameters if spec.adds}
    said = {"verifier": verifier.name, **verifier.default_contract}
    return contract_from({**said, "parameters": without | dict(said.get("parameters", {}))})


def said_of(contract: Contract, verifier: Verifier) -> dict[str, Any]:
    """CONTRACT as a certificate carries it: what changes no value is left open."""
    said = contract.model_dump(mode="json")
    adding = {spec.name for spec in verifier.parameters if spec.adds}
    return said | {"parameters": {name: value for name, value in contract.parameters.items() if name not in adding}}


def truths(contract: Contract, trial: Trial) -> list[Asked]:
    """The null, every border, the middle of WEAKENED and the design effect, each with its planted subject. Of several
    parts one is at its border while the others are at their design effects, and once all are at their borders.

    Raises:
        CannotCertify: when nothing is planted for one of them.
    """
    planted = {subject: value if isinstance(value, tuple) else (value,) for subject, value in trial.planted.items()}
    found: dict[tuple[float, ...], Asked] = {}
    for name, values, slack in _wanted(contract):
        fitting = [
            (distance, subject)
            for subject, truth in planted.items()
            if (distance := _apart(contract, truth, values)) <= slack
        ]
        if not fitting:
            said = ", ".join(f"{value:g}" for value in values)
            raise CannotCertify(f"{contract.verifier} plants no subject for {name}, where the truth is {said}")
        _, subject = min(fitting)
        truth = planted[subject] if slack > _SAME else values
        found.setdefault(truth, Asked(name, truth, subject))
    return list(found.values())


def is_design(contract: Contract, values: Sequence[float]) -> bool:
    """Whether power is promised there."""
    return tuple(values) == design_of(contract)


def design_of(contract: Contract) -> tuple[float, ...]:
    """The design effect of each part."""
    return tuple(part.design_effect for part in contract.parts)


def _wanted(contract: Contract) -> Iterator[tuple[str, tuple[float, ...], float]]:
    """Name, values, and how far on the scale of analysis a planted subject may be from them."""
    design = design_of(contract)
    yield "null", tuple(part.null for part in contract.parts), _SAME
    for number, part in enumerate(contract.parts):
        of = f" of {part.endpoint}" if contract.also else ""

        def with_it(value: float, number: int = number) -> tuple[float, ...]:
            return (*design[:number], value, *design[number + 1 :])

        for _, span in part.regions.in_order():
            if span.high is not None:
                yield f"border {span.high:g}{of}", with_it(span.high), _SAME
        for span in part.regions.weakened:
            if span.low is not None and span.high is not None:
                low, high = part.analysed(span.low), part.analysed(span.high)
                middle = part.shown((low + high) / 2)
                yield f"middle of WEAKENED ({span}){of}", with_it(middle), (high - low) / 10
    if contract.also:
        yield "every part on a border of REFUTED", tuple(map(_border_of_refuted, contract.parts)), _SAME
    yield "design effect", design, _SAME


def _border_of_refuted(part: Part) -> float:
    """The border of REFUTED that is nearest to the design effect."""
    borders = [border for span in part.regions.refuted for border in (span.low, span.high) if border is not None]
    return min(borders, key=lambda border: abs(part.analysed(border) - part.analysed(part.design_effect)))


def _apart(contract: Contract, one: Sequence[float], other: Sequence[float]) -> float:
    """The largest distance of any part, on the scale of analysis; infinite where they are not as many."""
    if not len(one) == len(other) == len(contract.parts):
        return math.inf
    return max(abs(part.analysed(a) - part.analysed(b)) for part, a, b in zip(contract.parts, one, other, strict=True))
