"""How the office is: named probes, each of which says nothing or in one sentence what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

Probe = Callable[[], Awaitable[str]]

PROBE_SECONDS = 3.0
"""A probe that takes longer is itself a finding."""

_log = structlog.stdlib.get_logger("yizhan.health")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe says; an empty sentence means all is well."""

    name: str
    sentence: str
    grave: bool = True  # False: somebody should know, but the office does its work

    @property
    def ok(self) -> bool:
        """Whether the office does its work."""
        return not self.sentence or not self.grave


@dataclass(frozen=True, slots=True)
class State:
    """What all probes say."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong anywhere."""
        return all(finding.ok for finding in self.findings)

    @property
    def word(self) -> str:
        """`ok`, `attention` (also 200: a person should look) or `degraded` (503)."""
        if not self.ok:
            return "degraded"
        return "attention" if any(finding.sentence for finding in self.findings) else "ok"


class Health:
    """The probes of the office."""

    def __init__(self) -> None:
        self._probes: dict[str, tuple[Probe, bool]] = {}

    def add(self, name: str, probe: Probe, *, grave: bool = True) -> None:
        """Ask this probe too. Its name is shown, so it is a word of the glossary.

        What one says that is not grave is shown, but turns no balancer and no alarm away.
        """
        self._probes[name] = (probe, grave)

    async def state(self) -> State:
        """Ask all probes at once."""
        findings = await asyncio.gather(*(_ask(n, p, g) for n, (p, g) in self._probes.items()))
        return State(tuple(findings))


def always(check: Callable[[], str]) -> Probe:
    """A probe of a function that only looks at memory."""

    async def probe() -> str:
        return check()

    return probe


async def _ask(name: str, probe: Probe, grave: bool) -> Finding:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return Finding(name, await probe(), grave)
    except TimeoutError:
        return Finding(name, "does not answer")
    except Exception as error:  # noqa: BLE001  # the page must say that, not fail with it
        _log.exception("probe-failed", probe=name, cause=type(error).__name__)
        return Finding(name, "could not be checked, see the log")
