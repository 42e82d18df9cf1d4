"""How much of entropy_gap's endpoints is the instrument: `python -P benchmarks/noise_floor.py`.

The same weights and texts read in other ways (small batches, float64, two threads), and with sixteen times the texts,
which shows the bias of a ratio of finite means. What more units would not average away is the noise floor of the registry.
"""

import copy
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from claims.worker import cache_folder
from verifiers.entropy_gap import log_row_ratio, settings_for
from verifiers.lab import mechanism, story
from verifiers.lab.crossreading import Crossreading
from verifiers.lab.model import Decoder
from verifiers.lab.randomness import stream
from verifiers.lab.recipes import Name, Stage, raised
from verifiers.lab.sampling import LanguageModel, read, write
from verifiers.measurement import Request, SubjectRef
from verifiers.registry import ENTROPY_GAP

UNITS = 6
SEED = 20261121
MANY = 4096
Pair = tuple[LanguageModel, LanguageModel]
Told = dict[str, float]


class InBatches:
    """A model that reads eight texts at a time."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def new_cache(self) -> Any:
        """What to hand to successive calls that each add one position."""
        return self._model.new_cache()

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T)."""
        return torch.cat([self._model(part, cache) for part in torch.split(tokens, 8)])


def main() -> None:
    """Print every source of error beside the floor that the registry states."""
    torch.set_num_threads(1)
    cache = str(cache_folder())
    settings = settings_for(
        Request(verifier=ENTROPY_GAP.name, subject=SubjectRef.parse("lab:story"), seed=SEED, units=UNITS, cache=cache)
    )
    shifts: dict[str, list[float]] = {}
    for index in range(UNITS):
        name = ("noise floor", SEED, index)
        world = story.draw(stream(*name, "world"))
        a, b = (raised(world, name, twin, settings.recipe, Path(cache) / "checkpoints") for twin in (0, 1))
        stages: dict[str, Stage] = {"before": "before", "after": settings.own_entropy}
        for said, stage in stages.items():
            for source, endpoint, shift in one((a.model(stage), b.model(stage)), world, settings.texts, name):
                shifts.setdefault(f"{endpoint}, {said}: {source}", []).append(shift)
    for source, values in sorted(shifts.items()):
        mean, error = statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5
        print(f"{source:48} mean {mean:+.2e} ± {error:.1e}, largest {max(map(abs, values)):.1e}")
    print("stated:", {spec.name: spec.noise_floor for spec in ENTROPY_GAP.endpoints})


def one(pair: tuple[Decoder, Decoder], world: story.Story, texts: int, name: Name) -> Iterator[tuple[str, str, float]]:
    """How far each endpoint of one pair moves under each change: source, endpoint, shift."""
    chance = stream(*name, "texts")
    by_a, by_b = (write(model, story.prompts(MANY), story.LENGTH, chance)[0] for model in pair)
    corpus = story.write(world, MANY, chance)
    few = by_a[:texts], by_b[:texts], corpus[:texts]

    def everything(models: Pair) -> Told:
        return of_texts(models, world, *few) | of_beginnings(models, world, few[0])

    usual = everything(pair)
    double = copy.deepcopy(pair[0]).double(), copy.deepcopy(pair[1]).double()
    yield from moved("batches of 8", everything((InBatches(pair[0]), InBatches(pair[1]))), usual)
    yield from moved("float64", everything(double), usual)
    yield from moved("two threads", on_two_threads(lambda: everything(pair)), usual)
    parts = [
        of_texts(pair, world, *part)
        for part in zip(*(torch.split(x, texts) for x in (by_a, by_b, corpus)), strict=True)
    ]
    mean = {endpoint: statistics.mean(part[endpoint] for part in parts) for endpoint in parts[0]}
    yield from moved(f"bias of {texts} texts", mean, of_texts(pair, world, by_a, by_b, corpus))


def of_texts(pair: Pair, world: story.Story, by_a: Tensor, by_b: Tensor, corpus: Tensor) -> Told:
    """What the endpoints that rest on finitely many texts are made of, on given texts."""
    a, b = pair
    aa, ab, ba, bb = (
        read(model, texts).mean_entropy() for model, texts in ((a, by_a), (a, by_b), (b, by_a), (b, by_b))
    )
    crossed = Crossreading(aa, ab, ba, bb, replay=0.0)
    return {
        "interaction": crossed.log_interaction,
        "absolute gap": crossed.gap,
        "row ratio": log_row_ratio(crossed, pair, corpus),
        "surprise slope": mechanism.surprise_slope(read(a, by_a)),
        "swap slope": mechanism.swap_slope(a, world, by_a, stream("swaps")),
        "topic entropy": mechanism.topic_entropy(world, by_a),
    }


def of_beginnings(pair: Pair, world: story.Story, by_a: Tensor) -> Told:
    """The rebound, whose texts are always as many."""
    topic = int(story.topic_of(world, by_a).mode().values)
    found = mechanism.rebound(pair[0], world, topic, mechanism.BEGINNINGS, stream("beginnings"))
    return {} if found is None else {"rebound": found}


def moved(source: str, told: Told, usual: Told) -> Iterator[tuple[str, str, float]]:
    """By how much each endpoint that was told is off the usual one."""
    yield from ((source, endpoint, value - usual[endpoint]) for endpoint, value in told.items())


def on_two_threads(work: Callable[[], Told]) -> Told:
    """What WORK gives with two threads."""
    torch.set_num_threads(2)
    told = work()
    torch.set_num_threads(1)
    return told


if __name__ == "__main__":
    main()
