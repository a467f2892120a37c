"""Alembic loads this file for every command; the connection comes from `store.migrations`."""

from alembic import context

import store.sandbox
import store.tables  # noqa: F401
from store.metadata import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
