"""search

Revision: 0006, after: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

# As `mailboxes.search_tables` makes them.
_GRAMS = {
    'sqlite': (
        "CREATE VIRTUAL TABLE mailbox_grams USING fts5(title, body, title_short, body_short,"
        " content='', tokenize='ascii')",
    ),
    'postgresql': (
        'CREATE TABLE mailbox_grams (id INTEGER PRIMARY KEY REFERENCES mailbox_texts (id)'
        ' ON DELETE CASCADE, grams TEXT[] COLLATE "C" NOT NULL)',
        'CREATE INDEX ix_mailbox_grams_grams ON mailbox_grams USING gin (grams)',
    ),
}


def upgrade() -> None:
    op.create_table('mailbox_texts',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('blob', sa.Text(), nullable=True),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('created', sa.BigInteger(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_mailbox_texts')),
    sa.UniqueConstraint('blob', name=op.f('uq_mailbox_texts_blob'))
    )
    op.create_index(op.f('ix_mailbox_texts_key'), 'mailbox_texts', ['key'], unique=False)
    op.create_table('mailbox_heads',
    sa.Column('content_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('text_id', sa.Integer(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=True),
    sa.Column('from', sa.Text(), nullable=True),
    sa.Column('to', sa.Text(), nullable=True),
    sa.Column('cc', sa.Text(), nullable=True),
    sa.Column('bcc', sa.Text(), nullable=True),
    sa.Column('head', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['content_id'], ['mailbox_contents.id'], name=op.f('fk_mailbox_heads_content_id_mailbox_contents'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['text_id'], ['mailbox_texts.id'], name=op.f('fk_mailbox_heads_text_id_mailbox_texts')),
    sa.PrimaryKeyConstraint('content_id', name=op.f('pk_mailbox_heads'))
    )
    op.create_index(op.f('ix_mailbox_heads_text_id'), 'mailbox_heads', ['text_id'], unique=False)
    for statement in _GRAMS[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table('unread_attachments',
    sa.Column('document_id', sa.Text(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('part', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('reading', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['documents.id'], name=op.f('fk_unread_attachments_document_id_documents')),
    sa.PrimaryKeyConstraint('document_id', 'ordinal', name=op.f('pk_unread_attachments'))
    )


def downgrade() -> None:
    op.drop_table('unread_attachments')
    op.execute('DROP TABLE mailbox_grams')
    op.drop_table('mailbox_heads')
    op.drop_table('mailbox_texts')
