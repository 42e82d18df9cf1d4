"""How much of entropy_gap's endpoints is the instrument: `python -P benchmarks/noise_floor.py`.

The same weights and texts read in other ways (small batches, float64, two threads), and with sixteen times the texts,
which shows the bias of a ratio of finite means. What more units would not average away is the noise floor of the registry.
"""

import copy
import statistics
from pathlib import Path

import torch

from claims.worker import cache_folder
from verifiers.entropy_gap import settings_for
from verifiers.lab import story
from verifiers.lab.crossreading import Crossreading
from verifiers.lab.lineages import Recipe, raised
from verifiers.lab.randomness import stream
from verifiers.lab.sampling import LanguageModel, read, write
from verifiers.provenance import code_digest
from verifiers.registry import ENTROPY_GAP

UNITS = 6
SEED = 20261121
MANY = 4096


class InBatches:
    """A model that reads eight texts at a time."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def __call__(self, tokens: torch.Tensor, cache: object = None) -> torch.Tensor:
        return torch.cat([self._model(part, cache) for part in tokens.split(8)])


def crossed(a: LanguageModel, b: LanguageModel, by_a: torch.Tensor, by_b: torch.Tensor) -> Crossreading:
    """E[i, j] on given texts."""
    means = [read(model, texts).mean_entropy() for model, texts in ((a, by_a), (a, by_b), (b, by_a), (b, by_b))]
    return Crossreading(*means, replay=0.0)


def main() -> None:
    """Print every source of error beside the floor that the registry states."""
    torch.set_num_threads(1)
    settings = settings_for("standard", ENTROPY_GAP.checked({}), UNITS)
    recipe = Recipe(
        (settings.own_entropy, settings.deeper_entropy),
        settings.pretraining,
        settings.post_training,
        code_digest(ENTROPY_GAP),
    )
    shifts: dict[str, list[float]] = {}
    for index in range(UNITS):
        name = ("noise floor", SEED, index)
        world = story.draw(stream(*name, "world"))
        a, b = (raised(world, (*name, twin), recipe, Path(cache_folder()) / "checkpoints") for twin in ("a", "b"))
        for stage in ("before", settings.own_entropy):
            for source, shift in one(a.model(stage), b.model(stage), settings.texts, name).items():
                shifts.setdefault(f"{source}, {'before' if stage == 'before' else 'after'}", []).append(shift)
    for source, values in shifts.items():
        mean, error = statistics.mean(values), statistics.stdev(values) / len(values) ** 0.5
        print(f"{source:32} mean {mean:+.2e} ± {error:.1e}, largest {max(map(abs, values)):.1e}")
    print("stated:", {spec.name: spec.noise_floor for spec in ENTROPY_GAP.endpoints})


def one(a: torch.nn.Module, b: torch.nn.Module, texts: int, name: tuple[str | int, ...]) -> dict[str, float]:
    """How far log G of one pair moves under each change."""
    chance = stream(*name, "texts")
    by_a, _ = write(a, MANY, story.LENGTH, story.START, chance)
    by_b, _ = write(b, MANY, story.LENGTH, story.START, chance)
    few = by_a[:texts], by_b[:texts]
    usual = crossed(a, b, *few).log_interaction
    double = copy.deepcopy(a).double(), copy.deepcopy(b).double()
    shifts = {
        "batches of 8": crossed(InBatches(a), InBatches(b), *few).log_interaction - usual,
        "float64": crossed(*double, *few).log_interaction - usual,
    }
    torch.set_num_threads(2)
    shifts["two threads"] = crossed(a, b, *few).log_interaction - usual
    torch.set_num_threads(1)
    whole = crossed(a, b, by_a, by_b).log_interaction
    parts = [crossed(a, b, *pair).log_interaction for pair in zip(by_a.split(texts), by_b.split(texts), strict=True)]
    shifts["bias of 256 texts"] = statistics.mean(parts) - whole
    return shifts


if __name__ == "__main__":
    main()
