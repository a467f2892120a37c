"""A real PostgreSQL for the sandboxes, with their tables and nothing else."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from localstack.postgres import Postgres
from store.database import Database
from store.metadata import metadata
from store.sandbox import sandbox_authorizations, sandbox_network_orders, sandbox_payment_calls

TABLES = [sandbox_authorizations, sandbox_payment_calls, sandbox_network_orders]


@pytest.fixture(scope="session")
def sandbox_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="openorders-test-") as folder:
        os.chmod(folder, 0o755)
        server = Postgres(Path(folder) / "postgres", durable=False)
        server.start()
        yield server
        server.remove()


@pytest_asyncio.fixture
async def database(sandbox_postgres: Postgres) -> AsyncIterator[Database]:
    database = Database(sandbox_postgres.dsn)
    async with database.transaction() as connection:
        await connection.run_sync(metadata.create_all, TABLES)
        await connection.execute(text(f"TRUNCATE {', '.join(table.name for table in TABLES)} RESTART IDENTITY"))
    yield database
    await database.close()
