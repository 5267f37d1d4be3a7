"""`yizhan receipt`: says what a receipt proves; exit status 1 if it proves nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.errors import CommandError

app = typer.Typer(help="Verify a receipt.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Receipts (回执): the mails that carry evidence."""


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE.eml", help="The receipt; - for stdin.")],
    office_key: Annotated[
        Path | None,
        typer.Option(
            "--office-key",
            metavar="FILE",
            help="The office's OpenPGP public key; without it, that of the configured office.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a receipt offline and say what was proved; exit status 1 if not all of it was.

    With --office-key no office is needed on this machine.

    Example: yizhan receipt verify receipt.eml --office-key office.asc
    """
    from gateway.evidence.verify import verify_receipt

    octets = _read(file)
    certificate = _read(office_key) if office_key is not None else _own_certificate(config)
    try:
        verification = verify_receipt(octets, certificate)
    except ValueError as error:
        raise CommandError(f"{office_key or 'the office key'}: {error}") from None

    def show() -> None:
        for finding in verification.findings:
            sys.stdout.write(
                f"{'proved  ' if finding.proved else 'NOT     '}  {finding.sentence}\n"
            )
        verdict = "The receipt is genuine." if verification.ok else "The receipt is NOT proved."
        sys.stdout.write(f"{verdict}\n")

    emit(
        {
            "ok": verification.ok,
            "findings": [
                {"proved": finding.proved, "sentence": finding.sentence}
                for finding in verification.findings
            ],
            "events": [
                {
                    "document": event.document,
                    "sequence": event.sequence,
                    "event": event.event.value,
                    "time": event.at.isoformat(timespec="milliseconds"),
                    "recipient": event.recipient,
                    "reasons": [code for code, _ in event.reasons],
                }
                for event in verification.events
            ],
        },
        as_json,
        show,
    )
    if not verification.ok:
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}") from None


def _own_certificate(config: Path | None) -> bytes:
    from gateway.seals.signer import office_certificate

    with opened(config) as office:
        return office_certificate(office.config.seals, office.config.state.directory)
