"""`python -P -m verifiers`: a Request as one line of JSON on stdin; Progress, then Finished or Failure, as lines on
stdout.

The worker's child. It ends when its stdin ends: a killed parent cannot say goodbye.
"""

import contextlib
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from pydantic import ValidationError

from verifiers import provenance
from verifiers.measurement import Event, Failure, Findings, Finished, Measurement, Progress, Provenance, Request
from verifiers.registry import Verifier, find, find_subject

Experiment = Callable[[Request, Callable[[int, int, float], None]], Findings]


def main() -> None:
    """Answer one request."""
    out, sys.stdout = sys.stdout, sys.stderr  # a print in an experiment must not spoil the answer
    request = Request.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    limit_memory(request.memory_mb)
    try:
        _send(out, Finished(measurement=run(request, lambda event: _send(out, event))))
    except Exception as error:
        _send(out, Failure(reason=_reason(error)))
        raise SystemExit(1) from error


def run(request: Request, tell: Callable[[Event], None]) -> Measurement:
    """Run the experiment that REQUEST names; the clock is read here and nowhere below."""
    verifier = find(request.verifier)
    find_subject(request.subject, verifier)
    started_at, wall = datetime.now(UTC), time.perf_counter()
    spent = 0.0

    def report(done: int, total: int, cpu_seconds: float) -> None:
        nonlocal spent
        spent = cpu_seconds
        tell(Progress(done=done, total=total, cpu_seconds=cpu_seconds))

    findings = load(verifier)(request, report)
    revision, changed = provenance.commit()
    return Measurement(
        verifier=verifier.name,
        subject=request.subject,
        profile=request.profile,
        parameters=verifier.checked(request.parameters),
        findings=findings,
        provenance=Provenance(
            version=verifier.version,
            code_digest=provenance.code_digest(verifier),
            commit=revision,
            uncommitted_changes=changed,
            packages=provenance.packages(),
            python=sys.version.split()[0],
            platform=provenance.machine(),
            device=request.device,
            threads_per_process=1,
            processes=request.processes,
            seed=request.seed,
            started_at=started_at,
            wall_seconds=round(time.perf_counter() - wall, 3),
            cpu_seconds=round(spent, 3),
        ),
    )


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


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return f"the experiment returned something that is no measurement: {where}: {first['msg']} (got {first['input']!r})"
    return f"{type(error).__name__}: {error}"


def _end_with_stdin() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
