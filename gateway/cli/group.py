"""`yizhan group`: named sets of units, such as all@."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table
from gateway.cli.unit import as_lines, snapshot

if TYPE_CHECKING:
    from gateway.directory.model import Group
    from gateway.directory.snapshot import Directory

app = typer.Typer(help="Groups of units: add, list, show, change, remove.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The group's name, such as bureaus.")]
TITLE = typer.Option("--title", help="Its name for people, such as 各委办局.")
MEMBER = typer.Option("--member", help="Code of a unit in it; repeatable.")
SENDER = typer.Option(
    "--sender",
    help="Who may write to it: a unit's code, class:organ, level:district, or '*'; repeatable.",
)


@app.command()
def add(
    name: Name,
    title: Annotated[str, TITLE],
    member: Annotated[list[str] | None, MEMBER] = None,
    sender: Annotated[list[str] | None, SENDER] = None,
    config: ConfigOption = None,
) -> None:
    """Add a group. Without --sender nobody may write to it.

    Example: yizhan group add rivers --title 河长制单位 --member water --member parks --sender '*'
    """
    from gateway.directory.edit import add_group

    with opened(config) as office:
        office.database.write_now(
            lambda conn: add_group(
                conn,
                name=name,
                title=title,
                members=member or (),
                senders=sender or (),
                actor=office.actor,
                now=office.clock.now(),
            )
        )


@app.command()
def change(
    name: Name,
    *,
    title: Annotated[str | None, TITLE] = None,
    member: Annotated[list[str] | None, MEMBER] = None,
    sender: Annotated[list[str] | None, SENDER] = None,
    add_member: Annotated[
        list[str] | None, typer.Option("--add", help="Code of a unit to add; repeatable.")
    ] = None,
    drop_member: Annotated[
        list[str] | None, typer.Option("--drop", help="Code of a unit to take out; repeatable.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change what is given; --member and --sender replace the whole list.

    Documents already sent keep their recipients.

    Example: yizhan group change bureaus --add archives --drop parks
    """
    from sqlalchemy import Connection

    from gateway.directory.edit import change_group
    from gateway.directory.groups import members_of

    with opened(config) as office:

        def work(conn: Connection) -> None:
            members = member
            if add_member or drop_member:
                members = [*(member or members_of(conn, name)), *(add_member or ())]
                members = [code for code in members if code not in (drop_member or ())]
            change_group(
                conn,
                name,
                title=title,
                members=members,
                senders=sender,
                actor=office.actor,
                now=office.clock.now(),
            )

        office.database.write_now(work)


@app.command()
def remove(name: Name, config: ConfigOption = None) -> None:
    """Remove a group; its units stay.

    Example: yizhan group remove rivers
    """
    from gateway.directory.edit import remove_group

    with opened(config) as office:
        office.database.write_now(
            lambda conn: remove_group(conn, name, actor=office.actor, now=office.clock.now())
        )


@app.command("list")
def list_(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the groups.

    Example: yizhan group list
    """
    with opened(config) as office:
        directory = snapshot(office)
        emit(
            [_facts(directory, group) for group in directory.groups()],
            as_json,
            lambda: table(
                "",
                ("name", "title", "units", "who may write to it"),
                [
                    (g.name, g.title, str(len(g.members)), " ".join(sorted(g.senders)))
                    for g in directory.groups()
                ],
            ),
        )


@app.command()
def show(name: Name, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a group with its units.

    Example: yizhan group show bureaus --json
    """
    from gateway.errors import CommandError

    with opened(config) as office:
        directory = snapshot(office)
        group = directory.group(name)
        if group is None:
            raise CommandError(f"there is no group {name!r}; `yizhan group list` shows all")
        facts = _facts(directory, group)
        emit(facts, as_json, lambda: table("", ("", name), as_lines(facts)))


def _facts(directory: Directory, group: Group) -> dict[str, object]:
    codes = {unit.id: unit.code for unit in directory.units()}
    return {
        "name": group.name,
        "title": group.title,
        "address": str(group.address),
        "members": [codes[member] for member in group.members],
        "senders": sorted(group.senders),
    }
