"""`yizhan status`: the office on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer

from gateway.cli import screen
from gateway.cli.office import ConfigOption, JsonOption, emit, opened
from gateway.cli.when import ago, local, span

if TYPE_CHECKING:
    from gateway.store.facts import Known
    from gateway.survey.figures import Queue, Unsigned
    from gateway.survey.running import Running
    from gateway.survey.status import Disk, Status

    Line = tuple[str, str, bool]  # its name, what it says, whether somebody should look

app = typer.Typer(help="How the office stands, on one screen.")


@app.command()
def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show how the office stands: what is open, what waits, what ends soon.

    Works whether the post office runs or not, and says which. A line that somebody should look at
    begins with `!`. The exit status is 0 whatever it shows: `yizhan doctor` is the one that judges.

    Example: yizhan status --json
    """
    from gateway.survey.status import as_data, take_status

    with opened(config) as office:
        taken = take_status(office.config, office.database, office.clock.now())
        hours = office.config.backup.warn_hours
    emit(as_data(taken), as_json, lambda: _show(taken, hours))


def _show(taken: Status, backup_hours: float) -> None:
    screen.say(screen.paint(f"{taken.office} ({taken.domain})  {local(taken.now)}", "bold"))
    for name, said, attention in _lines(taken, backup_hours):
        mark = screen.paint("!", "red") if attention else " "
        first, *more = screen.clean_lines(said)
        screen.say(f"{mark} {name:<12}{screen.paint(first, 'yellow') if attention else first}")
        for line in more:
            screen.say(f"{'':14}{line}")


def _lines(taken: Status, backup_hours: float) -> Iterator[Line]:
    books, now = taken.books, taken.now
    yield from _running(taken.running)
    yield "today", ", ".join(f"{n} {word}" for word, n in books.today.items()), False
    yield from _unsigned(books.unsigned, now)
    yield from _queue(books.queue)
    if books.held is not None:
        backup = books.held.value.get("backup_at", "")
        said = f"restored from the backup of {backup}; nothing goes out until"
        yield "held", f"{said} `yizhan restore release`", True
    yield from (_disk(one) for one in taken.disks)
    yield (
        "ends soon",
        "\n".join(one.sentence(now) for one in books.ends) or "nothing within 30 days",
        bool(books.ends),
    )
    yield _backup(books.backup, now, backup_hours)
    yield _fsck(books.fsck, now)


def _running(running: Running) -> Iterator[Line]:
    if not running.here:
        yield "post office", "does not run", True
        return
    process = f" (process {running.process})" if running.process else ""
    since = "" if running.since is None else f" since {local(running.since)}"
    health = running.health or "the health page does not answer"
    yield "post office", f"runs{since}{process}, health: {health}", running.health != "ok"
    for part, sentence in running.troubles.items():
        yield f"  {part}", sentence, True
    if running.locked_logins:
        yield "locked", f"{running.locked_logins} logins, after wrong passwords", True


def _unsigned(unsigned: Unsigned, now: datetime) -> Iterator[Line]:
    if not unsigned.deliveries:
        yield "unsigned", "nothing", False
        return
    late = f", {unsigned.overdue} overdue" if unsigned.overdue else ""
    said = (
        f"{_count(unsigned.deliveries, 'delivery', 'deliveries')} of "
        f"{_count(unsigned.documents, 'document', 'documents')}{late}"
    )
    if unsigned.overdue_at:
        said += "\noverdue at " + ", ".join(f"{c} ({n})" for c, n in unsigned.overdue_at.items())
    yield "unsigned", said, bool(unsigned.overdue)
    oldest = unsigned.oldest
    if oldest is not None:
        more = f" and {oldest.missing - len(oldest.owners)} more"
        names = ", ".join(owner.removeprefix("unit:") for owner in oldest.owners)
        yield (
            "oldest",
            f"{oldest.id} {oldest.number} ({oldest.urgency}), {ago(oldest.received, now)}\n"
            f"missing: {names}{more if oldest.missing > len(oldest.owners) else ''}; "
            + _deadline(oldest.deadline, now),
            oldest.deadline < now,
        )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _deadline(deadline: datetime, now: datetime) -> str:
    if deadline < now:
        return f"the deadline passed {ago(deadline, now)}"
    return f"the deadline is in {span(deadline - now)}"


def _queue(queue: Queue) -> Iterator[Line]:
    said = f"{queue.letters} letters wait, {queue.planned} are planned for later"
    if queue.failing:
        said += f", {queue.failing} keep failing (the log says why)"
    yield "queue", said, bool(queue.failing)
    failed = f", {queue.reminders_failed} of today have failed" if queue.reminders_failed else ""
    yield "reminders", f"{queue.reminders} wait{failed}", bool(queue.reminders_failed)
    if queue.records:
        yield "evidence", f"{queue.records} records wait for the log", False


def _disk(disk: Disk) -> Line:
    part = disk.free / disk.total if disk.total else 0
    said = f"{disk.free / 1e9:.1f} GB of {disk.total / 1e9:.1f} GB are free ({part:.0%})"
    return "disk", f"{said}, {disk.path}", disk.short


def _backup(made: Known | None, now: datetime, hours: float) -> Line:
    if made is None:
        return "last backup", "none was made yet", True
    said = f"{ago(made.at, now)}, {local(made.at)}, in {made.value.get('directory', '')}"
    return "last backup", said, bool(hours) and now - made.at > timedelta(hours=hours)


def _fsck(done: Known | None, now: datetime) -> Line:
    if done is None:
        return "last fsck", "none was made yet", False
    left = int(done.value.get("left", 0))
    found = f"{left} faults are left" if left else "nothing was wrong"
    return "last fsck", f"{ago(done.at, now)}, {local(done.at)}: {found}", bool(left)
