"""All of the real mail goes through submission into a mailbox and comes back as it was.

These files were written by and to strangers, so the checks on who writes to whom are off, and with
them those on form that this test is not about:

- `identity`: their From is no account of this office;
- `blindcopy`: their To and Cc name nobody here;
- `marking`: whether a stranger's text bears a mark is tested elsewhere;
- `headers`: some repeat a header field on purpose, and still must pass unharmed.

Every other check is on. `test_verdicts` has the verdicts with all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from itertools import cycle
from pathlib import Path

import pytest

from tests import realmail
from tests.office import Office

OFF = ("identity", "blindcopy", "marking", "headers")

# An account may offer 60 messages a minute.
SENDERS = ("water", "education", "finance", "committee")
RECIPIENT = "office"

# Files that are refused all the same, with the rule that refuses them.
REFUSED = {
    # Its own text says so: this is not what was signed. A broken seal is refused.
    "ruby-mail/mime_emails/sig_only_email.eml": "seal-invalid",
    # Programs in Ruby.
    "ruby-mail/attachment_emails/attachment_content_disposition.eml": "attachment-program",
    "ruby-mail/mime_emails/raw_email7.eml": "attachment-program",
}

# Fields that the reader gets from the office and never from outside.
HIDDEN = re.compile(
    rb"(?:return-path|authentication-results|received-spf|subject|(?:x-)?yizhan-[^:\s]*)[ \t]*:",
    re.IGNORECASE,
)
FIELD = re.compile(rb"[^\s:]+[ \t]*:")


@dataclass(frozen=True)
class Sent:
    """What was sent, what the office said, and what the recipient reads."""

    office: Office
    wires: dict[str, bytes]  # by file
    replies: dict[str, str]  # by file
    views: dict[str, bytes]  # by document

    @property
    def accepted(self) -> dict[str, str]:
        """Document by file."""
        return {
            name: reply.split()[2] for name, reply in self.replies.items() if reply[:3] == "250"
        }


@pytest.fixture(scope="module")
def sent(make_module_office: Callable[..., Office], shared_data: Path) -> Iterator[Sent]:
    """All files, offered to one office."""
    off = f"disabled_checks = [{', '.join(repr(check) for check in OFF)}]"
    office = make_module_office(changes={"[policy]": f"[policy]\n{off}"})
    files = realmail.files(shared_data)
    with office.running():
        wires, replies = {}, {}
        senders = cycle(SENDERS)
        for start in range(0, len(files), 20):
            sender = next(senders)
            with office.client(sender) as client:
                for path in files[start : start + 20]:
                    name = realmail.name(path, shared_data)
                    wires[name] = realmail.on_the_wire(path.read_bytes())
                    code, text = office.offer(client, sender, wires[name], RECIPIENT)
                    replies[name] = f"{code} {text}"
        inbox = office.mailbox(f"unit:{RECIPIENT}")["INBOX"]
        views = {str(message_from_bytes(view)["Yizhan-Document"]): view for view in inbox}
        yield Sent(office, wires, replies, views)


def test_every_file_is_accepted_unless_a_rule_has_a_reason(sent: Sent) -> None:
    assert len(sent.wires) >= 187
    refused = {name: reply for name, reply in sent.replies.items() if reply[:3] != "250"}
    assert set(refused) == set(REFUSED), refused
    rules = sent.office.sql("SELECT rule FROM refusals")
    assert sorted(rules) == sorted(REFUSED.values())


def test_the_export_is_what_went_over_the_wire(sent: Sent) -> None:
    for name, document in sent.accepted.items():
        assert sent.office.here("document", "export", document) == sent.wires[name], name


def test_the_reader_gets_our_fields_and_then_the_original(sent: Sent) -> None:
    for name, document in sent.accepted.items():
        view = sent.views[document]
        assert view.startswith(b"Return-Path: <"), name
        original = without_hidden_fields(sent.wires[name])
        assert view.endswith(original), name
        ours = view.removesuffix(original)
        assert all(FIELD.match(line) or line[:1] in b" \t" for line in ours.splitlines()), name
        assert ours.endswith(b"\r\n"), name


def test_the_body_is_octet_for_octet_what_was_sent(sent: Sent) -> None:
    for name, document in sent.accepted.items():
        assert body(sent.views[document]) == body(sent.wires[name]), name


def body(octets: bytes) -> bytes:
    """What follows the first empty line."""
    return (b"\r\n" + octets).partition(b"\r\n\r\n")[2]


def without_hidden_fields(octets: bytes) -> bytes:
    """The message without the header fields that are never shown, each with its folded lines.

    Lines in front of the first field, such as mbox's `From `, are not shown either.
    """
    header, empty, rest = octets.partition(b"\r\n\r\n")
    lines = (header + b"\r\n" if empty else header).splitlines(keepends=True)
    first = next((n for n, line in enumerate(lines) if FIELD.match(line)), 0)
    kept, hidden = [], False
    for line in lines[first:]:
        if line[:1] not in b" \t":
            hidden = HIDDEN.match(line) is not None
        if not hidden:
            kept.append(line)
    return b"".join(kept) + empty[2:] + rest
