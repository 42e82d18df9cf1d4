"""Subjects that nobody trains here: readers of what lies in files.

A reader belongs to one scheme of subjects and is one function in a module of that name, `read(locator, columns)`: LOCATOR is
what stands behind the colon of `runlog:…`, COLUMNS is `Request.columns`. It gives plain numbers in the units of the house
and `said`, a record of what was read from where. It executes nothing that it reads, guesses nothing silently, and raises
a `VerifierError` with file, line and column for whatever it cannot be sure of. The verifiers that list the scheme in
`Verifier.schemes` call it; everybody else may look at what it says. A reader for a trainer's own format is one more module.
"""

from collections.abc import Mapping
from typing import Any

from verifiers.measurement import SubjectRef


def reading(subject: SubjectRef, columns: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What is read from a subject that lies in files, without measuring anything; None for any other subject.

    Raises:
        BadLog: with file, line, column and what to do.
    """
    if subject.scheme != "runlog":
        return None
    from verifiers.subjects import runlog

    return runlog.read(subject.locator, columns).said
