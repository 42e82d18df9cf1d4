"""Is a model surer of text it wrote itself than of text its twin wrote, once it has been post-trained?

Claim      Post-trained models' next-token entropy is lower on their own text than on others' text, and was not before post-training
           (arXiv:2605.25459, which reports three to four times; which contrast that figure uses is not known to us).
Quantity   The interaction ratio G. With E[i, j] the mean entropy in nats of model i on texts that model j wrote,
               log G = ½ (log E[a, b] + log E[b, a] − log E[a, a] − log E[b, b]),
           which cancels how hard a text is and how sure a model is in general. The primary endpoint is the difference
           in differences log G(after post-training) − log G(before), at a stated own entropy: the ratio grows without
           bound as own entropy goes to 0, so a ratio without its own entropy says nothing.
Unit       A fresh world with a fresh pair of lineages in it: topics, both initialisations, both corpora and all sampling drawn anew.
Refuted by a difference whose interval lies wholly below the smallest effect that the contract calls interesting.
Not said   Anything about large models, about a model knowing who wrote a text, or about reinforcement learning as the cause: a decoder
           sees tokens, not authors, and a distribution narrowed by other means may do the same.

Entropies are means over texts and positions, the first position left out, at temperature 1 over the full vocabulary.
Own text is unsurprising by construction, and a sharper temperature alone moves the row ratio (other text against
own); that is why the contrast with the same lineage before post-training decides, and the row ratio never does.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from verifiers.lab import checkpoints, frozen, planted, story
from verifiers.lab.crossreading import Crossreading, crossread
from verifiers.lab.lineages import SHAPE, Recipe, raised
from verifiers.lab.processes import spread
from verifiers.lab.randomness import stream
from verifiers.lab.sampling import LanguageModel, read, write
from verifiers.lab.training import PostTraining, Pretraining
from verifiers.measurement import Control, Findings, Profile, Request
from verifiers.provenance import code_digest
from verifiers.registry import find

FLOOR = 0.05  # nats: below it the ratio of two samples of the same weights is itself unstable, and no ratio is given


@dataclass(frozen=True)
class Settings:
    """What a run does; what a contract may set stands first."""

    own_entropy: float  # nats on own text at which lineages are compared
    deeper_entropy: float  # nats, a second and lower dose
    units: int
    texts: int = 256  # by each author, each time
    pretraining: Pretraining = Pretraining()
    post_training: PostTraining = PostTraining()


def settings_for(profile: Profile, parameters: dict[str, float], units: int) -> Settings:
    """The settings of PROFILE. `thorough` has more units of the same kind; `smoke` trains too little to mean
    anything.
    """
    standard = Settings(parameters["own_entropy"], parameters["deeper_entropy"], units)
    if profile == "smoke":
        return replace(
            standard, units=2, texts=64, pretraining=Pretraining(steps=150), post_training=PostTraining(longest=150)
        )
    return replace(standard, units=2 * units) if profile == "thorough" else standard


def measure(request: Request, report: Callable[[int, int, float], None]) -> Findings:
    """Run controls and units, and hand back one value a unit for every endpoint that the registry lists."""
    verifier = find(request.verifier)
    asked = request.units or verifier.profiles["standard"].units
    settings = settings_for(request.profile, verifier.checked(request.parameters), asked)
    checkpoint_folder = Path(request.cache) / "checkpoints"
    recipe = Recipe(
        (settings.own_entropy, settings.deeper_entropy),
        settings.pretraining,
        settings.post_training,
        code_digest(verifier),
    )
    one = partial(measure_unit, seed=request.seed, settings=settings, recipe=recipe, folder=checkpoint_folder)
    results = spread(
        partial(_controls_or_unit, request.seed, one),
        [None, *range(settings.units)],
        request.processes,
        lambda done, cpu_seconds: report(done, settings.units + 1, cpu_seconds),
    )
    on_frozen = next(result for result in results if isinstance(result, tuple))
    units = [result for result in results if isinstance(result, Unit)]
    checkpoints.prune(checkpoint_folder)
    return Findings(
        unit=verifier.unit,
        endpoints=tuple(spec.filled([unit.values[spec.name] for unit in units]) for spec in verifier.endpoints),
        controls=(*on_frozen, replay_of_own_texts(units)),
        settings=asdict(settings) | {"shape": asdict(SHAPE)},
        series={name: tuple(unit.series[name] for unit in units) for name in units[0].series},
    )


def _controls_or_unit(seed: int, one: Callable[[int], "Unit"], index: int | None) -> "Unit | tuple[Control, ...]":
    return controls(seed) if index is None else one(index)


# --- one unit --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """What one unit gave: a value for each endpoint, or the reason why there is none."""

    values: dict[str, float | str]
    series: dict[str, float | None]
    replay: float  # nats


def measure_unit(index: int, seed: int, settings: Settings, recipe: Recipe, folder: Path) -> Unit:
    """Draw a world, raise two lineages in it, and let them read each other before and after post-training."""
    name = ("entropy_gap", seed, "unit", index)
    world = story.draw(stream(*name, "world"))
    a, b = (raised(world, (*name, twin), recipe, folder) for twin in ("a", "b"))
    chance = stream(*name, "evaluation")
    corpus = story.write(world, settings.texts, chance)  # the world's own authors: off-policy for both

    def compare(stage: str | float) -> Crossreading:
        return crossread(a.model(stage), b.model(stage), settings.texts, story.LENGTH, story.START, chance)

    before = compare("before")
    after = (
        compare(settings.own_entropy) if a.reached(settings.own_entropy) and b.reached(settings.own_entropy) else None
    )
    deeper = (
        compare(settings.deeper_entropy)
        if a.reached(settings.deeper_entropy) and b.reached(settings.deeper_entropy)
        else None
    )

    def at(crossreading: Crossreading | None, dose: float, value: Callable[[Crossreading], float]) -> float | str:
        if crossreading is None:
            return f"a lineage did not come down to an own entropy of {dose:g} nats"
        if crossreading.own < FLOOR:
            return f"own entropy {crossreading.own:.3f} nats lies below the floor of {FLOOR:g} nats"
        return value(crossreading)

    at_dose, at_deeper = partial(at, after, settings.own_entropy), partial(at, deeper, settings.deeper_entropy)
    values: dict[str, float | str] = {
        "interaction_did": at_dose(lambda x: x.log_interaction - before.log_interaction),
        "interaction_after": at_dose(lambda x: x.log_interaction),
        "interaction_before": before.log_interaction,
        "row_ratio": at_dose(
            lambda x: log_row_ratio(x, a.model(settings.own_entropy), b.model(settings.own_entropy), corpus)
        ),
        "absolute_gap": at_dose(lambda x: x.gap),
        "deeper_did": at_deeper(lambda x: x.log_interaction - before.log_interaction),
        "dose_contrast": at_deeper(lambda x: x.log_interaction - after.log_interaction)
        if after
        else at_dose(lambda _: 0.0),
    }
    oracle_loss = float(-story.predictive(world, corpus).gather(-1, corpus[:, 1:, None]).log().mean())
    series = {
        "own_entropy_before": before.own,
        "own_entropy": after.own if after else None,
        "deeper_own_entropy": deeper.own if deeper else None,
        "excess_loss_a": float(read(a.model("before"), corpus).surprise.mean()) / oracle_loss - 1,
        "excess_loss_b": float(read(b.model("before"), corpus).surprise.mean()) / oracle_loss - 1,
        "reward_a": a.rewards.get(settings.own_entropy),
        "reward_b": b.rewards.get(settings.own_entropy),
    }
    return Unit(values, series, max(x.replay for x in (before, after, deeper) if x))


def log_row_ratio(reading: Crossreading, a: LanguageModel, b: LanguageModel, corpus: torch.Tensor) -> float:
    """The popular reading: log entropy on the world's text minus log entropy on own text, averaged over both models."""
    on_corpus = math.log(read(a, corpus).mean_entropy()) + math.log(read(b, corpus).mean_entropy())
    return 0.5 * (on_corpus - math.log(reading.aa) - math.log(reading.bb))


# --- controls: frozen artefacts with a known answer, and fresh sampling noise only -----------------------------------

CONTROL_TEXTS = 6144  # keeps every standard error below a third of its margin
IDENTITY = 1e-5  # nats
HALF_SMALLEST_EFFECT = 0.5 * math.log(1.10)
# Sampling 20 % too cool moves surprise − entropy by 0.104 nats on the frozen post-trained model, 20 % too hot by 0.170.
HALF_TEMPERATURE_BREAK = 0.05  # nats
# Positions shifted by one would move the gate's log G by 0.025, less than any other of its breaks.
HALF_POSITION_BREAK = 0.0125


def controls(seed: int) -> tuple[Control, ...]:
    """Ask the instrument for answers that are known."""
    chance = stream("entropy_gap", seed, "controls")
    twin_a, twin_b, after = (frozen.model(name) for name in ("before a", "before b", "after a"))
    twins = crossread(twin_a, twin_b, CONTROL_TEXTS // 2, story.LENGTH, story.START, chance)

    texts, writing = write(after, CONTROL_TEXTS, story.LENGTH, story.START, chance)
    other_texts, _ = write(after, CONTROL_TEXTS, story.LENGTH, story.START, chance)
    reading, other_reading = read(after, texts), read(after, other_texts)
    replay = max(twins.replay, float((reading.entropy - writing.entropy).abs().max()))
    one, other = (x.entropy[:, 1:].mean(1) for x in (reading, other_reading))  # (B,) a text is the unit here
    noise = math.hypot(_standard_error(one) / float(one.mean()), _standard_error(other) / float(other.mean()))
    surplus = (reading.surprise - reading.entropy)[:, 1:].mean(1)

    gate_a, gate_b = (planted.SurpriseGate(planted.Author(name)) for name in (0, 1))
    gated = crossread(gate_a, gate_b, 256, story.LENGTH, planted.START, chance)
    gate_size = math.log(gate_a.entropy(calm=False) / gate_a.entropy(calm=True))

    check = Control.within
    return (
        check("replay identity", "negative", replay, 0.0, IDENTITY),
        check(
            "second sample, same weights",
            "negative",
            float((other.mean() / one.mean()).log()),
            0.0,
            HALF_SMALLEST_EFFECT,
            noise,
        ),
        check("pretrained twins", "negative", twins.log_interaction, 0.0, HALF_SMALLEST_EFFECT),
        check(
            "own surprise equals own entropy",
            "negative",
            float(surplus.mean()),
            0.0,
            HALF_TEMPERATURE_BREAK,
            _standard_error(surplus),
        ),
        check("surprise gate", "positive", gated.log_interaction, gate_size, HALF_POSITION_BREAK),
    )


def replay_of_own_texts(units: list[Unit]) -> Control:
    """The replay identity once more, on the texts that the run itself rests on."""
    return Control.within(
        "replay identity, this run's texts", "negative", max(unit.replay for unit in units), 0.0, IDENTITY
    )


def _standard_error(values: torch.Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values))
