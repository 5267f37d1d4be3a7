"""The one error tree: each error knows whether it is temporary, and what to tell the person.

    YizhanError                  anything that we raise on purpose
    ├── ConfigurationError       the office is set up wrongly; exit status 78 (EX_CONFIG)
    ├── CommandError             a command cannot do what it was asked; one sentence, exit status 1
    ├── Refused                  a permanent no to a client (5xx), with a reason code for evidence
    ├── Deferred                 a temporary no to a client (4xx); the client keeps the mail
    ├── TaskEnded                a part of the daemon ended by itself; it stops, exit status 1
    └── StoreError               the database or the blobs failed; to a client always temporary
        ├── StoreUnavailable     full, locked, shutting down or failed; nothing was written
        ├── CommitUnknown        the commit may or may not have reached the disk
        ├── StoreDamaged         what was kept is not what comes back
        └── StoreUnusable        another identity, a newer schema: the daemon must not start

`public` is the sentence for the person outside; `str(error)` may add the private cause for the log.
A reply says the same in two languages, since a client that cannot read UTF-8 gets ASCII only; the
door chooses (`intake.replies`), so that whoever refuses need not know what the client reads.
An error that is not in this tree is treated as temporary: see `as_reply`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply: basic code, enhanced code (RFC 3463) and one line of text."""

    code: int
    enhanced: str
    text: str  # English, ASCII
    text_zh: str = ""  # the same in Chinese; empty: there is only the English

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
        self, public: str, *, zh: str = "", code: int = 550, enhanced: str = "5.7.1",
        reason: str = "Other", cause: str = "",
    ) -> None:  # fmt: skip
        """`public` is the sentence in English, `zh` the same in Chinese."""
        super().__init__(public, cause=cause)
        self.reply = Reply(code, enhanced, public, zh)
        self.reason = reason

    @classmethod
    def saying(cls, reply: Reply, *, reason: str = "Other", cause: str = "") -> Refused:
        """The refusal that gives this reply."""
        return cls(
            reply.text, zh=reply.text_zh, code=reply.code, enhanced=reply.enhanced,
            reason=reason, cause=cause,
        )  # fmt: skip


class Deferred(YizhanError):
    """A temporary refusal: the client keeps the mail and tries again."""

    def __init__(
        self, public: str, *, zh: str = "", code: int = 451, enhanced: str = "4.3.0",
        cause: str = "",
    ) -> None:  # fmt: skip
        """`public` is the sentence in English, `zh` the same in Chinese."""
        super().__init__(public, cause=cause)
        self.reply = Reply(code, enhanced, public, zh)

    @classmethod
    def saying(cls, reply: Reply, *, cause: str = "") -> Deferred:
        """The deferral that gives this reply."""
        return cls(
            reply.text, zh=reply.text_zh, code=reply.code, enhanced=reply.enhanced, cause=cause
        )


class StoreError(YizhanError):
    """The database or the blobs failed."""


class StoreUnavailable(StoreError):
    """Nothing was written; trying again later may help."""


class CommitUnknown(StoreError):
    """The commit may or may not have reached the disk; the client must ask again."""


class StoreDamaged(StoreError):
    """The octets that come back are not those that were kept; the cause names the blob.

    To a client it is temporary: the blob may be brought back from a backup.
    """


class StoreUnusable(StoreError):
    """The state on disk does not belong to this office or this version."""

    exit_status = 78


class TaskEnded(YizhanError):
    """A part of the daemon that must always run has ended; only a new start helps."""


_NO_ROOM = Reply(
    452,
    "4.3.1",
    "The post office cannot store mail now, please try again",
    "邮局暂时无法保存邮件，请稍后再发",
)
_TROUBLE = Reply(
    451,
    "4.3.0",
    "The post office had an error, please send again later",
    "邮局出现故障，请稍后再发",
)


def as_reply(error: BaseException) -> Reply:
    """The reply for any error; what we do not know is temporary, and says nothing internal."""
    match error:
        case Refused() | Deferred():
            return error.reply
        case StoreUnavailable():
            return _NO_ROOM
        case _:
            return _TROUBLE
