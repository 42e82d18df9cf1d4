"""Independent units spread over processes, one thread each. How many processes share the work never changes a bit of
it.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TypeVar

from verifiers import provenance

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], processes: int, done: Callable[[int, float], None]
) -> list[Result]:
    """Apply WORK to every task in PROCESSES processes, in this one if it is one; results in the order of TASKS.

    DONE(k, cpu_seconds) is called when k tasks are finished. An error in a task is raised here, and the rest is given
    up.
    """
    if processes == 1:
        return _here(work, tasks, done)
    results: dict[int, Result] = {}
    cpu_seconds = 0.0
    with ProcessPoolExecutor(min(processes, len(tasks)), get_context("spawn"), initializer=_prepare) as pool:
        futures = {pool.submit(_timed, work, task): index for index, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                results[futures[future]], seconds = future.result()
                cpu_seconds += seconds
                done(len(results), cpu_seconds)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[index] for index in range(len(tasks))]


def _here(work: Callable[[Task], Result], tasks: Sequence[Task], done: Callable[[int, float], None]) -> list[Result]:
    _set_threads()
    results: list[Result] = []
    cpu_seconds = 0.0
    for task in tasks:
        result, seconds = _timed(work, task)
        results.append(result)
        cpu_seconds += seconds
        done(len(results), cpu_seconds)
    return results


def _timed(work: Callable[[Task], Result], task: Task) -> tuple[Result, float]:
    before = time.process_time()
    result = work(task)
    return result, time.process_time() - before


def _prepare() -> None:
    """One thread, and no life beyond the parent's: a killed parent cannot tell its children."""
    _set_threads()
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _set_threads() -> None:
    import torch

    torch.set_num_threads(provenance.threads())


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
