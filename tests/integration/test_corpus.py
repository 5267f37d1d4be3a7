"""Chinese mail as clients write it goes through a real daemon: read rightly, and kept untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Any

import pytest

from tests.corpus import samples
from tests.corpus.sample import RECIPIENT, SENDER, Sample
from tests.office import Office

pytestmark = pytest.mark.one_database(
    "what is read from mail, long before it is stored; real mail is stored on both"
)

SAMPLES = samples()
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[one.name for one in SAMPLES])


@dataclass(frozen=True)
class Sent:
    """The corpus once it has gone through: ids by sample, and what the recipient reads."""

    office: Office
    ids: dict[str, str]
    views: dict[str, bytes]  # by document

    def show(self, sample: Sample) -> Any:
        return json.loads(self.office.here("document", "show", self.ids[sample.name], "--json"))

    def view(self, sample: Sample) -> bytes:
        return self.views[self.ids[sample.name]]

    def texts(self, sample: Sample) -> list[tuple[str, str]]:
        """Place and text of everything that was read."""
        rows = self.office.sql(
            "SELECT json_array(place, text) FROM document_texts WHERE document_id = ? "
            "ORDER BY ordinal",
            self.ids[sample.name],
        )
        return [(place, text) for place, text in map(json.loads, rows)]


@pytest.fixture(scope="module")
def sent(make_module_office: Callable[..., Office]) -> Iterator[Sent]:
    """The whole corpus, accepted by one office under the shipped policy."""
    office = make_module_office()
    with office.running():
        ids = {}
        with office.client(SENDER) as client:
            for sample in SAMPLES:
                code, text = office.offer(client, SENDER, sample.octets, RECIPIENT)
                assert code == 250, (sample.name, text)
                ids[sample.name] = text.split()[1]
        inbox = office.mailbox(f"unit:{RECIPIENT}")["INBOX"]
        views = {str(message_from_bytes(view)["Yizhan-Document"]): view for view in inbox}
        yield Sent(office, ids, views)


def test_the_corpus_holds_each_form_that_clients_are_known_for() -> None:
    assert len({sample.name for sample in SAMPLES}) == len(SAMPLES)
    everything = b"\n".join(sample.octets for sample in SAMPLES).lower()
    for form in (
        "=?gb2312?b?", "=?gbk?q?", "=?gb18030?b?", "=?big5?b?", "=?iso-2022-jp?b?", "=?utf-7?q?",
        "=?hz-gb-2312?b?", "filename*=gb18030''", "filename*0*=utf-8''", 'name="winmail.dat"',
        "begin 666 ", 'charset="utf-16"', "x-priority: 1", "importance: high", "x-mailer: foxmail",
        "x-qq-mailer:", "coremail", "microsoft outlook", "quoted-printable", "8bit", "7bit",
        "multipart/alternative", "multipart/related", "message/rfc822",
    ):  # fmt: skip
        assert form.encode() in everything, form
    assert "〔2026〕".encode("gbk") in everything


@each_sample
def test_the_metadata_is_what_a_clerk_reads(sent: Sent, sample: Sample) -> None:
    metadata = sent.show(sample)["metadata"]
    found = {name: metadata[name] for name in ("title", "number", "kind", "urgency", "class")}
    assert found == {
        "title": sample.title,
        "number": sample.number,
        "kind": sample.kind,
        "urgency": sample.urgency,
        "class": sample.message_class,
    }
    expected = {*sample.warnings}
    if sample.message_class != "mail":
        expected.add("seal-missing")
    assert set(metadata["warnings"]) == expected


@each_sample
def test_text_and_file_names_are_read_in_the_charset_that_was_meant(
    sent: Sent, sample: Sample
) -> None:
    texts = sent.texts(sample)
    assert [one_line(text) for place, text in texts if place == "subject"] == [
        one_line(sample.subject)
    ]
    assert any(sample.body in text for place, text in texts if place == "body")
    names = []
    for text in (text for place, text in texts if place == "attachment-name"):
        name, *members = text.split("\n")
        names += [name, *(f"{name}: {member}" for member in members)]
    assert tuple(names) == sample.files
    labels = ("subject", "body", "attachment-name")
    if sample.file_text:
        assert any(sample.file_text in text for place, text in texts if place not in labels)


@each_sample
def test_the_reader_sees_the_subject_behind_its_marks(sent: Sent, sample: Sample) -> None:
    shown = one_line(message_from_bytes(sent.view(sample), policy=policy.SMTP)["Subject"])
    subject, marks = one_line(sample.subject), ""
    if sample.message_class != "mail":
        urgency = {"extra": "〔特急〕", "urgent": "〔加急〕", "normal": ""}[sample.urgency]
        # A sender who writes the mark as the office does sees it once.
        subject, marks = subject.removeprefix(urgency), urgency + "〔无章〕"
    assert shown == marks + subject


@each_sample
def test_the_body_in_the_mailbox_is_octet_for_octet_what_was_sent(
    sent: Sent, sample: Sample
) -> None:
    assert sent.view(sample).partition(b"\r\n\r\n")[2] == sample.octets.partition(b"\r\n\r\n")[2]


@each_sample
def test_the_export_is_what_went_over_the_wire(sent: Sent, sample: Sample) -> None:
    assert sent.office.here("document", "export", sent.ids[sample.name]) == sample.octets


def one_line(text: str) -> str:
    return " ".join(text.split())
