"""Between a run that held and one that did not: what flips the claim. It asks what needs no run first, then makes the
runs that the question needs, on today's code or on that of a commit. None of them is evidence: nothing is written down.
"""

import math
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from claims import ledger, recorded, today
from claims.checkout import Change, Code, Commit, Versions, changes
from claims.contract import Contract
from claims.errors import NoAnswer
from claims.judge import Word, judge
from claims.pairs import Asked, Noise, Pair, Seen, differences, is_bad, noise, pair, seen, shown, values_of
from claims.recorded import Difference, Recorded
from claims.runs import Begun, Job, Means
from claims.scratch import scratch_folder
from claims.suspects import Axis, Cause, Facts, Result, Side, Step, all_that_may_be_needed, following, most
from claims.verification import Watcher
from kb.store import Store
from verifiers import provenance, stats
from verifiers.measurement import Failure, Measurement, Value
from verifiers.registry import runnable

NAMED = 3  # changes that stand in the sentence
IN_WORDS: Mapping[Cause, str] = {
    "apart": "Not decided: the two contracts are about different quantities, so nothing can be held against each other.",
    "code or environment": "It is the code or the environment, and nothing here can tell them apart: the good run was made "
    "elsewhere, and its code is neither here nor in git.",
    "hidden": "It is something that nobody wrote down: the good run made again, by all that its record says, does not hold any more.",
}
HARMLESS = {"threads", "stillholds"}  # of an environment: can be set; and is the code, which has a digest of its own


class Tried(Value):
    """A run that was made for the question. `share` is how far it moves the estimate from the good run's to the bad one's."""

    what: str
    seed: int
    code: str
    word: Word
    reason: str
    estimate: float | None
    share: float | None
    same_bits_as: str = ""  # "the good run" or "the bad run"
    result: Result
    cpu_seconds: float


class Answer(Value):
    """What flips the claim, in a sentence, and what it rests on."""

    cause: Cause
    said: str
    changes: tuple[Change, ...] = ()
    commit: str | None = None
    not_tested: tuple[str, ...] = ()


class Bisection(Value):
    """The whole answer, or before anything is run what would be."""

    claim: str
    subject: str
    endpoint: str
    good: Seen
    bad: Seen
    noise: Noise
    differences: tuple[Difference, ...]
    steps: tuple[Tried, ...] = ()
    answer: Answer | None = None
    planned: tuple[str, ...] = ()
    most_runs: int = 0
    expected_cpu_seconds: float = 0.0

    @property
    def cpu_seconds(self) -> float:
        """What the runs cost."""
        return sum(step.cpu_seconds for step in self.steps)


# --- what is known before anything is run ----------------------------------------------------------------------------


class Scene(NamedTuple):
    """Everything that a question needs: the runs, the versions of the code, what is known, and what may be used."""

    two: Pair
    versions: Versions
    commits: Mapping[str, str | None]  # that hold the code of each side and of today; None is what lies here now
    facts: Facts
    noise: Noise


@contextmanager
def scene(two: Pair) -> Iterator[Scene]:
    """What is known of a pair, with room to lay old code out."""
    with scratch_folder() as scratch:
        versions = Versions(runnable(two.bad.started.verifier), scratch)
        digest = today.code_of(two.bad.started.verifier)
        commits: dict[str, str | None] = {"today": None}
        found = noise(two)
        bare = _facts(two, found, frozenset())
        if not found.would_do and bare.comparable and not bare.regions_flip:
            commits |= dict(_commits(two, versions, digest))
        sides: tuple[Side, ...] = ("good", "bad")
        can_make = frozenset(side for side in sides if side in commits)
        yield Scene(two, versions, commits, bare._replace(can_make=can_make), found)


def _commits(two: Pair, versions: Versions, digest: str) -> Iterator[tuple[Side, str | None]]:
    """For each side whose code can be run here: what holds it."""
    sides: tuple[Side, ...] = ("good", "bad")
    for side in sides:
        run, measured = two.of(side)
        if run.given.verifier_code == digest:
            yield side, None
        else:
            commit = versions.holding(run.given.verifier_code, measured.provenance)
            if commit is not None:
                yield side, commit


def _facts(two: Pair, found: Noise, can_make: frozenset[Side]) -> Facts:
    good, bad = two.good, two.bad
    comparable = _asks(good.contract) == _asks(bad.contract)
    read_again = judge(bad.contract, two.before).word if comparable else "HOLDS"
    sides: tuple[Side, ...] = ("good", "bad")
    return Facts(
        differs=frozenset(_differing(two)),
        can_make=can_make,
        is_here=frozenset(side for side in sides if _is_here(two.of(side)[1])),
        noise_would_do=found.would_do,
        regions_flip=good.contract != bad.contract and read_again in {"WEAKENED", "REFUTED"},
        comparable=comparable,
    )


def _differing(two: Pair) -> Iterator[Axis]:
    was, now = two.before.provenance, two.after.provenance
    if _recipe(two.good) != _recipe(two.bad):
        yield "parameters"
    if was.threads_per_process != now.threads_per_process:
        yield "threads"
    if two.good.given.verifier_code != two.bad.given.verifier_code:
        yield "code"
    if _elsewhere(two):
        yield "environment"


def _recipe(run: Recorded) -> tuple[object, ...]:
    return ledger.canonical(run.started.parameters), run.started.subject, run.given.profile, recorded.job_of(run).units


def _asks(contract: Contract) -> tuple[object, ...]:
    """What has to be equal for two verdicts to be about the same thing."""
    return contract.verifier, tuple((part.endpoint, part.scale, part.statistic) for part in contract.parts)


def _is_here(measured: Measurement) -> bool:
    """Whether a measurement was made in the environment of now, which is asked for with its own threads."""
    was = measured.provenance
    here = today.digest_of_environment(
        provenance.packages(), platform.python_version(), provenance.machine(), was.device, was.threads_per_process
    )
    return here == today.environment_of(was)


# --- making what is needed -------------------------------------------------------------------------------------------


def bisect(store: Store, asked: Asked, means: Means, watcher: Watcher, *, dry_run: bool = False) -> Bisection:
    """Find what flipped a claim; DRY_RUN only says what would be run.

    Raises:
        NoAnswer: when there is no flip to ask about.
        VerifierError: when the verifier is gone.
    """
    with store.reading() as session:
        two = pair(session, asked)
    with scene(two) as at:
        found = _begin(at)
        if dry_run:
            return found
        tried = _Tries(at, means, watcher)
        cause = tried.decide()
        answer = _answer(at, tried, cause)
        return found.model_copy(update={"steps": tuple(tried.told), "answer": answer, "planned": ()})


def _begin(at: Scene) -> Bisection:
    two = at.two
    each = max(two.before.provenance.cpu_seconds, two.after.provenance.cpu_seconds)
    return Bisection(
        claim=two.bad.slug,
        subject=two.bad.given.subject,
        endpoint=two.bad.contract.parts[two.part].endpoint,
        good=seen(two, "good"),
        bad=seen(two, "bad"),
        noise=at.noise,
        differences=tuple(differences(two)),
        planned=tuple(_plan(at)),
        most_runs=most(at.facts),
        expected_cpu_seconds=most(at.facts) * each,
    )


def _plan(at: Scene) -> Iterator[str]:
    """What may have to be run, in words."""
    may = all_that_may_be_needed(at.facts)
    order = [branch.step for branch in may]
    for branch in may:
        if_so = [
            f"run {order.index(step) + 1} {'holds' if result == 'holds' else 'does not hold'}"
            for step, result in branch.after
        ]
        yield f"{_step_words(at, branch.step)}{', if ' if if_so else ''}{' and '.join(if_so)}"
    good = at.commits.get("good")
    commits = (
        len(at.versions.between(good, at.commits.get("bad"))) if may and good and "code" in at.facts.differs else 0
    )
    if commits > 1:
        yield f"if it is the code, {math.ceil(math.log2(commits))} more at most, to find which of {commits} commits it is"


class _Tries:
    """The runs that were made for a question, and what came of each."""

    def __init__(self, at: Scene, means: Means, watcher: Watcher) -> None:
        self.at, self._means, self._watcher = at, means, watcher
        self.results: dict[Step, Result] = {}
        self.told: list[Tried] = []

    def decide(self) -> Cause:
        """Make runs until the question has an answer."""
        while isinstance(step := following(self.at.facts, self.results), Step):
            self.results[step] = self.make(step, _step_words(self.at, step), self.at.commits.get(step.code))
        return step

    def make(self, step: Step, what: str, commit: str | None, changed: Mapping[str, object] | None = None) -> Result:
        """Make a run on the code of a commit, or of now; with what is CHANGED in the step's own job."""
        two = self.at.two
        run, _ = two.of(step.parameters)
        job = recorded.job_of(run).model_copy(update=changed)
        seed = two.of(step.seed)[1].provenance.seed
        outcome = self._made(job, seed, two.of(step.threads)[1], commit)
        self.told.append(_tried(two, run.contract, what, seed, outcome))
        return self.told[-1].result

    @property
    def flipped(self) -> Step:
        """The last run that decided the question by not holding."""
        return next(step for step, result in reversed(self.results.items()) if result == "flips")

    def _made(self, job: Job, seed: int, like: Measurement, commit: str | None) -> Measurement | Failure:
        self._watcher.begun(job, Begun(id="", number=0, seed=seed, claims=()), [])
        command = self.at.versions.command(commit)
        made = recorded.made(
            job, seed, like.provenance, self._means.processes, self._watcher.progressed, command=command
        )
        self._watcher.ended([])
        expected = self.at.versions.code(commit) if commit else None
        if expected and isinstance(made, Measurement) and made.provenance.code_digest != expected.digest:
            return Failure(
                reason=f"what ran was not the code of commit {commit and commit[:12]}: is another copy installed?"
            )
        return made


def _tried(two: Pair, contract: Contract, what: str, seed: int, outcome: Measurement | Failure) -> Tried:
    if isinstance(outcome, Failure):
        return Tried(
            what=what, seed=seed, code="", word="ERROR", reason=outcome.reason, estimate=None, share=None,
            result="unclear", cpu_seconds=0.0,
        )  # fmt: skip
    verdict = judge(contract, outcome)
    part = contract.parts[two.part]
    values = [value for value in outcome.findings.endpoint(part.endpoint).values if value is not None]
    share = _share(two, stats.mean(values)) if values else None
    return Tried(
        what=what,
        seed=seed,
        code=outcome.provenance.code_digest[:12],
        word=verdict.word,
        reason=verdict.reason,
        estimate=part.shown(stats.mean(values)) if values else None,
        share=share,
        same_bits_as=_same_bits(two, outcome),
        result=_result(verdict.word, two.bad.given.verdict.word, share),
        cpu_seconds=outcome.provenance.cpu_seconds,
    )


def _result(word: Word, bad: Word, share: float | None) -> Result:
    """Whether a run came out as the good one or as the bad one; between them, by which one its mean lies nearer to."""
    if word == "HOLDS":
        return "holds"
    if is_bad(word, bad):
        return "flips"
    return "flips" if word == "INCONCLUSIVE" and share is not None and share >= 0.5 else "unclear"


def _share(two: Pair, mean: float) -> float | None:
    good, bad = (stats.mean(values_of(run, two.part)) for run in (two.good, two.bad))
    return None if good == bad else (mean - good) / (bad - good)


def _same_bits(two: Pair, outcome: Measurement) -> str:
    def units(measured: Measurement) -> dict[str, tuple[float | None, ...]]:
        return {endpoint.name: endpoint.values for endpoint in measured.findings.endpoints}

    same = {"the good run": units(two.before), "the bad run": units(two.after)}
    return next((name for name, values in same.items() if values == units(outcome)), "")


def _step_words(at: Scene, step: Step) -> str:
    """A run in words: whose seed, and what it has of the other one."""
    other = "bad" if step.seed == "good" else "good"
    said = [
        f"the {other} run's {name}"
        for name, side in (("parameters", step.parameters), ("threads", step.threads), ("code", step.code))
        if side == other and (name in at.facts.differs)
    ]
    if step.code == "today":
        said.append("today's code")
    commit = at.commits.get(step.code)
    where = f" (commit {commit[:12]})" if commit else ""
    what = f" with {' and '.join(said)}" if said else " again"
    return f"the {step.seed} run's seed{what}{where}, in today's environment"


# --- the answer ------------------------------------------------------------------------------------------------------


def _answer(at: Scene, tries: _Tries, cause: Cause) -> Answer:
    if cause == "code":
        found = _code_answer(at, tries)
    else:
        said = _which_parameters(at, tries) if cause == "parameters" else _words(at, tries, cause)
        found = Answer(cause=cause, said=said)
    return found.model_copy(update={"not_tested": tuple(_not_tested(at))})


def _words(at: Scene, tries: _Tries, cause: Cause) -> str:
    two = at.two
    match cause:
        case "regions":
            version, word = two.bad.contract_version, judge(two.bad.contract, two.before).word
            return f"It is the contract: by its version {version} the good run's own units read {word}. Nothing had to be run."
        case "threads":
            was, now = (one.provenance.threads_per_process for one in (two.before, two.after))
            return f"It is the number of threads: {was} → {now}."
        case "environment":
            return f"It is the environment: {_environment_words(at)}."
        case "seeds":
            return _seed_words(at, tries)
        case "undecided":
            return f"Not decided: {_why_undecided(tries)}"
    return IN_WORDS[cause]


def _environment_words(at: Scene) -> str:
    changed = _elsewhere(at.two)
    if changed:
        return "; ".join(f"{one.what} {one.was} → {one.now}" for one in changed)
    return "both runs were made in another one, and the run does not come out the same in that of now"


def _seed_words(at: Scene, tries: _Tries) -> str:
    if at.noise.would_do:
        others = sorted(at.facts.differs)
        beside = f" The {' and the '.join(others)} changed too, which is not needed to explain it." if others else ""
        return f"Seeds: {at.noise.said}.{beside}"
    if at.facts.differs:
        return f"Seeds: with all else as in the bad run, the good run's seed still holds; yet {at.noise.said}."
    same = any(one.same_bits_as == "the good run" for one in tries.told)
    again = " The good run made again gives the same bits." if same else ""
    return f"Seeds: nothing that was written down is another; yet {at.noise.said}.{again}"


def _why_undecided(tries: _Tries) -> str:
    last = tries.told[-1]
    if last.result == "holds":
        return "the code of the bad run is neither here nor in git, and on today's code the good run's seed holds."
    return f"{last.what} came out {last.word}: {last.reason}."


def _not_tested(at: Scene) -> Iterator[str]:
    """What changed and cannot be had back here."""
    if len(at.facts.is_here) < 2:
        yield from (f"{one.what} {one.was} → {one.now} (not installed here)" for one in _elsewhere(at.two))
    missing = [side for side in ("good", "bad") if side not in at.facts.can_make]
    if missing and "code" in at.facts.differs and not at.facts.noise_would_do:
        yield f"the code of the {' and of the '.join(missing)} run (neither here nor in a commit of the repository that holds it)"


def _elsewhere(two: Pair) -> list[Difference]:
    found = recorded.environment_differences(two.before.provenance, two.after.provenance)
    return [one for one in found if one.what not in HARMLESS]


# --- which parameter -------------------------------------------------------------------------------------------------


def _which_parameters(at: Scene, tries: _Tries) -> str:
    """Name the parameter, or the subject; of several, the first that flips the claim on its own."""
    good, bad = (_recipe_of(run) for run in (at.two.good, at.two.bad))
    names = [name for name in sorted(good.keys() | bad.keys()) if good.get(name) != bad.get(name)]
    alone = next(filter(lambda name: _flips_alone(at, tries, name), names if len(names) > 1 else ()), None)
    told = [alone] if alone else names
    said = ", ".join(f"`{name}` {_plain(good.get(name))} → {_plain(bad.get(name))}" for name in told)
    together = " together, none of them alone" if len(names) > 1 and not alone else ""
    versions = f"contract version {at.two.good.contract_version} → {at.two.bad.contract_version}"
    what = "the subject" if told == ["subject"] else "the parameters"
    return f"It is {what} of the contract: {said or _units_words(at.two)}{together} ({versions})."


def _recipe_of(run: Recorded) -> dict[str, object]:
    return {**run.started.parameters, "subject": run.started.subject}


def _plain(value: object) -> str | None:
    return value if isinstance(value, str) else shown(value)


def _flips_alone(at: Scene, tries: _Tries, name: str) -> bool:
    good, bad = at.two.good.started.parameters, at.two.bad.started.parameters
    changed: dict[str, object] = {"subject": at.two.bad.started.subject}
    if name != "subject":
        if not {name} <= good.keys() & bad.keys():
            return False  # a version of the verifier knows nothing of it
        changed = {"parameters": {**good, name: bad[name]}}
    step = tries.flipped._replace(parameters="good")
    what, commit = f"the good run's seed with the bad run's {name} alone", at.commits.get(step.code)
    return tries.make(step, what, commit, changed) == "flips"


def _units_words(two: Pair) -> str:
    was, now = (f"{recorded.job_of(run).units} units, {run.given.profile}" for run in (two.good, two.bad))
    return f"{was} → {now}"


# --- which change of the code ----------------------------------------------------------------------------------------


def _code_answer(at: Scene, tries: _Tries) -> Answer:
    """Name what changed in the code, and of several commits the one that flips the claim."""
    missing = next((side for side in ("good", "bad") if side not in at.commits), None)
    if missing:
        gone = f"what changed in it cannot be named, because that of the {missing} run is neither here nor in git"
        return Answer(cause="code", said=f"It is the code; {gone}.")
    older, newer, commit = _narrowed(at, tries)
    found = changes(older, newer)
    named = ", ".join(map(str, found[:NAMED])) or "nothing that can be named"
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    by = f", commit {commit}" if commit else ", not committed" if at.commits["bad"] is None else ""
    said = f"It is the code: {'one of ' if len(found) > 1 else ''}{named}{more}{by}."
    return Answer(cause="code", said=said, changes=tuple(found), commit=str(commit) if commit else None)


def _narrowed(at: Scene, tries: _Tries) -> tuple[Code, Code, Commit | None]:
    """The two neighbouring versions between which the claim flips, and the commit that brought the later one: by
    halves, and no code is run twice.
    """
    good, bad = at.commits["good"], at.commits["bad"]
    older, newer = (_needed(at.versions.code(one)) for one in (good, bad))
    waiting = at.versions.between(good, bad) if good else []
    brought_by = None
    while waiting:
        middle = waiting[len(waiting) // 2]
        code = at.versions.code(middle.id)
        result = "unclear" if code is None else _side_of(code, older, newer) or _on_commit(tries, middle)
        if code is None:
            waiting.remove(middle)  # it cannot be read, and so not be run
        elif result == "unclear":
            break
        elif result == "holds":
            older, waiting = code, waiting[waiting.index(middle) + 1 :]
        else:
            newer, brought_by, waiting = code, middle, waiting[: waiting.index(middle)]
    return older, newer, brought_by


def _side_of(code: Code, older: Code, newer: Code) -> Result | None:
    """What a version gives that is known already."""
    known: dict[str, Result] = {older.digest: "holds", newer.digest: "flips"}
    return known.get(code.digest)


def _on_commit(tries: _Tries, commit: Commit) -> Result:
    return tries.make(tries.flipped, f"the same on commit {commit}", commit.id)


def _needed(code: Code | None) -> Code:
    if code is None:
        raise NoAnswer("the code that was run just now cannot be read any more: was the checkout changed meanwhile?")
    return code
