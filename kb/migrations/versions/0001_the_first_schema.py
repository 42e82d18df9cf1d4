"""The first schema"""

import sqlalchemy as sa
from alembic import op


revision: str = '0001'
down_revision: str | None = None


def upgrade() -> None:
    op.create_table('checkpoint',
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('previous', sa.String(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_checkpoint'))
    )
    op.create_table('document',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_document')),
    sa.UniqueConstraint('key', name=op.f('uq_document_key'))
    )
    op.create_table('embedding',
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.Column('vector', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('model', 'digest', name=op.f('pk_embedding'))
    )
    op.create_table('library',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_library'))
    )
    op.create_table('measurement',
    sa.Column('digest', sa.String(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_measurement'))
    )
    op.create_table('run',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('stream', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('verifier', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('profile', sa.String(), nullable=False),
    sa.Column('claims', sa.Text(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('host', sa.String(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('pid_started', sa.Float(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('cpu_seconds', sa.Float(), nullable=False),
    sa.Column('cancel', sa.Boolean(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('running', 'measured', 'error')", name=op.f('ck_run_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run')),
    sa.UniqueConstraint('stream', 'number', name=op.f('uq_run_stream_number'))
    )
    op.create_table('text_state',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('token', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_text_state'))
    )
    op.create_table('document_version',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('document_id', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.Column('reader', sa.String(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('page', sa.Text(), nullable=False),
    sa.Column('imported_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_document_version_document_id_document')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_document_version')),
    sa.UniqueConstraint('document_id', 'number', name=op.f('uq_document_version_document_id_number'))
    )
    with op.batch_alter_table('document_version', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_document_version_document_id'), ['document_id'], unique=False)

    op.create_table('entity',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('slug', sa.String(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('short', sa.String(), nullable=False),
    sa.Column('is_stub', sa.Boolean(), nullable=False),
    sa.Column('version_id', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("kind IN ('note', 'line', 'claim', 'paper')", name=op.f('ck_entity_kind')),
    sa.ForeignKeyConstraint(['version_id'], ['document_version.id'], name=op.f('fk_entity_version_id_document_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entity')),
    sa.UniqueConstraint('slug', name=op.f('uq_entity_slug'))
    )
    with op.batch_alter_table('entity', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_entity_kind'), ['kind'], unique=False)

    op.create_table('claim',
    sa.Column('date_written', sa.String(), nullable=True),
    sa.Column('date_earliest', sa.Date(), nullable=True),
    sa.Column('date_latest', sa.Date(), nullable=True),
    sa.Column('date_approximate', sa.Boolean(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('topics', sa.Text(), nullable=False),
    sa.Column('contract', sa.Text(), nullable=True),
    sa.Column('documentary', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['id'], ['entity.id'], name=op.f('fk_claim_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_claim'))
    )
    with op.batch_alter_table('claim', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_claim_date_latest'), ['date_latest'], unique=False)

    op.create_table('claim_state',
    sa.Column('claim_id', sa.String(), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('standing', sa.String(), nullable=False),
    sa.Column('at_scale', sa.String(), nullable=True),
    sa.Column('fresh_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_run_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('body', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['claim_id'], ['entity.id'], name=op.f('fk_claim_state_claim_id_entity')),
    sa.PrimaryKeyConstraint('claim_id', name=op.f('pk_claim_state'))
    )
    with op.batch_alter_table('claim_state', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_claim_state_standing'), ['standing'], unique=False)

    op.create_table('entity_key',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('entity_id', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_entity_key_entity_id_entity')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_entity_key'))
    )
    with op.batch_alter_table('entity_key', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_entity_key_entity_id'), ['entity_id'], unique=False)

    op.create_table('ledger_entry',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('claim_id', sa.String(), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('previous', sa.String(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['claim_id'], ['entity.id'], name=op.f('fk_ledger_entry_claim_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_entry')),
    sa.UniqueConstraint('claim_id', 'seq', name=op.f('uq_ledger_entry_claim_id_seq'))
    )
    op.create_table('line',
    sa.Column('date_written', sa.String(), nullable=True),
    sa.Column('date_earliest', sa.Date(), nullable=True),
    sa.Column('date_latest', sa.Date(), nullable=True),
    sa.Column('date_approximate', sa.Boolean(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('hook', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('topics', sa.Text(), nullable=False),
    sa.Column('prompt', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['id'], ['entity.id'], name=op.f('fk_line_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_line'))
    )
    with op.batch_alter_table('line', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_line_date_latest'), ['date_latest'], unique=False)

    op.create_table('link',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('source_id', sa.String(), nullable=False),
    sa.Column('target_id', sa.String(), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('sentence', sa.Text(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('stands_in', sa.String(), nullable=True),
    sa.Column('start', sa.Integer(), nullable=True),
    sa.Column('end', sa.Integer(), nullable=True),
    sa.Column('mention_start', sa.Integer(), nullable=True),
    sa.Column('mention_end', sa.Integer(), nullable=True),
    sa.Column('weight', sa.Float(), nullable=True),
    sa.Column('version_id', sa.String(), nullable=True),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("type IN ('states', 'cites', 'leans_on', 'relates', 'extends', 'contradicts', 'supersedes', 'attached', 'suggested')", name=op.f('ck_link_type')),
    sa.CheckConstraint('source_id <> target_id', name=op.f('ck_link_no_loop')),
    sa.ForeignKeyConstraint(['source_id'], ['entity.id'], name=op.f('fk_link_source_id_entity')),
    sa.ForeignKeyConstraint(['stands_in'], ['entity.id'], name=op.f('fk_link_stands_in_entity')),
    sa.ForeignKeyConstraint(['target_id'], ['entity.id'], name=op.f('fk_link_target_id_entity')),
    sa.ForeignKeyConstraint(['version_id'], ['document_version.id'], name=op.f('fk_link_version_id_document_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link'))
    )
    with op.batch_alter_table('link', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_link_source_id_type'), ['source_id', 'type'], unique=False)
        batch_op.create_index(batch_op.f('ix_link_target_id_type'), ['target_id', 'type'], unique=False)

    op.create_table('note',
    sa.Column('date_written', sa.String(), nullable=True),
    sa.Column('date_earliest', sa.Date(), nullable=True),
    sa.Column('date_latest', sa.Date(), nullable=True),
    sa.Column('date_approximate', sa.Boolean(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('hook', sa.Text(), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('original_title', sa.Text(), nullable=False),
    sa.Column('topics', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['id'], ['entity.id'], name=op.f('fk_note_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_note'))
    )
    with op.batch_alter_table('note', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_note_date_latest'), ['date_latest'], unique=False)

    op.create_table('paper',
    sa.Column('date_written', sa.String(), nullable=True),
    sa.Column('date_earliest', sa.Date(), nullable=True),
    sa.Column('date_latest', sa.Date(), nullable=True),
    sa.Column('date_approximate', sa.Boolean(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('arxiv', sa.String(), nullable=True),
    sa.Column('titles', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['id'], ['entity.id'], name=op.f('fk_paper_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_paper')),
    sa.UniqueConstraint('arxiv', name=op.f('uq_paper_arxiv'))
    )
    with op.batch_alter_table('paper', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_paper_date_latest'), ['date_latest'], unique=False)

    op.create_table('passage',
    sa.Column('rowid', sa.Integer(), nullable=False),
    sa.Column('entity_id', sa.String(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_passage_entity_id_entity')),
    sa.PrimaryKeyConstraint('rowid', name=op.f('pk_passage')),
    sa.UniqueConstraint('entity_id', 'ordinal', name=op.f('uq_passage_entity_id_ordinal'))
    )
    with op.batch_alter_table('passage', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_passage_digest'), ['digest'], unique=False)

    op.create_table('slug_redirect',
    sa.Column('slug', sa.String(), nullable=False),
    sa.Column('entity_id', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_slug_redirect_entity_id_entity')),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_slug_redirect'))
    )
    with op.batch_alter_table('slug_redirect', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_slug_redirect_entity_id'), ['entity_id'], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        # The index keeps no text of its own; the triggers tell it what passages say.
        op.execute(
            "CREATE VIRTUAL TABLE passage_text USING fts5("
            "text, content='passage', content_rowid='rowid', tokenize='porter unicode61 remove_diacritics 2')"
        )
        put = "INSERT INTO passage_text(rowid, text) VALUES (new.rowid, new.text);"
        drop = "INSERT INTO passage_text(passage_text, rowid, text) VALUES ('delete', old.rowid, old.text);"
        op.execute(f"CREATE TRIGGER passage_put AFTER INSERT ON passage BEGIN {put} END")
        op.execute(f"CREATE TRIGGER passage_drop AFTER DELETE ON passage BEGIN {drop} END")
        op.execute(f"CREATE TRIGGER passage_change AFTER UPDATE OF text ON passage BEGIN {drop} {put} END")
    else:
        # No stop words: what is worth looking for is decided by the search, and FTS5 has none either.
        schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        op.execute(f"CREATE TEXT SEARCH DICTIONARY {schema}.stillholds_stem (TEMPLATE = snowball, LANGUAGE = english)")
        op.execute(f"CREATE TEXT SEARCH CONFIGURATION {schema}.stillholds (COPY = pg_catalog.english)")
        op.execute(f"ALTER TEXT SEARCH CONFIGURATION {schema}.stillholds ALTER MAPPING REPLACE english_stem WITH {schema}.stillholds_stem")
        # Plain letters and digits, so that words are cut as FTS5 cuts them: no accents, hyphens, addresses, decimals.
        unaccented = r"regexp_replace(normalize(text, NFKD), '[\u0300-\u036f]+', '', 'g')"
        plain = rf"regexp_replace({unaccented}, '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f]+', ' ', 'g')"
        op.execute(
            f"ALTER TABLE passage ADD COLUMN words tsvector "
            f"GENERATED ALWAYS AS (to_tsvector('{schema}.stillholds'::regconfig, {plain})) STORED"
        )
        op.execute("CREATE INDEX ix_passage_words ON passage USING gin (words)")
