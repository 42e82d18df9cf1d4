"""Tasks, workers and attempts"""

import sqlalchemy as sa
from alembic import op


revision: str = '0002'
down_revision: str | None = '0001'


def upgrade() -> None:
    op.create_table('task',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('job', sa.Text(), nullable=False),
    sa.Column('claims', sa.Text(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('cause', sa.Text(), nullable=False),
    sa.Column('asked_by', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('cancel', sa.Boolean(), nullable=False),
    sa.Column('worker', sa.String(), nullable=True),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f('ck_task_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_task'))
    )
    op.create_index(op.f('ix_task_key'), 'task', ['key'])
    op.create_index(op.f('ix_task_state'), 'task', ['state'])
    op.create_table('worker',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('host', sa.String(), nullable=False),
    sa.Column('pid', sa.Integer(), nullable=False),
    sa.Column('pid_started', sa.Float(), nullable=False),
    sa.Column('version', sa.String(), nullable=False),
    sa.Column('slots', sa.Integer(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_worker'))
    )
    op.create_table('schedule',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('settings', sa.Text(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('looked_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_schedule'))
    )
    with op.batch_alter_table('run') as run:
        run.add_column(sa.Column('attempt', sa.Integer(), nullable=False, server_default='1'))
        run.add_column(sa.Column('task_id', sa.String(), nullable=True))
        run.drop_constraint('uq_run_stream_number', type_='unique')
        run.create_unique_constraint(op.f('uq_run_stream_number_attempt'), ['stream', 'number', 'attempt'])
        run.create_index(op.f('ix_run_task_id'), ['task_id'])
    with op.batch_alter_table('run') as run:
        run.alter_column('attempt', server_default=None)
    op.execute('DELETE FROM claim_state')  # a cache of folds that have changed: made again when the library is opened next
    with op.batch_alter_table('claim_state') as state:
        state.add_column(sa.Column('verifier_code', sa.String(), nullable=True))
        state.add_column(sa.Column('environment', sa.String(), nullable=True))
        state.add_column(sa.Column('waiting', sa.Text(), nullable=True))
        state.add_column(sa.Column('flips', sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute('DELETE FROM claim_state')
    with op.batch_alter_table('claim_state') as state:
        state.drop_column('flips')
        state.drop_column('waiting')
        state.drop_column('environment')
        state.drop_column('verifier_code')
    op.execute('DELETE FROM run WHERE attempt > 1')
    with op.batch_alter_table('run') as run:
        run.drop_index(op.f('ix_run_task_id'))
        run.drop_constraint('uq_run_stream_number_attempt', type_='unique')
        run.create_unique_constraint(op.f('uq_run_stream_number'), ['stream', 'number'])
        run.drop_column('task_id')
        run.drop_column('attempt')
    op.drop_table('schedule')
    op.drop_table('worker')
    op.drop_table('task')
