"""A signed mail that is one text: what alert, answer, summary and the letter of fullness are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.evidence.letter import (
    Envelope,
    multipart,
    one_line,
    protected,
    signed_letter,
    text_part,
)
from gateway.seals.signer import Signer


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands around the text."""

    kind: str  # Alert, Answer, Mailbox-Full, Summary
    notice_id: str  # makes the Message-ID
    document_id: str  # or a refusal's; empty: it is about none
    office: str
    domain: str
    to: str  # address of the reader
    at: datetime  # in the reader's zone
    subject: str
    text: str
    about: str = ""  # Message-ID of the document

    def render(self, signer: Signer) -> bytes:
        """The octets of the mail: 7-bit, CRLF, multipart/signed around one text."""
        about = (("X-Yizhan-Document", self.document_id),) if self.document_id else ()
        envelope = Envelope(
            from_name=self.office,
            from_address=f"postmaster@{self.domain}",
            to=self.to,
            subject=one_line(self.subject),
            date=self.at,
            message_id=f"<{self.notice_id}@{self.domain}>",
            about=self.about,
            extra=(*about, ("X-Yizhan-Event", self.kind)),
        )
        entity = multipart(
            "mixed",
            f"=_{self.kind.lower()}_{self.notice_id}",
            [text_part(self.text)],
            parameters=[("protected-headers", "v1")],
            fields=protected(envelope),
        )
        return signed_letter(envelope, entity, signer)
