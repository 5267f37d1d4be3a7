"""What header fields look like when nothing is wrong with them (RFC 5322, RFC 2045, RFC 2231).

Where a field is sound two servers must read the same; where it is not, each guesses.
"""

from __future__ import annotations

import re

_BLANK = rb"(?:[ \t]|\((?:[^()\\]|\\.)*\))*"
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+"
_DOT_ATOM = _ATOM + rb"(?:\." + _ATOM + rb")*"
_QUOTED = rb'"(?:[^"\\]|\\.)*"'
_WORD = rb"(?:" + _ATOM + rb"|" + _QUOTED + rb")"
_PHRASE = _WORD + rb"(?:[ \t]+" + _WORD + rb")*"
_SPEC = rb"(?:" + _DOT_ATOM + rb"|" + _QUOTED + rb")@(?:" + _DOT_ATOM + rb"|\[[^\[\]\\]*\])"
_MAILBOX = _BLANK + rb"(?:" + _SPEC + rb"|(?:" + _PHRASE + rb"[ \t]*)?<" + _SPEC + rb">)" + _BLANK
_MAILBOXES = _MAILBOX + rb"(?:," + _MAILBOX + rb")*"
_GROUP = rb"[ \t]*" + _PHRASE + rb"[ \t]*:(?:[ \t]*|" + _MAILBOXES + rb");[ \t]*"
_ADDRESS = rb"(?:" + _GROUP + rb"|" + _MAILBOX + rb")"
_ADDRESSES = re.compile(_ADDRESS + rb"(?:," + _ADDRESS + rb")*", re.DOTALL)

_TOKEN = rb"[A-Za-z0-9!#$&^_.+{}|~%'*`-]+"
_PARAMETERS = (
    rb"(?:[ \t]*;[ \t]*" + _TOKEN + rb"=(?:" + _TOKEN + rb'|"(?:[^"\\\x80-\xff]|\\.)*"))*[ \t]*'
)
_TYPE = re.compile(_TOKEN + rb"/" + _TOKEN + _PARAMETERS, re.DOTALL)
_DISPOSITION = re.compile(_TOKEN + _PARAMETERS, re.DOTALL)
_LANGUAGES = re.compile(rb"[A-Za-z-]+(?:[ \t]*,[ \t]*[A-Za-z-]+)*")
_SECTION = re.compile(rb"\*[0-9]")


_DATE = re.compile(
    rb"(?:[A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} (?:19[7-9]|20[0-9])[0-9] "
    rb"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60))? [+-][0-9]{4}"
)
_ID = rb"<" + _DOT_ATOM + rb"@(?:" + _DOT_ATOM + rb"|\[[^\[\]\\<>]*\])>"
_IDS = re.compile(rb"[ \t]*" + _ID + rb"(?:[ \t]+" + _ID + rb")*[ \t]*")


def is_date(value: bytes) -> bool:
    """Whether a Date is one of RFC 5322, of a day that there is, in our time."""
    return _DATE.fullmatch(value) is not None and b" 30 Feb " not in value


def is_id_list(value: bytes) -> bool:
    """Whether a value holds message ids and nothing else."""
    return value.isascii() and _IDS.fullmatch(value) is not None


def is_address_list(value: bytes) -> bool:
    """Whether a field value, unfolded, is a list of addresses as RFC 5322 writes them."""
    return _is_text(value) and _ADDRESSES.fullmatch(value) is not None


def is_content_type(value: bytes) -> bool:
    """Whether a Content-Type is sound and has each parameter once."""
    return _TYPE.fullmatch(value) is not None and _has_no_repetition(value)


def is_disposition(value: bytes) -> bool:
    """The same for a Content-Disposition."""
    return _DISPOSITION.fullmatch(value) is not None and _has_no_repetition(value)


def is_token(value: bytes) -> bool:
    """Whether a Content-Transfer-Encoding is one word."""
    return re.fullmatch(_TOKEN, value) is not None


def is_language_list(value: bytes) -> bool:
    """Whether a Content-Language is a list of tags."""
    return _LANGUAGES.fullmatch(value) is not None


def _is_text(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _has_no_repetition(value: bytes) -> bool:
    names = re.findall(rb";[ \t]*(" + _TOKEN + rb")=", re.sub(_QUOTED, b'""', value))
    plain = [re.sub(rb"\*.*", b"", name).lower() for name in names if not _SECTION.search(name)]
    return len(plain) == len(set(plain))
