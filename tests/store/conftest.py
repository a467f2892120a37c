"""A real PostgreSQL for all tests of the store, and a fresh database with the schema for each module."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import pytest

from localstack.postgres import Postgres
from store.database import Database
from store.migrations import migrate
from tests.postgres import temporary_postgres

_TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with temporary_postgres() as server:
        asyncio.run(migrate(server.create_database(_TEMPLATE)))
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Makes a database that nobody else uses, with the schema; gives its URL."""
    numbers = count(1)
    return lambda: postgres.create_database(f"test_{next(numbers)}", template=_TEMPLATE)


@pytest.fixture(scope="module")
async def database(new_database: Callable[[], str]) -> AsyncIterator[Database]:
    database = Database(new_database(), pool_size=20, overflow=30)
    yield database
    await database.close()
