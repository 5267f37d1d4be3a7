"""pop3

Revision: 0008, after: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('mailbox_pop3_taken',
    sa.Column('account', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Integer(), nullable=False),
    sa.Column('taken', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['message_id'], ['mailbox_messages.id'], name=op.f('fk_mailbox_pop3_taken_message_id_mailbox_messages'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account', 'message_id', name=op.f('pk_mailbox_pop3_taken'))
    )
    op.create_index(op.f('ix_mailbox_pop3_taken_message_id'), 'mailbox_pop3_taken', ['message_id'], unique=False)


def downgrade() -> None:
    op.drop_table('mailbox_pop3_taken')
