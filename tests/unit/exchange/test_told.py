"""The operator reads one line for each mail that was taken, and finds documents by any case."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from structlog.testing import capture_logs

from gateway.exchange.documents import Filter, _conditions
from tests import letters
from tests.house import House


async def test_each_mail_taken_is_one_line_of_the_log(house: House) -> None:
    octets = letters.plain("office", "water", "和政办发〔2026〕5号 关于召开会议的通知")
    for repeated in (False, True):
        with capture_logs() as lines:
            document_id = await house.accept("office", octets, "water")
        [line] = [line for line in lines if line["event"].startswith("accepted")]
        assert (line["document"], line["repeated"]) == (document_id, repeated)
        assert (line["account"], line["unit"], line["peer"]) == ("office", "office", "192.0.2.7")
        assert (line["size"], line["recipients"]) == (len(octets), 1)
        assert repeated or (line["message_class"], line["seal"]) == ("document", "missing")


def test_a_title_is_found_in_upper_and_lower_case_on_either_database() -> None:
    [condition] = _conditions(Filter(text="GDP"))
    for dialect in (postgresql.dialect(), sqlite.dialect()):
        said = str(condition.compile(dialect=dialect)).lower()
        assert said.count("ilike") == 2 or said.count("lower(") == 4
