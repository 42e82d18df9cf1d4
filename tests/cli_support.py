"""Runs the command as its users do, in a process of its own; or here, where only what it says is in question."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from stillholds import cli

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "library"
SEEDS = ROOT.parent / "shared" / "seeds"
NO_WEIGHTS = Path(__file__).parent / "data" / "no_weights"  # a package that says the embedding weights are nowhere
# A shell that runs the tests in the background lets them, and all that they start, ignore interrupts.
HEARS_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
INTERRUPTIBLE = (
    sys.executable,
    "-P",
    "-c",
    f"{HEARS_INTERRUPTS}; import runpy; runpy.run_module('stillholds', run_name='__main__', alter_sys=True)",
)


def stillholds(
    *arguments: str | Path,
    store: Path | None = None,
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the command; nothing is checked here. It finds no embedding weights, for to load them takes longer than anything
    else: `typed` finds them.
    """
    env = os.environ | ({"STILLHOLDS_STORE": str(store)} if store else {}) | environment
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(NO_WEIGHTS), env.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-m", "stillholds", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=300, check=False)


def typed(*arguments: str | Path, store: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which has all loaded: not what starts a worker, which would outlive it."""
    out, err = io.StringIO(), io.StringIO()
    command = ["stillholds", *map(str, arguments)]
    ended = 0
    before = signal.getsignal(signal.SIGTERM)
    try:
        with (
            mock.patch.dict(os.environ, {"STILLHOLDS_STORE": str(store)} if store else {}),
            mock.patch.object(sys, "argv", command),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as error:
        ended = int(error.code or 0)
    finally:
        signal.signal(signal.SIGTERM, before)
    return subprocess.CompletedProcess(command, ended, out.getvalue(), err.getvalue())


def answer(*arguments: str | Path, store: Path | None = None) -> Any:
    """What the command says as JSON; it must have worked."""
    done = typed(*arguments, "--json", store=store)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
