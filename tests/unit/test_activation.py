"""systemd's sockets reach the listener that they are for, and nobody else."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from gateway import activation
from gateway.activation import Given
from gateway.config import Listener
from gateway.errors import ConfigurationError
from gateway.intake import door
from gateway.intake.door import IMAP, POP3, SUBMISSION, Service
from tests.office import ROOT

SYSTEMD = ROOT / "systemd"
Listening = Callable[[str], socket.socket]


@pytest.fixture
def listening() -> Iterator[Listening]:
    """Opens listening sockets as systemd does: on any port of the address."""
    made: list[socket.socket] = []

    def listen(address: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made.append(socket.create_server((address, 0), family=family))
        return made[-1]

    yield listen
    for one in made:
        one.close()


def port(of: socket.socket) -> int:
    return int(of.getsockname()[1])


def environment(first: int, count: int = 1, **changes: str) -> tuple[dict[str, str], int]:
    """What systemd puts into the environment of this process."""
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), **changes}, first


def handed(*sockets: socket.socket) -> int:
    """The descriptors of copies of the sockets, one after the other, as exec leaves them."""
    first = 700
    for n, one in enumerate(sockets):
        os.dup2(one.fileno(), first + n, inheritable=True)
    return first


def test_sockets_come_with_their_names_and_go_to_no_child(listening: Listening) -> None:
    two = listening("127.0.0.1"), listening("::1")
    variables, first = environment(handed(*two), 2, LISTEN_FDNAMES="submission:submissions", A="b")
    given = activation.take(variables, first)
    assert [(one.name, one.address, one.port) for one in given] == [
        ("submission", "127.0.0.1", port(two[0])),
        ("submissions", "::1", port(two[1])),
    ]
    assert variables == {"A": "b"}
    assert not any(one.socket.get_inheritable() for one in given)
    with socket.create_connection(("127.0.0.1", port(two[0])), 5):
        given[0].socket.accept()[0].close()
    for one in given:
        one.socket.close()


def test_sockets_of_another_process_are_left_alone(listening: Listening) -> None:
    first = handed(listening())
    variables, _ = environment(first, LISTEN_PID="1")
    assert activation.take(variables, first) == ()
    assert variables == {}  # nor does a child of ours take them for its own
    socket.socket(fileno=first).close()  # still open
    assert activation.take({}) == ()
    for nonsense in ("", "two", "-1", "²"):
        assert activation.take(environment(3, LISTEN_FDS=nonsense)[0]) == ()


def test_what_does_not_listen_for_tcp_is_refused_in_a_sentence(listening: Listening) -> None:
    pair = socket.socketpair()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected = socket.create_connection(("127.0.0.1", port(listening())))
    with pair[0], pair[1], udp, connected:
        for wrong in (pair[0], udp, connected):
            first = handed(wrong)
            with pytest.raises(ConfigurationError, match=f"descriptor {first}, which is no list"):
                activation.take(*environment(first))
            os.close(first)
    with pytest.raises(ConfigurationError, match="descriptor 700, which is no listening"):
        activation.take(*environment(700))  # nothing is open there


def test_each_listener_gets_the_socket_of_its_address_before_one_on_all_addresses(
    listening: Listening,
) -> None:
    exact, wide, dual = listening("127.0.0.1"), listening("0.0.0.0"), listening("::")  # noqa: S104
    given = [Given("wide", wide), Given("dual", dual), Given("exact", exact)]
    listeners = [
        Listener(port=0),
        Listener(address="10.1.0.25", port=port(dual)),
        Listener(address="127.0.0.1", port=port(exact)),
        Listener(address="127.0.0.1", port=port(wide)),
        Listener(address="127.0.0.1", port=port(wide)),  # each socket has one door
    ]
    found = [one and one.name for one in activation.assign(listeners, given)]
    assert found == [None, "dual", "exact", "wide", None]


def test_a_socket_that_no_listener_wants_is_named_with_what_to_do(listening: Listening) -> None:
    other = listening("127.0.0.1")
    given = [Given("yizhan-submissions", other)]
    for listener in (Listener(port=587), Listener(address="127.0.0.2", port=port(other))):
        with pytest.raises(ConfigurationError) as caught:
            activation.assign([listener], given)
        assert caught.value.exit_status == 78
        assert caught.value.public == (
            f"systemd listens on 127.0.0.1 port {port(other)} for the socket unit "
            "yizhan-submissions, but nothing here is for it; give a listener "
            "(submission.listeners, mailboxes.listeners) or the portal (portal.port) that port, or "
            "switch the unit off: systemctl mask --now yizhan-submissions.socket"
        )


def test_sockets_that_an_upgrade_brought_may_be_nobodys(listening: Listening) -> None:
    given = [Given("yizhan-imaps", listening()), Given("yizhan-submission", listening())]
    listeners = [Listener(port=given[1].port)]
    assigned = activation.assign(listeners, given)
    assert assigned == [given[1]]
    assert activation.unwanted(assigned, given) == [given[0]]
    assert {f"yizhan-{unit}" for door in (IMAP, POP3) for unit in door.units.values()} == set(
        activation.OPTIONAL
    )


def test_each_door_has_a_socket_unit_of_its_name_and_port() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in SYSTEMD.glob("*.socket")}
    ports = {
        "yizhan-submission": 587, "yizhan-submissions": 465, "yizhan-portal": 443,
        "yizhan-imap": 143, "yizhan-imaps": 993, "yizhan-pop3": 110, "yizhan-pop3s": 995,
    }  # fmt: skip
    assert set(texts) == set(ports)
    service = (SYSTEMD / "yizhan.service").read_text(encoding="utf-8").splitlines()
    for key in ("Sockets=", "Also="):
        named = [line.removeprefix(key).split() for line in service if line.startswith(key)]
        assert {one for some in named for one in some} == {f"{name}.socket" for name in ports}
    for name, text in texts.items():
        lines = text.splitlines()
        assert f"ListenStream={ports[name]}" in lines
        assert f"FileDescriptorName={name}" in lines
        assert "Service=yizhan.service" in lines


@pytest.mark.parametrize(
    ("service", "tls", "unit"),
    [
        (service, tls, unit)
        for service in (SUBMISSION, IMAP, POP3)
        for tls, unit in service.units.items()
    ],
)
def test_a_port_that_only_systemd_may_open_is_told_with_its_unit(
    service: Service, tls: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> socket.socket:
        raise PermissionError(13, "Permission denied")  # tests may run as root, who may

    monkeypatch.setattr(socket, "create_server", denied)
    listener = Listener.model_validate({"port": 587, "tls": tls})
    with pytest.raises(ConfigurationError) as caught:
        door._listen(listener, service)
    assert caught.value.public == (
        f"{service.setting}: cannot listen on 127.0.0.1 port 587: Permission denied; systemd "
        f"opens ports under 1024 for the daemon: systemctl enable --now yizhan-{unit}.socket"
    )
