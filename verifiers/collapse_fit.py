"""Does reward follow −a·exp(H) + b in policy entropy H, or do the two only share a trend?

Claim      Without control of entropy, the validation reward R of a run follows R = −a·exp(H) + b in its policy entropy H
           (arXiv:2505.22617), so that entropy is traded for reward and R ends at b − a.
Quantity   One number a run: the share of the variance of R that the law explains, with the sign of a. It counts in full only
           where exp(H) explains half of what a straight line in step leaves over, since any two series with a trend
           correlate; a run that entropy alone shows to be unreadable, or that a rise in step explains clearly better, has
           no value but a reason.
Unit       A training run, in the laboratory with a world, a base and all sampling of its own; of a log, a run in it.
Rivals     Straight line, square root and logarithm in H, a logistic curve in step, the last value carried forward; for
           the intervened arms a mere change of learning rate, which moves the curve as well.
Refuted by a median over runs that lies wholly below the smallest R² that the contract calls a law.
Not said   That entropy is the cause, that the exponential is the form (over less than a nat a line fits as well), or
           anything about other models.

H is the mean over written tokens in nats, at temperature 1, of the batch that the policy just wrote; R is validated: in the
laboratory it is exact, a sum over all correct responses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from verifiers.lab import checkpoints, collapse_forms, collapse_gates, collapse_lab, collapse_logs, fits, path_bases
from verifiers.lab import collapse_instrument as instruments
from verifiers.lab import collapse_planted as planted
from verifiers.lab.collapse_gates import Gated
from verifiers.lab.collapse_instrument import BREAKS, HEALTHY, VARIATIONS, Instrument
from verifiers.lab.collapse_logs import Log
from verifiers.lab.fits import Fit, Run
from verifiers.lab.processes import spread
from verifiers.lab.training import Pretraining
from verifiers.measurement import Arm, Control, Curve, Findings, Request
from verifiers.records import BadParameters
from verifiers.registry import find

SPREAD = 0.02  # of planted runs about their R²: that of trained ones, rounded up
SHORT, BRIEF = 49, replace(path_bases.PRETRAINING, steps=250)  # of a smoke run: 13 points of a middling base
DRAWN = 60  # points of a run that a figure shows at most
# Ways to intervene, as the laboratory calls them and a log may, and the endpoint that each is for.
ARMS: Mapping[str, str] = {
    "entropy bonus": "residual_entropy_bonus", "kl reference": "residual_kl_reference",
    "clip higher": "residual_clip_higher", "clip cov": "residual_clip_cov", "kl cov": "residual_kl_cov",
    "gppo": "residual_gppo", "ppo": "residual_updates", "learning rate": "residual_rate",
}  # fmt: skip
LAW = ("fit", "raw_r2", "beyond_a_line", "coefficient", "ceiling")  # what a fit gives
FORMS = ("exp_over_line", "exp_over_rise", "later_error", "forecast_gain", "timing")
NOT_IN_LOGS = dict.fromkeys(ARMS.values(), "the log has no such arm") | {
    "covariance_slope": "a log holds no exact change of entropy"
}


@dataclass(frozen=True)
class Settings:
    """What a run does; what a contract may set stands first."""

    details: bool  # whether intervened arms are trained too, and the covariance is followed
    units: int
    spread: float = SPREAD
    steps: int = collapse_lab.LONG
    pretraining: Pretraining = path_bases.PRETRAINING
    gated: bool = True  # a smoke run trains too little for any gate


def settings_for(request: Request) -> Settings:
    """What REQUEST asks for. `thorough` has twice the units; `smoke` trains too little to mean anything."""
    verifier = find(request.verifier)
    units = request.units or verifier.profiles["standard"].units
    settings = Settings(bool(verifier.checked(request.parameters)["details"]), units, request.spread or SPREAD)
    if request.profile == "smoke":
        return replace(settings, units=2, steps=SHORT, pretraining=BRIEF, gated=False)
    return replace(settings, units=2 * units) if request.profile == "thorough" else settings


def measure(request: Request, report: Callable[[int, int, float], None]) -> Findings:
    """Run controls and units, and hand back one value a unit for every endpoint that the registry lists."""
    verifier, settings = find(request.verifier), settings_for(request)
    folder = Path(request.cache) / "checkpoints"
    log = collapse_logs.read(request, tuple(ARMS))
    tasks = [*([None] if request.controls else []), *range(len(log.plain) if log else settings.units)]
    results = spread(
        partial(_controls_or_unit, request, settings, folder, log),
        tasks,
        request.processes,
        lambda done, cpu_seconds: report(done, len(tasks), cpu_seconds),
    )
    on_frozen = [control for result in results if isinstance(result, tuple) for control in result]
    units = [result for result in results if isinstance(result, Unit)]
    names = dict.fromkeys(name for unit in units for name in unit.series)
    gated = [unit.gated for unit in units if unit.gated]
    if request.subject.scheme == "lab":
        checkpoints.prune(folder)
    return Findings(
        unit=verifier.unit,
        endpoints=tuple(spec.filled([unit.value(spec.name) for unit in units]) for spec in verifier.endpoints),
        controls=(*on_frozen, *collapse_gates.controls(gated if settings.gated else [])),
        settings={"log": dict(log.said)} if log else asdict(settings) | collapse_lab.described(request.subject),
        series={name: tuple(unit.series.get(name) for unit in units) for name in names},
        curves=(plane(units),),
    )


def _controls_or_unit(
    request: Request, settings: Settings, folder: Path, log: Log | None, index: int | None
) -> "Unit | tuple[Control, ...]":
    instrument = {**BREAKS, **VARIATIONS}.get(request.broken or "", HEALTHY)
    if instrument is HEALTHY and request.broken not in {None, *collapse_gates.BREAKS}:
        raise BadParameters(f"the instrument cannot be broken by {request.broken!r}")
    if index is None:
        return instruments.controls(("collapse_fit", request.seed, "controls"), instrument)
    name = ("collapse_fit", request.seed, "unit", index)
    if request.broken is not None and request.broken in collapse_gates.BREAKS:
        return Unit(gated=collapse_gates.of_short_training(request.broken, name, folder))
    if log is not None:
        unit = unit_of(log.plain[index], log.beside(index), instrument)
        return replace(unit, values={**NOT_IN_LOGS, **unit.values})
    if request.subject.scheme == "lab":
        return lab_unit(request.subject.locator, name, settings, folder, instrument)
    run = planted.run_of(request.subject.locator, name, settings.spread, instrument.planted)
    return unit_of(run, {}, instrument)


# --- one unit ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """What one run gave: a value for each endpoint or the reason why there is none, and what is drawn of it."""

    values: Mapping[str, float | str] = field(default_factory=dict)
    series: Mapping[str, float | None] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)  # that are drawn: the run itself, as read, is "measured"
    gated: Gated | None = None

    def value(self, endpoint: str) -> float | str:
        """The value of an endpoint, or why there is none."""
        return self.values.get(endpoint, "this subject or contract does not ask for it")


def lab_unit(subject: str, name: collapse_lab.Name, settings: Settings, folder: Path, instrument: Instrument) -> Unit:
    """Train a run, with its arms where they are asked for, and read it."""
    raised = collapse_lab.raised(
        subject, name, folder, details=settings.details, steps=settings.steps, pretraining=settings.pretraining
    )
    unit = unit_of(raised.run, raised.arms, instrument)
    beside = {} if raised.covariance is None else {"covariance_slope": raised.covariance}
    bases = {} if raised.base is None else {"quality": raised.base.quality, "rejected": float(raised.base.rejected)}
    return replace(
        unit,
        values={**unit.values, **beside},
        series={**unit.series, **bases},
        gated=collapse_gates.of_run(subject, raised),
    )


def unit_of(run: Run, arms: Mapping[str, Run | str], instrument: Instrument) -> Unit:
    """Read a RUN and hold it against the law; ARMS are runs with an intervention that belong to it, or why one is empty."""
    (run,) = instrument.read([run])
    found = instrument.fit(run)
    values = law_values(found) | form_values(run, found)
    values |= {ARMS[arm]: residual(arm, arms, run) for arm in arms if arm in ARMS}
    drawn = {arm: other for arm, other in arms.items() if not isinstance(other, str)}
    return Unit(values, series_of(run, found), {**drawn, **laws(run, found), "measured": run})


def law_values(found: Fit | str) -> dict[str, float | str]:
    """What a fit says of the law itself."""
    if isinstance(found, str):
        return dict.fromkeys(LAW, found)
    return dict(zip(LAW, (found.value, found.raw, found.beyond_line, found.a, found.ceiling), strict=True))


def form_values(run: Run, found: Fit | str) -> dict[str, float | str]:
    """Which form a run has, what its beginning foretells, and what falls first."""
    if isinstance(found, str):
        return dict.fromkeys(FORMS, found)
    foretold = collapse_forms.forecast(run)
    later, gain = (foretold, foretold) if isinstance(foretold, str) else foretold
    over = collapse_forms.over_forms(run), collapse_forms.over_rise(run)
    return dict(zip(FORMS, (*over, later, gain, collapse_forms.timing(run)), strict=True))


def residual(arm: str, arms: Mapping[str, Run | str], run: Run) -> float | str:
    """How many points an arm lies above the curve of what it is compared with: PPO where it is PPO with one thing more."""
    how = collapse_lab.ARMS[arm]
    this, curve = arms[arm], run if how.against == "measured" else arms.get(how.against, run)
    if isinstance(this, str) or isinstance(curve, str):
        return this if isinstance(this, str) else str(curve)
    return collapse_forms.off_the_curve(this, curve)


def series_of(run: Run, found: Fit | str) -> dict[str, float | None]:
    """Figures beside the endpoints: where the run began and ended, and how well every form fits it."""
    ends = {
        "entropy_first": float(run.entropy[0]), "entropy_last": float(run.entropy[-1]),
        "reward_first": float(run.score[0]), "reward_last": float(run.score[-1]),
    }  # fmt: skip
    if isinstance(found, str):
        return {**ends}
    forms = {f"r2_{name.replace(' ', '_')}": share for name, share in collapse_forms.shares(run).items()}
    return {**ends, "a": found.a, "b": found.b, "r2_rise": found.rise, **forms}


# --- the run ---------------------------------------------------------------------------------------------------------------


def plane(units: Sequence[Unit]) -> Curve:
    """Every run in the plane of entropy and reward, with the law fitted to it and what its first third foretells."""
    points: dict[str, list[tuple[int, float, float]]] = {}
    for index, unit in enumerate(units):
        for name, run in unit.runs.items():
            few = np.unique(np.linspace(0, len(run.step) - 1, DRAWN).round().astype(int))
            pairs = zip(run.entropy[few].tolist(), run.score[few].tolist(), strict=True)
            points.setdefault(name, []).extend((index, *pair) for pair in pairs)
    arms = tuple(Arm(name=name, points=tuple(found)) for name, found in points.items())
    return Curve(
        name="plane", style="panels", x="policy entropy, nats", y="reward", scale="linear", null=0.0, arms=arms
    )


def laws(run: Run, found: Fit | str) -> dict[str, Run]:
    """What was fitted: the law and its rivals, and what the law fitted to the first third foretells."""
    if isinstance(found, str):
        return {}
    entropy = np.linspace(run.entropy.max(), run.entropy.min(), 12)
    third, alone = run.only(np.arange(len(run.step) // 3)), fits.rise(run.step, run.score).curve
    law, early = fits.line(run.branching, run.score), fits.line(third.branching, third.score)
    return {
        "fitted law": Run(entropy, entropy, law.at(np.exp(entropy))),
        "straight line in entropy": Run(entropy, entropy, fits.line(run.entropy, run.score).at(entropy)),
        "rise in step": Run(run.step, run.entropy, fits.line(alone, run.score).at(alone)),
        "forecast of the first third": Run(entropy, entropy, early.at(np.exp(entropy))),
    }
