"""What every test starts from: one thread, no network, no cache and no library of whoever runs it."""

import os
import sys
import tempfile
from collections.abc import Iterator

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: two workers on two cores
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="stillholds-tests-")
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="stillholds-tests-")  # whose pace is nobody else's
os.environ["STILLHOLDS_ARXIV_URL"] = "http://127.0.0.1:9/api/query"  # nobody answers there
# A console keeps the width it was made with: the same one whoever runs it, and whichever test is first.
os.environ["COLUMNS"] = "160"
os.environ.pop("LINES", None)
os.environ.pop("NO_COLOR", None)
os.environ.pop("FORCE_COLOR", None)
os.environ.pop("TTY_COMPATIBLE", None)
os.environ.pop("STILLHOLDS_STORE", None)
os.environ.pop("STILLHOLDS_READ_ONLY", None)

from tests.postgres_support import postgres, postgres_server  # noqa: F401  fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--arxiv-live", action="store_true", help="ask the real arXiv what the tests otherwise ask ours")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, those with slow tests first: nobody is left alone with one in the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _main_stays() -> Iterator[None]:
    """AppTest leaves a script of its own as the main module, which every process that is spawned later would run."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before
