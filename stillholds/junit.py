"""A JUnit file, which continuous integration shows as it shows tests: one case a claim or a run."""

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from junitparser import TestCase

    from claims.verification import Outcome

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


Kind = Literal["passed", "failed", "skipped", "error"]


class Case(NamedTuple):
    """What a gate says of one claim. An error is for what could not be done; it is never a verdict."""

    name: str
    classname: str
    outcome: Kind
    said: str = ""  # why, in a line
    numbers: str = ""  # what was measured, line by line
    seconds: float = 0.0


def plain(text: str) -> str:
    """TEXT without what XML 1.0 has no sign for; escaping is done where it is written."""
    return _NO_XML.sub("", text)


def document(cases: Sequence[Case], properties: Mapping[str, str]) -> bytes:
    """The file: one suite, its properties first."""
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite("stillholds")
    for name, value in properties.items():
        suite.add_property(plain(name), plain(value))
    suite.add_testcases([_case(one) for one in cases])
    whole = JUnitXml("stillholds")
    whole.add_testsuite(suite)
    whole.update_statistics()  # type: ignore[no-untyped-call]  # the package has types for half of itself
    text: bytes = whole.tostring()  # type: ignore[no-untyped-call]  # the package has types for half of itself
    return text


def _case(one: Case) -> "TestCase":
    from junitparser import Error, Failure, Skipped, TestCase

    case = TestCase(plain(one.name), plain(one.classname), one.seconds)
    kinds = {"failed": Failure, "skipped": Skipped, "error": Error}
    if one.outcome in kinds:
        result = kinds[one.outcome](plain(one.said))
        result.text = plain(one.said)
        case.result = [result]
    if one.numbers:
        case.system_out = plain(one.numbers)
    return case


def write(path: Path, cases: Sequence[Case], properties: Mapping[str, str] | None = None) -> None:
    """Write CASES to PATH, as a whole or not at all."""
    replace(path, document(cases, properties or {}))


def of_outcomes(path: Path, outcomes: "Sequence[Outcome]", gate: frozenset[str]) -> None:
    """Write what runs gave: failed where the gate of --fail-on is met, an error where nothing was measured, skipped where
    a run was void and says nothing.
    """
    write(path, [_of_outcome(one, gate) for one in outcomes], {"gate": ",".join(sorted(gate)).lower()})


def _of_outcome(one: "Outcome", gate: frozenset[str]) -> Case:
    said = f"{one.verdict.lower()}{f', {one.tag.lower()}' if one.tag else ''}: {one.reason}"
    kinds: dict[str, Kind] = {"ERROR": "error", "VOID": "skipped"}
    return Case(
        name=one.claim or f"{one.verifier} on {one.subject}",
        classname=f"{one.subject}/{one.verifier}",
        outcome="failed" if one.verdict in gate else kinds.get(one.verdict, "passed"),
        said=said,
        numbers="\n".join([said, *_measured(one)]),
        seconds=one.provenance.wall_seconds if one.provenance else 0.0,
    )


def _measured(one: "Outcome") -> list[str]:
    from stillholds.words import with_interval

    lines = [
        f"{judged.quantity}: {with_interval(judged)}, {judged.n} units" for judged in one.endpoints if judged.primary
    ]
    lines += [f"at this scale only: {'; '.join(one.differences)}"] if one.differences else []
    lines += [] if one.certified else ["uncertified"]
    return lines + ([f"run {one.number}, seed {one.provenance.seed}"] if one.provenance else [])


def replace(path: Path, content: bytes) -> None:
    """Put CONTENT at PATH at once: whoever reads meanwhile sees the old file or the new one.

    Raises:
        StoreError: when it cannot be written there.
    """
    from kb.errors import StoreError

    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
