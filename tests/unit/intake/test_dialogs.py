"""Plays the dialogs of tests/dialogs against a real door.

A dialog is a text file. Its first line is `# ` and the promise that it holds. Then, line by line:

    door: name=value ...   settings of the listener, or `limits.<name>`, `known=<certificate>` (in
                           the directory), `client_ca=<certificate>`
    C: text                the client sends the line; `{plain LOGIN}` and `{base64 TEXT}` are what
                           AUTH needs, `{N x}` is N letters x
    c: text                the client sends these octets, with Python's escapes, no line end added
    S: text                the server's next line is this; `...` at the end stands for any rest
    R: text                the server's next reply, of however many lines, ends with a line that
                           begins so
    L: text                one line of the server's next reply is this
    TLS [certificate]      the client does a TLS handshake
    ENCRYPT                greeting, EHLO, STARTTLS, EHLO
    LOGIN login            the same and AUTH
    ENVELOPE               MAIL from water, RCPT to office, DATA
    KEPT: octets           the exchange was given this message last, Python's escapes
    NOTHING KEPT           the exchange was given none
    END                    the server closes
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "dialogs"
PASSWORDS = {"water": "clear water", "office": "office one", "mayor": "mayor one"}
PASSWORDS["reader"] = "reader one"
DIALOGS = sorted(FOLDER.glob("*.dialog"))


def _unescape(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def _filled(text: str) -> str:
    def fill(match: re.Match[str]) -> str:
        word, _, rest = match[1].partition(" ")
        if word.isdigit():
            return rest * int(word)
        login = f"\0{rest}\0{PASSWORDS[rest]}" if word == "plain" else ""
        octets = login.encode() if login else _unescape(rest)
        return base64.b64encode(octets).decode()

    return re.sub(r"\{((?:plain|base64|\d+) [^}]*)\}", fill, text)


class Player:
    """One dialog being played."""

    def __init__(self, open_door, certificates, lines: list[str]) -> None:
        self._open_door = open_door
        self._certificates = certificates
        settings = lines.pop(0) if lines[0].startswith("door:") else "door:"
        self.door = self._open(settings.removeprefix("door:").split())
        self.client = self.door.connect()

    def _open(self, settings: list[str]):
        limits, listener = {}, {}
        for setting in settings:
            name, value = setting.split("=")
            if name.startswith("limits."):
                limits[name.removeprefix("limits.")] = float(value)
            elif name == "known":
                listener[name] = (self._certificates[value].der,)
            elif name == "client_ca":
                listener[name] = self._certificates[value].certificate
            else:
                listener[name] = [value] if name == "normalize_from" else value
        return self._open_door(limits=limits, **listener)

    def play(self, line: str) -> None:  # noqa: PLR0912  # one branch a verb
        verb, _, rest = line.partition(" ")
        match verb:
            case "C:":
                self.client.send(_filled(rest).encode() + b"\r\n")
            case "c:":
                self.client.send(_unescape(_filled(rest)))
            case "S:":
                _agree(self.client.line(), rest)
            case "R:":
                _agree(self.client.reply().splitlines()[-1], rest + "...")
            case "L:":
                assert rest in self.client.reply().splitlines()
            case "TLS":
                self.client.tls(self._certificates[rest] if rest else None)
            case "ENCRYPT":
                self._encrypt()
            case "LOGIN":
                self.client.begin(rest)
            case "ENVELOPE":
                for command in ("MAIL FROM:<water", "RCPT TO:<office"):
                    assert self.client.ask(f"{command}@heping.test>").startswith("250 ")
                assert self.client.ask("DATA").startswith("354 ")
            case "KEPT:":
                assert self.door.exchange.kept[-1].octets == _unescape(_filled(rest))
            case "NOTHING":
                assert self.door.exchange.kept == []
            case "END":
                assert self.client.line() == ""
            case _:
                raise AssertionError(f"no such verb in a dialog: {line}")

    def _encrypt(self) -> None:
        self.client.reply()
        self.client.ask("EHLO client.test")
        assert self.client.ask("STARTTLS").startswith("220 ")
        self.client.tls()
        self.client.ask("EHLO client.test")


def _agree(said: str, expected: str) -> None:
    if expected.endswith("..."):
        assert said.startswith(expected.removesuffix("..."))
    else:
        assert said == expected


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog(path: Path, open_door, certificates):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert lines.pop(0).startswith("# "), "a dialog begins with its promise"
    player = Player(open_door, certificates, lines)
    for number, line in enumerate(lines):
        if line.startswith("#"):
            continue
        try:
            player.play(line)
        except AssertionError as error:
            raise AssertionError(f"{path.name}, {line!r} (step {number + 1}): {error}") from error


def test_dialogs_are_there():
    assert len(DIALOGS) > 30 or "CI" not in os.environ
