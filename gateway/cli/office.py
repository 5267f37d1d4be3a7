"""What every command needs: the office of a configuration file, opened as its owner, and output.

Commands run beside the daemon: they write through the same database with their own short
transactions, and the daemon notices by the version rows. They run as the owner of the state
directory, so that no file in it ever belongs to root.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli import screen
from gateway.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.config import Config
    from gateway.domain.clock import SystemClock
    from gateway.store.database import Database
    from mailboxes.store import MailboxStore

T = TypeVar("T")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration file; default $YIZHAN_CONFIG, else /etc/yizhan/yizhan.toml.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@dataclass(frozen=True, slots=True)
class Office:
    """An opened office."""

    config: Config
    path: Path
    database: Database
    clock: SystemClock
    actor: str

    def change_directory(self, verb: Callable[[Connection], T]) -> T:
        """Run a verb of the directory; whoever has become a mailbox owner by it has a mailbox.

        Both are one transaction. Raises what the verb raises.
        """
        from gateway.directory.snapshot import load
        from gateway.exchange.cabinet import furnish_new

        mailboxes = self._mailboxes()

        def work(connection: Connection) -> T:
            result = verb(connection)
            directory = load(connection, self.config.office.domain)
            furnish_new(mailboxes, connection, directory.owners(), self.clock.now())
            return result

        return self.database.write_now(work)

    def remove_from_directory(
        self, verb: Callable[[Connection], None], owner: str, *, if_used: str = ""
    ) -> None:
        """Run a verb that removes the mailbox owner of that key, and remove its empty mailbox too.

        One that mail has been in stays, or nothing is done at all if `if_used` says why not: who
        later gets the same name must not find the mail of another. Raises CommandError with that
        sentence, and what the verb raises.
        """
        mailboxes = self._mailboxes()

        def work(connection: Connection) -> None:
            verb(connection)
            if not mailboxes.remove_unused(connection, owner) and if_used:
                raise CommandError(if_used)

        self.database.write_now(work)

    def _mailboxes(self) -> MailboxStore:
        from gateway.exchange.mailroom import open_mailboxes
        from gateway.store.drivers import open_blobs

        return open_mailboxes(open_blobs(self.config))


@contextmanager
def opened(config: Path | None) -> Iterator[Office]:
    """Load the configuration, become the owner of the state directory, open the database.

    Raises ConfigurationError for the file, CommandError if this user may not run commands here or
    the office was not made yet, StoreUnusable for a foreign or newer store.
    """
    from gateway import config_file

    path = config_file.find(config)
    actor = who()
    settings = config_file.load(path)
    become_owner(settings.state.directory)
    from gateway.domain.clock import SystemClock
    from gateway.store import identity, migrate
    from gateway.store.database import Database

    database = Database(settings.state.database_url, readers=1, shared=settings.shared)
    try:
        identity.verify(database, settings.state.directory)
        migrate.require_newest(database.engine)
        yield Office(settings, path, database, SystemClock(), actor)
    finally:
        database.stop()


def become_owner(directory: Path) -> None:
    """Step down from root to the owner of the directory; refuse anybody else.

    Raises CommandError with what to do.
    """
    try:
        owner = directory.stat()
    except FileNotFoundError:
        raise CommandError(
            f"{directory}: there is no office here yet; make one with `yizhan init`"
        ) from None
    except PermissionError:
        raise CommandError(f"{directory}: only its owner and root may run this command") from None
    if os.geteuid() == owner.st_uid:
        return
    name = _name_of(owner.st_uid)
    if os.geteuid() != 0:
        raise CommandError(
            f"{directory} belongs to {name}: run the command as {name} (sudo -u {name} ...) or root"
        )
    if name.startswith("#"):
        os.setgroups([])
    else:
        os.initgroups(name, owner.st_gid)
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    os.environ["HOME"] = str(directory)


def _name_of(user: int) -> str:
    """The user's name; `#1000`, as sudo takes it, for one that the system does not know."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"


def who() -> str:
    """Who runs this command, as logs and evidence name them; behind sudo the person too."""
    user = _name_of(os.getuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"{behind} (as {user})" if behind and behind != user else user


def emit(data: object, as_json: bool, show: Callable[[], None]) -> None:
    """Print `data` as JSON, or let `show` print it for people."""
    if as_json:
        json.dump(data, sys.stdout, ensure_ascii=False, indent=2, default=str)
        sys.stdout.write("\n")
    else:
        show()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; colours only on a terminal."""
    sys.stdout.write(screen.table(title, columns, rows))
