"""`yizhan document`: what the post office has accepted, and everything about one document."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import screen
from gateway.cli.office import ConfigOption, JsonOption, emit, opened, table
from gateway.errors import CommandError

app = typer.Typer(help="Documents: list, show, export.", no_args_is_help=True)


@app.command("list")
def list_(
    config: ConfigOption = None,
    unit: Annotated[str, typer.Option(help="Sent or received by this unit (code).")] = "",
    since: Annotated[datetime | None, typer.Option(help="Received at or after (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Received before (UTC).")] = None,
    state: Annotated[
        str, typer.Option(help="With a delivery: consigned, signed, returned, failed.")
    ] = "",
    urgency: Annotated[str, typer.Option(help="extra, urgent or normal.")] = "",
    class_: Annotated[
        str, typer.Option("--class", help="document, notice, information or mail.")
    ] = "",
    text: Annotated[str, typer.Option(help="In the title or the number.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the newest documents.

    Example: yizhan document list --unit water --state consigned --urgency extra
    """
    from gateway.directory.snapshot import load
    from gateway.domain.document import DeliveryState, MessageClass, Urgency
    from gateway.exchange.documents import Filter, list_documents

    _one_of("--state", state, DeliveryState)
    _one_of("--urgency", urgency, Urgency)
    _one_of("--class", class_, MessageClass)
    with opened(config) as office:

        def find(connection: Any) -> list[dict[str, Any]]:
            directory = load(connection, office.config.office.domain)
            unit_id = None
            if unit:
                found = directory.unit(unit)
                if found is None:
                    raise CommandError(f"there is no unit {unit}; see `yizhan unit list`")
                unit_id = found.id
            wanted = Filter(
                unit_id=unit_id,
                since=since and _utc(since),
                until=until and _utc(until),
                state=state,
                urgency=urgency,
                message_class=class_,
                text=text,
                limit=limit,
            )
            return list_documents(connection, wanted, directory)

        rows = office.database.read_now(find)
    emit(rows, as_json, lambda: _table(rows))


@app.command()
def show(
    document: Annotated[str, typer.Argument(metavar="ID", help="Document or refusal id.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one document: a time line for people, or everything with --json.

    Where the same happened to many recipients within a second, one line stands for all.

    Example: yizhan document show 06hs3kx9qe7w2v5m8n4r1t0abc --json
    """
    with opened(config) as office:
        found = describe(office, document)
    emit(found, as_json, lambda: timeline(found))


@app.command()
def export(
    document: Annotated[str, typer.Argument(metavar="ID", help="Document id.")],
    config: ConfigOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: stdout.")
    ] = None,
) -> None:
    """Write the exact octets of a document, as they came over the wire.

    Example: yizhan document export 06hs3kx9qe7w2v5m8n4r1t0abc -o notice.eml
    """
    from gateway.store.drivers import open_blobs

    with opened(config) as office:
        try:
            source = open_blobs(office.config).open(document)
        except (FileNotFoundError, ValueError):
            raise CommandError(
                f"there is no document {document}; see `yizhan document list`"
            ) from None
        with source:
            if output is None:
                shutil.copyfileobj(source, sys.stdout.buffer)
            else:
                try:
                    with open(output, "xb", opener=_for_us_alone) as file:
                        shutil.copyfileobj(source, file)
                except FileExistsError:
                    raise CommandError(f"{output} exists already; name another file") from None


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def describe(office: Any, document: str) -> dict[str, Any]:
    """Everything about one document, its reminders too. Raises CommandError if it is unknown."""
    from gateway.directory.snapshot import load
    from gateway.domain.clock import rfc3339
    from gateway.exchange.documents import show_document
    from gateway.reminders import book

    def find(connection: Any) -> dict[str, Any]:
        directory = load(connection, office.config.office.domain)
        found = show_document(connection, document, directory)
        if found is None:
            raise CommandError(f"there is no document {document}; see `yizhan document list`")
        found["reminders"] = [
            {
                "id": one.id,
                "delivery": one.delivery_id,
                "name": one.name,
                "number": one.number,
                "language": one.language,
                "step": one.step,
                "state": one.state.value,
                "due": rfc3339(one.due_at),
                "handed_over": None if one.handed_over_at is None else rfc3339(one.handed_over_at),
                "notifier": one.notifier,
                "attempts": one.attempts,
                "error": one.last_error,
            }
            for one in book.of_document(connection, document)
        ]
        return found

    data: dict[str, Any] = office.database.read_now(find)
    return data


def timeline(found: dict[str, Any]) -> None:
    """Print one document as a time line."""
    screen.say(f"{screen.paint(found['id'], 'bold')}  {found['state']}")
    metadata = found.get("metadata")
    if metadata:
        number = f"{metadata['number']}  " if metadata["number"] else ""
        screen.say(f"  {screen.clean(number + metadata['title'])}")
        screen.say(
            f"  class {metadata['class']}, urgency {metadata['urgency']}, "
            f"seal {found['seal']['state']}"
        )
    else:
        screen.say(f"  refused by rule {found['rule']}: {screen.clean(found['reply'])}")
    sender = found["sender"]
    screen.say(f"  from {sender['address']} (unit {sender['unit']}, {sender['account']})")
    screen.say(f"  {found['size']} octets, sha256 {found['digest']}")
    searched = found.get("search", {})
    if searched.get("reason"):
        screen.say(f"  not all of it can be searched: {screen.clean(searched['reason'])}")
    for time, event, who, detail, mark in _steps(found):
        screen.say(
            f"  {screen.paint(time, 'cyan')}  {screen.pad(event, 34)} "
            f"{screen.pad(screen.clean(who), 32)} {screen.clean(detail)} "
            f"{screen.paint(mark, 'dim')}".rstrip()
        )


_AT_ONCE = 4  # more of the same within a second stand on one line; --json has each
_SECOND = len("2026-11-21T17:55:00")


def _steps(found: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The lines of the time line: evidence in its order and reminders, second by second."""
    steps = [
        (e["time"], e["event"], e["recipient"], _reasons(e), f"#{e['sequence']}")
        for e in found["evidence"]
    ]
    steps += [
        (r["due"], f"reminder {r['state']}", r["name"], r["number"], r["id"][-6:])
        for r in found.get("reminders", [])
    ]
    steps.sort(key=lambda step: step[0][:_SECOND])  # stable: evidence keeps its own order
    lines = []
    for _, group in groupby(steps, key=lambda step: (step[0][:_SECOND], step[1])):
        same = list(group)
        if len(same) <= _AT_ONCE:
            lines += same
            continue
        time, event, _, detail, mark = same[0]
        shared = detail if {one[3] for one in same} == {detail} else ""
        marks = f"{mark} to {same[-1][4]}" if mark.startswith("#") else ""
        lines.append((time, event, f"{len(same)} recipients", shared, marks))
    return lines


def _reasons(event: dict[str, Any]) -> str:
    """Why, or who and in which way; a return is both."""
    way = next((f"({r['detail']})" for r in event["reasons"] if r["code"] == "Way"), "")
    codes = "; ".join(r["code"] for r in event["reasons"] if r["code"] not in ("Way", "Other"))
    said = "; ".join(r["detail"] for r in event["reasons"] if r["code"] == "Other")
    if event["reasons"] and not way:
        return "; ".join(reason["code"] for reason in event["reasons"])
    actor = event["actor"] or {}
    return " ".join(
        part for part in (actor.get("name"), actor.get("account"), way, codes, said) if part
    )


def _utc(when: datetime) -> datetime:
    """The moment in UTC; without an offset it is meant as UTC."""
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def _one_of(option: str, value: str, choices: Any) -> None:
    known = [choice.value for choice in choices]
    if value and value not in known:
        raise CommandError(f"{option} is one of {', '.join(known)}, not {value!r}")


def _table(rows: list[dict[str, Any]]) -> None:
    table(
        "",
        ["id", "received", "from", "class", "urgency", "seal", "signed", "number", "title"],
        [
            [
                row["id"],
                row["received"][:19],
                row["unit"],
                row["class"],
                row["urgency"],
                row["seal"],
                f"{row['signed']}/{row['recipients']}",
                row["number"],
                row["title"],
            ]
            for row in rows
        ],
    )
