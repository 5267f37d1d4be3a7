"""Who is logged in, and what may be done: accounts, their mailboxes, rights (RFC 4314)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailboxes.events import Person

# Letters of RFC 4314, 2.1; `c` and `d` of RFC 2086 stand for several of them.
ALL_RIGHTS = "lrswipkxtea"
READ_RIGHTS = "lrs"
OBSOLETE: Mapping[str, str] = {"c": "kx", "d": "te"}


@dataclass(frozen=True, slots=True)
class Root:
    """A mailbox that the account may see: whose, under which name, and what the role allows."""

    owner: str  # the mailbox's owner, e.g. unit:water
    prefix: str = ""  # of its folders' names, with the / behind it; empty for the account's own
    rights: str = ALL_RIGHTS  # where no right was given by hand
    identifiers: frozenset[str] = frozenset()  # groups of the ACL that the account is of: $clerk

    def name(self, folder: str) -> str:
        """The folder's name as the account sees it."""
        return self.prefix + folder


@dataclass(frozen=True, slots=True)
class Account:
    """A login, once it has proved itself."""

    login: str
    name: str
    language: str  # zh-CN or en
    person: Person
    roots: tuple[Root, ...]  # the account's own mailbox first
    shared: str = ""  # the name under which all but the first stand, with the /; empty: none
    address: str = ""  # of its mail
    proof: str = field(default="", repr=False)  # of the login; the owner of the package reads it

    def goes_by(self, identity: bytes) -> bool:
        """Whether the identity that a client asks to act for (RFC 4616) is this account's own."""
        names = (self.login.casefold(), self.address.casefold())
        return not identity or identity.decode("utf-8", "replace").casefold() in names

    def find(self, name: str) -> tuple[Root, str] | None:
        """The root and the folder's own name; None where the name is in no mailbox of theirs."""
        for root in self.roots[1:]:
            if name.startswith(root.prefix):
                return root, name[len(root.prefix) :]
            if f"{name}/" == root.prefix or name.startswith(self.shared or "\0"):
                continue
        if self.shared and f"{name}/".startswith(self.shared):
            return None
        return (self.roots[0], name) if self.roots else None


def spelled(rights: str) -> str:
    """Rights with each letter once, in the order of RFC 4314; obsolete letters are replaced.

    Raises ValueError for a letter that is none.
    """
    found = "".join(OBSOLETE.get(letter, letter) for letter in rights)
    unknown = set(found) - set(ALL_RIGHTS)
    if unknown:
        raise ValueError(f"not a right: {', '.join(sorted(unknown))}")
    return "".join(letter for letter in ALL_RIGHTS if letter in found)


def effective(given: Mapping[str, str], login: str, identifiers: frozenset[str], usual: str) -> str:
    """The account's rights in a folder, from its ACL: its own entry, else those of all its groups,
    else the `usual` ones."""
    if login in given:
        return given[login]
    groups = [given[name] for name in ("anyone", *identifiers) if name in given]
    return spelled("".join(groups)) if groups else usual
