"""A group of commands that takes a folder at once: `backup DIR` is `backup make DIR`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class FolderGroup(TyperGroup):
    """Where no command is named, the first one is meant."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [next(iter(self.commands)), *args]
        found: list[str] = super().parse_args(ctx, args)
        return found
