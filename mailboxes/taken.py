"""What an account has deleted by POP3: hidden from its own POP3 view, and there for all others.

This is the one place of the rule, and it is the same for every mailbox. A unit's INBOX is its file
cabinet: the colleague, the leader and the archive read it by IMAP, and mail programs delete what
they have fetched unless somebody thinks of a box to tick. So POP3 may never empty it. A person's
own INBOX holds documents too, and the one copy on a PC's disk is no place for them. Whoever wants
a message gone deletes it by IMAP, where everybody sees that.

A message keeps its id when it is moved, so one that comes back to INBOX stays hidden; its rows go
with the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from mailboxes.folders import chunks
from mailboxes.prepared import Prepared
from mailboxes.rows import milliseconds
from mailboxes.tables import Tables


class Taken:
    """Every method takes the caller's connection, as those of the store do."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        messages, taken = tables.messages, tables.pop3_taken
        self._of = Prepared(
            select(taken.c.message_id)
            .join(messages, messages.c.id == taken.c.message_id)
            .where(
                taken.c.account == bindparam("account"),
                messages.c.folder_id == bindparam("folder"),
            )
        )

    def of(self, conn: Connection, folder_id: int, account: str) -> frozenset[int]:
        """The ids of the messages in that folder that the account has taken."""
        return frozenset(self._of.scalars(conn, {"account": account, "folder": folder_id}))

    def take(
        self, conn: Connection, folder_id: int, uids: Sequence[int], account: str, now: datetime
    ) -> int:
        """Hide messages from the account; how many that were not so already.

        They are named by UID, since SQLite may give the id of one that is gone to new mail.
        Those that are not in the folder any more are left out: under the folder's lock nobody
        can remove one in between, and no other session of the account can take it.
        """
        folders, messages, taken = (
            self._tables.folders, self._tables.messages, self._tables.pop3_taken,
        )  # fmt: skip
        conn.execute(select(folders.c.id).where(folders.c.id == folder_id).with_for_update())
        there: set[int] = set()
        for some in chunks(uids):
            there.update(
                conn.scalars(
                    select(messages.c.id).where(
                        messages.c.folder_id == folder_id, messages.c.uid.in_(some)
                    )
                )
            )
        fresh = sorted(there - self.of(conn, folder_id, account))
        if fresh:
            moment = milliseconds(now)
            conn.execute(
                insert(taken),
                [{"message_id": one, "account": account, "taken": moment} for one in fresh],
            )
        return len(fresh)

    def give_back(self, conn: Connection, account: str) -> int:
        """Show the account again all that it has taken, for a new PC; how many messages."""
        taken = self._tables.pop3_taken
        return conn.execute(delete(taken).where(taken.c.account == account)).rowcount
