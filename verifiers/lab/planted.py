"""Language models whose entropies are known exactly, to see whether an instrument finds what is there."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from verifiers.lab.randomness import stream
from verifiers.lab.sampling import Reading

TOKENS = 24
OWN = 12  # tokens that an author uses; the other half is the other author's
START = TOKENS
FOREIGN_MASS = 1e-3  # what an author leaves for the other's tokens, shared evenly


class Author:
    """An author of an iso-entropic language: every next-token distribution is the same numbers in another order.

    Author 0 writes even tokens, author 1 odd ones, so each finds the other's text surprising at every token.
    `distribution` holds the numbers: OWN unequal ones for the author's tokens, then equal small ones for the rest.
    """

    def __init__(self, name: int) -> None:
        weights = torch.arange(1, OWN + 1, dtype=torch.float64) ** -0.5
        own = (1 - FOREIGN_MASS) * weights / weights.sum()
        self.distribution = torch.cat([own, torch.full((OWN,), FOREIGN_MASS / OWN, dtype=torch.float64)])
        mine, other = torch.arange(name, TOKENS, 2), torch.arange(1 - name, TOKENS, 2)
        generator = stream("planted author", name)
        self.table = torch.empty(TOKENS + 1, TOKENS)  # (previous token, next token) log probabilities
        for row in self.table:
            order = mine[torch.randperm(OWN, generator=generator)]
            row[torch.cat([order, other])] = self.distribution.log().float()

    def new_cache(self) -> list[Tensor]:
        """The tokens read so far, in pieces."""
        return []

    def __call__(self, tokens: Tensor, cache: list[Tensor] | None = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T); with a cache, after the tokens read before."""
        if cache is not None:
            cache.append(tokens)
        return self.table[tokens]


@dataclass
class SurpriseGate:
    """A model that is sharper while what it reads does not surprise it.

    The author's logits are multiplied by `sharpness` as long as the mean surprise of the tokens read so far, under
    the author unsharpened, is below `threshold` nats. Own text never reaches the threshold and the other's text is
    above it from the first token on, so both mean entropies are exact: `entropy(True)` on own text, `entropy(False)`
    on foreign text, at every position but the first.
    """

    author: Author
    sharpness: float = 4.0
    threshold: float = field(default=-math.log(FOREIGN_MASS / OWN) / 2)

    def new_cache(self) -> list[Tensor]:
        """The tokens read so far, in pieces."""
        return []

    def __call__(self, tokens: Tensor, cache: list[Tensor] | None = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T); with a cache, after the tokens read before."""
        if cache is not None:
            cache.append(tokens)
        read = torch.cat(cache, dim=1) if cache is not None else tokens
        logits = self.author(read)
        surprise = Reading.of(logits[:, :-1], read[:, 1:]).surprise  # of every token after the start token
        count = torch.arange(1, surprise.shape[1] + 1)
        calm = torch.cat(
            [torch.ones(len(read), 1, dtype=torch.bool), surprise.cumsum(1) / count < self.threshold], dim=1
        )
        gated = torch.where(calm[..., None], self.sharpness * logits, logits)
        return gated[:, -tokens.shape[1] :]

    def entropy(self, calm: bool) -> float:
        """The exact entropy in nats of every next-token distribution while CALM, or while not."""
        powered = self.author.distribution ** (self.sharpness if calm else 1.0)
        probability = powered / powered.sum()
        return float(-(probability * probability.log()).sum())
