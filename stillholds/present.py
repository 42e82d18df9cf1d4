"""The shapes of --json: what programs rely on."""

from typing import Any

from claims.overview import Record, Row
from claims.verification import Outcome
from kb.read import View
from verifiers.registry import Trial, Verifier, certificate_of, status


def outcome(one: Outcome) -> dict[str, Any]:
    """What `measure` and `verify` give for one claim."""
    return one.model_dump(mode="json")


def row(one: Row) -> dict[str, Any]:
    """A claim of the list."""
    stands = one.standing
    return {
        "slug": one.slug,
        "title": one.title,
        "short": one.short,
        "date": one.date,
        "verifier": one.verifier,
        "endpoint": one.endpoint,
        "standing": stands.word,
        "tag": stands.tag,
        "reason": stands.reason,
        "at_scale": stands.at_scale,
        "so_far": stands.so_far,
        "certified": stands.word in {"HOLDS", "WEAKENED", "REFUTED", "CONTESTED"} or stands.at_scale_certified,
        "freshness": one.freshness.word if one.freshness else None,
        "last_run_at": one.last_run_at.isoformat() if one.last_run_at else None,
    }


def entry(view: View, record: Record | None) -> dict[str, Any]:
    """One entry with its links; for a claim its contract, standing, freshness and runs too."""
    said = view.card.model_dump() | view.model_dump(mode="json", exclude={"card"})
    if record is None:
        return said
    past = record.history
    return said | {
        "contract": past.contract.model_dump(mode="json") if past.contract else None,
        "contract_version": past.contract_version,
        "standing": past.standing.model_dump(mode="json"),
        "freshness": record.freshness.model_dump(mode="json") if record.freshness else None,
        "runs": [line.model_dump(mode="json") for line in record.runs],
        "going": record.going.model_dump(mode="json") if record.going else None,
    }


def verifier(one: Verifier) -> dict[str, Any]:
    """A verifier's record, with its certificate where it has one."""
    certificate = certificate_of(one.name)
    return {
        "name": one.name,
        "version": one.version,
        "status": status(one),
        "reason": one.refused,
        "certificate": certificate.model_dump(mode="json") if certificate else None,
        "question": one.question,
        "measures": one.measures,
        "on": one.on,
        "unit": one.unit,
        "refuted_by": one.refuted_by,
        "does_not_say": list(one.does_not_say),
        "controls": list(one.controls),
        "sources": list(one.sources),
        "subjects": list(one.subjects),
        "endpoints": [
            {
                "name": spec.name,
                "quantity": spec.quantity,
                "meaning": spec.meaning,
                "scale": spec.scale,
                "null": spec.null,
                "noise_floor": spec.noise_floor,
            }
            for spec in one.endpoints
        ],
        "parameters": [vars_of(spec) for spec in one.parameters],
        "profiles": {name: vars_of(spec) for name, spec in one.profiles.items()},
        "default_contract": dict(one.default_contract),
        "trial": trial(one.trial) if one.trial else None,
    }


def trial(one: Trial) -> dict[str, Any]:
    """What a verifier is tried on."""
    return vars_of(one) | {"planted": dict(one.planted)}


def vars_of(record: Any) -> dict[str, Any]:
    """The fields of a flat dataclass."""
    return dict(vars(record))
