"""Alembic loads this file for every command; the connection comes from `store.migrations`."""

from typing import Any

from alembic import context
from sqlalchemy import text

import store.sandbox
import store.tables  # noqa: F401
from store.metadata import metadata


def note_what_is_needed(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    """A migration that takes something away says which code lives without it; `migrate` reads it before it starts."""
    needed = getattr(step.up_revision.module, "oldest_code", None) if step.up_revision else None
    if step.is_upgrade and needed is not None and ctx.connection is not None:
        quoted = ctx.connection.scalar(text("SELECT quote_literal(CAST(:needed AS text))"), {"needed": needed})
        ctx.connection.execute(text(f"COMMENT ON TABLE alembic_version IS {quoted}"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
    on_version_apply=note_what_is_needed,
)
with context.begin_transaction():
    context.run_migrations()
