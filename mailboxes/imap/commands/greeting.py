"""CAPABILITY, NOOP, LOGOUT, ID, ENABLE: what may be said at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from mailboxes.imap import output
from mailboxes.imap.done import Done
from mailboxes.imap.farewell import Leave
from mailboxes.imap.grammar import Grammar, SyntaxFault

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

log = structlog.get_logger("imap")

_ALWAYS = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE"
_INSIDE = (
    "IMAP4rev2 IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE "
    "LIST-EXTENDED LIST-STATUS MULTIAPPEND ESEARCH SEARCHRES CONDSTORE QRESYNC SORT SORT=DISPLAY "
    "ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES STATUS=SIZE BINARY ACL RIGHTS=texk QUOTA "
    "QUOTA=RES-STORAGE QUOTA=RES-MESSAGE OBJECTID WITHIN UTF8=ACCEPT"
)
_ENABLES = {
    "CONDSTORE": ("CONDSTORE",), "QRESYNC": ("QRESYNC", "CONDSTORE"),
    "UTF8=ACCEPT": ("UTF8=ACCEPT",), "IMAP4REV2": ("IMAP4REV2",),
}  # fmt: skip
_SPELLED = {"IMAP4REV2": "IMAP4rev2"}
_MOST_PAIRS = 30


def capabilities(session: Session) -> bytes:
    """What there is, at this moment of the session."""
    words = [_ALWAYS]
    if session.state.account is not None:
        words += [_INSIDE, f"APPENDLIMIT={session.services.limits.size}"]
    elif not session.connection.tls_version:
        words += ["STARTTLS", "LOGINDISABLED"]
    else:
        words.append("AUTH=PLAIN")
        if session.connection.certificate is not None:
            words.append("AUTH=EXTERNAL")
    return " ".join(words).encode("ascii")


async def capability(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """CAPABILITY"""
    grammar.end()
    session.write(b"* CAPABILITY %s\r\n" % capabilities(session))
    return Done("That is all")


async def noop(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """NOOP and CHECK: the client is told what is new, as after each command."""
    grammar.end()
    return Done("Nothing done")


async def logout(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """LOGOUT"""
    grammar.end()
    session.untagged("BYE Goodbye")
    session.write(f"{session.tag} OK Goodbye\r\n".encode())
    await session.flush()
    raise Leave


async def identify(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """ID (RFC 2971): who is the client, who are we."""
    grammar.space()
    said: list[bytes] = []
    if grammar.follows(b"NIL"):
        grammar.nstring()
    else:
        # aioimaplib says `ID ( "name" "value" )`.
        pairs_said = grammar.several(grammar.nstring, empty=True, loose=True)
        said = [one or b"" for one in pairs_said]
    grammar.end()
    if len(said) > 2 * _MOST_PAIRS or len(said) % 2:
        raise SyntaxFault(f"ID takes up to {_MOST_PAIRS} pairs of name and value")
    pairs = {
        name.decode("utf-8", "replace").lower(): value.decode("utf-8", "replace")
        for name, value in zip(said[::2], said[1::2], strict=True)
    }
    session.client = " ".join(pairs.get(name, "") for name in ("name", "version")).strip()[:200]
    if session.client:
        log.info("client", peer=session.peer, program=session.client)
    session.write(
        b'* ID ("name" "Yizhan" "version" %s)\r\n'
        % output.string(session.services.version.encode("ascii"))
    )
    return Done("Pleased to meet you")


async def enable(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """ENABLE (RFC 5161): what is not known is left out of the answer."""
    wanted: list[str] = []
    while not grammar.ended:
        grammar.space()
        wanted.append(grammar.word("the name of an extension"))
    if not wanted:
        raise grammar.fault("the name of an extension")
    found = []
    for name in wanted:
        if name in _ENABLES and name not in session.state.enabled:
            session.state.enabled.update(_ENABLES[name])
            found.append(_SPELLED.get(name, name))
    session.untagged(" ".join(["ENABLED", *found]))
    return Done("Enabled")
