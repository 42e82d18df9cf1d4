"""Is a model surer of text it wrote itself than of text its twin wrote, once it has been post-trained?

Claim      Post-trained models' next-token entropy is lower on their own text than on others' text, and was not before post-training
           (arXiv:2605.25459, which reports three to four times; which contrast that figure uses is not known to us).
Quantity   The interaction ratio G. With E[i, j] the mean entropy in nats of model i on texts that model j wrote,
               log G = ½ (log E[a, b] + log E[b, a] − log E[a, a] − log E[b, b]),
           which cancels how hard a text is and how sure a model is in general. The primary endpoint is the difference
           in differences log G(after post-training) − log G(before), at a stated own entropy: the ratio grows without
           bound as own entropy goes to 0, so it is also given as a curve over own entropy.
Unit       A fresh world with a fresh pair of lineages in it: topics, both initialisations, both corpora and all sampling drawn anew.
Rivals     The same bases narrowed by other means, compared where they are equally sure of their own text: a lower temperature, one
           sharp author, one topic, both, a random reward, a reward with a hold on the reference policy.
Refuted by a difference whose interval lies wholly below the smallest effect that the contract calls interesting.
Not said   Anything about large models, or about a model knowing who wrote a text: a decoder sees tokens, not authors.

Entropies are means over texts and positions, the first position left out, at temperature 1 over the full vocabulary.
Own text is unsurprising by construction, and a sharper temperature alone moves the row ratio (other text against
own); that is why the contrast with the same lineage before post-training decides, and the row ratio never does.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor

from verifiers.lab import checkpoints, controls, gates, mechanism, planted, rivals, story
from verifiers.lab.crossreading import Crossreading, crossread
from verifiers.lab.instrument import BREAKS, HEALTHY, VARIATIONS, Instrument
from verifiers.lab.processes import spread
from verifiers.lab.randomness import stream
from verifiers.lab.recipes import RECIPES, SHAPE, Lineage, Name, Recipe, Stage, raised
from verifiers.lab.sampling import LanguageModel, read
from verifiers.lab.training import Pretraining
from verifiers.measurement import Arm, Control, Curve, Findings, Request
from verifiers.records import BadParameters
from verifiers.registry import find

FLOOR = 0.05  # nats: below it the ratio of two samples of the same weights is itself unstable, and no ratio is given
CURVE = (1.2, 0.9, 0.65)  # nats: further own entropies at which lineages are looked at on their way down
# Planted subjects: by what factor their post-training multiplies the interaction ratio, on average over units.
PLANTED = {"no-gap": 1.0, "gap-0.80": 0.8, "gap-1.05": 1.05, "gap-1.10": 1.1, "gap-1.17": 1.17, "gap-1.25": 1.25}
PLANTED |= {"gap-1.40": 1.4, "gap-1.82": 1.82, "gap-3.50": 3.5}
SHARPER = "sharper-no-gap"  # a planted subject that post-training makes twice as sharp on whatever it reads
DEEPER = "the rival came to a lower own entropy than the subject was followed to"
SPREAD = 0.35  # of planted units on the log scale: that of trained ones, rounded up


@dataclass(frozen=True)
class Settings:
    """What a run does; what a contract may set stands first."""

    own_entropy: float  # nats on own text at which lineages are compared
    deeper_entropy: float  # nats, a second and lower dose
    rivals: bool  # whether the bases are narrowed by other means too
    units: int
    recipe: Recipe
    spread: float = SPREAD
    steps_of_rivals: int = 400  # at most
    gated: bool = True  # a smoke run trains too little for any gate
    texts: int = 256  # by each author, each time


def settings_for(request: Request) -> Settings:
    """What REQUEST asks for. `thorough` has twice the units; `smoke` trains too little to mean anything."""
    verifier = find(request.verifier)
    asked = verifier.checked(request.parameters)
    own, deeper = asked["own_entropy"], asked["deeper_entropy"]
    doses = tuple(sorted({own, deeper, *(dose for dose in CURVE if dose > deeper)}, reverse=True))
    recipe = replace(RECIPES.get(request.subject.locator, Recipe()), doses=doses)
    units = request.units or verifier.profiles["standard"].units
    settings = Settings(own, deeper, bool(asked["rivals"]), units, recipe, request.spread or SPREAD)
    if request.profile == "smoke":
        short = replace(recipe, pretraining=Pretraining(steps=150))
        return replace(settings, units=2, texts=64, steps_of_rivals=10, gated=False, recipe=short)
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
    on_frozen = [control for result in results if isinstance(result, tuple) for control in result]
    units = [result for result in results if isinstance(result, Unit)]
    if request.subject.scheme == "lab":
        checkpoints.prune(folder)
    return Findings(
        unit=verifier.unit,
        endpoints=tuple(spec.filled([unit.value(spec.name) for unit in units]) for spec in verifier.endpoints),
        controls=(*on_frozen, *checks_of(units, settings)),
        settings=asdict(settings) | {"shape": asdict(SHAPE)},
        series={name: tuple(unit.series.get(name) for unit in units) for name in units[0].series},
        curves=(dose_curve(units),),
    )


def _controls_or_unit(
    request: Request, settings: Settings, folder: Path, index: int | None
) -> "Unit | tuple[Control, ...]":
    instrument = {**BREAKS, **VARIATIONS}.get(request.broken or "", HEALTHY)
    if instrument is HEALTHY and request.broken not in {None, *gates.BREAKS}:
        raise BadParameters(f"the instrument cannot be broken by {request.broken!r}")
    if index is None:
        return controls.of_the_instrument(stream("entropy_gap", request.seed, "controls"), instrument)
    name = ("entropy_gap", request.seed, "unit", index)
    if request.broken is not None and request.broken in gates.BREAKS:
        return Unit(gated=gates.of_short_training(request.broken, name))
    if request.subject.scheme == "planted":
        return planted_unit(request.subject.locator, name, settings, instrument)
    return lab_unit(name, settings, folder, instrument)


# --- one unit --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """What one unit gave: a value for each endpoint or the reason why there is none, and points for the curve."""

    values: Mapping[str, float | str] = field(default_factory=dict)
    series: Mapping[str, float | None] = field(default_factory=dict)
    curve: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)  # (own entropy, log of the ratio)
    replay: float = 0.0  # nats
    gated: gates.Gated | None = None

    def value(self, endpoint: str) -> float | str:
        """The value of an endpoint, or why there is none."""
        return self.values.get(endpoint, "this subject or contract does not ask for it")


Readings = dict[Stage, Crossreading]
Look = Callable[[LanguageModel, LanguageModel], Crossreading]


def lab_unit(name: Name, settings: Settings, folder: Path, instrument: Instrument) -> Unit:
    """Draw a world, raise two lineages in it, and let them read each other before and after post-training."""
    world = story.draw(stream(*name, "world"))
    twins = [raised(world, name, twin, settings.recipe, folder) for twin in (0, 1)]
    chance = stream(*name, "evaluation")
    look = partial(_look, settings=settings, instrument=instrument, chance=chance)
    readings: Readings = {"before": look(*(twin.base for twin in twins))}
    for dose in settings.recipe.doses:
        if all(twin.reached(dose) for twin in twins):
            readings[dose] = look(*(twin.model(dose) for twin in twins))
    values, own = contrasts(readings, settings), settings.own_entropy
    curve = {"this": points(readings)}
    if isinstance(why_not := values["interaction_did"], str):
        values |= dict.fromkeys(mechanism.ENDPOINTS, why_not)
    else:
        after = [twin.model(own) for twin in twins]
        corpus = story.write(world, settings.texts, chance)  # the world's own authors: off-policy for both
        values["row_ratio"] = log_row_ratio(readings[own], after, corpus)
        values |= mechanisms(world, twins, own, settings.texts, chance)
    if settings.rivals:
        for rival, reading in rival_readings(world, name, twins, settings, folder, look):
            did = reading.log_interaction - readings["before"].log_interaction
            matched = rivals.at(curve["this"], reading.own)
            if reading.own < FLOOR:
                values |= {f"{rival}_did": too_low(reading), f"over_{rival}": too_low(reading)}
            else:
                curve[rival] = [(reading.own, did)]
                values |= {f"{rival}_did": did, f"over_{rival}": DEEPER if matched is None else matched - did}
    gated = gates.of_twins(world, twins, own, chance)
    return Unit(values, series_of(readings, settings, gated), curve, max(x.replay for x in readings.values()), gated)


def planted_unit(subject: str, name: Name, settings: Settings, instrument: Instrument) -> Unit:
    """Two authors of known entropies, before and after a post-training whose effect is drawn about the subject's own."""
    chance = stream(*name, "planted")
    before = planted.draw(chance)
    if subject == SHARPER:
        after = planted.sharpened(before, 2.0)
    else:
        effect = math.log(PLANTED[subject]) + settings.spread * float(torch.randn(1, generator=chance))
        after = planted.with_gap(before, effect, story.LENGTH)
    look = partial(_look, settings=settings, instrument=instrument, chance=chance)
    readings: Readings = {"before": look(*before.readers()), settings.own_entropy: look(*after.readers())}
    replay = max(reading.replay for reading in readings.values())
    return Unit(contrasts(readings, settings), curve={"this": points(readings)}, replay=replay)


def _look(
    a: LanguageModel, b: LanguageModel, settings: Settings, instrument: Instrument, chance: Generator
) -> Crossreading:
    return crossread(a, b, story.prompts(settings.texts), story.LENGTH, chance, instrument)


def contrasts(readings: Readings, settings: Settings) -> dict[str, float | str]:
    """What four mean entropies before, at the dose and at the deeper dose say; reasons where a dose is missing."""
    before = readings["before"]

    def at(dose: float, value: Callable[[Crossreading], float]) -> float | str:
        reading = readings.get(dose)
        if reading is None:
            return f"a lineage did not come down to an own entropy of {dose:g} nats"
        if reading.own < FLOOR:
            return too_low(reading)
        return value(reading)

    own, deeper = settings.own_entropy, settings.deeper_entropy
    did = at(own, lambda x: x.log_interaction - before.log_interaction)
    return {
        "interaction_did": did,
        "interaction_after": at(own, lambda x: x.log_interaction),
        "interaction_before": before.log_interaction,
        "row_ratio": did if isinstance(did, str) else "the subject has no corpus of its own",
        "absolute_gap": at(own, lambda x: x.gap),
        "deeper_did": at(deeper, lambda x: x.log_interaction - before.log_interaction),
        "dose_contrast": did
        if isinstance(did, str)
        else at(deeper, lambda x: x.log_interaction - readings[own].log_interaction),
    }


def too_low(reading: Crossreading) -> str:
    """Why no ratio is given where own entropy is almost gone."""
    return f"own entropy {reading.own:.3f} nats lies below the floor of {FLOOR:g} nats"


def log_row_ratio(reading: Crossreading, twins: Sequence[LanguageModel], corpus: Tensor) -> float:
    """The popular reading: log entropy on the world's text minus log entropy on own text, averaged over both models."""
    on_corpus = sum(math.log(read(twin, corpus).mean_entropy()) for twin in twins)
    return 0.5 * (on_corpus - math.log(reading.aa) - math.log(reading.bb))


def mechanisms(
    world: story.Story, twins: list[Lineage], dose: float, texts: int, chance: Generator
) -> dict[str, float | str]:
    """How the gap may come about, after post-training against before, averaged over both lineages."""
    found = [mechanism.changes(world, twin.base, twin.model(dose), texts, chance) for twin in twins]
    together: dict[str, float | str] = {}
    for name in found[0]:
        both = [one[name] for one in found]
        numbers = [value for value in both if not isinstance(value, str)]
        together[name] = sum(numbers) / 2 if len(numbers) == 2 else next(x for x in both if isinstance(x, str))
    return together


def rival_readings(
    world: story.Story, name: Name, twins: list[Lineage], settings: Settings, folder: Path, look: Look
) -> Iterator[tuple[str, Crossreading]]:
    """The twins narrowed by other means from the same bases, as near to the dose as each comes."""
    own, training = settings.own_entropy, settings.recipe.pretraining
    cooler = [rivals.tempered(twin.base, own, partial(stream, *name, "temperature")) for twin in twins]
    yield "temperature", look(*cooler)
    for rival, arm in rivals.ARMS.items():
        method = replace(arm.method, longest=min(arm.method.longest, settings.steps_of_rivals))
        recipe = replace(arm, method=method, doses=(own,), pretraining=training)
        yield rival, look(*(raised(world, name, twin, recipe, folder).model("end") for twin in (0, 1)))


# --- the run ---------------------------------------------------------------------------------------------------------


def points(readings: Readings) -> list[tuple[float, float]]:
    """The dose curve of a unit: own entropy in nats, and log G over that before post-training."""
    before = readings["before"].log_interaction
    return [(reading.own, reading.log_interaction - before) for reading in readings.values()]


def series_of(readings: Readings, settings: Settings, gated: gates.Gated) -> dict[str, float | None]:
    """Figures beside the endpoints: how sure the lineages were, how well they read, what they learned."""
    own = {stage: reading.own for stage, reading in readings.items()}
    return {
        "own_entropy_before": own["before"],
        "own_entropy": own.get(settings.own_entropy),
        "deeper_own_entropy": own.get(settings.deeper_entropy),
        "excess_loss_a": gated.excess[0],
        "excess_loss_b": gated.excess[1],
        "learned_a": gated.learned[0],
        "learned_b": gated.learned[1],
    }


def checks_of(units: list[Unit], settings: Settings) -> tuple[Control, ...]:
    """The replay identity once more, on the texts that the run itself rests on, and the gates of what it trained."""
    gated = [unit.gated for unit in units if unit.gated and settings.gated]
    return (controls.replay_of_own_texts([unit.replay for unit in units]), *gates.controls(gated))


def dose_curve(units: list[Unit]) -> Curve:
    """The ratio over own entropy, the subject beside its rivals."""
    names = dict.fromkeys(name for unit in units for name in unit.curve)
    arms = (
        Arm(name=name, points=tuple((i, *point) for i, unit in enumerate(units) for point in unit.curve.get(name, [])))
        for name in names
    )
    said = "interaction ratio, after over before"
    return Curve(name="dose", x="own entropy, nats", y=said, scale="log", null=1.0, arms=tuple(arms))
