"""Papers from arXiv"""

import sqlalchemy as sa
from alembic import op


revision: str = '0003'
down_revision: str | None = '0002'


def upgrade() -> None:
    op.create_table('arxiv_check',
    sa.Column('entity_id', sa.String(), nullable=False),
    sa.Column('asked_for', sa.Text(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('proposals', sa.Text(), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('entity_id', name=op.f('pk_arxiv_check'))
    )
    op.create_table('arxiv_paper',
    sa.Column('arxiv', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('authors', sa.Text(), nullable=False),
    sa.Column('abstract', sa.Text(), nullable=False),
    sa.Column('categories', sa.Text(), nullable=False),
    sa.Column('comment', sa.Text(), nullable=False),
    sa.Column('doi', sa.String(), nullable=False),
    sa.Column('journal', sa.Text(), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('is_withdrawn', sa.Boolean(), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('arxiv', name=op.f('pk_arxiv_paper'))
    )
    op.create_index(op.f('ix_arxiv_paper_seen_at'), 'arxiv_paper', ['seen_at'])
    op.create_table('arxiv_query',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('terms', sa.Text(), nullable=False),
    sa.Column('is_on', sa.Boolean(), nullable=False),
    sa.Column('made_by', sa.String(), nullable=False),
    sa.Column('made_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reached_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('under_way', sa.Text(), nullable=True),
    sa.Column('pulled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_arxiv_query')),
    sa.UniqueConstraint('name', name=op.f('uq_arxiv_query_name'))
    )
    op.create_table('arxiv_event',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('arxiv', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("kind IN ('new', 'new version', 'withdrawn', 'returned')", name=op.f('ck_arxiv_event_kind')),
    sa.ForeignKeyConstraint(['arxiv'], ['arxiv_paper.arxiv'], name=op.f('fk_arxiv_event_arxiv_arxiv_paper')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_arxiv_event')),
    sa.UniqueConstraint('arxiv', 'number', name=op.f('uq_arxiv_event_arxiv_number'))
    )
    op.create_index(op.f('ix_arxiv_event_seen_at'), 'arxiv_event', ['seen_at'])
    op.create_table('arxiv_found',
    sa.Column('query_id', sa.String(), nullable=False),
    sa.Column('arxiv', sa.String(), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['arxiv'], ['arxiv_paper.arxiv'], name=op.f('fk_arxiv_found_arxiv_arxiv_paper')),
    sa.ForeignKeyConstraint(['query_id'], ['arxiv_query.id'], name=op.f('fk_arxiv_found_query_id_arxiv_query')),
    sa.PrimaryKeyConstraint('query_id', 'arxiv', name=op.f('pk_arxiv_found'))
    )
    op.create_index(op.f('ix_arxiv_found_arxiv'), 'arxiv_found', ['arxiv'])
    op.create_table('suggestion',
    sa.Column('claim_id', sa.String(), nullable=False),
    sa.Column('arxiv', sa.String(), nullable=False),
    sa.Column('score', sa.Float(), nullable=False),
    sa.Column('match', sa.Text(), nullable=True),
    sa.Column('matcher', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('new', 'attached', 'dismissed', 'snoozed')", name=op.f('ck_suggestion_state')),
    sa.ForeignKeyConstraint(['arxiv'], ['arxiv_paper.arxiv'], name=op.f('fk_suggestion_arxiv_arxiv_paper')),
    sa.ForeignKeyConstraint(['claim_id'], ['entity.id'], name=op.f('fk_suggestion_claim_id_entity')),
    sa.PrimaryKeyConstraint('claim_id', 'arxiv', name=op.f('pk_suggestion'))
    )
    op.create_index(op.f('ix_suggestion_arxiv'), 'suggestion', ['arxiv'])
    op.create_index(op.f('ix_suggestion_claim_id_state'), 'suggestion', ['claim_id', 'state'])


def downgrade() -> None:
    op.drop_table('suggestion')
    op.drop_table('arxiv_found')
    op.drop_table('arxiv_event')
    op.drop_table('arxiv_query')
    op.drop_table('arxiv_paper')
    op.drop_table('arxiv_check')
