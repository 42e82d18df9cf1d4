"""Policy-gradient training against independent truth: closed forms on a few tokens, numpy, scipy, exact enumeration."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from scipy.stats import entropy as scipy_entropy
from torch import Tensor

from verifiers.lab.model import Decoder, Shape
from verifiers.lab.policy_gradient import (
    Clip,
    Diagnostics,
    Doses,
    PolicyGradient,
    Rollout,
    advantages,
    log_probabilities,
    policy_loss,
    reference_divergence,
    train,
)
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.rewards import random_reward, shaped, shuffled, swapped
from verifiers.lab.sampling import Reading, write
from verifiers.lab.token_rules import ClipCov, KLCov, Mask, clip_cov_tokens, covariances, kept_tokens
from verifiers.lab.training import copied

TEXTS, TOKENS, VOCABULARY = 6, 5, 4
PLAIN = PolicyGradient(denominator="tokens")


def decoder(shape: Shape) -> Decoder:
    """A network whose predictions differ clearly from token to token."""
    with seeded("test decoder"):
        model = Decoder(shape)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.5 if weight.ndim == 2 else 1.0)
    return model


def batch(*, old: bool = True) -> tuple[Tensor, Rollout]:
    """Logits that ask for gradients, and a rollout whose old probabilities lie well to both sides of the current."""
    chance = stream("test batch")
    logits = torch.randn(TEXTS, TOKENS, VOCABULARY, generator=chance, dtype=torch.float64)
    texts = torch.randint(VOCABULARY, (TEXTS, 1 + TOKENS), generator=chance)
    advantage = torch.randn(TEXTS, generator=chance, dtype=torch.float64)
    now = logits.log_softmax(-1).gather(-1, texts[:, 1:, None])[..., 0]
    before = now + 0.4 * torch.randn(TEXTS, TOKENS, generator=chance, dtype=torch.float64)
    return logits.requires_grad_(), Rollout(texts, advantage, before if old else None)


def gradient(settings: PolicyGradient, logits: Tensor, rollout: Rollout) -> tuple[Tensor, Diagnostics]:
    """The gradient on LOGITS of the loss times the number of tokens, and what the rules did."""
    loss, diagnostics = policy_loss(settings, logits, rollout, stream("test choice"))
    (found,) = torch.autograd.grad(loss * TEXTS * TOKENS, logits)
    return found, diagnostics


def scores(logits: Tensor, rollout: Rollout) -> Tensor:
    """∇ log p of each token that was written, on its own logits: one-hot − p, (B, T, V)."""
    written = torch.nn.functional.one_hot(rollout.texts[:, 1:], VOCABULARY)
    return (written - logits.softmax(-1)).detach()


def ratios(logits: Tensor, rollout: Rollout) -> Tensor:
    now = logits.detach().log_softmax(-1).gather(-1, rollout.texts[:, 1:, None])[..., 0]
    assert rollout.old is not None
    return (now - rollout.old).exp()


# --- what a token pulls ----------------------------------------------------------------------------------------------


def test_with_two_tokens_the_pull_is_the_advantage_times_one_minus_p() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)]]], requires_grad=True)  # p = ¼, ¾
    rollout = Rollout(torch.tensor([[9, 0]]), torch.tensor([2.0]))
    loss, diagnostics = policy_loss(PLAIN, logits, rollout, stream("unused"))
    (found,) = torch.autograd.grad(loss, logits)
    assert found[0, 0].tolist() == pytest.approx([-2 * 0.75, 2 * 0.75])
    assert diagnostics.entropy == pytest.approx(scipy_entropy([0.25, 0.75]))
    assert (diagnostics.kept, diagnostics.clipped, diagnostics.moved) == (1.0, 0.0, 0.0)


def test_the_pull_is_weighted_by_the_ratio_of_probabilities() -> None:
    logits, rollout = batch()
    found, diagnostics = gradient(PLAIN, logits, rollout)
    ratio = ratios(logits, rollout)
    expected = -(ratio * rollout.advantage[:, None])[..., None] * scores(logits, rollout)
    torch.testing.assert_close(found, expected)
    assert diagnostics.moved == pytest.approx(float((ratio - 1 - ratio.log()).mean()), rel=1e-5)


def test_old_probabilities_that_are_the_current_ones_need_not_be_given() -> None:
    logits, rollout = batch(old=False)
    now = logits.detach().log_softmax(-1).gather(-1, rollout.texts[:, 1:, None])[..., 0]
    settings = replace(PLAIN, clip=Clip(0.0, 0.0))
    without, diagnostics = gradient(settings, logits, rollout)
    given, _ = gradient(settings, logits, replace(rollout, old=now))
    torch.testing.assert_close(without, given)
    assert diagnostics.clipped == 0


CLIP_CASES = [  # ratio, advantage, low, high, which bound decides
    (1.25, +1.0, 0.2, 0.2, 1.2),
    (1.25, +1.0, 0.2, 0.28, None),  # clip-higher lets it through
    (1.25, -1.0, 0.2, 0.2, None),
    (0.70, -1.0, 0.2, 0.28, 0.8),
    (0.70, +1.0, 0.2, 0.28, None),
    (1.10, +1.0, 0.2, 0.2, None),
    (0.90, -1.0, 0.2, 0.2, None),
]


@pytest.mark.parametrize("keep_gradient", [False, True])
@pytest.mark.parametrize(("ratio", "advantage", "low", "high", "bound"), CLIP_CASES)
def test_a_clipped_token_has_the_value_of_its_bound_and_pulls_only_in_gppo(
    ratio: float, advantage: float, low: float, high: float, bound: float | None, keep_gradient: bool
) -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)]]], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([[math.log(0.25 / ratio)]], dtype=torch.float64)
    rollout = Rollout(torch.tensor([[9, 0]]), torch.tensor([advantage], dtype=torch.float64), old)
    settings = replace(PLAIN, clip=Clip(low, high, keep_gradient))
    loss, diagnostics = policy_loss(settings, logits, rollout, stream("unused"))
    (found,) = torch.autograd.grad(loss, logits)
    decides = ratio if bound is None else bound
    pull = decides if bound is None or keep_gradient else 0.0
    assert float(loss.detach()) == pytest.approx(-decides * advantage)
    assert found[0, 0, 0] == pytest.approx(-pull * advantage * 0.75)
    assert diagnostics.clipped == (bound is not None)


def test_the_share_of_clipped_tokens_is_counted_over_all_tokens() -> None:
    logits, rollout = batch()
    ratio, advantage = ratios(logits, rollout), rollout.advantage[:, None]
    expected = ((ratio > 1.1) & (advantage > 0)) | ((ratio < 0.9) & (advantage < 0))
    _, diagnostics = gradient(replace(PLAIN, clip=Clip(0.1, 0.1)), logits, rollout)
    assert 0 < diagnostics.clipped < 1
    assert diagnostics.clipped == pytest.approx(float(expected.float().mean()))


# --- rules of covariance ---------------------------------------------------------------------------------------------


def test_covariances_add_up_to_numpys() -> None:
    logits, rollout = batch()
    now = logits.detach().log_softmax(-1).gather(-1, rollout.texts[:, 1:, None])[..., 0]
    found = covariances(now, rollout.advantage)
    repeated = np.repeat(rollout.advantage.numpy(), TOKENS)
    assert float(found.mean()) == pytest.approx(np.cov(now.numpy().flatten(), repeated, ddof=0)[0, 1])


def covariances_in_numpy(logits: Tensor, rollout: Rollout) -> np.ndarray:
    probability = np.exp(logits.detach().numpy())
    probability /= probability.sum(-1, keepdims=True)
    now = np.log(np.take_along_axis(probability, rollout.texts[:, 1:, None].numpy(), -1))[..., 0]
    advantage = np.repeat(rollout.advantage.numpy()[:, None], TOKENS, 1)
    return (now - now.mean()) * (advantage - advantage.mean())


def test_kl_cov_pays_at_the_tokens_of_largest_covariance_and_nowhere_else() -> None:
    logits, rollout = batch()
    covariance = covariances_in_numpy(logits, rollout).flatten()
    chosen = np.zeros(TEXTS * TOKENS, dtype=bool)
    chosen[np.argsort(covariance)[-6:]] = True  # 0.2 of 30
    plain, _ = gradient(PLAIN, logits, rollout)
    found, diagnostics = gradient(replace(PLAIN, kl_cov=KLCov(0.2, 0.7)), logits, rollout)
    sign = ratios(logits, rollout).log().sign()[..., None]
    expected = 0.7 * sign * scores(logits, rollout) * torch.tensor(chosen).view(TEXTS, TOKENS, 1)
    torch.testing.assert_close(found - plain, expected)
    assert diagnostics.singled_out == pytest.approx(0.2)


def test_kl_cov_is_an_empty_rule_while_nothing_has_moved() -> None:
    logits, rollout = batch(old=False)
    assert torch.equal(
        gradient(PLAIN, logits, rollout)[0], gradient(replace(PLAIN, kl_cov=KLCov(0.5)), logits, rollout)[0]
    )


def test_clip_cov_silences_as_many_tokens_as_asked_within_its_bounds_and_leaves_the_rest() -> None:
    logits, rollout = batch()
    covariance = covariances_in_numpy(logits, rollout)
    low, high = np.quantile(covariance, [0.3, 0.9])
    plain, _ = gradient(PLAIN, logits, rollout)
    found, diagnostics = gradient(replace(PLAIN, clip_cov=ClipCov(0.2, low, high)), logits, rollout)
    silent = (found == 0).all(-1).numpy()
    assert silent.sum() == 6
    assert (covariance[silent] >= low).all()
    assert (covariance[silent] <= high).all()
    torch.testing.assert_close(found[~silent], plain[~silent])
    assert diagnostics.singled_out == pytest.approx(0.2)


def test_clip_cov_draws_evenly_among_candidates_and_never_those_already_clipped() -> None:
    covariance = torch.tensor([[0.5, 1.0, 2.0], [3.0, 5.0, 6.0]])
    clipped = torch.tensor([[False, False, True], [False, False, False]])
    chance = stream("test clip-cov")
    drawn = sum(clip_cov_tokens(ClipCov(1 / 6), covariance, clipped, chance).int() for _ in range(3000))
    assert isinstance(drawn, Tensor)
    assert drawn[0, 0] == drawn[0, 2] == drawn[1, 2] == 0  # below, clipped, above
    assert chisquare([drawn[0, 1], drawn[1, 0], drawn[1, 1]]).pvalue > 0.001


def test_the_covariance_rules_take_one_token_at_least_and_clip_cov_none_without_candidates() -> None:
    logits, rollout = batch()
    _, kl_cov = gradient(replace(PLAIN, kl_cov=KLCov(1e-9)), logits, rollout)
    _, clip_cov = gradient(replace(PLAIN, clip_cov=ClipCov(1e-9, -9, 9)), logits, rollout)
    _, none = gradient(replace(PLAIN, clip_cov=ClipCov(0.5, 50, 60)), logits, rollout)
    assert kl_cov.singled_out == clip_cov.singled_out == pytest.approx(1 / 30)
    assert none.singled_out == 0


# --- divergence and entropy ------------------------------------------------------------------------------------------


def test_the_divergence_from_the_reference_is_scipys_and_what_grpo_estimates() -> None:
    logits, _ = batch()
    reference = torch.randn(TEXTS, TOKENS, VOCABULARY, generator=stream("test reference"), dtype=torch.float64)
    found = reference_divergence(logits, reference.log_softmax(-1)).detach()
    p, q = logits.detach().softmax(-1), reference.softmax(-1)
    assert found.numpy() == pytest.approx(scipy_entropy(p.numpy(), q.numpy(), axis=-1))
    estimates = q / p - (q / p).log() - 1  # arXiv:2402.03300, eq. 4, for every token that could be drawn
    torch.testing.assert_close(found, (p * estimates).sum(-1))


def test_the_divergence_pulls_towards_the_reference_by_its_weight() -> None:
    logits, rollout = batch(old=False)
    reference = torch.randn(TEXTS, TOKENS, VOCABULARY, generator=stream("test reference"), dtype=torch.float64)
    settings = replace(PLAIN, reference_kl=0.3)
    plain, _ = gradient(settings, logits, rollout)
    found, diagnostics = gradient(settings, logits, replace(rollout, reference=reference.log_softmax(-1)))
    p = logits.detach().softmax(-1)
    difference = (p / reference.softmax(-1)).log()
    divergence = (p * difference).sum(-1, keepdim=True)
    torch.testing.assert_close(found - plain, 0.3 * p * (difference - divergence))  # ∂KL/∂z, by hand
    assert diagnostics.reference_kl == pytest.approx(float(divergence.mean()), rel=1e-5)


def test_the_entropy_bonus_pulls_towards_even_odds_by_its_weight() -> None:
    logits, rollout = batch(old=False)
    plain, _ = gradient(PLAIN, logits, rollout)
    found, _ = gradient(replace(PLAIN, entropy_bonus=0.3), logits, rollout)
    p = logits.detach().softmax(-1)
    entropy = -(p * p.log()).sum(-1, keepdim=True)
    torch.testing.assert_close(found - plain, 0.3 * p * (p.log() + entropy))  # −∂H/∂z, by hand


# --- masks and denominators ------------------------------------------------------------------------------------------


def entropies_in_numpy(logits: Tensor) -> np.ndarray:
    p = logits.detach().softmax(-1).numpy()
    return np.asarray(scipy_entropy(p, axis=-1)).flatten()


@pytest.mark.parametrize(
    ("mask", "chosen"), [(Mask("top", 0.2), slice(-6, None)), (Mask("bottom", 0.8), slice(None, 24))]
)
def test_a_mask_by_entropy_learns_from_the_tokens_that_sorting_gives(mask: Mask, chosen: slice) -> None:
    logits, rollout = batch()
    kept = np.zeros(TEXTS * TOKENS, dtype=bool)
    kept[np.argsort(entropies_in_numpy(logits))[chosen]] = True
    plain, _ = gradient(PLAIN, logits, rollout)
    found, diagnostics = gradient(replace(PLAIN, mask=mask), logits, rollout)
    torch.testing.assert_close(found, plain * torch.tensor(kept).view(TEXTS, TOKENS, 1))
    assert diagnostics.kept == pytest.approx(mask.share)


def test_the_cut_is_over_the_batch_and_not_within_each_text() -> None:
    entropy = torch.tensor([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])
    kept = kept_tokens(Mask("top", 0.5), entropy, stream("unused"))
    assert kept.tolist() == [[True] * 3, [False] * 3]


def test_top_and_bottom_are_complements_even_when_entropies_are_equal() -> None:
    entropy = torch.tensor([[0.0, 0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, 0.0]])
    top, bottom = (kept_tokens(mask, entropy, stream("unused")) for mask in (Mask("top", 0.2), Mask("bottom", 0.8)))
    assert int(top.sum()) == 2
    assert torch.equal(top, ~bottom)


def test_a_random_mask_keeps_its_share_wherever_entropy_lies() -> None:
    entropy = torch.arange(10.0).view(2, 5)
    chance = stream("test random mask")
    masks = torch.stack([kept_tokens(Mask("random", 0.3), entropy, chance) for _ in range(2000)])
    assert (masks.sum((1, 2)) == 3).all()
    assert chisquare(masks.sum(0).flatten().numpy()).pvalue > 0.001


def test_given_positions_are_learnt_from_in_every_text_and_no_others() -> None:
    logits, rollout = batch()
    found, diagnostics = gradient(replace(PLAIN, mask=Mask("given", positions=(1, 4))), logits, rollout)
    assert (found != 0).any(-1)[:, [1, 4]].all()
    assert (found[:, [0, 2, 3]] == 0).all()
    assert diagnostics.kept == pytest.approx(0.4)


def test_denominators_differ_by_what_they_count() -> None:
    logits, rollout = batch()
    settings = replace(PLAIN, mask=Mask("top", 0.2))
    tokens, kept, texts = (
        gradient(replace(settings, denominator=name), logits, rollout)[0] for name in ("tokens", "kept", "texts")
    )
    torch.testing.assert_close(kept, 5 * tokens)  # a fifth is kept
    torch.testing.assert_close(texts, TOKENS * tokens)


def test_regularisers_are_over_all_tokens_whatever_the_mask_keeps() -> None:
    logits, rollout = batch(old=False)
    masked = replace(PLAIN, mask=Mask("given", positions=()), denominator="kept")
    found, _ = gradient(replace(masked, entropy_bonus=0.3), logits, rollout)
    without, _ = gradient(PLAIN, logits, rollout)
    expected, _ = gradient(replace(PLAIN, entropy_bonus=0.3), logits, rollout)
    torch.testing.assert_close(found, expected - without)


# --- advantages and rewards ------------------------------------------------------------------------------------------


REWARDS = [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "of_group"),
    [
        ("reinforce", lambda group: group - np.mean(REWARDS)),
        ("grpo", lambda group: (group - group.mean()) / (group.std(ddof=1) + 1e-4)),
        ("leave one out", lambda group: [x - np.delete(group, i).mean() for i, x in enumerate(group)]),
    ],
)
def test_advantages_are_those_of_numpy(name: str, of_group: Callable[[np.ndarray], np.ndarray]) -> None:
    expected = np.concatenate([of_group(group) for group in np.array(REWARDS).reshape(3, 3)])
    settings = PolicyGradient(prompts=3, samples=3, advantage=name)
    found = advantages(settings, torch.tensor(REWARDS, dtype=torch.float64))
    assert found.numpy() == pytest.approx(expected, abs=1e-12)


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="set samples to 2 or more"):
        PolicyGradient(advantage="grpo")
    with pytest.raises(ValueError, match="cannot be cut into 9 minibatches"):
        PolicyGradient(prompts=4, samples=2, minibatches=9)


def share_of_ones(texts: Tensor) -> Tensor:
    return (texts == 1).float().mean(-1)


def test_a_random_reward_is_a_fair_coin_that_does_not_look() -> None:
    reward = random_reward(stream("test coin"))
    told = torch.randint(2, (4000, 6), generator=stream("test told"))
    paid = reward(told)
    assert set(paid.tolist()) == {0.0, 1.0}
    assert abs(float(paid.mean()) - 0.5) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([paid, share_of_ones(told)]))[0, 1])) < 0.06
    assert not torch.equal(paid, reward(told))


def test_shuffled_rewards_are_the_same_numbers_without_their_texts() -> None:
    told = torch.randint(2, (4000, 6), generator=stream("test told"))
    paid = shuffled(share_of_ones, stream("test shuffling"))(told)
    assert torch.equal(paid.sort().values, share_of_ones(told).sort().values)
    assert abs(float(torch.corrcoef(torch.stack([paid, share_of_ones(told)]))[0, 1])) < 0.06


def test_a_swapped_reward_prefers_the_opposite_and_a_shaped_one_is_passed_through() -> None:
    told = torch.tensor([[1, 1], [1, 0], [0, 0]])
    assert swapped(share_of_ones)(told).tolist() == [0.0, 0.5, 1.0]
    assert shaped(share_of_ones, torch.square)(told).tolist() == [1.0, 0.25, 0.0]


# --- the loop --------------------------------------------------------------------------------------------------------

START = 3


def prompts(count: int) -> Tensor:
    return torch.full((count, 1), START)


def gradients(model: Decoder) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def test_one_step_of_reinforce_is_the_sum_over_tokens_and_mean_over_texts_done_by_hand() -> None:
    model = decoder(Shape(4, 3, 8, 1, 1))

    def reward(written: Tensor) -> Tensor:
        return (written == 1).float().mean(-1) + 0.5 * (written[:, 1] == 2)

    settings = PolicyGradient(prompts=6, rate=0.0, gradient_norm=1e9, longest=1)
    train(model, settings, prompts, 3, reward, stream("test gradient"))
    found = gradients(model)

    written, _ = write(model, prompts(6), 3, stream("test gradient"))  # rate 0: the same weights, the same texts
    written = written.clone()
    rewards = reward(written).tolist()
    baseline = sum(rewards) / 6
    model.zero_grad()
    loss = torch.zeros(())
    for text, earned in zip(written, rewards, strict=True):
        for position in range(3):
            logits = model(text[None, : position + 1])[0, -1]
            log_probability = logits[text[position + 1]] - logits.exp().sum().log()
            loss = loss - (earned - baseline) * log_probability / 6
    torch.autograd.backward(loss)
    torch.testing.assert_close(found, gradients(model), atol=1e-6, rtol=1e-4)


def test_the_update_points_up_the_expected_reward_that_enumeration_gives() -> None:
    model = decoder(Shape(4, 2, 8, 1, 1))

    def reward(written: Tensor) -> Tensor:
        return (written[:, 1] == 1).float() + 2.0 * (written[:, 2] == 0) * (written[:, 1] == 2)

    every = torch.tensor([[START, a, b] for a, b in itertools.product(range(3), repeat=2)])
    log_probability = -Reading.of(model(every[:, :-1]), every[:, 1:]).surprise.sum(-1)
    torch.autograd.backward((log_probability.exp() * reward(every)).sum())
    exact = gradients(model)
    settings = PolicyGradient(prompts=40_000, rate=0.0, gradient_norm=1e9, longest=1)
    train(model, settings, prompts, 2, reward, stream("test enumeration"))
    sampled = -gradients(model)
    assert torch.cosine_similarity(exact, sampled, dim=0) > 0.995
    assert float(sampled.norm() / exact.norm()) == pytest.approx(1, abs=0.05)


def two_token_prompts(count: int) -> Tensor:
    return torch.stack([torch.full((count,), START), torch.arange(count) % 3], dim=1)


@pytest.mark.parametrize("reference_kl", [0.0, 0.2])
def test_a_step_of_ppo_is_the_same_done_by_hand_minibatch_by_minibatch(reference_kl: float) -> None:
    settings = PolicyGradient(
        prompts=4, samples=3, advantage="grpo", denominator="tokens", minibatches=2, epochs=2, clip=Clip(0.05, 0.1),
        reference_kl=reference_kl, rate=0.05, betas=(0.9, 0.95), gradient_norm=0.5, longest=1,
    )  # fmt: skip
    ours, theirs = decoder(Shape(4, 6, 8, 1, 1)), decoder(Shape(4, 6, 8, 1, 1))
    train(ours, settings, two_token_prompts, 4, share_of_ones, stream("test ppo"))

    given = torch.tensor([[START, prompt % 3] for prompt in range(4) for _ in range(3)])
    texts = write(theirs, given, 4, stream("test ppo"))[0].clone()
    groups = share_of_ones(texts).view(4, 3)
    advantage = ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).view(12, 1)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.05, betas=(0.9, 0.95))

    def probabilities(rows: slice) -> Tensor:
        return theirs(texts[rows, :-1])[:, 1:].softmax(-1)

    before = probabilities(slice(None)).detach()
    for rows in [slice(0, 6), slice(6, 12)] * 2:
        now = probabilities(rows)
        written = texts[rows, 2:, None]
        ratio = now.gather(-1, written)[..., 0] / before[rows].gather(-1, written)[..., 0]
        gain = torch.minimum(ratio * advantage[rows], ratio.clamp(0.95, 1.1) * advantage[rows])
        divergence = (now * (now / before[rows]).log()).sum(-1)
        adam.zero_grad()
        torch.autograd.backward((reference_kl * divergence - gain).mean())
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        adam.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


def ready() -> tuple[Decoder, Callable[[Tensor], Tensor]]:
    """A model and a reward that it learns in a few steps."""
    with seeded("test post-training"):
        model = Decoder(Shape(4, 6, 16, 1, 1))
    return model, lambda written: (written[:, 1:] == 2).float().mean(-1)


class Log:
    """Keeps what a watch is shown, and stops at step LAST."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.rewards: list[Tensor] = []
        self.diagnostics: list[Diagnostics | None] = []
        self.entropies: list[Tensor] = []

    def __call__(self, step: int, _: Decoder, reading: Reading, rewards: Tensor, found: Diagnostics | None) -> bool:
        assert step == len(self.rewards)
        self.rewards.append(rewards)
        self.entropies.append(reading.entropy)
        self.diagnostics.append(found)
        return step == self.last


GRPO = PolicyGradient(prompts=8, samples=8, advantage="grpo", denominator="tokens", rate=0.02)


def trained(settings: PolicyGradient, last: int = 2, reward: Callable[[Tensor], Tensor] | None = None) -> Log:
    model, pay = ready()
    log = Log(last)
    train(model, settings, prompts, 6, reward or pay, stream("test arms"), log)
    return log


def test_a_watch_sees_every_rollout_before_its_update_and_ends_training() -> None:
    model, reward = ready()
    before = copied(model)
    train(model, GRPO, prompts, 6, reward, stream("test watch"), Log(0))
    assert all(torch.equal(weight, before[name]) for name, weight in copied(model).items())
    assert len(trained(replace(GRPO, longest=5), last=3).rewards) == 4
    assert len(trained(replace(GRPO, longest=5), last=99).rewards) == 5


def test_one_update_a_rollout_moves_nothing_away_from_itself_and_clips_nothing() -> None:
    log = trained(replace(GRPO, clip=Clip(0.0, 0.0)))
    first, *later = log.diagnostics
    assert first is None
    for found, entropy in zip(later, log.entropies, strict=False):
        assert found is not None
        assert (found.kept, found.clipped, found.moved, found.singled_out) == (1.0, 0.0, 0.0, 0.0)
        assert found.entropy == pytest.approx(float(entropy.mean()), abs=1e-5)  # of the rollout it followed


def test_several_updates_a_rollout_move_and_are_clipped_and_a_wide_clip_says_that_it_is_empty() -> None:
    narrow, wide = (
        trained(replace(GRPO, minibatches=2, epochs=2, clip=clip)) for clip in (Clip(0.01, 0.01), Clip(0.9, 9.0))
    )
    assert narrow.diagnostics[1] is not None
    assert wide.diagnostics[1] is not None
    assert narrow.diagnostics[1].clipped > 0.1
    assert narrow.diagnostics[1].moved > 1e-5
    assert wide.diagnostics[1].clipped == 0


def test_arms_that_differ_in_their_choice_of_tokens_write_with_the_same_noise() -> None:
    still = replace(GRPO, rate=0.0)  # nothing is learnt, so that noise alone decides what is written
    everything, chosen = trained(still), trained(replace(still, mask=Mask("random", 0.2)))
    assert all(map(torch.equal, everything.rewards, chosen.rewards))
    assert not torch.equal(trained(GRPO).rewards[2], trained(replace(GRPO, mask=Mask("random", 0.2))).rewards[2])


def test_the_same_stream_gives_the_same_bits() -> None:
    settings = replace(GRPO, mask=Mask("random", 0.5), minibatches=2, clip_cov=ClipCov(0.1, -9, 9))
    assert all(map(torch.equal, trained(settings).rewards, trained(settings).rewards))


@pytest.mark.parametrize("advantage", ["reinforce", "grpo", "leave one out"])
def test_every_advantage_learns_what_is_paid_for(advantage: str) -> None:
    log = trained(replace(GRPO, advantage=advantage), last=25)
    assert float(log.rewards[0].mean()) < 0.45
    assert float(log.rewards[-1].mean()) > 0.9


def test_a_random_reward_teaches_nothing() -> None:
    model, pay = ready()
    del model
    seen: list[float] = []
    coin = random_reward(stream("test coin"))

    def reward(written: Tensor) -> Tensor:
        seen.append(float(pay(written).mean()))
        return coin(written)

    trained(replace(GRPO, rate=0.002), last=25, reward=reward)
    assert abs(seen[-1] - seen[0]) < 0.15


def test_an_entropy_bonus_and_a_reference_keep_entropy_up() -> None:
    plain, bonus, near = (
        float(trained(replace(GRPO, **more), last=25).entropies[-1].mean())
        for more in ({}, {"entropy_bonus": 0.5}, {"reference_kl": 0.5})
    )
    assert bonus > plain + 0.2
    assert near > plain + 0.2


def test_the_reference_is_the_policy_at_the_start() -> None:
    log = trained(replace(GRPO, reference_kl=0.1), last=4)
    divergences = [found.reference_kl for found in log.diagnostics if found is not None]
    assert divergences[0] == pytest.approx(0, abs=1e-7)
    assert divergences[-1] > divergences[1] > 1e-5


def test_log_probabilities_are_of_the_tokens_after_the_prompt() -> None:
    model = decoder(Shape(4, 6, 8, 1, 1))
    texts = torch.randint(3, (5, 6), generator=stream("test texts"))
    found = log_probabilities(model, texts, 4)
    assert found.shape == (5, 4, 3)
    torch.testing.assert_close(found[:, 0], model(texts[:, :2])[:, -1].log_softmax(-1).detach())


# --- doses -----------------------------------------------------------------------------------------------------------

REINFORCE = PolicyGradient(prompts=64, rate=0.01, longest=120)


def test_doses_are_met_in_order_and_one_that_cannot_be_reached_is_absent() -> None:
    model, reward = ready()
    doses = Doses([0.4, -1.0, 0.8])
    train(model, REINFORCE, prompts, 6, reward, stream("test doses"), doses.watch)
    assert set(doses.reached) == {0.8, 0.4}  # no entropy is below −1
    assert doses.reached[0.8].step < doses.reached[0.4].step
    assert doses.reached[0.8].reward < doses.reached[0.4].reward


def test_the_weights_of_a_dose_are_as_sure_as_asked_when_they_are_measured_again() -> None:
    model, reward = ready()
    doses = Doses([0.8, 0.4])
    train(model, REINFORCE, prompts, 6, reward, stream("test doses"), doses.watch)
    assert max(dose.step for dose in doses.reached.values()) < 119  # it stopped there
    for dose, snapshot in doses.reached.items():
        model.load_state_dict(snapshot.weights)
        _, reading = write(model, prompts(2000), 6, stream("test again"))
        assert reading.mean_entropy() == pytest.approx(dose, abs=0.15)


def test_copied_weights_do_not_move_with_the_model() -> None:
    model, reward = ready()
    snapshot = copied(model)
    before = {name: weight.clone() for name, weight in snapshot.items()}
    train(model, replace(REINFORCE, longest=2), prompts, 6, reward, stream("test copy"))
    assert any(not torch.equal(weight, before[name]) for name, weight in copied(model).items())
    assert all(torch.equal(weight, before[name]) for name, weight in snapshot.items())
