"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one root for each mailbox owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailboxes.imap import output
from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar
from mailboxes.imap.places import demand, locate
from mailboxes.imap.ports import Refusal
from mailboxes.imap.room import limit_of

if TYPE_CHECKING:
    from mailboxes.imap.session import Session


async def get_quota(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """GETQUOTA"""
    grammar.space()
    root = grammar.text("the name of a quota root")
    grammar.end()
    if root not in {one.owner for one in session.account.roots}:
        raise Refusal("There is no such quota root", "没有这个限额项", code="NONEXISTENT")
    await _say(session, root)
    return Done("That is the quota")


async def get_quota_root(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """GETQUOTAROOT"""
    grammar.space()
    name = grammar.mailbox()
    grammar.end()
    account, services = session.account, session.services
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, name))
    demand(spot, "r")
    owner = output.astring(spot.root.owner.encode("ascii", "replace"))
    shown = output.mailbox(spot.name, utf8=session.state.utf8)
    session.write(b"* QUOTAROOT %s %s\r\n" % (shown, owner))
    await _say(session, spot.root.owner)
    return Done("That is the quota")


async def set_quota(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SETQUOTA is the operator's: `yizhan mailbox quota`."""
    raise Refusal("The operator sets the quota", "限额由系统管理员设定", code="NOPERM")


async def _say(session: Session, owner: str) -> None:
    services = session.services
    used, _, own = await services.database.glance(lambda c: services.tree.usage(c, owner))
    limit = limit_of(services, own)
    resources = f"STORAGE {-(-used // 1024)} {-(-limit // 1024)}" if limit else ""
    session.write(
        b"* QUOTA %s (%s)\r\n"
        % (output.astring(owner.encode("ascii", "replace")), resources.encode("ascii"))
    )
