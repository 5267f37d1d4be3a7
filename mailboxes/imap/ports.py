"""What a session needs from the owner of the package, as Protocols."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from mailboxes.content import Content
from mailboxes.imap.account import Account, Root
from mailboxes.search import Place

T = TypeVar("T")

FEW = 32  # messages that one unit of work may change while others wait
SMALL = 1_048_576  # octets that it may put down meanwhile


class Refusal(Exception):
    """What was asked for is not allowed or not possible; the sentence is for the person."""

    def __init__(self, sentence: str, chinese: str = "", *, code: str = "") -> None:
        """`code`: of RFC 5530, e.g. AUTHENTICATIONFAILED, OVERQUOTA; BAD where the command itself
        is wrong."""
        super().__init__(sentence)
        self.sentence = sentence
        self.chinese = chinese or sentence
        self.code = code


class Unavailable(Exception):
    """The store cannot answer now."""


class Database(Protocol):
    """Where the mailboxes' rows are; raises Unavailable."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a function over one consistent snapshot, in a thread."""

    async def glance(self, work: Callable[[Connection], T]) -> T:
        """The same for a row or two, at once where that is cheap."""

    async def write(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run a unit of work; on return its commit has reached the disk. One is `long` that others
        should not wait for: it is about more than `FEW` messages, or a large one."""


class Spool(Protocol):
    """Octets of one message on their way in, held where nobody else can read them."""

    @property
    def size(self) -> int: ...

    def write(self, octets: bytes) -> None: ...

    def finish(self) -> None: ...

    def chunks(self) -> Iterator[bytes]: ...

    def read(self) -> bytes: ...

    def close(self) -> None: ...


class TextSearch(Protocol):
    """Full-text search."""

    def matching(
        self, conn: Connection, folder_id: int, place: Place, needle: str, field: str = ""
    ) -> set[int]:
        """Ids of the contents of the folder's messages that have the needle there."""


class Meter(Protocol):
    """What is worth counting."""

    def login(self, mechanism: str, *, good: bool) -> None: ...

    def turned_away(self, why: str) -> None: ...


class House(Protocol):
    """The owner of the mailboxes: logins, checks, filing."""

    async def handshake_context(self) -> ssl.SSLContext:
        """For STARTTLS."""

    async def by_password(self, login: str, password: str, address: str) -> Account:
        """The account. Raises Refusal, Unavailable."""

    async def by_certificate(self, certificate: bytes, address: str) -> Account:
        """The account that lists this client certificate (DER). Raises Refusal, Unavailable."""

    async def renewed(self, account: Account) -> Account:
        """The account as it is now; cheap. Raises Refusal if it may not be here any more."""

    async def standing(self, owner: str, identifier: str) -> Root | None:
        """What that identifier of an ACL (a login, or a group) may usually do in the mailbox of
        that owner; None if it is unknown. Raises Unavailable."""

    def spool(self) -> Spool:
        """For a message that is about to come."""

    async def admit(self, account: Account, spool: Spool) -> Content:
        """Check what somebody files, and keep its octets durably. Raises Refusal, Unavailable.

        The key of the content is new, its kind is the owner's.
        """

    def twin(self, conn: Connection, folder_id: int, content: Content) -> int | None:
        """The UID of a message in that folder that the post office has filed itself, if this is
        its client's own copy."""

    def is_act(self, folder: str) -> bool:
        """Whether putting a message into the folder of that name means something: signing for it,
        returning it."""

    def rights_given(
        self, conn: Connection, account: Account, owner: str, folder: str, identifier: str,
        before: str | None, after: str | None,
    ) -> None:  # fmt: skip
        """The account has given rights by hand in a folder of that owner; None: none were, or are
        any more. Called in the transaction that does it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one session."""

    size: int = 36_700_160  # octets of one message
    quota: int = 0  # octets of a mailbox whose owner has no limit of its own; 0: none
    login_seconds: float = 60.0  # from the greeting to the login
    idle_seconds: float = 1860.0  # between two commands; RFC 3501, 5.4: at least 30 minutes
    write_seconds: float = 120.0  # for a client to take what is sent
    line: int = 65_536  # octets of a line
    command_before_login: int = 8_192  # octets of a command with its literals
    command: int = 1_048_576
    errors: int = 100  # wrong commands before a login, then the connection is closed


def no_such_folder() -> Refusal:
    """The name is no mailbox's, or of one that the account may not even know of."""
    return Refusal("There is no such mailbox", "没有这个文件夹", code="NONEXISTENT")


def not_allowed() -> Refusal:
    """The account lacks the right."""
    return Refusal("You may not do that here", "您在此处没有这项权限", code="NOPERM")


def read_only() -> Refusal:
    """The folder was opened by EXAMINE."""
    return Refusal(
        "The mailbox was opened for reading only", "此文件夹以只读方式打开", code="READ-ONLY"
    )
