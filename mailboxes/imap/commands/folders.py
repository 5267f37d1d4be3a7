"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: the cabinet's drawers and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.errors import NoSuchFolder
from mailboxes.imap.account import Root
from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.places import Spot, demand, locate, new_name, rights_in
from mailboxes.imap.ports import FEW, Refusal, not_allowed
from mailboxes.tree import INBOX, FolderTree, Node

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

_USES = ("\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
_STEP = 500  # messages that leave a folder in one transaction


async def create(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """CREATE, with USE (RFC 6154)."""
    grammar.space()
    name = grammar.mailbox()
    use = ""
    if not grammar.ended:
        grammar.space()
        use = _special_use(grammar)
    grammar.end()
    services = session.services
    root, inner = new_name(session.account, name)

    def write(conn: Connection) -> Node:
        nodes = services.tree.nodes(conn, root.owner)
        if use and any(node.special_use == use for node in nodes):
            raise Refusal(
                f"There is a mailbox for {use[1:]} already", "已有同一用途的文件夹", code="USEATTR"
            )
        return _make(session, conn, root, inner, use)

    made = await services.database.write(write)
    session.state.created.append(made.id)
    return Done("The mailbox is there", f"MAILBOXID ({made.object_id})")


async def delete(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """DELETE: its messages are removed from it; the office's documents stay."""
    grammar.space()
    name = grammar.mailbox()
    grammar.end()
    account, services, now = session.account, session.services, session.services.now()
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, name))
    demand(spot, "x")
    if spot.node.name == INBOX:
        raise Refusal("INBOX cannot be deleted", "收件箱不能删除", code="CANNOT")
    selected = session.state.selected
    if selected is not None and selected.folder_id == spot.node.id:
        session.unselect()

    def write(conn: Connection) -> int:
        rows = services.store.messages(conn, spot.node.id, limit=_STEP)
        if rows:
            demand(spot, "te")
            services.store.expunge(
                conn, spot.node.id, [row.id for row in rows], now=now, by=account.person
            )
        elif services.tree.node(conn, spot.root.owner, spot.node.name).id != spot.node.id:
            raise NoSuchFolder(spot.node.name)  # another has that name now
        else:
            services.tree.delete(conn, spot.root.owner, spot.node.name, now)
        return len(rows)

    while await services.database.write(write, long=spot.node.messages > FEW):
        pass
    return Done("The mailbox is gone")


async def rename(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """RENAME; that of INBOX moves its messages into a new folder (RFC 3501, 6.3.5)."""
    grammar.space()
    old = grammar.mailbox()
    grammar.space()
    new = grammar.mailbox()
    grammar.end()
    account, services, now = session.account, session.services, session.services.now()
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, old))
    demand(spot, "x")
    root, inner = new_name(account, new)
    if root.owner != spot.root.owner:
        raise Refusal(
            "A mailbox stays with its owner; move its messages instead",
            "文件夹不能改归另一信箱，请移动其中的邮件",
            code="CANNOT",
        )
    if services.house.is_act(inner) and not services.house.is_act(spot.node.name):
        raise Refusal(
            "Here documents are signed for or returned one by one: move them, not their folder",
            "此处逐件签收或退文：请移动其中的公文，不要移动文件夹",
            code="CANNOT",
        )
    if spot.node.name == INBOX:
        return await _empty_inbox(session, spot, root, inner)

    def write(conn: Connection) -> None:
        acl = _demand_to_make(session, conn, root, inner)
        before = {node.id for node in services.tree.nodes(conn, root.owner)}
        services.tree.rename(conn, root.owner, spot.node.name, inner, now)
        _hand_down(services.tree, conn, root.owner, acl, before)
        for name, on in services.tree.subscriptions(conn, account.login).items():
            if name == spot.name or name.startswith(f"{spot.name}/"):
                services.tree.subscribe(
                    conn, account.login, root.name(inner) + name[len(spot.name) :], on=on
                )

    try:
        await services.database.write(write)
    except ValueError as error:
        raise Refusal(
            str(error).capitalize(),
            "不能这样改名：文件夹不能放进它自己，各级名称合计最长 500 字、20 层",
            code="CANNOT",
        ) from None
    return Done("The mailbox has its new name")


def _make(session: Session, conn: Connection, root: Root, name: str, use: str = "") -> Node:
    """A new folder, with the rights of the one above it. Raises Refusal, FolderExists."""
    acl = _demand_to_make(session, conn, root, name)
    tree, own = session.services.tree, session.state.subscribes
    before = {node.id for node in tree.nodes(conn, root.owner)}
    now = session.services.now()
    made = tree.create(conn, root.owner, name, now, use, subscribed=not own)
    _hand_down(tree, conn, root.owner, acl, before)
    return made


def _hand_down(
    tree: FolderTree, conn: Connection, owner: str, acl: dict[str, str], before: set[int]
) -> None:
    """Give the rights of the folder above to those that were not there `before`."""
    for node in tree.nodes(conn, owner) if acl else ():
        if node.id not in before:
            for identifier, rights in acl.items():
                tree.set_acl(conn, node.id, identifier, rights)


def _demand_to_make(session: Session, conn: Connection, root: Root, name: str) -> dict[str, str]:
    """Raises Refusal unless the account may make a folder of that name; the rights above it."""
    acl = _acl_above(session.services.tree, conn, root.owner, name)
    if "k" not in rights_in(session.account, root, acl):
        raise not_allowed()
    return acl


def _acl_above(tree: FolderTree, conn: Connection, owner: str, name: str) -> dict[str, str]:
    """The rights given by hand in the nearest folder that there is above a new one."""
    ids = {node.name: node.id for node in tree.nodes(conn, owner)}
    parent = name.rpartition("/")[0]
    while parent and parent not in ids:
        parent = parent.rpartition("/")[0]
    return tree.acl(conn, ids[parent]) if parent else {}


async def subscribe(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SUBSCRIBE"""
    return await _subscribe(session, grammar, on=True)


async def unsubscribe(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """UNSUBSCRIBE"""
    return await _subscribe(session, grammar, on=False)


async def _subscribe(session: Session, grammar: Grammar, *, on: bool) -> Done:
    grammar.space()
    name = grammar.mailbox()
    grammar.end()
    account, services = session.account, session.services
    root, inner = new_name(account, name)
    if on:
        await services.database.glance(lambda c: locate(services.tree, c, account, name))
    # A folder that a client makes is subscribed, for clients that would hide it from themselves;
    # this one sees to that itself.
    created, session.state.created = session.state.created, []
    session.state.subscribes = True

    def write(conn: Connection) -> None:
        services.tree.unsubscribe_all(conn, created)
        services.tree.subscribe(conn, account.login, root.name(inner), on=on)

    await services.database.write(write)
    return Done("Subscribed" if on else "Not subscribed any more")


async def _empty_inbox(session: Session, spot: Spot, root: Root, inner: str) -> Done:
    services, person, now = session.services, session.account.person, session.services.now()
    demand(spot, "te")
    made = await services.database.write(lambda c: _make(session, c, root, inner))

    def step(conn: Connection) -> int:
        rows = services.store.messages(conn, spot.node.id, limit=_STEP)
        services.store.move(
            conn, spot.node.id, [row.id for row in rows], made.id, now=now, by=person
        )
        return len(rows)

    while await services.database.write(step, long=spot.node.messages > FEW):
        pass
    return Done("INBOX is empty now")


def _special_use(grammar: Grammar) -> str:
    """(USE (\\Sent))"""
    uses: list[str] = []

    def one() -> None:
        if grammar.word("USE") != "USE":
            raise SyntaxFault("CREATE knows USE only")
        grammar.space()
        uses.extend(grammar.several(grammar.flag, empty=True))

    grammar.several(one)
    known = {use.lower(): use for use in _USES}
    if len(uses) > 1 or any(use.lower() not in known for use in uses):
        raise Refusal(f"One of {', '.join(_USES)} can be the use of a mailbox", code="USEATTR")
    return known[uses[0].lower()] if uses else ""
