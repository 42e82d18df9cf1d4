"""Ids of papers as arXiv writes them: `math.GT/0309136` is `math/0309136`

What a page says stays as it was written; what a reader made of it is what the reader makes of it now. Titles and
addresses that were made of an id follow when pages are brought in next.
"""

import json
import re
from typing import Any

import sqlalchemy as sa
from alembic import op


revision: str = '0005'
down_revision: str | None = '0004'

OLD = re.compile(r'([a-z-]+)(?:\.[a-z]{2})?(/\d{7})', re.IGNORECASE)
KEY = 'paper:arxiv:'

paper = sa.table('paper', sa.column('id'), sa.column('arxiv'), sa.column('titles', sa.Text()))
entity = sa.table('entity', sa.column('id'), sa.column('slug'), sa.column('version_id'))
entity_key = sa.table('entity_key', sa.column('key', sa.String()), sa.column('entity_id'))
version = sa.table('document_version', sa.column('id'), sa.column('page', sa.Text()))
check = sa.table('arxiv_check', sa.column('entity_id'), sa.column('asked_for'))
redirect = sa.table('slug_redirect', sa.column('slug'), sa.column('entity_id'))
passage = sa.table('passage', sa.column('entity_id'))
link = sa.table('link', sa.column('source_id'), sa.column('target_id'), sa.column('stands_in'))


def upgrade() -> None:
    run = op.get_bind().execute
    for key, page in run(sa.select(version.c.id, version.c.page).where(version.c.page.contains('/'))).all():
        _read_again(key, json.loads(page))
    for (key,) in run(sa.select(entity_key.c.key).where(entity_key.c.key.startswith(KEY))).all():
        _rename_key(key)
    for entity_id, said in run(sa.select(check.c.entity_id, check.c.asked_for)).all():
        if canonical(said) != said:
            run(sa.update(check).where(check.c.entity_id == entity_id).values(asked_for=canonical(said)))
    ids = run(sa.select(paper.c.id, paper.c.arxiv).where(paper.c.arxiv.is_not(None)).order_by(paper.c.id)).all()
    for entity_id, said in ids:
        if canonical(said) != said:
            _rename_paper(entity_id, canonical(said))


def canonical(arxiv: str) -> str:
    found = OLD.fullmatch(arxiv)
    return f'{found[1]}{found[2]}'.lower() if found else arxiv


def _read_again(key: str, page: dict[str, Any]) -> None:
    named = [one for one in (page, *page.get('refs', ())) if one.get('arxiv')]
    if any(canonical(one['arxiv']) != one['arxiv'] for one in named):
        for one in named:
            one['arxiv'] = canonical(one['arxiv'])
        said = json.dumps(page, sort_keys=True, ensure_ascii=False)
        op.get_bind().execute(sa.update(version).where(version.c.id == key).values(page=said))


def _rename_key(key: str) -> None:
    run, new = op.get_bind().execute, f'{KEY}{canonical(key.removeprefix(KEY))}'
    if new != key and run(sa.select(entity_key.c.key).where(entity_key.c.key == new)).first():
        run(sa.delete(entity_key).where(entity_key.c.key == key))  # the two papers become one
    elif new != key:
        run(sa.update(entity_key).where(entity_key.c.key == key).values(key=new))


def _rename_paper(entity_id: str, arxiv: str) -> None:
    """Give a paper its id; where another one has it, the two become one: the one that a page names."""
    run = op.get_bind().execute
    other = run(sa.select(paper.c.id).where(paper.c.arxiv == arxiv)).scalar()
    kept = entity_id
    if other is not None:
        pages = dict(run(sa.select(entity.c.id, entity.c.version_id).where(entity.c.id.in_([entity_id, other]))).all())
        kept = other if pages[other] or not pages[entity_id] else entity_id
        _join(kept, entity_id if kept == other else other)
    run(sa.update(paper).where(paper.c.id == kept).values(arxiv=arxiv))


def _join(kept: str, gone: str) -> None:
    """Let one paper be another: whatever leads to it, or from it, leads to that one."""
    run = op.get_bind().execute
    titles = [title for said in run(sa.select(paper.c.titles).where(paper.c.id.in_([kept, gone]))).scalars() for title in json.loads(said)]
    run(sa.update(paper).where(paper.c.id == kept).values(titles=json.dumps(sorted(set(titles)), ensure_ascii=False)))
    both = {kept, gone}
    run(sa.delete(link).where(link.c.source_id.in_(both), link.c.target_id.in_(both)))
    for table, names in ((link, ('source_id', 'target_id', 'stands_in')), (entity_key, ('entity_id',)), (redirect, ('entity_id',))):
        for name in names:
            run(sa.update(table).where(table.c[name] == gone).values({name: kept}))
    for table, name in ((passage, 'entity_id'), (check, 'entity_id'), (paper, 'id')):
        run(sa.delete(table).where(table.c[name] == gone))
    slug = run(sa.select(entity.c.slug).where(entity.c.id == gone)).scalar()
    run(sa.delete(entity).where(entity.c.id == gone))
    if slug is not None:
        run(sa.insert(redirect).values(slug=slug, entity_id=kept))
