"""Which tokens of a batch an update treats apart: masks by entropy, and the two rules that look at covariance.

Every rule chooses among all tokens of the update at once, (B, T).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Mask:
    """The tokens that are learnt from: those at the `top` or the `bottom` by the current policy's entropy
    (arXiv:2506.01939), a `random` share, or `given` positions of every text.
    """

    keep: Literal["top", "bottom", "random", "given"]
    share: float = 0.2  # kept; the top 0.2 and the bottom 0.8 are each other's complement
    positions: tuple[int, ...] = ()  # among the tokens written, for `given`


@dataclass(frozen=True)
class ClipCov:
    """Clip-Cov (arXiv:2505.22617): a random SHARE of all tokens, drawn among those whose covariance lies within [low,
    high] and that the clip has not taken already, gives no gradient; one at least, as in the authors' code.
    """

    share: float = 2e-4
    low: float = 1.0
    high: float = 5.0


@dataclass(frozen=True)
class KLCov:
    """KL-Cov (arXiv:2505.22617): the SHARE of all tokens with the largest covariance, one at least, pays weight ·
    |log ratio|. The authors use it without a clip.
    """

    share: float = 2e-3
    weight: float = 1.0


def kept_tokens(mask: Mask | None, entropy: Tensor, generator: Generator) -> Tensor:
    """Which tokens the mask keeps (B, T): round(share · B · T) of them, the given positions, or all without a mask."""
    if mask is None:
        return torch.ones_like(entropy, dtype=torch.bool)
    if mask.keep == "given":
        kept = torch.zeros_like(entropy, dtype=torch.bool)
        kept[:, list(mask.positions)] = True
        return kept
    size = entropy.numel()
    count = round(mask.share * size)
    if mask.keep == "random":
        return _marked(torch.randperm(size, generator=generator)[:count], entropy)
    falling = entropy.flatten().argsort(descending=True, stable=True)  # one order, so that ties never overlap
    return _marked(falling[:count] if mask.keep == "top" else falling[size - count :], entropy)


def covariances(log_probability: Tensor, advantage: Tensor) -> Tensor:
    """Each token's part (B, T) in the covariance of log probability (B, T) and advantage (B,): the product of their
    deviations from the means over all tokens (arXiv:2505.22617).
    """
    return (log_probability - log_probability.mean()) * (advantage - advantage.mean())[:, None]


def clip_cov_tokens(rule: ClipCov, covariance: Tensor, clipped: Tensor, generator: Generator) -> Tensor:
    """The tokens (B, T) that Clip-Cov takes out: none where no covariance lies within its bounds."""
    within = (covariance >= rule.low) & (covariance <= rule.high) & ~clipped
    candidates = within.flatten().nonzero()[:, 0]
    order = torch.randperm(len(candidates), generator=generator)
    return _marked(candidates[order[: _count(rule.share, covariance)]], covariance)


def kl_cov_tokens(rule: KLCov, covariance: Tensor) -> Tensor:
    """The tokens (B, T) with the largest covariance."""
    return _marked(covariance.flatten().topk(_count(rule.share, covariance)).indices, covariance)


def _count(share: float, tokens: Tensor) -> int:
    return max(1, int(share * tokens.numel()))


def _marked(chosen: Tensor, like: Tensor) -> Tensor:
    """True at the CHOSEN places of a tensor of that shape, counted row by row."""
    return torch.zeros(like.numel(), dtype=torch.bool).index_fill(0, chosen, value=True).view_as(like)
