"""`yizhan check`: all that is wrong with an office's set-up, at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit
from gateway.errors import ConfigurationError, YizhanError

app = typer.Typer(help="Say all that is wrong with an office's set-up.")


@app.command()
def check(
    config: ConfigOption = None,
    manual: Annotated[
        bool, typer.Option("--manual", help="Print the manual of all settings instead.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Print a sample file with every setting instead.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say all that is wrong with an office's set-up; exit status 78 if anything is.

    Example: yizhan check --config /etc/yizhan/yizhan.toml
    """
    if manual or sample:
        from gateway import manual as page

        sys.stdout.write(page.render() if manual else page.sample())
        return
    from gateway import config_file

    path = config_file.find(config)
    faults: list[str] = []
    advice: list[str] = []
    try:
        loaded = config_file.read(path)
    except ConfigurationError as error:
        faults = error.public.splitlines()
    else:
        from gateway.cli.office import become_owner
        from gateway.soundness import find_advice, find_faults

        settings, advice = loaded.config, list(loaded.hints)
        try:
            become_owner(settings.state.directory)
            faults = find_faults(settings, path)
            advice += find_advice(settings)
        except YizhanError as error:
            faults = [error.public]

    def show() -> None:
        for fault in faults:
            sys.stderr.write(f"{fault}\n")
        for sentence in advice:
            sys.stderr.write(f"advice: {sentence}\n")
        if not faults:
            print(f"{path}: nothing is wrong")

    emit({"file": str(path), "faults": faults, "advice": advice}, as_json, show)
    if faults:
        raise typer.Exit(78)
