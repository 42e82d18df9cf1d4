"""Gates: did training do what a run rests on? A run whose base is no good reader, or whose post-training did not learn
what it names, refuses to speak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from verifiers.lab import frozen, story
from verifiers.lab.model import Decoder
from verifiers.lab.policy_gradient import PolicyGradient
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.recipes import SHAPE, Lineage, Name, Recipe, post_train
from verifiers.lab.sampling import read, write
from verifiers.lab.training import Pretraining, pretrain
from verifiers.measurement import Control

# Healthy bases stand 1.1 to 2.5 % above the exact reader, and healthy training wins six tenths and more of what there
# is to win; an unlearned base stands far above, a random or swapped reward wins nothing (docs/LOG.md).
EXCESS = 0.05
LEARNED = 0.25
REACHED = 0.75
TEXTS = 256


@dataclass(frozen=True)
class Gated:
    """What a unit's training came to, by lineage: excess loss of the base, share that post-training won, dose."""

    excess: tuple[float, ...]
    learned: tuple[float, ...]
    reached: bool


def of_twins(world: story.Story, twins: Sequence[Lineage], dose: float, chance: Generator) -> Gated:
    """The gates of a unit's lineages."""
    return Gated(
        tuple(excess_loss(twin.base, world, chance) for twin in twins),
        tuple(learned(twin.base, twin.model("end"), twin.recipe, twin.corner, chance) for twin in twins),
        all(twin.reached(dose) for twin in twins),
    )


def controls(gated: Sequence[Gated]) -> tuple[Control, ...]:
    """What the gates say of a run; nothing where nothing was trained."""
    if not gated:
        return ()
    excess = max(value for one in gated for value in one.excess)
    won = min(value for one in gated for value in one.learned)
    reached = sum(one.reached for one in gated) / len(gated)
    return (
        Control.within("bases read well", "gate", excess, 0.0, EXCESS),
        Control.within("training learned what it names", "gate", won, 1.0, 1 - LEARNED),
        Control.within("post-training reached the dose", "gate", reached, 1.0, 1 - REACHED),
    )


def excess_loss(base: Decoder, world: story.Story, chance: Generator) -> float:
    """How far the loss of BASE on the world's own texts is above that of the exact Bayes filter, as a share of it."""
    texts = story.write(world, TEXTS, chance)
    return float(read(base, texts).surprise.mean()) / _exact_loss(world, texts) - 1


def learned(base: Decoder, end: Decoder, recipe: Recipe, corner: story.Story, chance: Generator) -> float:
    """The share of what post-training could have won that it has won: of the reward that RECIPE names up to its
    maximum of 1, or of the loss on its author's texts down to the exact reader's.
    """
    if isinstance(recipe.method, PolicyGradient):
        before, after = (story.reward(corner, _own(model, chance)).mean() for model in (base, end))
        return float((after - before) / (1 - before))
    texts = story.write(corner, TEXTS, chance)
    before, after = (read(model, texts).surprise.mean() for model in (base, end))
    return float((before - after) / (before - _exact_loss(corner, texts)))


def _own(model: Decoder, chance: Generator) -> Tensor:
    return write(model, story.prompts(TEXTS), story.LENGTH, chance)[0]


def _exact_loss(world: story.Story, texts: Tensor) -> float:
    exact = story.predictive(world, texts).gather(-1, texts[:, 1:, None])[..., 0]
    return float(-exact.log().mean())


# --- breaks that need training, each short -----------------------------------------------------------------------------

BREAKS: Mapping[str, Recipe] = {
    "unlearned base": Recipe(PolicyGradient(longest=0), pretraining=Pretraining(steps=60)),
    "random reward": Recipe(PolicyGradient(longest=30), reward="random"),
    "swapped reward": Recipe(PolicyGradient(longest=30), reward="swapped"),
}


def of_short_training(broken: str, name: Name) -> Gated:
    """The gates of one lineage in the frozen world whose training is BROKEN; what is not broken is frozen too."""
    recipe, world, chance = BREAKS[broken], frozen.world(), stream(*name, "gates")
    base = frozen.model("before a")
    if broken == "unlearned base":
        with seeded(*name, "initialisation"):
            base = Decoder(SHAPE)
        pretrain(base, recipe.pretraining, story.write(world, recipe.pretraining.corpus, stream(*name, "corpus")))
    end, _ = post_train(base, world, name, recipe)
    return Gated((excess_loss(base, world, chance),), (learned(base, end, recipe, world, chance),), reached=True)
