"""The one table of verifiers and of what they can measure: plain records, so that listing them loads nothing heavy.

Errors
    VerifierError
    ├── UnknownVerifier
    ├── UnknownSubject
    └── BadParameters
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from verifiers.measurement import Endpoint, Profile, Scale, SubjectRef

Entry = TypeVar("Entry")


class VerifierError(Exception):
    """Something was asked of the verifiers that they do not know."""


class UnknownVerifier(VerifierError):
    """No verifier has that name."""


class UnknownSubject(VerifierError):
    """No subject has that name, or the verifier cannot measure it."""


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


@dataclass(frozen=True)
class ProfileSpec:
    """How much a profile does; `cpu_seconds` is what it cost when last measured, on one core of two."""

    units: int
    cpu_seconds: float
    says: str


@dataclass(frozen=True)
class Verifier:
    """Everything that is known of a verifier without running it."""

    name: str
    version: str
    entry: str  # "module:function"
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
    status: Literal["uncertified", "certified"] = "uncertified"
    controls: tuple[str, ...] = field(default=())

    def endpoint(self, name: str) -> EndpointSpec:
        """The endpoint of that name.

        Raises:
            BadParameters: when there is none.
        """
        return _pick({spec.name: spec for spec in self.endpoints}, name, f"endpoint of {self.name}", BadParameters)

    def checked(self, parameters: Mapping[str, Any]) -> dict[str, float]:
        """PARAMETERS with defaults filled in.

        Raises:
            BadParameters: when one is unknown, no number, or out of range.
        """
        specs = {spec.name: spec for spec in self.parameters}
        checked = {name: spec.default for name, spec in specs.items()}
        for name, value in parameters.items():
            spec = _pick(specs, name, f"parameter of {self.name}", BadParameters)
            if isinstance(value, bool) or not isinstance(value, int | float) or not spec.low <= value <= spec.high:
                raise BadParameters(
                    f"{name} = {value!r}: give a number from {spec.low:g} to {spec.high:g} ({spec.meaning})"
                )
            checked[name] = float(value)
        for spec in specs.values():
            if spec.below and checked[spec.name] >= checked[spec.below]:
                raise BadParameters(
                    f"{spec.name} = {checked[spec.name]:g} must lie below {spec.below} = {checked[spec.below]:g}"
                )
        return checked


_LOG_100 = 4.605170185988091
_OWN = "at the stated own entropy"

ENTROPY_GAP = Verifier(
    name="entropy_gap",
    version="0.1",
    entry="verifiers.entropy_gap:measure",
    question="Is a model surer of text it wrote itself than of text its twin wrote, once it has been post-trained?",
    measures=(
        "Two lineages are pretrained in one small world to near the best possible reader, then post-trained with reinforcement learning "
        "until their own text is as sure as asked. Each writes texts, each reads both. The interaction ratio G says how much less sure the "
        "models are on each other's text than on their own, with the difficulty of texts and the general sureness of models cancelled. The "
        "primary endpoint is G after post-training divided by G before it."
    ),
    on=(
        "lab:story, two-layer networks of 19 thousand parameters on synthetic topic stories of 20 tokens; worlds, networks, corpora and "
        "samples are drawn anew for every unit."
    ),
    refuted_by="an interval of the primary endpoint that lies wholly below the smallest effect of interest that the contract names",
    does_not_say=(
        "anything about models of another size, or about natural language",
        "that a model knows who wrote a text: a decoder sees tokens, never authors",
        "that reinforcement learning is the cause: other ways of narrowing a distribution are not compared yet",
        "how large the ratio is as such: it grows without bound as own entropy falls, so it is given at a stated own entropy",
    ),
    sources=("arXiv:2605.25459",),
    unit="a fresh world with a fresh pair of lineages in it",
    endpoints=(
        EndpointSpec(
            "interaction_did",
            "interaction ratio, after over before post-training",
            f"by how much post-training multiplies the interaction ratio, {_OWN}",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
        EndpointSpec(
            "interaction_after",
            "interaction ratio after post-training",
            f"entropy on the twin's text over entropy on own text, {_OWN}, text difficulty and model sureness cancelled",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
        EndpointSpec(
            "interaction_before",
            "interaction ratio before post-training",
            "the same contrast between the two pretrained twins",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
        EndpointSpec(
            "row_ratio",
            "row ratio after post-training",
            f"entropy on the world's own text over entropy on own text, {_OWN}; a change of temperature moves it too",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
        EndpointSpec(
            "absolute_gap",
            "interaction gap after post-training, nats",
            f"the interaction without logarithms: how many nats less sure on the twin's text, {_OWN}",
            "linear",
            0.0,
            0.005,
            (-3.2, 3.2),
        ),
        EndpointSpec(
            "deeper_did",
            "interaction ratio, after over before, at the deeper own entropy",
            "the primary quantity once more, further down",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
        EndpointSpec(
            "dose_contrast",
            "interaction ratio at the deeper own entropy over the one at the stated own entropy",
            "whether the gap is one size, or grows as own entropy falls",
            "log",
            1.0,
            0.005,
            (-_LOG_100, _LOG_100),
        ),
    ),
    parameters=(
        ParameterSpec("own_entropy", 0.45, 0.1, 1.2, "nats on own text at which lineages are compared"),
        ParameterSpec("deeper_entropy", 0.30, 0.06, 1.1, "nats, the second and lower dose", below="own_entropy"),
    ),
    subjects=("lab:story",),
    profiles={
        "smoke": ProfileSpec(2, 20, "only that the pipeline works"),
        "standard": ProfileSpec(12, 140, "what the contract asks"),
        "thorough": ProfileSpec(24, 275, "the same with twice the units"),
    },
    default_contract={
        "endpoint": "interaction_did",
        "regions": {"holds": ">= 1.25", "weakened": "1.10 .. 1.25", "refuted": "< 1.10"},
        "design_effect": 1.82,
        "unit": {"per_run": 12, "first_look": 12},
        "shelf_life_days": 30,
        "regime": {
            "stage": "post-trained with reinforcement learning",
            "size": "1e4 .. 1e6",
            "domain": "synthetic stories",
        },
        "does_not_say": "anything about models outside the laboratory",
    },
    controls=(
        "replay identity: reading a text again gives the entropies of writing it, to 1e-5 nats (frozen models, and this run's own texts)",
        "second sample, same weights: another sample of one frozen model is as sure as the first",
        "pretrained twins: two frozen models of one world, before post-training, show no interaction",
        "own surprise equals own entropy: texts are drawn from the very distribution that is read",
        "surprise gate: two planted models, sharper on unsurprising text by a known amount, are found at their exact size",
    ),
)

VERIFIERS: Mapping[str, Verifier] = {verifier.name: verifier for verifier in (ENTROPY_GAP,)}

SUBJECTS: Mapping[str, SubjectFacts] = {
    facts.name: facts
    for facts in (
        SubjectFacts(
            "lab:story",
            "tiny networks on synthetic topic stories",
            18_752,
            "post-trained with reinforcement learning",
            "synthetic stories",
        ),
    )
}


def find(name: str) -> Verifier:
    """The verifier of that name.

    Raises:
        UnknownVerifier: with the nearest names.
    """
    return _pick(VERIFIERS, name, "verifier", UnknownVerifier)


def find_subject(subject: SubjectRef, verifier: Verifier) -> SubjectFacts:
    """What SUBJECT is, if VERIFIER can measure it.

    Raises:
        UnknownSubject: with what the verifier can measure.
    """
    return _pick(
        {name: SUBJECTS[name] for name in verifier.subjects},
        str(subject),
        f"subject of {verifier.name}",
        UnknownSubject,
    )


def _pick(table: Mapping[str, Entry], name: str, what: str, error: type[VerifierError]) -> Entry:
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(table)}"
    raise error(f"no {what} is called {name!r}; {hint}")
