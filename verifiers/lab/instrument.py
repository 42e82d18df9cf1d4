"""The instrument itself, in its parts: how texts are written and read, whose they are taken to be, what is planted.

Controls must catch it when one of the parts is wrong, so each known way to break it has a name. A broken instrument
is only ever used to see whether that works: a run in a ledger has the healthy one.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from verifiers.lab import sampling
from verifiers.lab.sampling import LanguageModel, Reading


class Tempered:
    """A model with its logits divided by a temperature."""

    def __init__(self, model: LanguageModel, temperature: float) -> None:
        self.model, self.temperature = model, temperature

    def new_cache(self) -> Any:
        """What to hand to successive calls that each add one position."""
        return self.model.new_cache()

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T)."""
        return self.model(tokens, cache) / self.temperature


def in_order(by_a: Tensor, by_b: Tensor) -> tuple[Tensor, Tensor]:
    """Each twin's texts are its own."""
    return by_a, by_b


@dataclass(frozen=True)
class Instrument:
    """What every measurement is made with."""

    write: Callable[[LanguageModel, Tensor, int, Generator], tuple[Tensor, Reading]] = sampling.write
    read: Callable[[LanguageModel, Tensor], Reading] = sampling.read
    assign: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = in_order
    planted: float = 1.0  # how much of the effect that a positive control names is really there


HEALTHY = Instrument()


def _at_temperature(
    temperature: float,
) -> Callable[[LanguageModel, Tensor, int, Generator], tuple[Tensor, Reading]]:
    def write(model: LanguageModel, prompts: Tensor, length: int, chance: Generator) -> tuple[Tensor, Reading]:
        texts, _ = sampling.write(Tempered(model, temperature), prompts, length, chance)
        return texts, sampling.read(model, texts)

    return write


def _shifted(model: LanguageModel, texts: Tensor) -> Reading:
    reading = sampling.read(model, texts)
    return Reading(torch.roll(reading.entropy, 1, dims=1), reading.surprise)


def _in_batches(model: LanguageModel, texts: Tensor) -> Reading:
    parts = [sampling.read(model, part) for part in torch.split(texts, SMALL)]
    return Reading(torch.cat([x.entropy for x in parts]), torch.cat([x.surprise for x in parts]))


def _in_double(model: LanguageModel, texts: Tensor) -> Reading:
    exact = copy.deepcopy(model).double() if isinstance(model, nn.Module) else model
    with torch.inference_mode():
        return Reading.of(exact(texts[:, :-1]).double(), texts[:, 1:])


SMALL = 32  # texts read at once

# Other ways to read that must not matter; by how much they do is part of the noise floor.
VARIATIONS: Mapping[str, Instrument] = {"batch": Instrument(read=_in_batches), "dtype": Instrument(read=_in_double)}

BREAKS: Mapping[str, Instrument] = {
    "authors mixed up": Instrument(assign=lambda by_a, by_b: (by_b, by_a)),
    "positions shifted by one": Instrument(read=_shifted),
    "temperature 20 % too low": Instrument(write=_at_temperature(0.8)),
    "temperature 20 % too high": Instrument(write=_at_temperature(1.2)),
    "planted effect of half size": Instrument(planted=0.5),
}
