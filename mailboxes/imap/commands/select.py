"""SELECT, EXAMINE, CLOSE, UNSELECT: the folder that the session is about (RFC 7162 too)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailboxes.imap.commands.transfer import expunge_deleted
from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.places import Spot, demand, locate
from mailboxes.imap.selected import NEVER, Selected
from mailboxes.imap.syntax import QResync, chosen, numbers_text

if TYPE_CHECKING:
    from mailboxes.imap.session import Session


async def select(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SELECT"""
    return await _open(session, grammar, readonly=False)


async def examine(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """EXAMINE: SELECT for reading only."""
    return await _open(session, grammar, readonly=True)


async def close(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """CLOSE: removes what is marked \\Deleted, without a word."""
    grammar.end()
    if session.selected.may("e"):
        await expunge_deleted(session, None)
    session.unselect()
    return Done("Closed")


async def unselect(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """UNSELECT (RFC 3691): CLOSE that removes nothing."""
    grammar.end()
    session.unselect()
    return Done("Closed")


async def _open(session: Session, grammar: Grammar, *, readonly: bool) -> Done:
    grammar.space()
    name = grammar.mailbox()
    options = grammar.select_options()
    grammar.end()
    if options.qresync is not None and not session.state.qresync:
        raise SyntaxFault("QRESYNC must be enabled first")
    if session.state.selected is not None:
        session.unselect()
        session.untagged("OK [CLOSED] The mailbox before it is closed")
    account, services = session.account, session.services
    spot = await services.database.glance(lambda c: locate(services.tree, c, account, name))
    demand(spot, "r")
    if options.condstore:
        session.state.enabled.add("CONDSTORE")
    readonly = readonly or not set("swtied") & set(spot.rights)
    view = await services.views.open(spot.node.id, account.login)
    selected = Selected(
        view, spot.name, spot.root.owner, account.login, spot.rights, readonly=readonly
    )
    session.state.selected = selected
    try:
        await _present(session, selected, spot, options.qresync)
    except BaseException:
        session.unselect()
        raise
    return Done("Selected", "READ-ONLY" if readonly else "READ-WRITE")


async def _present(session: Session, selected: Selected, spot: Spot, known: QResync | None) -> None:
    """All that the client is told of a folder that it selects."""
    view, account = selected.view, session.account
    if session.state.rev2:
        selected.claimed = NEVER
    elif selected.readonly:
        selected.claim(spot.node.recent, view.state.uidnext)
    elif spot.node.recent < view.state.uidnext:
        await session.claim_recent(selected)
    else:
        selected.claimed = view.state.uidnext
    # Others may have changed the view meanwhile: all that follows must be of one moment, or a
    # client that is told a HIGHESTMODSEQ later than its messages would never hear of the others.
    selected.begin()
    session.write(selected.flags_line())
    session.write(selected.permanent_flags_line())
    session.untagged(f"{len(selected.uids)} EXISTS")
    if not session.state.rev2:
        session.untagged(f"{selected.recent} RECENT")
        first = view.first_unseen(account.login)
        if first:
            session.untagged(f"OK [UNSEEN {first}] The first that is unread")
    else:
        _say_list(session, spot.name)
    session.untagged(f"OK [UIDVALIDITY {view.state.uidvalidity}] UIDs are valid")
    session.untagged(f"OK [UIDNEXT {view.state.uidnext}] The next UID")
    session.untagged(f"OK [HIGHESTMODSEQ {view.state.modseq}] The newest change")
    session.untagged(f"OK [MAILBOXID ({spot.node.object_id})] This mailbox, whatever its name")
    if known is not None:
        await _resync(session, selected, known)


def _say_list(session: Session, name: str) -> None:
    """RFC 9051, 6.3.2: SELECT tells the name."""
    from mailboxes.imap import output  # noqa: PLC0415

    session.write(b'* LIST () "/" %s\r\n' % output.mailbox(name, utf8=session.state.utf8))


async def _resync(session: Session, selected: Selected, query: QResync) -> None:
    """What has changed since the client was here (RFC 7162, 3.2.5)."""
    view = selected.view
    if query.uidvalidity != view.state.uidvalidity or query.modseq >= view.state.modseq:
        return
    since = query.modseq
    gone = await session.services.database.read(
        lambda c: session.services.store.expunged(c, selected.folder_id, since)
    )
    known = None if query.known is None else query.known.bounded(view.state.uidnext)
    removed = chosen({uid for uid, _ in gone}.difference(selected.uids), known)
    if removed:
        text = numbers_text(removed)
        session.write(b"* VANISHED (EARLIER) %s\r\n" % text.encode("ascii"))
    for uid in chosen(selected.uids, known):
        row = selected.row(uid)  # none, if another client has removed it meanwhile
        if row is None or row.modseq <= since:
            continue
        session.write(selected.fetch_line(uid, modseq=True, uid_too=True))
        await session.flush_some()
