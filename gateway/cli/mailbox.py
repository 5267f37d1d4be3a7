"""`yizhan mailbox`: what is in the mailboxes, how much may be, and who sees it.

For the operator; never a subject or a content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened, table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailboxes.maildir import Progress
    from mailboxes.store import MailboxStore

app = typer.Typer(help="Mailboxes: list, show, export, quota, rights.", no_args_is_help=True)

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
            with office.database.snapshot() as connection:
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


@app.command()
def quota(
    owner: OwnerArgument,
    size: Annotated[
        str,
        typer.Argument(
            metavar="[SIZE]",
            help="Most that may be in it: 2GB, 500MB; `none`: any number; `office`: as "
            "mailboxes.quota says. Without it nothing is changed.",
        ),
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how full a mailbox is, or set how full it may be.

    What the office delivers always has room; only what people file themselves is refused.

    Example: yizhan mailbox quota unit:water 2GB
    """
    from gateway.errors import CommandError
    from gateway.exchange.fullness import TREE, general_limit

    limit = _octets(size) if size else None
    with opened(config) as office:

        def work(conn: Connection) -> tuple[int, int, int | None]:
            if not TREE.nodes(conn, owner):
                raise CommandError(f"there is no mailbox {owner}; see `yizhan mailbox list`")
            before = TREE.usage(conn, owner)[2]
            if size and limit != before:
                TREE.limit(conn, owner, limit)
                _note(office, conn, "quota", owner, {"octets": before}, {"octets": limit})
            return TREE.usage(conn, owner)

        run = office.database.write_now if size else office.database.read_now
        used, messages, own = run(work)
        most = general_limit(office.config) if own is None else own
    data = {
        "owner": owner,
        "octets": used,
        "messages": messages,
        "limit": most or None,
        "own": own is not None,
    }
    full = f" ({used / most:.0%} of it)" if most else ""
    said = f"{most / 1e6:,.1f} MB may be in it{full}" if most else "there is no limit"
    whose = "set for this mailbox" if own is not None else "as mailboxes.quota says"
    line = f"{owner}: {messages} messages, {used / 1e6:,.1f} MB; {said}, {whose}"
    emit(data, as_json, lambda: typer.echo(line))


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def _octets(text: str) -> int | None:
    """The limit that is written so; None: as the office has it. Raises CommandError."""
    import re

    from gateway.errors import CommandError

    if text in ("none", "office"):
        return 0 if text == "none" else None
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kmgt]?)(i?)b?", text.lower())
    octets = 0
    if found and bool(found[2]) >= bool(found[3]):
        factor = 1024 ** "kmgt".index(found[2]) * 1024 if found[3] else _UNITS[found[2]]
        octets = int(float(found[1]) * factor)
    if not 0 < octets < 2**62:
        raise CommandError(f"{text!r} is no size; write 2GB, 500MB, `none` or `office`")
    return octets


@app.command()
def rights(
    owner: OwnerArgument,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="As in `mailbox list`.")],
    given: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--set",
            metavar="WHO RIGHTS",
            help="Who: a login, $ and a role ($leader), or anyone. Rights: letters of RFC 4314, "
            "`none`, or `role` to take back what was given by hand.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who may do what in a folder, or give rights by hand.

    Letters: l see it, r read, s mark as read, w other flags, i put in, p (unused), k make folders
    below it, x delete it, t mark as deleted, e remove; a, give rights, is the role's alone. Only
    accounts of the mailbox's unit see it, whatever they are given.

    Example: yizhan mailbox rights unit:water 文件柜 --set water-li lrs
    """
    from gateway.directory.snapshot import load
    from gateway.errors import CommandError
    from gateway.exchange.mailroom import tables
    from gateway.intake.rights import mail_account
    from mailboxes.errors import NoSuchFolder
    from mailboxes.imap.places import rights_in
    from mailboxes.tree import FolderTree

    tree = FolderTree(tables)
    with opened(config) as office:

        def work(conn: Connection) -> tuple[dict[str, str], dict[str, str]]:
            directory = load(conn, office.config.office.domain)
            node = tree.node(conn, owner, folder)
            if given is not None:
                who, letters = given
                wanted = _letters(letters)
                if wanted is not None:
                    _require_known(who, {one.login for one in directory.accounts()})
                before = tree.acl(conn, node.id).get(who)
                tree.set_acl(conn, node.id, who, wanted)
                _note(
                    office, conn, "rights", owner,
                    {"folder": folder, "who": who, "rights": before},
                    {"folder": folder, "who": who, "rights": wanted},
                )  # fmt: skip
            by_hand = tree.acl(conn, node.id)
            seen = {}
            for account in directory.accounts():
                known = mail_account(directory, account, "", "")
                for root in known.roots if account.active else ():
                    if root.owner == owner:
                        seen[account.login] = rights_in(known, root, by_hand)
            return by_hand, seen

        run = office.database.read_now if given is None else office.database.write_now
        try:
            by_hand, seen = run(work)
        except NoSuchFolder as error:
            raise CommandError(f"{error}; see `yizhan mailbox list`") from error
    data = {"owner": owner, "folder": folder, "given": by_hand, "accounts": seen}
    rows = [(login, letters, by_hand.get(login, "")) for login, letters in sorted(seen.items())]
    rows += [(who, "", letters) for who, letters in sorted(by_hand.items()) if who not in seen]
    columns = ("Who", "May", "Given by hand")
    emit(data, as_json, lambda: table(f"{folder} of {owner}", columns, rows))


def _letters(text: str) -> str | None:
    """The rights that are written so; None: as the role has them. Raises CommandError."""
    from gateway.errors import CommandError
    from mailboxes.imap.account import ALL_RIGHTS, spelled

    if text in ("none", "role"):
        return "" if text == "none" else None
    try:
        return spelled(text)
    except ValueError as error:
        raise CommandError(f"{error}; there are {ALL_RIGHTS}, `none` and `role`") from error


def _require_known(who: str, logins: set[str]) -> None:
    from gateway.directory.model import Role
    from gateway.errors import CommandError

    if who not in logins and who != "anyone" and who not in {f"${role.value}" for role in Role}:
        raise CommandError(f"{who!r} is neither a login, nor $ and a role, nor anyone")


def _note(
    office: Office, conn: Connection, action: str, owner: str,
    before: dict[str, object], after: dict[str, object],
) -> None:  # fmt: skip
    """Write it into the log of changes (`yizhan directory log`)."""
    from gateway.directory import changes

    changes.record(
        conn, action, "mailbox", owner, before=before, after=after, actor=office.actor,
        now=office.clock.now(),
    )  # fmt: skip
