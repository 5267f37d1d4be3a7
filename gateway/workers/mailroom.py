"""The mailboxes' service of one process: what its doors' clients share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from gateway import __version__
from gateway.config import Mailboxes, MailboxListener
from gateway.directory import presence
from gateway.exchange.mailroom import DOCUMENT, tables
from gateway.exchange.texts import open_search
from gateway.intake.guest import MailGuest, Session
from gateway.intake.limits import Places
from gateway.intake.mailhouse import PostHouse, Rows
from gateway.intake.services import IntakeMetrics
from gateway.intake.sessions import Sessions
from gateway.reminders import choices
from gateway.workers.intake import Intake
from gateway.workers.premises import Premises
from mailboxes.connection import Connection
from mailboxes.imap import services as imap
from mailboxes.imap.facts import FactBook
from mailboxes.imap.folder_view import Views
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import Limits
from mailboxes.imap.remembering import Rendered
from mailboxes.imap.session import Session as ImapSession
from mailboxes.imap.wake import Wakeups
from mailboxes.pop3 import services as pop3
from mailboxes.pop3.session import Session as Pop3Session
from mailboxes.taken import Taken
from mailboxes.tree import FolderTree

Begin = Callable[[Connection, str], Session]  # a session for the client with that IP address


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
        self._memory = config.submission.limits.memory
        self._limits = Limits(
            size=config.submission.limits.size,
            quota=settings.quota,
            login_seconds=settings.login_seconds,
            idle_seconds=settings.idle_seconds,
            errors=settings.errors,
        )
        self._rows = rows = Rows(premises.database, intake.committed)
        self.wakeups = Wakeups(tables, rows)
        self._views = Views(tables, rows, (DOCUMENT,))
        self._loader = Loader(tables, premises.blobs.open, premises.database.read_now)
        self._facts = FactBook(self._loader)
        self._search = open_search(premises.blobs.open)
        self._rendered = Rendered()
        self._tree = FolderTree(tables)
        self._taken = Taken(tables)

    def sessions(
        self, listener: MailboxListener, places: Places, metrics: IntakeMetrics
    ) -> Sessions:
        """The hall for the clients of one door."""
        if listener.protocol == "pop3":
            house = self._house(presence.POP3, places)
            begin = self._pop3(house, metrics)
        else:
            house = self._house(presence.IMAP, places)
            begin = self._imap(house, metrics, listener)
        return Sessions(
            lambda peer: MailGuest(lambda connection: begin(connection, peer)),
            metrics,
            house.handshake_context,
            implicit=listener.tls == "implicit",
        )

    def _house(self, door: str, places: Places) -> PostHouse:
        premises = self._premises
        return PostHouse(
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
            door=door,
        )

    def _imap(self, house: PostHouse, metrics: IntakeMetrics, listener: MailboxListener) -> Begin:
        premises = self._premises
        services = imap.Services(
            host=self._host,
            version=__version__,
            tls=listener.tls == "implicit",
            store=premises.mailboxes,
            tree=self._tree,
            database=self._rows,
            house=house,
            search=self._search,
            views=self._views,
            loader=self._loader,
            facts=self._facts,
            rendered=self._rendered,
            wakeups=self.wakeups,
            limits=self._limits,
            zone=self._zone,
            meter=metrics,
            now=premises.clock.now,
        )
        return lambda connection, peer: ImapSession(services, connection, peer)

    def _pop3(self, house: PostHouse, metrics: IntakeMetrics) -> Begin:
        premises = self._premises
        services = pop3.Services(
            host=self._host,
            version=__version__,
            store=premises.mailboxes,
            tree=self._tree,
            taken=self._taken,
            database=self._rows,
            logins=house,
            views=self._views,
            loader=self._loader,
            limits=self._limits,
            meter=metrics,
            now=premises.clock.now,
        )
        return lambda connection, peer: Pop3Session(services, connection, peer)

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
