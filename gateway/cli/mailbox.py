"""`yizhan mailbox`: what is in the mailboxes, for the operator; never a subject or a content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailboxes.maildir import Progress
    from mailboxes.store import MailboxStore

app = typer.Typer(help="Mailboxes: list, show, export.", no_args_is_help=True)

OwnerArgument = Annotated[
    str,
    typer.Argument(
        metavar="OWNER",
        help="Whose mailbox, as in `mailbox list`: unit:water; the code of a unit will do.",
        callback=lambda owner: owner if ":" in owner else f"unit:{owner}",
    ),
]


@contextmanager
def _mailboxes(config: Path | None) -> Iterator[tuple[MailboxStore, Connection]]:
    """The mailboxes of an office and one consistent snapshot of its database."""
    from gateway.errors import CommandError, StoreUnavailable
    from gateway.exchange.mailroom import open_mailboxes
    from gateway.store.drivers import open_blobs
    from mailboxes.errors import NoSuchFolder

    with opened(config) as office:
        store = open_mailboxes(open_blobs(office.config))
        try:
            with office.database.engine.connect() as connection, connection.begin():
                yield store, connection
        except NoSuchFolder as error:
            raise CommandError(f"{error}; see `yizhan mailbox list`") from error
        except FileNotFoundError as error:
            raise StoreUnavailable("a message's blob is missing", cause=str(error)) from error


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all mailboxes with their folders and counts.

    Example: yizhan mailbox list --json
    """
    with _mailboxes(config) as (store, connection):
        found = {owner: store.folders(connection, owner) for owner in store.owners(connection)}
    data = [
        {
            "owner": owner,
            "folders": [
                {
                    "name": folder.name,
                    "special_use": folder.special_use,
                    "subscribed": folder.subscribed,
                    "uidvalidity": folder.uidvalidity,
                    "uidnext": folder.uidnext,
                    "modseq": folder.modseq,
                    "messages": folder.messages,
                    "unseen": folder.unseen,
                    "size": folder.size,
                }
                for folder in folders
            ],
        }
        for owner, folders in found.items()
    ]
    rows = [
        (owner, folder.name, str(folder.messages), str(folder.unseen), str(folder.size))
        for owner, folders in found.items()
        for folder in folders
    ]
    columns = ("Owner", "Folder", "Messages", "Unread", "Octets")
    emit(data, as_json, lambda: table("Mailboxes", columns, rows))


@app.command()
def show(
    owner: OwnerArgument,
    folder: Annotated[str, typer.Option("--folder", "-f", help="Only this folder.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the messages of a mailbox: folder, UID, flags, time, size, kind and document.

    Example: yizhan mailbox show unit:water --folder INBOX
    """
    with _mailboxes(config) as (store, connection):
        folders = [each for each in store.folders(connection, owner) if folder in ("", each.name)]
        if not folders:
            store.folder_id(connection, owner, folder)
        found = [
            (each.name, message)
            for each in folders
            for message in store.messages(connection, each.id)
        ]
    data = [
        {
            "id": message.id,
            "folder": name,
            "uid": message.uid,
            "modseq": message.modseq,
            "flags": list(message.flags),
            "arrived": message.arrived.isoformat(timespec="milliseconds"),
            "size": message.size,
            "kind": message.kind,
            "key": message.key,
        }
        for name, message in found
    ]
    rows = [
        (
            name,
            str(message.uid),
            " ".join(message.flags),
            message.arrived.astimezone().isoformat(sep=" ", timespec="seconds"),
            str(message.size),
            message.kind,
            message.key,
        )
        for name, message in found
    ]
    columns = ("Folder", "UID", "Flags", "Arrived", "Octets", "Kind", "Document")
    emit(data, as_json, lambda: table(owner, columns, rows))


@app.command()
def export(
    owner: OwnerArgument,
    maildir: Annotated[
        Path,
        typer.Option("--maildir", metavar="DIR", help="Where to write; may be an earlier export."),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a mailbox as a Maildir: exact octets, flags, dates and folders.

    Example: yizhan mailbox export unit:water --maildir /var/tmp/water
    """
    import sys

    from gateway.errors import CommandError
    from mailboxes.maildir import export as write

    def report(progress: Progress) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{progress.done} of {progress.total} messages")
            sys.stderr.flush()

    with _mailboxes(config) as (store, connection):
        try:
            done = write(store, connection, owner, maildir, progress=report)
        except FileExistsError as error:
            raise CommandError(f"{error}; choose another directory") from error
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CommandError(f"{maildir} cannot be written: {error.strerror}") from error
    if sys.stderr.isatty() and done.total:
        sys.stderr.write("\n")
    data = {"owner": owner, "maildir": str(maildir), "messages": done.done, "octets": done.octets}
    line = f"{done.done} messages, {done.octets} octets in {maildir}"
    emit(data, as_json, lambda: typer.echo(line))
