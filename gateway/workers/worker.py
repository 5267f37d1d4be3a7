"""A worker process: serves the clients that the daemon hands to it, and makes receipts with it.

It has a database, blobs and rules of its own, and takes from the outbox when there is much in it;
sealing and reminding are the daemon's. It ends when the daemon says
so, and at once when the daemon has died: what was not answered with `250` then is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from base64 import b64decode

import structlog
import uvloop

from gateway import interpreter, journal
from gateway.backroom import open_outbox
from gateway.config import Config
from gateway.directory.logins import unready
from gateway.errors import YizhanError
from gateway.intake.limits import Places
from gateway.intake.sessions import Sessions
from gateway.intake.tls import TlsHolder
from gateway.policy.engine import Policy
from gateway.seals.signer import OfficeSigner, load_office_opener, read_passphrase
from gateway.workers import messages
from gateway.workers.channel import Channel
from gateway.workers.intake import Intake
from gateway.workers.mailroom import open_halls, open_mailroom
from gateway.workers.premises import Premises, open_premises, reload
from gateway.workers.stand_ins import RemoteAuthenticator, RemoteMeter, RemoteRates, Waker

log = structlog.stdlib.get_logger("yizhan.workers")


class Worker:
    """What runs in the process, once the daemon has said `Go`."""

    def __init__(self, go: messages.Go, channel: Channel) -> None:
        """Compose it. Raises ConfigurationError, StoreUnusable."""
        self._channel = channel
        self._number = go.number
        config = Config.model_validate_json(go.config)
        journal.set_up(config.log)
        self._premises: Premises = open_premises(config, first=False)
        self._intake = Intake(
            self._premises,
            policy=Policy.load(config.policy.directory),
            tls=TlsHolder(config.tls, config.submission.client_ca),
            # Never closed here: the gpg-agent behind it serves all processes of the daemon.
            opener=load_office_opener(config.seals, config.state.directory),
            authenticator=RemoteAuthenticator(
                channel,
                self._premises.directory,
                lambda account: unready(
                    account, config.submission, config.portal_url, self._premises.clock.now()
                ),
            ),
            rates=RemoteRates(channel),
            committed=Waker(lambda: channel.tell(messages.Committed())).wake,
            children=go.children,
        )
        self._mailroom = open_mailroom(self._premises, self._intake)
        self._premises.database.written = self._written
        self._others = Waker(lambda: channel.tell(messages.Changed()))
        listeners = [*config.submission.listeners, *config.mailbox_listeners]
        self._meters = [RemoteMeter(channel, door) for door in range(len(listeners))]
        places = Places(config.submission.limits)  # of no use: the daemon has given the place
        self._halls: list[Sessions] = open_halls(
            self._intake, self._mailroom, self._meters, places, places
        )
        signer = OfficeSigner(b64decode(go.key), read_passphrase(config.seals))
        self._outbox = open_outbox(self._premises, signer, self._warning, first=False)
        self._working: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Be ready for clients."""
        self._premises.database.start()
        await self._intake.start()
        self._working.append(asyncio.create_task(self._outbox.run()))
        if self._mailroom is not None:
            self._working.append(asyncio.create_task(self._mailroom.wakeups.run()))
        interpreter.settle()
        self._channel.tell(messages.Ready())

    def admit(self, client: messages.Client, connection: socket.socket | None) -> None:
        """Serve a client."""

        def left() -> None:
            self._channel.tell(messages.Left(client.session))

        if connection is None:  # this process is out of descriptors, so the kernel dropped it
            log.warning("accept-failed", cause="no more descriptors")
            left()
            return
        self._halls[client.door].admit(connection, client.peer, left)

    def share(self) -> None:
        """Make receipts."""
        self._outbox.wake()

    def _written(self) -> None:
        """This process has committed something, to mailboxes perhaps."""
        self.changed()
        self._others.wake()

    def changed(self) -> None:
        """Another process has changed mailboxes."""
        if self._mailroom is not None:
            self._mailroom.wakeups.hint()

    def _warning(self, language: str, code: str) -> str:
        return self._intake.judges.policy.sentences.warning(language, code)

    def answer(self, ping: messages.Ping) -> None:
        """Say how it is here."""
        database = self._premises.database
        if ping.failed:
            database.fail(ping.failed)
        for meter in self._meters:
            meter.report()
        self._channel.tell(
            messages.Pong(
                database.commits,
                database.units,
                database.waiting,
                self._intake.inspector.replaced,
                database.failed,
            )
        )

    def reload(self) -> None:
        """Take new rules, texts and certificates."""
        steps = {**self._intake.reloading(), **self._premises.reloading()}
        reload(steps, worker=self._number)

    async def leave(self, seconds: float) -> None:
        """Let the clients finish, then close everything."""
        await asyncio.gather(*(hall.empty(seconds) for hall in self._halls))
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self._intake.close()
        await self._premises.database.close()
        for hall in self._halls:
            hall.close()
        await asyncio.sleep(0)  # in which the loop closes them
        for meter in self._meters:
            meter.report()
        self._channel.tell(messages.Committed())


class Post:
    """The worker's end of the channel: hears what the daemon says, from `Go` to `Leave`."""

    def __init__(self, end: socket.socket) -> None:
        self._channel = Channel(end, self._hear, _orphaned)
        self._going = asyncio.get_running_loop().create_future()
        self._leaving = asyncio.get_running_loop().create_future()
        self._worker: Worker | None = None

    async def serve(self) -> int:
        """Until the daemon says that it is over; the exit status."""
        go = await self._going
        try:
            self._worker = worker = Worker(go, self._channel)
            await worker.start()
        except YizhanError as error:
            self._channel.tell(messages.Unfit(error.public))
            return 1
        await worker.leave(await self._leaving)
        self._channel.close()
        return 0

    def _hear(  # one for each message
        self, message: messages.Message, client: socket.socket | None
    ) -> None:
        worker = self._worker
        match message:
            case messages.Go():
                self._going.set_result(message)
            case messages.Leave(seconds):
                if worker is None:
                    os._exit(0)  # nothing has begun
                if not self._leaving.done():
                    self._leaving.set_result(seconds)
            case messages.Client() if worker is not None:
                worker.admit(message, client)
            case messages.Share() if worker is not None:
                worker.share()
            case messages.Share() | messages.Changed():
                pass  # nothing has begun
            case messages.Changed() if worker is not None:
                worker.changed()
            case messages.Ping() if worker is not None:
                worker.answer(message)
            case messages.Reload(number):
                if worker is not None:
                    worker.reload()
                self._channel.tell(messages.Done(number))  # else it has not read anything yet
            case _:
                raise messages.BadMessage(f"{type(message).__name__} was not expected")


def _orphaned() -> None:
    """The daemon has died, and another may be about to start."""
    os._exit(1)


def main(descriptor: int) -> None:
    """Run a worker on the socket of that number, which the daemon holds the other end of."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _nothing)  # the daemon says what is to be done
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    interpreter.tame()
    interpreter.take_short_turns()
    with contextlib.closing(socket.socket(fileno=descriptor)) as end:
        status = uvloop.run(_run(end))
    sys.exit(status)


def _nothing(_number: int, _frame: object) -> None:
    # Not SIG_IGN, which the children that read attachments would inherit.
    return


async def _run(end: socket.socket) -> int:
    return await Post(end).serve()
