"""A measurement without a library: a verifier on a subject under the verifier's own contract; nothing is written
down.
"""

from claims import worker
from claims.contract import Contract, contract_from
from claims.judge import judge
from claims.runs import Begun, Job
from claims.verification import Means, Outcome, Watcher, outcome_of
from verifiers.measurement import Failure, Profile, Request, SubjectRef
from verifiers.registry import find, find_subject


def plan(verifier: str, subject: str, profile: Profile) -> tuple[Job, Contract]:
    """What to run, and what to judge it by.

    Raises:
        VerifierError: when the verifier or the subject is unknown.
    """
    record = find(verifier)
    find_subject(SubjectRef.parse(subject), record)
    contract = contract_from({**record.default_contract, "verifier": verifier, "subjects": [subject]})
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


def measure(job: Job, contract: Contract, seed: int, means: Means, watcher: Watcher) -> Outcome:
    """Run the job with SEED and judge what comes out."""
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
    )
    measured = worker.measure(request, job.wall_seconds, watcher.progressed, lambda: False)
    verdict = None if isinstance(measured, Failure) else judge(contract, measured)
    outcome = outcome_of(job, measured, verdict)
    watcher.ended([outcome])
    return outcome
