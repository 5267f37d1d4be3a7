"""Names the type of a file by its first octets, because names and declared types are claims.

A table of our own: it holds only what policy tells apart (documents, containers, programs, media),
and a library's table of thousands of types would give wrong answers for short texts.
"""

from __future__ import annotations

import re

# Where a type's letters stand: (offset, octets, type). First match wins.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),  # an empty archive
    (0, b"PK\x07\x08", "application/zip"),  # a spanned one
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (0, b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\x4c\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (0, b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (257, b"ustar", "application/x-tar"),
    (32769, b"CD001", "application/x-iso9660-image"),
    (0, b"ITSF\x03\x00", "application/vnd.ms-htmlhelp"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (4, b"Standard Jet DB", "application/x-msaccess"),
    (4, b"Standard ACE DB", "application/x-msaccess"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"AC10", "image/vnd.dwg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/x-wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"-----BEGIN PGP", "application/pgp"),
)
_TEXTS = (
    (re.compile(rb"(?i)#!|@echo off|<script|<job"), "text/x-script"),
    (re.compile(rb"<\?xml"), "text/xml"),
    (re.compile(rb"(?i)<(?:!doctype html|html|head|body|meta|table|div|p)[\s>]"), "text/html"),
)

# What a zip is, by a member that only this format has.
_ZIP_MEMBERS = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ofd.xml", "application/ofd"),
    ("meta-inf/manifest.mf", "application/java-archive"),
    ("androidmanifest.xml", "application/vnd.android.package-archive"),
)
_ODF = "application/vnd.oasis.opendocument."
# Streams that an OLE file's directory names, in UTF-16.
_OLE_STREAMS = (
    ("EncryptedPackage", "application/x-encrypted-office"),
    ("WordDocument", "application/msword"),
    ("Workbook", "application/vnd.ms-excel"),
    ("Book", "application/vnd.ms-excel"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "application/vnd.ms-outlook"),
    ("!_StringData", "application/x-msi"),
)

PROGRAMS = frozenset(
    {
        "application/vnd.microsoft.portable-executable",
        "application/x-dosexec",
        "application/x-elf",
        "application/x-mach-binary",
        "application/java-vm",
        "application/java-archive",
        "application/vnd.android.package-archive",
        "application/x-ms-shortcut",
        "application/x-msi",
        "application/vnd.ms-htmlhelp",
        "text/x-script",
    }
)

# Octets that no text has, at least not more than two of them.
_CONTROLS = bytes(octet for octet in range(32) if octet not in b"\t\r\n\f\x1b\b")


def found_type(octets: bytes) -> str:
    """The media type by content; text/plain for readable text, empty if nothing fits."""
    if octets[:2] == b"MZ" and b"\0" in octets[:64]:
        return _program(octets)
    for offset, letters, name in _SIGNATURES:
        if octets.startswith(letters, offset):
            return _of_ole(octets) if name == "application/x-ole-storage" else name
    # PDF readers take a header anywhere in the first 1,024 octets, so a disguise counts as PDF.
    if octets.find(b"%PDF-", 0, 1024 + 5) >= 0:
        return "application/pdf"
    if octets[:2] == b"BM" and octets[6:10] == bytes(4):
        return "image/bmp"
    return _of_text(octets)


def zip_type(names: list[str]) -> str:
    """What a zip is by the names of its members; application/zip if it is only an archive."""
    lowered = [name.lower().replace("\\", "/") for name in names]
    for start, kind in _ZIP_MEMBERS:
        if start == "ofd.xml" or "/" not in start:
            if start in lowered:
                return kind
        elif any(name.startswith(start) for name in lowered) and (
            start.startswith("meta-inf") or "[content_types].xml" in lowered
        ):
            return kind
    return "application/zip"


def odf_type(mimetype: bytes) -> str:
    """The type that an OpenDocument file's first member, `mimetype`, names; else empty."""
    text = mimetype[:100].decode("ascii", "replace").strip()
    return text if text.startswith(_ODF) else ""


def _program(octets: bytes) -> str:
    start = int.from_bytes(octets[0x3C:0x40], "little")
    if octets[start : start + 4] == b"PE\0\0":
        return "application/vnd.microsoft.portable-executable"
    return "application/x-dosexec"


def _of_ole(octets: bytes) -> str:
    for name, kind in _OLE_STREAMS:
        # A directory entry: 64 octets of name, zero-padded, then its length with the final zero.
        encoded = name.encode("utf-16-le")
        entry = encoded.ljust(64, b"\0") + (len(encoded) + 2).to_bytes(2, "little")
        if entry in octets:
            return kind
    return "application/x-ole-storage"


def _of_text(octets: bytes) -> str:
    head = octets[:4096]
    if not head:
        return ""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "text/plain"
    if b"\0" in head or len(head) - len(head.translate(None, _CONTROLS)) > 2:
        return ""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for form, kind in _TEXTS:
        if form.match(start):
            return kind
    return "text/plain" if _is_text(octets) else ""


def _is_text(octets: bytes) -> bool:
    head = octets[:4096]
    for charset in ("utf-8", "gb18030"):
        try:
            # The piece may end inside a letter, which is at most four octets long.
            head[: len(head) - (3 if len(octets) > len(head) else 0)].decode(charset)
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4 or len(octets) <= 4096:
                continue
        return True
    return False
