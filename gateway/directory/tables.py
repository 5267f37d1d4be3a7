"""The tables of the directory: units, accounts, groups, desks, duty persons and every change.

Addresses are stored as local parts, since an office has one domain. Foreign keys stay inside this
package: other packages keep the bare ids, and a removal looks them up (`references`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.store.schema import metadata

# An id that was once given is never given again: other packages keep ids without a foreign key.
units = Table(
    "units",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("level", String(16), nullable=False),
    Column("unit_class", String(16), nullable=False),
    Column("language", String(16), nullable=False),
    Column("parent_id", Integer, ForeignKey("units.id")),
    Column("active", Boolean, nullable=False),
    Column("successor_id", Integer, ForeignKey("units.id")),
    Column("organ_code", Text, nullable=False),
    Column("seal_limit", Integer),
    Column("subject_marks", Boolean, nullable=False),
    Column("unchecked", Text, nullable=False),  # JSON list of message classes
    sqlite_autoincrement=True,
)

unit_names = Table(
    "unit_names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit_id", Integer, ForeignKey("units.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_en", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    sqlite_autoincrement=True,
)

group_members = Table(
    "group_members",
    metadata,
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("unit_id", ForeignKey("units.id"), primary_key=True),
)

group_senders = Table(
    "group_senders",
    metadata,
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("sender", String(64), primary_key=True),  # unit code, `class:organ`, `*`
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("address", String(64), nullable=False),  # local part: its own, or its unit's
    Column("name", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("language", String(16), nullable=False),
    Column("receipt_style", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("unlocked_at", BigInteger, nullable=False),  # failures before that time do not count
    sqlite_autoincrement=True,
)

# A row for each account whose password was set by another; a change by its owner takes it away.
first_passwords = Table(
    "first_passwords",
    metadata,
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("since", BigInteger, nullable=False),
)

# Not in `accounts`: who logs in changes nothing of the directory, and raises no version.
account_logins = Table(
    "account_logins",
    metadata,
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("door", String(16), primary_key=True),  # submission, portal
    Column("at", BigInteger, nullable=False),  # the last one, written once an hour at most
    Column("client", String(64), nullable=False),  # IP address
)

account_units = Table(
    "account_units",
    metadata,
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("unit_id", ForeignKey("units.id"), primary_key=True),
    Column("position", Integer, nullable=False),  # 0 is the main unit
    Column("roles", Text, nullable=False),  # JSON list
)

account_networks = Table(
    "account_networks",
    metadata,
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("network", String(64), primary_key=True),
)

account_certificates = Table(
    "account_certificates",
    metadata,
    Column("account_id", ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("fingerprint", String(64), primary_key=True),  # one certificate, one account
    Column("der", LargeBinary),  # the certificate itself, where it is known
)

desks = Table(
    "desks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("unit_id", ForeignKey("units.id"), nullable=False),
    sqlite_autoincrement=True,
)

duty_persons = Table(
    "duty_persons",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("unit_id", ForeignKey("units.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("post", String(16), nullable=False),
    Column("mobile", String(32), nullable=False),
    Column("landline", String(32), nullable=False),
    Column("position", Integer, nullable=False),
    Column("language", String(16), nullable=False),
    UniqueConstraint("unit_id", "post", "name"),
    sqlite_autoincrement=True,
)

changes = Table(
    "directory_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),  # add, change, remove, merge, password, unlock
    Column("kind", String(16), nullable=False),  # unit, account, group, desk, duty
    Column("key", String(128), nullable=False, index=True),
    Column("before", Text, nullable=False),  # JSON; empty: did not exist
    Column("after", Text, nullable=False),  # JSON; empty: exists no more
    sqlite_autoincrement=True,
)

directory_version = Table(
    "directory_version",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("version", Integer, nullable=False),
)
