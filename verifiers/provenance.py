"""Where a measurement came from: digests of the code, versions, machine."""

import ast
import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from verifiers.registry import Verifier

ROOT = Path(__file__).parent
PACKAGES = ("torch", "numpy", "safetensors", "stillholds")


def code_digest(verifier: Verifier) -> str:
    """Digest of all that can change this verifier's numbers: its file, its settings, the laboratory; not comments,
    docstrings or layout.
    """
    module = verifier.entry.partition(":")[0].removeprefix("verifiers.").replace(".", "/")
    files = [ROOT / f"{module}.py", *sorted((ROOT / "lab").rglob("*.py"))]
    parts = [_meaning(path) for path in files] + [repr(verifier.endpoints), repr(verifier.parameters)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
