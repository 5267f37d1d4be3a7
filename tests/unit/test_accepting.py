"""What takes clients from a listening socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from gateway import accepting
from gateway.accepting import Acceptor, listen
from gateway.errors import ConfigurationError


@pytest.fixture(params=["one family", "both families"])
def listening(request: pytest.FixtureRequest) -> socket.socket:
    if request.param == "one family":
        return listen("127.0.0.1", 0, 128, "test.port")
    return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)  # systemd's


async def test_who_comes_while_it_closes_is_handed_on_or_waits_for_the_next_daemon(
    listening: socket.socket,
) -> None:
    held = listening.dup()  # as systemd holds it
    address = ("127.0.0.1", listening.getsockname()[1])
    clients: list[socket.socket] = []
    taken: list[tuple[socket.socket, str]] = []
    for turns in range(4):
        acceptor = Acceptor(held.dup(), lambda *client: taken.append(client))
        assert acceptor.port == address[1]
        for _ in range(20):
            clients.append(socket.create_connection(address))
        for _ in range(turns):
            await asyncio.sleep(0)
        acceptor.close()
        await asyncio.sleep(0)
    held.setblocking(False)
    while True:
        try:
            taken.append((held.accept()[0], "127.0.0.1"))
        except BlockingIOError:
            break
    assert len(taken) == len(clients) == 80
    assert {peer for _, peer in taken} == {"127.0.0.1"}
    for client, _ in taken:
        client.close()
    for client in [*clients, held, listening]:
        client.close()


async def test_without_descriptors_it_pauses_and_goes_on(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_PAUSE", 0.05)
    tried = 0

    class Short(socket.socket):
        def accept(self) -> tuple[socket.socket, tuple[str, int]]:  # type: ignore[override]
            nonlocal tried
            tried += 1
            if tried == 1:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().accept()

    taken: asyncio.Queue[socket.socket] = asyncio.Queue()
    short = Short(listening.family, listening.type, fileno=listening.detach())
    acceptor = Acceptor(short, lambda client, _: taken.put_nowait(client))
    with socket.create_connection(("127.0.0.1", acceptor.port)):
        await asyncio.sleep(0.02)
        assert tried == 1  # it does not spin
        client = await asyncio.wait_for(taken.get(), 10)
        assert client.gettimeout() == 0.0
        client.close()
    acceptor.close()


async def test_closed_in_its_pause_it_stays_closed(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_PAUSE", 0.01)

    class Broken(socket.socket):
        def accept(self) -> tuple[socket.socket, tuple[str, int]]:  # type: ignore[override]
            raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    broken = Broken(listening.family, listening.type, fileno=listening.detach())
    acceptor = Acceptor(broken, lambda *_: None)
    with socket.create_connection(("127.0.0.1", acceptor.port)):
        await asyncio.sleep(0.005)
        acceptor.close()
        await asyncio.sleep(0.03)  # a callback that fails would reach the loop's handler
        assert broken.fileno() == -1


def test_a_port_in_use_is_told_with_its_setting(listening: socket.socket) -> None:
    address, port = listening.getsockname()[:2]
    with pytest.raises(ConfigurationError, match=f"test.port: cannot listen on .* port {port}: Ad"):
        listen(address, port, 128, "test.port")
    listening.close()


def test_the_hint_is_for_ports_of_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(ConfigurationError, match=r"Permission denied; ask systemd$"):
        listen("127.0.0.1", 587, 128, "test.port", "ask systemd")
