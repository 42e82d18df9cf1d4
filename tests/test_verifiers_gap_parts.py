"""The parts of `entropy_gap` against independent truth: what is planted, broken, raised, gated, compared, explained."""

import math
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.claims_support import reproducible
from verifiers.entropy_gap import PLANTED, Settings, planted_unit
from verifiers.lab import frozen, gates, mechanism, planted, recipes, rivals, story
from verifiers.lab.crossreading import crossread
from verifiers.lab.fine_tuning import FineTuning
from verifiers.lab.gates import Gated
from verifiers.lab.instrument import BREAKS, HEALTHY, VARIATIONS, Tempered
from verifiers.lab.model import Decoder
from verifiers.lab.policy_gradient import PolicyGradient
from verifiers.lab.processes import spread
from verifiers.lab.randomness import stream
from verifiers.lab.recipes import Lineage, Recipe, Stage, raised
from verifiers.lab.sampling import LanguageModel, Reading, read, write
from verifiers.lab.training import Pretraining
from verifiers.registry import ENTROPY_GAP

WORLD = story.draw(stream("test world"))
FROZEN = frozen.world()


def own_entropy(model: LanguageModel, texts: int = 1000) -> float:
    return write(model, story.prompts(texts), story.LENGTH, stream("test own"))[1].mean_entropy()


# --- corners of the world --------------------------------------------------------------------------------------------


def bayes(world: story.Story, prefix: list[int]) -> list[float]:
    """The next-token probabilities after PREFIX in a corner, by Bayes over its topics, in plain Python."""
    joint = []
    for topic in world.topics:
        members, chain = world.members[topic].tolist(), world.chains[topic].tolist()
        first = [1 / story.LOCAL if token in members else 0.0 for token in range(story.CONTENT)]
        rows = [first, *(chain[token] for token in prefix)]
        joint.append((math.prod(row[token] for row, token in zip(rows, prefix, strict=False)), rows[-1]))
    evidence = math.fsum(probability for probability, _ in joint)
    return [math.fsum(p * row[token] for p, row in joint) / evidence for token in range(story.CONTENT)]


CORNERS = {
    "two neighbours": story.only(WORLD, [2, 3]),
    "a sharp author": story.sharp(WORLD, stream("test sharp")),
    "a sharp author on three topics": story.sharp(story.only(WORLD, [5, 0, 1]), stream("test sharp")),
}


@pytest.mark.parametrize("corner", CORNERS.values(), ids=CORNERS.keys())
def test_the_exact_reader_of_a_corner_is_bayes_over_its_topics_by_brute_force(corner: story.Story) -> None:
    corpus = story.write(corner, 12, stream("test corner"))
    predicted = story.predictive(corner, corpus)
    for text in range(12):
        for position in (0, 1, 2, 4, 9):
            prefix = corpus[text, 1 : 1 + position].tolist()
            assert predicted[text, position].tolist() == pytest.approx(bayes(corner, prefix), abs=1e-5)


def test_a_corner_is_written_of_by_its_topics_equally_often() -> None:
    _, topics = story.write_on_topics(story.only(WORLD, [1, 3, 4]), 6000, stream("test topics"))
    counts = torch.bincount(topics, minlength=story.TOPICS).tolist()
    assert [count > 0 for count in counts] == [False, True, False, True, True, False]
    assert all(abs(count - 2000) < 4 * math.sqrt(6000 * 2 / 9) for count in counts if count)


def test_one_stream_gives_one_sharp_author_and_another_another() -> None:
    one, again, other = (story.sharp(WORLD, stream("test sharp", name)) for name in (1, 1, 2))
    assert torch.equal(one.chains, again.chains)
    favourite, others_favourite = one.chains.argmax(-1), other.chains.argmax(-1)
    assert 0.2 < (favourite == others_favourite)[WORLD.chains.sum(-1) > 0].float().mean() < 0.7


@pytest.mark.parametrize("twin", [0, 1])
@pytest.mark.parametrize("seed", [1, 2])
def test_twins_are_trained_towards_the_corners_that_a_recipe_names(twin: recipes.Twin, seed: int) -> None:
    def corner(name: recipes.Corner, of: int = twin) -> story.Story:
        side: recipes.Twin = 1 if of else 0
        return recipes.corner_of(WORLD, name, side, stream("own", seed, of), stream("shared", seed))

    assert corner("whole world") is WORLD
    assert corner("half of the topics each").topics == ((3, 4, 5) if twin else (0, 1, 2))
    assert len(corner("one topic each").topics) == 1
    assert len(corner("a sharp author on one topic each").topics) == 1
    assert corner("a sharp author each").topics == WORLD.topics
    both = [corner("one sharp author for both", of).chains for of in (0, 1)]
    assert torch.equal(*both)
    assert not torch.equal(both[0], WORLD.chains)
    assert not torch.equal(*(corner("a sharp author each", of).chains for of in (0, 1)))


# --- planted subjects ------------------------------------------------------------------------------------------------

PAIRS = [planted.draw(stream("test planted", seed)) for seed in range(3)]


@pytest.mark.parametrize("before", PAIRS)
@pytest.mark.parametrize("effect", [-1.2, -0.3, 0.0, 0.09531, 0.6, 2.5])
def test_post_training_is_planted_with_exactly_the_effect_asked_for(before: planted.Twins, effect: float) -> None:
    after = planted.with_gap(before, effect, story.LENGTH)
    assert after.log_interaction(story.LENGTH) - before.log_interaction(story.LENGTH) == pytest.approx(effect, abs=1e-6)
    untouched = after.alert if effect >= 0 else after.calm
    assert untouched == 1


@pytest.mark.parametrize("pair", PAIRS)
def test_planted_authors_write_their_own_tokens_alone(pair: planted.Twins) -> None:
    for twins in (pair, planted.with_gap(pair, 1.2, story.LENGTH), planted.sharpened(pair, 2.0)):
        for number, reader in enumerate(twins.readers()):
            texts, _ = write(reader, story.prompts(3000), story.LENGTH, stream("test own tokens"))
            assert (texts[:, 1:] % 2 == number).all()
            assert len(set(texts[:, 1:].flatten().tolist())) == planted.OWN


def test_the_exact_interaction_is_that_of_many_texts_at_every_length() -> None:
    after = planted.with_gap(PAIRS[0], 0.8, story.LENGTH)
    for length in (2, 5, story.LENGTH):
        found = crossread(*after.readers(), story.prompts(3000), length, stream("test lengths"))
        assert found.log_interaction == pytest.approx(after.log_interaction(length), abs=0.015)


def test_estimates_on_planted_units_are_unbiased() -> None:
    settings = Settings(0.45, 0.3, rivals=False, units=1, recipe=Recipe(), spread=1e-9)
    values = [planted_unit("gap-1.82", ("test bias", index), settings, HEALTHY).values for index in range(30)]
    found = np.array([unit["interaction_did"] for unit in values], dtype=float)
    error = found.std(ddof=1) / math.sqrt(len(found))
    assert error < 0.02
    assert abs(found.mean() - math.log(PLANTED["gap-1.82"])) < 3 * error


def test_units_of_a_planted_subject_are_spread_as_asked() -> None:
    settings = Settings(0.45, 0.3, rivals=False, units=1, recipe=Recipe(), spread=0.5, texts=64)
    values = [planted_unit("no-gap", ("test spread", index), settings, HEALTHY).values for index in range(30)]
    found = np.array([unit["interaction_did"] for unit in values], dtype=float)
    assert 0.37 < found.std(ddof=1) < 0.66  # 99 % of thirty units with a standard deviation of 0.5


# --- the instrument --------------------------------------------------------------------------------------------------


def test_a_tempered_model_is_sharper_below_one_and_the_same_at_one() -> None:
    model = frozen.model("before a")
    texts = story.write(FROZEN, 8, stream("test tempered"))[:, :-1]
    expected = (model(texts) / 0.7).double().log_softmax(-1)
    torch.testing.assert_close(Tempered(model, 0.7)(texts).double().log_softmax(-1), expected)
    assert own_entropy(Tempered(model, 1.0)) == own_entropy(model)
    assert own_entropy(Tempered(model, 0.7)) < own_entropy(model) < own_entropy(Tempered(model, 1.4))


def test_every_break_changes_one_part_of_the_instrument() -> None:
    for broken in BREAKS.values():
        parts = [name for name in vars(HEALTHY) if getattr(broken, name) != getattr(HEALTHY, name)]
        assert len(parts) == 1
    assert set(ENTROPY_GAP.trial.breaks) == set(BREAKS)
    assert set(ENTROPY_GAP.trial.training_breaks) == set(gates.BREAKS)


@pytest.mark.parametrize("name", VARIATIONS)
def test_other_ways_to_read_that_must_not_matter_do_not(name: str) -> None:
    texts = story.write(FROZEN, 100, stream("test variations"))
    for model in (frozen.model("after a"), PAIRS[0].readers()[0]):
        one, other = HEALTHY.read(model, texts), VARIATIONS[name].read(model, texts)
        torch.testing.assert_close(other.entropy.float(), one.entropy, atol=1e-5, rtol=0)
        torch.testing.assert_close(other.surprise.float(), one.surprise, atol=1e-5, rtol=1e-5)
    assert set(ENTROPY_GAP.trial.variations) == set(VARIATIONS)


@pytest.mark.parametrize(
    ("name", "replays"),
    [("authors mixed up", False), ("positions shifted by one", False), ("temperature 20 % too low", True)],
)
def test_a_broken_part_is_seen_where_texts_are_read_again(name: str, replays: bool) -> None:
    pair = planted.with_gap(PAIRS[1], 0.5, story.LENGTH).readers()
    found = crossread(*pair, story.prompts(32), story.LENGTH, stream("test breaks"), BREAKS[name])
    assert (found.replay < 1e-5) == replays


def test_mixing_up_the_authors_turns_the_interaction_round() -> None:
    pair = planted.with_gap(PAIRS[1], 0.5, story.LENGTH).readers()
    right, wrong = (
        crossread(*pair, story.prompts(32), story.LENGTH, stream("test mixed"), instrument)
        for instrument in (HEALTHY, BREAKS["authors mixed up"])
    )
    assert wrong.log_interaction == pytest.approx(-right.log_interaction)
    assert right.log_interaction > 0.3


# --- recipes ---------------------------------------------------------------------------------------------------------

SHORT = Recipe(PolicyGradient(prompts=16, longest=3), doses=(3.3, 0.01), pretraining=Pretraining(steps=3))
NAME = ("test recipes", 7)
Bits = dict[str, Tensor]


def bits(lineage: Lineage, stage: Stage = "end") -> Bits:
    return dict(lineage.model(stage).state_dict())


def equal(one: Bits, other: Bits) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def short(folder: Path, name: recipes.Name = NAME, twin: recipes.Twin = 0, **changes: Any) -> Lineage:
    return raised(WORLD, name, twin, replace(SHORT, **changes), folder)


def files(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_the_same_name_and_recipe_give_the_same_bits_with_and_without_a_cache(tmp_path: Path) -> None:
    fresh = short(tmp_path / "one")
    with torch.random.fork_rng():
        torch.manual_seed(99)  # whatever state the process is in
        elsewhere, kept = short(tmp_path / "two"), short(tmp_path / "one")
    for stage in ("before", 3.3, "end"):
        assert equal(bits(fresh, stage), bits(elsewhere, stage))
        assert equal(bits(fresh, stage), bits(kept, stage))
    assert not equal(bits(fresh, "before"), bits(fresh, "end"))


def test_recipes_that_differ_after_pretraining_share_their_base(tmp_path: Path) -> None:
    one = short(tmp_path)
    assert files(tmp_path) == 2  # a base, and what post-training made of it
    others = [short(tmp_path, reward="swapped"), short(tmp_path, method=FineTuning(longest=1))]
    assert files(tmp_path) == 4
    for other in others:
        assert equal(bits(one, "before"), bits(other, "before"))
        assert not equal(bits(one), bits(other))
    short(tmp_path, pretraining=Pretraining(steps=2))
    assert files(tmp_path) == 6


def test_twins_and_units_have_weights_of_their_own(tmp_path: Path) -> None:
    one = short(tmp_path)
    for other in (short(tmp_path, twin=1), short(tmp_path, name=("test recipes", 8))):
        assert not equal(bits(one, "before"), bits(other, "before"))
        assert not equal(bits(one), bits(other))


def test_other_code_is_another_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short(tmp_path)
    monkeypatch.setattr(recipes, "_code", lambda: "another digest")
    short(tmp_path)
    assert files(tmp_path) == 4


def test_a_dose_that_was_met_is_kept_and_one_that_was_not_is_absent(tmp_path: Path) -> None:
    lineage = short(tmp_path)
    assert lineage.reached(3.3)
    assert not lineage.reached(0.01)
    assert equal(bits(lineage, 3.3), bits(lineage, "before"))  # met by the first batch, before any update


def test_training_ends_at_the_lowest_dose(tmp_path: Path) -> None:
    lineage = short(tmp_path, doses=(3.3, 3.25))
    assert equal(bits(lineage), bits(lineage, "before"))


@pytest.mark.parametrize(
    ("recipe", "dose"),
    [(Recipe(), 1.2), (Recipe(FineTuning(rate=2e-3, longest=60), "one sharp author for both"), 1.1)],
    ids=["policy gradient", "fine-tuning"],
)
def test_the_weights_of_a_dose_are_as_sure_as_asked(recipe: Recipe, dose: float) -> None:
    base = frozen.model("before a")
    assert own_entropy(base) > dose + 0.1
    corner = recipes.corner_of(FROZEN, recipe.corner, 0, stream("own"), stream("shared"))
    _, reached = recipes.post_train(base, corner, NAME, replace(recipe, doses=(dose,)))
    model = Decoder(recipes.SHAPE)
    model.load_state_dict(reached[dose].weights)
    assert own_entropy(model) == pytest.approx(dose, abs=0.12)
    assert own_entropy(base) > dose + 0.1  # the base itself stays as it was


def test_rewards_are_those_that_a_recipe_names() -> None:
    texts = story.write(WORLD, 400, stream("test rewards"))
    named, swapped, random = (
        recipes.reward_of(Recipe(reward=reward), WORLD, stream("test coin"))(texts)
        for reward in ("named", "swapped", "random")
    )
    assert torch.equal(named, story.reward(WORLD, texts))
    torch.testing.assert_close(swapped, 1 - named)
    assert set(random.tolist()) == {0.0, 1.0}
    assert abs(float(torch.corrcoef(torch.stack([random, named]))[0, 1])) < 0.2


def test_fine_tuning_reads_the_authors_texts_or_the_models_own() -> None:
    base = frozen.model("before a")
    corner = story.only(FROZEN, [2])
    recipe = Recipe(FineTuning(longest=12), "one topic each")
    theirs, _ = recipes.post_train(base, corner, NAME, recipe)
    own, _ = recipes.post_train(base, corner, NAME, replace(recipe, texts="the model's own"))

    def share_of_the_topic(model: Decoder) -> float:
        texts, _ = write(model, story.prompts(500), story.LENGTH, stream("test source"))
        return float((story.topic_of(FROZEN, texts) == 2).float().mean())

    assert share_of_the_topic(own) == pytest.approx(share_of_the_topic(base), abs=0.1)
    assert share_of_the_topic(theirs) > share_of_the_topic(base) + 0.3


# --- gates -----------------------------------------------------------------------------------------------------------


def failed(*gated: Gated) -> set[str]:
    return {control.name for control in gates.controls(gated) if control.passed is not True}


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        ("unlearned base", "bases read well"),
        ("random reward", "training learned what it names"),
        ("swapped reward", "training learned what it names"),
    ],
)
def test_training_that_is_broken_is_caught_by_its_gate(broken: str, caught_by: str) -> None:
    found = failed(gates.of_short_training(broken, ("test gates", 1)))
    assert caught_by in found
    assert "post-training reached the dose" not in found
    if broken != "unlearned base":
        assert found == {caught_by}


def healthy() -> Lineage:
    """The frozen lineage that was post-trained, as if it had just been raised."""
    weights = {
        f"{stage}/{key}": x for stage in ("end", "0.45") for key, x in frozen.model("after a").state_dict().items()
    }
    return Lineage(Recipe(), FROZEN, frozen.model("before a"), weights)


def test_healthy_training_passes_every_gate() -> None:
    found = gates.of_twins(FROZEN, [healthy()], 0.45, stream("test healthy"))
    assert found.reached
    assert failed(found) == set()
    assert [control.kind for control in gates.controls([found])] == ["gate"] * 3


def test_the_exact_reader_has_no_excess_loss_and_an_untrained_one_much() -> None:
    assert gates.excess_loss(Exact(FROZEN), FROZEN, stream("test excess")) == pytest.approx(0, abs=1e-5)
    assert gates.excess_loss(Decoder(recipes.SHAPE), FROZEN, stream("test excess")) > 0.5


def test_learning_is_a_share_of_what_there_was_to_win() -> None:
    base, corner = frozen.model("before a"), story.only(FROZEN, [1])
    exact: Any = Exact(corner)
    fine = Recipe(FineTuning(), "one topic each")
    assert gates.learned(base, exact, fine, corner, stream("test learned")) == pytest.approx(1, abs=1e-4)
    assert gates.learned(base, base, fine, corner, stream("test learned")) == pytest.approx(0, abs=1e-6)
    assert abs(gates.learned(base, base, Recipe(), FROZEN, stream("test learned"))) < 0.1
    assert gates.learned(base, frozen.model("after a"), Recipe(), FROZEN, stream("test learned")) > 0.6


def test_gates_ask_of_the_whole_run_what_its_worst_lineage_did_and_how_many_units_came_down() -> None:
    good = Gated((0.02, 0.03), (0.9, 0.8), reached=True)
    bad_base, bad_end = replace(good, excess=(0.02, 0.06)), replace(good, learned=(0.9, 0.2))
    high = replace(good, reached=False)
    assert gates.controls([]) == ()
    assert failed(good, good) == set()
    assert failed(good, bad_base) == {"bases read well"}
    assert failed(bad_end, good) == {"training learned what it names"}
    assert failed(good, good, good, high) == set()  # three quarters of the units
    assert failed(good, good, high) == {"post-training reached the dose"}


# --- rivals ----------------------------------------------------------------------------------------------------------

DOSES = [(1.5, 0.0), (0.9, 0.3), (0.5, 0.5), (0.3, 1.0)]


@pytest.mark.parametrize(
    ("own", "value"),
    [(2.0, 0.0), (1.5, 0.0), (1.2, 0.15), (0.9, 0.3), (0.7, 0.4), (0.4, 0.75), (0.3, 1.0), (0.299, None), (0.0, None)],
)
def test_a_dose_curve_is_read_between_its_points_and_never_below_the_last(own: float, value: float | None) -> None:
    for curve in (DOSES, DOSES[::-1]):
        found = rivals.at(curve, own)
        assert found is None if value is None else found == pytest.approx(value)


@reproducible
@given(
    points=st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(-2, 2)), min_size=1, max_size=6), own=st.floats(0.05, 2.2)
)
def test_a_dose_curve_is_read_as_numpy_interpolates(points: list[tuple[float, float]], own: float) -> None:
    ordered = sorted(dict(points).items())
    found = rivals.at(list(ordered), own)
    if own < ordered[0][0]:
        assert found is None
    else:
        x, y = np.array(ordered).T
        assert found == pytest.approx(float(np.interp(own, x, y)), abs=1e-6)


@pytest.mark.parametrize("name", ["before a", "before b"])
@pytest.mark.parametrize("asked", [0.3, 0.45, 0.9])
def test_a_tempered_model_is_as_sure_as_asked(name: str, asked: float) -> None:
    cooler = rivals.tempered(frozen.model(name), asked, partial(stream, "test cooling"))
    assert own_entropy(cooler, 2000) == pytest.approx(asked, abs=0.05)
    again = rivals.tempered(frozen.model(name), asked, partial(stream, "test cooling"))
    assert again.temperature == cooler.temperature


def test_every_rival_has_its_endpoints_and_trains_from_the_usual_base() -> None:
    compared = {spec.name.removeprefix("over_") for spec in ENTROPY_GAP.endpoints if spec.name.startswith("over_")}
    assert compared == {"temperature", *rivals.ARMS}
    assert {f"{name}_did" for name in compared} <= {spec.name for spec in ENTROPY_GAP.endpoints}
    assert all(arm.pretraining == Pretraining() for arm in rivals.ARMS.values())
    subjects = {name.removeprefix("lab:") for name in ENTROPY_GAP.subjects if name.startswith("lab:")}
    assert subjects == recipes.RECIPES.keys()


# --- mechanism -------------------------------------------------------------------------------------------------------


class Exact:
    """The best reader there is: the Bayes filter of a world, as a language model."""

    def __init__(self, world: story.Story) -> None:
        self.world = world

    def new_cache(self) -> None:
        raise NotImplementedError("it only reads")

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        rest = tokens[:, -1:].expand(-1, 1 + story.LENGTH - tokens.shape[1])  # what follows changes nothing before it
        predicted = story.predictive(self.world, torch.cat([tokens, rest], dim=1))
        return predicted[:, : tokens.shape[1]].clamp_min(1e-12).log()


class Follower:
    """A model whose entropy after a token is 2.5 + SLOPE · surprise at that token, exactly: each next distribution falls
    by equal factors from token to token, as steeply as its entropy asks.
    """

    slope = 0.1
    tilt = torch.linspace(0, 1, story.CONTENT, dtype=torch.float64)
    steepness = np.linspace(0.01, 8, 4000)

    def __init__(self) -> None:
        logs = (-torch.from_numpy(self.steepness)[:, None] * self.tilt).log_softmax(-1)
        self.entropies = -(logs.exp() * logs).sum(-1).numpy()  # falls as steepness rises

    def new_cache(self) -> None:
        raise NotImplementedError("it only reads")

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        steps = [self.of_entropy(torch.full((len(tokens),), 2.5, dtype=torch.float64))]
        for column in tokens[:, 1:].unbind(1):
            surprise = -steps[-1].gather(1, column[:, None])[:, 0]
            steps.append(self.of_entropy(2.5 + self.slope * surprise))
        return torch.stack(steps, dim=1)

    def of_entropy(self, entropy: Tensor) -> Tensor:
        steepness = np.interp(entropy.numpy(), self.entropies[::-1], self.steepness[::-1])
        return (-torch.from_numpy(steepness)[:, None] * self.tilt).log_softmax(-1)


class Recorder:
    """A model that keeps what it was given to read."""

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.texts = model, list[Tensor]()

    def new_cache(self) -> Any:
        return self.model.new_cache()

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        self.texts.append(tokens)
        return self.model(tokens, cache)


class Partisan:
    """A model that expects tokens of one topic only, all equally, whatever it has read."""

    def __init__(self, topic: int) -> None:
        self.logits = torch.zeros(story.CONTENT).index_fill_(0, WORLD.members[topic], 12.0)

    def new_cache(self) -> None:
        return None

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
        return self.logits.expand(*tokens.shape, -1)


def made_up(slope: float, noise: float) -> Reading:
    """Entropies that follow surprise with SLOPE and themselves, about a mean of every position's own."""
    chance = stream("test made up")
    surprise = torch.randn(300, 20, generator=chance, dtype=torch.float64).exp()
    columns = [torch.rand(300, generator=chance, dtype=torch.float64)]
    for position in range(19):
        error = noise * torch.randn(300, generator=chance, dtype=torch.float64)
        columns.append(3 * math.sin(position) + slope * surprise[:, position] + 0.4 * columns[-1] + error)
    return Reading(torch.stack(columns, dim=1), surprise)


def test_the_surprise_slope_is_found_where_it_was_made() -> None:
    assert mechanism.surprise_slope(made_up(0.25, 0.0)) == pytest.approx(0.25, abs=1e-9)
    assert mechanism.surprise_slope(made_up(0.0, 0.3)) == pytest.approx(0.0, abs=0.01)


def test_the_surprise_slope_is_that_of_numpys_regression_with_a_constant_for_every_position() -> None:
    reading = made_up(-0.1, 0.5)
    surprise, now, following = (
        x.numpy().ravel() for x in (reading.surprise[:, 1:-1], reading.entropy[:, 1:-1], reading.entropy[:, 2:])
    )
    positions = np.tile(np.eye(18), (300, 1))
    solution, *_ = np.linalg.lstsq(np.column_stack([surprise, now, positions]), following)
    assert mechanism.surprise_slope(reading) == pytest.approx(solution[0], abs=1e-10)


def test_the_surprise_slope_has_the_same_bits_wherever_its_numbers_lie_in_memory() -> None:
    reading = made_up(0.25, 0.5)

    def moved(x: Tensor, by: int) -> Tensor:
        return torch.empty(x.numel() + by, dtype=torch.float32)[by:].view(x.shape).copy_(x)

    found = {
        mechanism.surprise_slope(Reading(moved(reading.entropy, by), moved(reading.surprise, by))) for by in range(8)
    }
    assert len(found) == 1


def test_swapping_tokens_finds_the_slope_of_a_model_that_has_one() -> None:
    texts = story.write(WORLD, 300, stream("test swaps"))
    assert mechanism.swap_slope(Follower(), WORLD, texts, stream("test swapping")) == pytest.approx(0.1, abs=1e-4)


def test_swapping_finds_no_slope_where_context_changes_nothing() -> None:
    texts = story.write(WORLD, 300, stream("test swaps"))
    model = Partisan(0)
    model.logits = torch.linspace(0, 3, story.CONTENT)
    assert mechanism.swap_slope(model, WORLD, texts, stream("test swapping")) == 0


def test_one_token_of_a_text_is_swapped_for_another_that_its_topic_allows_there() -> None:
    texts, topics = story.write_on_topics(WORLD, 400, stream("test swaps"))
    model = Recorder(frozen.model("before a"))
    mechanism.swap_slope(model, WORLD, texts, stream("test swapping"))
    one, other = model.texts  # the last token is never read
    differ = one != other
    assert (differ.sum(1) <= 1).all()
    rows, places = differ.nonzero().unbind(1)
    assert len(rows) > 300
    assert set(places.tolist()) == set(range(3, story.LENGTH))
    assert len(one) == len(texts)  # every token of a chain has four successors
    assert (WORLD.chains[topics[rows], other[rows, places - 1], other[rows, places]] > 0).float().mean() > 0.99


def test_topic_entropy_is_that_of_the_shares_of_topics() -> None:
    counts = {0: 300, 2: 200, 5: 100}
    texts = torch.cat(
        [story.write(story.only(WORLD, [topic]), n, stream("test shares")) for topic, n in counts.items()]
    )
    expected = -sum(n / 600 * math.log(n / 600) for n in counts.values())
    assert mechanism.topic_entropy(WORLD, texts) == pytest.approx(expected, abs=0.02)
    assert mechanism.topic_entropy(WORLD, texts[:300]) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("topic", range(0, story.TOPICS, 2))
def test_the_exact_reader_has_no_rebound(topic: int) -> None:
    found = mechanism.rebound(Exact(WORLD), WORLD, topic, 4000, stream("test rebound"))
    assert found == pytest.approx(0, abs=0.02)


def test_a_reader_that_is_at_a_loss_on_other_topics_rebounds_by_as_much() -> None:
    class AtALoss(Exact):
        """Mixes in the uniform distribution after a text of another topic, and keeps surprise as it was until then."""

        def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:
            logits = super().__call__(tokens, cache)
            foreign = ~torch.isin(tokens[:, 1], WORLD.members[3])
            logits[foreign, mechanism.PREFILL] = 0.0
            return logits

    found = mechanism.rebound(AtALoss(WORLD), WORLD, 3, 4000, stream("test rebound"))
    usual = read(Exact(WORLD), story.write(story.only(WORLD, [3]), 4000, stream("test usual")))
    expected = math.log(math.log(story.CONTENT) / float(usual.entropy[:, mechanism.PREFILL].mean()))
    assert found == pytest.approx(expected, abs=0.03)


def test_beginnings_without_a_partner_give_a_reason_and_no_number() -> None:
    assert mechanism.rebound(Partisan(3), WORLD, 3, 400, stream("test partners")) is None
    found = mechanism.changes(WORLD, Partisan(3), Partisan(3), 64, stream("test partners"))
    assert found["rebound"] == mechanism.NO_PARTNERS


def test_post_training_narrows_the_topic_and_makes_foreign_beginnings_count() -> None:
    before, after = frozen.model("before a"), frozen.model("after a")
    found = mechanism.changes(FROZEN, before, after, 512, stream("test changes"))
    assert found.keys() <= {spec.name for spec in ENTROPY_GAP.endpoints}
    assert 0 < float(found["topic_left"]) < 0.9
    assert float(found["rebound"]) > 0.1
    assert float(found["surprise_slope"]) > 0.02
    assert float(found["swap_slope"]) > 0.02
    nothing = mechanism.changes(FROZEN, before, before, 512, stream("test changes"))
    assert float(nothing["topic_left"]) == pytest.approx(1, abs=0.05)
    assert float(nothing["rebound"]) == pytest.approx(0, abs=0.05)
    assert float(nothing["surprise_slope"]) == pytest.approx(0, abs=0.05)


# --- processes -------------------------------------------------------------------------------------------------------


def test_one_process_is_this_one_and_stops_at_the_first_error() -> None:
    tried: list[int] = []

    def work(task: int) -> int:
        tried.append(task)
        return os.getpid() if task < 2 else 1 // 0

    heard: list[tuple[int, float]] = []
    assert spread(work, [0, 1], 1, lambda *said: heard.append(said)) == [os.getpid()] * 2
    assert [done for done, _ in heard] == [1, 2]
    assert heard[0][1] <= heard[1][1]
    assert torch.get_num_threads() == 1
    tried.clear()
    with pytest.raises(ZeroDivisionError):
        spread(work, [0, 2, 1], 1, lambda *_: None)
    assert tried == [0, 2]
