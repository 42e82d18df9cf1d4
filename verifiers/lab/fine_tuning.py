"""Supervised fine-tuning: next-token training of a model that exists already, on texts from any source."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from verifiers.lab.model import Decoder


@dataclass(frozen=True)
class FineTuning:
    """Adam on fresh texts at a constant rate, so that training may be stopped at any step."""

    texts: int = 64  # a step
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_norm: float = 1.0
    longest: int = 400  # steps after which training ends if nothing stopped it before


def fine_tune(
    model: Decoder,
    settings: FineTuning,
    texts: Callable[[int], Tensor],
    watch: Callable[[int, Decoder], bool] | None = None,
    prompt: int = 1,
) -> None:
    """Train MODEL in place on TEXTS(count) (count, P + T), called for every step; the first PROMPT tokens are read and
    not learnt.

    The loss is the mean surprise of a response's token in nats. WATCH(step, model) is called before each update and
    ends training by returning True.
    """
    adam = torch.optim.Adam(model.parameters(), lr=settings.rate, betas=settings.betas, fused=True)
    for step in range(settings.longest):
        if watch and watch(step, model):
            break
        batch = texts(settings.texts).clone()  # a model's own samples come from inference mode
        logits = model(batch[:, :-1])[:, prompt - 1 :]
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, prompt:].flatten())
        model.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm)
        adam.step()
