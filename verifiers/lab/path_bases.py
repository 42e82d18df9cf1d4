"""Base models of the worlds `path`: pretrained on what the world's author writes, and refused where they read it badly.

They learn from the author's exact probabilities of every next token, not from the token drawn alone: the expected loss is
the same and its noise is gone, so that 500 steps make a reader as good as the author, where 1000 on drawn tokens, twice
as dear, came to nine tenths of its success in one world and 1600 to half of it in another (docs/LOG.md).

How good a base is decides what training with rewards shows next, down to the form of a law. So a base has two numbers:
its success as a share of the author's own, exact, and how many nats a token its loss on responses lies above the
author's. One that misses a gate is thrown away, and another is begun from a new initialisation and a new corpus in the
same world. How many were thrown away is told; when the last attempt fails as well, the base is handed back as it is,
for the gate of the run to say so.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from verifiers import provenance
from verifiers.lab import checkpoints, path
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.path import PROMPT, Spec
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.sampling import LanguageModel
from verifiers.lab.training import Muon, Pretraining, copied

Name = tuple[str | int, ...]  # of a random stream

QUALITY = 0.85  # of the author's success, at least
EXCESS = 0.006  # nats a token, at most
ATTEMPTS = 3
TEXTS = 1024  # of the author's that the loss is taken on
PRETRAINING = Pretraining(steps=500, texts=48, matrix_rate=0.02, other_rate=0.01)


@dataclass(frozen=True)
class Base:
    """A base model, the world that it was raised in, and how well it knows it."""

    world: path.Path
    model: Decoder
    quality: float  # its mean success over the prompts as a share of the author's
    excess: float  # nats a token
    rejected: int  # bases thrown away before this one
    settings: dict[str, Any]  # of its pretraining

    @property
    def is_good(self) -> bool:
        """Whether it passes both gates."""
        return passes(self.quality, self.excess)


def passes(quality: float, excess: float) -> bool:
    """Whether a base of that QUALITY and EXCESS loss may be trained further."""
    return quality >= QUALITY and excess <= EXCESS


def shape(spec: Spec) -> Shape:
    """The network that learns such a world."""
    return Shape(spec.vocabulary, spec.positions)


def base(spec: Spec, name: Name, settings: Pretraining, folder: Path) -> Base:
    """The base model of that NAME in a fresh world of SPEC; from FOLDER where these very bits were made before."""
    world = path.draw(spec, stream(*name, "world"))
    recipe = {"what": "path base", "name": name, "spec": asdict(spec), "settings": asdict(settings), "code": _code()}
    weights, about = checkpoints.cached(folder, recipe, lambda: _made(world, name, settings))
    model = Decoder(shape(spec))
    model.load_state_dict(weights)
    return Base(world, model, about["quality"], about["excess"], about["rejected"], asdict(settings))


def _made(world: path.Path, name: Name, settings: Pretraining, attempt: int = 0) -> checkpoints.Checkpoint:
    model = raised(world, (*name, "attempt", attempt), settings)
    quality, excess = quality_of(model, world), excess_of(model, world, name)
    if passes(quality, excess) or attempt + 1 == ATTEMPTS:
        return copied(model), {"quality": quality, "excess": excess, "rejected": attempt}
    return _made(world, name, settings, attempt + 1)


def raised(world: path.Path, name: Name, settings: Pretraining) -> Decoder:
    """A network of that NAME, taught by the author of WORLD on fresh texts: Muon and AdamW as in `training.pretrain`, on
    the divergence from the author's probabilities of every token of a response.
    """
    with seeded(*name, "initialisation"):
        model = Decoder(shape(world.spec))
    chance = stream(*name, "corpus")
    matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    others = [weight for weight in model.parameters() if not any(weight is matrix for matrix in matrices)]
    muon, adam = Muon(matrices), torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    for step in range(settings.steps):
        texts = path.write(world, path.prompts(settings.texts, chance), chance)
        pace = min(1.0, (step + 1) / settings.warm_up) * (1 - step / settings.steps)
        adam.param_groups[0]["lr"] = settings.other_rate * pace
        log_probability = model(texts[:, :-1])[:, PROMPT - 1 :].log_softmax(-1)  # (B, T, tokens)
        loss = divergence(path.predictive(world, texts), log_probability).mean()
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        muon.step(settings.matrix_rate * pace)
    return model


def quality_of(model: LanguageModel, world: path.Path) -> float:
    """The exact mean success of MODEL over that of the author."""
    return float(path.success(model, world).mean() / path.author_success(world).mean())


def excess_of(model: LanguageModel, world: path.Path, name: Name) -> float:
    """By how many nats a token the loss of MODEL on responses exceeds the author's.

    The exact divergence of the next-token distributions, averaged over the positions of TEXTS texts by the author.
    """
    chance = stream(*name, "excess")
    texts = path.write(world, path.prompts(TEXTS, chance), chance)
    with torch.inference_mode():
        log_probability = model(texts[:, :-1])[:, PROMPT - 1 :].log_softmax(-1).double()  # (B, T, tokens)
    return float(divergence(path.predictive(world, texts).double(), log_probability).mean())


def divergence(true: Tensor, log_probability: Tensor) -> Tensor:
    """KL(true ‖ model) in nats, summed over the last dimension."""
    return (torch.xlogy(true, true) - true * log_probability).sum(-1)


@lru_cache
def _code() -> str:
    return provenance.digest_of_modules("verifiers.lab.path_bases")
