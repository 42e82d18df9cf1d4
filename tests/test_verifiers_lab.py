"""The laboratory against independent truth: plain Python, scipy, torch's own Muon, exact enumeration."""

import contextlib
import importlib
import itertools
import math
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from scipy.stats import entropy as scipy_entropy

from tests.claims_support import marked, reproducible, until
from verifiers.lab import checkpoints, frozen, planted, story
from verifiers.lab.crossreading import crossread
from verifiers.lab.model import Decoder, Shape
from verifiers.lab.processes import spread
from verifiers.lab.randomness import categorical, derive, seeded, stream
from verifiers.lab.sampling import Reading, read, write
from verifiers.lab.training import Muon, Pretraining, orthogonalised, pretrain
from verifiers.registry import SUBJECTS

SMALL = Shape(vocabulary=7, length=9, width=16, layers=2, heads=2)


def decoder(shape: Shape = SMALL, *, sharp: bool = True) -> Decoder:
    """A network whose predictions differ clearly from token to token, as a trained one's do."""
    with seeded("test decoder"):
        model = Decoder(shape)
        if sharp:
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=0.5 if weight.ndim == 2 else 1.0)
    return model.requires_grad_(requires_grad=False)


def texts(count: int = 5, shape: Shape = SMALL) -> torch.Tensor:
    return torch.randint(shape.vocabulary - 1, (count, shape.length), generator=stream("test texts"))


def prompts(count: int, start: int = SMALL.vocabulary - 1) -> torch.Tensor:
    return torch.full((count, 1), start)


# --- the network -----------------------------------------------------------------------------------------------------


def test_reading_with_a_cache_equals_reading_without_position_by_position() -> None:
    model, tokens = decoder(), texts()
    cache = model.new_cache()
    stepwise = torch.cat([model(tokens[:, [step]], cache) for step in range(tokens.shape[1])], dim=1)
    torch.testing.assert_close(stepwise, model(tokens), atol=1e-5, rtol=0)


def test_a_later_token_never_changes_earlier_logits() -> None:
    model, tokens = decoder(), texts()
    before = model(tokens)
    for position in range(tokens.shape[1]):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % (SMALL.vocabulary - 1)
        after = model(changed)
        torch.testing.assert_close(after[:, :position], before[:, :position], atol=1e-6, rtol=0)
        assert (after[:, position:] - before[:, position:]).abs().max() > 1e-3


def test_the_default_shape_has_as_many_parameters_as_the_registry_says() -> None:
    model = Decoder(Shape(story.VOCABULARY, story.LENGTH))
    assert sum(weight.numel() for weight in model.parameters()) == SUBJECTS["lab:story"].parameters


# --- writing and reading ---------------------------------------------------------------------------------------------


def test_entropy_and_surprise_are_those_of_scipy() -> None:
    logits = 3 * torch.randn(4, 6, 5, generator=stream("test logits"))
    following = torch.randint(5, (4, 6), generator=stream("test following"))
    reading = Reading.of(logits, following)
    probability = logits.double().softmax(-1).numpy()
    for text, position in itertools.product(range(4), range(6)):
        row = probability[text, position]
        assert float(reading.entropy[text, position]) == pytest.approx(scipy_entropy(row), abs=1e-5)
        drawn = int(following[text, position])
        assert float(reading.surprise[text, position]) == pytest.approx(-math.log(row[drawn]), abs=1e-5)


def test_the_mean_entropy_leaves_the_first_position_out() -> None:
    entropy = torch.tensor([[9.0, 1.0, 2.0], [9.0, 3.0, 4.0]])
    assert Reading(entropy, entropy).mean_entropy() == pytest.approx(2.5)


def test_reading_a_text_again_gives_the_entropies_of_writing_it() -> None:
    model = decoder()
    written, writing = write(model, prompts(32), SMALL.length, stream("test writing"))
    again = read(model, written)
    torch.testing.assert_close(again.entropy, writing.entropy, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.surprise, writing.surprise, atol=1e-5, rtol=0)


def test_texts_are_written_at_temperature_one() -> None:
    model, start = decoder(Shape(5, 2, 16, 1, 1)), 4
    written, _ = write(model, prompts(20_000, start), 1, stream("test temperature"))
    expected = model(torch.tensor([[start]]))[0, 0].double().softmax(-1)
    counts = torch.bincount(written[:, 1], minlength=4)
    assert chisquare(counts, (20_000 * expected / expected.sum()).numpy()).pvalue > 0.001


def test_tokens_are_drawn_as_often_as_their_probability_says() -> None:
    probability = torch.tensor([0.0, 0.5, 0.2, 0.0, 0.299, 0.001, 0.0])
    drawn = categorical(probability.expand(50_000, -1), stream("test categorical"))
    counts = torch.bincount(drawn, minlength=7)
    assert counts[probability == 0].sum() == 0
    possible = probability > 0
    assert (
        chisquare(counts[possible], (50_000 * probability[possible].double()).numpy(), sum_check=False).pvalue > 0.001
    )


@pytest.mark.parametrize("uniform", [0.0, 2.0**-24, 0.5, 1 - 2.0**-24])
@pytest.mark.parametrize(
    "probability", [[0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 0.5, 0.0], [0.1] * 10 + [0.0], [0.0] + [1 / 3] * 3 + [0.0]]
)
def test_a_token_of_probability_zero_is_never_drawn_even_at_the_ends_of_the_uniform(
    uniform: float, probability: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, generator: torch.full(size, uniform))
    (drawn,) = categorical(torch.tensor([probability]), stream("unused"))
    assert 0 <= drawn < len(probability)
    assert probability[drawn] > 0


# --- the world -------------------------------------------------------------------------------------------------------

WORLD = story.draw(stream("test world"))


def test_chains_are_stochastic_over_the_tokens_of_their_topic() -> None:
    for topic, chain in enumerate(WORLD.chains):
        members = WORLD.members[topic]
        outside = [token for token in range(story.CONTENT) if token not in members.tolist()]
        torch.testing.assert_close(chain[members].sum(-1), torch.ones(story.LOCAL), atol=1e-6, rtol=0)
        assert ((chain[members] > 0).sum(-1) == story.SUCCESSORS).all()
        assert chain[outside].sum() == 0
        assert chain[:, outside].sum() == 0


def test_topics_are_rotations_of_one_template() -> None:
    for topic in range(story.TOPICS):
        moved = topic * story.STRIDE
        assert torch.equal(WORLD.chains[topic], WORLD.chains[0].roll((moved, moved), (0, 1)))
        assert torch.equal(WORLD.preferred[topic], WORLD.preferred[0].roll((moved, moved), (0, 1)))
    assert len({tuple(members.tolist()) for members in WORLD.members}) == story.TOPICS


def test_half_of_the_successors_are_preferred_and_nothing_else() -> None:
    members = WORLD.members[0]
    assert (WORLD.preferred[0, members].sum(-1) == story.PREFERRED).all()
    assert (WORLD.chains[0][WORLD.preferred[0]] > 0).all()


def test_authors_use_only_transitions_that_one_topic_allows() -> None:
    corpus = story.write(WORLD, 500, stream("test corpus"))
    assert corpus.shape == (500, 1 + story.LENGTH)
    assert (corpus[:, 0] == story.START).all()
    allowed = (WORLD.chains[:, corpus[:, 1:-1], corpus[:, 2:]] > 0).all(-1)  # (K, B)
    assert allowed.any(0).all()
    topics = allowed.float().argmax(0)
    assert set(topics.tolist()) == set(range(story.TOPICS))


def test_two_worlds_differ_and_one_stream_gives_one_world() -> None:
    assert torch.equal(story.draw(stream("test world")).chains, WORLD.chains)
    assert not torch.equal(story.draw(stream("another world")).chains, WORLD.chains)


def bayes(prefix: list[int]) -> list[float]:
    """The next-token probabilities after PREFIX, by Bayes over topics, in plain Python."""
    joint = []
    for topic in range(story.TOPICS):
        members, chain = WORLD.members[topic].tolist(), WORLD.chains[topic].tolist()
        probability = 1 / story.TOPICS
        for place, token in enumerate(prefix):
            if place == 0:
                probability *= 1 / story.LOCAL if token in members else 0.0
            else:
                probability *= chain[prefix[place - 1]][token]
        first = [1 / story.LOCAL if token in members else 0.0 for token in range(story.CONTENT)]
        following = chain[prefix[-1]] if prefix else first
        joint.append((probability, following))
    evidence = math.fsum(probability for probability, _ in joint)
    return [math.fsum(p * row[token] for p, row in joint) / evidence for token in range(story.CONTENT)]


def test_the_exact_reader_is_bayes_over_topics_by_brute_force() -> None:
    corpus = story.write(WORLD, 12, stream("test prefixes"))
    predicted = story.predictive(WORLD, corpus)
    for text, position in itertools.product(range(12), range(6)):
        prefix = corpus[text, 1 : 1 + position].tolist()
        assert predicted[text, position].tolist() == pytest.approx(bayes(prefix), abs=1e-5)


def test_the_exact_readers_predictions_sum_to_one_and_never_exclude_what_comes() -> None:
    corpus = story.write(WORLD, 200, stream("test sums"))
    predicted = story.predictive(WORLD, corpus)
    torch.testing.assert_close(predicted.sum(-1), torch.ones(200, story.LENGTH), atol=1e-5, rtol=0)
    assert (predicted.gather(-1, corpus[:, 1:, None]) > 0).all()


def test_the_reward_is_the_share_of_preferred_bigrams_in_the_best_topic() -> None:
    preferred = torch.zeros(2, 5, 5, dtype=torch.bool)
    preferred[0, 0, 1] = preferred[0, 1, 2] = preferred[1, 2, 3] = True
    world = story.Story(torch.empty(0), torch.empty(0), preferred, topics=(0, 1))
    start = 9
    told = torch.tensor([[start, 0, 1, 2, 3], [start, 2, 3, 2, 3], [start, 4, 4, 4, 4], [start, 1, 2, 3, 0]])
    assert story.reward(world, told).tolist() == pytest.approx([2 / 3, 2 / 3, 0.0, 1 / 3])


def test_no_topic_is_worth_more_than_another() -> None:
    corpus = story.write(WORLD, 300, stream("test rotations"))
    moved = torch.where(corpus == story.START, corpus, (corpus + story.STRIDE) % story.CONTENT)
    assert torch.equal(story.reward(WORLD, corpus), story.reward(WORLD, moved))


def test_a_corner_of_the_world_is_written_of_read_and_paid_for_alone() -> None:
    corner = story.only(WORLD, [4])
    corpus = story.write(corner, 200, stream("test corner"))
    assert torch.isin(corpus[:, 1:], WORLD.members[4]).all()
    exact = WORLD.chains[4, corpus[:, 1:-1]]
    torch.testing.assert_close(story.predictive(corner, corpus)[:, 1:], exact, atol=1e-6, rtol=0)
    paid = WORLD.preferred[4, corpus[:, 1:-1], corpus[:, 2:]].float().mean(-1)
    assert torch.equal(story.reward(corner, corpus), paid)
    elsewhere = story.write(story.only(WORLD, [1]), 200, stream("test corner"))
    assert story.reward(corner, elsewhere).mean() < 0.5 * story.reward(WORLD, elsewhere).mean()


def test_a_sharp_author_writes_the_same_transitions_less_evenly() -> None:
    author = story.sharp(WORLD, stream("test sharp"))
    torch.testing.assert_close(author.chains.sum(-1), WORLD.chains.sum(-1), atol=1e-6, rtol=0)
    assert (author.chains[WORLD.chains == 0] == 0).all()

    def entropies(world: story.Story) -> torch.Tensor:
        return torch.special.entr(world.chains).sum(-1)[WORLD.chains.sum(-1) > 0]

    assert entropies(author).mean() < 0.3 * entropies(WORLD).mean()


def test_an_exact_reader_sees_what_a_text_is_about() -> None:
    corpus, topics = story.write_on_topics(WORLD, 500, stream("test topics"))
    assert (story.topic_of(WORLD, corpus) == topics).float().mean() > 0.99


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 32, 32), (3, 32, 96), (2, 64, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=stream("test matrices")), full_matrices=False)
    stretched = u @ torch.diag(torch.linspace(0.1, 1.0, u.shape[-1])) @ v
    found = u.mT @ orthogonalised(stretched) @ v.mT  # in the matrices' own directions, which stay
    singular_values = found.diagonal(dim1=1, dim2=2)
    assert (singular_values > 0.65).all()
    assert (singular_values < 1.25).all()
    assert (found - torch.diag_embed(singular_values)).abs().max() < 1e-3


@pytest.mark.parametrize("shape", [(32, 32), (96, 32), (32, 64)])
def test_muon_moves_weights_as_torchs_own_muon_does(shape: tuple[int, int]) -> None:
    chance = stream("test muon")
    start, gradients = torch.randn(shape, generator=chance), torch.randn(3, *shape, generator=chance)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    muon = Muon([ours])
    reference = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, momentum=0.95)
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step(0.1)
        reference.step()
    moved, wanted = (ours.data - start).flatten(), (theirs.data - start).flatten()
    assert torch.cosine_similarity(moved, wanted, dim=0) > 0.99  # torch's works in bfloat16
    assert float(moved.norm() / wanted.norm()) == pytest.approx(1, abs=0.05)


def test_matrices_of_one_shape_stacked_move_as_each_would_alone() -> None:
    gradients = torch.randn(2, 8, 12, generator=stream("test stack"))
    together = [torch.nn.Parameter(torch.zeros(8, 12)) for _ in range(2)]
    alone = [torch.nn.Parameter(torch.zeros(8, 12)) for _ in range(2)]
    for weight, gradient in zip([*together, *alone], [*gradients, *gradients], strict=True):
        weight.grad = gradient.clone()
    Muon(together).step(0.1)
    for weight in alone:
        Muon([weight]).step(0.1)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.data, other.data, atol=1e-6, rtol=0)


def test_pretraining_brings_the_loss_down_towards_the_exact_readers() -> None:
    shape = Shape(story.VOCABULARY, story.LENGTH)
    with seeded("test pretraining"):
        model = Decoder(shape)
    held_out = story.write(WORLD, 500, stream("test held out"))
    oracle = float(-story.predictive(WORLD, held_out).gather(-1, held_out[:, 1:, None]).log().mean())
    before = float(read(model, held_out).surprise.mean())
    settings = Pretraining(steps=150)
    pretrain(model, settings, story.write(WORLD, settings.corpus, stream("test corpus")))
    after = float(read(model, held_out).surprise.mean())
    assert before == pytest.approx(math.log(story.CONTENT), abs=0.05)  # it knew nothing
    assert oracle < after < oracle + 0.2 * (before - oracle)


# --- randomness ------------------------------------------------------------------------------------------------------


def test_a_name_gives_one_stream_and_another_name_another() -> None:
    assert torch.equal(torch.rand(9, generator=stream("a", 1)), torch.rand(9, generator=stream("a", 1)))
    assert not torch.equal(torch.rand(9, generator=stream("a", 1)), torch.rand(9, generator=stream("a", 2)))


@reproducible
@given(name=st.lists(st.integers(0, 99) | st.sampled_from(["unit", "a", "b", "world"]), min_size=1, max_size=6))
def test_seeds_are_numbers_that_torch_takes(name: list[str | int]) -> None:
    assert 0 <= derive(*name) < 2**63


def test_no_two_streams_of_a_thousand_units_share_a_seed() -> None:
    names = itertools.product(["entropy_gap"], range(10), ["unit"], range(100), ["a", "b"], ["corpus", "world"])
    seeds = [derive(*name) for name in names]
    assert len(set(seeds)) == len(seeds)


def test_seeded_initialises_by_name_and_leaves_the_global_state_as_it_was() -> None:
    torch.manual_seed(5)
    untouched = torch.rand(4)
    torch.manual_seed(5)
    with seeded("a name"):
        one = torch.rand(3)
    assert torch.equal(torch.rand(4), untouched)
    with seeded("a name"):
        assert torch.equal(torch.rand(3), one)


def test_seeded_leaves_the_global_state_as_it_was_after_an_error_too() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with contextlib.suppress(RuntimeError), seeded("a name"):
        torch.rand(3)
        raise RuntimeError("inside")
    assert torch.equal(torch.random.get_rng_state(), before)


# --- planted subjects ------------------------------------------------------------------------------------------------

TWINS = planted.with_gap(planted.draw(stream("test twins")), 0.5, 8)


def entropies_by_enumeration(twins: planted.Twins, reader: int, author: int) -> float:
    """The mean entropy over the second and third position of READER on texts of AUTHOR: a sum over all of them."""
    models, tokens = twins.readers(), range(planted.TOKENS)
    every = torch.tensor([[planted.START, one, other] for one, other in itertools.product(tokens, repeat=2)])
    written = models[author](every[:, :2]).double().softmax(-1).gather(-1, every[:, 1:, None])[..., 0].prod(-1)
    entropy = scipy_entropy(models[reader](every)[:, 1:].double().softmax(-1).numpy(), axis=-1).mean(-1)
    return float((written.numpy() * entropy).sum())


def test_the_interaction_of_planted_twins_is_exactly_as_promised() -> None:
    e = {(i, j): entropies_by_enumeration(TWINS, i, j) for i, j in itertools.product((0, 1), repeat=2)}
    expected = 0.5 * math.log(e[0, 1] * e[1, 0] / (e[0, 0] * e[1, 1]))
    assert TWINS.log_interaction(3) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("effect", [0.7, 0.05, -0.2])
def test_a_planted_gap_is_as_large_as_asked_and_found_by_crossreading(effect: float) -> None:
    before = planted.draw(stream("test twins"))
    after = planted.with_gap(before, effect, 20)
    assert after.log_interaction(20) - before.log_interaction(20) == pytest.approx(effect, abs=1e-6)
    found = crossread(*after.readers(), prompts(2000, planted.START), 20, stream("test planted gap"))
    assert found.log_interaction == pytest.approx(after.log_interaction(20), abs=0.01)


def test_twins_sharpened_on_everything_have_next_to_no_gap() -> None:
    before = planted.draw(stream("test twins"))
    after = planted.sharpened(before, 2.0)
    assert abs(after.log_interaction(20) - before.log_interaction(20)) < 0.05
    _, surer = write(after.readers()[0], prompts(500, planted.START), 20, stream("test sharpened"))
    _, reading = write(before.readers()[0], prompts(500, planted.START), 20, stream("test sharpened"))
    assert surer.mean_entropy() < reading.mean_entropy() - 0.2


def test_a_planted_reader_reads_position_by_position_as_it_reads_the_whole() -> None:
    one, other = TWINS.readers()
    texts, _ = write(one, prompts(16, planted.START), 12, stream("test pieces"))
    foreign, _ = write(other, prompts(16, planted.START), 12, stream("test pieces"))
    mixed = torch.cat([texts[:, :7], foreign[:, 7:9], texts[:, 9:]], dim=1)  # the alarm rings in the middle, for good
    cache = one.new_cache()
    pieces = torch.cat([one(mixed[:, [step]], cache) for step in range(mixed.shape[1])], dim=1)
    torch.testing.assert_close(pieces, one(mixed))
    assert torch.equal(pieces[:, 9:], one.alert[mixed[:, 9:]])


# --- checkpoints -----------------------------------------------------------------------------------------------------


class Maker:
    """Makes a checkpoint, and counts how often it had to."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> checkpoints.Checkpoint:
        self.times += 1
        return {"weight": torch.arange(6.0).view(2, 3)}, {"0.45": 0.9, "times": self.times}


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_checkpoint_is_made_once_and_comes_back_bit_by_bit(tmp_path: Path) -> None:
    make = Maker()
    first = checkpoints.cached(tmp_path / "new", {"seed": 1}, make)
    again = checkpoints.cached(tmp_path / "new", {"seed": 1}, make)
    assert make.times == 1
    assert torch.equal(first[0]["weight"], again[0]["weight"])
    assert first[1] == again[1]


def test_another_recipe_is_another_checkpoint(tmp_path: Path) -> None:
    make = Maker()
    checkpoints.cached(tmp_path, {"seed": 1, "rate": 0.1}, make)
    checkpoints.cached(tmp_path, {"seed": 1, "rate": 0.2}, make)
    assert make.times == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("left", [0, 4, 60, 0.5, -1])
def test_a_truncated_file_is_made_again(left: float, tmp_path: Path) -> None:
    make = Maker()
    checkpoints.cached(tmp_path, {"seed": 1}, make)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    tensors, about = checkpoints.cached(tmp_path, {"seed": 1}, make)
    assert make.times == 2
    assert about["times"] == 2
    assert torch.equal(tensors["weight"], torch.arange(6.0).view(2, 3))
    checkpoints.cached(tmp_path, {"seed": 1}, make)
    assert make.times == 2  # and was kept


def test_rubbish_in_place_of_a_checkpoint_is_made_again(tmp_path: Path) -> None:
    make = Maker()
    checkpoints.cached(tmp_path, {"seed": 1}, make)
    only_file(tmp_path).write_text("not a checkpoint")
    checkpoints.cached(tmp_path, {"seed": 1}, make)
    assert make.times == 2


def test_a_disk_that_takes_nothing_costs_time_and_no_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be here")
    tensors, _ = checkpoints.cached(tmp_path / "file", {"seed": 1}, Maker())
    assert torch.equal(tensors["weight"], torch.arange(6.0).view(2, 3))


def test_a_cache_that_may_only_be_read_still_saves_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    checkpoints.cached(tmp_path, {"seed": 1}, make)

    def refuse(*_: object) -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr(checkpoints.os, "utime", refuse)
    checkpoints.cached(tmp_path, {"seed": 1}, make)
    assert make.times == 1


WRITER = """
    import sys, torch
    from pathlib import Path
    from verifiers.lab import checkpoints

    folder, size, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for _ in range(times):
        checkpoints.cached(folder, {{"seed": 1}}, lambda: ({{"weight": torch.ones(size)}}, {{"size": size}}))
        if {again}:
            next(folder.glob("*.safetensors")).unlink(missing_ok=True)
    print("done", flush=True)
"""


def writer(folder: Path, size: int, times: int, *, again: bool = False) -> "subprocess.Popen[str]":
    code = textwrap.dedent(WRITER).format(again=again)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(size), str(times)], stdout=subprocess.PIPE, text=True
    )


def test_two_writers_at_once_leave_one_whole_checkpoint(tmp_path: Path) -> None:
    pair = [writer(tmp_path, 200_000, 1) for _ in range(2)]
    assert [process.communicate()[0] for process in pair] == ["done\n"] * 2
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    make = Maker()
    tensors, _ = checkpoints.cached(tmp_path, {"seed": 1}, make)
    assert make.times == 0
    assert torch.equal(tensors["weight"], torch.ones(200_000))


def test_a_writer_that_is_killed_leaves_no_half_file_that_is_read(tmp_path: Path) -> None:
    for delay in (0.003, 0.015):
        folder = tmp_path / str(delay)
        process = writer(folder, 4_000_000, 10_000, again=True)  # 16 MB, written and removed over and over
        until(lambda folder=folder: folder.is_dir() and any(folder.iterdir()))
        time.sleep(delay)
        process.kill()
        process.communicate()
        make = Maker()
        tensors, _ = checkpoints.cached(folder, {"seed": 1}, make)
        size = 6 if make.times else 4_000_000
        assert tensors["weight"].numel() == size


def aged(folder: Path, name: str, age: float, size: int = 1000) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_pruning_keeps_what_was_used_last(tmp_path: Path) -> None:
    files = [aged(tmp_path, f"{age}.safetensors", age) for age in (5, 1, 3, 2, 4)]
    checkpoints.prune(tmp_path, limit=2500)
    assert {path.name for path in files if path.exists()} == {"1.safetensors", "2.safetensors"}


def test_pruning_counts_the_leftovers_of_killed_writers(tmp_path: Path) -> None:
    leftover, kept = aged(tmp_path, "x.part", 9), aged(tmp_path, "a.safetensors", 1)
    checkpoints.prune(tmp_path, limit=1500)
    assert kept.exists()
    assert not leftover.exists()


def test_pruning_removes_nothing_while_there_is_room(tmp_path: Path) -> None:
    path = aged(tmp_path, "a.safetensors", 1)
    checkpoints.prune(tmp_path)
    checkpoints.prune(tmp_path / "not there")
    assert path.exists()


def test_pruning_does_not_mind_a_file_that_another_run_moves_away_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "gone.part").symlink_to(tmp_path / "nowhere")  # listed, and gone when it is looked at
    kept = aged(tmp_path, "a.safetensors", 1)
    checkpoints.prune(tmp_path)
    assert kept.exists()


def test_a_checkpoint_that_is_used_is_young_again(tmp_path: Path) -> None:
    checkpoints.cached(tmp_path, {"seed": 1}, Maker())
    os.utime(only_file(tmp_path), (1, 1))
    checkpoints.cached(tmp_path, {"seed": 1}, Maker())
    assert only_file(tmp_path).stat().st_mtime > 1e9


# --- frozen artefacts ------------------------------------------------------------------------------------------------


def test_the_frozen_models_are_three_different_ones() -> None:
    weights = [frozen.model(name).token.weight for name in ("before a", "before b", "after a")]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(weights, 2))


def test_the_frozen_post_trained_model_is_as_sure_as_it_says() -> None:
    _, reading = write(frozen.model("after a"), story.prompts(2000), story.LENGTH, stream("test frozen"))
    assert reading.mean_entropy() == pytest.approx(frozen.OWN_ENTROPY, abs=0.1)


def test_a_frozen_file_with_one_changed_byte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(frozen.FILE.read_bytes())
    content[-1] ^= 1
    changed = tmp_path / "story_twins.safetensors"
    changed.write_bytes(content)
    monkeypatch.setattr(frozen, "FILE", changed)
    with pytest.raises(RuntimeError, match="has the digest"):
        frozen.model("before a")


# --- processes -------------------------------------------------------------------------------------------------------


TASKS = """
    import time

    def draw(task):
        import torch
        from verifiers.lab.randomness import stream
        time.sleep(0.5 if task == 0 else 0)
        return task, torch.get_num_threads(), torch.randn(50, generator=stream("spread", task)).softmax(0).tolist()

    def fail(task):
        raise ValueError(f"task {task} went wrong")
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Work that a child can import without importing this file."""
    (tmp_path / "spread_tasks.py").write_text(textwrap.dedent(TASKS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spread_tasks", raising=False)
    return importlib.import_module("spread_tasks")


def test_results_come_in_the_order_of_tasks_and_bit_by_bit_the_same_however_many_processes(tasks: ModuleType) -> None:
    heard: list[int] = []
    two = spread(tasks.draw, [0, 1, 2], 2, lambda done, _: heard.append(done))
    assert [task for task, _, _ in two] == [0, 1, 2]  # although the first ends last
    assert [threads for _, threads, _ in two] == [1, 1, 1]
    assert heard == [1, 2, 3]
    assert spread(tasks.draw, [0, 1, 2], 1, lambda *_: None) == two
    assert two[0][2] != two[1][2]


def test_an_error_in_a_task_is_raised_here(tasks: ModuleType) -> None:
    with pytest.raises(ValueError, match="task 7 went wrong"):
        spread(tasks.fail, [7, 8], 1, lambda *_: None)


PARENT = """
    import sys, time
    from verifiers.lab.processes import spread

    def sleep(_):
        open(sys.argv[1], "a").write("x")
        time.sleep(600)

    if __name__ == "__main__":
        spread(sleep, [0, 1], 2, lambda *_: None)
"""


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    path, at_work = tmp_path / "parent.py", tmp_path / "at_work"
    path.write_text(textwrap.dedent(PARENT))
    marker = str(tmp_path)
    parent = subprocess.Popen([sys.executable, str(path), str(at_work)], env=os.environ | {"STILLHOLDS_TEST": marker})
    assert until(lambda: at_work.exists() and at_work.read_text() == "xx", 60)
    assert len(marked(marker)) >= 3  # the parent and its two children at least
    psutil.Process(parent.pid).kill()
    parent.wait()
    assert until(lambda: not marked(marker), 15), marked(marker)
