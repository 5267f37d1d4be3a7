"""Reads the text of one file: office XML, OFD, PDF, old Office, HTML and plain text, and archives.

Runs in a child process that may be killed at any moment; a fault of a file is a `Reading`, never
an exception. XML is read without entities, so it can neither expand nor fetch anything.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO

from gateway.policy import archives, types
from gateway.policy.archives import Bomb, Broken, Budget, Locked, Member
from gateway.policy.inspection import Reading
from gateway.policy.markup import (
    OFFICE_TEXT,
    html_text,
    is_list_of_values,
    ofd_page_text,
    values_text,
    xml_text,
)
from gateway.policy.weight import LIGHT_TEXT
from mailboxes.charset import charset_text, has_codec, other_reading, storable

CHARACTERS = 20_000_000  # of one file; more is a bomb

_OOXML = "application/vnd.openxmlformats-officedocument."
_OOXML_PARTS = re.compile(
    # Any part may be the main one, whatever its name: only its relationships say so.
    r"(?i)(?!_rels/|.*/(?:_rels|theme|media)/|\[Content_Types\]).+\.xml"
)
_EMBEDDED = re.compile(
    r"(?i)(?:.*/)?embeddings/[^/]+|(?:.*/)?vbaProject\.bin"
    r"|.+\.(?:x?html?|mht(?:ml)?|rtf|txt|doc[xm]?|xls[xm]?|ppt[xm]?)"  # altChunk
)
_ODF_PARTS = re.compile(r"(?:content|styles|meta)\.xml|META-INF/manifest\.xml")
_OFD_PARTS = re.compile(r"(?i)(?:OFD\.xml|.*/(?:Content|Annotation|Annot\w*)[^/]*\.xml)")
_SILENT = ("image/", "audio/", "video/", "font/")
_WORST = (Reading.BOMB, Reading.ENCRYPTED, Reading.UNREADABLE, Reading.SCANNED, Reading.READ)
OLD_OFFICE = {
    "application/msword": "catdoc",
    "application/vnd.ms-excel": "xls2csv",
    "application/vnd.ms-powerpoint": "catppt",
}


@dataclass(frozen=True, slots=True)
class Extracted:
    """What reading one file gave."""

    found_type: str  # by content; empty: unknown
    reading: Reading
    text: str = ""  # lines and cells as lines
    members: tuple[str, ...] = ()
    member_types: tuple[str, ...] = ()


class NeedsChild(Exception):
    """The file can be read only where a crash does no harm."""


@dataclass(slots=True)
class _Archive:
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    readings: set[Reading] = field(default_factory=set)


def read_plainly(name: str, declared: str, octets: bytes) -> Extracted:
    """Read a file that needs no parser: short text, images. Raises NeedsChild for all others."""
    kind = types.found_type(octets)
    if kind.startswith(_SILENT) or kind in types.PROGRAMS:
        return Extracted(kind, Reading.NOT_NEEDED)
    short = len(octets) <= LIGHT_TEXT
    if short and kind in ("text/plain", "text/html", "") and not name.lower().endswith(".eml"):
        return extract(name, declared, octets, Budget())
    raise NeedsChild


def skip_reading(_name: str, _declared: str, octets: bytes) -> Extracted:
    """Only the type, and names inside an archive; for a message that has killed a child."""
    kind = types.found_type(octets)
    silent = kind.startswith(_SILENT)
    names = tuple(map(storable, archives.listed(octets, kind)))
    reading = Reading.NOT_NEEDED if silent else Reading.TIMEOUT
    return Extracted(kind, reading, members=names, member_types=("",) * len(names))


@dataclass(frozen=True, slots=True)
class _File:
    kind: str  # by content
    name: str
    declared: str
    octets: bytes
    budget: Budget
    depth: int


def extract(name: str, declared: str, octets: bytes, budget: Budget, depth: int = 0) -> Extracted:
    """Read a file. `declared` is the Content-Type with its charset parameter, or empty."""
    kind = types.found_type(octets)
    try:
        if kind == "application/zip":
            kind = _exact_zip_type(octets, budget)
        return _storable(_reader(kind)(_File(kind, name, declared, octets, budget, depth)))
    except Bomb:
        return Extracted(kind, Reading.BOMB)
    except Locked:
        return Extracted(kind, Reading.ENCRYPTED)
    except Exception:  # noqa: BLE001  parsers of hostile files raise whatever they like
        return Extracted(kind, Reading.UNREADABLE)


def _storable(found: Extracted) -> Extracted:
    return replace(
        found, text=storable(found.text), members=tuple(storable(name) for name in found.members)
    )


def _reader(kind: str) -> Callable[[_File], Extracted]:
    if kind in archives.ARCHIVES:
        return _archive
    if kind.startswith(_SILENT) or kind in types.PROGRAMS - {"text/x-script"}:
        return _silent
    for start, reader in _READERS:
        if kind.startswith(start):
            return reader
    return _unreadable


def _silent(file: _File) -> Extracted:
    return Extracted(file.kind, Reading.NOT_NEEDED)


def _unreadable(file: _File) -> Extracted:
    return Extracted(file.kind, Reading.UNREADABLE if file.octets else Reading.NOT_NEEDED)


def _locked(file: _File) -> Extracted:
    return Extracted(file.kind, Reading.ENCRYPTED)


def _pgp(file: _File) -> Extracted:
    secret = b"-----BEGIN PGP MESSAGE" in file.octets[:1024]
    return Extracted(file.kind, Reading.ENCRYPTED if secret else Reading.NOT_NEEDED)


def _rtf(file: _File) -> Extracted:
    return _found(file.kind, _rtf_text(file.octets))


def _found(kind: str, text: str) -> Extracted:
    if len(text) > CHARACTERS:
        raise Bomb
    return Extracted(kind, Reading.READ if text.strip() else Reading.SCANNED, text)


def _text(file: _File) -> Extracted:
    kind, octets = file.kind, file.octets
    label = re.search(r"charset=\"?([\w.:+-]+)", file.declared, re.IGNORECASE)
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, label = octets.decode("utf-16", "replace"), None
    else:
        text = charset_text(octets.removeprefix(b"\xef\xbb\xbf"), label[1] if label else "")
    if label and (other := other_reading(octets, label[1])):
        text = f"{text}\n{other}"
    if is_list_of_values(text):
        text = f"{text}\n{values_text(text)}"
    html_like = kind == "text/html" or file.declared.startswith("text/html")
    if kind == "text/xml" or html_like or file.name.lower().endswith((".htm", ".html")):
        text = html_text(text, every_tag=kind == "text/xml")
    known = label is None or has_codec(octets, label[1])
    return Extracted(kind, Reading.READ if known else Reading.UNREADABLE, text)


def _archive(file: _File) -> Extracted:
    into = _Archive()
    # Names before contents: what stops the reading of one file must not hide the names behind it.
    listed = archives.listed(file.octets, file.kind)
    try:
        if file.depth >= file.budget.depth:
            raise Bomb
        for member in archives.members(file.octets, file.kind, file.name, file.budget):
            _add(into, member, file)
    except Bomb:
        into.readings.add(Reading.BOMB)
    except Broken:
        into.readings.add(Reading.UNREADABLE)
    unread = _missing(listed, into.names)
    into.names += unread
    into.types += [""] * len(unread)
    reading = next((worst for worst in _WORST if worst in into.readings), Reading.READ)
    text = "\n".join(into.texts)
    return Extracted(file.kind, reading, text, tuple(into.names), tuple(into.types))


def _missing(listed: list[str], read: list[str]) -> list[str]:
    known = set(read)
    return [name for name in listed if name not in known]


def _add(into: _Archive, member: Member, file: _File) -> None:
    into.names.append(member.name)
    if member.octets is None:
        into.types.append("")
        into.readings.add(Reading.ENCRYPTED)
        return
    inner = extract(member.name, "", member.octets, file.budget, file.depth + 1)
    into.types.append(inner.found_type)
    into.names.extend(f"{member.name}/{deeper}" for deeper in inner.members)
    into.types.extend(inner.member_types)
    into.readings.add(inner.reading)
    if inner.text:
        into.texts.append(inner.text)


def _exact_zip_type(octets: bytes, budget: Budget) -> str:
    names = archives.names_in_zip(octets)
    if "mimetype" in names:
        for member in archives.zip_members(octets, lambda name: name == "mimetype", budget):
            kind = types.odf_type(member.octets or b"")
            if kind:
                return kind
    return types.zip_type(names)


def _office(file: _File) -> Extracted:
    kind, octets = file.kind, file.octets
    into = _Archive()
    for member in archives.zip_members(octets, _is(_OOXML_PARTS, _EMBEDDED), file.budget):
        if _EMBEDDED.fullmatch(member.name):
            _add(into, member, file)
        else:
            into.texts.append(xml_text(member.octets or b"", OFFICE_TEXT))
    text = "\n".join(into.texts)
    bad = into.readings & {Reading.BOMB, Reading.ENCRYPTED}
    found = _found(kind, text)
    if found.reading is Reading.SCANNED and not _has_images(octets):
        found = Extracted(kind, Reading.READ, text)  # an empty form, not a picture of a page
    reading = next(iter(bad), found.reading)
    return Extracted(kind, reading, text, tuple(into.names), tuple(into.types))


def _has_images(octets: bytes) -> bool:
    return any("/media/" in name for name in archives.names_in_zip(octets))


def _open_document(file: _File) -> Extracted:
    texts: list[str] = []
    for member in archives.zip_members(file.octets, _is(_ODF_PARTS), file.budget):
        content = member.octets or b""
        if member.name == "META-INF/manifest.xml":
            if b"encryption-data" in content:
                raise Locked
        else:
            texts.append(xml_text(content, None))
    return _found(file.kind, "\n".join(texts))


def _ofd(file: _File) -> Extracted:
    """GB/T 33190-2016: pages and templates hold TextObject/TextCode, OFD.xml the description."""
    texts: list[str] = []
    pages: list[str] = []
    for member in archives.zip_members(file.octets, _is(_OFD_PARTS), file.budget):
        if member.name.lower().endswith("ofd.xml"):
            texts.append(xml_text(member.octets or b"", None))
        else:
            pages.append(ofd_page_text(member.octets or b""))
    if not "".join(pages).strip():
        return Extracted(file.kind, Reading.SCANNED, "\n".join(texts))
    return _found(file.kind, "\n".join(pages + texts))


def _pdf(file: _File) -> Extracted:
    from pypdf import PdfReader  # noqa: PLC0415  the daemon itself never needs it

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages: list[str] = []
    about: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = PdfReader(BytesIO(file.octets))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Locked
        try:
            size = 0
            for page in reader.pages:
                pages.append(page.extract_text())
                size += len(pages[-1])
                if size > CHARACTERS:
                    raise Bomb
            about += [str(value) for value in (reader.metadata or {}).values()]
        except Bomb:
            raise
        except Exception:  # noqa: BLE001  pages before a broken one are still searched
            return Extracted(file.kind, Reading.UNREADABLE, "\n".join(pages))
    if not "".join(pages).strip():
        return Extracted(file.kind, Reading.SCANNED, "\n".join(about))
    return _found(file.kind, "\n".join(pages + about))


def _old_office(file: _File) -> Extracted:
    """Office 97 and WPS: catdoc where it is installed, else only runs of letters for marks."""
    kind, octets = file.kind, file.octets
    program = shutil.which(OLD_OFFICE.get(kind, "catdoc"))
    if program:
        descriptor = os.memfd_create("document")
        try:
            os.write(descriptor, octets)
            done = subprocess.run(  # noqa: S603  # catdoc, no shell
                [program, "-d", "utf-8", f"/proc/self/fd/{descriptor}"],
                pass_fds=(descriptor,), stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )  # fmt: skip
        finally:
            os.close(descriptor)
        if done.returncode == 0 and done.stdout.strip():
            return _found(kind, done.stdout.decode("utf-8", "replace"))
    text = octets.decode("utf-16-le", "replace")
    runs = re.findall(r"[\t\r\n -~☆★　-〿㐀-䶿一-鿿！-￮]{2,}", text)
    return Extracted(kind, Reading.UNREADABLE, "\n".join(runs))


def _rtf_text(octets: bytes) -> str:
    """RTF 1.9: letters as \\uN or as octets of the file's code page."""
    text = octets.decode("latin-1")
    page = re.search(r"\\ansicpg(\d+)", text)
    charset = f"cp{page[1]}" if page and page[1] != "0" else "gb18030"
    text = re.sub(r"\\(?:par|line|cell|row|tab|page)(?:d)?\b ?", "\n", text)
    text = re.sub(
        r"(?:\\'[0-9a-fA-F]{2})+",
        lambda run: charset_text(bytes.fromhex(run[0].replace("\\'", "")), charset),
        text,
    )
    text = re.sub(r"\\u(-?\d{1,6}) ?\??", lambda sign: chr(int(sign[1]) % 65536), text)
    return re.sub(r"\\[a-z]+-?\d* ?|[{}]|\\\*", "", text)


def _is(*patterns: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda name: any(pattern.fullmatch(name) for pattern in patterns)


_READERS: tuple[tuple[str, Callable[[_File], Extracted]], ...] = (
    (_OOXML, _office),
    ("application/vnd.oasis.opendocument.", _open_document),
    ("application/ofd", _ofd),
    ("application/pdf", _pdf),
    ("application/msword", _old_office),
    ("application/vnd.ms-excel", _old_office),
    ("application/vnd.ms-powerpoint", _old_office),
    ("application/x-ole-storage", _old_office),
    ("application/x-encrypted-office", _locked),
    ("application/pgp", _pgp),
    ("application/rtf", _rtf),
    ("text/", _text),
)
