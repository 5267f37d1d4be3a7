"""The configuration file: found, read, and each of its faults in one sentence.

Paths in it are relative to the file's own folder.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway import config_history
from gateway.config import Config
from gateway.config_types import Section
from gateway.errors import ConfigurationError

DEFAULT_PATH = Path("/etc/yizhan/yizhan.toml")


def find(given: Path | None) -> Path:
    """The configuration file in force: the option, else `YIZHAN_CONFIG`, else the default."""
    if given is not None:
        return given
    named = os.environ.get("YIZHAN_CONFIG")
    return Path(named) if named else DEFAULT_PATH


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file says, and what should be changed in it although it counts."""

    config: Config
    hints: tuple[str, ...]  # a sentence each, naming file and key


def load(path: Path) -> Config:
    """The settings of a file, as `read` gives them."""
    return read(path).config


def read(path: Path) -> Loaded:
    """Read and check the file; relative paths are taken from its folder.

    Settings of earlier versions count under their old names (`config_history`).

    Raises ConfigurationError with one sentence for each fault, joined by newlines, each naming
    file and key, and the line where the syntax is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; make an office with `yizhan init`, "
            "or name its file with --config"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    try:
        hints = tuple(f"{path}: {hint}" for hint in config_history.modernise(data))
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.public}") from None
    try:
        # Read as JSON because only there strict means: no number in quotes, yet a path in them.
        config = Config.model_validate_json(json.dumps(data, default=_no_json), strict=True)
    except ValidationError as error:
        faults = [_sentence(path, fault) for fault in error.errors()]
        raise ConfigurationError("\n".join(faults)) from None
    anchored: Config = _anchored(config, path.resolve().parent)
    return Loaded(anchored, hints)


def _no_json(value: object) -> object:
    return [str(value)]  # a date or a time, which no setting is: so its type is wrong


def with_file(path: Path, faults: str) -> list[str]:
    """The sentences of an error, one each; those that name no file name the configuration's."""
    return [
        fault if fault.startswith(("/", str(path))) else f"{path}: {fault}"
        for fault in faults.splitlines()
    ]


def _sentence(path: Path, fault: ErrorDetails) -> str:
    key = ".".join(str(step) for step in fault["loc"])
    match fault["type"]:
        case "extra_forbidden":
            return f"{path}: {key}: there is no such setting; see docs/configuration.md"
        case "missing":
            return f"{path}: {key}: this setting is missing"
        case _:
            message = fault["msg"].removeprefix("Value error, ").replace("Input should", "must")
            given = None if key == "state.database" else fault.get("input")  # it has a password
            shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
            return f"{path}: {key}: {message[:1].lower()}{message[1:]}{shown}"


def _anchored(section: Section, folder: Path) -> Any:
    """The same section with each relative path made absolute."""
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            changes[name] = _anchored(value, folder)
        elif isinstance(value, Path) and not value.is_absolute():
            changes[name] = folder / value
    return section.model_copy(update=changes)
