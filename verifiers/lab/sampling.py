"""Write with a model and read with a model: temperature 1, no truncation, entropies in nats over the full
vocabulary.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from verifiers.lab.randomness import categorical


class LanguageModel(Protocol):
    """What the laboratory samples from and reads with: logits (B, T, V) for tokens (B, T)."""

    def new_cache(self) -> Any:
        """What to hand to successive calls that each add one position."""

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor: ...


@dataclass(frozen=True)
class Reading:
    """What a model made of texts: before each token its entropy, and then the token's surprise; both (B, T), nats."""

    entropy: Tensor
    surprise: Tensor

    @classmethod
    def of(cls, logits: Tensor, following: Tensor) -> "Reading":
        """Entropy of softmax(LOGITS) (B, T, V), and −log p of the tokens FOLLOWING (B, T)."""
        log_probability = logits.log_softmax(-1)
        entropy = -(log_probability.exp() * log_probability).sum(-1)
        return cls(entropy, -log_probability.gather(-1, following[..., None])[..., 0])

    def mean_entropy(self) -> float:
        """Mean over texts and positions in nats, the first position left out: nothing has been read there yet."""
        return float(self.entropy[:, 1:].mean())


def read(model: LanguageModel, texts: Tensor) -> Reading:
    """Read TEXTS (B, 1 + T), start token first."""
    with torch.inference_mode():
        return Reading.of(model(texts[:, :-1]), texts[:, 1:])


def write(model: LanguageModel, count: int, length: int, start: int, generator: Generator) -> tuple[Tensor, Reading]:
    """Sample COUNT texts of LENGTH tokens after START; return them (B, 1 + T) and how the model read them as it
    wrote.
    """
    with torch.inference_mode():
        cache = model.new_cache()
        tokens, logits = [torch.full((count,), start)], []
        for _ in range(length):
            logits.append(model(tokens[-1][:, None], cache)[:, -1])  # (B, V)
            tokens.append(categorical(logits[-1].softmax(-1), generator))
        texts = torch.stack(tokens, dim=1)
        return texts, Reading.of(torch.stack(logits, dim=1), texts[:, 1:])
