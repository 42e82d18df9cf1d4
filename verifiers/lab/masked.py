"""Arms of one training that differ in which tokens they learn from, and nothing else.

From one base, with one stream of prompts and one of noise, GRPO (arXiv:2402.03300) is run on all tokens, on the share
with the highest entropy, on the rest, and on as large a share drawn at random. Masks look at the current policy's
entropy, over all tokens of an update at once (arXiv:2506.01939). The loss is divided by the number of all tokens in every
arm; Adam takes out most of the difference that another divisor would make.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, get_args

from torch import Generator, Tensor

from verifiers import provenance
from verifiers.lab import checkpoints, path
from verifiers.lab.model import Decoder
from verifiers.lab.path_bases import Base, Name, shape
from verifiers.lab.policy_gradient import Diagnostics, PolicyGradient, train
from verifiers.lab.randomness import stream
from verifiers.lab.rewards import Reward, random_reward, swapped
from verifiers.lab.sampling import Reading
from verifiers.lab.token_rules import Mask
from verifiers.lab.training import Weights, copied

Kind = Literal["all", "top", "bottom", "random"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Rewarded = Literal["named", "random", "swapped"]  # the last two are for gates that have to notice them

GRPO = PolicyGradient(
    prompts=32, samples=8, advantage="grpo", denominator="tokens", betas=(0.9, 0.95), gradient_norm=1.0
)


def mask(kind: Kind, share: float) -> Mask | None:
    """What an arm keeps: the top SHARE of tokens, all the others, or as many as the top drawn at random."""
    if kind == "all":
        return None
    return Mask(kind, 1 - share if kind == "bottom" else share)


@dataclass(frozen=True)
class Arm:
    """What decides an arm besides its base and its random streams."""

    kind: Kind
    share: float
    rate: float
    steps: int
    reward: Rewarded = "named"
    mask_of: Callable[[Kind, float], Mask | None] = field(default=mask, compare=False)

    @property
    def method(self) -> PolicyGradient:
        """The settings of its training."""
        return replace(GRPO, mask=self.mask_of(self.kind, self.share), rate=self.rate, longest=self.steps)

    @property
    def kept(self) -> float:
        """The share of tokens that it should learn from."""
        return {"all": 1.0, "bottom": 1 - self.share}.get(self.kind, self.share)


@dataclass(frozen=True)
class Trained:
    """An arm half-way and at its end, and how far the number of tokens it kept was ever from what was asked."""

    halfway: Decoder
    end: Decoder
    miscounted: float  # tokens of an update


def trained(base: Base, name: Name, arm: Arm, folder: Path | None = None) -> Trained:
    """Train a copy of BASE as ARM says; from FOLDER, if one is given, where these very bits were made before.

    Arms of one NAME see the same prompts and write with the same noise.
    """
    if folder is None:
        weights, about = _made(base, name, arm)
    else:
        spec = asdict(base.world.spec)
        recipe = {"what": "masked", "name": name, "spec": spec, "base": base.settings, "code": _code()}
        recipe |= {"method": asdict(arm.method), "reward": arm.reward}
        weights, about = checkpoints.cached(folder, recipe, partial(_made, base, name, arm))
    return Trained(_model(base, weights, "halfway"), _model(base, weights, "end"), about["miscounted"])


class Watch:
    """Keeps the weights half-way, and the worst count of tokens that a mask kept."""

    def __init__(self, arm: Arm, tokens: int) -> None:
        self.half, self.tokens = arm.steps // 2, tokens
        self.asked = round(arm.kept * tokens)
        self.weights: Weights = {}
        self.miscounted = 0.0

    def __call__(
        self, step: int, model: Decoder, reading: Reading, rewards: Tensor, diagnostics: Diagnostics | None
    ) -> bool:
        if step == self.half:
            self.weights = copied(model)
        if diagnostics is not None:
            kept = round(diagnostics.kept * self.tokens)
            self.miscounted = max(self.miscounted, float(abs(kept - self.asked)))
        return False


def _made(base: Base, name: Name, arm: Arm) -> checkpoints.Checkpoint:
    world, model = base.world, _copy(base)
    watch = Watch(arm, arm.method.texts * world.spec.length)
    prompts = partial(path.prompts, generator=stream(*name, "prompts"))
    pay = reward_of(world, arm.reward, stream(*name, "reward"))
    train(model, arm.method, prompts, world.spec.length, pay, stream(*name, "rollouts"), watch)
    stages = {"halfway": watch.weights, "end": copied(model)}
    weights = {f"{stage}/{key}": x for stage, kept in stages.items() for key, x in kept.items()}
    return weights, {"miscounted": watch.miscounted}


def reward_of(world: path.Path, rewarded: Rewarded, chance: Generator) -> Reward:
    """What texts are paid."""
    named = partial(path.reward, world)
    rewards: Mapping[Rewarded, Reward] = {
        "named": named,
        "random": random_reward(chance),
        "swapped": swapped(named),
    }
    return rewards[rewarded]


def _copy(base: Base) -> Decoder:
    model = Decoder(shape(base.world.spec))
    model.load_state_dict(copied(base.model))
    return model


def _model(base: Base, weights: Weights, stage: str) -> Decoder:
    model = Decoder(shape(base.world.spec))
    model.load_state_dict({k.removeprefix(f"{stage}/"): x for k, x in weights.items() if k.startswith(f"{stage}/")})
    return model


@lru_cache
def _code() -> str:
    return provenance.digest_of_modules("verifiers.lab.masked")
