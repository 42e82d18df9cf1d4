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


def read(model: LanguageModel, texts: Tensor, prompt: int = 1) -> Reading:
    """Read TEXTS (B, P + T), whose first PROMPT tokens were given; what comes back is (B, T)."""
    with torch.inference_mode():
        return Reading.of(model(texts[:, :-1])[:, prompt - 1 :], texts[:, prompt:])


def write(model: LanguageModel, prompts: Tensor, length: int, generator: Generator) -> tuple[Tensor, Reading]:
    """Sample LENGTH tokens after each of PROMPTS (B, P); return the texts (B, P + LENGTH) and how the model read its
    own tokens as it wrote them, (B, LENGTH).
    """
    with torch.inference_mode():
        cache = model.new_cache()
        tokens, logits, fresh = [prompts], [], prompts
        for _ in range(length):
            logits.append(model(fresh, cache)[:, -1])  # (B, V)
            fresh = categorical(logits[-1].softmax(-1), generator)[:, None]
            tokens.append(fresh)
        texts = torch.cat(tokens, dim=1)
        return texts, Reading.of(torch.stack(logits, dim=1), texts[:, prompts.shape[1] :])
