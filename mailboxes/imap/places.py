"""Finds folders by the names that an account sees, with the account's rights in them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from mailboxes.errors import NoSuchFolder
from mailboxes.imap.account import Account, Root, effective, spelled
from mailboxes.imap.ports import Refusal, no_such_folder, not_allowed
from mailboxes.tree import FolderTree, Node, checked_name


@dataclass(frozen=True, slots=True)
class Spot:
    """A folder, as an account sees it."""

    root: Root
    node: Node
    rights: str

    @property
    def name(self) -> str:
        """Its name, as the account sees it."""
        return self.root.name(self.node.name)

    @property
    def use(self) -> str:
        """What it is for, such as \\Sent (RFC 6154): only in the account's own mailbox.

        Or Thunderbird, which takes the first folder of a use, would keep what a person deletes,
        sends and drafts in their unit's mailbox, for all to read.
        """
        return "" if self.root.prefix else self.node.special_use


def locate(tree: FolderTree, conn: Connection, account: Account, name: str) -> Spot:
    """The folder of that name. Raises Refusal if there is none that the account may know of."""
    root, inner = split(account, name)
    try:
        node = tree.node(conn, root.owner, inner)
    except NoSuchFolder:
        raise no_such_folder() from None
    return _seen(account, root, node, tree.acl(conn, node.id))


def everything(tree: FolderTree, conn: Connection, account: Account) -> list[Spot]:
    """All folders that the account may know of."""
    found: list[Spot] = []
    for root in account.roots:
        acls = tree.all_acls(conn, root.owner)
        for node in tree.nodes(conn, root.owner):
            rights = rights_in(account, root, acls.get(node.id, {}))
            if "l" in rights:
                found.append(Spot(root, node, rights))
    return found


def split(account: Account, name: str) -> tuple[Root, str]:
    """The mailbox that the name is in, and the folder's own name there. Raises Refusal."""
    found = account.find(name)
    if found is None:
        raise no_such_folder()
    root, inner = found
    try:
        return root, checked_name(inner)
    except ValueError:
        raise no_such_folder() from None


def rights_in(account: Account, root: Root, acl: dict[str, str]) -> str:
    """The account's rights in a folder with that ACL. To administer is a matter of the role: it
    cannot be given by hand, and whoever may cannot shut themselves out."""
    found = effective(acl, account.login, root.identifiers, root.rights)
    if "a" in root.rights:
        return spelled(found + "la")
    return found.replace("a", "")


def rights_now(
    tree: FolderTree, conn: Connection, account: Account, owner: str, folder_id: int
) -> str:
    """The account's rights in a folder of that owner; none if it may not see the mailbox at all."""
    for root in account.roots:
        if root.owner == owner:
            return rights_in(account, root, tree.acl(conn, folder_id))
    return ""


def demand(spot: Spot, rights: str) -> None:
    """Raises Refusal unless the account has all these rights there."""
    if not set(rights) <= set(spot.rights):
        raise not_allowed()


def new_name(account: Account, name: str) -> tuple[Root, str]:
    """Where a folder of that name would be made. Raises Refusal with the reason why not."""
    found = account.find(name)
    if found is None:
        raise Refusal("No mailboxes can be made there", "不能在此处新建文件夹", code="CANNOT")
    root, inner = found
    try:
        return root, checked_name(inner)
    except ValueError as error:
        raise Refusal(
            str(error).capitalize(),
            "文件夹名称不合规：最长 500 字、20 层，各层不得为空，首尾不得有空格",
            code="CANNOT",
        ) from None


def _seen(account: Account, root: Root, node: Node, acl: dict[str, str]) -> Spot:
    rights = rights_in(account, root, acl)
    if "l" not in rights:
        raise no_such_folder()
    return Spot(root, node, rights)
