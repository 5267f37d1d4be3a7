"""Whether the running office answers as it should: its process, health page, ports, certificate."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config import Config, Listener, MailboxListener
from gateway.survey.finding import Finding
from gateway.survey.running import Running

_SECONDS = 5.0
_LINE = 1024


@dataclass(frozen=True, slots=True)
class _Manners:
    """How a client begins and ends in a protocol."""

    greeting: bytes
    starttls: tuple[tuple[bytes, bytes], ...]  # what is said, and how the answer begins
    farewell: bytes


_SMTP = _Manners(
    b"220", ((b"EHLO doctor.invalid\r\n", b"250"), (b"STARTTLS\r\n", b"220")), b"QUIT\r\n"
)
_MAILBOX = {
    "imap": _Manners(b"* OK", ((b"1 STARTTLS\r\n", b"1 OK"),), b"2 LOGOUT\r\n"),
    "pop3": _Manners(b"+OK", ((b"STLS\r\n", b"+OK"),), b"QUIT\r\n"),
}
_ASKED_ELSEWHERE = ("backup", "fsck", "held", "disk", "quota")  # by probes that say what to do


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
            yield from _check_door(config, listener, _SMTP)
    for one in config.mailbox_listeners:
        if one.port:
            yield from _check_door(config, one, _MAILBOX[one.protocol])


def _check_door(
    config: Config, listener: Listener | MailboxListener, manners: _Manners
) -> Iterator[Finding]:
    place = f"{listener.address} port {listener.port}"
    try:
        shown = _greeted(listener, manners)
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


def _greeted(listener: Listener | MailboxListener, manners: _Manners) -> bytes:
    """The certificate that the door shows (DER). Raises OSError, ValueError."""
    address = listener.address
    if address in ("0.0.0.0", "::"):  # noqa: S104  # where it listens, not where we do
        address = "::1" if ":" in address else "127.0.0.1"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only looked at; compared with the file
    with socket.create_connection((address, listener.port), _SECONDS) as plain:
        if listener.tls == "starttls":
            _expect(plain, manners.greeting)
            for command, answer in manners.starttls:
                plain.sendall(command)
                _expect(plain, answer)
        with context.wrap_socket(plain) as covered:
            if listener.tls == "implicit":
                _expect(covered, manners.greeting)
            shown = covered.getpeercert(binary_form=True) or b""
            covered.sendall(manners.farewell)
            return shown


def _expect(connection: socket.socket, code: bytes) -> None:
    """Read one reply that begins so, all its lines (SMTP). Raises ValueError for another."""
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
