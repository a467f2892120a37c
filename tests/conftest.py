"""Real servers for every test that wants them: started once, with a fresh database and task queue per module."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

import pytest
from hypothesis import settings
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.stack import Stack
from store.migrations import migrate
from tests.shop import Shop, open_shop
from workflows.names import SEARCH_ATTRIBUTES

_TEMPLATE = "migrated"

# Hypothesis wants each example within a fifth of a second, and a busy machine stands still for longer.
settings.register_profile("however slow", deadline=None)
settings.load_profile("however slow")


_LONGEST_FIRST = ("faults", "upgrades", "doors", "localstack", "benchmarks", "workflows", "replay", "web", "usecases")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of files that are given out one by one, those that take longest go first: none is left alone at the end."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.parent.name
        rank = _LONGEST_FIRST.index(folder) if folder in _LONGEST_FIRST else len(_LONGEST_FIRST)
        return item.path not in slow, rank

    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_machine() -> None:
    """A developer's own servers are not to be met by tests."""
    for name in [*os.environ]:
        if name.startswith(("TEMPORAL_", "OPENORDERS_SMTP", "OPENORDERS_DATABASE")):
            del os.environ[name]
    logging.getLogger("mail.log").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        asyncio.run(migrate(stack.postgres.create_database(_TEMPLATE)))
        yield stack


@pytest.fixture(scope="session")
def fresh_database(stack: Stack) -> Callable[[], str]:
    """Makes a database that nobody else uses, with the schema; gives its URL."""
    numbers = count(1)
    return lambda: stack.postgres.create_database(f"test_{next(numbers)}", template=_TEMPLATE)


@pytest.fixture(scope="session")
async def client(stack: Stack) -> Client:
    return await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)


@pytest.fixture(scope="module")
async def shop(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with open_shop(stack, client, fresh_database()) as shop:
        yield shop
