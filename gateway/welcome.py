"""What the terminal shows when the doors are open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gateway.config import Config


def welcome(config: Config, path: Path, ports: Sequence[int], console: int) -> str:
    """What the terminal shows when the doors are open."""
    lines = [f"\n驿站 Yizhan serves {config.office.name} ({config.office.domain})"]
    listeners = config.submission.listeners
    for listener, port in zip(listeners, ports, strict=False):
        kind = "STARTTLS" if listener.tls == "starttls" else "TLS"
        lines.append(f"  submission  {listener.address}:{port}  {kind}")
    for one, port in zip(config.mailbox_listeners, ports[len(listeners) :], strict=True):
        kind = "STARTTLS" if one.tls == "starttls" else "TLS"
        lines.append(f"  {one.protocol:<11} {one.address}:{port}  {kind}")
    if config.portal is not None:
        lines.append(f"  portal      {config.portal_url}")
    lines.append(f"  health      http://{config.console.address}:{console}/health")
    lines.append(f"  metrics     http://{config.console.address}:{console}/metrics")
    return "\n".join(lines) + "\n" + _demo_hints(path)


def _demo_hints(path: Path) -> str:
    """For a demo office: three accounts, where the passwords are, three commands to paste."""
    accounts = path.parent / "accounts.toml"
    if not accounts.exists():
        return "\n"
    shown = os.path.relpath(accounts)
    config = os.path.relpath(path)
    return (
        f"\n  accounts    office@, water@, education@ ... passwords in {shown}\n"
        "\n  Try, in a second terminal:\n"
        "    make demo\n"
        f"    .venv/bin/yizhan document list --config {config}\n"
        f"    .venv/bin/yizhan mailbox list --config {config}\n"
        "\n  Ctrl-C stops.\n\n"
    )
