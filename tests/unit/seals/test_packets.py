"""Promises about reading OpenPGP's outer form: as gpg does, with limits, and never a crash."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.seals.packets import (
    COMPRESSED,
    LITERAL,
    SEIP,
    BrokenPackets,
    Packet,
    dearmor,
    read_message,
    read_packets,
    recipients_of,
    signatures_in,
)


def literal(content: bytes) -> bytes:
    return bytes(Packet(LITERAL, b"b\x00" + bytes(4) + content))


def test_armour_is_read_as_gpg_reads_it(hall):
    armour = hall.client.sign(b"x", "water@heping.test", "--comment", "a: b")
    assert dearmor(armour) == hall.client.gpg("--dearmor", octets=armour)
    assert dearmor(armour.replace(b"\n", b"\r\n")) == dearmor(armour)
    assert dearmor(b"before\n" + armour + b"after") == dearmor(armour)
    assert dearmor(dearmor(armour)) == dearmor(armour)
    assert len(signatures_in(armour)) == 1


def test_packets_of_gpg_with_partial_lengths_are_read_whole(hall):
    content = bytes(range(256)) * 400
    packed = hall.client.gpg("--compress-algo", "none", "--store", octets=content)
    assert read_message(packed, limit=1 << 20).content == content
    packed = hall.client.gpg("--compress-algo", "zip", "--store", octets=content)
    assert read_message(packed, limit=1 << 20).content == content


def test_expansion_stops_at_the_limit():
    bomb = bytes(Packet(COMPRESSED, b"\x02" + zlib.compress(literal(bytes(1_000_000)))))
    assert len(read_message(bomb, limit=1_100_000).content) == 1_000_000
    with pytest.raises(BrokenPackets, match="limit"):
        read_message(bomb, limit=999_999)


def test_compression_in_compression_is_not_followed():
    once = bytes(Packet(COMPRESSED, b"\x02" + zlib.compress(literal(b"x"))))
    twice = bytes(Packet(COMPRESSED, b"\x02" + zlib.compress(once)))
    with pytest.raises(BrokenPackets, match="exactly one content"):
        read_message(twice, limit=1 << 20)


def test_two_contents_are_refused():
    with pytest.raises(BrokenPackets, match="exactly one content"):
        read_message(literal(b"shown") + literal(b"signed"), limit=100)


def test_recipients_are_those_that_gpg_names(hall):
    ciphertext = hall.client.gpg(
        "-r", "water@heping.test", "-R", "education@heping.test", "--encrypt", octets=b"x"
    )
    names = recipients_of(ciphertext)
    assert names is not None
    assert len(names) == 2
    assert "0" * 16 in names
    assert recipients_of(literal(b"x")) is None
    version_6 = bytes(Packet(1, b"\x06\x21\x06" + b"\xab" * 32 + b"\x19")) + bytes(
        Packet(SEIP, b"")
    )
    assert recipients_of(version_6) == ("AB" * 32,)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_any_octets_are_read_or_refused(octets, marked):
    octets = b"\xc2" + octets if marked else octets
    for read in (dearmor, lambda o: list(read_packets(o)), recipients_of, signatures_in):
        try:
            read(octets)
        except BrokenPackets:
            continue
