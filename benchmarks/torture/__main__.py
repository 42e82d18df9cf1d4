"""`python -P -m benchmarks.torture [--faults 40] [--seed 0] [--only NUMBER] [--kind NAME ...]`.

Each fault has a library of its own in a temporary folder, or a database of its own on a server that is started for this,
and chance of its own: fault 17 under seed 3 is the same whether or not 1 to 16 came before it. (The same in what is done
and when; what the processes just then were at, no seed decides.) No library of a user is opened: the variable that names one
is taken out of the environment first.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.torture.checks import Found, check
from benchmarks.torture.faults import FAULTS
from benchmarks.torture.scratch import Scratch, Servers, prepare

COUNTS = "counts: "


def main() -> None:
    """Do faults, and end with their counts; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=int(os.environ.get("FAULTS") or 40))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 0))
    parser.add_argument(
        "--lanes", type=int, default=2, help="how many faults at once, each lane with a server of its own"
    )
    parser.add_argument("--only", type=int, help="one fault, by its number")
    parser.add_argument(
        "--kind", action="append", choices=[kind.__name__ for kind in FAULTS], help="of this kind alone"
    )
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if min(said.faults, said.lanes, said.only or 1) < 1:
        parser.error("faults, lanes and numbers count from 1")
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    if said.lane is not None or said.only:
        numbers = [said.only] if said.only else range(1 + said.lane, said.faults + 1, said.lanes)
        found = _lane(numbers, said)
        if said.lane is not None:
            print(COUNTS + json.dumps([asdict(one) for one in found]), flush=True)
            return
    else:
        found = _lanes(min(said.lanes, said.faults))
    print(_counts(found, said.seed, time.monotonic() - began), flush=True)
    raise SystemExit(1 if any(one.wrong for one in found) else 0)


def _lanes(count: int) -> list[Found]:
    """What COUNT processes find that share the faults among them: most of a fault is waiting for processes to start."""
    command = [sys.executable, "-P", "-m", "benchmarks.torture", *sys.argv[1:]]
    lanes = [
        subprocess.Popen([*command, "--lane", str(lane), "--lanes", str(count)], stdout=subprocess.PIPE, text=True)
        for lane in range(count)
    ]
    try:
        with ThreadPoolExecutor(count) as threads:
            found = list(threads.map(_heard, lanes))
    finally:
        for lane in lanes:
            lane.terminate()
            lane.wait()
    return [one for ones in found for one in ones]


def _heard(lane: "subprocess.Popen[str]") -> list[Found]:
    """Pass on what a lane says, and return what it counted."""
    found = [Found(broken=["a part of the torture ended without a word"])]
    for line in lane.stdout or ():
        if line.startswith(COUNTS):
            found = [Found(**one) for one in json.loads(line.removeprefix(COUNTS))]
        else:
            print(line, end="", flush=True)
    return found


def _lane(numbers: Iterable[int], said: argparse.Namespace) -> list[Found]:
    order = _order(said.seed, said.kind)
    with _folder() as folder, Servers() as servers:
        prepare(folder)

        def made(number: int, chance: random.Random) -> Scratch:
            return Scratch(folder / str(number), chance, servers)

        return [_fault(number, said.seed, order, made, said.faults) for number in numbers]


def _end(_number: int, _frame: Any) -> None:
    raise SystemExit(143)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="stillholds-torture-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fault(number: int, seed: int, order: list[Any], made: Callable[[int, random.Random], Scratch], of: int) -> Found:
    """One fault, what was found after it, and a line on it."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311 - a seed says what is broken - a torture, not a secret
    fault = order[(number - 1) % len(order)]
    began = time.monotonic()
    scratch = made(number, chance)
    try:
        said = fault(scratch)
        found = check(scratch)
    except Exception:  # noqa: BLE001 - whatever it is, it belongs into the report
        said, found = "broke off", Found(broken=[traceback.format_exc()])
    except BaseException:
        scratch.clean()
        raise
    found.left += scratch.clean()
    name = (fault.__doc__ or "").split(".", maxsplit=1)[0]
    how = "ok" if not found.wrong else "WRONG"
    lines = [f"{number}/{of} {name} ({said}): {found.words()}, {time.monotonic() - began:.1f} s, {how}"]
    lines += [f"   {line}" for line in found.wrong]
    if found.wrong:
        lines.append(f"   again: {sys.executable} -P -m benchmarks.torture {_again(seed, number, fault)}")
    print("\n".join(lines), flush=True)
    return found


def _again(seed: int, number: int, fault: Any) -> str:
    return f"--seed {seed} --only {number} --kind {fault.__name__}"


def _order(seed: int, kinds: list[str] | None) -> list[Any]:
    """Every kind of fault once before any comes twice, in an order that the seed gives."""
    order = [fault for fault in FAULTS if kinds is None or fault.__name__ in kinds]
    random.Random(seed).shuffle(order)  # noqa: S311 - a seed says what is broken
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
