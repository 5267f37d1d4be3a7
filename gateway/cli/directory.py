"""`yizhan directory`: the whole directory as one CSV file, and the log of its changes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened, table
from gateway.cli.unit import snapshot
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.directory.csvfile import Kind, Row
    from gateway.directory.csvimport import NewPassword

app = typer.Typer(help="The directory as a CSV file, and its log.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8 or GB18030.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong.")] = False,
    passwords: Annotated[
        Path | None,
        typer.Option(
            help="New file for the passwords that are made; default: in the state directory."
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add or change units, groups, desks, accounts and duty persons from a CSV file.

    All rows are checked first; if one is wrong, all faults are told with their lines and nothing
    is done. `yizhan directory export` shows the columns. A blank cell keeps what is there, a
    hyphen empties it. New accounts without a password get one.

    Example: yizhan directory import office.csv --passwords new-passwords.toml
    """
    from gateway.directory import csvfile, csvimport

    try:
        rows = csvfile.read(file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}") from None
    except CommandError as error:
        raise CommandError(_named(file, error)) from None
    # Whoever runs the command gets the file, though the rest runs as the office's own user.
    target = _new_file(passwords) if passwords and not check else None
    with opened(config) as office:
        try:
            known = office.database.read_now(csvimport.logins)
            made = csvimport.new_passwords(rows, known)
            counts = _dry_run(office, rows, made)
            generated = {login: new for login, new in made.items() if new.generated}
            if not check:
                stored = _hash(made)
                if generated and target is None:
                    stamp = office.clock.now().strftime("%Y%m%d-%H%M%S")
                    passwords = office.config.state.directory / f"new-passwords-{stamp}.toml"
                    target = _new_file(passwords)
                if generated and target is not None:
                    _write_passwords(target, generated, office.config.office.domain)
                counts = office.change_directory(
                    lambda conn: csvimport.take(
                        conn,
                        rows,
                        stored,
                        first=frozenset(generated),
                        actor=office.actor,
                        now=office.clock.now(),
                    )
                )
        except CommandError as error:
            if target is not None and passwords is not None:
                _discard(target, passwords)
            raise CommandError(_named(file, error)) from None
        if target is not None and passwords is not None and not generated:
            _discard(target, passwords)
            passwords = None
        facts: dict[str, object] = {
            "checked_only": check,
            "rows": {kind.value: count for kind, count in counts.items()},
            "passwords": str(passwords) if passwords and not check else None,
        }
        emit(facts, as_json, lambda: _tell(facts, counts))


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.csv]", help="New file; without: to stdout.")
    ] = None,
    *,
    chinese: Annotated[bool, typer.Option("--chinese", help="Chinese headings.")] = False,
    gb18030: Annotated[
        bool, typer.Option("--gb18030", help="In GB18030 instead of UTF-8.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Give out units, groups, desks, accounts and duty persons, without passwords.

    Example: yizhan directory export office.csv --chinese
    """
    from gateway.directory import csvexport, csvfile

    target = _new_file(file) if file is not None else -1
    with opened(config) as office:
        text = csvfile.write(csvexport.give(snapshot(office)), chinese=chinese)
    if file is None:
        stream = typer.get_binary_stream("stdout")
        stream.write(text.encode("gb18030" if gb18030 else "utf-8"))
        stream.flush()
        return
    with open(target, "wb") as out:  # noqa: PTH123  # a descriptor: we have stepped down since
        # Excel takes a file without the mark for the machine's own code page.
        out.write(text.encode("gb18030" if gb18030 else "utf-8-sig"))


@app.command()
def log(
    key: Annotated[
        str, typer.Argument(metavar="[KEY]", help="Code, login or name; without: all.")
    ] = "",
    *,
    kind: Annotated[
        str, typer.Option(help="unit, account, group, desk, duty, mailbox, fsck or documents.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many lines, newest first.")] = 100,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show who changed what, when, from what to what.

    Example: yizhan directory log water --limit 20
    """
    import json

    from gateway.directory import edit
    from gateway.domain.clock import rfc3339

    with opened(config) as office:
        changes = office.database.read_now(
            lambda conn: edit.log(conn, key=key, kind=kind, limit=limit)
        )
    lines = [
        {
            "at": rfc3339(change.at),
            "actor": change.actor,
            "action": change.action,
            "kind": change.kind,
            "key": change.key,
            "before": json.loads(change.before) if change.before else None,
            "after": json.loads(change.after) if change.after else None,
        }
        for change in changes
    ]
    emit(
        lines,
        as_json,
        lambda: table(
            "",
            ("when (UTC)", "who", "what", "of", "change"),
            [
                (
                    change.at.strftime("%Y-%m-%d %H:%M:%S"),
                    change.actor,
                    f"{change.action} {change.kind}",
                    change.key,
                    _difference(line["before"], line["after"]),
                )
                for change, line in zip(changes, lines, strict=True)
            ],
        ),
    )


class _Checked(Exception):
    """Ends the transaction of a check, so that nothing of it stays."""


def _dry_run(
    office: Office, rows: Sequence[Row], made: Mapping[str, NewPassword]
) -> dict[Kind, int]:
    """Take all rows and undo it. Hashing a thousand passwords is slow; faults come before that."""
    from sqlalchemy import Connection

    from gateway.directory import csvimport

    counts: dict[Kind, int] = {}

    def work(conn: Connection) -> None:
        counts.update(
            csvimport.take(
                conn,
                rows,
                dict.fromkeys(made, "unhashed"),
                actor=office.actor,
                now=office.clock.now(),
            )
        )
        raise _Checked

    with suppress(_Checked):
        office.database.write_now(work)
    return counts


def _hash(made: Mapping[str, NewPassword]) -> dict[str, str]:
    """Hash on two threads, with progress: a thousand take 15 seconds."""
    from concurrent.futures import ThreadPoolExecutor

    from gateway.cli.progress import Progress
    from gateway.directory.passwords import hash_password

    progress, hashes = Progress(), []
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(hash_password, (new.password for new in made.values())):
            hashes.append(one)
            progress.say(f"hashing passwords: {len(hashes)} of {len(made)}")
    progress.end()
    return dict(zip(made, hashes, strict=True))


def _new_file(path: Path) -> int:
    """A new file that only its owner may read. Raises CommandError if there is one already."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CommandError(f"{path}: there is such a file already; name a new one") from None
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None


def _write_passwords(target: int, made: Mapping[str, NewPassword], domain: str) -> None:
    lines = [
        f'[accounts."{login}"]\nlogin = "{login}@{domain}"\npassword = "{new.password}"\n'
        for login, new in made.items()
    ]
    octets = "\n".join(lines).encode()
    if os.write(target, octets) != len(octets):
        raise CommandError("the file for the passwords could not be written whole")
    os.fsync(target)


def _discard(target: int, path: Path) -> None:
    """Empty the file of passwords that now open nothing; remove it if we may."""
    os.ftruncate(target, 0)
    try:
        path.unlink()
    except OSError:
        typer.echo(f"{path} is empty and may be removed", err=True)


def _named(file: Path, error: CommandError) -> str:
    return "\n".join(f"{file}: {line}" for line in error.public.splitlines())


def _tell(facts: Mapping[str, object], counts: Mapping[Kind, int]) -> None:
    rows = ", ".join(f"{count} {kind.value}" for kind, count in counts.items()) or "none"
    typer.echo(f"{'All rows are good' if facts['checked_only'] else 'Rows taken'}: {rows}.")
    if facts["passwords"]:
        typer.echo(f"The new passwords are in {facts['passwords']}; hand them out and remove it.")


def _difference(before: object, after: object) -> str:
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    parts = []
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was != now and (before is not None or now not in (None, "", [])):
            parts.append(f"{key}: {was} → {now}" if old and new else f"{key}: {now or was}")
    return "\n".join(parts)
