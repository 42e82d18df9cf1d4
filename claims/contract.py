"""A contract: what makes a claim testable, fixed before a run. Its text format is docs/contracts.md.

Borders are written as they are shown (a ratio of 1.25, not its logarithm) and compared on the endpoint's own scale.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from claims.errors import BadContract
from verifiers.measurement import Scale, Statistic, SubjectRef, Value
from verifiers.registry import EndpointSpec, Verifier, VerifierError, find_subject, runnable

Region = Literal["holds", "weakened", "refuted"]
REGIONS: tuple[Region, ...] = ("holds", "weakened", "refuted")
TRAINED_UNITS = 8  # the fewest units that a run may rest on where units are trained

_LARGEST = math.log(sys.float_info.max)
_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_FROM = re.compile(rf"(?:>=|>|≥|from)\s*{_NUMBER}|{_NUMBER}\s+or more", re.IGNORECASE)
_TO = re.compile(rf"(?:<=|<|≤|up to|below)\s*{_NUMBER}|{_NUMBER}\s+or less", re.IGNORECASE)
_BETWEEN = re.compile(rf"{_NUMBER}\s*(?:\.\.|–|to)\s*{_NUMBER}", re.IGNORECASE)


class Span(Value):
    """A stretch of the axis; None is its end. Borders belong to both neighbours: an interval that touches one is on
    neither side.
    """

    low: FiniteFloat | None
    high: FiniteFloat | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `>= 1.25`, `< 1.10` or `1.10 .. 1.25`."""
        said = text.strip()
        if found := _BETWEEN.fullmatch(said):
            low, high = float(found[1]), float(found[2])
            if low >= high:
                raise ValueError(f"{said!r} ends before it begins")
            return cls(low=low, high=high)
        if found := _FROM.fullmatch(said):
            return cls(low=float(found[1] or found[2]), high=None)
        if found := _TO.fullmatch(said):
            return cls(low=None, high=float(found[1] or found[2]))
        raise ValueError(f"{said!r} is no stretch of an axis: write '>= 1.25', '< 1.10' or '1.10 .. 1.25'")

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return (
                f"{self.low:g} or more"
                if self.low is not None
                else f"below {self.high:g}"
                if self.high is not None
                else "any"
            )
        return f"{self.low:g} to {self.high:g}"


def shown(value: float, scale: Scale) -> float:
    """VALUE, on the scale of analysis, as people read it; what no float can hold shows as the largest that it can."""
    return math.exp(min(value, _LARGEST)) if scale == "log" else value


def _spans(value: Any) -> Any:
    parts = value if isinstance(value, list | tuple) else [value]
    return [part if isinstance(part, Span | dict) else Span.parse(str(part)) for part in parts]


Spans = Annotated[tuple[Span, ...], BeforeValidator(_spans)]


class Regions(Value):
    """The axis of the effect, cut into three."""

    holds: Spans
    weakened: Spans = ()
    refuted: Spans

    @model_validator(mode="after")
    def _cover_the_axis_once(self) -> Self:
        if not self.holds or not self.refuted:
            raise ValueError("a claim must be able to hold and to be refuted: both regions need a stretch of the axis")
        first, *_, last = self.in_order()
        if first[1].low is not None:
            raise ValueError(f"nothing is said about values below {first[1].low:g}")
        if last[1].high is not None:
            raise ValueError(f"nothing is said about values above {last[1].high:g}")
        for (left_name, left), (right_name, right) in pairwise(self.in_order()):
            if left.high is None or right.low is None or left.high > right.low:
                raise ValueError(f"{left_name} ({left}) and {right_name} ({right}) overlap")
            if left.high < right.low:
                raise ValueError(f"nothing is said about values from {left.high:g} to {right.low:g}")
        return self

    def in_order(self) -> list[tuple[Region, Span]]:
        """All stretches from left to right, each with its region."""
        named: list[tuple[Region, Span]] = [(name, span) for name in REGIONS for span in getattr(self, name)]
        return sorted(named, key=lambda item: -math.inf if item[1].low is None else item[1].low)

    def side(self, span: Span, null: float) -> Literal["SMALLER", "LARGER"]:
        """Whether a weakened SPAN is a smaller effect than was claimed, or a larger one. Of a claim that something
        falls, wholly below NULL, the smaller effects lie above.
        """
        lowest = min(-math.inf if held.low is None else held.low for held in self.holds)
        highest = max(math.inf if held.high is None else held.high for held in self.holds)
        below = span.high is not None and span.high <= lowest
        return "SMALLER" if below != (highest <= null) else "LARGER"


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class UnitRule(Value):
    """How many units a run draws, and how many there must be before anything is said."""

    per_run: Annotated[int, Field(ge=TRAINED_UNITS, le=1000)]
    first_look: Annotated[int, Field(ge=TRAINED_UNITS)]

    @model_validator(mode="after")
    def _a_run_can_decide(self) -> Self:
        if self.first_look > self.per_run:
            raise ValueError(
                f"the first look needs {self.first_look} units and a run draws {self.per_run}: no run could decide"
            )
        return self


class Budget(Value):
    """What a run may use; a run that needs more ends as ERROR. Processor time is that of all its processes together:
    None is what they can use in the wall time. Memory is what each of them may hold.
    """

    wall_seconds: Annotated[FiniteFloat, Field(gt=0)] = 1800
    cpu_seconds: Annotated[FiniteFloat, Field(gt=0)] | None = None
    memory_mb: Annotated[int, Field(ge=512, le=2**30)] = 4096

    @model_serializer(mode="wrap")
    def _said(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what most contracts do not say, so that their digest stays what it was before it was there."""
        return {key: value for key, value in dumped(self).items() if (key, value) != ("cpu_seconds", None)}


class Regime(Value):
    """What the claim speaks of."""

    stage: Words
    size: Annotated[Span, BeforeValidator(lambda value: Span.parse(value) if isinstance(value, str) else value)]
    domain: Words


class Part(Value):
    """One quantity with its regions: all of what a claim says, or one of several things that it says together.

    `statistic` is what the interval is for: the mean of the units, or the median where they are bounded or skewed.
    """

    endpoint: str
    scale: Scale
    null: FiniteFloat
    statistic: Statistic = "mean"
    regions: Regions
    design_effect: FiniteFloat

    def analysed(self, value: float) -> float:
        """VALUE as it is shown, on the scale it is analysed on."""
        return math.log(value) if self.scale == "log" else value

    def shown(self, value: float) -> float:
        """VALUE as it is analysed, as it is shown."""
        return shown(value, self.scale)

    def smallest_effect(self) -> float:
        """How far the nearest border of REFUTED is from the null, on the scale of analysis; where the null is that
        border, because the margin is part of the quantity, how far the border is from the design effect.
        """
        borders = [border for span in self.regions.refuted for border in (span.low, span.high) if border is not None]
        null = self.design_effect if self.null in borders else self.null
        return min(abs(self.analysed(border) - self.analysed(null)) for border in borders)

    def narrowest_region(self) -> float:
        """The width of the narrowest region with two borders, on the scale of analysis; infinite where none has two."""
        widths = [
            self.analysed(span.high) - self.analysed(span.low)
            for _, span in self.regions.in_order()
            if span.low is not None and span.high is not None
        ]
        return min(widths, default=math.inf)

    @model_validator(mode="after")
    def _fits_its_scale(self) -> Self:
        said = [self.null, self.design_effect]
        said += [
            border for _, span in self.regions.in_order() for border in (span.low, span.high) if border is not None
        ]
        if self.scale == "log" and min(said) <= 0:
            raise ValueError(f"{min(said):g} has no logarithm: ratios are above 0")
        promised = [span for span in self.regions.holds if span.low is None or span.low < self.design_effect]
        if not any(span.high is None or self.design_effect < span.high for span in promised):
            raise ValueError(f"the design effect {self.design_effect:g} lies outside HOLDS, where power is promised")
        return self

    @model_serializer(mode="wrap")
    def _said(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what most contracts do not say, so that its digest stays that of contracts from before it was there."""
        unsaid = {"statistic": "mean", "also": ()}
        return {
            key: value for key, value in dumped(self).items() if key not in unsaid or value not in (unsaid[key], [])
        }


class Contract(Part):
    """Everything that turns a measurement into a verdict. What stands in `also` has to hold too."""

    verifier: str
    also: tuple[Part, ...] = ()
    unit: UnitRule
    parameters: dict[str, FiniteFloat]
    subjects: Annotated[tuple[str, ...], Field(min_length=1)]
    regime: Regime
    does_not_say: Words
    layer: Literal["paper", "note", "line"] = "note"
    level: Annotated[float, Field(ge=0.8, lt=1)] = 0.95
    shelf_life_days: Annotated[int, Field(ge=1, le=3650)] = 30
    budget: Budget = Budget()

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that the claim says together, its own endpoint first."""
        return (self, *self.also)

    def alone(self, part: Part, level: float | None = None) -> "Contract":
        """This contract as if PART were all that it is about, at its own level or another."""
        said = {name: getattr(part, name) for name in Part.model_fields}
        return self.model_copy(update={**said, "also": (), "level": level or self.level})

    @field_validator("subjects")
    @classmethod
    def _named_once(cls, subjects: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(subjects)) != len(subjects):
            raise ValueError("a subject is named twice")
        return subjects

    @model_validator(mode="after")
    def _each_part_once(self) -> Self:
        names = [part.endpoint for part in self.parts]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the endpoint {twice} is named twice")
        return self


def contract_from(written: Mapping[str, Any]) -> Contract:
    """The contract in WRITTEN, completed by what its verifier says of itself.

    Raises:
        BadContract: when a part is missing, unknown, contradicts another, or asks for more than the instrument can see.
    """
    try:
        verifier = runnable(str(_needed(written, "verifier")))
        _needed(written, "unit")
        subjects = _as_list(written.get("subjects", verifier.subjects[:1]))
        parameters = written.get("parameters", {})
        if not isinstance(parameters, Mapping):
            raise BadContract(f"parameters: {parameters!r} is no table of names and numbers")
        for subject in map(SubjectRef.parse, subjects):
            find_subject(subject, verifier)
            if subject.scheme in verifier.schemes:
                raise BadContract(
                    f"subjects: {subject} cannot be drawn anew, and a claim's sample grows by drawing units anew: look at "
                    f"it with `stillholds measure {verifier.name} --subject {subject}`"
                )
        completed = {
            **_completed(written, verifier),
            "also": [_completed(part, verifier, f"also, part {n}: ") for n, part in enumerate(_also(written), start=2)],
            "subjects": subjects,
            "parameters": verifier.checked(parameters),
        }
        contract = Contract.model_validate(completed)
    except VerifierError as error:
        raise BadContract(str(error)) from error
    except ValidationError as error:
        raise BadContract(_said_by(error)) from error
    for part in contract.parts:
        _check_noise(contract.verifier, part, verifier.endpoint(part.endpoint))
    return contract


def _also(written: Mapping[str, Any]) -> Sequence[Any]:
    parts = written.get("also", ())
    if not isinstance(parts, list | tuple):
        raise BadContract(f"also: {parts!r} is no list of further endpoints, each with its regions and design_effect")
    return parts


def _completed(written: Any, verifier: Verifier, where: str = "") -> dict[str, Any]:
    """A part with what its verifier says of the endpoint."""
    if not isinstance(written, Mapping):
        raise BadContract(f"{where}{written!r} is no table: say its endpoint, regions and design_effect")
    endpoint = verifier.endpoint(str(_needed(written, "endpoint", where)))
    theirs = {"scale": endpoint.scale, "null": endpoint.null, "statistic": endpoint.statistic}
    for key in theirs:
        if key in written:
            raise BadContract(
                f"{where}says {key}, which belongs to the endpoint and comes from the verifier: leave it out"
            )
    return {**written, **theirs}


def _needed(written: Mapping[str, Any], key: str, where: str = "") -> Any:
    if key not in written:
        raise BadContract(
            f"{where}says no {key}"
            + (": how many units a run draws (per_run) and the first look needs (first_look)" if key == "unit" else "")
        )
    return written[key]


def _as_list(subjects: Any) -> tuple[str, ...]:
    if isinstance(subjects, str):
        return (subjects,)
    if isinstance(subjects, list | tuple):
        return tuple(map(str, subjects))
    raise BadContract(f"subjects: {subjects!r} is no subject and no list of subjects")


def _check_noise(verifier: str, part: Part, endpoint: EndpointSpec) -> None:
    finest = min(part.smallest_effect(), part.narrowest_region())
    if endpoint.noise_floor > finest / 4:
        raise BadContract(
            f"asks for a difference of {finest:.3g} (on a {part.scale} scale), but {verifier} is itself "
            f"unsure by {endpoint.noise_floor:.3g}: regions must be at least four times that"
        )


def _said_by(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
