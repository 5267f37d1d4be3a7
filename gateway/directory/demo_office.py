"""The demo office: 和平区, an urban district with 44 units, their people, groups and rosters.

Pure data and one verb that writes it. All telephone numbers are invented: 1380000xxxx is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from gateway.directory.accounts import add_account
from gateway.directory.duty import add_duty
from gateway.directory.groups import add_desk, add_group
from gateway.directory.model import AccountKind, Level, Post, Role, UnitClass
from gateway.directory.units import add_unit
from gateway.domain.address import Address


@dataclass(frozen=True, slots=True)
class DemoUnit:
    """A unit of the demo office."""

    code: str
    name: str
    name_en: str
    organ_code: str
    unit_class: UnitClass
    language: str = "zh-CN"

    @property
    def level(self) -> Level:
        """Subdistricts stand below the district, all others on its level."""
        below = self.unit_class is UnitClass.SUBDISTRICT
        return Level.SUBDISTRICT if below else Level.DISTRICT

    @property
    def parent(self) -> str:
        """The government office is above bureaus and subdistricts; the four organs stand alone."""
        return "" if self.unit_class is UnitClass.ORGAN else "office"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo office; `units` as in `accounts.add_account`."""

    login: str
    name: str
    kind: AccountKind
    units: Mapping[str, tuple[Role, ...]]

    @property
    def unit(self) -> str:
        """Code of the main unit."""
        return next(iter(self.units))

    def address(self, domain: str) -> Address:
        """Its mail address: the unit's for a shared login, its own for a person."""
        return Address(self.unit if self.kind is AccountKind.SHARED else self.login, domain)


_ENGLISH = {"commerce", "culture", "wudadao"}

_ORGANS = (
    ("committee", "区委办", "District Party Committee Office", "和党办发"),
    ("congress", "区人大办", "District People's Congress Office", "和人办发"),
    ("office", "区政府办", "District Government Office", "和政办发"),
    ("consultative", "区政协办", "District CPPCC Office", "和协办发"),
)
_BUREAUS = (
    ("development", "发展和改革委员会", "Development and Reform Commission", "和发改发"),
    ("education", "教育局", "Education Bureau", "和教发"),
    ("science", "科学技术局", "Science and Technology Bureau", "和科发"),
    ("industry", "工业和信息化局", "Industry and Information Bureau", "和工信发"),
    ("ethnic", "民族和宗教事务委员会", "Ethnic and Religious Affairs Commission", "和民宗发"),
    ("police", "公安分局", "Public Security Branch Bureau", "和公发"),
    ("civil", "民政局", "Civil Affairs Bureau", "和民发"),
    ("justice", "司法局", "Justice Bureau", "和司发"),
    ("finance", "财政局", "Finance Bureau", "和财发"),
    ("labour", "人力资源和社会保障局", "Human Resources and Social Security Bureau", "和人社发"),
    ("planning", "规划和自然资源分局", "Planning and Natural Resources Branch Bureau", "和规资发"),
    ("environment", "生态环境局", "Ecology and Environment Bureau", "和环发"),
    ("housing", "住房和建设委员会", "Housing and Construction Commission", "和住建发"),
    ("urban", "城市管理委员会", "Urban Management Commission", "和城管发"),
    ("transport", "交通运输局", "Transport Bureau", "和交发"),
    ("water", "水务局", "Water Bureau", "和水发"),
    ("parks", "园林绿化局", "Parks and Greening Bureau", "和园发"),
    ("commerce", "商务局", "Commerce Bureau", "和商发"),
    ("culture", "文化和旅游局", "Culture and Tourism Bureau", "和文旅发"),
    ("health", "卫生健康委员会", "Health Commission", "和卫发"),
    ("veterans", "退役军人事务局", "Veterans Affairs Bureau", "和退役发"),
    ("emergency", "应急管理局", "Emergency Management Bureau", "和应急发"),
    ("audit", "审计局", "Audit Bureau", "和审发"),
    ("assets", "国有资产监督管理委员会", "State Assets Commission", "和国资发"),
    ("market", "市场监督管理局", "Market Regulation Bureau", "和市监发"),
    ("sports", "体育局", "Sports Bureau", "和体发"),
    ("statistics", "统计局", "Statistics Bureau", "和统发"),
    ("medical", "医疗保障局", "Medical Insurance Bureau", "和医保发"),
    ("petitions", "信访办公室", "Petitions Office", "和信发"),
    ("services", "政务服务办公室", "Government Services Office", "和政服发"),
    ("credit", "金融工作局", "Financial Services Bureau", "和金发"),
    ("cooperation", "合作交流办公室", "Cooperation Office", "和合发"),
    ("defence", "人民防空办公室", "Civil Air Defence Office", "和防发"),
    ("archives", "档案局", "Archives Bureau", "和档发"),
)
_SUBDISTRICTS = (
    ("quanyechang", "劝业场街道", "Quanyechang Subdistrict", "和劝街发"),
    ("xiaobailou", "小白楼街道", "Xiaobailou Subdistrict", "和白街发"),
    ("wudadao", "五大道街道", "Wudadao Subdistrict", "和五街发"),
    ("xinxing", "新兴街道", "Xinxing Subdistrict", "和新街发"),
    ("nanyingmen", "南营门街道", "Nanyingmen Subdistrict", "和营街发"),
    ("nanshi", "南市街道", "Nanshi Subdistrict", "和市街发"),
)

UNITS: tuple[DemoUnit, ...] = tuple(
    DemoUnit(code, name, name_en, organ_code, kind, "en" if code in _ENGLISH else "zh-CN")
    for kind, rows in (
        (UnitClass.ORGAN, _ORGANS),
        (UnitClass.BUREAU, _BUREAUS),
        (UnitClass.SUBDISTRICT, _SUBDISTRICTS),
    )
    for code, name, name_en, organ_code in rows
)

_CLERK = (Role.CLERK,)
_PERSONS = (
    ("operator", "系统管理员 周敏", {"office": (Role.OPERATOR,)}),
    ("security", "保密员 郑宏", {"committee": (Role.AUDITOR, Role.READER)}),
    ("office-leader", "主任 何建国", {"office": (Role.LEADER,)}),
    ("office-seal", "公章管理员 许静", {"office": (Role.SEAL_KEEPER,)}),
    ("committee-seal", "公章管理员 邓芳", {"committee": (Role.SEAL_KEEPER,)}),
    ("water-leader", "局长 冯志强", {"water": (Role.LEADER,)}),
    ("water-seal", "公章管理员 韩梅", {"water": (Role.SEAL_KEEPER,)}),
    ("water-li", "李娜", {"water": _CLERK}),
    ("education-zhao", "赵磊", {"education": _CLERK}),
    ("finance-qian", "钱丽", {"finance": (Role.CLERK, Role.UNIT_ADMIN)}),
    ("health-sun", "孙伟", {"health": _CLERK}),
    ("audit-wu", "吴刚", {"audit": _CLERK, "statistics": (Role.BUSINESS_CLERK,)}),
    ("nanshi-ma", "马超", {"nanshi": _CLERK}),
)
_SEPARATE_SEAL_KEEPER = {"office", "committee", "water"}

ACCOUNTS: tuple[DemoAccount, ...] = (
    *(
        DemoAccount(
            unit.code,
            f"{unit.name}收发室",
            AccountKind.SHARED,
            {
                unit.code: _CLERK
                if unit.code in _SEPARATE_SEAL_KEEPER
                else (Role.CLERK, Role.SEAL_KEEPER)
            },
        )
        for unit in UNITS
    ),
    *(DemoAccount(login, name, AccountKind.PERSONAL, units) for login, name, units in _PERSONS),
)

SECURITY_OFFICER = "security"

_DUTY_ROOMS = {"office", "committee", "emergency", "police", "water", "health", "urban"}
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁"
_GIVEN = (
    "伟",
    "芳",
    "秀英",
    "敏",
    "静",
    "强",
    "磊",
    "洋",
    "艳",
    "勇",
    "军",
    "杰",
    "娟",
    "涛",
    "明",
)


def populate(
    conn: Connection, domain: str, passwords: Mapping[str, str], actor: str, now: datetime
) -> dict[str, Address]:
    """Write the demo office into an empty directory. Gives each login's address.

    `passwords` has the password hash for each login of ACCOUNTS; a login without one gets none.
    Raises CommandError if a name is taken, that is, if the directory is not empty.
    """
    for unit in UNITS:
        add_unit(
            conn,
            code=unit.code,
            name=unit.name,
            name_en=unit.name_en,
            level=unit.level,
            unit_class=unit.unit_class,
            language=unit.language,
            organ_code=unit.organ_code,
            actor=actor,
            now=now,
            parent=unit.parent,
        )
    _add_groups(conn, actor, now)
    add_desk(conn, name="report", title="信息报送", unit="office", actor=actor, now=now)
    for account in ACCOUNTS:
        add_account(
            conn,
            login=account.login,
            name=account.name,
            kind=account.kind,
            units=account.units,
            password_hash=passwords.get(account.login, ""),
            actor=actor,
            now=now,
        )
    for unit, post, name, mobile, landline in _rosters():
        add_duty(
            conn,
            unit=unit.code,
            name=name,
            post=post,
            mobile=mobile,
            landline=landline,
            actor=actor,
            now=now,
        )
    return {account.login: account.address(domain) for account in ACCOUNTS}


def _add_groups(conn: Connection, actor: str, now: datetime) -> None:
    codes = {kind: [u.code for u in UNITS if u.unit_class is kind] for kind in UnitClass}
    organs, bureaus = "class:organ", "class:bureau"
    for name, title, members, senders in (
        ("all", "全体单位", [unit.code for unit in UNITS], [organs]),
        ("bureaus", "各委办局", codes[UnitClass.BUREAU], [organs, "emergency"]),
        ("subdistricts", "各街道", codes[UnitClass.SUBDISTRICT], [organs, bureaus]),
    ):
        add_group(
            conn, name=name, title=title, members=members, senders=senders, actor=actor, now=now
        )


def _rosters() -> Iterator[tuple[DemoUnit, Post, str, str, str]]:
    """Unit, post, name, mobile, landline: a clerk, an office head and a leader everywhere, and a
    duty room (a landline only) where somebody sits day and night.
    """
    for place, unit in enumerate(UNITS):
        landline = f"022-2730{place * 10:04d}"
        for rung, post in enumerate((Post.CLERK, Post.OFFICE_HEAD, Post.LEADER)):
            turn = place * 3 + rung
            name = _SURNAMES[turn % len(_SURNAMES)] + _GIVEN[turn % len(_GIVEN)]
            yield unit, post, name, f"1380000{place * 10 + rung:04d}", landline
        if unit.code in _DUTY_ROOMS or unit.unit_class is UnitClass.SUBDISTRICT:
            yield unit, Post.DUTY_ROOM, f"{unit.name}值班室", "", f"022-2730{place * 10 + 9:04d}"
