"""News and ranks of papers, and what was handed on"""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op


revision: str = '0004'
down_revision: str | None = '0003'

NEWS_SCORE = 2  # what a suggestion that told news had as its score


def upgrade() -> None:
    with op.batch_alter_table('arxiv_event') as event:
        event.add_column(sa.Column('is_handed_on', sa.Boolean(), nullable=False, server_default=sa.true()))
        event.create_index(op.f('ix_arxiv_event_is_handed_on'), ['is_handed_on'])
    with op.batch_alter_table('arxiv_event') as event:
        event.alter_column('is_handed_on', server_default=None)
    with op.batch_alter_table('arxiv_query') as query:
        query.add_column(sa.Column('looked_back_at', sa.DateTime(timezone=True), nullable=True))
    op.execute('UPDATE arxiv_query SET looked_back_at = reached_at')
    _hand_on_again_what_was_under_way()
    with op.batch_alter_table('suggestion') as suggestion:
        suggestion.add_column(sa.Column('rank', sa.Integer(), nullable=False, server_default='0'))
        suggestion.add_column(sa.Column('news', sa.Text(), nullable=True))
    with op.batch_alter_table('suggestion') as suggestion:
        suggestion.alter_column('rank', server_default=None)
    _move_news()
    # What nobody is asked to read had its score lessened by one, and has no rank now.
    op.execute(f"""
        UPDATE suggestion SET rank = ranked.rank FROM (
            SELECT claim_id, suggestion.arxiv AS arxiv, row_number() OVER (
                PARTITION BY claim_id, {_week()} ORDER BY score DESC, suggestion.arxiv
            ) AS rank
            FROM suggestion JOIN arxiv_paper ON arxiv_paper.arxiv = suggestion.arxiv
            WHERE match IS NOT NULL AND score >= 0
        ) AS ranked WHERE ranked.claim_id = suggestion.claim_id AND ranked.arxiv = suggestion.arxiv
    """)
    op.execute('UPDATE suggestion SET score = score + 1 WHERE score < 0')


def _hand_on_again_what_was_under_way() -> None:
    """What came since the oldest pull that was not over began; one that was in, and only to be handed on, is over now."""
    query, event = (
        sa.table('arxiv_query', sa.column('id'), sa.column('under_way')),
        sa.table('arxiv_event', sa.column('seen_at', sa.DateTime(timezone=True)), sa.column('is_handed_on', sa.Boolean())),
    )
    run = op.get_bind()
    began = []
    for key, said in run.execute(sa.select(query.c.id, query.c.under_way).where(query.c.under_way.is_not(None))).all():
        way = json.loads(said)
        began.append(datetime.fromisoformat(way['began_at']))
        kept = None if way.pop('is_in') else json.dumps(way, sort_keys=True, ensure_ascii=False)
        run.execute(sa.update(query).where(query.c.id == key).values(under_way=kept))
    if began:
        run.execute(sa.update(event).where(event.c.seen_at >= min(began)).values(is_handed_on=False))


def _move_news() -> None:
    """News stood where matches stand."""
    row = sa.table('suggestion', *map(sa.column, ('claim_id', 'arxiv', 'score', 'match', 'news')))
    run = op.get_bind()
    for found in run.execute(sa.select(row).where(row.c.score >= NEWS_SCORE)).all():
        said = json.loads(found.match)
        news = json.dumps({'event': said['event'], 'relation': '', 'version': said['version']})
        mine = sa.and_(row.c.claim_id == found.claim_id, row.c.arxiv == found.arxiv)
        run.execute(sa.update(row).where(mine).values(news=news, match=None, score=0))


def _week() -> str:
    """The ISO week in which a paper came, in the words of each database."""
    if op.get_bind().dialect.name == 'postgresql':
        return "to_char(arxiv_paper.seen_at AT TIME ZONE 'UTC', 'IYYY-IW')"
    return "date(arxiv_paper.seen_at, 'weekday 0', '-6 days')"  # its Monday
