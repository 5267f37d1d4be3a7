"""What has the form of a signature or of encryption in MIME (RFC 1847, RFC 3156), and no more.

One definition for the judge of seals and for the reading of attachments: whatever only bears the
label is content like any other, and is read, shown and refused as such.
"""

from __future__ import annotations

import re

from mailboxes.decode import parameter
from mailboxes.structure import Part

PGP_SIGNATURE = "application/pgp-signature"
PGP_ENCRYPTED = "application/pgp-encrypted"
SMIME_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature")
PROOFS = (PGP_SIGNATURE, PGP_ENCRYPTED, *SMIME_SIGNATURES)

LARGEST_PROOF = 65_536  # octets; dozens of signatures, or one with its chain of certificates

_HEADERS = rb"(?:[A-Za-z-]{1,40}: ?[ -~]{0,200}\r?\n)*[ \t]*\r?\n"
_LINES = rb"(?:[A-Za-z0-9+/=]{1,80}[ \t]*\r?\n)+"
_PGP_SIGNATURE = re.compile(
    rb"\s*-----BEGIN PGP SIGNATURE-----[ \t]*\r?\n" + _HEADERS + _LINES
    + rb"-----END PGP SIGNATURE-----\s*"
)  # fmt: skip
_PGP_MESSAGE_BEGIN = re.compile(rb"\s*-----BEGIN PGP MESSAGE-----[ \t]*\r?\n" + _HEADERS)
_PGP_MESSAGE_END = re.compile(rb"-----END PGP MESSAGE-----\s*\Z")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
_PIECE = 1 << 16
_VERSION = re.compile(rb"\s*(?:Version: ?1)?\s*", re.IGNORECASE)
_NAMES = {
    PGP_SIGNATURE: ("asc", "sig", "pgp", "gpg"),
    PGP_ENCRYPTED: ("asc", "sig", "pgp", "gpg"),
    "application/octet-stream": ("asc", "sig", "pgp", "gpg"),
} | dict.fromkeys(SMIME_SIGNATURES, ("p7s",))


def is_encrypted(part: Part) -> bool:
    """Whether it is a multipart/encrypted of OpenPGP: two parts, each of its type."""
    types = [child.media_type for child in part.children]
    return part.media_type == "multipart/encrypted" and types == [
        PGP_ENCRYPTED,
        "application/octet-stream",
    ]


def may_be_structural(parent: Part, child: Part) -> bool:
    """Whether the place, the type and the names of a leaf are those of a proof or a cipher.

    Then `is_structural` must still look at what it holds.
    """
    if is_encrypted(parent):
        fits = True
    elif parent.media_type == "multipart/signed" and len(parent.children) > 1:
        fits = child is parent.children[1] and child.media_type in (
            PGP_SIGNATURE, *SMIME_SIGNATURES,
        )  # fmt: skip
    else:
        fits = False
    return fits and not child.children and _plain_names(child)


def is_structural(media_type: str, octets: bytes) -> bool:
    """Whether decoded content is nothing but the proof or the cipher that its type promises."""
    if media_type == PGP_ENCRYPTED:
        return _VERSION.fullmatch(octets) is not None
    if media_type == PGP_SIGNATURE:
        return is_bare_signature(octets)
    if media_type in SMIME_SIGNATURES:
        return _is_small_der(octets)
    begin = _PGP_MESSAGE_BEGIN.match(octets)
    end = _PGP_MESSAGE_END.search(octets, max(len(octets) - 200, 0))
    if begin is None or end is None:
        return False
    # In pieces: a slice of 25 MB and what translate makes of it would be held at one time.
    places = range(begin.end(), end.start(), _PIECE)
    return all(
        not octets[place : min(place + _PIECE, end.start())].translate(None, _BASE64)
        for place in places
    )


def is_bare_signature(octets: bytes) -> bool:
    """Whether it is one armoured signature with nothing but white space outside it."""
    return len(octets) <= LARGEST_PROOF and _PGP_SIGNATURE.fullmatch(octets) is not None


def _is_small_der(octets: bytes) -> bool:
    """A SEQUENCE that is the whole content; by BER without a length, as some clients write it."""
    octets = octets.rstrip(b"\r\n") if octets[:2] == b"\x30\x80" else octets
    if len(octets) > LARGEST_PROOF or octets[:1] != b"\x30" or len(octets) < 8:
        return False
    if octets[1] == 0x80:
        return octets.endswith(b"\0\0")
    count = octets[1] & 0x7F if octets[1] & 0x80 else 0
    length = int.from_bytes(octets[2 : 2 + count], "big") if count else octets[1]
    return len(octets) in range(2 + count + length, 2 + count + length + 3)  # a line end behind it


def _plain_names(part: Part) -> bool:
    allowed = _NAMES[part.media_type]
    names = (
        parameter(part.disposition_parameters, "filename"), parameter(part.parameters, "name"),
    )  # fmt: skip
    return all("." not in name or _ending(name) in allowed for name in names)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
