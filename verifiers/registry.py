"""Where verifiers, subjects and certificates are looked up. Listing them loads nothing heavy.

The verifiers of the house stand in `verifiers.table`. Those of other packages are found through the entry-point group
`stillholds.verifiers`: each entry point has the name of a verifier and leads to its record. A package that breaks this
is named in `faults`, and nobody else notices.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, get_args

from verifiers import certificate, provenance
from verifiers.cards.entropy_gap import ENTROPY_GAP
from verifiers.certificate import Break, Certificate, Rate, Truth
from verifiers.measurement import Profile, SubjectRef
from verifiers.records import (
    BadPackage,
    BadParameters,
    EndpointSpec,
    ParameterSpec,
    ProfileSpec,
    RefusedVerifier,
    SubjectFacts,
    Trial,
    UnknownSubject,
    UnknownVerifier,
    Verifier,
    VerifierError,
    pick,
)
from verifiers.table import SUBJECTS, VERIFIERS

__all__ = [
    "ENTROPY_GAP",
    "SUBJECTS",
    "VERIFIERS",
    "BadPackage",
    "BadParameters",
    "Break",
    "Certificate",
    "EndpointSpec",
    "ParameterSpec",
    "ProfileSpec",
    "Rate",
    "RefusedVerifier",
    "Status",
    "SubjectFacts",
    "Trial",
    "Truth",
    "UnknownSubject",
    "UnknownVerifier",
    "Verifier",
    "VerifierError",
    "certificate_of",
    "check_break",
    "faults",
    "find",
    "find_subject",
    "runnable",
    "status",
    "subjects",
    "verifiers",
]

GROUP = "stillholds.verifiers"
NOT_KNOWN = "not known"  # of the model behind a log; its number of parameters is then 0
COST_OF_LOGS = 0.02  # of a run, as a share of one that trains
Status = Literal["certified", "uncertified", "refused"]

# --- verifiers -------------------------------------------------------------------------------------------------------


def find(name: str) -> Verifier:
    """The verifier of that name. One of the house is found without loading any other package.

    Raises:
        UnknownVerifier: with the nearest names.
        BadPackage: when a package offers it and its record cannot be used.
    """
    if name in VERIFIERS:
        return VERIFIERS[name]
    if name in _offered():
        return _loaded(name)
    return pick(verifiers(), name, "verifier", UnknownVerifier)


def runnable(name: str) -> Verifier:
    """The verifier of that name, to run it.

    Raises:
        RefusedVerifier: when it stands in the table as an example of what cannot fail.
    """
    verifier = find(name)
    if verifier.refused:
        raise RefusedVerifier(f"the verifier {name} is refused and never run: {verifier.refused}")
    return verifier


def check_break(verifier: Verifier, name: str) -> None:
    """Make sure that VERIFIER can be broken in that way.

    Raises:
        BadParameters: with the ways that there are.
    """
    trial = verifier.trial
    known = (*trial.breaks, *trial.training_breaks) if trial else ()
    pick({one: one for one in known}, name, f"break of {verifier.name}", BadParameters)


def verifiers() -> dict[str, Verifier]:
    """Every verifier that can be used here: those of the house, then those of other packages."""
    return {**VERIFIERS, **{name: _loaded(name) for name in _offered() if name not in faults()}}


@lru_cache
def faults() -> Mapping[str, str]:
    """What other packages offer and cannot be used, by name, and why."""
    found: dict[str, str] = {}
    for name in _offered():
        try:
            _loaded(name)
        except BadPackage as error:
            found[name] = str(error)
    return found


@lru_cache
def _offered() -> Mapping[str, tuple[EntryPoint, ...]]:
    """What installed packages offer, by name; none of it is loaded."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        found[point.name] = (*found.get(point.name, ()), point)
    return dict(sorted(found.items()))


@lru_cache
def _loaded(name: str) -> Verifier:
    """The record that a package offers under NAME.

    Raises:
        BadPackage: with the distribution's name and what to mend.
    """
    points = _offered()[name]
    by = " and ".join(sorted(_distribution(point) for point in points))
    if len(points) > 1 or name in VERIFIERS:
        others = by if len(points) > 1 else f"{by}, and by stillholds itself"
        raise BadPackage(f"the verifier {name!r} is offered by {others}: one of them has to be renamed or removed")
    try:
        record = points[0].load()
    except (Exception, SystemExit) as error:  # what a foreign package does when imported
        said = f"{type(error).__name__}: {error}"
        raise BadPackage(f"the verifier {name!r} of the package {by} cannot be loaded: {said}") from error
    if wrong := _wrong_with(record, name):
        raise BadPackage(f"the verifier {name!r} of the package {by} cannot be used: {wrong}")
    checked: Verifier = record
    return checked


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _wrong_with(record: object, name: str) -> str:
    """Why a RECORD that another package offers as NAME cannot be used; empty when it can."""
    if not isinstance(record, Verifier):
        return f"its entry point leads to a {type(record).__name__}, not to a Verifier"
    scheme = record.entry.partition(":")[0].partition(".")[0]
    foreign = [facts.name for facts in record.own_subjects if not facts.name.startswith(f"{scheme}:")]
    known = {*SUBJECTS, *(facts.name for facts in record.own_subjects)}
    nameless = sorted({*record.subjects} - known)
    checks = (
        (record.name != name, f"its record says that it is called {record.name!r}"),
        (not record.endpoints, "it measures nothing: its record has no endpoints"),
        (
            {*record.profiles} != {*get_args(Profile)},
            "its record lacks one of the profiles smoke, standard and thorough",
        ),
        (bool(foreign), f"its own subjects must be named {scheme}:…, and {', '.join(foreign)} is not"),
        (bool(nameless), f"nobody describes its subject {', '.join(nameless)}"),
    )
    return next((said for is_wrong, said in checks if is_wrong), "")


# --- subjects --------------------------------------------------------------------------------------------------------


def subjects() -> dict[str, SubjectFacts]:
    """Every subject that is known here, by name."""
    own = {facts.name: facts for verifier in verifiers().values() for facts in verifier.own_subjects}
    return {**SUBJECTS, **own}


def find_subject(subject: SubjectRef, verifier: Verifier) -> SubjectFacts:
    """What SUBJECT is, if VERIFIER can measure it.

    Raises:
        UnknownSubject: with what the verifier can measure.
    """
    if subject.scheme in verifier.schemes:
        return SubjectFacts(str(subject), f"training logs: {subject.locator}", 0, NOT_KNOWN, NOT_KNOWN, COST_OF_LOGS)
    known = {**SUBJECTS, **{facts.name: facts for facts in verifier.own_subjects}}
    measured = {name: known[name] for name in verifier.subjects}
    return pick(measured, str(subject), f"subject of {verifier.name}", UnknownSubject)


# --- certificates ----------------------------------------------------------------------------------------------------


@lru_cache
def certificate_of(name: str) -> Certificate | None:
    """The granted certificate of the verifier of that name, if it is current: made with the very code that runs."""
    verifier = find(name)
    found = None if verifier.refused else certificate.read(verifier)
    if found is None or not found.granted or found.code_digest != provenance.trial_digest(verifier):
        return None
    return found


def status(verifier: Verifier) -> Status:
    """Whether a verifier may be believed, must be shown as untried, or may not be run."""
    if verifier.refused:
        return "refused"
    return "certified" if certificate_of(verifier.name) else "uncertified"
