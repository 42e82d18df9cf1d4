"""What the processes of a run use together, as the system tells it."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process and all that came from it, itself first; nobody once it is gone."""
    with contextlib.suppress(psutil.Error):
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    return []


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """What PROCESSES have used, with those of their children that have ended."""
    return sum(map(_cpu_seconds, processes))


def memory_mb_over(limit: int, processes: Sequence[psutil.Process]) -> float | None:
    """What PROCESSES hold together, if that is more than LIMIT. What the system tells at once counts shared pages for each
    of them, and pages of files, which it can take back; only where that exceeds the limit is a closer look worth its time.
    """
    if sum(map(_resident, processes)) <= limit * 2**20:
        return None
    held = sum(map(_held, processes)) / 2**20
    return held if held > limit else None


def _cpu_seconds(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _held(process: psutil.Process) -> int:
    """Bytes that are this process's own, or its part of what it shares with others; with what was swapped out."""
    with contextlib.suppress(OSError, psutil.Error):
        if not psutil.LINUX:
            return int(process.memory_full_info().uss)
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
        sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
        return 1024 * sum(sizes.get(name, 0) for name in ("Pss_Anon", "Pss_Shmem", "SwapPss"))
    return 0
