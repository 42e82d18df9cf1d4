"""Finds the files of an import and reads them as text, without leaving the folders that were named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kb.errors import PageError
from kb.sources import inquiry, markdown
from kb.sources.page import Page

SUFFIXES = {".md", ".markdown", ".txt"}
LARGEST = 2 * 2**20  # bytes; a page is a few thousand


@dataclass(frozen=True)
class Found:
    """A file to import, or the reason why it cannot be."""

    path: Path
    refused: str | None = None


def find(paths: list[Path]) -> list[Found]:
    """The pages below PATHS in a stable order; README files and hidden ones are not pages."""
    named = (found for path in paths for found in _named(path))
    return list({found.path.absolute(): found for found in named}.values())  # given twice, read once


def _named(path: Path) -> Iterator[Found]:
    try:
        if path.is_dir():
            yield from _below(path)
        else:
            yield Found(path, None if path.exists() else "is not there: check the path")
    except OSError as error:
        yield Found(path, f"cannot be looked for: {error.strerror}")


def _below(folder: Path) -> Iterator[Found]:
    root = os.path.realpath(folder)
    for where, folders, names in os.walk(folder):  # does not follow links to folders
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(where) / name
            if path.suffix.lower() not in SUFFIXES or name.startswith(".") or path.stem.upper() == "README":
                continue
            if not Path(os.path.realpath(path)).is_relative_to(root):  # resolve() fails on links in a circle
                yield Found(path, f"is a link out of {folder}: copy the file there if it belongs to the library")
            else:
                yield Found(path)


def read_text(path: Path) -> str:
    """The text of PATH.

    Raises:
        PageError: when it is no file, too large, empty, binary, or not UTF-8.
    """
    try:
        if not path.is_file():
            raise PageError("is no regular file")
        size = path.stat().st_size
        if size > LARGEST:
            raise PageError(f"has {size / 2**20:.0f} MB, more than the {LARGEST // 2**20} MB that a page may have")
        raw = path.read_bytes()
    except OSError as error:
        raise PageError(f"cannot be read: {error.strerror}") from error
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise PageError("has a name that is not UTF-8: rename it") from error
    if b"\0" in raw:
        raise PageError("is no text: it contains zero bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PageError(
            f"is not UTF-8 (byte 0x{raw[error.start]:02x} at {error.start}): convert it, for example with iconv -f latin1 -t utf-8"
        ) from error
    if not text.strip():
        raise PageError("is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_page(path: Path, text: str) -> tuple[Page, str]:
    """The page in TEXT, and the version of the reader that read it.

    Raises:
        PageError: when no reader knows the format.
    """
    has_head = text.lstrip().startswith("---\n")
    if not has_head and inquiry.recognises(text):
        return inquiry.read(text), inquiry.VERSION
    if has_head or path.suffix.lower() != ".txt":
        return markdown.read(text, path), markdown.VERSION
    raise PageError(
        "is no page that is known here: expected an inquiry page (with its list of sources, or a note's `Inquiring lines that use this "
        "note`), or Markdown with front matter in a .md file"
    )
