"""The vocabulary of evidence: event names of ETSI EN 319 522-1 and our own, and reason codes."""

from __future__ import annotations

from enum import StrEnum

ETSI_EVENT_URI = "http://uri.etsi.org/19522/Event/"
OWN_EVENT_URI = "urn:yizhan:event:"


class Event(StrEnum):
    """What happened. The value is the frozen name in the record."""

    SUBMISSION_ACCEPTANCE = "SubmissionAcceptance"
    SUBMISSION_REJECTION = "SubmissionRejection"
    CONTENT_CONSIGNMENT = "ContentConsignment"
    CONTENT_CONSIGNMENT_FAILURE = "ContentConsignmentFailure"
    CONSIGNMENT_NOTIFICATION = "ConsignmentNotification"
    CONSIGNMENT_NOTIFICATION_FAILURE = "ConsignmentNotificationFailure"
    CONSIGNMENT_ACCEPTANCE = "ConsignmentAcceptance"
    CONSIGNMENT_REJECTION = "ConsignmentRejection"
    CONTENT_ACCESS_TRACKING = "ContentAccessTracking"
    CONTENT_HANDOVER = "ContentHandover"
    ACT_NOT_COUNTED = "ActNotCounted"  # a gesture that no person made
    SEAL_ISSUED = "SealIssued"
    SEAL_REPLACED = "SealReplaced"
    SEAL_CANCELLED = "SealCancelled"
    SEAL_USED = "SealUsed"
    STORE_RESTORED = "StoreRestored"  # about the store, not a document: its id is the identity
    STORE_RELEASED = "StoreReleased"

    @property
    def uri(self) -> str:
        """The full name: ETSI's where ETSI has one, else ours."""
        return (OWN_EVENT_URI if self in _OWN else ETSI_EVENT_URI) + self.value

    @property
    def negative(self) -> bool:
        """Whether the event needs at least one reason (EN 319 522-1)."""
        return self in _NEGATIVE


_OWN = {
    Event.ACT_NOT_COUNTED, Event.SEAL_ISSUED, Event.SEAL_REPLACED, Event.SEAL_CANCELLED,
    Event.SEAL_USED, Event.STORE_RESTORED, Event.STORE_RELEASED,
}  # fmt: skip
_NEGATIVE = {
    Event.SUBMISSION_REJECTION,
    Event.CONTENT_CONSIGNMENT_FAILURE,
    Event.CONSIGNMENT_NOTIFICATION_FAILURE,
    Event.CONSIGNMENT_REJECTION,
}


class Reason(StrEnum):
    """Why something was refused or failed; or, by WAY, how a person did something."""

    UNKNOWN_RECIPIENT = "UnknownRecipient"
    SENDER_NOT_IDENTIFIED = "SenderNotIdentified"
    SENDER_MISMATCH = "SenderMismatch"
    SEAL_MISSING = "SealMissing"
    SEAL_INVALID = "SealInvalid"
    SEAL_EXPIRED = "SealExpired"
    SEAL_CANCELLED = "SealCancelled"
    SEAL_OF_ANOTHER_UNIT = "SealOfAnotherUnit"
    INVALID_FORMAT = "InvalidFormat"
    TOO_LARGE = "TooLarge"
    TOO_MANY_RECIPIENTS = "TooManyRecipients"
    BLIND_COPY = "BlindCopy"
    FORBIDDEN_ATTACHMENT = "ForbiddenAttachment"
    VIRUS = "Virus"
    CLASSIFICATION_MARKING = "ClassificationMarking"
    POLICY_VIOLATION = "PolicyViolation"
    DUPLICATE_WITH_OTHER_CONTENT = "DuplicateWithOtherContent"
    LOOP = "Loop"
    RECIPIENT_UNREACHABLE = "RecipientUnreachable"
    DEADLINE_PASSED = "DeadlinePassed"
    TECHNICAL_MALFUNCTION = "TechnicalMalfunction"
    OTHER = "Other"
    WAY = "Way"  # the detail is a `domain.states.Way`
