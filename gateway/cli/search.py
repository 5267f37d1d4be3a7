"""`yizhan search`: documents that contain words, the newest first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import screen
from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.cli.when import local
from gateway.errors import CommandError

if TYPE_CHECKING:
    from gateway.survey.words import Answer, Found
    from mailboxes.excerpts import Excerpt

app = typer.Typer(help="Documents that contain words, the newest first.")


@app.command()
def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORDS", help="All must occur; quote a phrase that has spaces."),
    ],
    unit: Annotated[
        str, typer.Option(help="Only what lies in the mailboxes of this unit (code).")
    ] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find documents by words in the title, the text or an attachment.

    A word is found wherever its letters stand, also inside longer words; full-width and half-width
    letters, capitals and small ones are the same. Of an encrypted document only the title is
    searched. Each search is written into the log of changes (`yizhan directory log`), with the
    words and who has asked.

    Example: yizhan search 防汛 值守 --unit water
    """
    from gateway.directory.snapshot import load
    from gateway.survey.words import find_words, write_down

    wanted = [word for word in words if word.strip()]
    if not wanted:
        raise CommandError("say what to search for, such as `yizhan search 防汛`")
    with opened(config) as office:

        def find(connection: Any) -> Answer:
            directory = load(connection, office.config.office.domain)
            if unit and directory.unit(unit) is None:
                raise CommandError(f"there is no unit {unit}; see `yizhan unit list`")
            return find_words(connection, wanted, directory, unit=unit, limit=limit)

        answer = office.database.read_now(find)
        office.database.write_now(
            lambda connection: write_down(
                connection, wanted, unit=unit, hits=len(answer.found), actor=office.actor,
                now=office.clock.now(),
            )
        )  # fmt: skip
    emit([one.data for one in answer.found], as_json, lambda: _show(answer.found))
    if answer.unindexed:
        sys.stderr.write(
            f"{answer.unindexed} messages are not indexed yet and were not searched; the running "
            "post office does that by itself, ask again in a while\n"
        )
    if not answer.found:
        if not as_json:
            sys.stderr.write("nothing was found\n")
        raise typer.Exit(1)


def _show(found: list[Found]) -> None:
    for one in found:
        facts = (local(one.hit.created), one.sender, one.number, one.hit.key)
        screen.say("  ".join(screen.clean(fact) for fact in facts if fact))
        screen.say(f"  {_painted(one.title, 'bold')}")
        if one.text is not None:
            screen.say(f"  {_painted(one.text)}")
        if one.hit.reason:
            missing = screen.clean(one.hit.reason)
            screen.say(f"  {screen.paint(f'not all of it was searched: {missing}', 'dim')}")


def _painted(shown: Excerpt, style: str = "") -> str:
    """The piece with its words in another colour, where there are colours."""
    pieces, at = [], 0
    for start, end in (*shown.marks, (len(shown.text), len(shown.text))):
        rest = screen.clean(shown.text[at:start])
        pieces.append(screen.paint(rest, style) if style and rest else rest)
        word = screen.clean(shown.text[start:end])
        pieces.append(screen.paint(word, "yellow") if word else "")
        at = end
    return "".join(pieces)
