"""What reconciliation reads."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Orders are written meanwhile. One that was cut short has left an index that is not valid.
    with op.get_context().autocommit_block():
        for name, table in (("ix_orders_open_by_id", "orders"), ("ix_payments_held", "payments")):
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_orders_open_by_id",
            "orders",
            ["order_id"],
            postgresql_where=sa.text("NOT closed"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_payments_held",
            "payments",
            ["order_id"],
            postgresql_where=sa.text("authorized > captured + voided"),
            postgresql_concurrently=True,
        )
    # Workers of before leave the time as it is: what they write is not compared, and nothing is lost by that.
    op.add_column(
        "orders", sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )


def downgrade() -> None:
    op.drop_index("ix_payments_held", "payments")
    op.drop_index("ix_orders_open_by_id", "orders")
    op.drop_column("orders", "saved_at")
