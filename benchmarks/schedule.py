"""Whether the schedule beats a fixed interval at the same CPU time: `python -P benchmarks/schedule.py [--json] [--seed N]`.

300 claims, four years, no database: a run is eight normal units added to running sums, read by Lai's sequence as a
standing is. Costs differ tenfold, one claim in five lies on a border. Effects change in silence (1.5 % of claims a
month), and with a new version of a verifier, which begins a new sample: each of five verifiers has one every half
year, and 15 % of its claims really change then. Every policy sees the same truths and pays the same: all claims once in 14 days, or in
30. Nothing leans on any claim, so that no policy is measured by what it does not know.
"""

import argparse
import json
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from claims.hours import Settings
from claims.rhythm import DAY, Look, after
from claims.schedule import Candidate, Event, Watched, next_due
from verifiers.stats import lai_radius

CLAIMS, DAYS, WARM_UP = 300, 4 * 365, 180
UNITS = 8
BORDERS = (-1.0, 0.0)  # below the first REFUTED, above the second HOLDS, in standard deviations of a unit
EFFECTS = {"HOLDS": (0.5, 2.0), "WEAKENED": (-0.75, -0.25), "REFUTED": (-3.0, -1.5)}
SILENT_A_DAY, BY_VERSION, VERIFIERS, VERSION_EVERY = 0.015 / 30, 0.15, 5, 182
SHELF_LIVES = (30, 60, 90)
START = datetime(2026, 1, 1, tzinfo=UTC)
SEED = 20261121
RESAMPLED = 400


# --- the truth -------------------------------------------------------------------------------------------------------


def seeded(seed: int, number: int) -> random.Random:
    """A stream of chance of its own."""
    return random.Random(10 * seed + number)  # noqa: S311 - a simulation


@dataclass
class Truth:
    """A claim as it really is: its effect from each day on, the days of new versions, what a run costs."""

    cost: float
    shelf_life: int
    verifier: int
    effects: list[tuple[int, float]]
    announced: set[int] = field(default_factory=set)

    def effect(self, day: int) -> float:
        """The effect on DAY."""
        return next(effect for since, effect in reversed(self.effects) if since <= day)


def truths(chance: random.Random) -> list[Truth]:
    """All claims, with everything that will happen to them."""
    return [_truth(number % VERIFIERS, chance) for number in range(CLAIMS)]


def _truth(verifier: int, chance: random.Random) -> Truth:
    on_border = chance.random() < 0.2
    first = chance.choice(BORDERS) + chance.uniform(-0.1, 0.1) if on_border else _drawn(None, chance)
    one = Truth(30 * 10 ** chance.random(), chance.choice(SHELF_LIVES), verifier, [(0, first)])
    for day in range(1, 0 if on_border else DAYS):
        by_version = day in versions(verifier) and chance.random() < BY_VERSION
        if by_version or chance.random() < SILENT_A_DAY:
            one.effects.append((day, _drawn(region(one.effects[-1][1]), chance)))
            one.announced |= {day} if by_version else set()
    return one


def _drawn(other_than: str | None, chance: random.Random) -> float:
    return chance.uniform(*EFFECTS[chance.choice([name for name in EFFECTS if name != other_than])])


@cache
def versions(verifier: int) -> frozenset[int]:
    """The days on which a verifier gets a new version, a tenth of a year apart from the next one's."""
    return frozenset(range(90 + 36 * verifier, DAYS, VERSION_EVERY))


def region(effect: float) -> str:
    """Where an effect lies."""
    return "REFUTED" if effect < BORDERS[0] else "WEAKENED" if effect < BORDERS[1] else "HOLDS"


# --- a claim as it is tested -----------------------------------------------------------------------------------------


@dataclass
class Claim:
    """The running sums of a claim's newest sample, and what it stood at from each day on."""

    truth: Truth
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0  # about the mean
    samples: int = 0
    version: int = -1
    last: int = -1
    words: list[tuple[int, str]] = field(default_factory=lambda: [(0, "OPEN")])
    cpu: float = 0.0
    longest: int = 0  # days between two tests

    def run(self, day: int, chance: random.Random) -> Look:
        """Draw eight units and read the sample."""
        version = max((at for at in versions(self.truth.verifier) if at <= day), default=0)
        if version != self.version:
            self.n, self.mean, self.squares, self.version = 0, 0.0, 0.0, version
            self.samples += 1
        self._add(chance.gauss(self.truth.effect(day), 1 / math.sqrt(UNITS)), chance.gammavariate((UNITS - 1) / 2, 2))
        look = self._look(day)
        if look.word != self.words[-1][1]:
            self.words.append((day, look.word))
        self.longest = max(self.longest, day - self.last if self.last >= 0 else 0)
        self.last, self.cpu = day, self.cpu + self.truth.cost
        return look

    def _add(self, mean: float, squares: float) -> None:
        total = self.n + UNITS
        self.squares += squares + (mean - self.mean) ** 2 * self.n * UNITS / total
        self.mean += (mean - self.mean) * UNITS / total
        self.n = total

    def _look(self, day: int) -> Look:
        half = radius(self.n, self.samples) * math.sqrt(self.squares / (self.n - 1))
        low, high = self.mean - half, self.mean + half
        word = region(low) if region(low) == region(high) else "OPEN"
        border = min(BORDERS, key=lambda at: abs(self.mean - at))
        return Look(at=time(day), n=self.n, low=low, estimate=self.mean, high=high, border=border, word=word)


@cache
def radius(n: int, sample: int) -> float:
    """Of the sequence of a claim's sample number SAMPLE, each at half the error of the one before."""
    return lai_radius(n, UNITS, 1 - 0.05 * 2.0 ** (1 - sample))


def time(day: int) -> datetime:
    """Noon of a day of the simulation."""
    return START + day * DAY + timedelta(hours=12)


# --- policies --------------------------------------------------------------------------------------------------------

Policy = Callable[[Sequence[Claim], int, random.Random], None]


def fixed(claims: Sequence[Claim], every: int, chance: random.Random) -> None:
    """Every claim EVERY so many days, whatever happens."""
    for claim in claims:
        for day in range(chance.randrange(every), DAYS, every):
            claim.run(day, chance)


def fixed_with_events(claims: Sequence[Claim], every: int, chance: random.Random) -> None:
    """The same, and at once when the verifier changed."""
    for claim in claims:
        due = chance.randrange(every)
        for day in range(DAYS):
            if day == due or day in versions(claim.truth.verifier):
                claim.run(day, chance)
                due = day + every


def round_robin(claims: Sequence[Claim], every: int, chance: random.Random) -> None:
    """One after the other for ever, as far as each day's budget goes."""
    budget, left, turn = daily(claims, every), 0.0, 0
    for day in range(DAYS):
        left += budget
        while left >= claims[turn % len(claims)].truth.cost:
            claims[turn % len(claims)].run(day, chance)
            left -= claims[turn % len(claims)].truth.cost
            turn += 1


def ours(claims: Sequence[Claim], every: int, chance: random.Random) -> None:
    """`claims.schedule.next_due`, looking once a day, with the same budget."""
    settings = Settings(on=True, cron="0 12 * * *", budget_cpu_minutes=daily(claims, every) / 60)
    known = [_candidate(number, claim) for number, claim in enumerate(claims)]
    for day in range(DAYS):
        changed = {number for number in range(VERIFIERS) if day in versions(number)}
        known = [_told(one, day) if claims[int(one.key)].truth.verifier in changed else one for one in known]
        for due in next_due(known, 0.0, settings, time(day)).now:
            number = int(due.key)
            known[number] = _tested(known[number], claims[number].run(day, chance))


def daily(claims: Iterable[Claim], every: int) -> float:
    """What a day may cost."""
    return sum(claim.truth.cost for claim in claims) / every


def _candidate(number: int, claim: Claim) -> Candidate:
    tested = Watched(id=str(number), slug=str(number), shelf_life_days=claim.truth.shelf_life, since=time(0))
    return Candidate(key=str(number), claims=(tested,), cost_cpu_seconds=claim.truth.cost)


def _told(one: Candidate, day: int) -> Candidate:
    """The verifier changed; the next run begins a new sample."""
    update = {"events": (Event(cause="verifier", at=time(day)),)}
    return one.model_copy(update={"claims": (one.claims[0].model_copy(update=update),)})


def _tested(one: Candidate, look: Look) -> Candidate:
    (claim,) = one.claims
    state = after(claim.rhythm if look.n > UNITS else None, look, claim.shelf_life_days)
    update = {"rhythm": state, "last_run_at": look.at, "standing": look.word, "events": ()}
    return one.model_copy(update={"claims": (claim.model_copy(update=update),)})


# --- what it comes to ------------------------------------------------------------------------------------------------


def delays(claim: Claim, kind: str) -> list[float]:
    """Weeks from each real change until the standing says it; endless where the next change or the end came first."""
    found = []
    effects = [*claim.truth.effects[1:], (DAYS, 0.0)]
    for (day, effect), (until, _) in pairwise(effects):
        if day < WARM_UP or kind not in {"all", "announced" if day in claim.truth.announced else "silent"}:
            continue
        said = [max(since, day) for since, to, word in _spans(claim) if to > day and word == region(effect)]
        shown = min(said, default=DAYS)
        found.append((shown - day) / 7 if shown < until else math.inf)
    return found


def shares(claim: Claim) -> tuple[int, int]:
    """Days on which a wrong word stood, and on which the right one did."""
    wrong = right = 0
    for since, to, word in _spans(claim):
        for day in range(max(since, WARM_UP), to):
            wrong += word not in {"OPEN", region(claim.truth.effect(day))}
            right += word == region(claim.truth.effect(day))
    return wrong, right


def _spans(claim: Claim) -> list[tuple[int, int, str]]:
    ends = [day for day, _ in claim.words[1:]] + [DAYS]
    return [(day, end, word) for (day, word), end in zip(claim.words, ends, strict=True)]


Figures = dict[str, float]


@dataclass
class Told:
    """What one claim adds to the figures."""

    delays: dict[str, list[float]]
    wrong: int
    right: int


def figures(claims: Sequence[Told]) -> Figures:
    """Weeks until a change shows, and shares of the time."""
    found: Figures = {}
    for kind in ("all", "silent", "announced"):
        weeks = sorted(one for claim in claims for one in claim.delays[kind])
        found[f"{kind}: median weeks"] = quantile(weeks, 0.5)
        found[f"{kind}: 90 % weeks"] = quantile(weeks, 0.9)
        found[f"{kind}: % in 13 weeks"] = 100 * sum(one <= 13 for one in weeks) / max(len(weeks), 1)
    days = len(claims) * (DAYS - WARM_UP)
    wrong, right = sum(claim.wrong for claim in claims), sum(claim.right for claim in claims)
    found["wrong, % of the time"] = 100 * wrong / days
    found["right, % of the time"] = 100 * right / days
    found["wrong, % of decided"] = 100 * wrong / max(wrong + right, 1)
    return found


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that SHARE of them do not exceed."""
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1] if ordered else math.nan


def bounded(claims: Sequence[Told], chance: random.Random) -> dict[str, list[float]]:
    """Every figure with its 95 % bounds, by drawing claims anew."""
    drawn = [figures(chance.choices(claims, k=len(claims))) for _ in range(RESAMPLED)]
    return {
        name: [value, *(quantile(sorted(one[name] for one in drawn), share) for share in (0.025, 0.975))]
        for name, value in figures(claims).items()
    }


def tried(name: str, policy: Policy, every: int, seed: int = SEED) -> dict[str, Any]:
    """One policy on the claims of the benchmark."""
    claims = [Claim(truth) for truth in truths(seeded(seed, 0))]
    policy(claims, every, seeded(seed, 1))
    told = [Told({kind: delays(one, kind) for kind in ("all", "silent", "announced")}, *shares(one)) for one in claims]
    gaps = [max(one.longest, DAYS - one.last) / one.truth.shelf_life for one in claims]
    return {
        "policy": name,
        "every_days": every,
        "cpu_hours": sum(one.cpu for one in claims) / 3600,
        "changes": {kind: sum(len(one.delays[kind]) for one in told) for kind in ("all", "silent", "announced")},
        "beyond_shelf_life": sum(gap > 1 for gap in gaps),
        "longest_gap_in_shelf_lives": max(gaps),
        "figures": bounded(told, seeded(seed, 2)),
    }


POLICIES: Mapping[str, Policy] = {
    "fixed interval": fixed,
    "fixed, and at once after a new version": fixed_with_events,
    "round robin": round_robin,
    "schedule.next_due": ours,
}


def main() -> None:
    """Print a table for each budget."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    results = [tried(name, policy, every, asked.seed) for every in (14, 30) for name, policy in POLICIES.items()]
    if asked.json:
        print(json.dumps({"claims": CLAIMS, "days": DAYS, "results": [_plain(one) for one in results]}))
        return
    for one in results:
        print(
            f"\n{one['policy']}, every claim once in {one['every_days']} days: {one['cpu_hours']:.0f} CPU-hours, "
            f"{one['beyond_shelf_life']} of {CLAIMS} claims once beyond their shelf life "
            f"(at most {one['longest_gap_in_shelf_lives']:.2f} of it), changes {one['changes']}"
        )
        for name, (value, low, high) in one["figures"].items():
            print(f"  {name:24} {value:7.2f}  ({low:.2f} to {high:.2f})")


def _plain(one: dict[str, Any]) -> dict[str, Any]:
    """Without infinity, which JSON has no word for: null is "not within the four years"."""
    said = {
        name: [value if math.isfinite(value) else None for value in values] for name, values in one["figures"].items()
    }
    return one | {"figures": said}


if __name__ == "__main__":
    main()
