"""A verifier from another package that measures in no time, to be tried, and ways in which it may be no good."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from verifiers import registry

RECORD = """
from verifiers.records import EndpointSpec, ProfileSpec, SubjectFacts, Trial, Verifier

RECORD = Verifier(
    name="fake_gap", version="1.0", entry="fakegap.experiment:measure",
    question="?", measures="numbers", on="nothing", refuted_by="a low number", does_not_say=("much",), sources=("none",),
    unit="a number",
    endpoints=(
        EndpointSpec("effect", "effect", "how much", "linear", 0.0, {floor}, (-10.0, 10.0)),
        EndpointSpec("other", "other effect", "how much of the other", "linear", 0.0, 0.02, (-10.0, 10.0)),
    ),
    parameters=(),
    subjects=("fakegap:true",),
    profiles={{name: ProfileSpec(8, 0.1, "little") for name in ("smoke", "standard", "thorough")}},
    default_contract={{
        "endpoint": "effect",
        "regions": {{"holds": ">= 1", "weakened": "0.5 .. 1", "refuted": "< 0.5"}},
        "design_effect": 2.0,
        "unit": {{"per_run": 8, "first_look": 8}},
        "regime": {{"stage": "none", "size": ">= 1", "domain": "numbers"}},
        "does_not_say": "much",
    }},
    trial={trial},
    own_subjects=(SubjectFacts("fakegap:true", "numbers that are large", 10, "none", "numbers"),),
    refused={refused!r},
)
"""

TRIAL = """Trial(
    planted={"fakegap:null": 0.0, "fakegap:low": 0.5, "fakegap:middle": 0.76, "fakegap:high": 1.0, "fakegap:design": 2.0},
    true="fakegap:true", false="fakegap:false", breaks=("blind",), training_breaks=("untrained",),
)"""

EXPERIMENT = """
import os
import random
import time
from pathlib import Path

from verifiers.measurement import Control, Findings
from verifiers.registry import find

TRUTH = dict(find("fake_gap").trial.planted if find("fake_gap").trial else {{}}, **{{"fakegap:true": 2.2, "fakegap:false": 0.0}})


def measure(request, report):
    chance = random.Random(request.seed)
    with (Path(request.cache) / "made").open("a") as made:
        made.write(f"{{request.subject}} {{request.broken}} {{request.seed}}\\n")
    if not os.environ.get("FAKE_SEEN"):
        os.environ["FAKE_SEEN"] = "1"
        with (Path(request.cache) / "processes").open("a") as processes:
            processes.write(f"{{os.getpid()}}\\n")
    if request.broken == "hangs":
        time.sleep(600)
    truth, spread = TRUTH[str(request.subject)], request.spread or 0.5
    units = [truth + spread * one for one in drawn(chance, request.units)]
    report(request.units, request.units, 0.001)
    passed = {caught} or request.broken is None
    control = Control.within("sight", "positive", 0.0 if passed else 1.0, 0.0, 0.1)
    endpoints = tuple(spec.filled(units) for spec in find("fake_gap").endpoints)
    return Findings(unit="a number", endpoints=endpoints, controls=(control,), settings={{}})


def drawn(chance, count):
    return [{unit} for _ in range(count)]
"""

UNIFORM = "3**0.5 * chance.uniform(-1, 1)"  # of standard deviation 1


def write(
    folder: Path,
    *,
    unit: str = UNIFORM,
    caught: str = "False",
    trial: str = TRIAL,
    refused: str = "",
    floor: float = 0.02,
) -> None:
    """Lay an installed package with the verifier `fake_gap` into FOLDER. UNIT draws one unit, in standard deviations;
    CAUGHT says when its control passes although it is broken.
    """
    package, facts = folder / "fakegap", folder / "fakegap-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    facts.mkdir(exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "record.py").write_text(RECORD.format(trial=trial, refused=refused, floor=floor))
    (package / "experiment.py").write_text(EXPERIMENT.format(unit=unit, caught=caught))
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fakegap\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[stillholds.verifiers]\nfake_gap = fakegap.record:RECORD\n")


@contextmanager
def installed(folder: Path, **faults: str | float) -> Iterator[Path]:
    """Write the package into FOLDER, and let this process and its children find it for a while."""
    write(folder, **faults)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "fakegap"]:
            patch.delitem(sys.modules, name)
        forget()
        yield folder
    forget()


def forget() -> None:
    """Let the registry look at the packages again."""
    for cached in vars(registry).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
