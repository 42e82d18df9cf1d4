"""From claims to verdicts: which measurements are needed, each made once, and what came out for every claim that
shares it.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from sqlmodel import Session, col, select

from claims import ledger, runs, tasks
from claims.errors import NoContract
from claims.history import contract_of, contracts
from claims.judge import Judged, Tag, Verdict, Word
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from claims.overview import fresh_of
from claims.regime import differences
from claims.runs import Begun, Clock, Job, Means
from kb.models import ClaimState, Entity
from kb.store import Store
from verifiers.measurement import (
    Control,
    Failure,
    Measurement,
    Profile,
    Progress,
    Provenance,
    Value,
)

POLL, KEEP_EVERY = 0.2, 10  # seconds between two looks at a task, and looks between two at its worker


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
    if contract_of(session, claim.id) is None:
        raise NoContract(
            f"the claim {claim.slug!r} has no contract, so there is nothing to run: "
            "add one to its page (docs/contracts.md) and import it again"
        )
    return claim.id


def is_due(session: Session, claim_id: str, now: datetime) -> bool:
    """Whether a claim has a contract and is not fresh."""
    contract = contract_of(session, claim_id)
    if contract is None:
        return False
    state = session.get(ClaimState, claim_id)
    return fresh_of(state, contract.verifier, contract.shelf_life_days, now).word in {"DUE", "STALE"}


def verify(store: Store, jobs: Sequence[Job], means: Means, watcher: Watcher) -> list[Outcome]:
    """Make every job here and now, in this process, and return what came out claim by claim. A worker does the same
    for whoever queues them.
    """
    outcomes: list[Outcome] = []
    ids = tasks.ask(store, jobs, "asked for here", "this process", means.clock(), lambda _session, _task: None)
    for task_id in ids:
        tasks.carry_out(store, task_id, means, Here(store, watcher))
        found = outcomes_of(store, tasks.asked(store, task_id))
        watcher.ended(found)
        outcomes += found
    return outcomes


class Here:
    """Carries tasks out where it is asked to, while somebody watches."""

    name = "here"

    def __init__(self, store: Store, watcher: Watcher) -> None:
        self._store, self._watcher = store, watcher

    def is_stopping(self) -> bool:
        """Nobody stops it but whoever waits for it."""
        return False

    def slot(self, _turn: datetime) -> AbstractContextManager[object]:
        """There is no other run."""
        return nullcontext()

    def begun(self, job: Job, run: Begun) -> None:
        """Tell the watcher that a run begins."""
        self._watcher.begun(job, run, slugs_of(self._store, run.claims))

    def progressed(self, progress: Progress) -> None:
        """Tell the watcher how far it is."""
        self._watcher.progressed(progress)


def follow(
    store: Store, task_ids: Sequence[str], watcher: Watcher, keep_a_worker: Callable[[], None], clock: Clock
) -> list[Outcome]:
    """Watch tasks until all are made, and return what came out claim by claim; KEEP_A_WORKER sees to it that somebody
    makes them. Whoever interrupts this cancels them.
    """
    outcomes: list[Outcome] = []
    try:
        for task_id in task_ids:
            found = _followed(store, task_id, watcher, keep_a_worker)
            watcher.ended(found)
            outcomes += found
    except KeyboardInterrupt:
        for task_id in task_ids:
            tasks.cancel(store, task_id, clock())
        _until_ended(store, task_ids)
        raise
    return outcomes


def _followed(store: Store, task_id: str, watcher: Watcher, keep_a_worker: Callable[[], None]) -> list[Outcome]:
    shown: str | None = None
    looks = 0
    while True:
        task = tasks.asked(store, task_id)
        if task.run is not None and task.run != shown:
            shown = task.run
            begun = runs.begun(store, shown)
            watcher.begun(task.job, begun, slugs_of(store, begun.claims))
        if shown is not None and (progress := runs.progress(store, shown)).done:
            watcher.progressed(progress)
        if task.state not in tasks.OPEN:
            return outcomes_of(store, task)
        if looks % KEEP_EVERY == 0:
            keep_a_worker()
        looks += 1
        time.sleep(POLL)


def _until_ended(store: Store, task_ids: Sequence[str]) -> None:
    """Wait until what was cancelled has ended, but not for ever: there may be no worker any more."""
    end = time.monotonic() + 15
    while time.monotonic() < end and any(tasks.asked(store, one).state == "running" for one in task_ids):
        time.sleep(POLL)


def slugs_of(store: Store, claim_ids: Sequence[str]) -> list[str]:
    """The slugs of these claims."""
    with store.reading() as session:
        return [session.get_one(Entity, claim_id).slug for claim_id in claim_ids]


def outcomes_of(store: Store, task: tasks.Asked) -> list[Outcome]:
    """What the ledger says a task gave, claim by claim; one that could not even begin gave an ERROR."""
    if task.run is None:
        failed = outcome_of(task.job, Failure(reason=task.reason), None)
        return [failed.model_copy(update={"claim": slug}) for slug in slugs_of(store, task.job.claims)]
    begun = runs.begun(store, task.run)
    with store.reading() as session:
        return [_outcome(session, claim_id, begun.id, task.job) for claim_id in begun.claims]


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
