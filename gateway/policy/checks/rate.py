"""Rate: how many messages the account has offered in the last minute and hour."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Count this offer; a stolen password must not empty itself over all units at once."""
    sent = await matter.rates.count(matter.account.id, matter.submission.received_at)
    return {"sent-last-minute": sent.last_minute, "sent-last-hour": sent.last_hour}


CHECK = Check(
    "rate",
    "how fast the account sends",
    (
        Fact("sent-last-minute", FactKind.NUMBER, "messages that the account offered in the last "
             "60 s, this one included", 1, quotable=True),
        Fact("sent-last-hour", FactKind.NUMBER, "the same in the last 3,600 s", 1, quotable=True),
    ),
    look,
)  # fmt: skip
