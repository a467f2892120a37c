"""The servers that a command asks, for as long as it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from commands.parsing import Arguments
from usecases.orders import Orders
from usecases.settings import BadSettings, load_settings
from usecases.temporal import connect

if TYPE_CHECKING:  # SQLAlchemy takes a third of a second, and most commands need none
    from store.database import Database


@asynccontextmanager
async def open_orders(arguments: Arguments) -> AsyncIterator[Orders]:
    yield Orders(await connect(), rpc_timeout=timedelta(seconds=arguments.timeout))


@asynccontextmanager
async def open_remembered_orders(arguments: Arguments) -> AsyncIterator[Orders]:
    """For placing: PostgreSQL, where this machine may ask it, remembers ids longer than Temporal does."""
    from store.orders import Orders as OrderStore

    try:
        load_settings()
    except BadSettings:
        async with open_orders(arguments) as orders:
            yield orders
        return
    async with open_database() as database:
        yield Orders(await connect(), OrderStore(database), rpc_timeout=timedelta(seconds=arguments.timeout))


@asynccontextmanager
async def open_database() -> "AsyncIterator[Database]":
    from store.database import Database

    settings = load_settings()
    database = Database(settings.database_url, pool_size=2, wrapping=settings.wrapping())
    try:
        yield database
    finally:
        await database.close()
