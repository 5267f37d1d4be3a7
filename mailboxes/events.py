"""What the owner of the package is told of acts at a mail client, inside their transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts through a mail client."""

    login: str
    address: str = ""  # the client's IP address
    strength: str = "password"  # how the login was proved: password or certificate


@dataclass(frozen=True, slots=True)
class Act:
    """Who did something to which message, and where it was."""

    by: Person
    owner: str  # the mailbox's owner
    folder: str  # logical name
    message_id: int
    content_id: int
    key: str  # the content's key, e.g. a document's id
    kind: str  # the content's kind
    arrived: datetime  # INTERNALDATE: when it was delivered, for what was
    handed_over: datetime | None  # when a client first had all of it
    at: datetime  # aware, UTC


class MailboxEvents(Protocol):
    """Called in the transaction of the act, after its rows were written.

    Each may write with the connection, and may raise `errors.Veto`: then the caller undoes the
    transaction and tells the client the sentence.
    """

    @property
    def wants_locks(self) -> bool:
        """Whether `lock` does anything; the keys are looked up for it."""

    def lock(self, connection: Connection, keys: Sequence[str]) -> None:
        """Lock what the owner keeps under these contents' keys (sorted): before any folder."""

    def opened(self, connection: Connection, act: Act) -> None:
        """A person read it: \\Seen, or a fetch that sets it; once for each account and message."""

    def handed_over(self, connection: Connection, act: Act) -> None:
        """A client has all of its octets; once for each message."""

    def moved(self, connection: Connection, act: Act, owner: str, target: str) -> None:
        """It is in the folder `target` of `owner` now; the message keeps its id."""

    def copied(
        self, connection: Connection, act: Act, owner: str, target: str, copy_id: int
    ) -> None:
        """The message `copy_id` in the folder `target` of `owner` is a copy of it."""

    def appended(self, connection: Connection, act: Act) -> None:
        """A client put it there."""

    def expunged(self, connection: Connection, act: Act) -> None:
        """It is gone from the folder."""


class NoEvents:
    """The fake: nobody wants to know."""

    wants_locks = False

    def lock(self, connection: Connection, keys: Sequence[str]) -> None:
        """Nothing."""

    def opened(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def handed_over(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def moved(self, connection: Connection, act: Act, owner: str, target: str) -> None:
        """Nothing."""

    def copied(
        self, connection: Connection, act: Act, owner: str, target: str, copy_id: int
    ) -> None:
        """Nothing."""

    def appended(self, connection: Connection, act: Act) -> None:
        """Nothing."""

    def expunged(self, connection: Connection, act: Act) -> None:
        """Nothing."""
