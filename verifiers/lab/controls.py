"""What the instrument must answer before it may say anything: frozen models and planted ones, whose answers are known.

A control has a known target and fresh sampling noise only. Margins are half of the smallest break that must be caught.
"""

import math

import torch
from torch import Generator, Tensor

from verifiers.lab import frozen, planted, story
from verifiers.lab.crossreading import crossread
from verifiers.lab.instrument import Instrument
from verifiers.lab.sampling import LanguageModel
from verifiers.measurement import Control

TEXTS = 1024  # keeps every standard error well below a third of its margin
IDENTITY = 1e-5  # nats
HALF_SMALLEST_EFFECT = 0.5 * math.log(1.10)
# Sampling 20 % too cool moves surprise − entropy by 0.104 nats on the frozen post-trained model, 20 % too hot by 0.170.
HALF_TEMPERATURE_BREAK = 0.05  # nats
PLANTED_RATIO = 2.0
HALF_PLANTED_BREAK = 0.25 * math.log(PLANTED_RATIO)  # half of what half the effect would be off


def of_the_instrument(chance: Generator, instrument: Instrument) -> tuple[Control, ...]:
    """Ask INSTRUMENT for answers that are known."""
    twin_a, twin_b, after = (frozen.model(name) for name in ("before a", "before b", "after a"))
    prompts = story.prompts(TEXTS)
    twins = crossread(twin_a, twin_b, prompts, story.LENGTH, chance, instrument)

    one, other = (_entropies(twin_a, prompts, chance, instrument) for _ in range(2))  # (B,) a text is the unit here
    second_sample, noise = float((other.mean() / one.mean()).log()), math.hypot(_relative(one), _relative(other))

    texts, writing = instrument.write(after, prompts, story.LENGTH, chance)
    reading = instrument.read(after, texts)
    replay = max(twins.replay, float((reading.entropy - writing.entropy).abs().max()))
    surplus = (reading.surprise - reading.entropy)[:, 1:].mean(1)

    check = Control.within
    return (
        check("replay identity", "negative", replay, 0.0, IDENTITY),
        check("second sample, same weights", "negative", second_sample, 0.0, HALF_SMALLEST_EFFECT, noise),
        check("pretrained twins", "negative", twins.log_interaction, 0.0, HALF_SMALLEST_EFFECT),
        check(
            "own surprise equals own entropy",
            "negative",
            float(surplus.mean()),
            0.0,
            HALF_TEMPERATURE_BREAK,
            _standard_error(surplus),
        ),
        check("planted gap", "positive", planted_gap(chance, instrument), math.log(PLANTED_RATIO), HALF_PLANTED_BREAK),
    )


def planted_gap(chance: Generator, instrument: Instrument) -> float:
    """Log of the ratio found where PLANTED_RATIO was planted."""
    before = planted.draw(chance)
    after = planted.with_gap(before, instrument.planted * math.log(PLANTED_RATIO), story.LENGTH)
    readings = [
        crossread(*twins.readers(), story.prompts(256), story.LENGTH, chance, instrument) for twins in (before, after)
    ]
    return readings[1].log_interaction - readings[0].log_interaction


def _entropies(model: LanguageModel, prompts: Tensor, chance: Generator, instrument: Instrument) -> Tensor:
    """Each text's mean entropy (B,), written by MODEL and read by it."""
    texts, _ = instrument.write(model, prompts, story.LENGTH, chance)
    return instrument.read(model, texts).entropy[:, 1:].mean(1)


def replay_of_own_texts(differences: list[float]) -> Control:
    """The replay identity once more, on the texts that a run itself rests on: DIFFERENCES in nats, one a unit."""
    return Control.within("replay identity, this run's texts", "negative", max(differences), 0.0, IDENTITY)


def _relative(values: Tensor) -> float:
    return _standard_error(values) / float(values.mean())


def _standard_error(values: Tensor) -> float:
    return float(torch.std(values)) / math.sqrt(len(values))
