"""The worlds `path` and `bandit` against independent truth: plain Python, exhaustive enumeration, autograd, scipy."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from scipy.stats import linregress

from verifiers.lab import bandit, path, sampling
from verifiers.lab.bandit import Bandit
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.path import CHOICES, COLLAPSE, MIXED, PROMPT, SLIPS, STATES, Path, Spec
from verifiers.lab.randomness import seeded, stream

SPECS = {"choices": CHOICES, "slips": SLIPS, "mixed": MIXED, "collapse": COLLAPSE}
WORLDS = {name: path.draw(spec, stream("test world")) for name, spec in SPECS.items()}
every_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())


# --- path: the world -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "tokens", "length", "share_of_forks"),
    [
        (CHOICES, 17, 15, 1 / 5),
        (SLIPS, 17, 15, 1 / 5),
        (MIXED, 17, 15, 1 / 5),
        (COLLAPSE, 15, 4, 1 / 2),
        (replace(MIXED, fillers=2), 17, 12, 1 / 4),
        (replace(MIXED, fillers=6), 17, 24, 1 / 8),
    ],
)
def test_a_spec_counts_tokens_and_forks(spec: Spec, tokens: int, length: int, share_of_forks: float) -> None:
    assert (spec.tokens, spec.length) == (tokens, length)
    assert len(path.fork_positions(spec)) / spec.length == pytest.approx(share_of_forks)


@pytest.mark.parametrize("spec", [MIXED, COLLAPSE], ids=["mixed", "collapse"])
@pytest.mark.parametrize("unit", range(10))
def test_ops_are_permutations_that_differ_and_reach_every_goal(spec: Spec, unit: int) -> None:
    world = path.draw(spec, stream("test ops", unit))
    ops = world.moves.tolist()
    assert len(ops) == world.spec.ops
    assert all(sorted(op) == list(range(STATES)) for op in ops)
    for one, other in itertools.combinations(ops, 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) >= path.APART
    for start in range(STATES):
        ends = set()
        for sequence in itertools.product(ops, repeat=world.spec.clauses):
            state = start
            for op in sequence:
                state = op[state]
            ends.add(state)
        assert ends == set(range(STATES))


@pytest.mark.parametrize("spec", [replace(MIXED, ops=2, clauses=2), replace(MIXED, ops=400)])
def test_a_spec_that_no_ops_can_meet_is_refused(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "ATTEMPTS", 20)
    with pytest.raises(ValueError, match="ask for other numbers of ops and clauses"):
        path.draw(spec, stream("test impossible"))


def test_the_kinds_share_their_ops_and_fillers_and_another_stream_gives_others() -> None:
    mixed = WORLDS["mixed"]
    for kind in ("choices", "slips"):
        assert torch.equal(WORLDS[kind].moves, mixed.moves)
        assert torch.equal(WORLDS[kind].fillers, mixed.fillers)
    assert not torch.equal(path.draw(MIXED, stream("another world")).moves, mixed.moves)


def test_prompts_are_pairs_of_states_and_all_of_them_can_be_listed() -> None:
    everything = path.every_prompt()
    assert sorted(map(tuple, everything.tolist())) == list(itertools.product(range(STATES), repeat=2))
    drawn = path.prompts(3000, stream("test prompts"))
    counts = torch.bincount(STATES * drawn[:, 0] + drawn[:, 1], minlength=49)
    assert ((counts - 3000 / 49).abs() < 4.5 * (3000 / 49) ** 0.5).all()


# --- path: the author ------------------------------------------------------------------------------------------------


def odds(world: Path, text: list[int]) -> list[float]:
    """What the author writes after TEXT, straight from its description, counting ways by walking all of them."""
    spec, ops = world.spec, world.moves.tolist()
    goal, written = text[1], text[PROMPT:]
    clause, place = divmod(len(written), spec.clause_length)
    here = text[0] if clause == 0 else written[clause * spec.clause_length - 1]
    row = [0.0] * spec.tokens
    if place == 0:
        ways = [0] * spec.ops
        for sequence in itertools.product(range(spec.ops), repeat=spec.clauses - clause):
            state = here
            for op in sequence:
                state = ops[op][state]
            ways[sequence[0]] += state == goal
        for op in range(spec.ops):
            ahead = ways[op] / sum(ways) if sum(ways) else 1 / spec.ops
            row[STATES + op] = spec.competence * ahead + (1 - spec.competence) / spec.ops
        return row
    op = written[clause * spec.clause_length] - STATES
    if place <= spec.fillers:
        row[int(world.fillers[op, place - 1])] = 1.0
        return row
    for state in range(STATES):
        row[state] = 1 - spec.noise if state == ops[op][here] else spec.noise / 6
    return row


@every_world
def test_predictions_are_those_of_the_author_described_in_plain_python(world: Path) -> None:
    chance = stream("test prefixes")
    texts = path.write(world, path.prompts(12, chance), chance)
    predicted = path.predictive(world, texts)
    for text, position in itertools.product(range(12), range(world.spec.length)):
        expected = odds(world, texts[text, : PROMPT + position].tolist())
        assert predicted[text, position].tolist() == pytest.approx(expected, abs=1e-6)


def test_after_a_dead_end_the_author_picks_any_op() -> None:
    world = WORLDS["collapse"]
    dead_ends = [
        (state, goal)
        for state, goal in itertools.product(range(STATES), repeat=2)
        if not any(op[state] == goal for op in world.moves.tolist())
    ]
    assert dead_ends
    for state, goal in dead_ends:
        assert world.choice[-1, goal, state].tolist() == pytest.approx([1 / 8] * 8)


@every_world
def test_tokens_come_as_often_as_predicted(world: Path) -> None:
    chance = stream("test frequencies")
    texts = path.write(world, path.prompts(6000, chance), chance)
    predicted = path.predictive(world, texts).double()  # (B, T, tokens)
    torch.testing.assert_close(predicted.sum(-1), torch.ones(6000, world.spec.length).double(), atol=1e-5, rtol=0)
    came = torch.nn.functional.one_hot(texts[:, PROMPT:], world.spec.tokens)
    assert (predicted[came == 1] > 0).all()
    for goal in range(STATES):
        of_goal = texts[:, 1] == goal
        surplus = (came - predicted)[of_goal].sum(0)
        deviation = (predicted * (1 - predicted))[of_goal].sum(0).sqrt()
        assert (surplus.abs() <= 4.5 * deviation + 1e-3).all()


def test_predictions_exist_after_slips_and_wrong_fillers_but_not_without_an_op_or_a_state() -> None:
    world = WORLDS["choices"]
    chance = stream("test odd texts")
    texts = path.write(world, path.prompts(1, chance), chance)
    slipped = texts.clone()
    slipped[0, 3] = 11 + (slipped[0, 3] - 10) % path.FILLERS  # another filler
    slipped[0, 6] = (slipped[0, 6] + 1) % STATES  # a wrong result
    for position in range(15):
        row = path.predictive(world, slipped)[0, position].tolist()
        assert row == pytest.approx(odds(world, slipped[0, : PROMPT + position].tolist()))
    for place, token in ((2, 3), (2, 12), (6, 8), (16, 16)):
        broken = texts.clone()
        broken[0, place] = token
        with pytest.raises(ValueError, match="begin with an op and end with a state"):
            path.predictive(world, broken)


@every_world
def test_ops_stand_at_the_forks_and_nowhere_else(world: Path) -> None:
    chance = stream("test forks")
    responses = path.write(world, path.prompts(200, chance), chance)[:, PROMPT:]
    is_op = (responses >= STATES) & (responses < STATES + world.spec.ops)
    assert is_op[:, path.fork_positions(world.spec)].all()
    assert int(is_op.sum()) == 200 * world.spec.clauses


# --- path: the verifier ----------------------------------------------------------------------------------------------


def is_correct(world: Path, text: list[int]) -> bool:
    """The verifier in plain Python: follow the chain, and stop at the first thing that is wrong."""
    spec, state = world.spec, text[0]
    for begin in range(PROMPT, len(text), spec.clause_length):
        op_token, *fillers, result = text[begin : begin + spec.clause_length]
        op = op_token - STATES
        if not 0 <= op < spec.ops or fillers != world.fillers[op].tolist() or result != world.moves[op, state]:
            return False
        state = result
    return state == text[1] or not spec.needs_goal


def listed(world: Path, start: int, goal: int) -> set[tuple[int, ...]]:
    """All correct texts after one prompt, in plain Python: every sequence of ops, executed."""
    texts = set()
    for sequence in itertools.product(range(world.spec.ops), repeat=world.spec.clauses):
        text, state = [start, goal], start
        for op in sequence:
            state = int(world.moves[op, state])
            text += [STATES + op, *world.fillers[op].tolist(), state]
        if state == goal or not world.spec.needs_goal:
            texts.add(tuple(text))
    return texts


@every_world
def test_the_reward_is_that_of_plain_python_on_good_texts_and_on_any_token_changed(world: Path) -> None:
    chance = stream("test reward")
    written = path.write(world, path.prompts(300, chance), chance)
    good = path.correct_texts(world, path.prompts(20, chance))
    changed = good[torch.randint(len(good), (600,), generator=chance)]
    place = torch.randint(PROMPT, PROMPT + world.spec.length, (600, 1), generator=chance)
    changed.scatter_(1, place, torch.randint(world.spec.tokens, (600, 1), generator=chance))
    noise = torch.randint(world.spec.tokens, (100, PROMPT + world.spec.length), generator=chance)
    noise[:, :PROMPT] %= STATES
    texts = torch.cat([written, good, changed, noise])
    expected = [float(is_correct(world, text)) for text in texts.tolist()]
    assert path.reward(world, texts).tolist() == expected
    assert 0 < sum(expected[: len(written)]) < len(written)


@every_world
def test_the_correct_texts_are_all_there_are(world: Path) -> None:
    prompts = path.every_prompt()
    texts = [tuple(text) for text in path.correct_texts(world, prompts).tolist()]
    assert len(texts) == len(set(texts))
    assert set(texts) == set.union(*(listed(world, start, goal) for start, goal in prompts.tolist()))
    assert [text[:PROMPT] for text in texts] == sorted(text[:PROMPT] for text in texts)


@pytest.mark.parametrize(("name", "count"), [("choices", 448), ("slips", 3136), ("mixed", 448), ("collapse", 448)])
def test_there_are_as_many_correct_texts_as_the_pilots_counted(name: str, count: int) -> None:
    assert len(path.correct_texts(WORLDS[name], path.every_prompt())) == count


def every_response(world: Path, prompt: list[int]) -> torch.Tensor:
    """PROMPT with every string of tokens after it, right or wrong."""
    strings = torch.cartesian_prod(*[torch.arange(world.spec.tokens)] * world.spec.length)
    return torch.cat([torch.tensor([prompt]).expand(len(strings), -1), strings], dim=1)


def test_of_all_strings_of_tokens_only_the_correct_texts_are_rewarded() -> None:
    world = WORLDS["collapse"]
    for prompt in ([0, 0], [2, 5]):
        texts = every_response(world, prompt)  # 15⁴ of them
        rewarded = texts[path.reward(world, texts) == 1]
        assert set(map(tuple, rewarded.tolist())) == listed(world, *prompt)


# --- path: exact success ---------------------------------------------------------------------------------------------


def decoder(spec: Spec) -> Decoder:
    """A network that reads and writes the world, with predictions that differ clearly from token to token."""
    with seeded("test decoder"):
        model = Decoder(Shape(spec.vocabulary, spec.positions, width=16))
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.5 if weight.ndim == 2 else 1.0)
    return model.requires_grad_(requires_grad=False)


class TemperedAuthor:
    """The author as a language model, its log probabilities multiplied by SHARPNESS."""

    def __init__(self, world: Path, sharpness: float) -> None:
        self.world, self.sharpness = world, sharpness

    def new_cache(self) -> list[torch.Tensor]:
        return []

    def __call__(self, tokens: torch.Tensor, cache: Any = None) -> torch.Tensor:
        if cache is not None:
            cache.append(tokens)
        known = torch.cat(cache, dim=1) if cache is not None else tokens
        some_text = path.correct_texts(self.world, path.every_prompt())[:1]
        rest = some_text[:, known.shape[1] :].expand(len(known), -1)
        logits = path.predictive(self.world, torch.cat([known, rest], dim=1)).log()
        uninformed = torch.zeros(len(known), PROMPT - 1, logits.shape[2])
        return (
            self.sharpness
            * torch.cat([uninformed, logits], dim=1)[:, known.shape[1] - tokens.shape[1] : known.shape[1]]
        )


def test_a_decoder_writes_exactly_the_tokens_of_the_world() -> None:
    for world in WORLDS.values():
        texts, _ = sampling.write(decoder(world.spec), path.prompts(64, stream("a")), world.spec.length, stream("b"))
        assert texts.shape == (64, PROMPT + world.spec.length)
        assert decoder(world.spec)(texts[:, :-1]).shape == (64, world.spec.positions, world.spec.tokens)


def test_the_success_of_a_network_is_its_probability_of_every_string_that_earns_the_reward() -> None:
    world, model = WORLDS["collapse"], decoder(COLLAPSE)
    start, goal = 3, 6
    texts = every_response(world, [start, goal])
    probability = (-sampling.read(model, texts, PROMPT).surprise.double().sum(1)).exp()
    assert float(probability.sum()) == pytest.approx(1, abs=1e-5)
    earned = float((probability * path.reward(world, texts)).sum())
    assert float(path.success(model, world)[STATES * start + goal]) == pytest.approx(earned, rel=1e-4)


@every_world
def test_the_success_of_the_author_read_as_a_model_is_the_authors(world: Path) -> None:
    torch.testing.assert_close(
        path.success(TemperedAuthor(world, 1.0), world), path.author_success(world), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("name", ["mixed", "collapse"])
def test_sampled_texts_earn_the_exact_success_on_every_prompt(name: str) -> None:
    world, times = WORLDS[name], 300
    model = TemperedAuthor(world, 1.6)
    exact = path.success(model, world)
    assert float((exact - path.author_success(world)).abs().max()) > 0.1  # not the author any more
    prompts = path.every_prompt().repeat_interleave(times, 0)
    texts, _ = sampling.write(model, prompts, world.spec.length, stream("test success", name))
    sampled = path.reward(world, texts).view(-1, times).mean(1).double()
    deviation = (exact * (1 - exact) / times).sqrt()
    assert ((sampled - exact).abs() < 4 * deviation + 1 / times).all()
    assert abs(float((sampled - exact).mean())) < 4 * float(deviation.square().mean().sqrt()) / 7


@every_world
def test_the_authors_own_texts_earn_its_exact_success(world: Path) -> None:
    chance = stream("test author")
    texts = path.write(world, path.prompts(20_000, chance), chance)
    exact = float(path.author_success(world).mean())
    assert float(path.reward(world, texts).mean()) == pytest.approx(
        exact, abs=4 * (exact * (1 - exact) / 20_000) ** 0.5
    )


def test_the_authors_success_has_the_closed_forms_of_the_extreme_specs() -> None:
    slips = path.author_success(WORLDS["slips"])
    torch.testing.assert_close(slips, torch.full_like(slips, 0.85**3))  # ops do not matter

    masterly = path.author_success(path.draw(replace(CHOICES, competence=1.0), stream("test world")))
    torch.testing.assert_close(masterly, torch.ones_like(masterly), atol=1e-6, rtol=0)

    aimless = path.draw(replace(MIXED, competence=0.0), stream("test world"))
    ways = [len(listed(aimless, start, goal)) for start, goal in path.every_prompt().tolist()]
    expected = torch.tensor(ways).double() / 4**3 * 0.9**3
    torch.testing.assert_close(path.author_success(aimless), expected, atol=1e-6, rtol=0)


# --- bandit ----------------------------------------------------------------------------------------------------------

LOGITS = 1.5 * torch.randn(6, 5, generator=stream("test logits"), dtype=torch.float64)
REWARD = torch.randn(6, 5, generator=stream("test rewards"), dtype=torch.float64)


def test_the_policy_gradient_is_autograds() -> None:
    logits = LOGITS.clone().requires_grad_()
    torch.autograd.backward((logits.softmax(-1) * REWARD).sum())
    torch.testing.assert_close(bandit.policy_gradient(LOGITS, REWARD), logits.grad)


def test_the_natural_gradient_times_the_fisher_information_is_the_policy_gradient() -> None:
    policy = LOGITS.softmax(-1)
    fisher = torch.diag_embed(policy) - policy[:, :, None] * policy[:, None, :]  # of a softmax, in its logits
    product = (fisher @ bandit.natural_gradient(LOGITS, REWARD)[..., None])[..., 0]
    torch.testing.assert_close(product, bandit.policy_gradient(LOGITS, REWARD))


def test_entropy_is_that_of_scipy() -> None:
    expected = scipy_entropy(LOGITS.softmax(-1).numpy(), axis=1)
    assert bandit.entropy(LOGITS).tolist() == pytest.approx(expected.tolist())


def test_the_covariance_is_that_of_log_probability_and_step_by_hand() -> None:
    for row, step, found in zip(
        LOGITS.softmax(-1).tolist(), REWARD.tolist(), bandit.covariance(LOGITS, REWARD).tolist(), strict=True
    ):
        mean_log = math.fsum(p * math.log(p) for p in row)
        mean_step = math.fsum(p * dz for p, dz in zip(row, step, strict=True))
        both = math.fsum(p * math.log(p) * dz for p, dz in zip(row, step, strict=True))
        assert found == pytest.approx(both - mean_log * mean_step)


@pytest.mark.parametrize("gradient", [bandit.policy_gradient, bandit.natural_gradient])
def test_minus_the_covariance_is_the_change_of_entropy_up_to_second_order(gradient: Any) -> None:
    step = gradient(LOGITS, REWARD)
    predicted = -bandit.covariance(LOGITS, step)
    misses = []
    for rate in (1e-3, 1e-4):
        change = bandit.entropy(LOGITS + rate * step) - bandit.entropy(LOGITS)
        misses.append(float((change - rate * predicted).abs().max()))
    assert misses[0] < 1e-5
    assert misses[0] / misses[1] == pytest.approx(100, rel=0.1)  # a tenth of the rate, a hundredth of the miss


@pytest.mark.parametrize("natural", [False, True])
def test_from_equal_logits_a_run_follows_its_closed_form(natural: bool) -> None:
    settings = Bandit(prompts=3, answers=4, spread=0.0, rate=0.5, steps=30, natural=natural)
    series = bandit.run(settings, stream("test closed form"))
    margin = 0.0  # of the right answer's logit over the wrong ones', which stay equal
    for reward, entropy in zip(series.reward.tolist(), series.entropy.tolist(), strict=True):
        right = 1 / (1 + 3 * math.exp(-margin))
        assert reward == pytest.approx(right, abs=1e-12)
        wrong = (1 - right) / 3
        assert entropy == pytest.approx(-right * math.log(right) - 3 * wrong * math.log(wrong), abs=1e-12)
        margin += 0.5 if natural else 0.5 * right * (1 - right) * 4 / 3


def fit(series: bandit.Series) -> tuple[float, float, float]:
    """The slope of reward on exp(H), its R², and the R² of a straight line in H."""
    entropy, reward = series.entropy.numpy(), series.reward.numpy()
    exponential = linregress(np.exp(entropy), reward)
    return exponential.slope, exponential.rvalue**2, linregress(entropy, reward).rvalue ** 2


@pytest.mark.parametrize("unit", range(3))
def test_with_one_right_answer_reward_is_traded_for_entropy_and_the_covariance_says_how_fast(unit: int) -> None:
    series = bandit.run(Bandit(), stream("test positive control", unit))
    slope, exponential, line = fit(series)
    assert slope == pytest.approx(-0.23, abs=0.01)
    assert exponential == pytest.approx(0.990, abs=0.002)  # the pilot's figures, here and below
    assert line < 0.95
    law = linregress(series.predicted.numpy(), series.entropy.diff().numpy())
    assert law.slope == pytest.approx(1.02, abs=0.005)
    assert law.rvalue == pytest.approx(0.999, abs=0.001)


@pytest.mark.parametrize("natural", [False, True])
def test_with_a_small_rate_the_first_order_law_is_all_there_is(natural: bool) -> None:
    series = bandit.run(Bandit(rate=0.01, natural=natural), stream("test small rate"))
    change = series.entropy.diff()
    assert change[0] > 0 > change[-1]  # entropy rises first where the right answer is an unlikely one
    assert float((series.predicted - change).abs().max() / change.abs().max()) < 0.01


@pytest.mark.parametrize("unit", range(3))
def test_with_random_answers_paid_for_entropy_falls_but_reward_and_the_law_stay_flat(unit: int) -> None:
    series = bandit.run(Bandit(informed=False, rate=2.0, prompts=1024), stream("test negative control", unit))
    assert float(series.entropy[-1] - series.entropy[0]) < -1.0
    assert ((series.reward - 0.25).abs() < 0.05).all()
    assert abs(fit(series)[0]) < 0.02  # a tenth of what the positive control trades
    assert abs(float(series.predicted.sum())) < 0.1


def test_a_stream_gives_one_run() -> None:
    one, again = (bandit.run(Bandit(steps=5), stream("test run")) for _ in range(2))
    assert torch.equal(one.entropy, again.entropy)
    assert torch.equal(one.reward, again.reward)
    assert not torch.equal(one.entropy, bandit.run(Bandit(steps=5), stream("another run")).entropy)
