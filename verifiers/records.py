"""What is known of a verifier without running it: plain records, so that listing them loads nothing heavy.

Errors
    VerifierError
    ├── UnknownVerifier
    ├── UnknownSubject
    ├── RefusedVerifier
    ├── BadPackage
    └── BadParameters
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from verifiers.measurement import Endpoint, Profile, Scale, Statistic

Entry = TypeVar("Entry")


class VerifierError(Exception):
    """Something was asked of the verifiers that they do not know."""


class UnknownVerifier(VerifierError):
    """No verifier has that name."""


class UnknownSubject(VerifierError):
    """No subject has that name, or the verifier cannot measure it."""


class RefusedVerifier(VerifierError):
    """A verifier that cannot come out both ways is never run."""


class BadPackage(VerifierError):
    """What another package offers as a verifier cannot be used."""


class BadParameters(VerifierError):
    """A parameter is unknown or out of range."""


@dataclass(frozen=True)
class SubjectFacts:
    """What kind of model a subject is: the words that a claim's regime is compared with."""

    name: str
    title: str
    parameters: int
    stage: str
    domain: str
    cost: float = 1.0  # of a run on it, as a share of what the verifier's profile says


@dataclass(frozen=True)
class EndpointSpec:
    """One quantity that a verifier measures; `noise_floor` and `cap` on the scale of analysis."""

    name: str
    quantity: str
    meaning: str
    scale: Scale
    null: float
    noise_floor: float
    cap: tuple[float, float]
    statistic: Statistic = "mean"

    def filled(self, units: Iterable[float | str]) -> Endpoint:
        """The endpoint with one value a unit; a string is the reason why a unit has none."""
        units = list(units)
        return Endpoint(
            name=self.name,
            quantity=self.quantity,
            scale=self.scale,
            null=self.null,
            cap=self.cap,
            noise_floor=self.noise_floor,
            statistic=self.statistic,
            values=tuple(None if isinstance(value, str) else value for value in units),
            missing={index: value for index, value in enumerate(units) if isinstance(value, str)},
        )


@dataclass(frozen=True)
class ParameterSpec:
    """A number that a contract may set."""

    name: str
    default: float
    low: float
    high: float
    meaning: str
    below: str | None = None  # a parameter that this one must lie below
    adds: float = 0.0  # above 0: at 1 it adds endpoints, and this share of a run's cost; no other value changes


@dataclass(frozen=True)
class ProfileSpec:
    """How much a profile does; `cpu_seconds` is what it cost when last measured, on one core of two."""

    units: int
    cpu_seconds: float
    says: str


@dataclass(frozen=True)
class Trial:
    """What a verifier is tried on before anybody believes it: subjects whose truth is known, and ways to break it.

    `planted` names a subject for every truth that the certificate asks about (the null, each border, the middle of
    WEAKENED, the design effect) with its value as shown, or the values of all parts of a composite contract. In the
    world `true` the default contract's claim is true by construction, in `false` it is false. `breaks` must be caught
    by the controls, `training_breaks` by the gates. `spread` is the standard deviation, on the scale of analysis, of
    units of ordinary subjects, of each part in turn: where the units of `true` and `false` vary less, this is what the
    other levels draw with. `variations` are ways to measure that must not matter (`batch`, `dtype`), asked for as
    breaks are.
    """

    planted: Mapping[str, float | tuple[float, ...]]
    true: str
    false: str
    breaks: tuple[str, ...]
    training_breaks: tuple[str, ...] = ()
    spread: float | tuple[float, ...] = 0.0
    variations: tuple[str, ...] = ()

    def spread_of(self, part: int) -> float:
        """The spread of the units of a part."""
        return self.spread[part] if isinstance(self.spread, tuple) else self.spread


@dataclass(frozen=True)
class Verifier:
    """Everything that is known of a verifier without running it.

    `entry` is "module:function". A verifier with `refused` set stands here as an example and cannot be run.
    `own_subjects` are subjects that come with a verifier from another package; `schemes` are kinds of subjects that
    somebody brings along (`runlog`, a training log), of which nothing is known beforehand.
    """

    name: str
    version: str
    entry: str
    question: str
    measures: str
    on: str
    refuted_by: str
    does_not_say: tuple[str, ...]
    sources: tuple[str, ...]
    unit: str
    endpoints: tuple[EndpointSpec, ...]
    parameters: tuple[ParameterSpec, ...]
    subjects: tuple[str, ...]
    profiles: Mapping[Profile, ProfileSpec]
    default_contract: Mapping[str, Any]
    controls: tuple[str, ...] = ()
    trial: Trial | None = None
    own_subjects: tuple[SubjectFacts, ...] = ()
    schemes: tuple[str, ...] = ()
    refused: str = ""

    def endpoint(self, name: str) -> EndpointSpec:
        """The endpoint of that name.

        Raises:
            BadParameters: when there is none.
        """
        return pick({spec.name: spec for spec in self.endpoints}, name, f"endpoint of {self.name}", BadParameters)

    def checked(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """PARAMETERS with defaults filled in.

        Raises:
            BadParameters: when one is unknown, no number, or out of range.
        """
        specs = {spec.name: spec for spec in self.parameters}
        checked = {name: spec.default for name, spec in specs.items()}
        for name, value in parameters.items():
            spec = pick(specs, name, f"parameter of {self.name}", BadParameters)
            if isinstance(value, bool) or not isinstance(value, int | float) or not spec.low <= value <= spec.high:
                raise BadParameters(
                    f"{name} = {value!r}: give a number from {spec.low:g} to {spec.high:g} ({spec.meaning})"
                )
            if spec.adds and value not in {0, 1}:
                raise BadParameters(f"{name} = {value!r}: give 0 or 1 ({spec.meaning})")
            checked[name] = float(value)
        for spec in specs.values():
            if spec.below and checked[spec.name] >= checked[spec.below]:
                raise BadParameters(
                    f"{spec.name} = {checked[spec.name]:g} must lie below {spec.below} = {checked[spec.below]:g}"
                )
        return checked


def pick(table: Mapping[str, Entry], name: str, what: str, error: type[VerifierError]) -> Entry:
    """The entry of that name; an ERROR that names the nearest when there is none."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(table)}"
    raise error(f"no {what} is called {name!r}; {hint}")
