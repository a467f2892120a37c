"""Who may use the web: keys as hashes, and how often somebody has tried."""

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, Integer, Table, Text, func

from store.metadata import metadata

api_keys = Table(
    "api_keys",
    metadata,
    # The part of a key that may be seen; the secret part is kept as a hash only.
    Column("key_id", Text, primary_key=True),
    Column("secret_hash", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("seller_id", Text, ForeignKey("sellers.seller_id")),
    # Whose it is, in the words of whoever made it.
    Column("label", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Sessions that began before are signed out.
    Column("sessions_since", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    CheckConstraint("scope IN ('backend', 'seller', 'support', 'analyst')", name="scope"),
    CheckConstraint("(scope = 'seller') = (seller_id IS NOT NULL)", name="seller_of_seller_keys"),
)

attempts = Table(
    "attempts",
    metadata,
    # What was tried, and from where.
    Column("subject", Text, primary_key=True),
    # A minute's.
    Column("window_start", DateTime(timezone=True), primary_key=True),
    Column("count", Integer, nullable=False),
    Index(None, "window_start"),
)
