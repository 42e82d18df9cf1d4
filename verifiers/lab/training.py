"""Pretraining on a world's corpus, with Muon."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from verifiers.lab.model import Decoder

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Pretraining:
    """Next-token training on fresh texts: linear warm-up, then linear decay to zero."""

    steps: int = 600
    texts: int = 32  # a step
    warm_up: int = 30
    matrix_rate: float = 0.03  # Muon, on the matrices inside the blocks
    other_rate: float = 0.03  # AdamW, on embeddings, head and norms

    @property
    def corpus(self) -> int:
        """How many texts it takes."""
        return self.steps * self.texts


def pretrain(model: Decoder, settings: Pretraining, corpus: Tensor) -> None:
    """Train MODEL in place on CORPUS (steps · texts, 1 + T), each text once."""
    matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
    others = [weight for weight in model.parameters() if not any(weight is matrix for matrix in matrices)]
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    for step, texts in enumerate(torch.split(corpus, settings.texts)):
        pace = min(1.0, (step + 1) / settings.warm_up) * (1 - step / settings.steps)
        adam.param_groups[0]["lr"] = settings.other_rate * pace
        logits = model(texts[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), texts[:, 1:].flatten())
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        adam.step()
        muon.step(settings.matrix_rate * pace)


class Muon:
    """Momentum whose matrix is orthogonalised before each step (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    Five Newton–Schulz steps in float32, matrices of one shape stacked. `torch.optim.Muon` works matrix by matrix in
    bfloat16, which takes five times as long on a CPU without bfloat16 units (docs/LOG.md).
    """

    momentum = 0.95

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for weight in weights:
            self.groups.setdefault(tuple(weight.shape), []).append(weight)
        self.averages = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every weight by RATE against its orthogonalised, Nesterov-averaged gradient."""
        for (rows, columns), group in self.groups.items():
            gradient = torch.stack([weight.grad for weight in group if weight.grad is not None])
            average = self.averages[rows, columns].lerp_(gradient, 1 - self.momentum)
            direction = orthogonalised(gradient.lerp(average, self.momentum))
            for weight, update in zip(group, direction, strict=True):
                weight.sub_(update, alpha=rate * max(1.0, rows / columns) ** 0.5)


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrices with singular values near 1, for a stack (M, R, C), by the quintic Newton–Schulz
    iteration.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    orthogonal: Tensor = x.mT if tall else x
    return orthogonal


def copied(model: Decoder) -> Weights:
    """The weights as they are now, safe from later updates."""
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}
