"""A run that somebody asks for in the app, and a worker that is killed while they look."""

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from claims.audit import audit
from kb.models import Worker
from kb.store import Store
from tests.app_support import Visit, browser, served
from tests.claims_support import past
from tests.queue_support import a_queue_library, trivial, wait_for

__all__ = ["trivial"]
pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.usefixtures("trivial")]


def worker_of(store: Store) -> int | None:
    with store.reading() as session:
        return session.exec(select(Worker.pid)).first()


def test_a_run_goes_on_with_the_same_units_when_its_worker_is_killed_before_a_persons_eyes(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [8.0, 0.0])
    with served(store.path) as address, browser() as chromium:
        visit = Visit(chromium, address)
        page = visit.go("/claim?slug=numbers-0")
        page.get_by_role("button", name="Run it now").click()
        expect(page.get_by_text(re.compile(r"[1-9] of 8 done"))).to_be_visible(timeout=60_000)
        os.kill(wait_for(lambda: worker_of(store)), signal.SIGKILL)
        expect(page.get_by_text(re.compile("attempt 2 at the same units"))).to_be_visible(timeout=90_000)
        page = visit.go("/work")
        page.screenshot(path=str(tmp_path / "work.png"))
        expect(page.get_by_text(re.compile("attempt 2"))).to_be_visible(timeout=30_000)
        page = visit.go("/claim?slug=numbers-0")
        expect(page.get_by_role("button", name="Run again")).to_be_visible(timeout=90_000)
        expect(page.get_by_text("its process ended without a word").first).to_be_visible()
    kinds = [entry.event.kind for entry in past(store, "numbers-0").entries]
    assert kinds == ["contract", "run", "error", "run", "verdict"]
    assert audit(store).problems == ()


def test_a_run_is_cancelled_in_the_app(tmp_path: Path) -> None:
    store = a_queue_library(tmp_path, [60.0])
    with served(store.path) as address, browser() as chromium:
        visit = Visit(chromium, address)
        page = visit.go("/claim?slug=numbers-0")
        page.get_by_role("button", name="Run it now").click()
        expect(page.get_by_text(re.compile(r"[1-9] of 8 done"))).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Cancel the run").click()
        expect(page.get_by_role("button", name="Run again")).to_be_visible(timeout=60_000)
        cancelled(page)
    assert worker_of(store) is None, "the worker outlived the app"


def cancelled(page: Page) -> None:
    expect(page.get_by_text("cancelled").first).to_be_visible(timeout=30_000)
