"""An office in memory, and submissions to it, as the checks see them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from gateway import config
from gateway.directory.contents import Contents
from gateway.directory.model import (
    Account,
    AccountKind,
    Group,
    Level,
    Membership,
    Role,
    Unit,
    UnitClass,
)
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.document import Metadata, Opening, SealFinding, SealState
from gateway.domain.submission import ClientInfo, EnvelopeRecipient, Submission
from gateway.policy.clamd import Scanner
from gateway.policy.collect import collect
from gateway.policy.facts import Facts
from gateway.policy.inspection import Inspection
from gateway.policy.rate import Rates
from gateway.seals.book import SealBook
from mailboxes.structure import Part

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DOMAIN = "heping.test"


@dataclass(frozen=True)
class Octets:
    """Content in memory."""

    octets: bytes

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.octets).digest()

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.octets), 65_536):
            yield self.octets[start : start + 65_536]

    def read(self) -> bytes:
        return self.octets

    def close(self) -> None:
        pass


def _unit(number: int, code: str, kind: UnitClass, parent: int | None = 1) -> Unit:
    level = Level.SUBDISTRICT if kind is UnitClass.SUBDISTRICT else Level.DISTRICT
    return Unit(
        number, code, f"{code} 局", code.title(), level, kind, Address(code, DOMAIN),
        parent_id=parent,
    )  # fmt: skip


UNITS = (
    _unit(1, "office", UnitClass.ORGAN, None),
    _unit(2, "water", UnitClass.BUREAU),
    _unit(3, "finance", UnitClass.BUREAU),
    _unit(4, "riverside", UnitClass.SUBDISTRICT),
    replace(_unit(5, "fishery", UnitClass.BUREAU), active=False, successor_id=2),
)


def _account(number: int, login: str, unit: int, *roles: Role, own: bool = False) -> Account:
    code = login if own else next(u.code for u in UNITS if u.id == unit)
    return Account(
        number, login, Address(code, DOMAIN), login,
        AccountKind.PERSONAL if own else AccountKind.SHARED,
        (Membership(unit, frozenset(roles)),),
    )  # fmt: skip


ACCOUNTS = (
    _account(1, "office", 1, Role.CLERK),
    _account(2, "water", 2, Role.CLERK),
    _account(3, "finance", 3, Role.CLERK),
    _account(4, "li", 2, Role.READER, own=True),
    _account(5, "operator", 1, Role.OPERATOR, own=True),
)
GROUPS = (
    Group(1, "all", Address("all", DOMAIN), "全体单位", (1, 2, 3, 4), frozenset({"class:organ"})),
    Group(2, "empty", Address("empty", DOMAIN), "空组", (), frozenset({"*"})),
)


@pytest.fixture
def directory() -> Directory:
    contents = Contents(version=1, units=UNITS, accounts=ACCOUNTS, groups=GROUPS)
    return Directory(DOMAIN, contents)


def leaf(*, faults: tuple[str, ...] = (), children: tuple[Part, ...] = ()) -> Part:
    return Part(
        "1", "text/plain", (), "", (), "7bit", "", "", 0, 0, 0, 0, (), children, faults
    )  # fmt: skip


def make_inspection(**changes: object) -> Inspection:
    plain = Inspection(
        structure=leaf(),
        message_id="<1@heping.test>",
        subject="午餐",
        from_=("water@heping.test",),
        to=("finance@heping.test",),
        cc=(),
        repeated_headers=(),
        auto_submitted="",
        received=0,
        passed_here=False,
        receipt_style="",
        texts=(),
        attachments=(),
        parts=(),
        parts_digest="",
        markings=(),
        seal=SealFinding(SealState.MISSING),
        opening=Opening.PLAIN,
        encrypted_to=(),
        metadata=Metadata(title="午餐"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


Find = Callable[..., Facts]


@pytest.fixture
def find(directory: Directory) -> Callable[..., object]:
    """Collect the facts of a plain mail from water to finance, with changes."""

    async def found(
        inspection: Inspection | None = None,
        *,
        to: tuple[str, ...] = ("finance@heping.test",),
        sender: str = "water@heping.test",
        login: str = "water",
        octets: bytes = b"Subject: x\r\n\r\ny\r\n",
        settings: config.Policy | None = None,
        scanner: Scanner | None = None,
        rates: Rates | None = None,
        book: SealBook | None = None,
        warnings: tuple[str, ...] = (),
    ) -> Facts:
        account = directory.account(login)
        assert account is not None
        unit = directory.unit_by_id(account.memberships[0].unit_id)
        assert unit is not None
        submission = Submission(
            account.id,
            Address.parse(sender),
            tuple(EnvelopeRecipient(Address.parse(text)) for text in to),
            Octets(octets),
            ClientInfo("127.0.0.1"),
            NOW,
            warnings=warnings,
        )
        return await collect(
            submission,
            inspection or make_inspection(),
            directory,
            account,
            unit,
            book or SealBook(()),
            settings or config.Policy(),
            rates or Rates(),
            scanner,
        )

    return found
