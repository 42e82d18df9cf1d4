"""What all runs together say, in and out of the regime, certified or not; and how long it stays fresh."""

import dataclasses
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from claims import library
from claims.contract import Contract, Regime
from claims.freshness import fresh_until, freshness
from claims.history import history
from claims.regime import count, distance
from claims.standing import PastRun, standing
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    claim_page,
    contract,
    control,
    large_models,
    measurement,
    run_with,
    written,
)
from verifiers.registry import SUBJECTS, SubjectFacts
from verifiers.stats import lai_sequence

CAP = (-4.6, 4.6)
HIGH, MIDDLE, LOW = math.log(1.9), math.log(1.17), math.log(0.9)  # HOLDS, WEAKENED, REFUTED


def run(
    centre: float, spread: float = 0.02, number: int = 1, units: int | tuple[float | None, ...] = 8, **changes: Any
) -> PastRun:
    """A certified run whose units lie around CENTRE, or are these."""
    values = {
        "number": number,
        "at": NOW + timedelta(days=number),
        "subject": "lab:story",
        "profile": "standard",
        "run": f"run {number}",
        "verifier_code": "c" * 64,
        "certified": True,
        "word": "INCONCLUSIVE",  # a run's own verdict never enters as a vote
        "tag": None,
        "units": tuple(around(centre, spread, units)) if isinstance(units, int) else units,
        "cap": CAP,
        "noise_floor": 0.005,
    }
    return PastRun.model_validate(values | changes)


def word(*runs: PastRun, said: Contract | None = None) -> str:
    return standing(said or contract(), "", runs).word


# --- the words -------------------------------------------------------------------------------------------------------


def test_without_a_contract_a_claim_is_untested_or_documentary() -> None:
    assert standing(None, "", []).word == "UNTESTED"
    documentary = standing(None, "a survey, nothing to measure", [])
    assert (documentary.word, documentary.reason) == ("DOCUMENTARY", "a survey, nothing to measure")


def test_without_a_run_a_claim_is_untested() -> None:
    found = standing(contract(), "", [])
    assert (found.word, found.reason) == ("UNTESTED", "no run yet")
    assert (found.at_scale, found.so_far) == (None, None)


@pytest.mark.parametrize(
    ("centre", "word", "tag"),
    [(HIGH, "HOLDS", None), (MIDDLE, "WEAKENED", "SMALLER"), (LOW, "REFUTED", None), (math.log(1.25), "OPEN", None)],
)
def test_certified_runs_inside_the_regime_decide(centre: float, word: str, tag: str | None) -> None:
    found = standing(contract(), "", [run(centre)])
    assert (found.word, found.tag) == (word, tag)
    assert (found.at_scale, found.so_far) == (None, None)


def test_a_runs_own_verdict_is_no_vote() -> None:
    refuted = [run(HIGH, word="REFUTED", number=number) for number in (1, 2, 3)]
    assert word(*refuted) == "HOLDS"


def test_open_counts_the_units_so_far() -> None:
    found = standing(contract(), "", [run(math.log(1.25), number=1), run(math.log(1.25), number=2)])
    assert found.word == "OPEN"
    assert found.subjects[0].n == 16


def test_the_sequence_is_wider_than_the_interval_of_one_run() -> None:
    # eight units: t interval ± 2.36 s/√8, Lai's sequence ± 3.61 s/√8
    spread = (math.log(1.5) - math.log(1.25) - 0.005) / 3 * math.sqrt(8)
    assert word(run(math.log(1.5), spread)) == "OPEN"
    assert word(run(math.log(1.5), spread / 2)) == "HOLDS"


def test_the_standing_reads_lais_sequence_widened_by_the_noise_floor() -> None:
    runs = [run(HIGH, 0.1, number) for number in (1, 2, 3)]
    looks = standing(contract(), "", runs).subjects[0].looks
    assert [(look.run, look.n) for look in looks] == [(1, 8), (2, 16), (3, 24)]
    for number, look in enumerate(looks, 1):
        units = [value for past in runs[:number] for value in past.units if value is not None]
        wanted = lai_sequence(units, 8, 0.95).widened(0.005)
        shown = [math.exp(value) for value in (wanted.low, wanted.estimate, wanted.high)]
        assert [look.low, look.estimate, look.high] == pytest.approx(shown)


@pytest.mark.parametrize("beyond", [1e-7, -1e-7])
def test_the_standing_is_widened_by_exactly_the_noise_floor(beyond: float) -> None:
    sequence = lai_sequence(around(0.0, 0.1), 8, 0.95)
    centre = math.log(1.25) + 0.005 + sequence.high + beyond
    assert word(run(centre, 0.1)) == ("HOLDS" if beyond > 0 else "OPEN")


def test_the_current_interval_counts_so_a_standing_may_fall_back() -> None:
    first = [run(HIGH, 0.05, 1)]
    assert word(*first) == "HOLDS"
    assert word(*first, run(LOW, 0.05, 2)) == "OPEN"
    assert word(*first, *[run(LOW, 0.05, number, units=24) for number in range(2, 30)]) == "REFUTED"


# --- subjects --------------------------------------------------------------------------------------------------------


@pytest.fixture
def twice(monkeypatch: pytest.MonkeyPatch) -> Contract:
    """A contract on two subjects, both inside its regime."""
    other = dataclasses.replace(SUBJECTS["lab:story"], name="lab:other")
    monkeypatch.setitem(SUBJECTS, "lab:other", other)  # type: ignore[arg-type]
    return contract().model_copy(update={"subjects": ("lab:story", "lab:other")})


def test_all_subjects_must_agree(twice: Contract) -> None:
    assert word(run(HIGH), run(HIGH, subject="lab:other"), said=twice) == "HOLDS"
    assert word(run(HIGH), said=twice) == "OPEN"
    assert word(run(HIGH), run(math.log(1.25), subject="lab:other"), said=twice) == "OPEN"


def test_subjects_in_different_regions_are_contested(twice: Contract) -> None:
    assert word(run(HIGH), run(LOW, subject="lab:other"), said=twice) == "CONTESTED"
    assert word(run(HIGH), run(MIDDLE, subject="lab:other"), said=twice) == "CONTESTED"


def test_smaller_on_one_subject_and_larger_on_another_is_no_agreement(twice: Contract) -> None:
    regions = {"holds": "1.2 .. 1.5", "weakened": ["1.1 .. 1.2", ">= 1.5"], "refuted": "< 1.1"}
    said = contract(regions=regions, design_effect=1.3).model_copy(update={"subjects": twice.subjects})
    found = standing(said, "", [run(HIGH, 0.005), run(math.log(1.15), 0.005, subject="lab:other")])
    assert [subject.tag for subject in found.subjects] == ["LARGER", "SMALLER"]
    assert found.word in {"OPEN", "CONTESTED"}


def test_contested_is_read_at_the_level_that_two_subjects_share(twice: Contract) -> None:
    # decided at 95 %, open at 1 − α/2: the design asks for the second before subjects are said to disagree
    wide, narrow = lai_sequence(around(0.0, 0.1), 8, 0.975), lai_sequence(around(0.0, 0.1), 8, 0.95)
    between = math.log(1.25) + 0.005 + (wide.high + narrow.high) / 2
    barely = run(between, 0.1)
    assert word(barely) == "HOLDS"
    assert word(barely, run(LOW, subject="lab:other"), said=twice) == "OPEN"


# --- certificates and regimes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("centre", "so_far"), [(HIGH, "HOLDS"), (LOW, "REFUTED"), (math.log(1.25), "OPEN")])
def test_uncertified_runs_never_enter_the_standing_and_show_beside_it(centre: float, so_far: str) -> None:
    found = standing(contract(), "", [run(centre, certified=False)])
    assert (found.word, found.tag) == ("OPEN", None)
    assert found.so_far == so_far
    assert "8 units so far" in found.reason
    assert "no certificate" in found.reason


def test_one_uncertified_run_makes_its_sample_uncertified() -> None:
    found = standing(contract(), "", [run(HIGH, number=1), run(HIGH, number=2, certified=False)])
    assert (found.word, found.so_far) == ("OPEN", "HOLDS")


OUTSIDE = Contract.model_validate(
    contract().model_dump() | {"regime": {"stage": "chat", "size": {"low": 7e9, "high": None}, "domain": "chat"}}
)


@pytest.mark.parametrize(
    ("centre", "at_scale"),
    [
        (HIGH, "REPRODUCED"),
        (MIDDLE, "REPRODUCED SMALLER"),
        (LOW, "NOT REPRODUCED"),
        (math.log(1.25), "OPEN"),
    ],
)
@pytest.mark.parametrize("certified", [True, False])
def test_outside_the_regime_nothing_decides_and_the_reading_shows_at_this_scale(
    centre: float, at_scale: str, certified: bool
) -> None:
    found = standing(OUTSIDE, "", [run(centre, certified=certified)])
    assert found.word == "UNTESTED"
    assert found.at_scale == at_scale
    assert found.at_scale_certified is certified
    assert found.so_far is None


def test_beyond_what_was_claimed_is_reproduced_larger() -> None:
    regions = {"holds": "1.25 .. 1.5", "weakened": ["1.1 .. 1.25", ">= 1.5"], "refuted": "< 1.1"}
    said = contract(regions=regions, design_effect=1.3).model_copy(update={"regime": OUTSIDE.regime})
    assert standing(said, "", [run(HIGH)]).at_scale == "REPRODUCED LARGER"


def test_the_distance_from_the_regime_is_written_out() -> None:
    (reading,) = standing(OUTSIDE, "", [run(HIGH)]).subjects
    assert reading.differences == (
        "0.02 M parameters against 7 B or more",
        "synthetic stories against chat",
        "post-trained with reinforcement learning against chat",
    )


def test_a_subject_that_nobody_knows_is_outside_every_regime() -> None:
    said = contract().model_copy(update={"subjects": ("lab:gone",)})
    found = standing(said, "", [run(HIGH, subject="lab:gone")])
    assert found.word == "UNTESTED"
    assert found.at_scale == "REPRODUCED"


FACTS = SubjectFacts("lab:x", "x", 20_000, "pretrained", "stories")


@pytest.mark.parametrize(
    ("regime", "inside"),
    [
        ({"stage": "pretrained", "size": "1e4 .. 1e6", "domain": "stories"}, True),
        ({"stage": "Pretrained", "size": "<= 2e4", "domain": "Stories"}, True),
        ({"stage": "pretrained", "size": ">= 2e4", "domain": "stories"}, True),
        ({"stage": "pretrained", "size": "1e4 .. 1.9e4", "domain": "stories"}, False),
        ({"stage": "pretrained", "size": ">= 20001", "domain": "stories"}, False),
        ({"stage": "pretrained", "size": "1e4 .. 1e6", "domain": "chat"}, False),
        ({"stage": "post-trained", "size": "1e4 .. 1e6", "domain": "stories"}, False),
        ({"stage": "pretrained model", "size": "1e4 .. 1e6", "domain": "stories"}, False),
    ],
)
def test_a_subject_is_inside_a_regime_when_size_domain_and_stage_are(regime: dict[str, Any], inside: bool) -> None:
    found = distance(Regime.model_validate(regime), FACTS)
    assert found.is_inside is inside
    assert (str(found) == "inside the regime") is inside


def test_too_large_is_a_distance_too() -> None:
    regime = Regime.model_validate({"stage": "pretrained", "size": "< 1e4", "domain": "stories"})
    assert str(distance(regime, FACTS)) == "0.02 M parameters against at most 0.01 M"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [(7e9, "7 B"), (1.5e9, "1.5 B"), (135e6, "135 M"), (1e6, "1 M"), (18_752, "0.02 M"), (30_000, "0.03 M")],
)
def test_sizes_are_written_as_people_say_them(parameters: float, words: str) -> None:
    assert count(parameters) == words


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"profile": "smoke"}, {"word": "VOID"}, {"word": "ERROR"}])
def test_a_run_that_is_no_evidence_does_not_count(changes: dict[str, Any]) -> None:
    kept, dropped = run(HIGH, number=1), run(LOW, number=2, **changes)
    assert standing(contract(), "", [dropped]).word == "UNTESTED"
    found = standing(contract(), "", [kept, dropped])
    assert found.word == "HOLDS"
    assert (found.subjects[0].runs, found.subjects[0].n) == (1, 8)
    assert fresh_until(contract(), [kept, dropped]) == kept.at + timedelta(days=30)


def test_another_version_of_the_verifier_begins_another_sample() -> None:
    old = [run(LOW, 0.02, number, verifier_code="a" * 64) for number in (1, 2)]
    found = standing(contract(), "", [*old, run(HIGH, number=3)])
    assert found.word == "HOLDS"
    assert (found.subjects[0].runs, found.subjects[0].n) == (1, 8)


def test_a_version_of_the_verifier_that_comes_back_begins_another_sample_too() -> None:
    there, back = run(LOW, number=1, verifier_code="a" * 64), run(HIGH, number=3, verifier_code="a" * 64)
    found = standing(contract(), "", [there, run(HIGH, number=2, verifier_code="b" * 64), back])
    assert (found.subjects[0].runs, found.subjects[0].n) == (1, 8)  # the runs since the code last changed


def test_units_without_a_value_count_as_each_of_their_caps_in_turn() -> None:
    lost = {"units": (*around(HIGH, 0.02), None), "cap": (math.log(1.4), math.log(2.2))}
    assert word(run(HIGH, **lost)) == "HOLDS"
    undecided = standing(contract(), "", [run(HIGH, **(lost | {"cap": CAP}))])
    assert undecided.word == "OPEN"


def test_too_few_or_equal_units_are_not_read() -> None:
    assert word(run(HIGH, units=7)) == "OPEN"
    assert word(run(HIGH, 0.0, units=8)) == "OPEN"
    assert word(run(0.0, units=(5.704143449055001 / 2,) * 27)) == "OPEN"
    assert word(run(HIGH, units=4, number=1), run(HIGH, units=4, number=2)) == "HOLDS"


def test_however_wide_a_sequence_is_the_standing_can_be_written_down() -> None:
    found = standing(contract(level=1 - 1e-12), "", [run(0.0, units=(-4.6, 4.6) * 4)])
    assert math.isfinite(found.subjects[0].looks[0].high)


# --- the fold over a real chain --------------------------------------------------------------------------------------


def test_the_sample_grows_over_runs_and_leaves_void_and_smoke_runs_out(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    for seed, values in enumerate([around(HIGH, 0.3), around(HIGH, 0.2), around(HIGH, 0.1)]):
        run_with(store, measurement(values, seed=seed))
    run_with(store, measurement(around(LOW, 0.01), controls=[control(passed=False)], seed=8))
    run_with(store, measurement(around(LOW, 0.01), profile="smoke", seed=9), profile="smoke")
    with store.reading() as session:
        found = history(session, claim_id(store))
    assert [run.word for run in found.runs[-2:]] == ["VOID", "INCONCLUSIVE"]
    (reading,) = found.standing.subjects
    assert (reading.runs, reading.n) == (3, 24)
    assert (found.standing.word, found.standing.so_far) == ("OPEN", "HOLDS")


def test_runs_under_an_older_contract_do_not_count(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    run_with(store, measurement(around(HIGH, 0.05)))
    page = claim_page(tmp_path / "pages", "the-gap", written(shelf_life_days=40))
    library.bring_in(store, [page], NOW)
    with store.reading() as session:
        found = history(session, claim_id(store))
    assert found.contract_version == 2
    assert found.runs == ()
    assert found.standing.so_far is None
    run_with(store, measurement(around(LOW, 0.05), seed=2))
    with store.reading() as session:
        assert history(session, claim_id(store)).standing.so_far == "REFUTED"


def test_a_claim_about_large_models_stays_untested_and_shows_what_the_laboratory_found(tmp_path: Path) -> None:
    store = a_library(tmp_path, {"the-gap": large_models()})
    run_with(store, measurement(around(HIGH, 0.05)))
    with store.reading() as session:
        found = history(session, claim_id(store)).standing
    assert (found.word, found.at_scale) == ("UNTESTED", "REPRODUCED")
    assert "0.02 M parameters against 1 B or more" in found.subjects[0].differences


# --- freshness -------------------------------------------------------------------------------------------------------

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (NOW - 30 * DAY, "FRESH"),
        (NOW - MOMENT, "FRESH"),
        (NOW, "DUE"),
        (NOW + 30 * DAY - MOMENT, "DUE"),
        (NOW + 30 * DAY, "STALE"),
        (NOW + 999 * DAY, "STALE"),
    ],
)
def test_freshness_turns_at_the_end_of_each_shelf_life(now: datetime, word: str) -> None:
    found = freshness(NOW, 30, now)
    assert found.word == word
    assert found.turn == {"FRESH": NOW, "DUE": NOW, "STALE": NOW + 30 * DAY}[word]


def test_what_was_never_tested_is_due() -> None:
    found = freshness(None, 30, NOW)
    assert (found.word, found.turn) == ("DUE", None)


def test_the_shelf_life_counts_from_the_newest_run_that_is_evidence() -> None:
    runs = [run(HIGH, number=5), run(HIGH, number=900), run(HIGH, number=7), run(HIGH, number=20, profile="smoke")]
    assert fresh_until(contract(), runs) == NOW + 7 * DAY + 30 * DAY  # the one before was made under a clock set ahead
    assert fresh_until(contract(), []) is None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        run(HIGH, at=datetime(2026, 1, 1))


# --- several parts, and medians --------------------------------------------------------------------------------------

SECOND = {"endpoint": "deeper_did", "regions": {"holds": "<= 0.9", "refuted": "> 0.9"}, "design_effect": 0.7}


def in_parts(first: float, second: float, number: int = 1, **changes: Any) -> PastRun:
    other = {"units": around(second, 0.02), "cap": CAP, "noise_floor": 0.005}
    return run(first, number=number, also=[other], **changes)


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        (HIGH, -0.4, "HOLDS"),
        (LOW, -0.4, "REFUTED"),
        (HIGH, 0.4, "REFUTED"),
        (MIDDLE, -0.4, "WEAKENED"),
        (MIDDLE, 0.4, "REFUTED"),
        (HIGH, math.log(0.9), "OPEN"),
    ],
)
def test_a_claim_in_parts_stands_with_all_of_them(first: float, second: float, word: str) -> None:
    said = contract(also=[SECOND])
    found = standing(said, "", [in_parts(first, second, 1), in_parts(first, second, 2)])
    assert found.word == word
    assert [look.n for look in found.subjects[0].looks] == [8, 16]


def test_a_part_alone_is_read_as_if_it_were_all() -> None:
    said = contract(also=[SECOND])
    past = in_parts(HIGH, 0.4)
    alone = [standing(said.alone(part), "", [past.of_part(number)]) for number, part in enumerate(said.parts)]
    assert [one.word for one in alone] == ["HOLDS", "REFUTED"]
    assert alone[1].subjects[0].looks[0].estimate == pytest.approx(math.exp(0.4))


def test_a_median_stands_through_the_sign_sequence_whatever_an_outlier_says() -> None:
    said = contract().model_copy(update={"statistic": "median"})
    units = (0.3, 0.31, 0.33, 0.4, 0.5, 0.6, 0.7, 4.0)
    assert standing(said, "", [run(0.0, units=units)]).word == "HOLDS"
    assert standing(said, "", [run(0.0, units=(-4.0, *units[1:]))]).word == "OPEN"
    wild = [run(0.0, units=(-4.0, *units[1:]), number=number) for number in (1, 2, 3)]
    assert standing(said, "", wild).word == "HOLDS"
    strict = contract(level=0.999).model_copy(update={"statistic": "median"})
    (look,) = standing(strict, "", [run(0.0, units=units)]).subjects[0].looks
    assert (math.log(look.low), math.log(look.high)) == pytest.approx((CAP[0] - 0.005, CAP[1] + 0.005))
