"""Names that settings had in earlier versions, so that a file of the last version still loads.

Who renames or removes a setting adds a line to `EARLIER` in the same commit. The file then counts
as if it were written today, and a hint says what to change; `yizhan check` and the log show it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Earlier:
    """A setting that is not called so any more."""

    name: str  # with its tables: `policy.clamd`; in a list of tables without a number
    now: str = ""  # its present name; empty: it is gone, and whatever it says is ignored
    because: str = ""  # where it is gone: why, or what takes its place

    def hint(self, key: str) -> str:
        """What to tell whoever still has it; `key` is where it stands in the file."""
        if self.now:
            return f"{key}: this setting is called {self.now} now; write that instead"
        return f"{key}: this setting is not used any more: {self.because}; remove it"


EARLIER: tuple[Earlier, ...] = ()


def modernise(data: dict[str, Any], earlier: Sequence[Earlier] | None = None) -> list[str]:
    """Change what the file says into the words of today; the hints, one for each place.

    Raises ConfigurationError if a setting is there under both names.
    """
    hints = []
    for one in EARLIER if earlier is None else earlier:
        *tables, leaf = one.name.split(".")
        for place, table in list(_tables(data, tables)):
            key = f"{place}{leaf}"
            if leaf not in table or (one.now and not _rename(data, table, one, key)):
                continue
            table.pop(leaf)
            hints.append(one.hint(key))
            _prune(data, tables)
    return hints


def _prune(data: Any, tables: Sequence[str]) -> None:
    """Take away a table that has become empty, since there may be none of that name any more."""
    if not tables or not isinstance(data, dict):
        return
    inner = data.get(tables[0])
    _prune(inner, tables[1:])
    if inner == {}:
        del data[tables[0]]


def _tables(data: Any, steps: Sequence[str], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every table of that name, with where it stands."""
    if isinstance(data, list):
        for number, inner in enumerate(data):
            yield from _tables(inner, steps, f"{place}{number}.")
    elif isinstance(data, dict):
        if not steps:
            yield place, data
        elif steps[0] in data:
            yield from _tables(data[steps[0]], steps[1:], f"{place}{steps[0]}.")


def _rename(data: dict[str, Any], table: dict[str, Any], one: Earlier, key: str) -> bool:
    """Give the value its present name too; False if the file has something else there."""
    *before, leaf = one.name.split(".")
    *after, name = one.now.split(".")
    target: Any = table
    if before != after:
        target = data
        for step in after:
            target = target.setdefault(step, {}) if isinstance(target, dict) else None
    if not isinstance(target, dict):
        return False  # a fault of its own, told with its name
    if name in target:
        raise ConfigurationError(
            f"{key}: this setting is called {one.now} now, which is there too; remove this one"
        )
    target[name] = table[leaf]
    return True
