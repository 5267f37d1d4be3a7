"""All that is wrong with an office's set-up, said at once: what `yizhan check` prints."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from gateway import resources
from gateway.composition import load_key
from gateway.config import Config
from gateway.errors import YizhanError
from gateway.intake.tls import TlsHolder
from gateway.policy.collect import verify_settings
from gateway.policy.engine import Policy
from gateway.reminders import choices
from gateway.reminders.notifiers import make_notifier
from gateway.seals.signer import load_office_signer
from gateway.store import identity
from gateway.store.database import Database
from gateway.templating import Templates


def find_faults(config: Config, path: Path) -> list[str]:
    """One sentence for each fault; empty if the daemon could start now."""
    probes: list[Callable[[], object]] = [
        lambda: TlsHolder(config.tls, config.submission.client_ca),
        lambda: Templates(resources.folder("templates")),
        lambda: Policy.load(config.policy.directory),
        lambda: verify_settings(config.policy),
        lambda: choices.load(config.policy.directory),
        lambda: make_notifier(config.reminders),
        lambda: load_key(config),
        lambda: _verify_store(config),
    ]
    if shutil.which(config.seals.gpg) is not None:
        probes.append(lambda: load_office_signer(config.seals, config.state.directory))
    faults: list[str] = []
    for probe in probes:
        try:
            probe()
        except YizhanError as error:
            faults += [_named(path, line) for line in error.public.splitlines()]
    if shutil.which(config.seals.gpg) is None:
        faults.append(
            f"{path}: seals.gpg: the program {config.seals.gpg} is missing; "
            "install it with: sudo apt-get install gnupg"
        )
    faults += _taken_ports(config, path)
    mode = config.state.directory.stat().st_mode
    if mode & 0o077:
        faults.append(
            f"{config.state.directory}: others can look into the state directory; chmod it to 0700"
        )
    if not os.access(config.state.directory, os.W_OK):
        faults.append(f"{config.state.directory}: cannot be written")
    return faults


def _verify_store(config: Config) -> None:
    database = Database(config.state.database_url, readers=1)
    try:
        identity.verify(database, config.state.directory)
    finally:
        database.stop()


def _taken_ports(config: Config, path: Path) -> list[str]:
    wanted = [
        (f"submission.listeners.{n}.port", listener.address, listener.port)
        for n, listener in enumerate(config.submission.listeners)
    ]
    wanted.append(("console.port", config.console.address, config.console.port))
    faults = []
    for key, address, port in wanted:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.create_server((address, port), family=family):
                pass
        except PermissionError:
            continue  # a port below 1024: systemd gives the daemon the right, a command has none
        except OSError as error:
            faults.append(
                f"{path}: {key}: cannot listen on {address} port {port}: "
                f"{os.strerror(error.errno or 0)} (if the post office is running, that is why)"
            )
    return faults


def _named(path: Path, fault: str) -> str:
    return fault if fault.startswith(("/", str(path))) else f"{path}: {fault}"
