"""acts

Revision: 0007, after: 0006
"""

import time
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

_TEXTS = ('returned_by', 'returned_way', 'returned_reason')


def _recreate() -> Literal['always', 'never']:
    """SQLite keeps the text of a table; made anew it is the same as that of a new database."""
    return 'always' if op.get_bind().dialect.name == 'sqlite' else 'never'


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default='', nullable=False)


def _defaults(*more: str) -> tuple[sa.Column[str], ...]:
    """SQLite gives defaults back in brackets; told so, it writes them as a new database has them."""
    return tuple(_text(name) for name in ('signed_by', 'signed_way', *more))


# Special use, name in Chinese, name in English of the folders that mailboxes have from now on.
_FOLDERS = (
    ('\\Drafts', '草稿', 'Drafts'), ('\\Archive', '归档', 'Archive'), ('', '待签收', 'To sign'),
    ('', '已签收', 'Signed'), ('', '待办', 'To do'), ('', '退文', 'Returned'),
)
_OWNERS = sa.table(
    'mailbox_owners', sa.column('id', sa.Integer()), sa.column('uidvalidity', sa.BigInteger()),
)
_PLACES = sa.table(
    'mailbox_folders', sa.column('owner_id', sa.Integer()), sa.column('name', sa.Text()),
    sa.column('special_use', sa.Text()), sa.column('subscribed', sa.Boolean()),
    sa.column('uidvalidity', sa.BigInteger()), sa.column('uidnext', sa.BigInteger()),
    sa.column('modseq', sa.BigInteger()), sa.column('created', sa.BigInteger()),
)


def _add_folders() -> None:
    """Give every mailbox those folders that it lacks, in the language of the others."""
    connection, now = op.get_bind(), int(time.time())
    there: dict[int, set[str]] = {}
    for row in connection.execute(sa.select(_PLACES.c.owner_id, _PLACES.c.name)):
        there.setdefault(row.owner_id, set()).add(row.name)
    for owner in connection.execute(sa.select(_OWNERS)).all():
        names = there.get(owner.id, set())
        english = 'Sent' in names and '已发送' not in names
        missing = [
            (use, en if english else zh) for use, zh, en in _FOLDERS if names.isdisjoint((zh, en))
        ]
        if not missing:
            continue
        uidvalidity = max(now, owner.uidvalidity + 1)
        connection.execute(
            sa.update(_OWNERS).where(_OWNERS.c.id == owner.id).values(uidvalidity=uidvalidity)
        )
        connection.execute(sa.insert(_PLACES), [
            {'owner_id': owner.id, 'name': name, 'special_use': use, 'subscribed': True,
             'uidvalidity': uidvalidity, 'uidnext': 1, 'modseq': 1, 'created': now * 1000}
            for use, name in missing
        ])


def upgrade() -> None:
    op.create_table('tracked_documents',
    sa.Column('document_id', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['documents.id'], name=op.f('fk_tracked_documents_document_id_documents')),
    sa.PrimaryKeyConstraint('document_id', name=op.f('pk_tracked_documents'))
    )
    with op.batch_alter_table(
        'deliveries', recreate=_recreate(), reflect_args=_defaults()
    ) as table:
        table.add_column(sa.Column('returned_at', sa.BigInteger(), nullable=True))
        for name in _TEXTS:
            table.add_column(_text(name))
    _add_folders()


def downgrade() -> None:
    with op.batch_alter_table(
        'deliveries', recreate=_recreate(), reflect_args=_defaults(*_TEXTS)
    ) as table:
        for name in ('returned_at', *_TEXTS):
            table.drop_column(name)
    op.drop_table('tracked_documents')
