"""imap

Revision: 0005, after: 0004
"""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

_OF_FOLDER = 'FROM mailbox_messages AS m {} WHERE m.folder_id = mailbox_folders.id'


def _recreate() -> Literal['always', 'never']:
    """SQLite keeps the text of a table; made anew it is the same as that of a new database."""
    return 'always' if op.get_bind().dialect.name == 'sqlite' else 'never'


def upgrade() -> None:
    op.create_table('mailbox_subscriptions',
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('subscribed', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('account', 'name', name=op.f('pk_mailbox_subscriptions'))
    )
    op.create_table('mailbox_acl',
    sa.Column('folder_id', sa.Integer(), nullable=False),
    sa.Column('identifier', sa.Text(), nullable=False),
    sa.Column('rights', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['folder_id'], ['mailbox_folders.id'], name=op.f('fk_mailbox_acl_folder_id_mailbox_folders'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('folder_id', 'identifier', name=op.f('pk_mailbox_acl'))
    )
    op.create_table('mailbox_seen',
    sa.Column('message_id', sa.Integer(), nullable=False),
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('seen', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['mailbox_messages.id'], name=op.f('fk_mailbox_seen_message_id_mailbox_messages'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('message_id', 'account', name=op.f('pk_mailbox_seen'))
    )
    with op.batch_alter_table('mailbox_contents', recreate=_recreate()) as table:
        table.add_column(sa.Column('header', sa.LargeBinary(), nullable=True))
    with op.batch_alter_table('mailbox_folders', recreate=_recreate()) as table:
        table.add_column(sa.Column('messages', sa.Integer(), server_default='0', nullable=False))
        table.add_column(sa.Column('octets', sa.BigInteger(), server_default='0', nullable=False))
        table.add_column(sa.Column('recent', sa.BigInteger(), server_default='1', nullable=False))
    op.execute(
        'UPDATE mailbox_folders SET'
        f' messages = (SELECT COUNT(*) {_OF_FOLDER.format("")}),'
        ' octets = (SELECT COALESCE(SUM(c.size), 0) '
        + _OF_FOLDER.format('JOIN mailbox_contents AS c ON c.id = m.content_id') + ')'
    )
    with op.batch_alter_table('mailbox_owners', recreate=_recreate()) as table:
        table.add_column(sa.Column('quota', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('mailbox_owners') as table:
        table.drop_column('quota')
    with op.batch_alter_table('mailbox_folders') as table:
        table.drop_column('recent')
        table.drop_column('octets')
        table.drop_column('messages')
    with op.batch_alter_table('mailbox_contents') as table:
        table.drop_column('header')
    op.drop_table('mailbox_seen')
    op.drop_table('mailbox_acl')
    op.drop_table('mailbox_subscriptions')
