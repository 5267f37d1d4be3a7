"""A verdict: what policy says about one message, for all its recipients at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.document import MessageClass, SealRule
from gateway.domain.event import Reason
from gateway.errors import Deferred, Refused


class Outcome(StrEnum):
    """The three ends of a submission."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DEFER = "defer"


@dataclass(frozen=True, slots=True)
class ReasonDetail:
    """Why, for the evidence record. `detail` is the English sentence; it never quotes content."""

    code: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, the rule that decided, and what a person is told."""

    outcome: Outcome
    rule: str  # name of the rule that refused or deferred, else that decided the class
    reasons: tuple[ReasonDetail, ...]  # empty for an acceptance
    message_class: MessageClass
    seal_rule: SealRule
    alert_security: bool  # the security officer must be told at once
    sentence: str  # key in templates/*/verdicts.toml; empty for an acceptance
    warnings: tuple[str, ...]  # keys of the table `warnings` in the same files
    texts: tuple[tuple[str, str], ...] = ()  # language -> the sentence, filled in

    def text(self, language: str) -> str:
        """The sentence in that language, else in English; empty for an acceptance."""
        texts = dict(self.texts)
        return texts.get(language, texts.get("en", ""))

    def error(self) -> Refused | Deferred | None:
        """The answer to the client as an error to raise, in both languages; None: accepted.

        English is ASCII; with the codes neither text is longer than 400 octets.
        """
        english, chinese = self.text("en"), dict(self.texts).get("zh-CN", "")
        match self.outcome:
            case Outcome.ACCEPT:
                return None
            case Outcome.DEFER:
                return Deferred(
                    english, zh=chinese, code=451, enhanced="4.7.1", cause=f"rule {self.rule}"
                )
        reason = self.reasons[0].code
        code, enhanced = _CODES.get(reason, (550, "5.7.1"))
        return Refused(
            english,
            zh=chinese,
            code=code,
            enhanced=enhanced,
            reason=reason.value,
            cause=f"rule {self.rule}",
        )


# RFC 5321, 4.2.3 and the enumerated status codes of RFC 3463; what is not here is 550 5.7.1.
_CODES: dict[Reason, tuple[int, str]] = {
    Reason.UNKNOWN_RECIPIENT: (550, "5.1.1"),
    Reason.INVALID_FORMAT: (550, "5.6.0"),
    Reason.TOO_LARGE: (552, "5.3.4"),
    Reason.TOO_MANY_RECIPIENTS: (550, "5.5.3"),
    Reason.LOOP: (554, "5.4.6"),
    Reason.VIRUS: (554, "5.7.1"),
    Reason.SEAL_MISSING: (550, "5.7.7"),
    Reason.SEAL_INVALID: (550, "5.7.7"),
    Reason.SEAL_EXPIRED: (550, "5.7.7"),
    Reason.SEAL_CANCELLED: (550, "5.7.7"),
    Reason.SEAL_OF_ANOTHER_UNIT: (550, "5.7.7"),
}
