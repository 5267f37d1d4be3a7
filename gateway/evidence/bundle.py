"""The two files that a receipt carries for programs: `records.json` and `proof.json`.

Their form is frozen with the record's, see `docs/evidence.md`: version 1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

from gateway.evidence.checkpoint import Checkpoint
from gateway.evidence.keys import KeyCertificate
from gateway.evidence.log import Proof
from gateway.evidence.record import Record

RECORDS_NAME = "records.json"
PROOF_NAME = "proof.json"
DIGESTS_NAME = "digests.json"


def records_file(records: Sequence[Record]) -> bytes:
    """A JSON array with the exact octets and the signature of each record, ASCII."""
    lines = (
        json.dumps(
            {
                "record": _base64(record.octets),
                "signature": _base64(record.signature),
                "key": record.key_id,
            }
        )
        for record in records
    )
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode("ascii")


def proof_file(
    proofs: Sequence[Proof],
    checkpoint: Checkpoint | None,
    certificates: Sequence[KeyCertificate],
) -> bytes:
    """The keys, the checkpoint and an audit path for each record, ASCII JSON.

    The paths of one transaction's records share most hashes, so each hash stands once and the
    paths are numbers of hashes: 1,000 records cost 2,000 hashes, not 20,000.

    Raises ValueError for a proof that is not of this checkpoint.
    """
    if any(checkpoint is None or proof.size != checkpoint.size for proof in proofs):
        raise ValueError("a proof leads to another checkpoint")
    places: dict[bytes, int] = {}
    paths = [
        {
            "record": proof.record_id,
            "number": proof.number,
            "path": [places.setdefault(step, len(places)) for step in proof.hashes],
        }
        for proof in proofs
    ]
    value = {
        "version": 1,
        "keys": [
            {
                "key": certificate.id,
                "statement": _base64(certificate.statement),
                "signature": certificate.certified,
            }
            for certificate in certificates
        ],
        "checkpoint": "" if checkpoint is None else checkpoint.note,
        "hashes": [_base64(step) for step in places],
        "paths": paths,
    }
    return json.dumps(value).encode("ascii") + b"\n"


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
