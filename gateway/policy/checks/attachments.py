"""Attachments: their types by content and by name, inside archives too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gateway.domain.script import fold, visible
from gateway.policy.facts import Fact, FactKind, Value
from gateway.policy.inspection import Attachment
from gateway.policy.matter import Check, Matter

# Direction overrides turn `fdp.exe` into `exe.pdf` on the screen; many spaces push `.exe` off it.
_TRICK = re.compile(r"[\u202a-\u202e\u2066-\u2069]|\s{8,}\S*$")
# Windows cuts what follows a colon, dots and spaces at the end: `a.exe.` and `a.exe::$DATA` run.
_IGNORED_TAIL = re.compile(r":.*$|[\s.]+$", re.DOTALL)


async def look(matter: Matter) -> Mapping[str, Value]:
    """List endings and types of everything that a reader could save or open."""
    attachments = matter.inspection.attachments
    names = [name for attachment in attachments for name in _names(attachment)]
    types = [kind for attachment in attachments for kind in _types(attachment)]
    return {
        "attachments": len(attachments),
        "attachments-size": sum(attachment.size for attachment in attachments),
        "file-endings": tuple(sorted({ending(name) for name in names} - {""})),
        "file-types": tuple(sorted(set(types) - {""})),
        "tricked-names": any(_TRICK.search(name) for name in names),
    }


def ending(name: str) -> str:
    """The ending that an operating system would act on, folded: `通知.PDF .exe. ` gives `exe`."""
    shown = fold(visible(name)).replace("\\", "/").rpartition("/")[2]
    while shown != (shorter := _IGNORED_TAIL.sub("", shown)):
        shown = shorter
    return shown.rpartition(".")[2].strip() if "." in shown else ""


def _names(attachment: Attachment) -> Iterator[str]:
    yield attachment.name
    yield from attachment.other_names
    yield from attachment.members


def _types(attachment: Attachment) -> Iterator[str]:
    """By content; as declared too, since some clients open by that."""
    yield attachment.found_type.casefold()
    yield attachment.declared_type.casefold()
    yield from (kind.casefold() for kind in attachment.member_types)


CHECK = Check(
    "attachments",
    "types of attachments by content and by name, inside archives too",
    (
        Fact("attachments", FactKind.NUMBER, "number of attachments", 0, quotable=True),
        Fact("attachments-size", FactKind.NUMBER, "octets of all attachments, decoded", 0,
             quotable=True),
        Fact("file-endings", FactKind.WORDS, "endings of all names, inside archives too, lower "
             "case, without the dot", ()),
        Fact("file-types", FactKind.WORDS, "media types, by content and as declared, inside "
             "archives too", ()),
        Fact("tricked-names", FactKind.FLAG, "a name hides its ending by direction marks or "
             "spaces", False),
    ),
    look,
)  # fmt: skip
