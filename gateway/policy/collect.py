"""Collects the facts about one submission by running every check that is on."""

from __future__ import annotations

import hashlib

from gateway import __version__, config
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.submission import Submission
from gateway.errors import ConfigurationError
from gateway.policy.checks import CHECKS
from gateway.policy.clamd import Clamd, Scanner
from gateway.policy.facts import Facts, Value
from gateway.policy.inspection import Inspection
from gateway.policy.matter import Matter
from gateway.policy.rate import Rates
from gateway.seals.book import SealBook


def open_scanner(settings: config.Policy) -> Scanner | None:
    """The configured clamd; None if none is configured.

    Raises ConfigurationError if its address is malformed.
    """
    return Clamd(settings.clamd, settings.clamd_seconds) if settings.clamd else None


def verify_settings(settings: config.Policy) -> None:
    """Raises ConfigurationError if a disabled check does not exist or clamd's address is wrong."""
    names = [check.name for check in CHECKS]
    for name in settings.disabled_checks:
        if name not in names:
            raise ConfigurationError(
                f"policy.disabled_checks: there is no check {name!r}, only {', '.join(names)}"
            )
    open_scanner(settings)


def settings_version(settings: config.Policy) -> str:
    """Changes when a setting does that can change a verdict, and when the program does.

    The rule files have a version of their own, `Policy.version`.
    """
    deciding = {"disabled_checks", "clamd", "extraction_seconds", "extraction_memory"}
    text = f"{__version__} {settings.model_dump_json(include=deciding)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def collect(
    submission: Submission,
    inspection: Inspection,
    directory: Directory,
    account: Account,
    unit: Unit,
    book: SealBook,
    settings: config.Policy,
    rates: Rates,
    clamd: Scanner | None,
) -> Facts:
    """The facts about one submission; those of checks that are off are absent."""
    targets = tuple((r.address, directory.resolve(r.address)) for r in submission.recipients)
    matter = Matter(submission, inspection, directory, account, unit, book, rates, clamd, targets)
    values: dict[str, Value] = {}
    for check in CHECKS:
        if check.name not in settings.disabled_checks:
            values.update(await check.look(matter))
    return Facts(values)
