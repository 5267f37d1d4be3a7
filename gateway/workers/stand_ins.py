"""What a worker asks the daemon for, in the form in which the sessions know it.

Lock-outs, rates and counters are the daemon's, so that they hold over all workers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from gateway.directory.live import LiveDirectory
from gateway.directory.logins import WRONG, LoginFailed
from gateway.directory.model import Account
from gateway.directory.presence import SUBMISSION
from gateway.errors import Reply, StoreUnavailable
from gateway.policy.rate import Rates, Sent
from gateway.workers import messages
from gateway.workers.channel import Line

_MOST = 500  # events in one message
_TOGETHER_SECONDS = 0.01


class RemoteAuthenticator:
    """Has logins decided by the daemon. A password goes over the socket pair and stays nowhere."""

    def __init__(
        self, line: Line, directory: LiveDirectory, unready: Callable[[Account], Reply | None]
    ) -> None:
        """`unready` is decided here: it hangs on the account alone."""
        self._line = line
        self._directory = directory
        self.unready = unready

    async def check_password(
        self, login: str, password: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account. Raises LoginFailed, StoreUnavailable."""
        return await self._account(
            await self._line.ask(
                lambda number: messages.CheckPassword(number, login, password, client_ip, door)
            )
        )

    async def check_certificate(
        self, fingerprint: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account. Raises LoginFailed, StoreUnavailable."""
        return await self._account(
            await self._line.ask(
                lambda number: messages.CheckCertificate(number, fingerprint, client_ip, door)
            )
        )

    async def _account(self, answer: messages.Answer) -> Account:
        match answer:
            case messages.Known(_, account_id, password_hash):
                account = (await self._directory.current()).account_by_id(account_id)
                # It was checked against the directory as the daemon saw it a moment ago.
                if account is None or account.password_hash != password_hash:
                    raise LoginFailed(WRONG, cause="changed-meanwhile")
                return account
            case messages.Failed(_, code, enhanced, text, text_zh, cause, login):
                raise LoginFailed(Reply(code, enhanced, text, text_zh), cause=cause, account=login)
            case _:
                raise unable(answer)


class RemoteRates(Rates):
    """Counts offers where all workers' are counted."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    async def count(self, account_id: int, now: datetime) -> Sent:
        answer = await self._line.ask(
            lambda number: messages.Offer(number, account_id, now.timestamp())
        )
        if isinstance(answer, messages.Sent):
            return Sent(answer.last_minute, answer.last_hour)
        raise unable(answer)


class RemoteMeter:
    """Collects what a door counts until `report` sends it."""

    def __init__(self, line: Line, door: int) -> None:
        self._line = line
        self._door = door
        self._events: list[list[object]] = []

    def connected(self) -> None:
        """The daemon has counted that."""

    def left(self) -> None:
        """The daemon counts that."""

    def turned_away(self, why: str) -> None:
        self._note("turned_away", why)

    def login(self, mechanism: str, *, good: bool) -> None:
        self._note("login", mechanism, good)

    def message(self, outcome: str, octets: int, seconds: float) -> None:
        self._note("message", outcome, octets, seconds)

    def report(self) -> None:
        """Send what was collected."""
        if self._events:
            events, self._events = self._events, []
            self._line.tell(messages.Seen(self._door, events))

    def _note(self, *event: object) -> None:
        self._events.append(list(event))
        if len(self._events) >= _MOST:
            self.report()


class Waker:
    """Tells others of commits: the first at once, those that follow it together."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._quiet = False  # told a moment ago
        self._more = False

    def wake(self) -> None:
        """A commit has left work."""
        if self._quiet:
            self._more = True
            return
        self._tell()
        self._quiet, self._more = True, False
        asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self._again)

    def _again(self) -> None:
        self._quiet = False
        if self._more:
            self.wake()


def unable(answer: messages.Answer) -> StoreUnavailable:
    """The error for an answer that is none."""
    cause = answer.cause if isinstance(answer, messages.Unable) else "another answer was expected"
    return StoreUnavailable("the post office cannot answer now", cause=cause)
