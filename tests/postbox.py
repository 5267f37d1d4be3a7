"""What lies in the mailboxes, for tests: each letter with its folder and flags."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from typing import cast

from gateway.cli.office import opened
from gateway.exchange.mailroom import open_mailboxes
from gateway.store.drivers import open_blobs
from tests.office import Office


@dataclass(frozen=True)
class Letter:
    """One message of a mailbox, as its reader gets it."""

    folder: str
    flags: tuple[str, ...]
    octets: bytes

    @cached_property
    def mail(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.octets, policy=policy.SMTP))

    @property
    def about(self) -> str:
        """The id of the document that it is, or is about."""
        return str(self.mail["Yizhan-Document"] or self.mail["X-Yizhan-Document"] or "")

    @property
    def event(self) -> str:
        """What an office's own letter tells; empty for others."""
        return str(self.mail["X-Yizhan-Event"] or "")

    def part(self, media_type: str) -> EmailMessage:
        """The first part of that type, also inside the report."""
        return next(
            cast(EmailMessage, part)
            for part in self.mail.walk()
            if part.get_content_type() == media_type
        )

    @property
    def text(self) -> str:
        """What people read."""
        return str(self.part("text/plain").get_content())

    def file(self, name: str) -> bytes | None:
        """An attached file, decoded; None if there is none of that name."""
        for part in self.mail.walk():
            if part.get_filename() == name:
                return cast(bytes, part.get_payload(decode=True))
        return None


def letters(office: Office, owner: str, about: str = "") -> list[Letter]:
    """The mailbox of `unit:water` or `person:security`; only what is about a document, if named."""
    with opened(office.config) as here, here.database.snapshot() as connection:
        store = open_mailboxes(open_blobs(here.config))
        found = [
            Letter(folder.name, row.flags, b"".join(store.pieces(connection, row.id)))
            for folder in store.folders(connection, owner)
            for row in store.messages(connection, folder.id)
        ]
    return [letter for letter in found if not about or letter.about == about]


def receipts(office: Office, owner: str, about: str) -> list[Letter]:
    """The receipts about one document, from 回执 or Receipts."""
    return [one for one in letters(office, owner, about) if one.folder in ("回执", "Receipts")]
