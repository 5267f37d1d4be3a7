"""The values that the store takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FolderSpec:
    """A folder to be made. Levels of the name are separated by `/`."""

    name: str  # logical, e.g. INBOX, 回执
    special_use: str = ""  # \\Sent, \\Trash ... (RFC 6154)
    subscribed: bool = True  # Thunderbird hides what is not


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as SELECT and STATUS need it."""

    id: int
    owner: str
    name: str
    special_use: str
    subscribed: bool
    uidvalidity: int
    uidnext: int
    modseq: int  # HIGHESTMODSEQ
    messages: int
    unseen: int
    size: int  # octets of all messages


@dataclass(frozen=True, slots=True)
class Appended:
    """A message that was put into a folder."""

    folder_id: int
    message_id: int
    uid: int
    modseq: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A message that was moved or copied: the UID that it had, and where it is now."""

    uid: int
    to: Appended


@dataclass(frozen=True, slots=True)
class Flagged:
    """What became of a change of flags."""

    modseq: int  # of the messages that changed; the folder's, if none did
    flags: dict[int, tuple[str, ...]]  # of each message, by id, as the account sees them
    failed: list[int]  # UIDs that had changed after `unchanged_since`
    changed: tuple[int, ...]  # ids of those that have other flags now


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message in a folder."""

    id: int
    folder_id: int
    content_id: int
    uid: int
    modseq: int
    flags: tuple[str, ...]
    arrived: datetime  # INTERNALDATE, UTC
    size: int  # octets
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class Located:
    """A message with the names of the place where it is."""

    owner: str
    folder: str
    message: MessageRow


def milliseconds(moment: datetime) -> int:
    """Unix time in milliseconds, as times are stored; cut, as `isoformat` cuts, not rounded."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment(value: int) -> datetime:
    """The stored form back as an aware UTC time."""
    return _EPOCH + timedelta(milliseconds=value)
