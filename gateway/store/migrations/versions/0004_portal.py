"""portal

Revision: 0004, after: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('account_logins',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('door', sa.String(length=16), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('client', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_account_logins_account_id_accounts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id', 'door', name=op.f('pk_account_logins'))
    )
    op.create_table('first_passwords',
    sa.Column('account_id', sa.Integer(), nullable=False),
    sa.Column('since', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_first_passwords_account_id_accounts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('account_id', name=op.f('pk_first_passwords'))
    )
    op.create_index('ix_reminders_unit_id_state', 'reminders', ['unit_id', 'state'])


def downgrade() -> None:
    op.drop_index('ix_reminders_unit_id_state', 'reminders')
    op.drop_table('first_passwords')
    op.drop_table('account_logins')
