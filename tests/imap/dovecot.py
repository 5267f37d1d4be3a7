"""The reference: Debian's Dovecot in a folder of its own, on loopback, without the rights of root.

Nothing of the machine's own Dovecot is touched. Root starts it as `nobody`.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.office import free_ports

_PROGRAM = Path("/usr/sbin/dovecot")
_PARTS = Path("/usr/lib/dovecot")
_READY_SECONDS = 20.0
USER = "clerk"
PASSWORD = "reads-mail"


class DovecotMissing(Exception):
    """Dovecot is not installed here."""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running server with one user."""

    folder: Path
    port: int
    pid: int
    user: str = USER
    password: str = PASSWORD


def require() -> None:
    """Raises DovecotMissing with what to do."""
    for program in (_PROGRAM, _PARTS / "imap"):
        if not program.exists():
            raise DovecotMissing(f"{program} is missing (scripts/install-debian-packages)")


@contextmanager
def running(**settings: str) -> Iterator[Dovecot]:
    """A server while the block runs; `settings` are Dovecot's own. Raises DovecotMissing."""
    require()
    folder = Path(tempfile.mkdtemp(prefix="yzd"))
    (port,) = free_ports(1)
    person = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    group = grp.getgrgid(person.pw_gid)
    try:
        (folder / "dovecot.conf").write_text(
            _configuration(folder, port, person, group, settings), encoding="utf-8"
        )
        os.chown(folder, person.pw_uid, person.pw_gid)
        server = subprocess.Popen(
            [_PROGRAM, "-F", "-c", folder / "dovecot.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TZ": "CST-8"},  # days are those of an office
            **_demoted(person),
        )  # fmt: skip
        try:
            _wait(server, port, folder)
            yield Dovecot(folder, port, server.pid)
        finally:
            server.terminate()  # its children end with it
            server.communicate(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _demoted(person: pwd.struct_passwd) -> dict[str, object]:
    if os.getuid():
        return {}
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def _wait(server: subprocess.Popen[str], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssertionError(f"Dovecot ended at once: {server.communicate()[1]}")
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.settimeout(5)
                if connection.recv(64).startswith(b"* OK"):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"Dovecot was not ready in time:\n{(folder / 'log').read_text()}")


def _configuration(
    folder: Path,
    port: int,
    person: pwd.struct_passwd,
    group: grp.struct_group,
    settings: dict[str, str],
) -> str:
    further = "".join(f"{name} = {value}\n" for name, value in settings.items())
    return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {person.pw_name}
default_internal_group = {group.gr_name}
default_login_user = {person.pw_name}
first_valid_uid = {person.pw_uid}
first_valid_gid = {person.pw_gid}
mail_location = maildir:{folder}/mail
# The octets that were given, as far as it keeps them: it would make each line end an LF.
mail_save_crlf = yes
mail_fsync = never
mail_max_userip_connections = 200
{further}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={person.pw_uid} gid={person.pw_gid} home={folder}/home
}}
namespace {{
  inbox = yes
  separator = /
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
