"""`yizhan export`: everything in open formats, for the owner."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.errors import CommandError

app = typer.Typer(help="Everything in open formats, for the owner.")


@app.command()
def export(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="An empty folder, or one of a stopped export.")
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="Everything; there is no other choice yet.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything in open formats: documents, mailboxes, evidence, tables, a verifier.

    Works while the daemon runs, as of one moment. README.md in the folder says how to read it, and
    verify.py there checks all of it with Python alone. For single things see `document export` and
    `mailbox export`. Stopped half way it can be run again.

    Example: yizhan export --all /srv/export
    """
    from gateway.backup.export import Export
    from gateway.cli.progress import Progress
    from gateway.store.drivers import open_blobs

    if not everything:
        raise CommandError("say --all; for one document or mailbox see their own `export`")
    progress = Progress(quiet=as_json)
    with opened(config) as office:
        state = office.config.state.directory.resolve()
        if directory.resolve().is_relative_to(state):
            raise CommandError(f"{directory} lies inside the state directory; name another folder")
        work = Export(
            config=office.config,
            blobs=open_blobs(office.config),
            folder=directory.absolute(),
            now=office.clock.now(),
            told=progress,
        )
        office.database.read_now(work.run)
    progress.end()

    def show() -> None:
        for name in work.damaged:
            sys.stderr.write(f"document {name} is missing or damaged in the store; not exported\n")
        numbers = ", ".join(f"{number} {what}" for what, number in work.counts.items())
        print(f"{directory}: {numbers}")

    emit({**work.counts, "damaged": work.damaged}, as_json, show)
    if work.damaged:
        raise typer.Exit(1)
