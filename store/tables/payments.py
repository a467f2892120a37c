"""Money: what each payment of an order holds, and every movement that a provider was ever asked for."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Table,
    Text,
    func,
    text,
)

from store.metadata import metadata


def _minor_units(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


payments = Table(
    "payments",
    metadata,
    Column("order_id", Text, ForeignKey("orders.order_id"), primary_key=True),
    Column("payment_id", Text, primary_key=True),
    # In the order in which they were given.
    Column("position", BigInteger, Identity(always=True)),
    Column("kind", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="new"),
    Column("declined_because", Text),
    # The provider refused to capture from it once: others are asked first from then on.
    Column("capture_refused", Boolean, nullable=False, server_default=text("false")),
    # The provider's, of the authorization; captures, refunds and voids refer to it.
    Column("reference", Text),
    _minor_units("authorized"),
    _minor_units("captured"),
    _minor_units("refunded"),
    _minor_units("voided"),
    # Asked of the provider and not answered yet. They count as done in the checks below, so that two
    # captures under way can never take more than there is.
    _minor_units("capturing"),
    _minor_units("refunding"),
    _minor_units("voiding"),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("authorized BETWEEN 0 AND amount", name="authorized"),
    CheckConstraint("least(captured, refunded, voided, capturing, refunding, voiding) >= 0", name="not_negative"),
    CheckConstraint("captured + capturing <= authorized", name="captured"),
    CheckConstraint("refunded + refunding <= captured", name="refunded"),
    CheckConstraint("captured + capturing + voided + voiding <= authorized", name="voided"),
    # Money that is still held of somebody: of open orders, as a rule.
    Index("ix_payments_held", "order_id", postgresql_where=text("authorized > captured + voided")),
)

money_moves = Table(
    "money_moves",
    metadata,
    Column("key", Text, primary_key=True),
    Column("position", BigInteger, Identity(always=True)),
    Column("plan_key", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    Column("refused_because", Text),
    # The provider's, of this very movement.
    Column("reference", Text),
    Column("planned_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("settled_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["order_id", "payment_id"], ["payments.order_id", "payments.payment_id"]),
    CheckConstraint("amount > 0", name="amount"),
    Index(None, "plan_key"),
    Index(None, "order_id"),
    Index("ix_money_moves_under_way", "planned_at", postgresql_where=text("NOT settled")),
)
