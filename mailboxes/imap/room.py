"""Quota: whether a mailbox has room for what somebody puts there.

Only people are told that there is none. What is delivered always has room.
"""

from __future__ import annotations

from sqlalchemy import Connection

from mailboxes.imap.ports import Refusal
from mailboxes.imap.services import Services


def limit_of(services: Services, own: int | None) -> int:
    """Octets that a mailbox may hold; 0: any number."""
    return services.limits.quota if own is None else own


def make_room(services: Services, conn: Connection, owner: str, octets: int) -> None:
    """Raises Refusal if the owner's mailbox cannot take so many octets more."""
    limit = limit_of(services, services.tree.own_limit(conn, owner))
    used = services.tree.usage(conn, owner)[0] if limit else 0
    if limit and used + octets > limit:
        megabytes, most = used / 1e6, limit / 1e6
        raise Refusal(
            f"The mailbox is full ({megabytes:.0f} of {most:.0f} MB): delete or archive something",
            f"信箱已满（已用 {megabytes:.0f} MB，限额 {most:.0f} MB）：请先删除或归档部分邮件",
            code="OVERQUOTA",
        )
