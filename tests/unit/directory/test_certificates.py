"""Client certificates in the directory: whole where possible, and never one that cannot open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.directory import certificates, csvexport, csvfile, csvimport, edit
from gateway.errors import CommandError
from gateway.store.database import Database
from tests import certificates as made

from .conftest import BY, read, write

NOW = datetime.now(UTC)


@pytest.fixture
def own(tmp_path: Path) -> made.Certificate:
    return made.make(tmp_path, "water-clerk")


def test_a_file_may_be_pem_or_der_and_hold_the_key_too(own: made.Certificate) -> None:
    pem = own.file.read_bytes()
    for octets in (pem, own.der, own.key.read_bytes() + pem, b"Bag Attributes\n" + pem):
        assert certificates.read(octets, NOW) == own.der
    described = certificates.describe(own.der)
    assert described.subject == "CN=water-clerk"
    assert timedelta(days=29) < described.expires - NOW < timedelta(days=31)


def test_what_the_handshake_would_refuse_is_refused_with_a_sentence(tmp_path: Path) -> None:
    def refused(octets: bytes) -> str:
        with pytest.raises(CommandError) as caught:
            certificates.read(octets, NOW)
        return caught.value.public

    good, old = made.make(tmp_path, "good"), made.make(tmp_path, "old", days=-1)
    server = made.make(tmp_path, "server", usage=made.SERVER)
    assert "expired" in refused(old.file.read_bytes())
    assert "servers only" in refused(server.file.read_bytes())
    assert "2 certificates" in refused(good.file.read_bytes() + server.file.read_bytes())
    assert "no certificate" in refused(good.key.read_bytes())
    assert "no certificate" in refused(b"")
    assert "cannot be read" in refused(good.file.read_bytes().replace(b"MI", b"!!", 1))
    assert "too large" in refused(bytes(1 << 20))
    client = made.make(tmp_path, "client", usage=made.CLIENT)
    assert certificates.read(client.file.read_bytes(), NOW) == client.der


def test_only_whole_certificates_of_active_accounts_pass_the_handshake(
    office: Database, own: made.Certificate
) -> None:
    assert read(office).client_certificates() == ()
    write(office, edit.change_account, "water", certificates=[own.der, "ab" * 32])
    found = read(office)
    assert found.client_certificates() == (own.der,)
    assert found.certificate(own.fingerprint) == own.der
    assert found.certificate("ab" * 32) is None
    account = found.account_by_certificate(own.fingerprint)
    assert account is not None and account.login == "water"
    write(office, edit.change_account, "water", active=False)
    assert read(office).client_certificates() == ()
    write(office, edit.change_account, "water", active=True, certificates=[])
    assert read(office).client_certificates() == ()


def test_a_certificate_has_one_account_whole_or_not(
    office: Database, own: made.Certificate
) -> None:
    write(office, edit.change_account, "water", certificates=[own.der])
    with pytest.raises(CommandError, match="belongs to account 'water' already"):
        office.write_now(
            lambda c: edit.add_account(
                c, login="li", name="李娜", kind=csvimport.AccountKind.PERSONAL,
                units={"water": [csvimport.Role.CLERK]}, certificates=[own.fingerprint], **BY,
            )
        )  # fmt: skip


def test_a_csv_file_taken_back_keeps_what_is_held_whole(
    office: Database, own: made.Certificate
) -> None:
    write(office, edit.change_account, "water", certificates=[own.der])
    rows = csvexport.give(read(office))
    assert [row["certificates"] for row in rows if row["kind"] == "account"] == [own.fingerprint]
    taken = csvfile.read(csvfile.write(rows).encode())
    office.write_now(lambda c: csvimport.take(c, taken, {}, **BY))
    assert read(office).client_certificates() == (own.der,)


def test_the_log_tells_a_whole_certificate_from_a_fingerprint(
    office: Database, own: made.Certificate
) -> None:
    write(office, edit.change_account, "water", certificates=[own.fingerprint])
    write(office, edit.change_account, "water", certificates=[own.der])
    last = office.read_now(lambda c: edit.log(c, key="water", limit=1))[0]
    assert f'["{own.fingerprint} (fingerprint only)"]' in last.before
    assert f'["{own.fingerprint}"]' in last.after
