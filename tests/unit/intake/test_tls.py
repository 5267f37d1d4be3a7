"""TLS of the doors: what it refuses, what it can be told, what it cannot be talked into."""

from __future__ import annotations

import re
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.config import Tls
from gateway.errors import ConfigurationError
from gateway.intake import openssl
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


# https://ssl-config.mozilla.org, "intermediate", without DHE, on purpose
INTERMEDIATE = {
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
}  # fmt: skip


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str, int]:
    """One handshake in memory: cipher, protocol, and how many octets the server sent after it."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(one, other, server_side=True)
    asking = client.wrap_bio(other, one)
    waiting = [asking, serving]
    while waiting:
        for side in waiting[:]:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    cipher = asking.cipher()
    assert cipher is not None
    return cipher[0], asking.version() or "", other.pending


def easy_client(ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    return context


def of_rsa(folder: Path) -> Tls:
    """A server's certificate of the other kind."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "rsa.crt", folder / "rsa.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Tls(certificate=certificate, key=private)


def test_only_mozillas_intermediate_ciphers_are_agreed_on(certificates, tmp_path):
    holders = (TlsHolder(settings(certificates["server"])), TlsHolder(of_rsa(tmp_path)))
    agreed = set()
    known = [c["name"] for c in easy_client().get_ciphers() if c["protocol"] != "TLSv1.3"]
    assert len(known) > 40, "this client could not ask for a weak one"
    for name in known:
        client = easy_client(f"{name}:@SECLEVEL=0")
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        for holder in holders:
            try:
                cipher, protocol, _ = shake(holder.context(), client)
            except ssl.SSLError:
                continue
            assert protocol == "TLSv1.2"
            agreed.add(cipher)
    assert agreed == INTERMEDIATE


def test_the_clients_order_of_ciphers_counts(certificates):
    context = TlsHolder(settings(certificates["server"])).context()
    for wish in ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"):
        client = easy_client(f"{wish}:ECDHE+AESGCM:ECDHE+CHACHA20")
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        assert shake(context, client)[0] == wish


def test_nothing_follows_a_handshake_so_no_ticket_can_be_stolen(certificates):
    context = TlsHolder(settings(certificates["server"])).context()
    cipher, protocol, behind = shake(context, easy_client())
    assert (protocol, behind) == ("TLSv1.3", 0)
    assert cipher in {
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    }  # fmt: skip


def told(program, port: int, *words: str) -> str:
    """What `openssl s_client` says of its handshake with the door."""
    done = subprocess.run(
        [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *words],
        input="", capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
def test_keys_are_exchanged_by_the_three_groups_of_the_guide(open_door, program, group):
    port = open_door(tls="implicit").port
    assert "CONNECTION ESTABLISHED" in told(program, port, "-brief", "-groups", group)


@pytest.mark.parametrize("group", ["ffdhe2048", "ffdhe8192", "P-521", "X448"])
def test_a_group_that_costs_the_server_more_than_the_client_is_refused(open_door, program, group):
    port = open_door(tls="implicit").port
    for protocol in ("-tls1_3", "-tls1_2"):
        words = ("-brief", protocol, "-cipher", "ECDHE:DHE", "-groups")
        assert "CONNECTION ESTABLISHED" in told(program, port, *words, f"{group}:P-256")
        assert "CONNECTION ESTABLISHED" not in told(program, port, *words, group)


def test_where_openssl_cannot_be_told_the_groups_there_is_one(
    open_door, program, certificates, monkeypatch
):
    monkeypatch.setattr(openssl, "_told", lambda *_: False)
    port = open_door(tls="implicit").port
    assert "CONNECTION ESTABLISHED" in told(program, port, "-brief", "-groups", "X25519:P-256")
    assert "CONNECTION ESTABLISHED" not in told(program, port, "-brief", "-groups", "ffdhe8192")


def test_a_session_is_not_resumed_not_renegotiated_and_not_compressed(open_door, program):
    running = open_door(tls="implicit")
    assert running.tls.context().options & ssl.OP_NO_RENEGOTIATION
    said = told(program, running.port, "-tls1_2", "-reconnect", "-comp")
    assert "Reused" not in said
    assert said.count("New, TLSv1.2") >= 2, said
    assert "TLS session ticket:" not in said
    assert "Compression: NONE" in said


def test_when_the_certificate_ends_is_known(certificates):
    holder = TlsHolder(settings(certificates["server"]))
    assert 86_400 < holder.not_after - datetime.now(UTC).timestamp() < 2 * 86_400 + 1
