"""A store in which an office has lived: signed, unsigned, refused, sealed, reminded, summed up.

Living takes seconds, so each test process does it once for each kind of database and copies it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pysequoia import SignatureMode, Tsk, sign
from sqlalchemy import text

from gateway import config, resources
from gateway.backroom import _record
from gateway.errors import Refused
from gateway.exchange.mailroom import open_mailboxes
from gateway.fsck.check import check
from gateway.fsck.crew import Alone
from gateway.fsck.fault import Report
from gateway.fsck.heal.tools import Tools
from gateway.fsck.repair import Repairs, repair
from gateway.fsck.scope import Scope
from gateway.reminders import choices
from gateway.reminders.ladder import Ladder
from gateway.reminders.notifiers.log import LogNotifier
from gateway.reminders.worker import ReminderWorker
from gateway.seals import custody
from gateway.seals.custody import Entry
from gateway.store.blobs import FileBlobs
from gateway.store.database import Database
from gateway.templating import Templates
from tests import letters
from tests.databases import Databases
from tests.house import DOMAIN, NOW, House, make_database

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"
URGENT = "特急 和政办发〔2026〕6号 关于防汛工作的紧急通知"


@dataclass
class Lived:
    """The store, and the ids of what is in it."""

    folder: Path
    database: Database
    blobs: FileBlobs
    ids: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.ids[name]

    def examine(self, **scope: Any) -> Report:
        crew = Alone(self.database, self.blobs, DOMAIN)
        return check(self.database, crew, Scope(**scope))

    def repair(self, report: Report, **more: bool) -> Repairs:
        tools = Tools(
            self.blobs, open_mailboxes(self.blobs), DOMAIN, f"mail.{DOMAIN}",
            datetime.now(UTC) + timedelta(hours=2), **more,
        )  # fmt: skip
        return repair(self.database, report, tools, actor="test")

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """A statement by hand, past every constraint between tables; rows if there are any."""
        engine = self.database.engine
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            else:
                connection.exec_driver_sql("SET session_replication_role = replica")
            connection.commit()

            found = connection.execute(text(statement), values)
            rows = list(found) if found.returns_rows else []
            connection.commit()
            if engine.dialect.name == "sqlite":
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")
            else:
                connection.exec_driver_sql("SET session_replication_role = origin")
                connection.commit()
        return rows

    def one(self, statement: str, **values: Any) -> Any:
        """The one value of a query."""
        [row] = self.sql(statement, **values)
        return row[0]

    def change(self, table: str, row: object, change: str, **values: Any) -> None:
        """Change one row."""
        self.sql(f"UPDATE {table} SET {change} WHERE id = :id", id=row, **values)  # noqa: S608

    def blob(self, name: str) -> Path:
        [path] = self.folder.rglob(name)
        return path


async def live(house: House) -> dict[str, str]:
    """Let the office live; ids by name."""
    # Seals bear the true time, so the office lives now.
    house.later(seconds=max(0.0, (datetime.now(UTC) - NOW).total_seconds()))
    certificate = house.bureau.signer.certificate  # type: ignore[attr-defined]
    house.database.write_now(lambda c: custody.set_office_certificate(c, certificate))
    seal = _issue_seal(house)
    office = config.Office(domain=DOMAIN, name="和平区政府电子邮局")
    ladder = Ladder(office, choices.load(), Templates(resources.folder("templates")))
    means = house.means
    object.__setattr__(means, "ladder", ladder)
    reminders = ReminderWorker(
        house.database, LogNotifier(), lambda c, o: _record(c, means, o), house.clock,
        config.Reminders(),
    )  # fmt: skip
    ids = {}
    ids["signed"] = await house.accept(
        "office", letters.plain("office", "water education", URGENT), "water", "education"
    )
    await house.work()
    house.later(minutes=1)
    await house.sign(ids["signed"], "water")
    await house.work(minutes=30)
    await reminders.work()
    await house.work()
    octets = letters.sealed_by(
        letters.plain("office", "finance office", NOTICE),
        lambda body: sign(seal.signer(), body, mode=SignatureMode.DETACHED),
    )
    ids["sealed"] = await house.accept("office", octets, "finance", "office")
    house.later(minutes=1)
    with pytest.raises(Refused):
        await house.submit(
            "finance", letters.plain("finance", "office", "机密★1年 关于资金的函"), "office"
        )
    [ids["refused"]] = house.refusals()
    house.later(minutes=1)
    ids["declined"] = await house.accept(
        "water", letters.plain("water", "education finance", "函"), "education NEVER",
        "finance FAILURE",
    )  # fmt: skip
    ids["all"] = await house.accept("office", letters.plain("office", "all", NOTICE), "all")
    await house.work(minutes=1)
    house.later(minutes=1)
    ids["fresh"] = await house.accept("water", letters.plain("water", "office", "请示"), "office")
    return ids


def _issue_seal(house: House) -> Tsk:
    key = Tsk.generate("Seal <seal@heping.test>")
    certificate = key.extract_certificate()
    unit = house.directory.now().unit("office")
    assert unit is not None
    entry = Entry(certificate.fingerprint.upper(), bytes(certificate), None, "imported")
    house.database.write_now(
        lambda c: custody.enter(c, unit.id, entry, limit=3, actor="test", now=NOW)
    )
    return key


def _fill(url: str, folder: Path) -> None:
    """Make the template; in a thread, since the test has an event loop of its own."""

    async def work() -> None:
        house = House(folder, url)
        try:
            ids = await live(house)
        finally:
            await house.close()
        (folder / "ids.json").write_text(json.dumps(ids))

    make_database(url)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001  # raised in the test's own thread
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def copy(databases: Databases, templates: Path, folder: Path) -> Lived:
    """A copy of the store for one test."""
    template = templates / f"lived-{databases.kind}"
    template.mkdir(exist_ok=True)
    url = databases.copy("lived", lambda made: _fill(made, template), "yizhan")
    shutil.copytree(template / "blobs", folder / "blobs")
    ids = json.loads((template / "ids.json").read_text())
    return Lived(folder, Database(url, readers=1), FileBlobs(folder / "blobs"), ids)
