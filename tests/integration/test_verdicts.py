"""The verdict on each file of real mail under the shipped policy is the one in the table.

`tests/data/verdicts.toml` was reviewed by hand, row by row. Nearly all of this mail is from
strangers and is refused for that alone, so each row has a second verdict: what the same mail would
meet if its From and To were ours (the checks `identity` and `blindcopy` off).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import config_file
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory, load
from gateway.domain.address import Address
from gateway.domain.submission import ClientInfo, EnvelopeRecipient, Submission
from gateway.policy.collect import collect
from gateway.policy.engine import Policy
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.policy.verdict import Outcome, Verdict
from gateway.seals.book import SealBook
from gateway.seals.custody import load_book
from gateway.store.database import Database
from gateway.store.spool import Spool
from tests import realmail

TABLE = Path(__file__).parent.parent / "data" / "verdicts.toml"
SENDER, RECIPIENT = "office", "water"
FOREIGN = ("identity", "blindcopy")
NOW = datetime(2026, 3, 5, 1, 30, tzinfo=UTC)


class Trial:
    """Judges mail as the running office would, without taking it."""

    def __init__(self, office: Path) -> None:
        self.settings = config_file.load(office / "yizhan.toml")
        database = Database(self.settings.state.database_url, readers=1)
        self.directory: Directory = database.read_now(
            lambda c: load(c, self.settings.office.domain)
        )
        self.book: SealBook = database.read_now(load_book)
        database.stop()
        self.policy = Policy.load(None)
        account, unit = self.directory.account(SENDER), self.directory.unit(SENDER)
        assert account is not None
        assert unit is not None
        self.account: Account = account
        self.unit: Unit = unit

    async def judge(self, inspector: Inspector, wire: bytes) -> dict[str, str]:
        """Both verdicts on one message, in the words of the table."""
        content = Spool(self.settings.state.directory, memory=len(wire))
        content.write(wire)
        content.finish()
        domain = self.settings.office.domain
        submission = Submission(
            account_id=self.account.id,
            sender=Address.parse(f"{SENDER}@{domain}"),
            recipients=(EnvelopeRecipient(Address.parse(f"{RECIPIENT}@{domain}")),),
            content=content,
            client=ClientInfo("127.0.0.1"),
            received_at=NOW,
        )
        inspection = await inspector.inspect(
            content, unit_id=self.unit.id, book=self.book, opener=None, at=NOW, mt_priority=None
        )
        found = {}
        for name, off in (("shipped", ()), ("if-ours", FOREIGN)):
            facts = await collect(
                submission, inspection, self.directory, self.account, self.unit, self.book,
                self.settings.policy.model_copy(update={"disabled_checks": [*off]}), Rates(), None,
            )  # fmt: skip
            found[name] = words(self.policy.decide(facts))
        content.close()
        return found


def words(verdict: Verdict) -> str:
    """A verdict as the table says it: `refuse: rule`, or `accept: class, warning, ...`."""
    if verdict.outcome is not Outcome.ACCEPT:
        return f"{verdict.outcome.value}: {verdict.rule}"
    return ", ".join((f"accept: {verdict.message_class.value}", *verdict.warnings))


async def verdicts(
    office: Path, files: Sequence[Path], shared_data: Path
) -> dict[str, dict[str, str]]:
    trial = Trial(office)
    settings = trial.settings
    inspector = Inspector(settings.policy, settings.seals, settings.office.host)
    await inspector.start()
    try:
        return {
            realmail.name(path, shared_data): await trial.judge(
                inspector, realmail.on_the_wire(path.read_bytes())
            )
            for path in files
        }
    finally:
        await inspector.close()


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    return dict(tomllib.loads(TABLE.read_text(encoding="utf-8")))


async def test_the_verdict_on_each_file_is_the_one_in_the_table(
    office_template: Path, shared_data: Path, table: dict[str, dict[str, str]]
) -> None:
    files = realmail.files(shared_data)
    assert sorted(table) == [realmail.name(path, shared_data) for path in files]
    found = await verdicts(office_template, files, shared_data)
    assert {name: both for name, both in found.items() if both != table[name]} == {}


def test_each_rule_and_class_in_the_table_is_one_of_the_shipped_policy(
    table: dict[str, dict[str, str]],
) -> None:
    rules = {rule.name for file in Policy.load(None).files for rule in file.rules}
    for name, row in table.items():
        for verdict in row.values():
            outcome, _, what = verdict.partition(": ")
            assert outcome in ("accept", "refuse"), name
            if outcome == "refuse":
                assert what in rules, name
