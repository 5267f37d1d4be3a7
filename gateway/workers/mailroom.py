"""The mailboxes' service of one process: what its doors' clients share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from gateway import __version__
from gateway.config import Mailboxes, MailboxListener
from gateway.exchange.mailroom import tables
from gateway.exchange.texts import open_search
from gateway.intake.guest import ImapGuest
from gateway.intake.limits import Places
from gateway.intake.mailhouse import PostHouse, Rows
from gateway.intake.services import IntakeMetrics
from gateway.intake.sessions import Sessions
from gateway.reminders import choices
from gateway.workers.intake import Intake
from gateway.workers.premises import Premises
from mailboxes.imap.facts import FactBook
from mailboxes.imap.folder_view import Views
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import Limits
from mailboxes.imap.remembering import Rendered
from mailboxes.imap.services import Services
from mailboxes.imap.wake import Wakeups
from mailboxes.tree import FolderTree


class Mailroom:
    """Serves mail programs, in the daemon itself or in a worker."""

    def __init__(
        self,
        premises: Premises,
        settings: Mailboxes,
        intake: Intake,
        zone: tzinfo,
    ) -> None:
        """`zone` is the office's, in which dates are shown."""
        config = premises.config
        self._host = config.office.host
        self._premises = premises
        self._intake = intake
        self._zone = zone
        limits = config.submission.limits
        self._memory, self._size = limits.memory, limits.size
        self._settings = settings
        self._rows = rows = Rows(premises.database)
        self.wakeups = Wakeups(tables, rows)
        self._views = Views(tables, rows)
        self._loader = Loader(tables, premises.blobs.open)
        self._facts = FactBook(self._loader)
        self._search = open_search(premises.blobs.open)
        self._rendered = Rendered()

    def sessions(
        self, listener: MailboxListener, places: Places, metrics: IntakeMetrics
    ) -> Sessions:
        """The hall for the clients of one door."""
        premises = self._premises
        house = PostHouse(
            directory=premises.directory,
            authenticator=self._intake.authenticator,
            tls=self._intake.tls,
            certificates=self._client_certificates,
            judges=self._intake.judges,
            seals=self._intake.seals,
            clock=premises.clock,
            spool_directory=premises.config.state.directory,
            memory=self._memory,
            welcome=places.welcome,
        )
        settings = self._settings
        services = Services(
            host=self._host,
            version=__version__,
            tls=listener.tls == "implicit",
            store=premises.mailboxes,
            tree=FolderTree(tables),
            database=self._rows,
            house=house,
            search=self._search,
            views=self._views,
            loader=self._loader,
            facts=self._facts,
            rendered=self._rendered,
            wakeups=self.wakeups,
            limits=Limits(
                size=self._size,
                quota=settings.quota,
                login_seconds=settings.login_seconds,
                idle_seconds=settings.idle_seconds,
                errors=settings.errors,
            ),
            zone=self._zone,
            meter=metrics,
            now=premises.clock.now,
        )
        return Sessions(
            lambda peer: ImapGuest(services, peer),
            metrics,
            house.handshake_context,
            implicit=listener.tls == "implicit",
        )

    async def _client_certificates(self) -> Sequence[bytes]:
        return (await self._premises.directory.current()).client_certificates()


def open_mailroom(premises: Premises, intake: Intake) -> Mailroom | None:
    """The mailboxes' service; None where the office has no door to them.

    Raises ConfigurationError.
    """
    config = premises.config
    if config.mailboxes is None:
        return None
    zone = choices.load(config.policy.directory).zone
    return Mailroom(premises, config.mailboxes, intake, zone)


def open_halls(
    intake: Intake,
    mailroom: Mailroom | None,
    meters: Sequence[IntakeMetrics],
    submission: Places,
    mailboxes: Places,
) -> list[Sessions]:
    """A hall for each door: those for submission first, then those to the mailboxes."""
    config = intake.config
    listeners = config.submission.listeners
    halls = [
        intake.sessions(listener, submission, meter)
        for listener, meter in zip(listeners, meters, strict=False)
    ]
    if mailroom is not None:
        rest = zip(config.mailbox_listeners, meters[len(listeners) :], strict=True)
        halls += [mailroom.sessions(listener, mailboxes, meter) for listener, meter in rest]
    return halls
