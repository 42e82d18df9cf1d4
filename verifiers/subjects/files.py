"""The files that stand behind the colon of `runlog:A.csv,B.csv`: found, bounded, and given short names."""

import os
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from verifiers.subjects.tables import BadLog

LARGEST = 50_000_000  # bytes of a file
LARGEST_TOGETHER = 200_000_000
MOST = 2_000  # files


def files(locator: str) -> list[Path]:
    """The files that LOCATOR names, each once; a pattern's in the order of their names.

    Raises:
        BadLog: when one is missing or named twice, or all together are too many.
    """
    if not locator.isprintable() or not locator.strip(", "):
        raise BadLog(f"{locator!r} names no log: say runlog:FILE, runlog:A.csv,B.csv or runlog:'FOLDER/*.csv'")
    # os.path says False, not an error, of a list that is too long for a name.
    whole = os.path.isfile(locator)  # noqa: PTH113
    parts = [locator] if whole else [part.strip() for part in locator.split(",") if part.strip()]
    found = [path for part in parts for path in _matching(os.path.expanduser(part))]  # noqa: PTH111 - a pattern is no path
    seen: dict[Path, Path] = {}
    for path in found:
        if (same := seen.setdefault(path.resolve(), path)) is not path:
            raise BadLog(f"{path} is named twice (as {same} too): a run counts once, so name each file once")
    sizes = [path.stat().st_size for path in found]
    if len(found) > MOST or sum(sizes) > LARGEST_TOGETHER:
        raise BadLog(
            f"{locator} is {len(found)} files of {sum(sizes):,} bytes: at most {MOST} files of {LARGEST_TOGETHER:,} bytes "
            "together are read; thin the logs out to the steps with a validation score"
        )
    return found


def _matching(part: str) -> list[Path]:
    path = Path(part)
    if path.is_dir():
        raise BadLog(f"{part} is a folder: name its logs, for example {part.rstrip('/')}/*.csv")
    if not path.exists() and has_magic(part):
        found = sorted(Path(name) for name in glob(part, recursive=True) if Path(name).is_file())  # noqa: PTH207 - may be absolute
        if not found:
            raise BadLog(f"no file matches {part}: look at the pattern, and at the folder it is read in ({Path.cwd()})")
        return found
    if not path.is_file():
        raise BadLog(f"there is no file {part} in {Path.cwd()}")
    return [path]


def labels(paths: Sequence[Path]) -> list[str]:
    """What each file is called: its name, or where names repeat its path below the folder that all share."""
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        whole = [path.absolute() for path in paths]
        shared = os.path.commonpath([path.parent for path in whole])
        names = [path.relative_to(shared).as_posix() for path in whole]
    return [name.encode("utf-8", "backslashreplace").decode() for name in names]  # a file's name need not be text


def content_of(path: Path, label: str) -> bytes:
    """All bytes of a file that is not too large, even if it grows meanwhile.

    Raises:
        BadLog: when it is too large or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadLog(f"{label}: {error.strerror or error}") from error
    if len(content) > LARGEST:
        raise BadLog(f"{label} is larger than {LARGEST:,} bytes: thin it out to the steps with a validation score")
    return content
