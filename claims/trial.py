"""Tries a verifier: makes every run that its certificate asks for, keeps each as it ends, and writes the certificate.

Runs are handed out one by one to children that live on, so how many children there are changes no result. A run is
kept in a notebook as soon as it has ended; whatever kills this process costs the runs that are under way.
"""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from pydantic import ValidationError

from claims import certification, worker
from claims.certification import STEADY, Made, Results, Tried
from claims.contract import Contract
from claims.errors import CannotCertify
from claims.goals import STANDARD, Effort, needs_more
from claims.ledger import digest_of
from claims.runs import Means
from claims.truths import Asked, contract_for, is_design, truths
from verifiers import certificate, provenance, registry
from verifiers.certificate import Certificate, Rule
from verifiers.measurement import Failure, Request, SubjectRef, Value
from verifiers.registry import Trial, Verifier, runnable

Report = Callable[[str, int, int, float], None]  # what is being made, runs done, runs in all, their CPU-seconds
CHANGES_NOTHING = {"cache", "memory_mb", "processes", "device"}  # of a request


def certify(
    name: str, means: Means, report: Report, effort: Effort = STANDARD, *, restart: bool = False
) -> Certificate:
    """Try the verifier of that name and write its certificate beside its code, granted or not.

    Seeds follow from the digest of what is tried: the same code gives the same certificate, and nobody can draw
    again until one is granted.

    Raises:
        VerifierError: when there is no such verifier, or it is refused.
        CannotCertify: when it has no trial, its certificate could not be written, or a run gave no measurement.
    """
    verifier = runnable(name)
    if verifier.trial is None:
        raise CannotCertify(f"{name} cannot be tried: its record names no trial, that is, no subjects of known truth")
    path = _place(verifier)
    contract = contract_for(verifier)
    asked = truths(contract, verifier.trial)
    code = provenance.trial_digest(verifier)
    seed = int(code[:13], 16)  # 52 bits: exact as a JSON number
    notebook = Notebook(_notes(Path(means.cache), name, code))
    if restart:
        notebook.forget()
    with closing(Crew()) as crew:
        bench = Bench(contract, provenance.code_digest(verifier), seed, means, notebook, crew, report)
        results, rule, rule_s = _tried(bench, verifier.trial, asked, effort)
    if provenance.trial_digest(verifier) != code:
        raise CannotCertify(f"the code of {name} was changed while it was tried: certify it again")
    made = Made(code, bench.code_digest, means.clock(), seed, rule_s + certification.cost(results))
    found = certification.assemble(contract, verifier.trial, asked, rule, results, effort, made)
    _write(path, found)
    return found


def _place(verifier: Verifier) -> Path:
    """Where the certificate will lie; it must be possible to write there before anything is tried."""
    try:
        path = certificate.path_of(verifier)
        path.parent.mkdir(exist_ok=True)
        with NamedTemporaryFile(dir=path.parent):
            return path
    except (OSError, LookupError) as error:
        raise CannotCertify(
            f"the certificate of {verifier.name} belongs beside its code, and nothing can be written there ({error}): "
            "certify in a checkout"
        ) from error


def _write(path: Path, found: Certificate) -> None:
    draft = path.with_suffix(".json.part")
    draft.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.replace(path)
    registry.certificate_of.cache_clear()


# --- what is tried ---------------------------------------------------------------------------------------------------


def _tried(bench: "Bench", trial: Trial, asked: Sequence[Asked], effort: Effort) -> tuple[Results, Rule, float]:
    """Make every run; the complete ones first, for the others draw with their spread."""
    complete = bench.results(
        "complete runs",
        {subject: bench.requests(subject, "complete", effort.complete) for subject in (trial.true, trial.false)},
    )
    banks = certification.bank_of(bench.contract, complete, trial)
    spread = certification.spread_of(banks, trial)
    bench.report("the rule, simulated", 0, 1, 0.0)
    before = time.process_time()
    rule = certification.rule_of(bench.contract, asked, [units for _, units in banks], effort, bench.seed)
    rule_s = time.process_time() - before
    breaks = _breaks(bench, trial, asked, spread, effort)
    steady = {
        one.name: bench.requests(one.subject, "steady", effort.steady, spread=STEADY * spread, controls=False)
        for one in asked
    }
    results = Results(
        complete=complete,
        healthy=breaks.pop(_HEALTHY),
        breaks=breaks,
        planted=_planted(bench, asked, spread, effort),
        steady=bench.results("the instrument's own error", steady),
        varied=_varied(bench, trial, effort),
    )
    return results, rule, rule_s


def _varied(bench: "Bench", trial: Trial, effort: Effort) -> dict[str, list[Tried]]:
    """The first complete runs once more: the same seeds and weights, measured in other ways that must not matter."""

    def again(**settings: Any) -> list[Request]:
        return bench.requests(trial.true, "complete", min(effort.varied, effort.complete), **settings)

    groups = {name: again(broken=name) for name in trial.variations}
    found = bench.results("measured in other ways", groups) if groups else {}
    return found | bench.results("with two threads", {"threads": again()}, threads=2)


_HEALTHY = ""  # the name of no break


def _breaks(bench: "Bench", trial: Trial, asked: Sequence[Asked], sd: float, effort: Effort) -> dict[str, list[Tried]]:
    """Runs with nothing broken and with each break: controls on a planted subject, gates on a real one in training."""
    (design,) = (one.subject for one in asked if is_design(bench.contract, one.values))
    groups = {_HEALTHY: bench.requests(design, "healthy", effort.healthy, spread=sd)}
    for name in trial.breaks:
        groups[name] = bench.requests(design, f"break {name}", effort.breaks, spread=sd, broken=name)
    for name in trial.training_breaks:
        groups[name] = bench.requests(trial.true, f"break {name}", effort.breaks, units=1, broken=name, controls=False)
    return bench.results("healthy and broken runs", groups)


def _planted(bench: "Bench", asked: Sequence[Asked], sd: float, effort: Effort) -> dict[str, list[Tried]]:
    """Runs on planted subjects, and as many again where the first ones do not decide."""

    def runs(one: Asked, first: int) -> list[Request]:
        return bench.requests(one.subject, "planted", effort.runs, first=first, spread=sd, controls=False)

    found = bench.results("planted subjects", {one.name: runs(one, 0) for one in asked})
    more = {
        one.name: runs(one, effort.runs)
        for one in asked
        if needs_more(certification.counted(bench.contract, one, found[one.name]), effort)
    }
    again = bench.results("planted subjects, once more", more)
    return {name: first + again.get(name, []) for name, first in found.items()}


# --- how it is tried -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """Makes runs of one verifier under one contract, or finds them in the notebook."""

    contract: Contract
    code_digest: str  # what every run must have been made with
    seed: int
    means: Means
    notebook: "Notebook"
    crew: "Crew"
    report: Report

    def requests(self, subject: str, stage: str, count: int, first: int = 0, **settings: Any) -> list[Request]:
        """COUNT runs on SUBJECT, each with a seed of its own."""
        return [
            Request.model_validate(
                {
                    "verifier": self.contract.verifier,
                    "subject": SubjectRef.parse(subject),
                    "seed": int(digest_of([self.seed, stage, subject, number])[:13], 16),
                    "parameters": self.contract.parameters,
                    "units": self.contract.unit.per_run,
                    "cache": self.means.cache,
                    "memory_mb": self.contract.budget.memory_mb,
                    **settings,
                }
            )
            for number in range(first, first + count)
        ]

    def results(self, what: str, groups: Mapping[str, Sequence[Request]], threads: int = 1) -> dict[str, list[Tried]]:
        """What each of these runs gives, group by group; WHAT is what the report calls them."""
        keys = {name: [_key(request, threads) for request in requests] for name, requests in groups.items()}
        wanted = {
            key: request for name, requests in groups.items() for key, request in zip(keys[name], requests, strict=True)
        }
        missing = {key: request for key, request in wanted.items() if key not in self.notebook.found}
        if missing:
            self._make(
                missing,
                threads,
                lambda done, cpu_s: self.report(what, len(wanted) - len(missing) + done, len(wanted), cpu_s),
            )
        return {name: [self.notebook.found[key] for key in keys[name]] for name in keys}

    def _make(self, missing: Mapping[str, Request], threads: int, done: Callable[[int, float], None]) -> None:
        """Make and keep every run that is MISSING, several at a time."""
        stop, cpu_s = threading.Event(), 0.0

        def make(key: str, request: Request) -> Tried:
            with self.crew.member(threads) as child:
                one = self._one(child, request, stop)
            self.notebook.keep(key, one)
            return one

        pool = ThreadPoolExecutor(min(self.means.processes, len(missing)))
        try:
            done(0, 0.0)
            futures = [pool.submit(make, key, request) for key, request in missing.items()]
            for number, future in enumerate(as_completed(futures), start=1):
                cpu_s += future.result().cpu_s
                done(number, cpu_s)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)

    def _one(self, child: worker.Child, request: Request, stop: threading.Event) -> Tried:
        measured = child.answer(request, self.contract.budget.wall_seconds, lambda _: None, stop.is_set)
        where = f"the run of {request.verifier} on {request.subject} with seed {request.seed}"
        if isinstance(measured, Failure):
            raise CannotCertify(f"{where} gave no measurement: {measured.reason}. What was finished is kept")
        if measured.provenance.code_digest != self.code_digest:
            raise CannotCertify(f"{where} was made with other code: it was changed meanwhile; certify it again")
        return certification.tried(self.contract, measured, round(child.spent(), 3))


class Crew:
    """Children that live on between runs, started when there is work for them."""

    def __init__(self) -> None:
        self._idle: dict[int, queue.SimpleQueue[worker.Child]] = defaultdict(queue.SimpleQueue)
        self._all: list[worker.Child] = []

    @contextmanager
    def member(self, threads: int) -> Iterator[worker.Child]:
        """A child with so many threads, for one run."""
        try:
            child = self._idle[threads].get_nowait()
        except queue.Empty:
            child = worker.serving(threads)
            self._all.append(child)
        yield child
        self._idle[threads].put(child)  # and never again one whose run broke off

    def close(self) -> None:
        """End them all."""
        for child in self._all:
            child.end()


# --- the notebook ----------------------------------------------------------------------------------------------------


class Note(Value):
    """A line of the notebook."""

    key: str
    tried: Tried


class Notebook:
    """Runs that have ended, a line each. A line that a kill has torn is a run that will be made again."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        self._is_torn = bool(lines) and not lines[-1].endswith(b"\n")
        notes = [note for line in lines if (note := _read(line))]
        self.found = {note.key: note.tried for note in notes}

    def keep(self, key: str, tried: Tried) -> None:
        """Write a run down."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._is_torn + Note(key=key, tried=tried).model_dump_json() + "\n")
            self._is_torn = False
            self.found[key] = tried

    def forget(self) -> None:
        """Throw everything away."""
        self._path.unlink(missing_ok=True)
        self._is_torn, self.found = False, {}


def _read(line: bytes) -> Note | None:
    try:
        return Note.model_validate_json(line)
    except ValidationError:
        return None


def _notes(cache: Path, name: str, code: str) -> Path:
    """The notebook of this code, judged by this judge, on packages like these."""
    same = digest_of([code, provenance.digest_of_modules("claims.judge"), provenance.packages(), provenance.machine()])
    return cache / "certification" / f"{name}-{same[:16]}.jsonl"


def _key(request: Request, threads: int) -> str:
    return digest_of(request.model_dump(mode="json", exclude=CHANGES_NOTHING) | {"threads": threads})
