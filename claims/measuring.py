"""A measurement without a library: a verifier on a subject under the verifier's own contract; nothing is written
down.
"""

from collections.abc import Mapping

from claims import worker
from claims.certified import certificate_for
from claims.contract import Contract, contract_from
from claims.judge import judge
from claims.runs import Begun, Job
from claims.verification import Means, Outcome, Watcher, outcome_of
from verifiers.measurement import Failure, Profile, Request, SubjectRef
from verifiers.registry import check_break, find, find_subject, runnable


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
    contract = contract_from({**own, "verifier": verifier, "subjects": [subject], "parameters": asked})
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


def measure(
    job: Job, contract: Contract, seed: int, means: Means, watcher: Watcher, broken: str | None = None
) -> Outcome:
    """Run the job with SEED and judge what comes out; with the instrument BROKEN in a way that has a name.

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
        units=job.units,
        processes=means.processes,
        cache=means.cache,
        memory_mb=job.memory_mb,
        broken=broken,
    )
    measured = worker.measure(request, job.wall_seconds, watcher.progressed, lambda: False)
    verdict = None if isinstance(measured, Failure) else judge(contract, measured)
    certified = broken is None and not isinstance(measured, Failure) and certificate_for(contract, measured) is not None
    outcome = outcome_of(job, measured, verdict).model_copy(update={"certified": certified})
    watcher.ended([outcome])
    return outcome
