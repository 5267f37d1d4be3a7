"""Goes through the leaf parts of a message: what is body, what is a file, what each is called.

Every leaf is decoded once; its digest, its text and its markings come from that one pass, and
only one decoded part is held at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from gateway.domain.marking import find_markings
from gateway.policy.extract import Extracted
from gateway.policy.fields import faults, repeated
from gateway.policy.inspection import Attachment, Marking, PartDigest, Reading, Text
from gateway.policy.markup import html_text, is_list_of_values, values_text
from gateway.policy.types import found_type
from gateway.policy.uuencoded import take_out
from gateway.seals.forms import PROOFS, is_structural, may_be_structural
from mailboxes.charset import has_codec, other_reading
from mailboxes.decode import charset_text, decode_body, decode_text, parameter
from mailboxes.scan import scan
from mailboxes.structure import Part

TEXT_KEPT = 500_000  # characters of one message that are kept for search
_NAME_KEPT = 1_000
_MESSAGES = ("message/rfc822", "message/global")
_EMBEDDED_KEPT = frozenset(("subject", "from", "to", "cc"))  # of a message within another: text
_DEPTH = 4  # messages within files within messages

ReadAttachment = Callable[[str, str, bytes], Extracted]  # name, declared type, decoded octets

_ARMOUR = re.compile(
    r"^-----BEGIN PGP SIGNED MESSAGE-----\n(?:[\w-]+: .*\n)*\n?|"
    r"^-----BEGIN PGP SIGNATURE-----\n[\s\S]*?(?:^-----END PGP SIGNATURE-----\n?|\Z)",
    re.MULTILINE,
)


@dataclass(slots=True)
class Contents:
    """What the leaf parts hold. Filled by `read_contents`."""

    texts: list[Text] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    parts: list[PartDigest] = field(default_factory=list)
    parts_digest: str = ""
    markings: list[Marking] = field(default_factory=list)
    first_lines: str = ""  # of the first body
    faults: list[str] = field(default_factory=list)  # of the structure of attached messages
    repeated: list[str] = field(default_factory=list)  # single fields in attached messages
    kept: int = 0

    def add_text(self, place: str, text: str) -> None:
        """Search a text for markings, and keep it for search."""
        self.mark(text, place)
        self.keep(place, text)

    def keep(self, place: str, text: str) -> None:
        """Keep what there is room for."""
        room = TEXT_KEPT - self.kept
        if text and room > 0:
            self.texts.append(Text(place, text[:room]))
            self.kept += min(len(text), room)

    def mark(self, text: str, place: str) -> None:
        """Search a text that is not kept."""
        for level, where in find_markings(text, place):
            marking = Marking(level.value, where)
            if marking not in self.markings:
                self.markings.append(marking)


@dataclass(frozen=True, slots=True)
class _Leaf:
    part: Part
    embedded: bool  # inside an embedded message
    proof: bool  # by place, type and name a signature or a piece of encryption


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    octets: bytes
    sha256: str
    depth: int


class Hash(Protocol):
    """A running digest."""

    def update(self, octets: bytes, /) -> None: ...


def read_contents(
    octets: bytes, structure: Part, read: ReadAttachment, *, depth: int = 0
) -> Contents:
    """Everything that the leaf parts of a message hold; `depth` counts messages within files.

    Raises what `read` raises, nothing else.
    """
    contents = Contents()
    whole = hashlib.sha256()
    body = memoryview(octets)  # a slice of it is no copy
    for leaf in _leaves(structure, embedded=False, proof=False):
        part = leaf.part
        decoded = decode_body(body[part.body_start : part.body_end], part.encoding)
        structural = leaf.proof and is_structural(part.media_type, decoded)
        digest = _add_digest(contents, whole, part, decoded, proof=structural)
        if structural:
            contents.mark(part_name(part), "attachment-name")
        else:
            _read_leaf(contents, leaf, _File(part_name(part), decoded, digest, depth), read)
    contents.parts_digest = whole.hexdigest()
    for part in _entities(structure):
        _read_description(contents, part, root=part is structure)
    return contents


def _add_digest(contents: Contents, whole: Hash, part: Part, decoded: bytes, *, proof: bool) -> str:
    digest = hashlib.sha256(decoded).hexdigest()
    contents.parts.append(PartDigest(part.number, _sayable(part.media_type), len(decoded), digest))
    if not (proof and part.media_type in PROOFS):
        # A seal differs with every sealing; lines end as the transfer encoding liked.
        is_text = part.media_type.startswith("text/")
        same = decoded.replace(b"\r\n", b"\n").rstrip(b"\n") if is_text else decoded
        whole.update(f"{len(same)}:".encode())
        whole.update(same)
    return digest


def part_name(part: Part) -> str:
    """The decoded file name of a part; empty if it has none."""
    name = parameter(part.disposition_parameters, "filename") or parameter(part.parameters, "name")
    return _last_step(name)


def _last_step(name: str) -> str:
    # Programs on Windows send whole paths; a person sees the last step.
    return re.split(r"[/\\]", name)[-1].strip()[:_NAME_KEPT]


def _other_names(part: Part) -> tuple[str, ...]:
    """Every further name of its file: `name=` beside `filename=`, or two of one."""
    found = []
    for parameters, key in ((part.disposition_parameters, "filename"), (part.parameters, "name")):
        found.append(parameter(parameters, key))
        found += [parameter((one,), key) for one in parameters if one[0] in (key, f"{key}*")]
    shown = part_name(part)
    others = {step for name in found if (step := _last_step(name)) and step != shown}
    return tuple(sorted(others))


def _leaves(part: Part, *, embedded: bool, proof: bool) -> Iterator[_Leaf]:
    if not part.children:
        yield _Leaf(part, embedded, proof)
        return
    inside = embedded or part.media_type.startswith("message/")
    for child in part.children:
        yield from _leaves(child, embedded=inside, proof=may_be_structural(part, child))


def _entities(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _entities(child)


def _read_description(contents: Contents, part: Part, *, root: bool) -> None:
    """Names and header texts of a part that is not the message itself."""
    if part.description:
        text = decode_text(part.description.encode("utf-8", "surrogateescape"))
        contents.mark(text, "header")
    if part.children and (name := part_name(part)):
        contents.mark(name, "attachment-name")
    for other in _other_names(part):
        contents.mark(other, "attachment-name")
    if root:
        return
    for header in part.fields:
        if header.name.lower() in _EMBEDDED_KEPT:
            contents.keep(part.number or "body", decode_text(header.value))
        if header.name.lower() == "subject":
            # An embedded message: its subject is content of this part.
            place = part.number or "body"
            text = decode_text(header.value)
            contents.markings.extend(
                Marking(level.value, place)
                for level, _ in find_markings(text, "subject")
                if Marking(level.value, place) not in contents.markings
            )


def _read_leaf(contents: Contents, leaf: _Leaf, file: _File, read: ReadAttachment) -> None:
    part, decoded = leaf.part, file.octets
    if file.name or part.disposition == "attachment" or not _is_body(part, decoded):
        charset = parameter(part.parameters, "charset")
        declared = f"{part.media_type}; charset={charset}" if charset else part.media_type
        found = read(file.name, declared, decoded)
        if _is_message(part, file, found):
            found = Extracted("message/rfc822", found.reading)
            _read_message(contents, part, file, read)
        _add_file(contents, part, file, found)
        return
    place = part.number if leaf.embedded else "body"
    uuencoded, rest = take_out(decoded)
    for coded in uuencoded:
        inner = decode_body(coded.octets, "x-uuencode")
        name = charset_text(coded.name, "")[:_NAME_KEPT]
        uu_file = _File(name, inner, hashlib.sha256(inner).hexdigest(), file.depth)
        _add_file(contents, part, uu_file, read(name, "", inner))
    charset = parameter(part.parameters, "charset")
    if not has_codec(rest, charset):
        _add_file(contents, part, file, Extracted("text/plain", Reading.UNREADABLE))
    text = charset_text(rest, charset)
    if other := other_reading(rest, charset):
        contents.mark(html_text(other) if part.media_type == "text/html" else other, place)
    if part.media_type == "text/html":
        text = html_text(text)
    if is_list_of_values(text):
        contents.mark(values_text(text), place)
    text = _ARMOUR.sub("", text.replace("\r\n", "\n"))
    contents.add_text(place, text)
    if not contents.first_lines and not leaf.embedded:
        lines = [line.strip() for line in text[:20_000].splitlines() if line.strip()]
        contents.first_lines = "\n".join(lines[:30])


def _is_message(part: Part, file: _File, found: Extracted) -> bool:
    named = file.name.lower().endswith((".eml", ".mht", ".mhtml"))
    text = found.found_type in ("text/plain", "text/html")
    return text and file.depth < _DEPTH and (named or part.media_type in _MESSAGES)


def _read_message(contents: Contents, part: Part, file: _File, read: ReadAttachment) -> None:
    """A message attached as a file: its texts and files count as this part's."""
    structure = scan(file.octets)
    inner = read_contents(file.octets, structure, read, depth=file.depth + 1)
    contents.faults += [*faults(structure), *inner.faults]
    contents.repeated += [*repeated(structure), *inner.repeated]
    for header in structure.fields:
        if header.name.lower() in _EMBEDDED_KEPT:
            contents.keep(part.number, decode_text(header.value))
        if header.name.lower() == "subject":
            inner.mark(decode_text(header.value), "subject")
    for attachment in inner.attachments:
        contents.attachments.append(replace(attachment, part=part.number))
    for text in inner.texts:
        place = text.place if text.place == "attachment-name" else part.number
        contents.keep(place, text.text)
    for marking in inner.markings:
        place = marking.place if marking.place == "attachment-name" else part.number
        moved = Marking(marking.level, place)
        if moved not in contents.markings:
            contents.markings.append(moved)


def _is_body(part: Part, decoded: bytes) -> bool:
    """Whether a nameless leaf is text to read; a label `text/plain` on a program does not count."""
    if not part.media_type.startswith(("text/", "message/", "multipart/")):
        return False
    if part.media_type in _MESSAGES:
        # A leaf only because it is encoded, against RFC 2046, 5.2.1; mail programs open it.
        return False
    kind = found_type(decoded)
    return not kind or kind.startswith("text/") or b"\0" not in decoded[:4096]


def _sayable(media_type: str) -> str:
    """A type as records and rules may hold it: octets that are no letters are not Unicode."""
    return media_type.encode("ascii", "replace").decode().replace("\0", "")


def _add_file(contents: Contents, part: Part, file: _File, found: Extracted) -> None:
    contents.attachments.append(
        Attachment(
            part=part.number,
            name=file.name,
            declared_type=_sayable(part.media_type),
            found_type=found.found_type,
            size=len(file.octets),
            sha256=file.sha256,
            reading=found.reading,
            members=found.members,
            member_types=found.member_types,
            other_names=_other_names(part),
        )
    )
    names = [name for name in (file.name, *found.members) if name]
    for name in names:
        contents.mark(name, "attachment-name")
    contents.keep("attachment-name", "\n".join(names))
    if found.text:
        contents.add_text(part.number, found.text)
