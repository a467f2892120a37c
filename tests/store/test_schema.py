"""Migrations make exactly the tables that the code declares, once, whoever starts first."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

import store.sandbox
import store.tables  # noqa: F401
from localstack.postgres import Postgres
from store.database import Database
from store.metadata import metadata
from store.migrations import migrate
from tests.store.shop import rows

# What Alembic does not compare: checks, storage parameters and the exact text of partial indexes.
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND conrelid::regclass::text <> 'alembic_version'
    ORDER BY 1, 2
"""
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1
"""
_STORAGE = "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL ORDER BY 1"


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrated_schema_is_the_declared_one(database: Database, postgres: Postgres) -> None:
    async with database.statement() as connection:
        assert await connection.run_sync(_differences) == []
    declared = Database(postgres.create_database("declared"))
    async with declared.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    for query in (_CONSTRAINTS, _INDEXES, _STORAGE):
        assert await rows(database, query) == await rows(declared, query)
    await declared.close()


async def test_workers_that_start_side_by_side_migrate_once(postgres: Postgres) -> None:
    url = postgres.create_database("side_by_side")
    await asyncio.gather(*(migrate(url) for _ in range(4)))
    database = Database(url)
    async with database.statement() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    await database.close()
