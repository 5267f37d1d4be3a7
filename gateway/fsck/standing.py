"""What every check must know beside the rows at hand: who is in the directory, which keys count."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, select

from gateway.directory import tables as people
from gateway.directory.model import Account, OwnerKind
from gateway.directory.snapshot import Directory, load, unit_owner, version
from gateway.domain.address import Address, InvalidAddress
from gateway.evidence.tables import evidence_keys
from gateway.exchange.mailroom import tables as mail
from gateway.seals.tables import seals

_OWNERS = ("unit", "person", "desk")


@dataclass(frozen=True, slots=True)
class Key:
    """An evidence key, by which office's word."""

    public: Ed25519PublicKey
    office: str  # the domain in the certified statement


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the whole office at one moment, as far as the checks of one document ask."""

    domain: str
    directory: Directory
    keys: Mapping[str, Key]  # by key id
    mailboxes: Mapping[str, int]  # owner -> when it was made, Unix milliseconds
    absences: Mapping[str, int]  # local part -> until when it may have had no mailbox, the same
    seals: frozenset[str]  # fingerprints
    granted: Mapping[str, frozenset[str]]  # owner -> who got rights there by hand (RFC 4314)

    def may_lack_mailbox(self, mail_from: str, received_at: int) -> bool:
        """Whether the sender may have had no mailbox at some time since then, or has none now.

        Then its receipts may have gone nowhere, and that is no fault.
        """
        try:
            address = Address.parse(mail_from)
        except InvalidAddress:
            return True
        if self.directory.owner_of(address) is None:
            return True
        return self.absences.get(address.local, -1) >= received_at

    def senders(self, mail_from: str) -> set[str]:
        """The mailbox owners that may keep the sender's own copy: its kind may have changed."""
        local = mail_from.partition("@")[0]
        return {f"{kind}:{local}" for kind in _OWNERS}

    def are_read_together(self, owner: str, others: Collection[str]) -> bool:
        """Whether an account that reads the mailbox reads one of the others too, so that it may
        have put a copy there."""
        for account in self.directory.accounts():
            seen = self._seen_by(account)
            if owner in seen and not seen.isdisjoint(others):
                return True
        return False

    def _seen_by(self, account: Account) -> set[str]:
        home = self.directory.account_owner(account)
        units = {membership.unit_id for membership in account.memberships}
        seen = {unit_owner(one).key for one in map(self.directory.unit_by_id, units) if one}
        seen |= {one.key for one in self.directory.owners()
                 if one.kind is OwnerKind.DESK and one.unit_id in units}  # fmt: skip
        if home is not None:
            seen.add(home.key)
        names = {account.login, "anyone"}
        names |= {f"${role}" for one in account.memberships for role in one.roles}
        return seen | {
            owner for owner, named in self.granted.items() if not named.isdisjoint(names)
        }

    def keeps_copy(self, mail_from: str, received_at: int) -> bool:
        """Whether a mailbox of the sender was there when the document came in."""
        made = (self.mailboxes.get(owner) for owner in self.senders(mail_from))
        return any(when is not None and when <= received_at for when in made)


def read_standing(connection: Connection, domain: str, last: Standing | None = None) -> Standing:
    """As the connection's snapshot shows it; the directory of `last` is taken if it is as new."""
    if last is not None and version(connection) == last.directory.version:
        directory, absences = last.directory, last.absences
    else:
        directory, absences = load(connection, domain), _absences(connection)
    owners = mail.owners.c
    return Standing(
        domain=domain,
        directory=directory,
        keys=_keys(connection),
        mailboxes={row.owner: row.created for row in connection.execute(
            select(owners.owner, owners.created)
        )},
        absences=absences,
        seals=frozenset(connection.scalars(select(seals.c.fingerprint))),
        granted=_granted(connection),
    )  # fmt: skip


def _keys(connection: Connection) -> dict[str, Key]:
    """The keys as they stand in the table; whether the office certified them is a check of its own.

    A key whose row cannot be read is left out, so its records have an unknown key.
    """
    found: dict[str, Key] = {}
    for row in connection.execute(select(evidence_keys)):
        try:
            public = Ed25519PublicKey.from_public_bytes(bytes(row.public))
            found[row.id] = Key(public, str(json.loads(bytes(row.statement))["office"]))
        except (ValueError, TypeError, KeyError):
            continue
    return found


def _granted(connection: Connection) -> dict[str, frozenset[str]]:
    owners, folders, acl = mail.owners.c, mail.folders.c, mail.acl.c
    query = (
        select(owners.owner, acl.identifier)
        .join(mail.folders, folders.owner_id == owners.id)
        .join(mail.acl, acl.folder_id == folders.id)
    )
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.owner, set()).add(row.identifier)
    return {owner: frozenset(named) for owner, named in found.items()}


def _absences(connection: Connection) -> dict[str, int]:
    """The last change of each local part after or before which it may have had no mailbox."""
    table = people.changes.c
    rows = connection.execute(
        select(table.at, table.action, table.kind, table.key, table.before, table.after).where(
            table.kind.in_(("unit", "account", "desk")),
            table.action.in_(("change", "remove", "merge")),
        )
    )
    found: dict[str, int] = {}
    for row in rows:
        before, after = _facts(row.before), _facts(row.after)
        moved = before.get("address") != after.get("address")
        away = not after or False in (before.get("active"), after.get("active"))
        if moved or away or row.action == "merge":
            found[row.key] = max(row.at, found.get(row.key, 0))
    return found


def _facts(text: str) -> dict[str, object]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
