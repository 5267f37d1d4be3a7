"""`yizhan unit readiness`: which units can go live, for the operator and for the wall."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened

if TYPE_CHECKING:
    from gateway.portal.readiness import Readiness


def readiness(
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page for the wall into a new file."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show which units can go live: sent, received, signed, SMS arrived, seal, login.

    Example: yizhan unit readiness --html readiness.html
    """
    from gateway.cli.papers import new_file
    from gateway.cli.progress import Progress
    from gateway.directory.snapshot import load
    from gateway.portal import readiness as states
    from gateway.store.drivers import open_blobs

    out = new_file(html, 0o644) if html is not None else None
    progress = Progress(quiet=as_json)
    with opened(config) as office:
        domain, now = office.config.office.domain, office.clock.now()
        directory = office.database.read_now(lambda conn: load(conn, domain))
        language = office.config.office.language
        rows = office.database.read_now(
            lambda conn: states.read_readiness(conn, directory, language, now)
        )
        rows = states.with_programs(rows, open_blobs(office.config).open, progress)
        progress.end()
        ready = sum(row.ready for row in rows)
        if out is not None and html is not None:
            with out:
                out.write(_readiness_page(office, rows, ready).encode())
    summary = f"{ready} of {len(rows)} ready"
    data = {"ready": ready, "units": [row.facts for row in rows]}

    def show() -> None:
        _print_readiness(rows)
        typer.echo(summary)

    emit(data, as_json, show)


def _readiness_page(office: Office, rows: Sequence[Readiness], ready: int) -> str:
    from markupsafe import Markup

    from gateway.composition import load_templates
    from gateway.portal import readiness as states
    from gateway.portal.person import unit_name

    settings = office.config.office
    style = (Path(states.__file__).parent / "readiness.css").read_text(encoding="utf-8")
    return load_templates().render(
        settings.language,
        states.TEMPLATE,
        office=unit_name(settings.name, settings.name_en, settings.language),
        rows=[states.shown(row) for row in rows],
        ready=ready,
        made_at=office.clock.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        style=Markup(style),  # noqa: S704  # a file of ours
    )


def _print_readiness(rows: Sequence[Readiness]) -> None:
    """A green row for each unit that is ready; colours only on a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    grid = Table(header_style="bold")
    for title in ("unit", "sent", "received", "signed", "SMS", "seal", "login", "mail program"):
        grid.add_column(title, overflow="fold")
    for row in rows:
        cells = [f"{row.name} ({row.code})"]
        cells.append(_day(row.sent_at))
        cells += ["yes" if so else "-" for so in (row.received, row.signed, row.sms, row.seal)]
        cells += [_day(row.login_at), row.client]
        grid.add_row(*(escape(cell) for cell in cells), style="green" if row.ready else None)
    Console(width=None if sys.stdout.isatty() else 160).print(grid)


def _day(when: datetime | None) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else "-"
