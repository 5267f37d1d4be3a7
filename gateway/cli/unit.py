"""`yizhan unit`: the organisations that send and receive, and the desks that they stand behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened, table
from gateway.cli.readiness import readiness
from gateway.directory.model import Level, UnitClass
from gateway.domain.document import MessageClass

if TYPE_CHECKING:
    from gateway.directory.model import Unit
    from gateway.directory.snapshot import Directory

app = typer.Typer(
    help="Units: add, list, show, change, remove, merge, readiness.", no_args_is_help=True
)
desk = typer.Typer(help="Desks: mailboxes for a task, such as report@.", no_args_is_help=True)
app.add_typer(desk, name="desk")
app.command("readiness")(readiness)

Code = Annotated[str, typer.Argument(metavar="CODE", help="The unit's code, such as water.")]
NAME = typer.Option("--name", help="Its name in Chinese.")
NAME_EN = typer.Option("--name-en", help="Its name in English.")
LEVEL = typer.Option("--level", help="Where it stands.")
CLASS = typer.Option("--class", help="What kind of organisation it is.")
LANGUAGE = typer.Option("--language", help="zh-CN or en: what its people read.")
PARENT = typer.Option("--parent", help="Code of the unit above it; '' for none.")
ORGAN_CODE = typer.Option("--organ-code", help="发文机关代字, such as 和水发.")
SEAL_LIMIT = typer.Option("--seal-limit", help="Seals it may have; -1: as the office sets.")
MARKS = typer.Option("--marks/--no-marks", help="Marks such as 〔特急〕〔章✓〕 in subjects.")
UNCHECKED = typer.Option(
    "--unchecked", help="Class that it may send encrypted and unread by the office; repeatable."
)
Names = Annotated[str, typer.Argument(metavar="NAME", help="The desk's name, such as report.")]


@app.command()
def add(
    code: Code,
    *,
    name: Annotated[str, NAME],
    name_en: Annotated[str, NAME_EN] = "",
    level: Annotated[Level, LEVEL] = Level.DISTRICT,
    unit_class: Annotated[UnitClass, CLASS] = UnitClass.BUREAU,
    language: Annotated[str, LANGUAGE] = "zh-CN",
    parent: Annotated[str, PARENT] = "",
    organ_code: Annotated[str, ORGAN_CODE] = "",
    seal_limit: Annotated[int, SEAL_LIMIT] = -1,
    marks: Annotated[bool, MARKS] = True,
    unchecked: Annotated[list[MessageClass] | None, UNCHECKED] = None,
    config: ConfigOption = None,
) -> None:
    """Add a unit. Its address is its code at the office's domain, for ever.

    Example: yizhan unit add water --name 水务局 --name-en "Water Bureau" --parent office
    """
    from gateway.directory.edit import add_unit

    with opened(config) as office:
        office.change_directory(
            lambda conn: add_unit(
                conn,
                code=code,
                name=name,
                name_en=name_en,
                level=level,
                unit_class=unit_class,
                language=language,
                parent=parent,
                organ_code=organ_code,
                seal_limit=_limit(seal_limit),
                subject_marks=marks,
                unchecked=frozenset(unchecked or ()),
                actor=office.actor,
                now=office.clock.now(),
            )
        )
        typer.echo(f"Added {code}@{office.config.office.domain}; `yizhan account add` lets it in.")


@app.command()
def change(
    code: Code,
    *,
    name: Annotated[str | None, NAME] = None,
    name_en: Annotated[str | None, NAME_EN] = None,
    level: Annotated[Level | None, LEVEL] = None,
    unit_class: Annotated[UnitClass | None, CLASS] = None,
    language: Annotated[str | None, LANGUAGE] = None,
    parent: Annotated[str | None, PARENT] = None,
    organ_code: Annotated[str | None, ORGAN_CODE] = None,
    seal_limit: Annotated[int | None, SEAL_LIMIT] = None,
    marks: Annotated[bool | None, MARKS] = None,
    unchecked: Annotated[list[MessageClass] | None, UNCHECKED] = None,
    checked: Annotated[bool, typer.Option("--checked", help="Undo all --unchecked.")] = False,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Open or close it.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change what is given; a former name is kept.

    Example: yizhan unit change water --name 水务管理局
    """
    from gateway.directory.edit import UnitChanges, change_unit

    given = UnitChanges()
    if name is not None:
        given["name"] = name
    if name_en is not None:
        given["name_en"] = name_en
    if level is not None:
        given["level"] = level
    if unit_class is not None:
        given["unit_class"] = unit_class
    if language is not None:
        given["language"] = language
    if parent is not None:
        given["parent"] = parent
    if organ_code is not None:
        given["organ_code"] = organ_code
    if seal_limit is not None:
        given["seal_limit"] = _limit(seal_limit)
    if marks is not None:
        given["subject_marks"] = marks
    if unchecked or checked:
        given["unchecked"] = frozenset(unchecked or ())
    if active is not None:
        given["active"] = active
    with opened(config) as office:
        office.change_directory(
            lambda conn: change_unit(
                conn, code, actor=office.actor, now=office.clock.now(), **given
            )
        )


@app.command()
def merge(
    code: Code,
    into: Annotated[str, typer.Option(help="Code of the unit that takes over.")],
    config: ConfigOption = None,
) -> None:
    """Close a unit; mail to it reaches the successor from now on.

    Example: yizhan unit merge parks --into urban
    """
    from gateway.directory.edit import merge_units

    with opened(config) as office:
        office.change_directory(
            lambda conn: merge_units(
                conn, code, into=into, actor=office.actor, now=office.clock.now()
            )
        )


@app.command()
def remove(code: Code, config: ConfigOption = None) -> None:
    """Remove a unit made by mistake. One that is in use can only be closed or merged.

    Example: yizhan unit remove watr
    """
    from gateway.directory.edit import remove_unit

    with opened(config) as office:
        office.remove_from_directory(
            lambda conn: remove_unit(conn, code, actor=office.actor, now=office.clock.now()),
            f"unit:{code}",
            if_used=f"unit {code!r} has had mail; close it with `yizhan unit change {code} "
            "--inactive` instead of removing it",
        )


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Closed and merged units too.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the units.

    Example: yizhan unit list --json
    """
    with opened(config) as office:
        directory = snapshot(office)
        units = [unit for unit in directory.units() if unit.active or everything]
        emit(
            [unit_facts(directory, unit) for unit in units],
            as_json,
            lambda: table(
                "",
                ("code", "name", "English", "class", "level", "state"),
                [
                    (
                        unit.code,
                        unit.name,
                        unit.name_en,
                        unit.unit_class.value,
                        unit.level.value,
                        _state(directory, unit),
                    )
                    for unit in units
                ],
            ),
        )


@app.command()
def show(code: Code, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a unit with its people, groups, roster and former names.

    Example: yizhan unit show water
    """
    from gateway.directory.edit import past_names
    from gateway.domain.clock import moment, rfc3339
    from gateway.errors import CommandError

    with opened(config) as office:
        directory = snapshot(office)
        unit = directory.unit(code)
        if unit is None:
            raise CommandError(f"there is no unit {code!r}; `yizhan unit list` shows all")
        facts = unit_facts(directory, unit)
        facts["accounts"] = [a.login for a in directory.accounts() if a.roles_in(unit.id)]
        facts["groups"] = [g.name for g in directory.groups() if unit.id in g.members]
        facts["duty"] = [
            f"{person.post}: {person.name} {person.mobile} {person.landline}".rstrip()
            for person in directory.duty(unit.id)
        ]
        facts["past_names"] = [
            {"name": name, "name_en": name_en, "until": rfc3339(moment(until))}
            for name, name_en, until in office.database.read_now(
                lambda conn: past_names(conn, unit.id)
            )
        ]
        emit(facts, as_json, lambda: table("", ("", unit.name), as_lines(facts)))


@desk.command("add")
def add_desk(
    name: Names,
    title: Annotated[str, typer.Option(help="What it is for, in Chinese.")],
    unit: Annotated[str, typer.Option(help="Code of the unit behind it.")],
    config: ConfigOption = None,
) -> None:
    """Add a desk with a mailbox of its own.

    Example: yizhan unit desk add report --title 信息报送 --unit office
    """
    from gateway.directory import edit

    with opened(config) as office:
        office.change_directory(
            lambda conn: edit.add_desk(
                conn,
                name=name,
                title=title,
                unit=unit,
                actor=office.actor,
                now=office.clock.now(),
            )
        )


@desk.command("remove")
def remove_desk(name: Names, config: ConfigOption = None) -> None:
    """Remove a desk; what lies in its mailbox stays in the store.

    Example: yizhan unit desk remove report
    """
    from gateway.directory import edit

    with opened(config) as office:
        office.remove_from_directory(
            lambda conn: edit.remove_desk(conn, name, actor=office.actor, now=office.clock.now()),
            f"desk:{name}",
        )


@desk.command("list")
def list_desks(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the desks.

    Example: yizhan unit desk list
    """
    with opened(config) as office:
        directory = snapshot(office)
        codes = {unit.id: unit.code for unit in directory.units()}
        rows = [(d.name, d.title, codes[d.unit_id]) for d in directory.desks()]
        emit(
            [dict(zip(("name", "title", "unit"), row, strict=True)) for row in rows],
            as_json,
            lambda: table("", ("name", "title", "unit"), rows),
        )


def snapshot(office: Office) -> Directory:
    """The directory of the opened office, now."""
    from gateway.directory.snapshot import load

    return office.database.read_now(lambda conn: load(conn, office.config.office.domain))


def as_lines(facts: dict[str, object]) -> list[tuple[str, str]]:
    """Facts as rows for people."""

    def words(value: object) -> str:
        match value:
            case bool():
                return "yes" if value else "no"
            case list():
                return "\n".join(words(one) for one in value)
            case dict():
                return ", ".join(str(one) for one in value.values() if one)
            case _:
                return "" if value is None else str(value)

    return [(key.replace("_", " "), words(value)) for key, value in facts.items()]


def unit_facts(directory: Directory, unit: Unit) -> dict[str, object]:
    """A unit as JSON shows it."""
    codes = {other.id: other.code for other in directory.units()}
    return {
        "code": unit.code,
        "name": unit.name,
        "name_en": unit.name_en,
        "address": str(unit.address),
        "level": unit.level.value,
        "class": unit.unit_class.value,
        "language": unit.language,
        "parent": codes[unit.parent_id] if unit.parent_id else None,
        "active": unit.active,
        "successor": codes[unit.successor_id] if unit.successor_id else None,
        "organ_code": unit.organ_code,
        "seal_limit": unit.seal_limit,
        "marks": unit.subject_marks,
        "unchecked": sorted(unit.unchecked),
    }


def _limit(given: int) -> int | None:
    return None if given < 0 else given


def _state(directory: Directory, unit: Unit) -> str:
    if unit.active:
        return "active"
    heir = directory.unit_by_id(unit.successor_id) if unit.successor_id else None
    return f"merged into {heir.code}" if heir else "closed"
