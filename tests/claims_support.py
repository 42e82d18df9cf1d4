"""What tests of `claims` and `verifiers` build with: contracts, measurements, libraries, children. Plain functions."""

import json
import math
import platform
import random
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
from sqlmodel import Session, select

from claims import ledger, library, runs, verification
from claims.contract import Contract, contract_from
from claims.history import History, current_contract, history, refresh
from claims.ledger import RunFailed, RunStarted, VerdictGiven
from claims.runs import Begun, Job
from kb.models import Entity, LedgerEntry
from kb.store import Store
from verifiers import provenance
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
            packages=provenance.packages(),
            python=platform.python_version(),
            platform=provenance.machine(),
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


def a_library(folder: Path, claims: Mapping[str, Mapping[str, Any] | None] | None = None, at: datetime = NOW) -> Store:
    """A library in FOLDER with these claims: name → contract."""
    pages = [claim_page(folder / "pages", name, said) for name, said in (claims or {"the-gap": written()}).items()]
    store = library.create(folder / "library.db", at)
    report = library.bring_in(store, pages, at)
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


WEEKS = 208
VERSIONS = ((0, "a", 1.9), (52, "b", 1.9), (104, "c", 1.17), (156, "d", 0.9))  # from a week on: code, effect


def four_years(store: Store, slugs: Sequence[str]) -> None:
    """Write 208 weekly runs of 12 units, shared by these claims, behind their newest entries, as rows and all at once:
    four versions of the verifier, of which two find another effect, a VOID run in forty, and an attempt in fifty that
    was lost and made again. Chains, seals, cached standings and measurements are those of the product.
    """
    asked = job(store, *slugs)
    chance = random.Random(1)
    with store.writing() as session:
        chains = {name: _Chain(session, name) for name in asked.claims}
        begun = max(chain.at for chain in chains.values())
        for week in range(WEEKS):
            _, code, effect = next(one for one in reversed(VERSIONS) if week >= one[0])
            units = [chance.gauss(math.log(effect), 0.25) for _ in range(12)]
            controls = [control(passed=week % 40 != 39)]
            measured = measurement(units, seed=week + 1, code=code * 64, controls=controls)
            _one_run(session, asked, chains, measured, begun + timedelta(weeks=week, hours=1))
        session.add_all(row for chain in chains.values() for row in chain.rows)
        session.flush()
        for name in chains:
            refresh(session, name)
        ledger.seal(session, chains, begun + timedelta(weeks=WEEKS))


class _Chain:
    """A claim's chain with rows that are not in the store yet."""

    def __init__(self, session: Session, name: str) -> None:
        self.name, self.rows = name, list[LedgerEntry]()
        last = ledger.head(session, name)
        said = current_contract(ledger.entries(session, name))
        assert last is not None
        assert said is not None
        self.seq, self.digest, self.at = last.seq, last.digest, last.at
        self.contract, self.contract_digest = said, ledger.digest_of_contract(said)

    def add(self, kind: str, body: str, at: datetime) -> None:
        self.seq += 1
        values = {"claim_id": self.name, "seq": self.seq, "kind": kind, "body": body, "previous": self.digest}
        row = LedgerEntry(**values, at=at, digest="")
        row.digest = self.digest = ledger.entry_digest(row)
        self.rows.append(row)


def _one_run(session: Session, asked: Job, chains: Mapping[str, _Chain], measured: Measurement, at: datetime) -> None:
    number, digest = measured.provenance.seed, ledger.keep(session, measured)
    written: dict[tuple[str, int], tuple[str, str, str]] = {}  # claims with one contract say the same
    for chain in chains.values():
        for attempt in (1, 2) if number % 50 == 0 else (1,):
            key = (chain.contract_digest, attempt)
            if key not in written:
                started, ended = _told(
                    asked, chain, measured, digest, attempt, is_lost=number % 50 == 0 and attempt == 1
                )
                bodies = [ledger.canonical(event.model_dump(mode="json")) for event in (started, ended)]
                written[key] = (bodies[0], ended.kind, bodies[1])
            begun, kind, ended_body = written[key]
            chain.add("run", begun, at + timedelta(minutes=10 * attempt))
            chain.add(kind, ended_body, at + timedelta(minutes=10 * attempt + 5))


def _told(
    asked: Job, chain: _Chain, measured: Measurement, digest: str, attempt: int, *, is_lost: bool
) -> tuple[RunStarted, VerdictGiven | RunFailed]:
    number = measured.provenance.seed
    of = runs.Attempt(f"run {number}, attempt {attempt}", number, attempt)
    started = RunStarted(
        **of._asdict(),
        verifier=asked.verifier,
        verifier_version="1",
        verifier_code=measured.provenance.code_digest,
        subject=asked.subject,
        profile="standard",
        parameters=asked.parameters,
        units=12,
        seed=number,
        contract_digest=chain.contract_digest,
    )
    if is_lost:
        why = RunFailed(**of._asdict(), subject=asked.subject, profile="standard", cause="lost", reason="no power")
        return started, why
    return started, runs.given(chain.contract, measured, digest, of, None)


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
