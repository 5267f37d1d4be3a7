"""`yizhan fsck`: re-derive everything, name each fault, and repair what can be derived."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened
from gateway.cli.progress import Progress
from gateway.errors import CommandError, StoreError

if TYPE_CHECKING:
    from gateway.fsck.fault import Report
    from gateway.fsck.repair import Repairs

app = typer.Typer(help="Check that nothing is lost, double or changed; repair what can be.")

FAULTS, REPAIRED = 1, 3


@app.command()
def fsck(
    config: ConfigOption = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="FAMILY", help="Only this family of checks.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="ID|DATE", help="Only documents behind this id or date (UTC).")
    ] = "",
    document: Annotated[
        str, typer.Option(metavar="ID", help="Only this document or refusal.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Read no octets, verify one signature a document.")
    ] = False,
    views: Annotated[
        bool, typer.Option("--views", help="Compute also what each reader gets of each document.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each processor.")] = 0,
    repair: Annotated[
        bool, typer.Option("--repair", help="Heal what can be derived; evidence is not touched.")
    ] = False,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="With --repair: delete blobs of no document.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that every document, delivery, record and mailbox row is there, once and unchanged.

    May run beside the post office. Exit status: 0 nothing is wrong, 1 there are faults, 3 there
    were faults and all were repaired.

    Example: yizhan fsck --since 2026-11-01 --quick
    """
    from gateway.fsck.check import check, remember_report
    from gateway.fsck.crew import muster
    from gateway.fsck.scope import Scope

    if remove_orphans and not repair:
        raise CommandError("--remove-orphans goes with --repair; give both")
    scope = Scope(_families(only or []), _span(since, document), quick, views)
    with opened(config) as office:
        database = office.database
        crew = muster(office.config, database, scope, workers)
        progress = Progress()
        report = check(database, crew, scope, tell=lambda now: progress.say(now.sentence))
        progress.end()
        looked = report.counts["documents"] + report.counts["refusals"] + len(report.faults)
        if document and not looked:
            raise CommandError(f"there is no document {document}; see `yizhan document list`")
        repairs = _repair(office, report, remove_orphans) if repair else None
        if scope.whole:
            try:
                repaired = 0 if repairs is None else len(repairs.done)
                remember_report(database, report, office.clock.now(), repaired=repaired)
            except StoreError as error:
                sys.stderr.write(f"the result cannot be remembered: {error}\n")
    emit(_data(report, repairs), as_json, lambda: _show(report, repairs))
    if not report.clean:
        healed = repairs is not None and not repairs.left and not report.left_off
        raise typer.Exit(REPAIRED if healed else FAULTS)


def _repair(office: Office, report: Report, remove_orphans: bool) -> Repairs:
    from gateway.composition import compose_answers
    from gateway.exchange.mailroom import open_mailboxes
    from gateway.fsck.heal.tools import Tools
    from gateway.fsck.repair import repair
    from gateway.store.drivers import open_blobs

    blobs = open_blobs(office.config)
    tools = Tools(
        blobs,
        open_mailboxes(blobs),
        office.config.office.domain,
        office.config.office.host,
        office.clock.now(),
        remove_orphans,
        compose_answers(office.config),
    )
    return repair(office.database, report, tools, actor=office.actor)


def _families(names: list[str]) -> Any:
    from gateway.fsck.codes import Family

    known = [family.value for family in Family]
    for name in names:
        if name not in known:
            raise CommandError(f"--only is one of {', '.join(known)}, not {name!r}")
    return frozenset(Family(name) for name in names) or frozenset(Family)


def _span(since: str, document: str) -> Any:
    from gateway.domain.clock import milliseconds
    from gateway.domain.ids import is_id, new_id
    from gateway.fsck.scope import Span

    if document:
        if since:
            raise CommandError("--since and --document exclude each other; give one")
        return Span(only=document)
    if not since or is_id(since):
        return Span(after=since)
    try:
        day = datetime.fromisoformat(since)
    except ValueError:
        raise CommandError(
            f"--since {since!r} is neither an id nor a date like 2026-11-21"
        ) from None
    moment = day.astimezone(UTC) if day.tzinfo else day.replace(tzinfo=UTC)
    return Span(after=new_id(milliseconds(moment), bytes(10)))


def _data(report: Report, repairs: Repairs | None) -> dict[str, object]:
    done = [] if repairs is None else repairs.done
    return {
        "clean": report.clean,
        "whole": report.whole,
        "faults": [fault.data() for fault in report.faults],
        "repaired": [
            {"code": fault.code.value, "subject": fault.subject, "sentence": said}
            for fault, said in done
        ],
        "left_off": report.left_off,
        "codes": dict(report.by_code),
        "counts": dict(report.counts),
        "seconds": round(report.seconds, 3),
    }


def _show(report: Report, repairs: Repairs | None) -> None:
    for fault in report.faults if repairs is None else repairs.left:
        typer.echo(f"{fault.code.value}  {fault.sentence}")
    for fault, said in [] if repairs is None else repairs.done:
        typer.echo(f"{fault.code.value}  {fault.what}. Repaired: {said}.")
    if report.left_off:
        typer.echo(f"... and {report.left_off} more")
    counted = ", ".join(f"{number} {name}" for name, number in report.counts.items() if number)
    typer.echo(f"{counted or 'nothing'} checked in {report.seconds:.1f} s")
    if report.clean:
        typer.echo("Nothing is wrong.")
