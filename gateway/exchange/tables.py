"""Documents, their envelope, their deliveries, refusals, and the outbox."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.store.schema import metadata

# Partial indexes, for the operator's questions: they hold only what is asked for.
_NUMBERED = text("number <> ''")
_OPEN = text("state = 'consigned' AND deadline IS NOT NULL")

documents = Table(
    "documents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("unit_id", Integer, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the exact octets
    Column("parts_digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("message_class", Text, nullable=False),
    Column("urgency", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("warnings", Text, nullable=False),  # JSON list of codes
    Column("seal_state", Text, nullable=False),
    Column("seal_fingerprint", Text, nullable=False),
    Column("seal_detail", Text, nullable=False),
    Column("opening", Text, nullable=False),
    Column("rule", Text, nullable=False),  # of the policy, that decided the class
    Column("possible_duplicate_of", Text, nullable=False),
    Column("recipients_digest", LargeBinary, nullable=False),
    Column("envid", Text, nullable=False),
    Column("ret", Text, nullable=False),
    Column("priority", Integer),
    Column("deliver_by", BigInteger),  # Unix milliseconds
    Column("deliver_by_mode", Text, nullable=False),
    Column("receipt_style", Text, nullable=False),
    Column("deadline", BigInteger),  # for signing, Unix milliseconds
    Column("client", Text, nullable=False),  # JSON: address, helo, tls, login, protocol
    Index("ix_documents_resend", "mail_from", "digest", "message_id"),
    # The time last: of a text that is sent every day only the last day is looked at.
    Index("ix_documents_parts", "mail_from", "parts_digest", "received_at"),
    Index("ix_documents_unit", "unit_id", "received_at"),
    Index("ix_documents_message_id", "message_id"),
    Index("ix_documents_number", "number", sqlite_where=_NUMBERED, postgresql_where=_NUMBERED),
)

# The envelope as it was certified: one row for each RCPT TO (RFC 6109: the envelope counts).
envelope_recipients = Table(
    "envelope_recipients",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("notify", Text, nullable=False),  # comma-separated, sorted; empty: not said
    Column("orcpt", Text, nullable=False),
    Column("is_group", Boolean, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("document_id", Text, ForeignKey("documents.id"), nullable=False),
    Column("owner", Text, nullable=False),  # unit:water, person:wang
    Column("unit_id", Integer),
    Column("address", Text, nullable=False),  # the recipient's own
    Column("via", Text, nullable=False),  # the envelope recipient that named it
    Column("role", Text, nullable=False),  # to (主送) or cc (抄送)
    Column("state", Text, nullable=False),
    Column("consigned_at", BigInteger),
    Column("signed_at", BigInteger),
    Column("signed_by", Text, nullable=False, server_default=""),
    Column("signed_way", Text, nullable=False, server_default=""),
    Column("returned_at", BigInteger),
    Column("returned_by", Text, nullable=False, server_default=""),
    Column("returned_way", Text, nullable=False, server_default=""),
    Column("returned_reason", Text, nullable=False, server_default=""),
    Column("deadline", BigInteger),  # for signing, Unix milliseconds; null: nobody signs for it
    UniqueConstraint("document_id", "owner"),
    Index("ix_deliveries_unit", "unit_id", "state"),
    Index(
        "ix_deliveries_open", "deadline", "document_id", sqlite_where=_OPEN, postgresql_where=_OPEN
    ),
)

# Documents of which the sender wants to be told who has opened and fetched them.
tracked_documents = Table(
    "tracked_documents",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), primary_key=True),
)

refusals = Table(
    "refusals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("account_id", Integer, nullable=False),
    Column("unit_id", Integer, nullable=False),
    Column("mail_from", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("recipients_digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("reasons", Text, nullable=False),  # JSON list of {code, detail}
    Column("sentence", Text, nullable=False),  # key of the wording
    Column("texts", Text, nullable=False),  # JSON: language -> the sentence
    Column("reply", Text, nullable=False),  # code, status, English; `texts` has both
    Column("envid", Text, nullable=False),
    Column("envelope", Text, nullable=False),  # JSON list of [address, notify, orcpt]
    Column("circumstances", Text, nullable=False),  # what else could change the verdict
    Index("ix_refusals_resend", "mail_from", "digest"),
    Index("ix_refusals_message_id", "message_id"),
)

# Texts read from accepted plain documents; search indexes them. Never of encrypted ones.
document_texts = Table(
    "document_texts",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), primary_key=True),
    Column("place", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("text", Text, nullable=False),
)

# Files of accepted documents whose text nobody could read, or not all of it: search says so.
unread_attachments = Table(
    "unread_attachments",
    metadata,
    Column("document_id", Text, ForeignKey("documents.id"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("part", Text, nullable=False),  # IMAP part number: 2.1
    Column("name", Text, nullable=False),
    Column("reading", Text, nullable=False),  # encrypted, scanned, unreadable, timeout, bomb
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),  # receipt, summary, alert, answer, fullness
    Column("document_id", Text, nullable=False),  # or a refusal's, or a mailbox's owner
    Column("payload", Text, nullable=False),  # JSON
    Column("due_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("lessee", Text, nullable=False, server_default=""),  # a start of some process
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", Text, nullable=False, server_default=""),
    Column("failing_since", BigInteger),  # its first failure, Unix milliseconds
    Index("ix_outbox_due", "due_at"),
    Index("ix_outbox_document", "document_id"),
)
