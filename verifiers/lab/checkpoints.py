"""Trained weights on disk, so that the same run a second time trains nothing.

A checkpoint is a safetensors file named by the digest of everything that decides its bits. It is written beside its
place and moved there, so a reader sees all of it or nothing; one that cannot be read counts as absent. Checkpoints
only save time: they feed reruns of the same seed, never new evidence.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

LIMIT_BYTES = 2 * 2**30

Checkpoint = tuple[dict[str, Tensor], dict[str, Any]]  # tensors, and what is said of them as JSON


def cached(folder: Path, recipe: dict[str, Any], make: Callable[[], Checkpoint]) -> Checkpoint:
    """The checkpoint of RECIPE from FOLDER, or made now and kept there."""
    key = hashlib.sha256(json.dumps(recipe | {"torch": torch.__version__}, sort_keys=True).encode()).hexdigest()
    path = folder / f"{key}.safetensors"
    found = _load(path)
    if found is not None:
        return found
    made = make()
    with contextlib.suppress(OSError):  # a full or read-only disk costs time on the next run, not this result
        _save(path, *made)
    return made


def _load(path: Path) -> Checkpoint | None:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            about = json.loads(file.metadata()["about"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    with contextlib.suppress(OSError):  # a cache that may only be read still saves the work
        os.utime(path)  # used now: the last to be thrown out
    return tensors, about


def _save(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        save_file(tensors, beside, metadata={"about": json.dumps(about)})
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)


def prune(folder: Path, limit: int = LIMIT_BYTES) -> None:
    """Remove the checkpoints used longest ago until the rest fits into LIMIT bytes, and the leftovers of killed
    writers.
    """
    files = sorted(_files(folder))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= limit:
            break
        path.unlink(missing_ok=True)
        total -= size


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was used last, and its size; another run may take one away meanwhile."""
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.part")]:
        with contextlib.suppress(OSError):
            found = path.stat()
            yield found.st_mtime, found.st_size, path
