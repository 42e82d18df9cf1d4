"""A measurement without a library: a verifier on a subject under the verifier's own contract; nothing is written
down. Here a subject may also be something that the user brings along, such as a training log.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claims import worker
from claims.certified import certificate_for
from claims.contract import Contract, contract_from
from claims.judge import judge
from claims.runs import Begun, Job, Means
from claims.verification import Outcome, Watcher, outcome_of
from verifiers import subjects
from verifiers.measurement import Failure, Measurement, Profile, Request, SubjectRef
from verifiers.registry import BadParameters, check_break, find, find_subject, runnable


def plan(
    verifier: str, subject: str, profile: Profile, parameters: Mapping[str, float] | None = None
) -> tuple[Job, Contract]:
    """What to run, and what to judge it by; PARAMETERS in place of those of the verifier's own contract.

    Raises:
        VerifierError: when the verifier or the subject is unknown, or the verifier is refused.
        BadContract: when a parameter is unknown or out of range.
    """
    record = runnable(verifier)
    find_subject(SubjectRef.parse(subject), record)
    own = record.default_contract
    asked = {**own.get("parameters", {}), **(parameters or {})}
    contract = contract_from({**own, "verifier": verifier, "parameters": asked})
    contract = contract.model_copy(
        update={"subjects": (subject,)}
    )  # which may be one that no claim's contract can name
    job = Job(
        verifier=verifier,
        subject=subject,
        parameters=contract.parameters,
        profile=profile,
        claims=(),
        units=contract.unit.per_run,
        wall_seconds=contract.budget.wall_seconds,
        memory_mb=contract.budget.memory_mb,
    )
    return job, contract


def reading(subject: str, columns: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What would be read from a subject that lies in files, before anything is measured; None for any other.

    Raises:
        VerifierError: when it cannot be read, or COLUMNS are named of what has none.
    """
    said = subjects.reading(SubjectRef.parse(subject), columns)
    if columns and said is None:
        raise BadParameters(f"columns and units are those of a log, and {subject} is none: leave them out")
    return said


def read_from(measured: Measurement | None) -> Mapping[str, Any] | None:
    """What a measurement read from a subject that lies in files, with the digest of each."""
    return measured.findings.settings.get("log") if measured else None


def measure(
    job: Job,
    contract: Contract,
    seed: int,
    means: Means,
    watcher: Watcher,
    *,
    broken: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[Outcome, Measurement | None]:
    """Run the job with SEED, and give what was judged and what was measured; with the instrument BROKEN in a way that
    has a name, and with the COLUMNS of a log. The experiment's process works in this one's folder, so that the names
    of files mean the same there.

    Raises:
        BadParameters: when the verifier knows no such break.
    """
    if broken is not None:
        check_break(find(job.verifier), broken)
    watcher.begun(job, Begun(id="", number=0, seed=seed, claims=()), [])
    request = Request(
        verifier=job.verifier,
        subject=SubjectRef.parse(job.subject),
        seed=seed,
        profile=job.profile,
        parameters=job.parameters,
        columns=dict(columns or {}),
        units=job.units,
        processes=means.processes,
        cache=means.cache,
        memory_mb=job.memory_mb,
        broken=broken,
    )
    measured = worker.measure(request, job.wall_seconds, watcher.progressed, lambda: False, folder=Path.cwd())
    if isinstance(measured, Failure):
        outcome = outcome_of(job, measured, None)
        watcher.ended([outcome])
        return outcome, None
    certified = broken is None and certificate_for(contract, measured) is not None
    outcome = outcome_of(job, measured, judge(contract, measured)).model_copy(update={"certified": certified})
    watcher.ended([outcome])
    return outcome, measured
