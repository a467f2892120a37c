"""Stock: levels, the ledger that they can be recomputed from, who holds the reserved units, and who waits."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from store.metadata import metadata

stock = Table(
    "stock",
    metadata,
    Column("location_id", Text, ForeignKey("locations.location_id"), primary_key=True),
    Column("seller_id", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    ForeignKeyConstraint(["seller_id", "sku"], ["listings.seller_id", "listings.sku"]),
    # What makes overselling impossible, whatever the code above it does.
    CheckConstraint("on_hand >= 0", name="on_hand"),
    CheckConstraint("reserved >= 0", name="reserved"),
    CheckConstraint("reserved <= on_hand", name="no_overselling"),
    Index(None, "seller_id", "sku"),
    # Counters change all the time and are in no index: room on the page keeps such updates cheap (HOT).
    postgresql_with={"fillfactor": 70},
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("line_id", Text, nullable=False, server_default=""),
    Column("location_id", Text, nullable=False),
    Column("seller_id", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("on_hand_delta", Integer, nullable=False),
    Column("reserved_delta", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("order_id", Text),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("key", "line_id", "location_id", "seller_id", "sku"),
    Index(None, "order_id"),
    Index(None, "location_id", "seller_id", "sku"),
    # The newest of all, of a seller, and of one of its SKUs.
    Index(None, "at"),
    Index(None, "seller_id", "at"),
    Index(None, "seller_id", "sku", "at"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("location_id", Text, primary_key=True),
    Column("seller_id", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    # A line that gives back more than it holds would give back what others hold.
    CheckConstraint("quantity >= 0", name="quantity"),
    # What is held now: those of orders that have long left are many.
    Index("ix_reservations_held", "location_id", "seller_id", "sku", postgresql_where=text("quantity > 0")),
)

backorders = Table(
    "backorders",
    metadata,
    Column("key", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("line_id", Text, nullable=False),
    Column("seller_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("allocated", Integer, nullable=False, server_default="0"),
    Column("allocations", Integer, nullable=False, server_default="0"),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("cancelled", DateTime(timezone=True)),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("allocated BETWEEN 0 AND quantity", name="allocated"),
    Index(None, "order_id"),
    Index(
        "ix_backorders_waiting",
        "seller_id",
        "sku",
        "placed_at",
        postgresql_where=text("cancelled IS NULL AND allocated < quantity"),
    ),
)

backorder_allocations = Table(
    "backorder_allocations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("backorder_key", Text, ForeignKey("backorders.key"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("location_id", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("ship_by", DateTime(timezone=True), nullable=False),
    Column("deliver_by", DateTime(timezone=True), nullable=False),
    CheckConstraint("quantity > 0", name="quantity"),
    Index(None, "backorder_key"),
)

effects = Table(
    "effects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("order_id", Text, nullable=False),
    Column("result", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
"""Answers given once: a second call with the key gets the first one's."""
