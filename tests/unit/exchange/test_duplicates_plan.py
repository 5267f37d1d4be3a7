"""The search for likely duplicates looks at the last day only, however often a text was sent."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from gateway.exchange.earlier import _DUPLICATE
from gateway.exchange.tables import documents

pytestmark = pytest.mark.one_database("the plan is SQLite's")


def test_a_text_that_was_sent_a_million_times_costs_no_more_than_one() -> None:
    engine = create_engine("sqlite://")
    documents.create(engine)
    asked: list[str] = []
    values = {"sender": "a", "parts_digest": b"b", "recipients": b"c", "since": 5}
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(asked.append)
        assert _DUPLICATE.scalar(connection, values) is None
        driver.set_trace_callback(None)
        (question,) = (one for one in asked if one.startswith("SELECT"))
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {question}")).all()
    assert "mail_from=? AND parts_digest=? AND received_at>?" in str(plan)
