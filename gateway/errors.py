"""The one error tree: each error knows whether it is temporary, and what to tell the person.

    YizhanError                  anything that we raise on purpose
    ├── ConfigurationError       the office is set up wrongly; exit status 78 (EX_CONFIG)
    ├── CommandError             a command cannot do what it was asked; one sentence, exit status 1
    ├── Refused                  a permanent no to a client (5xx), with a reason code for evidence
    ├── Deferred                 a temporary no to a client (4xx); the client keeps the mail
    └── StoreError               the database or the blobs failed; to a client always temporary
        ├── StoreUnavailable     full, locked, shutting down or failed; nothing was written
        ├── CommitUnknown        the commit may or may not have reached the disk
        └── StoreUnusable        another identity, a newer schema: the daemon must not start

`public` is the sentence for the person outside; `str(error)` may add the private cause for the log.
An error that is not in this tree is treated as temporary: see `as_reply`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: basic code, enhanced code (RFC 3463) and one line of text."""

    code: int
    enhanced: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


class YizhanError(Exception):
    """Base of all errors that we raise on purpose."""

    def __init__(self, public: str, *, cause: str = "") -> None:
        super().__init__(f"{public} ({cause})" if cause else public)
        self.public = public
        self.cause = cause


class ConfigurationError(YizhanError):
    """The configuration or the state directory cannot be used; one sentence with file and key."""

    exit_status = 78


class CommandError(YizhanError):
    """A command cannot do what it was asked to; the sentence says what to do instead."""

    exit_status = 1


class Refused(YizhanError):
    """A permanent refusal. `reason` is a code of DOMAIN (see `domain.event.Reason`)."""

    def __init__(
        self, public: str, *, code: int = 550, enhanced: str = "5.7.1", reason: str = "Other",
        cause: str = "",
    ) -> None:
        super().__init__(public, cause=cause)
        self.reply = Reply(code, enhanced, public)
        self.reason = reason


class Deferred(YizhanError):
    """A temporary refusal: the client keeps the mail and tries again."""

    def __init__(
        self, public: str, *, code: int = 451, enhanced: str = "4.3.0", cause: str = ""
    ) -> None:
        super().__init__(public, cause=cause)
        self.reply = Reply(code, enhanced, public)


class StoreError(YizhanError):
    """The database or the blobs failed."""


class StoreUnavailable(StoreError):
    """Nothing was written; trying again later may help."""


class CommitUnknown(StoreError):
    """The commit may or may not have reached the disk; the client must ask again."""


class StoreUnusable(StoreError):
    """The state on disk does not belong to this office or this version."""

    exit_status = 78


def as_reply(error: BaseException) -> Reply:
    """The reply for any error; what we do not know is temporary, and says nothing internal."""
    match error:
        case Refused() | Deferred():
            return error.reply
        case StoreUnavailable():
            return Reply(452, "4.3.1", "The post office cannot store mail now, please try again")
        case _:
            return Reply(451, "4.3.0", "The post office had an error, please send again later")
