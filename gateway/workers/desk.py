"""Answers what the workers ask and notes what they count: one desk, so that limits hold for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from gateway.directory.logins import LoginFailed
from gateway.directory.model import Account
from gateway.errors import YizhanError
from gateway.intake.limits import Places
from gateway.intake.login import Authenticator
from gateway.intake.services import IntakeMetrics
from gateway.policy.rate import Rates
from gateway.workers import messages

log = structlog.stdlib.get_logger("yizhan.workers")

Question = messages.CheckPassword | messages.CheckCertificate


class Desk:
    """The daemon's memory of guesses and offers, and its counters, for its workers."""

    def __init__(
        self,
        authenticator: Authenticator,
        rates: Rates,
        places: Sequence[Places],
        meters: Sequence[IntakeMetrics],
        committed: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        """`meters` are the doors' in order; `committed` is called when there is new work, `changed`
        when a worker has changed mailboxes."""
        self._authenticator = authenticator
        self._rates = rates
        self._places = places
        self._meters = meters
        self.committed = committed
        self.changed = changed

    async def identify(self, question: Question) -> messages.Answer:
        """Whose login or certificate it is. Never raises but when cancelled."""
        number = question.number
        try:
            account = await self._account(question)
        except LoginFailed as error:
            reply = error.reply
            return messages.Failed(
                number, reply.code, reply.enhanced, reply.text, reply.text_zh,
                error.cause, error.account,
            )  # fmt: skip
        except YizhanError as error:
            return messages.Unable(number, error.cause or error.public)
        except Exception as error:
            log.exception("login-unanswered")
            return messages.Unable(number, type(error).__name__)
        for places in self._places:
            places.welcome(question.address)
        return messages.Known(number, account.id, account.password_hash)

    async def _account(self, question: Question) -> Account:
        if isinstance(question, messages.CheckPassword):
            return await self._authenticator.check_password(
                question.login, question.password, question.address, door=question.door
            )
        return await self._authenticator.check_certificate(
            question.fingerprint, question.address, door=question.door
        )

    def count(self, offer: messages.Offer) -> messages.Answer:
        """How much the account has offered of late."""
        sent = self._rates.note(offer.account, datetime.fromtimestamp(offer.at, UTC))
        return messages.Sent(offer.number, sent.last_minute, sent.last_hour)

    def note(self, seen: messages.Seen) -> None:
        """Count what a worker's door has seen. Raises BadMessage for what no door sees."""
        if not 0 <= seen.door < len(self._meters):
            raise messages.BadMessage("no such door")
        meter = self._meters[seen.door]
        for event in seen.events:
            match event:
                case ["turned_away", str(why)]:
                    meter.turned_away(why)
                case ["login", str(mechanism), bool(good)]:
                    meter.login(mechanism, good=good)
                case ["message", str(outcome), int(octets), int() | float() as seconds]:
                    meter.message(outcome, octets, seconds)
                case _:
                    raise messages.BadMessage("no event of a door")
