"""What a message may weigh to be examined in the daemon's own process.

Python runs one thread at a time: what takes a second here takes it from every client. Cheap bounds,
known from the structure alone, keep to small mail; the rest goes to a child that can be killed.
"""

from __future__ import annotations

from mailboxes.structure import Part

LIGHT_TEXT = 256 * 1024  # octets of all parts that may be text, and of one file that is
LIGHT_HEADERS = 64 * 1024  # octets of all headers
LIGHT_PARTS = 100
LIGHT_FIELDS = 500
_SILENT = ("image/", "audio/", "video/")  # a claim: `read_plainly` looks at the content


def is_light(structure: Part) -> bool:
    """Whether examining a message of that structure costs milliseconds, whatever it holds."""
    parts = fields = headers = text = 0
    waiting = [structure]
    while waiting:
        part = waiting.pop()
        waiting += part.children
        parts += 1
        fields += len(part.fields)
        headers += part.body_start - part.header_start
        if not part.children and not part.media_type.startswith(_SILENT):
            text += part.body_end - part.body_start
    return (
        parts <= LIGHT_PARTS
        and fields <= LIGHT_FIELDS
        and headers <= LIGHT_HEADERS
        and text <= LIGHT_TEXT
    )
