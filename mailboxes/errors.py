"""What can go wrong in mailboxes; everything else is the database's or the blobs' own error.

MailboxError
├── NoSuchFolder     the owner or the folder does not exist
├── FolderExists     a folder has that name already
├── NoSuchMessage    the message does not exist, or was expunged meanwhile
└── Veto             the owner of the package forbids the act; the transaction must be undone
"""

from __future__ import annotations


class MailboxError(Exception):
    """Base of the errors that this package raises on purpose."""


class NoSuchFolder(MailboxError):
    """The owner or the folder does not exist."""


class FolderExists(MailboxError):
    """A folder has that name already."""


class NoSuchMessage(MailboxError):
    """The message does not exist, or was expunged meanwhile."""


class Veto(MailboxError):
    """An act is forbidden; the sentence is for the person at the mail client."""
