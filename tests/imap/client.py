"""A small IMAP client that hides nothing: commands as octets, answers as values to compare.

NIL is None, a number an int, a string (quoted or literal) bytes, a list a list, and any other atom
an upper-case str: what two servers may write differently and mean the same is the same value.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

Value = Any  # None, int, str, bytes, or a list of them

_SECONDS = 60.0
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")
_TOKEN = re.compile(
    rb"[ ]*(?:"
    rb"(?P<open>\()|(?P<close>\))|"
    rb'"(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"|'
    rb"~?\{(?P<literal>[0-9]+)\}\r\n|"
    rb"(?P<section>(?:BODY|BINARY)(?:\.[A-Z]+)?\[[^\]]*\](?:<[0-9]+>)?)|"
    rb'(?P<atom>[^ ()"\r\n]+)|(?P<end>\r\n))',
    re.DOTALL | re.IGNORECASE,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_STATES = ("OK", "NO", "BAD", "BYE", "PREAUTH")


class Unreadable(Exception):
    """The server said what is not IMAP."""


@dataclass(frozen=True)
class Reply:
    """How one command ended, and what came before that."""

    state: str  # OK, NO or BAD
    text: str
    untagged: list[list[Value]] = field(default_factory=list)

    def data(self, name: str) -> list[Value]:
        """All that follows that name in the untagged responses of it, one behind another."""
        return [value for one in self.untagged if one[:1] == [name] for value in one[1:]]

    def fetched(self) -> dict[int, dict[str, Value]]:
        """By sequence number: each item by its upper-case name."""
        found: dict[int, dict[str, Value]] = {}
        for one in self.untagged:
            if len(one) == 3 and one[1] == "FETCH":
                names, values = one[2][::2], one[2][1::2]
                found.setdefault(one[0], {}).update(zip(names, values, strict=True))
        return found


class Client:
    """One connection. A bytes word of a command is sent as a literal."""

    def __init__(self, port: int, trust: ssl.SSLContext | None = None) -> None:
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), _SECONDS)
        if trust is not None:
            self._socket = trust.wrap_socket(self._socket, server_hostname="localhost")
        self._file = self._socket.makefile("rb")
        self._number = 0
        self.greeting = parse(self._response())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self, *words: str | bytes) -> Reply:
        """One command; whatever its state is."""
        return next(self.pipeline([words]))

    def ok(self, *words: str | bytes) -> Reply:
        """One command that must succeed. Raises AssertionError."""
        reply = self.run(*words)
        assert reply.state == "OK", (words[0], reply.state, reply.text)
        return reply

    def pipeline(self, commands: Iterable[tuple[str | bytes, ...]]) -> Iterator[Reply]:
        """Send all commands without waiting, then read their replies in order."""
        tags: list[str] = []
        octets: list[bytes] = []
        for words in commands:
            self._number += 1
            tags.append(f"t{self._number}")
            octets.append(f"{tags[-1]} ".encode() + b" ".join(_word(word) for word in words))
        self._socket.sendall(b"\r\n".join([*octets, b""]))
        for tag in tags:
            yield self._reply(tag)

    def _reply(self, tag: str) -> Reply:
        untagged: list[list[Value]] = []
        while True:
            octets = self._response()
            first, _, rest = octets.partition(b" ")
            if first == b"*":
                untagged.append(parse(octets))
            elif first.decode() == tag:
                state, _, text = rest.decode("utf-8", "replace").strip().partition(" ")
                return Reply(state.upper(), text, untagged)
            elif first != b"+":
                raise Unreadable(f"{octets[:200]!r} instead of the reply to {tag}")

    def _response(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            line = self._file.readline()
            if not line.endswith(b"\r\n"):
                raise Unreadable(f"the connection ended after {b''.join(pieces)[-200:] + line!r}")
            pieces.append(line)
            literal = _LITERAL.search(line)
            if literal is None:
                return b"".join(pieces)
            octets = self._file.read(int(literal[1]))
            if len(octets) != int(literal[1]):
                raise Unreadable("the connection ended within a literal")
            pieces.append(octets)


def quoted(text: str) -> str:
    """A quoted string for a command."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(word: str | bytes) -> bytes:
    return f"{{{len(word)}+}}\r\n".encode() + word if isinstance(word, bytes) else word.encode()


def parse(octets: bytes) -> list[Value]:
    """The values of one untagged response; a state is followed by its text. Raises Unreadable."""
    if not octets.startswith(b"* "):
        raise Unreadable(f"{octets[:200]!r} is no untagged response")
    state, _, text = octets[2:].partition(b" ")
    if state.decode("latin-1").upper() in _STATES:
        return [state.decode("latin-1").upper(), text.strip()]
    stack: list[list[Value]] = [[]]
    position = 2
    while position < len(octets):
        token = _TOKEN.match(octets, position)
        if token is None:
            raise Unreadable(f"{octets[position : position + 200]!r} cannot be read")
        position = token.end()
        if token["open"]:
            stack.append([])
        elif token["close"]:
            if len(stack) == 1:
                raise Unreadable(f"one bracket too many in {octets[:200]!r}")
            done = stack.pop()
            stack[-1].append(done)
        elif token["literal"] is not None:
            stop = position + int(token["literal"])
            stack[-1].append(octets[position:stop])
            position = stop
        elif token["quoted"] is not None:
            stack[-1].append(_ESCAPED.sub(rb"\1", token["quoted"]))
        elif token["section"]:
            stack[-1].append(token["section"].decode("latin-1").upper().replace('"', ""))
        elif token["atom"]:
            stack[-1].append(_atom(token["atom"].decode("latin-1")))
        elif len(stack) != 1:
            raise Unreadable(f"a bracket is missing in {octets[:200]!r}")
    return stack[0]


def _atom(text: str) -> Value:
    if text.isdigit():
        return int(text)
    return None if text.upper() == "NIL" else text.upper()
