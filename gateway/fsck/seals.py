"""Seals: the book, its log, the office's own certificate, the evidence keys, and each use."""

from __future__ import annotations

import base64
import json
from collections import Counter

from pysequoia import Cert, Sig
from pysequoia import verify as verify_openpgp
from sqlalchemy import Connection, select

from gateway.domain.document import SealState
from gateway.domain.event import Event
from gateway.evidence.keys import KEY_STATEMENT_PURPOSE, key_id
from gateway.evidence.record import canonical
from gateway.evidence.tables import evidence_keys
from gateway.fsck.codes import Code
from gateway.fsck.dossier import Dossier
from gateway.fsck.fault import Findings
from gateway.fsck.standing import Standing
from gateway.seals.tables import seal_book, seal_log, seals

_SEALED = (SealState.VALID, SealState.PARTLY)
_BEGINS = (Event.SEAL_ISSUED.value, Event.SEAL_REPLACED.value)


def check_uses(dossier: Dossier, standing: Standing, found: Findings) -> None:
    """The register of uses names the document if and only if it bears a seal of this office."""
    row = dossier.document
    bears = row is not None and row.seal_state in _SEALED and row.seal_fingerprint in standing.seals
    expected = {row.seal_fingerprint} if row is not None and bears else set()
    wrong = expected.symmetric_difference(dossier.seal_uses)
    if wrong:
        found.add(
            Code.SEAL_USE, dossier.id,
            f"the register of seals and document {dossier.id} do not agree on its seal",
            document=dossier.id,
        )  # fmt: skip


def check_book(connection: Connection, found: Findings) -> None:
    """Each seal is what its fingerprint says, and has its lines in the log."""
    events: dict[int, Counter[str]] = {}
    for line in connection.execute(select(seal_log.c.seal_id, seal_log.c.event)):
        events.setdefault(line.seal_id, Counter())[line.event] += 1
    for row in connection.execute(select(seals)):
        found.counts["seals"] += 1
        if _fingerprint(bytes(row.certificate)) != row.fingerprint:
            found.add(
                Code.SEAL_CERTIFICATE, row.fingerprint,
                f"the certificate of seal {row.fingerprint} is not that of this key",
            )  # fmt: skip
        told = events.get(row.id, Counter())
        begun = sum(told[event] for event in _BEGINS)
        cancelled = told[Event.SEAL_CANCELLED.value]
        if begun != 1 or cancelled != (row.cancelled_at is not None):
            found.add(
                Code.SEAL_LOG, row.fingerprint,
                f"the log of seals does not tell how seal {row.fingerprint} began and ended",
            )  # fmt: skip
        elif (row.replaced_at is None) != (row.replaced_by is None):
            found.add(
                Code.SEAL_LOG, row.fingerprint,
                f"seal {row.fingerprint} was replaced by none, or at no time",
            )  # fmt: skip


def check_keys(connection: Connection, found: Findings) -> None:
    """Each evidence key is the one that the office's OpenPGP key certified."""
    rows = list(connection.execute(select(evidence_keys)))
    if not rows:
        return
    octets = connection.scalar(select(seal_book.c.office_certificate)) or b""
    try:
        office = Cert.from_bytes(bytes(octets))
    except RuntimeError:
        found.add(
            Code.OFFICE_CERTIFICATE, "office",
            "the book of seals has no readable certificate of the office",
        )  # fmt: skip
        return
    for row in rows:
        found.counts["keys"] += 1
        if not _is_certified(
            office, row.id, bytes(row.public), bytes(row.statement), row.certified
        ):
            found.add(
                Code.KEY_CERTIFICATE, row.id,
                f"the office's key did not certify the evidence key {row.id}",
            )  # fmt: skip


def _fingerprint(certificate: bytes) -> str:
    try:
        return str(Cert.from_bytes(certificate).fingerprint).upper()
    except RuntimeError:
        return ""


def _is_certified(office: Cert, name: str, public: bytes, statement: bytes, word: str) -> bool:
    if key_id(public) != name:
        return False
    try:
        value = json.loads(statement)
        good = (
            value["purpose"] == KEY_STATEMENT_PURPOSE
            and value["key"] == name
            and base64.b64decode(value["public"], validate=True) == public
            and canonical(value) == statement
        )
        verify_openpgp(
            bytes=statement, store=lambda _: [office], signature=Sig.from_bytes(word.encode())
        )
    except (RuntimeError, ValueError, TypeError, KeyError):
        return False
    return bool(good)
