"""What the owner of the package is told of acts at a mail client, inside their transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Act:
    """Who did something to which message, and where it was."""

    actor: str  # the login
    owner: str  # the mailbox's owner
    folder: str  # logical name
    message_id: int
    content_id: int
    key: str  # the content's key, e.g. a document's id
    at: datetime  # aware, UTC


class MailboxEvents(Protocol):
    """Called in the transaction of the act, after its rows were written.

    Each may write with the connection, and may raise `errors.Veto`: then the caller undoes the
    transaction and tells the client the sentence.
    """

    def opened(self, connection: Connection, act: Act) -> None:
        """A person read it: \\Seen, or a fetch that sets it; once for each message."""

    def handed_over(self, connection: Connection, act: Act) -> None:
        """A client has all of its octets; once for each message."""

    def moved(self, connection: Connection, act: Act, target: str) -> None:
        """It is in the folder `target` now; the message keeps its id."""

    def copied(self, connection: Connection, act: Act, target: str, copy_id: int) -> None:
        """The message `copy_id` in the folder `target` is a copy of it."""

    def appended(self, connection: Connection, act: Act) -> None:
        """A client put it there."""

    def flagged(
        self, connection: Connection, act: Act, added: tuple[str, ...], removed: tuple[str, ...]
    ) -> None:
        """Its flags changed."""

    def expunged(self, connection: Connection, act: Act) -> None:
        """It is gone from the folder."""


class NoEvents:
    """The fake: nobody wants to know."""

    def opened(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def handed_over(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def moved(self, connection: Connection, act: Act, target: str) -> None:
        """Nothing."""

    def copied(self, connection: Connection, act: Act, target: str, copy_id: int) -> None:
        """Nothing."""

    def appended(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def flagged(
        self, connection: Connection, act: Act, added: tuple[str, ...], removed: tuple[str, ...]
    ) -> None:
        """Nothing."""

    def expunged(self, connection: Connection, act: Act) -> None:
        """Nothing."""
