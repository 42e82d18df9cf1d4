"""The world `bandit`: entropy collapse where everything can be computed, with nothing sampled and nothing shared.

To each prompt there are a few answers, one of them right, and the policy is a softmax over a row of logits of the
prompt's own. Every update follows an exact gradient, so reward and entropy are exact too, and the first-order law of
arXiv:2505.22617 can be held against what an update really does to the entropy.

In the positive control the right answer is paid for. In the negative control an answer drawn anew at each step is paid
for: there is nothing to learn, so the expected reward stays at chance, and so does the mean change of entropy to first
order. Entropy falls all the same, by the second order, as the policy wanders into a corner. A third reward pays for
diversity, the chance that two draws differ: reward and entropy rise together, against the law.

Letters as in the paper: z logits, π policy, r reward, A advantage, η learning rate, H entropy. Letters in shape
comments: B prompts, K answers.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class Bandit:
    """The settings of one run."""

    prompts: int = 256
    answers: int = 4
    spread: float = 0.3  # standard deviation of the logits at the start
    rate: float = 0.5  # η
    steps: int = 400
    natural: bool = False  # natural gradient instead of policy gradient
    informed: bool = True  # the right answer is paid for; else one drawn anew at each step
    diverse: bool = False  # paid for is that two draws differ, whichever is right


@dataclass(frozen=True)
class Series:
    """What a run went through, means over prompts; entry 0 is before the first step."""

    entropy: Tensor  # (steps + 1,) nats
    reward: Tensor  # (steps + 1,) probability of the right answer, whatever was paid for; or of two draws that differ
    predicted: Tensor  # (steps,) nats by which each step should change the entropy, to first order


def policy_gradient(logits: Tensor, reward: Tensor) -> Tensor:
    """The exact gradient (B, K) of each prompt's expected REWARD (B, K) in its LOGITS (B, K): π(r − E r)."""
    return logits.softmax(-1) * natural_gradient(logits, reward)


def natural_gradient(logits: Tensor, reward: Tensor) -> Tensor:
    """That gradient divided by the Fisher information (B, K): the advantage A = r − E r."""
    return reward - (logits.softmax(-1) * reward).sum(-1, keepdim=True)


def entropy(logits: Tensor) -> Tensor:
    """The entropy (B,) of each prompt's policy, in nats."""
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


def covariance(logits: Tensor, step: Tensor) -> Tensor:
    """Cov_{a~π}(log π(a), dz(a)) (B,) for a STEP dz (B, K) of the logits; to first order dH is minus this.

    arXiv:2505.22617, for the tabular softmax policy. With dz = η π A for the policy gradient, η A for the natural one.
    """
    policy, log_policy = logits.softmax(-1), logits.log_softmax(-1)
    centred = log_policy - (policy * log_policy).sum(-1, keepdim=True)
    return (policy * centred * step).sum(-1)


def run(settings: Bandit, generator: Generator) -> Series:
    """Follow the gradient from random logits, with a random right answer for each prompt, in float64."""
    shape = (settings.prompts, settings.answers)
    logits = settings.spread * torch.randn(shape, generator=generator, dtype=torch.float64)
    right = _one_answer_each(shape, generator)
    gradient = natural_gradient if settings.natural else policy_gradient
    success = _differing if settings.diverse else partial(_expected, right)
    entropies, rewards, predicted = [entropy(logits).mean()], [success(logits)], []
    for _ in range(settings.steps):
        paid = right if settings.informed else _one_answer_each(shape, generator)
        if settings.diverse:
            paid = -2 * logits.softmax(-1)  # whose gradient, held fixed, is that of the chance to differ
        step = settings.rate * gradient(logits, paid)
        predicted.append(-covariance(logits, step).mean())
        logits = logits + step
        entropies.append(entropy(logits).mean())
        rewards.append(success(logits))
    return Series(torch.stack(entropies), torch.stack(rewards), torch.stack(predicted))


def _one_answer_each(shape: tuple[int, int], generator: Generator) -> Tensor:
    """A reward (B, K) that pays 1 for one answer to each prompt, all equally likely."""
    prompts, answers = shape
    return F.one_hot(torch.randint(answers, (prompts,), generator=generator), answers).double()


def _expected(reward: Tensor, logits: Tensor) -> Tensor:
    """The mean over prompts of the expected REWARD (B, K)."""
    return (logits.softmax(-1) * reward).sum(-1).mean()


def _differing(logits: Tensor) -> Tensor:
    """The mean over prompts of the chance that two draws differ."""
    return (1 - logits.softmax(-1).square().sum(-1)).mean()
