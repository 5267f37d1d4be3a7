"""The tables of the mailboxes, made on a MetaData that the owner of the package hands in.

Times are Unix milliseconds. UIDs and modification sequences are given from the folder's row, under
its lock, never from a sequence object: they must grow in the order of the commits (RFC 7162).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables of the package."""

    owners: Table
    folders: Table
    contents: Table
    messages: Table
    seen: Table
    expunged: Table
    acl: Table
    subscriptions: Table
    pop3_taken: Table


def make_tables(metadata: MetaData) -> Tables:
    """The tables on that MetaData; made once, however often this is called."""
    if "mailbox_owners" in metadata.tables:
        return Tables(*(metadata.tables[f"mailbox_{name}"] for name in Tables.__slots__))
    return Tables(
        owners=_owners(metadata),
        folders=_folders(metadata),
        contents=_contents(metadata),
        messages=_messages(metadata),
        seen=_seen(metadata),
        expunged=_expunged(metadata),
        acl=_acl(metadata),
        subscriptions=_subscriptions(metadata),
        pop3_taken=_pop3_taken(metadata),
    )


def _owners(metadata: MetaData) -> Table:
    return Table(
        "mailbox_owners",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("owner", Text, nullable=False, unique=True),
        # Highest UIDVALIDITY ever given here, so that a folder made again never has an old one.
        Column("uidvalidity", BigInteger, nullable=False),
        Column("created", BigInteger, nullable=False),
        # Most octets in all folders together; null: as the office sets it, 0: no limit.
        Column("quota", BigInteger),
    )


def _folders(metadata: MetaData) -> Table:
    return Table(
        "mailbox_folders",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("owner_id", Integer, ForeignKey("mailbox_owners.id"), nullable=False),
        Column("name", Text, nullable=False),  # logical, UTF-8; levels are separated by /
        Column("special_use", Text, nullable=False),  # \Sent, \Trash ... (RFC 6154), or empty
        Column("subscribed", Boolean, nullable=False),
        Column("uidvalidity", BigInteger, nullable=False),
        Column("uidnext", BigInteger, nullable=False),
        Column("modseq", BigInteger, nullable=False),  # HIGHESTMODSEQ
        Column("created", BigInteger, nullable=False),
        Column("messages", Integer, nullable=False, server_default="0"),  # how many
        Column("octets", BigInteger, nullable=False, server_default="0"),  # of all of them
        # The first UID that no client has been told of as \\Recent (RFC 3501, 2.3.2).
        Column("recent", BigInteger, nullable=False, server_default="1"),
        UniqueConstraint("owner_id", "name"),
    )


def _contents(metadata: MetaData) -> Table:
    return Table(
        "mailbox_contents",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("key", Text, nullable=False, index=True),  # the owner's own, e.g. a document's id
        Column("kind", Text, nullable=False),  # the owner's own word
        Column("blob", Text, nullable=False),  # of a view; empty if the octets are inline
        Column("prefix", LargeBinary),  # of a view
        Column("size_original", BigInteger, nullable=False),  # of a view
        Column("cuts", Text, nullable=False),  # of a view, JSON [[start, end], ...]
        Column("octets", LargeBinary),  # inline
        Column("size", BigInteger, nullable=False),  # octets that a reader gets
        Column("digest", Text, nullable=False, index=True),  # hex SHA-256 of them
        Column("structure", Text, nullable=False),
        Column("envelope", Text, nullable=False),
        Column("bodystructure", Text, nullable=False),
        Column("created", BigInteger, nullable=False),
        # With the empty line, as a reader gets it; null if it is very long, and in contents of
        # earlier versions.
        Column("header", LargeBinary),
    )


def _messages(metadata: MetaData) -> Table:
    return Table(
        "mailbox_messages",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("folder_id", Integer, ForeignKey("mailbox_folders.id"), nullable=False),
        Column(
            "content_id", Integer, ForeignKey("mailbox_contents.id"), nullable=False, index=True
        ),
        Column("uid", BigInteger, nullable=False),
        Column("modseq", BigInteger, nullable=False),
        Column("flags", Text, nullable=False),  # separated by spaces
        Column("seen", Boolean, nullable=False),  # whether \Seen is among them
        Column("arrived", BigInteger, nullable=False),  # INTERNALDATE
        Column("opened", BigInteger),  # when a person first read it
        Column("handed_over", BigInteger),  # when a client first had all of it
        UniqueConstraint("folder_id", "uid"),
        Index(None, "folder_id", "modseq"),
    )


def _seen(metadata: MetaData) -> Table:
    """Where an account's \\Seen differs from the message's own (`messages.seen`)."""
    return Table(
        "mailbox_seen",
        metadata,
        Column(
            "message_id",
            Integer,
            ForeignKey("mailbox_messages.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("account", Text, primary_key=True),  # login
        Column("seen", Boolean, nullable=False),
    )


def _acl(metadata: MetaData) -> Table:
    """Rights that were given by hand (RFC 4314); without a row an account has those of its role."""
    return Table(
        "mailbox_acl",
        metadata,
        Column(
            "folder_id",
            Integer,
            ForeignKey("mailbox_folders.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("identifier", Text, primary_key=True),  # login, $role, anyone
        Column("rights", Text, nullable=False),  # letters of RFC 4314, sorted; may be none
    )


def _subscriptions(metadata: MetaData) -> Table:
    """Where an account's subscription differs from the folder's own (`folders.subscribed`)."""
    return Table(
        "mailbox_subscriptions",
        metadata,
        Column("account", Text, primary_key=True),  # login
        Column("name", Text, primary_key=True),  # as the account sees it; may not exist
        Column("subscribed", Boolean, nullable=False),
    )


def _pop3_taken(metadata: MetaData) -> Table:
    """What an account has deleted by POP3 (see `mailboxes.taken`)."""
    return Table(
        "mailbox_pop3_taken",
        metadata,
        Column("account", Text, primary_key=True),  # login
        Column(
            "message_id",
            Integer,
            ForeignKey("mailbox_messages.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
        Column("taken", BigInteger, nullable=False),
    )


def _expunged(metadata: MetaData) -> Table:
    return Table(
        "mailbox_expunged",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("folder_id", Integer, ForeignKey("mailbox_folders.id"), nullable=False),
        Column("uid", BigInteger, nullable=False),
        Column("modseq", BigInteger, nullable=False),
        # Of the content that was shown: its row may be swept, and a check must still tell a message
        # that its reader has thrown away from one that was lost.
        Column("key", Text, nullable=False, server_default="", index=True),
        Column("kind", Text, nullable=False, server_default=""),
        Index(None, "folder_id", "modseq"),
    )
