"""When claims are tested again: settings that can be kept, the rhythm of a claim, and the order of what is due."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims import schedule
from claims.errors import BadSchedule
from claims.hours import Settings, settings_from
from claims.rhythm import DAY, LONGEST, SHORTEST, Look, Rhythm, after, interval_days, rhythm
from claims.schedule import (
    Candidate,
    Event,
    Plan,
    Watched,
    chance,
    learned_cost,
    near,
    needed_cpu_seconds,
    next_due,
)
from tests.claims_support import NOW, reproducible

HOUR = timedelta(hours=1)
ON = Settings(on=True)


def look(days: float = 0.0, n: int = 8, estimate: float = 1.0, half: float = 0.4, word: str = "HOLDS") -> Look:
    """A look so many days ago, at an estimate beside a border at 0."""
    return Look(
        at=NOW - days * DAY, n=n, low=estimate - half, estimate=estimate, high=estimate + half, border=0, word=word
    )


def held(runs: int, every: float = 7.0, ago: float = 7.0, shelf_life: float = 60) -> Rhythm:
    """A claim that has held, far from its border."""
    looks = [look(ago + every * back, n=8 * (runs - back)) for back in reversed(range(runs))]
    state = rhythm(looks, shelf_life)
    assert state
    return state


def watched(days: float | None = 40.0, shelf_life: float = 30, **changes: Any) -> Watched:
    """A claim that was tested so many days ago."""
    last = None if days is None else NOW - days * DAY
    said = {"id": "a", "slug": "the-gap", "shelf_life_days": shelf_life, "since": NOW - 400 * DAY, "last_run_at": last}
    return Watched.model_validate(said | changes)


def candidate(key: str = "a", days: float | None = 40.0, cost: float = 60.0, **changes: Any) -> Candidate:
    """One measurement of one claim."""
    of_claim = {name: changes.pop(name) for name in list(changes) if name in Watched.model_fields}
    claims = changes.pop("claims", (watched(days, id=key, slug=key, **of_claim),))
    return Candidate(key=key, claims=claims, cost_cpu_seconds=cost, **changes)


def plan(*candidates: Candidate, spent: float = 0.0, said: Settings = ON, now: datetime = NOW) -> Plan:
    return next_due(candidates, spent, said, now)


def order(*candidates: Candidate, **changes: Any) -> list[str]:
    return [due.key for due in plan(*candidates, **changes).due]


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("every day", "has 2 fields and needs 5 (minute hour day month weekday)"),
        ("@daily", "has 1 fields and needs 5"),
        ("* * * * * *", "has 6 fields and needs 5"),
        ("* 25 * * *", "its hour, '25', cannot be read"),
        ("61 * * * *", "its minute, '61', cannot be read"),
        ("* * * * someday", "its weekday, 'someday', cannot be read"),
        ("*/0 * * * *", "its minute, '*/0', cannot be read"),
        ("R * * * *", "its minute, 'R', cannot be read"),
        ("0 0 30 2 *", "never comes, there is no such day"),
        ("", "has 0 fields"),
    ],
)
def test_a_nonsense_cron_is_refused_with_what_is_wrong_and_an_example(cron: str, said: str) -> None:
    with pytest.raises(BadSchedule) as error:
        settings_from({"cron": cron})
    assert str(error.value).startswith("cron: ")
    assert said in str(error.value)
    assert "write '*/15 * * * *'" in str(error.value)


@pytest.mark.parametrize(
    "cron", ["*/15 * * * *", "30 2 * * *", "0 9-17 * * mon-fri", "0 3 L * *", " 0  3 * mar,apr thu "]
)
def test_a_usual_cron_is_taken(cron: str) -> None:
    assert settings_from({"cron": cron}).cron == " ".join(cron.split())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"timezone": "Middle/Earth"}, "timezone: 'Middle/Earth' is no time zone: write UTC, or a place"),
        ({"timezone": "../etc/passwd"}, "timezone: "),
        ({"quiet": ["at night"]}, "quiet: 'at night' is no span of hours: write 22:00-07:00"),
        ({"quiet": ["22:00-24:00"]}, "'22:00-24:00' is no span of hours"),
        ({"quiet": ["22:60-23:00"]}, "is no span of hours"),
        ({"quiet": ["07:00-07:00"]}, "'07:00-07:00' ends where it begins"),
        ({"quiet": ["22:00-07:00", "06:00-22:00"]}, "is the whole day, so nothing would ever run"),
        ({"quiet": ["22:00-07:00"], "cron": "30 2 * * *"}, "looks only within the quiet hours (22:00-07:00)"),
        ({"budget_cpu_minutes": -1}, "budget_cpu_minutes: "),
        ({"budget_cpu_minutes": math.nan}, "budget_cpu_minutes: "),
        ({"profile": "smoke"}, "profile: "),
        ({"often": True}, "often: "),
    ],
)
def test_settings_that_cannot_be_kept_are_refused_in_words(written: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSchedule) as error:
        settings_from(written)
    assert said in str(error.value)


def test_quiet_hours_may_lie_over_midnight_and_follow_the_time_zone() -> None:
    night = Settings(on=True, timezone="Europe/Berlin", quiet=("22:00-07:00", "07:00-08:30"))
    assert night.quiet_until(datetime(2026, 11, 21, 20, 59, tzinfo=UTC)) is None
    assert night.quiet_until(datetime(2026, 11, 21, 21, 0, tzinfo=UTC)) == datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    assert night.next_start(datetime(2026, 11, 22, 2, 0, tzinfo=UTC)) == datetime(2026, 11, 22, 7, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.integers(0, 1439),
    st.integers(1, 1439),
)
@reproducible
def test_quiet_hours_always_end_ahead_whatever_the_clocks_do(at: datetime, zone: str, begin: int, length: int) -> None:
    end = (begin + length) % 1440
    said = Settings(timezone=zone, quiet=(f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}",))
    until = said.quiet_until(at)
    assert until is None or at < until <= at + 26 * HOUR
    if until is None or said.quiet_until(until) is None:
        assert said.day(at) <= at < said.day(at, 1)


# --- the rhythm of a claim -------------------------------------------------------------------------------------------


def test_a_claim_that_holds_earns_longer_intervals_and_never_beyond_its_shelf_life() -> None:
    earned = [interval_days([look(n=8 * run) for run in range(1, runs + 1)], 60) for runs in range(12)]
    assert earned[0] == 15
    assert earned[1] == 22.5
    assert earned == sorted(earned)
    assert earned[-1] == LONGEST * 60


def test_a_claim_that_wavers_is_tested_sooner() -> None:
    state = held(6)
    changed = after(state, look(n=56, estimate=-1, word="REFUTED"), 60)
    assert changed.interval_days == state.interval_days / 2
    assert changed.why == "its standing changed"
    assert changed.changes == 1
    close = after(None, look(n=48, estimate=0.45), 60)
    assert close.interval_days == 15
    touching = after(close, look(n=56, estimate=0.39, word="OPEN"), 60)
    assert touching.interval_days == 7.5
    assert touching.why == "its standing changed"
    assert "touches a border" in after(touching, look(n=64, estimate=0.38, word="OPEN"), 60).why


def test_a_claim_on_its_border_is_not_tested_ever_more_often_for_nothing() -> None:
    looks = [look(n=8 * run, estimate=0.001, half=1.2 / math.sqrt(run), word="OPEN") for run in range(1, 30)]
    assert interval_days(looks, 60) == LONGEST * 60


def test_new_runs_that_lie_across_the_border_from_all_the_old_ones_shorten_the_interval_before_the_standing_changes() -> (
    None
):
    state = held(30)
    for run in range(31, 34):
        whole = (30 * 1.0 + (run - 30) * -1.0) / run
        state = after(state, look(n=8 * run, estimate=whole, half=1.25 / math.sqrt(run)), 60)
    assert state.last.word == "HOLDS"
    assert state.strays
    assert state.why == "its newest runs lie across a border"
    assert near(state) > near(held(30))


@given(
    st.lists(
        st.tuples(st.floats(-2, 2), st.floats(0.01, 2), st.sampled_from(["HOLDS", "OPEN", "REFUTED"])), max_size=30
    ),
    st.integers(1, 3650),
)
@reproducible
def test_the_rhythm_is_a_fold_and_its_interval_stays_within_its_limits(
    said: list[tuple[float, float, str]], shelf_life: int
) -> None:
    looks = [
        look(-number, 8 * (number + 1), estimate, half, word) for number, (estimate, half, word) in enumerate(said)
    ]
    state = None
    for one in looks:
        state = after(state, one, shelf_life)
    assert state == rhythm(looks, shelf_life)
    assert min(SHORTEST, LONGEST * shelf_life) <= interval_days(looks, shelf_life) <= LONGEST * shelf_life
    if state:
        assert 0 <= near(state) <= 1
        assert 0 <= chance(watched(rhythm=state), 0.001, NOW) <= 1


def test_the_chance_of_a_change_rises_near_a_border_with_time_and_with_what_happened() -> None:
    calm = watched(10, rhythm=held(6))
    assert near(held(6)) < 0.01
    open_one = after(None, look(estimate=0.3, half=0.4, word="OPEN"), 60)
    assert near(open_one) > 0.05
    assert chance(calm, 0.001, NOW) < chance(watched(20, rhythm=held(6)), 0.001, NOW)
    withdrawn = watched(10, rhythm=held(6), events=(Event(cause="withdrawn", at=NOW),))
    assert chance(withdrawn, 0.001, NOW) > 0.3
    assert chance(calm, 0.01, NOW) > chance(calm, 0.001, NOW)


def test_a_claim_that_changed_often_is_thought_likelier_to_change_than_the_library() -> None:
    calm = held(6)
    restless = calm.model_copy(update={"changes": 4})
    assert chance(watched(10, rhythm=restless), 0.001, NOW) > 2 * chance(watched(10, rhythm=calm), 0.001, NOW)


def test_costs_are_learned_from_what_runs_really_cost() -> None:
    assert learned_cost(100, []) == 100
    assert learned_cost(100, [(150, 100), (160, 100), (900, 100), (5, 0)]) == 160


# --- what is due, and why --------------------------------------------------------------------------------------------


def test_what_is_due_says_every_reason() -> None:
    events = (
        Event(cause="asked", at=NOW - HOUR, by="ANNA"),
        Event(cause="new version", at=NOW - 2 * DAY, by="arXiv:2501.00001v2"),
        Event(cause="verifier", at=NOW - 3 * DAY),
        Event(cause="library", at=None),
        Event(cause="withdrawn", at=NOW - 50 * DAY),  # tested since
    )
    (due,) = plan(candidate(events=events)).due
    assert due.reasons == (
        "the verifier changed on 2026-11-18",
        "arXiv:2501.00001v2 has a new version on 2026-11-19",
        "asked for by ANNA on 2026-11-21",
        "the libraries that it runs on changed",
        "its shelf life of 30 days is over since 2026-11-11",
    )


def test_each_claim_that_shares_a_measurement_says_its_own_reason() -> None:
    both = (
        watched(None, slug="one"),
        watched(40, slug="two"),
        watched(1, slug="three"),
        watched(90, slug="four", retired=True),
    )
    (due,) = plan(candidate(claims=both)).due
    assert due.claims == ("one", "two", "three")
    assert due.reasons == (
        "one: it was never tested under its present contract",
        "two: its shelf life of 30 days is over since 2026-11-11",
    )


def test_a_change_of_which_nobody_knows_the_time_makes_a_claim_due_once_a_day_at_most() -> None:
    changed = (Event(cause="library", at=None),)
    assert order(candidate(days=0.9, rhythm=held(3), events=changed)) == []
    assert order(candidate(days=1.0, rhythm=held(3), events=changed)) == ["a"]


def test_a_claim_inside_its_interval_waits_and_says_until_when() -> None:
    made = plan(candidate(days=7, shelf_life_days=60, rhythm=held(3)))
    assert made.state == "nothing due"
    (waiting,) = made.waiting
    assert waiting.state == "not due"
    assert "its interval is 48 days, because it lies far from every border" in waiting.reason
    assert made.until == waiting.until == NOW + 41 * DAY


def test_its_turn_comes_before_its_shelf_life_is_over() -> None:
    (due,) = plan(candidate(days=50, shelf_life_days=60, rhythm=held(3, ago=50))).due
    assert due.reasons == (
        "it was last tested on 2026-10-02, and its interval is 48 days, because it lies far from every border",
    )


def test_what_a_person_asked_for_comes_first_in_the_order_of_asking() -> None:
    def asked(hours: int) -> tuple[Event, ...]:
        return (Event(cause="asked", at=NOW - hours * HOUR, by="ANNA"),)

    second = candidate("second", days=1, cost=9000, events=asked(1))
    first = candidate("first", days=1, cost=9000, events=asked(2))
    assert order(candidate("late", days=300, leaning=50), second, first) == ["first", "second", "late"]


def test_more_chance_more_that_leans_on_it_and_less_cost_come_first() -> None:
    plain = candidate("plain", days=26)
    assert order(plain, candidate("leant on", days=26, leaning=3)) == ["leant on", "plain"]
    assert order(plain, candidate("cheap", days=26, cost=20)) == ["cheap", "plain"]
    steady = held(3, shelf_life=30)
    told = candidate("told", days=26, rhythm=steady, events=(Event(cause="withdrawn", at=NOW),))
    assert order(candidate("calm", days=26, rhythm=steady), told) == ["told", "calm"]


def test_what_waits_too_long_goes_before_what_is_worth_more() -> None:
    cheap = candidate("cheap", days=29, cost=1, leaning=100)
    assert order(cheap, candidate("late", days=31, cost=1000)) == ["late", "cheap"]
    poor = Settings(on=True, budget_cpu_minutes=0.5)  # cannot keep every shelf life, so value counts for longer
    assert order(cheap, candidate("late", days=31, cost=1000), said=poor) == ["cheap", "late"]
    assert order(cheap, candidate("late", days=46, cost=1000), said=poor) == ["late", "cheap"]


def test_runs_that_fail_are_tried_again_ever_more_rarely_and_at_once_when_somebody_asks() -> None:
    failed = {"failures": 3, "last_attempt_at": NOW - 2 * HOUR}
    (waiting,) = plan(candidate(**failed)).waiting
    assert waiting.state == "failed lately"
    assert waiting.reason == "its last 3 runs gave no evidence: tried again from 2026-11-21 14:00 on"
    assert order(candidate(**failed), now=NOW + 2 * HOUR) == ["a"]
    assert order(candidate(**failed, events=(Event(cause="asked", at=NOW - HOUR),))) == ["a"]
    assert order(candidate(**failed, events=(Event(cause="asked", at=NOW - 3 * HOUR),))) == []
    often = candidate(failures=4000, last_attempt_at=NOW - 6.9 * DAY)
    assert order(often) == []
    assert order(often, now=NOW + 0.2 * DAY) == ["a"]


def test_what_is_under_way_or_retired_is_not_started() -> None:
    made = plan(candidate("a", under_way=True), candidate("b", retired=True))
    assert made.due == ()
    assert {one.key: one.state for one in made.waiting} == {"a": "under way", "b": "retired"}


# --- named states ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "spent", "state", "reason"),
    [
        ({"on": False}, 0, "switched off", "`stillholds schedule on` switches it on"),
        ({"budget_cpu_minutes": 0}, 0, "no budget", "the budget is 0 CPU-minutes a day, so nothing runs"),
        ({"quiet": ["11:00-14:00"]}, 0, "quiet hours", "it is quiet until 2026-11-21 14:00"),
        (
            {"budget_cpu_minutes": 5},
            270,
            "budget used up",
            "4.5 of today's 5 CPU-minutes are used up, and nothing that is due fits into the rest: on from 2026-11-22 00:00",
        ),
        ({}, 0, "ready", "measurement due"),
    ],
)
def test_what_is_not_run_has_a_named_state_and_a_reason(
    said: dict[str, Any], spent: float, state: str, reason: str
) -> None:
    made = plan(candidate(), spent=spent, said=settings_from({"on": True} | said))
    assert made.state == state
    assert reason in made.reason
    assert [due.state for due in made.due] == [state]
    assert len(made.now) == (state == "ready")


def test_a_clock_in_the_past_schedules_nothing_and_says_so() -> None:
    made = plan(candidate(days=-3))
    assert made.state == "clock behind"
    assert made.due == ()
    assert "the clock is behind: it says 2026-11-21 12:00, and something is recorded at 2026-11-24 12:00" in made.reason
    assert plan(candidate(last_attempt_at=NOW + HOUR)).state == "clock behind"
    assert plan(candidate(last_attempt_at=NOW + timedelta(minutes=4))).state == "ready"  # another machine's clock


def test_what_does_not_fit_into_the_day_waits_and_smaller_ones_go_before_it() -> None:
    small = Settings(on=True, budget_cpu_minutes=10)
    made = plan(
        candidate("big", cost=500, leaning=90), candidate("late", cost=400), candidate("tiny", cost=30), said=small
    )
    assert {due.key: due.state for due in made.due} == {"big": "ready", "late": "budget used up", "tiny": "ready"}
    assert made.needed_cpu_seconds == pytest.approx(930 / (LONGEST * 30))


def test_a_run_that_costs_more_than_a_day_takes_a_whole_day() -> None:
    small = Settings(on=True, budget_cpu_minutes=1)
    assert [due.key for due in plan(candidate(cost=6000), said=small).now] == ["a"]
    assert plan(candidate(cost=6000), said=small, spent=1).state == "budget used up"


def test_starts_are_foretold_by_budget_quiet_hours_and_queue() -> None:
    said = Settings(on=True, budget_cpu_minutes=100, quiet=("13:00-20:00",))
    keys = ("a", "b", "c", "d", "e")
    made = plan(*[candidate(key, cost=3000 - number) for number, key in enumerate(keys)], said=said)
    starts = {due.key: due.starts for due in made.due}
    assert starts["a"] == NOW
    assert starts["b"] == NOW + timedelta(seconds=3000)
    assert starts["c"] == datetime(2026, 11, 22, tzinfo=UTC)
    assert starts["e"] == datetime(2026, 11, 23, tzinfo=UTC)
    assert all(
        due.done and due.starts and (due.done - due.starts).total_seconds() == due.cost_cpu_seconds for due in made.due
    )
    halved = next_due([candidate(cost=3000)], 0, said, NOW, processes=2).due[0]
    assert halved.done == NOW + timedelta(seconds=1500)


def test_starts_wait_for_the_next_look() -> None:
    nightly = Settings(on=True, cron="30 2 * * *", timezone="Europe/Berlin")
    (due,) = plan(candidate(), said=nightly).due
    assert due.starts == datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    assert plan(candidate(), said=Settings(on=False)).due[0].starts is None


# --- nothing starves -------------------------------------------------------------------------------------------------

LIBRARY = st.lists(
    st.tuples(
        st.integers(5, 90),  # shelf life
        st.floats(1, 5000),  # cost
        st.integers(0, 40),  # leaning
        st.sampled_from(["holds", "wavers", "on a border", "fails at times"]),
    ),
    min_size=1,
    max_size=8,
)
Claims = list[tuple[int, float, int, str]]


def a_year(library: Claims, said: Settings, days: int = 365) -> dict[str, list[float]]:
    """Days between tests, in shelf lives, with one look a day; what waits at the end counts as tested then."""
    drawn = random.Random(7)
    known = {
        str(number): candidate(str(number), None, cost, leaning=leaning, shelf_life_days=life, since=NOW)
        for number, (life, cost, leaning, _) in enumerate(library)
    }
    gaps: dict[str, list[float]] = {key: [] for key in known}
    for day in range(days):
        now = NOW + day * DAY
        for due in next_due(list(known.values()), 0.0, said, now).now:
            one, (*_, kind) = known[due.key], library[int(due.key)]
            if kind == "fails at times" and drawn.random() < 0.2:
                known[due.key] = _failed(one, now)
            else:
                gaps[due.key].append(_waited(one, now))
                known[due.key] = _run(one, kind, now, drawn)
    return {key: [*gaps[key], _waited(one, NOW + days * DAY)] for key, one in known.items()}


def _waited(one: Candidate, now: datetime) -> float:
    (claim,) = one.claims
    return (now - claim.tested_at) / claim.shelf_life


def _failed(one: Candidate, now: datetime) -> Candidate:
    return one.model_copy(update={"failures": one.failures + 1, "last_attempt_at": now})


def _run(one: Candidate, kind: str, now: datetime, drawn: random.Random) -> Candidate:
    (claim,) = one.claims
    runs = (claim.rhythm.looks if claim.rhythm else 0) + 1
    estimate = {"wavers": drawn.choice([-0.5, 0.4]), "on a border": 0.0}.get(kind, 1.0)
    word = "HOLDS" if estimate > 0.3 else "REFUTED" if estimate < -0.3 else "OPEN"
    seen = look(0, 8 * runs, estimate, 0.3, word).model_copy(update={"at": now})
    update = {"rhythm": after(claim.rhythm, seen, claim.shelf_life_days), "last_run_at": now}
    return one.model_copy(update={"claims": (claim.model_copy(update=update),), "failures": 0, "last_attempt_at": now})


@given(LIBRARY)
@settings(reproducible, max_examples=15)
def test_with_enough_budget_no_claim_outlives_its_shelf_life(library: Claims) -> None:
    healthy = [
        (life, cost, leaning, "holds" if kind == "fails at times" else kind) for life, cost, leaning, kind in library
    ]
    enough = sum(cost for _, cost, *_ in library) / 60  # every claim once a day, which is the shortest interval
    for gaps in a_year(healthy, Settings(on=True, budget_cpu_minutes=enough)).values():
        assert max(gaps) <= 1


@given(LIBRARY)
@settings(reproducible, max_examples=15)
def test_with_too_small_a_budget_every_claim_is_still_tested_again_and_again(library: Claims) -> None:
    """The first run of a day goes to what has waited longest, so a round takes one day a claim at most; and nobody goes
    before a claim that has waited longer twice in a round, unless its shelf life is shorter than the round.
    """
    small = Settings(on=True, budget_cpu_minutes=1e-3 + min(cost for _, cost, *_ in library) / 60)
    shortest = min(life for life, *_ in library)
    fails = any(kind == "fails at times" for *_, kind in library)
    rounds = 1.5 * (len(library) + 7) if fails else len(library)  # a failed run is a day lost, and up to a week waited
    for gaps in a_year(library, small).values():
        assert max(gaps) <= schedule.TOO_LATE + (2 * rounds + 1) / shortest


@given(LIBRARY, st.randoms(use_true_random=False), st.floats(0, 100))
@settings(reproducible, max_examples=50)
def test_the_order_does_not_depend_on_the_order_of_the_candidates(
    library: Claims, shuffled: random.Random, budget: float
) -> None:
    known = [
        candidate(str(number), 3 * life / (number + 1), cost, leaning=leaning, shelf_life_days=life)
        for number, (life, cost, leaning, _) in enumerate(library)
    ]
    again = list(known)
    shuffled.shuffle(again)
    said = Settings(on=True, budget_cpu_minutes=budget)
    assert plan(*known, said=said) == plan(*again, said=said)
    assert sum(due.cost_cpu_seconds for due in plan(*known, said=said).now[1:]) <= said.budget_cpu_seconds + 1e-6
    assert needed_cpu_seconds(known) == pytest.approx(needed_cpu_seconds(again))
