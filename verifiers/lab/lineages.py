"""A lineage: one base model of a story world, and what post-training made of it."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from verifiers.lab import checkpoints, story
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.training import PostTraining, Pretraining, copied, pretrain, reinforce

SHAPE = Shape(story.VOCABULARY, story.LENGTH)


@dataclass(frozen=True)
class Recipe:
    """Everything but the random streams that decides a lineage's weights."""

    doses: tuple[float, ...]  # own entropies in nats at which post-training is stopped and looked at
    pretraining: Pretraining
    post_training: PostTraining
    code: str  # digest of the code that trains


@dataclass(frozen=True)
class Lineage:
    """The weights of the base model (`before/…`) and of every dose that was reached (`0.45/…`)."""

    weights: dict[str, Tensor]
    rewards: dict[float, float]  # mean reward of the batch at which a dose was met

    def reached(self, dose: float) -> bool:
        """Whether post-training came down to this own entropy."""
        return dose in self.rewards

    def model(self, stage: str | float) -> Decoder:
        """The model `before` post-training, or at a dose that was reached."""
        prefix = f"{stage}/"
        decoder = Decoder(SHAPE)
        decoder.load_state_dict({k.removeprefix(prefix): x for k, x in self.weights.items() if k.startswith(prefix)})
        return decoder


def raised(world: story.Story, name: tuple[str | int, ...], recipe: Recipe, folder: Path) -> Lineage:
    """Raise the lineage of that NAME in WORLD; from FOLDER when these very bits were made before."""

    def make() -> checkpoints.Checkpoint:
        with seeded(*name, "initialisation"):
            model = Decoder(SHAPE)
        corpus, chance = stream(*name, "corpus"), stream(*name, "post-training")
        pretrain(model, recipe.pretraining, story.write(world, recipe.pretraining.corpus, corpus))
        weights = {f"before/{key}": x for key, x in copied(model).items()}
        pay = partial(story.reward, world)
        reached = reinforce(model, recipe.post_training, pay, recipe.doses, story.LENGTH, story.START, chance)
        for dose, snapshot in reached.items():
            weights |= {f"{dose}/{key}": x for key, x in snapshot.weights.items()}
        return weights, {str(dose): snapshot.reward for dose, snapshot in reached.items()}

    key: dict[str, Any] = {"what": "story lineage", "name": name, "shape": asdict(SHAPE)} | asdict(recipe)
    weights, rewards = checkpoints.cached(folder, key, make)
    return Lineage(weights, {float(dose): reward for dose, reward in rewards.items()})
