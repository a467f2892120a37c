"""People's names and addresses are sealed, each customer's by a key of their own.

Nothing is sealed here, since workers of before write in clear meanwhile: `starter.py seal` does it, once they are gone.
"""

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name=op.f("ck_customer_keys_destroyed")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_customer_keys")),
    )
    op.create_index(
        "ix_customer_keys_live",
        "customer_keys",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("destroyed_at IS NULL"),
    )
    search_key = op.create_table(
        "search_key",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_by", sa.Text(), nullable=True),
        sa.CheckConstraint("one", name=op.f("ck_search_key_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_search_key")),
    )
    op.bulk_insert(search_key, [{"wrapped": secrets.token_bytes(32)}])
    op.create_table(
        "order_search",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("hashes", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_order_search")),
    )
    op.create_index(
        "ix_order_search_hashes",
        "order_search",
        ["hashes"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.add_column("order_contacts", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("order_contacts", sa.Column("key_id", sa.Text(), nullable=True))
    op.alter_column("order_contacts", "name", nullable=True)
    op.alter_column("order_contacts", "email", nullable=True)


def downgrade() -> None:
    """Only where nothing was sealed yet: the keys go, and the names with them."""
    op.alter_column("order_contacts", "email", nullable=False)
    op.alter_column("order_contacts", "name", nullable=False)
    op.drop_column("order_contacts", "key_id")
    op.drop_column("order_contacts", "sealed")
    op.drop_table("order_search")
    op.drop_table("search_key")
    op.drop_table("customer_keys")
