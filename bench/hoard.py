"""A large store that is sound: the way of one document, by the real exchange, cloned many times.

Each clone has octets, digests, signed and linked records, receipts and places in the log of its
own; what the clones share are the times, the texts and the people.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, insert, select

from gateway.domain.clock import milliseconds
from gateway.domain.event import Event
from gateway.domain.ids import new_id, time_of
from gateway.evidence import tree
from gateway.evidence.bundle import records_file
from gateway.evidence.checkpoint import sign_checkpoint
from gateway.evidence.keys import EvidenceKey
from gateway.evidence.record import SIGNED_PREFIX, Record, canonical
from gateway.evidence.tables import checkpoints, evidence_records, log_entries, log_nodes
from gateway.exchange.mailroom import tables as mail
from gateway.exchange.tables import deliveries, document_texts, documents, envelope_recipients
from gateway.seals import custody
from gateway.store.engine import make_engine
from tests import letters
from tests.house import DOMAIN, NOW, House, make_database

SPACING = 20_000  # milliseconds between two ids: some 4,000 documents in a day's folder
PORTION = 1000  # documents in one transaction, and records in a fifth of a checkpoint
_CHECKPOINT = 500  # records
_OLD = time.time() - 7200


@dataclass
class Mould:
    """Everything that the exchange wrote of one document."""

    document: dict[str, Any]
    octets: bytes
    rows: dict[str, list[dict[str, Any]]]
    key: EvidenceKey


@dataclass
class _Folder:
    uidnext: int
    modseq: int


@dataclass
class Hoard:
    """The store while it is being filled."""

    folder: Path
    mould: Mould
    folders: dict[int, _Folder]
    ids: dict[str, int]  # the highest of each table
    size: int  # leaves of the log
    edge: dict[tree.Node, bytes] = field(default_factory=dict)


def make(folder: Path, number: int, tell: Callable[[int], None]) -> None:
    """Fill the empty folder with a store of that many documents, as `state.directory` has it."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'yizhan.db'}"
    make_database(url)
    mould = asyncio.run(_live(folder, url))
    engine = make_engine(url)
    with closing(sqlite3.connect(folder / "yizhan.db")) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA synchronous=OFF")  # type: ignore[union-attr]
        hoard = _open(folder, mould, connection)
        connection.rollback()
        for start in range(1, number, PORTION):
            rows = _clones(hoard, range(start, min(start + PORTION, number)))
            with connection.begin():
                for table, values in rows:
                    connection.execute(insert(table), values)
            tell(min(start + PORTION, number))
        with connection.begin():
            for identifier, one in hoard.folders.items():
                connection.execute(
                    mail.folders.update()
                    .where(mail.folders.c.id == identifier)
                    .values(uidnext=one.uidnext, modseq=one.modseq)
                )
    engine.dispose()


async def _live(folder: Path, url: str) -> Mould:
    """One document is sent, receipted, signed for and summed up."""
    house = House(folder, url)
    certificate = house.bureau.signer.certificate  # type: ignore[attr-defined]
    house.database.write_now(lambda c: custody.set_office_certificate(c, certificate))
    octets = letters.plain("office", "water", "和政办发〔2026〕5号 关于召开会议的通知")
    document = await house.accept("office", octets, "water")
    await house.work()
    await house.sign(document, "water")
    await house.work(minutes=15)
    await house.work(minutes=100_000)

    def read(connection: Any) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
        def of(table: Table, order: Any) -> list[dict[str, Any]]:
            return [
                dict(row) for row in connection.execute(select(table).order_by(order)).mappings()
            ]

        rows = {
            "envelope": of(envelope_recipients, envelope_recipients.c.address),
            "deliveries": of(deliveries, deliveries.c.id),
            "texts": of(document_texts, document_texts.c.ordinal),
            "records": of(evidence_records, evidence_records.c.sequence),
            "contents": of(mail.contents, mail.contents.c.id),
            "messages": of(mail.messages, mail.messages.c.id),
        }
        return of(documents, documents.c.id)[0], rows

    found, rows = house.database.read_now(read)
    key = house.means.notary._key
    await house.close()
    assert isinstance(key.private, Ed25519PrivateKey)
    return Mould(found, octets, rows, key)


def _open(folder: Path, mould: Mould, connection: Any) -> Hoard:
    folders = {
        row.id: _Folder(row.uidnext, row.modseq) for row in connection.execute(select(mail.folders))
    }
    highest = {
        "deliveries": len(mould.rows["deliveries"]) + 1000,
        "contents": max(row["id"] for row in mould.rows["contents"]) + 1000,
        "messages": max(row["id"] for row in mould.rows["messages"]) + 1000,
    }
    size = connection.execute(
        select(checkpoints.c.size).order_by(checkpoints.c.size.desc())
    ).scalar()
    nodes = {(row[0], row[1]): row[2] for row in connection.execute(select(log_nodes))}
    edge = {node: nodes[node] for node in tree.edge(size)}
    return Hoard(folder, mould, folders, highest, size, edge)


def _clones(hoard: Hoard, numbers: range) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """The rows of these documents, table by table; their blobs are written."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("documents", *hoard.mould.rows, "entries")
    }
    leaves: list[bytes] = []
    for number in numbers:
        _clone(hoard, number, rows, leaves)
    made = tree.extend(hoard.size, hoard.edge, leaves)
    heads = _heads(hoard, made, len(leaves))
    yield documents, rows["documents"]
    yield envelope_recipients, rows["envelope"]
    yield deliveries, rows["deliveries"]
    if rows["texts"]:
        yield document_texts, rows["texts"]
    yield evidence_records, rows["records"]
    yield log_entries, rows["entries"]
    yield log_nodes, [{"level": n[0], "index": n[1], "hash": value} for n, value in made]
    yield checkpoints, heads
    yield mail.contents, rows["contents"]
    yield mail.messages, rows["messages"]


def _heads(hoard: Hoard, made: list[tuple[tree.Node, bytes]], leaves: int) -> list[dict[str, Any]]:
    known = {**hoard.edge, **dict(made)}
    sizes = [
        *range(hoard.size + _CHECKPOINT, hoard.size + leaves, _CHECKPOINT),
        hoard.size + leaves,
    ]
    heads = []
    for size in sizes:
        root = tree.root(size, known)
        one = sign_checkpoint(hoard.mould.key, DOMAIN, size, root, NOW)
        heads.append({"size": size, "root": root, "note": one.note, "at": milliseconds(NOW)})
    hoard.size += leaves
    hoard.edge = {node: known[node] for node in tree.edge(hoard.size)}
    return heads


def _clone(
    hoard: Hoard, number: int, rows: dict[str, list[dict[str, Any]]], leaves: list[bytes]
) -> None:
    mould = hoard.mould
    old = mould.document
    new = new_id(milliseconds(NOW) + number * SPACING, os.urandom(10))
    message_id = f"<{hashlib.sha256(new.encode()).hexdigest()}"[
        : len(old["message_id"].partition("@")[0])
    ]
    local, _, host = old["message_id"].partition("@")
    message_id = f"<{new}".ljust(len(local), "0")[: len(local)] + f"@{host}"
    names = {old["id"]: new, old["message_id"]: message_id}
    octets = mould.octets.replace(old["message_id"].encode(), message_id.encode())
    digest = hashlib.sha256(octets).digest()
    _write(hoard.folder, new, octets)
    rows["documents"].append({**old, "id": new, "message_id": message_id, "digest": digest})
    for name in ("envelope", "texts"):
        rows[name] += [{**row, "document_id": new} for row in mould.rows[name]]
    for row in mould.rows["deliveries"]:
        hoard.ids["deliveries"] += 1
        rows["deliveries"].append({**row, "document_id": new, "id": hoard.ids["deliveries"]})
    records = _records(mould, new, message_id, digest.hex(), number)
    for record, row in zip(records, mould.rows["records"], strict=True):
        rows["records"].append(
            {
                **row, "id": record.id, "document_id": new, "octets": record.octets,
                "digest": record.digest, "signature": record.signature,
            }
        )  # fmt: skip
        rows["entries"].append({"record_id": record.id, "number": hoard.size + len(leaves)})
        leaves.append(tree.leaf_hash(record.octets))
    _contents(hoard, rows, names, octets, records)


def _records(
    mould: Mould, document: str, message_id: str, digest: str, number: int
) -> list[Record]:
    found: list[Record] = []
    previous = ""
    for row in mould.rows["records"]:
        value = json.loads(row["octets"])
        identifier = new_id(milliseconds(NOW) + number * SPACING, os.urandom(10))
        value |= {"id": identifier, "document": document, "previous": previous}
        value["content"]["digest"] = digest
        value["application"]["message_id"] = message_id
        octets = canonical(value)
        previous = hashlib.sha256(octets).hexdigest()
        found.append(
            Record(
                identifier, document, row["sequence"], Event(row["event"]), row["recipient"], NOW,
                octets, previous, mould.key.sign(SIGNED_PREFIX + octets), mould.key.id,
            )
        )  # fmt: skip
    return found


def _contents(
    hoard: Hoard,
    rows: dict[str, list[dict[str, Any]]],
    names: Mapping[str, str],
    octets: bytes,
    records: list[Record],
) -> None:
    mould = hoard.mould
    given: dict[int, int] = {}
    for row in mould.rows["contents"]:
        hoard.ids["contents"] += 1
        given[row["id"]] = hoard.ids["contents"]
        values = {**row, "id": hoard.ids["contents"], "key": names[mould.document["id"]]}
        values["envelope"] = _renamed(row["envelope"].encode(), names).decode()
        if row["blob"]:
            values["blob"] = values["key"]
            values["prefix"] = _renamed(row["prefix"], names)
            kept = octets
            for start, end in reversed(json.loads(row["cuts"])):
                kept = kept[:start] + kept[end:]
            values["digest"] = hashlib.sha256(values["prefix"] + kept).hexdigest()
        else:
            inline = _renamed(row["octets"], names)
            if row["kind"] == "receipt":
                inline = _with_records(mould, inline, names, records)
            assert len(inline) == row["size"]
            values["octets"], values["digest"] = inline, hashlib.sha256(inline).hexdigest()
        rows["contents"].append(values)
    for row in mould.rows["messages"]:
        hoard.ids["messages"] += 1
        folder = hoard.folders[row["folder_id"]]
        folder.modseq += 1
        rows["messages"].append(
            {
                **row, "id": hoard.ids["messages"], "content_id": given[row["content_id"]],
                "uid": folder.uidnext, "modseq": folder.modseq,
            }
        )  # fmt: skip
        folder.uidnext += 1


def _with_records(
    mould: Mould, octets: bytes, names: Mapping[str, str], records: list[Record]
) -> bytes:
    """The receipt with the clone's records in the place of the mould's."""
    before = [_record(row) for row in mould.rows["records"]]
    for start in range(len(before)):
        for end in range(len(before), start, -1):
            old = _coded(before[start:end], names)
            if old in octets:
                return octets.replace(old, _coded(records[start:end], {}))
    raise AssertionError("the mould's receipt carries no records")


def _coded(records: list[Record], names: Mapping[str, str]) -> bytes:
    body = binascii.b2a_qp(records_file(records), istext=False)
    return _renamed(body.rstrip(b"\n").replace(b"\n", b"\r\n"), names)


def _record(row: Mapping[str, Any]) -> Record:
    return Record(
        row["id"], row["document_id"], row["sequence"], Event(row["event"]), row["recipient"], NOW,
        row["octets"], row["digest"], row["signature"], row["key_id"],
    )  # fmt: skip


def _renamed(octets: bytes, names: Mapping[str, str]) -> bytes:
    for old, new in names.items():
        octets = octets.replace(old.encode(), new.encode())
    return octets


_made: set[Path] = set()


def _write(folder: Path, name: str, octets: bytes) -> None:
    day = folder / "blobs" / time_of(name).strftime("%Y/%m/%d")
    if day not in _made:
        day.mkdir(parents=True, exist_ok=True)
        _made.add(day)
    path = day / name
    path.write_bytes(octets)
    os.utime(path, (_OLD, _OLD))
