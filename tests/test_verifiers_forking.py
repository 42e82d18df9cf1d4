"""`forking_share` against independent truth: arms, contrasts, planted successes, breaks, gates, and what tokens are."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from verifiers import forking_share
from verifiers.cards.forking_share import FORKING_SHARE, SUBJECTS
from verifiers.forking_share import PLANTED, SPREADS, Settings, planted_unit
from verifiers.lab import forks_controls, forks_planted, forks_tokens, masked, path, path_bases
from verifiers.lab.forks_controls import BREAKS, HEALTHY, TRAINING_BREAKS, VARIATIONS, Gated, contrasts
from verifiers.lab.forks_planted import PARTS, Author
from verifiers.lab.forks_tokens import PartlyTempered
from verifiers.lab.masked import KINDS, Arm
from verifiers.lab.model import Decoder
from verifiers.lab.path import CHOICES, MIXED, PROMPT, SLIPS, Spec
from verifiers.lab.path_bases import Base
from verifiers.lab.randomness import seeded, stream
from verifiers.lab.sampling import LanguageModel, read, write
from verifiers.lab.token_rules import kept_tokens
from verifiers.lab.training import Pretraining
from verifiers.measurement import Findings, Request, SubjectRef

SMALL = Spec(ops=4, fillers=1, clauses=2, noise=0.1)
WORLDS = {name: path.draw(spec, stream("test forks")) for name, spec in (("M", MIXED), ("F", CHOICES), ("X", SLIPS))}


def untrained(spec: Spec, name: str = "test base") -> Base:
    with seeded(name):
        model = Decoder(path_bases.shape(spec))
    return Base(path.draw(spec, stream("test forks")), model, 1.0, 0.0, 0, {})


# --- arms and contrasts ----------------------------------------------------------------------------------------------


def test_contrasts_are_those_of_the_claim() -> None:
    found = contrasts({"base": 0.3, "all": 0.8, "top": 0.74, "random": 0.7, "bottom": 0.4})
    assert found["full_gain"] == pytest.approx(0.5)
    assert found["top_not_inferior"] == pytest.approx(0.74 - 0.8 + 0.1 * 0.5)
    assert found["top_over_random"] == pytest.approx(0.04 - 0.05 * 0.5)
    assert found["rest_adds_little"] == pytest.approx(0.1 - 0.25 * 0.5)
    assert found["rest_adds_half"] == pytest.approx(0.1 - 0.5 * 0.5)
    assert found["random_not_inferior"] == pytest.approx(-0.1 + 0.1 * 0.5)
    assert [found[f"{arm}_gain"] for arm in ("top", "random", "rest")] == pytest.approx([0.44, 0.4, 0.1])
    assert found["top_surpasses"] == pytest.approx(-0.06)
    only = {"base": 0.3, "all": 0.8, "top": 0.74}
    assert forks_controls.contrast_of("top_not_inferior", only) == found["top_not_inferior"]


@pytest.mark.parametrize("share", [0.2, 0.125, 0.33])
def test_masks_are_complements_and_as_large_as_asked_even_with_ties(share: float) -> None:
    entropy = torch.randint(5, (64, 15), generator=stream("test ties")).float()
    top, bottom, chance = (
        kept_tokens(masked.mask(kind, share), entropy, stream("test draw")) for kind in ("top", "bottom", "random")
    )
    assert torch.equal(top, ~bottom)
    assert top.sum() == chance.sum() == round(share * 960)
    assert entropy[top].min() >= entropy[bottom].max()
    assert masked.mask("all", share) is None


def test_arms_share_prompts_and_noise_so_masks_that_keep_everything_change_no_bit() -> None:
    base = untrained(SMALL)
    ends = {
        kind: masked.trained(base, ("test arms",), Arm(kind, 1.0, rate=1e-3, steps=3, reward="random")).end.state_dict()
        for kind in ("all", "top", "random")
    }
    for kind in ("top", "random"):
        assert all(torch.equal(ends["all"][key], ends[kind][key]) for key in ends["all"])
    half = masked.trained(base, ("test arms",), Arm("top", 0.5, rate=1e-3, steps=3, reward="random")).end.state_dict()
    assert not all(torch.equal(ends["all"][key], half[key]) for key in half)


def test_an_arm_is_the_same_from_the_folder_and_was_looked_at_half_way(tmp_path: Path) -> None:
    base = untrained(SMALL)
    arm = Arm("top", 0.25, rate=1e-3, steps=4, reward="random")
    made, kept = (masked.trained(base, ("test arms",), arm, tmp_path) for _ in range(2))
    assert len(list(tmp_path.iterdir())) == 1
    short = masked.trained(base, ("test arms",), replace(arm, steps=2))
    for key, weight in made.end.state_dict().items():
        assert torch.equal(weight, kept.end.state_dict()[key])
        assert torch.equal(made.halfway.state_dict()[key], short.end.state_dict()[key])
    assert made.miscounted == 0


def test_a_mask_that_keeps_another_number_is_counted() -> None:
    wrong = Arm("top", 0.25, rate=1e-3, steps=2, mask_of=lambda kind, share: masked.mask(kind, 2 * share))
    found = masked.trained(untrained(SMALL), ("test arms",), wrong)
    assert found.miscounted == 256 * SMALL.length // 4


# --- planted truths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())
def test_an_author_as_a_model_is_the_author(world: path.Path) -> None:
    author = Author(world)
    assert path.success(author, world).tolist() == pytest.approx(path.author_success(world).tolist(), abs=1e-6)
    texts, writing = write(author, path.prompts(2000, stream("test author")), world.spec.length, stream("test writes"))
    again = read(author, texts, PROMPT)
    assert (again.entropy - writing.entropy).abs().max() < 1e-6
    assert float(path.reward(world, texts).mean()) == pytest.approx(float(path.author_success(world).mean()), abs=0.05)
    assert path_bases.quality_of(author, world) == pytest.approx(1, abs=1e-6)
    assert path_bases.excess_of(author, world, ("test",)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("success", [0.0, 0.03, 0.5, 0.87, 1.0])
def test_any_success_can_be_planted_exactly(success: float) -> None:
    author = forks_planted.author(success, stream("test success", str(success)))
    assert path.success(author, author.world).tolist() == pytest.approx([success] * 49, abs=1e-6)
    texts = path.write(author.world, path.prompts(4000, stream("test drawn")), stream("test drawn"))
    assert float(path.reward(author.world, texts).mean()) == pytest.approx(success, abs=0.04)


@pytest.mark.parametrize("subject", PLANTED)
def test_planted_subjects_have_exactly_their_truths_as_the_record_says(subject: str) -> None:
    assert FORKING_SHARE.trial is not None
    truth = FORKING_SHARE.trial.planted[f"planted:{subject}"]
    assert truth == PLANTED[subject]
    steady = Settings(0.2, 1e-3, 60, details=False, units=8, spread=1e-7)
    for unit in range(3):
        found = planted_unit(subject, ("test planted", unit), steady, HEALTHY)
        assert [found.values[part] for part in PARTS] == pytest.approx(list(PLANTED[subject]), abs=2e-6)


def test_planted_units_spread_about_their_truth_as_asked() -> None:
    assert FORKING_SHARE.trial is not None
    assert FORKING_SHARE.trial.spread == SPREADS
    settings = Settings(0.2, 1e-3, 60, details=False, units=8, spread=SPREADS[0])
    units = [planted_unit("forks-design", ("test spread", unit), settings, HEALTHY) for unit in range(60)]
    for part, truth, spread in zip(PARTS, PLANTED["forks-design"], SPREADS, strict=True):
        values = torch.tensor([float(unit.values[part]) for unit in units])
        assert float(values.std()) == pytest.approx(spread, rel=0.35)
        assert float(values.mean()) == pytest.approx(truth, abs=0.015)


def test_contrasts_that_no_successes_have_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        forks_planted.arms((0.5, 0.0, 0.0), stream("test impossible"))


# --- controls --------------------------------------------------------------------------------------------------------

CAUGHT_BY = {
    "masks mixed up": "masks keep forks, the rest, and as many as asked",
    "entropy shifted by one position": "masks keep forks, the rest, and as many as asked",
    "temperature 20 % too low": "known success",
    "temperature 20 % too high": "known success",
    "planted effect of half size": "planted contrasts",
}


def failed(controls: Any) -> set[str]:
    return {control.name for control in controls if control.passed is not True}


@pytest.mark.parametrize("instrument", [HEALTHY, *VARIATIONS.values()], ids=["healthy", *VARIATIONS])
def test_a_healthy_instrument_passes_its_controls(instrument: forks_controls.Instrument) -> None:
    for seed in range(8):
        assert failed(forks_controls.of_the_instrument(stream("test healthy", seed), instrument)) == set()


@pytest.mark.parametrize("broken", BREAKS)
def test_every_break_is_caught_by_the_control_that_is_there_for_it(broken: str) -> None:
    for seed in range(4):
        caught = failed(forks_controls.of_the_instrument(stream("test breaks", seed), BREAKS[broken]))
        assert CAUGHT_BY[broken] in caught


def test_every_break_of_the_record_can_be_made() -> None:
    assert FORKING_SHARE.trial is not None
    assert set(FORKING_SHARE.trial.breaks) == set(BREAKS)
    assert set(FORKING_SHARE.trial.training_breaks) == set(TRAINING_BREAKS)
    assert set(FORKING_SHARE.trial.variations) == set(VARIATIONS)


# --- bases and gates -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the good base of the short trainings is kept."""
    return tmp_path_factory.mktemp("bases") / "checkpoints"


def test_a_base_that_learned_too_little_is_redrawn_counted_and_at_last_handed_back(tmp_path: Path) -> None:
    settings = Pretraining(steps=15, texts=8)
    base, again = (path_bases.base(SMALL, ("test bases",), settings, tmp_path) for _ in range(2))
    assert base.rejected == path_bases.ATTEMPTS - 1
    assert not base.is_good
    assert (again.quality, again.excess, again.rejected) == (base.quality, base.excess, base.rejected)
    assert torch.equal(again.model.head.weight, base.model.head.weight)
    first = path_bases.raised(base.world, ("test bases", "attempt", 0), settings)
    assert not torch.equal(first.head.weight, base.model.head.weight)


@pytest.mark.parametrize(
    ("broken", "caught_by"),
    [
        (None, set()),
        ("unlearned base", {"bases succeed like the author", "bases read well"}),
        ("random reward", {"training learned what it names"}),
        ("swapped reward", {"training learned what it names"}),
    ],
)
def test_training_that_is_broken_is_caught_by_its_gate_and_no_other_is(
    broken: str | None, caught_by: set[str], folder: Path
) -> None:
    how = TRAINING_BREAKS[broken] if broken else (forks_controls.GOOD, "named")
    found = failed(forks_controls.gates([forks_controls.of_short_training(*how, ("test gates", 1), folder)]))
    assert caught_by <= found
    if broken != "unlearned base":
        assert found == caught_by


def test_gates_ask_the_worst_unit() -> None:
    good = Gated(0.9, 0.003, 0.7, 0.0)
    assert forks_controls.gates([]) == ()
    assert failed(forks_controls.gates([good, replace(good, quality=1.02)])) == set()
    assert failed(forks_controls.gates([good, replace(good, quality=0.84)])) == {"bases succeed like the author"}
    assert failed(forks_controls.gates([replace(good, excess=0.007), good])) == {"bases read well"}
    assert failed(forks_controls.gates([replace(good, learned=0.2), good])) == {"training learned what it names"}
    assert failed(forks_controls.gates([good, replace(good, miscounted=1.0)])) == {"masks kept as many as asked"}


# --- what tokens are -------------------------------------------------------------------------------------------------


def test_concentration_knows_an_exponential_and_a_constant() -> None:
    exponential = torch.empty(400, 500, dtype=torch.float64).exponential_(generator=stream("test exponential"))
    found = forks_tokens.concentration(exponential)
    assert found["top_fifth_of_entropy"] == pytest.approx(forks_tokens.EXPONENTIAL, abs=0.005)
    assert found["certain_tokens"] == pytest.approx(1 - math.exp(-0.01), abs=0.002)
    assert found["entropy_quantile"] == pytest.approx(-math.log(0.2), abs=0.02)
    assert forks_tokens.concentration(torch.ones(10, 10))["top_fifth_of_entropy"] == pytest.approx(0.2)
    assert isinstance(forks_tokens.concentration(torch.zeros(10, 10))["top_fifth_of_entropy"], str)


@pytest.mark.parametrize(("temperature", "above"), [(0.6, True), (1.6, True), (0.6, False), (1.6, False)])
def test_divergence_weighed_out_of_own_texts_is_that_of_the_changed_models_texts(
    temperature: float, above: bool
) -> None:
    world, chance = WORLDS["M"], stream("test divergence")
    author = Author(world)
    changed = PartlyTempered(author, temperature, 0.8, above)
    own, theirs = (
        write(model, path.prompts(6000, chance), world.spec.length, chance)[0] for model in (author, changed)
    )
    before, after = (model(theirs[:, :-1])[:, PROMPT - 1 :].double().log_softmax(-1) for model in (author, changed))
    expected = float((after.exp() * (after - before)).sum(-1).sum(1).mean())
    logits = author(own[:, :-1])[:, PROMPT - 1 :]
    assert forks_tokens.spent_by(changed, logits, own) == pytest.approx(expected, rel=0.06)


def test_a_temperature_touches_the_tokens_it_names_alone() -> None:
    world = WORLDS["M"]
    author = Author(world)
    texts = path.write(world, path.prompts(50, stream("test touched")), stream("test touched"))
    fork = torch.zeros(world.spec.length, dtype=torch.bool)
    fork[path.fork_positions(world.spec)] = True
    plain = author(texts[:, :-1])[:, PROMPT - 1 :]
    for above in (True, False):
        changed = PartlyTempered(author, 0.5, 0.8, above).applied(plain)
        differs = (changed != plain).any(-1).any(0)
        assert torch.equal(differs, fork if above else ~fork)


def test_where_nothing_can_be_spent_there_is_a_reason() -> None:
    base = untrained(CHOICES)
    exact: Any = Author(base.world)
    texts = path.write(base.world, path.prompts(100, stream("test spent")), stream("test spent"))
    found = forks_tokens.temperatures(replace(base, model=exact), texts)
    assert isinstance(found["cooling_asymmetry"], str)  # all but forks are certain, and cooling leaves them so


def test_a_model_overlaps_with_itself_and_a_drifted_one_is_as_far_as_asked() -> None:
    base, chance = untrained(SMALL).model, stream("test drift")
    texts = path.write(path.draw(SMALL, chance), path.prompts(100, chance), chance)
    assert forks_tokens.overlap(base, base, texts) == 1
    direction = {key: torch.randn(weight.shape, generator=chance) for key, weight in base.state_dict().items()}
    drifted = forks_tokens.as_far(base, direction, 0.02, texts)
    assert drifted is not None
    assert forks_tokens.drift(base, drifted, texts) == pytest.approx(0.02, rel=0.05)
    nowhere = {key: torch.zeros_like(weight) for key, weight in direction.items()}
    assert forks_tokens.as_far(base, nowhere, 0.02, texts) is None


def test_the_worth_of_a_forced_token_is_what_continuations_earn() -> None:
    world, chance = WORLDS["M"], stream("test forced")
    author = Author(world)
    texts = path.correct_texts(world, path.every_prompt())[::40][:6]
    value = forks_tokens.after_each(author, world, texts, world.spec.tokens)
    for text, row in zip(texts, value, strict=True):
        for position in (0, 4, 5, 10):
            for token in {int(text[PROMPT + position]), (int(text[PROMPT + position]) + 1) % 11}:
                forced = torch.cat([text[: PROMPT + position], torch.tensor([token])])
                assert float(row[position, token]) == pytest.approx(earned(author, world, forced, chance), abs=0.06)


def earned(model: LanguageModel, world: path.Path, beginning: Tensor, chance: torch.Generator) -> float:
    """The mean reward of continuations of one BEGINNING that MODEL writes; 0 where nothing sensible can follow."""
    left = PROMPT + world.spec.length - len(beginning)
    kind = path.STATES if (len(beginning) - PROMPT - 1) % world.spec.clause_length == 0 else 0
    if (kind == 0) == (int(beginning[-1]) >= path.STATES) and (len(beginning) - PROMPT) % world.spec.clause_length in (
        0,
        1,
    ):
        return 0.0
    many = beginning.repeat(1500, 1)
    return float(path.reward(world, write(model, many, left, chance)[0] if left else many).mean())


def test_forks_are_found_as_often_as_entropy_is_higher_there() -> None:
    score = torch.tensor([[9.0, 8.0] + [0.0] * 18])
    rising = torch.arange(20.0)[None]
    assert forks_tokens.found_by(rising.flip(1), score) == 1
    assert forks_tokens.found_by(rising, score) == 0
    assert forks_tokens.found_by(torch.ones(1, 20), score) == 0.5
    assert isinstance(forks_tokens.found_by(rising, torch.zeros(1, 20)), str)


def test_an_author_chooses_at_its_uncertain_tokens_and_breaks_at_the_certain_ones() -> None:
    world = WORLDS["F"]
    texts = path.write(world, path.prompts(300, stream("test outcome")), stream("test outcome"))
    found = forks_tokens.outcome_forks(Author(world), world, texts)
    assert float(found["drawn_forks"]) > 0.85  # only its choices can go either way
    assert float(found["forced_forks"]) < 0.6  # whatever is forced for a certain token is wrong


# --- runs ------------------------------------------------------------------------------------------------------------


def run(cache: Path, subject: str = "lab:path-mixed", seed: int = 1, **settings: Any) -> Findings:
    request = Request(
        verifier="forking_share", subject=SubjectRef.parse(subject), seed=seed, cache=str(cache), **{"profile": "smoke", **settings}
    )  # fmt: skip
    return forking_share.measure(request, lambda *_: None)


@pytest.fixture(scope="module")
def with_details(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return run(tmp_path_factory.mktemp("details"))


def test_every_endpoint_has_a_value_or_a_reason_and_every_number_is_one(with_details: Findings) -> None:
    assert [one.name for one in with_details.endpoints] == [spec.name for spec in FORKING_SHARE.endpoints]
    for endpoint in with_details.endpoints:
        for unit, value in enumerate(endpoint.values):
            assert (value is None) == (unit in endpoint.missing)
            assert value is None or endpoint.cap[0] <= value <= endpoint.cap[1]
    assert [curve.name for curve in with_details.curves] == ["arms", "spectrum", "grid"]
    assert len(with_details.curves[2].arms) == 3
    assert set(with_details.series) >= {"base", *KINDS, "base_quality", "base_excess", "bases_rejected"}


def test_details_change_no_bit_of_the_parts_and_are_left_out_with_a_reason(
    with_details: Findings, tmp_path: Path
) -> None:
    without = run(tmp_path, parameters={"details": 0}, processes=2)
    for part in PARTS:
        assert without.endpoint(part).values == with_details.endpoint(part).values
    assert without.series == with_details.series
    assert without.controls == with_details.controls
    assert without.endpoint("overlap").values == (None, None)
    assert [curve.name for curve in without.curves] == ["arms"]


def test_parts_are_the_contrasts_of_the_series(with_details: Findings) -> None:
    for unit in range(2):
        reached = {name: float(with_details.series[name][unit] or 0) for name in ("base", *KINDS)}
        for part in PARTS:
            assert with_details.endpoint(part).values[unit] == contrasts(reached)[part]


def test_a_planted_run_needs_no_training_and_says_why_the_rest_is_not_measured(tmp_path: Path) -> None:
    found = run(tmp_path, "planted:forks-design", profile="standard")
    assert len(found.endpoint("top_not_inferior").values) == 8
    assert all(control.passed for control in found.controls)
    assert set(found.endpoint("full_gain").missing.values()) == {"this subject or contract does not ask for it"}
    assert found == run(tmp_path, "planted:forks-design", profile="standard")
    assert found != run(tmp_path, "planted:forks-design", profile="standard", seed=2)


@pytest.mark.parametrize("broken", ["masks mixed up", "random reward"])
def test_a_broken_run_is_void(folder: Path, broken: str) -> None:
    subject = "planted:forks-design" if broken in BREAKS else "lab:path-choices"
    found = run(folder.parent, subject, profile="standard", units=1, broken=broken, controls=broken in BREAKS)
    assert failed(found.controls)


def test_every_subject_of_the_record_is_known_to_the_experiment() -> None:
    labs = {name.removeprefix("lab:") for name in SUBJECTS if name.startswith("lab:")}
    assert labs == set(forking_share.WORLDS)
    assert {name for name in SUBJECTS if name.startswith("planted:")} == {f"planted:{name}" for name in PLANTED}
    assert set(FORKING_SHARE.subjects) == set(SUBJECTS)
