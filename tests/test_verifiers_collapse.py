"""`collapse_fit` against independent truth: fits by numpy and scipy, planted runs, false families, breaks, bits."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import linregress, pearsonr

from tests.claims_support import reproducible
from verifiers.cards.collapse_fit import COLLAPSE_FIT
from verifiers.collapse_fit import ARMS, measure, unit_of
from verifiers.lab import bandit, collapse_forms, collapse_gates, collapse_lab, fits, path, path_bases
from verifiers.lab import collapse_instrument as instruments
from verifiers.lab import collapse_planted as planted
from verifiers.lab.collapse_instrument import BREAKS, HEALTHY, VARIATIONS
from verifiers.lab.fits import Array, Fit, Run
from verifiers.lab.randomness import stream
from verifiers.measurement import Findings, Request, SubjectRef
from verifiers.records import BadParameters

Random = np.random.Generator


def chance(*name: str | int) -> Random:
    return planted.generator("test collapse", *name)


def noisy(seed: int = 0, points: int = 50) -> Run:
    """An honest run: entropy falls, reward follows the law with a point of noise."""
    draw = chance("noisy", seed)
    time = np.linspace(0, 1, points)
    entropy = 0.05 + 1.2 * (0.7 * np.exp(-time / 0.1) + 0.3 * np.exp(-time / 0.5))
    score = 0.9 - 0.2 * (np.exp(entropy) - 1) + 0.01 * draw.standard_normal(points)
    return Run(np.arange(0.0, 4 * points, 4), entropy, score)


def fitted(run: Run) -> Fit:
    found = fits.fit(run)
    assert isinstance(found, Fit), found
    return found


def number(run: Run) -> float:
    value = fitted(run).value
    assert isinstance(value, float), value
    return value


# --- fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_law_is_what_numpy_and_scipy_fit(seed: int) -> None:
    run = noisy(seed)
    found = fitted(run)
    slope, intercept = np.polyfit(np.exp(run.entropy), run.score, 1)
    assert (found.a, found.b) == pytest.approx((-slope, intercept))
    assert found.raw == pytest.approx(linregress(np.exp(run.entropy), run.score).rvalue ** 2)
    assert found.ceiling == pytest.approx(intercept + slope)


@pytest.mark.parametrize("seed", range(5))
def test_the_share_beyond_a_line_is_the_squared_partial_correlation(seed: int) -> None:
    run = noisy(seed)
    x, y = np.exp(run.entropy), run.score
    both = [values - np.polyval(np.polyfit(run.step, values, 1), run.step) for values in (x, y)]
    assert fitted(run).beyond_line == pytest.approx(pearsonr(*both).statistic ** 2)


def test_equal_numbers_explain_nothing_and_are_not_explained() -> None:
    run = noisy()
    level = np.full_like(run.score, 0.1 + 0.2)
    for x, y in ((level, run.score), (run.score, level)):
        found = fits.line(x, y)
        assert (found.slope, found.share) == (0.0, 0.0)
        assert found.intercept == pytest.approx(float(y.mean()))
    assert number(Run(run.step, run.entropy, level)) == 0.0


@given(st.floats(0.05, 0.95), st.floats(0.03, 0.3), st.booleans())
@settings(reproducible, max_examples=25)
def test_the_best_rise_in_step_is_nearly_as_good_as_the_one_that_made_the_points(
    middle: float, width: float, up: bool
) -> None:
    time = np.linspace(0, 1, 60)
    y = 1 / (1 + np.exp(-(time - middle) / width))
    assert fits.rise(time * 200, y if up else 1 - y).share > 0.997


def test_the_best_rise_is_not_behind_scipys_search() -> None:
    run = noisy(3)

    def curve(t: Array, low: float, high: float, middle: float, width: float) -> Array:
        values: Array = low + high / (1 + np.exp(-(t - middle) / width))
        return values

    time = run.step / run.step[-1]
    best, _ = curve_fit(curve, time, run.score, p0=(0.0, 1.0, 0.0, 0.1), maxfev=20_000)
    left = run.score - curve(time, *best)
    by_scipy = 1 - float(left @ left) / float(fits.centred(run.score) @ fits.centred(run.score))
    assert fits.rise(run.step, run.score, ["step"]).share > by_scipy - 1e-3


def test_a_rise_is_read_off_at_other_steps_by_the_clock_that_it_was_fitted_with() -> None:
    run = noisy()
    for clock in fits.CLOCKS:
        best = fits.rise(run.step, run.score, [clock])
        assert best.at(run.step[5:9], run.step) == pytest.approx(best.curve[5:9])


# --- what cannot be read ------------------------------------------------------------------------------------------------


def with_entropy(change: Callable[[Run], Array]) -> Run:
    run = noisy()
    return Run(run.step, change(run), run.score)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (noisy(points=11), "11 points"),
        (Run(*(np.array([value]) for value in (0.0, 1.0, 0.5))), "1 points"),
        (with_entropy(lambda run: 0.05 * run.entropy), "wholly after the collapse"),
        (with_entropy(lambda run: np.log(3 - run.step / 100)), "cannot be told from a drift"),
        (with_entropy(lambda run: 0.1 + 2.0 * (run.step == 0)), "lies in one point"),
    ],
    ids=["few points", "one point", "late", "straight", "one high point"],
)
def test_what_entropy_alone_shows_is_a_reason_whatever_the_reward(run: Run, said: str) -> None:
    for score in (run.score, run.score[::-1], np.zeros_like(run.score)):
        found = fits.fit(Run(run.step, run.entropy, score))
        assert isinstance(found, str)
        assert said in found


def test_a_rising_entropy_speaks_against_the_law_or_not_at_all() -> None:
    run = noisy()
    both_rise = Run(run.step, run.entropy[::-1], run.score[::-1] * -1 + 1)
    assert number(both_rise) == pytest.approx(-fitted(run).raw)
    falling = fitted(Run(run.step, run.entropy[::-1], run.score[::-1]))
    assert "the law speaks of runs whose entropy falls" in str(falling.value)


# --- planted runs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [-0.9, 0.0, 0.3, 0.6, 0.75, 0.9, 0.97, 1.0])
def test_a_planted_share_is_exact(share: float) -> None:
    for seed in range(5):
        run = planted.law(share, chance("planted", seed))
        assert math.copysign(linregress(np.exp(run.entropy), run.score).rvalue ** 2, share) == pytest.approx(
            share, abs=1e-9
        )
        assert fitted(run).raw == pytest.approx(share, abs=1e-9)
        if share >= 0.6:
            assert number(run) == fitted(run).raw


@pytest.mark.parametrize("subject", planted.SHARES)
def test_the_median_of_a_planted_subject_is_its_share(subject: str) -> None:
    values = [number(planted.run_of(subject, ("test", index), 0.02)) for index in range(80)]
    assert abs(np.median(values) - planted.SHARES[subject]) < 4 * 0.02 * 1.2533 / math.sqrt(80)
    steady = [number(planted.run_of(subject, ("test", index), 1e-6)) for index in range(10)]
    assert steady == pytest.approx([planted.SHARES[subject]] * 10, abs=1e-5)


# --- the ways to be fooled -------------------------------------------------------------------------------------------------


def passes(make: Callable[[Random], Run], logs: int = 12, runs: int = 8) -> int:
    """How many logs of RUNS runs each come out as HOLDS: every run at 0.9 or more."""
    count = 0
    for log in range(logs):
        values = [instruments.value(fits.fit(make(chance("log", log, run)))) for run in range(runs)]
        count += all(isinstance(value, float) and value >= 0.9 for value in values)
    return count


def settled(draw: Random, constant: float) -> Run:
    """A reward that settles by itself, with a time constant of its own beside that of entropy (0.1)."""
    run = noisy()
    time = run.step / run.step[-1]
    entropy = 0.05 + 1.0 * np.exp(-time / 0.1)
    score = 0.2 + 0.6 * (1 - np.exp(-time / constant)) + 0.01 * draw.standard_normal(len(time))
    return Run(run.step, entropy, score)


def walk(draw: Random) -> Run:
    """Two random walks with a drift each."""
    count = 80
    steps = np.arange(float(count))
    down, up = (steps / count + 0.3 * np.cumsum(draw.standard_normal(count)) / math.sqrt(count) for _ in range(2))
    return Run(steps, np.maximum(1.2 - down, 0.01), 0.2 + 0.4 * up)


def matched_logistic(draw: Random) -> Run:
    """A logistic rise that was chosen to have the middle of an unrelated decay, so that its R² is high."""
    time = np.linspace(0, 1, 80)
    entropy = 0.05 + 0.5 * np.exp(-time / 0.25)
    score = 0.2 + 0.5 / (1 + np.exp(-(time - 0.17) / 0.06)) + 0.005 * draw.standard_normal(80)
    return Run(time * 320, entropy, score)


def drifting_beside_a_decay(draw: Random) -> Run:
    run = noisy()
    return Run(run.step, run.entropy, 0.2 + 0.002 * run.step + 0.01 * draw.standard_normal(len(run.step)))


FALSE: dict[str, Callable[[Random], Run]] = {
    **planted.FALSE,
    "walk": walk,
    "matched logistic": matched_logistic,
    "drift beside a decay": drifting_beside_a_decay,
    "settles three times as slowly": lambda draw: settled(draw, 0.3),
    "settles three times as fast": lambda draw: settled(draw, 0.033),
}


@pytest.mark.parametrize("make", FALSE.values(), ids=FALSE.keys())
def test_what_only_looks_like_a_law_never_holds(make: Callable[[Random], Run]) -> None:
    assert passes(make) == 0


def test_an_honest_law_holds() -> None:
    for log in range(12):
        assert all(number(noisy(8 * log + run)) >= 0.9 for run in range(8))


def test_a_reward_that_settles_as_exp_of_entropy_does_cannot_be_told_from_the_law() -> None:
    assert passes(lambda draw: settled(draw, 0.085)) == 12  # exp(H) itself settles somewhat faster than H


def test_without_the_guards_two_drifts_are_taken_for_a_law() -> None:
    raw = [fits.line(run.branching, run.score).share for run in (planted.drift(chance(i)) for i in range(8))]
    assert min(raw) > 0.9


# --- forms, forecasts, times -------------------------------------------------------------------------------------------------


def of_form(form: Callable[[Array], Array], noise: float = 0.003, top: float = 2.0) -> Run:
    """A run whose reward is −FORM of an entropy that falls from TOP, with noise."""
    time = np.linspace(0, 1, 60)
    entropy = 0.05 + (top - 0.05) * np.exp(-time / 0.35)
    down = form(entropy)
    score = 0.2 + 0.65 * (down.max() - down) / np.ptp(down) + noise * chance("form").standard_normal(60)
    return Run(time * 236, entropy, score)


@pytest.mark.parametrize("form", collapse_forms.FORMS)
def test_the_form_that_made_a_run_wins_on_blocks_left_out(form: str) -> None:
    over = collapse_forms.over_forms(of_form(collapse_forms.FORMS[form]))
    assert isinstance(over, float)
    assert (over > 0.5) == (form == "exponential")
    assert (over < -0.5) == (form != "exponential")


def test_a_form_is_not_identified_below_a_nat() -> None:
    for said in (
        collapse_forms.over_forms(of_form(np.exp, top=0.9)),
        collapse_forms.over_rise(of_form(np.exp, top=0.9)),
    ):
        assert said == "not identified: entropy spans 0.80 nats, and only over one the form shows"


def test_the_shares_of_the_forms_are_those_of_scipy() -> None:
    run = noisy()
    found = collapse_forms.shares(run)
    for name, form in {
        "linear": run.entropy,
        "square root": np.sqrt(run.entropy),
        "logarithm": np.log(run.entropy),
    }.items():
        assert found[name] == pytest.approx(linregress(form, run.score).rvalue ** 2)


def test_a_forecast_is_fitted_to_the_first_third_and_never_clipped() -> None:
    run = of_form(np.exp)
    high = int(np.argmax(run.score > 0.9)) if (run.score > 0.9).any() else len(run.score)
    third, x = high // 3, np.exp(run.entropy)
    slope, intercept = np.polyfit(x[:third], run.score[:third], 1)
    wrong = 100 * np.sqrt(np.mean((slope * x[third:high] + intercept - run.score[third:high]) ** 2))
    foretold = collapse_forms.forecast(run)
    assert not isinstance(foretold, str)
    assert foretold[0] == pytest.approx(wrong)
    assert foretold[1] > 1.0  # e-fold better than its rivals where it is true
    too_high = Run(run.step, run.entropy, run.score + np.linspace(0, 0.6, 60))
    assert "up to 0.9" in str(collapse_forms.forecast(too_high.only(np.arange(40, 60))))


def test_timing_is_the_ratio_of_half_times() -> None:
    time = np.linspace(0, 1, 400)
    run = Run(time * 100, 0.1 + np.exp(-time / 0.04), 0.9 - 0.6 * np.exp(-time / 0.08))
    timing = collapse_forms.timing(run)
    assert timing == pytest.approx(math.log(0.04 / 0.08), abs=0.02)
    assert "no half of the way" in str(collapse_forms.timing(Run(run.step, run.entropy, 0 * run.score + 0.3)))


def test_an_arm_is_held_against_the_curve_at_the_same_entropy() -> None:
    run = of_form(np.exp, noise=0.0)
    slower = run.only(np.arange(10, 60, 2))
    assert collapse_forms.off_the_curve(slower, run) == pytest.approx(0.0, abs=1e-9)
    above = Run(slower.step, slower.entropy, slower.score + 0.03)
    assert collapse_forms.off_the_curve(above, run) == pytest.approx(3.0)
    elsewhere = Run(run.step, run.entropy + 3, run.score)
    assert "too few points" in str(collapse_forms.off_the_curve(elsewhere, run))


# --- the instrument ----------------------------------------------------------------------------------------------------------


def failed(broken: instruments.Instrument, seed: int) -> set[str]:
    return {one.name for one in instruments.controls(("test", seed), broken) if not one.passed}


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_instrument_passes_its_controls_and_every_break_is_caught(seed: int) -> None:
    for healthy in (HEALTHY, *VARIATIONS.values()):
        assert failed(healthy, seed) == set()
    for name, broken in BREAKS.items():
        assert failed(broken, seed), name


def test_every_break_changes_one_part_of_the_instrument_and_stands_in_the_record() -> None:
    for broken in BREAKS.values():
        assert sum(getattr(broken, part) is not getattr(HEALTHY, part) for part in vars(HEALTHY)) == 1
    trial = COLLAPSE_FIT.trial
    assert trial is not None
    assert set(trial.breaks) == set(BREAKS)
    assert set(trial.training_breaks) == set(collapse_gates.BREAKS)
    assert set(trial.variations) == set(VARIATIONS)


# --- bandits -----------------------------------------------------------------------------------------------------------------


def test_a_bandit_paid_for_diversity_climbs_the_chance_that_two_draws_differ() -> None:
    logits = torch.randn(5, 4, generator=stream("test"), dtype=torch.float64, requires_grad=True)
    policy = logits.softmax(-1)
    torch.autograd.backward((1 - policy.square().sum(-1)).sum())
    torch.testing.assert_close(bandit.policy_gradient(logits.detach(), -2 * policy.detach()), logits.grad)
    series = bandit.run(bandit.Bandit(prompts=8, spread=3.0, steps=50, diverse=True), stream("test", "diverse"))
    assert (series.reward.diff() > 0).all()
    assert series.entropy[-1] > series.entropy[0] + 0.1


@pytest.mark.parametrize("index", range(8))
def test_the_law_holds_in_an_exact_bandit_and_is_turned_round_by_a_reward_for_diversity(index: int) -> None:
    name = ("test bandits", index)
    assert number(collapse_lab.bandit_run("bandit", name).run) > 0.97
    assert number(collapse_lab.bandit_run("bandit-diversity", name).run) < -0.8
    slope = collapse_lab.bandit_run("bandit", name).covariance
    assert slope == pytest.approx(1.0, abs=0.1)


# --- training ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bases are kept, so that each is raised once."""
    return tmp_path_factory.mktemp("checkpoints")


def test_a_base_is_as_good_as_the_author_that_it_was_taught_by(folder: Path) -> None:
    base = path_bases.base(collapse_lab.WORLD, ("test base",), path_bases.PRETRAINING, folder)
    assert base.is_good
    assert base.quality > 0.95
    again = path_bases.base(collapse_lab.WORLD, ("test base",), path_bases.PRETRAINING, folder)
    assert all(
        torch.equal(one, other) for one, other in zip(base.model.parameters(), again.model.parameters(), strict=True)
    )


def test_details_change_no_bit_of_the_run_itself(folder: Path) -> None:
    plain, full = (
        collapse_lab.raised("collapse", ("test base",), folder, details=details, steps=9) for details in (False, True)
    )
    for column in ("step", "entropy", "score"):
        assert np.array_equal(getattr(plain.run, column), getattr(full.run, column))
    assert not plain.arms
    assert set(full.arms) == set(collapse_lab.ARMS) == set(ARMS)
    assert full.covariance is not None
    runs = [run for run in full.arms.values() if not isinstance(run, str)]
    assert runs
    assert all(run.entropy[0] == plain.run.entropy[0] for run in runs)  # the same base, the same prompts and noise


def test_an_arm_whose_rule_touched_nothing_says_so(folder: Path) -> None:
    base, ppo = path_bases.base(collapse_lab.WORLD, ("test base",), path_bases.PRETRAINING, folder), collapse_lab.PPO
    still, moved = (
        collapse_lab.train_run(
            base.model, replace(ppo, rate=rate, longest=2), partial(path.reward, base.world), lambda _: 0.5,
            stream("test", "arm"), lambda diagnostics: diagnostics.clipped,
        )
        for rate in (1e-7, 1e-2)
    )  # fmt: skip
    assert still.arm == "the rule touched 0.0% of the tokens"
    assert moved.arm is moved.run
    unit = unit_of(noisy(), {"clip higher": still.arm, "gppo": moved.arm, "ppo": "diverged"}, HEALTHY)
    assert unit.value("residual_clip_higher") == still.arm
    assert unit.value("residual_gppo") == "diverged"  # what it is compared with says nothing


def test_exact_changes_of_entropy_follow_the_covariance_of_small_steps(folder: Path) -> None:
    base = path_bases.base(collapse_lab.WORLD, ("test base",), path_bases.PRETRAINING, folder)
    contexts = collapse_lab._contexts(base.model, ("test base",))
    before = collapse_lab._logits(base.model, contexts)
    step = 1e-4 * torch.randn(before.shape, generator=stream("step"), dtype=torch.float64)
    foretold = -bandit.covariance(before, step)
    changed = bandit.entropy(before + step) - bandit.entropy(before)
    torch.testing.assert_close(changed, foretold, atol=1e-7, rtol=1e-2)


def test_texts_of_a_group_that_differ_are_paid_for_it() -> None:
    texts = torch.tensor([[1, 2], [1, 2], [1, 3], [4, 4], [5, 5], [5, 5]])
    assert collapse_lab.difference(texts, 3).tolist() == [0.5, 0.5, 1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize("broken", collapse_gates.BREAKS)
def test_a_broken_training_is_stopped_at_a_gate(broken: str, folder: Path) -> None:
    gated = collapse_gates.of_short_training(broken, ("test gates",), folder)
    assert not all(one.passed for one in collapse_gates.controls([gated]))


def test_healthy_training_passes_its_gates() -> None:
    healthy = collapse_gates.Gated(quality=0.97, excess=0.002, learned=0.95, span=1.1)
    assert all(one.passed for one in collapse_gates.controls([healthy] * 8))
    short = collapse_gates.Gated(quality=0.97, excess=0.002, learned=0.95, span=0.9)
    assert not all(one.passed for one in collapse_gates.controls([healthy, short, short]))


# --- whole runs --------------------------------------------------------------------------------------------------------------------


def measured(subject: str, folder: Path, **asked: Any) -> Findings:
    values = {
        "verifier": "collapse_fit",
        "subject": SubjectRef.parse(subject),
        "seed": 5,
        "cache": str(folder),
        **asked,
    }
    return measure(Request.model_validate(values), lambda *_: None)


def test_a_run_gives_one_value_or_reason_a_unit_and_the_same_bits_again(folder: Path) -> None:
    one, again = (measured("planted:law-0.90", folder) for _ in range(2))
    assert one == again
    assert [len(endpoint.values) for endpoint in one.endpoints] == [8] * len(COLLAPSE_FIT.endpoints)
    assert all(control.passed for control in one.controls)
    assert measured("planted:law-0.90", folder, processes=2) == one
    alone = measured("planted:law-0.90", folder, controls=False)
    assert alone.controls == ()
    assert alone.endpoints == one.endpoints


def test_a_smoke_run_goes_through_the_whole_laboratory(folder: Path) -> None:
    found = measured("lab:collapse", folder, profile="smoke", controls=False)
    assert len(found.endpoint("fit").values) == 2
    assert found.series["quality"] is not None
    (curve,) = found.curves
    fitted = {"fitted law", "straight line in entropy", "rise in step", "forecast of the first third"}
    assert {arm.name for arm in curve.arms} == {"measured", *fitted}


def test_a_break_of_the_training_voids_a_run_and_an_unknown_break_is_refused(folder: Path) -> None:
    found = measured("lab:bandit", folder, broken="swapped reward", units=1, controls=False)
    assert [one.name for one in found.controls if not one.passed] == ["reward rose"]
    with pytest.raises(BadParameters, match="cannot be broken"):
        measured("lab:bandit", folder, broken="a spoon", units=1)


# --- logs ----------------------------------------------------------------------------------------------------------------------------


def written(file: Path, arms: dict[str, list[Run]]) -> str:
    """A log of runs by arm as CSV; its subject."""
    rows = [
        f"{arm or 'plain'} {index},{arm},{step:g},{entropy!r},{score!r}"
        for arm, runs in arms.items()
        for index, run in enumerate(runs)
        for step, entropy, score in zip(*(x.tolist() for x in (run.step, run.entropy, run.score)), strict=True)
    ]
    file.write_text("\n".join(["run,arm,step,entropy,val_accuracy", *rows]) + "\n")
    return f"runlog:{file}"


def test_the_runs_of_a_log_are_its_units_and_arms_stand_beside_them(tmp_path: Path) -> None:
    runs = [noisy(seed) for seed in range(9)]
    above = [Run(run.step, run.entropy, run.score + 0.02) for run in runs[:2]]
    found = measured(written(tmp_path / "log.csv", {"": runs, "KL-Cov": above}), tmp_path, units=3)
    assert found.endpoint("fit").values == pytest.approx([number(run) for run in runs])
    lies = found.endpoint("residual_kl_cov")
    assert lies.values[:2] == pytest.approx([2.0, 2.0])
    assert set(lies.missing) == set(range(2, 9))
    assert len(found.settings["log"]["runs"]) == 11


def test_a_log_without_a_run_that_was_left_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="leave the arm of the others empty"):
        measured(written(tmp_path / "log.csv", {"gppo": [noisy()]}), tmp_path)
