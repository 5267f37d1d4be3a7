"""Reads the rule files that are data: the office's own, or the shipped one where it has none."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway import resources
from gateway.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def load(model: type[M], name: str, directory: Path | None) -> M:
    """The file of that name in the office's policy folder, else the shipped one.

    Raises ConfigurationError with one sentence for each fault, naming file and key.
    """
    path = (directory / name) if directory is not None else None
    if path is None or not path.exists():
        path = resources.folder("policies") / name
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None
    except ValidationError as error:
        faults = [
            f"{path}: {'.'.join(str(part) for part in fault['loc'])}: "
            + fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        ]
        raise ConfigurationError("\n".join(faults)) from None
