"""The intake of one process: everything between a client's connection and its `250`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway import config
from gateway.exchange.exchange import Exchange, Judges
from gateway.intake.limits import Places
from gateway.intake.login import Authenticator
from gateway.intake.reception import submission_hall
from gateway.intake.services import IntakeMetrics, Services
from gateway.intake.sessions import Sessions
from gateway.intake.tls import TlsHolder
from gateway.policy.collect import open_scanner
from gateway.policy.engine import Policy
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.seals.live import LiveSeals
from gateway.seals.opener import Opener
from gateway.workers.premises import Premises, Steps

_SPOOLERS = 2  # threads for each door that write what does not fit in memory


class Intake:
    """Takes mail in, in the daemon itself or in a worker."""

    def __init__(
        self,
        premises: Premises,
        *,
        policy: Policy,
        tls: TlsHolder,
        opener: Opener,
        authenticator: Authenticator,
        rates: Rates,
        committed: Callable[[], None],
        children: int,
    ) -> None:
        """`committed` is called after each commit that left work for others; `children` of this
        process read attachments. Raises ConfigurationError."""
        self._premises = premises
        self.config = settings = premises.config
        self.authenticator = authenticator
        self.committed = committed
        self.tls = tls
        share = settings.policy.model_copy(update={"extraction_children": children})
        self.inspector = Inspector(share, settings.seals, settings.office.host)
        self.judges = Judges(
            policy=policy,
            settings=settings.policy,
            inspector=self.inspector,
            rates=rates,
            scanner=open_scanner(settings.policy),
            opener=opener,
        )
        self.seals = LiveSeals(premises.database)
        self.exchange = Exchange(
            database=premises.database,
            blobs=premises.blobs,
            directory=premises.directory,
            seals=self.seals,
            judges=self.judges,
            means=premises.means,
            clock=premises.clock,
            committed=committed,
        )
        self._spoolers = ThreadPoolExecutor(
            _SPOOLERS * len(settings.submission.listeners), thread_name_prefix="spool"
        )

    def sessions(
        self, listener: config.Listener, places: Places, metrics: IntakeMetrics
    ) -> Sessions:
        """The hall for the clients of one door."""
        return submission_hall(
            Services(
                listener=listener,
                limits=self.config.submission.limits,
                host=self.config.office.host,
                tls=self.tls,
                certificates=self._client_certificates,
                directory=self._premises.directory,
                authenticator=self.authenticator,
                exchange=self.exchange,
                clock=self._premises.clock,
                spool_directory=self.config.state.directory,
                pool=self._spoolers,
                places=places,
                metrics=metrics,
            )
        )

    async def start(self) -> None:
        """Start the children that read attachments. Raises Deferred when they cannot be."""
        await self.inspector.start()

    async def close(self) -> None:
        """Finish what runs, once nobody is inside any more."""
        await self.inspector.close()
        self.shut()

    def shut(self) -> None:
        """End the threads."""
        self.exchange.close()
        self._spoolers.shutdown(wait=False)

    def reloading(self) -> Steps:
        """What to read again on SIGHUP; each step raises ConfigurationError and changes nothing."""
        return {"policies": self._reload_policy, "certificates": self.tls.reload}

    def _reload_policy(self) -> None:
        self.judges.policy = Policy.load(self.config.policy.directory)

    async def _client_certificates(self) -> Sequence[bytes]:
        return (await self._premises.directory.current()).client_certificates()
