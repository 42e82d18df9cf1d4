"""`entropy_gap`: its arithmetic, its controls against broken laboratories, and its process."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.claims_support import json_lines, marked, reproducible, request, until
from verifiers import entropy_gap
from verifiers.entropy_gap import Settings, Unit, controls, measure_unit, replay_of_own_texts, settings_for
from verifiers.lab import frozen, planted, sampling, story
from verifiers.lab.crossreading import Crossreading, crossread
from verifiers.lab.lineages import Recipe
from verifiers.lab.randomness import stream
from verifiers.lab.sampling import Reading
from verifiers.lab.training import PostTraining, Pretraining
from verifiers.measurement import EVENT, Control, Finished, Progress, Request
from verifiers.registry import ENTROPY_GAP, BadParameters

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
    found = crossread(model, model, 64, story.LENGTH, story.START, stream("test same"))
    assert found.log_interaction == pytest.approx(0, abs=1e-12)
    assert found.gap == 0


def test_two_gates_have_exactly_the_interaction_that_was_planted() -> None:
    a, b = (planted.SurpriseGate(planted.Author(name)) for name in (0, 1))
    found = crossread(a, b, 32, story.LENGTH, planted.START, stream("test gates"))
    assert found.log_interaction == pytest.approx(math.log(a.entropy(calm=False) / a.entropy(calm=True)), abs=1e-5)
    assert found.log_interaction > 0.6


def test_two_authors_without_a_gate_have_none() -> None:
    a, b = planted.Author(0), planted.Author(1)  # each finds the other's text surprising, and is as sure as ever
    found = crossread(a, b, 32, story.LENGTH, planted.START, stream("test authors"))
    assert found.log_interaction == pytest.approx(0, abs=1e-5)


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


def test_a_healthy_laboratory_passes_every_control_that_the_registry_names() -> None:
    found = controls(11)
    assert [control.name for control in found if control.passed is not True] == []
    assert {"positive", "negative"} == {control.kind for control in found}
    assert [control.name for control in found] == [said.partition(":")[0] for said in ENTROPY_GAP.controls]


def mixed_up(a: Any, b: Any, texts: int, length: int, start: int, chance: torch.Generator) -> Crossreading:
    right = crossread(a, b, texts, length, start, chance)
    return Crossreading(right.ab, right.aa, right.bb, right.ba, right.replay)


def shifted_by_one(reading: Reading) -> float:
    return float(reading.entropy[:, :-1].mean())


def drawn_at(temperature: float) -> Callable[[torch.Tensor, torch.Generator], torch.Tensor]:
    right = sampling.categorical

    def draw(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        powered = probabilities ** (1 / temperature)
        return right(powered / powered.sum(-1, keepdim=True), generator)

    return draw


def read_at(temperature: float) -> Callable[[torch.Tensor, torch.Tensor], Reading]:
    right = Reading.of
    return lambda logits, following: right(logits / temperature, following)


BREAKS = {
    "authors mixed up": lambda patch: patch.setattr(entropy_gap, "crossread", mixed_up),
    "positions shifted by one": lambda patch: patch.setattr(Reading, "mean_entropy", shifted_by_one),
    "reading at temperature 1.2": lambda patch: patch.setattr(Reading, "of", read_at(1.2)),
    "sampling at temperature 1.2": lambda patch: patch.setattr(sampling, "categorical", drawn_at(1.2)),
    "sampling at temperature 0.8": lambda patch: patch.setattr(sampling, "categorical", drawn_at(0.8)),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_laboratory_is_caught_by_a_control(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BREAKS[name](monkeypatch)
    found = controls(11)
    assert [control.name for control in found if control.passed is False]
    assert all(control.passed is not None for control in found)  # caught by a margin, not by noise


def test_the_replay_of_the_runs_own_texts_is_a_control() -> None:
    units = [Unit({}, {}, replay) for replay in (1e-6, 9e-6)]
    assert replay_of_own_texts(units).passed is True
    assert replay_of_own_texts([*units, Unit({}, {}, 2e-5)]).passed is False


# --- profiles and units ----------------------------------------------------------------------------------------------


def test_profiles_do_what_the_registry_says() -> None:
    parameters = ENTROPY_GAP.checked({})
    units = ENTROPY_GAP.profiles["standard"].units
    smoke, standard, thorough = (settings_for(name, parameters, units) for name in ("smoke", "standard", "thorough"))
    for profile, settings in (("smoke", smoke), ("standard", standard), ("thorough", thorough)):
        assert settings.units == ENTROPY_GAP.profiles[profile].units
    assert replace(thorough, units=standard.units) == standard  # more units of the same kind
    assert smoke.pretraining.steps < standard.pretraining.steps
    assert standard.units >= 12


def test_parameters_of_the_contract_reach_the_settings() -> None:
    settings = settings_for("standard", ENTROPY_GAP.checked({"own_entropy": 0.6}), 17)
    assert (settings.own_entropy, settings.deeper_entropy, settings.units) == (0.6, 0.3, 17)


@pytest.mark.parametrize(
    "parameters", [{"own_entropi": 0.4}, {"own_entropy": 99}, {"own_entropy": "low"}, {"own_entropy": True}]
)
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(BadParameters):
        ENTROPY_GAP.checked(parameters)


def unit(folder: Path, index: int = 0, seed: int = 1, own: float = 3.3, longest: int = 0) -> Unit:
    """A unit of barely trained lineages; OWN above ln 24 is met at once, one below it never."""
    settings = Settings(own, own / 2, 1, 16, Pretraining(steps=2), PostTraining(texts=8, longest=longest))
    recipe = Recipe((own, own / 2), settings.pretraining, settings.post_training, "code")
    return measure_unit(index, seed, settings, recipe, folder)


def test_the_same_seed_gives_the_same_unit_and_another_index_or_seed_another(tmp_path: Path) -> None:
    first, again = unit(tmp_path / "one"), unit(tmp_path / "two")
    assert first == again
    assert unit(tmp_path / "one", index=1).values != first.values
    assert unit(tmp_path / "one", seed=2).values != first.values


def test_a_unit_has_a_value_or_a_reason_for_every_endpoint(tmp_path: Path) -> None:
    found = unit(tmp_path)
    assert set(found.values) == {spec.name for spec in ENTROPY_GAP.endpoints}
    values = found.values
    assert isinstance(values["interaction_did"], float)
    assert values["interaction_did"] == pytest.approx(values["interaction_after"] - values["interaction_before"])  # type: ignore[operator]
    assert values["deeper_did"] == "a lineage did not come down to an own entropy of 1.65 nats"
    assert found.series["deeper_own_entropy"] is None
    assert found.replay < 1e-5


def test_a_dose_out_of_reach_is_a_reason_and_never_a_number(tmp_path: Path) -> None:
    values = unit(tmp_path, own=0.4, longest=1).values
    after = [value for name, value in values.items() if name != "interaction_before"]
    assert all(isinstance(value, str) and "did not come down" in value for value in after)
    assert isinstance(values["interaction_before"], float)


def test_no_ratio_is_given_below_the_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy_gap, "FLOOR", 3.5)
    values = unit(tmp_path).values
    assert "lies below the floor" in str(values["interaction_did"])
    assert "lies below the floor" in str(values["row_ratio"])


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
def test_a_smoke_run_finishes_and_gives_the_same_again_from_the_cache_and_with_another_number_of_processes(
    tmp_path: Path,
) -> None:
    found = []
    for processes in (1, 2):
        process = child(tmp_path)
        ask(process, request(tmp_path, processes=processes, seed=5))
        *before, last = (EVENT.validate_python(line) for line in answer(process))
        assert isinstance(last, Finished)
        assert process.returncode == 0
        assert all(isinstance(event, Progress) for event in before)
        assert [event.done for event in before if isinstance(event, Progress)] == [1, 2, 3]
        found.append(last.measurement)
    process = child(tmp_path)
    ask(process, request(tmp_path / "cold", processes=2, seed=5))
    *_, last = (EVENT.validate_python(line) for line in answer(process))
    assert isinstance(last, Finished)
    assert found[0].findings == found[1].findings == last.measurement.findings
    assert len(list((tmp_path / "cache" / "checkpoints").iterdir())) == 4  # two units, two lineages each
    measured = found[0]
    assert (measured.verifier, str(measured.subject), measured.profile) == ("entropy_gap", "lab:story", "smoke")
    assert measured.provenance.seed == 5
    assert measured.provenance.processes == 1
    assert [endpoint.name for endpoint in measured.findings.endpoints] == [x.name for x in ENTROPY_GAP.endpoints]
    assert all(control.passed for control in measured.findings.controls)
