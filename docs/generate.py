"""Writes the reference pages from the code: `python -P docs/generate.py`. A test fails when they are behind."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from kb.models import Table
from stillholds.methods import Section, sections
from verifiers.registry import VERIFIERS, Verifier, status

HERE = Path(__file__).parent
MADE = "<!-- Made by docs/generate.py; change the code, not this page. -->\n\n"


def cli() -> str:
    """The command line, from its own help."""
    command = [sys.executable, "-P", "-m", "typer", "stillholds.cli", "utils", "docs", "--name", "stillholds"]
    return MADE + subprocess.run(command, capture_output=True, text=True, check=True).stdout


def verifiers() -> str:
    """Every verifier of the house like a short methods section."""
    return MADE + "# Verifiers\n\n" + "\n".join(map(_verifier, VERIFIERS.values()))


def _verifier(one: Verifier) -> str:
    parts = [f"## `{one.name}` {one.version} ({status(one)})", *map(_section, sections(one))]
    if not one.refused:
        parts += [_endpoints(one), _parameters(one), _profiles(one)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(part: Section) -> str:
    lines = "\n".join(f"- {line}" for line in part.lines)
    return "\n\n".join(filter(None, [f"### {part.title}" if part.title else "", part.text, lines]))


def _endpoints(one: Verifier) -> str:
    rows = [
        f"`{s.name}` | {s.quantity} | {s.scale} | {s.null:g} | {s.noise_floor:g} | {s.meaning}" for s in one.endpoints
    ]
    return _table("Endpoint | Quantity | Scale | Null | Noise floor | Meaning", rows)


def _parameters(one: Verifier) -> str:
    rows = [f"`{s.name}` | {s.default:g} | {s.low:g} to {s.high:g} | {s.meaning}" for s in one.parameters]
    return _table("Parameter | Default | Range | Meaning", rows) if rows else ""


def _profiles(one: Verifier) -> str:
    rows = [f"`{name}` | {s.units} | {s.cpu_seconds / 60:.1f} | {s.says}" for name, s in one.profiles.items()]
    return _table("Profile | Units | CPU-minutes | Says", rows)


def _table(head: str, rows: list[str]) -> str:
    return "\n".join(f"| {row} |" for row in [head, " | ".join(["---"] * (head.count("|") + 1)), *rows])


def schema() -> str:
    """The tables of a store."""
    docs = {mapper.local_table.name: (mapper.class_.__doc__ or "") for mapper in Table._sa_registry.mappers}
    parts = [MADE + "# The store's schema\n"]
    for table in Table.metadata.sorted_tables:
        rows = "\n".join(f"| `{c.name}` | {c.type.__class__.__name__} | {_about(c)} |" for c in table.columns)
        parts.append(
            f"## {table.name}\n\n{' '.join(docs[table.name].split())}\n\n| Column | Type | |\n|---|---|---|\n{rows}\n"
        )
    return "\n".join(parts)


def _about(column: Any) -> str:
    keys = ", ".join(f"→ {key.column.table.name}" for key in column.foreign_keys)
    said = [
        "key" if column.primary_key else "",
        keys,
        "may be empty" if column.nullable else "",
        "unique" if column.unique else "",
    ]
    return ", ".join(filter(None, said))


PAGES = {"cli.md": cli, "verifiers.md": verifiers, "schema.md": schema}


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
