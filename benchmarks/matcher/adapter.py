"""Trains what triage adds to the sentence embedder: changes of its upper layers under which a claim lies near papers that
bear on it, and far from papers that only share its words.

The changes have few directions (LoRA: Hu et al. 2021), so that a few hundred labels do not bend everything. A claim is
asked to tell each paper that bears on it from the other papers of a batch (InfoNCE: van den Oord et al. 2018), all by
one author, and every labelled pair to say by its cosine alone whether it bears.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.triage import Labels
from claims.papers.triage_features import claim_text, paper_text
from claims.papers.triage_text import read
from kb import embedding

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SEED, STEPS, THREADS = 20261122, 260, 1
RATE, DECAY, WARM_UP = 1e-3, 0.05, 10
RANK, UNCHANGED, STRENGTH = 8, 3, 2.0  # directions of a change; layers below that stay; by what a change is multiplied
LONGEST = 256  # tokens of a text, as the embedder reads it
CLAIMS, PAPERS = 8, 2  # of a batch; of each kind for a claim
SHARPNESS = 20.0  # of the choice among a batch's papers: what a cosine is multiplied by
PAIRS_COUNT = 3.0  # beside the choice among papers


class Question(NamedTuple):
    """A claim with papers that somebody said bear on it, or do not; all are texts."""

    claim: str
    bearing: tuple[str, ...]
    other: tuple[str, ...]


class Drawn(NamedTuple):
    """A question with those of its papers that a batch has."""

    question: Question
    bearing: list[str]
    other: list[str]


class Changed(nn.Module):
    """A linear layer that stays, and beside it a change of rank RANK, which begins as none."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.up = nn.Parameter(torch.zeros(linear.out_features, RANK))
        self.down = nn.Parameter(torch.randn(RANK, linear.in_features) / linear.in_features**0.5)
        self.dropout = nn.Dropout(0.1)

    def forward(self, values: Tensor) -> Tensor:
        """What the changed layer makes of VALUES."""
        made: Tensor = self.linear(values) + STRENGTH * (self.dropout(values) @ self.down.T) @ self.up.T
        return made


class Encoder:
    """The embedder in two parts: what the lower layers make of a text, made once and kept, and the upper, changed layers."""

    def __init__(self, model: "SentenceTransformer") -> None:
        self.changed = {}
        self._tokenizer, self._bert = model.tokenizer, model[0].auto_model
        self._kept: dict[str, Tensor] = {}
        for name, layer in list(model.requires_grad_(requires_grad=False).named_modules()):
            if isinstance(layer, nn.Linear) and any(f".layer.{n}." in name for n in range(UNCHANGED, 6)):
                parent, _, own = name.rpartition(".")
                self.changed[name] = Changed(layer)
                setattr(model.get_submodule(parent), own, self.changed[name])
        self.upper = self._bert.encoder.layer[UNCHANGED:].train()

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors, (texts, dimension), through which a loss can be followed back."""
        kept = [self._lower(text) for text in texts]
        values = nn.utils.rnn.pad_sequence(kept, batch_first=True)  # (texts, tokens, dimension)
        lengths = torch.tensor([len(one) for one in kept])
        there = torch.arange(values.shape[1])[None] < lengths[:, None]
        unseen = torch.where(there, 0.0, torch.finfo(values.dtype).min)[:, None, None, :]
        for layer in self.upper:
            values = layer(values, unseen)
        summed = (values * there[..., None]).sum(1)
        return functional.normalize(summed / lengths[:, None], dim=-1)

    @torch.no_grad()
    def _lower(self, text: str) -> Tensor:
        if text not in self._kept:
            self._bert.eval()
            tokens = self._tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
            self._kept[text] = self._bert(**tokens, output_hidden_states=True).hidden_states[UNCHANGED][0]
            self._bert.train()
        return self._kept[text]


def adapter(sets: Sequence[Labels], folder: Path) -> Path:
    """The file in FOLDER with the adapter made from SETS, trained if it is not there."""
    groups = [questions_of(labels) for labels in sets]
    by = (SEED, STEPS, RATE, DECAY, WARM_UP, RANK, UNCHANGED, STRENGTH, LONGEST, CLAIMS, PAPERS, SHARPNESS, PAIRS_COUNT)
    said = repr((groups, by))
    file = folder / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = trained(groups, lambda step, loss: print(f"{file.stem}: step {step}, loss {loss:.3f}", flush=True))
        unfinished = file.with_suffix(".part")  # who is ended while it is written leaves no half adapter
        save_file(dict(made), unfinished)
        unfinished.replace(file)
    return file


def questions_of(labels: Labels) -> list[Question]:
    """What can be asked of one set, but for claims on which no paper bears."""
    text = {name: paper_text(read(paper)) for name, paper in labels.papers.items()}
    asked = []
    for name, claim in labels.claims.items():
        pairs = [pair for pair in labels.pairs if pair.claim == name]
        bearing = tuple(text[pair.paper] for pair in pairs if pair.stance != "unrelated")
        other = tuple(text[pair.paper] for pair in pairs if pair.stance == "unrelated")
        asked += [Question(claim_text(claim), bearing, other)] if bearing else []
    return asked


def trained(groups: Sequence[Sequence[Question]], report: Callable[[int, float], None]) -> Mapping[str, Tensor]:
    """Train on questions, a group of them by each author. Returns NAME.up and NAME.down for each weight that is changed."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    encoder = Encoder(embedding.transformer())
    border = nn.Parameter(torch.tensor([8.0, -4.0]))  # of the logit of a pair: slope and intercept over its cosine
    optimiser = torch.optim.AdamW(
        [
            {"params": [weight for layer in encoder.changed.values() for weight in (layer.up, layer.down)]},
            {"params": [border], "lr": 0.05, "weight_decay": 0.0},
        ],
        lr=RATE,
        weight_decay=DECAY,
    )
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * (1 - step / STEPS)
    )
    lost = 0.0
    for step, batch in zip(range(STEPS), batches(groups, np.random.default_rng(SEED)), strict=False):
        loss = loss_of(encoder, batch, border)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        lost += loss.item()
        if (step + 1) % 25 == 0:
            report(step + 1, lost / 25)
            lost = 0.0
    return {
        f"{name}.weight.{part}": value.detach().contiguous()
        for name, layer in encoder.changed.items()
        for part, value in (("up", STRENGTH * layer.up), ("down", layer.down))
    }


def batches(groups: Sequence[Sequence[Question]], draw: np.random.Generator) -> Iterator[list[Drawn]]:
    """Questions by one author at a time, all of them once before any comes again."""
    while True:
        rounds = []
        for group in groups:
            shuffled = [group[index] for index in draw.permutation(len(group))]
            rounds += [shuffled[start : start + CLAIMS] for start in range(0, len(shuffled), CLAIMS)]
        for index in draw.permutation(len(rounds)):
            yield [Drawn(one, some(one.bearing, draw), some(one.other, draw)) for one in rounds[index]]


def some(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """As many of TEXTS as a batch has of a kind."""
    return [texts[index] for index in draw.permutation(len(texts))[:PAPERS]]


def loss_of(encoder: Encoder, batch: Sequence[Drawn], border: Tensor) -> Tensor:
    """How far cosines are from telling papers that bear on each claim from all others, and labelled pairs apart."""
    papers = list(dict.fromkeys(text for one in batch for text in (*one.bearing, *one.other)))
    place = {text: index for index, text in enumerate(papers)}
    cosines = encoder([one.question.claim for one in batch]) @ encoder(papers).T  # (claims, papers)
    choices, pairs, truths = [], [], []
    for row, one in zip(cosines, batch, strict=True):
        bearing, other = [place[text] for text in one.bearing], [place[text] for text in one.other]
        rest = row[[index for text, index in place.items() if text not in one.question.bearing]]
        choices += [functional.log_softmax(SHARPNESS * torch.cat([row[[right]], rest]), 0)[0] for right in bearing]
        pairs.append(row[bearing + other])
        truths += [1.0] * len(bearing) + [0.0] * len(other)
    told = functional.binary_cross_entropy_with_logits(torch.cat(pairs) * border[0] + border[1], torch.tensor(truths))
    return PAIRS_COUNT * told - torch.stack(choices).mean()
