"""A structure that was kept is the structure that was found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.encode import from_json, to_json
from mailboxes.scan import scan


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
        assert from_json(text) == part


def test_the_structures_of_all_collected_mail_survive(corpus: dict[str, bytes]) -> None:
    for octets in corpus.values():
        part = scan(octets)
        assert from_json(to_json(part)) == part


@pytest.mark.parametrize("text", ["[]", "{}", "[2,[]]", "[1,[]]", "1", ""])
def test_another_version_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)
