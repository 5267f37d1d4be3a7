"""The listening sockets that systemd opens for the daemon, and which listener each is for.

With socket units the daemon needs no capability for ports under 1024, and while it is restarted
clients wait in the backlog instead of being turned away, since the sockets stay open in systemd.
The protocol is three variables of the environment and descriptors from 3 on (sd_listen_fds(3));
own lines because the libraries for it bind libsystemd, which a virtual environment cannot bring.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import ConfigurationError

_FIRST = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

OPTIONAL = ("yizhan-imap", "yizhan-imaps", "yizhan-pop3", "yizhan-pop3s")
"""Units that came after the first version: an office whose configuration is older has them from the
moment of its upgrade, without a listener for them, and must start none the less."""


class Place(Protocol):
    """Where something listens: a listener for submission or the mailboxes, or the portal."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Given:
    """A TCP socket that listens already, under the name that its unit gives it."""

    name: str
    socket: socket.socket

    @property
    def address(self) -> str:
        """The IP address on which it listens."""
        return str(self.socket.getsockname()[0])

    @property
    def port(self) -> int:
        """Its TCP port."""
        return int(self.socket.getsockname()[1])

    def serves(self, listener: Place) -> bool:
        """Whether it has the listener's port, on the listener's address or on all addresses."""
        return self.port == listener.port and (self.is_of(listener) or self._on_all_addresses)

    def is_of(self, listener: Place) -> bool:
        """Whether it has exactly the listener's address and port."""
        return (self.address, self.port) == (listener.address, listener.port)

    @property
    def _on_all_addresses(self) -> bool:
        return ipaddress.ip_address(self.address.partition("%")[0]).is_unspecified


def take(
    environment: MutableMapping[str, str] = os.environ, first: int = _FIRST
) -> tuple[Given, ...]:
    """The sockets that were handed to this process; none without systemd, or a second time.

    The variables are removed and the descriptors closed to other programs, so that no child takes
    them for its own. Raises ConfigurationError for what is no listening TCP socket.
    """
    process, count, names = (environment.pop(name, "") for name in _VARIABLES)
    if process != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return ()
    named = names.split(":") if names else []
    return tuple(
        Given(named[n] if n < len(named) else "unknown", _listening(first + n))
        for n in range(int(count))
    )


@contextmanager
def taken() -> Iterator[tuple[Given, ...]]:
    """The sockets that were handed to this process, until the block ends; raises what `take` does.

    systemd keeps its own descriptors, so clients that come later wait there for the next daemon.
    """
    given = take()
    try:
        yield given
    finally:
        for one in given:
            one.socket.close()


def _listening(descriptor: int) -> socket.socket:
    fault = ConfigurationError(
        f"systemd handed over descriptor {descriptor}, which is no listening TCP socket; a socket "
        "unit of yizhan has one ListenStream= with a port, and Accept=no"
    )
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        raise fault from None
    family = found.family in (socket.AF_INET, socket.AF_INET6)
    stream = family and found.type == socket.SOCK_STREAM
    if not (stream and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)):
        found.detach()  # it is not ours to close
        raise fault
    found.set_inheritable(False)
    return found


def assign(listeners: Sequence[Place], given: Sequence[Given]) -> list[Given | None]:
    """For each listener the socket that is its own, None where it must open one itself.

    A socket of exactly its address goes first, then one on all addresses.

    Raises ConfigurationError if a socket is nobody's: its clients would wait for ever. Of the
    optional units it is for the caller to turn them away, see `unwanted`.
    """
    left = list(given)
    found: list[Given | None] = [None] * len(listeners)
    for fits in (Given.is_of, Given.serves):
        for n, listener in enumerate(listeners):
            own = next((one for one in left if found[n] is None and fits(one, listener)), None)
            if own is not None:
                left.remove(own)
                found[n] = own
    astray = [one for one in left if one.name not in OPTIONAL]
    if astray:
        raise ConfigurationError("\n".join(nobodys(one) for one in astray))
    return found


def unwanted(assigned: Sequence[Given | None], given: Sequence[Given]) -> list[Given]:
    """The sockets of optional units for which there is no listener."""
    return [one for one in given if one not in assigned]


def nobodys(given: Given) -> str:
    """What to do about a socket that nobody listens on."""
    return (
        f"systemd listens on {given.address} port {given.port} for the socket unit {given.name}, "
        "but nothing here is for it; give a listener (submission.listeners, mailboxes.listeners) "
        "or the portal (portal.port) that port, or switch the unit off: "
        f"systemctl mask --now {given.name}.socket"
    )
