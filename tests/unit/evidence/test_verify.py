"""The verifier: what is genuine is proved, and whatever is changed is noticed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.event import Event, Reason
from gateway.evidence import receipt
from gateway.evidence.keys import certify, create_evidence_key
from gateway.evidence.receipt import render_receipt
from gateway.evidence.record import SIGNED_PREFIX, canonical
from gateway.evidence.verify import verify_receipt
from gateway.seals.signer import FakeSigner

from .conftest import ORIGINAL, Made, Maker, accepted_statements, refused_statement


@pytest.mark.parametrize("style", ["full", "brief", "machine"])
def test_a_genuine_receipt_is_proved_in_every_style(accepted: Made, style: str) -> None:
    result = verify_receipt(accepted.render(style), accepted.signer.certificate)
    assert result.ok, result.findings
    assert [event.event for event in result.events] == [
        Event.SUBMISSION_ACCEPTANCE,
        Event.CONTENT_CONSIGNMENT,
        Event.CONTENT_CONSIGNMENT,
    ]
    said = " ".join(finding.sentence for finding in result.findings)
    assert "ContentConsignment for water@heping.test" in said
    assert "one chain (2 of 2 links" in said
    assert "heping.test/yizhan with 3 entries" in said


def test_a_refusal_and_a_later_event_alone_are_proved(maker: Maker) -> None:
    maker.make(accepted_statements(["water"]))
    made = maker.make([refused_statement(Reason.VIRUS)])
    result = verify_receipt(made.render(), made.signer.certificate)
    assert result.ok, result.findings
    assert result.events[0].sequence == 3
    assert result.events[0].reasons == (("Virus", "body"),)


def test_a_receipt_saved_with_lf_and_with_fields_before_it_is_still_proved(accepted: Made) -> None:
    octets = b"X-Mozilla-Status: 0001\r\nReceived: from x\r\n" + accepted.render()
    saved = octets.replace(b"\r\n", b"\n")
    assert verify_receipt(saved, accepted.signer.certificate).ok


def test_another_offices_key_proves_nothing(accepted: Made) -> None:
    result = verify_receipt(accepted.render(), FakeSigner().certificate)
    assert not result.ok
    assert result.events == ()


def test_a_file_that_is_no_key_is_an_error(accepted: Made) -> None:
    with pytest.raises(ValueError, match="not an OpenPGP public key"):
        verify_receipt(accepted.render(), b"hello")


@pytest.mark.parametrize("octets", [b"", b"hello", b"Subject: x\r\n\r\nbody", b"\xff\x00" * 50])
def test_what_is_no_receipt_is_not_proved(accepted: Made, octets: bytes) -> None:
    assert not verify_receipt(octets, accepted.signer.certificate).ok


def test_another_subject_outside_is_noticed(accepted: Made) -> None:
    octets = accepted.render("machine").replace(
        b"Subject: SubmissionAcceptance", b"Subject: SubmissionRejection", 1
    )
    result = verify_receipt(octets, accepted.signer.certificate)
    assert not result.ok
    assert "says something else than was signed: Subject" in result.findings[0].sentence


def test_any_changed_octet_of_the_signed_part_is_noticed(accepted: Made) -> None:
    octets = accepted.render("machine")
    start = octets.index(b"multipart/mixed")
    end = octets.index(b"application/pgp-signature", start)

    @given(st.integers(start, end - 100), st.integers(33, 126))
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def check(place: int, letter: int) -> None:
        changed = octets[:place] + bytes([letter]) + octets[place + 1 :]
        if changed != octets:
            assert not verify_receipt(changed, accepted.signer.certificate).ok

    check()


class Insider:
    """Has the office's OpenPGP key, and so can sign any mail: the other proofs must hold alone."""

    def __init__(self, made: Made) -> None:
        self.made = made

    def forge(self, change: Callable[[str, Any], Any]) -> bytes:
        """The receipt with its JSON files changed, signed anew by the office's key."""
        real = (receipt.records_file, receipt.proof_file)

        def records(*given: Any) -> bytes:
            return json.dumps(change("records", json.loads(real[0](*given)))).encode()

        def proof(*given: Any) -> bytes:
            return json.dumps(change("proof", json.loads(real[1](*given)))).encode()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(receipt, "records_file", records)
            patch.setattr(receipt, "proof_file", proof)
            return self.made.render("brief")

    def refused(self, change: Callable[[str, Any], Any]) -> str:
        result = verify_receipt(self.forge(change), self.made.signer.certificate)
        assert not result.ok
        return " ".join(finding.sentence for finding in result.findings if not finding.proved)


@pytest.fixture
def insider(accepted: Made) -> Insider:
    made = Insider(accepted)
    assert verify_receipt(made.forge(lambda _, value: value), accepted.signer.certificate).ok
    return made


def test_a_record_that_was_rewritten_is_noticed(insider: Insider) -> None:
    def change(name: str, value: Any) -> Any:
        if name == "records":
            record = json.loads(base64.b64decode(value[1]["record"]))
            record["recipient"] = "other@heping.test"
            value[1]["record"] = base64.b64encode(canonical(record)).decode()
        return value

    assert "signature of record 2 does not hold" in insider.refused(change)


def test_a_record_that_was_never_logged_is_noticed_though_its_signature_holds(
    insider: Insider, maker: Maker
) -> None:
    """Somebody with the evidence key too, but without the log."""

    def change(name: str, value: Any) -> Any:
        if name == "records":
            record = json.loads(base64.b64decode(value[2]["record"]))
            record["recipient"] = "other@heping.test"
            octets = canonical(record)
            value[2]["record"] = base64.b64encode(octets).decode()
            signature = maker.key.sign(SIGNED_PREFIX + octets)
            value[2]["signature"] = base64.b64encode(signature).decode()
        return value

    assert "Record 3 is not proved to be in the log" in insider.refused(change)


def test_a_broken_chain_is_noticed(insider: Insider, maker: Maker) -> None:
    def change(name: str, value: Any) -> Any:
        if name == "records":
            record = json.loads(base64.b64decode(value[2]["record"]))
            record["previous"] = "00" * 32
            octets = canonical(record)
            value[2]["record"] = base64.b64encode(octets).decode()
            signature = maker.key.sign(SIGNED_PREFIX + octets)
            value[2]["signature"] = base64.b64encode(signature).decode()
        return value

    assert "Record 3 does not follow record 2" in insider.refused(change)


def test_an_evidence_key_that_the_office_did_not_certify_is_noticed(
    accepted: Made, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = FakeSigner("Stranger <x@x.test>")
    key = create_evidence_key(tmp_path_factory.mktemp("k"))
    false = certify(key, office="heping.test", now=accepted.facts.now, signer=stranger)
    result = verify_receipt(
        replace(accepted, certificates=[false]).render(), accepted.signer.certificate
    )
    assert not result.ok
    assert "did not certify the evidence key" in result.findings[1].sentence


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("version", 2),
        ("keys", []),
        ("keys", [{}]),
        ("keys", 7),
        ("checkpoint", ""),
        ("checkpoint", "x"),
        ("hashes", ["!"]),
        ("hashes", []),
        ("paths", []),
        ("paths", [{"record": "x"}]),
    ],
)
def test_a_proof_of_another_form_is_not_proved(insider: Insider, member: str, value: Any) -> None:
    def change(name: str, whole: Any) -> Any:
        if name == "proof":
            whole[member] = value
        return whole

    assert insider.refused(change)


@pytest.mark.parametrize("value", [[], {}, 1, [1], [{"record": "!", "signature": "", "key": ""}]])
def test_records_of_another_form_are_not_proved(insider: Insider, value: Any) -> None:
    assert insider.refused(lambda name, whole: value if name == "records" else whole)


def test_another_attached_document_is_noticed(accepted: Made) -> None:
    full = accepted.render("full", original=ORIGINAL + b"x")
    result = verify_receipt(full, accepted.signer.certificate)
    assert [finding.sentence for finding in result.findings if not finding.proved] == [
        "The attached document is not the one of the records."
    ]


def test_a_receipt_before_the_first_checkpoint_is_not_fully_proved(accepted: Made) -> None:
    octets = render_receipt(
        accepted.facts,
        accepted.records,
        [],
        None,
        style="brief",
        language="en",
        signer=accepted.signer,
        original=None,
        templates=accepted.templates,
        certificates=accepted.certificates,
    )
    result = verify_receipt(octets, accepted.signer.certificate)
    assert not result.ok
    assert [finding.sentence for finding in result.findings if not finding.proved] == [
        "The receipt was made before the log was sealed: it has no checkpoint."
    ]
