"""Runs as the ledger has them, and making one again: what `replay` and `bisect` begin with.

Nothing is taken from the cache of checkpoints: a base model that was kept would hide a change in how it is trained.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, SerializerFunctionWrapHandler, ValidationError, model_serializer
from sqlmodel import Session, col, or_, select

from claims import ledger, worker
from claims.contract import Contract
from claims.errors import NoAnswer
from claims.history import contracts
from claims.ledger import ContractSet, RunFailed, RunStarted, VerdictGiven
from claims.runs import Job
from claims.scratch import scratch_folder
from kb import read
from kb.models import Entity, LedgerEntry, MeasurementRecord
from verifiers.measurement import Failure, Measurement, Progress, Provenance, Request, SubjectRef, Value

_NUMBERED = re.compile(r"(.+)[:/](\d+)")
WHERE = "`stillholds history CLAIM` shows the runs of a claim; name one as CLAIM:NUMBER"


class Recorded(Value):
    """A run that gave a verdict, as one claim's chain has it."""

    claim: str  # id
    slug: str
    at: AwareDatetime
    started: RunStarted
    given: VerdictGiven
    contract: Contract  # under which it was begun
    contract_version: int

    @property
    def name(self) -> str:
        """What people call it."""
        return f"run {self.given.number} of {self.slug}"


class Difference(Value):
    """One thing that was something else when a run was made; None where there is no such thing."""

    what: str
    was: str | None
    now: str | None


# --- finding ---------------------------------------------------------------------------------------------------------


def of_claim(session: Session, claim_id: str) -> list[Recorded]:
    """Every run of a claim that gave a verdict, under whichever contract, oldest first."""
    slug, entries = session.get_one(Entity, claim_id).slug, ledger.entries(session, claim_id)
    known, begun, version = contracts(entries), dict[str, tuple[RunStarted, int]](), 0
    found = []
    for entry in entries:
        match entry.event:
            case ContractSet() as event:
                version = event.version
            case RunStarted() as event:
                begun[event.run] = event, version
            case VerdictGiven() as event if event.run in begun:
                started, under = begun[event.run]
                contract = known[event.contract_digest]
                found.append(
                    Recorded(
                        claim=claim_id, slug=slug, at=entry.at, started=started, given=event,
                        contract=contract, contract_version=under,
                    )
                )  # fmt: skip
    return found


def find(session: Session, said: str) -> list[Recorded]:
    """The run that SAID names, once for every claim that shares it: an id or its beginning, or CLAIM:NUMBER.

    Raises:
        NoAnswer: when there is no such run, more than one, or none that measured anything.
        NotFound: when no claim has that slug.
    """
    numbered = _NUMBERED.fullmatch(said.strip())
    if numbered:
        claim_id = read.find(session, numbered[1], "claim").id
        begun = [one for one in _begun(session, claim_id) if one.number == int(numbered[2])]
        run = _one_of([one.run for one in begun], said, _ended(session, [claim_id]))
    else:
        bodies = _bodies(session, said.strip())
        run = _one_of([body.run for _, body in bodies], said, _ended(session, {claim_id for claim_id, _ in bodies}))
    sharing = _sharing(session, run)
    return [one for claim_id in sharing for one in of_claim(session, claim_id) if one.given.run == run]


def _begun(session: Session, claim_id: str) -> list[RunStarted]:
    events = (entry.event for entry in ledger.entries(session, claim_id))
    return [event for event in events if isinstance(event, RunStarted)]


def _bodies(session: Session, beginning: str) -> list[tuple[str, RunStarted]]:
    """Runs whose id begins so, with the claims in whose chains they stand."""
    if not beginning:
        return []
    same = [
        col(LedgerEntry.body).contains(f'"run":{ledger.canonical(text)[:-1]}', autoescape=True)
        for text in (beginning, beginning.upper())
    ]
    rows = session.exec(select(LedgerEntry).where(LedgerEntry.kind == "run", or_(*same)))
    return [(row.claim_id, event) for row in rows if isinstance(event := ledger.entry_of(row).event, RunStarted)]


def _sharing(session: Session, run: str) -> list[str]:
    return sorted({claim_id for claim_id, event in _bodies(session, run) if event.run == run})


def _ended(session: Session, claim_ids: Sequence[str] | set[str]) -> dict[str, VerdictGiven | RunFailed]:
    events = (entry.event for claim_id in sorted(claim_ids) for entry in ledger.entries(session, claim_id))
    return {event.run: event for event in events if isinstance(event, VerdictGiven | RunFailed)}


def _one_of(runs: Sequence[str], said: str, ended: Mapping[str, VerdictGiven | RunFailed]) -> str:
    """The one of these RUNS that measured something."""
    named = list(dict.fromkeys(runs))
    measured = [run for run in named if isinstance(ended.get(run), VerdictGiven)]
    if len(measured) == 1:
        return measured[0]
    if measured:
        raise NoAnswer(f"{said!r} names {len(measured)} runs: say the id of one, {', '.join(measured)}")
    if not named:
        raise NoAnswer(f"no run is called {said!r}: {WHERE}")
    why = ended.get(named[-1])
    how = f"it failed: {why.reason}" if isinstance(why, RunFailed) else "it has not ended, or its process died"
    raise NoAnswer(f"{said!r} gave no measurement, so there is nothing to compare with ({how})")


def measurement_of(session: Session, run: Recorded) -> Measurement:
    """What a run measured.

    Raises:
        NoAnswer: when the library has lost it.
    """
    row = session.get(MeasurementRecord, run.given.measurement_digest)
    try:
        if row is not None:
            return Measurement.model_validate_json(row.body)
    except ValidationError:
        pass
    lost = f"the measurement {run.given.measurement_digest[:12]} of {run.name} is not in the library, or spoilt"
    raise NoAnswer(f"{lost}, so there is nothing to compare with: `stillholds audit` says what else is wrong")


# --- what it was made by ---------------------------------------------------------------------------------------------


def environment_differences(was: Provenance, now: Provenance) -> list[Difference]:
    """What is another beside the code, and may change the bits."""
    packages = sorted(was.packages.keys() | now.packages.keys())
    pairs = [(name, was.packages.get(name), now.packages.get(name)) for name in packages]
    pairs += [("python", was.python, now.python), ("platform", was.platform, now.platform)]
    pairs += [
        ("device", was.device, now.device),
        ("threads", str(was.threads_per_process), str(now.threads_per_process)),
    ]
    return [Difference(what=what, was=old, now=new) for what, old, new in pairs if old != new]


def code_differences(was: Provenance, now: Provenance) -> list[Difference]:
    """What is another of the code: the commit stands beside it, for it changes without changing any bit."""
    found = [Difference(what="verifier version", was=was.version, now=now.version)]
    found += [Difference(what="code", was=was.code_digest[:12], now=now.code_digest[:12])]
    found += [Difference(what="commit", was=_commit(was), now=_commit(now))]
    return [one for one in found if one.was != one.now]


def _commit(origin: Provenance) -> str | None:
    if origin.commit is None:
        return None
    return origin.commit[:12] + (" with uncommitted changes" if origin.uncommitted_changes else "")


# --- making it again -------------------------------------------------------------------------------------------------


class Spare(Request):
    """A request that says nothing that goes without saying: older code refuses what it does not know."""

    @model_serializer(mode="wrap")
    def _said(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unsaid = {name: field.default for name, field in Request.model_fields.items() if not field.is_required()}
        said: dict[str, Any] = dumped(self)
        return {name: value for name, value in said.items() if name not in unsaid or value != unsaid[name]}


def job_of(run: Recorded, sharing: Sequence[Recorded] = ()) -> Job:
    """The job that a run was, within the budgets of all claims that share it."""
    budgets = [one.contract.budget for one in (run, *sharing)]
    return Job(
        verifier=run.started.verifier,
        subject=run.started.subject,
        parameters=run.started.parameters,
        profile=run.given.profile,  # type: ignore[arg-type]  # one of three, as every event that was written
        claims=(),
        units=_units(run, sharing),
        wall_seconds=min(budget.wall_seconds for budget in budgets),
        memory_mb=min(budget.memory_mb for budget in budgets),
        cpu_seconds=min((said for one in budgets if (said := one.cpu_seconds) is not None), default=None),
        number=run.given.number,
    )


def _units(run: Recorded, sharing: Sequence[Recorded]) -> int:
    """Those of a standard run, as the request has them."""
    if run.given.profile == "standard" and run.started.units:
        return run.started.units
    return max(one.contract.unit.per_run for one in (run, *sharing))


def made(
    job: Job,
    seed: int,
    origin: Provenance,
    processes: int,
    on_progress: Callable[[Progress], None],
    *,
    command: Sequence[str] = worker.CHILD,
) -> Measurement | Failure:
    """Make JOB with SEED on the device and with the threads of ORIGIN, in a child process and with an empty cache."""
    limits = worker.Limits(wall_seconds=job.wall_seconds, cpu_seconds=job.cpu_seconds)
    with scratch_folder() as scratch:
        request = Spare(
            verifier=job.verifier,
            subject=SubjectRef.parse(job.subject),
            seed=seed,
            profile=job.profile,
            parameters=job.parameters,
            units=job.units,
            processes=processes,
            device=origin.device,
            cache=str(scratch / "cache"),
            memory_mb=job.memory_mb,
        )
        (scratch / "cache").mkdir()
        with _child(command, limits.of(request), origin.threads_per_process, scratch) as child:
            return child.answer(request, limits, on_progress, lambda: False)


@contextlib.contextmanager
def _child(command: Sequence[str], limits: worker.Limits, threads: int, scratch: Path) -> Iterator[worker.Child]:
    child = worker.Child(command, threads, cpu_seconds=limits.cpu_seconds, scratch=scratch, folder=scratch)
    try:
        yield child
    finally:
        child.end()
