"""Does training on the most uncertain fifth of tokens teach what training on all of them does, because they are uncertain?

Claim      Reinforcement learning with verifiable rewards may leave out four fifths of the tokens, those with the lowest
           entropy, and lose nothing (arXiv:2506.01939, which reports gains for the top fifth on models of 14 and 32 billion
           parameters; it shows no arm on a random fifth where we read it, and no repeats).
Quantity   Success R, exact: the mean over all prompts of the probability of a correct response at temperature 1. Five
           numbers a unit, of the base and of four arms that differ in the tokens they learn from and in nothing else. With
           gain = R(all) − R(base), the claim has three parts, each a linear contrast in probability:
               top_not_inferior   R(top) − R(all) + 0.10 · gain          the top share loses a tenth of the gain at most
               top_over_random    R(top) − R(random) − 0.05 · gain       and is better than as many tokens at random
               rest_adds_little   R(bottom) − R(base) − 0.25 · gain      and the rest wins a quarter of the gain at most
           The first two claim to be above 0, the third below. The middle one is what makes it a claim about entropy.
Unit       A fresh world with a fresh base in it: ops, fillers, initialisation, corpus, prompts and all sampling drawn anew.
Worlds     In `path-choices` errors are bad choices, and the tokens of choice have all the entropy: true by construction.
           In `path-slips` errors are slips in tokens of middling entropy: false by construction. `path-mixed` has both.
           In `path-mixed-eighth` and `path-mixed-quarter` an eighth and a quarter of the tokens are choices, not a fifth.
Refuted by one part whose interval lies wholly on the wrong side of its border.
Not said   Anything about large models or natural language; that a fifth is a special share: it is a parameter.

Learning rate and number of steps decide the first part, so a contract fixes both, and a grid shows others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from verifiers.lab import checkpoints, forks_planted, forks_tokens, masked, path_bases
from verifiers.lab.forks_controls import (
    BREAKS,
    HEALTHY,
    TRAINING_BREAKS,
    VARIATIONS,
    Gated,
    Instrument,
    contrast_of,
    contrasts,
    gated,
    gates,
    of_short_training,
    of_the_instrument,
    planted_contrasts,
)
from verifiers.lab.forks_planted import PARTS, Parts
from verifiers.lab.masked import KINDS, Arm, Trained
from verifiers.lab.model import Decoder
from verifiers.lab.path import CHOICES, MIXED, SLIPS, Spec
from verifiers.lab.path_bases import Base, Name
from verifiers.lab.processes import spread
from verifiers.lab.randomness import stream
from verifiers.lab.training import Pretraining
from verifiers.measurement import Arm as Line
from verifiers.measurement import Control, Curve, Findings, Request
from verifiers.records import BadParameters
from verifiers.registry import find

WORLDS: Mapping[str, Spec] = {
    "path-mixed": MIXED,
    "path-choices": CHOICES,
    "path-slips": SLIPS,
    "path-mixed-eighth": replace(MIXED, fillers=6),
    "path-mixed-quarter": replace(MIXED, fillers=2),
}
# Planted subjects: the truths of the three parts. Where one part is on its border, the others are at their design effects.
DESIGN: Parts = (0.09, 0.06, -0.14)
PLANTED: Mapping[str, Parts] = {
    "forks-borders": (0.0, 0.0, 0.0),
    "forks-border-top": (0.0, *DESIGN[1:]),
    "forks-border-random": (DESIGN[0], 0.0, DESIGN[2]),
    "forks-border-rest": (*DESIGN[:2], 0.0),
    "forks-design": DESIGN,
}
SPREADS: Parts = (0.05, 0.02, 0.05)  # of planted units, part by part: those of trained ones, rounded up
GRID_RATES = (2.0, 8.0)  # times the contract's rate
GRID_UNITS = 3


@dataclass(frozen=True)
class Settings:
    """What a run does; what a contract may set stands first."""

    share: float  # of the tokens that are kept for their high entropy
    rate: float  # Adam's
    steps: int
    details: bool  # whether the endpoints beside the three parts are measured, and the grid
    units: int
    pretraining: Pretraining = path_bases.PRETRAINING
    spread: float = SPREADS[0]  # of planted units in the first part, the others in proportion
    texts: int = 512  # that tokens are looked at in
    is_gated: bool = True  # a smoke run trains too little for any gate


def settings_for(request: Request) -> Settings:
    """What REQUEST asks for. `thorough` has twice the units; `smoke` trains too little to mean anything."""
    verifier = find(request.verifier)
    asked = verifier.checked(request.parameters)
    units = request.units or verifier.profiles["standard"].units
    settings = Settings(
        asked["share"], asked["rate"], round(asked["steps"]), bool(asked["details"]), units,
        spread=request.spread or SPREADS[0],
    )  # fmt: skip
    if request.profile == "smoke":
        short = replace(settings.pretraining, steps=20)
        return replace(settings, units=2, steps=4, texts=64, pretraining=short, is_gated=False)
    return replace(settings, units=2 * units) if request.profile == "thorough" else settings


def measure(request: Request, report: Callable[[int, int, float], None]) -> Findings:
    """Run controls and units, and hand back one value a unit for every endpoint that the registry lists."""
    verifier, settings = find(request.verifier), settings_for(request)
    folder = Path(request.cache) / "checkpoints"
    tasks = [*([None] if request.controls else []), *range(settings.units)]
    results = spread(
        partial(_controls_or_unit, request, settings, folder),
        tasks,
        request.processes,
        lambda done, cpu_seconds: report(done, len(tasks), cpu_seconds),
    )
    on_planted = [control for result in results if isinstance(result, tuple) for control in result]
    units = [result for result in results if isinstance(result, Unit)]
    if request.subject.scheme == "lab":
        checkpoints.prune(folder)
    of_training = [unit.gated for unit in units if unit.gated and settings.is_gated]
    names = dict.fromkeys(name for unit in units for name in unit.series)
    return Findings(
        unit=verifier.unit,
        endpoints=tuple(spec.filled([unit.value(spec.name) for unit in units]) for spec in verifier.endpoints),
        controls=(*on_planted, *gates(of_training)),
        settings=asdict(settings)
        | {"arms": list(KINDS), "gate_quality": path_bases.QUALITY, "gate_excess": path_bases.EXCESS},
        series={name: tuple(unit.series.get(name) for unit in units) for name in names},
        curves=curves(units),
    )


def _controls_or_unit(
    request: Request, settings: Settings, folder: Path, index: int | None
) -> "Unit | tuple[Control, ...]":
    instrument = {**BREAKS, **VARIATIONS}.get(request.broken or "", HEALTHY)
    if instrument is HEALTHY and request.broken not in {None, *TRAINING_BREAKS}:
        raise BadParameters(f"the instrument cannot be broken by {request.broken!r}")
    if index is None:
        return of_the_instrument(stream("forking_share", request.seed, "controls"), instrument)
    name = ("forking_share", request.seed, "unit", index)
    if request.broken is not None and request.broken in TRAINING_BREAKS:
        return Unit(gated=of_short_training(*TRAINING_BREAKS[request.broken], name, folder))
    if request.subject.scheme == "planted":
        return planted_unit(request.subject.locator, name, settings, instrument)
    return lab_unit(WORLDS[request.subject.locator], name, settings, folder, instrument, with_grid=index < GRID_UNITS)


# --- one unit --------------------------------------------------------------------------------------------------------

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Unit:
    """What one unit gave: a value for each endpoint or the reason why there is none, and points for the figures."""

    values: Mapping[str, float | str] = field(default_factory=dict)
    series: Mapping[str, float | None] = field(default_factory=dict)
    spectrum: Mapping[str, Points] = field(default_factory=dict)  # (share of tokens, entropy in nats)
    grid: Mapping[str, Points] = field(default_factory=dict)  # (steps, first part of the claim) by rate
    gated: Gated | None = None

    def value(self, endpoint: str) -> float | str:
        """The value of an endpoint, or why there is none."""
        return self.values.get(endpoint, "this subject or contract does not ask for it")


def lab_unit(
    spec: Spec, name: Name, settings: Settings, folder: Path, instrument: Instrument, *, with_grid: bool
) -> Unit:
    """Draw a world, raise a base in it, train the four arms from there, and compare how often each succeeds."""
    base = path_bases.base(spec, name, settings.pretraining, folder)
    train = partial(trained, base, name, settings, folder, instrument)
    arms = {kind: train(kind) for kind in KINDS}
    reached = {"base": instrument.success(base.model, base.world)}
    reached |= {kind: instrument.success(arm.end, base.world) for kind, arm in arms.items()}
    values: dict[str, float | str] = {**contrasts(reached)}
    spectrum, grid = {}, {}
    if settings.details:
        values |= forks_tokens.looked_at(base, arms["all"].end, name, settings.texts)
        spectrum = forks_tokens.spectrum(base, name, settings.texts)
        if with_grid:
            grid = grid_of(base, train, settings, instrument)
    gated_by = gated(base, reached, max(arm.miscounted for arm in arms.values()))
    series = {
        **reached,
        "base_quality": base.quality,
        "base_excess": base.excess,
        "bases_rejected": float(base.rejected),
    }
    return Unit(values, series, spectrum, grid, gated_by)


def trained(
    base: Base,
    name: Name,
    settings: Settings,
    folder: Path,
    instrument: Instrument,
    kind: masked.Kind,
    rate: float = 1.0,
) -> Trained:
    """The arm of that KIND, with RATE times the learning rate of SETTINGS."""
    arm = Arm(kind, settings.share, rate * settings.rate, settings.steps, mask_of=instrument.mask)
    return masked.trained(base, name, arm, folder)


def grid_of(base: Base, train: Callable[..., Trained], settings: Settings, instrument: Instrument) -> dict[str, Points]:
    """The first part of the claim at other learning rates, half-way and at the end."""
    found: dict[str, Points] = {}
    for times in (1.0, *GRID_RATES):
        everything, top = train("all", times), train("top", times)
        looks = {settings.steps // 2: (everything.halfway, top.halfway), settings.steps: (everything.end, top.end)}
        found[f"learning rate {times * settings.rate:g}"] = [
            (float(steps), not_inferior(base, *models, instrument)) for steps, models in looks.items()
        ]
    return found


def not_inferior(base: Base, everything: Decoder, top: Decoder, instrument: Instrument) -> float:
    """The first part of the claim, of two arms."""
    models = {"base": base.model, "all": everything, "top": top}
    reached = {name: instrument.success(model, base.world) for name, model in models.items()}
    return contrast_of("top_not_inferior", reached)


def planted_unit(subject: str, name: Name, settings: Settings, instrument: Instrument) -> Unit:
    """Arms whose three contrasts are drawn about the subject's own, and then exact."""
    chance = stream(*name, "planted")
    noise = torch.randn(len(PARTS), generator=chance, dtype=torch.float64).tolist()
    scale = settings.spread / SPREADS[0]
    one, two, three = (
        truth + scale * own * by for truth, own, by in zip(PLANTED[subject], SPREADS, noise, strict=True)
    )
    arms = forks_planted.arms((one, two, three), chance)
    found = planted_contrasts(arms, instrument)
    return Unit({part: found[part] for part in PARTS})


# --- the run ---------------------------------------------------------------------------------------------------------


def curves(units: list[Unit]) -> tuple[Curve, ...]:
    """Final success by arm; the spectrum of entropies and the grid of learning rates and steps where they were asked for."""
    place = {"base": 0.0} | {kind: float(number) for number, kind in enumerate(KINDS, start=1)}
    ends = [
        {arm: [(x, value)] for arm, x in place.items() if (value := unit.series.get(arm)) is not None} for unit in units
    ]
    found = (
        _curve("arms", "arm", "success, probability", ends).model_copy(update={"style": "columns"}),
        _curve("spectrum", "share of tokens, most uncertain first", "entropy, nats", [unit.spectrum for unit in units]),
        _curve("grid", "steps of training", "top − all + 0.10 · gain, success", [unit.grid for unit in units]),
    )
    return tuple(curve for curve in found if curve.arms)


def _curve(name: str, x: str, y: str, units: Sequence[Mapping[str, Points]]) -> Curve:
    names = dict.fromkeys(line for unit in units for line in unit)
    lines = (
        Line(name=line, points=tuple((i, *point) for i, unit in enumerate(units) for point in unit.get(line, [])))
        for line in names
    )
    return Curve(name=name, x=x, y=y, scale="linear", null=0.0, arms=tuple(lines))
