"""What tests of `replay` and `bisect` build with: a verifier in a git repository of its own, and runs of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claims import library, verification
from claims.verification import Outcome
from kb.read import cards
from tests.claims_support import NOW, ROOT, Silent, claim_page, means
from tests.fake_verifier import forget
from tests.queue_support import PACKAGE, numbers


class Lab:
    """A copy of the verifier `trivial` in a git repository, and a library with one claim on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "lab"
        shutil.copytree(PACKAGE, self.root, ignore=shutil.ignore_patterns("__pycache__"))
        self.git("init", "--quiet", "--initial-branch=main")
        self.edit('values = [said["truth"] +', 'values = [SHIFT * said["truth"] +')
        self.edit("import random\n", "import random\n", "SHIFT = 1.0\n", after="from verifiers.registry import find\n")
        self.first = self.commit("A verifier")
        self.pages = folder / "pages"
        self.store = library.create(folder / "library.db", NOW)
        self.bring(numbers(0))

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(self.root), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def edit(self, old: str, new: str, more: str = "", after: str = "", file: str = "trivial/experiment.py") -> None:
        """Put NEW in place of OLD, and MORE after a line."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        text = text.replace(old, new, 1)
        path.write_text(text.replace(after, after + more, 1) if after else text, encoding="utf-8")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 1))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")

    def bring(self, contract: dict[str, Any]) -> None:
        """Bring the claim's page in, with that contract."""
        report = library.bring_in(self.store, [claim_page(self.pages, "numbers-0", contract)], NOW)
        assert not report.refused, report.refused

    def run(self, *, profile: Any = "standard") -> Outcome:
        """Make the next run, recorded as any other."""
        (job,) = verification.plan(self.store, None, profile, NOW)
        return verification.verify(self.store, [job], means(self.folder), Silent())[0]

    @property
    def slugs(self) -> list[str]:
        with self.store.reading() as session:
            return [card.slug for card in cards(session, "claim")]

    @property
    def slug(self) -> str:
        return self.slugs[0]

    @staticmethod
    def forget() -> None:
        """Let everybody look at the packages again."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "trivial"]:
            del sys.modules[name]
        forget()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    root = tmp_path / "lab"
    monkeypatch.syspath_prepend(root)
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{ROOT}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Lab.forget()
    yield Lab(tmp_path)
    Lab.forget()
