"""Counts per day, made from orders that have changed: what insights read, however many orders there are."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Index, Table, Text, func

from store.metadata import metadata

order_changes = Table(
    "order_changes",
    metadata,
    # Appended by every save, and never touched by one again: nobody waits for anybody.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", Text, nullable=False),
)

daily_counts = Table(
    "daily_counts",
    metadata,
    Column("topic", Text, primary_key=True),
    # Empty: the whole marketplace, where an order of two sellers counts once.
    Column("seller", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    # Empty where no money is counted.
    Column("currency", Text, primary_key=True),
    # What is counted, such as a SKU or an hour; two where one would not tell.
    Column("item", Text, primary_key=True),
    Column("detail", Text, primary_key=True),
    Column("orders", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    # Minor units of the currency, or seconds, as the topic says.
    Column("amount", BigInteger, nullable=False),
    # For a day that is counted again, and for what all sellers have of a topic.
    Index(None, "topic", "day"),
)

days_to_count = Table(
    "days_to_count",
    metadata,
    # Of which moment of an order it is the day: its counts are of other topics than those of the other moments.
    Column("basis", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    # A day that is noted again keeps its place: those that change all the time must not keep others waiting.
    Column("id", BigInteger, Identity(always=True), nullable=False),
    Index(None, "id"),
)

daily_counts_state = Table(
    "daily_counts_state",
    metadata,
    # The one row: the zone whose days are counted, and when they were last brought up to date.
    Column("time_zone", Text, primary_key=True),
    Column("counted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
