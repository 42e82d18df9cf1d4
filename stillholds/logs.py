"""A measurement on logs in words: what was read from where, and what the logs could not answer and why."""

from collections.abc import Mapping
from typing import Any

from claims.measuring import read_from
from verifiers.measurement import Measurement


def in_words(measured: Measurement | None) -> list[str]:
    """Lines for a terminal; none where nothing was read from a file."""
    read = read_from(measured)
    if measured is None or read is None:
        return []
    lines = ["Read from the logs:", *(f"  {sentence}" for sentence in read["sentences"])]
    lines += [f"  {file['file']}: sha256 {file['sha256'][:16]}…" for file in read["files"]]
    if absent := not_measured(measured):
        lines += ["Not measured:", *(f"  {why}: {'; '.join(quantities)}" for why, quantities in absent)]
    return lines


def not_measured(measured: Measurement) -> list[tuple[str, list[str]]]:
    """Why there are values missing, and of which quantities; runs differ in their numbers, so the first one's speak."""
    found: dict[str, list[str]] = {}
    for endpoint in measured.findings.endpoints:
        if endpoint.missing:
            absent, total = len(endpoint.missing), len(endpoint.values)
            others = f", and others like it ({absent} of {total} runs)" if len({*endpoint.missing.values()}) > 1 else ""
            counted = others or (f" ({absent} of {total} runs)" if absent < total else "")
            found.setdefault(next(iter(endpoint.missing.values())) + counted, []).append(endpoint.quantity)
    return list(found.items())


def document(outcome: Mapping[str, Any], measured: Measurement | None) -> dict[str, Any]:
    """OUTCOME as JSON, with what was read from logs beside it."""
    read = read_from(measured)
    return {**outcome} if read is None else {**outcome, "read": dict(read)}
