"""`yizhan account`: who may log in, from where, and as whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened, table
from gateway.cli.sheet import sheet
from gateway.cli.unit import as_lines, snapshot
from gateway.directory.model import AccountKind

if TYPE_CHECKING:
    from gateway.directory.model import Account
    from gateway.directory.snapshot import Directory

app = typer.Typer(
    help="Accounts: add, list, show, change, remove, password, unlock, refetch, sheet.",
    no_args_is_help=True,
)
app.command("sheet")(sheet)

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login, such as water-li.")]
NAME = typer.Option("--name", help="Name of the person, room or machine.")
UNIT = typer.Option(
    "--unit",
    help="Unit with the roles in it, such as water:clerk+leader; repeatable, the main unit first.",
)
KIND = typer.Option("--kind", help="A person's own login, a shared one, or a machine's.")
ADDRESS = typer.Option(
    "--address", help="The login, or a unit or desk of the account, as its mail address."
)
LANGUAGE = typer.Option("--language", help="zh-CN or en; '': as the main unit.")
RECEIPTS = typer.Option("--receipts", help="full, brief or machine; '': as the office.")
NETWORK = typer.Option("--network", help="Network that it may log in from; repeatable.")
CERTIFICATE = typer.Option(
    "--certificate",
    metavar="FILE",
    help="Client certificate, PEM or DER; or its SHA-256 fingerprint, where submission.client_ca "
    "has its CA; repeatable.",
)
PASSWORD_FILE = typer.Option(
    "--password-file", help="File whose first line is the password; - for standard input."
)
ASK = typer.Option("--ask", help="Ask for the password instead of making one.")
FIRST = typer.Option(
    "--first/--lasting",
    help="Its owner must change it at the portal, or not; without either: one that was made must "
    "be, one that you give need not.",
)


@app.command()
def add(
    login: Login,
    *,
    name: Annotated[str, NAME],
    unit: Annotated[list[str], UNIT],
    kind: Annotated[AccountKind, KIND] = AccountKind.PERSONAL,
    address: Annotated[str, ADDRESS] = "",
    language: Annotated[str, LANGUAGE] = "",
    receipts: Annotated[str, RECEIPTS] = "",
    network: Annotated[list[str] | None, NETWORK] = None,
    certificate: Annotated[list[str] | None, CERTIFICATE] = None,
    password_file: Annotated[str, PASSWORD_FILE] = "",
    ask: Annotated[bool, ASK] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Only a client certificate opens it.")
    ] = False,
    first: Annotated[bool | None, FIRST] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add an account. Its new password is printed once, unless you give one.

    Example: yizhan account add water-li --name 李娜 --unit water:clerk --unit office:reader
    """
    from gateway.directory.csvimport import parse_units
    from gateway.directory.edit import add_account
    from gateway.directory.passwords import hash_password

    password, made = ("", False) if no_password else _password(password_file, ask)
    certificates = _certificates(certificate or ())
    with opened(config) as office:
        _check_fingerprints(office, certificates)
        stored = hash_password(password) if password else ""
        office.change_directory(
            lambda conn: add_account(
                conn,
                login=login,
                name=name,
                kind=kind,
                units=parse_units(unit),
                address=address,
                language=language,
                receipt_style=receipts,
                networks=network or (),
                certificates=certificates,
                password_hash=stored,
                first_password=made if first is None else first,
                actor=office.actor,
                now=office.clock.now(),
            )
        )
        account = snapshot(office).account(login)
        facts = {"login": login, "address": str(account.address) if account else ""}
        _tell(facts, password if made else "", as_json)


@app.command()
def change(
    login: Login,
    *,
    name: Annotated[str | None, NAME] = None,
    unit: Annotated[list[str] | None, UNIT] = None,
    kind: Annotated[AccountKind | None, KIND] = None,
    address: Annotated[str | None, ADDRESS] = None,
    language: Annotated[str | None, LANGUAGE] = None,
    receipts: Annotated[str | None, RECEIPTS] = None,
    network: Annotated[list[str] | None, NETWORK] = None,
    any_network: Annotated[
        bool, typer.Option("--any-network", help="It may log in from anywhere.")
    ] = False,
    certificate: Annotated[list[str] | None, CERTIFICATE] = None,
    no_certificate: Annotated[
        bool, typer.Option("--no-certificate", help="No client certificate opens it any more.")
    ] = False,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Open or close it.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change what is given; --unit, --network and --certificate replace the whole list.

    Example: yizhan account change water-li --certificate water-li.pem
    """
    from gateway.directory.csvimport import parse_units
    from gateway.directory.edit import AccountChanges, change_account

    given = AccountChanges()
    if name is not None:
        given["name"] = name
    if unit:
        given["units"] = parse_units(unit)
    if kind is not None:
        given["kind"] = kind
    if address is not None:
        given["address"] = address.partition("@")[0]
    if language is not None:
        given["language"] = language
    if receipts is not None:
        given["receipt_style"] = receipts
    if network or any_network:
        given["networks"] = network or ()
    certificates = _certificates(certificate or ())
    if certificate or no_certificate:
        given["certificates"] = certificates
    if active is not None:
        given["active"] = active
    with opened(config) as office:
        _check_fingerprints(office, certificates)
        office.change_directory(
            lambda conn: change_account(
                conn, login, actor=office.actor, now=office.clock.now(), **given
            )
        )


@app.command()
def password(
    login: Login,
    *,
    password_file: Annotated[str, PASSWORD_FILE] = "",
    ask: Annotated[bool, ASK] = False,
    first: Annotated[bool | None, FIRST] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set a new password: a made one, which is printed once, or the one that you give.

    Example: yizhan account password water-li --ask
    """
    from gateway.directory.edit import set_password
    from gateway.directory.passwords import hash_password

    word, made = _password(password_file, ask)
    with opened(config) as office:
        stored = hash_password(word)
        office.database.write_now(
            lambda conn: set_password(
                conn,
                login,
                stored,
                first=made if first is None else first,
                actor=office.actor,
                now=office.clock.now(),
            )
        )
        _tell({"login": login}, word if made else "", as_json)


@app.command()
def unlock(login: Login, config: ConfigOption = None) -> None:
    """Forget the wrong passwords so far, in the running daemon too.

    Example: yizhan account unlock water
    """
    from gateway.directory.edit import unlock_account

    with opened(config) as office:
        office.database.write_now(
            lambda conn: unlock_account(conn, login, actor=office.actor, now=office.clock.now())
        )


@app.command()
def refetch(login: Login, config: ConfigOption = None) -> None:
    """Show the account's POP3 programs again what they have deleted, for a new PC.

    Example: yizhan account refetch water
    """
    from gateway.errors import CommandError
    from gateway.exchange.mailroom import tables
    from mailboxes.taken import Taken

    with opened(config) as office:
        account = snapshot(office).account(login)
        if account is None:
            raise CommandError(f"there is no account {login!r}; see `yizhan account list`")
        count = office.database.write_now(lambda conn: Taken(tables).give_back(conn, account.login))
    typer.echo(f"{account.login}: {count} messages that its programs are shown again")


@app.command()
def remove(login: Login, config: ConfigOption = None) -> None:
    """Remove an account made by mistake. One that has acted can only be closed.

    Example: yizhan account remove watre-li
    """
    from gateway.directory.edit import remove_account

    with opened(config) as office:
        office.remove_from_directory(
            lambda conn: remove_account(conn, login, actor=office.actor, now=office.clock.now()),
            f"person:{login}",
            if_used=f"account {login!r} has had mail; close it with `yizhan account change {login} "
            "--inactive` instead of removing it",
        )


@app.command("list")
def list_(
    unit: Annotated[
        str | None, typer.Argument(metavar="[UNIT]", help="Code of a unit; without: all.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the accounts.

    Example: yizhan account list water --json
    """
    from gateway.directory.edit import find_unit

    with opened(config) as office:
        unit_id = 0
        if unit is not None:
            unit_id = office.database.read_now(lambda conn: find_unit(conn, unit))
        directory = snapshot(office)
        found = [a for a in directory.accounts() if unit is None or a.roles_in(unit_id)]
        emit(
            [_facts(directory, account) for account in found],
            as_json,
            lambda: table(
                "",
                ("login", "address", "name", "kind", "units and roles", "state"),
                [
                    (
                        account.login,
                        str(account.address),
                        account.name,
                        account.kind.value,
                        " ".join(_units(directory, account)),
                        "active" if account.active else "closed",
                    )
                    for account in found
                ],
            ),
        )


@app.command()
def show(login: Login, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show an account.

    Example: yizhan account show water-li
    """
    from gateway.errors import CommandError

    with opened(config) as office:
        directory = snapshot(office)
        account = directory.account(login)
        if account is None:
            raise CommandError(f"there is no account {login!r}; `yizhan account list` shows all")
        facts = _facts(directory, account)
        emit(facts, as_json, lambda: table("", ("", account.name), as_lines(facts)))


def _units(directory: Directory, account: Account) -> list[str]:
    codes = {unit.id: unit.code for unit in directory.units()}
    return [f"{codes[m.unit_id]}:{'+'.join(sorted(m.roles))}" for m in account.memberships]


def _facts(directory: Directory, account: Account) -> dict[str, object]:
    owner = directory.account_owner(account)
    return {
        "login": account.login,
        "name": account.name,
        "address": str(account.address),
        "mailbox": owner.key if owner else None,
        "kind": account.kind.value,
        "units": _units(directory, account),
        "active": account.active,
        "language": account.language,
        "receipts": account.receipt_style,
        "networks": [str(network) for network in account.networks],
        "certificates": [
            _certificate_facts(directory, name) for name in sorted(account.certificates)
        ],
        "password": bool(account.password_hash),
        "first_password": account.first_password_at,
    }


def _certificate_facts(directory: Directory, fingerprint: str) -> dict[str, str | None]:
    from gateway.directory.certificates import describe

    der = directory.certificate(fingerprint)
    known = describe(der) if der else None
    return {
        "subject": known.subject if known else None,
        "fingerprint": fingerprint,
        "expires": known.expires.strftime("%Y-%m-%d") if known else None,
    }


def _certificates(given: Sequence[str]) -> list[str | bytes]:
    """Fingerprints as they are, files as the certificates in them (DER).

    Read before the command steps down from root. Raises CommandError that names the file.
    """
    from gateway.directory import certificates
    from gateway.domain.clock import SystemClock
    from gateway.errors import CommandError

    found: list[str | bytes] = []
    for value in given:
        if certificates.is_fingerprint(value):
            found.append(value)
            continue
        try:
            found.append(certificates.read(Path(value).read_bytes(), SystemClock().now()))
        except OSError as error:
            raise CommandError(
                f"--certificate {value}: give a file with a certificate, or the 64 hexadecimal "
                f"digits of its SHA-256 fingerprint ({error.strerror})"
            ) from None
        except CommandError as error:
            raise CommandError(f"{value}: {error.public}") from None
    return found


def _check_fingerprints(office: Office, given: Sequence[str | bytes]) -> None:
    """Raise CommandError for a fingerprint that could never open anything."""
    from gateway.directory.validity import fingerprint
    from gateway.errors import CommandError

    if office.config.submission.client_ca is not None:
        return
    directory = snapshot(office)
    for value in given:
        if isinstance(value, str) and directory.certificate(fingerprint(value)) is None:
            raise CommandError(
                f"certificate {value[:16]}…: a fingerprint alone opens nothing here, because "
                "submission.client_ca names no CA; give the certificate's file instead"
            )


def _password(file: str, ask: bool) -> tuple[str, bool]:
    """The password, and whether we made it up. Read before the command steps down from root."""
    from gateway.directory.passwords import check_password_form, new_password
    from gateway.errors import CommandError

    if file == "-":
        given = typer.get_text_stream("stdin").readline().rstrip("\r\n")
    elif file:
        try:
            given = Path(file).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file}: cannot be read: {error}") from None
    elif ask:
        given = typer.prompt("New password", hide_input=True, confirmation_prompt=True)
    else:
        return new_password(), True
    check_password_form(given)
    return given, False


def _tell(facts: dict[str, str], made: str, as_json: bool) -> None:
    if made:
        facts["password"] = made
    emit(facts, as_json, lambda: typer.echo("\n".join(f"{k}: {v}" for k, v in facts.items())))
