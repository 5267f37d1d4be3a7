"""Manual pages (man-pages(7)), made from the commands and settings themselves.

`yizhan --man DIR` writes `yizhan.1`, one page a command such as `yizhan-backup.1`, and
`yizhan.toml.5` into DIR/man1 and DIR/man5. `make install` and packages run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from os import environ
from pathlib import Path
from typing import Any

from gateway import __version__, manual
from gateway.cli.main import COMMANDS, load
from gateway.cli.manual import EXIT_STATUSES, walk
from gateway.config import Config
from gateway.config_types import Section

_WIDTH = 1000  # groff breaks the lines
_SECTION_OF = {"yizhan.toml": 5}


def write(folder: Path) -> list[Path]:
    """Write all pages; returns them. Raises OSError."""
    written = []
    for name, text in pages().items():
        section = _SECTION_OF.get(name, 1)
        path = folder / f"man{section}" / f"{name}.{section}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def pages() -> dict[str, str]:
    """Every page by its name, in roff."""
    found = {"yizhan": "".join(_overview())}
    for name, sentence in COMMANDS.items():
        found[f"yizhan-{name}"] = "".join(_command(name, sentence))
    found["yizhan.toml"] = "".join(_settings())
    return found


def _overview() -> Iterator[str]:
    yield from _head("yizhan", "an electronic post office for official documents")
    yield ".SH SYNOPSIS\n.B yizhan\n.I COMMAND\n.RI [ OPTIONS ]\n.RI [ ARGS ]...\n"
    yield ".SH DESCRIPTION\n" + _text(
        "One program runs the post office and looks after it. The configuration file is named by "
        "--config, else by the environment variable YIZHAN_CONFIG, else it is "
        "/etc/yizhan/yizhan.toml. Commands are run by the owner of the state directory; root steps "
        "down to that owner. They work beside the running daemon and take effect at once."
    )
    yield ".SH COMMANDS\n"
    for name, sentence in COMMANDS.items():
        yield f".TP\n.BR yizhan\\-{_escape(name)} (1)\n{_text(sentence)}"
    yield ".SH EXIT STATUS\n"
    for status, meaning in EXIT_STATUSES.items():
        yield f".TP\n.B {status}\n{_text(meaning)}"
    yield ".SH ENVIRONMENT\n"
    for name, meaning in _ENVIRONMENT.items():
        yield f".TP\n.B {name}\n{_text(meaning)}"
    yield ".SH SEE ALSO\n.BR yizhan.toml (5)\n"


_ENVIRONMENT = {
    "YIZHAN_CONFIG": "The configuration file, where --config names none.",
    "YIZHAN_DEBUG": "If set, an error of the program itself shows where it happened.",
    "NO_COLOR": "If set, nothing is coloured. Colours are used on a terminal only.",
}


def _command(name: str, sentence: str) -> Iterator[str]:
    yield from _head(f"yizhan-{name}", sentence)
    found = list(walk(name, load(name)))
    yield ".SH SYNOPSIS\n"
    for path, command in found:
        if not getattr(command, "commands", None):
            usage = " ".join(_usage(path, command))
            yield f".B {_escape(f'yizhan {path}')}\n{_escape(usage)}\n.br\n"
    yield ".SH DESCRIPTION\n"
    if len(found) == 1:
        yield from _body(*found[0], ".SH OPTIONS\n")
    else:
        yield _text(found[0][1].help or sentence)
        for path, command in found[1:]:
            if not getattr(command, "commands", None):
                yield f".SS {_escape(f'yizhan {path}')}\n"
                yield from _body(path, command, ".PP\n")
    yield ".SH SEE ALSO\n.BR yizhan (1),\n.BR yizhan.toml (5)\n"


def _usage(path: str, command: Any) -> list[str]:
    return [one.strip("{}") for one in command.collect_usage_pieces(_context(path, command))]


def _context(path: str, command: Any) -> Any:
    command.rich_markup_mode = None
    return command.context_class(
        command, info_name=f"yizhan {path}", terminal_width=_WIDTH, max_content_width=_WIDTH
    )


def _body(path: str, command: Any, before_options: str) -> Iterator[str]:
    """What one command does, its arguments and options, its example."""
    about, _, example = (command.help or "").partition("Example: ")
    yield _text(about.strip())
    context = _context(path, command)
    records = (one.get_help_record(context) for one in command.get_params(context))
    rows = [record for record in records if record]
    if rows:
        yield before_options
    for words, meaning in rows:
        yield f".TP\n.B {_escape(words)}\n{_text(meaning)}"
    if example:
        yield f".PP\nExample:\n.PP\n.EX\n{_escape(' '.join(example.split()))}\n.EE\n"


def _settings() -> Iterator[str]:
    yield from _head("yizhan.toml", "the settings of an office", 5)
    yield ".SH DESCRIPTION\n" + _text(
        "One TOML file, by default /etc/yizhan/yizhan.toml. Relative paths are taken from the "
        "file's own folder. An unknown key or a wrong type is an error; `yizhan check` says all "
        "that is wrong at once. `yizhan check --sample` prints a file with every setting."
    )
    yield from _tables("", Config)
    yield ".SH SEE ALSO\n.BR yizhan (1),\n.BR yizhan\\-check (1)\n"


def _tables(name: str, model: type[Section]) -> Iterator[str]:
    says = manual.describe(model)
    inner: list[str] = []
    for key, field in model.model_fields.items():
        below = manual.section_of(field)
        if below is not None:
            path = f"{name}.{key}" if name else key
            inner.append(f".SH [{_escape(path)}]\n{_text(says[key])}")
            inner += _tables(path, below)
            continue
        default = manual.default_of(field).strip("`")
        yield f".TP\n.BR {_escape(key)}\n{_text(says[key])}Default: {_escape(default)}.\n"
    yield from inner


def _head(name: str, sentence: str, section: int = 1) -> Iterator[str]:
    # A package is built twice alike: https://reproducible-builds.org/specs/source-date-epoch/
    moment = int(environ.get("SOURCE_DATE_EPOCH", "0")) or datetime.now(UTC).timestamp()
    day = datetime.fromtimestamp(moment, UTC).date()
    yield f'.TH {_escape(name.upper())} {section} {day} "Yizhan {__version__}" "Yizhan"\n'
    about = sentence.rstrip(".")
    yield f".SH NAME\n{_escape(name)} \\- {_escape(about[:1].lower() + about[1:])}\n"


def _text(paragraphs: str) -> str:
    """Running text; an empty line begins a paragraph."""
    found = [" ".join(one.split()) for one in re.split(r"\n\s*\n", paragraphs)]
    return ".PP\n".join(f"{_escape(one.replace('`', ''))}\n" for one in found if one)


def _escape(text: str) -> str:
    """Text for one line of roff: nothing in it is a request or an escape."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe
