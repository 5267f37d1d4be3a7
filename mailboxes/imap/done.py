"""How a command ended: its tagged response."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Status, response code (RFC 5530) and text."""

    text: str
    code: str = ""
    status: str = "OK"
