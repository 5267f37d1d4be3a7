"""What a command is: who may give it, and who carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

LOGGED_OUT, LOGGED_IN, SELECTED = 0, 1, 2


class Run(Protocol):
    """Carries a command out; the grammar stands behind its name.

    Raises SyntaxFault, Refusal, Unavailable, and what the mailboxes raise.
    """

    async def __call__(self, session: Session, grammar: Grammar, *, uid: bool) -> Done: ...


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    run: Run
    needs: int  # the state of the session in which it may be given
    expunges: bool = True  # whether the client may be told of removed messages at its end
