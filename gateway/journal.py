"""The daemon's log: one line an event, to standard error, and never what a document says.

An event is a fixed word and named values: `_log.info("accepted", document=..., octets=...)`. Values
under a name that could hold content are not written, whoever passes them; control characters are
escaped, so a hostile value cannot begin a line of its own. Other libraries speak only from WARNING.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway import journald
from gateway.config import Log

CONTENT_NAMES = frozenset(
    {
        "subject", "title", "content", "body", "text", "octets_read", "headers", "filename",
        "attachment", "password", "passphrase", "secret", "token", "number_full", "mobile",
    }
)  # fmt: skip
"""Names of values that are never written."""

_OURS = "yizhan"
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # sd-daemon(3)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def set_up(settings: Log, *, stream: TextIO | None = None) -> None:
    """Point all logs to the stream (standard error) in the format of the settings."""
    out = sys.stderr if stream is None else stream
    journal = _journal(settings.format, out)
    render = _as_entry if journal is not None else _renderer(settings.format, out)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        withhold_content,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=_own_logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler: logging.Handler = logging.StreamHandler(out)
    if journal is not None:
        handler = logging.StreamHandler(cast(TextIO, journal))
        handler.terminator = ""  # an entry ends by itself
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    # aiosmtpd and others log what clients send at INFO and DEBUG: never, whatever our own level.
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(_LEVELS[settings.level])


def _own_logger(name: str = "") -> logging.Logger:
    """Our loggers stand under one name, which has the level of the settings; others have not."""
    return logging.getLogger(
        name if name.split(".", maxsplit=1)[0] == _OURS else f"{_OURS}.{name}".rstrip(".")
    )


def withhold_content(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace values whose name says that they may be content."""
    for name in event.keys() & CONTENT_NAMES:
        event[name] = "(not logged)"
    return event


def _renderer(form: str, out: TextIO) -> Processor:
    if form == "auto":
        form = "journald" if _is_journal(out) else "console"
    match form:
        case "json":
            return _as_json
        case "journald":
            return _as_journald
        case _:
            return _as_console


def _journal(form: str, out: TextIO) -> journald.JournalStream | None:
    """The journal itself, if our stream leads there and it takes entries with fields."""
    if form not in ("auto", "journald") or not _is_journal(out):
        return None
    try:
        return journald.JournalStream(journald.SOCKET, out)
    except OSError:
        return None


def _is_journal(out: TextIO) -> bool:
    """Whether the stream is the one that systemd connected to the journal (systemd.exec(5))."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        about = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{about.st_dev}:{about.st_ino}"


def _as_json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, object]) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def _as_console(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    when = str(event.pop("timestamp", ""))[11:19]
    return f"{when} {event.pop('level', ''):<7} {_line(event)}"


def _as_journald(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """The journal has its own time; the priority stands before each line of the text."""
    event.pop("timestamp", None)
    prefix = f"<{_PRIORITIES.get(str(event.pop('level', 'info')), 6)}>"
    return prefix + _line(event).replace("\n", f"\n{prefix}")


def _as_entry(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    event.pop("timestamp", None)
    priority = _PRIORITIES.get(str(event.pop("level", "info")), 6)
    values = {name: value for name, value in event.items() if name != "exception"}
    return journald.entry(_line(event), priority, values)


def _line(event: EventDict) -> str:
    trace = event.pop("exception", None)
    event.pop("logger", None)
    parts = [_escaped(str(event.pop("event", "")))]
    parts += [f"{name}={_value(value)}" for name, value in event.items()]
    lines = [" ".join(parts)]
    if trace:
        lines += ["  " + _escaped(line) for line in str(trace).split("\n")]
    return "\n".join(lines)


def _value(value: object) -> str:
    shown = str(value)
    plain = shown.isprintable() and shown and not set(shown) & set(' "=')
    return shown if plain else json.dumps(shown, ensure_ascii=not shown.isprintable())


def _escaped(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
