"""One door: accepts connections on one listener and gives each a place, or says why not."""

from __future__ import annotations

import socket

from gateway import config
from gateway.accepting import Acceptor, listen
from gateway.errors import Reply
from gateway.intake import replies
from gateway.intake.limits import Places
from gateway.intake.services import IntakeMetrics, NoMetrics
from gateway.intake.sessions import Hall

_BACKLOG = 128


class SubmissionDoor:
    """A listener for submission. Doors of one office share `places`, so that limits hold for all.

    Who serves the clients is the hall's matter.
    """

    def __init__(
        self,
        listener: config.Listener,
        hall: Hall,
        places: Places,
        metrics: IntakeMetrics | None = None,
    ) -> None:
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
        self._acceptor = Acceptor(inherited or _listen(self._listener), self._receive)

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
                client.send(replies.octets(refusal, utf8=False))
            except OSError:
                return


def _listen(listener: config.Listener) -> socket.socket:
    unit = "submission" if listener.tls == "starttls" else "submissions"
    hint = (
        "systemd opens ports under 1024 for the daemon: "
        f"systemctl enable --now yizhan-{unit}.socket"
    )
    return listen(listener.address, listener.port, _BACKLOG, "submission.listeners", hint)
