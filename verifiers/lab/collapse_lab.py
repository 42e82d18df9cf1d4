"""Training runs in the world `path` whose collapse is looked at, and bandits that follow exact gradients.

A run has a world and a base of its own (`path_bases`). How good the base is decides which form fits afterwards, so a bad
one is thrown away and counted. Reward is validated exactly, by a sum over all correct responses; entropy is that of the batch just written.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from verifiers.lab import bandit, fits, path, path_bases
from verifiers.lab import collapse_planted as planted
from verifiers.lab.bandit import Bandit, Series
from verifiers.lab.fits import Run
from verifiers.lab.model import Decoder
from verifiers.lab.path import COLLAPSE, PROMPT
from verifiers.lab.path_bases import Base
from verifiers.lab.policy_gradient import Clip, Diagnostics, PolicyGradient, train
from verifiers.lab.randomness import stream
from verifiers.lab.rewards import Reward, random_reward
from verifiers.lab.sampling import Reading, write
from verifiers.lab.token_rules import ClipCov, KLCov
from verifiers.lab.training import Pretraining
from verifiers.measurement import SubjectRef

Name = tuple[str | int, ...]  # of a random stream

# With a slip in five steps a base is unsure of half of its tokens for one reason and of the others for another, and its
# entropy has more than a nat to fall.
WORLD = replace(COLLAPSE, noise=0.2)
EVERY = 4  # steps between two validations
LONG = 141  # steps, so that the last is validated too; reward comes to .96
UPDATED = 73  # rollouts of an arm with several updates each, which take it to the same entropy as those steps
TOUCHED = 0.005  # of all tokens: an arm whose rule touches fewer did nothing
CONTEXTS = 128  # texts whose entropy is followed exactly

GRPO = PolicyGradient(
    prompts=32, samples=8, advantage="grpo", denominator="tokens", rate=1e-3, betas=(0.9, 0.95), longest=LONG
)
PPO = replace(GRPO, minibatches=4, epochs=2, clip=Clip(), rate=5e-4, longest=UPDATED)


@dataclass(frozen=True)
class Arm:
    """One more way to train the same base, and what of it must have touched tokens for it to say anything."""

    settings: PolicyGradient
    against: str = "measured"  # the run without intervention that it is compared with
    touches: Callable[[Diagnostics], float] | None = None


ARMS: Mapping[str, Arm] = {
    "learning rate": Arm(replace(GRPO, rate=2e-3)),
    "entropy bonus": Arm(replace(GRPO, entropy_bonus=0.1)),
    "kl reference": Arm(replace(GRPO, reference_kl=0.1)),
    "ppo": Arm(PPO),
    "clip higher": Arm(replace(PPO, clip=Clip(high=0.28)), "ppo", lambda x: x.clipped),
    "gppo": Arm(replace(PPO, clip=Clip(keep_gradient=True)), "ppo", lambda x: x.clipped),
    "clip cov": Arm(replace(PPO, clip_cov=ClipCov(share=0.02, low=0.2)), "ppo", lambda x: x.singled_out),
    "kl cov": Arm(replace(PPO, clip=None, kl_cov=KLCov(share=0.02)), "ppo", lambda x: x.singled_out),
}


# --- training with rewards -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """One run, and what was seen beside it."""

    run: Run
    model: Decoder
    foretold: tuple[float, ...] = ()  # nats by which single steps should change the entropy of fixed contexts
    changed: tuple[float, ...] = ()  # nats by which they did
    touched: float | None = None  # mean share of tokens that the arm's rule decided

    @property
    def arm(self) -> Run | str:
        """The run, or why it says nothing of the rule that it is named after."""
        is_empty = self.touched is not None and self.touched < TOUCHED
        return f"the rule touched {self.touched:.1%} of the tokens" if is_empty else self.run


Score = Callable[[Decoder], float]


def train_run(
    start: Decoder,
    settings: PolicyGradient,
    reward: Reward,
    score: Score,
    chance: Generator,
    touches: Callable[[Diagnostics], float] | None = None,
    contexts: Tensor | None = None,
) -> Trained:
    """Train a copy of START on REWARD, with its SCORE every few steps; CONTEXTS are texts whose entropy is followed."""
    model = copy.deepcopy(start)
    step_at, entropies, scores = [], [], []
    shares, foretold, changed = [], [], []
    before: list[Tensor] = []

    def watch(step: int, model: Decoder, reading: Reading, _: Tensor, diagnostics: Diagnostics | None) -> bool:
        if touches and diagnostics:
            shares.append(touches(diagnostics))
        if step % EVERY == 0:
            step_at.append(float(step))
            entropies.append(float(reading.entropy.mean()))
            scores.append(score(model))
        if contexts is not None and step % EVERY < 2:
            now = _logits(model, contexts)
            if before:
                then = before.pop()
                foretold.append(-float(bandit.covariance(then, now - then).mean()))
                changed.append(float((bandit.entropy(now) - bandit.entropy(then)).mean()))
            else:
                before.append(now)
        return False

    train(model, settings, partial(_prompts, chance), WORLD.length, reward, chance, watch)
    run = Run(*(np.array(values) for values in (step_at, entropies, scores)))
    return Trained(run, model, tuple(foretold), tuple(changed), fmean(shares) if shares else None)


def _prompts(chance: Generator, count: int) -> Tensor:
    return path.prompts(count, chance)


@torch.no_grad()
def _logits(model: Decoder, texts: Tensor) -> Tensor:
    logits: Tensor = model(texts[:, :-1])[:, PROMPT - 1 :]
    return logits.double()


def success(world: path.Path, model: Decoder) -> float:
    """The exact mean success over all prompts."""
    return float(path.success(model, world).mean())


def difference(texts: Tensor, group: int) -> Tensor:
    """For each text the share of the others of its GROUP that answer differently (B,)."""
    groups = texts.view(-1, group, texts.shape[1])
    differ = (groups[:, :, None] != groups[:, None]).any(-1).float()  # (prompts, group, group)
    return (differ.sum(-1) / (group - 1)).flatten()


def diversity(chance: Generator, model: Decoder) -> float:
    """How often two answers to one prompt differ, over 16 answers to every prompt."""
    prompts = path.every_prompt().repeat_interleave(16, dim=0)
    texts, _ = write(model, prompts, WORLD.length, chance)
    return float(difference(texts, 16).mean())


# --- subjects --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Raised:
    """The run of a unit with what stands beside it."""

    run: Run
    base: Base | None = None
    arms: Mapping[str, Run | str] = field(default_factory=dict)  # or why an arm says nothing
    covariance: float | None = None  # slope of what steps did to entropy on what the covariance foretells


def raised(
    subject: str,
    name: Name,
    folder: Path,
    *,
    details: bool,
    steps: int = LONG,
    pretraining: Pretraining = path_bases.PRETRAINING,
) -> Raised:
    """Train the run of a lab SUBJECT from the streams of NAME; with DETAILS its arms too."""
    if subject in BANDITS:
        return bandit_run(subject, name)
    one = path_bases.base(WORLD, name, pretraining, folder)
    main = replace(GRPO, longest=steps)
    scored, start, named = partial(success, one.world), one.model, partial(path.reward, one.world)
    reward: Reward = named
    if subject == "collapse-random-reward":
        reward = random_reward(stream(*name, "reward"))
    if subject == "collapse-diversity":  # from a policy that has collapsed before, so that there is something to win
        start = train_run(start, main, named, scored, stream(*name, "collapse")).model
        reward, scored = partial(difference, group=GRPO.samples), partial(diversity, stream(*name, "validation"))
    followed = _contexts(start, name) if details else None
    trained = train_run(start, main, reward, scored, stream(*name, "training"), contexts=followed)
    if not details or subject != "collapse":
        return Raised(trained.run, one)
    arms: dict[str, Run | str] = {}
    for arm, how in ARMS.items():
        method = replace(how.settings, longest=min(steps, how.settings.longest))
        found = train_run(start, method, reward, scored, stream(*name, "training"), how.touches)
        arms[arm] = found.arm
    return Raised(trained.run, one, arms, _slope(trained.foretold, trained.changed))


def described(subject: SubjectRef) -> dict[str, Any]:
    """The settings behind a SUBJECT, for the record of a run."""
    if subject.scheme != "lab":
        return {}
    if subject.locator in BANDITS:
        return {"bandit": asdict(BANDITS[subject.locator])}
    arms = {name: asdict(arm.settings) for name, arm in ARMS.items()}
    return {"world": asdict(WORLD), "training": asdict(GRPO), "arms": arms}


def _contexts(start: Decoder, name: Name) -> Tensor:
    """Texts by the policy at its start, whose entropy at every position is followed."""
    chance = stream(*name, "contexts")
    return write(start, path.prompts(CONTEXTS, chance), WORLD.length, chance)[0].clone()


def _slope(foretold: Sequence[float], changed: Sequence[float]) -> float:
    return fits.line(np.array(foretold), np.array(changed)).slope


# --- bandits ---------------------------------------------------------------------------------------------------------

BANDITS: Mapping[str, Bandit] = {
    "bandit": Bandit(prompts=32, steps=240),
    "bandit-uninformed": Bandit(prompts=32, rate=1.0, steps=400, informed=False),
    "bandit-diversity": Bandit(prompts=32, steps=240, diverse=True),
}


def bandit_run(subject: str, name: Name) -> Raised:
    """A bandit with a number of answers and a start of its own; one that is paid for diversity begins nearly decided."""
    chance = planted.generator(*name, "bandit")
    spread = chance.uniform(2.5, 4.0) if BANDITS[subject].diverse else chance.uniform(0.2, 0.7)
    settings = replace(BANDITS[subject], answers=int(chance.integers(5, 9)), spread=spread)
    series: Series = bandit.run(settings, stream(*name, "bandit"))
    entropy, reward = series.entropy.numpy(), series.reward.numpy()
    run = Run(np.arange(0.0, settings.steps + 1, EVERY), entropy[::EVERY], reward[::EVERY])
    return Raised(run, covariance=_slope(series.predicted.tolist(), np.diff(entropy).tolist()))
