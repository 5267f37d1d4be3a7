"""The peer: Debian's Postfix and Dovecot in a folder of their own, with the same TLS and AUTH.

Postfix takes mail on implicit TLS and on STARTTLS, asks Dovecot whether a password is right (as
most offices do), and delivers to Maildir by its own agent `virtual` or through Dovecot's LMTP.
Nothing of the machine's own Postfix or Dovecot is touched; both must run as root, since Postfix
changes to its users. A third door without TLS and AUTH is for `smtp-source`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.office import free_ports

_POSTFIX = "/usr/sbin/postfix"
_DOVECOT = "/usr/sbin/dovecot"
_READY_SECONDS = 20.0
_PROCESSES = 300  # of smtpd: a connection each, so that 100 connections are no limit
DOMAIN = "heping.test"


class PeerMissing(Exception):
    """Postfix or Dovecot cannot be run here."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running Postfix with its Dovecot."""

    folder: Path
    implicit_port: int
    starttls_port: int
    bare_port: int
    pids: tuple[int, ...]

    def delivered(self) -> int:
        """Mails that are in mailboxes."""
        return sum(len(list(path.iterdir())) for path in self.folder.glob("mail/*/new"))

    def queued(self) -> int:
        """Mails that Postfix still holds."""
        names = ("incoming", "active", "deferred", "maildrop")
        roots = (self.folder / "queue" / name for name in names)
        return sum(len(files) for root in roots for _, _, files in os.walk(root))


def require() -> None:
    """Raises PeerMissing with what to do."""
    if os.getuid():
        raise PeerMissing("Postfix changes to its own users: run this as root")
    for program in (_POSTFIX, _DOVECOT, "/usr/lib/dovecot/lmtp"):
        if not Path(program).exists():
            raise PeerMissing(f"{program} is missing: apt-get install postfix dovecot-lmtpd")


@contextmanager
def running(
    accounts: Mapping[str, str], certificate: Path, key: Path, *, agent: str
) -> Iterator[Peer]:
    """Postfix with these accounts (login and password); `agent` is `virtual` or `lmtp`.

    Raises PeerMissing.
    """
    require()
    folder = Path(tempfile.mkdtemp(prefix="yzp"))
    folder.chmod(0o755)
    ports = free_ports(3)
    try:
        owner = pwd.getpwnam("postfix")
        mail = folder / "mail"
        mail.mkdir()
        os.chown(mail, owner.pw_uid, owner.pw_gid)
        for name in ("cert.pem", "key.pem"):
            shutil.copyfile(certificate if name == "cert.pem" else key, folder / name)
        (folder / "key.pem").chmod(0o600)
        dovecot = _start_dovecot(folder, accounts, owner)
        postfix = _start_postfix(folder, accounts, owner, ports, agent)
        try:
            implicit, starttls, bare = ports
            yield Peer(folder, implicit, starttls, bare, (postfix, dovecot))
        finally:
            subprocess.run(
                [_POSTFIX, "-c", str(folder / "postfix"), "abort"], check=False, capture_output=True
            )
            subprocess.run(
                [_DOVECOT, "-c", str(folder / "dovecot.conf"), "stop"],
                check=False, capture_output=True,
            )  # fmt: skip
            _wait_gone(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_dovecot(folder: Path, accounts: Mapping[str, str], owner: pwd.struct_passwd) -> int:
    """AUTH for Postfix and LMTP; returns its process."""
    users = "".join(
        f"{login}@{DOMAIN}:{{PLAIN}}{password}:{owner.pw_uid}:{owner.pw_gid}::"
        f"{folder}/mail/{login}::\n{login}:{{PLAIN}}{password}:{owner.pw_uid}:{owner.pw_gid}::"
        f"{folder}/mail/{login}::\n"
        for login, password in accounts.items()
    )
    (folder / "users").write_text(users, encoding="utf-8")
    (folder / "users").chmod(0o644)
    (folder / "dovecot.conf").write_text(
        f"""
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot-state
log_path = {folder}/dovecot.log
protocols = lmtp
ssl = no
auth_mechanisms = plain login
auth_cache_size = 10M
first_valid_uid = 1
mail_location = maildir:~
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
service lmtp {{
  process_min_avail = 2
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service stats {{
  client_limit = 10000
}}
""",
        encoding="utf-8",
    )
    subprocess.run([_DOVECOT, "-c", str(folder / "dovecot.conf")], check=True)
    _wait(folder / "auth")
    return int((folder / "dovecot" / "master.pid").read_text())


def _start_postfix(
    folder: Path,
    accounts: Mapping[str, str],
    owner: pwd.struct_passwd,
    ports: list[int],
    agent: str,
) -> int:
    """Write its configuration and start it; returns its process."""
    configuration = folder / "postfix"
    configuration.mkdir()
    for name in ("queue", "data"):
        (folder / name).mkdir()
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    (configuration / "mailboxes").write_text(
        "".join(f"{login}@{DOMAIN} {login}/\n" for login in accounts), encoding="utf-8"
    )
    transport = "virtual" if agent == "virtual" else f"lmtp:unix:{folder}/lmtp"
    (configuration / "main.cf").write_text(
        f"""
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = mail.{DOMAIN}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
default_process_limit = {_PROCESSES}
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_recipient_limit = 2000
message_size_limit = 36700160
virtual_mailbox_limit = 0
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = hash:{configuration}/mailboxes
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
virtual_transport = {transport}
smtpd_tls_chain_files = {folder}/key.pem {folder}/cert.pem
smtpd_tls_session_cache_database = btree:${{data_directory}}/smtpd_scache
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/auth
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
""",
        encoding="utf-8",
    )
    secure = (
        "-o smtpd_tls_wrappermode={} -o smtpd_tls_security_level=encrypt "
        "-o smtpd_client_restrictions=permit_sasl_authenticated,reject"
    )
    bare = (
        "-o smtpd_sasl_auth_enable=no -o smtpd_tls_security_level=none "
        "-o smtpd_relay_restrictions=permit_mynetworks,reject"
    )
    (configuration / "master.cf").write_text(
        f"""
127.0.0.1:{ports[0]} inet n - n - {_PROCESSES} smtpd {secure.format("yes")}
127.0.0.1:{ports[1]} inet n - n - {_PROCESSES} smtpd {secure.format("no")}
127.0.0.1:{ports[2]} inet n - n - {_PROCESSES} smtpd {bare}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""",
        encoding="utf-8",
    )
    subprocess.run(["/usr/sbin/postmap", str(configuration / "mailboxes")], check=True)
    started = subprocess.run(
        [_POSTFIX, "-c", str(configuration), "start"], check=False, capture_output=True, text=True
    )
    if started.returncode:
        raise PeerMissing(f"Postfix does not start: {started.stderr}")
    pid = folder / "queue" / "pid" / "master.pid"
    _wait(pid)
    return int(pid.read_text())


def _wait(path: Path) -> None:
    end = time.monotonic() + _READY_SECONDS
    while not path.exists():
        if time.monotonic() > end:
            raise PeerMissing(f"{path} did not appear: the peer has not started")
        time.sleep(0.05)
    time.sleep(0.2)


def _wait_gone(folder: Path) -> None:
    """Their last processes write into the folder until they end."""
    end = time.monotonic() + 5
    while time.monotonic() < end and (folder / "dovecot" / "master.pid").exists():
        time.sleep(0.05)
