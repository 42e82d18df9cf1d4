"""Which of the things that changed between two runs may have flipped a claim, and which runs tell them apart. Pure.

A step makes the good run's seed (or the bad run's) again with some of what the bad run had. Everything that can be set
is set to what the bad run had at once; only if that flips the claim are things set back one by one, so that a question
takes as few runs as it needs.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Axis = Literal["parameters", "threads", "code", "environment"]
Side = Literal["good", "bad"]
Result = Literal["holds", "flips", "unclear"]
Cause = Literal[
    "apart", "regions", "parameters", "threads", "code", "environment", "code or environment", "seeds", "hidden", "undecided"
]  # fmt: skip


class Step(NamedTuple):
    """One run to make: whose seed, parameters, threads and code; the environment is always that of now."""

    seed: Side
    parameters: Side
    threads: Side
    code: Literal["good", "bad", "today"]


class Facts(NamedTuple):
    """What is known before anything is run."""

    differs: frozenset[Axis]
    can_make: frozenset[Side]  # whose code is here, or in git
    is_here: frozenset[Side]  # whose environment is that of now
    noise_would_do: bool = False
    regions_flip: bool = False  # the good run does not hold by the contract of the bad one
    comparable: bool = True  # both contracts are about the same quantities


def following(facts: Facts, results: Mapping[Step, Result]) -> Step | Cause:
    """The next run that the question needs, or its answer."""
    if at_once := _without_a_run(facts):
        return at_once
    if not facts.differs:
        return _nothing_differs(facts, results)
    step = whole(facts)
    match results.get(step):
        case None:
            return step
        case "holds":
            return _it_holds(facts, step, results)
        case "flips":
            return _it_flips(facts, step, results)
    return "undecided"


def _without_a_run(facts: Facts) -> Cause | None:
    if not facts.comparable:
        return "apart"
    if facts.regions_flip:
        return "regions"
    return "seeds" if facts.noise_would_do else None


def whole(facts: Facts) -> Step:
    """The good run's seed with all that the bad run had, as far as that can be made here."""
    code: Literal["good", "bad", "today"] = "bad" if "code" in facts.differs else "good"
    return Step(
        seed="good",
        parameters="bad" if "parameters" in facts.differs else "good",
        threads="bad" if "threads" in facts.differs else "good",
        code=code if code in facts.can_make else "today",
    )


def _nothing_differs(facts: Facts, results: Mapping[Step, Result]) -> Step | Cause:
    """Nothing that anybody wrote down is another, and noise would hardly do: is there something that nobody wrote down?"""
    if "good" not in facts.can_make or "good" not in facts.is_here:
        return "seeds"
    step = Step("good", "good", "good", "good")
    causes: dict[Result | None, Step | Cause] = {
        None: step,
        "holds": "seeds",
        "flips": "hidden",
        "unclear": "undecided",
    }
    return causes[results.get(step)]


def _it_holds(facts: Facts, step: Step, results: Mapping[Step, Result]) -> Step | Cause:
    """What can be set does not flip it: what is left is the seeds, and an environment that is not here."""
    if step.code == "today":
        return "undecided"
    if "bad" in facts.is_here:
        return "seeds"
    again = step._replace(seed="bad")
    causes: dict[Result | None, Step | Cause] = {
        None: again,
        "holds": "environment",
        "flips": "seeds",
        "unclear": "undecided",
    }
    return causes[results.get(again)]


def _it_flips(facts: Facts, step: Step, results: Mapping[Step, Result]) -> Step | Cause:
    if "good" not in facts.is_here:
        found = _is_it_the_environment(facts, results)
        if found is not None:
            return found
    is_code = "code" in facts.differs
    axes = [axis for axis in ("parameters", "threads") if axis in facts.differs]
    for axis in axes if is_code else axes[:-1]:
        step = step._replace(parameters="good") if axis == "parameters" else step._replace(threads="good")
        match results.get(step):
            case None:
                return step
            case "holds":
                return _axis(axis)
            case "unclear":
                return "undecided"
    if is_code:
        return "code"
    return _axis(axes[-1]) if axes else "hidden"


def _axis(name: str) -> Cause:
    return "parameters" if name == "parameters" else "threads"


def _is_it_the_environment(facts: Facts, results: Mapping[Step, Result]) -> Step | Cause | None:
    """The good run ran elsewhere: does it still hold here? None if so."""
    if "good" not in facts.can_make:
        return "code or environment"
    base = Step("good", "good", "good", "good")
    causes: dict[Result | None, Step | Cause | None] = {
        None: base, "holds": None, "flips": "environment", "unclear": "undecided"
    }  # fmt: skip
    return causes[results.get(base)]


class Branch(NamedTuple):
    """A run that may be needed, and after which results of which runs."""

    step: Step
    after: tuple[tuple[Step, Result], ...]


def all_that_may_be_needed(facts: Facts) -> list[Branch]:
    """Every run that `following` may ask for, whatever comes out: each once, where it is first asked for."""
    found: dict[Step, Branch] = {}
    waiting: list[dict[Step, Result]] = [{}]
    while waiting:
        results = waiting.pop(0)
        step = following(facts, results)
        if isinstance(step, Step):
            found.setdefault(step, Branch(step, tuple(results.items())))
            outcomes: tuple[Result, ...] = ("holds", "flips")
            waiting += [{**results, step: result} for result in outcomes]
    return list(found.values())


def most(facts: Facts) -> int:
    """The most runs that any course of events needs."""

    def deepest(results: dict[Step, Result]) -> int:
        step = following(facts, results)
        if not isinstance(step, Step):
            return len(results)
        return max(deepest({**results, step: "holds"}), deepest({**results, step: "flips"}))

    return deepest({})
