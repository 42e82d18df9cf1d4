"""The laboratory's one network: a small pre-norm decoder, read top to bottom.

Learned positions, layer norm without bias, ReLU, float32. With the default shape it has 19 thousand parameters. The
start token is read but never written, so the head is one shorter than the embedding. Letters in shape comments: B
texts, T positions, V tokens that can be written, D width, H heads.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it


@dataclass(frozen=True)
class Shape:
    """The size of a decoder; `length` counts the positions it can read."""

    vocabulary: int
    length: int
    width: int = 32
    layers: int = 2
    heads: int = 2
    expansion: int = 2  # of the perceptron; 4 is usual, costs half as much again and gained nothing here (docs/LOG.md)


@dataclass
class Cache:
    """Keys and values of the positions read so far: one (2, B, H, T, D/H) tensor a layer."""

    layers: list[Tensor] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.layers[0].shape[3] if self.layers else 0


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to the residual stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.perceptron_norm = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, shape.expansion * width, bias=False)
        self.down = nn.Linear(shape.expansion * width, width, bias=False)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the new residual stream (B, T, D) and all keys and values so far (2, B, H, T, D/H)."""
        batch, steps, width = x.shape
        qkv = self.query_key_value(self.attention_norm(x))
        qkv = qkv.view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, B, H, T, D/H)
        key_value = qkv[1:] if past is None else torch.cat([past, qkv[1:]], dim=3)
        # With a past, one position is read at a time and may look at everything before it.
        mixed = F.scaled_dot_product_attention(qkv[0], key_value[0], key_value[1], is_causal=past is None)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, steps, width))
        return x + self.down(F.relu(self.up(self.perceptron_norm(x)))), key_value


class Decoder(nn.Module):
    """Next-token logits over a small vocabulary."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.token = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.length, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, bias=False)
        self.head = nn.Linear(shape.width, shape.vocabulary - 1, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                into_residual = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** 0.5 if into_residual else 0.02)

    def new_cache(self) -> Cache:
        """An empty cache to read with, position by position."""
        return Cache()

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Read TOKENS (B, T) after what CACHE holds; return logits (B, T, V)."""
        start = cache.length if cache else 0
        x = self.token(tokens) + self.position.weight[start : start + tokens.shape[1]]
        pasts: list[Tensor | None] = list(cache.layers) if cache and cache.layers else [None] * len(self.blocks)
        so_far = []
        for block, past in zip(self.blocks, pasts, strict=True):
            x, key_value = block(x, past)
            so_far.append(key_value)
        if cache is not None:
            cache.layers = so_far
        logits: Tensor = self.head(self.norm(x))
        return logits
