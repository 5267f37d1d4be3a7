"""What is known of one message of the corpus: its octets, and what must be found in it."""

from __future__ import annotations

from dataclasses import dataclass

SENDER = "water"
RECIPIENT = "office"


@dataclass(frozen=True)
class Sample:
    """One message from `SENDER` to `RECIPIENT`, and the expected facts."""

    name: str
    octets: bytes
    subject: str  # decoded, on one line
    title: str  # the subject without urgency, number and reply prefixes
    body: str  # an excerpt of the text for people
    number: str = ""  # 发文字号, normalised
    kind: str = ""  # 文种
    urgency: str = "normal"
    message_class: str = "mail"
    files: tuple[str, ...] = ()  # decoded names; members of a container as `container: member`
    warnings: tuple[str, ...] = ()  # all but `seal-missing`
    file_text: str = ""  # an excerpt of the text of a file
