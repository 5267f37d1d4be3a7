"""`yizhan log`: everything about one document, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import screen
from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.cli.when import local, local_seconds
from gateway.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.survey.search import Match
    from gateway.survey.story import Step, Story

app = typer.Typer(help="Everything about one document, in the order in which it happened.")

_AT_ONCE = 4  # more of the same at one moment stand on one line


@app.command()
def log(
    word: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of a document, refusal, reminder or piece of evidence (or its first 8 letters "
            "or more), Message-ID, 文号, or number in the evidence log such as #1207.",
        ),
    ],
    every: Annotated[
        bool, typer.Option("--all", help="A line for each recipient, however many.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell everything about one document or refusal: verdict, deliveries, evidence, reminders.

    Neither the title nor anything of the content is shown. If the word names several documents,
    they are listed, and the exit status is 1.

    Example: yizhan log 和水报〔2026〕13号
    """
    from gateway.directory.snapshot import load
    from gateway.survey.search import find_matches
    from gateway.survey.story import tell

    with opened(config) as office:

        def find(connection: Any) -> tuple[list[Match], Story | None]:
            matches = find_matches(connection, word)
            if len(matches) != 1:
                return matches, None
            directory = load(connection, office.config.office.domain)
            return matches, tell(connection, matches[0].id, directory)

        matches, story = office.database.read_now(find)
    if not matches:
        raise CommandError(
            f"nothing here is called {word!r}; give the id of a document, refusal or piece of "
            "evidence, a Message-ID or a 文号 (`yizhan document list` has the newest)"
        )
    if story is None:
        emit({"matches": [_plain(asdict(one)) for one in matches]}, as_json, lambda: _list(matches))
        raise typer.Exit(1)
    told = story
    emit(_data(told), as_json, lambda: _show(told, every))


def _data(story: Story) -> dict[str, Any]:
    return {**story.facts, "steps": [_plain(asdict(step)) for step in story.steps]}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    from gateway.domain.clock import rfc3339

    return {name: rfc3339(v) if name == "at" else v for name, v in values.items()}


def _list(matches: list[Match]) -> None:
    screen.say(f"{len(matches)} have that name; give the id of one:\n")
    columns = ("id", "received", "from", "文号", "")
    rows = (
        (one.id, local(one.at), one.sender, one.number, "refused" if one.refused else "")
        for one in matches
    )
    screen.say(screen.table("", columns, rows).rstrip("\n"))


def _show(story: Story, every: bool) -> None:
    for line in _head(story.facts):
        screen.say(screen.clean(line))
    screen.say()
    shift = ""
    for at, said, mark in _lines(story.steps, every):
        day, time, shift = local_seconds(at).split()
        screen.say(
            f"{screen.paint(f'{day} {time} {shift}', 'cyan')}  {screen.clean(said)}"
            f"{screen.paint(f'  {mark}', 'dim') if mark else ''}"
        )


def _head(facts: dict[str, Any]) -> Iterator[str]:
    yield f"{facts['id']}  {facts['state']}"
    sender = facts["sender"]
    yield f"  from     {sender['address']} (unit {sender['unit']}, account {sender['account']})"
    if facts["message_id"]:
        yield f"  mail     {facts['message_id']}"
    found = facts.get("metadata")
    if found is None:
        yield f"  verdict  refused by rule {facts['rule']}: {facts['reply']}"
    else:
        number = f"{found['number']}, " if found["number"] else ""
        rule = f", by rule {facts['rule']}" if facts.get("rule") else ""
        yield f"  verdict  {number}class {found['class']}, urgency {found['urgency']}{rule}"
        seal = facts["seal"]
        of = f" {seal['fingerprint'][-16:]}" if seal["fingerprint"] else ""
        yield f"  seal     {seal['state']}{of}"
        if found["warnings"]:
            yield f"  noticed  {', '.join(found['warnings'])}"
        if found["possible_duplicate_of"]:
            yield f"  perhaps the same as {found['possible_duplicate_of']}"
    yield f"  content  {facts['size']} octets, sha256 {facts['digest']}"
    states = [one["state"] for one in facts["recipients"]]
    if states:
        counted = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
        yield f"  to       {len(states)} recipients: {counted}"


def _lines(steps: tuple[Step, ...], every: bool) -> Iterator[tuple[datetime, str, str]]:
    """Time, what happened, the mark of the evidence.

    Where the same happened to many within a second, what happened in that second is told kind by
    kind, one line for each.
    """
    for _, group in groupby(steps, key=lambda step: step.at.replace(microsecond=0)):
        same = list(group)
        kinds: dict[tuple[str, str], list[Step]] = {}
        for step in same:
            kinds.setdefault((step.kind, step.event), []).append(step)
        if every or all(len(alike) <= _AT_ONCE for alike in kinds.values()):
            yield from map(_line, same)
            continue
        for alike in kinds.values():
            yield from map(_line, alike) if len(alike) <= _AT_ONCE else [_line_for_all(alike)]


def _line(step: Step) -> tuple[datetime, str, str]:
    detail = f" ({step.detail})" if step.detail else ""
    return step.at, f"{step.says} {step.subject}{detail}".rstrip(), _mark(step)


def _line_for_all(alike: list[Step]) -> tuple[datetime, str, str]:
    first, last = alike[0], alike[-1]
    detail = f" ({first.detail})" if first.detail and len({s.detail for s in alike}) == 1 else ""
    marks = f"{_mark(first)} to {_mark(last)}" if first.evidence else ""
    return first.at, f"{first.says} {len(alike)} recipients{detail}", marks


def _mark(step: Step) -> str:
    if not step.evidence:
        return step.event if step.kind == "refusal" else ""
    return f"{step.evidence} " + (
        "not yet in the log" if step.number is None else f"#{step.number}"
    )
