"""Judge the seal of one message: a pure function of its octets, the book of seals and a moment.

What is judged are the exact octets received. `valid` means that the seal covers the whole body;
of the header it covers what the client has protected (see `protected`), and that must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.document import Opening, SealFault, SealFinding, SealState
from gateway.seals.book import SealBook
from gateway.seals.certificate import read_certificate
from gateway.seals.clearsign import read_clearsigned
from gateway.seals.forms import PGP_SIGNATURE, is_bare_signature, is_encrypted
from gateway.seals.opener import CannotOpen, Opener
from gateway.seals.packets import (
    HIDDEN,
    BrokenPackets,
    Message,
    dearmor,
    read_message,
    recipients_of,
    signatures_in,
)
from gateway.seals.protected import disagreement
from gateway.seals.signature import Bench, judge_signatures, malformed
from mailboxes.decode import decode_body, parameter
from mailboxes.scan import scan
from mailboxes.structure import Part

LARGEST_OPENED = 1 << 26  # octets that an encrypted message may expand to
_ARMOURED = re.compile(rb"^-----BEGIN PGP MESSAGE-----[ \t]*\r?$", re.MULTILINE)
_ARMOUR_END = re.compile(rb"^-----END PGP MESSAGE-----[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_CODED = ("base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue", "uue")
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
# Of separate signed parts the worst counts: a good one must not cover up for a forged one.
_WORST_FIRST = (
    SealState.INVALID, SealState.OTHER_UNIT, SealState.CANCELLED, SealState.UNKNOWN_KEY,
    SealState.EXPIRED, SealState.MISSING, SealState.PARTLY, SealState.VALID,
)  # fmt: skip
_MISSING = SealFinding(SealState.MISSING)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found; plain values, so that a child process may send it."""

    finding: SealFinding
    opening: Opening
    opened: bytes | None  # the inner MIME entity, only when OPENED
    encrypted_to: tuple[str, ...]  # key ids or fingerprints, upper-case hex; HIDDEN: sixteen zeros


@dataclass(slots=True)
class _Cipher:
    """The encrypted content of a message."""

    octets: bytes  # binary; let go once it is opened
    head: bytes  # header that makes an entity of the opened content
    whole: bool  # nothing readable stands beside it


def judge(
    octets: bytes,
    structure: Part,
    *,
    unit_id: int,
    book: SealBook,
    at: datetime,
    clock_skew: float,
    opener: Opener | None,
) -> Judgement:
    """Judge a message as received at the moment `at` from that unit.

    `octets` is the message as received, `structure` its scan, `clock_skew` in seconds. Without an
    opener (in a child process, which never gets the key) encrypted content is not checked.
    Raises Deferred only, from the opener, when the office cannot open mail at this time.
    """
    bench = Bench(unit_id, book, at, clock_skew)
    try:
        cipher = _find_cipher(octets, structure)
        if cipher is not None:
            del octets  # opening does not need them, and may need as much again three times
            return _judge_cipher(cipher, structure, bench, opener)
    except BrokenPackets as error:
        finding = SealFinding(SealState.CANNOT_CHECK, detail=str(error))
        return Judgement(finding, Opening.NOT_CHECKED, None, ())
    finding = _judge_plain(octets, structure, structure, bench)
    if any(_hides_content(octets, part) for part in _all_parts(structure)):
        if finding.state is SealState.MISSING:
            finding = SealFinding(SealState.CANNOT_CHECK, detail="a part of it is encrypted")
        return Judgement(finding, Opening.NOT_CHECKED, None, ())
    return Judgement(finding, Opening.PLAIN, None, ())


def missing_recipients(
    encrypted_to: Iterable[str], book: SealBook, unit_ids: Iterable[int]
) -> list[int]:
    """Those units none of whose seals in force can decrypt; a hidden recipient counts as nobody."""
    named = {name.upper() for name in encrypted_to} - {HIDDEN}
    able: set[int] = set()
    for seal in book.seals:
        if seal.in_force and seal.unit_id not in able:
            try:
                keys = read_certificate(seal.certificate).keys
            except ValueError:
                continue
            if any(key.encrypts and named & {key.fingerprint, key.key_id} for key in keys):
                able.add(seal.unit_id)
    return [unit_id for unit_id in unit_ids if unit_id not in able]


def _judge_plain(
    octets: bytes, root: Part, outer: Part, bench: Bench, *, encrypted: bool = False
) -> SealFinding:
    """Judge all signatures of an entity; `outer` bears the header that people see."""
    findings: list[SealFinding] = []
    other = ""
    for part in _own_parts(root):
        if part.media_type == "multipart/signed" and part.children:
            protocol = parameter(part.parameters, "protocol").lower()
            if protocol == "application/pgp-signature" or _has_pgp_signature(part):
                finding = _judge_signed(octets, part, outer, bench, encrypted=encrypted)
                findings.append(_lessen(finding, whole=part is root and _one_type(part)))
            else:
                other = f"a signature by {protocol or 'an unnamed protocol'} is not a seal"
        elif part.media_type == "text/plain" and not part.children:
            found = _judge_clearsigned(_decoded(octets, part), bench)
            if found is not None:
                findings.append(_lessen(found, whole=part is root))
    if not findings:
        return replace(_MISSING, detail=other)
    worst = min(findings, key=lambda finding: _WORST_FIRST.index(finding.state))
    return _lessen(worst, whole=len(findings) == 1)


def _judge_signed(
    octets: bytes, part: Part, outer: Part, bench: Bench, *, encrypted: bool
) -> SealFinding:
    """A multipart/signed (RFC 3156, 5): the exact octets of its first part, header included."""
    if len(part.children) < 2:
        return malformed("the signature part is missing")
    covered, proof = part.children[0], part.children[1]
    if proof.media_type != PGP_SIGNATURE:
        # What is shown to the reader as text or a file cannot be the proof of another part.
        return malformed("the signature part has another type")
    armour = _decoded(octets, proof)
    try:
        packets = signatures_in(armour)
    except BrokenPackets as error:
        return malformed(str(error))
    finding = judge_signatures(packets, octets[covered.header_start : covered.body_end], bench)
    if finding.state is not SealState.VALID:
        return finding
    name = disagreement(covered, outer, encrypted=encrypted)
    if name:
        return _contradicted(finding, name)
    alone = len(part.children) == 2 and not _epilogue(octets, part)
    return _lessen(finding, whole=alone and is_bare_signature(armour))


def _contradicted(finding: SealFinding, name: str) -> SealFinding:
    detail = f"the sealed {name} is not the one of the message"
    return replace(finding, state=SealState.INVALID, detail=detail, fault=SealFault.HEADER)


def _judge_clearsigned(text: bytes, bench: Bench) -> SealFinding | None:
    if _CLEARSIGNED not in text:
        return None
    signed = read_clearsigned(text)
    if signed is None:
        return None
    if signed.broken:
        return malformed(signed.broken)
    found = [judge_signatures(block.signatures, block.octets, bench) for block in signed.blocks]
    worst = min(found, key=lambda finding: _WORST_FIRST.index(finding.state))
    return _lessen(worst, whole=signed.whole)


def _judge_cipher(cipher: _Cipher, root: Part, bench: Bench, opener: Opener | None) -> Judgement:
    names = recipients_of(cipher.octets)
    # A message that is only signed and packed has no recipients; it must be unpacked all the same.
    to = names or ()
    try:
        if names is None:
            inner = cipher.octets
        elif opener is None:
            raise CannotOpen("nobody here can open it")
        else:
            inner = opener.open(cipher.octets)
        cipher.octets = b""
        packed = inner[:1] >= b"\x80"
        message = read_message(inner, limit=LARGEST_OPENED) if packed else Message(inner, ())
        del inner
    except (CannotOpen, BrokenPackets) as error:
        # The words of gpg may hold a file name that the sender chose: they are not handed on.
        detail = str(error) if isinstance(error, BrokenPackets) else "encrypted to others"
        finding = SealFinding(SealState.CANNOT_CHECK, detail=detail)
        return Judgement(finding, Opening.NOT_CHECKED, None, to)
    entity = cipher.head + message.content
    structure = scan(entity)
    finding = _judge_plain(entity, structure, root, bench, encrypted=True)
    if message.signatures:
        outside = judge_signatures(message.signatures, message.content, bench)
        name = disagreement(structure, root, encrypted=True)
        if outside.state is SealState.VALID and name:
            outside = _contradicted(outside, name)
        if finding.state is SealState.MISSING or outside.state is SealState.VALID:
            finding = outside
    finding = _lessen(finding, whole=cipher.whole)
    if any(_hides_content(entity, part) for part in _all_parts(structure)):
        return Judgement(finding, Opening.NOT_CHECKED, None, to)
    return Judgement(finding, Opening.OPENED, entity, to)


def _find_cipher(octets: bytes, root: Part) -> _Cipher | None:
    """The encrypted content if it is the message's body, as PGP/MIME (RFC 3156, 4) or as text."""
    if is_encrypted(root):
        whole = not _epilogue(octets, root)
        return _Cipher(dearmor(_content(octets, root.children[1])), b"", whole)
    if root.media_type != "text/plain" or root.children:
        return None
    text = _decoded(octets, root)
    begin = _ARMOURED.search(text)
    if begin is None or _CLEARSIGNED in text:
        return None
    end = _ARMOUR_END.search(text, begin.end())
    if end is None or text[: begin.start()].strip() or text[end.end() :].strip():
        return None  # the text beside it would escape the checks: the whole is not checked
    charset = parameter(root.parameters, "charset")
    charset = charset if re.fullmatch(r"[\w.:-]{1,40}", charset, re.ASCII) else "utf-8"
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return _Cipher(dearmor(text[begin.start() :]), head.encode(), True)


def _hides_content(octets: bytes, part: Part) -> bool:
    """Whether the part holds content that checks cannot read: encrypted below, or S/MIME."""
    if part.media_type in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return True
    if part.media_type == "multipart/encrypted":
        return True
    if part.children or not part.media_type.startswith("text/"):
        return False
    return _ARMOURED.search(_decoded(octets, part)) is not None


def _own_parts(root: Part) -> Iterator[Part]:
    """The parts of this message; what stands in a signed part or a forwarded message is its own."""
    yield root
    if root.media_type == "multipart/signed" or root.media_type.startswith("message/"):
        return
    for child in root.children:
        yield from _own_parts(child)


def _all_parts(root: Part) -> Iterator[Part]:
    yield root
    for child in root.children:
        yield from _all_parts(child)


def _has_pgp_signature(part: Part) -> bool:
    return any(child.media_type == "application/pgp-signature" for child in part.children)


def _one_type(part: Part) -> bool:
    """Whether all readers agree on what the part is, and where its parts begin."""
    once = sum(field.name.lower() == "content-type" for field in part.fields) == 1
    return once and "ambiguous-boundary" not in part.faults


def _content(octets: bytes, part: Part) -> bytes | memoryview:
    """As `_decoded`, but without a copy where nothing is encoded."""
    if part.encoding in _CODED:
        return _decoded(octets, part)
    return memoryview(octets)[part.body_start : part.body_end]


def _decoded(octets: bytes, part: Part) -> bytes:
    return decode_body(memoryview(octets)[part.body_start : part.body_end], part.encoding)


def _epilogue(octets: bytes, part: Part) -> bool:
    """Whether text stands behind the last boundary line, where mailing lists put footers."""
    rest = octets[part.children[-1].body_end : part.body_end].lstrip(b"\r\n")
    return bool(rest.partition(b"\n")[2].strip()) or "no-end-boundary" in part.faults


def _lessen(finding: SealFinding, *, whole: bool) -> SealFinding:
    """A valid seal that does not cover everything is `partly`."""
    if whole or finding.state is not SealState.VALID:
        return finding
    detail = "; ".join(filter(None, (finding.detail, "something is not covered by the seal")))
    return replace(finding, state=SealState.PARTLY, detail=detail)
