"""TLS of the doors: what it refuses, what it can be told, what it cannot be talked into."""

from __future__ import annotations

import re
import ssl

import pytest

from gateway.config import Tls
from gateway.errors import ConfigurationError
from gateway.intake.tls import TlsHolder


def settings(certificate, key=None) -> Tls:
    return Tls(certificate=certificate.certificate, key=(key or certificate).key)


def test_old_protocols_are_refused(open_door, certificates):
    client = open_door(tls="implicit").connect()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        old.wrap_socket(client._socket).recv(1)


def test_an_unknown_certificate_ends_the_handshake_where_certificates_are_known(
    open_door, certificates
):
    running = open_door(tls="implicit", known=(certificates["water"].der,))
    client = running.connect()
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        client.tls(certificates["stranger"])
        assert client.reply().startswith("220 ")


def test_no_certificate_is_asked_for_where_none_is_known(open_door, certificates):
    client = open_door(tls="implicit").connect()
    client.tls(certificates["stranger"])
    assert client.reply().startswith("220 ")


def test_a_certificate_registered_later_counts_at_the_next_handshake(certificates):
    holder = TlsHolder(settings(certificates["server"]))
    before = holder.context()
    assert before.verify_mode is ssl.CERT_NONE
    holder.know([certificates["water"].der])
    assert holder.context().verify_mode is ssl.CERT_OPTIONAL
    after = holder.context()
    holder.know([certificates["water"].der])
    assert holder.context() is after
    holder.know([])
    assert holder.context().verify_mode is ssl.CERT_NONE


def test_a_certificate_that_cannot_be_read_does_not_shut_the_door(certificates):
    holder = TlsHolder(settings(certificates["server"]))
    holder.know([b"no certificate"])
    assert holder.context().verify_mode is ssl.CERT_NONE


def test_each_fault_of_the_files_is_a_sentence_with_file_and_key(certificates, tmp_path):
    server, other = certificates["server"], certificates["stranger"]
    missing = server.certificate.with_name("missing.crt")
    with pytest.raises(ConfigurationError, match=r"missing\.crt: tls\.certificate: cannot be read"):
        TlsHolder(Tls(certificate=missing, key=server.key))
    with pytest.raises(ConfigurationError, match=r"tls\.certificate: does not load with tls\.key"):
        TlsHolder(settings(server, other))
    public = tmp_path / "public.key"
    public.write_bytes(server.key.read_bytes())
    public.chmod(0o644)
    with pytest.raises(ConfigurationError, match=re.escape("tls.key: others can read")):
        TlsHolder(Tls(certificate=server.certificate, key=public))
    with pytest.raises(ConfigurationError, match=r"submission\.client_ca: cannot be used"):
        TlsHolder(settings(server), tmp_path / "no-ca.pem")


def test_a_renewal_that_fails_leaves_the_old_certificate_in_force(certificates, tmp_path):
    server = certificates["server"]
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    certificate.write_bytes(server.certificate.read_bytes())
    key.write_bytes(server.key.read_bytes())
    key.chmod(0o600)
    holder = TlsHolder(Tls(certificate=certificate, key=key))
    before = holder.context()
    certificate.write_text("garbage")
    with pytest.raises(ConfigurationError):
        holder.reload()
    assert holder.context() is before
