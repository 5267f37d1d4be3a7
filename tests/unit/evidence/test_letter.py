"""Header fields of our own letters."""

from __future__ import annotations

import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.letter import field

_PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)


@given(st.text(_PRINTABLE, min_size=1, max_size=400))
def test_a_long_field_is_folded_at_blanks_and_unfolds_to_what_it_was(value: str) -> None:
    octets = field("X-Note", value)
    lines = octets.decode("ascii").removesuffix("\r\n").split("\r\n")
    assert "".join(lines) == f"X-Note: {value}"
    assert all(line.startswith(" ") for line in lines[1:])
    for line in lines:
        assert len(line) <= 76 or " " not in line[1:].removeprefix("-Note: ")
    assert all(line.strip() for line in lines[:-1])  # a blank line would end the head


def test_what_is_folded_other_programs_read() -> None:
    references = " ".join(f"<{number:026d}@heping.test>" for number in range(8))
    read = email.message_from_bytes(field("References", references), policy=email.policy.SMTP)
    assert read["References"] == references
