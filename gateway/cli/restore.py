"""`yizhan restore`: bring an office back from a backup, and let it go on when it was looked at."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.folders import FolderGroup
from gateway.cli.office import ConfigOption, JsonOption, emit, opened, who
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.backup.release import Waiting
    from gateway.backup.restore import Restore
    from gateway.cli.progress import Progress

app = typer.Typer(
    help="Restore a backup: from, status, release.", no_args_is_help=True, cls=FolderGroup
)


@app.command("from")
def from_(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backups.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="An empty folder that gets everything."),
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            "--database", metavar="URL", help="With --to: an empty PostgreSQL instead of SQLite."
        ),
    ] = "",
    config: ConfigOption = None,
    generation: Annotated[
        str, typer.Option("--generation", help="Which one, as `backup list` names it.")
    ] = "",
    recovery_key: Annotated[
        Path | None,
        typer.Option("--recovery-key", metavar="FILE", help="Secret half of the recovery key."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", help="Its passphrase; else it is asked for."
        ),
    ] = None,
    office_key: Annotated[
        Path | None,
        typer.Option(
            "--office-key", metavar="FILE", help="The office's public key: whose backup is it?"
        ),
    ] = None,
    keep_blobs: Annotated[
        bool, typer.Option("--keep-blobs", help="Blobs that have survived stay; add the others.")
    ] = False,
    despite_damage: Annotated[
        bool, typer.Option("--despite-damage", help="Bring back what is whole of the documents.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty place; the word `from` may be left out.

    Either into the folder of --to, which gets the configuration file, the state and all else; or to
    where the file of --config says, which is taken from the backup if it is not there. Everything
    is verified first. The office is held until `yizhan restore release`: it takes mail, but no
    receipt and no reminder goes out.

    Example: yizhan restore from /backup/yizhan --to /srv/yizhan --recovery-key secret.asc
    """
    from gateway.backup.restore import Restore
    from gateway.backup.shelf import Shelf
    from gateway.cli.progress import Progress

    if to is not None and config is not None:
        raise CommandError("say --to or --config, not both")
    if database and to is None:
        raise CommandError("--database goes with --to; else the configuration file names it")
    progress = Progress(quiet=as_json)
    restore = Restore(
        shelf=Shelf(directory.absolute()),
        actor=who(),
        now=datetime.now(UTC),
        generation=generation,
        to=to,
        database=database,
        config_path=config,
        keep_blobs=keep_blobs,
        despite_damage=despite_damage,
        office_key=b"" if office_key is None else _read(office_key),
        told=progress,
    )
    restore.check()
    keys = _open_keys(restore, recovery_key, passphrase_file)
    _become_owner(restore, keys)
    path = restore.run(keys)
    faults = _check_everything(path, progress)
    progress.end()
    manifest = restore.manifest
    problems = [*restore.problems, *manifest.without, *faults]
    data = {
        "config": str(path),
        "generation": manifest.id,
        "at": manifest.at,
        "documents": manifest.documents,
        "problems": problems,
    }

    def show() -> None:
        for problem in problems:
            sys.stderr.write(f"{problem}\n")
        print(
            f"The office of {manifest.at} is back: {manifest.documents} documents.\n"
            f"  configuration  {path}\n\n"
            "It is held: mail is taken, but no receipt and no reminder goes out. Next:\n"
            f"  yizhan check --config {path}\n"
            f"  yizhan serve --config {path}\n"
            f"  yizhan restore release --config {path}"
        )

    emit(data, as_json, show)
    if problems:
        raise typer.Exit(1)


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the office is held, and what waits.

    Example: yizhan restore status
    """
    from gateway.backup.release import look
    from gateway.store.facts import Fact, recall

    with opened(config) as office:
        now = office.clock.now()
        hold, waiting = office.database.read_now(lambda c: (recall(c, Fact.HELD), look(c, now)))
    data = {"held": hold is not None, **({} if hold is None else hold.value), **_facts(waiting)}

    def show() -> None:
        if hold is None:
            print("nothing is held")
            return
        print(f"held since {hold.at:%Y-%m-%d %H:%M:%S} UTC (backup of {hold.value['backup_at']})")
        _show(waiting)

    emit(data, as_json, show)


@app.command()
def release(
    config: ConfigOption = None,
    drop_reminders_before: Annotated[
        datetime | None,
        typer.Option(
            "--drop-reminders-before",
            help="Reminders that were due before then (UTC) are not sent.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; else it is only shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is held after a restore, and with --yes let it go out.

    Example: yizhan restore release --drop-reminders-before 2026-11-22T08:00:00 --yes
    """
    from gateway.backup.release import held, look
    from gateway.backup.release import release as let_go
    from gateway.composition import load_key
    from gateway.evidence.notary import Notary

    before = drop_reminders_before and drop_reminders_before.replace(tzinfo=UTC)
    with opened(config) as office:
        now = office.clock.now()
        if yes:
            notary = Notary(load_key(office.config), office.config.office.domain)
            waiting = office.database.write_now(
                lambda c: let_go(c, notary, now=now, actor=office.actor, before=before)
            )
        else:
            waiting = office.database.read_now(lambda c: (held(c), look(c, now, before))[1])

    def show() -> None:
        _show(waiting)
        print("released" if yes else "nothing was released yet; say --yes")

    emit({"released": yes, **_facts(waiting)}, as_json, show)


def _open_keys(restore: Restore, secret: Path | None, passphrase_file: Path | None) -> bytes:
    from gateway.seals.recovery import decrypt_with

    parcel = restore.manifest.keys
    if parcel is None:
        return b""
    if secret is None:
        raise CommandError(
            "the keys in this backup are encrypted to the recovery key: bring its secret half from "
            "the safe and name it with --recovery-key"
        )
    octets = restore.shelf.get(parcel)
    if passphrase_file is not None:
        passphrase = _read(passphrase_file).decode("utf-8").partition("\n")[0].rstrip("\r")
        return decrypt_with(octets, secret, passphrase)
    try:
        return decrypt_with(octets, secret, "")
    except CommandError as error:
        if "passphrase" not in error.public or not sys.stdin.isatty():
            raise
    return decrypt_with(octets, secret, getpass.getpass("Passphrase of the recovery key: "))


def _become_owner(restore: Restore, keys: bytes) -> None:
    """As root: work as the user to whom the place was given, if it is there."""
    from gateway.cli.office import become_owner

    place = restore.to or restore.state_directory(keys)
    if place.is_dir():
        become_owner(place)


def _check_everything(path: Path, progress: Progress) -> list[str]:
    """What `yizhan fsck` says of the restored office."""
    from gateway.fsck.check import check
    from gateway.fsck.crew import muster
    from gateway.fsck.scope import Scope

    with opened(path) as office:
        scope = Scope()
        crew = muster(office.config, office.database, scope)
        report = check(office.database, crew, scope, tell=lambda now: progress.say(now.sentence))
    return [fault.sentence for fault in report.faults]


def _facts(waiting: Waiting) -> dict[str, Any]:
    return {
        "letters": waiting.outbox,
        "letters_later": waiting.outbox_later,
        "reminders": waiting.reminders,
        "reminders_later": waiting.reminders_later,
        "oldest_reminder": None if waiting.oldest is None else _time(waiting.oldest),
        "dropped": waiting.dropped,
    }


def _show(waiting: Waiting) -> None:
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(waiting.outbox.items()))
    print(f"letters: {kinds or 'none'} at once, {waiting.outbox_later} later")
    oldest = "" if waiting.oldest is None else f" (the oldest was due at {_time(waiting.oldest)})"
    print(f"reminders: {waiting.reminders} at once{oldest}, {waiting.reminders_later} later")
    if waiting.dropped:
        print(f"of these, dropped: {waiting.dropped} reminders")


def _time(milliseconds: int) -> str:
    from gateway.domain.clock import moment, rfc3339

    return rfc3339(moment(milliseconds))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from None
