"""Starts the app: Streamlit on this machine only, with our settings, whatever folder it is started from."""

import os
import subprocess
import sys
from pathlib import Path

from kb.location import VARIABLE, Location

VIEWS = Path(__file__).parent / "views"
READ_ONLY = "STILLHOLDS_READ_ONLY"
FEEDS = "STILLHOLDS_FEEDS"  # set where the server has them


def run(store: Location, port: int, *, read_only: bool) -> int:
    """Serve STORE until interrupted; return the server's exit code."""
    environment = os.environ | {VARIABLE: store.url, READ_ONLY: "1" if read_only else "", FEEDS: "1"}
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(VIEWS / "served.py"), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.fileWatcherType", "none", "--server.headless", "true"]
    # Streamlit takes its other settings from the folder it runs in: ours, never one that a user's folder brings along.
    server = subprocess.Popen(command, cwd=VIEWS, env=environment)
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0
