"""Blobs at rest: nothing readable without the key, nothing changed unseen, and parts read alone."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ids import new_id
from gateway.errors import ConfigurationError, StoreDamaged, as_reply
from gateway.store import rekeeping, storage_key
from gateway.store.begun import BegunFile
from gateway.store.blobs import Driver, FileBlobs, MemoryBlobs
from gateway.store.encrypted import EncryptedBlobs
from gateway.store.envelope import HEAD, SEGMENT
from gateway.store.storage_key import KeyRing, LiveKeys

MOMENT = 1_795_255_200_000
NAME, OTHER = (new_id(MOMENT, bytes(9) + bytes([n])) for n in range(2))
RING = KeyRing((storage_key.generate(),))
SEALED = SEGMENT + 16


def filled(octets: bytes, ring: KeyRing = RING) -> MemoryBlobs:
    inner = MemoryBlobs()
    EncryptedBlobs(inner, ring).put(NAME, [octets])
    return inner


def read(inner: Driver, name: str = NAME, ring: KeyRing = RING) -> bytes:
    with EncryptedBlobs(inner, ring).open(name) as file:
        return file.read()


def test_nothing_of_the_content_is_in_the_file_and_each_blob_has_a_key_of_its_own() -> None:
    content = "和政办发〔2026〕5号 ".encode() * 9000
    inner = filled(content)
    EncryptedBlobs(inner, RING).put(OTHER, [content])
    for octets in inner.kept.values():
        assert octets.startswith(b"\0YZBLOB\x01" + bytes.fromhex(RING.current.id))
        assert not any(content[start : start + 8] in octets for start in range(100))
        assert RING.current.octets not in octets
    assert inner.kept[NAME][HEAD:] != inner.kept[OTHER][HEAD:]
    assert len(inner.kept[NAME]) == HEAD + len(content) + 16 * -(-len(content) // SEGMENT)


CONTENT = random.Random(5).randbytes(2 * SEGMENT + 100)


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "a bit of the first segment": lambda o: o[:80] + b"%c" % (o[80] ^ 1) + o[81:],
    "a bit of the last tag": lambda o: o[:-1] + bytes([o[-1] ^ 1]),
    "the wrapped key": lambda o: o[:40] + bytes([o[40] ^ 1]) + o[41:],
    "the nonce": lambda o: o[:20] + bytes([o[20] ^ 1]) + o[21:],
    "two segments changed places": lambda o: (
        o[:HEAD] + o[HEAD + SEALED : HEAD + 2 * SEALED] + o[HEAD : HEAD + SEALED]
        + o[HEAD + 2 * SEALED :]
    ),
    "a segment left out": lambda o: o[:HEAD] + o[HEAD + SEALED :],
    "a segment twice": lambda o: o[: HEAD + SEALED] + o[HEAD:],
    "the last segment cut off": lambda o: o[: HEAD + 2 * SEALED],
    "all but the first cut off": lambda o: o[: HEAD + SEALED],
    "all segments cut off": lambda o: o[:HEAD],
    "the end cut off": lambda o: o[:-1],
    "one octet of the last segment left": lambda o: o[: HEAD + 2 * SEALED + 1],
    "something added": lambda o: o + b"x",
    "a segment added": lambda o: o + o[HEAD : HEAD + SEALED],
    "half a head": lambda o: o[:30],
    "the first octet": lambda o: o[:1],
    "nothing left": lambda _o: b"",
}  # fmt: skip


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
def test_whatever_is_changed_is_damage_and_never_content(change: Callable[[bytes], bytes]) -> None:
    inner = filled(CONTENT)
    assert read(inner) == CONTENT
    inner.kept[NAME] = change(inner.kept[NAME])
    with pytest.raises(StoreDamaged, match=NAME):
        read(inner)
    # A reader that only asks how long it is must not be told a length that nobody wrote.
    with pytest.raises(StoreDamaged), EncryptedBlobs(inner, RING).open(NAME) as file:
        assert file.seek(0, os.SEEK_END) == len(CONTENT)
        file.seek(0)
        file.read()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_octet_anywhere_is_found(data: st.DataObject) -> None:
    inner = filled(CONTENT)
    octets = bytearray(inner.kept[NAME])
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    inner.kept[NAME] = bytes(octets)
    with pytest.raises(StoreDamaged):
        read(inner)


def test_the_blob_of_another_document_is_damage() -> None:
    inner = filled(CONTENT)
    inner.kept[OTHER] = inner.kept[NAME]
    with pytest.raises(StoreDamaged, match=OTHER):
        read(inner, OTHER)


def test_segments_of_another_blob_under_the_same_storage_key_are_damage() -> None:
    inner = filled(CONTENT)
    EncryptedBlobs(inner, RING).put(OTHER, [CONTENT])
    inner.kept[NAME] = inner.kept[NAME][:HEAD] + inner.kept[OTHER][HEAD:]
    with pytest.raises(StoreDamaged):
        read(inner)


def test_damage_is_temporary_to_a_client_who_is_not_told_which_blob() -> None:
    inner = filled(CONTENT)
    inner.kept[NAME] = inner.kept[NAME][:-1]
    with pytest.raises(StoreDamaged) as caught:
        read(inner)
    reply = as_reply(caught.value)
    assert reply.code == 451
    assert NAME not in reply.text
    assert NAME not in caught.value.public


class Counting(MemoryBlobs):
    """Counts the octets that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def open(self, name: str):  # type: ignore[no-untyped-def]
        file = super().open(name)
        plain, counter = file.read, self

        class Counted:
            def read(self, size: int = -1) -> bytes:
                octets = plain(size)
                counter.read += len(octets)
                return octets

            def __getattr__(self, word: str) -> object:
                return getattr(file, word)

        return Counted()


def test_a_part_at_the_end_of_a_large_blob_opens_one_segment() -> None:
    inner = Counting()
    blobs = EncryptedBlobs(inner, RING)
    size = 25 * 1_048_576
    blobs.put(NAME, (bytes(SEGMENT) for _ in range(size // SEGMENT)))
    with blobs.open(NAME) as file:
        file.seek(size - SEGMENT)
        assert len(file.read(SEGMENT)) == SEGMENT
    assert inner.read == HEAD + SEALED


def test_a_large_blob_goes_through_in_bounded_memory(tmp_path: Path) -> None:
    blobs = EncryptedBlobs(FileBlobs(tmp_path), RING)
    piece = random.Random(2).randbytes(SEGMENT)
    tracemalloc.start()
    try:
        blobs.put(NAME, (piece for _ in range(400)))
        with blobs.open(NAME) as file:
            while file.read(SEGMENT):
                pass
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3 * SEGMENT), max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-70_000, 200_000), st.integers(0, 70_000))),
)
def test_reading_anywhere_is_as_reading_the_plain_octets(
    lengths: list[int], steps: list[tuple[int, int, int]]
) -> None:
    import io

    octets = random.Random(len(lengths)).randbytes(sum(lengths))
    inner = MemoryBlobs()
    blobs = EncryptedBlobs(inner, RING)
    blobs.put(NAME, (octets[sum(lengths[:n]) : sum(lengths[: n + 1])] for n in range(len(lengths))))
    plain = io.BytesIO(octets)
    with blobs.open(NAME) as file:
        for whence, offset, length in steps:
            origin = (0, plain.tell(), len(octets))[whence]
            if origin + offset < 0:
                with pytest.raises(ValueError, match=r"negative|before"):
                    file.seek(offset, whence)
                file.seek(plain.tell())
                continue
            assert file.seek(offset, whence) == plain.seek(offset, whence)
            assert file.read(length) == plain.read(length)


# Beside plain blobs, and under several keys


def test_what_was_kept_plain_is_still_read_and_what_was_encrypted_after_switching_off() -> None:
    inner = MemoryBlobs()
    inner.put(NAME, [b"From: a\r\n\r\nplain"])
    EncryptedBlobs(inner, RING).put(OTHER, [b"From: b\r\n\r\nencrypted"])
    off = EncryptedBlobs(inner, RING, encrypt=False)
    third = new_id(MOMENT + 1, bytes(10))
    off.put(third, [b"plain again"])
    assert inner.kept[third] == b"plain again"
    for blobs in (EncryptedBlobs(inner, RING), off):
        with blobs.open(NAME) as plain, blobs.open(OTHER) as encrypted:
            assert (plain.read(), encrypted.read()) == (
                b"From: a\r\n\r\nplain",
                b"From: b\r\n\r\nencrypted",
            )


def test_without_the_key_an_encrypted_blob_is_refused_and_never_shown_as_it_lies() -> None:
    inner = filled(CONTENT)
    for ring in (KeyRing(), KeyRing((storage_key.generate(),))):
        with pytest.raises(StoreDamaged, match=RING.current.id):
            read(inner, ring=ring)


def digests_of(blobs: dict[str, bytes]) -> rekeeping.Digests:
    import hashlib

    found = {name: hashlib.sha256(octets).digest() for name, octets in blobs.items()}
    return lambda names: {name: found[name] for name in names if name in found}


def quiet(*_words: object) -> None:
    pass


def some(driver: Driver, ring: KeyRing | None, count: int, day: int) -> dict[str, bytes]:
    """Keep some blobs, plain without a ring."""
    made = {}
    for n in range(count):
        name = new_id(MOMENT + day * 86_400_000 + n, bytes(10))
        made[name] = random.Random(n).randbytes(n * 30_000)[: SEGMENT * 2] or b"x"
        blobs = EncryptedBlobs(driver, ring or KeyRing(), encrypt=ring is not None)
        blobs.put(name, [made[name]])
    return made


def test_plain_blobs_are_encrypted_and_old_keys_replaced_without_losing_an_octet(
    tmp_path: Path,
) -> None:
    driver = FileBlobs(tmp_path)
    first = KeyRing((storage_key.generate(),))
    content = some(driver, None, 4, 0) | some(driver, first, 3, 1)
    done = rekeeping.encrypt_plain(driver, first, digests_of(content), quiet)
    assert (done.kept_anew, done.damaged) == (4, [])
    assert rekeeping.encrypt_plain(driver, first, digests_of(content), quiet).kept_anew == 0
    both = KeyRing((*first.keys, storage_key.generate()))
    assert rekeeping.rewrap(driver, both, digests_of(content), quiet).kept_anew == 7
    seen = rekeeping.survey(driver, both, quiet)
    assert (seen.plain, dict(seen.by_key), seen.unfinished) == (0, {both.current.id: 7}, 0)
    alone = EncryptedBlobs(driver, KeyRing((both.current,)))
    for name, octets in content.items():
        with alone.open(name) as file:
            assert file.read() == octets


def test_a_plain_blob_that_is_not_its_document_s_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    driver = FileBlobs(tmp_path)
    content = some(driver, None, 3, 0)
    victim = sorted(content)[1]
    content[victim] = b"what the document was"
    done = rekeeping.encrypt_plain(driver, RING, digests_of(content), quiet)
    assert done.kept_anew == 2
    assert len(done.damaged) == 1
    assert victim in done.damaged[0]
    assert rekeeping.survey(driver, RING, quiet).plain == 1


@pytest.mark.parametrize("at", ["create", "rename", "folder"])
def test_re_keeping_that_is_broken_off_anywhere_goes_on_where_it_stopped(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    driver = FileBlobs(tmp_path)
    content = some(driver, None, 3, 0)
    calls = 0

    def cut(*_given: object, **_more: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise PowerCut

    with monkeypatch.context() as patched:
        target, word = {
            "create": (os, "fsync"),
            "rename": (Path, "rename"),
            "folder": (BegunFile, "sync_folder"),
        }[at]
        original = getattr(target, word)

        def sometimes(*given: object, **more: object) -> object:
            cut()
            return original(*given, **more)

        patched.setattr(target, word, sometimes)
        patched.setattr(Path, "unlink", lambda *_a, **_k: None)  # a dead process tidies nothing up
        with pytest.raises(PowerCut):
            rekeeping.encrypt_plain(driver, RING, digests_of(content), quiet)
    for name, octets in content.items():
        assert read(driver, name) == octets
    rekeeping.encrypt_plain(FileBlobs(tmp_path), RING, digests_of(content), quiet)
    seen = rekeeping.survey(driver, RING, quiet)
    assert (seen.plain, seen.by_key.total(), seen.unfinished) == (0, 3, 0)
    for name, octets in content.items():
        assert read(driver, name) == octets


# The key file


@pytest.fixture
def key_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "storage.key"
    storage_key.write(path, RING)
    yield path


def test_a_key_file_comes_back_as_it_was_and_is_private(key_file: Path) -> None:
    assert storage_key.load(key_file) == RING
    assert key_file.stat().st_mode & 0o777 == 0o600
    both = KeyRing((*RING.keys, storage_key.generate()))
    storage_key.write(key_file, both)
    assert storage_key.load(key_file).current == both.keys[1]
    assert repr(both).count("StorageKey(") == 2
    assert str(both.current.octets) not in repr(both)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.unlink(), "is not there.*storage recover"),
        (lambda p: p.chmod(0o640), "can be read by others: `chmod 600` it"),
        (lambda p: p.write_text("# nothing\n"), "there is no storage key in it"),
        (lambda p: p.write_text("a b c d\n"), "line 1 is not a storage key"),
        (
            lambda p: p.write_text(p.read_text().replace(RING.current.id, "0" * 16)),
            "line 3 is a dam",
        ),
        (lambda p: p.write_bytes(b"\xff\xfe"), "is not a key file"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_one_sentence(
    change: Callable[[Path], object], sentence: str, key_file: Path
) -> None:
    change(key_file)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        storage_key.load(key_file)
    assert str(key_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_running_daemon_takes_a_new_key_and_survives_a_key_file_that_is_broken(
    key_file: Path,
) -> None:
    keys = LiveKeys(key_file)
    inner = MemoryBlobs()
    blobs = EncryptedBlobs(inner, keys)
    blobs.put(NAME, [b"under the first"])
    both = KeyRing((*RING.keys, storage_key.generate()))
    storage_key.write(key_file, both)
    blobs.put(OTHER, [b"under the second"])
    assert both.current.id == inner.kept[OTHER][8:16].hex()
    assert blobs.trouble() == ""
    storage_key.write(key_file, KeyRing((storage_key.generate(),)))
    assert "has lost the storage key" in blobs.trouble()
    key_file.unlink()
    assert "is not there" in blobs.trouble()
    for name, octets in ((NAME, b"under the first"), (OTHER, b"under the second")):
        with blobs.open(name) as file:
            assert file.read() == octets
    storage_key.write(key_file, both)
    assert blobs.trouble() == ""
