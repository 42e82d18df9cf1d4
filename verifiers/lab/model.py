"""The laboratory's one network: a small pre-norm decoder, read top to bottom.

Learned positions, layer norm without bias, ReLU, float32. With the default shape it has 19 thousand parameters. The
start token is read but never written, so the head is one shorter than the embedding. Letters in shape comments: B
texts, T positions, V tokens that can be written, D width, H heads.
"""

from dataclasses import dataclass, field
from typing import cast

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
    """Keys and values of the positions read so far, for one batch of texts; no gradient runs through it.

    One (2, positions, H, D/H, B) tensor a layer, made at the first position and filled from the front. The texts lie
    innermost, because attention from one position is then a few products over long rows, which takes half the time
    of B · H tiny matrix products.
    """

    length: int = 0
    layers: list[Tensor] = field(default_factory=list)


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

    def forward(self, x: Tensor) -> Tensor:
        """Return the new residual stream (B, T, D), each position looking at itself and what came before."""
        batch, steps, width = x.shape
        query, key, value = (
            part.view(batch, steps, self.heads, -1).transpose(1, 2)  # (B, H, T, D/H)
            for part in self.query_key_value(self.attention_norm(x)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, steps, width))
        further: Tensor = self.down(F.relu(self.up(self.perceptron_norm(x))))
        return x + further

    def step(self, x: Tensor, past: Tensor, position: int) -> Tensor:
        """Return what `forward` does at one POSITION (B, D), and add its keys and values to PAST."""
        batch, width = x.shape
        qkv = (self.query_key_value.weight @ self.attention_norm(x).T).view(3, self.heads, -1, batch)  # texts innermost
        past[:, position] = qkv[1:]
        key, value = past[:, : position + 1]  # (T, H, D/H, B)
        score = (qkv[0] * key).sum(2, keepdim=True).mul_(key.shape[2] ** -0.5)
        mixed = (score.softmax(0) * value).sum(0).view(width, batch)
        x = torch.addmm(x, mixed.T, self.output.weight.T)
        return torch.addmm(x, self.up(self.perceptron_norm(x)).relu_(), self.down.weight.T)


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
        """Read TOKENS (B, T) after what CACHE holds; return logits (B, T, V), with a cache without gradients."""
        if cache is not None:
            return torch.stack([self._next(column, cache) for column in tokens.unbind(1)], dim=1)
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits

    @torch.no_grad()
    def _next(self, token: Tensor, cache: Cache) -> Tensor:
        """Read one more TOKEN (B,) of every text; return logits (B, V)."""
        x = self.token(token) + self.position.weight[cache.length]
        if not cache.layers:
            heads, width = self.shape.heads, self.shape.width
            room = (2, self.shape.length, heads, width // heads, len(token))
            cache.layers = [x.new_empty(room) for _ in self.blocks]
        for block, past in zip(self.blocks, cache.layers, strict=True):
            x = cast(Block, block).step(x, past, cache.length)
        cache.length += 1
        logits: Tensor = self.head(self.norm(x))
        return logits
