"""What must still leave the house: mails, messages to workflows, parcels to follow; written with their cause."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, Index, Integer, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

from store.metadata import metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # When to try next; a row that is being sent is due again when its lease is over.
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", DateTime(timezone=True)),
    Column("failed_at", DateTime(timezone=True)),
    Column("last_error", Text),
    CheckConstraint("kind IN ('mail', 'message', 'follow')", name="kind"),
    CheckConstraint("sent_at IS NULL OR failed_at IS NULL", name="one_end"),
    Index(
        "ix_outbox_pending",
        "kind",
        "due_at",
        postgresql_where=text("sent_at IS NULL AND failed_at IS NULL"),
    ),
    Index("ix_outbox_failed", "kind", postgresql_where=text("failed_at IS NOT NULL")),
    Index(None, "order_id"),
)
