"""What a verifier is tried under, and the truths that its certificate asks about. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from claims.contract import Contract, contract_from
from claims.errors import CannotCertify
from verifiers.registry import Trial, Verifier


class Asked(NamedTuple):
    """A truth that the certificate asks about, as shown, and the planted subject that has it."""

    name: str
    value: float
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
    """The null, every border, the middle of WEAKENED and the design effect, each with its planted subject.

    Raises:
        CannotCertify: when nothing is planted for one of them.
    """
    found: dict[float, Asked] = {}
    for name, value, slack in _wanted(contract):
        subject, planted = min(
            trial.planted.items(), key=lambda item: _apart(contract, item[1], value), default=("", 0)
        )
        if not subject or _apart(contract, planted, value) > slack:
            raise CannotCertify(f"{contract.verifier} plants no subject for {name}, where the truth is {value:g}")
        truth = planted if slack > _SAME else value
        found.setdefault(truth, Asked(name, truth, subject))
    return list(found.values())


def _wanted(contract: Contract) -> Iterator[tuple[str, float, float]]:
    """Name, value, and how far on the scale of analysis a planted subject may be from it."""
    yield "null", contract.null, _SAME
    for _, span in contract.regions.in_order():
        if span.high is not None:
            yield f"border {span.high:g}", span.high, _SAME
    for span in contract.regions.weakened:
        if span.low is not None and span.high is not None:
            low, high = contract.analysed(span.low), contract.analysed(span.high)
            yield f"middle of WEAKENED ({span})", contract.shown((low + high) / 2), (high - low) / 10
    yield "design effect", contract.design_effect, _SAME


def _apart(contract: Contract, one: float, other: float) -> float:
    return abs(contract.analysed(one) - contract.analysed(other))
