"""PGP/MIME: wrap a finished MIME entity and its signature into multipart/signed (RFC 3156, 5)."""

from __future__ import annotations

import hashlib
import re

from gateway.seals.signer import Signer

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def sign_mime(entity: bytes, signer: Signer) -> tuple[bytes, str]:
    """The body of a multipart/signed and the value of its Content-Type field.

    `entity` is a whole MIME entity: its header fields, an empty line and its body. It stands in
    the result unchanged, so what is signed is exactly what travels. The caller writes
    `Content-Type: ` and the value, folded at `;`, above the body.

    Raises ValueError if the entity is not 7-bit with CRLF (RFC 3156, 3): a relay would re-encode
    it and break the signature.
    """
    if not entity.isascii() or _BARE_LINE_END.search(entity):
        raise ValueError("a signed entity must be 7-bit and have CRLF line ends")
    boundary = _boundary(entity)
    mark = b"--" + boundary.encode()
    signature = signer.sign(entity).replace(b"\r\n", b"\n").strip().replace(b"\n", b"\r\n")
    body = b"\r\n".join(
        (
            mark,
            entity,
            mark,
            b'Content-Type: application/pgp-signature; name="signature.asc"',
            b"Content-Description: OpenPGP digital signature",
            b'Content-Disposition: attachment; filename="signature.asc"',
            b"",
            signature,
            b"",
            mark + b"--",
            b"",
        )
    )
    content_type = (
        f'multipart/signed; micalg="{signer.micalg}"; '
        f'protocol="application/pgp-signature"; boundary="{boundary}"'
    )
    return body, content_type


def _boundary(entity: bytes) -> str:
    """A boundary that the entity does not contain; the same for the same entity."""
    digest = hashlib.sha256(entity)
    while True:
        boundary = f"=_seal_{digest.hexdigest()[:40]}"
        if boundary.encode() not in entity:
            return boundary
        digest.update(b"again")
