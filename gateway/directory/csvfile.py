"""The directory's CSV file: one table for units, accounts, groups, desks and duty persons.

UTF-8 (with or without a mark) or GB18030, comma, tab or semicolon, headings in English or Chinese;
this is what WPS and Excel write in such offices. A blank cell means "as it is" (or the default for
something new); `-` means "empty". Lists are separated by semicolons.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway.directory.model import AccountKind, Level, Post, Role, UnitClass
from gateway.directory.validity import choice
from gateway.errors import CommandError

E = TypeVar("E", bound=StrEnum)


class Kind(StrEnum):
    """What a row describes, in the order in which rows are taken."""

    UNIT = "unit"
    GROUP = "group"
    DESK = "desk"
    ACCOUNT = "account"
    DUTY = "duty"


COLUMNS: Mapping[str, str] = {
    "kind": "类型",
    "code": "代码",
    "name": "名称",
    "name_en": "英文名称",
    "level": "层级",
    "class": "类别",
    "parent": "上级单位",
    "successor": "并入单位",
    "language": "语言",
    "organ_code": "发文机关代字",
    "seal_limit": "印章上限",
    "marks": "标题标记",
    "unchecked": "免查类别",
    "active": "启用",
    "units": "所属单位",
    "account": "账号类型",
    "address": "地址",
    "password": "密码",
    "networks": "允许网段",
    "certificates": "客户端证书",
    "receipts": "回执方式",
    "members": "成员",
    "senders": "可发单位",
    "post": "岗位",
    "mobile": "手机",
    "landline": "座机",
    "position": "次序",
}
"""Column -> its Chinese heading.

`code` is a unit's code, an account's login, a group's or desk's name; for duty, the unit's code.
`units` is `water:clerk+leader;education:reader` for an account, a unit's code for a desk.
"""

_CHINESE: Mapping[type[StrEnum], Mapping[str, StrEnum]] = {
    Kind: {
        "单位": Kind.UNIT,
        "群组": Kind.GROUP,
        "专用信箱": Kind.DESK,
        "账号": Kind.ACCOUNT,
        "帐号": Kind.ACCOUNT,
        "值班": Kind.DUTY,
    },
    Level: {
        "市": Level.MUNICIPAL,
        "区": Level.DISTRICT,
        "县": Level.DISTRICT,
        "街道": Level.SUBDISTRICT,
        "乡镇": Level.SUBDISTRICT,
    },
    UnitClass: {
        "机关": UnitClass.ORGAN,
        "委办局": UnitClass.BUREAU,
        "街道": UnitClass.SUBDISTRICT,
        "事业单位": UnitClass.INSTITUTION,
    },
    AccountKind: {
        "个人": AccountKind.PERSONAL,
        "共用": AccountKind.SHARED,
        "接口": AccountKind.MACHINE,
    },
    Role: {
        "系统管理员": Role.OPERATOR,
        "单位管理员": Role.UNIT_ADMIN,
        "收发员": Role.CLERK,
        "公章管理员": Role.SEAL_KEEPER,
        "领导": Role.LEADER,
        "业务员": Role.BUSINESS_CLERK,
        "档案员": Role.ARCHIVIST,
        "审计员": Role.AUDITOR,
        "阅读者": Role.READER,
        "接口": Role.MACHINE,
    },
    Post: {
        "收发员": Post.CLERK,
        "值班室": Post.DUTY_ROOM,
        "办公室主任": Post.OFFICE_HEAD,
        "分管领导": Post.LEADER,
        "主要领导": Post.HEAD,
    },
}
_YES = {"yes", "true", "1", "是", "启用"}
_NO = {"no", "false", "0", "否", "停用"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line on which it starts, and its cells by column."""

    line: int
    cells: Mapping[str, str]

    def given(self, column: str) -> bool:
        """Whether the cell says anything."""
        return self.cells.get(column, "") != ""

    def text(self, column: str) -> str:
        """The cell's text; a hyphen alone is the empty text."""
        cell = self.cells.get(column, "")
        return "" if cell == "-" else cell

    def words(self, column: str) -> list[str]:
        """The cell as a list."""
        return [word for word in re.split(r"[;；、\s]+", self.text(column)) if word]

    def one(self, column: str, kind: type[E]) -> E:
        """The cell as a value of an enumeration, in English or Chinese. Raises CommandError."""
        return as_value(kind, self.text(column), column)

    def flag(self, column: str) -> bool:
        """The cell as yes or no. Raises CommandError."""
        word = self.text(column).lower()
        if word not in _YES | _NO:
            raise CommandError(f"{column} {word!r}: write yes or no, 是 or 否")
        return word in _YES

    def number(self, column: str) -> int:
        """The cell as a whole number. Raises CommandError."""
        try:
            return int(self.text(column))
        except ValueError:
            raise CommandError(f"{column} {self.text(column)!r}: write a number") from None


def as_value(kind: type[E], word: str, column: str) -> E:
    """A value of an enumeration by its own or its Chinese name. Raises CommandError."""
    named = _CHINESE.get(kind, {}).get(word)
    return named if isinstance(named, kind) else choice(kind, word, column)


def read(octets: bytes) -> list[Row]:
    """The rows of a file; empty rows are left out.

    Raises CommandError with one line for each fault, each naming its line of the file.
    """
    text = _decode(octets)
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",\t;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    faults: list[str] = []
    headings: list[str] = []
    line = 1
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if any(cells):
                if not headings:
                    headings = _headings(cells)
                elif any(cells[len(headings) :]):
                    faults.append(f"line {line}: there are more cells than headings")
                else:
                    rows.append(Row(line, dict(zip(headings, cells, strict=False))))
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(f"line {line}: not valid CSV: {error}")
    if faults:
        raise CommandError("\n".join(faults))
    if not headings:
        raise CommandError("the file is empty; its first row must have the headings")
    return rows


def write(rows: Iterable[Mapping[str, str]], *, chinese: bool = False) -> str:
    """The text of a file with these rows; headings in English or Chinese."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS.values() if chinese else COLUMNS.keys())
    for row in rows:
        writer.writerow([row.get(column, "") for column in COLUMNS])
    return out.getvalue()


def _decode(octets: bytes) -> str:
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CommandError("the file is UTF-16; save it as CSV in UTF-8 or GB18030")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CommandError("the file is neither UTF-8 nor GB18030; save it as CSV in UTF-8")


def _headings(cells: list[str]) -> list[str]:
    chinese = {heading: column for column, heading in COLUMNS.items()}
    found, unknown = [], []
    for cell in cells:
        column = chinese.get(cell, cell.lower())
        found.append(column)
        if column and column not in COLUMNS:
            unknown.append(repr(cell))
    if unknown:
        raise CommandError(
            f"line 1: unknown headings {', '.join(unknown)}; these are known: {', '.join(COLUMNS)}"
        )
    twice = {column for column in found if column and found.count(column) > 1}
    if twice:
        raise CommandError(f"line 1: a heading stands twice: {', '.join(sorted(twice))}")
    missing = {"kind", "code"} - set(found)
    if missing:
        raise CommandError(f"line 1: a heading is missing: {', '.join(sorted(missing))}")
    return found
