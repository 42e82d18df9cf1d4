"""Writes the reference pages from the code: `python -P docs/generate.py`. A test fails when they are behind."""

import subprocess
import sys
from pathlib import Path

from kb.models import Table
from verifiers.registry import VERIFIERS, Verifier

HERE = Path(__file__).parent
MADE = "<!-- Made by docs/generate.py; change the code, not this page. -->\n\n"


def cli() -> str:
    """The command line, from its own help."""
    command = [sys.executable, "-P", "-m", "typer", "stillholds.cli", "utils", "docs", "--name", "stillholds"]
    return MADE + subprocess.run(command, capture_output=True, text=True, check=True).stdout


def verifiers() -> str:
    """Every verifier like a short methods section."""
    return MADE + "# Verifiers\n\n" + "\n".join(map(_verifier, VERIFIERS.values()))


def _verifier(one: Verifier) -> str:
    endpoints = "\n".join(
        f"| `{s.name}` | {s.quantity} | {s.scale} | {s.null:g} | {s.noise_floor:g} | {s.meaning} |"
        for s in one.endpoints
    )
    parameters = "\n".join(
        f"| `{s.name}` | {s.default:g} | {s.low:g} to {s.high:g} | {s.meaning} |" for s in one.parameters
    )
    profiles = "\n".join(
        f"| `{name}` | {s.units} | {s.cpu_seconds / 60:.1f} | {s.says} |" for name, s in one.profiles.items()
    )
    return f"""## `{one.name}` {one.version} ({one.status})

{one.question}

{one.measures}

**On** {one.on}

**Unit** {one.unit}. **Refuted by** {one.refuted_by}. **Sources** {", ".join(one.sources)}.

It does not say:

{_bullets(one.does_not_say)}

Controls in every run:

{_bullets(one.controls)}

| Endpoint | Quantity | Scale | Null | Noise floor | Meaning |
|---|---|---|---|---|---|
{endpoints}

| Parameter | Default | Range | Meaning |
|---|---|---|---|
{parameters}

| Profile | Units | CPU-minutes | Says |
|---|---|---|---|
{profiles}
"""


def _bullets(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)


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


def _about(column: object) -> str:
    keys = ", ".join(f"→ {key.column.table.name}" for key in column.foreign_keys)  # type: ignore[attr-defined]
    said = [
        "key" if column.primary_key else "",
        keys,
        "may be empty" if column.nullable else "",
        "unique" if column.unique else "",
    ]  # type: ignore[attr-defined]
    return ", ".join(filter(None, said))


PAGES = {"cli.md": cli, "verifiers.md": verifiers, "schema.md": schema}


def main() -> None:
    """Write all pages."""
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
