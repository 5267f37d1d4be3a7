"""Puts the portal together for the daemon: its pages, its own TLS, and its places."""

from __future__ import annotations

from concurrent.futures import Executor

from gateway.config import Config, Limits
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator
from gateway.domain.clock import Clock
from gateway.intake.limits import Places
from gateway.intake.tls import TlsHolder
from gateway.portal.pages import Means, Pages
from gateway.portal.portal import Portal, read_facts
from gateway.store.database import Database
from gateway.templating import Templates


def compose_portal(
    config: Config,
    *,
    database: Database,
    directory: LiveDirectory,
    authenticator: Authenticator,
    templates: Templates,
    clock: Clock,
    hashing: Executor,
) -> Portal | None:
    """The portal, if the office has one. Raises ConfigurationError for its certificate."""
    settings = config.portal
    if settings is None:
        return None
    means = Means(
        config=config,
        database=database,
        directory=directory,
        authenticator=authenticator,
        templates=templates,
        clock=clock,
        hashing=hashing,
        facts=lambda: read_facts(config),
    )
    limits = Limits(
        connections=settings.connections,
        connections_per_address=settings.connections_per_address,
    )
    # TLS of its own: the mail doors' would ask each browser for a client certificate.
    tls = TlsHolder(config.tls)
    pages = Pages(means, settings.session_minutes)
    return Portal(settings, pages.app(), tls, Places(limits))
