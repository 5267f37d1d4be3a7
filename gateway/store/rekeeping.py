"""Keeping the same octets anew: plain ones encrypted, encrypted ones under the key in force.

Each blob is written beside the old one, read back and compared, and only then takes its name, so
whoever pulls the plug finds each blob old or new, and the next run does the rest.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from gateway.errors import StoreDamaged
from gateway.store.blobs import Driver, Kept
from gateway.store.encrypted import key_of, opened
from gateway.store.envelope import damaged, encrypted, rewrapped
from gateway.store.storage_key import KeyRing

_PIECE = 1 << 20
_PORTION = 500

Report = Callable[[str, int, int], None]
"""Called with a word, blobs and octets so far."""
Digests = Callable[[list[str]], dict[str, bytes]]
"""SHA-256 of the documents of those names; what no document has is left out."""


@dataclass(slots=True)
class Survey:
    """How the blobs lie in the store."""

    plain: int = 0
    by_key: Counter[str] = field(default_factory=Counter)  # blobs under each storage key
    octets: int = 0
    unfinished: int = 0
    damaged: list[str] = field(default_factory=list)  # one sentence each


@dataclass(slots=True)
class Done:
    """What a run has done."""

    kept_anew: int = 0
    octets: int = 0
    damaged: list[str] = field(default_factory=list)  # left as they are; one sentence each


def survey(driver: Driver, ring: KeyRing, report: Report) -> Survey:
    """Look at the head of every blob."""
    found = Survey()
    for kept in driver.list():
        found.octets += kept.size
        if not kept.whole:
            found.unfinished += 1
            continue
        try:
            with driver.open(kept.name) as source:
                key_id = key_of(kept.name, source, ring)
        except FileNotFoundError:
            continue  # swept meanwhile
        except StoreDamaged as error:
            found.damaged.append(str(error))
        else:
            found.plain += not key_id
            found.by_key.update([key_id] if key_id else [])
        report("blobs", found.plain + found.by_key.total(), found.octets)
    return found


def encrypt_plain(driver: Driver, ring: KeyRing, digests: Digests, report: Report) -> Done:
    """Encrypt every blob that is plain; encrypted ones stay as they are."""

    def anew(name: str, source: BinaryIO) -> Iterator[bytes] | None:
        if key_of(name, source, ring):
            return None
        source.seek(0)
        return encrypted(name, _pieces(source), ring.current)

    return _keep_anew(driver, ring, digests, report, anew)


def rewrap(driver: Driver, ring: KeyRing, digests: Digests, report: Report) -> Done:
    """Wrap every data key under the storage key in force; plain blobs stay as they are."""

    def anew(name: str, source: BinaryIO) -> Iterator[bytes] | None:
        if key_of(name, source, ring) in ("", ring.current.id):
            return None
        source.seek(0)
        return rewrapped(name, source, ring)

    return _keep_anew(driver, ring, digests, report, anew)


def _keep_anew(
    driver: Driver,
    ring: KeyRing,
    digests: Digests,
    report: Report,
    anew: Callable[[str, BinaryIO], Iterable[bytes] | None],
) -> Done:
    done = Done()
    kept = (kept for kept in driver.list() if kept.whole)
    while portion := list(islice(kept, _PORTION)):
        known = digests([one.name for one in portion])
        for one in portion:
            try:
                if _keep_one(driver, ring, one, known.get(one.name), anew):
                    done.kept_anew += 1
                    done.octets += one.size
            except FileNotFoundError:
                continue  # swept meanwhile
            except StoreDamaged as error:
                done.damaged.append(str(error))
            report("kept anew", done.kept_anew, done.octets)
    return done


def _keep_one(
    driver: Driver,
    ring: KeyRing,
    kept: Kept,
    digest: bytes | None,
    anew: Callable[[str, BinaryIO], Iterable[bytes] | None],
) -> bool:
    name = kept.name
    with driver.open(name) as source:
        pieces = anew(name, source)
        if pieces is None:
            return False
        if digest is None:  # of no document: at least what comes out is what went in
            with opened(name, driver.open(name), ring) as old:
                digest = _digest(old)
        expected = digest

        def check(file: BinaryIO) -> None:
            """Takes nobody's word: the new octets are opened, and are the document's."""
            with opened(name, file, ring) as new:
                if _digest(new) != expected:
                    raise damaged(name, "its octets are not the document's; see `yizhan fsck`")

        driver.replace(name, pieces, check)
    return True


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_PIECE):
        yield piece


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    for piece in _pieces(file):
        digest.update(piece)
    return digest.digest()
