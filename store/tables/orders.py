"""Orders as lists and pages show them. The workflow is the truth of an open order; `version` says how new its rows are.

Foreign keys stand where rows are written once. Units, money and the timeline are written with every step, and a check
per row would cost more than it could find.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from store.metadata import metadata

orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("body_hash", Text, nullable=False),
    Column("first_run_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("shipping", BigInteger, nullable=False),
    Column("tax", BigInteger, nullable=False),
    Column("discount", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("factor", Float, nullable=False),
    # Server time at which the order's business time was `placed_at`.
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Promised by the marketplace itself, in the body; None where we computed the promise.
    Column("given_ship_by", DateTime(timezone=True)),
    Column("given_deliver_by", DateTime(timezone=True)),
    Column("status", Text, nullable=False),
    Column("attention", ARRAY(Text), nullable=False, server_default="{}"),
    Column("ship_by", DateTime(timezone=True)),
    Column("promised_at", DateTime(timezone=True)),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    Column("unpaid", BigInteger, nullable=False, server_default="0"),
    Column("goodwill", BigInteger, nullable=False, server_default="0"),
    # `domain.matters.Matters`; None where there are none.
    Column("matters", JSONB),
    # Business time at which the first word of `attention` came.
    Column("attention_since", DateTime(timezone=True)),
    Column("result", JSONB),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # Server time of the newest write; in no index, so that writing it stays cheap.
    Column("saved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_orders_open_by_id", "order_id", postgresql_where=text("NOT closed")),
    # When what tells of the person was erased, on request; server time.
    Column("erased_at", DateTime(timezone=True)),
    # One for each way in which people list orders: the newest first, the most urgent first.
    Index(None, "placed_at", "order_id"),
    Index(None, "status", "placed_at", "order_id"),
    Index(None, "customer_id", "placed_at", "order_id"),
    Index(None, "ship_by", "order_id"),
    Index("ix_orders_attention", "attention", postgresql_using="gin", postgresql_where=text("attention <> '{}'")),
    Index(
        "ix_orders_attention_since", "attention_since", "order_id", postgresql_where=text("attention_since IS NOT NULL")
    ),
    # What operators watch is read from this index alone.
    Index(
        "ix_orders_open",
        "status",
        postgresql_include=["recorded_at", "placed_at", "factor", "ship_by", "promised_at"],
        postgresql_where=text("NOT closed"),
    ),
    # For the beginning of an id, in any collation.
    Index("ix_orders_beginning", "order_id", postgresql_ops={"order_id": "text_pattern_ops"}),
    postgresql_with={"fillfactor": 80},
)

order_sellers = Table(
    "order_sellers",
    metadata,
    Column("seller", Text, primary_key=True),
    Column("placed_at", DateTime(timezone=True), primary_key=True),
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
)
"""A seller's orders, the newest last, without a look at anybody else's."""

order_contacts = Table(
    "order_contacts",
    metadata,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    # None where they are sealed, as code from 0006 on writes them; `starter.py seal` seals what is left of before.
    Column("name", Text),
    Column("email", Text),
    Column("time_zone", Text, nullable=False),
    # Country and region alone where the rest is sealed.
    Column("address", JSONB, nullable=False),
    # By fulfillment, for those that had left before the address was changed; empty where they are sealed.
    Column("earlier_addresses", JSONB, nullable=False, server_default=text("'{}'")),
    # `domain.sealing.Person`, by the key of this id in `customer_keys`; None where it is in clear or erased.
    Column("sealed", LargeBinary),
    Column("key_id", Text),
    Index("ix_order_contacts_email", func.lower(text("email"))),
)
"""Who the customer is. Texts that people type (notes, reasons, who signed) may tell of them too: `store.erasure`."""

# For the beginning of a name, in any collation.
Index(
    "ix_order_contacts_name",
    func.lower(order_contacts.c.name).label("lower_name"),
    postgresql_ops={"lower_name": "text_pattern_ops"},
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    Column("line_id", Text, primary_key=True),
    # In the body; None for a substitute or reship, which came later.
    Column("position", Integer),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("seller", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("replaces", Text),
    Column("ship_by", DateTime(timezone=True)),
    Column("deliver_by", DateTime(timezone=True)),
    Column("earliest_delivery", DateTime(timezone=True)),
    CheckConstraint("quantity > 0", name="quantity"),
    Index(None, "seller", "order_id"),
)

line_money = Table(
    "line_money",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("captured", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    CheckConstraint("refunded <= captured", name="refunded"),
)

order_units = Table(
    "order_units",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line_id", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    # Empty where the units are in no fulfillment or parcel: a primary key takes no NULL.
    Column("fulfillment_id", Text, primary_key=True, server_default=""),
    Column("parcel_id", Text, primary_key=True, server_default=""),
    # Zero where units have been.
    Column("quantity", Integer, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity"),
)

fulfillments = Table(
    "fulfillments",
    metadata,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    Column("fulfillment_id", Text, primary_key=True),
    Column("seller", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("ship_by", DateTime(timezone=True), nullable=False),
    Column("deliver_by", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    # Ship-by with holds that have ended added.
    Column("due_at", DateTime(timezone=True)),
    Column("on_hold", Boolean, nullable=False, server_default=text("false")),
    Column("cancellation_asked", Boolean, nullable=False, server_default=text("false")),
    Column("network_status", Text),
    Column("handed_over_at", DateTime(timezone=True)),
    Index(
        "ix_fulfillments_queue",
        *("seller", "due_at", "order_id", "fulfillment_id"),
        postgresql_where=text("status IN ('Unshipped', 'Packed', 'PartiallyShipped')"),
    ),
    Index(
        "ix_fulfillments_due",
        *("due_at", "order_id", "fulfillment_id"),
        postgresql_where=text("status IN ('Unshipped', 'Packed', 'PartiallyShipped')"),
    ),
    Index(None, "ship_by"),
    Index(None, "deliver_by"),
)

parcels = Table(
    "parcels",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("parcel_id", Text, primary_key=True),
    Column("fulfillment_id", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("carrier", Text),
    Column("tracking_number", Text),
    Column("tracking_url", Text),
    Column("status", Text),
    Column("weight_grams", Integer),
    Column("packed_at", DateTime(timezone=True)),
    Column("shipped_at", DateTime(timezone=True)),
    Column("estimate", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Column("presumed_delivered", Boolean, nullable=False),
    Column("proof", Text),
    Index("ix_parcels_tracking_number", text("upper(replace(tracking_number, ' ', ''))")),
    Index("ix_parcels_shipping", "order_id", postgresql_where=text("stage = 'shipping'")),
)

timeline = Table(
    "timeline",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("fulfillment_id", Text),
    Column("before", Text),
    Column("after", Text),
)
