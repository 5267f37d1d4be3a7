"""`yizhan storage`: encryption at rest: status, encrypt, rotate, escrow, recover."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened
from gateway.cli.progress import Progress, megabytes
from gateway.errors import CommandError, ConfigurationError

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.store.rekeeping import Digests, Done
    from gateway.store.storage_key import KeyRing

app = typer.Typer(
    help="Encryption at rest: status, encrypt, rotate, escrow, recover.", no_args_is_help=True
)
_LOCK = "storage.lock"


@app.command()
def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say how the documents are kept, and under which storage keys.

    Looks at every blob; exit status 1 if one cannot be opened with the keys at hand.

    Example: yizhan storage status
    """
    from gateway.seals.escrow import read_escrow
    from gateway.store.drivers import open_blobs, open_kept
    from gateway.store.rekeeping import survey

    with opened(config) as office:
        settings = office.config
        ring = open_blobs(settings).ring
        progress = Progress(quiet=as_json)
        found = survey(open_kept(settings), ring, progress)
        progress.end()
        escrow = read_escrow(settings.state.directory)
        current = ring.current.id if ring.keys else ""
        data = {
            "driver": settings.blobs.driver,
            "encrypt_at_rest": settings.blobs.encrypt_at_rest,
            "storage_key": current,
            "plain": found.plain,
            "encrypted": dict(found.by_key),
            "octets": found.octets,
            "unfinished": found.unfinished,
            "damaged": found.damaged,
            "escrowed": list(escrow.keys) if escrow else [],
        }

        def show() -> None:
            word = "encrypted" if settings.blobs.encrypt_at_rest else "plain"
            print(f"new blobs are kept {word}, in {settings.blobs.driver}")
            print(f"plain           {found.plain}")
            for key_id in ring.ids:
                force = ", in force" if key_id == current else ""
                kept = "escrowed" if escrow and key_id in escrow.keys else "NOT escrowed"
                print(f"key {key_id}  {found.by_key[key_id]} blobs, {kept}{force}")
            print(f"together        {megabytes(found.octets)}")
            _say_damaged(found.damaged)

        emit(data, as_json, show)
    if found.damaged:
        raise typer.Exit(1)


@app.command()
def encrypt(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Encrypt what is still kept plain; may run beside the daemon, and be stopped at any time.

    Makes the storage key first if the file that blobs.storage_key_file names is not there yet.
    Each blob is read back and compared with its document's digest before the plain one goes.

    Example: yizhan storage encrypt
    """
    from gateway.store.drivers import open_blobs, open_kept
    from gateway.store.rekeeping import encrypt_plain

    with opened(config) as office, _alone(office):
        _require_setting(office.config)
        _make_first_key(office.config)
        ring = open_blobs(office.config).ring
        progress = Progress(quiet=as_json)
        done = encrypt_plain(open_kept(office.config), ring, _digests(office), progress)
        progress.end()
    _finish(done, "encrypted", as_json)


@app.command()
def rotate(
    resume: Annotated[
        bool, typer.Option("--resume", help="Make no key; wrap under the key that is in force.")
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file", metavar="FILE",
            help="Only write the keys here: the file of which the systemd credential is made, or "
            "one to be copied to several machines.",
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:  # fmt: skip
    """Make a new storage key, escrow it, and wrap every document's key under it.

    The daemon takes the new key by itself, unless it is a systemd credential. Earlier keys stay in
    the file: backups need them.

    Example: yizhan storage rotate
    """
    from gateway.seals.escrow import write_escrow
    from gateway.store import storage_key
    from gateway.store.drivers import open_blobs, open_kept
    from gateway.store.rekeeping import rewrap

    with opened(config) as office, _alone(office):
        settings = office.config
        ring = open_blobs(settings).ring
        file = _require_setting(settings)
        if not ring.keys:
            raise CommandError(
                f"there is no storage key in {file} yet: run `yizhan storage encrypt`"
            )
        if not resume:
            target = key_file or file
            if key_file is None and storage_key.kept_by_systemd(file):
                raise CommandError(
                    f"{file} is a systemd credential, which only systemd can write: name the file "
                    "of which it is made with --key-file"
                )
            known = ring.ids
            ring = storage_key.KeyRing((*ring.keys, storage_key.generate()))
            # First: no document may ever lie under a key that can be lost. The daemon must not ask
            # for the new one yet: the plug may be pulled before it is in the file.
            write_escrow(settings, ring, named=known)
            _write_keys(target, ring)
            if key_file is not None:
                print(
                    f"{target} has the new storage key. Bring it to where blobs.storage_key_file "
                    "says, on every machine, or make the credential from it and restart; then run "
                    "`yizhan storage rotate --resume`"
                )
                return
        write_escrow(settings, ring)
        progress = Progress(quiet=as_json)
        done = rewrap(open_kept(settings), ring, _digests(office), progress)
        progress.end()
    _finish(done, f"under {ring.current.id}", as_json)


@app.command()
def escrow(
    renew: Annotated[
        bool, typer.Option("--renew", help="Write it anew, to the office and the recovery key.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show and verify the escrow: the storage keys, encrypted to the office and recovery keys.

    It is opened with the office key and compared; exit status 1 if anything is wrong.

    Example: yizhan storage escrow
    """
    from gateway.seals import escrow as escrows
    from gateway.store.drivers import open_blobs

    with opened(config) as office, _alone(office):
        settings = office.config
        ring = open_blobs(settings).ring
        if not ring.keys:
            raise CommandError("blobs.storage_key_file: there is no storage key to escrow")
        if renew:
            escrows.write_escrow(settings, ring)
        faults = escrows.find_escrow_faults(settings, ring)
        found = escrows.read_escrow(settings.state.directory)
        data = {
            "file": str(settings.state.directory / escrows.FILE),
            "keys": list(found.keys) if found else [],
            "certificates": list(found.certificates) if found else [],
            "faults": faults,
        }

        def show() -> None:
            print(data["file"])
            for key_id in data["keys"]:
                print(f"  storage key    {key_id}")
            for fingerprint in data["certificates"]:
                print(f"  opened by      {fingerprint}")
            for fault in faults:
                sys.stderr.write(f"{fault}\n")

        emit(data, as_json, show)
    if faults:
        raise typer.Exit(1)


@app.command()
def recover(
    secret_key: Annotated[
        Path, typer.Option("--secret-key", metavar="FILE", help="The recovery key's secret half.")
    ],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="FILE",
            help="File with its passphrase in the first line; without it: no passphrase.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: blobs.storage_key_file."),
    ] = None,
    config: ConfigOption = None,
) -> None:  # fmt: skip
    """Bring the storage key file back from the escrow, with the recovery key from the safe.

    A key file that is there is kept beside the new one, with `.old` added to its name.

    Example: yizhan storage recover --secret-key /media/safe/recovery-secret.asc
    """
    from gateway.seals import escrow as escrows

    with opened(config) as office, _alone(office):
        settings = office.config
        found = escrows.read_escrow(settings.state.directory)
        if found is None:
            raise CommandError(
                f"{settings.state.directory / escrows.FILE} is not there: bring it back from a "
                "backup first"
            )
        passphrase = _first_line(passphrase_file) if passphrase_file else ""
        ring = escrows.open_with_secret_key(found, secret_key, passphrase)
        target = out or _require_setting(settings)
        try:
            if target.exists():
                target.rename(target.with_name(target.name + ".old"))
        except OSError as error:
            raise CommandError(f"{target}: cannot be moved away: {error.strerror}") from None
        _write_keys(target, ring)
        print(f"{target} has {len(ring.keys)} storage keys; in force: {ring.current.id}")


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: cannot be read: {error}") from None


def _require_setting(config: Config) -> Path:
    file = config.blobs.storage_key_file
    if file is None:
        raise ConfigurationError(
            "blobs.storage_key_file: this setting is missing; name the file for the storage key"
        )
    return file


def _make_first_key(config: Config) -> None:
    """Make and escrow the storage key if there never was one."""
    from gateway.seals.escrow import read_escrow, write_escrow
    from gateway.store import storage_key

    file = _require_setting(config)
    if file.exists() or read_escrow(config.state.directory) is not None:
        return  # if it is missing now, the escrow has it: never a second first key
    ring = storage_key.KeyRing((storage_key.generate(),))
    _write_keys(file, ring)
    try:
        write_escrow(config, ring)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    sys.stderr.write(f"{file}: the storage key was made; put a copy into the safe\n")


def _write_keys(path: Path, ring: KeyRing) -> None:
    from gateway.store import storage_key

    try:
        storage_key.write(path, ring)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None


def _digests(office: Office) -> Digests:
    from sqlalchemy import select

    from gateway.exchange.tables import documents

    def find(names: list[str]) -> dict[str, bytes]:
        query = select(documents.c.id, documents.c.digest).where(documents.c.id.in_(names))
        rows = office.database.read_now(lambda c: list(c.execute(query)))
        return {row.id: bytes(row.digest) for row in rows}

    return find


@contextmanager
def _alone(office: Office) -> Iterator[None]:
    """Keep a second command of this kind away: two would take each other's unfinished blobs."""
    with (office.config.state.directory / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("another `yizhan storage` command is at work; wait for it") from None
        yield


def _finish(done: Done, what: str, as_json: bool) -> None:
    data = {"kept_anew": done.kept_anew, "octets": done.octets, "damaged": done.damaged}

    def show() -> None:
        print(f"{done.kept_anew} blobs are now {what}, {megabytes(done.octets)}")
        _say_damaged(done.damaged)

    emit(data, as_json, show)
    if done.damaged:
        raise typer.Exit(1)


def _say_damaged(sentences: list[str]) -> None:
    for sentence in sentences:
        sys.stderr.write(f"{sentence}\n")
