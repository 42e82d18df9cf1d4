"""What is due, in which order, within which budget: pure. Clock, ledger and settings are arguments.

In order: what there is to choose from; the chance that a run changes a standing; and `next_due`, which puts together
these two, the settings (`claims.hours`) and the rhythm of each claim (`claims.rhythm`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, Field, FiniteFloat

from claims.hours import Settings
from claims.rhythm import DAY, FIRST, LAI, LONGEST, SHORTEST, Rhythm, clamped, half_width
from verifiers.measurement import Value

if TYPE_CHECKING:
    pass

Cause = Literal["asked", "new version", "withdrawn", "returned", "contradicted", "superseded", "verifier", "library"]
State = Literal[
    "ready",
    "nothing due",
    "switched off",
    "no budget",
    "quiet hours",
    "budget used up",
    "clock behind",
]

SKEW = timedelta(minutes=5)  # by which the clocks of two machines may differ before one of them is called wrong
AHEAD = 30  # days that starts are foretold for


# --- candidates ------------------------------------------------------------------------------------------------------


class Event(Value):
    """Something that makes a claim due: who asked, or what happened to what it rests on. `at` is None where nobody knows
    since when: then it is due a day after its last test at the earliest, so that it cannot be due for ever.
    """

    cause: Cause
    at: AwareDatetime | None
    by: str = ""  # the person, or the paper
    said: str = ""  # in words, where somebody has said it


class Watched(Value):
    """A claim as the schedule sees it. `last_run_at` is its last run that counts; without one it waits since `since`,
    when its contract was set.
    """

    id: str
    slug: str
    shelf_life_days: Annotated[float, Field(gt=0)]
    since: AwareDatetime
    last_run_at: AwareDatetime | None = None
    events: tuple[Event, ...] = ()
    standing: str = "UNTESTED"
    rhythm: Rhythm | None = None  # of the current sample
    retired: bool = False

    @property
    def tested_at(self) -> datetime:
        """Since when it waits."""
        return self.last_run_at or self.since

    @property
    def shelf_life(self) -> timedelta:
        """How long a test is good for."""
        return timedelta(days=self.shelf_life_days)

    @property
    def fresh_until(self) -> datetime | None:
        """When its shelf life ends; None when it was never tested."""
        return self.last_run_at + self.shelf_life if self.last_run_at else None

    @property
    def open_events(self) -> tuple[Event, ...]:
        """What happened since its last test."""
        if self.last_run_at is None or not self.events:
            return self.events
        return tuple(event for event in self.events if event.at is None or event.at > self.last_run_at)

    @property
    def due_at(self) -> datetime:
        """When it is due: at once after an event, at the end of its interval otherwise."""
        if self.last_run_at is None:
            return self.since
        earned = (
            self.rhythm.interval_days if self.rhythm else clamped(FIRST * self.shelf_life_days, self.shelf_life_days)
        )
        unknown = self.last_run_at + SHORTEST * DAY
        return min([self.last_run_at + timedelta(days=earned), *(event.at or unknown for event in self.open_events)])


class Candidate(Value):
    """One measurement, and the claims that share it."""

    key: str  # its stream: verifier, parameters, subject
    claims: Annotated[tuple[Watched, ...], Field(min_length=1)]
    leaning: Annotated[int, Field(ge=0)] = 0  # notes, lines and prompts that lean on them, through any number of steps
    cost_cpu_seconds: Annotated[FiniteFloat, Field(ge=0)]
    failures: Annotated[int, Field(ge=0)] = 0  # runs in a row that gave no evidence, ERROR or VOID
    last_attempt_at: AwareDatetime | None = None
    under_way: bool = False  # queued, or running

    @property
    def living(self) -> tuple[Watched, ...]:
        """Its claims without those that are retired."""
        return tuple(claim for claim in self.claims if not claim.retired)

    @property
    def asked_at(self) -> datetime | None:
        """When a person first asked for what nothing has been tried for yet."""
        times = (event.at for claim in self.living for event in claim.open_events if event.cause == "asked")
        return min((at for at in times if at and (not self.last_attempt_at or at > self.last_attempt_at)), default=None)


def learned_cost(card_cpu_seconds: float, past: Sequence[tuple[float, float]]) -> float:
    """What a run will cost: what its card says, times the median of PAST (actual, expected by the card)."""
    return card_cpu_seconds * median([actual / expected for actual, expected in past if expected > 0] or [1.0])


# --- the chance that a run changes something -------------------------------------------------------------------------

# What happened to what a claim rests on: guesses, until enough libraries have told how often they were right.
TOLD: Mapping[Cause, float] = {
    "asked": 0.0,  # a person's wish says nothing about the claim
    "new version": 0.1,
    "withdrawn": 0.3,
    "returned": 0.1,
    "contradicted": 0.3,
    "superseded": 0.2,
    "verifier": 0.3,
    "library": 0.15,
}
UNTESTED = 0.9  # that a first run says something
PRIOR_CHANGES, PRIOR_DAYS = 0.5, 365.0  # of the library: one change in two years, until it has more to tell
OWN_DAYS = 180.0  # what the library's rate weighs against a claim's own
HORIZONS = (1, 2, 4, 8, 16, 32)


def pooled_rate(claims: Iterable[Watched]) -> float:
    """Changes of a decided standing a day, over all CLAIMS; a Gamma prior keeps a young library from extremes."""
    rhythms = [claim.rhythm for claim in claims if claim.rhythm]
    changes, days = sum(one.changes for one in rhythms), math.fsum(one.days for one in rhythms)
    return (changes + PRIOR_CHANGES) / (days + PRIOR_DAYS)


def chance(claim: Watched, rate: float, now: datetime) -> float:
    """The chance that a run now changes the standing of CLAIM: because its interval is near a border, because time
    has passed, or because something happened to what it rests on.

    RATE is that of the library; a claim's own is shrunk to it (a Gamma prior that weighs OWN_DAYS).
    """
    told = max((TOLD[event.cause] for event in claim.open_events), default=0.0)
    if claim.rhythm is None:
        return max(told, UNTESTED)
    own = (claim.rhythm.changes + OWN_DAYS * rate) / (claim.rhythm.days + OWN_DAYS)
    drifted = 1 - math.exp(-own * max((now - claim.tested_at) / DAY, 0.0))
    return 1 - (1 - near(claim.rhythm)) * (1 - drifted) * (1 - told)


def near(state: Rhythm) -> float:
    """The chance, for each run, that more units move the reading over a border, at the best horizon: what 1, 2, 4 … 32
    more runs would do together, divided by their number.
    """
    return max(_turned(state, runs) / runs for runs in HORIZONS)


def _turned(state: Rhythm, runs: int) -> float:
    """The predictive probability that RUNS more runs bring an interval off its border, or onto it (normal, with a flat
    prior: the mean of n units moves with variance s²·b/(n·(n + b)) when b more come).
    """
    gap, half = abs(state.last.estimate - state.last.border), half_width(state.last)
    added = runs / (state.looks + runs)  # share of the new units in the sample
    centre = gap - added * abs(state.newest - state.last.estimate) if state.strays else gap
    spread, reach = half / LAI * math.sqrt(added), half * math.sqrt(1 - added)
    same_side = _above((reach - centre) / spread) if spread else float(centre > reach)
    other_side = _above((reach + centre) / spread) if spread else 0.0
    return same_side + other_side if gap <= half else 1 - same_side


def _above(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


# --- what is due -----------------------------------------------------------------------------------------------------

RISES = 0.8  # shelf lives after its last test a candidate begins to rise
LATE, TOO_LATE = (
    1.0,
    1.5,
)  # shelf lives: then it goes first, where the budget can keep every shelf life, where it cannot
RETRY, LONGEST_RETRY = timedelta(hours=1), timedelta(days=7)


class Due(Value):
    """A measurement that is due: why, what it is worth, and when it is likely made. `state` is "ready" when it may
    start now.
    """

    key: str
    claims: tuple[str, ...]  # slugs
    reasons: tuple[str, ...]
    chance: float
    leaning: int
    cost_cpu_seconds: float
    score: float  # per CPU-minute
    state: State
    starts: AwareDatetime | None = None  # None: never as things are, or not within 30 days
    done: AwareDatetime | None = None


class Waiting(Value):
    """A measurement that is not due, or may not run."""

    key: str
    claims: tuple[str, ...]  # slugs
    state: Literal["not due", "failed lately", "under way", "retired"]
    reason: str
    until: AwareDatetime | None


class Plan(Value):
    """What is to be done, in order, and what is not, and why."""

    state: State
    reason: str
    until: AwareDatetime | None = None  # when that ends by itself
    due: tuple[Due, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    spent_today_cpu_seconds: float = 0.0
    budget_cpu_seconds: float = 0.0
    needed_cpu_seconds: float = 0.0  # a day, to keep every shelf life

    @property
    def now(self) -> tuple[Due, ...]:
        """What may start now, in order."""
        return tuple(due for due in self.due if due.state == "ready")

    @property
    def shortfall(self) -> str:
        """What to say when the budget cannot keep every shelf life; empty when it can, or is 0 on purpose."""
        if not 0 < self.budget_cpu_seconds < self.needed_cpu_seconds:
            return ""
        return (
            f"The budget cannot keep every shelf life: that takes about {self.needed_cpu_seconds / 60:.3g} CPU-minutes a "
            "day. Claims are tested less often than their contracts ask for."
        )


def next_due(
    candidates: Sequence[Candidate],
    spent_today_cpu_seconds: float,
    settings: Settings,
    now: datetime,
    processes: int = 1,
) -> Plan:
    """What is due at NOW, in order, with reasons.

    What a person asked for comes first, in the order of asking. Then what has waited for a whole shelf life (one and a
    half, where the budget cannot keep all of them), the longest first: so nothing starves. Then by the chance that the
    standing changes × (1 + what leans on it) / cost, rising from 0.8 shelf lives on. SPENT_TODAY_CPU_SECONDS is what
    today's runs have cost, with what is queued and under way; PROCESSES is how many share a run's work, for the
    foretold times only.
    """
    if ahead := _record_after(candidates, now + SKEW):
        return Plan(state="clock behind", reason=_behind(ahead, settings, now))
    waiting = [wait for one in candidates if (wait := _waiting(one, settings, now))]
    held = {one.key for one in waiting}
    rate = pooled_rate(claim for one in candidates for claim in one.claims)
    needed = needed_cpu_seconds(candidates)
    first_at = LATE if needed <= settings.budget_cpu_seconds else TOO_LATE
    ranked = sorted(_ranked(one, rate, first_at, now) for one in candidates if one.key not in held)
    chosen = {one.key: one for one in candidates}
    due = [_due(chosen[rank.key], rank, settings, now) for rank in ranked]
    state, reason, until = _state(due, waiting, spent_today_cpu_seconds, settings, now)
    allowed = _allowed(due, state, settings.budget_cpu_seconds - spent_today_cpu_seconds, settings)
    times = _foretold(allowed, spent_today_cpu_seconds, settings, now, processes)
    return Plan(
        state=state,
        reason=reason,
        until=until,
        due=tuple(one.model_copy(update=times.get(one.key, {})) for one in allowed),
        waiting=tuple(sorted(waiting, key=lambda one: (one.until is None, one.until, one.key))),
        spent_today_cpu_seconds=spent_today_cpu_seconds,
        budget_cpu_seconds=settings.budget_cpu_seconds,
        needed_cpu_seconds=needed,
    )


def needed_cpu_seconds(candidates: Iterable[Candidate]) -> float:
    """What a day must cost at least if every claim is to be tested within its shelf life."""
    living = ((one.cost_cpu_seconds, [claim.shelf_life_days for claim in one.living]) for one in candidates)
    return math.fsum(cost / (LONGEST * min(lives)) for cost, lives in living if lives)


def _record_after(candidates: Iterable[Candidate], latest: datetime) -> datetime | None:
    """The newest time that anything is recorded at, if it lies after LATEST."""
    times: list[datetime | None] = [claim.last_run_at for one in candidates for claim in one.claims]
    times += [event.at for one in candidates for claim in one.claims for event in claim.events]
    times += [one.last_attempt_at for one in candidates]
    newest: datetime = max(at for at in [*times, latest] if at)
    return newest if newest > latest else None


def _behind(ahead: datetime, settings: Settings, now: datetime) -> str:
    return (
        f"the clock is behind: it says {settings.said(now)}, and something is recorded at {settings.said(ahead)}; "
        "nothing is scheduled until the clock is right, or that time has come"
    )


# --- what waits ------------------------------------------------------------------------------------------------------


def _waiting(one: Candidate, settings: Settings, now: datetime) -> Waiting | None:
    """Why a candidate is not due, or may not run; None when it may."""
    slugs = tuple(claim.slug for claim in one.claims)
    if not one.living:
        return Waiting(key=one.key, claims=slugs, state="retired", reason="its claims are retired", until=None)
    if one.under_way:
        return Waiting(key=one.key, claims=slugs, state="under way", reason="it is queued or running", until=None)
    if one.asked_at:
        return None
    first = min(one.living, key=lambda claim: claim.due_at)
    if first.due_at > now:
        happened = "; ".join(_happened(event, settings) for event in first.open_events)
        reason = f"its turn comes on {settings.said(first.due_at)}: {happened or _interval(first)}"
        return Waiting(key=one.key, claims=slugs, state="not due", reason=reason, until=first.due_at)
    if (again := _retry_at(one)) and again > now:
        reason = (
            f"its last {_counted(one.failures, 'run')} gave no evidence: tried again from {settings.said(again)} on"
        )
        return Waiting(key=one.key, claims=slugs, state="failed lately", reason=reason, until=again)
    return None


def _retry_at(one: Candidate) -> datetime | None:
    """When a candidate that failed may be tried again: an hour later, then two, four …, and a week at most."""
    if not one.failures or one.last_attempt_at is None:
        return None
    doubled: int = 2 ** min(one.failures - 1, 20)
    return one.last_attempt_at + min(RETRY * doubled, LONGEST_RETRY)


def _interval(claim: Watched) -> str:
    if claim.rhythm is None:
        return "its interval is a quarter of its shelf life until a run has told more"
    return f"its interval is {claim.rhythm.interval_days:.3g} days, because {claim.rhythm.why}"


def _counted(number: int, noun: str) -> str:
    return noun if number == 1 else f"{number} {noun}s"


# --- what is due, in order -------------------------------------------------------------------------------------------


class _Rank(NamedTuple):
    """A place in the order, the smallest first."""

    tier: int  # asked for, waiting too long, all others
    place: float
    key: str
    chance: float
    score: float


def _ranked(one: Candidate, rate: float, first_at: float, now: datetime) -> _Rank:
    unchanged = math.prod(1 - chance(claim, rate, now) for claim in one.living)
    late = max((now - claim.tested_at) / claim.shelf_life for claim in one.living)
    minutes = max(one.cost_cpu_seconds, 1.0) / 60
    score = (1 - unchanged) * (1 + one.leaning) / minutes
    if asked := one.asked_at:
        return _Rank(0, asked.timestamp(), one.key, 1 - unchanged, score)
    if late >= first_at:
        return _Rank(1, -late, one.key, 1 - unchanged, score)
    return _Rank(2, -score * rise(late, first_at), one.key, 1 - unchanged, score)


def rise(late: float, first_at: float) -> float:
    """What waiting multiplies a score by: 1 until 0.8 shelf lives after the last test, without end towards FIRST_AT."""
    return (first_at - RISES) / (first_at - max(late, RISES))


def _due(one: Candidate, rank: _Rank, settings: Settings, now: datetime) -> Due:
    return Due(
        key=one.key,
        claims=tuple(claim.slug for claim in one.living),
        reasons=tuple(_reasons(one, settings, now)),
        chance=rank.chance,
        leaning=one.leaning,
        cost_cpu_seconds=one.cost_cpu_seconds,
        score=rank.score,
        state="ready",
    )


def _reasons(one: Candidate, settings: Settings, now: datetime) -> Iterator[str]:
    """Every reason once, with the claims that it is one for unless it is one for all."""
    found: dict[str, list[str]] = {}
    for claim in one.living:
        for reason in _why(claim, settings, now):
            found.setdefault(reason, []).append(claim.slug)
    for reason, slugs in found.items():
        yield reason if len(slugs) == len(one.living) else f"{', '.join(slugs)}: {reason}"


def _why(claim: Watched, settings: Settings, now: datetime) -> Iterator[str]:
    yield from (_happened(event, settings) for event in sorted(claim.open_events, key=lambda event: event.at or now))
    if claim.last_run_at is None or claim.fresh_until is None:
        yield "it was never tested under its present contract"
    elif now >= claim.fresh_until:
        yield f"its shelf life of {claim.shelf_life_days:g} days is over since {settings.day_of(claim.fresh_until)}"
    elif now >= claim.due_at and not claim.open_events:
        yield f"it was last tested on {settings.day_of(claim.last_run_at)}, and {_interval(claim)}"


def _happened(event: Event, settings: Settings) -> str:
    source = event.by or "a paper that it rests on"
    words: Mapping[Cause, str] = {
        "asked": f"asked for{f' by {event.by}' if event.by else ''}",
        "new version": f"{source} has a new version",
        "withdrawn": f"{source} was withdrawn",
        "returned": f"{source} is back from withdrawal",
        "contradicted": f"{source} was contradicted",
        "superseded": f"{source} was superseded",
        "verifier": "the verifier changed",
        "library": "the libraries that it runs on changed",
    }
    said = event.said or words[event.cause]
    return f"{said} on {settings.day_of(event.at)}" if event.at and not event.said else said


# --- what may run, and when ------------------------------------------------------------------------------------------


def _state(
    due: Sequence[Due], waiting: Sequence[Waiting], spent: float, settings: Settings, now: datetime
) -> tuple[State, str, datetime | None]:
    """What holds for the whole plan, in words, and when that ends by itself."""
    if not settings.on:
        return "switched off", "the schedule is off: `stillholds schedule on` switches it on", None
    if not settings.budget_cpu_minutes:
        return (
            "no budget",
            "the budget is 0 CPU-minutes a day, so nothing runs: give it some with `stillholds schedule set`",
            None,
        )
    if not due:
        return "nothing due", "nothing is due", min((one.until for one in waiting if one.until), default=None)
    if quiet := settings.quiet_until(now):
        return "quiet hours", f"it is quiet until {settings.said(quiet)}", quiet
    if not any(_fits(one, settings.budget_cpu_seconds - spent, settings.budget_cpu_seconds) for one in due):
        tomorrow = settings.day(now, 1)
        left = f"{spent / 60:.3g} of today's {settings.budget_cpu_minutes:g} CPU-minutes are used up"
        return (
            "budget used up",
            f"{left}, and nothing that is due fits into the rest: on from {settings.said(tomorrow)}",
            tomorrow,
        )
    return "ready", f"{_counted(len(due), 'measurement')} due", None


def _fits(one: Due, left: float, budget: float) -> bool:
    """Whether a run fits into what is LEFT of a day. One that costs more than a day's budget takes a whole day."""
    return one.cost_cpu_seconds <= left or left >= budget


def _allowed(due: Sequence[Due], state: State, left: float, settings: Settings) -> list[Due]:
    """DUE, each with its state: what does not fit into the day waits, and smaller ones go before it."""
    if state != "ready":
        return [one.model_copy(update={"state": state}) for one in due]
    allowed = []
    for one in due:
        fits = _fits(one, left, settings.budget_cpu_seconds)
        left -= one.cost_cpu_seconds if fits else 0.0
        allowed.append(one if fits else one.model_copy(update={"state": "budget used up"}))
    return allowed


def _foretold(
    due: Sequence[Due], spent: float, settings: Settings, now: datetime, processes: int
) -> dict[str, dict[str, datetime]]:
    """When each run likely starts and is done, one after the other, day by day; without those that lie far ahead."""
    times: dict[str, dict[str, datetime]] = {}
    pending = list(due) if settings.on and settings.budget_cpu_minutes else []
    at = settings.next_start(now) if pending else now
    budget = settings.budget_cpu_seconds
    left = budget - (spent if settings.day(at) == settings.day(now) else 0.0)
    while pending and at < now + AHEAD * DAY:
        tomorrow = settings.day(at, 1)
        for one in pending:
            if _fits(one, left, budget) and at < tomorrow:
                done = at + timedelta(seconds=one.cost_cpu_seconds / processes)
                times[one.key] = {"starts": at, "done": done}
                left -= one.cost_cpu_seconds
                at = settings.next_start(done) if settings.quiet_until(done) else done
        pending = [one for one in pending if one.key not in times]
        at, left = settings.next_start(max(at, tomorrow)), budget
    return times
