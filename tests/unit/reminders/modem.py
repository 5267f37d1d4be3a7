"""A GSM modem at a pseudo-terminal: as much of 3GPP TS 27.005 as smsd needs to send."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty

_ANSWERS = {
    b"AT+CPIN?": b"+CPIN: READY",
    b"AT+CREG?": b"+CREG: 0,1",
    b"AT+CSQ": b"+CSQ: 20,0",
    b"AT+CIMI": b"460001234567890",
    b"AT+CMGF?": b"+CMGF: 0",
}


class Modem:
    """Answers OK to everything, and keeps or refuses the PDUs that it is to send."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.sent: list[bytes] = []
        self._refuse = refuse
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._ours)
        tty.setraw(self._theirs)
        self.device = os.ttyname(self._theirs)
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join()
        for descriptor in (self._ours, self._theirs, self._stop_read, self._stop_write):
            os.close(descriptor)

    def _run(self) -> None:
        heard, waits_for_pdu = b"", False
        while True:
            ready, _, _ = select.select([self._ours, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            heard += os.read(self._ours, 4096)
            end = b"\x1a" if waits_for_pdu else b"\r"
            while end in heard:
                line, heard = heard.split(end, 1)
                waits_for_pdu = not waits_for_pdu and line.strip().startswith(b"AT+CMGS=")
                os.write(self._ours, self._answer(line.strip(), end, waits_for_pdu))
                end = b"\x1a" if waits_for_pdu else b"\r"

    def _answer(self, line: bytes, end: bytes, waits_for_pdu: bool) -> bytes:
        if waits_for_pdu:
            return b"\r\n> "
        if end == b"\x1a":
            if self._refuse:
                return b"\r\n+CMS ERROR: 38\r\n"
            self.sent.append(line)
            return b"\r\n+CMGS: %d\r\n\r\nOK\r\n" % len(self.sent)
        told = _ANSWERS.get(line)
        return b"\r\n%s\r\n\r\nOK\r\n" % told if told else b"\r\nOK\r\n"
