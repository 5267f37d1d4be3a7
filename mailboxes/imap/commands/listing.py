"""NAMESPACE, LIST, LSUB, STATUS: which folders there are (RFC 2342, 5258, 5819, 6154, 8474)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.errors import NoSuchFolder
from mailboxes.imap import output
from mailboxes.imap.done import Done
from mailboxes.imap.folder_view import index
from mailboxes.imap.grammar import Grammar
from mailboxes.imap.patterns import Pattern
from mailboxes.imap.places import Spot, demand, everything, locate
from mailboxes.imap.syntax import ListQuery

if TYPE_CHECKING:
    from mailboxes.imap.session import Session


async def namespace(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """NAMESPACE: the account's own folders, and those of others that it may see."""
    grammar.end()
    shared = session.account.shared
    others = b"NIL"
    if shared:
        name = output.mailbox(shared, utf8=session.state.utf8)
        quoted = name if name.startswith(b'"') else b'"%s"' % name
        others = b'((%s "/"))' % quoted
    session.write(b'* NAMESPACE (("" "/")) NIL %s\r\n' % others)
    return Done("These are the namespaces")


async def list_folders(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """LIST"""
    grammar.space()
    query = grammar.list_query()
    grammar.end()
    if query.patterns == ("",) and not query.extended:
        session.write(b'* LIST (\\Noselect) "/" ""\r\n')
        return Done("The separator of levels is /")
    return await _list(session, query, "LIST")


async def lsub(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """LSUB: what is subscribed."""
    grammar.space()
    query = grammar.list_query(plain=True)
    grammar.end()
    return await _list(session, query, "LSUB")


async def status(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """STATUS"""
    grammar.space()
    name = grammar.mailbox()
    grammar.space()
    items = grammar.status_items()
    grammar.end()
    account, services = session.account, session.services
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, name))
    demand(spot, "r")
    if "HIGHESTMODSEQ" in items:
        session.enable_condstore()
    await _status(session, spot, items)
    return Done("That is how it is")


async def _list(session: Session, query: ListQuery, word: str) -> Done:
    account, services = session.account, session.services

    def read(conn: Connection) -> tuple[list[Spot], dict[str, bool]]:
        found = everything(services.tree, conn, account)
        return found, services.tree.subscriptions(conn, account.login)

    spots, chosen = await services.database.read(read)
    wanted = [Pattern(query.reference, pattern) for pattern in query.patterns]
    by_name = {spot.name: spot for spot in spots}
    subscribed = {name for name, on in chosen.items() if on} | {
        name for name, spot in by_name.items() if chosen.get(name, spot.node.subscribed)
    }
    names = _names(by_name, subscribed, query, word)
    parents = _parents(by_name)
    for name in sorted(names, key=lambda one: (one != "INBOX", one)):
        if not any(pattern.matches(name) for pattern in wanted):
            continue
        spot = by_name.get(name)
        if word == "LSUB":
            _say(session, "LSUB", (), name)
            continue
        attributes = _attributes(spot, name, subscribed, parents, query)
        children = _child_info(name, subscribed, query, wanted)
        if "SUBSCRIBED" in query.selects and name not in subscribed and not children:
            continue
        _say(session, "LIST", attributes, name, children)
        if spot is not None and query.status and "r" in spot.rights:
            try:
                await _status(session, spot, query.status)
            except NoSuchFolder:  # it was removed meanwhile
                continue
        await session.flush_some()
    if word == "LSUB":
        for name in sorted(_parents(subscribed) - subscribed):
            last = any(pattern.matches(name) for pattern in wanted)
            if last and any(pattern.endswith("%") for pattern in query.patterns):
                _say(session, "LSUB", ("\\Noselect",), name)
    return Done("That is the list")


def _names(by_name: dict[str, Spot], subscribed: set[str], query: ListQuery, word: str) -> set[str]:
    """The names from which the patterns choose."""
    if word == "LSUB":
        return subscribed
    special = "SPECIAL-USE" in query.selects
    if "SUBSCRIBED" in query.selects:
        names = set(subscribed)
        if "RECURSIVEMATCH" in query.selects:
            names |= _parents(subscribed)
    else:
        names = set(by_name) | _parents(by_name)
    if special:
        names = {name for name in names if name in by_name and by_name[name].use}
    return names


def _attributes(
    spot: Spot | None, name: str, subscribed: set[str], parents: set[str], query: ListQuery
) -> list[str]:
    found = []
    if spot is None:
        found.append("\\NonExistent" if query.extended else "\\Noselect")
    elif "r" not in spot.rights:
        found.append("\\Noselect")
    if name in subscribed and ("SUBSCRIBED" in query.selects or "SUBSCRIBED" in query.returns):
        found.append("\\Subscribed")
    found.append("\\HasChildren" if name in parents else "\\HasNoChildren")
    if spot is not None and spot.use:
        found.append(spot.use)
    return found


def _child_info(
    name: str, subscribed: set[str], query: ListQuery, wanted: Sequence[Pattern]
) -> bool:
    """CHILDINFO: a subscribed folder below it is not shown itself."""
    if "RECURSIVEMATCH" not in query.selects:
        return False
    return any(
        one.startswith(f"{name}/") and not any(pattern.matches(one) for pattern in wanted)
        for one in subscribed
    )


def _say(
    session: Session, word: str, attributes: Iterable[str], name: str, child: bool = False
) -> None:
    line = b"* %s (%s) \"/\" %s" % (
        word.encode(), " ".join(attributes).encode("ascii"),
        output.mailbox(name, utf8=session.state.utf8),
    )  # fmt: skip
    if child:
        line += b' ("CHILDINFO" ("SUBSCRIBED"))'
    session.write(line + b"\r\n")


async def _status(session: Session, spot: Spot, items: Sequence[str]) -> None:
    """One STATUS response."""
    services, node, login = session.services, spot.node, session.account.login
    counting = not {"UNSEEN", "DELETED"}.isdisjoint(items) or (
        "RECENT" in items and node.recent < node.uidnext
    )
    view = await services.views.open(node.id, login) if counting else None
    try:
        found = {
            "MESSAGES": str(node.messages), "RECENT": "0", "UIDNEXT": str(node.uidnext),
            "UIDVALIDITY": str(node.uidvalidity), "SIZE": str(node.octets),
            "HIGHESTMODSEQ": str(node.modseq), "MAILBOXID": f"({node.object_id})",
            "APPENDLIMIT": str(services.limits.size),
        }  # fmt: skip
        if view is not None:
            found |= {
                "MESSAGES": str(len(view.uids)), "UIDNEXT": str(view.state.uidnext),
                "HIGHESTMODSEQ": str(view.state.modseq),
                "RECENT": str(len(view.uids) - index(view.uids, node.recent)),
            }  # fmt: skip
            if "UNSEEN" in items:
                found["UNSEEN"] = str(view.unseen(login))
            if "DELETED" in items:
                found["DELETED"] = str(view.deleted())
    finally:
        if view is not None:
            services.views.close(view)
    said = " ".join(f"{item} {found[item]}" for item in items)
    session.write(
        b"* STATUS %s (%s)\r\n"
        % (output.mailbox(spot.name, utf8=session.state.utf8), said.encode("ascii"))
    )


def _parents(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        levels = name.split("/")
        found.update("/".join(levels[:n]) for n in range(1, len(levels)))
    return found
