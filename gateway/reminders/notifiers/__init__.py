"""Carriers: one file each, found by short name, or by an entry point of `yizhan.notifiers`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from gateway.config import Reminders
from gateway.errors import ConfigurationError
from gateway.reminders.notifier import Notifier
from gateway.reminders.notifiers.log import LogNotifier
from gateway.reminders.notifiers.spool import SpoolNotifier

ENTRY_POINTS = "yizhan.notifiers"

Factory = Callable[[Reminders], Notifier]


def make_notifier(settings: Reminders) -> Notifier:
    """The driver that the settings name. Raises ConfigurationError if there is none such."""
    match settings.notifier:
        case "log":
            return LogNotifier()
        case "spool":
            if settings.spool is None:
                raise ConfigurationError(
                    "reminders.spool: the notifier `spool` needs the directory of SMS Server Tools"
                )
            return SpoolNotifier(settings.spool)
        case name:
            found = entry_points(group=ENTRY_POINTS, name=name)
            if not found:
                raise ConfigurationError(
                    f"reminders.notifier: there is no notifier {name!r}; "
                    f"use `spool`, `log` or an installed entry point of {ENTRY_POINTS}"
                )
            return cast(Factory, next(iter(found)).load())(settings)
