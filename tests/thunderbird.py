"""Thunderbird as a person has it, on a screen of its own, told what to do by Marionette.

Marionette is the door that Mozilla's programs have for tests: JSON over a TCP connection, by which
a script runs inside the program. So the scripts do what clicks would do, with the program's own
functions, and wait for what it says, not for time to pass.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_READY_SECONDS = 90.0
_SCRIPT_SECONDS = 60.0
_PRELUDE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


class Marionette:
    """A connection to the Marionette server of a running program."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.settimeout(_SCRIPT_SECONDS + 20)
        self._file = self._socket.makefile("rb")
        self._number = 0
        assert self._receive()["marionetteProtocol"] == 3
        self.command(
            "WebDriver:NewSession",
            capabilities={"alwaysMatch": {"unhandledPromptBehavior": "ignore"}},
        )
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=int(_SCRIPT_SECONDS * 1000))

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def command(self, name: str, **parameters: Any) -> Any:
        """The result of a command. Raises AssertionError with the program's own words."""
        self._number += 1
        octets = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(octets), octets))
        kind, number, error, result = self._receive()
        assert (kind, number) == (1, self._number)
        assert error is None, f"{name}: {error['message']}\n{error['stacktrace']}"
        return result

    def run(self, script: str, *given: Any) -> Any:
        """What a script answers: the body of an asynchronous function, with what is in
        thunderbird.js before it and the values as `given`."""
        whole = (
            "const done = arguments[arguments.length - 1];"
            f"const body = async (...given) => {{ {_PRELUDE}\n{script} }};"
            "body(...Array.from(arguments).slice(0, -1)).then("
            "  value => done([true, value ?? null]),"
            "  error => done([false, String(error) + '\\n' + (error?.stack ?? '')]));"
        )
        good, value = self.command(
            "WebDriver:ExecuteAsyncScript", script=whole, args=list(given),
            sandbox="system", newSandbox=False,
        )["value"]  # fmt: skip
        assert good, value
        return value

    def question(self) -> str:
        """The text of the window that asks or warns; it is answered with its first button."""
        deadline = time.monotonic() + _SCRIPT_SECONDS
        while True:
            try:
                text = self.command("WebDriver:GetAlertText")["value"]
                break
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.command("WebDriver:AcceptAlert")
        return str(text)

    def picture(self) -> bytes:
        """The main window as PNG."""
        made = self.command("WebDriver:TakeScreenshot", full=False, hash=False)
        return base64.b64decode(made["value"])

    def _receive(self) -> Any:
        size = b""
        while (octet := self._file.read(1)) != b":":
            assert octet, "the program has closed the connection"
            size += octet
        return json.loads(self._file.read(int(size)))


@contextmanager
def screen(program: str) -> Iterator[str]:
    """A screen (Xvfb) while the block runs; its name for DISPLAY."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(writer), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=(writer,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    try:
        with os.fdopen(reader) as said:
            number = said.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def thunderbird(
    program: str, profile: Path, display: str, port: int, preferences: Mapping[str, Any]
) -> Iterator[Marionette]:
    """Thunderbird with that profile while the block runs."""
    lines = {**preferences, **QUIET, "marionette.port": port}
    text = "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in lines.items())
    (profile / "user.js").write_text(text, encoding="utf-8")
    with (profile / "log").open("ab") as log:
        child = subprocess.Popen(
            [program, "--marionette", "--remote-allow-system-access", "--no-remote",
             "--profile", str(profile)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={
                **os.environ, "DISPLAY": display, "HOME": str(profile), "LANG": "C.UTF-8",
                "MOZ_CRASHREPORTER_DISABLE": "1", "LIBGL_ALWAYS_SOFTWARE": "1",
            },
        )  # fmt: skip
    client = None
    try:
        client = _connected(child, port, profile)
        yield client
        with suppress(AssertionError, OSError):
            client.command("Marionette:Quit", flags=["eForceQuit"])
            child.wait(30)
    finally:
        if client is not None:
            client.close()
        if child.poll() is None:
            child.kill()
        child.wait(30)


def _connected(child: subprocess.Popen[bytes], port: int, profile: Path) -> Marionette:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        assert child.poll() is None, (profile / "log").read_text(errors="replace")
        with suppress(OSError):
            return Marionette(port)
        time.sleep(0.2)
    raise AssertionError((profile / "log").read_text(errors="replace"))


QUIET: dict[str, Any] = {
    "app.donation.eoy.version.viewed": 999,
    "app.update.enabled": False,
    "browser.shell.checkDefaultClient": False,
    "browser.cache.disk.enable": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.update.enabled": False,
    "mail.cloud_files.inserted_urls.footer.link": "",
    "mail.provider.enabled": False,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.startup.enabledMailCheckOnce": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "mail.spam.manualMark": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "media.gmp-manager.url": "http://127.0.0.1:9/",
}
"""What would ask questions at the first start, or look for something outside."""
