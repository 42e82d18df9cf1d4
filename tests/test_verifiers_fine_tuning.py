"""Supervised fine-tuning against loops written out, and against what a distribution's own samples can teach: nothing."""

import math

import pytest
import torch
from torch import Tensor

from verifiers.lab.fine_tuning import FineTuning, fine_tune
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.randomness import categorical, seeded, stream
from verifiers.lab.sampling import read, write
from verifiers.lab.training import copied

SHAPE = Shape(vocabulary=5, length=7, width=16, layers=1, heads=1)
START = 4


def decoder() -> Decoder:
    with seeded("test decoder"):
        return Decoder(SHAPE)


def told(count: int) -> Tensor:
    return torch.randint(4, (count, 7), generator=stream("test told"))


@pytest.mark.parametrize("prompt", [1, 3])
def test_the_loss_is_the_mean_surprise_of_the_response_and_the_prompt_is_not_learnt(prompt: int) -> None:
    model = decoder()
    fine_tune(model, FineTuning(texts=6, rate=0.0, gradient_norm=1e9, longest=1), told, prompt=prompt)
    found = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    loss = torch.zeros(())
    for text in told(6):
        for position in range(prompt, 7):
            logits = model(text[None, :position])[0, -1]
            loss = loss - (logits[text[position]] - logits.exp().sum().log()) / (6 * (7 - prompt))
    torch.autograd.backward(loss)
    wanted = [weight.grad for weight in model.parameters() if weight.grad is not None]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_a_gradient_longer_than_allowed_is_cut_to_length() -> None:
    model = decoder()
    fine_tune(model, FineTuning(texts=6, rate=0.0, gradient_norm=0.01, longest=1), told)
    squares = [weight.grad.square().sum() for weight in model.parameters() if weight.grad is not None]
    assert float(sum(squares)) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_texts_are_asked_for_at_every_step_and_a_watch_ends_training_before_the_update() -> None:
    model, asked = decoder(), []
    before = copied(model)

    def texts(count: int) -> Tensor:
        asked.append(count)
        return told(count)

    settings = FineTuning(texts=3, longest=5)
    fine_tune(model, settings, texts, lambda _, same: same is model)
    assert asked == []
    assert all(torch.equal(weight, before[name]) for name, weight in copied(model).items())
    fine_tune(model, settings, texts, lambda step, _: step == 4)
    assert asked == [3] * 4
    fine_tune(model, settings, texts)
    assert asked == [3] * 9


def source(count: int) -> Tensor:
    """Texts of independent tokens with probabilities ½, ¼, ⅛, ⅛ after a start token: 1.213 nats each."""
    drawn = categorical(torch.tensor([0.5, 0.25, 0.125, 0.125]).expand(count * 6, -1), CHANCE).view(count, 6)
    return torch.cat([torch.full((count, 1), START), drawn], dim=1)


CHANCE = stream("test source")


def test_a_model_comes_to_predict_its_texts_as_well_as_their_source_does() -> None:
    model = decoder()
    fine_tune(model, FineTuning(rate=0.01, longest=150), source)
    surprise = float(read(model, source(4000)).surprise.mean())
    assert surprise == pytest.approx(1.75 * math.log(2), abs=0.02)


def test_a_models_own_samples_teach_it_nothing_but_noise() -> None:
    model = decoder()
    fine_tune(model, FineTuning(rate=0.01, longest=150), source)
    chance = stream("test own samples")

    def own(count: int) -> Tensor:
        return write(model, torch.full((count, 1), START), 6, chance)[0]

    one_text = torch.zeros(1, 7, dtype=torch.long)
    one_text[0, 0] = START
    held_out, settings = source(4000), FineTuning(texts=512, rate=3e-4, longest=80)
    before, start = read(model, held_out).mean_entropy(), copied(model)
    fine_tune(model, settings, own)
    assert read(model, held_out).mean_entropy() == pytest.approx(before, abs=0.04)
    model.load_state_dict(start)
    fine_tune(model, settings, lambda count: one_text.expand(count, -1))  # the same steps
    assert read(model, held_out).mean_entropy() < before - 0.2
