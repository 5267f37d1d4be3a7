"""Take the encryption off a message in memory, behind one Protocol."""

from __future__ import annotations

from typing import Protocol

from pysequoia import Tsk, decrypt


class CannotOpen(Exception):
    """There is no key here for this message, or the message is broken."""


class Opener(Protocol):
    """Who can open what is encrypted to the office. Called from any thread."""

    def open(self, ciphertext: bytes) -> bytes:
        """What the encryption of a binary OpenPGP message held.

        Either the OpenPGP message inside with its signatures, as `gpg --unwrap` leaves it, or the
        bare content where an opener cannot keep signatures; the first octet tells them apart.
        Raises CannotOpen, or Deferred if only now (agent, card, time).
        """


class FakeOpener:
    """Opens in process with a key in memory, for tests; it drops signatures inside."""

    def __init__(self, secret: bytes) -> None:
        self._decryptor = Tsk.from_bytes(secret).decryptor()

    def open(self, ciphertext: bytes) -> bytes:
        try:
            return decrypt(ciphertext, self._decryptor).bytes or b""
        except RuntimeError as error:
            raise CannotOpen(str(error).partition("\n")[0]) from None
