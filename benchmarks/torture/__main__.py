"""`python -P -m benchmarks.torture [--faults 40] [--seed 0] [--only NUMBER]`.

Each fault has a library of its own in a temporary folder, or a database of its own on a server that is started for this,
and chance of its own: fault 17 under seed 3 is the same whether or not 1 to 16 came before it. (The same in what is done
and when; what the processes just then were at, no seed decides.) No library of a user is opened: the variable that names one
is taken out of the environment first.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.torture.checks import Found, check
from benchmarks.torture.faults import FAULTS
from benchmarks.torture.scratch import Scratch, Servers, prepare


def main() -> None:
    """Do faults, and end with their counts; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=int(os.environ.get("FAULTS") or 40))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 0))
    parser.add_argument("--only", type=int, help="one fault, by its number")
    said = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    numbers = [said.only] if said.only else list(range(1, said.faults + 1))
    with _folder() as folder, Servers() as servers:
        prepare(folder)
        found = [_fault(number, said.seed, folder, servers, len(numbers)) for number in numbers]
    print(_counts(found, said.seed, time.monotonic() - began), flush=True)
    raise SystemExit(1 if any(one.wrong for one in found) else 0)


def _end(_number: int, _frame: Any) -> None:
    raise SystemExit(143)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stillholds-torture-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fault(number: int, seed: int, folder: Path, servers: Servers, of: int) -> Found:
    """One fault, what was found after it, and a line on it."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311 - a torture, not a secret
    fault = _order(seed)[(number - 1) % len(FAULTS)]
    began = time.monotonic()
    scratch = Scratch(folder / str(number), chance, servers)
    try:
        said = fault(scratch)
        found = check(scratch)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs into the report
        said, found = "broke off", Found(broken=[traceback.format_exc()])
    found.left += scratch.clean()
    name = (fault.__doc__ or "").split(".", maxsplit=1)[0]
    how = "ok" if not found.wrong else "WRONG"
    print(f"{number}/{of} {name} ({said}): {found.words()}, {time.monotonic() - began:.1f} s, {how}", flush=True)
    for line in found.wrong:
        print(f"   {line}", flush=True)
    if found.wrong:
        print(f"   again: {sys.executable} -P -m benchmarks.torture --seed {seed} --only {number}", flush=True)
    return found


def _order(seed: int) -> list[Any]:
    """Every kind of fault once before any comes twice, in an order that the seed gives."""
    order = list(FAULTS)
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def _counts(found: list[Found], seed: int, seconds: float) -> str:
    def count(name: str) -> int:
        return sum(len(getattr(one, name)) for one in found)

    chains, queues = count("broken"), count("stuck")
    parts = [
        f"{len(found)} faults",
        f"{sum(one.tasks for one in found)} tasks",
        f"{sum(one.attempts for one in found)} attempts",
        f"{sum(one.verdicts for one in found)} verdicts",
        f"{count('lost')} lost",
        f"{count('twice')} twice",
        f"{count('made_up')} wrong",
        f"chains {'valid' if not chains else f'broken: {chains}'}",
        f"queues {'drained' if not queues else f'not drained: {queues}'}",
        f"{count('left') or 'nothing'} left behind",
    ]
    return f"{', '.join(parts)} (seed {seed}, {int(seconds // 60)} min {int(seconds % 60)} s)"


if __name__ == "__main__":
    main()
