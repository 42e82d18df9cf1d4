"""Policy-gradient training: one record of settings, one loss, and one loop that reads straight down.

With its defaults the record is REINFORCE; with groups of samples it is GRPO, with several updates a rollout PPO.

Some arms are empty when nothing gives them work: a clip and KL-Cov need several updates a rollout, and even then a
clip may bite at well under a hundredth of the tokens. `Diagnostics` counts what each rule touched, so that an
experiment can refuse an arm that did nothing. Letters in shape comments: B texts, P tokens of a prompt, T tokens
written, V vocabulary.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from statistics import fmean
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from verifiers.lab.model import Decoder
from verifiers.lab.randomness import stream
from verifiers.lab.rewards import Reward
from verifiers.lab.sampling import Reading, write
from verifiers.lab.token_rules import ClipCov, KLCov, Mask, clip_cov_tokens, covariances, kept_tokens, kl_cov_tokens
from verifiers.lab.training import Weights, copied


@dataclass(frozen=True)
class Clip:
    """PPO's clip of the probability ratio to [1 − low, 1 + high] (arXiv:1707.06347, eq. 7). A `high` above `low` is
    clip-higher (arXiv:2503.14476, eq. 10); with `keep_gradient` it is GPPO (arXiv:2508.07629).
    """

    low: float = 0.2
    high: float = 0.2
    keep_gradient: bool = False


@dataclass(frozen=True)
class PolicyGradient:
    """Everything that decides the updates. The defaults are REINFORCE with the batch's mean as baseline (Williams
    1992).

    `denominator` says what the loss is averaged over: `texts` sums a text's tokens and averages texts, `tokens`
    averages all tokens, `kept` those that the mask keeps. Adam hides the difference up to the cut at `gradient_norm`.

    Raises:
        ValueError: when texts would be compared within groups of one, or there are more minibatches than texts.
    """

    prompts: int = 64  # a step
    samples: int = 1  # texts for each prompt: its group
    advantage: Literal["reinforce", "grpo", "leave one out"] = "reinforce"
    denominator: Literal["texts", "tokens", "kept"] = "texts"
    mask: Mask | None = None
    minibatches: int = 1  # that a rollout is cut into, for one update each
    epochs: int = 1  # times that a rollout is gone through
    clip: Clip | None = None
    clip_cov: ClipCov | None = None
    kl_cov: KLCov | None = None
    reference_kl: float = 0.0  # weight of the divergence from the policy at the start
    entropy_bonus: float = 0.0
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)  # Adam's
    gradient_norm: float = 1.0
    longest: int = 400  # steps after which training ends if nothing stopped it before

    def __post_init__(self) -> None:
        if self.advantage != "reinforce" and self.samples < 2:
            raise ValueError(f"advantage {self.advantage!r} compares texts of one prompt: set samples to 2 or more")
        if self.minibatches > self.texts:
            raise ValueError(f"{self.texts} texts a step cannot be cut into {self.minibatches} minibatches")

    @property
    def texts(self) -> int:
        """How many texts a step writes."""
        return self.prompts * self.samples


# --- the loss --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rollout:
    """Texts that were written, and what the loss has to know of them."""

    texts: Tensor  # (B, P + T)
    advantage: Tensor  # (B,)
    old: Tensor | None = None  # (B, T) log probabilities of the tokens when written; None: still the current ones
    reference: Tensor | None = None  # (B, T, V) the reference policy's log probabilities

    def cut(self, count: int) -> list["Rollout"]:
        """COUNT parts of nearly equal size, in order."""
        fields = (self.texts, self.advantage, self.old, self.reference)
        columns = [[None] * count if field is None else field.tensor_split(count) for field in fields]
        return [Rollout(*row) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Diagnostics:
    """What updates did: shares of all tokens, and means over them in nats."""

    entropy: float  # of the current policy
    kept: float  # by the mask
    clipped: float  # where the clip decides
    singled_out: float  # by Clip-Cov or KL-Cov
    moved: float  # KL(policy that wrote ‖ current), estimated on the tokens written by ratio − 1 − log ratio
    reference_kl: float  # KL(current ‖ reference), exact over the vocabulary


def policy_loss(
    settings: PolicyGradient, logits: Tensor, rollout: Rollout, generator: Generator
) -> tuple[Tensor, Diagnostics]:
    """The loss of the policy with LOGITS (B, T, V) on a rollout, and what its rules did; GENERATOR draws the tokens
    of a random mask and of Clip-Cov.

    A token gains ratio · advantage (arXiv:2402.03300, eq. 3); while nothing has moved, the ratio is 1 and the
    gradient that of advantage · log probability. Divergence from the reference and entropy bonus (arXiv:1602.01783)
    are over all tokens, whatever the mask keeps.
    """
    reading = Reading.of(logits, rollout.texts[:, -logits.shape[1] :])
    log_probability = -reading.surprise
    log_ratio = log_probability - (log_probability.detach() if rollout.old is None else rollout.old)
    gain, clipped = clipped_gain(settings.clip, log_ratio.exp(), rollout.advantage[:, None])
    singled_out = torch.zeros_like(clipped)
    if settings.clip_cov or settings.kl_cov:
        covariance = covariances(log_probability.detach(), rollout.advantage)
        if settings.clip_cov:
            singled_out = clip_cov_tokens(settings.clip_cov, covariance, clipped, generator)
            gain = gain.masked_fill(singled_out, 0.0)
        if settings.kl_cov:
            pays = kl_cov_tokens(settings.kl_cov, covariance)
            gain = gain - settings.kl_cov.weight * log_ratio.abs() * pays
            singled_out = singled_out | pays
    kept = kept_tokens(settings.mask, reading.entropy.detach(), generator)
    loss = -averaged(gain * kept, settings.denominator, kept)
    if settings.entropy_bonus:
        loss = loss - settings.entropy_bonus * averaged(reading.entropy, settings.denominator)
    divergence = torch.zeros(())
    if rollout.reference is not None:
        divergence = reference_divergence(logits, rollout.reference)
        loss = loss + settings.reference_kl * averaged(divergence, settings.denominator)
    moved = log_ratio.detach().expm1() - log_ratio.detach()
    counted = (reading.entropy, kept, clipped, singled_out, moved, divergence)  # in the order of Diagnostics
    return loss, Diagnostics(*(float(x.detach().float().mean()) for x in counted))


def clipped_gain(clip: Clip | None, ratio: Tensor, advantage: Tensor) -> tuple[Tensor, Tensor]:
    """What each token gains (B, T), min(ratio · A, clipped ratio · A), and where the second is the smaller one.

    PPO gives those tokens no gradient. GPPO writes their ratio as bound · ratio / stopped ratio, which is the bound
    and has the gradient bound · ∇ log p.
    """
    gain = ratio * advantage
    if clip is None:
        return gain, torch.zeros_like(gain, dtype=torch.bool)
    bound = ratio.detach().clamp(1 - clip.low, 1 + clip.high)
    clipped = bound * advantage < gain.detach()
    if clip.keep_gradient:
        bound = bound * (ratio / ratio.detach())
    return torch.where(clipped, bound * advantage, gain), clipped


def reference_divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(current ‖ reference) before each token (B, T), in nats, summed over the vocabulary; GRPO's term
    (arXiv:2402.03300, eq. 4) estimates it from the token that was drawn.
    """
    log_probability = logits.log_softmax(-1)
    return (log_probability.exp() * (log_probability - reference)).sum(-1)


def averaged(x: Tensor, denominator: str, kept: Tensor | None = None) -> Tensor:
    """X (B, T) summed, over what the DENOMINATOR counts; without a mask all tokens are kept."""
    if denominator == "texts":
        return x.sum(-1).mean()
    if denominator == "kept" and kept is not None:
        return x.sum() / kept.sum().clamp_min(1)
    return x.mean()


# --- the loop --------------------------------------------------------------------------------------------------------

Watch = Callable[[int, Decoder, Reading, Tensor, Diagnostics | None], bool]


def train(
    model: Decoder,
    settings: PolicyGradient,
    prompts: Callable[[int], Tensor],
    length: int,
    reward: Reward,
    generator: Generator,
    watch: Watch | None = None,
) -> None:
    """Train MODEL in place on the REWARD of texts: LENGTH tokens written after each of PROMPTS(count) (count, P).

    WATCH(step, model, reading, rewards, diagnostics) is called after each rollout, before its updates, and ends
    training by returning True; the diagnostics are those of the updates before, None at first. The reference policy
    is the model as it was handed in. Rules that choose tokens at random have a stream of their own, so that two arms
    which differ in them alone write with the same noise.
    """
    adam = torch.optim.Adam(model.parameters(), lr=settings.rate, betas=settings.betas, fused=True)
    reference = copy.deepcopy(model) if settings.reference_kl else None
    choice = stream("choice of tokens", generator.initial_seed())
    diagnostics = None
    for step in range(settings.longest):
        given = prompts(settings.prompts).repeat_interleave(settings.samples, dim=0)
        texts, reading = write(model, given, length, generator)
        rewards = reward(texts)
        if watch and watch(step, model, reading, rewards, diagnostics):
            break
        texts = texts.clone()  # written in inference mode; autograd needs a tensor of its own
        known = None if reference is None else log_probabilities(reference, texts, length)
        rollout = Rollout(texts, advantages(settings, rewards), -reading.surprise, known)
        parts = rollout.cut(settings.minibatches) * settings.epochs
        parts[0] = replace(parts[0], old=None)  # nothing has moved yet: the ratio is 1, without rounding
        diagnostics = mean([update(model, adam, settings, part, length, choice) for part in parts])


def advantages(settings: PolicyGradient, rewards: Tensor) -> Tensor:
    """How much better than expected each text was (B,), from REWARDS (B,) with the texts of a group side by side.

    `reinforce` takes off the batch's mean (Williams 1992). `grpo` is (r − mean) / (sd + 1e-4) within the group, the
    standard deviation with n − 1 (arXiv:2402.03300, section 4.1.2). `leave one out` takes off the mean of the group's
    other texts (arXiv:2402.14740).
    """
    if settings.advantage == "reinforce":
        return rewards - rewards.mean()
    groups = rewards.view(-1, settings.samples)
    above = groups - groups.mean(1, keepdim=True)
    if settings.advantage == "grpo":
        return (above / (groups.std(1, keepdim=True) + 1e-4)).flatten()
    return (above * settings.samples / (settings.samples - 1)).flatten()


def update(
    model: Decoder, adam: torch.optim.Adam, settings: PolicyGradient, rollout: Rollout, length: int, choice: Generator
) -> Diagnostics:
    """Move MODEL once."""
    logits = model(rollout.texts[:, :-1])[:, -length:]
    loss, diagnostics = policy_loss(settings, logits, rollout, choice)
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
    adam.step()
    return diagnostics


@torch.no_grad()
def log_probabilities(model: Decoder, texts: Tensor, length: int) -> Tensor:
    """MODEL's log probabilities (B, T, V) before each of the last LENGTH tokens of TEXTS."""
    logits: Tensor = model(texts[:, :-1])[:, -length:]
    return logits.log_softmax(-1)


def mean(diagnostics: Sequence[Diagnostics]) -> Diagnostics:
    """Their mean, number by number."""
    return Diagnostics(*map(fmean, zip(*map(astuple, diagnostics), strict=True)))


# --- doses -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dose:
    """The weights at the first step whose batch had a mean own entropy below the one asked for."""

    weights: Weights
    step: int
    reward: float  # of that batch


class Doses:
    """Stops training once the model's own text is as sure as asked, and keeps the weights of every dose on the way.

    `reached` holds the doses met so far, by own entropy in nats. The stop looks at the entropy of the batch just
    written, so a dose is met a little early or late; re-measure it.
    """

    def __init__(self, own_entropies: Iterable[float]) -> None:
        self.left = sorted(own_entropies, reverse=True)
        self.reached: dict[float, Dose] = {}

    def watch(self, step: int, model: Decoder, reading: Reading, rewards: Tensor, _: Diagnostics | None = None) -> bool:
        """Copy the weights if a dose is met; whether none is left."""
        while self.left and reading.mean_entropy() < self.left[0]:
            self.reached[self.left.pop(0)] = Dose(copied(model), step, float(rewards.mean()))
        return not self.left
