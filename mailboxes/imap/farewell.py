"""The end of a session."""

from __future__ import annotations


class Leave(Exception):
    """The session ends; with this BYE, if there is a text."""


class Silent(Exception):
    """The command has been answered already."""
