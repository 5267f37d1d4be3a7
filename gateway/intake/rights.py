"""Which mailboxes an account sees, under which names, and what its role allows there."""

from __future__ import annotations

from gateway.directory.model import Account, Owner, OwnerKind, Role
from gateway.directory.snapshot import Directory, unit_owner
from mailboxes.events import Person
from mailboxes.imap.account import ALL_RIGHTS, READ_RIGHTS, Root, spelled
from mailboxes.imap.account import Account as MailAccount

_SHARED = {"zh-CN": "单位信箱/", "en": "Units/"}
_WORKING = ALL_RIGHTS.replace("a", "")
_RIGHTS = {
    Role.OPERATOR: READ_RIGHTS,
    Role.UNIT_ADMIN: ALL_RIGHTS,
    Role.CLERK: _WORKING,
    Role.SEAL_KEEPER: _WORKING,
    Role.BUSINESS_CLERK: _WORKING,
    Role.MACHINE: _WORKING,
    Role.LEADER: "lrswite",
    Role.ARCHIVIST: "lrswi",
    Role.AUDITOR: READ_RIGHTS,
    Role.READER: READ_RIGHTS,
}
"""What each role may do in its unit's mailbox (letters of RFC 4314)."""


def mail_account(
    directory: Directory, account: Account, address: str, strength: str
) -> MailAccount:
    """The account as the mailboxes know it. `address` is the client's, `strength` its login's."""
    language = directory.language_of(account)
    shared = _SHARED.get(language, _SHARED["en"])
    home = directory.account_owner(account)
    roots: list[Root] = []
    if home is not None:
        roots.append(_root(account, home, ""))
    taken = {root.owner for root in roots}
    others = [owner for owner in _owners(directory, account) if owner.key not in taken]
    if home is None and others:  # an account with no mailbox of its own reads its unit's
        first, *others = others
        roots.append(_root(account, first, ""))
    names: set[str] = set()
    for owner in others:
        if _rights(account, owner):
            prefix = f"{shared}{_title(directory, owner, language, names)}/"
            roots.append(_root(account, owner, prefix))
    return MailAccount(
        login=account.login,
        name=account.name,
        language=language,
        person=Person(account.login, address, strength),
        roots=tuple(roots),
        shared=shared if len(roots) > 1 else "",
        address=str(account.address),
    )


def standing(directory: Directory, owner: str, identifier: str) -> Root | None:
    """What a login, or `$` and a role, may usually do in that mailbox; None if there is no such."""
    if identifier.startswith("$"):
        role = next((role for role in Role if identifier == f"${role.value}"), None)
        return None if role is None else Root(owner, rights=_RIGHTS[role])
    known = directory.account(identifier)
    if known is None or not known.active:
        return None
    roots = mail_account(directory, known, "", "").roots
    return next((root for root in roots if root.owner == owner), Root(owner, rights=""))


def _owners(directory: Directory, account: Account) -> list[Owner]:
    """The mailboxes of the account's units, and of the desks behind which one of them stands."""
    found: list[Owner] = []
    for membership in account.memberships:
        unit = directory.unit_by_id(membership.unit_id)
        if unit is not None and unit.active:
            found.append(unit_owner(unit))
    mine = {owner.unit_id for owner in found}
    every = directory.owners()
    found += [one for one in every if one.kind is OwnerKind.DESK and one.unit_id in mine]
    return found


def _root(account: Account, owner: Owner, prefix: str) -> Root:
    roles = () if owner.unit_id is None else account.roles_in(owner.unit_id)
    groups = frozenset(f"${role.value}" for role in roles)
    return Root(owner.key, prefix, _rights(account, owner), groups)


def _rights(account: Account, owner: Owner) -> str:
    if owner.kind is OwnerKind.PERSON:
        return ALL_RIGHTS
    if owner.unit_id is None:
        return ""
    return spelled("".join(_RIGHTS[role] for role in account.roles_in(owner.unit_id)))


def _title(directory: Directory, owner: Owner, language: str, taken: set[str]) -> str:
    """The name of its folder: the unit's or the desk's, with the code where two are the same."""
    name = owner.code
    if owner.kind is OwnerKind.UNIT:
        unit = directory.unit(owner.code)
        if unit is not None:
            name = (unit.name_en if language == "en" else unit.name) or unit.name
    else:
        name = next((one.title for one in directory.desks() if one.name == owner.code), name)
    name = name.replace("/", "-").strip() or owner.code
    if name in taken:
        name = f"{name} ({owner.code})"
    taken.add(name)
    return name
