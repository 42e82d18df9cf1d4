"""Where a measurement came from: digests of the code, versions, machine."""

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from verifiers.records import Verifier
from verifiers.sources import reached

ROOT = Path(__file__).parent
# The statistics by which a run is judged and a verifier tried: always, by the median, and in parts.
JUDGING = (
    "t_interval", "lai_sequence", "lai_radius", "secondary_level", "binomial_upper", "binomial_lower", "skewness",
    "shape_error", "shared_variance", "mean", "standard_deviation",
)  # fmt: skip
JUDGING_MEDIANS = ("sign_interval", "sign_sequence", "sign_rank")
JUDGING_PARTS = ("composite_level",)
PACKAGES = ("torch", "numpy", "safetensors", "stillholds")


def code_digest(verifier: Verifier) -> str:
    """Digest of all that can change the value of this verifier's units: the function it begins with, all that this
    uses of its own package and of the laboratory, its settings; not comments, docstrings, layout or library versions.
    """
    endpoints = [(one.name, one.scale, one.null, one.noise_floor, one.cap) for one in verifier.endpoints]
    parameters = [(one.name, one.default, one.low, one.high, one.below) for one in verifier.parameters]
    return _sha256(*reached(verifier.entry), repr(endpoints), repr(parameters))


def trial_digest(verifier: Verifier) -> str:
    """Digest of all that can change a certificate: the code, the statistics, what it is tried on, and the contract."""
    statistics, trial = reached(*(f"verifiers.stats:{name}" for name in _judging(verifier))), verifier.trial
    tried = (
        (sorted(trial.planted.items()), trial.true, trial.false, trial.breaks, trial.training_breaks) if trial else ()
    )
    spread = trial.spread if trial else 0.0
    by_median = [endpoint.name for endpoint in verifier.endpoints if endpoint.statistic == "median"]
    judged = [repr(by_median)] if by_median else []
    return _sha256(code_digest(verifier), *statistics, repr((tried, spread)), repr(verifier.default_contract), *judged)


def _judging(verifier: Verifier) -> tuple[str, ...]:
    by_median = any(endpoint.statistic == "median" for endpoint in verifier.endpoints)
    in_parts = "also" in verifier.default_contract
    return JUDGING + JUDGING_MEDIANS * by_median + JUDGING_PARTS * in_parts


def digest_of_modules(*modules: str) -> str:
    """Digest of what MODULES mean, with all that they use of their own packages and of ours."""
    return _sha256(*reached(*modules))


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def packages() -> dict[str, str]:
    """Versions of what the numbers rest on."""
    return {name: metadata.version(name) for name in PACKAGES}


def machine() -> str:
    """Operating system and processor."""
    return f"{platform.system()} {platform.machine()}"


def threads() -> int:
    """How many threads a process of an experiment has: one, unless whoever started the program asks for more. Another
    number may change the last bits.
    """
    return int((os.environ.get("OMP_NUM_THREADS") or "1").partition(",")[0])


def commit() -> tuple[str | None, bool | None]:
    """The commit of the checkout this code runs from and whether it has uncommitted changes; None where it is
    installed.
    """
    revision = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    return revision, None if revision is None or status is None else bool(status)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
