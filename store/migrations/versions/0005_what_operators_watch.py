"""What operators watch."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Orders are written meanwhile. One that was cut short has left an index that is not valid.
    with op.get_context().autocommit_block():
        for name, table in (("ix_orders_open", "orders"), ("ix_outbox_failed", "outbox")):
            op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_orders_open",
            "orders",
            ["status"],
            unique=False,
            postgresql_include=["recorded_at", "placed_at", "factor", "ship_by", "promised_at"],
            postgresql_where=sa.text("NOT closed"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_outbox_failed",
            "outbox",
            ["kind"],
            unique=False,
            postgresql_where=sa.text("failed_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_outbox_failed", table_name="outbox", postgresql_where=sa.text("failed_at IS NOT NULL"))
    op.drop_index(
        "ix_orders_open",
        table_name="orders",
        postgresql_include=["recorded_at", "placed_at", "factor", "ship_by", "promised_at"],
        postgresql_where=sa.text("NOT closed"),
    )
