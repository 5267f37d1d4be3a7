"""The maildrop: what one session sees of INBOX, from its login to its end.

Several sessions of one account may be there at once, since each has a snapshot and none holds a
lock: RFC 1939's lock is for a server that removes messages, and nothing is removed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailboxes.imap.account import Account
from mailboxes.imap.folder_view import FolderView, Row
from mailboxes.imap.places import demand, locate
from mailboxes.imap.ports import Refusal
from mailboxes.pop3.services import Services
from mailboxes.tree import INBOX


@dataclass(slots=True)
class Drop:
    """Message 1 is `rows[0]`."""

    view: FolderView
    rows: tuple[Row, ...]
    unread: set[int]  # ids of those that a RETR marks as read
    marked: set[int] = field(default_factory=set)  # numbers, by DELE

    @property
    def folder_id(self) -> int:
        return self.view.folder_id

    @property
    def count(self) -> int:
        """How many messages are there, less those marked."""
        return len(self.rows) - len(self.marked)

    @property
    def octets(self) -> int:
        """The octets of these."""
        return sum(row.size for _, row in self.there())

    def there(self) -> Iterator[tuple[int, Row]]:
        """The messages with their numbers, less those marked."""
        return ((n, row) for n, row in enumerate(self.rows, 1) if n not in self.marked)

    def find(self, number: int) -> Row:
        """One message. Raises Refusal."""
        if not 0 < number <= len(self.rows):
            raise Refusal(
                f"There is no message {number}, the maildrop has {len(self.rows)}",
                f"没有第 {number} 封邮件，共 {len(self.rows)} 封",
            )
        if number in self.marked:
            raise Refusal(f"Message {number} is deleted", f"第 {number} 封邮件已删除")
        return self.rows[number - 1]

    def unique_id(self, row: Row) -> str:
        """Never another message's: a UIDVALIDITY is given once, a UID once under it."""
        return f"{self.view.state.uidvalidity}.{row.uid}"


async def open_drop(services: Services, account: Account) -> Drop:
    """INBOX of the account's own mailbox, less what it has taken; its view must be closed.

    Raises Refusal, Unavailable.
    """
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, INBOX))
    demand(spot, "r")
    folder_id, login = spot.node.id, account.login
    view = await services.views.open(folder_id, login)
    try:
        hidden = await services.database.read(lambda c: services.taken.of(c, folder_id, login))
        rows = tuple(view.rows[uid] for uid in view.uids if view.rows[uid].id not in hidden)
        reads = "s" in spot.rights
        unread = {row.id for row in rows if reads and not view.is_seen(row.uid, login)}
    except BaseException:
        services.views.close(view)
        raise
    return Drop(view, rows, unread)


async def require_access(services: Services, account: Account, drop: Drop) -> None:
    """Raises Refusal if the account may not read this folder any more, Unavailable."""
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, INBOX))
    demand(spot, "r")
    if spot.node.id != drop.folder_id:
        raise Refusal(
            "Your account reads another mailbox now; please connect again",
            "您的账号已改用其他信箱，请重新连接",
            code="AUTHORIZATIONFAILED",
        )
    if "s" not in spot.rights:
        drop.unread.clear()
