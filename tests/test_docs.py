"""What the documents say is what the program does."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from claims.contract import contract_from
from claims.errors import BadContract
from kb.sources.files import read_page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GENERATED: dict[str, Callable[[], str]] = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
WRITTEN = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("decisions/*.md"))]


@pytest.mark.parametrize("name", GENERATED)
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    behind = f"docs/{name} is behind the code: run .venv/bin/python -P docs/generate.py"
    assert (DOCS / name).read_text(encoding="utf-8") == GENERATED[name](), behind


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_link_of_a_document_leads_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))  # what stands in code is an example
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["library-format.md", "contracts.md"])
def test_the_example_pages_can_be_imported(name: str) -> None:
    examples = re.findall(r"```markdown\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for text in examples:
        page, _ = read_page(Path("claims/example.md") if "contract:" in text else Path("notes/example.md"), text)
        assert page.warnings == ()
        assert page.contract is None or contract_from(page.contract)


def test_every_key_that_a_contract_needs_is_named_in_its_document() -> None:
    text = (DOCS / "contracts.md").read_text(encoding="utf-8")
    example: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])["contract"]
    for key in ("verifier", "endpoint", "unit", "regions", "design_effect", "regime", "does_not_say"):
        assert f"`{key}`" in text
        with pytest.raises(BadContract, match=key):
            contract_from({name: value for name, value in example.items() if name != key})
