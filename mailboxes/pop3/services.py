"""All that the POP3 sessions of one door share, and what they need from the owner."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mailboxes.imap.account import Account
from mailboxes.imap.folder_view import Views
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import Database, Limits, Meter
from mailboxes.store import MailboxStore
from mailboxes.taken import Taken
from mailboxes.tree import FolderTree


class Logins(Protocol):
    """Who may come in."""

    async def handshake_context(self) -> ssl.SSLContext:
        """For STLS."""

    async def by_password(self, login: str, password: str, address: str) -> Account:
        """The account. Raises Refusal, Unavailable."""

    async def by_certificate(self, certificate: bytes, address: str) -> Account:
        """The account that lists this client certificate (DER). Raises Refusal, Unavailable."""

    async def renewed(self, account: Account) -> Account:
        """The account as it is now; cheap. Raises Refusal if it may not be here any more."""


@dataclass(frozen=True, slots=True)
class Services:
    """Parts of the post office that a session works with."""

    host: str
    version: str
    store: MailboxStore
    tree: FolderTree
    taken: Taken
    database: Database
    logins: Logins
    views: Views
    loader: Loader
    limits: Limits
    meter: Meter
    now: Callable[[], datetime]
