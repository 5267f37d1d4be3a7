"""What can go wrong in a session beside what the ports raise."""

from __future__ import annotations


class Wrong(Exception):
    """The command is no POP3, or not to be said now; the text is the answer."""


class Cut(Exception):
    """An answer could not be finished: the connection is cut, so that nobody takes it for whole."""
