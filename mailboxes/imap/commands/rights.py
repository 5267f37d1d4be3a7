"""GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314).

What a role allows is the office's; rights given by hand can be less or, for accounts of the unit,
more. Identifiers are logins, `$` and a role, and `anyone`: all who may see the mailbox at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.imap import output
from mailboxes.imap.account import ALL_RIGHTS, Root, effective, spelled
from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.places import Spot, demand, locate
from mailboxes.imap.ports import Refusal

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

_MAX_IDENTIFIER = 100


async def get_acl(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """GETACL"""
    spot = await _spot(session, grammar, "a")
    grammar.end()
    services = session.services
    given = await services.database.glance(lambda c: services.tree.acl(c, spot.node.id))
    said = [_name(session, spot)]
    for identifier, rights in sorted({session.account.login: spot.rights, **given}.items()):
        said += [output.astring(identifier.encode()), output.astring(rights.encode())]
    session.write(b"* ACL %s\r\n" % b" ".join(said))
    return Done("These are the rights")


async def set_acl(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SETACL"""
    spot = await _spot(session, grammar, "a")
    identifier = _identifier(grammar)
    grammar.space()
    text = grammar.text("rights")
    grammar.end()
    way = text[:1] if text[:1] in ("+", "-") else ""
    try:
        rights = spelled(text.removeprefix(way) if way else text)
    except ValueError as error:
        raise SyntaxFault(str(error)) from None
    services = session.services
    usual = await services.house.standing(spot.root.owner, identifier) if way else None

    def write(conn: Connection) -> None:
        given = services.tree.acl(conn, spot.node.id)
        new = rights
        if way:
            present = _present(given, identifier, usual)
            kept = "".join(letter for letter in present if letter not in rights)
            new = spelled(kept + rights) if way == "+" else kept
        _give(session, conn, spot, identifier, given.get(identifier), new)

    await services.database.write(write)
    return Done("The rights are given")


async def delete_acl(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """DELETEACL: back to what the role allows."""
    spot = await _spot(session, grammar, "a")
    identifier = _identifier(grammar)
    grammar.end()
    services = session.services

    def write(conn: Connection) -> None:
        before = services.tree.acl(conn, spot.node.id).get(identifier)
        _give(session, conn, spot, identifier, before, None)

    await services.database.write(write)
    return Done("The rights are taken back")


async def list_rights(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """LISTRIGHTS: none is bound to another."""
    spot = await _spot(session, grammar, "a")
    identifier = _identifier(grammar)
    grammar.end()
    session.write(
        b'* LISTRIGHTS %s %s "" %s\r\n'
        % (
            _name(session, spot), output.astring(identifier.encode()),
            " ".join(ALL_RIGHTS).encode(),
        )
    )  # fmt: skip
    return Done("These are the rights that can be given")


async def my_rights(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """MYRIGHTS"""
    spot = await _spot(session, grammar, "l")
    grammar.end()
    rights = output.astring(spot.rights.encode())
    session.write(b"* MYRIGHTS %s %s\r\n" % (_name(session, spot), rights))
    return Done("These are your rights")


def _present(given: Mapping[str, str], identifier: str, usual: Root | None) -> str:
    """The rights that are added to or taken from: those given by hand, else what the role allows.

    Raises Refusal where there are neither, e.g. for `anyone`.
    """
    if usual is not None:
        return effective(given, identifier, usual.identifiers, usual.rights)
    if identifier in given:
        return given[identifier]
    raise Refusal(
        "That one has no rights of its own here yet: give all that it shall have, without + or -",
        "此对象在此处尚无单独权限：请直接给出全部权限，不用 + 或 -",
        code="CANNOT",
    )


def _give(
    session: Session, conn: Connection, spot: Spot, identifier: str, before: str | None,
    after: str | None,
) -> None:  # fmt: skip
    """None: as the role has them. The owner of the mailboxes is told, in the same transaction."""
    if before == after:
        return
    services, owner = session.services, spot.root.owner
    services.tree.set_acl(conn, spot.node.id, identifier, after)
    services.house.rights_given(
        conn, session.account, owner, spot.node.name, identifier, before, after
    )


async def _spot(session: Session, grammar: Grammar, right: str) -> Spot:
    grammar.space()
    name = grammar.mailbox()
    account, services = session.account, session.services
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, name))
    demand(spot, right)
    return spot


def _identifier(grammar: Grammar) -> str:
    grammar.space()
    identifier = grammar.text("an identifier")
    if not identifier or len(identifier) > _MAX_IDENTIFIER or identifier.startswith("-"):
        raise Refusal("An identifier is a login, $ and a role, or anyone", code="CANNOT")
    return identifier


def _name(session: Session, spot: Spot) -> bytes:
    return output.mailbox(spot.name, utf8=session.state.utf8)
