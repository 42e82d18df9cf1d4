"""A library with a run in it, the app that serves it, and a browser to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect, sync_playwright

from claims import library, runs, verification
from kb.store import Store
from tests.cli_support import EXAMPLES
from verifiers.measurement import Measurement

DATA = Path(__file__).parent / "data"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A deep link asks the server for two files below its own path that Streamlit looks for at the root.
expect.set_options(timeout=30_000)  # a page that takes longer than a person would like is no wrong page
HARMLESS = "Failed to load resource: the server responded with a status of 404 (Not Found)"


def now() -> datetime:
    return datetime.now(UTC)


def recorded(verifier: str = "entropy_gap") -> Measurement:
    """A real standard run that a verifier gave once, so that no test waits for it."""
    return Measurement.model_validate_json((DATA / f"{verifier}_standard.json").read_text())


def library_with_a_run(path: Path, *pages: Path) -> Store:
    """The example library, its contracts judged on one recorded measurement a verifier: each asks for a part of it."""
    store = library.create(path, now())
    library.bring_in(store, [EXAMPLES, *pages], now())
    for job in verification.plan(store, None, "standard", now()):
        run = runs.begin(store, job, now())
        runs.end(store, run.id, recorded(job.verifier), now())
    return store


@contextmanager
def served(store: Path, *options: str, cwd: Path | None = None, **environment: str) -> Iterator[str]:
    """The app over STORE; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-P", "-m", "stillholds", "app", "--port", str(port), "--store", str(store), *options]
    server = subprocess.Popen(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        finally:
            server.kill()
            if server.stderr:
                server.stderr.close()


def _wait(address: str, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if server.poll() is not None:
                raise AssertionError(f"the app ended: {server.stderr.read() if server.stderr else ''}") from None
            time.sleep(0.2)
    raise AssertionError("the app did not answer")


@contextmanager
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    executable = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """A page that remembers what went wrong on it and where it asked."""

    def __init__(
        self, chromium: Browser, address: str, width: int = 1440, height: int = 900, page: Page | None = None
    ) -> None:
        self.address = address
        self.page: Page = page or chromium.new_page(viewport={"width": width, "height": height}, accept_downloads=True)
        self.page.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", self._failed)
        self.page.on("request", self._asked)

    def go(self, path: str) -> Page:
        """Open a page and wait until it is drawn."""
        self.page.goto(self.address + path)
        return self.drawn()

    def drawn(self) -> Page:
        """Wait until Streamlit has nothing left to draw, and links and keys are listened to."""
        self.page.locator("[data-testid=stMainBlockContainer]").wait_for()
        expect(self.page.locator("[data-testid=stApp]")).to_have_attribute(
            "data-test-script-state", "notRunning", timeout=60_000
        )
        self.page.locator("html[data-sh-keys=on]").wait_for(state="attached")
        return self.page

    def leave(self) -> None:
        """Close what it looks at, and leave the page to the next visit."""
        self.page.goto("about:blank")
        self.page.remove_listener("console", self._said)
        self.page.remove_listener("pageerror", self._failed)
        self.page.remove_listener("request", self._asked)

    def unexpected(self) -> list[str]:
        """Errors beyond the two harmless ones of a deep link, and requests that left the machine."""
        outside = [url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))]
        return [error for error in self.errors if error != HARMLESS] + outside

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.errors.append(said.text)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)


def visiting(chromium: Browser, address: str) -> Iterator[Visit]:
    """A visit to the app on which nothing may go wrong: the body of a fixture. It goes on in the window of the one before,
    as a reader does; in a new one Chromium needs three times as long for the first page.
    """
    window = next((page for context in chromium.contexts for page in context.pages), None)
    visit = Visit(chromium, address, page=window)
    yield visit
    unexpected = visit.unexpected()
    visit.leave()
    assert unexpected == []
