"""Verifies one claim in a process of its own that outlives whoever asked: `python -P -m claims.background CLAIM PROFILE`,
with the library in STILLHOLDS_STORE.

The app starts it and forgets it; how far it is stands in the store, and so does how it ends.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from claims import runs, verification
from claims.runs import Begun, Job
from claims.worker import cache_folder
from kb.location import VARIABLE, Location, location_from
from kb.store import Store
from verifiers.measurement import Profile, Progress


class Nobody:
    """A watcher for runs that nobody watches."""

    def begun(self, job: Job, run: Begun, claims: Sequence[str]) -> None: ...

    def progressed(self, progress: Progress) -> None: ...

    def ended(self, outcomes: Sequence[verification.Outcome]) -> None: ...


def start(store: Location, claim: str, profile: Profile = "standard") -> Path:
    """Start verifying CLAIM and return at once; the path is where its words go, in case it cannot even begin."""
    log = cache_folder() / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as words:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "claims.background", claim, profile],
            env=os.environ | {VARIABLE: store.url},
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,  # neither closing the tab nor stopping the app ends it
        )
    return log


def main() -> None:
    """Verify what the command line names."""
    claim, profile = sys.argv[1:]
    store = Store.open(location_from(None, os.environ))
    runs.bury(store, datetime.now(UTC))
    jobs = verification.plan(store, [claim], cast(Profile, profile), datetime.now(UTC))
    means = verification.Means(lambda: datetime.now(UTC), os.cpu_count() or 1, str(cache_folder()))
    verification.verify(store, jobs, means, Nobody())


if __name__ == "__main__":
    main()
