"""Whatever a file claims to be, reading it gives a reading, within its budget."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import tracemalloc
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway import config
from gateway.errors import Deferred
from gateway.policy.archives import Budget
from gateway.policy.extract import CHARACTERS, extract, skip_reading
from gateway.policy.inspection import Reading
from gateway.policy.pool import Inspector
from gateway.seals.book import SealBook
from gateway.store.spool import Spool
from tests.fuzz.effort import effort
from tests.fuzz.mutations import nearly
from tests.unit.inspection import files
from tests.unit.policy.conftest import NOW


def _tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 5
            made.addfile(info, io.BytesIO(b"words"))
    return out.getvalue()


DOCX = files.docx("关于防汛的通知", header="内部")
ZIP = files.zipped({"a.txt": "一", "b/c.docx": DOCX, "通知.txt": "二"})
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + b"\x3e\0\3\0\xfe\xff\x09\0" + bytes(480)
GOOD = (
    ZIP, DOCX, files.zipped({"in.zip": ZIP, "in.gz": gzip.compress(ZIP)}),
    files.xlsx("一", "二"), files.pptx("一"), files.odt("一"), files.ofd("一", "二"),
    files.pdf("关于防汛的通知"), files.winmail("a.docx", DOCX),
    _tar("a.txt", "b/../../c.txt"), gzip.compress(_tar("a")), bz2.compress(ZIP),
    lzma.compress(ZIP), b"Rar!\x1a\x07\x00" + bytes(200), b"Rar!\x1a\x07\x01\x00" + bytes(200),
    b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(200),
    OLE + "WordDocument".encode("utf-16-le"), OLE + "EncryptedPackage".encode("utf-16-le"),
    rb"{\rtf1\ansi\ansicpg936 \'b9\'d8\u20851?{\*\x \bin9 abc}}", b"<html><p>&#x4e00;<table>",
)  # fmt: skip
PIECES = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"\xff\xff\xff\xff", b"\0" * 8,
    b"\x1f\x8b\x08\x1f", b"BZh9", b"\xfd7zXZ\0", b"ustar", b"\x7f\xff\xff\xff", b"\x08\0",
    b"\x63\0", b"\x78\x9f\x3e\x22", b"%PDF-1.4", b"endstream", b"/Length 99999999",
    b"/Kids [2 0 R]",
    b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b"&b;", b"</w:p>", b"<x:y",
    b"{\\rtf1", b"\\bin99999999 ", b"\\u-1?", b"../", b"\\", b"\xff\xfe", b"\xed\xa0\x80",
)  # fmt: skip


def _small() -> Budget:
    return Budget(octets=1_000_000, member=300_000, members=100, ratio=50, free=50_000)


@effort(200)
@given(nearly(GOOD, PIECES), st.sampled_from(["a.zip", "a.doc", "a.pdf", "", "\ud800", "a.eml"]))
def test_every_file_has_a_reading_within_its_budget(octets: bytes, name: str) -> None:
    budget = _small()
    found = extract(name, "application/octet-stream", octets, budget)
    assert found.reading in Reading
    for text in (found.text, *found.members, *found.member_types, found.found_type):
        text.encode()
        assert "\0" not in text
    assert len(found.text) <= CHARACTERS
    assert budget.octets >= -budget.member, "a member that is too large ends it"
    assert skip_reading(name, "", octets).found_type == found.found_type or found.found_type


ZEROS = bytes(30_000_000)
BOMBS = (
    files.zipped({"a.txt": ZEROS}),
    files.zipped({f"{n}.txt": bytes(400_000) for n in range(80)}),
    files.zipped({"a.zip": files.zipped({"b.txt": ZEROS})}),
    gzip.compress(ZEROS), bz2.compress(ZEROS), lzma.compress(ZEROS),
    files.docx("一" * 10_000_000),
)  # fmt: skip


@effort(20)
@given(nearly(BOMBS, PIECES))
def test_a_bomb_however_it_is_built_takes_no_more_memory_than_its_budget(octets: bytes) -> None:
    tracemalloc.start()
    try:
        extract("a.zip", "", octets, _small())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15_000_000  # the dictionary of xz alone has 8 MiB


@effort(2)
@given(st.lists(nearly(GOOD, PIECES), min_size=4, max_size=4))
def test_a_child_answers_for_each_and_reads_the_next_one(broken: list[bytes]) -> None:
    async def look() -> None:
        settings = config.Policy.model_validate({"extraction_children": 1, "in_process": 1})
        made = Inspector(settings, config.Seals(), "mail.heping.test")
        await made.start()
        try:
            for octets in (*broken, DOCX):
                mail = files.message("正文", ("a.bin", octets))
                with tempfile.TemporaryDirectory() as folder:
                    spool = Spool(Path(folder), 65_536)
                    spool.write(mail)
                    spool.finish()
                    try:
                        found = await made.inspect(
                            spool, unit_id=1, book=SealBook(()), opener=None, at=NOW,
                            mt_priority=None,
                        )  # fmt: skip
                    except Deferred:
                        continue
                    finally:
                        spool.close()
                assert len(found.attachments) == 1
            assert found.attachments[0].reading is Reading.READ
        finally:
            await made.close()

    asyncio.run(look())
