"""Who may log in: passwords and client certificates, and what wrong guesses cost the guesser.

Three rules, of which the first two must never undo the third:

1. After `lock_after` wrong passwords a pair of account and client address is locked for a while,
   before anything is hashed, so that a guesser costs us nothing.
2. Each wrong password is answered later than the last one for that account, from wherever.
3. The right password from an address that is not locked gets in at once. So a stranger can slow
   down only himself: he cannot lock a unit out at 17:55.

What a wrong guess is told, and how long that takes, is the same for logins that do not exist.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.config import Submission
from gateway.directory.guesses import Bounded, Guesses, place
from gateway.directory.live import LiveDirectory
from gateway.directory.model import Account
from gateway.directory.passwords import hash_password, verify
from gateway.directory.presence import SUBMISSION, Presence
from gateway.domain.clock import Clock
from gateway.errors import Reply, YizhanError

WRONG = Reply(535, "5.7.8", "Login or password is wrong", "账号或密码错误")
ELSEWHERE = Reply(
    535,
    "5.7.1",
    "This account may not log in from this network address",
    "此账号不能从该网络地址登录",
)
STRANGER = Reply(
    535,
    "5.7.8",
    "This client certificate belongs to no account here",
    "此客户端证书不属于任何账号",
)

_REMEMBERED = timedelta(minutes=10)
_NAME_LIMIT = 64
_PASSWORD_LIMIT = 1024  # letters; nobody types more, and hashing must not be fed


def first_password(url: str) -> Reply:
    """What a mail program is told that comes with a first password; `url` is the portal's."""
    return Reply(
        550,
        "5.7.1",
        "Your first password must be changed before you can send or read: "
        f"open {url} in a web browser",
        f"初始密码须先修改才能收发邮件：请用浏览器打开 {url} 修改密码",
    )


def unready(account: Account, settings: Submission, url: str, now: datetime) -> Reply | None:
    """Why an account that came by its password may not send or read yet; None: it may.

    `url` is the portal's; where there is none nobody is asked to change anything.
    """
    since = account.first_password_at
    if since is None or not url or now < since + timedelta(days=settings.first_password_days):
        return None
    return first_password(url)


class LoginFailed(YizhanError):
    """The login is not good; `reply` tells the client, and no more than it may know.

    `account` is the login, if there is such an account: what else was given as a login may be a
    password in the wrong field, and is kept nowhere.
    """

    def __init__(self, reply: Reply, *, cause: str, account: str = "") -> None:
        """`cause` is one word for the log."""
        super().__init__(reply.text, cause=cause)
        self.reply = reply
        self.account = account


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Authenticator:
    """Checks logins for all doors; one in a process, since its memory is the protection.

    `counts` has ok, remembered, wrong, unknown, locked and elsewhere, for the metrics.
    """

    def __init__(
        self,
        live: LiveDirectory,
        settings: Submission,
        clock: Clock,
        pool: Executor,
        *,
        portal_url: str = "",
    ) -> None:
        """`portal_url` is where first passwords are changed; empty: nobody is asked to."""
        self.presence = Presence(clock)
        self._settings = settings
        self._portal_url = portal_url
        self._live = live
        self._clock = clock
        self._pool = pool  # two threads: hashing must leave room for the mail
        self._guesses = Guesses(settings)
        self._good: Bounded[bytes, datetime] = Bounded()
        self._turns: dict[str, _Turn] = {}
        self._suspects = asyncio.Lock()
        self._key = secrets.token_bytes(32)
        self._nobody = hash_password(secrets.token_hex())  # hashed against for unknown logins
        self.counts: Counter[str] = Counter()

    @property
    def locked(self) -> int:
        """Pairs of account and address that are locked now."""
        return self._guesses.locked(self._clock.now())

    @property
    def waiting(self) -> int:
        """Passwords that are being hashed, or wait for their turn."""
        return sum(turn.users for turn in self._turns.values())

    async def check_password(
        self, login: str, password: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account, if login and password are good and the address is allowed.

        Raises LoginFailed, after the growing delay if the password was wrong, and StoreUnavailable
        if the directory cannot be read.
        """
        directory = await self._live.current()
        account = directory.account(login)
        if account is not None and not (account.active and account.password_hash):
            account = None
        name = account.login if account else login.strip().casefold()[:_NAME_LIMIT]
        pardon = directory.unlocked_at(account.id) if account else None
        at = place(client_ip)
        self._check_lock(account, name, at, pardon)
        proof = self._proof(account, password)
        if account is not None and self._is_remembered(proof):
            self.counts["remembered"] += 1
        else:
            account = await self._check_hash(account, password, name, at, pardon)
            self._good.put(proof, self._clock.now() + _REMEMBERED)
        self._guesses.right(name, at)
        return self._admit(account, client_ip, door)

    async def check_certificate(
        self, fingerprint: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account that lists this client certificate (SHA-256, hexadecimal).

        The TLS handshake has already proved that the client has the key. Raises LoginFailed,
        StoreUnavailable.
        """
        account = (await self._live.current()).account_by_certificate(fingerprint)
        if account is None or not account.active:
            self.counts["unknown"] += 1
            raise LoginFailed(STRANGER, cause="unknown-certificate")
        return self._admit(account, client_ip, door)

    def unready(self, account: Account) -> Reply | None:
        """Why an account that came by its password may not send or read yet; None: it may."""
        return unready(account, self._settings, self._portal_url, self._clock.now())

    def unlock(self, login: str) -> None:
        """Forget the wrong passwords for that login, from wherever, in this process."""
        self._guesses.forget(login.strip().casefold())

    async def _check_hash(
        self, account: Account | None, password: str, name: str, at: str, pardon: datetime | None
    ) -> Account:
        """The account again. Raises LoginFailed unless the password agrees with its hash."""
        # One hash at a time for each place: a flood from one place keeps one thread busy, and what
        # waited while its pair got locked is not hashed any more. And one at a time for all places
        # that guess, so that however many there are one thread is left to the others.
        async with self._turn(at), self._lane(at):
            self._check_lock(account, name, at, pardon)
            try:
                good = await self._agrees(account, password)
            except asyncio.CancelledError:
                # Whoever hangs up early has had his hash; it must not be free of charge.
                self._guesses.wrong(name, at, self._clock.now(), pardon)
                raise
            delay = 0.0 if good else self._guesses.wrong(name, at, self._clock.now(), pardon)
        if account is None or not good:
            self.counts["wrong" if account else "unknown"] += 1
            await self._clock.sleep(delay)
            if account is None:
                raise LoginFailed(WRONG, cause="unknown-login")
            raise LoginFailed(WRONG, cause="wrong-password", account=account.login)
        return account

    def _lane(self, at: str) -> AbstractAsyncContextManager[object]:
        """Where the place waits, asked when it is its turn."""
        suspect = self._guesses.is_suspect(at, self._clock.now())
        return self._suspects if suspect else nullcontext()

    async def _agrees(self, account: Account | None, password: str) -> bool:
        known = account is not None and len(password) <= _PASSWORD_LIMIT
        password_hash = account.password_hash if account and known else self._nobody
        loop = asyncio.get_running_loop()
        good = await loop.run_in_executor(
            self._pool, verify, password_hash, password[:_PASSWORD_LIMIT]
        )
        return good and known

    def _check_lock(
        self, account: Account | None, name: str, at: str, pardon: datetime | None
    ) -> None:
        seconds = self._guesses.locked_for(name, at, self._clock.now(), pardon)
        if not seconds:
            return
        self.counts["locked"] += 1
        reply = _locked(max(1, round(seconds / 60)))
        raise LoginFailed(reply, cause="locked", account=account.login if account else "")

    def _admit(self, account: Account, client_ip: str, door: str) -> Account:
        if not _allowed(account, client_ip):
            self.counts["elsewhere"] += 1
            raise LoginFailed(ELSEWHERE, cause="elsewhere", account=account.login)
        self.counts["ok"] += 1
        self.presence.note(account.id, door, client_ip)
        return account

    def _proof(self, account: Account | None, password: str) -> bytes:
        """What a good login is remembered by; a new password has another hash, so is another."""
        known = (account.login, account.password_hash) if account else ("", "")
        text = "\0".join((*known, password))
        return hmac.digest(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256)

    def _is_remembered(self, proof: bytes) -> bool:
        until = self._good.get(proof)
        return until is not None and self._clock.now() < until

    @asynccontextmanager
    async def _turn(self, at: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(at, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[at]


def _locked(minutes: int) -> Reply:
    return Reply(
        454,
        "4.7.0",
        "Too many wrong passwords for this account from your address; "
        f"try again in {minutes} min, or ask the operator to unlock it",
        f"此账号从您的地址多次输错密码，请 {minutes} 分钟后再试，或请系统管理员解锁",
    )


def _allowed(account: Account, client_ip: str) -> bool:
    if not account.networks:
        return True
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in account.networks)
