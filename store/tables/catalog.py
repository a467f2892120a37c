"""Who sells what from where: sellers, their locations and the fulfillment network's, and the listings."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from store.metadata import metadata

sellers = Table(
    "sellers",
    metadata,
    Column("seller_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
)

locations = Table(
    "locations",
    metadata,
    Column("location_id", Text, primary_key=True),
    # None: a location of the fulfillment network, which keeps stock of every seller.
    Column("seller_id", Text, ForeignKey("sellers.seller_id")),
    Column("channel", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("profile", JSONB, nullable=False),
    CheckConstraint("channel IN ('FBM', 'FBA')", name="channel"),
    CheckConstraint("(seller_id IS NULL) = (channel = 'FBA')", name="network_is_fba"),
    Index(None, "seller_id", "channel", "priority"),
)

listings = Table(
    "listings",
    metadata,
    Column("seller_id", Text, ForeignKey("sellers.seller_id"), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("weight_grams", Integer),
    # Other SKUs of the same seller, the best first.
    Column("substitutes", ARRAY(Text), nullable=False),
    Index(None, "title", "seller_id", "sku"),
)

shipping_rates = Table(
    "shipping_rates",
    metadata,
    Column("currency", Text, primary_key=True),
    # A method without a rate is not offered in that currency.
    Column("method", Text, primary_key=True),
    Column("per_shipment", BigInteger, nullable=False),
    Column("per_kilogram", BigInteger, nullable=False),
)
