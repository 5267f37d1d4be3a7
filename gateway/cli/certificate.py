"""`yizhan certificate`: the certificate of the doors and the office CA that signs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, table

if TYPE_CHECKING:
    from gateway.authority import Names
    from gateway.config import Config
    from gateway.expiry import Certificate

app = typer.Typer(
    help="Certificate of the doors and office CA: show, ca, renew, make-ca.", no_args_is_help=True
)

NAME = typer.Option(
    "--name", help="Host name or IP address by which clients reach the server besides; repeatable."
)


@app.command()
def show(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the certificates of the doors: whose, by whom, until when, fingerprint.

    Example: yizhan certificate show
    """
    from gateway.expiry import describe

    settings, _ = _opened(config)
    found = [("server" if not n else "chain", one) for n, one in
             enumerate(describe(settings.tls.certificate))]  # fmt: skip
    if settings.tls.ca is not None:
        found.append(("office CA", describe(settings.tls.ca)[0]))
    emit([_facts(what, one) for what, one in found], as_json, lambda: _print(found))


@app.command()
def ca(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there, not to the screen."),
    ] = None,
    der: Annotated[
        bool, typer.Option("--der", help="DER, as Windows and telephones take it; else PEM.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Export the certificate that every PC installs once.

    Example: yizhan certificate ca --der --output office-ca.crt
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    from gateway.authority import read_certificates
    from gateway.errors import CommandError
    from gateway.expiry import ca_file

    settings, _ = _opened(config)
    file = ca_file(settings)
    if file is None:
        raise CommandError(
            "tls.ca: no office CA is named, and the server's certificate was signed elsewhere; "
            "ask whoever signed it for the CA's"
        )
    octets = read_certificates(file)[0].public_bytes(Encoding.DER if der else Encoding.PEM)
    if output is None:
        typer.get_binary_stream("stdout").write(octets)
        return
    try:
        output.write_bytes(octets)
    except OSError as error:
        raise CommandError(f"{output}: cannot be written: {error.strerror}") from None
    typer.echo(f"Wrote {output}")


@app.command()
def renew(
    name: Annotated[list[str] | None, NAME] = None,
    ca_key: Annotated[
        Path | None,
        typer.Option("--ca-key", metavar="FILE", help="The CA's key, if it is kept elsewhere."),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a new key for the server too.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make a new certificate for the doors, by the office CA. SIGHUP takes it into use.

    Example: yizhan certificate renew --name post.heping.test
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    from gateway import authority
    from gateway.domain.clock import SystemClock
    from gateway.errors import CommandError

    settings, _ = _opened(config)
    secret = ca_key or settings.tls.ca_key
    if settings.tls.ca is None:
        raise CommandError(
            "tls.ca: this office has no CA of its own; make one with `yizhan certificate make-ca`"
        )
    if secret is None:
        raise CommandError("tls.ca_key: the CA's key is kept elsewhere; name it with --ca-key FILE")
    office = authority.read_authority(settings.tls.ca, secret)
    key = authority.new_key() if new_key else authority.read_key(settings.tls.key)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CommandError(f"{settings.tls.key}: is no ECDSA key; call the command with --new-key")
    wanted = _names(settings, name or (), office.certificate)
    certificate = authority.issue(office, wanted, key, SystemClock().now())
    if new_key:
        _replace(settings.tls.key, authority.key_pem(key), 0o600)
    chain = authority.chain_pem([certificate, office.certificate])
    _replace(settings.tls.certificate, chain, 0o644)
    typer.echo(
        f"{settings.tls.certificate}: good until {certificate.not_valid_after_utc:%Y-%m-%d}; "
        "take it into use with: systemctl reload yizhan"
    )


@app.command("make-ca")
def make_ca(
    name: Annotated[list[str] | None, NAME] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER",
                     help="Folder for ca.crt and ca.key; else that of the configuration."),
    ] = None,
    config: ConfigOption = None,
) -> None:  # fmt: skip
    """Make an office CA: for an office that has none, or before the old one ends.

    Nothing is overwritten and nothing changes until the configuration names it.

    Example: yizhan certificate make-ca --output /etc/yizhan/ca-2036
    """
    from gateway import authority, founding
    from gateway.domain.clock import SystemClock
    from gateway.errors import CommandError

    settings, path = _opened(config)
    folder = (output or path.parent).absolute()
    made = authority.make_authority(
        settings.office.name,
        settings.office.domain,
        _names(settings, name or ()),
        SystemClock().now(),
    )
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        founding.write_new(folder / founding.CA_KEY, authority.key_pem(made.key), 0o600)
        founding.write_new(folder / founding.CA, authority.chain_pem([made.certificate]), 0o644)
    except FileExistsError as error:
        raise CommandError(
            f"{error.filename}: there is such a file already; nothing was changed; give another "
            "folder with --output"
        ) from None
    except OSError as error:
        raise CommandError(f"{folder}: cannot be written: {error.strerror}") from None
    typer.echo(
        f"Made {folder / founding.CA} and its key. Write into [tls] of {path}:\n"
        f'  ca = "{folder / founding.CA}"\n'
        f'  ca_key = "{folder / founding.CA_KEY}"\n'
        "Install the CA on every PC, and only then: yizhan certificate renew"
    )


def _opened(config: Path | None) -> tuple[Config, Path]:
    from gateway import config_file
    from gateway.cli.office import become_owner

    path = config_file.find(config)
    settings = config_file.load(path)
    become_owner(settings.state.directory)
    return settings, path


def _names(config: Config, more: list[str] | tuple[str, ...], ca: object = None) -> Names:
    """Of the doors' addresses only those that the CA may sign; of `more` each, or an error."""
    from cryptography import x509

    from gateway import authority

    doors = [listener.address for listener in config.submission.listeners]
    if config.portal is not None:
        doors.append(config.portal.address)
    if isinstance(ca, x509.Certificate):
        doors = [one for one in doors if authority.may_sign(ca, one)]
    found = authority.names(config.office.domain, config.office.host, doors, more)
    if isinstance(ca, x509.Certificate):
        local = [one for one in found.addresses if one in more or authority.may_sign(ca, one)]
        found = authority.Names(found.hosts, tuple(local))
    return found


def _replace(path: Path, octets: bytes, mode: int) -> None:
    """Give the file this content, whole or not at all."""
    from gateway import founding
    from gateway.errors import CommandError
    from gateway.store import durable

    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        founding.write_new(new, octets, mode)
        durable.sync(new)
        new.replace(path)
        durable.sync(path.parent)
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}") from None


def _facts(what: str, one: Certificate) -> dict[str, object]:
    return {
        "what": what,
        "file": str(one.file),
        "subject": one.subject,
        "issuer": one.issuer,
        "begins": one.begins.isoformat(),
        "ends": one.ends.isoformat(),
        "names": list(one.names),
        "sha256": one.sha256,
    }


def _print(found: list[tuple[str, Certificate]]) -> None:
    for what, one in found:
        rows = [
            ("file", str(one.file)),
            ("subject", one.subject),
            ("issuer", one.issuer),
            ("good until", f"{one.ends:%Y-%m-%d}"),
            ("for", ", ".join(one.names)),
            ("SHA-256", one.sha256),
        ]
        table("", (what, ""), rows)
