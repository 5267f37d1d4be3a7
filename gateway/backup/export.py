"""Gives the owner everything in open formats, as of one moment, with what verifies it.

One snapshot of the database, in portions, so memory does not grow with the office. What is written
is written whole under another name first; a run that was stopped goes on where it ended, since a
document that is there already with its size is not written again. `SHA256SUMS` comes last: without
it an export is not finished.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pysequoia import ArmorKind, armor
from sqlalchemy import Connection, select

from gateway import __version__
from gateway.backup import leaflet, rows, verifier
from gateway.backup.shelf import READ, create
from gateway.config import Config
from gateway.directory import csvfile
from gateway.directory.csvexport import give
from gateway.directory.snapshot import Directory, load
from gateway.domain.clock import moment, rfc3339
from gateway.errors import CommandError, StoreDamaged
from gateway.evidence.tables import checkpoints, evidence_keys, evidence_records, log_entries
from gateway.exchange.mailroom import open_mailboxes
from gateway.exchange.mailroom import tables as mailboxes
from gateway.exchange.tables import documents
from gateway.seals import custody
from gateway.store.blobs import Blobs
from gateway.store.tables import store_identity
from mailboxes import maildir

Told = Callable[[str, int, int], None]
MARK = "yizhan-export.json"
SUMS = "SHA256SUMS"
# Not as tables: octets stand in the Maildirs and records, nodes follow from the records.
_LEFT_OUT = {"mailbox_contents", "log_nodes", "evidence_records", "checkpoints", "store_facts"}
_SECRET = {("accounts", "password_hash")}
_UNSAFE = re.compile(r'[\x00-\x20/\\:*?"<>|\x7f]+')


@dataclass(slots=True)
class Export:
    """One export of an office into one folder."""

    config: Config
    blobs: Blobs
    folder: Path
    now: datetime
    told: Told = lambda _what, _count, _octets: None
    counts: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    def run(self, connection: Connection) -> None:
        """Write everything that this snapshot has. Raises CommandError."""
        mask = os.umask(0o077)
        try:
            self._begin(connection)
            directory = load(connection, self.config.office.domain)
            self._documents(connection)
            self._mailboxes(connection)
            self._evidence(connection)
            self._receipts(connection)
            self._seals(connection, directory)
            self._tables(connection)
            self._people(directory)
            self._explain(connection)
            self._sum()
        except FileExistsError as error:
            raise CommandError(f"{error}; name an empty folder") from error
        except OSError as error:
            raise CommandError(
                f"the export is not finished: {error.filename or self.folder}: {error.strerror}; "
                "run it again, and it goes on"
            ) from error
        finally:
            os.umask(mask)

    def _begin(self, connection: Connection) -> None:
        identity = connection.scalar(select(store_identity.c.identity)) or ""
        octets = json.dumps({"format": 1, "identity": identity}).encode() + b"\n"
        mark = self.folder / MARK
        if mark.exists():
            if mark.read_bytes() != octets:
                raise CommandError(f"{self.folder} holds the export of another office")
            (self.folder / SUMS).unlink(missing_ok=True)
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise CommandError(f"{self.folder}: this folder is not empty and holds no export")
        _write(mark, octets)

    def _documents(self, connection: Connection) -> None:
        columns = (documents.c.id, documents.c.received_at, documents.c.number, documents.c.digest)
        count = octets = 0
        for row in _stream(connection, select(*columns).order_by(documents.c.id)):
            received = moment(row.received_at)
            number = _UNSAFE.sub("_", row.number)[:60]
            name = "_".join(filter(None, (f"{received:%Y%m%d-%H%M%S}", number, row.id)))
            path = self.folder / "documents" / f"{received:%Y/%m/%d}" / f"{name}.eml"
            try:
                octets += self._document(row.id, path, bytes(row.digest))
            except (FileNotFoundError, StoreDamaged):
                self.damaged.append(row.id)
                continue
            count += 1
            self.told("documents", count, octets)
        self.counts["documents"] = count

    def _document(self, name: str, path: Path, digest: bytes) -> int:
        if path.exists() and _digest(path) == digest.hex():
            return path.stat().st_size
        found = hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{name}.tmp")
        try:
            with self.blobs.open(name) as source, create(temporary) as file:
                while piece := source.read(READ):
                    found.update(piece)
                    file.write(piece)
            if found.digest() != digest:
                raise StoreDamaged("a document is damaged", cause=name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        temporary.rename(path)
        return path.stat().st_size

    def _mailboxes(self, connection: Connection) -> None:
        store = open_mailboxes(self.blobs)
        before = 0
        for owner in store.owners(connection):
            target = self.folder / "mailboxes" / owner.replace(":", "_")

            def told(progress: maildir.Progress, before: int = before) -> None:
                self.told("messages", before + progress.done, 0)

            done = maildir.export(
                store, connection, owner, target, progress=told,
                unreadable=(FileNotFoundError, StoreDamaged),
            )  # fmt: skip
            before += done.done
        self.counts["messages"] = before

    def _evidence(self, connection: Connection) -> None:
        folder = self.folder / "evidence"
        entry = log_entries
        record = evidence_records
        query = (
            select(record.c.octets, record.c.signature, record.c.key_id, entry.c.number)
            .join(entry, entry.c.record_id == record.c.id)
            .order_by(
                entry.c.number.is_(None), entry.c.number, record.c.document_id, record.c.sequence
            )
        )
        self.counts["records"] = _write_lines(
            folder / "records.jsonl",
            (
                {
                    "number": row.number,
                    "key": row.key_id,
                    "signature": _base64(row.signature),
                    "record": _base64(row.octets),
                }
                for row in _stream(connection, query)
            ),
        )
        _write_lines(
            folder / "checkpoints.jsonl",
            (
                {"size": row.size, "at": rfc3339(moment(row.at)), "note": row.note}
                for row in _stream(connection, select(checkpoints).order_by(checkpoints.c.size))
            ),
        )
        keys = [
            {"key": row.id, "statement": _base64(row.statement), "signature": row.certified}
            for row in connection.execute(select(evidence_keys).order_by(evidence_keys.c.created))
        ]
        _write(folder / "keys.json", json.dumps(keys, indent=1).encode() + b"\n")
        office = custody.load_book(connection).office_certificate
        _write(folder / "office.asc", armor(office, ArmorKind.PublicKey).encode())

    def _receipts(self, connection: Connection) -> None:
        table = mailboxes.contents
        query = select(table.c.id, table.c.key, table.c.octets).where(
            table.c.kind == "receipt", table.c.octets.is_not(None)
        )
        count = 0
        for row in _stream(connection, query.order_by(table.c.id)):
            folder = self.folder / "evidence" / "receipts" / _UNSAFE.sub("_", row.key)
            _write(folder / f"{row.id}.eml", bytes(row.octets))
            count += 1
            self.told("receipts", count, 0)
        self.counts["receipts"] = count

    def _seals(self, connection: Connection, directory: Directory) -> None:
        for seal in custody.load_book(connection).seals:
            unit = directory.unit_by_id(seal.unit_id)
            name = f"{unit.code if unit else seal.unit_id}_{seal.fingerprint}.asc"
            text = armor(seal.certificate, ArmorKind.PublicKey)
            _write(self.folder / "seals" / name, text.encode())

    def _tables(self, connection: Connection) -> None:
        for table in rows.kept_tables():
            if table.name in _LEFT_OUT:
                continue
            wanted = [c for c in table.columns if (table.name, c.name) not in _SECRET]
            query = select(*wanted).order_by(*table.primary_key.columns)
            place = self.folder / "tables" / table.name
            names = [column.name for column in wanted]
            with _Lines(place.with_suffix(".csv")) as cells, _Lines(
                place.with_suffix(".jsonl")
            ) as lines:  # fmt: skip
                cells.write(_csv(names))
                for row in _stream(connection, query):
                    values = [_plain(value) for value in row]
                    cells.write(_csv(values))
                    lines.write(_json(dict(zip(names, values, strict=True))))

    def _people(self, directory: Directory) -> None:
        _write(self.folder / "directory.csv", csvfile.write(give(directory)).encode())

    def _explain(self, connection: Connection) -> None:
        office = self.config.office
        values = {
            "office": office.name_en or office.name,
            "domain": office.domain,
            "at": rfc3339(self.now),
            "version": __version__,
            "identity": connection.scalar(select(store_identity.c.identity)) or "",
        }
        _write(self.folder / "README.md", leaflet.ENGLISH.format(**values).encode())
        values["office"] = office.name
        _write(self.folder / "README.zh-CN.md", leaflet.CHINESE.format(**values).encode())
        _write(self.folder / "verify.py", Path(verifier.__file__).read_bytes())

    def _sum(self) -> None:
        """Read all of it back, and put the digests where `sha256sum --check` finds them."""
        os.sync()
        count = 0
        with _Lines(self.folder / SUMS) as lines:
            for path in _files(self.folder):
                name = path.relative_to(self.folder).as_posix()
                if name in (SUMS, f".{SUMS}.tmp"):
                    continue
                lines.write(f"{_digest(path)}  {name}\n".encode())
                count += 1
                self.told("files", count, 0)
        os.sync()
        self.counts["files"] = count


class _Lines:
    """A file that is written line by line, and has its name only when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")

    def __enter__(self) -> _Lines:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = create(self._temporary)
        return self

    def write(self, octets: bytes) -> None:
        self._file.write(octets)

    def __exit__(self, kind: type[BaseException] | None, *_others: object) -> None:
        self._file.close()
        if kind is None:
            self._temporary.rename(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def _write(path: Path, octets: bytes) -> None:
    with _Lines(path) as file:
        file.write(octets)


def _write_lines(path: Path, values: Iterable[dict[str, object]]) -> int:
    count = 0
    with _Lines(path) as lines:
        for value in values:
            lines.write(_json(value))
            count += 1
    return count


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def _stream(connection: Connection, query: sa.Select[Any]) -> Any:
    return connection.execution_options(stream_results=True, yield_per=500).execute(query)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    return _base64(value) if isinstance(value, bytes | memoryview) else value


def _base64(octets: bytes | memoryview) -> str:
    return base64.b64encode(octets).decode("ascii")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _csv(values: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().encode()
