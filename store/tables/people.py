"""The keys by which people's names and addresses are sealed, and by what they are found.

These tables are backed up apart from all others, and only their newest backup is kept (docs/operations.md): so no other
table refers to them.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from store.metadata import metadata

customer_keys = Table(
    "customer_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    # The key, encrypted by the key of the keyring that `wrapped_by` names, or as it is; None once it is destroyed.
    Column("wrapped", LargeBinary),
    Column("wrapped_by", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("destroyed_at", DateTime(timezone=True)),
    CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
    # Who comes back after an erasure gets another key.
    Index("ix_customer_keys_live", "customer_id", unique=True, postgresql_where=text("destroyed_at IS NULL")),
)

search_key = Table(
    "search_key",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapped_by", Text),
    CheckConstraint("one", name="one"),
)
"""One row: what the hashes in `order_search` are made by."""

order_search = Table(
    "order_search",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("hashes", ARRAY(BigInteger), nullable=False),
    # Without a list of what is still to be put in: every order pays for its own.
    Index("ix_order_search_hashes", "hashes", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)
"""By which words of a name and by which mail address an order is found (`domain.sealing`)."""
