"""A recorded run, made again with its own seed on the code and the machine of now: the same bits, or by how much they
differ and what has changed. What comes out is written down as a replay, and never as a verdict.
"""

from collections.abc import Sequence
from datetime import datetime

from claims import ledger, recorded, today
from claims.contract import Contract
from claims.errors import NoAnswer
from claims.history import refresh
from claims.judge import Word, judge
from claims.ledger import Replayed
from claims.recorded import Difference, Recorded
from claims.runs import Begun, Means
from claims.verification import Watcher
from kb.errors import StoreError
from kb.store import Store
from verifiers.measurement import Endpoint, Failure, Measurement, Value
from verifiers.registry import runnable

SMOKE = "a smoke run is no evidence, so its replay says nothing about a sample"


class Compared(Value):
    """The units of one endpoint, then and now; `largest` is a difference on the scale of analysis, `unit` which one
    shows it. None where they cannot be held against each other.
    """

    name: str
    quantity: str
    scale: str
    units: int
    identical: bool
    largest: float | None
    unit: int | None
    decides: bool  # for one of the claims
    reason: str = ""


class Agreement(Value):
    """What the two mean for one claim: whether the units of its parts agree within the noise floor, and what its
    contract makes of each.
    """

    claim: str  # slug
    agrees: bool
    largest: float | None
    noise_floor: float  # the smallest of its parts
    was: Word
    now: Word


class Replay(Value):
    """What came of making a run again."""

    run: str
    number: int
    verifier: str
    subject: str
    profile: str
    seed: int
    at: datetime  # when it was recorded first
    identical: bool
    agrees: bool
    endpoints: tuple[Compared, ...]
    claims: tuple[Agreement, ...]
    controls: tuple[str, ...]  # those that come out otherwise
    changed: tuple[Difference, ...]
    cpu_seconds: float
    not_recorded: str = ""  # why; empty when it is in the ledger


def replay(store: Store, said: str, means: Means, watcher: Watcher) -> Replay:
    """Make the run again that SAID names, compare, and write down that it was replayed.

    Raises:
        NoAnswer: when there is no such run or no measurement of it, or when it could not be made; then nothing is recorded.
        VerifierError: when its verifier is gone or refused.
    """
    with store.reading() as session:
        run, *others = sharing = recorded.find(session, said)
        before = recorded.measurement_of(session, run)
    runnable(run.started.verifier)
    after = _again(run, others, before, means, watcher)
    found = _compared(sharing, before, after)
    if found.not_recorded:
        return found
    try:
        _record(store, sharing, after, found, means.clock())
    except StoreError as error:  # what was found is worth telling all the same
        return found.model_copy(update={"not_recorded": str(error)})
    return found


def _again(
    run: Recorded, others: Sequence[Recorded], before: Measurement, means: Means, watcher: Watcher
) -> Measurement:
    job, seed = recorded.job_of(run, others), before.provenance.seed
    watcher.begun(job, Begun(id="", number=0, seed=seed, claims=()), [])
    outcome = recorded.made(job, seed, before.provenance, means.processes, watcher.progressed)
    watcher.ended([])
    if isinstance(outcome, Failure):
        raise NoAnswer(f"{run.name} could not be made again, and nothing was recorded: {outcome.reason}")
    return outcome


# --- comparing -------------------------------------------------------------------------------------------------------


def _compared(sharing: Sequence[Recorded], before: Measurement, after: Measurement) -> Replay:
    run = sharing[0].given
    deciding = {part.endpoint for one in sharing for part in one.contract.parts}
    endpoints = compare(before, after, deciding)
    claims = tuple(_agreement(one, before, after) for one in sharing)
    return Replay(
        run=run.run,
        number=run.number,
        verifier=before.verifier,
        subject=run.subject,
        profile=run.profile,
        seed=before.provenance.seed,
        at=sharing[0].at,
        identical=all(one.identical for one in endpoints),
        agrees=all(one.agrees for one in claims),
        endpoints=endpoints,
        claims=claims,
        controls=_other_controls(before, after),
        changed=(
            *recorded.code_differences(before.provenance, after.provenance),
            *recorded.environment_differences(before.provenance, after.provenance),
        ),
        cpu_seconds=after.provenance.cpu_seconds,
        not_recorded=SMOKE if run.profile == "smoke" else "",
    )


def compare(before: Measurement, after: Measurement, deciding: set[str]) -> tuple[Compared, ...]:
    """The units of every endpoint that either measurement has, those that decide first."""
    then = {endpoint.name: endpoint for endpoint in before.findings.endpoints}
    now = {endpoint.name: endpoint for endpoint in after.findings.endpoints}
    names = sorted(dict.fromkeys((*then, *now)), key=lambda name: name not in deciding)
    return tuple(_endpoint(name, then.get(name), now.get(name), decides=name in deciding) for name in names)


def _endpoint(name: str, then: Endpoint | None, now: Endpoint | None, *, decides: bool) -> Compared:
    known = then or now
    quantity, scale = (known.quantity, known.scale) if known else ("", "")
    reason, largest, unit = "", None, None
    if then is None or now is None:
        reason = "not measured then" if then is None else "not measured now"
    else:
        largest, unit, reason = farthest(then, now)
    return Compared(
        name=name,
        quantity=quantity,
        scale=scale,
        units=len(known.values) if known else 0,
        identical=then is not None and now is not None and then.values == now.values,
        largest=largest,
        unit=unit,
        decides=decides,
        reason=reason,
    )


def farthest(then: Endpoint, now: Endpoint) -> tuple[float | None, int | None, str]:
    """The largest difference between units as they count, inside their caps; in which unit; or why there is none."""
    if len(then.values) != len(now.values):
        return None, None, f"{len(then.values)} units then, and {len(now.values)} now"
    pairs = list(zip(then.values, now.values, strict=True))
    gaps = [index for index, (old, new) in enumerate(pairs) if (old is None) != (new is None)]
    if gaps:
        return None, gaps[0], f"unit {gaps[0] + 1} has a value in one and none in the other"
    apart = [abs(_inside(old, then) - _inside(new, now)) for old, new in pairs if old is not None and new is not None]
    if not apart:
        return 0.0, None, ""
    largest = max(apart)
    with_values = [index for index, (old, _) in enumerate(pairs) if old is not None]
    return largest, with_values[apart.index(largest)] if largest else None, ""


def _inside(value: float, endpoint: Endpoint) -> float:
    return min(max(value, endpoint.cap[0]), endpoint.cap[1])


def _agreement(one: Recorded, before: Measurement, after: Measurement) -> Agreement:
    """Whether every unit of every part agrees within the noise floor that was stated when it was measured."""
    floors, largest = [], []
    for part in one.contract.parts:
        then = before.findings.endpoint(part.endpoint)
        now = next((end for end in after.findings.endpoints if end.name == part.endpoint), None)
        floors.append(then.noise_floor)
        largest.append(None if now is None else farthest(then, now)[0])
    far = [distance for distance in largest if distance is not None]
    return Agreement(
        claim=one.slug,
        agrees=all(distance is not None and distance <= floor for distance, floor in zip(largest, floors, strict=True)),
        largest=max(far) if len(far) == len(largest) else None,
        noise_floor=min(floors),
        was=one.given.verdict.word,
        now=read_by(one.contract, after),
    )


def read_by(contract: Contract, measured: Measurement) -> Word:
    """What a contract would make of a measurement; it goes nowhere."""
    try:
        return judge(contract, measured).word
    except LookupError:
        return "ERROR"


def _other_controls(before: Measurement, after: Measurement) -> tuple[str, ...]:
    then = {control.name: control.passed for control in before.findings.controls}
    words = {True: "passed", False: "failed", None: "could not run"}
    return tuple(
        f"{control.name}: {words[then[control.name]]} then, {words[control.passed]} now"
        for control in after.findings.controls
        if control.name in then and then[control.name] != control.passed
    )


# --- writing down ----------------------------------------------------------------------------------------------------


def _record(store: Store, sharing: Sequence[Recorded], after: Measurement, found: Replay, now: datetime) -> None:
    with store.writing() as session:
        digest = ledger.keep(session, after)
        for one, agreement in zip(sharing, found.claims, strict=True):
            event = Replayed(
                run=found.run,
                number=found.number,
                subject=found.subject,
                verifier_code=after.provenance.code_digest,
                environment=today.environment_of(after.provenance),
                identical=found.identical,
                largest=agreement.largest,
                agrees=agreement.agrees,
                measurement_digest=digest,
            )
            ledger.append(session, one.claim, event, now)
            refresh(session, one.claim)
        ledger.seal(session, [one.claim for one in sharing], now)
