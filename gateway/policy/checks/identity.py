"""Sender identity: the account's unit, MAIL FROM and From must be one; the seal is judged apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.directory.model import AccountKind, Level, Role, UnitClass
from gateway.domain.address import Address, InvalidAddress
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.inspection import Inspection
from gateway.policy.matter import Check, Matter


async def look(matter: Matter) -> Mapping[str, Value]:
    """Compare who logged in with who the envelope and the header say has sent it."""
    sender = matter.submission.sender
    own = matter.directory.sending_unit(matter.account, sender)
    return {
        "sender": str(sender),
        "sender-unit": matter.unit.code,
        "sender-class": matter.unit.unit_class.value,
        "sender-level": matter.unit.level.value,
        "sender-kind": matter.account.kind.value,
        "sender-roles": tuple(role for role in Role if role in _roles(matter)),
        "envelope-sender": "own" if own is not None and own.id == matter.unit.id else "foreign",
        "from-header": _compare(matter.inspection, sender),
        "from-shows-another": not _are(matter.inspection.from_shown, sender),
        "other-senders": tuple(
            dict.fromkeys(
                name for name, address in matter.inspection.sender_fields
                if name != "reply-to" and not _are((address,), sender)
            )
        ),
        "reply-to": _reply_to(matter.inspection, sender),
    }  # fmt: skip


def _roles(matter: Matter) -> frozenset[Role]:
    return matter.account.roles_in(matter.unit.id)


def _compare(inspection: Inspection, sender: Address) -> str:
    if not inspection.from_:
        return "missing"
    if len(inspection.from_) > 1:
        return "several"
    if not _are(inspection.from_, sender):
        return "differs"
    return "unclear" if inspection.from_unclear else "matches"


def _reply_to(inspection: Inspection, sender: Address) -> str:
    written = [address for name, address in inspection.sender_fields if name == "reply-to"]
    if not written:
        return "missing"
    return "matches" if _are(written, sender) else "differs"


def _are(written: Iterable[str], sender: Address) -> bool:
    """Whether all of these are the sender's address."""
    try:
        return all(Address.parse(text) == sender for text in written)
    except InvalidAddress:
        return False


CHECK = Check(
    "identity",
    "account, unit, MAIL FROM and From belong together",
    (
        Fact("sender", FactKind.TEXT, "address in MAIL FROM", "water@heping.test", quotable=True),
        Fact("sender-unit", FactKind.TEXT, "code of the sending unit", "water", quotable=True),
        Fact("sender-class", FactKind.WORD, "kind of organisation", "bureau", tuple(UnitClass)),
        Fact("sender-level", FactKind.WORD, "level of the unit", "district", tuple(Level)),
        Fact("sender-kind", FactKind.WORD, "who logs in", "shared", tuple(AccountKind)),
        Fact(
            "sender-roles", FactKind.WORDS, "the account's roles in that unit", ("clerk",),
            tuple(Role),
        ),
        Fact(
            "envelope-sender", FactKind.WORD,
            "whether the account may send for the unit under MAIL FROM", "own", ("own", "foreign"),
        ),
        Fact(
            "from-header", FactKind.WORD, "From against MAIL FROM", "matches",
            ("matches", "differs", "several", "missing", "unclear"),
        ),
        Fact(
            "from-shows-another", FactKind.FLAG,
            "another address stands in From, as a display name or comment", False,
        ),
        Fact(
            "other-senders", FactKind.WORDS, "fields that name another sender", (),
            ("sender", "resent-from", "resent-sender"), quotable=True,
        ),
        Fact(
            "reply-to", FactKind.WORD, "Reply-To against MAIL FROM", "missing",
            ("matches", "differs", "missing"),
        ),
    ),
    look,
)  # fmt: skip
