"""The shapes of --json: what programs rely on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from claims.history import Flip
from claims.impact import Leaning
from claims.ledger import Entry
from claims.overview import Record, Row
from claims.timeline import Difference, Stood
from claims.verification import Outcome
from kb.read import Card, View
from stillholds.gates import Checked, spelled
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
        "due_at": one.due_at.isoformat() if one.due_at else None,
        "decision": one.decision.model_dump(mode="json") if one.decision else None,
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
        "flips": [flip(one) for one in past.flips],
        "decision": past.decision.model_dump(mode="json") if past.decision else None,
        "retired": past.waiting.retired.model_dump(mode="json") if past.waiting.retired else None,
    }


# --- over time --------------------------------------------------------------------------------------------------------


def history(card: Card, record: Record, as_of: datetime | None) -> dict[str, Any]:
    """All that ever happened to a claim, entry by entry, and what it comes to."""
    past = record.history
    return {
        "slug": card.slug,
        "title": card.title,
        "as_of": as_of.isoformat() if as_of else None,
        "contract_version": past.contract_version,
        "standing": past.standing.model_dump(mode="json"),
        "freshness": record.freshness.model_dump(mode="json") if record.freshness else None,
        "decision": past.decision.model_dump(mode="json") if past.decision else None,
        "retired": past.waiting.retired.model_dump(mode="json") if past.waiting.retired else None,
        "due_because": [one.model_dump(mode="json") for one in past.waiting.because],
        "events": [event(entry) for entry in past.entries],
        "runs": [line.model_dump(mode="json") for line in record.runs],
        "flips": [flip(one) for one in past.flips],
    }


def event(entry: Entry) -> dict[str, Any]:
    """An entry of the ledger; the values of single units stay with the measurement."""
    said = entry.event.model_dump(mode="json", exclude={"units", "also"})
    return {"seq": entry.seq, "at": entry.at.isoformat(), "digest": entry.digest, **said}


def flip(one: Flip) -> dict[str, Any]:
    """A change of standing, with the sequence before and after."""
    return one.model_dump(mode="json")


def difference(found: Difference) -> dict[str, Any]:
    """What is different between two dates."""
    return {
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
        "changes": [
            {
                "slug": change.claim.slug,
                "title": change.claim.title,
                "came_back": change.came_back,
                "before": stood(change.before),
                "after": stood(change.after),
                "flips": [flip(one) for one in change.flips],
                "leaning": [leaning(one) for one in change.leaning],
            }
            for change in found.changes
        ],
        "new": [card.slug for card in found.new],
        "same": found.same,
    }


def stood(one: Stood) -> dict[str, Any] | None:
    """What a claim came to at a date; None before it came into the library."""
    if not one.known:
        return None
    stands = one.standing
    return {
        "standing": stands.word,
        "tag": stands.tag,
        "reason": stands.reason,
        "at_scale": stands.at_scale,
        "so_far": stands.so_far,
        "decision": one.decision.model_dump(mode="json") if one.decision else None,
        "retired": one.retired.model_dump(mode="json") if one.retired else None,
    }


def leaning(one: Leaning) -> dict[str, Any]:
    """What leans on a claim: the path begins at the claim, and its last step is the entry itself."""
    return {
        "kind": one.other.kind,
        "slug": one.other.slug,
        "title": one.other.title,
        "has_prompt": one.has_prompt,
        "steps": len(one.path),
        "path": [{"slug": hop.other.slug, "type": hop.type, "sentence": hop.sentence} for hop in one.path],
    }


def checked(found: Sequence[Checked], words: frozenset[str], about: dict[str, str]) -> dict[str, Any]:
    """What a gate over the library says."""
    return about | {
        "gate": sorted(map(spelled, words)),
        "passed": not any(one.met for one in found),
        "claims": [row(one.row) | {"met": [spelled(word) for word in one.met]} for one in found],
    }


# --- verifiers --------------------------------------------------------------------------------------------------------


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
