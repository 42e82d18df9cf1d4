"""Tables in text files, read strictly: CSV (commas, semicolons or tabs) and JSON lines. A file that is cut off, ragged or
not text is an error with its line; a cell is turned into a number or a word only when asked, and never by guessing.
"""

import csv
import io
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from verifiers.records import VerifierError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST_WORD = 200
MOST_ROWS = 200_000
UNFINISHED = "is the file still being written?"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class BadLog(VerifierError):
    """A log cannot be read, or not without guessing; nothing of it is used."""


@dataclass(frozen=True)
class Table:
    """The columns of a file, and its rows with the lines they stand on; rows hold wanted columns only."""

    label: str
    names: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a file: text, a JSON value, or None."""

    value: Any
    where: str

    @property
    def is_empty(self) -> bool:
        return self.value is None or self.value == ""


def number(cell: Cell) -> float:
    """The number in a cell.

    Raises:
        BadLog: for anything that is no finite number.
    """
    value = cell.value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        comma = "; write decimals with a point" if isinstance(value, str) and re.fullmatch(r"-?\d+,\d+", value) else ""
        shown = "nothing" if cell.is_empty else ascii(value)[:60]
        raise BadLog(
            f"{cell.where}: a number must stand here, not {shown}{comma}; a value that was not logged is left empty"
        )
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise BadLog(
            f"{cell.where}: {found} is no measurement; leave the cell empty, and look at what the run did there"
        )
    return found


def word(cell: Cell, *, required: bool = False) -> str:
    """The name in a cell; JSON may write a number for it.

    Raises:
        BadLog: for anything that is no short printable name, and for none where one is REQUIRED.
    """
    if cell.is_empty and not required:
        return ""
    found = str(cell.value) if isinstance(cell.value, str | int) and not isinstance(cell.value, bool) else ""
    if not found.isprintable() or not 0 < len(found) <= LONGEST_WORD:
        raise BadLog(f"{cell.where}: a name must stand here, not {ascii(cell.value)[:60]}")
    return found


def table(content: bytes, label: str, wanted: Collection[str]) -> Table:
    """The table in a file's CONTENT; of its rows only the WANTED columns are kept.

    Raises:
        BadLog: with the line, for anything but whole rows of text.
    """
    text = _text(content, label)
    if text.lstrip().startswith("["):
        raise BadLog(f"{label} is one JSON list: write one object a line (JSON lines), or CSV")
    return _json_lines(text, label, wanted) if text.lstrip().startswith("{") else _csv(text, label, wanted)


def _text(content: bytes, label: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadLog(f"{label} is in UTF-16: save it as UTF-8")
    if b"\0" in content:
        raise BadLog(f"{label} is not text: a log is CSV or JSON lines")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadLog(f"{label}, line {line}: this is not UTF-8; save the log as CSV or JSON lines in UTF-8") from error
    if not text.strip():
        raise BadLog(f"{label} is empty: {UNFINISHED}")
    return text


def _check_length(rows: int, label: str) -> None:
    if rows > MOST_ROWS:
        raise BadLog(f"{label} has more than {MOST_ROWS:,} rows: thin it out to the steps with a validation score")


# --- CSV -------------------------------------------------------------------------------------------------------------


def _csv(text: str, label: str, wanted: Collection[str]) -> Table:
    header = next(line for line in text.splitlines() if line.strip())
    delimiter = max(DELIMITERS, key=header.count)  # the first of them where none occurs
    rows = _csv_rows(text, label, delimiter)
    at, names = next(rows, (1, []))
    twice = sorted({name for name in names if name in wanted and names.count(name) > 1})
    if twice:
        raise BadLog(f"{label}, line {at}: there is more than one column {twice[0]!r}; give each a name of its own")
    places = [(place, name) for place, name in enumerate(names) if name in wanted]
    kept = []
    for line, row in rows:
        if len(row) != len(names):
            raise BadLog(
                f"{label}, line {line}: {len(row)} values under {len(names)} columns (with {DELIMITERS[delimiter]} between "
                f"them); {UNFINISHED}"
            )
        kept.append((line, {name: row[place] for place, name in places}))
        _check_length(len(kept), label)
    if not text.endswith(("\n", "\r")):
        raise BadLog(
            f"{label}: the last line has no end, so its last number may be cut; {UNFINISHED} If not, end it with a line break"
        )
    return Table(label, tuple(names), tuple(kept))


def _csv_rows(text: str, label: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, its cells without the blanks around them."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield rows.line_num, cells
    except csv.Error as error:
        raise BadLog(f"{label}, line {rows.line_num}: {error}; {UNFINISHED}") from error


# --- JSON lines ------------------------------------------------------------------------------------------------------


def _json_lines(text: str, label: str, wanted: Collection[str]) -> Table:
    names: dict[str, None] = {}
    kept = []
    lines = text.split("\n")
    last = max(at for at, line in enumerate(lines, 1) if line.strip())
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _object(line, f"{label}, line {at}", is_last=at == last)
        names.update(dict.fromkeys(row))
        kept.append((at, {name: value for name, value in row.items() if name in wanted}))
        _check_length(len(kept), label)
    return Table(label, tuple(names), tuple(kept))


def _object(line: str, where: str, *, is_last: bool) -> dict[str, Any]:
    try:
        row = json.loads(line, object_pairs_hook=_once)
    except RecursionError as error:
        raise BadLog(f"{where}: values within values, too deep to read") from error
    except ValueError as error:
        doubt = f"; {UNFINISHED}" if is_last else "; one object stands on one line"
        raise BadLog(f"{where}: no whole JSON object stands here ({error}){doubt}") from error
    if not isinstance(row, dict):
        raise BadLog(f"{where}: one JSON object a line is read, not {ascii(row)[:60]}")
    return row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which every key stands once."""
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a key stands in it twice")
    return row
