"""Models by name. A recipe says how a lineage of the story world is raised; its digest is where the weights are kept.

`lab:story` and its kin are subjects: what is measured on one is measured on all. The base model is kept under a digest of
its own, so recipes that differ only after pretraining share it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from verifiers import provenance
from verifiers.lab import checkpoints, story
from verifiers.lab.fine_tuning import FineTuning, fine_tune
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.policy_gradient import Dose, Doses, PolicyGradient, train
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.rewards import Reward, random_reward, swapped
from verifiers.lab.sampling import write
from verifiers.lab.training import Pretraining, Weights, copied, pretrain

SHAPE = Shape(story.VOCABULARY, story.LENGTH)
Name = tuple[str | int, ...]  # of a random stream
Twin = Literal[0, 1]
Stage = float | Literal["before", "end"]  # an own entropy, before post-training, or where it ended
LOOKED_AT = 128  # texts that tell how sure a model is while it is fine-tuned

# --- what a lineage is post-trained towards --------------------------------------------------------------------------

Corner = Literal[
    "whole world",
    "half of the topics each",
    "one topic each",
    "a sharp author each",
    "a sharp author on one topic each",
    "one sharp author for both",
]


def corner_of(world: story.Story, corner: Corner, twin: Twin, own: Generator, shared: Generator) -> story.Story:
    """The corner of WORLD that a TWIN is trained towards; what is the twin's own comes from OWN, the rest from SHARED."""
    match corner:
        case "half of the topics each":
            half = story.TOPICS // 2
            return story.only(world, range(twin * half, (twin + 1) * half))
        case "one topic each":
            return story.only(world, _any_topic(own))
        case "a sharp author each":
            return story.sharp(world, own)
        case "a sharp author on one topic each":
            return story.sharp(story.only(world, _any_topic(own)), own)
        case "one sharp author for both":
            return story.sharp(world, shared)
        case _:
            return world


def _any_topic(generator: Generator) -> list[int]:
    return [int(torch.randint(story.TOPICS, (1,), generator=generator))]


# --- recipes ---------------------------------------------------------------------------------------------------------


PLAIN = PolicyGradient(longest=400)
NARROWING = FineTuning(rate=2e-3, longest=200)


@dataclass(frozen=True)
class Recipe:
    """Everything but the random streams that decides a model's weights.

    `reward` and `texts` say what policy gradients are paid by and what fine-tuning reads: `random` and `swapped` rewards
    are for gates that have to notice them. Post-training ends at the lowest of `doses`, own entropies in nats at which the
    weights are kept, or after the method's longest.
    """

    method: PolicyGradient | FineTuning = PLAIN
    corner: Corner = "whole world"
    reward: Literal["named", "random", "swapped"] = "named"
    texts: Literal["the authors'", "the model's own"] = "the authors'"
    doses: tuple[float, ...] = ()
    pretraining: Pretraining = Pretraining()


RECIPES: Mapping[str, Recipe] = {
    "story": Recipe(),
    "story-kl-held": Recipe(PolicyGradient(reference_kl=0.02, longest=120)),
    "story-random-reward": Recipe(PolicyGradient(longest=80), reward="random"),
    "story-own-halves": Recipe(corner="half of the topics each"),
    "story-sharp-author": Recipe(NARROWING, "a sharp author each"),
    "story-same-author": Recipe(NARROWING, "one sharp author for both"),
    "story-one-topic": Recipe(FineTuning(longest=40), "one topic each"),
    "story-sharp-topic": Recipe(NARROWING, "a sharp author on one topic each"),
    "story-diverse": Recipe(FineTuning(longest=40)),
    "story-own-samples": Recipe(FineTuning(longest=40), texts="the model's own"),
}


# --- raising a lineage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lineage:
    """A base model and what post-training made of it."""

    recipe: Recipe
    corner: story.Story
    base: Decoder
    weights: Weights  # `0.45/…` for every dose that was reached, and `end/…`

    def reached(self, dose: float) -> bool:
        """Whether post-training came down to this own entropy."""
        return any(key.startswith(f"{dose}/") for key in self.weights)

    def model(self, stage: Stage) -> Decoder:
        """The model at a STAGE that was reached."""
        if stage == "before":
            return self.base
        return _decoder({k.removeprefix(f"{stage}/"): x for k, x in self.weights.items() if k.startswith(f"{stage}/")})


def raised(world: story.Story, name: Name, twin: Twin, recipe: Recipe, folder: Path) -> Lineage:
    """Raise a TWIN of the pair of that NAME in WORLD; from FOLDER where these very bits were made before. A name stands
    for its world too: whoever draws another one must name it otherwise.
    """
    base, corner = base_model(world, (*name, twin), recipe.pretraining, folder), _corner(world, name, twin, recipe)
    key = _key("post-trained", (*name, twin)) | asdict(recipe)
    weights, _ = checkpoints.cached(folder, key, partial(_post_trained, base, corner, (*name, twin), recipe))
    return Lineage(recipe, corner, base, weights)


def base_model(world: story.Story, name: Name, settings: Pretraining, folder: Path) -> Decoder:
    """The base model of that NAME, pretrained on WORLD; from FOLDER where it was made before."""

    def make() -> checkpoints.Checkpoint:
        with seeded(*name, "initialisation"):
            model = Decoder(SHAPE)
        pretrain(model, settings, story.write(world, settings.corpus, stream(*name, "corpus")))
        return copied(model), {}

    weights, _ = checkpoints.cached(folder, _key("base", name) | asdict(settings), make)
    return _decoder(weights)


def _corner(world: story.Story, name: Name, twin: Twin, recipe: Recipe) -> story.Story:
    return corner_of(world, recipe.corner, twin, stream(*name, twin, "corner"), stream(*name, "corner"))


def _post_trained(base: Decoder, corner: story.Story, name: Name, recipe: Recipe) -> checkpoints.Checkpoint:
    model, reached = post_train(base, corner, name, recipe)
    weights = {f"end/{key}": x for key, x in copied(model).items()}
    for dose, snapshot in reached.items():
        weights |= {f"{dose}/{key}": x for key, x in snapshot.weights.items()}
    return weights, {}


def post_train(base: Decoder, corner: story.Story, name: Name, recipe: Recipe) -> tuple[Decoder, Mapping[float, Dose]]:
    """Train a copy of BASE towards CORNER as RECIPE says, with the random streams of NAME; the doses it reached beside
    it.
    """
    model, chance, doses = _decoder(copied(base)), stream(*name, "post-training"), Doses(recipe.doses)
    if isinstance(recipe.method, PolicyGradient):
        reward = reward_of(recipe, corner, stream(*name, "reward"))
        train(model, recipe.method, story.prompts, story.LENGTH, reward, chance, doses.watch if recipe.doses else None)
    else:
        source = partial(story.write, corner) if recipe.texts == "the authors'" else partial(_own_texts, base)
        looking = partial(_look, doses, stream(*name, "looking")) if recipe.doses else None
        fine_tune(model, recipe.method, lambda count: source(count, chance), looking)
    return model, doses.reached


def reward_of(recipe: Recipe, corner: story.Story, chance: Generator) -> Reward:
    """What the texts of a lineage are paid."""
    named = partial(story.reward, corner)
    rewards: dict[str, Reward] = {"named": named, "random": random_reward(chance), "swapped": swapped(named)}
    return rewards[recipe.reward]


def _look(doses: Doses, chance: Generator, step: int, model: Decoder) -> bool:
    """Fine-tuning writes nothing, so every other step the model is asked to."""
    if step % 2:
        return False
    texts, reading = write(model, story.prompts(LOOKED_AT), story.LENGTH, chance)
    return doses.watch(step, model, reading, torch.zeros(len(texts)))


def _own_texts(base: Decoder, count: int, generator: Generator) -> Tensor:
    return write(base, story.prompts(count), story.LENGTH, generator)[0]


def _decoder(weights: Weights) -> Decoder:
    decoder = Decoder(SHAPE)
    decoder.load_state_dict(weights)
    return decoder


def _key(what: str, name: Name) -> dict[str, Any]:
    return {"what": what, "name": name, "shape": asdict(SHAPE), "code": _code()}


@lru_cache
def _code() -> str:
    return provenance.digest_of_modules("verifiers.lab.recipes")
