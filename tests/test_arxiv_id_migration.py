"""A library from before ids of papers were kept as arXiv writes them: upgraded, it knows each paper once."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData
from sqlmodel import select

from kb import arxiv_papers
from kb.location import Location, location_from
from kb.models import ArxivCheck, DocumentVersion, Entity, Link, Paper
from kb.read import find
from kb.sources.files import read_page
from kb.store import MIGRATIONS, Store
from tests.kb_support import NOON, bring_in, contents, is_sound, write

TEXT = """---
papers:
- arXiv:math.GT/0309136v2 \u2013 On Hives
- arXiv:math.AG/0101001 \u2013 On Combs
---
# A note

It rests on arXiv:math.GT/0309136.
"""
AS_READ = {"math/0309136": "math.GT/0309136", "math/0101001": "math.AG/0101001"}


def rows_of(page: Path) -> dict[str, list[dict[str, Any]]]:
    """A note that names two old ids, and the first of them attached under the id that arXiv writes."""
    read, reader = read_page(page, TEXT)
    said = json.dumps(read.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    for now, then in AS_READ.items():
        said = said.replace(f'"arxiv": "{now}"', f'"arxiv": "{then}"')
    assert said.count('"math.') == 2
    entity = {"short": "", "is_stub": False, "version_id": "v", "created_at": NOON, "updated_at": NOON}
    names = {"note": "a-note", "hives": "on-hives", "combs": "on-combs", "attached": "arxiv-math-0309136"}
    dates = {"date_approximate": False, "body": ""}
    link = {"sentence": "", "label": "", "position": 0, "created_at": NOON}
    return {
        "document": [{"id": "page", "key": "note:a note", "source": str(page), "created_at": NOON}],
        "document_version": [
            {"id": "v", "document_id": "page", "number": 1, "digest": hashlib.sha256(TEXT.encode()).hexdigest()}
            | {"reader": reader, "text": TEXT, "page": said, "imported_at": NOON}
        ],
        "entity": [
            {**entity, "id": key, "kind": "note" if key == "note" else "paper", "slug": slug, "title": slug}
            | ({"version_id": None} if key == "attached" else {})
            for key, slug in names.items()
        ],
        "note": [{"id": "note", **dates, "hook": "", "summary": "", "original_title": "", "topics": "[]"}],
        "paper": [
            {"id": "hives", "arxiv": "math.GT/0309136", "titles": '["On Hives"]', **dates},
            {"id": "combs", "arxiv": "math.AG/0101001", "titles": '["On Combs"]', **dates},
            {"id": "attached", "arxiv": "math/0309136", "titles": '["On Hives and Their Walls"]', **dates},
        ],
        "entity_key": [
            {"key": "note:a note", "entity_id": "note"},
            {"key": "paper:arxiv:math.GT/0309136", "entity_id": "hives"},
            {"key": "paper:title:on hives", "entity_id": "hives"},
            {"key": "paper:arxiv:math.AG/0101001", "entity_id": "combs"},
            {"key": "paper:arxiv:math/0309136", "entity_id": "attached"},
        ],
        "slug_redirect": [{"slug": "walls", "entity_id": "attached"}],
        "passage": [{"rowid": 1, "entity_id": "attached", "ordinal": 0, "text": "walls", "digest": "d"}],
        "link": [
            {**link, "id": "1", "source_id": "note", "target_id": "hives", "type": "cites", "version_id": "v"},
            {**link, "id": "2", "source_id": "attached", "target_id": "note", "type": "attached", "version_id": None},
            {**link, "id": "3", "source_id": "attached", "target_id": "hives", "type": "attached", "version_id": None},
        ],
        "arxiv_check": [
            {"entity_id": "hives", "asked_for": "math.GT/0309136", "outcome": "found", "proposals": "[]"}
            | {"checked_at": NOON}
        ],
    }


def old_library(location: Location, page: Path) -> None:
    config, tables = Config(), MetaData()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = Store(location).engine
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        tables.reflect(connection)
        for name, rows in rows_of(page).items():
            for row in rows:
                connection.execute(tables.tables[name].insert(), row)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "sqlite":
        return Location.of(tmp_path / "library.db")
    return location_from(request.getfixturevalue("postgres").fresh(), {})


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
def test_an_upgraded_library_knows_each_paper_once_by_the_id_that_arxiv_writes(
    location: Location, tmp_path: Path
) -> None:
    page = write(tmp_path / "notes" / "a-note.md", TEXT)
    old_library(location, page)
    store = Store.create(location)
    with store.reading() as session:
        assert dict(session.exec(select(Paper.id, Paper.arxiv)).all()) == {
            "hives": "math/0309136",
            "combs": "math/0101001",
        }
        assert session.get_one(Paper, "hives").titles == ["On Hives", "On Hives and Their Walls"]
        assert arxiv_papers.named(session) == {"math/0101001": ["combs"], "math/0309136": ["hives"]}
        links = {(link.source_id, link.target_id, link.type) for link in session.exec(select(Link))}
        assert links == {("note", "hives", "cites"), ("hives", "note", "attached")}
        assert {find(session, slug).id for slug in ("on-hives", "arxiv-math-0309136", "walls")} == {"hives"}
        assert session.get_one(ArxivCheck, "hives").asked_for == "math/0309136"
        assert session.get_one(DocumentVersion, "v").text == TEXT  # a page says what it said
    assert bring_in(store, page).unchanged == [page]
    other = write(tmp_path / "notes" / "another.md", "---\npapers: ['math.GT/0309136']\n---\n# Another\n\nText.\n")
    assert bring_in(store, other).refused == []
    with store.reading() as session:
        assert sorted(session.exec(select(Entity.id).where(Entity.kind == "paper"))) == ["combs", "hives"]
    assert [link[:2] for link in contents(store)["links"] if ("type", "attached") in link[3]] == [
        ("on-hives", "a-note")
    ]
    assert location.path is None or is_sound(location.path)
    store.engine.dispose()
