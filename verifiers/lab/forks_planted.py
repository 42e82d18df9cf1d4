"""Arms whose success is known without training: authors of the `path` world that slip as often as asked.

An author that always looks ahead chooses only ops from which its goal can still be reached, so it fails by slips alone,
and then always: with a chance σ of a slip in each of C clauses it succeeds with probability (1 − σ)^C, exactly, whatever
the world and the prompt. So every success from 0 to 1 can be planted. It is measured as a trained model's is, through
the probabilities of next tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from verifiers.lab import path
from verifiers.lab.path import MIXED, PROMPT, STATES, Path

PARTS = ("top_not_inferior", "top_over_random", "rest_adds_little")
Parts = tuple[float, float, float]  # their truths, in that order

# Of the arm on all tokens, in every planted unit, and where its base is drawn from: with these, contrasts of five standard
# deviations about the design effects are still those of successes from 0 to 1.
GAIN = 0.4
BASE = (0.28, 0.31)


@dataclass(frozen=True)
class Author:
    """The author of a world as a language model: logits (B, T, tokens) are the logarithms of its probabilities."""

    world: Path

    def new_cache(self) -> Any:
        """The tokens read so far."""
        return []

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        """Logits after each of TOKENS (B, T); with a cache, after the tokens read before."""
        if cache is not None:
            cache.append(tokens)
            tokens = torch.cat(cache, dim=1)
        probability = path.predictive(self.world, self._completed(tokens))
        goal = torch.full_like(probability[:, :1], 1 / probability.shape[-1])  # a prompt is given, never written
        logits = torch.cat([goal, probability], dim=1)[:, : tokens.shape[1]].clamp_min(1e-30).log()
        return logits if cache is None else logits[:, -cache[-1].shape[1] :]

    def _completed(self, tokens: Tensor) -> Tensor:
        """TOKENS (B, T) up to the end of a text with any legal clause, which changes nothing before it."""
        spec = self.world.spec
        clause = torch.zeros(spec.clause_length, dtype=tokens.dtype)
        clause[0] = STATES
        rest = torch.cat([clause.new_zeros(PROMPT), clause.repeat(spec.clauses)])[tokens.shape[1] :]
        return torch.cat([tokens, rest.expand(len(tokens), -1)], dim=1)


def author(success: float, generator: Generator) -> Author:
    """An author that answers every prompt correctly with exactly that probability, in a fresh world."""
    slips = 1 - success ** (1 / MIXED.clauses)
    return Author(path.draw(replace(MIXED, competence=1.0, noise=slips), generator))


def successes(parts: Parts, base: float, gain: float = GAIN) -> Mapping[str, float]:
    """The successes of base and arms that make the three contrasts exactly PARTS."""
    top, over_random, rest = parts
    everything = base + gain
    of_top = everything + top - 0.10 * gain
    return {
        "base": base,
        "all": everything,
        "top": of_top,
        "random": of_top - over_random - 0.05 * gain,
        "bottom": base + rest + 0.25 * gain,
    }


def arms(parts: Parts, generator: Generator) -> Mapping[str, Author]:
    """Planted arms with contrasts PARTS, all in one fresh world, on a base drawn anew.

    Raises:
        ValueError: when no successes from 0 to 1 have such contrasts.
    """
    low, high = BASE
    base = low + (high - low) * float(torch.rand(1, generator=generator))
    wanted = successes(parts, base)
    if not all(0 <= value <= 1 for value in wanted.values()):
        raise ValueError(f"no successes have the contrasts {parts}: {dict(wanted)} must lie between 0 and 1")
    state = generator.get_state()
    found = {}
    for name, success in wanted.items():
        generator.set_state(state)  # the same world for every arm
        found[name] = author(success, generator)
    return found
