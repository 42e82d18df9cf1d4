"""A certificate: how often an instrument is wrong, on three levels that are never pooled. Data, and how it is read.

It ships beside its verifier's code as `certificates/NAME.json` and is current while `code_digest` is that of the code.
"""

import importlib.util
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, Field, FiniteFloat, ValidationError

from verifiers.measurement import Value
from verifiers.records import Verifier


class Rate(Value):
    """COUNT of N, and the exact binomial bound on the rate: the upper one for errors, the lower one for power and
    coverage (95 %, one-sided).
    """

    rate: FiniteFloat
    count: int
    n: int
    bound: FiniteFloat


class Truth(Value):
    """What came out where the truth was `value` (as shown): how many of `n` histories or runs gave each word, and the
    errors that this truth can show.
    """

    name: str
    value: FiniteFloat
    also: dict[str, FiniteFloat] = Field(
        default_factory=dict
    )  # the truths of a composite contract's further parts, by endpoint
    n: int
    words: dict[str, int]
    covered: int
    false_holds: int | None = None  # None where HOLDS is no error
    false_refuted: int | None = None
    right: int | None = None  # at the design effect


class Rule(Value):
    """The rule alone, on simulated units: histories of many looks."""

    histories: int
    looks: int
    truths: tuple[Truth, ...]


class Break(Value):
    """A named break of the instrument, and how often a control or a gate caught it."""

    name: str
    caught: int
    n: int


class Instrument(Value):
    """The real measuring code on planted subjects of known truth."""

    truths: tuple[Truth, ...]
    breaks: tuple[Break, ...]
    void_healthy: Rate


class EndToEnd(Value):
    """Complete runs, training and all, on worlds where the claim is true and where it is false by construction."""

    n: int
    as_planted: int
    upper95: FiniteFloat  # of the share that comes out wrong
    verdicts: dict[str, tuple[str, ...]]  # by subject


class Bank(Value):
    """The units of the end-to-end runs. Rule and planted subjects draw with the standard deviation `drawn_sd`: theirs,
    or what the trial states for ordinary subjects where that is more.
    """

    n: int
    sd: FiniteFloat
    drawn_sd: FiniteFloat | None = None
    skewness: FiniteFloat
    run_share: FiniteFloat  # of the variance, shared inside a run


class NoiseFloor(Value):
    """Error that more units do not average away, by where it comes from, on the scale of analysis. `delta` is what the
    verifier states, and None is what was not measured.
    """

    delta: FiniteFloat
    bias: FiniteFloat
    batch: FiniteFloat | None = None
    dtype: FiniteFloat | None = None
    threads: FiniteFloat


class PartTried(Value):
    """What is known of a further part of a composite contract."""

    endpoint: str
    bank: Bank
    noise_floor: NoiseFloor
    design_effect: FiniteFloat


class Certificate(Value):
    """All of it. The four rates are the worst over rule and instrument. `code_digest` is that of everything that can
    change a certificate, `verifier_code` the part of it that every run carries.
    """

    verifier: str
    version: str
    code_digest: str
    verifier_code: str = ""
    made_at: AwareDatetime
    contract: dict[str, Any]
    alpha: FiniteFloat
    method: str
    m: int
    b: int
    rule: Rule
    instrument: Instrument
    end_to_end: EndToEnd
    bank: Bank
    noise_floor: NoiseFloor
    design_effect: FiniteFloat
    also: tuple[PartTried, ...] = ()
    false_holds: Rate
    false_refuted: Rate
    power: Rate
    coverage: Rate
    cost: dict[str, FiniteFloat]  # cpu_s
    seeds: dict[str, int]
    granted: bool
    reasons: tuple[str, ...]  # why it was not granted


def path_of(verifier: Verifier) -> Path:
    """Where the certificate of VERIFIER lies: beside the code of its experiment."""
    package = verifier.entry.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise LookupError(f"the package {package!r} of the verifier {verifier.name} is not installed")
    return Path(spec.origin).parent / "certificates" / f"{verifier.name}.json"


def read(verifier: Verifier) -> Certificate | None:
    """The certificate that ships with VERIFIER, current or not; None where there is none that can be read."""
    try:
        return Certificate.model_validate_json(path_of(verifier).read_bytes())
    except (OSError, ValidationError, LookupError):
        return None
