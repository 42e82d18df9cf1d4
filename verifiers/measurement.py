"""What crosses the border between an experiment and everybody else: plain data, pydantic and nothing of ours.

A `Request` goes in; `Progress` and at the end one `Measurement` or one `Failure` come out, a line of JSON each.
A number that was not measured is None with a reason, never a number: NaN and infinity are refused here.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, model_validator

Scale = Literal["linear", "log"]
Statistic = Literal["mean", "median"]  # of the units: what an interval is for
Profile = Literal["smoke", "standard", "thorough"]
ControlKind = Literal["positive", "negative", "gate"]


class Value(BaseModel):
    """An immutable record that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SubjectRef(Value):
    """`scheme:locator`, for example `lab:story`: what is measured."""

    scheme: str
    locator: str

    @classmethod
    def parse(cls, text: str) -> Self:
        scheme, _, locator = text.partition(":")
        return cls(scheme=scheme, locator=locator)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.locator}"


class Request(Value):
    """One run asked for: which verifier, on what, with which seed and settings, on how much of the machine.

    The last three serve whoever tries the instrument itself: `spread` is the standard deviation of planted units on
    the scale of analysis (None is the verifier's own), `broken` names a way to break the instrument, and without
    `controls` only the checks on the run's own units are made. No run in a ledger uses them.
    """

    verifier: str
    subject: SubjectRef
    seed: Annotated[int, Field(ge=0, lt=2**53)]  # JSON numbers are exact up to there
    profile: Profile = "standard"
    parameters: dict[str, Any] = {}
    columns: dict[str, str] = {}  # of a log: which one holds what, and in which unit
    units: Annotated[int, Field(ge=1)] | None = (
        None  # of a standard run, as the contract has it; None is the verifier's own number
    )
    processes: Annotated[int, Field(ge=1)] = 1
    device: str = "cpu"
    cache: str
    memory_mb: Annotated[int, Field(ge=256)] | None = None
    spread: Annotated[FiniteFloat, Field(gt=0)] | None = None
    broken: str | None = None
    controls: bool = True


class Endpoint(Value):
    """The values of one quantity, one a unit, on the scale they are analysed on.

    On a log scale `values` and `cap` are natural logarithms; `null` is given as it is shown (a ratio of 1, not 0).
    A value beyond its cap counts as the cap; a unit without a value has None here and its reason in `missing`.
    """

    name: str
    quantity: str
    scale: Scale
    null: FiniteFloat
    cap: tuple[FiniteFloat, FiniteFloat]
    noise_floor: Annotated[FiniteFloat, Field(ge=0)]
    statistic: Statistic = "mean"
    values: tuple[FiniteFloat | None, ...]
    missing: dict[int, str] = {}

    @model_validator(mode="after")
    def _every_gap_has_a_reason(self) -> Self:
        gaps = {index for index, value in enumerate(self.values) if value is None}
        if gaps != set(self.missing):
            raise ValueError(
                f"{self.name}: units {sorted(gaps)} have no value, but reasons are given for {sorted(self.missing)}"
            )
        return self


class Control(Value):
    """A known answer that the instrument has to give: passed when |estimate − target| ≤ margin.

    `positive` controls plant an effect of known size, `negative` ones plant none; a `gate` asks whether training did
    what the run rests on. `passed` is None when the control could not run; `reason` then says why.
    """

    name: str
    kind: ControlKind
    passed: bool | None
    estimate: FiniteFloat | None
    target: FiniteFloat
    margin: FiniteFloat
    standard_error: FiniteFloat | None = None
    reason: str = ""

    @classmethod
    def within(
        cls,
        name: str,
        kind: ControlKind,
        estimate: float,
        target: float,
        margin: float,
        standard_error: float | None = None,
    ) -> Self:
        """Check ESTIMATE against TARGET; a control whose own noise exceeds a third of its margin says nothing."""
        if standard_error is not None and standard_error > margin / 3:
            passed, reason = None, f"its standard error {standard_error:.3g} exceeds a third of its margin {margin:.3g}"
        else:
            passed = abs(estimate - target) <= margin
            reason = "" if passed else f"{estimate:.4g} is further than {margin:.3g} from {target:.4g}"
        return cls(
            name=name,
            kind=kind,
            passed=passed,
            estimate=estimate,
            target=target,
            margin=margin,
            standard_error=standard_error,
            reason=reason,
        )


class Arm(Value):
    """One line of a curve: points (unit, x, y), as analysed."""

    name: str
    points: tuple[tuple[int, FiniteFloat, FiniteFloat], ...]


class Curve(Value):
    """A quantity over another, in several arms: drawn, and never judged. `scale` and `null` are those of y.

    `style` says how it is drawn: arms as lines over x, as columns side by side in the order of x, or each unit in a
    panel of its own where both quantities were measured.
    """

    name: str
    style: Literal["lines", "columns", "panels"] = "lines"
    x: str
    y: str
    scale: Scale
    null: FiniteFloat
    arms: tuple[Arm, ...]


class Findings(Value):
    """What an experiment hands back: endpoints, controls, and figures that are only for plots."""

    unit: str
    endpoints: tuple[Endpoint, ...]
    controls: tuple[Control, ...]
    settings: dict[str, Any]
    series: dict[str, tuple[FiniteFloat | None, ...]] = {}
    curves: tuple[Curve, ...] = ()

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name.

        Raises:
            LookupError: when the experiment gave none.
        """
        for endpoint in self.endpoints:
            if endpoint.name == name:
                return endpoint
        raise LookupError(f"the measurement has no endpoint {name}")


class Provenance(Value):
    """Where a measurement came from: enough to run it again, and to see what has changed since."""

    version: str
    code_digest: str
    commit: str | None
    uncommitted_changes: bool | None
    packages: dict[str, str]
    python: str
    platform: str
    device: str
    threads_per_process: int
    processes: int
    seed: int
    started_at: AwareDatetime
    wall_seconds: FiniteFloat
    cpu_seconds: FiniteFloat


class Measurement(Value):
    """One finished run of a verifier on a subject."""

    verifier: str
    subject: SubjectRef
    profile: Profile
    parameters: dict[str, Any]
    findings: Findings
    provenance: Provenance


class Progress(Value):
    """How far a run has come."""

    event: Literal["progress"] = "progress"
    done: int
    total: int
    cpu_seconds: FiniteFloat = 0.0


Cause = Literal["stopped", "lost", "failed"]  # by a person or a shutdown; by what may pass; by the experiment itself


class Failure(Value):
    """A run that ended without a measurement, and why."""

    event: Literal["failure"] = "failure"
    reason: str
    cause: Cause = "failed"


class Finished(Value):
    """A run that ended with a measurement."""

    event: Literal["finished"] = "finished"
    measurement: Measurement


Event = Annotated[Progress | Failure | Finished, Field(discriminator="event")]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
