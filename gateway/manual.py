"""The manual of all settings, made from `gateway.config`: what docs/configuration.md holds."""

from __future__ import annotations

from typing import get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.config import Config, Section

_HEAD = """# Configuration

One TOML file, by default `/etc/yizhan/yizhan.toml`; `--config FILE` or the environment variable
`YIZHAN_CONFIG` name another. Relative paths are taken from the file's own folder. An unknown key or
a wrong type is an error (exit status 78); `yizhan check` says all that is wrong at once.
`SIGHUP` reloads policies, templates and certificates; other settings want a restart.

This page is made from the code: `yizhan check --manual > docs/configuration.md`.
"""


def render() -> str:
    """The whole page, Markdown."""
    return _HEAD + "".join(_sections("", Config))


def _sections(name: str, model: type[Section]) -> list[str]:
    pages: list[str] = []
    rows: list[str] = []
    for key, field in model.model_fields.items():
        inner = _section_of(field)
        path = f"{name}.{key}" if name else key
        if inner is None:
            rows.append(f"| `{key}` | {_default(field)} | {field.description} |\n")
        else:
            many = " (any number)" if inner is not field.annotation else ""
            pages += [f"\n## [{path}]{many}\n\n{field.description}\n", *_sections(path, inner)]
    if rows:
        head = "\n| setting | default | meaning |\n| --- | --- | --- |\n"
        return [head, *rows, *pages]
    return pages


def _section_of(field: FieldInfo) -> type[Section] | None:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "(required)"
    return "(none)" if field.default in (None, "") else f"`{_toml(field.default)}`"


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case dict():
            return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
        case _:
            return str(value)
