"""How a certificate comes about: the rule against the standing's own fold, the counting by hand, and a whole trial of a
verifier that measures in no time, with its children, its notebook and its refusals.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from claims import certification, goals, trial
from claims.audit import audit
from claims.certification import Tried, TriedPart
from claims.certified import certificate_for
from claims.contract import Contract, contract_from
from claims.errors import CannotCertify
from claims.goals import STANDARD, Effort
from claims.judge import Units, Word, judge
from claims.ledger import digest_of
from claims.simulation import Numbers, Simulated, drawn, histories, intervals, is_inside, places, standings
from claims.standing import PastRun, SubjectReading, standing
from claims.truths import Asked, contract_for, said_of, truths
from kb.store import Store
from tests import fake_verifier
from tests.claims_support import (
    NOW,
    ROOT,
    a_library,
    around,
    contract,
    endpoint,
    marked,
    measurement,
    past,
    run_with,
    sql,
    until,
)
from verifiers import certificate, provenance, registry, stats
from verifiers.certificate import Bank, Certificate, Rate, Truth
from verifiers.measurement import Measurement
from verifiers.registry import VERIFIERS, RefusedVerifier, Trial, Verifier, certificate_of, find

SMALL = Effort(
    histories=200,
    looks=20,
    histories_wrong=60,
    complete=4,
    runs=30,
    pass_at=12,
    fail_above=20,
    pass_at_twice=30,
    right_at=25,
    breaks=4,
    healthy=5,
    steady=3,
)
TWO_SIDED = {"holds": "0.95 .. 1.05", "refuted": ["< 0.90", "> 1.10"], "weakened": ["0.90 .. 0.95", "1.05 .. 1.10"]}


# --- the rule --------------------------------------------------------------------------------------------------------


def reading(said: Contract, runs: Sequence[PastRun]) -> SubjectReading:
    """What the one subject of a contract reads after RUNS."""
    (only,) = standing(said, "", runs).subjects
    return only


def past_run(number: int, units: Sequence[float], noise_floor: float) -> PastRun:
    return PastRun(
        run=str(number),
        number=number,
        at=NOW,
        subject="lab:story",
        profile="standard",
        verifier_code="c",
        certified=True,
        word="HOLDS",
        tag=None,
        units=tuple(units),
        cap=(-9.0, 9.0),
        noise_floor=noise_floor,
    )


@pytest.mark.parametrize("truth", [1.0, 1.10, 1.17, 1.25, 1.82])
@pytest.mark.parametrize("regions", [None, {"regions": TWO_SIDED, "design_effect": 1.0}])
def test_the_rule_reads_histories_as_a_standing_does(truth: float, regions: dict[str, Any] | None) -> None:
    said = contract(**(regions or {}))
    noise_floor = 0.005
    drawn = np.random.default_rng(7).normal(math.log(truth), 0.12, (3, 12, 8))
    low, high = intervals(said, drawn, noise_floor)
    found = places(said, low, high)
    for history in range(len(drawn)):
        runs = [past_run(number, units, noise_floor) for number, units in enumerate(drawn[history].tolist(), start=1)]
        looks = reading(said, runs).looks
        assert [math.log(look.low) for look in looks] == pytest.approx(low[history].tolist(), abs=1e-9)
        assert [math.log(look.high) for look in looks] == pytest.approx(high[history].tolist(), abs=1e-9)
        for look in range(1, len(runs) + 1):
            word = reading(said, runs[:look]).word
            within = [region.upper() for region, flags in found.items() if flags[history, look - 1]]
            assert within == ([] if word == "OPEN" else [word])


def test_the_rule_says_nothing_where_units_do_not_differ() -> None:
    low, high = intervals(contract(), np.full((1, 3, 8), 0.9), 0.0)
    assert not any(flags.any() for flags in places(contract(), low, high).values())


def simulated(units: Simulated, truth: float, size: tuple[int, int, int]) -> Numbers:
    (found,) = drawn([units], [truth], np.random.default_rng(1), size)
    return found


def test_simulated_units_have_the_spread_the_shape_and_the_shared_part_that_was_asked_for() -> None:
    shape = (0.0, 0.0, 0.0, 1.0)  # three of four below the mean
    found = simulated(Simulated(shape, 0.5, 0.3, (-99.0, 99.0), 0.0), 2.0, (200, 100, 8))
    assert found.mean() == pytest.approx(2.0, abs=0.01)
    assert found.std() == pytest.approx(0.5, rel=0.01)
    within = found - found.mean(axis=2, keepdims=True)
    assert (within**2).sum() / (within[..., 1:].size) == pytest.approx(0.7 * 0.25, rel=0.02)
    assert stats.shared_variance(found[0].tolist() + found[1].tolist()) == pytest.approx(0.3, abs=0.08)
    alone = simulated(Simulated(shape, 0.5, 0.0, (-99.0, 99.0), 0.0), 0.0, (1, 100, 8))
    assert len(np.unique(alone.round(9))) == 2
    assert stats.skewness(alone.ravel().tolist()) == pytest.approx(2 / math.sqrt(3), abs=0.3)


def test_simulated_units_stay_inside_their_caps() -> None:
    found = simulated(Simulated((-1.0, 1.0), 5.0, 0.0, (-2.0, 3.0), 0.0), 0.0, (1, 50, 8))
    assert (found.min(), found.max()) == (-2.0, 3.0)


def counted_histories(share: float) -> Truth:
    normal = tuple(np.random.default_rng(3).standard_normal(4000).tolist())
    units = Simulated(normal, 0.3, share, (-99.0, 99.0), 0.0)
    said = contract(unit={"per_run": 12, "first_look": 12})
    return histories(said, Asked("border 1.25", (1.25,), ""), [units], 600, 208, seed=5)


def test_on_a_border_the_rule_errs_as_rarely_as_the_sequence_promises_and_shared_variance_spoils_it() -> None:
    alone, shared = counted_histories(0.0), counted_histories(0.1)
    assert alone.false_holds is not None
    assert shared.false_holds is not None
    assert alone.false_holds <= 0.025 * alone.n + 8
    assert alone.covered >= 0.95 * alone.n - 16
    assert 0.08 <= shared.false_holds / shared.n <= 0.26  # verdicts.md: 8 to 26 % at a tenth shared
    assert sum(alone.words.values()) == alone.n
    assert alone.right is None


def test_histories_are_the_same_for_a_seed_however_few_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    units = Simulated((-1.0, 0.2, 0.8), 0.3, 0.05, (-9.0, 9.0), 0.005)
    whole = histories(contract(), Asked("null", (1.0,), ""), [units], 40, 10, seed=5)
    assert histories(contract(), Asked("null", (1.0,), ""), [units], 40, 10, seed=5) == whole
    monkeypatch.setattr("claims.simulation.AT_ONCE", 800)
    pieces = histories(contract(), Asked("null", (1.0,), ""), [units], 40, 10, seed=5)
    assert pieces.n == whole.n == 40
    assert sum(pieces.words.values()) == 40


def test_which_errors_a_truth_can_show() -> None:
    said = contract()
    assert [is_inside(said, value, "holds") for value in (1.0, 1.1, 1.25, 1.2500001, 1.82)] == [False] * 3 + [True] * 2
    assert [is_inside(said, value, "refuted") for value in (1.0, 1.0999, 1.1, 1.25)] == [True, True, False, False]


# --- what is asked ---------------------------------------------------------------------------------------------------


def a_trial(**planted: float) -> Trial:
    return Trial(planted={f"planted:{name}": value for name, value in planted.items()}, true="t", false="f", breaks=())


EVERY_TRUTH = {"null": 1.0, "low": 1.10, "middle": 1.1726, "high": 1.25, "design": 1.82}


def test_the_truths_are_the_null_the_borders_the_middle_and_the_design_effect() -> None:
    asked = truths(contract(), a_trial(**EVERY_TRUTH))
    assert [(one.values[0], one.subject.partition(":")[2]) for one in asked] == [
        (1.0, "null"),
        (1.10, "low"),
        (1.25, "high"),
        (1.1726, "middle"),
        (1.82, "design"),
    ]
    assert len({one.name for one in asked}) == 5


def test_a_claim_with_two_sides_has_four_borders_and_two_middles() -> None:
    planted = {
        "a": 1.0,
        "b": 0.90,
        "c": 0.95,
        "d": 1.05,
        "e": 1.10,
        "f": math.sqrt(0.9 * 0.95),
        "g": math.sqrt(1.05 * 1.1),
    }
    asked = truths(contract(regions=TWO_SIDED, design_effect=1.0), a_trial(**planted))
    assert {one.subject for one in asked} == {f"planted:{name}" for name in planted}  # null and design effect are one
    assert len({one.name for one in asked}) == 7


@pytest.mark.parametrize("gone", EVERY_TRUTH)
def test_a_truth_for_which_nothing_is_planted_is_named(gone: str) -> None:
    left = {name: value for name, value in EVERY_TRUTH.items() if name != gone}
    with pytest.raises(CannotCertify, match=rf"no subject for .* the truth is {EVERY_TRUTH[gone]:g}"):
        truths(contract(), a_trial(**left))


def test_a_border_must_be_planted_exactly() -> None:
    with pytest.raises(CannotCertify, match=r"border 1\.25"):
        truths(contract(), a_trial(**EVERY_TRUTH | {"high": 1.2501}))


# --- what is counted -------------------------------------------------------------------------------------------------


def test_a_run_is_kept_as_it_was_judged() -> None:
    measured = measurement(around(0.5, 0.1))
    kept = certification.tried(contract(), measured, 1.5)
    verdict = judge(contract(), measured)
    assert kept.word == verdict.word == "HOLDS"
    assert kept.units == tuple(around(0.5, 0.1))
    low, high = stats.t_interval(around(0.5, 0.1), 0.95).widened(0.005)[1:]
    assert kept.interval == pytest.approx((low, high))


def test_a_unit_without_a_value_widens_the_interval_to_both_of_its_caps() -> None:
    values = [*around(0.5, 0.1, 7), "it diverged"]
    measured = measurement([endpoint(values, cap=(-1.0, 2.0))])
    kept = certification.tried(contract(), measured, 0.0)
    ends = [stats.t_interval([*around(0.5, 0.1, 7), cap], 0.95).widened(0.005) for cap in (-1.0, 2.0)]
    assert kept.interval == pytest.approx((ends[0].low, ends[1].high))
    assert kept.units[-1] is None


def ran(word: Word, units: Sequence[float | None] = (0.1, 0.2), interval: tuple[float, float] | None = None) -> Tried:
    return Tried(word=word, units=tuple(units), interval=interval, cpu_s=2.0)


def test_words_errors_and_coverage_are_counted_apart() -> None:
    on_border = Asked("border", (1.25,), "planted:high")
    truth = math.log(1.25)
    runs = [
        ran("HOLDS", interval=(truth + 0.01, 1.0)),
        ran("REFUTED", interval=(-1.0, truth - 0.01)),
        ran("INCONCLUSIVE", interval=(truth, 1.0)),
        ran("VOID"),
    ]
    found = certification.counted(contract(), on_border, runs)
    assert found.words == {"HOLDS": 1, "REFUTED": 1, "INCONCLUSIVE": 1, "VOID": 1}
    assert (found.n, found.covered, found.false_holds, found.false_refuted, found.right) == (4, 1, 1, 1, None)
    at_design = certification.counted(contract(), Asked("design effect", (1.82,), "planted:design"), runs)
    assert (at_design.false_holds, at_design.false_refuted, at_design.right) == (None, 1, 1)
    at_null = certification.counted(contract(), Asked("null", (1.0,), "planted:null"), runs)
    assert (at_null.false_holds, at_null.false_refuted) == (1, None)


SPEC = find("entropy_gap").endpoint("interaction_did")


def bank_of(complete: dict[str, list[Tried]], spread: float = 0.0) -> tuple[Bank, Simulated]:
    (found,) = certification.bank_of(contract(), complete, replace(a_trial(), spread=spread))
    return found


def test_the_bank_has_the_larger_spread_and_the_shape_of_units_scaled_by_subject() -> None:
    complete = {
        "t": [ran("HOLDS", [1.0, 2.0]), ran("HOLDS", [3.0, 4.0, None]), ran("VOID", [99.0, -99.0])],
        "f": [ran("REFUTED", [0.0, 0.0]), ran("REFUTED", [0.0, 4.0])],
    }
    bank, units = bank_of(complete)
    small, large = math.sqrt(5 / 3), 2.0  # standard deviations of 1, 2, 3, 4 and of 0, 0, 0, 4
    scaled = [[-1.5 / small, -0.5 / small], [0.5 / small, 1.5 / small], [-1.0 / large] * 2, [-1.0 / large, 3.0 / large]]
    every = [unit for run in scaled for unit in run]
    assert (bank.n, bank.sd) == (8, pytest.approx(large))
    assert sorted(units.shape) == pytest.approx(sorted(every))
    assert bank.skewness == pytest.approx(stats.skewness(every))
    assert bank.run_share == pytest.approx(stats.shared_variance(scaled))
    assert (units.sd, units.run_share, units.cap, units.noise_floor) == (bank.sd, bank.run_share, SPEC.cap, 0.005)
    wider = bank_of(complete, spread=9.0)
    assert (wider[0].sd, wider[0].drawn_sd, wider[1].sd) == (bank.sd, 9.0, 9.0)
    assert bank_of(complete, spread=0.1)[1].sd == bank.sd


def test_complete_runs_that_give_nothing_to_draw_from_are_no_bank() -> None:
    with pytest.raises(CannotCertify, match="no spread"):
        bank_of({"t": [ran("INCONCLUSIVE", [1.0] * 8)] * 2, "f": [ran("REFUTED", [0.0] * 8)] * 2})
    with pytest.raises(CannotCertify, match=r"gave no units.*VOID, VOID"):
        bank_of({"t": [ran("VOID", around(1, 1))] * 2, "f": [ran("REFUTED", around(0, 1))] * 2})


# --- several parts, and medians --------------------------------------------------------------------------------------

PARTS = contract(
    also=[{"endpoint": "deeper_did", "regions": {"holds": "<= 0.9", "refuted": "> 0.9"}, "design_effect": 0.7}]
)


def test_of_several_parts_each_is_asked_about_alone_and_once_all_are_at_their_borders() -> None:
    planted: dict[str, tuple[float, ...]] = {
        "null": (1.0, 1.0),
        "low": (1.10, 0.7),
        "high": (1.25, 0.7),
        "middle": (1.1726, 0.7),
        "other": (1.82, 0.9),
        "all": (1.10, 0.9),
        "design": (1.82, 0.7),
        "of one part": (1.82,),
    }
    asked = truths(PARTS, replace(a_trial(), planted=planted))
    assert {one.subject: one.values for one in asked} == {k: v for k, v in planted.items() if len(v) == 2}
    with pytest.raises(CannotCertify, match=r"border 0\.9 of deeper_did, where the truth is 1\.82, 0\.9"):
        truths(PARTS, replace(a_trial(), planted={k: v for k, v in planted.items() if k != "other"}))


def in_parts(word: Word, *units: Sequence[float], ends: Sequence[tuple[float, float]] = ((0, 1), (0, 1))) -> Tried:
    first, second = (TriedPart(units=tuple(one), interval=end) for one, end in zip(units, ends, strict=True))
    return Tried(word=word, cpu_s=1.0, also=(second,), **dict(first))


def test_of_several_parts_holds_is_right_where_all_hold_and_refuted_where_one_is() -> None:
    log = math.log
    covers, misses = (log(1.25), 1.0), (log(1.3), 1.0)
    runs = [
        in_parts("HOLDS", [0.5], [-0.3], ends=[covers, (-1.0, 0.0)]),
        in_parts("REFUTED", [0.5], [-0.3], ends=[covers, (0.1, 0.2)]),
        in_parts("INCONCLUSIVE", [0.5], [-0.3], ends=[misses, (-1.0, 0.0)]),
    ]
    at = certification.counted(PARTS, Asked("border 1.25", (1.25, 0.7), ""), runs)
    assert (at.value, at.also, at.covered) == (1.25, {"deeper_did": 0.7}, 2)
    assert (at.false_holds, at.false_refuted, at.right) == (1, 1, None)
    wrong = certification.counted(PARTS, Asked("one is wrong", (1.82, 0.95), ""), runs)
    assert (wrong.false_holds, wrong.false_refuted, wrong.right) == (1, None, None)
    design = certification.counted(PARTS, Asked("design effect", (1.82, 0.7), ""), runs)
    assert (design.false_holds, design.false_refuted, design.right) == (None, 1, 1)


def test_the_rows_of_all_banks_are_those_of_the_same_units() -> None:
    runs = {
        "t": [in_parts("HOLDS", [1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0])] * 2,
        "f": [in_parts("REFUTED", [0.0, 1.0, 5.0, 2.0], [0.0, -2.0, -10.0, -4.0])] * 2,
    }
    (_, first), (bank, second) = certification.bank_of(PARTS, runs, replace(a_trial(), spread=(0.1, 99.0)))
    assert np.array(first.shape[:8]) == pytest.approx(np.array(second.shape[:8]))
    assert np.array(first.shape[8:]) == pytest.approx(-np.array(second.shape[8:]))
    assert (bank.drawn_sd, second.sd) == (99.0, 99.0)
    assert first.sd < 99.0
    asked = certification.spread_of([(bank, first), (bank, second)], replace(a_trial(), spread=(0.1, 11.0)))
    assert asked == pytest.approx(max(first.sd, 0.1 * 99.0 / 11.0))


@pytest.mark.parametrize("truth", [(1.82, 0.7), (1.25, 0.8), (1.17, 0.85), (1.05, 0.9), (1.4, 0.97)])
def test_the_rule_reads_parts_and_medians_as_a_standing_does(truth: tuple[float, float]) -> None:
    part = PARTS.also[0].model_copy(update={"statistic": "median"})
    said = PARTS.model_copy(update={"also": (part,)})
    units = [Simulated((-1.0, 0.0, 0.2, 0.8), 0.12, 0.0, (-9.0, 9.0), 0.005, by_median) for by_median in (False, True)]
    parts = drawn(units, [math.log(one) for one in truth], np.random.default_rng(3), (4, 9, 8))
    found = standings(said, parts, units)
    for history in range(4):
        runs = [
            past_run(number, parts[0][history, number], 0.005).model_copy(
                update={"also": (Units(units=tuple(parts[1][history, number]), cap=(-9.0, 9.0), noise_floor=0.005),)}
            )
            for number in range(9)
        ]
        for look in range(1, 10):
            word = reading(said, runs[:look]).word
            within = [region.upper() for region, flags in found.items() if flags[history, look - 1]]
            assert within == ([] if word == "OPEN" else [word])


def test_a_median_on_its_border_is_misread_rarely_whatever_the_shape() -> None:
    skewed = tuple(float(one) for one in np.random.default_rng(2).exponential(1.0, 500) ** 2)
    part = contract(unit={"per_run": 8, "first_look": 8}).model_copy(update={"statistic": "median"})
    units = Simulated(skewed, 0.4, 0.0, (-99.0, 99.0), 0.0, by_median=True)
    found = histories(part, Asked("border 1.25", (1.25,), ""), [units], 400, 60, seed=2)
    assert found.false_holds is not None
    assert found.false_holds / found.n <= 0.05
    assert found.covered >= 0.95 * found.n


# --- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "n"),
    [(STANDARD.histories_wrong, STANDARD.histories), (STANDARD.pass_at, STANDARD.runs), (STANDARD.pass_at_twice, 1000)],
)
def test_what_passes_has_an_upper_bound_of_five_percent_at_most(allowed: int, n: int) -> None:
    assert stats.binomial_upper(allowed, n) <= 0.05 < stats.binomial_upper(allowed + 1, n)


def test_what_passes_at_the_design_effect_has_a_lower_bound_of_eighty_percent_at_least() -> None:
    assert (
        stats.binomial_lower(STANDARD.right_at - 1, STANDARD.runs)
        < 0.80
        <= stats.binomial_lower(STANDARD.right_at, STANDARD.runs)
    )
    assert stats.binomial_lower(STANDARD.breaks, STANDARD.breaks) >= 0.95 > stats.binomial_lower(58, 58)
    assert round(stats.binomial_upper(0, 2 * STANDARD.complete), 2) == 0.22


def planted_truth(false_holds: int | None, false_refuted: int | None, n: int = 500, right: int | None = None) -> Truth:
    return Truth(
        name="somewhere",
        value=1.0,
        n=n,
        words={},
        covered=n,
        false_holds=false_holds,
        false_refuted=false_refuted,
        right=right,
    )


@pytest.mark.parametrize(
    ("holds", "refuted", "n", "more"),
    [
        (16, 3, 500, False),
        (17, 3, 500, True),
        (3, 25, 500, True),
        (None, 20, 500, True),
        (20, 26, 500, False),
        (30, 3, 1000, False),
        (None, None, 500, False),
    ],
)
def test_runs_are_made_again_only_where_the_first_ones_do_not_decide(
    holds: int | None, refuted: int | None, n: int, more: bool
) -> None:
    assert goals.needs_more(planted_truth(holds, refuted, n), STANDARD) is more


@pytest.mark.parametrize(
    ("truth", "wrong"),
    [
        (planted_truth(16, 16), 0),
        (planted_truth(17, 16), 1),
        (planted_truth(17, 26), 2),
        (planted_truth(38, None, 1000), 0),
        (planted_truth(39, None, 1000), 1),
        (planted_truth(None, 0, right=416), 0),
        (planted_truth(None, 0, right=415), 1),
        (planted_truth(None, 0, 1000, right=831), 1),
    ],
)
def test_errors_and_power_are_held_against_what_passes(truth: Truth, wrong: int) -> None:
    healthy = Rate(rate=0.02, count=4, n=200, bound=0.05)
    found = certificate.Instrument(truths=(truth,), breaks=(), void_healthy=healthy)
    assert len(list(goals.instrument(found, STANDARD))) == wrong


# --- a whole trial ---------------------------------------------------------------------------------------------------


class Heard:
    """A report that remembers, and interrupts after so many runs."""

    def __init__(self, patience: int = 10**9) -> None:
        self.stages: dict[str, int] = {}
        self._patience = patience

    def __call__(self, what: str, done: int, total: int, cpu_s: float) -> None:
        assert 0 <= done <= total
        assert cpu_s >= 0
        self.stages[what] = total
        self._patience -= done > 0
        if self._patience < 0:
            raise KeyboardInterrupt


def certified(folder: Path, processes: int = 1, heard: Heard | None = None, **how: Any) -> Certificate:
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    given = trial.Means(clock=lambda: datetime(2026, 11, 22, tzinfo=UTC), processes=processes, cache=str(cache))
    return trial.certify("fake_gap", given, heard or Heard(), SMALL, **how)


def made(folder: Path) -> list[str]:
    """The runs that were made there, those with two threads apart from the others."""
    return (folder / "cache" / "made").read_text().splitlines()


def numbers(found: Certificate) -> dict[str, Any]:
    return found.model_dump(exclude={"made_at", "cost"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the fake verifier is installed."""
    with fake_verifier.installed(tmp_path_factory.mktemp("package")) as package:
        yield package


@pytest.fixture(scope="module")
def granted(folder: Path) -> Certificate:
    """Its certificate."""
    return certified(folder)


RUNS = 2 * 4 + 5 + 4 + 4 + 5 * 30 + 5 * 3 + 2


def check_counts(found: Certificate) -> None:
    """Every rate and bound of a certificate follows from its counts, and its four rates from its truths."""
    every = (*found.rule.truths, *found.instrument.truths)
    for rate, attribute, bound, worst in (
        (found.false_holds, "false_holds", stats.binomial_upper, max),
        (found.false_refuted, "false_refuted", stats.binomial_upper, max),
        (found.power, "right", stats.binomial_lower, min),
        (found.coverage, "covered", stats.binomial_lower, min),
    ):
        counts = [(getattr(truth, attribute), truth.n) for truth in every if getattr(truth, attribute) is not None]
        assert (rate.count, rate.n) in counts
        assert rate.bound == pytest.approx(bound(rate.count, rate.n))
        assert rate.bound == pytest.approx(worst(bound(*one) for one in counts))
    for rate in (found.false_holds, found.false_refuted, found.power, found.coverage, found.instrument.void_healthy):
        assert rate.rate == pytest.approx(rate.count / rate.n)
    healthy, whole = found.instrument.void_healthy, found.end_to_end
    assert healthy.bound == pytest.approx(stats.binomial_upper(healthy.count, healthy.n))
    assert whole.upper95 == pytest.approx(stats.binomial_upper(whole.n - whole.as_planted, whole.n))
    assert whole.n == sum(map(len, whole.verdicts.values()))
    assert all(sum(truth.words.values()) == truth.n for truth in every)
    assert found.granted is not bool(found.reasons)


def check_current(found: Certificate, verifier: Verifier) -> None:
    """A certificate is of the very code that lies beside it."""
    assert found.code_digest == provenance.trial_digest(verifier), "the code has changed: certify it again"
    assert found.version == verifier.version
    assert found.verifier_code == provenance.code_digest(verifier)
    assert found.contract == said_of(contract_for(verifier), verifier)


def test_a_sound_verifier_gets_a_certificate_beside_its_code(folder: Path, granted: Certificate) -> None:
    assert granted.reasons == ()
    assert granted.granted
    written = json.loads((folder / "fakegap" / "certificates" / "fake_gap.json").read_text())
    assert Certificate.model_validate(written) == granted
    fake = find("fake_gap")
    assert certificate_of("fake_gap") == granted
    assert registry.status(fake) == "certified"
    check_counts(granted)
    check_current(granted, fake)
    assert set(written) >= set(
        "verifier version code_digest made_at contract alpha method m b rule instrument end_to_end bank noise_floor "
        "design_effect false_holds false_refuted power coverage cost seeds".split()
    )


def test_its_numbers_are_those_of_the_runs_that_were_made(granted: Certificate) -> None:
    assert (granted.m, granted.b, granted.alpha, granted.design_effect) == (8, 8, 0.05, 2.0)
    assert granted.end_to_end.verdicts.keys() == {"fakegap:true", "fakegap:false"}
    assert set(granted.end_to_end.verdicts["fakegap:true"]) == {"HOLDS"}
    assert granted.bank.n == 2 * 4 * 8
    assert granted.bank.sd == pytest.approx(0.5, abs=0.1)
    assert [(one.name, one.caught, one.n) for one in granted.instrument.breaks] == [
        ("blind", 4, 4),
        ("untrained", 4, 4),
    ]
    assert [truth.value for truth in granted.instrument.truths] == [0.0, 0.5, 1.0, 0.76, 2.0]
    assert granted.noise_floor.bias < 0.001  # units that hardly differ: without the bank's spread in the way
    assert granted.noise_floor.threads == 0
    assert granted.noise_floor.batch is None  # nobody measured it
    assert granted.instrument.void_healthy.count == 0


@pytest.mark.slow
def test_a_trial_that_was_interrupted_goes_on_and_more_processes_change_nothing(
    tmp_path: Path, granted: Certificate
) -> None:
    with fake_verifier.installed(tmp_path):  # the same code in another place
        with pytest.raises(KeyboardInterrupt):
            certified(tmp_path, 2, Heard(patience=60))
        first = len(made(tmp_path))
        assert 40 <= first < RUNS
        (notebook,) = (tmp_path / "cache" / "certification").iterdir()
        kept = notebook.read_bytes()
        assert len(kept.splitlines()) >= first - 2  # what was under way
        notebook.write_bytes(kept[:-20])  # a kill in the middle of writing
        assert numbers(certified(tmp_path, 2)) == numbers(granted)
        assert len(made(tmp_path)) == RUNS + first - len(kept.splitlines()) + 1

        finished = Heard()
        assert numbers(certified(tmp_path, 2, finished)) == numbers(granted)
        assert set(finished.stages) == {"the rule, simulated"}  # nothing was left to make
        with pytest.raises(KeyboardInterrupt):
            certified(tmp_path, 1, Heard(patience=3), restart=True)
        assert len(notebook.read_bytes().splitlines()) <= 6


KILLED = """
import sys
from pathlib import Path
from tests.test_claims_certification import certified
certified(Path(sys.argv[1]), processes=2)
"""


@pytest.mark.slow
def test_a_trial_that_was_killed_leaves_no_process_and_loses_only_what_was_under_way(
    tmp_path: Path, granted: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLHOLDS_TEST", str(tmp_path))
    with fake_verifier.installed(tmp_path):
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        command = [sys.executable, "-c", KILLED, str(tmp_path)]
        with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}) as process:
            assert until(lambda: (tmp_path / "cache" / "made").exists() and len(made(tmp_path)) > 20)
            process.kill()
        assert until(lambda: not [one for one in marked(str(tmp_path)) if one.pid != os.getpid()])
        first = len(made(tmp_path))
        assert first < RUNS
        assert numbers(certified(tmp_path)) == numbers(granted)
        assert len(made(tmp_path)) <= RUNS + 2


def test_every_run_has_a_seed_of_its_own(folder: Path, granted: Certificate) -> None:
    assert granted.granted
    seeds = [line.split()[-1] for line in made(folder)]
    assert len(seeds) == RUNS
    assert len(set(seeds)) == RUNS - 2  # two complete runs are made again, with two threads


def test_a_verifier_that_is_no_good_is_told_why(tmp_path: Path) -> None:
    one_sided = fake_verifier.TRIAL.replace('false="fakegap:false"', 'false="fakegap:design"')
    skewed = "(chance.expovariate(1) ** 2 - 2) / 20**0.5"
    with fake_verifier.installed(
        tmp_path, trial=one_sided, unit=skewed, caught="request.broken == 'blind'", floor=1e-7
    ):
        found = certified(tmp_path, processes=2)
        assert certificate_of("fake_gap") is None
        check_counts(found)
    assert not found.granted
    said = "\n".join(found.reasons)
    assert "never said REFUTED on fakegap:design, where the claim is false" in said
    assert "skewed by" in said
    assert "the break 'blind' was caught in only 0 of 4 runs" in said
    assert "untrained" not in said
    assert "more than the noise floor of 1e-07" in said


def test_a_refused_verifier_and_one_without_a_trial_are_never_tried(tmp_path: Path) -> None:
    with fake_verifier.installed(tmp_path / "refused", refused="it cannot fail"), pytest.raises(RefusedVerifier):
        certified(tmp_path)
    with (
        fake_verifier.installed(tmp_path / "without", trial="None"),
        pytest.raises(CannotCertify, match="names no trial"),
    ):
        certified(tmp_path)
    assert not (tmp_path / "cache" / "made").exists()


def test_nothing_is_tried_where_the_certificate_could_not_be_written(tmp_path: Path) -> None:
    with fake_verifier.installed(tmp_path):
        (tmp_path / "fakegap" / "certificates").write_text("no folder")
        with pytest.raises(CannotCertify, match="certify in a checkout"):
            certified(tmp_path)
    assert not (tmp_path / "cache" / "made").exists()


def test_a_run_that_gives_no_measurement_ends_the_trial_with_its_reason(tmp_path: Path) -> None:
    with (
        fake_verifier.installed(tmp_path, unit="1 / 0"),
        pytest.raises(CannotCertify, match=r"fakegap:true with seed \d+ gave no measurement: ZeroDivisionError"),
    ):
        certified(tmp_path)
    assert not list((tmp_path / "fakegap" / "certificates").iterdir())


# --- a run and its certificate ---------------------------------------------------------------------------------------


def fake_contract(**changes: Any) -> dict[str, Any]:
    return {**find("fake_gap").default_contract, "verifier": "fake_gap"} | changes


def fake_run(seed: int, code: str | None = None) -> Measurement:
    """A finished run of the fake verifier, far inside HOLDS."""
    fake = find("fake_gap")
    measured = measurement(
        [spec.filled(around(2.2, 0.3)) for spec in fake.endpoints],
        seed=seed,
        code=code or provenance.code_digest(fake),
    )
    subject = measured.subject.parse("fakegap:true")
    return measured.model_copy(update={"verifier": "fake_gap", "subject": subject, "parameters": {}})


@pytest.fixture
def store(tmp_path: Path, granted: Certificate) -> Store:
    """A library with one claim that the fake verifier tests."""
    assert granted.granted
    return a_library(tmp_path, {"the-gap": fake_contract()})


def test_a_run_of_certified_code_names_its_certificate_and_enters_the_standing(
    store: Store, granted: Certificate
) -> None:
    run_with(store, fake_run(1))
    found = past(store)
    assert [run.certified for run in found.runs] == [True]
    assert found.standing.word == "HOLDS"
    event = found.entries[-1].event
    assert event.kind == "verdict"
    assert event.certificate == digest_of(granted.model_dump(mode="json"))
    assert audit(store).problems == ()


def test_a_run_of_other_code_names_none(store: Store) -> None:
    run_with(store, fake_run(1, code="e" * 64))
    assert [run.certified for run in past(store).runs] == [False]
    assert past(store).standing.word == "OPEN"


def test_a_certificate_that_goes_or_comes_later_makes_no_entry_look_forged(store: Store, folder: Path) -> None:
    place = folder / "fakegap" / "certificates" / "fake_gap.json"
    kept = place.read_bytes()
    run_with(store, fake_run(1))
    place.unlink()
    try:
        run_with(store, fake_run(2))
        assert audit(store).problems == ()
        assert [run.certified for run in past(store).runs] == [True, False]
    finally:
        place.write_bytes(kept)
    run_with(store, fake_run(3))
    assert audit(store).problems == ()
    assert [run.certified for run in past(store).runs] == [True, False, True]
    (subject,) = past(store).standing.subjects
    assert (subject.certified, subject.runs, subject.n) == (True, 1, 8)  # the run without a certificate never enters
    assert past(store).standing.word == "HOLDS"


def test_a_run_that_names_a_certificate_of_other_code_or_one_that_is_gone_is_found(
    store: Store, granted: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(store, fake_run(1))
    assert audit(store).problems == ()
    (row,) = [row for row, body in sql(store, "SELECT rowid, body FROM measurement") if "end_to_end" in body]
    with monkeypatch.context() as forging:
        forging.setattr("claims.runs.certificate_for", lambda *_: granted)
        run_with(store, fake_run(2, code="e" * 64))
    (problem,) = audit(store).problems
    assert "does not cover it" in problem.what
    sql(store, "DELETE FROM measurement WHERE rowid = ?", row)
    assert len([problem for problem in audit(store).problems if "is missing, or does not cover" in problem.what]) == 2


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"regions": {"holds": ">= 0.9", "refuted": "< 0.9"}}, True),
        ({"unit": {"per_run": 16, "first_look": 12}}, True),
        ({"endpoint": "other"}, False),
        ({"level": 0.99}, False),
        ({"level": 0.9}, False),
    ],
)
def test_a_certificate_covers_the_quantity_and_the_level_that_were_tried(
    changes: dict[str, Any], covered: bool, granted: Certificate
) -> None:
    assert granted.granted
    said: Contract = contract_from(fake_contract(**changes))
    assert (certificate_for(said, fake_run(1)) is not None) is covered


def test_a_parameter_that_only_adds_endpoints_is_left_out_of_the_trial_and_left_open_by_the_certificate() -> None:
    gap = find("entropy_gap")
    tried = contract_for(gap)
    assert tried.parameters["rivals"] == 0
    assert "rivals" not in said_of(tried, gap)["parameters"]
    assert said_of(tried, gap)["parameters"]["own_entropy"] == 0.45


def test_a_certificate_that_was_not_granted_or_is_of_older_code_covers_nothing(
    folder: Path, granted: Certificate
) -> None:
    place = folder / "fakegap" / "certificates" / "fake_gap.json"
    kept = place.read_bytes()
    said = contract_from(fake_contract())
    try:
        for changed in ({"granted": False, "reasons": ("no",)}, {"code_digest": "f" * 64}):
            place.write_text(granted.model_copy(update=changed).model_dump_json())
            assert certificate_for(said, fake_run(1)) is None
    finally:
        place.write_bytes(kept)
    assert certificate_for(said, fake_run(1)) is not None


# --- certificates that ship ------------------------------------------------------------------------------------------

SHIPPED = sorted((Path(provenance.__file__).parent / "certificates").glob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_a_certificate_that_ships_is_current_and_its_rates_follow_from_its_counts(path: Path) -> None:
    found = Certificate.model_validate_json(path.read_bytes())
    assert found.verifier == path.stem
    check_current(found, VERIFIERS[found.verifier])
    check_counts(found)
    assert found.granted, found.reasons


def test_a_stale_certificate_and_one_with_other_counts_are_found(folder: Path, granted: Certificate) -> None:
    fake, record = find("fake_gap"), folder / "fakegap" / "experiment.py"
    kept = record.read_text()
    try:
        record.write_text(kept.replace("spread * one", "spread * one * 1.01"))
        with pytest.raises(AssertionError, match="certify it again"):
            check_current(granted, fake)
        record.write_text("# a comment\n" + kept)
        check_current(granted, fake)
    finally:
        record.write_text(kept)
    shown = granted.false_holds
    for changes in ({"bound": shown.bound / 2}, {"count": shown.count + 1}, {"n": 2 * shown.n}):
        with pytest.raises(AssertionError):
            check_counts(granted.model_copy(update={"false_holds": shown.model_copy(update=changes)}))
    better = granted.end_to_end.model_copy(update={"upper95": 0.01})
    with pytest.raises(AssertionError):
        check_counts(granted.model_copy(update={"end_to_end": better}))
