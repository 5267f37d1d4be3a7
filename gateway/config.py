"""The settings of an office: every one in this file, with its documentation.

`docs/configuration.md` and the sample file are made from this file (`yizhan check --manual`): the
text below a setting describes it, and a test fails for one that has none. What an office has set is
read by `config_file`; what a setting may be is in `config_types`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gateway.config_types import (
    Count,
    IpAddress,
    Network,
    Octets,
    Seconds,
    Section,
    is_domain,
    is_host,
)
from gateway.domain.document import Urgency

_URL = re.compile("https://[a-z0-9.-]+(?::[0-9]+)?/")


class Office(Section):
    """The installation: one domain, one office key."""

    domain: str
    """Mail domain of the office, for example `heping.test`."""
    name: str
    """Name of the office in Chinese, as receipts show it."""
    name_en: str = ""
    """Name of the office in English; empty: the Chinese name is used."""
    hostname: str = ""
    """Name of the machine: in greetings, Received lines, records and settings of mail programs;
    empty: `mail.` and the domain."""
    language: Literal["zh-CN", "en"] = "zh-CN"
    """Language where neither a unit nor an account has chosen one."""
    security_officer: str = ""
    """Login of the 保密员, who is told of each mail that was refused for a classification marking;
    empty: the operators."""

    @field_validator("domain")
    @classmethod
    def _is_a_domain(cls, domain: str) -> str:
        if not is_domain(domain):
            raise ValueError("must be a lower-case domain name such as heping.test")
        return domain

    @field_validator("hostname")
    @classmethod
    def _is_a_host(cls, hostname: str) -> str:
        if hostname and not is_host(hostname):
            raise ValueError("must be a lower-case host name such as mail.heping.test")
        return hostname

    @property
    def host(self) -> str:
        """The name in greetings and trace lines."""
        return self.hostname or f"mail.{self.domain}"


class State(Section):
    """Where the office keeps what it must not lose."""

    directory: Path
    """State directory: database, blobs, keyring. Owned by the daemon's user, mode 0700."""
    database: str = ""
    """SQLAlchemy URL, `postgresql+psycopg://...`; empty: SQLite, `yizhan.db` in the directory. Keep
    a password out of it, by `passfile=` or peer authentication."""
    wait_seconds: Seconds = 60
    """At the start: time to wait for a PostgreSQL that is not there yet."""
    readers: Count = 4
    """Threads that read the database, on PostgreSQL each with a connection."""
    writers: Count = 8
    """On PostgreSQL: connections that write, each one unit of work after the other."""
    batch: Count = 256
    """On SQLite: most units of work in one commit."""

    @field_validator("database")
    @classmethod
    def _is_known(cls, url: str) -> str:
        # A relative path would be another file for each folder from which a command is called.
        if url and not url.startswith(("sqlite:////", "postgresql+psycopg://")):
            raise ValueError(
                "must be empty, an SQLite URL with an absolute path (sqlite:////...) "
                "or a PostgreSQL URL (postgresql+psycopg://...)"
            )
        return url

    @property
    def database_url(self) -> str:
        """The URL in force."""
        return self.database or f"sqlite:///{self.directory / 'yizhan.db'}"


class S3(Section):
    """A bucket of an S3-compatible store, for `blobs.driver = "s3"`."""

    endpoint: str = ""
    """URL of the store, for example `https://objects.heping.test:9000`; empty: AWS."""
    bucket: str
    """Name of the bucket; it must exist."""
    prefix: str = ""
    """Path within the bucket under which this office's blobs stand."""
    region: str = "us-east-1"
    """Region of the bucket."""
    access_key_file: Path
    """File (or systemd credential) with two lines: access key id, secret access key."""
    certificate: Path | None = None
    """PEM file of the CA that signed the store's certificate; empty: the system's."""
    timeout_seconds: Seconds = 30
    """Time for one request."""


class Blobs(Section):
    """Where the exact octets of the documents are kept."""

    driver: Literal["files", "s3"] = "files"
    """`files`: a folder of this machine; `s3`: a bucket, see `blobs.s3`."""
    directory: Path | None = None
    """For `files`: the folder; empty: `blobs` in the state directory."""
    encrypt_at_rest: bool = False
    """Keep each new blob encrypted under its own data key (`yizhan init` turns it on)."""
    storage_key_file: Path | None = None
    """File (or systemd credential) with the storage key that wraps the data keys."""
    s3: S3 | None = None
    """The bucket, for `s3`."""


class Recovery(Section):
    """What the office needs when the machine is lost."""

    certificate: Path | None = None
    """OpenPGP certificate of the recovery key; its secret half lies in the safe, not here."""


class Listener(Section):
    """One door for submission (RFC 6409)."""

    address: IpAddress = "127.0.0.1"
    """IP address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """TCP port; 0 lets the system choose (tests)."""
    tls: Literal["starttls", "implicit"] = "starttls"
    """`starttls`: TLS by command (port 587); `implicit`: TLS from the first octet (port 465)."""
    line_endings: Literal["reject", "normalize"] = "reject"
    """Bare CR or LF and NUL in DATA: refused, or repaired before verification and storage."""
    normalize_from: list[Network] = []
    """Networks of old senders whose line endings are repaired although the door rejects."""
    utf8_replies: Literal["smtputf8", "always"] = "smtputf8"
    """Chinese reply texts only after SMTPUTF8 (RFC 6531), or always."""


class Limits(Section):
    """Limits of the submission doors; each has its own reply."""

    size: Octets = 36_700_160
    """Largest message, octets (35 MiB)."""
    recipients: Count = 200
    """Most recipients in one message; a group counts as one."""
    connections: Count = 500
    """Most connections at once; a quarter is kept for addresses that have logged in."""
    connections_per_address: Count = 20
    """Most connections at once from one IP address."""
    errors: Count = 20
    """Wrong or refused commands in one session before it is closed."""
    commands: Count = 1000
    """Commands in one session before it is closed."""
    command_seconds: Seconds = 300
    """Longest silence while a command is expected (RFC 5321, 4.5.3.2.7)."""
    data_seconds: Seconds = 600
    """Longest time for one DATA."""
    session_seconds: Seconds = 3600
    """Longest session."""
    memory: Octets = 262_144
    """Octets of one message held in memory; what is larger waits encrypted in an unnamed file."""
    free_space: Octets = 104_857_600
    """Octets that must stay free on the state directory's disk, else 452."""


class Submission(Section):
    """Submission by mail clients."""

    listeners: Annotated[list[Listener], Field(min_length=1)]
    """The doors."""
    client_ca: Path | None = None
    """CA of client certificates; an account that lists a fingerprint alone needs its CA here."""
    lock_after: Count = 5
    """Wrong passwords from one address for one account before that pair is locked."""
    lock_seconds: Seconds = 900
    """How long the pair stays locked."""
    delay_seconds: Seconds = 0.5
    """First delay after a wrong password; doubled for each further one on the account."""
    delay_limit_seconds: Seconds = 20
    """Longest such delay."""
    first_password_days: Annotated[float, Field(ge=0)] = 0
    """Days for which a first password may send and read before it is changed at the portal; 0: not
    at all. Without a portal nothing is asked."""
    drain_seconds: Seconds = 20
    """After SIGTERM: time for running transactions to finish."""
    limits: Limits = Limits()
    """Limits of the submission doors."""


class MailboxListener(Section):
    """One door to the mailboxes."""

    protocol: Literal["imap", "pop3"] = "imap"
    """`imap` (RFC 3501, RFC 9051) or `pop3` (RFC 1939)."""
    address: IpAddress = "127.0.0.1"
    """IP address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)]
    """TCP port; 0 lets the system choose (tests)."""
    tls: Literal["starttls", "implicit"] = "implicit"
    """`implicit`: TLS from the first octet (ports 993, 995); `starttls`: by command (143, 110)."""


class Mailboxes(Section):
    """The mailboxes as mail programs read them."""

    listeners: Annotated[list[MailboxListener], Field(min_length=1)]
    """The doors."""
    connections: Count = 2000
    """Most connections at once; a quarter is kept for addresses that have logged in."""
    connections_per_address: Count = 100
    """Most connections at once from one IP address; a mail program opens up to five."""
    login_seconds: Seconds = 60
    """Longest time until somebody has logged in."""
    idle_seconds: Annotated[float, Field(ge=1800, allow_inf_nan=False)] = 1860
    """Longest silence after that (RFC 3501, 5.4: at least 30 minutes)."""
    errors: Count = 20
    """Wrong commands before a login, until the connection is closed."""
    quota: Annotated[int, Field(ge=0)] = 0
    """Octets that a mailbox may hold when somebody files something; 0: any number. What the office
    delivers always has room. `yizhan mailbox quota` sets another limit for one mailbox."""


class Tls(Section):
    """The certificate of all doors."""

    certificate: Path
    """PEM file with the certificate and its chain."""
    key: Path
    """PEM file with the private key, not readable by others."""
    ca: Path | None = None
    """PEM file with the office CA, which PCs install; empty: the certificate is not by one."""
    ca_key: Path | None = None
    """PEM file with the office CA's key, for `yizhan certificate renew`; empty: it is kept
    elsewhere."""


class Policy(Section):
    """Rules and checks."""

    directory: Path | None = None
    """Folder of rule files that replace the shipped ones; empty: the shipped rules."""
    disabled_checks: list[str] = []
    """Names of checks that are not run, see `yizhan policy checks`."""
    clamd: str = ""
    """clamd socket: `unix:/run/clamav/clamd.ctl` or `tcp:127.0.0.1:3310`; empty: no virus check."""
    clamd_seconds: Seconds = 30
    """Time for one virus check; later is a temporary failure, never a pass."""
    extraction_seconds: Seconds = 5
    """Time to read the text of one message's attachments."""
    extraction_children: Count = 2
    """Most child processes that read attachments; one that has nothing to do for 5 minutes ends."""
    extraction_memory: Octets = 536_870_912
    """Address space of such a child, octets."""
    in_process: Octets = 1_048_576
    """Messages up to this size without attachments to read are examined without a child."""


class Seals(Section):
    """Electronic seals and the office's own keys."""

    passphrase_file: Path | None = None
    """File (or systemd credential) with the office key's passphrase; empty: no passphrase."""
    per_unit: Count = 3
    """Seals that one unit may have at once, unless the unit says otherwise."""
    gpg: str = "gpg"
    """The gpg program."""
    clock_skew_seconds: Seconds = 900
    """How far a signature's own time may lie ahead of ours."""


class Receipts(Section):
    """Receipts and summaries."""

    style: Literal["full", "brief", "machine"] = "brief"
    """Receipts where nobody chose: with the original, with its digests, for machines only."""
    summary_minutes: Annotated[float, Field(ge=0)] = 10
    """Minutes after acceptance at which the first summary is sent; 0: only when complete."""
    deadline_minutes: dict[str, float] = {"extra": 60, "urgent": 240, "normal": 4320}
    """Minutes for signing, by urgency, where the document names no deadline."""

    @field_validator("deadline_minutes")
    @classmethod
    def _for_urgencies(cls, minutes: dict[str, float]) -> dict[str, float]:
        known = [urgency.value for urgency in Urgency]
        for urgency, value in minutes.items():
            if urgency not in known:
                raise ValueError(f"{urgency!r} is no urgency, only {', '.join(known)}")
            if not 0 < value < math.inf:
                raise ValueError(f"the minutes for {urgency} must be more than 0")
        return minutes


class Reminders(Section):
    """Reminders and their carrier."""

    notifier: str = "log"
    """Driver: `spool`, `log`, or an entry point of the group `yizhan.notifiers`."""
    spool: Path | None = None
    """For `spool`: directory with outgoing/, checked/, sent/ and failed/ (SMS Server Tools)."""
    poll_seconds: Seconds = 1
    """How often the ladder and the carrier's reports are looked at."""
    attempts: Count = 5
    """Tries to hand one reminder over before it has failed."""


class Portal(Section):
    """Where people change their passwords and PCs find their settings (HTTPS)."""

    address: IpAddress = "127.0.0.1"
    """IP address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 443
    """TCP port; 0 lets the system choose (tests)."""
    url: str = ""
    """What people type, as `https://mail.heping.test/`; empty: made from host name and port."""
    imap_host: str = ""
    """Another IMAP server, of which mail programs are told instead of the office's own doors
    (`mailboxes.listeners`); empty: the own ones."""
    imap_port: Annotated[int, Field(gt=0, le=65535)] = 993
    """Its port."""
    imap_tls: Literal["implicit", "starttls"] = "implicit"
    """TLS from the first octet (port 993), or by command (port 143)."""
    session_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 15
    """Minutes without a click after which a person must log in again."""
    connections: Count = 200
    """Most connections at once."""
    connections_per_address: Count = 20
    """Most connections at once from one IP address."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if url and not _URL.fullmatch(url):
            raise ValueError("must be an address such as https://mail.heping.test/")
        return url

    @field_validator("imap_host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if host and not is_host(host):
            raise ValueError("must be a lower-case host name such as imap.heping.test")
        return host


class Console(Section):
    """Health page and metrics."""

    address: IpAddress = "127.0.0.1"
    """IP address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 2580
    """TCP port; 0 lets the system choose."""


class Backup(Section):
    """Backups, see `yizhan backup`."""

    warn_hours: Annotated[float, Field(ge=0)] = 26
    """Hours after which the health page says that the last backup is old; 0: never. Before the
    first backup nothing is said."""


class Daemon(Section):
    """The daemon's processes."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes in all: 1 does everything; more share the mail clients and, under load, the
    receipts. The first, which alone seals the log and hands over reminders, takes fewer clients: of
    two processes two of five, of three one of five, of more hardly any."""


class Log(Section):
    """The daemon's log."""

    format: Literal["auto", "console", "json", "journald"] = "auto"
    """`auto`: journald under systemd, else the terminal."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""


class Config(Section):
    """The whole file."""

    office: Office
    """The installation."""
    state: State
    """Where state is kept."""
    blobs: Blobs = Blobs()
    """Where documents are kept."""
    recovery: Recovery = Recovery()
    """What is needed when the machine is lost."""
    submission: Submission
    """Submission by mail clients."""
    mailboxes: Mailboxes | None = None
    """The mailboxes, for mail programs; without this table: no door to them."""
    tls: Tls
    """The certificate."""
    policy: Policy = Policy()
    """Rules and checks."""
    seals: Seals = Seals()
    """Seals and keys."""
    receipts: Receipts = Receipts()
    """Receipts and summaries."""
    reminders: Reminders = Reminders()
    """Reminders."""
    portal: Portal | None = None
    """Passwords and the settings of mail programs, for people; without this table: no portal."""
    console: Console = Console()
    """Health and metrics."""
    backup: Backup = Backup()
    """Backups."""
    daemon: Daemon = Daemon()
    """Processes."""
    log: Log = Log()
    """Log."""

    @property
    def portal_url(self) -> str:
        """Where people find the portal; empty without one."""
        if self.portal is None:
            return ""
        port = "" if self.portal.port == 443 else f":{self.portal.port}"
        return self.portal.url or f"https://{self.office.host}{port}/"

    @property
    def mailbox_listeners(self) -> list[MailboxListener]:
        """The doors to the mailboxes; none without the table."""
        return self.mailboxes.listeners if self.mailboxes is not None else []

    @property
    def children(self) -> int:
        """How many of `policy.extraction_children` each process of the daemon has."""
        return max(1, -(-self.policy.extraction_children // self.daemon.workers))

    @property
    def shared(self) -> bool:
        """Whether several processes write the database all the time."""
        return self.daemon.workers > 1

    @property
    def blobs_directory(self) -> Path:
        """The folder of the blobs, for the driver `files`."""
        return self.blobs.directory or self.state.directory / "blobs"
