"""The configuration of an office that comes back in another folder: each path leads into it.

The text is changed line by line and not written anew, so that comments and order stay; then it is
read, and a path that still leads elsewhere is refused.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from gateway import config_file
from gateway.backup.belongings import paths
from gateway.config import Config
from gateway.config_types import Section
from gateway.errors import CommandError

# Where a setting's file or folder goes; others keep the last part of their name.
_TO = {"state.directory": "state", "blobs.directory": "blobs", "policy.directory": "policies"}
_HEAD = re.compile(r"\s*\[\s*([\w.]+)\s*\]")
_KEY = re.compile(r"(\s*)(\w+)(\s*=\s*).*")


def relocate(text: str, folder: Path, database: str = "") -> str:
    """The text with every path inside the folder, and the database that is named.

    `database` empty: SQLite in the state directory. Raises CommandError for a file that is written
    in a way that cannot be changed line by line; then it must be done by hand (`--config`).
    """
    before = load(text, folder)
    wanted: dict[str, Path] = {}
    for setting, path in paths(before):
        place = folder / _TO.get(setting, path.name)
        if place in wanted.values():
            place = folder / f"{setting.replace('.', '-')}-{path.name}"
        wanted[setting] = place
    changed, lines, table = set(), [], ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            table = head[1]
        elif key := _KEY.match(line):
            setting = f"{table}.{key[2]}" if table else key[2]
            if setting == "state.database":
                line = f"{key[1]}{key[2]}{key[3]}{_quoted(database)}"  # noqa: PLW2901
                changed.add(setting)
            elif setting in wanted:
                name = wanted[setting].relative_to(folder)
                line = f"{key[1]}{key[2]}{key[3]}{_quoted(str(name))}"  # noqa: PLW2901
        lines.append(line)
    if database and "state.database" not in changed:
        at = next(n for n, line in enumerate(lines) if (h := _HEAD.match(line)) and h[1] == "state")
        lines.insert(at + 1, f"database = {_quoted(database)}")
    made = "\n".join(lines) + "\n"
    after = load(made, folder)
    astray = [s for s, path in paths(after) if path != wanted[s]]
    if astray or (after.state.database != database):
        raise CommandError(
            f"{', '.join(astray) or 'state.database'}: cannot be set in this configuration file; "
            "write one by hand and name it with --config"
        )
    return made


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def load(text: str, folder: Path) -> Config:
    """Read a configuration as if it lay in that folder. Raises ConfigurationError."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "yizhan.toml"
        file.write_text(text, encoding="utf-8")
        config = config_file.load(file)
        read: Config = _moved(config, Path(place).resolve(), folder)
        return read


def _moved(section: Section, old: Path, new: Path) -> Any:
    """The same settings with each path below one folder below the other."""
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            changes[name] = _moved(value, old, new)
        elif isinstance(value, Path) and value.is_relative_to(old):
            changes[name] = new / value.relative_to(old)
    return section.model_copy(update=changes)
