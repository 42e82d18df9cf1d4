"""What tests of the queue build with: libraries of claims that take as long as one likes, and workers in processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from claims import library, tasks, verification
from kb.location import Location
from kb.store import Store
from tests.claims_support import NOW, ROOT, claim_page, until
from tests.fake_verifier import forget

PACKAGE = ROOT / "benchmarks" / "trivial"
CAUSE, WHO = "a test asks", "the test"


@pytest.fixture
def trivial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The verifier `trivial`, known to this process and to all that it starts."""
    monkeypatch.syspath_prepend(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", f"{PACKAGE}{os.pathsep}{ROOT}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield
    forget()


def numbers(which: int = 0, seconds: float = 0.0, truth: float = 2.0, **changes: Any) -> dict[str, Any]:
    """A contract on the verifier `trivial`."""
    return {
        "verifier": "trivial",
        "endpoint": "size",
        "parameters": {"seconds": seconds, "truth": truth, "which": which},
        "regions": {"holds": ">= 1", "weakened": "0.5 .. 1", "refuted": "< 0.5"},
        "design_effect": 2,
        "unit": {"per_run": 8, "first_look": 8},
        "regime": {"stage": "none", "size": ">= 1", "domain": "numbers"},
        "does_not_say": "anything",
        "budget": {"wall_seconds": 60, "memory_mb": 1024},
    } | changes


def a_queue_library(folder: Path, seconds: list[float], place: Location | None = None, **changes: Any) -> Store:
    """A library with a claim for each entry of SECONDS: numbers-0, numbers-1 …"""
    pages = [
        claim_page(folder / "pages", f"numbers-{which}", numbers(which, taking, **changes))
        for which, taking in enumerate(seconds)
    ]
    store = library.create(place or folder / "library.db", NOW)
    report = library.bring_in(store, pages, NOW)
    assert not report.refused, report.refused
    return store


def ask(store: Store, *slugs: str) -> list[str]:
    """Write tasks down for these claims, or for all; the worker finds them."""
    jobs = verification.plan(store, list(slugs) or None, "standard", NOW)
    return tasks.ask(store, jobs, CAUSE, WHO, NOW, lambda _session, _task: None)


@contextmanager
def a_worker(
    store: Store, *options: str, until_idle: bool = True, **environment: str
) -> "Iterator[subprocess.Popen[str]]":
    """A worker in a process of its own; killed in the end if it still lives."""
    command = [sys.executable, "-P", "-m", "stillholds", "worker", *(["--until-idle"] if until_idle else []), *options]
    process = subprocess.Popen(
        command,
        env=os.environ | {"STILLHOLDS_STORE": store.location.url, "STILLHOLDS_TEST": str(store.location)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def work(store: Store, *options: str) -> str:
    """Let a worker do all there is to do, and return what it said."""
    with a_worker(store, *options) as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
        return said


def states(store: Store, ids: list[str]) -> list[str]:
    return [tasks.asked(store, one).state for one in ids]


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until CONDITION gives something, which must come."""
    found = until(condition, seconds)
    assert found, f"nothing came in {seconds:g} s"
    return found


def pause() -> None:
    time.sleep(0.05)
