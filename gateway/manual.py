"""The manual of all settings and a sample file, both made from `gateway.config`.

They are docs/configuration.md and docs/yizhan.sample.toml. A setting is described by the text below
it in that file; one without has an empty cell there, and a test fails.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from textwrap import wrap
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.config import Config
from gateway.config_types import Section

_HEAD = """# Configuration

One TOML file, by default `/etc/yizhan/yizhan.toml`; `--config FILE` or the environment variable
`YIZHAN_CONFIG` name another. Relative paths are taken from the file's own folder. An unknown key or
a wrong type is an error (exit status 78); `yizhan check` says all that is wrong at once.
`SIGHUP` reloads policies, templates and certificates; other settings want a restart.

`yizhan check --sample` prints a file with every setting, which is
[yizhan.sample.toml](yizhan.sample.toml). This page is made from the code: `make docs`.
"""

_SAMPLE_HEAD = """\
# A sample of /etc/yizhan/yizhan.toml with every setting, made by `yizhan check --sample`.
# `yizhan init` writes a short one that works. Commented settings show their default, or an example
# where the default is nothing.
"""

# What the sample says where there is no default, or none that shows the form.
_EXAMPLES: dict[str, str] = {
    "office.domain": '"heping.test"',
    "office.name": '"和平区政府电子邮局"',
    "state.directory": '"/var/lib/yizhan"',
    "blobs.directory": '"/srv/yizhan/blobs"',
    "blobs.storage_key_file": '"/etc/yizhan/storage.key"',
    "blobs.s3.bucket": '"documents"',
    "blobs.s3.access_key_file": '"/etc/yizhan/s3.key"',
    "blobs.s3.certificate": '"/etc/yizhan/objects-ca.crt"',
    "recovery.certificate": '"/etc/yizhan/recovery.asc"',
    "submission.listeners.port": "587",
    "mailboxes.listeners.port": "993",
    "submission.client_ca": '"/etc/yizhan/client-ca.pem"',
    "tls.certificate": '"/etc/yizhan/tls.crt"',
    "tls.key": '"/etc/yizhan/tls.key"',
    "tls.ca": '"/etc/yizhan/ca.crt"',
    "tls.ca_key": '"/etc/yizhan/ca.key"',
    "policy.directory": '"/etc/yizhan/policies"',
    "seals.passphrase_file": '"/etc/yizhan/office-passphrase"',
    "reminders.spool": '"/var/spool/sms"',
}

_MORE_DOORS: dict[str, str] = {
    "submission.listeners": """
# A second door: TLS from the first octet.
[[submission.listeners]]
port = 465
tls = "implicit"
""",
    "mailboxes.listeners": """
# More doors: IMAP with STARTTLS, and POP3 for programs that know nothing else.
#[[mailboxes.listeners]]
#port = 143
#tls = "starttls"
#[[mailboxes.listeners]]
#protocol = "pop3"
#port = 995
#[[mailboxes.listeners]]
#protocol = "pop3"
#port = 110
#tls = "starttls"
""",
}


def render() -> str:
    """The whole page, Markdown."""
    return _HEAD + "".join(_sections("", Config))


def sample() -> str:
    """A configuration file with every setting; those that have a default are commented out."""
    return _SAMPLE_HEAD + "".join(_tables("", Config))


def _tables(name: str, model: type[Section], optional: str = "") -> list[str]:
    """The keys of a table, then the tables within it, as TOML demands; `optional` is a `#`."""
    says = describe(model)
    lines: list[str] = []
    tables: list[str] = []
    for key, field in model.model_fields.items():
        inner = section_of(field)
        path = f"{name}.{key}" if name else key
        if inner is None:
            lines += [f"# {line}\n" for line in wrap(_meaning(field, says[key]), 96)]
            given = _EXAMPLES.get(path) or _toml(field.default)
            lines.append(f"{optional if field.is_required() else '#'}{key} = {given}\n")
            continue
        many = _is_list(field)
        unused = optional or ("#" if field.default is None else "")
        head = unused + (f"[[{path}]]" if many else f"[{path}]")
        tables += [f"\n# {says[key]}\n{head}\n", *_tables(path, inner, unused)]
        if many:
            tables.append(_MORE_DOORS[path])
    return lines + tables


def _sections(name: str, model: type[Section]) -> list[str]:
    says = describe(model)
    pages: list[str] = []
    rows: list[str] = []
    for key, field in model.model_fields.items():
        inner = section_of(field)
        path = f"{name}.{key}" if name else key
        if inner is None:
            rows.append(f"| `{key}` | {default_of(field)} | {_meaning(field, says[key])} |\n")
        else:
            many = " (any number)" if _is_list(field) else ""
            pages += [f"\n## [{path}]{many}\n\n{says[key]}\n", *_sections(path, inner)]
    if rows:
        head = "\n| setting | default | meaning |\n| --- | --- | --- |\n"
        return [head, *rows, *pages]
    return pages


def _meaning(field: FieldInfo, says: str) -> str:
    """What the setting says, and the words that it takes if those are all."""
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    missing = [f"`{word}`" for word in words if f"`{word}`" not in says]
    choice = f" One of {', '.join(f'`{word}`' for word in words)}." if missing else ""
    return f"{' '.join(says.split())}{choice}"  # in a table a line is a row


def describe(model: type[Section]) -> Mapping[str, str]:
    """What is said of each setting of a table; empty for one of which nothing is said."""
    found = _descriptions(model.__module__).get(model.__name__, {})
    return {key: found.get(key, "") for key in model.model_fields}


@cache
def _descriptions(module: str) -> dict[str, dict[str, str]]:
    """The texts below the settings, by class and setting, read from the source."""
    found: dict[str, dict[str, str]] = {}
    for made in ast.parse(inspect.getsource(sys.modules[module])).body:
        if not isinstance(made, ast.ClassDef):
            continue
        for line, below in zip(made.body, made.body[1:], strict=False):
            match line, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=key)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found.setdefault(made.name, {})[key] = inspect.cleandoc(text)
    return found


def section_of(field: FieldInfo) -> type[Section] | None:
    """The table that the field is, or is a list of; None for a setting."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is list


def default_of(field: FieldInfo) -> str:
    """The default as the page shows it: TOML, or a word in brackets."""
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
