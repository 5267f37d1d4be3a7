"""The arguments of MAIL and RCPT, read strictly: what is announced is honoured, the rest refused.

Sources: RFC 5321 4.1.2 (syntax), 1870 SIZE, 6152 BODY, 6531 SMTPUTF8, 3461 DSN and xtext, 6533
(ORCPT in UTF-8), 6710 MT-PRIORITY, 2852 DELIVERBY, 4954 AUTH=. Functions raise Refused with the
reply to give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused, Reply
from gateway.intake import replies

MAIL_KEYWORDS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "MT-PRIORITY", "BY", "AUTH"})
RCPT_KEYWORDS = frozenset({"NOTIFY", "ORCPT"})

_PATH = re.compile(r" *<([^<>]*)>(?: +(.*))?")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_VALUE = re.compile(r"[!-<>-~\u0080-\U0010ffff]+")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_SIZE = re.compile(r"[0-9]{1,20}")
_PRIORITY = re.compile(r"-?[1-9]|0")
_BY = re.compile(r"([+-]?[0-9]{1,9});([NRnr])([Tt]?)")
_ENVID_LENGTH = 100
_ORCPT_LENGTH = 500


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What a client said with MAIL. None and empty: not said."""

    size: int | None = None  # octets
    smtputf8: bool = False
    ret: str = ""  # FULL or HDRS
    envid: str = ""  # decoded
    priority: int | None = None  # -9..9
    deliver_by: int | None = None  # seconds; negative: already late
    deliver_by_mode: str = ""  # N or R, with T for trace


@dataclass(frozen=True, slots=True)
class RecipientParameters:
    """What a client said with RCPT."""

    notify: frozenset[str] = frozenset()
    orcpt: str = ""  # type and decoded address: rfc822;water@heping.test


def refusal(reply: Reply, reason: str = "Other") -> Refused:
    """The error that makes the session give that reply."""
    return Refused.saying(reply, reason=reason)


def split_path(argument: str, keyword: str, syntax: Reply) -> tuple[str, list[str]]:
    """The path between the angle brackets, and the parameters behind it."""
    head, rest = argument[: len(keyword)], argument[len(keyword) :]
    match = _PATH.fullmatch(rest.rstrip(" "))
    if head.upper() != keyword or match is None:
        raise refusal(syntax)
    return match[1], (match[2] or "").split()


def read_mail(words: Sequence[str]) -> MailParameters:
    """The parameters of MAIL."""
    given = _pairs(words, MAIL_KEYWORDS)
    if given.get("SMTPUTF8", ""):
        raise refusal(replies.bad_parameter("SMTPUTF8"))
    if given.get("BODY", "7BIT").upper() not in ("7BIT", "8BITMIME"):
        raise refusal(replies.bad_parameter("BODY"))
    if "AUTH" in given and given["AUTH"] != "<>":
        # Another server's word for who sent it; nobody here takes that, but the form is checked.
        _xtext("AUTH", given["AUTH"])
    seconds, mode = _deliver_by(given.get("BY"))
    return MailParameters(
        size=_number("SIZE", _SIZE, given.get("SIZE")),
        smtputf8="SMTPUTF8" in given,
        ret=_ret(given.get("RET")),
        envid=_envid(given.get("ENVID")),
        priority=_number("MT-PRIORITY", _PRIORITY, given.get("MT-PRIORITY")),
        deliver_by=seconds,
        deliver_by_mode=mode,
    )


def read_recipient(words: Sequence[str]) -> RecipientParameters:
    """The parameters of RCPT."""
    given = _pairs(words, RCPT_KEYWORDS)
    return RecipientParameters(_notify(given.get("NOTIFY")), _orcpt(given.get("ORCPT")))


def _pairs(words: Sequence[str], known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if not _KEYWORD.fullmatch(keyword) or keyword not in known:
            raise refusal(replies.UNKNOWN_PARAMETER)
        if keyword in found:
            raise refusal(replies.repeated_parameter(keyword))
        if bool(equals) == (keyword == "SMTPUTF8") or (equals and not _VALUE.fullmatch(value)):
            raise refusal(replies.bad_parameter(keyword))
        found[keyword] = value
    return found


def _number(keyword: str, form: re.Pattern[str], value: str | None) -> int | None:
    if value is None:
        return None
    if not form.fullmatch(value):
        raise refusal(replies.bad_parameter(keyword))
    return int(value)


def _ret(value: str | None) -> str:
    if value is None:
        return ""
    if value.upper() not in ("FULL", "HDRS"):
        raise refusal(replies.bad_parameter("RET"))
    return value.upper()


def _envid(value: str | None) -> str:
    if value is None:
        return ""
    if len(value) > _ENVID_LENGTH:
        raise refusal(replies.bad_parameter("ENVID"))
    return _xtext("ENVID", value)


def _deliver_by(value: str | None) -> tuple[int | None, str]:
    if value is None:
        return None, ""
    match = _BY.fullmatch(value)
    if match is None:
        raise refusal(replies.bad_parameter("BY"))
    seconds, mode = int(match[1]), match[2].upper()
    if mode == "R" and seconds <= 0:  # RFC 2852, section 4: such a message could only be returned
        raise refusal(replies.bad_parameter("BY"))
    return seconds, mode + match[3].upper()


def _notify(value: str | None) -> frozenset[str]:
    if value is None:
        return frozenset()
    words = value.upper().split(",")
    wanted = frozenset(words)
    if len(words) != len(wanted) or not (
        wanted == {"NEVER"} or wanted <= {"SUCCESS", "FAILURE", "DELAY"}
    ):
        raise refusal(replies.bad_parameter("NOTIFY"))
    return wanted


def _orcpt(value: str | None) -> str:
    if value is None:
        return ""
    kind, semicolon, address = value.partition(";")
    if not (semicolon and address and _ADDRESS_TYPE.fullmatch(kind)) or len(value) > _ORCPT_LENGTH:
        raise refusal(replies.bad_parameter("ORCPT"))
    if kind.lower() == "utf-8" and not address.isascii():
        if not address.isprintable():
            raise refusal(replies.bad_parameter("ORCPT"))
        return f"{kind};{address}"
    return f"{kind};{_xtext('ORCPT', address)}"


def _xtext(keyword: str, value: str) -> str:
    """Decode xtext (RFC 3461, section 4); only printable ASCII may come out of it."""
    if not _XTEXT.fullmatch(value):
        raise refusal(replies.bad_parameter(keyword))
    text = _HEX.sub(lambda match: chr(int(match[1], 16)), value)
    if not (text.isascii() and text.isprintable()):
        raise refusal(replies.bad_parameter(keyword))
    return text
