"""Growing samples: their sequences against the formulas, what begins another, what is missing, and what changed when."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from claims import ledger
from claims.audit import audit
from claims.contract import Contract
from claims.freshness import Waiting, fresh_until, freshness
from claims.history import History, fold, history, refresh, until
from claims.judge import Verdict
from claims.ledger import (
    ContractSet,
    Decided,
    Entry,
    Event,
    MadeDue,
    Replayed,
    Retired,
    RunFailed,
    RunStarted,
    VerdictGiven,
    Woken,
    digest_of_contract,
)
from claims.overview import rows
from claims.samples import Look, Tally
from claims.standing import Fold, PastRun, Replay, Standing, standing
from kb.models import LedgerEntry
from kb.store import Store
from tests.claims_support import (
    NOW,
    a_library,
    around,
    claim_id,
    contract,
    control,
    endpoint,
    four_years,
    measurement,
    reproducible,
    run_with,
    written,
)
from verifiers import stats
from verifiers.measurement import Failure

CAP = (-4.6, 4.6)
HIGH, MIDDLE, LOW = math.log(1.9), math.log(1.17), math.log(0.9)  # HOLDS, WEAKENED, REFUTED
ALIKE, OTHER = "a" * 64, "b" * 64  # codes
HERE, THERE = "e" * 64, "f" * 64  # environments
DAY = timedelta(days=1)
SUBJECT = "lab:story"


def run(number: int, centre: float = HIGH, spread: float = 0.02, **changes: Any) -> PastRun:
    """A certified run of eight units."""
    values = {
        "run": f"run {number}",
        "number": number,
        "at": NOW + number * DAY,
        "subject": SUBJECT,
        "profile": "standard",
        "verifier_code": ALIKE,
        "environment": HERE,
        "certified": True,
        "word": "INCONCLUSIVE",
        "tag": None,
        "units": tuple(around(centre, spread)),
        "cap": CAP,
        "noise_floor": 0.005,
    }
    return PastRun.model_validate(values | changes)


def lost(number: int, units: int = 8, **changes: Any) -> PastRun:
    """A run that was given up."""
    return run(number, word="ERROR", units=(None,) * units, certified=False, **changes)


def void(number: int, **changes: Any) -> PastRun:
    return run(number, LOW, word="VOID", **changes)


def folded(*runs: PastRun, said: Contract | None = None) -> Fold:
    """A fold of RUNS under one contract."""
    found = Fold()
    found.begin(said or contract())
    for one in runs:
        found.take(one)
    return found


def stands(*runs: PastRun) -> Standing:
    return standing(contract(), "", runs)


# --- the sequences ---------------------------------------------------------------------------------------------------

VALUES = st.lists(st.one_of(st.none(), st.floats(-2.0, 2.0)), min_size=8, max_size=60)


@reproducible
@given(VALUES, st.integers(1, 59), st.sampled_from([0.95, 0.975, 0.9]), st.sampled_from([0.0, 0.02]))
def test_a_mean_on_sums_is_read_as_its_units_are_at_each_cap(
    units: Sequence[float | None], split: int, level: float, noise: float
) -> None:
    tally = Tally((-1.0, 1.5), noise, by_median=False).plus(units[:split]).plus(units[split:])
    assert (tally.drawn, tally.missing) == (len(units), units.count(None))
    for end in tally.ends:
        filled = [end if unit is None else min(max(unit, -1.0), 1.5) for unit in units]
        assert tally.has_spread(end) == (min(filled) != max(filled))
        wanted = stats.lai_sequence(filled, 8, level).widened(noise)
        assert tally.sequence(end, 8, level) == pytest.approx(wanted, rel=1e-9, abs=1e-7)


@reproducible
@given(VALUES, st.integers(1, 59), st.sampled_from([0.95, 0.975, 0.9]))
def test_a_median_is_read_as_its_units_are_at_each_cap_and_lies_inside_them(
    units: Sequence[float | None], split: int, level: float
) -> None:
    tally = Tally((-1.0, 1.5), 0.0, by_median=True).plus(units[:split]).plus(units[split:])
    for end in tally.ends:
        filled = [end if unit is None else min(max(unit, -1.0), 1.5) for unit in units]
        wanted = stats.sign_sequence(filled, level)
        inside = stats.Interval(wanted.estimate, max(wanted.low, -1.0), min(wanted.high, 1.5))
        assert tally.sequence(end, 8, level) == inside


@pytest.mark.parametrize(
    ("n", "mean", "spread", "first_look", "alpha", "low", "high"),
    [
        (8, 0.5, 0.2, 8, 0.05, 0.2447, 0.7553),
        (16, 0.5, 0.2, 8, 0.05, 0.3304, 0.6696),
        (8, 0.5, 0.2, 8, 0.025, 0.2028, 0.7972),
        (80, 0.5, 0.2, 8, 0.05, 0.4248, 0.5752),
        (1664, 0.5, 0.2, 8, 0.05, 0.4818, 0.5182),
        (5, 0.0, 1.0, 5, 0.05, -1.9887, 1.9887),
        (12, 0.0, 1.0, 12, 0.05, -0.9470, 0.9470),
        (24, 0.0, 1.0, 12, 0.05, -0.6551, 0.6551),
    ],
)
def test_the_known_values_of_lais_sequence_come_from_sums(
    n: int, mean: float, spread: float, first_look: int, alpha: float, low: float, high: float
) -> None:
    units = around(mean, spread, n)
    tally = Tally((-9.0, 9.0), 0.0, by_median=False)
    for start in range(0, n, 8):
        tally = tally.plus(units[start : start + 8])
    found = tally.sequence(0.0, first_look, 1 - alpha)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_what_is_shown_of_missing_units_reaches_as_far_as_either_cap_makes_it() -> None:
    near_the_lower_cap = (*around(-0.9, 0.01, 8), None)
    said = contract()
    (look,) = standing(said, "", [run(1, units=near_the_lower_cap, cap=(-1.0, 10.0))]).subjects[0].looks
    both = [
        stats.lai_sequence([*near_the_lower_cap[:-1], end], 8, 0.95).widened(0.005)  # type: ignore[list-item]
        for end in (-1.0, 10.0)
    ]
    assert math.log(look.low) == pytest.approx(min(one.low for one in both))
    assert math.log(look.high) == pytest.approx(max(one.high for one in both))
    assert both[1].low < both[0].low  # the far cap widens to both sides


# --- which sample a run belongs to, and at what level it is read ----------------------------------------------------------


def test_the_vth_sample_is_read_at_the_level_halved_v_minus_one_times() -> None:
    for versions in range(1, 7):
        found = stands(*(run(number, verifier_code=str(number) * 64) for number in range(1, versions + 1)))
        (reading,) = found.subjects
        assert (reading.sample, reading.runs) == (versions, 1)
        assert reading.level == pytest.approx(1 - 0.05 * 2 ** (1 - versions), abs=1e-15)
        wanted = stats.lai_sequence(around(HIGH, 0.02), 8, reading.level).widened(0.005)
        assert math.log(reading.looks[0].low) == pytest.approx(wanted.low)


def test_samples_are_counted_over_contracts_and_apart_for_runs_without_a_certificate() -> None:
    one, two = contract(), contract(shelf_life_days=60)
    found = Fold()
    found.begin(one)
    for number, certified in enumerate([True, False, True], 1):
        found.take(run(number, certified=certified))
    assert found.subject(SUBJECT).samples == {True: 2, False: 1}
    for said in (two, one, one):
        found.begin(said)
        found.take(run(9))
    assert found.standing().subjects[0].sample == 5  # one that comes back is another too
    found.take(run(10, certified=False))
    reading = found.standing().subjects[0]
    assert (reading.sample, reading.certified, reading.level) == (2, False, pytest.approx(0.975))


def test_a_contract_without_any_run_uses_up_no_sample() -> None:
    found = Fold()
    for _ in range(5):
        found.begin(contract())
    found.begin(None)
    found.begin(contract())
    found.take(run(1))
    assert found.standing().subjects[0].sample == 1


def test_even_the_hundredth_sample_can_be_read() -> None:
    found = stands(*(run(number, verifier_code=f"{number:064}") for number in range(1, 101)))
    (reading,) = found.subjects
    assert (found.word, reading.sample) == ("OPEN", 100)
    assert reading.level is not None
    assert reading.level < 1
    assert math.isfinite(reading.looks[0].high)


def test_other_caps_begin_another_sample() -> None:
    found = stands(run(1), run(2, cap=(-4.6, 5.0)), run(3, cap=(-4.6, 5.0)))
    assert (found.subjects[0].sample, found.subjects[0].runs) == (2, 2)


def test_a_sample_is_widened_by_the_largest_noise_floor_of_its_runs() -> None:
    looks = stands(run(1), run(2, noise_floor=0.1), run(3)).subjects[0].looks
    wanted = [
        stats.lai_sequence(around(HIGH, 0.02) * n, 8, 0.95).widened(by) for n, by in ((1, 0.005), (2, 0.1), (3, 0.1))
    ]
    assert [math.log(look.low) for look in looks] == pytest.approx([one.low for one in wanted])


def test_a_number_is_one_set_of_units_however_often_it_is_told() -> None:
    assert stands(run(1), run(2), run(2), run(1)) == stands(run(1), run(2))
    assert stands(run(1), lost(1)) == stands(run(1))


# --- replays ---------------------------------------------------------------------------------------------------------


def replay(was: tuple[str, str], now: tuple[str, str], *, agrees: bool) -> Replay:
    return Replay(subject=SUBJECT, was=was, now=now, agrees=agrees)


def sample_after(*events: PastRun | Replay) -> tuple[int, int]:
    """Which sample the newest is, and how many runs it has."""
    found = folded()
    for event in events:
        if isinstance(event, Replay):
            found.replayed(event)
        else:
            found.take(event)
    (reading,) = found.standing().subjects
    return reading.sample, reading.runs


def test_code_whose_replay_agrees_goes_on_with_the_sample() -> None:
    agreed = replay((ALIKE, HERE), (OTHER, HERE), agrees=True)
    new = [run(number, verifier_code=OTHER) for number in (2, 3)]
    assert sample_after(run(1), agreed, *new) == (1, 3)
    assert sample_after(run(1), agreed, *new, run(4)) == (1, 4)  # and back again
    assert sample_after(run(1), *new) == (2, 2)
    assert sample_after(run(1), replay((ALIKE, HERE), (OTHER, HERE), agrees=False), *new) == (2, 2)


def test_agreeing_goes_from_code_to_code() -> None:
    third = "d" * 64
    steps = [replay((ALIKE, HERE), (OTHER, HERE), agrees=True), replay((OTHER, HERE), (third, HERE), agrees=True)]
    assert sample_after(run(1), steps[0], run(2, verifier_code=OTHER), steps[1], run(3, verifier_code=third)) == (1, 3)


def test_another_environment_goes_on_until_a_replay_there_disagrees() -> None:
    there = [run(number, environment=THERE) for number in (2, 3)]
    assert sample_after(run(1), *there) == (1, 3)
    apart = replay((ALIKE, HERE), (ALIKE, THERE), agrees=False)
    assert sample_after(run(1), apart, *there) == (2, 2)
    assert sample_after(run(1), apart, *there, run(4)) == (3, 1)  # going back mixes nothing


def test_what_disagrees_with_itself_does_not_begin_a_sample_with_every_run() -> None:
    itself = replay((ALIKE, HERE), (ALIKE, HERE), agrees=False)
    assert sample_after(run(1), itself, run(2), run(3)) == (1, 3)


# --- lost and VOID runs ----------------------------------------------------------------------------------------------


def test_a_lost_run_is_missing_at_both_caps_until_it_is_measured_after_all() -> None:
    certain = [run(number, spread=0.1) for number in (1, 2, 3)]
    assert stands(*certain).word == "HOLDS"
    found = stands(*certain, lost(4))
    assert (found.word, found.subjects[0].n, found.subjects[0].runs) == ("OPEN", 32, 3)
    assert "8 units gave no value" in found.reason
    look = found.subjects[0].looks[-1]
    units = [unit for one in certain for unit in one.units if unit is not None]
    ends = [stats.lai_sequence([*units, *[end] * 8], 8, 0.95).widened(0.005) for end in CAP]
    assert (math.log(look.low), math.log(look.high)) == pytest.approx((ends[0].low, ends[1].high))
    back = stands(*certain, lost(4), run(4, spread=0.1))
    assert (back.word, back.subjects[0].n) == ("HOLDS", 32)
    assert back.subjects[0].looks[-1] == stands(*certain, run(4, spread=0.1)).subjects[0].looks[-1]


def test_a_lost_run_decides_nothing_where_both_caps_say_the_same() -> None:
    close = (math.log(1.5), math.log(2.2))
    found = stands(*(run(number, spread=0.05, cap=close) for number in range(1, 5)), lost(5, units=1))
    assert (found.word, found.subjects[0].n) == ("HOLDS", 33)


def test_given_up_twice_is_missing_once() -> None:
    certain = [run(number) for number in (1, 2)]
    assert stands(*certain, lost(3), lost(3)).subjects[0].n == 24
    assert stands(*certain, lost(3), lost(3), run(3)).word == "HOLDS"


def test_a_run_that_was_given_up_and_comes_out_void_is_left_out() -> None:
    certain = [run(number) for number in (1, 2)]
    found = stands(*certain, lost(3), void(3))
    assert (found.word, found.subjects[0].n) == ("HOLDS", 16)
    assert stands(lost(1), void(1), run(2)).subjects[0].n == 8


def test_a_run_that_was_lost_before_any_came_out_belongs_to_the_sample_of_its_code() -> None:
    assert stands(lost(1)).word == "UNTESTED"
    found = stands(lost(1), run(2))
    assert (found.word, found.subjects[0].n) == ("OPEN", 16)
    assert stands(lost(1), run(2), run(1)).word == "HOLDS"
    assert stands(lost(1), run(1)).word == "HOLDS"
    of_new_code = stands(run(1), lost(2, verifier_code=OTHER), run(3, verifier_code=OTHER))
    assert (of_new_code.subjects[0].sample, of_new_code.subjects[0].n) == (2, 16)
    assert stands(run(1), lost(2, verifier_code=OTHER)).word == "HOLDS"


def test_a_lost_smoke_run_is_no_evidence() -> None:
    assert stands(run(1), lost(2, profile="smoke")).word == "HOLDS"


@pytest.mark.parametrize(("voids", "word"), [(3, "HOLDS"), (4, "OPEN")])
def test_four_void_of_the_last_twenty_suspend_and_three_do_not(voids: int, word: str) -> None:
    valid = [run(number) for number in range(1, 17)]
    found = stands(*(void(50 + number) for number in range(voids)), *valid)
    assert found.word == word
    assert found.subjects[0].is_suspended == (word == "OPEN")
    assert found.subjects[0].n == 8 * 16  # and the sample grows on
    after = stands(*(void(50 + number) for number in range(voids)), *valid, *(run(20 + n) for n in range(voids)))
    assert after.word == "HOLDS"  # the voids have left the last twenty


def test_new_code_or_a_new_contract_clears_a_suspension() -> None:
    voided = [run(1), *(void(number) for number in range(2, 6))]
    assert stands(*voided).word == "OPEN"
    assert stands(*voided, run(6, verifier_code=OTHER)).word == "HOLDS"
    found = folded(*voided)
    found.begin(contract(shelf_life_days=60))
    found.take(run(6))
    assert found.standing().word == "HOLDS"


def test_a_smoke_run_that_is_void_suspends_nothing() -> None:
    assert stands(run(1), *(void(number, profile="smoke") for number in range(2, 9))).word == "HOLDS"


# --- CHANGED ---------------------------------------------------------------------------------------------------------


@reproducible
@given(st.floats(-0.6, 0.6), st.integers(1, 4), st.integers(1, 4))
def test_changed_appears_exactly_when_the_sequences_at_half_of_alpha_are_disjoint(
    shift: float, before: int, after: int
) -> None:
    old = [run(number, HIGH, 0.2) for number in range(before)]
    new = [run(10 + number, HIGH + shift, 0.1, verifier_code=OTHER) for number in range(after)]
    found = stands(*old, *new).subjects[0].changed
    one, two = (
        stats.lai_sequence([unit for run in runs for unit in run.units if unit is not None], 8, 0.975).widened(0.005)
        for runs in (old, new)
    )
    assert (found is not None) == (one.high < two.low or two.high < one.low)
    if found:
        assert (found.endpoint, found.before.n, found.after.n) == ("interaction_did", 8 * before, 8 * after)
        assert (math.log(found.before.low), math.log(found.after.high)) == pytest.approx((one.low, two.high))


def test_only_samples_of_the_same_quantities_are_compared() -> None:
    def after(said: Contract) -> Fold:
        found = folded(run(1, LOW))
        found.begin(said)
        found.take(run(2, HIGH))
        return found

    assert after(contract(shelf_life_days=60)).standing().subjects[0].changed
    assert after(contract(design_effect=2.5)).standing().subjects[0].changed
    others = (
        contract(parameters={"own_entropy": 0.46, "deeper_entropy": 0.30}),
        contract(endpoint="deeper_did"),
        contract().model_copy(update={"statistic": "median"}),
    )
    for said in others:
        assert after(said).standing().subjects[0].changed is None


def test_only_neighbours_with_the_same_standing_of_their_certificate_are_compared() -> None:
    uncertified = run(2, LOW, certified=False)
    assert stands(run(1), uncertified).subjects[0].changed is None
    back = stands(run(1), uncertified, run(3)).subjects[0]
    assert (back.sample, back.changed) == (2, None)


# --- order -----------------------------------------------------------------------------------------------------------


def test_the_same_record_gives_the_same_standing_and_subjects_do_not_disturb_each_other() -> None:
    said = contract(subjects=["lab:story", "lab:story-kl-held"])
    here = [run(1), lost(2), run(3, LOW), void(4), run(5, verifier_code=OTHER)]
    there = [one.model_copy(update={"subject": "lab:story-kl-held"}) for one in [run(1, LOW), lost(1), run(2, LOW)]]
    orders = [[*here, *there], [*there, *here], [here[0], *there, *here[1:]]]
    found = [standing(said, "", order) for order in orders]
    assert found[0] == found[1] == found[2]


# --- a chain ---------------------------------------------------------------------------------------------------------

DIGEST = digest_of_contract(contract())


def set_to(version: int = 1, said: Contract | None = None) -> ContractSet:
    one = said or contract()
    return ContractSet(version=version, contract=one.model_dump(mode="json"), contract_digest=digest_of_contract(one))


def started(number: int, attempt: int = 1, subject: str = SUBJECT, code: str = ALIKE) -> RunStarted:
    return RunStarted(
        run=f"{subject} {number} {attempt}",
        number=number,
        attempt=attempt,
        verifier="entropy_gap",
        verifier_version="1",
        verifier_code=code,
        subject=subject,
        profile="standard",
        parameters={},
        units=8,
        seed=number,
        contract_digest=DIGEST,
    )


def verdict(of: RunStarted, centre: float = HIGH, spread: float = 0.02, *, is_void: bool = False) -> VerdictGiven:
    return VerdictGiven(
        run=of.run,
        number=of.number,
        attempt=of.attempt,
        subject=of.subject,
        profile=of.profile,
        contract_digest=of.contract_digest,
        verifier_code=of.verifier_code or "",
        environment=HERE,
        measurement_digest="0" * 64,
        certificate="1" * 64,
        units=tuple(around(centre, spread)),
        cap=CAP,
        noise_floor=0.005,
        verdict=Verdict(word="VOID" if is_void else "INCONCLUSIVE", reason="said"),
    )


def failed(of: RunStarted, cause: str = "lost") -> RunFailed:
    return RunFailed.model_validate(
        {
            "run": of.run,
            "number": of.number,
            "attempt": of.attempt,
            "subject": of.subject,
            "profile": of.profile,
            "cause": cause,
            "reason": "no power",
        }
    )


def ran(number: int, centre: float = HIGH, **changes: Any) -> tuple[Event, Event]:
    """A whole run."""
    begun = started(number, **changes)
    return begun, verdict(begun, centre)


def chain(*events: Event, hours: Sequence[int] | None = None) -> list[Entry]:
    """Entries of these events, one an hour, or at these HOURS."""
    times = hours or range(len(events))
    return [
        Entry(seq=number, at=NOW + timedelta(hours=hour), digest="", event=event)
        for number, (event, hour) in enumerate(zip(events, times, strict=True), 1)
    ]


def past(*events: Event, hours: Sequence[int] | None = None) -> History:
    return fold("a claim", "", chain(*events, hours=hours))


def attempts(number: int, *causes: str, subject: str = SUBJECT) -> list[Event]:
    found: list[Event] = []
    for attempt, cause in enumerate(causes, 1):
        begun = started(number, attempt, subject)
        found += [begun, failed(begun, cause)]
    return found


def test_a_run_is_given_up_at_its_third_attempt_or_when_trying_again_is_no_use() -> None:
    usual: list[Event] = [set_to(), *ran(1), *ran(2)]
    for causes, word in [
        (["lost", "lost"], "HOLDS"),
        (["lost", "lost", "lost"], "OPEN"),
        (["failed"], "OPEN"),
        (["stopped"] * 5, "HOLDS"),
        (["lost", "stopped", "lost"], "HOLDS"),
    ]:
        assert past(*usual, *attempts(3, *causes)).standing.word == word, causes
    again = started(3, attempt=4)
    back = past(*usual, *attempts(3, "lost", "lost", "lost"), again, verdict(again))
    assert (back.standing.word, back.standing.subjects[0].n) == ("HOLDS", 24)


def test_attempts_at_a_number_are_counted_for_each_subject_apart() -> None:
    said = contract(subjects=[SUBJECT, "lab:story-kl-held"])
    usual: list[Event] = [set_to(said=said), *ran(1), *ran(1, subject="lab:story-kl-held")]
    twice = [*attempts(2, "lost", "lost"), *attempts(2, "lost", subject="lab:story-kl-held")]
    assert [one.n for one in past(*usual, *twice).standing.subjects] == [8, 8]


def test_a_record_as_of_a_time_is_the_fold_of_the_chain_up_to_then() -> None:
    events: list[Event] = [
        set_to(),
        *ran(1),
        *ran(2, LOW),
        *ran(3, code=OTHER),
        set_to(2),
        *ran(4),
        *attempts(5, "failed"),
    ]
    entries = chain(*events)
    for count in range(len(entries) + 1):
        moment = entries[count - 1].at + timedelta(minutes=5) if count else NOW - DAY
        assert until(entries, moment) == entries[:count]
        assert until(entries, None) == entries
    standings = [fold("a claim", "", entries[:count]).standing.word for count in range(len(entries) + 1)]
    assert standings == ["UNTESTED"] * 3 + ["HOLDS"] * 2 + ["OPEN"] * 2 + [
        "HOLDS",
        "UNTESTED",
        "UNTESTED",
        "HOLDS",
        "HOLDS",
        "OPEN",
    ]


def test_a_clock_that_jumped_back_leaves_out_nothing_that_was_written_before() -> None:
    entries = chain(set_to(), *ran(1), *ran(2), hours=[0, 1, 2, 90, 3])
    assert until(entries, NOW + timedelta(hours=2)) == entries[:3]
    assert until(entries, NOW + timedelta(hours=3)) == entries  # the run that began "in 90 hours" had begun
    assert until(entries, NOW + timedelta(hours=100)) == entries
    assert until(entries, NOW - DAY) == []


def test_history_as_of_a_time_reads_the_store_as_it_was(tmp_path: Path) -> None:
    store = a_library(tmp_path)
    times = [NOW + week * 7 * DAY for week in range(1, 5)]
    for seed, at in enumerate(times):
        run_with(store, measurement(around([HIGH, LOW][seed % 2], 0.3), seed=seed), at=at)
    with store.reading() as session:
        entries = ledger.entries(session, claim_id(store))
        for count, at in enumerate(times, 1):
            found = history(session, claim_id(store), as_of=at + timedelta(hours=1))
            assert len(found.runs) == count
            assert found == fold(claim_id(store), "", entries[: 1 + 2 * count])


# --- flips -----------------------------------------------------------------------------------------------------------


def said(found: History) -> list[tuple[str, str, str]]:
    return [(flip.axis, flip.was, flip.now) for flip in found.flips]


def test_a_flip_carries_both_intervals_side_by_side() -> None:
    found = past(set_to(), *ran(1), *ran(2, LOW))
    assert said(found) == [("standing", "UNTESTED", "HOLDS"), ("standing", "HOLDS", "OPEN")]
    first, second = found.flips
    looks = found.standing.subjects[0].looks
    assert (first.before, first.after) == (None, looks[0])
    assert (second.before, second.after) == looks
    assert (second.at, second.seq, second.run, second.number) == (NOW + timedelta(hours=4), 5, f"{SUBJECT} 2 1", 2)
    assert second.why.startswith("run 2: the interval")


def test_a_flip_says_its_tag_and_what_made_it() -> None:
    found = past(set_to(), *ran(1, MIDDLE), set_to(2))
    assert said(found) == [
        ("standing", "UNTESTED", "WEAKENED, SMALLER"),
        ("standing", "WEAKENED, SMALLER", "UNTESTED"),
    ]
    assert found.flips[1].why == "contract version 2"
    lost_one = past(set_to(), *ran(1), *attempts(2, "failed"))
    assert said(lost_one)[-1] == ("standing", "HOLDS", "OPEN")
    assert "given up" in lost_one.flips[-1].why
    suspended = [set_to(), *ran(1)]
    for number in range(2, 6):
        begun = started(number)
        suspended += [begun, verdict(begun, is_void=True)]
    assert "suspended: 4 of its last 5 runs were VOID" in past(*suspended).flips[-1].why


def test_a_run_outside_the_regime_flips_only_what_is_said_at_this_scale() -> None:
    far = contract(
        regime={"stage": "post-trained for chat", "size": ">= 1e9", "domain": "chat"}, does_not_say="anything tiny"
    )
    found = past(set_to(said=far), *ran(1))
    assert said(found) == [("at this scale", "nothing yet", "REPRODUCED")]
    assert found.standing.word == "UNTESTED"


def test_an_uncertified_run_flips_only_what_is_said_so_far() -> None:
    begun = started(1)
    found = past(set_to(), begun, verdict(begun).model_copy(update={"certificate": None}))
    assert ("so far", "nothing yet", "HOLDS") in said(found)
    assert found.standing.word == "OPEN"


def test_a_verdict_under_a_contract_that_is_gone_counts_for_nothing() -> None:
    begun = started(1)
    found = past(set_to(), begun, set_to(2), verdict(begun))
    assert (found.standing.word, found.runs) == ("UNTESTED", ())


# --- freshness, retirement, decisions ---------------------------------------------------------------------------------


def fresh(found: History, now: datetime) -> tuple[str, str]:
    assert found.contract is not None
    over = fresh_until(found.contract, found.runs)
    one = freshness(over, found.contract.shelf_life_days, now, found.waiting)
    return one.word, one.reason


def test_what_makes_a_claim_due_counts_until_a_run_that_began_after_it() -> None:
    asked = MadeDue(cause="new version", who="the watcher", reason="v2", source="arXiv:2301.00001")
    usual: list[Event] = [set_to(), *ran(1)]
    assert fresh(past(*usual), NOW + DAY)[0] == "FRESH"
    due = past(*usual, asked)
    assert fresh(due, NOW + DAY) == (
        "DUE",
        "a paper that bears on it has a new version (arXiv:2301.00001), by the watcher: v2",
    )
    assert fresh(due, NOW + 31 * DAY)[0] == "STALE"
    assert fresh(past(*usual, asked, *ran(2)), NOW + DAY)[0] == "FRESH"
    begun = started(2)
    assert fresh(past(*usual, begun, asked, verdict(begun)), NOW + DAY)[0] == "DUE"
    assert fresh(past(*usual, asked, begun, verdict(begun, is_void=True)), NOW + DAY)[0] == "DUE"


def test_a_retired_claim_says_who_why_and_what_would_wake_it_and_keeps_its_standing() -> None:
    gone = Retired(who="Ada", reason="no such models any more", wakes_on="a model of that kind")
    found = past(set_to(), *ran(1), gone)
    assert fresh(found, NOW + 99 * DAY) == (
        "RETIRED",
        "retired by Ada: no such models any more. What would wake it: a model of that kind",
    )
    assert found.standing.word == "HOLDS"
    woken = past(set_to(), *ran(1), gone, Woken(who="Ada", reason="there is one"))
    assert fresh(woken, NOW + DAY) == ("DUE", "woken by Ada: there is one")
    assert woken.flips == found.flips


def test_a_run_dated_in_the_future_does_not_make_a_claim_fresh() -> None:
    word, reason = fresh(past(set_to(), *ran(1)), NOW - DAY)
    assert word == "DUE"
    assert "set this machine's clock right" in reason


def test_a_decision_has_its_source_and_the_newest_counts() -> None:
    decided = [Decided(word=word, who="Ada", source="a proof", reason="it follows") for word in ("HOLDS", "REFUTED")]
    found = fold("a claim", "a theorem", chain(*decided))
    assert found.standing.word == "DOCUMENTARY"
    assert found.decision is not None
    assert (found.decision.word, found.decision.source, found.decision.at) == (
        "REFUTED",
        "a proof",
        NOW + timedelta(hours=1),
    )
    assert found.waiting == Waiting()


# --- the audit -------------------------------------------------------------------------------------------------------


def write(store: Store, *events: Event, slug: str = "the-gap") -> None:
    """Append events to a claim's chain, as those do who may."""
    with store.writing() as session:
        claim = claim_id(store, slug)
        for event in events:
            ledger.append(session, claim, event, NOW)
        refresh(session, claim)
        ledger.seal(session, [claim], NOW)


@pytest.fixture
def everything(tmp_path: Path) -> Store:
    """A claim whose chain has an entry of every kind."""
    store = a_library(tmp_path)
    first = run_with(store, measurement(around(HIGH, 0.1), seed=1))
    run_with(store, Failure(reason="no power", cause="lost"))
    run_with(store, measurement(around(HIGH, 0.1), seed=2, controls=[control(passed=False)]))
    write(
        store,
        Replayed(
            run=first.id,
            number=first.number,
            subject=SUBJECT,
            verifier_code=OTHER,
            environment=HERE,
            identical=False,
            largest=0.001,
            agrees=True,
            measurement_digest="0" * 64,
        ),
        MadeDue(cause="withdrawn", who="the watcher", reason="", source="arXiv:2301.00001"),
        Retired(who="Ada", reason="why not", wakes_on="a reason"),
        Woken(who="Ada", reason="a reason"),
        Decided(word="HOLDS", who="Ada", source="a proof", reason="it follows"),
    )
    run_with(store, measurement(around(HIGH, 0.1), seed=3, code=OTHER))
    return store


def test_a_chain_with_entries_of_every_kind_agrees(everything: Store) -> None:
    assert audit(everything).problems == ()
    with everything.reading() as session:
        found = history(session, claim_id(everything))
    assert {entry.event.kind for entry in found.entries} == {
        "contract", "run", "verdict", "error", "replay", "due", "retired", "woken", "decision",
    }  # fmt: skip
    (reading,) = found.standing.subjects
    assert (reading.sample, reading.runs) == (1, 2)  # the replay let the other code go on


def rewritten(store: Store, change: Callable[[dict[str, Any]], Any]) -> None:
    """CHANGE the bodies of all verdicts, with digests that fit and a seal over them."""
    with store.writing() as session:
        claim, previous = claim_id(store), ledger.START
        for row in session.exec(
            select(LedgerEntry).where(LedgerEntry.claim_id == claim).order_by(col(LedgerEntry.seq))
        ):
            body = json.loads(row.body)
            if row.kind == "verdict":
                change(body)
            row.body, row.previous = ledger.canonical(body), previous
            row.digest = previous = ledger.entry_digest(row)
            session.add(row)
        ledger.seal(session, [claim], NOW)


def test_a_verdict_from_before_environments_were_written_down_still_agrees(everything: Store) -> None:
    rewritten(everything, lambda body: [body.pop(name) for name in ("environment", "attempt")])
    with everything.writing() as session:
        refresh(session, claim_id(everything))
    assert audit(everything).problems == ()
    with everything.reading() as session:
        assert {run.environment for run in history(session, claim_id(everything)).runs} == {None}


SECOND = {"endpoint": "deeper_did", "regions": {"holds": "<= 0.9", "refuted": "> 0.9"}, "design_effect": 0.7}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(also=[]),
        lambda body: body.update(units=[None] * 8 + [1e300], cap=[-1e305, 1e305]),
        lambda body: body.update(units=[1e300, -1e300] * 4, cap=[-1e305, 1e305]),
        lambda body: body.update(units=[]),
    ],
    ids=["a part less", "none but a huge one", "huge", "none"],
)
def test_units_that_no_run_could_give_are_found_and_nothing_crashes(
    change: Callable[[dict[str, Any]], Any], tmp_path: Path
) -> None:
    store = a_library(tmp_path, {"the-gap": written(also=[SECOND])})
    run_with(store, measurement([endpoint(around(HIGH, 0.1)), endpoint(around(-0.4, 0.1), "deeper_did")]))
    assert audit(store).problems == ()
    rewritten(store, change)
    assert "its verdict is not what its contract makes of its measurement" in audit(store).problems[0].what


# --- four years ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = a_library(tmp_path_factory.mktemp("long"), at=NOW - 4 * 365 * DAY)
    four_years(store, ["the-gap"])
    return store


def test_four_years_of_weekly_runs_are_added_up_once(long: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    plus = Tally.plus

    def counted(tally: Tally, units: Sequence[float | None], *rest: Any) -> Tally:
        added.append(len(units))
        return plus(tally, units, *rest)

    with long.reading() as session:
        entries = ledger.entries(session, claim_id(long))
    monkeypatch.setattr(Tally, "plus", counted)
    found = fold(claim_id(long), "", entries)
    valid = [one for one in found.runs if one.counts]
    assert len(found.runs) == 208
    assert added == [12] * len(valid)


def test_a_list_of_claims_adds_up_nothing(long: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Tally:
        raise AssertionError("units were added up for a list that the cache answers")

    monkeypatch.setattr(Tally, "plus", never)
    with long.reading() as session:
        (row,) = rows(session, NOW)
    looks: tuple[Look, ...] = row.standing.subjects[0].looks
    assert looks
    assert row.freshness is not None


def test_four_years_agree_and_tell_what_happened(long: Store) -> None:
    assert audit(long).problems == ()
    with long.reading() as session:
        found = history(session, claim_id(long))
    (reading,) = found.standing.subjects
    assert (reading.sample, found.standing.so_far) == (4, "REFUTED")
    assert reading.changed is not None
    assert {flip.now for flip in found.flips} >= {"HOLDS", "REFUTED"}
    assert found.entries[-1].at <= NOW
