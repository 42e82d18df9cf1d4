"""Code that ran once, found again in git: which commit holds it, what it is called, and what is another in it.

The user's checkout is only read: a commit is laid out with `git archive` in a scratch folder, which leaves nothing in
`.git` and starts no hook. Code is known by the digest that every run carries, so a commit that is not the one that a
run named may hold it too: commits that change only a page do not change the code.
"""

import ast
import difflib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from claims import worker
from verifiers import provenance
from verifiers.measurement import Provenance, Value
from verifiers.registry import Verifier

_ID = re.compile("[0-9a-f]{40,64}")  # of a commit, and never an option
MOST_COMMITS = 30  # that are looked through for a digest
LONGEST = 60  # characters of a value that stands in a sentence
MOST_LINES = 6  # of a function that are shown
SECONDS = 60.0  # that git, or reading one version of the code, may take
READ = """
import importlib.util, json, sys
from verifiers import provenance
from verifiers.registry import find
name, sources = sys.argv[1:]
spec = importlib.util.spec_from_file_location("sources_of_today", sources)
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
record = find(name)
names = dict(one.partition("\\n")[::2] for one in module.reached(record.entry))
facts = {f"endpoint {one.name}": repr((one.scale, one.null, one.noise_floor, one.cap)) for one in record.endpoints}
facts |= {f"parameter {one.name}": repr((one.default, one.low, one.high, one.below)) for one in record.parameters}
print(json.dumps({"digest": provenance.code_digest(record), "names": names, "facts": facts}))
"""


class Code(Value):
    """One version of a verifier's code: its digest, the source of every name that it reaches, and what its record says of
    endpoints and parameters.
    """

    digest: str
    names: dict[str, str]
    facts: dict[str, str]


class Change(Value):
    """One name that means something else: a value, or the lines of something longer. None where there is no such name."""

    name: str
    file: str
    was: str | None
    now: str | None

    @property
    def is_long(self) -> bool:
        """Whether it takes lines of its own to say."""
        said = (self.was or "", self.now or "")
        return any("\n" in one for one in said) or max(map(len, said)) > LONGEST

    def __str__(self) -> str:
        if self.was is None or self.now is None:
            return f"`{self.name}` {'is new' if self.was is None else 'is gone'} ({self.file})"
        if self.is_long:
            return f"`{self.name}` ({self.file})"
        return f"`{self.name}` {self.was} → {self.now} ({self.file})"


class Commit(NamedTuple):
    """A commit, and its first line."""

    id: str
    subject: str

    def __str__(self) -> str:
        return f"{self.id[:12]} “{self.subject}”"


class Source(NamedTuple):
    """Where a verifier's package lies: the folder that it is imported from, its own path in there, and the repository
    that holds it, if any does.
    """

    root: Path
    package: str
    repository: Path | None

    @property
    def path(self) -> str:
        """The package's path inside the repository."""
        return (self.root / self.package).relative_to(self.repository or self.root).as_posix()


def source_of(verifier: Verifier) -> Source:
    """Where the code of VERIFIER lies, and in which git repository."""
    spec = importlib.util.find_spec(verifier.entry.partition(":")[0].partition(".")[0])
    origin = Path(spec.origin).resolve() if spec and spec.origin else provenance.ROOT / "__init__.py"
    path = origin.parent if origin.name == "__init__.py" else origin
    said = _git(path.parent, "rev-parse", "--show-toplevel")
    top = Path(said.strip()).resolve() if said else None
    if top is not None and not _git(top, "ls-files", "--", path.relative_to(top).as_posix()):
        top = None  # a repository is around it, and does not hold it: a virtual environment in a checkout
    return Source(path.parent, path.name, top)


# --- versions --------------------------------------------------------------------------------------------------------


class Versions:
    """The versions of a verifier's code: that of now, and those of commits, laid out in SCRATCH once asked for."""

    def __init__(self, verifier: Verifier, scratch: Path) -> None:
        self.source = source_of(verifier)
        self._name, self._scratch = verifier.name, scratch
        self._codes: dict[str | None, Code | None] = {}

    def code(self, commit: str | None) -> Code | None:
        """The code of a commit, or of now (None); None where it cannot be read."""
        if commit not in self._codes:
            folder = self.folder(commit)
            self._codes[commit] = None if folder is None else _read(self._name, folder)
        return self._codes[commit]

    def folder(self, commit: str | None) -> Path | None:
        """The folder that a version is imported from; None where git has no such commit."""
        if commit is None:
            return self.source.root
        folder = self._scratch / commit
        if not folder.exists():
            folder.mkdir(parents=True)
            self._lay_out(commit, folder)
        return folder if (folder / self.source.package).exists() else None

    def command(self, commit: str | None) -> Sequence[str]:
        """The command line of a child that runs a version."""
        folder = self.folder(commit)
        return (
            worker.CHILD
            if commit is None or folder is None
            else ("env", f"PYTHONPATH={_before(folder)}", *worker.CHILD)
        )

    def holding(self, digest: str, origin: Provenance) -> str | None:
        """A commit with the code of that DIGEST, which ran at ORIGIN: the one that the run named, or one of about then."""
        for commit in self._candidates(origin):
            code = self.code(commit)
            if code is not None and code.digest == digest:
                return commit
            if code is not None and commit == origin.commit and self._is_ours and not origin.uncommitted_changes:
                return None  # it ran what that commit holds, so nothing else will fit
        return None

    @property
    def _is_ours(self) -> bool:
        """Whether the commit that a run names is one of the repository that holds the verifier."""
        return self.source.root == provenance.ROOT.resolve().parent

    def between(self, older: str, newer: str | None) -> list[Commit]:
        """The commits after OLDER that touch the package, oldest first, up to NEWER or the newest of all."""
        said = self._log("--reverse", "--first-parent", "--format=%H %s", f"{older}..{newer or 'HEAD'}")
        return [Commit(*(line.split(" ", 1) if " " in line else (line, ""))) for line in said]

    def _candidates(self, origin: Provenance) -> Iterator[str]:
        if self.source.repository is None:
            return
        if self._is_ours and origin.commit is not None and _ID.fullmatch(origin.commit):
            yield origin.commit
        dated = [line.split(" ") for line in self._log("--format=%H %cI", f"--max-count={MOST_COMMITS}", "HEAD")]
        later = [commit for commit, when in dated if datetime.fromisoformat(when) > origin.started_at]
        yield from [commit for commit, _ in dated if commit not in later]
        yield from reversed(later)

    def _log(self, *arguments: str) -> list[str]:
        return (self._git("log", *arguments, "--", self.source.path) or "").splitlines()

    def _git(self, *arguments: str) -> str | None:
        return None if self.source.repository is None else _git(self.source.repository, *arguments)

    def _lay_out(self, commit: str, folder: Path) -> None:
        packed = None
        if self.source.repository is not None:
            packed = _run(
                self.source.repository,
                "archive",
                "--format=tar",
                f"{commit}:{self._root_in_git()}",
                self.source.package,
            )
        if packed is not None:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")

    def _root_in_git(self) -> str:
        inside = self.source.path.rpartition("/")[0]
        return inside and f"{inside}/"


def _before(folder: Path) -> str:
    said = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(folder), *map(os.path.abspath, said.split(os.pathsep) if said else ())])


def _read(name: str, folder: Path) -> Code | None:
    """The code as it lies in FOLDER, by the rules of that code where it is ours."""
    command = [sys.executable, "-P", "-c", READ, name, str(provenance.ROOT / "sources.py")]
    env = os.environ | {"PYTHONPATH": _before(folder)}
    try:
        done = subprocess.run(command, capture_output=True, env=env, timeout=SECONDS, check=False, cwd=folder)
        return Code.model_validate(json.loads(done.stdout)) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    said = _run(folder, *arguments)
    return None if said is None else said.decode(errors="replace")


def _run(folder: Path, *arguments: str) -> bytes | None:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


# --- what is another -------------------------------------------------------------------------------------------------


def changes(was: Code, now: Code) -> list[Change]:
    """Every name that means something else, values before longer things."""
    found = [
        one for name in sorted(was.names.keys() | now.names.keys()) for one in _changed(name, was.names, now.names)
    ]
    found += [
        Change(name=name, file="its record", was=was.facts.get(name), now=now.facts.get(name))
        for name in sorted(was.facts.keys() | now.facts.keys())
        if was.facts.get(name) != now.facts.get(name)
    ]
    return sorted(found, key=lambda one: one.is_long)


def _changed(target: str, was: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    old, new = was.get(target), now.get(target)
    if old == new:
        return []
    module, _, name = target.partition(":")
    file, whole = f"{module.replace('.', '/')}.py", f"{module}.{name}"
    if old is None or new is None:
        return [Change(name=whole, file=file, was=old, now=new)]
    before, after = _values(old, name), _values(new, name)
    inside = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    if inside and _without_values(old) == _without_values(new):
        return [Change(name=f"{module}.{key}", file=file, was=before.get(key), now=after.get(key)) for key in inside]
    return [Change(name=whole, file=file, was=_lines(old, new, "-"), now=_lines(old, new, "+"))]


def _values(text: str, name: str) -> dict[str, str]:
    """What a constant is, or what the fields of a class are: dotted name → its value as it is written."""
    found: dict[str, str] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.ClassDef):
            found |= {f"{name}.{field}": value for field, value in _assigned(statement.body)}
        else:
            found |= dict(_assigned([statement]))
    return found


def _assigned(statements: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement in statements:
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        value = getattr(statement, "value", None)
        yield from ((ast.unparse(target), ast.unparse(value)) for target in targets if value is not None)


def _without_values(text: str) -> str:
    """TEXT with nothing left of the values that `_values` tells."""
    tree = ast.parse(text)
    for statement in tree.body:
        for one in (statement, *(statement.body if isinstance(statement, ast.ClassDef) else ())):
            if isinstance(one, ast.Assign | ast.AnnAssign) and one.value is not None:
                one.value = ast.Constant(None)
    return ast.unparse(tree)


def _lines(old: str, new: str, sign: str) -> str:
    """The lines of one side that the other does not have."""
    lines = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line.startswith(f"{sign} ")]
    shown = [line[2:].strip() for line in lines[:MOST_LINES]]
    return "\n".join([*shown, *([f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else [])])
