"""Starts an office after a crash, without its doors: does what is left, and sends again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, select

from gateway import config_file
from gateway.daemon import PostOffice
from gateway.domain.address import Address
from gateway.domain.submission import ClientInfo, EnvelopeRecipient, Submission
from gateway.exchange.tables import outbox
from gateway.store.spool import Spool
from tests.crash.workload import Letter, Told

_TURNS = 50


def finish(path: Path, told: Iterable[Told], moment: int) -> list[str]:
    """Bring the office up, do all that is due, send again what was promised; what is wrong."""
    return asyncio.run(_finish(path, [one for one in told if one.promised(moment)], moment))


def fsck(path: Path) -> str:
    """What `yizhan fsck` finds, in words; empty if nothing is wrong."""
    from typer.testing import CliRunner

    from gateway.cli.fsck import app

    done = CliRunner().invoke(app, ["--config", str(path)], catch_exceptions=False)
    return "" if done.exit_code == 0 else done.output


async def _finish(path: Path, promised: list[Told], moment: int) -> list[str]:
    wrong: list[str] = []
    with _opened(path) as office:
        await office.backroom.reminders.start()
        office.backroom.outbox._node = office.database.read_now(_lessee)
        await office.backroom.outbox._reclaim()
        for _ in range(_TURNS):
            busy = [await office.backroom.sealer.turn(), await office.backroom.outbox.turn()]
            busy.append(bool(await office.backroom.reminders.work()))
            if not any(busy):
                break
        else:
            wrong.append("there is always more to do")
        directory = await office.premises.directory.current()
        for one in promised:
            account = directory.account(one.letter.sender)
            assert account is not None
            accepted = await office.intake.exchange.accept(
                _submission(office, account.id, account.address, one.letter)
            )
            if accepted.document_id != one.document:
                wrong.append(f"{one.letter.key}: a resend got another id")
    return wrong


def _lessee(connection: Connection) -> str:
    """The node that had leased work, which is this one: its files only lie in another folder."""
    found = connection.scalars(select(outbox.c.lessee).where(outbox.c.lease_until > 0)).first()
    return (found or "").partition("/")[0]


@contextmanager
def _opened(path: Path) -> Iterator[PostOffice]:
    office = PostOffice(config_file.load(path), path)
    office.database.start()
    try:
        yield office
    finally:
        assert office.intake is not None
        office.intake.shut()
        office.hashing.shutdown()
        office.intake.inspector._threads.shutdown()
        office.database.stop()
        if office.opener is not None:
            office.opener.close()


def _submission(office: PostOffice, account: int, sender: Address, letter: Letter) -> Submission:
    content = Spool(office.config.state.directory, len(letter.octets))
    content.write(letter.octets)
    content.finish()
    notify = frozenset({letter.notify} if letter.notify else ())
    return Submission(
        account_id=account,
        sender=sender,
        recipients=tuple(
            EnvelopeRecipient(Address(one, office.config.office.domain), notify)
            for one in letter.recipients
        ),
        content=content,
        client=ClientInfo("192.0.2.7"),
        received_at=office.clock.now(),
    )
