"""A real PostgreSQL for the sandboxes, with their tables and nothing else."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from sqlalchemy import text

from localstack.postgres import Postgres
from store.database import Database
from store.metadata import metadata
from store.sandbox import sandbox_authorizations, sandbox_network_orders, sandbox_payment_calls
from tests.postgres import temporary_postgres

TABLES = [sandbox_authorizations, sandbox_payment_calls, sandbox_network_orders]


@pytest.fixture(scope="session")
def sandbox_postgres() -> Iterator[Postgres]:
    with temporary_postgres() as server:
        yield server


@pytest_asyncio.fixture
async def database(sandbox_postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(sandbox_postgres.dsn)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all, TABLES)
        await connection.execute(text(f"TRUNCATE {', '.join(table.name for table in TABLES)} RESTART IDENTITY"))
    yield database
    await database.close()
