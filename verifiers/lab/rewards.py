"""Rewards made of a reward: functions that map texts (B, P + T) to what each of them earns (B,)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Reward = Callable[[Tensor], Tensor]


def random_reward(generator: Generator) -> Reward:
    """A fair coin for every text, whatever it says: 0 or 1 (arXiv:2506.10947 pays models so)."""
    return lambda texts: torch.randint(2, (len(texts),), generator=generator).float()


def shuffled(reward: Reward, generator: Generator) -> Reward:
    """The rewards of the batch, handed out to its texts at random: they say nothing of a text, and are distributed as
    the reward's own are, which a coin's are not.
    """
    return lambda texts: reward(texts)[torch.randperm(len(texts), generator=generator)]


def swapped(reward: Reward) -> Reward:
    """The opposite preference: 1 − reward, for a reward within [0, 1]."""
    return lambda texts: 1 - reward(texts)


def shaped(reward: Reward, by: Callable[[Tensor], Tensor]) -> Reward:
    """The reward passed through BY; an increasing function keeps the order of texts and changes what it is worth."""
    return lambda texts: by(reward(texts))
