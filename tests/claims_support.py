"""What tests of `claims` and `verifiers` build with: contracts, measurements, libraries, children. Plain functions."""

import json
import math
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml
from hypothesis import settings
from sqlmodel import select

from claims import library, runs, verification
from claims.contract import Contract, contract_from
from claims.history import History, history
from claims.runs import Begun, Job
from kb.models import Entity
from kb.store import Store
from verifiers.measurement import (
    Control,
    Endpoint,
    Findings,
    Finished,
    Measurement,
    Profile,
    Progress,
    Provenance,
    Request,
    SubjectRef,
)
from verifiers.registry import ENTROPY_GAP

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ROOT = Path(__file__).parent.parent
reproducible = settings(derandomize=True, database=None, deadline=None)  # the same examples on every machine

# --- contracts -------------------------------------------------------------------------------------------------------


def written(**changes: Any) -> dict[str, Any]:
    """A contract as a page says it: a ratio, holding from 1.25, refuted below 1.10, eight units."""
    return {
        "verifier": "entropy_gap",
        "endpoint": "interaction_did",
        "parameters": {"own_entropy": 0.45, "deeper_entropy": 0.30},
        "subjects": ["lab:story"],
        "unit": {"per_run": 8, "first_look": 8},
        "regions": {"holds": ">= 1.25", "weakened": "1.10 .. 1.25", "refuted": "< 1.10"},
        "design_effect": 1.82,
        "regime": {
            "stage": "post-trained with reinforcement learning",
            "size": "1e4 .. 1e6",
            "domain": "synthetic stories",
        },
        "does_not_say": "anything about models outside the laboratory",
        "shelf_life_days": 30,
    } | changes


def contract(**changes: Any) -> Contract:
    """The same, read."""
    return contract_from(written(**changes))


def large_models(**changes: Any) -> dict[str, Any]:
    """A contract that speaks of models which the laboratory is not."""
    return written(
        regime={"stage": "post-trained for chat", "size": ">= 1e9", "domain": "chat"},
        does_not_say="anything about tiny models",
        **changes,
    )


# --- measurements ----------------------------------------------------------------------------------------------------


def around(centre: float, spread: float, count: int = 8) -> list[float]:
    """COUNT values with this mean and exactly this sample standard deviation."""
    steps = [index - (count - 1) / 2 for index in range(count)]
    scale = spread / math.sqrt(sum(step**2 for step in steps) / (count - 1))
    return [centre + scale * step for step in steps]


def endpoint(values: Iterable[float | str], name: str = "interaction_did", **changes: Any) -> Endpoint:
    """An endpoint of the registry with these values of units; a string is the reason for having none."""
    return ENTROPY_GAP.endpoint(name).filled(values).model_copy(update=changes)


def control(passed: bool | None = True, name: str = "replay identity", reason: str = "") -> Control:
    return Control(
        name=name,
        kind="negative",
        passed=passed,
        estimate=None if passed is None else 0.0 if passed else 1.0,
        target=0.0,
        margin=0.1,
        reason=reason,
    )


def measurement(
    values: Iterable[float | str] | Sequence[Endpoint],
    *,
    profile: Profile = "standard",
    controls: Sequence[Control] = (),
    seed: int = 1,
    code: str = "c" * 64,
) -> Measurement:
    """A finished measurement; VALUES are those of the primary endpoint, or all endpoints."""
    values = list(values)
    endpoints = values if values and isinstance(values[0], Endpoint) else [endpoint(values)]
    return Measurement(
        verifier="entropy_gap",
        subject=SubjectRef.parse("lab:story"),
        profile=profile,
        parameters={"own_entropy": 0.45, "deeper_entropy": 0.30},
        findings=Findings(
            unit="a world", endpoints=tuple(endpoints), controls=tuple(controls or [control()]), settings={}
        ),
        provenance=Provenance(
            version="0.1",
            code_digest=code,
            commit=None,
            uncommitted_changes=None,
            packages={"torch": "2"},
            python="3.11",
            platform="Linux",
            device="cpu",
            threads_per_process=1,
            processes=1,
            seed=seed,
            started_at=NOW,
            wall_seconds=1.0,
            cpu_seconds=1.0,
        ),
    )


def all_endpoints(values: Sequence[float]) -> list[Endpoint]:
    """Every endpoint of the registry, all with the same values."""
    return [endpoint(values, spec.name) for spec in ENTROPY_GAP.endpoints]


# --- libraries -------------------------------------------------------------------------------------------------------


def claim_page(folder: Path, name: str, said: Mapping[str, Any] | None, **head: Any) -> Path:
    """Write the page of a claim whose title is NAME in words."""
    path = folder / "claims" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    front = {"title": f"{name} in words", **head} | ({} if said is None else {"contract": dict(said)})
    path.write_text(f"---\n{yaml.safe_dump(front)}---\n\nBecause of {name}.\n", encoding="utf-8")
    return path


def a_library(folder: Path, claims: Mapping[str, Mapping[str, Any] | None] | None = None) -> Store:
    """A library in FOLDER with these claims: name → contract."""
    pages = [claim_page(folder / "pages", name, said) for name, said in (claims or {"the-gap": written()}).items()]
    store = library.create(folder / "library.db", NOW)
    report = library.bring_in(store, pages, NOW)
    assert not report.refused, report.refused
    return store


def claim_id(store: Store, slug: str = "the-gap") -> str:
    with store.reading() as session:
        return session.exec(select(Entity.id).where(Entity.slug == slug)).one()


def past(store: Store, slug: str = "the-gap") -> History:
    """A claim's whole record."""
    with store.reading() as session:
        return history(session, claim_id(store, slug))


def job(store: Store, *slugs: str, profile: Profile = "standard") -> Job:
    """The one measurement that would test these claims."""
    (only,) = verification.plan(store, slugs or ["the-gap"], profile, NOW)
    return only


def run_with(store: Store, outcome: Any, *slugs: str, profile: Profile = "standard", at: datetime = NOW) -> Begun:
    """Record a run that gave OUTCOME, without any process."""
    begun = runs.begin(store, job(store, *slugs, profile=profile), at)
    runs.end(store, begun.id, outcome, at + timedelta(minutes=1))
    return begun


def sql(store: Store, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement on the file behind the library's back: no constraints, no code of ours."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        return raw.execute(statement, values).fetchall()


# --- runs and children -----------------------------------------------------------------------------------------------


class Silent:
    """A watcher that remembers what it was told."""

    def __init__(self, on_begun: Callable[[], None] | None = None) -> None:
        self.heard: list[Any] = []
        self._on_begun = on_begun

    def begun(self, _job: Job, run: Begun, _claims: Sequence[str]) -> None:
        self.heard.append(run)
        if self._on_begun:
            self._on_begun()

    def progressed(self, progress: Progress) -> None:
        self.heard.append(progress)

    def ended(self, outcomes: Sequence[verification.Outcome]) -> None:
        self.heard += outcomes


def means(folder: Path) -> runs.Means:
    return runs.Means(clock=lambda: NOW, processes=1, cache=str(folder / "cache"))


def request(folder: Path, **changes: Any) -> Request:
    """A request for a smoke run of `entropy_gap`, with a cache in FOLDER."""
    asked = {"verifier": "entropy_gap", "subject": {"scheme": "lab", "locator": "story"}, "seed": 1, "profile": "smoke"}
    return Request.model_validate(asked | {"cache": str(folder / "cache")} | changes)


def script(text: str) -> list[str]:
    """The command line of a child that is this Python text."""
    return [sys.executable, "-c", text]


def that_says(*lines: str, then: str = "") -> list[str]:
    """A child that reads its request, prints LINES, and goes on with THEN."""
    said = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    return script(f"import os, signal, subprocess, sys, time\nsys.stdin.readline()\n{said}{then}")


def finished(measured: Measurement) -> str:
    return Finished(measurement=measured).model_dump_json()


def progress(done: int, total: int) -> str:
    return Progress(done=done, total=total).model_dump_json()


def marked(marker: str) -> list[psutil.Process]:
    """The living processes whose environment holds MARKER as STILLHOLDS_TEST."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("STILLHOLDS_TEST") == marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until CONDITION is true and return what it gave; what it last gave when SECONDS are over."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
