"""The manifest of one generation: every file that belongs to it, by digest, and what it holds.

Its octets are canonical JSON. The seal beside it names their SHA-256 and bears the signature of the
office's evidence key, with the office's word for that key; so one bit changed anywhere is noticed,
and with the office's public key (`--office-key`) a manifest that somebody else has made, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pysequoia import Cert, Sig
from pysequoia import verify as verify_openpgp

from gateway.backup.shelf import Damaged, Piece, Shelf
from gateway.errors import CommandError
from gateway.evidence import keys
from gateway.evidence.keys import EvidenceKey, KeyCertificate
from gateway.evidence.record import canonical

SIGNED_PREFIX = b"yizhan-backup-v1\n"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table, in the order of its primary key."""

    sha256: str
    size: int
    rows: int
    last: tuple[Any, ...]  # primary key of the last row
    mark: int = 0  # see `rows.FINAL`

    @property
    def piece(self) -> Piece:
        """The file."""
        return Piece(self.sha256, self.size)


@dataclass(frozen=True, slots=True)
class Day:
    """The blobs of one day: a piece with one line each, `name sha256 size`."""

    day: str  # 2026/11/21
    sha256: str
    size: int
    blobs: int
    octets: int

    @property
    def piece(self) -> Piece:
        """The file."""
        return Piece(self.sha256, self.size)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation."""

    id: str
    at: str  # RFC 3339, of the database's snapshot
    identity: str
    domain: str
    office: str  # its name
    version: str  # of the program
    schema: str  # revision of the database
    dialect: str  # of the database that was read
    actor: str
    log_size: int  # of the newest checkpoint
    log_root: str  # base64
    tables: Mapping[str, tuple[Chunk, ...]]
    sequences: Mapping[str, int]  # highest number that was ever given, by table
    days: tuple[Day, ...]
    settings: Piece  # a piece: JSON, files that are no secret
    keys: Piece | None  # a piece: OpenPGP message to the recovery key; None: --without-keys
    without: tuple[str, ...]  # sentences: what is not in it
    damaged: tuple[str, ...]  # names of blobs that the store itself had lost or damaged
    storage_keys: tuple[str, ...]  # ids of those in the key file, which say nothing of the keys

    @property
    def documents(self) -> int:
        """How many documents it holds."""
        return self.rows("documents")

    @property
    def blobs(self) -> int:
        """How many blobs it holds."""
        return sum(day.blobs for day in self.days)

    @property
    def octets(self) -> int:
        """How many octets its blobs have."""
        return sum(day.octets for day in self.days)

    def rows(self, table: str) -> int:
        """How many rows of a table it holds."""
        return sum(chunk.rows for chunk in self.tables.get(table, ()))

    def pieces(self) -> list[Piece]:
        """All pieces that it needs."""
        found = [chunk.piece for chunks in self.tables.values() for chunk in chunks]
        found += [day.piece for day in self.days]
        found.append(self.settings)
        return [*found, self.keys] if self.keys is not None else found

    def render(self) -> bytes:
        """The octets of the file."""
        value = asdict(self)
        value["format"] = 1
        return canonical(value)


def seal(octets: bytes, key: EvidenceKey, certificates: list[KeyCertificate]) -> bytes:
    """The seal over a manifest's octets."""
    word = next((one for one in certificates if one.id == key.id), None)
    value = {
        "sha256": hashlib.sha256(octets).hexdigest(),
        "key": key.id,
        "public": base64.b64encode(key.public).decode(),
        "signature": base64.b64encode(key.sign(SIGNED_PREFIX + octets)).decode(),
        "statement": base64.b64encode(word.statement if word else b"").decode(),
        "certified": word.certified if word else "",
    }
    return canonical({**value, "check": _check(value)})


def _check(value: dict[str, Any]) -> str:
    """Over the seal itself: without the office's key nothing else would show a changed word."""
    rest = {name: said for name, said in value.items() if name != "check"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def read(shelf: Shelf, generation: str, *, office_key: bytes = b"") -> Manifest:
    """A generation's manifest, once its seal was checked.

    Raises Damaged for any changed octet, CommandError if the seal is not of that office's key.
    """
    path = shelf.generation_path(generation)
    sealed = shelf.generation_path(generation, "seal")
    try:
        octets, seal_octets = path.read_bytes(), sealed.read_bytes()
    except OSError as error:
        raise Damaged(f"{error.filename}: cannot be read: {error.strerror}") from None
    try:
        value = json.loads(seal_octets)
        public = base64.b64decode(value["public"], validate=True)
        signature = base64.b64decode(value["signature"], validate=True)
        whole = canonical(value) == seal_octets and value["check"] == _check(value)
        sha256 = value["sha256"]
        statement = base64.b64decode(value["statement"], validate=True)
        certified = str(value["certified"])
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"{sealed}: is damaged") from None
    if not whole or keys.key_id(public) != value["key"]:
        raise Damaged(f"{sealed}: is damaged")
    if hashlib.sha256(octets).hexdigest() != sha256:
        raise Damaged(f"{path}: is damaged (its SHA-256 is not the one in {sealed.name})")
    if not keys.verify(public, SIGNED_PREFIX + octets, signature):
        raise Damaged(f"{sealed}: its signature does not hold")
    if statement and not _speaks_of(statement, public):
        raise Damaged(f"{sealed}: is damaged")
    if office_key:
        _require_office(office_key, statement, certified)
    manifest = _parse(octets, path)
    mark = shelf.require()
    if (manifest.identity, manifest.domain) != (mark.identity, mark.domain):
        raise CommandError(
            f"{path}: is of another store ({manifest.identity}) than the folder ({mark.identity})"
        )
    if manifest.id != generation:
        raise Damaged(f"{path}: has another name than it was given")
    return manifest


def _speaks_of(statement: bytes, public: bytes) -> bool:
    try:
        said = json.loads(statement)
        return bool(base64.b64decode(said["public"]) == public)
    except (ValueError, KeyError, TypeError):
        return False


def _require_office(office_key: bytes, statement: bytes, certified: str) -> None:
    try:
        office = Cert.from_bytes(office_key)
    except RuntimeError:
        raise CommandError("the office key is not an OpenPGP certificate") from None
    try:
        verify_openpgp(statement, store=lambda _ids: [office], signature=Sig.from_bytes(
            certified.encode()))  # fmt: skip
    except RuntimeError:
        raise CommandError(
            "the backup was not made by the office of that key: its evidence key bears no "
            "signature of it"
        ) from None


def _parse(octets: bytes, path: Any) -> Manifest:
    value = json.loads(octets)
    if value.pop("format") != 1:
        raise CommandError(f"{path}: was made by a newer program; install that version")
    value["tables"] = {
        name: tuple(Chunk(**{**chunk, "last": tuple(chunk["last"])}) for chunk in chunks)
        for name, chunks in value["tables"].items()
    }
    value["days"] = tuple(Day(**day) for day in value["days"])
    value["settings"] = Piece(**value["settings"])
    value["keys"] = None if value["keys"] is None else Piece(**value["keys"])
    for name in ("without", "damaged", "storage_keys"):
        value[name] = tuple(value[name])
    return Manifest(**value)
