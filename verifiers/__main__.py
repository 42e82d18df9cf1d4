"""`python -P -m verifiers`: a Request as one line of JSON on stdin; Progress, then Finished or Failure, as lines on
stdout. With `--serve` one request after the other, each a line, each answered in this process before the next.

The worker's child. It ends when its stdin ends: a killed parent cannot say goodbye.
"""

import contextlib
import errno
import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, NoReturn, TextIO

from pydantic import ValidationError

from verifiers import provenance
from verifiers.measurement import Cause, Event, Failure, Findings, Finished, Measurement, Progress, Provenance, Request
from verifiers.records import Verifier
from verifiers.registry import find_subject, runnable

Experiment = Callable[[Request, Callable[[int, int, float], None]], Findings]

MAY_PASS = {  # says nothing of the experiment: a full or failing disk, no process to be had, no way through the network
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ENFILE, errno.ETIMEDOUT, errno.ENETDOWN,
    errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
}  # fmt: skip
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "Unable to allocate")


def main() -> None:
    """Answer one request, or all that come."""
    out, sys.stdout = sys.stdout, sys.stderr  # a print in an experiment must not spoil the answer
    if sys.argv[1:] == ["--serve"]:
        _serve(out)
    request = _asked(sys.stdin.readline(), out)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if request is None or not _answer(request, out):
        raise SystemExit(1)


def _serve(out: TextIO) -> NoReturn:
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(asked,), daemon=True).start()
    while True:
        if request := _asked(asked.get(), out):
            _answer(request, out)


def _asked(line: str, out: TextIO) -> Request | None:
    """The request in LINE; where there is none, that is answered."""
    try:
        return Request.model_validate_json(line)
    except ValidationError as error:
        _send(out, Failure(reason=_no_request(line, error)))
        return None


def _answer(request: Request, out: TextIO) -> bool:
    """Whether REQUEST gave a measurement."""
    limit_memory(request.memory_mb)
    try:
        _send(out, Finished(measurement=run(request, lambda event: _send(out, event))))
    except Exception as error:  # noqa: BLE001 - whatever an experiment does is an answer
        _send(out, Failure(reason=_reason(error, request), cause=_cause(error)))
        return False
    return True


def _no_request(line: str, error: ValidationError) -> str:
    if not line.strip():
        return "no request came: write one as a line of JSON to stdin (verifiers/measurement.py, Request)"
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the line"
    return f"no request: {where}: {first['msg']} (got {line.strip()[:200]!r})"


def run(request: Request, tell: Callable[[Event], None]) -> Measurement:
    """Run the experiment that REQUEST names; the clock is read here and nowhere below."""
    verifier = runnable(request.verifier)
    if str(request.subject) not in _tried_on(verifier):
        find_subject(request.subject, verifier)
    started_at, wall = datetime.now(UTC), time.perf_counter()
    spent = 0.0

    def report(done: int, total: int, cpu_seconds: float) -> None:
        nonlocal spent
        spent = cpu_seconds
        tell(Progress(done=done, total=total, cpu_seconds=cpu_seconds))

    findings = load(verifier)(request, report)
    origin = _origin(verifier.name)
    return Measurement(
        verifier=verifier.name,
        subject=request.subject,
        profile=request.profile,
        parameters=verifier.checked(request.parameters),
        findings=findings,
        provenance=Provenance(
            version=verifier.version,
            code_digest=origin.code_digest,
            commit=origin.commit,
            uncommitted_changes=origin.uncommitted_changes,
            packages=origin.packages,
            python=sys.version.split()[0],
            platform=provenance.machine(),
            device=request.device,
            threads_per_process=provenance.threads(),
            processes=request.processes,
            seed=request.seed,
            started_at=started_at,
            wall_seconds=round(time.perf_counter() - wall, 3),
            cpu_seconds=round(spent, 3),
        ),
    )


def _tried_on(verifier: Verifier) -> set[str]:
    """Subjects that only a trial may ask for: no contract names them."""
    trial = verifier.trial
    return {*trial.planted, trial.true, trial.false} if trial else set()


class _Origin(NamedTuple):
    """What does not change while a process lives, for the code that it runs was loaded when it began."""

    code_digest: str
    commit: str | None
    uncommitted_changes: bool | None
    packages: dict[str, str]


@lru_cache
def _origin(name: str) -> _Origin:
    return _Origin(provenance.code_digest(runnable(name)), *provenance.commit(), provenance.packages())


def load(verifier: Verifier) -> Experiment:
    """The experiment itself."""
    module, _, name = verifier.entry.partition(":")
    experiment: Experiment = getattr(importlib.import_module(module), name)
    return experiment


def limit_memory(megabytes: int | None) -> None:
    """Hold this process and each of its own children to so much memory, where the system can."""
    if megabytes is None:
        return
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 2**20, megabytes * 2**20))


def _send(out: TextIO, event: Event) -> None:
    out.write(event.model_dump_json() + "\n")
    out.flush()


def _reason(error: Exception, request: Request) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"the experiment returned something that is no measurement: {where}: {first['msg']} (got {first['input']!r})"
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    if request.memory_mb and (isinstance(error, MemoryError) or any(words in said for words in NO_MEMORY)):
        said += (
            f" (each process may hold {request.memory_mb} MB: if it needs more, raise budget.memory_mb in the contract)"
        )
    return said


def _cause(error: BaseException | None) -> Cause:
    """Whether ERROR, or what it came from, may pass; the experiment's own, if not. Those who write files for others put
    the system's words into an error of their own.
    """
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError) or any(words in str(error) for words in FULL):
            return "lost"
        if isinstance(error, OSError) and error.errno in MAY_PASS:
            return "lost"
        error = error.__cause__ or error.__context__
    return "failed"


def _hear(asked: "queue.SimpleQueue[str]") -> None:
    with open(0, encoding="utf-8", closefd=False) as said:  # not sys.stdin, as below
        for line in said:
            asked.put(line)
    os._exit(0)


def _end_with_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
