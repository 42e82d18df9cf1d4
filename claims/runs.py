"""A run's life in the store: begun, followed, ended; and those whose process died are recorded as what they were."""

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psutil
from sqlmodel import Session, col, select

from claims import ledger, today
from claims.certified import certificate_for
from claims.contract import Contract
from claims.errors import NoContract
from claims.history import ATTEMPTS, contract_of, contracts, current_contract, refresh
from claims.judge import Units, judge
from claims.ledger import ContractSet, Entry, RunFailed, RunStarted, VerdictGiven, digest_of_contract
from kb.models import LedgerEntry, Library, Run, Task
from kb.store import Store
from verifiers.measurement import Cause, Failure, Measurement, Profile, Progress, SubjectRef, Value
from verifiers.registry import find, find_subject

DIED = "its process ended without a word: it was killed, or the machine went down"


Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Means:
    """What a run may use of the machine, and where the time comes from."""

    clock: Clock
    processes: int
    cache: str


class Job(Value):
    """One measurement to make, and the claims that share it."""

    verifier: str
    subject: str
    parameters: dict[str, float]
    profile: Profile
    claims: tuple[str, ...]  # ids
    units: int  # of a standard run: the most that one of its claims asks for
    wall_seconds: float
    memory_mb: int
    cpu_seconds: float | None = None  # None where no contract limits it
    number: int | None = None  # of a run that was given up, to be made again; else the next
    processes: int | None = None  # that share the work; never changes a result

    @property
    def stream(self) -> str:
        """What its units are drawn for: every run of a stream has a number of its own, and so seeds of its own."""
        return ledger.digest_of({"verifier": self.verifier, "parameters": self.parameters, "subject": self.subject})

    def tests(self, contract: Contract) -> bool:
        """Whether CONTRACT asks for this measurement."""
        same = (contract.verifier, contract.parameters) == (self.verifier, self.parameters)
        return same and self.subject in contract.subjects


class Begun(Value):
    """An attempt at a run that has its number and its seed, and the claims that it tests."""

    id: str
    number: int
    attempt: int = 1
    seed: int
    claims: tuple[str, ...]  # ids


# --- jobs ------------------------------------------------------------------------------------------------------------


def jobs_for(session: Session, claim_ids: Sequence[str], profile: Profile) -> list[Job]:
    """The measurements that would test these claims."""
    said = {claim_id: contract_of(session, claim_id) for claim_id in claim_ids}
    return jobs_of({claim_id: contract for claim_id, contract in said.items() if contract}, profile)


def jobs_of(contracts: Mapping[str, Contract], profile: Profile) -> list[Job]:
    """The measurements that CONTRACTS, by their claim, ask for; claims on the same verifier, parameters and subject share
    one.
    """
    shared: dict[tuple[str, str, str], list[tuple[str, Contract]]] = {}
    for claim_id, contract in contracts.items():
        for subject in contract.subjects:
            key = (contract.verifier, ledger.canonical(contract.parameters), subject)
            shared.setdefault(key, []).append((claim_id, contract))
    return [
        Job(
            verifier=verifier,
            subject=subject,
            parameters=members[0][1].parameters,
            profile=profile,
            claims=tuple(claim_id for claim_id, _ in members),
            units=max(contract.unit.per_run for _, contract in members),
            wall_seconds=min(contract.budget.wall_seconds for _, contract in members),
            memory_mb=min(contract.budget.memory_mb for _, contract in members),
            cpu_seconds=min((said for _, one in members if (said := one.budget.cpu_seconds) is not None), default=None),
        )
        for (verifier, _, subject), members in shared.items()
    ]


# --- begin, follow, end ----------------------------------------------------------------------------------------------


def begin(store: Store, job: Job, now: datetime, task: str | None = None) -> Begun:
    """Write into every claim's chain that a run of this stream begins, before anything is measured: the one that was
    begun and gave nothing, else the next.

    Raises:
        NoContract: when by now no claim of the job asks for this measurement any more.
    """
    verifier = find(job.verifier)
    code = today.code_of(job.verifier)
    me = psutil.Process()
    with store.writing() as session:
        chains = {claim_id: ledger.entries(session, claim_id) for claim_id in job.claims}
        said = {claim_id: current_contract(chain) for claim_id, chain in chains.items()}
        asking = {claim_id: contract for claim_id, contract in said.items() if contract and job.tests(contract)}
        if not asking:
            raise NoContract(
                f"the contract that asks for {job.verifier} on {job.subject} was changed or taken away meanwhile: "
                "`stillholds claims` shows what there is to verify now"
            )
        past = _attempts(session, job)
        number = (
            job.number or _unfinished(job, code, [chains[claim_id] for claim_id in asking]) or max(past, default=0) + 1
        )
        run = Run(
            stream=job.stream,
            number=number,
            attempt=past.get(number, 0) + 1,
            task_id=task,
            verifier=job.verifier,
            subject=job.subject,
            profile=job.profile,
            claims=list(asking),
            host=socket.gethostname(),
            pid=me.pid,
            pid_started=me.create_time(),
            total=units_drawn(job) + 1,  # and the controls
            started_at=now,
            seen_at=now,
        )
        session.add(run)
        seed = seed_of(session.exec(select(Library.id)).one(), job.stream, run.number)
        for claim_id, contract in asking.items():
            event = RunStarted(
                run=run.id,
                number=run.number,
                attempt=run.attempt,
                verifier=job.verifier,
                verifier_version=verifier.version,
                verifier_code=code,
                subject=job.subject,
                profile=job.profile,
                parameters=job.parameters,
                units=units_drawn(job),
                seed=seed,
                contract_digest=digest_of_contract(contract),
            )
            ledger.append(session, claim_id, event, now)
            refresh(session, claim_id)
        ledger.seal(session, asking, now)
        return Begun(id=run.id, number=run.number, attempt=run.attempt, seed=seed, claims=tuple(asking))


def _attempts(session: Session, job: Job) -> dict[int, int]:
    """How often each number of a job's stream was begun, by the ledger: the table of runs may be lost, and no unit is
    drawn twice.
    """
    key = (job.verifier, job.subject, ledger.canonical(job.parameters))
    begun = select(LedgerEntry.body).where(LedgerEntry.kind == "run")
    named = [col(LedgerEntry.body).contains(ledger.canonical(name), autoescape=True) for name in key[:2]]
    attempts: dict[int, set[str]] = {}
    for body in session.exec(begun.where(*named)):
        said = json.loads(body)
        if (said["verifier"], said["subject"], ledger.canonical(said["parameters"])) == key:
            attempts.setdefault(said["number"], set()).add(said["run"])
    return {number: len(runs) for number, runs in attempts.items()}


def _unfinished(job: Job, code: str, chains: Sequence[Sequence[Entry]]) -> int | None:
    """The first number that each of these claims has begun under its present contract and code, and that gave nothing
    for a reason that may pass: made again with the same units, so that nothing is chosen by what was lost.
    """
    numbers = [_unfinished_in(chain, job, code) for chain in chains]
    return min(set.intersection(*numbers), default=None) if numbers else None


def _unfinished_in(chain: Sequence[Entry], job: Job, code: str) -> set[int]:
    since = max((entry.seq for entry in chain if isinstance(entry.event, ContractSet)), default=0)
    events = [entry.event for entry in chain if entry.seq > since]
    same = (job.subject, job.profile, code, units_drawn(job))
    begun = [event for event in events if isinstance(event, RunStarted)]
    ours = {
        event.run: event for event in begun if (event.subject, event.profile, event.verifier_code, event.units) == same
    }
    failed = [event for event in events if isinstance(event, RunFailed) and event.run in ours]
    ended = {event.run for event in events if isinstance(event, VerdictGiven)} | {event.run for event in failed}
    measured = {event.number for event in events if isinstance(event, VerdictGiven) and event.run in ours}
    going = {event.number for event in ours.values() if event.run not in ended}
    causes: dict[int, list[Cause]] = {}
    for event in failed:
        causes.setdefault(event.number, []).append(event.cause)
    may_pass = {number for number, said in causes.items() if "failed" not in said and said.count("lost") < ATTEMPTS}
    return may_pass - measured - going


def units_drawn(job: Job) -> int:
    """How many units a job draws: a smoke run always the same few, a thorough one in proportion to a standard one."""
    profiles = find(job.verifier).profiles
    if job.profile == "smoke":
        return profiles["smoke"].units
    return round(job.units * profiles[job.profile].units / profiles["standard"].units)


def expected_cpu_seconds(job: Job) -> float:
    """What a job will cost, by what its profile cost when last measured."""
    verifier = find(job.verifier)
    profile = verifier.profiles[job.profile]
    left_out = sum(spec.adds for spec in verifier.parameters if not job.parameters.get(spec.name, spec.default))
    share = find_subject(SubjectRef.parse(job.subject), verifier).cost * (1 - left_out)
    return profile.cpu_seconds * share * units_drawn(job) / profile.units


def seed_of(library_id: str, stream: str, number: int) -> int:
    """The seed of a run: fresh for every run of every library, and the same whenever it is asked for again."""
    return int(ledger.digest_of([library_id, stream, number])[:13], 16)  # 52 bits: exact as a JSON number


def follow(store: Store, run_id: str, progress: Progress, now: datetime) -> None:
    """Note how far a run is."""
    with store.writing() as session:
        run = session.get_one(Run, run_id)
        run.done, run.total, run.cpu_seconds, run.seen_at = progress.done, progress.total, progress.cpu_seconds, now


def begun(store: Store, run_id: str) -> Begun:
    """An attempt as it was begun."""
    with store.reading() as session:
        run = session.get_one(Run, run_id)
        seed = seed_of(session.exec(select(Library.id)).one(), run.stream, run.number)
        return Begun(id=run.id, number=run.number, attempt=run.attempt, seed=seed, claims=tuple(run.claims))


def progress(store: Store, run_id: str) -> Progress:
    """How far an attempt is."""
    with store.reading() as session:
        run = session.get_one(Run, run_id)
        return Progress(done=run.done, total=run.total, cpu_seconds=run.cpu_seconds)


def is_cancelled(store: Store, run_id: str) -> bool:
    """Whether somebody has asked for a run to stop, or for what it is made for."""
    with store.reading() as session:
        run = session.get_one(Run, run_id)
        task = session.get(Task, run.task_id) if run.task_id else None
        return run.cancel or (task is not None and task.cancel)


def cancel(store: Store, run_id: str) -> None:
    """Ask for a run to stop; it does within a second or two."""
    with store.writing() as session:
        session.get_one(Run, run_id).cancel = True


def end(store: Store, run_id: str, outcome: Measurement | Failure, now: datetime, last: Progress | None = None) -> None:
    """Write what came out into every claim's chain: a verdict, or ERROR with its reason. LAST is how far it came."""
    with store.writing() as session:
        run = session.get_one(Run, run_id)
        if run.state != "running":
            return  # somebody found it dead and said so; history is not rewritten
        if last is not None:
            run.done, run.total, run.cpu_seconds = last.done, last.total, last.cpu_seconds
        _record(session, run, outcome, now)


def _record(session: Session, run: Run, outcome: Measurement | Failure, now: datetime) -> None:
    digest = "" if isinstance(outcome, Failure) else ledger.keep(session, outcome)
    for claim_id in run.claims:
        ledger.append(session, claim_id, _ended(session, claim_id, run, outcome, digest), now)
        refresh(session, claim_id)
    ledger.seal(session, run.claims, now)
    run.ended_at, run.seen_at = now, now
    run.state, run.reason = ("error", outcome.reason) if isinstance(outcome, Failure) else ("measured", "")


def _ended(
    session: Session, claim_id: str, run: Run, outcome: Measurement | Failure, digest: str
) -> VerdictGiven | RunFailed:
    cause: Cause = "failed"
    if isinstance(outcome, Failure):
        cause, reason = outcome.cause, outcome.reason
    else:
        try:
            contract = _contract_at_start(session, claim_id, run)
            covering = certificate_for(contract, outcome)
            certificate = ledger.keep(session, covering) if covering else None
            return given(contract, outcome, digest, Attempt(run.id, run.number, run.attempt), certificate)
        except LookupError as error:
            reason = str(error)
    return RunFailed(
        run=run.id,
        number=run.number,
        attempt=run.attempt,
        subject=run.subject,
        profile=run.profile,
        cause=cause,
        reason=reason,
    )


def _contract_at_start(session: Session, claim_id: str, run: Run) -> Contract:
    """The contract under which a run was begun, even if the claim's page has another by now."""
    chain = ledger.entries(session, claim_id)
    events = [entry.event for entry in chain if isinstance(entry.event, RunStarted)]
    return contracts(chain)[next(event.contract_digest for event in events if event.run == run.id)]


class Attempt(NamedTuple):
    """Which run a verdict is of."""

    run: str
    number: int
    attempt: int = 1


def given(contract: Contract, measured: Measurement, digest: str, of: Attempt, certificate: str | None) -> VerdictGiven:
    """The entry that this contract, this measurement and the certificate of then make; the audit asks for it again.

    Raises:
        LookupError: when the measurement lacks the endpoint that the contract is about.
    """
    first, *others = (Units.of(measured.findings.endpoint(part.endpoint)) for part in contract.parts)
    return VerdictGiven(
        **of._asdict(),
        subject=str(measured.subject),
        profile=measured.profile,
        contract_digest=digest_of_contract(contract),
        verifier_code=measured.provenance.code_digest,
        environment=today.environment_of(measured.provenance),
        measurement_digest=digest,
        certificate=certificate,
        **dict(first),
        also=tuple(others),
        verdict=judge(contract, measured),
    )


# --- the dead --------------------------------------------------------------------------------------------------------


def is_alive(run: Run) -> bool:
    """Whether the process of a run still lives; one of another machine counts as alive."""
    if run.pid == 0:  # in a copy of a library
        return False
    if run.host != socket.gethostname():
        return True
    try:
        return abs(psutil.Process(run.pid).create_time() - run.pid_started) < 1.0
    except psutil.Error:
        return False


def is_ours(run: Run) -> bool:
    """Whether a run is one of this process."""
    me = psutil.Process()
    return (run.host, run.pid) == (socket.gethostname(), me.pid) and abs(run.pid_started - me.create_time()) < 1.0


def bury(store: Store, now: datetime, task: str | None = None) -> int:
    """Record every run whose process has died as ERROR, and every run of TASK, which nobody makes now; return how
    many.
    """
    with store.reading() as session:
        going = session.exec(select(Run).where(Run.state == "running"))
        dead = [run.id for run in going if not is_alive(run) or (task is not None and run.task_id == task)]
    for run_id in dead:
        end(store, run_id, Failure(reason=DIED, cause="lost"), now)
    return len(dead)
