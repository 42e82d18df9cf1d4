"""Runs the command as its users do: in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "library"
SEEDS = ROOT.parent / "shared" / "seeds"


def stillholds(
    *arguments: str | Path, store: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; nothing is checked here."""
    env = os.environ | ({"STILLHOLDS_STORE": str(store)} if store else {}) | {"COLUMNS": "160"} | environment
    command = [sys.executable, "-P", "-m", "stillholds", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=300, check=False)


def answer(*arguments: str | Path, store: Path | None = None) -> Any:
    """What the command says as JSON; it must have worked."""
    done = stillholds(*arguments, "--json", store=store)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
