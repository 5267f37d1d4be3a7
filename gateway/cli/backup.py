"""`yizhan backup`: everything that is needed to restore, into a folder, while the daemon runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.folders import FolderGroup
from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table

if TYPE_CHECKING:
    from gateway.backup.backup import Made
    from gateway.backup.manifest import Manifest

app = typer.Typer(help="Backups: make, verify, list.", no_args_is_help=True, cls=FolderGroup)

DirArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the backups, on another disk.")
]


@app.command()
def make(
    directory: DirArgument,
    config: ConfigOption = None,
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="How many backups stay in DIR; 0: all.")
    ] = 30,
    without_keys: Annotated[
        bool,
        typer.Option("--without-keys", help="Leave out all keys; they must be kept elsewhere."),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, also what cannot have changed.")
    ] = False,
    follow: Annotated[
        float | None,
        typer.Option(
            "--follow", metavar="SECONDS", min=0.1, help="Go on: one each so many seconds."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a backup, incremental and verified; the word `make` may be left out.

    Works while the daemon runs. What is in DIR already is not written again. Killed or failed, it
    leaves the backups before as they were; run it again. Exit status 1 also if the backup was made
    but the store itself has lost documents; they are named.

    Example: yizhan backup make /backup/yizhan --keep 30
    """
    from gateway.backup.backup import Backup
    from gateway.backup.shelf import Shelf
    from gateway.cli.progress import Progress

    directory = directory.absolute()
    with opened(config) as office:
        progress = Progress(quiet=as_json or follow is not None)
        backup = Backup(
            config=office.config,
            path=office.path,
            database=office.database,
            clock=office.clock,
            actor=office.actor,
            shelf=Shelf(directory),
            keep=keep,
            with_keys=not without_keys,
            full=full,
            told=progress,
        )
        backup.prepare()
        if follow is not None:
            from gateway.backup.follow import go_on

            go_on(backup, follow, lambda made, seconds: _line(made, seconds, as_json))
            return
        made = backup.make()
        progress.end()
    emit(_facts(made), as_json, lambda: _show(made, directory))
    if made.manifest.damaged:
        raise typer.Exit(1)


@app.command()
def verify(
    directory: DirArgument,
    generation: Annotated[
        str, typer.Option("--generation", help="Only this one, as `backup list` names it.")
    ] = "",
    office_key: Annotated[
        Path | None,
        typer.Option(
            "--office-key", metavar="FILE", help="The office's public key: who made the backups?"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read every octet of the backups again; exit status 1 if anything is damaged or missing.

    Needs no office, no key and no configuration: it can be run on any machine that has DIR.

    Example: yizhan backup verify /backup/yizhan --office-key office.asc
    """
    from gateway.backup.inspect import inspect
    from gateway.backup.shelf import Shelf
    from gateway.cli.progress import Progress
    from gateway.errors import CommandError

    try:
        key = b"" if office_key is None else office_key.read_bytes()
    except OSError as error:
        raise CommandError(f"{office_key}: cannot be read: {error.strerror}") from None
    progress = Progress(quiet=as_json)
    found = inspect(Shelf(directory), generation, office_key=key, told=progress)
    progress.end()

    def show() -> None:
        for fault in found.faults:
            sys.stderr.write(f"{fault}\n")
        if found.faults:
            sys.stderr.write(f"{directory}: {len(found.faults)} files are damaged or missing\n")
        else:
            print(
                f"{directory}: {len(found.generations)} backups, {found.files} files, "
                f"{found.octets} octets: nothing is wrong"
            )

    data = {
        "generations": list(found.generations),
        "files": found.files,
        "octets": found.octets,
        "faults": list(found.faults),
    }
    emit(data, as_json, show)
    if found.faults:
        raise typer.Exit(1)


@app.command("list")
def list_(directory: DirArgument, as_json: JsonOption = False) -> None:
    """List the backups in a folder, oldest first.

    Example: yizhan backup list /backup/yizhan
    """
    from gateway.backup.manifest import read
    from gateway.backup.shelf import Shelf

    shelf = Shelf(directory)
    shelf.require()
    found = [read(shelf, generation) for generation in shelf.generations()]
    columns = ("Backup", "Made (UTC)", "Documents", "Octets", "Log", "Keys", "Not in it")
    rows = [
        (
            one.id, one.at[:19], str(one.documents), str(one.octets), str(one.log_size),
            "no" if one.keys is None else "yes",
            "; ".join((*one.without, *(f"blob {name}" for name in one.damaged))),
        )
        for one in found
    ]  # fmt: skip
    emit([_manifest_facts(one) for one in found], as_json, lambda: table("", columns, rows))


def _manifest_facts(manifest: Manifest) -> dict[str, Any]:
    return {
        "generation": manifest.id,
        "at": manifest.at,
        "identity": manifest.identity,
        "domain": manifest.domain,
        "version": manifest.version,
        "schema": manifest.schema,
        "documents": manifest.documents,
        "blobs": manifest.blobs,
        "octets": manifest.octets,
        "log_size": manifest.log_size,
        "with_keys": manifest.keys is not None,
        "without": list(manifest.without),
        "damaged": list(manifest.damaged),
    }


def _facts(made: Made) -> dict[str, Any]:
    return {
        **_manifest_facts(made.manifest),
        "new_blobs": made.new_blobs,
        "new_octets": made.new_octets,
        "removed": list(made.removed),
    }


def _show(made: Made, directory: Path) -> None:
    one = made.manifest
    print(
        f"backup {one.id} of {one.at} in {directory}: {one.documents} documents, {one.blobs} blobs "
        f"({one.octets} octets), of which {made.new_blobs} are new ({made.new_octets} octets)"
    )
    for sentence in one.without:
        sys.stderr.write(f"NOT IN THIS BACKUP: {sentence}\n")
    for name in one.damaged:
        sys.stderr.write(
            f"the store has lost or damaged document {name}; `yizhan fsck` says more, and an "
            "earlier backup may have it\n"
        )


def _line(made: Made, seconds: float, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps({**_facts(made), "seconds": round(seconds, 3)}), flush=True)
    elif made.new_blobs:
        print(
            f"{made.manifest.at}  {made.new_blobs} new blobs, {made.new_octets} octets, "
            f"{seconds:.2f} s",
            flush=True,
        )
