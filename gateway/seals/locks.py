"""Lock files of gpg whose holder is dead: gpg would wait for them, and nobody would come.

gpg writes its process number into a file and links it to the lock's name. After a power cut the
name may be there without the number, or the number may by now be some other program's; gpg takes
both for a lock that is held, and the daemon could not start.
"""

from __future__ import annotations

from pathlib import Path

# The programs of GnuPG that lock files of a home; `gpg` begins gpgsm and gpg-agent too.
_HOLDERS = ("gpg", "keyboxd", "scdaemon", "dirmngr")


def remove_dead(home: Path) -> None:
    """Remove the locks in that GNUPGHOME which no running program of GnuPG holds."""
    for lock in home.rglob("*.lock"):
        try:
            words = lock.read_bytes().split()
        except FileNotFoundError:
            continue  # its holder was done
        except OSError:
            words = []
        if not _is_held(words):
            lock.unlink(missing_ok=True)


def _is_held(words: list[bytes]) -> bool:
    """A lock is held if its number is that of a running program of GnuPG.

    The machine's name behind it counts for nothing: it may be torn, or be the machine's old one,
    and a state directory is used by one machine alone.
    """
    if not words or not words[0].isdigit():
        return False  # a living holder has written it before the lock gets its name
    try:
        name = Path(f"/proc/{int(words[0])}/comm").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return name.startswith(_HOLDERS)
