"""Packages of other people that offer verifiers, and a certificate to show."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claims.contract import contract_from
from verifiers import provenance
from verifiers.certificate import (
    Bank,
    Break,
    Certificate,
    EndToEnd,
    Instrument,
    NoiseFloor,
    Rate,
    Rule,
    Truth,
)
from verifiers.records import Verifier

RECORD = """
from verifiers.registry import EndpointSpec, ProfileSpec, SubjectFacts, Trial, Verifier

CLOCK = Verifier(
    name={name!r}, version="0.1", entry="{module}.experiment:measure", question="Is it late?", measures="The time.",
    on="clocks", refuted_by="an early hour", does_not_say=("why",), sources=("a clock",), unit="a clock",
    endpoints=(EndpointSpec("lateness", "lateness, hours", "how late it is", "linear", 0.0, 0.01, (-12.0, 12.0)),),
    parameters=(), subjects=("{scheme}:tower", "{scheme}:early"), own_subjects=(
        SubjectFacts("{scheme}:tower", "a tower's clock", 3, "wound up", "hours"),
        SubjectFacts("{scheme}:early", "an early clock", 3, "wound up", "hours"),
    ),
    profiles={{name: ProfileSpec(units, 1, "the time") for name, units in (("smoke", 2), ("standard", 8), ("thorough", 16))}},
    default_contract={{
        "endpoint": "lateness", "regions": {{"holds": ">= 1", "refuted": "< 1"}}, "design_effect": 2.0,
        "unit": {{"per_run": 8, "first_look": 8}}, "does_not_say": "why",
        "regime": {{"stage": "wound up", "size": "1 .. 10", "domain": "hours"}},
    }},
    controls=("two clocks: they agree",),
    trial=Trial({{"{scheme}:early": 0.0, "{scheme}:tower": 2.0}}, "{scheme}:tower", "{scheme}:early", ("stopped clock",)),
)
"""
EXPERIMENT = """
from verifiers.measurement import Findings

def measure(request, tell):
    tell(1, 1, 0.1)
    found = [2.0 + unit / 10 for unit in range(request.units or 8)]
    from {module}.record import CLOCK
    return Findings(unit="a clock", endpoints=(CLOCK.endpoint("lateness").filled(found),), controls=(), settings={{}})
"""


def package(
    folder: Path, module: str, name: str, *, distribution: str = "", record: str = RECORD, scheme: str = ""
) -> Path:
    """Write a package as it lies on the path when it is installed, offering a verifier NAME; return its code's folder."""
    code = folder / module
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("")
    (code / "record.py").write_text(record.format(name=name, module=module, scheme=scheme or module))
    (code / "experiment.py").write_text(EXPERIMENT.format(module=module))
    info = folder / f"{module}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution or module}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[stillholds.verifiers]\n{name} = {module}.record:CLOCK\n")
    return code


def certificate_for(verifier: Verifier, **changes: Any) -> Certificate:
    """A certificate with invented counts, current for the code that runs."""
    contract = contract_from({**verifier.default_contract, "verifier": verifier.name})
    null = Truth(
        name="null", value=1.0, n=2000, words={"REFUTED": 1990, "INCONCLUSIVE": 10}, covered=1960, false_holds=0
    )
    border = Truth(
        name="border 1.25", value=1.25, n=2000, words={"INCONCLUSIVE": 2000}, covered=1951, false_holds=44,
        false_refuted=0,
    )  # fmt: skip
    effect = Truth(
        name="design effect", value=1.82, n=2000, words={"HOLDS": 1990}, covered=1980, false_refuted=1, right=1990
    )
    planted = [
        one.model_copy(update={"n": 500, "covered": one.covered // 4, **fewer})
        for one, fewer in (
            (null, {"false_holds": 0}),
            (border, {"false_holds": 12}),
            (effect, {"right": 470, "false_refuted": 0}),
        )
    ]
    values: dict[str, Any] = {
        "verifier": verifier.name,
        "version": verifier.version,
        "code_digest": provenance.trial_digest(verifier),
        "made_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "contract": contract.model_dump(mode="json"),
        "alpha": 0.05,
        "method": "t",
        "m": contract.unit.first_look,
        "b": contract.unit.per_run,
        "rule": Rule(histories=2000, looks=208, truths=(null, border, effect)),
        "instrument": Instrument(
            truths=tuple(planted),
            breaks=(Break(name="stopped clock", caught=59, n=59), Break(name="bent <hand>", caught=59, n=59)),
            void_healthy=Rate(rate=0.005, count=1, n=200, bound=0.0235),
        ),
        "end_to_end": EndToEnd(n=12, as_planted=12, upper95=0.2209, verdicts={}),
        "bank": Bank(n=144, sd=0.2, skewness=0.1, run_share=0.0),
        "noise_floor": NoiseFloor(delta=0.004, bias=0.003, batch=0.0, dtype=0.001, threads=0.0),
        "design_effect": 1.82,
        "false_holds": Rate(rate=0.024, count=12, n=500, bound=0.0387),
        "false_refuted": Rate(rate=0.0005, count=1, n=2000, bound=0.0024),
        "power": Rate(rate=0.94, count=470, n=500, bound=0.919),
        "coverage": Rate(rate=0.974, count=487, n=500, bound=0.959),
        "cost": {"cpu_s": 1500.0},
        "seeds": {"rule": 1},
        "granted": True,
        "reasons": (),
    }
    return Certificate.model_validate(values | changes)
