"""Other ways to narrow what a model writes. Whether a gap says anything of reinforcement learning is asked by comparing
them where the models are equally sure of their own text.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from torch import Generator

from verifiers.lab import story
from verifiers.lab.instrument import Tempered
from verifiers.lab.model import Decoder
from verifiers.lab.recipes import RECIPES, Recipe
from verifiers.lab.sampling import write

# A rival explanation, and the recipe that has only that. Sharpening by temperature needs no training and no recipe.
ARMS: Mapping[str, Recipe] = {
    "sharp_author": RECIPES["story-sharp-author"],
    "sharp_topic": RECIPES["story-sharp-topic"],
    "one_topic": RECIPES["story-one-topic"],
    "random_reward": RECIPES["story-random-reward"],
    "kl_held": RECIPES["story-kl-held"],
}
HALVINGS = 7  # of the bracket of the temperature
COOLEST = 0.1
TEXTS = 128


def tempered(model: Decoder, own_entropy: float, fresh: Callable[[], Generator]) -> Tempered:
    """MODEL at the temperature at which its mean own entropy is OWN_ENTROPY nats, found by halving on a log scale. FRESH
    makes the same random stream each time, so that entropies differ by temperature alone.
    """
    low, high = math.log(COOLEST), 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        one = Tempered(model, math.exp(middle))
        _, reading = write(one, story.prompts(TEXTS), story.LENGTH, fresh())
        low, high = (low, middle) if reading.mean_entropy() > own_entropy else (middle, high)
    return Tempered(model, math.exp((low + high) / 2))


def at(curve: Sequence[tuple[float, float]], own_entropy: float) -> float | None:
    """The value of CURVE, points (own entropy, value), at OWN_ENTROPY, between its neighbours by a straight line. Above
    the first point, which is before any training, it is that point's; None below the last.
    """
    points = sorted(curve, reverse=True)
    if own_entropy >= points[0][0]:
        return points[0][1]
    for (x_high, y_high), (x_low, y_low) in pairwise(points):
        if own_entropy >= x_low:
            return y_low + (y_high - y_low) * (own_entropy - x_low) / (x_high - x_low)
    return None
