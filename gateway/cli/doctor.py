"""`yizhan doctor`: what is wrong with an office, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import screen
from gateway.cli.office import ConfigOption, JsonOption, become_owner, emit

if TYPE_CHECKING:
    from gateway.survey.doctor import Examination

app = typer.Typer(help="What is wrong with a running office, and what to do.")


@app.command()
def doctor(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Say what is wrong with the office, running or stopped, and what to do about it.

    Looks at all that `yizhan check` looks at (could the daemon start?), and at how the office
    lives: process, health page, ports, certificate, clock, disk, backups, keys that end, units
    that lack somebody. Changes nothing. Exit status: 0 nothing is wrong (there may be advice),
    1 something is wrong, 78 the configuration cannot be read.

    Example: yizhan doctor
    """
    from datetime import UTC, datetime

    from gateway import config_file
    from gateway.survey.doctor import examine, is_sound

    path = config_file.find(config)
    settings = config_file.load(path)
    become_owner(settings.state.directory)
    found = examine(settings, path, datetime.now(UTC))
    sound = is_sound(found)
    emit(_data(found, sound), as_json, lambda: _show(found, sound))
    if not sound:
        raise typer.Exit(1)


def _data(found: list[Examination], sound: bool) -> dict[str, Any]:
    return {
        "sound": sound,
        "examined": [part.part for part in found],
        "findings": [
            {
                "part": part.part,
                "weight": one.weight.value,
                "sentence": one.sentence,
                "remedy": one.remedy,
            }
            for part in found
            for one in part.findings
        ],
    }


_STYLE = {"wrong": "red", "advice": "yellow"}


def _show(found: list[Examination], sound: bool) -> None:
    for weight, style in _STYLE.items():
        for part in found:
            for one in (each for each in part.findings if each.weight.value == weight):
                mark = screen.paint(f"{weight:<6}", style)
                screen.say(f"{mark}  {part.part}: {screen.clean(one.sentence)}")
                if one.remedy:
                    screen.say(f"        do: {screen.clean(one.remedy)}")
    well = [part.part for part in found if not part.findings]
    screen.say(f"well    {', '.join(well) or 'nothing'}")
    screen.say("Nothing is wrong." if sound else "Something is wrong.")
