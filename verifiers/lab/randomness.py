"""Every random stream has a name: the same name gives the same stream, whoever asks and in whatever order."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(*name: str | int) -> int:
    """Turn a name such as ("entropy_gap", 7, "unit", 3, "world") into a seed below 2**63."""
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def stream(*name: str | int) -> torch.Generator:
    """The random stream of that name."""
    return torch.Generator().manual_seed(derive(*name))


@contextmanager
def seeded(*name: str | int) -> Iterator[None]:
    """Run a block whose torch modules initialise from this name's stream, and leave the global state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(*name))
        yield


def categorical(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw one index for each row of PROBABILITIES (B, N) by inversion; a token of probability zero is never drawn."""
    cumulative = probabilities.cumsum(-1)
    level = 1 - torch.rand(
        len(probabilities), 1, generator=generator
    )  # in (0, 1], so that no rounding leaves the last token behind
    return torch.searchsorted(cumulative, level * cumulative[:, -1:])[:, 0]
