"""An office of every earlier schema, with all that was in it, works on after an upgrade."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from gateway.store import migrate
from gateway.store.engine import make_engine
from tests import earlier
from tests.databases import SQLITE, Databases
from tests.letters import plain
from tests.office import Office

SCHEMAS = migrate.known()[:-1]
# One that was never the newest for long has no data of its own: a step on the way of the others.
WITH_DATA = [
    pytest.param(schema, marks=() if schema in earlier.kept() else pytest.mark.soak)
    for schema in SCHEMAS
]
Settle = Callable[[str], Office]


@pytest.fixture
def settle(databases: Databases, office_template: Path) -> Iterator[Settle]:
    """Makes an office as a schema's program has left it, on the database of the test."""
    made: list[Office] = []
    with tempfile.TemporaryDirectory(prefix="yz") as folder:  # short: gpg's sockets

        def make(schema: str) -> Office:
            url = "" if databases.kind == SQLITE else databases.empty()
            made.append(earlier.settle(schema, Path(folder, "o"), office_template, url))
            return made[-1]

        yield make
        for office in made:
            if office.process is not None:
                office.kill()


@pytest.mark.one_database("what is kept is the same for both")
@pytest.mark.parametrize("schema", earlier.kept())
def test_each_table_of_an_earlier_schema_has_rows_to_lose(schema: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rows.db'}"
    earlier.fill(schema, url)
    assert earlier.without_rows(url) == set()


def documents(office: Office) -> dict[str, int]:
    """How many records of evidence each document has."""
    engine = create_engine(office.database_url)
    with engine.connect() as connection:
        rows = connection.execute(text(
            "SELECT document_id, count(*) FROM evidence_records WHERE document_id IN "
            "(SELECT id FROM documents) GROUP BY document_id"
        )).all()  # fmt: skip
    engine.dispose()
    return {str(one): int(number) for one, number in rows}


@pytest.mark.parametrize("schema", WITH_DATA)
def test_an_office_of_an_earlier_schema_works_on(schema: str, settle: Settle) -> None:
    office = settle(schema)
    before = documents(office)
    assert before
    office.start()
    assert f"upgrade-begun schema={schema} to={migrate.known()[-1]}" in office.log

    # Every mailbox has got the folders for signing, in its own language.
    owners = office.sql("SELECT owner FROM mailbox_owners")
    for zh, en in (("已签收", "Signed"), ("退文", "Returned"), ("草稿", "Drafts")):
        made = office.sql("SELECT id FROM mailbox_folders WHERE name IN (?, ?)", zh, en)
        assert len(made) == len(owners)

    # What was there is there, and can be read.
    for document, records in before.items():
        found = office.settled(document)
        assert len(found["evidence"]) >= records
        octets = office.here("document", "export", document)
        assert hashlib.sha256(octets).hexdigest() == found["digest"]
    # What was left to do is done: the receipt of the last document before the upgrade.
    receipts = office.mailbox("unit:office")["回执"]
    last = [one for one in receipts if max(before).encode() in one]
    assert len(last) == 1
    for receipt in [*receipts, *office.mailbox("unit:water")["回执"]]:
        file = office.folder / "receipt.eml"
        file.write_bytes(receipt)
        office.here("receipt", "verify", str(file))  # fails if anything is not proved

    # New mail is taken from people who have their old passwords, and receipted.
    new = office.accept(
        "water", plain("water", "office", "和水报〔2026〕13号 关于水位的报告"), "office"
    )
    events = [one["event"] for one in office.settled(new)["evidence"]]
    assert events.count("ContentConsignment") == 1
    assert office.stop() == 0
    checked = office.run("fsck")
    assert "Nothing is wrong." in checked.stdout


@pytest.mark.one_database("a server's database is not copied")
def test_an_upgrade_keeps_the_database_as_it_was_and_one_such_copy_only(settle: Settle) -> None:
    office = settle(SCHEMAS[-1])
    state = office.folder / "state"
    (state / "yizhan-schema-0000.db").write_bytes(b"of an upgrade before")
    before = documents(office)
    with office.running():
        office.accept("water", plain("water", "office", "关于水位的报告"), "office")
    [kept] = [path for path in state.iterdir() if "schema" in path.name]
    assert kept.name == f"yizhan-schema-{SCHEMAS[-1]}.db"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"kept={kept}" in office.log

    # The way back: the copy in the place of the database is the office of before.
    for path in state.glob("yizhan.db*"):
        path.unlink()
    kept.rename(state / "yizhan.db")
    engine = make_engine(office.database_url)
    assert migrate.current(engine) == SCHEMAS[-1]
    engine.dispose()
    assert documents(office) == before
    with office.running():  # the newest again takes it up once more
        assert set(documents(office)) == set(before)
