"""Listing and judging load nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "sentence_transformers", "streamlit", "scipy", "alembic", "pandas")
LIGHT = [
    "stillholds.cli",
    "kb.store",
    "kb.embedding",
    "kb.search",
    "claims.judge",
    "claims.worker",
    "claims.overview",
    "verifiers.registry",
]


def loaded_by(code: str) -> list[str]:
    script = f"{code}\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    return eval(done.stdout.strip().splitlines()[-1])  # noqa: S307 - a list of names that we printed


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_stays_light(module: str) -> None:
    assert loaded_by(f"import {module}") == []


def test_the_command_loads_typer_alone_before_it_knows_what_is_asked() -> None:
    code = "import stillholds.cli, sys; assert not [m for m in sys.modules if m.split('.')[0] in {'kb', 'claims', 'verifiers', 'pydantic'}]"
    assert loaded_by(code) == []


def test_listing_claims_loads_neither_torch_nor_statistics(tmp_path: Path) -> None:
    store = tmp_path / "library.db"
    subprocess.run(
        [sys.executable, "-P", "-m", "stillholds", "init", "--store", str(store)], check=True, capture_output=True
    )
    code = f"from stillholds.cli import app; app(['claims', '--store', {str(store)!r}], standalone_mode=False)"
    assert loaded_by(code) == []
