"""From claims to verdicts: which measurements are needed, each made once, and what came out for every claim that
shares it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlmodel import Session, col, select

from claims import ledger, runs, worker
from claims.errors import NoContract
from claims.history import contracts, current_contract
from claims.judge import Judged, Tag, Verdict, Word
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from claims.overview import fresh_of
from claims.regime import differences
from claims.runs import Begun, Job
from kb.models import ClaimState, Entity
from kb.store import Store
from verifiers.measurement import (
    Control,
    Failure,
    Measurement,
    Profile,
    Progress,
    Provenance,
    Request,
    SubjectRef,
    Value,
)

Clock = Callable[[], datetime]


class Outcome(Value):
    """What a run gave for one claim: the shape that `measure` and `verify` promise."""

    verifier: str
    subject: str
    profile: Profile
    verdict: Word
    tag: Tag | None
    reason: str
    differences: tuple[str, ...] = ()  # between the subject and what the claim speaks of: the verdict is on the subject
    certified: bool = False
    endpoints: tuple[Judged, ...]
    controls: tuple[Control, ...]
    provenance: Provenance | None
    claim: str | None = None
    run: str | None = None
    number: int | None = None


class Watcher(Protocol):
    """Whoever wants to see runs as they happen."""

    def begun(self, job: Job, run: Begun, claims: Sequence[str]) -> None: ...

    def progressed(self, progress: Progress) -> None: ...

    def ended(self, outcomes: Sequence[Outcome]) -> None: ...


@dataclass(frozen=True)
class Means:
    """What a run may use of the machine, and where the time comes from."""

    clock: Clock
    processes: int
    cache: str


def plan(
    store: Store, slugs: Sequence[str] | None, profile: Profile, now: datetime, *, only_due: bool = False
) -> list[Job]:
    """The measurements for these claims, or for all that have a contract; the cheapest first, so that whoever waits sees
    a verdict soon.

    Raises:
        NoContract: when a claim that was named has none.
    """
    from kb.read import find as find_entry

    with store.reading() as session:
        if slugs is None:
            ids = list(session.exec(select(Entity.id).where(Entity.kind == "claim").order_by(col(Entity.slug))))
        else:
            named = dict.fromkeys(find_entry(session, slug, "claim").id for slug in slugs)  # a slug may be an old one
            ids = [_with_contract(session, session.get_one(Entity, claim_id)) for claim_id in named]
        if only_due:
            ids = [claim_id for claim_id in ids if is_due(session, claim_id, now)]
        return sorted(runs.jobs_for(session, ids, profile), key=runs.expected_cpu_seconds)


def _with_contract(session: Session, claim: Entity) -> str:
    if current_contract(ledger.entries(session, claim.id)) is None:
        raise NoContract(
            f"the claim {claim.slug!r} has no contract, so there is nothing to run: "
            "add one to its page (docs/contracts.md) and import it again"
        )
    return claim.id


def is_due(session: Session, claim_id: str, now: datetime) -> bool:
    """Whether a claim has a contract and is not fresh."""
    contract = current_contract(ledger.entries(session, claim_id))
    if contract is None:
        return False
    state = session.get(ClaimState, claim_id)
    return fresh_of(state, contract.shelf_life_days, now).word in {"DUE", "STALE"}


def verify(store: Store, jobs: Sequence[Job], means: Means, watcher: Watcher) -> list[Outcome]:
    """Run every job, record what came out, and return it claim by claim."""
    outcomes: list[Outcome] = []
    for job in jobs:
        outcomes += _one(store, job, means, watcher)
    return outcomes


def _one(store: Store, job: Job, means: Means, watcher: Watcher) -> list[Outcome]:
    run = runs.begin(store, job, means.clock())
    outcome: Measurement | Failure = Failure(reason="interrupted")
    try:
        with store.reading() as session:
            watcher.begun(job, run, [session.get_one(Entity, claim_id).slug for claim_id in run.claims])

        def on_progress(progress: Progress) -> None:
            runs.follow(store, run.id, progress, means.clock())
            watcher.progressed(progress)

        request = Request(
            verifier=job.verifier,
            subject=SubjectRef.parse(job.subject),
            seed=run.seed,
            profile=job.profile,
            parameters=job.parameters,
            units=job.units,
            processes=means.processes,
            cache=means.cache,
            memory_mb=job.memory_mb,
        )
        outcome = worker.measure(request, job.wall_seconds, on_progress, lambda: runs.is_cancelled(store, run.id))
    except KeyboardInterrupt:
        outcome = Failure(reason="interrupted from the keyboard")
        raise
    finally:
        runs.end(store, run.id, outcome, means.clock())
    outcomes = outcomes_of(store, run, job)
    watcher.ended(outcomes)
    return outcomes


def outcomes_of(store: Store, run: Begun, job: Job) -> list[Outcome]:
    """What the ledger says a run gave, claim by claim."""
    with store.reading() as session:
        return [_outcome(session, claim_id, run.id, job) for claim_id in run.claims]


def _outcome(session: Session, claim_id: str, run_id: str, job: Job) -> Outcome:
    chain = ledger.entries(session, claim_id)
    event = next(e.event for e in chain if isinstance(e.event, VerdictGiven | RunFailed) and e.event.run == run_id)
    started = next(e.event for e in chain if isinstance(e.event, RunStarted) and e.event.run == run_id)
    named = {
        "claim": session.get_one(Entity, claim_id).slug,
        "run": run_id,
        "number": event.number,
        "differences": differences(contracts(chain)[started.contract_digest].regime, job.subject),
    }
    if isinstance(event, RunFailed):
        return outcome_of(job, Failure(reason=event.reason), None).model_copy(update=named)
    measured = ledger.measurement(session, event.measurement_digest)
    certified = event.certificate is not None
    return outcome_of(job, measured, event.verdict).model_copy(update=named | {"certified": certified})


def outcome_of(job: Job, measured: Measurement | Failure, verdict: Verdict | None) -> Outcome:
    """The promised shape, for a measurement and its verdict, or for a failure."""
    given = verdict or Verdict(word="ERROR", reason=measured.reason if isinstance(measured, Failure) else "")
    return Outcome(
        verifier=job.verifier,
        subject=job.subject,
        profile=job.profile,
        verdict=given.word,
        tag=given.tag,
        reason=given.reason,
        endpoints=given.endpoints,
        controls=given.controls,
        provenance=None if isinstance(measured, Failure) else measured.provenance,
    )
