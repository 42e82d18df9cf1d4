"""`entropy_gap`: its arithmetic, its controls against broken instruments, its units, and its process."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from claims import measuring
from claims.judge import Verdict, judge
from tests.claims_support import json_lines, marked, reproducible, request, until
from verifiers import entropy_gap
from verifiers.__main__ import run
from verifiers.entropy_gap import PLANTED, SHARPER, Settings, Unit, checks_of, lab_unit, measure, settings_for
from verifiers.lab import controls, frozen, rivals, story
from verifiers.lab.crossreading import Crossreading, crossread
from verifiers.lab.gates import Gated
from verifiers.lab.instrument import BREAKS, HEALTHY
from verifiers.lab.policy_gradient import PolicyGradient
from verifiers.lab.randomness import stream
from verifiers.lab.recipes import RECIPES, Recipe
from verifiers.lab.training import Pretraining
from verifiers.measurement import EVENT, Control, Findings, Finished, Progress, Request
from verifiers.registry import ENTROPY_GAP, BadParameters

NAMES = [spec.name for spec in ENTROPY_GAP.endpoints]
OF_RIVALS = [
    name for name in NAMES if name.startswith("over_") or (name.endswith("_did") and "over_" + name[:-4] in NAMES)
]

# --- the quantity ----------------------------------------------------------------------------------------------------

NATS = st.floats(0.05, 5.0)
FACTOR = st.floats(0.1, 10.0)


@reproducible
@given(aa=NATS, ab=NATS, ba=NATS, bb=NATS, hard=FACTOR, sure=FACTOR)
def test_harder_text_and_a_surer_model_cancel(
    aa: float, ab: float, ba: float, bb: float, hard: float, sure: float
) -> None:
    plain = Crossreading(aa, ab, ba, bb, 0.0)
    harder_text_of_b = Crossreading(aa, hard * ab, ba, hard * bb, 0.0)
    surer_model_a = Crossreading(sure * aa, sure * ab, ba, bb, 0.0)
    assert harder_text_of_b.log_interaction == pytest.approx(plain.log_interaction, abs=1e-9)
    assert surer_model_a.log_interaction == pytest.approx(plain.log_interaction, abs=1e-9)


@reproducible
@given(aa=NATS, ab=NATS, ba=NATS, bb=NATS, shift=NATS)
def test_the_gap_in_nats_cancels_what_is_added_to_one_text_or_one_model(
    aa: float, ab: float, ba: float, bb: float, shift: float
) -> None:
    gap = Crossreading(aa, ab, ba, bb, 0.0).gap
    assert Crossreading(aa, ab + shift, ba, bb + shift, 0.0).gap == pytest.approx(gap, abs=1e-9)
    assert Crossreading(aa + shift, ab + shift, ba, bb, 0.0).gap == pytest.approx(gap, abs=1e-9)


def test_the_working_slides_of_the_paper_give_the_ratio_of_the_brief() -> None:
    slides = Crossreading(aa=0.363, ab=0.728, ba=0.438, bb=0.312, replay=0.0)  # core-claims.md 1.2: Llama a, Qwen b
    assert math.exp(slides.log_interaction) == pytest.approx(1.68, abs=0.005)
    assert slides.gap == pytest.approx((0.728 + 0.438 - 0.363 - 0.312) / 2)
    assert slides.own == pytest.approx((0.363 + 0.312) / 2)


def test_a_model_and_itself_have_no_interaction() -> None:
    model = frozen.model("after a")
    found = crossread(model, model, story.prompts(64), story.LENGTH, stream("test same"))
    assert found.log_interaction == pytest.approx(0, abs=1e-12)
    assert found.gap == 0


READINGS: entropy_gap.Readings = {
    "before": Crossreading(1.5, 1.6, 1.4, 1.5, 0.0),
    0.45: Crossreading(0.4, 0.9, 0.8, 0.5, 0.0),
    0.3: Crossreading(0.3, 1.0, 0.9, 0.2, 0.0),
}
SETTINGS = Settings(0.45, 0.3, rivals=False, units=1, recipe=Recipe())


def test_contrasts_are_ratios_of_ratios_in_logarithms() -> None:
    g = {"before": 1.6 * 1.4 / (1.5 * 1.5), "own": 0.9 * 0.8 / (0.4 * 0.5), "deeper": 1.0 * 0.9 / (0.3 * 0.2)}
    found = entropy_gap.contrasts(READINGS, SETTINGS)
    expected = {
        "interaction_before": 0.5 * math.log(g["before"]),
        "interaction_after": 0.5 * math.log(g["own"]),
        "interaction_did": 0.5 * math.log(g["own"] / g["before"]),
        "deeper_did": 0.5 * math.log(g["deeper"] / g["before"]),
        "dose_contrast": 0.5 * math.log(g["deeper"] / g["own"]),
        "absolute_gap": 0.5 * (0.9 + 0.8 - 0.4 - 0.5),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert entropy_gap.points(READINGS) == [
        (1.5, 0.0),
        (pytest.approx(0.45), pytest.approx(expected["interaction_did"])),
        (pytest.approx(0.25), pytest.approx(expected["deeper_did"])),
    ]


def test_a_dose_out_of_reach_is_a_reason_and_never_a_number() -> None:
    only_before = entropy_gap.contrasts({"before": READINGS["before"]}, SETTINGS)
    assert isinstance(only_before.pop("interaction_before"), float)
    assert all("did not come down to an own entropy of" in str(value) for value in only_before.values())
    not_deeper = entropy_gap.contrasts({key: READINGS[key] for key in ("before", 0.45)}, SETTINGS)
    reasons = {name for name, value in not_deeper.items() if "did not come down to an own entropy of 0.3" in str(value)}
    assert reasons == {"deeper_did", "dose_contrast"}


def test_no_ratio_is_given_below_the_floor() -> None:
    low = Crossreading(0.04, 0.9, 0.8, 0.05, 0.0)
    found = entropy_gap.contrasts(READINGS | {0.3: low}, SETTINGS)
    assert "0.045 nats lies below the floor of 0.05 nats" in str(found["deeper_did"])
    assert isinstance(found["interaction_did"], float)
    found = entropy_gap.contrasts(READINGS | {0.45: low}, SETTINGS)
    assert all("below the floor" in str(found[name]) for name in ("interaction_did", "absolute_gap", "row_ratio"))


# --- controls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimate", "error", "passed"),
    [
        (0.5, None, True),
        (0.7, None, True),
        (0.3, None, True),
        (0.71, None, False),
        (0.29, None, False),
        (0.5, 0.066, True),
        (0.5, 0.067, None),
        (9.0, 0.067, None),
        (9.0, 0.001, False),
    ],
)
def test_a_control_passes_within_its_margin_and_says_nothing_when_it_is_too_noisy(
    estimate: float, error: float | None, passed: bool | None
) -> None:
    found = Control.within("c", "positive", estimate, 0.5, 0.2 + 1e-12, error)
    assert found.passed is passed
    assert bool(found.reason) == (passed is not True)
    assert found.estimate == estimate


def test_a_control_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Control.within("c", "positive", math.nan, 0.5, 0.2)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_healthy_instrument_passes_every_control_that_the_registry_names(seed: int) -> None:
    found = controls.of_the_instrument(stream("test controls", seed), HEALTHY)
    assert [control.name for control in found if control.passed is not True] == []
    assert {"positive", "negative"} == {control.kind for control in found}
    assert [*(control.name for control in found), "gates"] == [said.partition(":")[0] for said in ENTROPY_GAP.controls]


CAUGHT_BY = {
    "authors mixed up": {"replay identity", "planted gap"},
    "positions shifted by one": {"replay identity", "own surprise equals own entropy"},
    "temperature 20 % too low": {"own surprise equals own entropy"},
    "temperature 20 % too high": {"own surprise equals own entropy"},
    "planted effect of half size": {"planted gap"},
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_instrument_is_caught_by_a_control(name: str) -> None:
    found = controls.of_the_instrument(stream("test controls", 1), BREAKS[name])
    assert {control.name for control in found if control.passed is False} == CAUGHT_BY[name]
    assert all(control.passed is not None for control in found)  # caught by a margin, not by noise


def test_the_replay_of_the_runs_own_texts_is_a_control_and_gates_stand_beside_it() -> None:
    units = [Unit(replay=replay) for replay in (1e-6, 9e-6)]
    (replay,) = checks_of(units, SETTINGS)
    assert replay.passed is True
    assert checks_of([*units, Unit(replay=2e-5)], SETTINGS)[0].passed is False
    gated = Unit(gated=Gated((0.02,), (0.9,), reached=True))
    assert [control.kind for control in checks_of([gated], SETTINGS)] == ["negative", "gate", "gate", "gate"]
    assert len(checks_of([gated], replace(SETTINGS, gated=False))) == 1  # a smoke run trains too little for any


# --- profiles and parameters -----------------------------------------------------------------------------------------


def asked(folder: Path, subject: str = "lab:story", **changes: Any) -> Request:
    scheme, _, locator = subject.partition(":")
    said = {"profile": "standard", "subject": {"scheme": scheme, "locator": locator}}
    return request(folder, **said | changes)


def test_profiles_do_what_the_registry_says(tmp_path: Path) -> None:
    smoke, standard, thorough = (
        settings_for(asked(tmp_path, profile=name)) for name in ("smoke", "standard", "thorough")
    )
    for profile, settings in (("smoke", smoke), ("standard", standard), ("thorough", thorough)):
        assert settings.units == ENTROPY_GAP.profiles[profile].units
    assert replace(thorough, units=standard.units) == standard  # more units of the same kind
    assert smoke.recipe.pretraining.steps < standard.recipe.pretraining.steps
    assert standard.units >= 12


def test_what_a_request_asks_for_reaches_the_settings(tmp_path: Path) -> None:
    settings = settings_for(asked(tmp_path, parameters={"own_entropy": 0.6, "rivals": 0}, units=17, spread=0.2))
    assert (settings.own_entropy, settings.deeper_entropy, settings.rivals) == (0.6, 0.3, False)
    assert (settings.units, settings.spread) == (17, 0.2)
    assert settings.recipe.doses == (1.2, 0.9, 0.65, 0.6, 0.3)
    assert settings_for(asked(tmp_path, parameters={"rivals": 1})).rivals is True
    deep = settings_for(asked(tmp_path, parameters={"own_entropy": 1.1, "deeper_entropy": 1.0})).recipe.doses
    assert deep == (1.2, 1.1, 1.0)  # looked at on the way down, and not below


@pytest.mark.parametrize("name", RECIPES)
def test_a_subject_of_the_laboratory_is_raised_by_the_recipe_of_its_name(name: str, tmp_path: Path) -> None:
    recipe = settings_for(asked(tmp_path, f"lab:{name}")).recipe
    assert replace(recipe, doses=()) == RECIPES[name]


@pytest.mark.parametrize(
    "parameters",
    [
        {"own_entropi": 0.4},
        {"own_entropy": 99},
        {"own_entropy": "low"},
        {"own_entropy": True},
        {"rivals": 2},
        {"own_entropy": 0.3},
    ],
)
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(BadParameters):
        ENTROPY_GAP.checked(parameters)


# --- units -----------------------------------------------------------------------------------------------------------


def tiny(own: float = 3.3, longest: int = 0, **changes: Any) -> Settings:
    """A barely trained unit; OWN above ln 24 is met at once, one below it never."""
    recipe = Recipe(PolicyGradient(prompts=8, longest=max(1, longest)), pretraining=Pretraining(steps=2))
    settings = Settings(own, own / 2, rivals=False, units=2, recipe=replace(recipe, doses=(own, own / 2)), texts=16)
    return replace(settings, **changes)


def unit(folder: Path, index: int = 0, settings: Settings | None = None) -> Unit:
    return lab_unit(("test unit", index), settings or tiny(), folder, HEALTHY)


def test_the_same_name_gives_the_same_unit_and_another_name_another(tmp_path: Path) -> None:
    first, again, kept = unit(tmp_path / "one"), unit(tmp_path / "two"), unit(tmp_path / "one")
    assert first == again == kept
    assert unit(tmp_path / "one", index=1).values != first.values


def test_a_unit_has_a_value_or_a_reason_for_every_endpoint(tmp_path: Path) -> None:
    found = unit(tmp_path)
    said = {name: found.value(name) for name in NAMES}
    assert found.values.keys() <= said.keys()
    assert all(isinstance(value, float) or len(value) > 10 for value in said.values())
    assert said["interaction_did"] == pytest.approx(said["interaction_after"] - said["interaction_before"])
    assert said["deeper_did"] == "a lineage did not come down to an own entropy of 1.65 nats"
    assert found.series["deeper_own_entropy"] is None
    assert found.replay < 1e-5


def test_a_unit_below_the_floor_has_no_row_ratio_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy_gap, "FLOOR", 3.5)
    found = unit(tmp_path)
    assert "below the floor" in str(found.value("interaction_did"))
    assert "below the floor" in str(found.value("row_ratio"))


def test_a_unit_that_missed_its_dose_says_so_of_every_endpoint_at_that_dose(tmp_path: Path) -> None:
    found = unit(tmp_path, settings=tiny(own=0.4))
    after = [name for name in NAMES if name not in {*OF_RIVALS, "interaction_before"}]
    assert {name: found.value(name) for name in after if "did not come down" not in str(found.value(name))} == {}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Unit, Unit]:
    """The same unit without rivals and with them."""
    folder = tmp_path_factory.mktemp("units")
    return unit(folder), unit(folder, settings=tiny(rivals=True))


def test_rivals_change_nothing_but_their_own_endpoints_and_curves(two: tuple[Unit, Unit]) -> None:
    without, beside = two
    assert {name: beside.value(name) for name in NAMES if name not in OF_RIVALS} == {
        name: without.value(name) for name in NAMES if name not in OF_RIVALS
    }
    assert all("does not ask for it" in str(without.value(name)) for name in OF_RIVALS)
    assert all("does not ask for it" not in str(beside.value(name)) for name in OF_RIVALS)
    assert beside.curve["this"] == without.curve["this"]
    assert {f"over_{name}" for name in beside.curve} - {"over_this"} == {name for name in OF_RIVALS if "over_" in name}


def test_a_rival_is_compared_with_the_subject_where_it_stands_on_the_subjects_curve(two: tuple[Unit, Unit]) -> None:
    found = two[1]
    (low, at_low), (high, at_high) = sorted(found.curve["this"])
    for name in ("temperature", "sharp_author", "kl_held"):
        ((own, did),) = found.curve[name]
        assert found.value(f"{name}_did") == did
        if own < low:
            assert found.value(f"over_{name}") == entropy_gap.DEEPER
        else:
            matched = np.interp(own, [low, high], [at_low, at_high])
            assert found.value(f"over_{name}") == pytest.approx(matched - did, abs=1e-9)


def measured(folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int, **changes: Any) -> Findings:
    """A whole run on units that are barely trained."""
    monkeypatch.setattr(entropy_gap, "settings_for", lambda _: tiny())
    return measure(asked(folder, processes=processes, controls=False, **changes), lambda *_: None)


@pytest.mark.slow
def test_a_run_is_the_same_bit_by_bit_in_one_process_or_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = measured(tmp_path / "one", monkeypatch, 1)
    assert measured(tmp_path / "two", monkeypatch, 2) == alone
    assert [endpoint.name for endpoint in alone.endpoints] == NAMES
    for endpoint in alone.endpoints:
        assert len(endpoint.values) == 2
        assert {index for index, value in enumerate(endpoint.values) if value is None} == endpoint.missing.keys()
    (curve,) = alone.curves
    (arm,) = curve.arms
    assert (arm.name, {index for index, _, _ in arm.points}) == ("this", {0, 1})


# --- planted subjects, judged ----------------------------------------------------------------------------------------


def judged(folder: Path, subject: str, **changes: Any) -> Verdict:
    """What the default contract says of a run on SUBJECT."""
    _, contract = measuring.plan("entropy_gap", subject, "standard")
    settings = {"controls": False, "spread": 0.05, "units": contract.unit.per_run} | changes
    return judge(contract, run(asked(folder, subject, **settings), lambda _: None))


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("planted:no-gap", "REFUTED"),
        ("planted:sharper-no-gap", "REFUTED"),
        ("planted:gap-0.80", "REFUTED"),
        ("planted:gap-1.17", "WEAKENED"),
        ("planted:gap-1.40", "HOLDS"),
        ("planted:gap-1.82", "HOLDS"),
        ("planted:gap-3.50", "HOLDS"),
    ],
)
def test_a_planted_subject_gets_the_verdict_that_is_true_of_it(subject: str, word: str, tmp_path: Path) -> None:
    found = judged(tmp_path, subject)
    assert (found.word, found.tag) == (word, "SMALLER" if word == "WEAKENED" else None), found.reason
    (primary,) = [one for one in found.endpoints if one.primary]
    low, high = primary.interval or (math.nan, math.nan)
    truth = PLANTED.get(subject.removeprefix("planted:"), 1.0)
    assert low / 1.01 < truth < high * 1.01


def test_every_planted_subject_of_the_registry_can_be_planted() -> None:
    listed = {name.removeprefix("planted:") for name in ENTROPY_GAP.subjects if name.startswith("planted:")}
    assert listed == {*PLANTED, SHARPER}
    trial = ENTROPY_GAP.trial
    assert trial is not None
    assert trial.planted == {name: PLANTED[name.removeprefix("planted:")] for name in trial.planted}


def test_a_run_with_a_broken_instrument_is_void(tmp_path: Path) -> None:
    found = judged(tmp_path, "planted:gap-1.82", controls=True, units=2, broken="temperature 20 % too low")
    assert found.word == "VOID"
    assert {one.name for one in found.controls if one.passed is False} == {"own surprise equals own entropy"}


def test_a_run_whose_training_learned_nothing_is_void(tmp_path: Path) -> None:
    found = judged(tmp_path, "lab:story-own-halves", broken="unlearned base", units=1)
    assert found.word == "VOID"
    failed = {one.name for one in found.controls if one.passed is False}
    assert failed == {"bases read well", "training learned what it names"}  # it was not post-trained either
    assert all(one.n == 0 for one in found.endpoints)
    assert not (tmp_path / "cache").exists()  # what is broken is never kept


# --- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [-1, 2**53, 1.5, "seven"])
def test_a_seed_that_json_cannot_carry_is_refused(seed: Any, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="seed"):
        request(tmp_path, seed=seed)


@pytest.mark.parametrize("seed", [0, 2**53 - 1])
def test_a_seed_crosses_the_border_exactly(seed: int, tmp_path: Path) -> None:
    asked = request(tmp_path, seed=seed)
    assert Request.model_validate_json(asked.model_dump_json()).seed == seed


def child(cwd: Path, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "verifiers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"STILLHOLDS_TEST": str(cwd)},
        **options,
    )


def ask(process: "subprocess.Popen[str]", asked: Request) -> None:
    assert process.stdin is not None
    process.stdin.write(asked.model_dump_json() + "\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """What the child says until it closes its mouth; its stdin stays open all the while."""
    assert process.stdout is not None
    said = process.stdout.read()
    process.wait()
    process.communicate()
    return json_lines(said)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verifier": "entropy_gab"}, "did you mean entropy_gap?"),
        ({"subject": {"scheme": "lab", "locator": "storey"}}, "did you mean lab:story?"),
        ({"subject": {"scheme": "hf", "locator": "gpt2"}}, "there is: lab:story"),
    ],
)
def test_a_request_for_what_is_not_there_fails_with_a_suggestion(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    process = child(tmp_path)
    ask(process, request(tmp_path, **changes))
    (said,) = answer(process)
    assert said["event"] == "failure"
    assert words in said["reason"]
    assert process.returncode == 1


def test_the_users_folder_is_not_imported_from_and_a_bad_parameter_fails_in_words(tmp_path: Path) -> None:
    for name in ("verifiers", "torch", "numpy", "pydantic"):
        (tmp_path / f"{name}.py").write_text("print('from the folder of the user'); raise SystemExit(7)")
    process = child(tmp_path)
    ask(process, request(tmp_path, parameters={"own_entropy": 7}))  # refused by the experiment, which has torch by then
    (said,) = answer(process)
    assert said["event"] == "failure"
    assert "give a number from 0.1 to 1.2" in said["reason"]
    assert process.returncode == 1


def test_the_child_and_all_its_own_children_end_when_its_stdin_is_closed(tmp_path: Path) -> None:
    process = child(tmp_path)
    ask(process, request(tmp_path, profile="standard", processes=2))
    assert until(lambda: len(marked(str(tmp_path))) >= 3, 60)  # itself and two that do the work, at least
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 1
    assert until(lambda: not marked(str(tmp_path)), 15), marked(str(tmp_path))
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


@pytest.mark.slow
def test_a_smoke_run_fills_every_endpoint_and_gives_the_same_again_from_the_cache(tmp_path: Path) -> None:
    asked_for = request(tmp_path, seed=5, parameters={"own_entropy": 1.2, "deeper_entropy": 1.1})
    process = child(tmp_path)
    ask(process, asked_for)
    *before, last = (EVENT.validate_python(line) for line in answer(process))
    assert isinstance(last, Finished)
    assert process.returncode == 0
    assert [event.done for event in before if isinstance(event, Progress)] == [1, 2, 3]
    measured = last.measurement
    assert (measured.verifier, str(measured.subject), measured.profile) == ("entropy_gap", "lab:story", "smoke")
    assert (measured.provenance.seed, measured.provenance.processes) == (5, 1)
    assert [endpoint.name for endpoint in measured.findings.endpoints] == NAMES
    for endpoint in measured.findings.endpoints:
        beyond = [reason for reason in endpoint.missing.values() if reason != entropy_gap.DEEPER]
        assert not beyond, endpoint.name
    assert all(control.passed for control in measured.findings.controls)
    arms = 1 + len(rivals.ARMS)
    assert len(list((tmp_path / "cache" / "checkpoints").iterdir())) == 2 * 2 * (
        1 + arms
    )  # units, twins, and a base each
    again = measure(asked_for.model_copy(update={"controls": False}), lambda *_: None)
    assert again.controls == measured.findings.controls[-1:]
    assert again.model_copy(update={"controls": measured.findings.controls}).model_dump_json() == (
        measured.findings.model_dump_json()
    )
