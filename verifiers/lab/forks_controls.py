"""The instrument that compares masked arms, in its parts; what it must answer; and ways to break it that must show.

Controls ask for what is known without training: the success of planted authors, the forks of an author's text, the
contrasts of planted arms. Gates ask whether the training that a run rests on did what it names.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from verifiers.lab import forks_planted, masked, path, path_bases
from verifiers.lab.forks_planted import PARTS, Author
from verifiers.lab.instrument import Tempered
from verifiers.lab.masked import Arm, Kind, Rewarded
from verifiers.lab.path import MIXED, PROMPT, Spec
from verifiers.lab.path_bases import Base, Name
from verifiers.lab.policy_gradient import Diagnostics, PolicyGradient, Rollout, policy_loss
from verifiers.lab.sampling import LanguageModel, Reading
from verifiers.lab.token_rules import Mask, kept_tokens
from verifiers.lab.training import Pretraining
from verifiers.measurement import Control
from verifiers.stats import contrast

Loss = Callable[[PolicyGradient, Tensor, Rollout, Generator], tuple[Tensor, Diagnostics]]

# What is claimed, as weights of successes: each part is a linear contrast, because a ratio of noisy differences has no
# mean to put an interval around. The full gain is all − base.
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "top_not_inferior": {"top": 1.0, "all": -0.90, "base": -0.10},  # top − all + 0.10 · gain
    "top_over_random": {"top": 1.0, "random": -1.0, "all": -0.05, "base": 0.05},  # top − random − 0.05 · gain
    "rest_adds_little": {"bottom": 1.0, "base": -0.75, "all": -0.25},  # bottom − base − 0.25 · gain
    "rest_adds_half": {"bottom": 1.0, "base": -0.50, "all": -0.50},
    "random_not_inferior": {"random": 1.0, "all": -0.90, "base": -0.10},
    "top_surpasses": {"top": 1.0, "all": -1.0},
    "full_gain": {"all": 1.0, "base": -1.0},
    "top_gain": {"top": 1.0, "base": -1.0},
    "random_gain": {"random": 1.0, "base": -1.0},
    "rest_gain": {"bottom": 1.0, "base": -1.0},
}


def contrasts(successes: Mapping[str, float]) -> dict[str, float]:
    """Every contrast of one unit's SUCCESSES, those of base and arms."""
    return {name: contrast_of(name, successes) for name in WEIGHTS}


def contrast_of(name: str, successes: Mapping[str, float]) -> float:
    """The contrast of that NAME; other arms than its own may be missing."""
    arms = {arm: [value] for arm, value in successes.items()}
    return contrast(arms, WEIGHTS[name])[0]


# --- the instrument --------------------------------------------------------------------------------------------------


def success(model: LanguageModel, world: path.Path) -> float:
    """The exact mean success of MODEL over all prompts of WORLD."""
    return float(path.success(model, world).mean())


@dataclass(frozen=True)
class Instrument:
    """What every measurement is made with."""

    success: Callable[[LanguageModel, path.Path], float] = success
    mask: Callable[[Kind, float], Mask | None] = masked.mask
    loss: Loss = policy_loss  # what arms are trained by
    planted: float = 1.0  # how much of the contrasts that a positive control names is really there


HEALTHY = Instrument()


def _at_temperature(temperature: float) -> Instrument:
    return Instrument(success=lambda model, world: success(Tempered(model, temperature), world))


def _mixed_up(kind: Kind, share: float) -> Mask | None:
    swap: dict[Kind, Kind] = {"top": "bottom", "bottom": "top"}
    return masked.mask(swap.get(kind, kind), 1 - share if kind in swap else share)


def _shifted(
    settings: PolicyGradient, logits: Tensor, rollout: Rollout, generator: Generator
) -> tuple[Tensor, Diagnostics]:
    entropy = Reading.of(logits.detach(), rollout.texts[:, -logits.shape[1] :]).entropy.roll(1, dims=1)
    kept = kept_tokens(settings.mask, entropy, generator)
    seen = torch.where(kept[..., None], logits, logits.detach())  # no gradient but through these
    return policy_loss(replace(settings, mask=None), seen, rollout, generator)


def _in_double(model: LanguageModel, world: path.Path) -> float:
    return success(copy.deepcopy(model).double() if isinstance(model, nn.Module) else model, world)


class InBatches:
    """A model that reads a few texts at a time."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def new_cache(self) -> None:
        """It only reads."""

    def __call__(self, tokens: Tensor, cache: None = None) -> Tensor:
        """Logits (B, T, V) after each of TOKENS (B, T)."""
        return torch.cat([self.model(part) for part in torch.split(tokens, 32)])


BREAKS: Mapping[str, Instrument] = {
    "masks mixed up": Instrument(mask=_mixed_up),
    "entropy shifted by one position": Instrument(loss=_shifted),
    "temperature 20 % too low": _at_temperature(0.8),
    "temperature 20 % too high": _at_temperature(1.2),
    "planted effect of half size": Instrument(planted=0.5),
}
# Other ways to read that must not matter; by how much they do is part of the noise floor.
VARIATIONS: Mapping[str, Instrument] = {
    "batch": Instrument(success=lambda model, world: success(InBatches(model), world)),
    "dtype": Instrument(success=_in_double),
}

# --- known answers ---------------------------------------------------------------------------------------------------

IDENTITY = 1e-5  # of a probability
KNOWN = (0.2, 0.5, 0.9)  # planted successes
DRAWN = 8192  # texts whose rewards are set against the exact success; their standard error is at most 0.0055
FAR = 0.03
PLANTED = (0.06, 0.08, -0.12)  # contrasts that a positive control names
HALF_PLANTED_BREAK = 0.25 * min(map(abs, PLANTED))  # half of what half the effect would be off, where that is least
TEXTS = 256  # an update, as in training


def of_the_instrument(chance: Generator, instrument: Instrument) -> tuple[Control, ...]:
    """Ask INSTRUMENT for answers that are known."""
    authors = [forks_planted.author(known, chance) for known in KNOWN]
    read = [instrument.success(one, one.world) for one in authors]
    off = max(abs(one - known) for one, known in zip(read, KNOWN, strict=True))
    world = path.draw(MIXED, chance)
    paid = path.reward(world, path.write(world, path.prompts(DRAWN, chance), chance))
    drawn = instrument.success(Author(world), world) - float(paid.mean())
    noise = math.sqrt(float(paid.mean() * (1 - paid.mean())) / DRAWN)
    wrong = misplaced(world, chance, instrument)
    found = planted_contrasts(forks_planted.arms(scaled(PLANTED, instrument.planted), chance), instrument)
    furthest = max(abs(found[part] - truth) for part, truth in zip(PARTS, PLANTED, strict=True))
    check = Control.within
    return (
        check("known success", "positive", off, 0.0, IDENTITY),
        check("success read, against success drawn", "positive", drawn, 0.0, FAR, noise),
        check("masks keep forks, the rest, and as many as asked", "positive", wrong, 0.0, IDENTITY),
        check("planted contrasts", "positive", furthest, 0.0, HALF_PLANTED_BREAK),
    )


def scaled(parts: forks_planted.Parts, by: float) -> forks_planted.Parts:
    """BY times the contrasts."""
    one, two, three = parts
    return by * one, by * two, by * three


def planted_contrasts(arms: Mapping[str, Author], instrument: Instrument) -> dict[str, float]:
    """The contrasts of planted arms, read as those of trained ones are."""
    return contrasts({name: instrument.success(arm, arm.world) for name, arm in arms.items()})


def misplaced(world: path.Path, chance: Generator, instrument: Instrument) -> float:
    """How many tokens an update learnt from wrongly or left out, of the author's own texts.

    Its forks are the tokens with the highest entropy, so the top share has to be all of them and no other, the bottom
    share the complement, and a random share as many. What an update learns from is where its loss has a gradient.
    """
    spec = world.spec
    fork = torch.zeros(TEXTS, spec.length, dtype=torch.bool)
    fork[:, path.fork_positions(spec)] = True
    share = 1 / spec.clause_length
    texts = path.write(world, path.prompts(TEXTS, chance), chance)
    rollout = Rollout(texts, torch.randn(TEXTS, generator=chance))
    logits = Author(world)(texts[:, :-1])[:, PROMPT - 1 :]

    def learnt(kind: Kind) -> Tensor:
        seen = logits.clone().requires_grad_()
        settings = replace(masked.GRPO, mask=instrument.mask(kind, share))
        torch.autograd.backward(instrument.loss(settings, seen, rollout, chance)[0])
        return torch.zeros_like(fork) if seen.grad is None else (seen.grad != 0).any(-1)

    wrong = (learnt("top") != fork).sum() + (learnt("bottom") != ~fork).sum() + (~learnt("all")).sum()
    return float(wrong + abs(learnt("random").sum() - fork.sum()))


# --- gates -----------------------------------------------------------------------------------------------------------

LEARNED = 0.25  # of what there was to win; healthy training wins half and more


@dataclass(frozen=True)
class Gated:
    """What a unit's training came to."""

    quality: float  # of the base
    excess: float  # of the base, nats a token
    learned: float  # by the arm on all tokens, of what there was to win
    miscounted: float  # tokens, the worst of all arms


def gated(base: Base, successes: Mapping[str, float], miscounted: float) -> Gated:
    """The gates of a unit with these SUCCESSES."""
    before, after = successes["base"], successes["all"]
    return Gated(base.quality, base.excess, (after - before) / (1 - before), miscounted)


def gates(units: Sequence[Gated]) -> tuple[Control, ...]:
    """What the gates say of a run; nothing where nothing was trained."""
    if not units:
        return ()
    check = Control.within
    quality = min(1.0, *(one.quality for one in units))  # above the author's own is no fault
    return (
        check("bases succeed like the author", "gate", quality, 1.0, 1 - path_bases.QUALITY),
        check("bases read well", "gate", max(one.excess for one in units), 0.0, path_bases.EXCESS),
        check("training learned what it names", "gate", min(1.0, *(one.learned for one in units)), 1.0, 1 - LEARNED),
        check("masks kept as many as asked", "gate", max(one.miscounted for one in units), 0.0, IDENTITY),
    )


# Breaks that need training have a small world of their own, with one good base for ever, and are short.
SMALL = Spec(ops=4, fillers=3, clauses=2, noise=0.0)
GOOD = path_bases.PRETRAINING
TRAINING_BREAKS: Mapping[str, tuple[Pretraining, Rewarded]] = {
    "unlearned base": (replace(GOOD, steps=12), "named"),
    "random reward": (GOOD, "random"),
    "swapped reward": (GOOD, "swapped"),
}


def of_short_training(pretraining: Pretraining, rewarded: Rewarded, name: Name, folder: Path) -> Gated:
    """The gates of one small base, trained further on what it is REWARDED for. The good base is always the same, as what
    a control rests on should be; one that learned too little is drawn anew.
    """
    whose = ("forking_share", "frozen") if pretraining == GOOD else name
    base = path_bases.base(SMALL, whose, pretraining, folder)
    end = masked.trained(base, name, Arm("all", 0.2, rate=2e-3, steps=20, reward=rewarded))
    return gated(base, {"base": success(base.model, base.world), "all": success(end.end, base.world)}, end.miscounted)
