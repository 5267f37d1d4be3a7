"""status

Revision: 0003, after: 0002
"""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def _recreate() -> Literal['always', 'never']:
    """SQLite keeps the text of a table; made anew it is the same as that of a new database."""
    return 'always' if op.get_bind().dialect.name == 'sqlite' else 'never'


def _defaults() -> tuple[sa.Column[str], ...]:
    """SQLite gives defaults back in brackets; told so, it writes them as a new database has them."""
    return tuple(
        sa.Column(name, sa.Text(), server_default='', nullable=False)
        for name in ('signed_by', 'signed_way')
    )


_OPEN = sa.text("state = 'consigned' AND deadline IS NOT NULL")
_NUMBERED = sa.text("number <> ''")


def upgrade() -> None:
    with op.batch_alter_table(
        'deliveries', recreate=_recreate(), reflect_args=_defaults()
    ) as table:
        table.add_column(sa.Column('deadline', sa.BigInteger(), nullable=True))
    op.execute(
        'UPDATE deliveries SET deadline = (SELECT documents.deadline FROM documents'
        ' WHERE documents.id = deliveries.document_id)'
    )
    op.create_index(
        'ix_deliveries_open', 'deliveries', ['deadline', 'document_id'],
        sqlite_where=_OPEN, postgresql_where=_OPEN,
    )
    op.create_index(op.f('ix_documents_message_id'), 'documents', ['message_id'])
    op.create_index(
        op.f('ix_documents_number'), 'documents', ['number'],
        sqlite_where=_NUMBERED, postgresql_where=_NUMBERED,
    )
    op.create_index(op.f('ix_refusals_message_id'), 'refusals', ['message_id'])
    op.drop_index('ix_documents_parts', table_name='documents')
    op.create_index(
        'ix_documents_parts', 'documents', ['mail_from', 'parts_digest', 'received_at']
    )


def downgrade() -> None:
    op.drop_index('ix_documents_parts', table_name='documents')
    op.create_index('ix_documents_parts', 'documents', ['mail_from', 'parts_digest'])
    op.drop_index(op.f('ix_refusals_message_id'), table_name='refusals')
    op.drop_index(op.f('ix_documents_number'), table_name='documents')
    op.drop_index(op.f('ix_documents_message_id'), table_name='documents')
    op.drop_index('ix_deliveries_open', table_name='deliveries')
    with op.batch_alter_table(
        'deliveries', recreate=_recreate(), reflect_args=_defaults()
    ) as table:
        table.drop_column('deadline')
