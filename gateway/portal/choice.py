"""What a person may choose as a password: the rules of the portal, one fault at a time."""

from __future__ import annotations

from enum import StrEnum

from gateway.directory.passwords import LONGEST, SHORTEST


class Fault(StrEnum):
    """Why a new password is not taken; the templates have the sentences."""

    SHORT = "short"
    LONG = "long"
    UNPRINTABLE = "unprintable"
    REPEATED = "repeated"  # one letter over and over, or two
    LOGIN = "login"
    OLD = "old"
    DIFFERENT = "different"  # the two fields
    WRONG = "wrong"  # the present password
    CHANGED = "changed"  # by somebody else, meanwhile


def find_fault(login: str, old: str, new: str, again: str) -> Fault | None:
    """The first rule that the new password breaks; None: it is good."""
    folded = new.casefold()
    rules = (
        (Fault.DIFFERENT, new != again),
        (Fault.SHORT, len(new) < SHORTEST),
        (Fault.LONG, len(new) > LONGEST),
        (Fault.UNPRINTABLE, not new.isprintable()),
        (Fault.REPEATED, len(set(folded)) < 4),
        (Fault.LOGIN, len(login) > 2 and login.casefold() in folded),
        (Fault.OLD, new == old),
    )
    return next((fault for fault, broken in rules if broken), None)
