"""What of a mail matters where it may be an act: own lines, what it answers, a read receipt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.policy.command import own_lines
from gateway.policy.markup import html_text
from mailboxes.decode import charset_text, decode_body, decode_text, parameter
from mailboxes.scan import scan, scan_fields
from mailboxes.structure import Part

LONGEST = 262_144  # octets; a longer mail is no act: it carries something
_HEADER_SEARCHED = 65_536
_ANSWERS = re.compile(rb"^(?:in-reply-to|references)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ID = re.compile(r"<[^<>\s]{1,995}>")
_MOST_IDS = 50
_WRAPPINGS = ("application/pgp-signature", "application/pkcs7-signature")


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """A message disposition notification (RFC 8098)."""

    by_hand: bool  # manual-action/MDN-sent-manually
    displayed: bool  # not: deleted unread, processed, dispatched
    message_id: str  # Original-Message-ID with its angle brackets; empty: not said


@dataclass(frozen=True, slots=True)
class ActMail:
    """A mail, as far as it can be an act. Nothing of it is kept."""

    own: tuple[str, ...]  # see `command.own_lines`
    replied: tuple[str, ...]  # message ids of In-Reply-To
    referred: tuple[str, ...]  # of References, the newest first
    automatic: bool  # written by a program, which signs for nothing
    files: bool  # carries more than text
    receipt: ReadReceipt | None


def may_answer(octets: bytes) -> bool:
    """Whether the header says that it answers another mail: cheap, asked of every mail."""
    head = octets[:_HEADER_SEARCHED]
    for end in (b"\r\n\r\n", b"\n\n"):
        head = head.partition(end)[0]
    return _ANSWERS.search(head) is not None


def read_act_mail(octets: bytes) -> ActMail:
    """Read the mail; never raises, however it is written."""
    root = scan(octets)
    leaves = list(_leaves(root))
    receipt = _read_receipt(octets, root)
    submitted = _field(root, "auto-submitted").partition(";")[0].strip().lower()
    report = root.media_type == "multipart/report" and receipt is None
    text = _body(octets, leaves)
    return ActMail(
        own=tuple(own_lines(text)),
        replied=_ids(_field(root, "in-reply-to")),
        referred=tuple(reversed(_ids(_field(root, "references")))),
        automatic=report
        or submitted not in ("", "no")
        or _field(root, "precedence").lower() in ("bulk", "junk", "list", "auto_reply"),
        files=any(_is_file(leaf) for leaf in leaves) and receipt is None,
        receipt=receipt,
    )


def _field(part: Part, name: str) -> str:
    value = next((field.value for field in part.fields if field.name.lower() == name), b"")
    return decode_text(value).strip()


def _ids(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_ID.findall(text)))[-_MOST_IDS:]


def _leaves(part: Part) -> Iterator[Part]:
    if not part.children:
        yield part
    elif not part.media_type.startswith("message/"):
        for child in part.children:
            yield from _leaves(child)
    else:
        yield part  # an attached message is a file here


def _is_file(leaf: Part) -> bool:
    if leaf.media_type in _WRAPPINGS:
        return False
    if leaf.media_type.startswith("image/") and leaf.disposition != "attachment":
        return False  # the picture of a signature
    return leaf.disposition == "attachment" or leaf.media_type not in ("text/plain", "text/html")


def _body(octets: bytes, leaves: list[Part]) -> str:
    """The text as written: of its alternatives the plain one."""
    for media_type in ("text/plain", "text/html"):
        for leaf in leaves:
            if leaf.media_type == media_type and leaf.disposition != "attachment":
                raw = decode_body(octets[leaf.body_start : leaf.body_end], leaf.encoding)
                text = charset_text(raw, parameter(leaf.parameters, "charset"))
                return html_text(text) if media_type == "text/html" else text
    return ""


def _read_receipt(octets: bytes, root: Part) -> ReadReceipt | None:
    if (
        root.media_type != "multipart/report"
        or parameter(root.parameters, "report-type").lower() != "disposition-notification"
    ):
        return None
    for part in root.children:
        if part.media_type == "message/disposition-notification":
            body = decode_body(octets[part.body_start : part.body_end], part.encoding)
            said = {field.name.lower(): field.value for field in scan_fields(body)}
            mode, _, kind = decode_text(said.get("disposition", b"")).lower().partition(";")
            action, _, sending = (word.strip() for word in mode.partition("/"))
            ids = _ids(decode_text(said.get("original-message-id", b"")))
            return ReadReceipt(
                by_hand=action == "manual-action" and sending == "mdn-sent-manually",
                displayed=kind.partition("/")[0].strip() == "displayed",
                message_id=ids[0] if ids else "",
            )
    return None
