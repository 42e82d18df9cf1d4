"""Training logs as a subject: entropy and validation score of real runs, read from CSV or JSON lines.

A log has the columns `step`, `entropy` (or `H`) and a validation score (`val_accuracy`, `R` or `reward`), and may have `run` and
`arm`. Other names and other units are said by whoever asks; what was read from which column in which unit, and a digest
of every file, stands in `Runlog.said`. Nothing is guessed: two columns that could be meant, a number that is none,
steps that go back or a last line without its end are errors that name file, line and column.

Trainers log entropy at every step and validate at every k-th, in the same row or in one of its own. So a row may lack either
value, and two rows of one step may complete each other. A score stands beside the entropy of its own step; where that step
has none, beside the entropy logged last before it, if that is no further back than the log's usual distance between two
entropies (the median) and stands beside no score yet: one entropy is one point. Any other score is left out, and counted.

The law is about a validation score. The reward of the training batches comes from the very samples whose entropy falls,
so columns that by their names hold it are refused.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from verifiers.subjects.columns import NAMES, UNITS, Asked, columns_of, says_validation
from verifiers.subjects.files import content_of, files, labels
from verifiers.subjects.tables import BadLog, Cell, Table, number, table, word

MOST_RUNS = 2_000
MOST_NATS = 15.0  # no vocabulary has exp(15) tokens, so more than this is a sum over tokens or a unit unsaid
NOT_INTERVENED = ("none", "control", "baseline")  # arms, besides a run without one


@dataclass(frozen=True)
class LoggedRun:
    """One run: entropy in nats a token and score as a share of 1 at each step that has both; arm "": not intervened."""

    name: str
    arm: str
    step: tuple[float, ...]
    entropy: tuple[float, ...]
    score: tuple[float, ...]


@dataclass(frozen=True)
class Runlog:
    """Runs in the order of their files, and what was read from where."""

    runs: tuple[LoggedRun, ...]
    said: Mapping[str, Any]


def read(locator: str, columns: Mapping[str, str]) -> Runlog:
    """Read the runs of LOCATOR: files or patterns with commas between them.

    COLUMNS may name the column of `step`, `entropy`, `score`, `run` and `arm`, and say `entropy_unit` (nats, bits) and
    `score_unit` (share, percent).

    Raises:
        BadLog: with file, line, column and what to do; then nothing was read.
    """
    asked = Asked.of(columns)
    paths = files(locator)
    logs = [_log(path, label, asked) for path, label in zip(paths, labels(paths), strict=True)]
    _refuse_copied_files(logs)
    runs = tuple(run for log in logs for run in log.runs)
    _refuse_twins(runs)
    return Runlog(runs, _said(logs, runs, asked))


# --- one file --------------------------------------------------------------------------------------------------------


@dataclass
class _Series:
    """One run as its rows come in: (step, value) of each quantity."""

    first_line: int
    arm: str
    last: float = -math.inf
    entropy: dict[float, float] = field(default_factory=dict)
    score: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Log:
    """One file: its runs, where they were read, and what became of scores without an entropy at their step."""

    label: str
    digest: str
    columns: Mapping[str, str]
    runs: tuple[LoggedRun, ...]
    earlier: int  # scores that stand beside an earlier entropy
    left_out: int


def _log(path: Path, label: str, asked: Asked) -> _Log:
    content = content_of(path, label)
    read = table(content, label, asked.candidates)
    columns = columns_of(read, asked)
    units = {what: UNITS[what][unit] for what, unit in asked.units.items()}
    series = _series(read, columns, units)
    stem = label.rpartition(".")[0] or label
    paired = {
        name or stem: (_paired(one, f"{label}, run {name}" if name else label), one) for name, one in series.items()
    }
    runs = tuple(
        LoggedRun(name, one.arm, points.step, points.entropy, points.score) for name, (points, one) in paired.items()
    )
    pairs = [points for points, _ in paired.values()]
    earlier, left_out = sum(points.earlier for points in pairs), sum(points.left_out for points in pairs)
    return _Log(label, hashlib.sha256(content).hexdigest(), columns, runs, earlier, left_out)


# --- rows to runs ----------------------------------------------------------------------------------------------------


def _series(read: Table, columns: Mapping[str, str], units: Mapping[str, float]) -> dict[str, _Series]:
    """The rows of a file, run by run; the name "" stands for the only run of a file without a column for it."""
    series: dict[str, _Series] = {}
    for line, row in read.rows:
        cells = {
            what: Cell(row.get(name), f"{read.label}, line {line}, column {name!r}") for what, name in columns.items()
        }
        if cells["entropy"].is_empty and cells["score"].is_empty:
            continue
        name = word(cells["run"], required=True) if "run" in cells else ""
        arm = word(cells["arm"]) if "arm" in cells else ""
        arm = "" if arm.lower() in NOT_INTERVENED else arm
        one = series.setdefault(name, _Series(line, arm))
        if one.arm != arm:
            raise BadLog(f"{cells['arm'].where}: the run began in arm {one.arm!r} and is now in {arm!r}; {_SPLIT}")
        if len(series) > MOST_RUNS:
            raise BadLog(
                f"{read.label} has more than {MOST_RUNS} runs: is {columns['run']!r} the column that names them?"
            )
        _add(one, cells, units)
    if not series:
        raise BadLog(
            f"{read.label} has no row with an entropy or a score: nothing was logged yet, or other columns hold them"
        )
    return series


_SPLIT = "one run has one arm, so give the two parts different names in the column of runs"


def _add(one: _Series, cells: Mapping[str, Cell], units: Mapping[str, float]) -> None:
    """One more row of a run."""
    step = number(cells["step"])
    if step < one.last:
        raise BadLog(f"{cells['step'].where}: {_back(one, step)}")
    one.last = step
    if not cells["entropy"].is_empty:
        _keep(one.entropy, step, _entropy(cells["entropy"], units["entropy"]), cells["entropy"])
    if not cells["score"].is_empty:
        _keep(one.score, step, _score(cells["score"], units["score"]), cells["score"])


def _back(one: _Series, step: float) -> str:
    if step <= min([*one.entropy, *one.score]):
        return (
            f"the steps begin anew at {step:g} after {one.last:g}, as where a second run begins: give every run a file of its "
            "own, or name it in a column 'run'"
        )
    return (
        f"the steps go back from {one.last:g} to {step:g}, as where a run was taken up again from a checkpoint: keep one of the "
        "two stretches, or name two runs in a column 'run'"
    )


def _keep(values: dict[float, float], step: float, value: float, cell: Cell) -> None:
    if step in values:
        raise BadLog(
            f"{cell.where}: step {step:g} has a value already; keep one, or name the runs in a column 'run' if these are two"
        )
    values[step] = value


def _entropy(cell: Cell, unit: float) -> float:
    value = number(cell) * unit
    if value < 0:
        raise BadLog(f"{cell.where}: an entropy is never negative; is this a loss, or its difference to another?")
    if value > MOST_NATS:
        raise BadLog(
            f"{cell.where}: {value:g} nats a token is more than any vocabulary allows; is it a sum over tokens, or in bits "
            "(--unit entropy=bits)? Asked for is the mean a token"
        )
    return value


def _score(cell: Cell, unit: float) -> float:
    value = number(cell) * unit
    if 0 <= value <= 1:
        return value
    percent = "; say --unit score=percent if it is in percent" if 1 < value <= 100 and unit == 1 else ""
    raise BadLog(f"{cell.where}: a score lies from 0 to {1 / unit:g}{percent}; rescale what has another range")


@dataclass(frozen=True)
class _Points:
    step: tuple[float, ...]
    entropy: tuple[float, ...]
    score: tuple[float, ...]
    earlier: int
    left_out: int


def _paired(one: _Series, where: str) -> _Points:
    """Scores beside the entropy of their step, or the one logged last before it that is near enough and still free."""
    if not one.entropy or not one.score:
        lacking = "score" if one.entropy else "entropy"
        raise BadLog(f"{where} (from line {one.first_line}): no row has a value for the {lacking}")
    logged = list(one.entropy)  # in the order of steps, which never go back
    usual = median([later - before for before, later in pairwise(logged)]) if len(logged) > 1 else 0.0
    points, earlier, at, taken = [], 0, -1, -1
    for step, score in one.score.items():
        while at + 1 < len(logged) and logged[at + 1] <= step:
            at += 1
        if at > taken and step - logged[at] <= usual:
            points.append((step, one.entropy[logged[at]], score))
            earlier += logged[at] < step
            taken = at
    if not points:
        raise BadLog(f"{where} (from line {one.first_line}): no score stands at or just after a step with an entropy")
    steps, entropies, scores = zip(*points, strict=True)
    return _Points(steps, entropies, scores, earlier, len(one.score) - len(points))


# --- all files together ----------------------------------------------------------------------------------------------


def _refuse_copied_files(logs: Sequence[_Log]) -> None:
    first: dict[str, str] = {}
    for log in logs:
        if (same := first.setdefault(log.digest, log.label)) != log.label:
            raise BadLog(
                f"{log.label} has the same content as {same}: a copy of a run is no second run, so name one of them"
            )


def _refuse_twins(runs: Sequence[LoggedRun]) -> None:
    """A name that stands for two runs, and a run that is a copy of another or of its beginning."""
    names: set[str] = set()
    for run in runs:
        if run.name in names:
            raise BadLog(
                f"two files have a run called {run.name!r}: if it is one run, join them; if not, give it another name"
            )
        names.add(run.name)
    in_order = sorted(runs, key=_points)  # a run stands right before those that begin with it
    for one, other in pairwise(in_order):
        shared = len(one.step)
        if shared > 1 and _points(one) == _points(other)[:shared]:
            raise BadLog(
                f"the runs {one.name!r} and {other.name!r} have the same first {shared} points: a copy of a run is no second "
                "run, so keep one of them"
            )
    if len(runs) > MOST_RUNS:
        raise BadLog(f"{len(runs)} runs are more than the {MOST_RUNS} that are read")


def _points(run: LoggedRun) -> list[tuple[float, float]]:
    return list(zip(run.entropy, run.score, strict=True))


def _said(logs: Sequence[_Log], runs: Sequence[LoggedRun], asked: Asked) -> dict[str, Any]:
    """What was read, for programs and in sentences."""
    return {
        "files": [
            {"file": log.label, "sha256": log.digest, "runs": len(log.runs), "columns": dict(log.columns)}
            for log in logs
        ],
        "units": dict(asked.units),
        "runs": [{"name": run.name, "arm": run.arm, "points": len(run.step)} for run in runs],
        "sentences": _sentences(logs, runs, asked),
    }


def _sentences(logs: Sequence[_Log], runs: Sequence[LoggedRun], asked: Asked) -> list[str]:
    points = sum(len(run.step) for run in runs)
    said = [f"{_count(len(runs), 'run')} with {_count(points, 'point')} in {_count(len(logs), 'file')}."]
    for what in NAMES:
        columns = dict.fromkeys(log.columns[what] for log in logs if what in log.columns)
        if columns:
            said.append(f"{what.capitalize()}: column {' or '.join(map(repr, columns))}{_unit(what, asked)}.")
    if any(not says_validation(log.columns["score"]) for log in logs):
        said.append("Nothing in its name says of the score that it is of a validation: it is taken for one.")
    if any("arm" in log.columns for log in logs):
        said.append(
            f"Not intervened are runs without an arm, and those of an arm called {' or '.join(NOT_INTERVENED)}."
        )
    if earlier := sum(log.earlier for log in logs):
        said.append(
            f"{_count(earlier, 'score')} without an entropy at the same step stand beside the one logged last before."
        )
    if left_out := sum(log.left_out for log in logs):
        said.append(
            f"{_count(left_out, 'score')} without an entropy of their own at or just before the step are left out."
        )
    return said


def _unit(what: str, asked: Asked) -> str:
    said = {
        "nats": ", in nats a token",
        "bits": ", in bits a token",
        "share": ", as a share of 1",
        "percent": ", in percent",
    }
    return said[asked.units[what]] if what in asked.units else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
