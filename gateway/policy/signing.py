"""The office's choices for signing: where documents wait, the words, what a read receipt counts as.

They are data in `policies/signing.toml`; a file that cannot be used never comes into force.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway import rule_file
from gateway.domain.script import fold
from gateway.domain.states import Act

FILE_NAME = "signing.toml"

Word = Annotated[str, Field(min_length=1, max_length=40)]
Words = Annotated[tuple[Word, ...], Field(max_length=50)]


class Waiting(StrEnum):
    """Where what must be signed for waits."""

    INBOX = "inbox"
    TO_SIGN = "to-sign"  # 待签收


class Counts(StrEnum):
    """What a read receipt counts as."""

    SIGNED = "signed"
    OPENED = "opened"
    NOTHING = "nothing"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ReadReceipt(_Table):
    """What a read receipt counts as, by the kind of the login that sent it."""

    personal: Counts = Counts.SIGNED
    shared: Counts = Counts.OPENED

    @field_validator("shared")
    @classmethod
    def _names_nobody(cls, shared: Counts) -> Counts:
        if shared is Counts.SIGNED:
            raise ValueError("a read receipt names nobody, so a shared login cannot sign by it")
        return shared


class Vocabulary(_Table):
    """The words of one language, in any script, width and case."""

    language: str
    sign: Words
    with_name: Words = ()
    return_: Words = Field(default=(), alias="return")
    bare_return: Words = ()
    no_names: Words = ()

    @field_validator("sign", "with_name", "return_", "bare_return", "no_names")
    @classmethod
    def _as_compared(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(fold(word) for word in words)


class Case(_Table):
    """One row of the file's own table of cases."""

    text: str
    act: Act | None
    name: str = ""
    reason: str = ""

    @field_validator("act", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "" else value


class Signing(_Table):
    """The whole file."""

    wait_in: Waiting = Waiting.INBOX
    automatic_seconds: Annotated[float, Field(ge=0, le=3600)] = 5
    address_days: Annotated[int, Field(ge=1, le=3660)] = 366
    read_receipt: ReadReceipt = ReadReceipt()
    words: Annotated[tuple[Vocabulary, ...], Field(min_length=1)]
    case: tuple[Case, ...] = ()

    @property
    def automatic(self) -> timedelta:
        """So soon after delivery no person has read anything."""
        return timedelta(seconds=self.automatic_seconds)

    @property
    def good_for(self) -> timedelta:
        """How long an action address is good."""
        return timedelta(days=self.address_days)

    @property
    def sign(self) -> frozenset[str]:
        """The words that sign, folded."""
        return frozenset(word for one in self.words for word in one.sign)

    @property
    def with_name(self) -> frozenset[str]:
        """Those after which a name may stand."""
        return frozenset(word for one in self.words for word in one.with_name)

    @property
    def returning(self) -> frozenset[str]:
        """The words that return."""
        return frozenset(word for one in self.words for word in (*one.return_, *one.bare_return))

    @property
    def bare_return(self) -> frozenset[str]:
        """Those after which the reason may stand without a colon."""
        return frozenset(word for one in self.words for word in one.bare_return)

    @property
    def no_names(self) -> frozenset[str]:
        """What stands after such a word and is nobody's name."""
        return frozenset(word for one in self.words for word in one.no_names)


class LiveSigning:
    """The choices in force, which a reload replaces."""

    def __init__(self, choices: Signing | None = None) -> None:
        self.now = choices if choices is not None else load()

    def adopt(self, choices: Signing) -> None:
        """Use other choices from the next act on (SIGHUP)."""
        self.now = choices


def load(directory: Path | None = None) -> Signing:
    """Read the file from the office's policy folder, else the shipped one.

    Raises ConfigurationError with one sentence for each fault, naming file and key.
    """
    return rule_file.load(Signing, FILE_NAME, directory)
