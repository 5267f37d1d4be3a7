"""Whether the running office answers as it should: its process, health page, ports, certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from gateway.config import Config, Listener
from gateway.survey.finding import Finding
from gateway.survey.running import Running

_SECONDS = 5.0
_LINE = 1024
_ASKED_ELSEWHERE = ("backup", "fsck", "held", "disk")  # by probes that say what to do


def check_process(config: Config, running: Running) -> Iterator[Finding]:
    """Whether it runs, and what its health page says."""
    if not running.here:
        yield Finding(
            "the post office does not run",
            "`systemctl start yizhan`; if it stops again, `journalctl --unit yizhan` says why",
        )
        return
    if not running.health and config.console.port:
        yield Finding(
            f"the post office runs (process {running.process}); its health page does not answer",
            "look into its log (`journalctl --unit yizhan`); systemd restarts one that hangs",
        )
    for part, sentence in running.troubles.items():
        if part not in _ASKED_ELSEWHERE:
            yield Finding(f"the health page says of {part}: {sentence}")


def check_doors(config: Config, running: Running) -> Iterator[Finding]:
    """Whether each port answers with a greeting, and shows the certificate that is on the disk."""
    if not running.here:
        return
    for listener in config.submission.listeners:
        if listener.port:
            yield from _check_door(config, listener)


def _check_door(config: Config, listener: Listener) -> Iterator[Finding]:
    place = f"{listener.address} port {listener.port}"
    try:
        shown = _greeted(listener)
    except (OSError, ValueError) as error:
        yield Finding(
            f"{place} ({listener.tls}) does not answer with a greeting: {error}",
            "does a firewall stand in between, or another program listen there? "
            "`ss --listening --tcp --processes` shows it",
        )
        return
    on_disk = _own_certificate(config)
    if on_disk and shown and shown != on_disk:
        yield Finding(
            f"{place} still shows another certificate than {config.tls.certificate}",
            "systemctl reload yizhan",
        )


def _greeted(listener: Listener) -> bytes:
    """The certificate that the door shows (DER). Raises OSError, ValueError."""
    address = listener.address
    if address in ("0.0.0.0", "::"):  # noqa: S104  # where it listens, not where we do
        address = "::1" if ":" in address else "127.0.0.1"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at; compared with the file
    with socket.create_connection((address, listener.port), _SECONDS) as plain:
        if listener.tls == "starttls":
            _expect(plain, b"220")
            plain.sendall(b"EHLO doctor.invalid\r\n")
            _expect(plain, b"250")
            plain.sendall(b"STARTTLS\r\n")
            _expect(plain, b"220")
        with context.wrap_socket(plain) as covered:
            if listener.tls == "implicit":
                _expect(covered, b"220")
            shown = covered.getpeercert(binary_form=True) or b""
            covered.sendall(b"QUIT\r\n")
            return shown


def _expect(connection: socket.socket, code: bytes) -> None:
    """Read one reply, of however many lines. Raises ValueError for another code."""
    received = b""
    while True:
        line, ended, rest = received.partition(b"\n")
        if not ended:
            piece = connection.recv(_LINE)
            if not piece:
                raise ValueError("the connection was closed")
            received += piece
            continue
        if not line.startswith(code):
            raise ValueError(line[:60].decode("ascii", "replace").strip())
        if line[3:4] != b"-":
            return
        received = rest


def _own_certificate(config: Config) -> bytes:
    try:
        text = config.tls.certificate.read_text(encoding="ascii", errors="replace")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        return ssl.PEM_cert_to_DER_cert(text[begin : text.index("-----END", begin) + 25])
    except (OSError, ValueError):
        return b""  # the check of the configuration says so
