"""A marking is refused wherever it stands, and leaves nothing behind; talk about secrets passes.

The seeds are texts about electronic government. They speak of secrets without bearing a mark.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests import traces
from tests.corpus import files
from tests.corpus.writing import b_words, crlf, fields, file_part, multipart, text_part
from tests.office import Office

pytestmark = pytest.mark.one_database(
    "what is read from mail and judged, before anything is stored"
)

MARKS = ("机密★1年", "绝密★长期", "機密", "【秘密】", "秘密★10年")  # one for each seed
# What each marked mail says beside its seed, so that a trace of it can be found.
SUBJECT, BODY, FILE, NAME = "白杨林渡口", "七星潭闸门", "鹿鸣台水位", "青石桥泵站"

WRITERS: dict[str, Callable[[str], bytes]] = {
    "docx": files.docx,
    "xlsx": files.xlsx,
    "pdf": files.pdf,
    "ofd": files.ofd,
    "txt": lambda text: crlf(text).encode("gb18030"),
}
PLACES = ("subject", "header", "body", "large-body", "name", *WRITERS)
BODIES = (
    ("utf-8", "base64"),
    ("gb18030", "8bit"),
    ("utf-8", "quoted-printable"),
    ("gb18030", "base64"),
    ("utf-16", "base64"),
)
RECIPIENT = "office"
SENDERS = ("water", "education", "finance", "committee", "congress")  # one for each seed


@pytest.fixture(scope="module")
def seeds(shared_data: Path) -> list[str]:
    paths = sorted((shared_data / "seeds").glob("*.txt"))
    assert len(paths) == len(MARKS)
    return [path.read_text(encoding="utf-8").replace("\r\n", "\n") for path in paths]


@dataclass(frozen=True)
class Refused:
    """The office after every marked mail was offered to it."""

    office: Office
    replies: dict[tuple[int, str], str]
    secrets: list[str]


@pytest.fixture(scope="module")
def refused(make_module_office: Callable[..., Office], seeds: list[str]) -> Iterator[Refused]:
    """Each seed with a mark in each place, offered to one office that has seen nothing else."""
    office = make_module_office()
    temporary = office.folder / "tmp"
    temporary.mkdir()
    with office.running(TMPDIR=str(temporary)):
        replies = {}
        for number, seed in enumerate(seeds):
            with office.client(SENDERS[number]) as client:
                for place in PLACES:
                    octets = marked(number, seed, place)
                    code, text = office.offer(client, SENDERS[number], octets, RECIPIENT)
                    replies[number, place] = f"{code} {text}"
        wait_for_the_outbox(office)
        secrets = [SUBJECT, BODY, FILE, NAME, *(line for seed in seeds for line in excerpts(seed))]
        yield Refused(office, replies, secrets)


def test_each_seed_is_accepted_as_a_body_and_as_a_file(
    make_office: Callable[..., Office], seeds: list[str]
) -> None:
    office = make_office()
    with office.running():
        for number, seed in enumerate(seeds):
            sender = SENDERS[number]
            parts = [body(number, seed)]
            parts += [attached(f"材料.{end}", write(seed)) for end, write in WRITERS.items()]
            head = header(sender, "【邮件】学习材料", f"seed.{number}")
            plain = office.accept(sender, head + body(number, seed), RECIPIENT)
            found = office.accept(sender, head + multipart("mixed", "=_seed", *parts), RECIPIENT)
            for document in (plain, found):
                [row] = office.sql("SELECT message_class FROM documents WHERE id = ?", document)
                assert row == "mail"
            assert office.sql("SELECT warnings FROM documents WHERE id = ?", found) == ["[]"]


def test_each_seed_with_a_mark_in_any_place_is_refused(refused: Refused) -> None:
    passed = {key: reply for key, reply in refused.replies.items() if reply[:3] == "250"}
    assert not passed
    for key, reply in refused.replies.items():
        assert reply.startswith("550 5.7.1 "), (key, reply)
        assert reply.isascii()
    assert set(refused.office.sql("SELECT rule FROM refusals")) == {"marking"}
    assert refused.office.json("document", "list") == []


def test_the_sender_gets_a_receipt_of_each_refusal_and_nothing_else(refused: Refused) -> None:
    assert len(refused.office.sql("SELECT id FROM refusals")) == len(MARKS) * len(PLACES)
    for sender in SENDERS:
        folders = refused.office.mailbox(f"unit:{sender}")
        assert sum(map(len, folders.values())) == len(folders["回执"]) == len(PLACES)
        for octets in folders["回执"]:
            receipt = message_from_bytes(octets, policy=policy.SMTP)
            assert receipt["X-Yizhan-Event"] == "SubmissionRejection"
            assert receipt["Auto-Submitted"] == "auto-replied"
            assert "密级标志" in text_of(receipt)
    assert refused.office.mailbox(f"unit:{RECIPIENT}")["INBOX"] == []


def test_the_security_officer_is_told_of_each_and_reads_nothing_of_it(refused: Refused) -> None:
    alerts = refused.office.mailbox("person:security")["INBOX"]
    assert len(alerts) == len(MARKS) * len(PLACES)
    told = "\n".join(text_of(message_from_bytes(one, policy=policy.SMTP)) for one in alerts)
    for refusal in refused.office.sql("SELECT id FROM refusals"):
        assert refusal in told
    assert not any(secret in told for secret in refused.secrets)


def test_a_resend_gets_the_first_refusal_and_no_second_receipt(
    refused: Refused, seeds: list[str]
) -> None:
    before = len(refused.office.sql("SELECT id FROM refusals"))
    for number, place in ((0, "subject"), (1, "pdf")):
        code, text = refused.office.send(
            SENDERS[number], marked(number, seeds[number], place), RECIPIENT
        )
        assert f"{code} {text}" == refused.replies[number, place]
    wait_for_the_outbox(refused.office)
    assert len(refused.office.sql("SELECT id FROM refusals")) == before


def test_nothing_of_a_refused_document_is_anywhere(refused: Refused) -> None:
    office = refused.office
    assert office.process is not None
    for export in office.folder.glob("export-*"):  # the tests' own copies of mailboxes
        shutil.rmtree(export)
    held = [*traces.in_folder(office.folder), *traces.nameless_files(office.process.pid)]
    assert any(place.endswith("yizhan.db") for place, _ in held)
    assert traces.find(held, refused.secrets) == []
    blobs = office.folder / "state" / "blobs"
    assert [p.name for p in blobs.rglob("*") if p.is_file()] == ["identity"]
    assert office.stop() == 0
    left = [(office.folder / name) for name in ("state/yizhan.db", "daemon.log")]
    assert traces.find([(path.name, path.read_bytes()) for path in left], refused.secrets) == []


def test_the_search_for_traces_finds_each_form(tmp_path: Path) -> None:
    mail = marked(1, "长短不一的一行正文，用来填满这一封邮件。\n", "txt")
    (tmp_path / "mail").write_bytes(mail)
    found = {trace.text for trace in traces.find(traces.in_folder(tmp_path), [SUBJECT, BODY, FILE])}
    assert found == {SUBJECT, BODY, FILE}


def marked(number: int, seed: str, place: str) -> bytes:
    """The seed as a mail with its mark in that place, and the words that betray a trace."""
    mark, sender = MARKS[number], SENDERS[number]
    subject = f"{SUBJECT}的情况"
    text, kept = f"{BODY}\n{seed}", f"{FILE}\n{seed}"
    more: list[bytes] = []
    name, content = f"{NAME}.txt", crlf(kept).encode()
    if place == "subject":
        subject = f"{mark} {subject}"
    elif place == "header":
        more = [b"Keywords: " + b_words(mark, "gb18030", "gb18030")]
    elif place == "body":
        text = f"{mark}\n{text}"
    elif place == "large-body":
        text = f"{mark}\n{text}" + (seed + "\n") * (600_000 // len(seed.encode()))
    elif place == "name":
        name = f"{mark}-{NAME}.txt"
    else:
        name, content = f"{NAME}.{place}", WRITERS[place](f"{mark}\n{kept}")
    head = header(sender, subject, f"{place}.{number}", *more)
    return head + multipart("mixed", "=_marked", body(number, text), attached(name, content))


def header(sender: str, subject: str, message: str, *more: bytes) -> bytes:
    return fields(
        f"From: {sender}@heping.test",
        f"To: {RECIPIENT}@heping.test",
        b"Subject: " + b_words(subject, "gb18030", "gb18030"),
        "Date: Thu, 5 Mar 2026 11:00:00 +0800",
        f"Message-ID: <{message}@heping.test>",
        "MIME-Version: 1.0",
        *more,
    )


def body(number: int, text: str) -> bytes:
    charset, encoding = BODIES[number]
    return text_part(text, charset, charset, encoding)


def attached(name: str, content: bytes) -> bytes:
    word = b_words(name, "utf-8", "UTF-8")
    return file_part(
        content,
        b'Content-Type: application/octet-stream;\r\n\tname="' + word + b'"',
        b'Content-Disposition: attachment;\r\n\tfilename="' + word + b'"',
    )


def excerpts(seed: str) -> list[str]:
    """Some pieces of a text that are found nowhere else."""
    pieces = re.findall(r"[\u4e00-\u9fff]{14}", seed) or re.findall(r"[A-Za-z][a-z ,]{30}", seed)
    return pieces[:: max(1, len(pieces) // 3)]


def text_of(message: EmailMessage) -> str:
    return "\n".join(
        part.get_content() for part in message.walk() if part.get_content_type() == "text/plain"
    )


def wait_for_the_outbox(office: Office, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while waiting := office.sql("SELECT kind FROM outbox"):
        assert time.monotonic() < deadline, waiting
        time.sleep(0.1)
