"""`yizhan seal`: issue, import, replace, cancel, list and export electronic seals."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened, table
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.directory.model import Unit
    from gateway.directory.snapshot import Directory
    from gateway.seals.book import Seal
    from gateway.seals.custody import Entry
    from gateway.seals.workshop import Workshop

app = typer.Typer(
    help="Electronic seals: issue, import, replace, cancel, list, export.", no_args_is_help=True
)

UnitArgument = Annotated[str, typer.Argument(metavar="UNIT", help="Code of the unit: water.")]
SealArgument = Annotated[
    str, typer.Argument(metavar="SEAL", help="Fingerprint, or its last 8 digits or more.")
]
FolderOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the two key files.")
]
YearsOption = Annotated[int, typer.Option("--years", min=0, max=30, help="Years; 0: no end.")]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE",
        help="File with the seal-keeper's passphrase in its first line; default: it is asked for.",
    ),
]  # fmt: skip
BareOption = Annotated[
    bool, typer.Option("--no-passphrase", help="Leave the private half without a passphrase.")
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep the private half in the office's keyring, too.")
]


@app.command()
def issue(
    unit: UnitArgument,
    *,
    out: FolderOption = Path(),
    years: YearsOption = 3,
    passphrase_file: PassphraseOption = None,
    no_passphrase: BareOption = False,
    keep: KeepOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a seal for a unit; its private half is written once, for the seal-keeper.

    Example: yizhan seal issue water --out /media/usb
    """
    from gateway.seals import custody
    from gateway.seals.handover import require_folder, write_halves

    passphrase = _passphrase(passphrase_file, bare=no_passphrase)
    with opened(config) as office:
        require_folder(out)
        found = _unit(_directory(office), unit)
        limit = _limit(office, found)
        office.database.read_now(lambda conn: custody.check_room(conn, found.id, limit=limit))
        with _workshop(office) as workshop:
            made = workshop.issue(
                found.name, str(found.address), passphrase=passphrase, years=years, keep=keep
            )
        files = write_halves(out, found.code, made)
        _enter(office, found, made.entry, files)
    _tell(found.code, made.entry, files, as_json)


@app.command("import")
def import_(
    unit: UnitArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Public key of the unit.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key that the unit has made itself its seal: Ed25519, or RSA from 3072 bits.

    Example: yizhan seal import finance finance-public.asc
    """
    from gateway.seals import custody

    key = _read(file)
    with opened(config) as office:
        found = _unit(_directory(office), unit)
        limit = _limit(office, found)
        office.database.read_now(lambda conn: custody.check_room(conn, found.id, limit=limit))
        with _workshop(office) as workshop:
            entry = workshop.admit(key, now=office.clock.now())
        _enter(office, found, entry, ())
    _tell(found.code, entry, (), as_json)


@app.command()
def replace(
    seal: SealArgument,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The new public key; default: a new seal is made."),
    ] = None,
    *,
    out: FolderOption = Path(),
    years: YearsOption = 3,
    passphrase_file: PassphraseOption = None,
    no_passphrase: BareOption = False,
    keep: KeepOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Put a new seal in the place of one; the old one counts no longer, from this moment.

    Example: yizhan seal replace 74234AE12B661DA0 --out /media/usb
    """
    from gateway.seals import custody
    from gateway.seals.handover import require_folder, write_halves

    key = _read(file) if file is not None else b""
    passphrase = _passphrase(passphrase_file, bare=no_passphrase) if file is None else ""
    with opened(config) as office:
        if file is None:
            require_folder(out)
        old = office.database.read_now(lambda conn: custody.in_force(conn, seal))
        found = _unit_by_id(_directory(office), old.unit_id)
        files: tuple[Path, ...] = ()
        with _workshop(office) as workshop:
            if file is not None:
                entry = workshop.admit(key, now=office.clock.now())
            else:
                made = workshop.issue(
                    found.name, str(found.address), passphrase=passphrase, years=years, keep=keep
                )
                entry = made.entry
                files = write_halves(out, found.code, made)
        _enter(office, found, entry, files, old=old)
    _tell(found.code, entry, files, as_json)


@app.command()
def cancel(
    seal: SealArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; receipts show it.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Cancel a seal: from this moment no document by it counts, whatever date it bears.

    Example: yizhan seal cancel 74234AE12B661DA0 --reason "USB stick lost"
    """
    from gateway.seals import custody

    with opened(config) as office:
        now = office.clock.now()
        gone = office.database.write_now(
            lambda conn: custody.cancel(conn, seal, reason, actor=office.actor, now=now)
        )
        unit = _unit_by_id(_directory(office), gone.unit_id)
    emit(
        _facts(gone, unit.code, 0),
        as_json,
        lambda: typer.echo(f"The seal {gone.fingerprint} of {unit.code} is cancelled."),
    )


@app.command("list")
def list_(
    unit: Annotated[str, typer.Option("--unit", help="Only this unit's.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Past seals, too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List seals with their units, ends and uses.

    Example: yizhan seal list --unit water --all
    """
    from gateway.seals import custody

    with opened(config) as office:
        directory = _directory(office)
        wanted = _unit(directory, unit).id if unit else None
        book, counts = office.database.read_now(
            lambda conn: (custody.load_book(conn), custody.uses(conn))
        )
        chosen = [
            _facts(seal, _unit_by_id(directory, seal.unit_id).code, counts.get(seal.id, 0))
            for seal in book.seals
            if (every or seal.in_force) and wanted in (None, seal.unit_id)
        ]
    columns = ("unit", "state", "fingerprint", "issued", "ends", "uses")
    emit(
        chosen,
        as_json,
        lambda: table("", columns, ([str(row[name]) for name in columns] for row in chosen)),
    )


@app.command()
def export(
    seal: Annotated[
        str, typer.Argument(metavar="SEAL", help="A seal, or `office` for the office key.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="The private half, if the office keeps it.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    config: ConfigOption = None,
) -> None:
    """Write a public half as a file: for mail clients, or for `gpg --verify` of receipts.

    A cancelled seal that the office has issued comes with its revocation.

    Example: yizhan seal export office --out office.asc
    """
    from gateway.seals import custody
    from gateway.seals.handover import armoured, write_new

    with opened(config) as office:
        if seal == "office":
            if private:
                raise CommandError("the office key's private half is not handed out")
            book = office.database.read_now(custody.load_book)
            if not book.office_certificate:
                raise CommandError("there is no office key yet; `yizhan init` makes it")
            octets = armoured(book.office_certificate)
        else:
            found = office.database.read_now(lambda conn: custody.find(conn, seal))
            _, kept, revocation = office.database.read_now(
                lambda conn: custody.details(conn, found.id)
            )
            if private and not kept:
                raise CommandError("the office does not keep the private half of this seal")
            if private:
                passphrase = _passphrase(passphrase_file, bare=False, twice=False)
                with _workshop(office) as workshop:
                    octets = workshop.kept(found.fingerprint, passphrase=passphrase)
            else:
                gone = found.cancelled_at is not None
                octets = armoured(found.certificate, revocation if gone else b"")
    if out is None:
        sys.stdout.write(octets.decode())
    else:
        write_new(out, octets, mode=0o600 if private else 0o644)


@app.command()
def log(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Most lines.")] = 50,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Who issued, replaced and cancelled which seal, the newest first.

    Example: yizhan seal log -n 10
    """
    from gateway.domain.clock import rfc3339
    from gateway.seals import custody

    with opened(config) as office:
        lines = office.database.read_now(lambda conn: custody.log(conn, limit=limit))
    rows = [
        {
            "at": rfc3339(line.at), "actor": line.actor, "event": line.event.value,
            "fingerprint": line.fingerprint, "detail": line.detail,
        }
        for line in lines
    ]  # fmt: skip
    columns = ("at", "actor", "event", "fingerprint", "detail")
    emit(
        rows, as_json, lambda: table("", columns, ([row[name] for name in columns] for row in rows))
    )


def _enter(
    office: Office, unit: Unit, entry: Entry, files: Iterable[Path], *, old: Seal | None = None
) -> None:
    """Put the seal into the book; files of a seal that did not get there are taken away."""
    from gateway.seals import custody

    now, limit = office.clock.now(), _limit(office, unit)
    try:
        if old is not None:
            gone = old.fingerprint
            office.database.write_now(
                lambda conn: custody.replace(conn, gone, entry, actor=office.actor, now=now)
            )
        else:
            office.database.write_now(
                lambda conn: custody.enter(
                    conn, unit.id, entry, limit=limit, actor=office.actor, now=now
                )
            )
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _directory(office: Office) -> Directory:
    from gateway.directory.snapshot import load

    return office.database.read_now(lambda conn: load(conn, office.config.office.domain))


def _unit(directory: Directory, code: str) -> Unit:
    found = directory.unit(code)
    if found is None:
        raise CommandError(f"there is no unit {code}; see `yizhan unit list`")
    return found


def _unit_by_id(directory: Directory, unit_id: int) -> Unit:
    found = directory.unit_by_id(unit_id)
    if found is None:
        raise CommandError(f"the seal's unit (number {unit_id}) is not in the directory")
    return found


def _limit(office: Office, unit: Unit) -> int:
    own = unit.seal_limit
    return office.config.seals.per_unit if own is None else own


def _workshop(office: Office) -> Workshop:
    from gateway.seals.workshop import Workshop

    return Workshop(office.config.seals, office.config.state.directory)


def _passphrase(file: Path | None, *, bare: bool, twice: bool = True) -> str:
    if file is not None:
        return _read(file).decode("utf-8", "replace").partition("\n")[0].rstrip("\r")
    if bare:
        return ""
    if not sys.stdin.isatty():
        raise CommandError("nobody can be asked here: give --passphrase-file or --no-passphrase")
    return str(
        typer.prompt(
            "Passphrase of the seal-keeper", hide_input=True, confirmation_prompt=twice, err=True
        )
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read", cause=error.strerror or "") from None


def _facts(seal: Seal, code: str, count: int) -> dict[str, object]:
    from gateway.domain.clock import rfc3339

    ended = seal.cancelled_at or seal.replaced_at
    state = "in force"
    if seal.replaced_at is not None:
        state = "replaced"
    if seal.cancelled_at is not None:
        state = "cancelled"
    return {
        "unit": code,
        "state": state,
        "fingerprint": seal.fingerprint,
        "issued": rfc3339(seal.issued_at),
        "ends": rfc3339(seal.expires_at) if seal.expires_at is not None else "",
        "ended": rfc3339(ended) if ended is not None else "",
        "reason": seal.cancel_reason,
        "uses": count,
    }


def _tell(code: str, entry: Entry, files: tuple[Path, ...], as_json: bool) -> None:
    facts = {
        "unit": code,
        "fingerprint": entry.fingerprint,
        "ends": entry.expires_at.isoformat() if entry.expires_at is not None else "",
        "files": [str(file) for file in files],
    }

    def show() -> None:
        typer.echo(f"{code} has the seal {entry.fingerprint}.")
        for file in files:
            typer.echo(f"  {file}")
        if files:
            typer.echo("Hand the private half to the seal-keeper, then delete it here.")

    emit(facts, as_json, show)
