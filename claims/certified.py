"""Which certificate a run is covered by: a fact of the time when it was made, written into the ledger and kept there."""

from collections.abc import Mapping
from typing import Any

from claims.contract import Contract
from verifiers import certificate, provenance
from verifiers.measurement import Measurement
from verifiers.registry import Certificate, find


def certificate_for(contract: Contract, measured: Measurement) -> Certificate | None:
    """The certificate that is current and covers MEASURED as CONTRACT judges it.

    Read from the disk each time, for a server may live longer than the code that it began with.
    """
    verifier = find(measured.verifier)
    found = certificate.read(verifier)
    if found is None or found.code_digest != provenance.trial_digest(verifier):
        return None
    return found if covers(found, contract, measured) else None


def covers(found: Certificate, contract: Contract, measured: Measurement) -> bool:
    """Whether the run was made with the very code that was tried, and is judged on what was tried. A smoke run trains
    too little for that.
    """
    same_code = (found.verifier, found.verifier_code) == (measured.verifier, measured.provenance.code_digest)
    return same_code and measured.profile != "smoke" and speaks_of(found, contract)


def speaks_of(found: Certificate, contract: Contract) -> bool:
    """Whether CONTRACT asks for the quantity that was tried, or for all of them together, at the same level and in
    samples that are not looked at earlier: how often anything else is wrong, nobody has counted.
    """
    tried = found.contract
    return (
        found.granted
        and found.verifier == contract.verifier
        and parts_of(tried) == [part.endpoint for part in contract.parts]
        and tried["level"] == contract.level
        and tried["parameters"].items() <= contract.parameters.items()
        and found.m <= contract.unit.first_look
    )


def parts_of(tried: Mapping[str, Any]) -> list[str]:
    """The endpoints that the contract of a certificate is about."""
    return [tried["endpoint"], *(part["endpoint"] for part in tried.get("also", ()))]
