"""A structure that was kept is the structure that was found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.encode import from_json, to_json
from mailboxes.scan import scan, scan_fields
from mailboxes.structure import Part


def without_values(part: Part) -> Part:
    return replace(
        part,
        fields=tuple(replace(field, value=b"") for field in part.fields),
        children=tuple(without_values(child) for child in part.children),
    )


def test_header_values_are_not_kept_but_found_in_the_octets() -> None:
    octets = b"Subject: " + b"\xb9" * 100_000 + b"\r\nFrom: a@x\r\n\r\nhello"
    text = to_json(scan(octets))
    assert len(text) < 300
    subject = from_json(text).fields[0]
    assert scan_fields(octets[subject.start : subject.end])[0].value == b"\xb9" * 100_000


@given(st.binary(max_size=300))
def test_any_structure_survives_as_ascii(octets: bytes) -> None:
    for message in (
        octets,
        b"Content-Type: multipart/mixed; boundary=b; x=" + octets + b"\r\n\r\n--b\r\n" + octets,
    ):
        part = scan(message)
        text = to_json(part)
        assert text.isascii()
        assert "\x00" not in text
        assert from_json(text) == without_values(part)


def test_the_structures_of_all_collected_mail_survive(corpus: dict[str, bytes]) -> None:
    for octets in corpus.values():
        part = scan(octets)
        assert from_json(to_json(part)) == without_values(part)


@pytest.mark.parametrize("text", ["[]", "{}", "[3,[]]", "[2,[]]", "[1,[]]", "1", ""])
def test_another_version_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
