"""The search for likely duplicates looks at the last day only, however often a text was sent."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from gateway.exchange.tables import documents

pytestmark = pytest.mark.one_database("the plan is SQLite's")


def test_a_text_that_was_sent_a_million_times_costs_no_more_than_one() -> None:
    engine = create_engine("sqlite://")
    documents.create(engine)
    with engine.connect() as connection:
        plan = connection.execute(
            text(
                "EXPLAIN QUERY PLAN SELECT id FROM documents WHERE mail_from = 'a' AND "
                "parts_digest = 'b' AND recipients_digest = 'c' AND received_at > 5 "
                "ORDER BY id LIMIT 1"
            )
        ).all()
    assert "mail_from=? AND parts_digest=? AND received_at>?" in str(plan)
