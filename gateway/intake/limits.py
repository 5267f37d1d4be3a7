"""Who may still connect, and what one session may still do."""

from __future__ import annotations

from collections import Counter, OrderedDict
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from gateway.config import Limits
from gateway.errors import Reply
from gateway.intake import replies

_KEPT = 4  # one place in so many is kept
_KNOWN = 10_000  # addresses


class Room(Protocol):
    """How many may come in."""

    @property
    def connections(self) -> int: ...

    @property
    def connections_per_address(self) -> int: ...


class Places:
    """The places for connections, counted over all doors that share it.

    A quarter of them is kept for addresses from which somebody has logged in, so that strangers who
    only hold connections open, from however many addresses, do not shut the clerks out.
    """

    def __init__(self, limits: Room) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()
        self._known: OrderedDict[str, None] = OrderedDict()

    @property
    def taken(self) -> int:
        """Connections that are open."""
        return self._taken.total()

    def take(self, address: str) -> Reply | None:
        """Take a place for a client; the reply to send it away with, if there is none."""
        key = network_key(address)
        kept = 0 if key in self._known else self._limits.connections // _KEPT
        if self.taken >= self._limits.connections - kept:
            return replies.TOO_MANY_CONNECTIONS
        if self._taken[key] >= self._limits.connections_per_address:
            return replies.TOO_MANY_FROM_ADDRESS
        self._taken[key] += 1
        return None

    def welcome(self, address: str) -> None:
        """Somebody has logged in from there."""
        key = network_key(address)
        self._known[key] = None
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def give_back(self, address: str) -> None:
        """The client has left."""
        key = network_key(address)
        self._taken[key] -= 1
        if self._taken[key] <= 0:
            del self._taken[key]


def client_address(text: str) -> IPv4Address | IPv6Address:
    """The address of a peer; an IPv4 client of a double-stack door counts as IPv4."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def network_key(text: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 host may use freely."""
    address = client_address(text)
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, 64), strict=False))


class Budget:
    """What is left to one session. It belongs to the connection, so STARTTLS does not renew it."""

    def __init__(self, limits: Limits, now: float) -> None:
        """`now` and all deadlines are in loop time, seconds."""
        self._limits = limits
        self._errors = limits.errors
        self._commands = limits.commands
        self._end = now + limits.session_seconds

    def spend_command(self) -> Reply | None:
        """One more command has come; the reply to close with, if it was one too many."""
        self._commands -= 1
        return replies.TOO_MANY_COMMANDS if self._commands < 0 else None

    def spend_error(self) -> Reply | None:
        """One more command was wrong or refused; the reply to close with, if that was the last."""
        self._errors -= 1
        return replies.TOO_MANY_ERRORS if self._errors <= 0 else None

    def command_deadline(self, now: float) -> tuple[float, Reply]:
        """Until when a command must have come, and the reply if it has not."""
        return self._sooner(now + self._limits.command_seconds, replies.COMMAND_TIMEOUT)

    def data_deadline(self, now: float) -> tuple[float, Reply]:
        """Until when a message must have come, and the reply if it has not."""
        return self._sooner(now + self._limits.data_seconds, replies.DATA_TIMEOUT)

    def _sooner(self, deadline: float, reply: Reply) -> tuple[float, Reply]:
        if self._end < deadline:
            return self._end, replies.SESSION_TIMEOUT
        return deadline, reply
