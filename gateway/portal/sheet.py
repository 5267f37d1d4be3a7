"""The 开通单: one printed page for each account, with all that sets up a mail program.

A password is on it only if it was made for that very sheet, since none is kept in the clear; else
there is a line to write on, or a word that its owner has chosen one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape
from pathlib import Path

from markupsafe import Markup

from gateway.config import Config
from gateway.directory.model import Account
from gateway.directory.snapshot import Directory
from gateway.evidence.receipt import CHINA, local_time
from gateway.portal.person import unit_name
from gateway.portal.servers import Security, Server, incoming, outgoing
from gateway.templating import Sample, Templates

TEMPLATE = "sheet.html.j2"
_STYLE = Path(__file__).parent / "sheet.css"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one page says."""

    office: str
    name: str
    units: tuple[str, ...]
    login: str
    address: str
    password: str  # empty: not made for this sheet
    own: bool  # its owner has chosen a password
    forced: bool  # nothing can be sent before the first password is changed
    outgoing: tuple[Server, ...]
    incoming: tuple[Server, ...]
    portal: str  # URL; empty: there is none
    ca: tuple[str, ...]  # SHA-256 of the CA, in lines of pairs; empty: there is none
    made_at: str
    language: str


def make_sheet(
    config: Config,
    directory: Directory,
    account: Account,
    *,
    password: str,
    fingerprint: str,
    now: datetime,
    zone: tzinfo = CHINA,
) -> Sheet:
    """The page of an account; `fingerprint` is the CA's, as `expiry.grouped` writes it."""
    language = directory.language_of(account) or config.office.language
    units = (directory.unit_by_id(one.unit_id) for one in account.memberships)
    reading = incoming(config)  # on paper no POP3 beside IMAP: one way in is enough
    return Sheet(
        office=unit_name(config.office.name, config.office.name_en, language),
        name=account.name,
        units=tuple(unit_name(one.name, one.name_en, language) for one in units if one),
        login=account.login,
        address=str(account.address),
        password=password,
        own=bool(account.password_hash) and account.first_password_at is None,
        forced=not config.submission.first_password_days,
        outgoing=outgoing(config),
        incoming=tuple(one for one in reading if one.protocol == reading[0].protocol),
        portal=config.portal_url,
        ca=tuple(_lines(fingerprint)),
        made_at=local_time(now, zone)[:10],
        language=language,
    )


def render(sheets: Sequence[Sheet], templates: Templates) -> str:
    """One HTML file with a page for each account, that needs nothing else."""
    pages = "".join(_page(one, templates) for one in sheets)
    style = _STYLE.read_text(encoding="utf-8")
    title = escape(sheets[0].office) if sheets else ""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{pages}"
        "</body>\n</html>\n"
    )


def _page(one: Sheet, templates: Templates) -> str:
    return templates.render(one.language, TEMPLATE, sheet=one, qr=_qr(one.portal))


def _qr(url: str) -> Markup:
    """A picture of the address for a telephone's camera; nothing for no address."""
    if not url:
        return Markup("")
    import segno  # noqa: PLC0415  # the daemon draws none, and loads this module

    made = segno.make(url, error="m", micro=False)
    # Made here from modules, and a URL from the configuration; nothing of a person is in it.
    return Markup(made.svg_inline(scale=4, border=4))  # noqa: S704  # drawn by us


def _lines(fingerprint: str) -> Iterator[str]:
    pairs = fingerprint.split(":") if fingerprint else []
    for at in range(0, len(pairs), 16):
        yield ":".join(pairs[at : at + 16])


def samples() -> Iterator[Sample]:
    """Facts for the template."""
    servers = tuple(Server("smtp", "mail.a.test", 465, one) for one in Security)
    full = Sheet("甲", "王", ("甲", "乙"), "w", "w@a.test", "abcd", False, True, servers, servers,
                 "https://mail.a.test/", ("AB", "CD"), "2026-03-09", "en")  # fmt: skip
    bare = Sheet("甲", "王", (), "w", "w@a.test", "", True, False, servers, (), "", (), "x", "en")
    blank = Sheet("甲", "王", (), "w", "w@a.test", "", False, False, servers, (), "", (), "x", "en")
    yield from _samples((full, bare, blank))


def _samples(sheets: Iterable[Sheet]) -> Iterator[Sample]:
    for one in sheets:
        yield Sample(TEMPLATE, {"sheet": one, "qr": Markup("<svg></svg>")})
