"""Heals the search index: it is emptied, and the post office makes it again."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.exchange.mailroom import open_index
from gateway.fsck.fault import Fault, Findings
from gateway.fsck.heal.tools import Tools
from gateway.fsck.search import check_search
from gateway.store.postgres import take_turn


def empty_index(connection: Connection, _fault: Fault, _tools: Tools) -> str:
    """Nothing is lost: until it is there again, whoever searches reads the mail itself."""
    take_turn(connection, "index")
    found = Findings()
    check_search(connection, found, quick=False)
    if not found.faults:
        return ""
    open_index().clear(connection)
    return "the search index was emptied; the running post office fills it again"
