"""Where a measurement came from: digests of the code, versions, machine."""

import ast
import hashlib
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from verifiers.records import Verifier

ROOT = Path(__file__).parent
# What carries requests and answers, and cannot change a number.
PLUMBING = frozenset(
    f"verifiers.{name}" for name in "measurement records registry table certificate provenance".split()
)
PACKAGES = ("torch", "numpy", "safetensors", "stillholds")


def code_digest(verifier: Verifier) -> str:
    """Digest of all that can change the value of this verifier's units: its module, all it imports of its own package
    and of the laboratory, its settings; not comments, docstrings, layout or library versions.
    """
    endpoints = [(one.name, one.scale, one.null, one.noise_floor, one.cap) for one in verifier.endpoints]
    parameters = [(one.name, one.default, one.low, one.high, one.below) for one in verifier.parameters]
    return digest_of_modules(verifier.entry.partition(":")[0], repr(endpoints), repr(parameters))


def trial_digest(verifier: Verifier) -> str:
    """Digest of all that can change a certificate: the code, the statistics, what it is tried on, and the contract."""
    statistics, trial = digest_of_modules("verifiers.stats"), verifier.trial
    tried = (
        (sorted(trial.planted.items()), trial.true, trial.false, trial.breaks, trial.training_breaks) if trial else ()
    )
    spread = trial.spread if trial else 0.0
    return _sha256(code_digest(verifier), statistics, repr((tried, spread)), repr(verifier.default_contract))


def digest_of_modules(module: str, *settings: str) -> str:
    """Digest of what MODULE and the experiment code that it imports mean, and of SETTINGS."""
    sources = _imported(module)
    return _sha256(*(f"{name}\n{_meaning(sources[name])}" for name in sorted(sources)), *settings)


def _sha256(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _imported(module: str) -> dict[str, Path]:
    """MODULE and, through any number of steps, what it imports of its own package and of ours, with their files."""
    own = module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = None if name in found or name in PLUMBING else _file_of(name)
        if path is not None:
            found[name] = path
            waiting += [other for other in _names(path) if other.partition(".")[0] in {own, "verifiers"}]
    return found


def _file_of(name: str) -> Path | None:
    """The file of a module, found without importing it; None for a name that is none (a function, a class)."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    stem = Path(spec.origin).parent.joinpath(*rest)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def _names(path: Path) -> Iterator[str]:
    """Every module that a file imports, and every name imported from one, which may be a module too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _meaning(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


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
