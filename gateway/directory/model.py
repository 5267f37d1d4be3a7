"""The people and units of an office, as immutable values; `Directory` is one snapshot of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from gateway.domain.address import Address
from gateway.domain.document import MessageClass


class Level(StrEnum):
    """Where an organisation stands; 上行, 平行 and 下行 follow from it."""

    MUNICIPAL = "municipal"  # 市
    DISTRICT = "district"  # 区、县
    SUBDISTRICT = "subdistrict"  # 街道、乡镇


class UnitClass(StrEnum):
    """What kind of organisation a unit is."""

    ORGAN = "organ"  # 区委办、人大办、政府办、政协办
    BUREAU = "bureau"  # 委办局
    SUBDISTRICT = "subdistrict"  # 街道
    INSTITUTION = "institution"  # 事业单位及其他


class Role(StrEnum):
    """What an account may do in a unit."""

    OPERATOR = "operator"
    UNIT_ADMIN = "unit-admin"
    CLERK = "clerk"  # 收发员
    SEAL_KEEPER = "seal-keeper"  # 公章管理员
    LEADER = "leader"  # 领导
    BUSINESS_CLERK = "business-clerk"
    ARCHIVIST = "archivist"
    AUDITOR = "auditor"
    READER = "reader"
    MACHINE = "machine"


class AccountKind(StrEnum):
    """Who logs in. A shared login signs for a document only with a person's name."""

    PERSONAL = "personal"
    SHARED = "shared"
    MACHINE = "machine"


class OwnerKind(StrEnum):
    """Whose mailbox it is."""

    UNIT = "unit"
    PERSON = "person"
    DESK = "desk"


class Post(StrEnum):
    """The rungs of a unit's duty roster."""

    CLERK = "clerk"  # 收发员
    DUTY_ROOM = "duty-room"  # 值班室
    OFFICE_HEAD = "office-head"  # 办公室主任
    LEADER = "leader"  # 分管领导
    HEAD = "head"  # 主要领导


@dataclass(frozen=True, slots=True)
class Owner:
    """A mailbox owner. `key` names it for the mailboxes package, e.g. `unit:water`."""

    kind: OwnerKind
    code: str  # unit code, login, or desk name
    unit_id: int | None  # the unit that stands behind it
    language: str

    @property
    def key(self) -> str:
        return f"{self.kind.value}:{self.code}"


@dataclass(frozen=True, slots=True)
class Unit:
    """单位: an organisation that sends and receives."""

    id: int
    code: str  # short ASCII name, never changes: water
    name: str  # 水务局
    name_en: str
    level: Level
    unit_class: UnitClass
    address: Address
    language: str = "zh-CN"
    parent_id: int | None = None
    active: bool = True
    successor_id: int | None = None  # after a merger
    organ_code: str = ""  # 发文机关代字: 和水发
    seal_limit: int | None = None  # None: the office's setting
    subject_marks: bool = True  # 〔特急〕〔章✓〕 in the subject of the view
    unchecked: frozenset[MessageClass] = frozenset()  # may send these encrypted, unchecked


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's roles in one unit."""

    unit_id: int
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Account:
    """账号: a login. It sends as its own address and as the addresses of its units."""

    id: int
    login: str
    address: Address  # a unit's address for a unit account, else the person's own
    name: str
    kind: AccountKind
    memberships: tuple[Membership, ...]  # the first is the main unit
    active: bool = True
    language: str = ""  # empty: the main unit's
    receipt_style: str = ""  # full, brief, machine; empty: the office's setting
    networks: tuple[IPv4Network | IPv6Network, ...] = ()  # empty: any
    certificates: frozenset[str] = frozenset()  # SHA-256 fingerprints, lower-case hex
    password_hash: str = field(default="", repr=False)  # argon2id, PHC string
    first_password_at: datetime | None = None  # set by another; None: its owner has chosen it

    def roles_in(self, unit_id: int) -> frozenset[Role]:
        """The roles in that unit; empty if none."""
        return next((m.roles for m in self.memberships if m.unit_id == unit_id), frozenset())

    def has_role(self, role: Role) -> bool:
        """Whether the account has the role in any unit."""
        return any(role in membership.roles for membership in self.memberships)


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of units, frozen into deliveries at sending."""

    id: int
    name: str  # local part: all
    address: Address
    title: str  # 全体单位
    members: tuple[int, ...]  # unit ids
    senders: frozenset[str] = frozenset()  # unit codes, `class:organ`, `*`; empty: nobody


@dataclass(frozen=True, slots=True)
class Desk:
    """A mailbox for a task rather than a unit: report@, desk@. A unit stands behind it."""

    id: int
    name: str  # local part: report
    title: str  # 信息报送
    unit_id: int


@dataclass(frozen=True, slots=True)
class DutyPerson:
    """Who is reminded: a person or a room of a unit."""

    id: int
    unit_id: int
    name: str
    post: Post
    mobile: str = ""
    landline: str = ""
    position: int = 0  # order within the post
    language: str = ""  # empty: the unit's


@dataclass(frozen=True, slots=True)
class Target:
    """What an address of this office stands for."""

    address: Address
    owners: tuple[Owner, ...]
    group: Group | None = None  # set if the address is a group's
    unit: Unit | None = None  # set if it is a unit's
