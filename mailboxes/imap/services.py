"""All that the sessions of one door share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from mailboxes.imap.facts import FactBook
from mailboxes.imap.folder_view import Views
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import Database, House, Limits, Meter, TextSearch
from mailboxes.imap.remembering import Rendered
from mailboxes.imap.wake import Wakeups
from mailboxes.store import MailboxStore
from mailboxes.tree import FolderTree


@dataclass(frozen=True, slots=True)
class Services:
    """Parts of the post office that a session works with."""

    host: str
    version: str
    tls: bool  # from the first octet
    store: MailboxStore
    tree: FolderTree
    database: Database
    house: House
    search: TextSearch
    views: Views
    loader: Loader
    facts: FactBook
    rendered: Rendered
    wakeups: Wakeups
    limits: Limits
    zone: tzinfo  # of the office, in which dates are shown and searched for
    meter: Meter
    now: Callable[[], datetime]
