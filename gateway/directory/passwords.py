"""Passwords: argon2id hashes that cost 27 ms and 19 MiB each, and new passwords for people.

The costs are OWASP's second choice (19 MiB, two passes, one lane): the library's defaults cost
130 ms and 64 MiB, which an office of 90 clients at half past eight would feel.
"""

from __future__ import annotations

import secrets
import string

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import CommandError

SHORTEST = 8
LONGEST = 128
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)

# No letters that look alike on paper or sound alike over the telephone.
_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("0o1lij")))


def hash_password(password: str) -> str:
    """The PHC string to store. Costs 27 ms: never inside a transaction."""
    return _HASHER.hash(password)


def verify(password_hash: str, password: str) -> bool:
    """Whether the password is the one of that hash; False too for a hash that is not one."""
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def check_password_form(password: str) -> None:
    """Raise CommandError if the password is too short, too long, or cannot be typed."""
    if len(password) < SHORTEST:
        raise CommandError(f"the password is too short: use at least {SHORTEST} characters")
    if len(password) > LONGEST or not password.isprintable():
        raise CommandError(f"the password needs at most {LONGEST} characters, all of them visible")


def new_password() -> str:
    """Four groups of four letters, 79 bits: easy to type from a slip of paper."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
