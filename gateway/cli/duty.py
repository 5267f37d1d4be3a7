"""`yizhan duty`: who of each unit is called when a document waits."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table
from gateway.cli.unit import snapshot
from gateway.directory.model import Post

app = typer.Typer(help="Duty persons and rooms: add, list, change, remove.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(metavar="ID", help="Number of the entry, as list shows it.")]
NAME = typer.Option("--name", help="Name of the person or room.")
POST = typer.Option("--post", help="The rung of the ladder.")
MOBILE = typer.Option("--mobile", help="Mobile number; reminders go there.")
LANDLINE = typer.Option("--landline", help="Landline; shown to those who wait.")
POSITION = typer.Option("--position", help="Order within the post, 0 first.")
LANGUAGE = typer.Option("--language", help="zh-CN or en; '': as the unit.")


@app.command()
def add(
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="Code of the unit.")],
    *,
    name: Annotated[str, NAME],
    post: Annotated[Post, POST] = Post.CLERK,
    mobile: Annotated[str, MOBILE] = "",
    landline: Annotated[str, LANDLINE] = "",
    position: Annotated[int, POSITION] = 0,
    language: Annotated[str, LANGUAGE] = "",
    config: ConfigOption = None,
) -> None:
    """Add a person or a room to a unit's roster.

    Example: yizhan duty add water --name 李娜 --mobile 13800000001
    """
    from gateway.directory.edit import add_duty

    with opened(config) as office:
        made = office.database.write_now(
            lambda conn: add_duty(
                conn,
                unit=unit,
                name=name,
                post=post,
                mobile=mobile,
                landline=landline,
                position=position,
                language=language,
                actor=office.actor,
                now=office.clock.now(),
            )
        )
        typer.echo(f"Added as number {made}.")


@app.command()
def change(
    entry: Id,
    *,
    name: Annotated[str | None, NAME] = None,
    post: Annotated[Post | None, POST] = None,
    mobile: Annotated[str | None, MOBILE] = None,
    landline: Annotated[str | None, LANDLINE] = None,
    position: Annotated[int | None, POSITION] = None,
    language: Annotated[str | None, LANGUAGE] = None,
    config: ConfigOption = None,
) -> None:
    """Change what is given.

    Example: yizhan duty change 17 --mobile 13800000002
    """
    from gateway.directory.edit import DutyChanges, change_duty

    given = DutyChanges()
    if name is not None:
        given["name"] = name
    if post is not None:
        given["post"] = post
    if mobile is not None:
        given["mobile"] = mobile
    if landline is not None:
        given["landline"] = landline
    if position is not None:
        given["position"] = position
    if language is not None:
        given["language"] = language
    with opened(config) as office:
        office.database.write_now(
            lambda conn: change_duty(
                conn, entry, actor=office.actor, now=office.clock.now(), **given
            )
        )


@app.command()
def remove(entry: Id, config: ConfigOption = None) -> None:
    """Take somebody off the roster.

    Example: yizhan duty remove 17
    """
    from gateway.directory.edit import remove_duty

    with opened(config) as office:
        office.database.write_now(
            lambda conn: remove_duty(conn, entry, actor=office.actor, now=office.clock.now())
        )


@app.command("list")
def list_(
    unit: Annotated[
        str | None, typer.Argument(metavar="[UNIT]", help="Code of a unit; without: all.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the rosters, each in the order in which people are called.

    Example: yizhan duty list water
    """
    from gateway.directory.edit import find_unit

    with opened(config) as office:
        if unit is not None:
            office.database.read_now(lambda conn: find_unit(conn, unit))
        directory = snapshot(office)
        people = [
            (one, person)
            for one in directory.units()
            if (one.active and unit is None) or one.code == unit
            for person in directory.duty(one.id)
        ]
        emit(
            [
                {
                    "id": person.id,
                    "unit": one.code,
                    "name": person.name,
                    "post": person.post.value,
                    "mobile": person.mobile,
                    "landline": person.landline,
                    "position": person.position,
                    "language": person.language or one.language,
                }
                for one, person in people
            ],
            as_json,
            lambda: table(
                "",
                ("id", "unit", "post", "name", "mobile", "landline"),
                [
                    (str(p.id), one.code, p.post.value, p.name, p.mobile, p.landline)
                    for one, p in people
                ],
            ),
        )
