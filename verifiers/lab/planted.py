"""Twins whose interaction ratio is known exactly: to see whether an instrument finds what is there, and misses what
is not.

Author 0 writes even tokens and author 1 odd ones. Each row of an author's table (the token just read) is a power law
over its own twelve tokens in an order and with a steepness drawn anew, so entropies differ from token to token and
a sample of texts is noisy, as with a trained model. A reader is *calm* until it has read a token of the other's, and
*alert* from then on: two tables, one for own and one for foreign text. Post-training sharpens one of them. Which
tokens are read where follows from the tables alone, so every mean entropy is a sum over a Markov chain.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

TOKENS = 24
OWN = TOKENS // 2
START = TOKENS
FOREIGN_CALM = 1e-9  # the mass a calm author leaves for the other's tokens: none is ever drawn
FOREIGN_ALERT = 1e-3


@dataclass(frozen=True)
class Author:
    """What an author's tables are made of: its tokens (OWN,), and for each row the order and the steepness."""

    own: Tensor
    other: Tensor
    order: Tensor  # (TOKENS + 1, OWN)
    steepness: Tensor  # (TOKENS + 1, 1)

    def table(self, sharpness: float, foreign: float) -> Tensor:
        """Next-token probabilities (TOKENS + 1, TOKENS), float64, with the logarithms of own ones times SHARPNESS."""
        ranks = torch.arange(1, OWN + 1, dtype=torch.float64)
        powers = ranks ** (-sharpness * self.steepness)
        own = (1 - foreign) * powers / powers.sum(-1, keepdim=True)
        table = torch.full((TOKENS + 1, TOKENS), foreign / (TOKENS - OWN), dtype=torch.float64)
        return table.scatter_(1, self.own[self.order], own)


@dataclass
class Alarm:
    """Whether each text (B, 1) has shown a token of the other author's so far."""

    rung: Tensor | None = None


@dataclass(frozen=True)
class Reader:
    """A language model: an author's calm and alert tables as log probabilities (TOKENS + 1, TOKENS)."""

    calm: Tensor
    alert: Tensor
    foreign: Tensor  # (TOKENS + 1,) whether a token is the other author's

    def new_cache(self) -> Alarm:
        """What to hand to successive calls that each add one position."""
        return Alarm()

    def __call__(self, tokens: Tensor, cache: Alarm | None = None) -> Tensor:
        """Logits (B, T, TOKENS) after each of TOKENS (B, T); with a cache, after the tokens read before."""
        rung = self.foreign[tokens].cummax(1).values if tokens.shape[1] > 1 else self.foreign[tokens]
        if cache is not None:
            rung = rung if cache.rung is None else rung | cache.rung
            cache.rung = rung[:, -1:]
        return torch.where(rung[..., None], self.alert[tokens], self.calm[tokens])


@dataclass(frozen=True)
class Twins:
    """Two authors, and how sharp they are while calm and while alert."""

    authors: tuple[Author, Author]
    calm: float = 1.0
    alert: float = 1.0

    def readers(self) -> tuple[Reader, Reader]:
        """The two language models."""
        return tuple(self._reader(author) for author in self.authors)  # type: ignore[return-value]

    def _reader(self, author: Author) -> Reader:
        foreign = torch.zeros(TOKENS + 1, dtype=torch.bool).index_fill_(0, author.other, value=True)
        calm, alert = author.table(self.calm, FOREIGN_CALM), author.table(self.alert, FOREIGN_ALERT)
        return Reader(calm.log().float(), alert.log().float(), foreign)

    def log_interaction(self, length: int) -> float:
        """The exact log G over texts of LENGTH tokens, the first position left out."""
        calm = [author.table(self.calm, FOREIGN_CALM) for author in self.authors]
        alert = [author.table(self.alert, FOREIGN_ALERT) for author in self.authors]
        read = [_occupancy(table, length) for table in calm]
        own = [float(read[i] @ _entropies(calm[i])) for i in (0, 1)]
        others = [float(read[1 - i] @ _entropies(alert[i])) for i in (0, 1)]
        return 0.5 * sum(math.log(other / mine) for other, mine in zip(others, own, strict=True))


def draw(generator: Generator) -> Twins:
    """Two authors, equally sharp on all that they read."""
    even, odd = torch.arange(0, TOKENS, 2), torch.arange(1, TOKENS, 2)
    return Twins((_author(even, odd, generator), _author(odd, even, generator)))


def with_gap(twins: Twins, effect: float, length: int) -> Twins:
    """TWINS after a post-training that raises log G by exactly EFFECT: calmer on own text, or on foreign text if EFFECT
    is below 0.
    """
    from scipy.optimize import brentq

    before = twins.log_interaction(length)
    side = "calm" if effect >= 0 else "alert"

    def sharpened(sharpness: float) -> Twins:
        return Twins(twins.authors, **{side: sharpness})

    def excess(sharpness: float) -> float:
        return sharpened(sharpness).log_interaction(length) - before - effect

    return sharpened(float(brentq(excess, 1.0, 60.0, xtol=1e-9))) if effect else twins


def sharpened(twins: Twins, by: float) -> Twins:
    """TWINS after a change that has nothing to do with whose text it is: BY times as sharp on all that they read."""
    return Twins(twins.authors, calm=twins.calm * by, alert=twins.alert * by)


def _author(own: Tensor, other: Tensor, generator: Generator) -> Author:
    order = torch.rand(TOKENS + 1, OWN, generator=generator).argsort(1)
    return Author(own, other, order, 0.25 + 0.75 * torch.rand(TOKENS + 1, 1, generator=generator).double())


def _entropies(table: Tensor) -> Tensor:
    """The entropy of every row in nats (TOKENS + 1,)."""
    return -(table * table.log()).sum(-1)


def _occupancy(table: Tensor, length: int) -> Tensor:
    """How much of the positions 1 … LENGTH − 1 of a text follows each token (TOKENS + 1,)."""
    step = torch.zeros(TOKENS + 1, TOKENS + 1, dtype=torch.float64)
    step[:, :TOKENS] = table
    now = step[START]
    total = now.clone()
    for _ in range(length - 2):
        now = now @ step
        total += now
    return total / (length - 1)
