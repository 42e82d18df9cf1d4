"""What the adapter is made of: whom a claim is asked about, and that what is trained is what the app reads texts with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.matcher import adapter
from benchmarks.matcher.adapter import STRENGTH, Encoder, Question, batches, questions_of, trained
from benchmarks.triage import Labels, Pair
from kb import embedding
from tests.triage_support import CLAIM, FAR, NEAR, OTHER, paper

PAPERS = {one.arxiv: one for one in (paper("1", "Reward and entropy", NEAR), paper("2", "Songs of birds", FAR))}


def asked(*pairs: Pair) -> list[Question]:
    claims = {claim.id: claim for claim in (CLAIM, OTHER)}
    return questions_of(Labels(claims, dict.fromkeys(claims, "tuning"), PAPERS, list(pairs)))


def test_a_claim_is_asked_about_what_bears_on_it_and_what_does_not() -> None:
    (question,) = asked(
        Pair(CLAIM.id, "1", "contradicts"), Pair(CLAIM.id, "2", "unrelated"), Pair(OTHER.id, "2", "unrelated")
    )
    assert CLAIM.title in question.claim
    assert ([NEAR in text for text in question.bearing], [FAR in text for text in question.other]) == ([True], [True])


def test_every_question_comes_once_before_any_comes_again_and_no_batch_mixes_authors() -> None:
    groups = [[Question(f"{author}{n}", ("a",), ()) for n in range(11)] for author in "xyz"]
    drawn = batches(groups, np.random.default_rng(1))
    first = [next(drawn) for _ in range(6)]
    assert sorted(one.question.claim for batch in first for one in batch) == sorted(
        question.claim for group in groups for question in group
    )
    assert {len({one.question.claim[0] for one in batch}) for batch in first} == {1}


def test_what_is_trained_is_what_texts_are_read_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "STEPS", 3)
    questions = asked(Pair(CLAIM.id, "1", "supports"), Pair(CLAIM.id, "2", "unrelated"), Pair(OTHER.id, "2", "extends"))
    changes = dict(trained([questions], lambda _step, _loss: None))
    save_file(changes, tmp_path / "adapter.safetensors")
    texts = [questions[0].claim, *questions[0].bearing, *questions[0].other]
    read = embedding.load().tuned(tmp_path / "adapter.safetensors").encode(texts)
    encoder = Encoder(embedding.transformer())
    for name, layer in encoder.changed.items():
        layer.up.data = changes[f"{name}.weight.up"] / STRENGTH
        layer.down.data = changes[f"{name}.weight.down"]
    encoder(texts)  # what the lower layers make of them is kept
    encoder.upper.eval()
    with torch.no_grad():
        assert np.allclose(encoder(texts).numpy(), read, atol=1e-5)
    assert not np.allclose(embedding.load().encode(texts), read, atol=1e-4)
