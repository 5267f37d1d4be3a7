"""One door: accepts connections on one listener and gives each a place, or says why not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.accepting import Acceptor, listen
from gateway.config import Listener, MailboxListener
from gateway.errors import Reply
from gateway.intake import replies
from gateway.intake.limits import Places
from gateway.intake.services import IntakeMetrics, NoMetrics
from gateway.intake.sessions import Hall

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Service:
    """What a door is for."""

    setting: str  # that names the door, for errors
    units: Mapping[str, str]  # systemd's socket unit, by the kind of TLS
    words: Callable[[Reply], bytes]  # a reply in the words of the protocol


SUBMISSION = Service(
    "submission.listeners",
    {"starttls": "submission", "implicit": "submissions"},
    lambda reply: replies.octets(reply, utf8=False),
)
IMAP = Service(
    "mailboxes.listeners",
    {"starttls": "imap", "implicit": "imaps"},
    lambda reply: f"* BYE {reply.text}\r\n".encode(),
)
POP3 = Service(
    "mailboxes.listeners",
    {"starttls": "pop3", "implicit": "pop3s"},
    lambda reply: f"-ERR {reply.text}\r\n".encode(),
)


class Door:
    """A listener. Doors of one service share `places`, so that limits hold for all.

    Who serves the clients is the hall's matter.
    """

    def __init__(
        self,
        listener: Listener | MailboxListener,
        hall: Hall,
        places: Places,
        metrics: IntakeMetrics | None = None,
        service: Service = SUBMISSION,
    ) -> None:
        self._service = service
        self._listener = listener
        self._hall = hall
        self._places = places
        self._metrics = metrics or NoMetrics()
        self._acceptor: Acceptor | None = None

    @property
    def port(self) -> int:
        """The TCP port in use; 0 while the door is closed."""
        return self._acceptor.port if self._acceptor else 0

    @property
    def connections(self) -> int:
        """Clients inside, those in their TLS handshake too."""
        return self._hall.clients

    async def start(self, inherited: socket.socket | None = None) -> None:
        """Listen, on the socket that systemd has opened if there is one.

        Raises ConfigurationError if the address or port cannot be used.
        """
        listening = inherited or _listen(self._listener, self._service)
        self._acceptor = Acceptor(listening, self._receive)

    async def stop(self, drain_seconds: float) -> None:
        """Let nobody in any more, send idle clients away with 421, and wait for the others.

        See `Hall.empty`.
        """
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
        await self._hall.empty(drain_seconds)

    def _receive(self, client: socket.socket, peer: str) -> None:
        refusal = self._places.take(peer)
        if refusal is not None:
            self._turn_away(client, refusal)
            return
        self._metrics.connected()
        self._hall.admit(client, peer, lambda: self._left(peer))

    def _left(self, peer: str) -> None:
        self._places.give_back(peer)
        self._metrics.left()

    def _turn_away(self, client: socket.socket, refusal: Reply) -> None:
        """Say why, where that can be said in the clear, and hang up."""
        crowded = refusal is replies.TOO_MANY_CONNECTIONS
        self._metrics.turned_away("connections" if crowded else "connections_per_address")
        with client:
            if self._listener.tls == "implicit":
                return
            try:
                client.send(self._service.words(refusal))
            except OSError:
                return


def _listen(listener: Listener | MailboxListener, service: Service) -> socket.socket:
    hint = (
        "systemd opens ports under 1024 for the daemon: "
        f"systemctl enable --now yizhan-{service.units[listener.tls]}.socket"
    )
    return listen(listener.address, listener.port, _BACKLOG, service.setting, hint)
