"""Trouble with PostgreSQL passes, is told without secrets, and the pool recovers by itself."""

import pytest

from domain.requests import Unavailable
from store.database import Database
from store.identities import violations
from store.migrations import migrate
from tests.postgres import temporary_postgres
from tests.store.shop import Shop, rows

SECRET = "postgresql+psycopg://me:hunter2@127.0.0.1:1/nowhere"


async def test_nobody_at_the_address_is_unavailable_and_tells_no_secret() -> None:
    database = Database(SECRET)
    with pytest.raises(Unavailable) as told:
        await violations(database)
    assert "hunter2" not in repr(told.value)
    assert told.value.__cause__ is None
    assert not await database.ready()
    with pytest.raises(Unavailable):
        await migrate(SECRET)


async def test_a_server_that_stops_in_the_middle_costs_a_retry_and_nothing_else() -> None:
    with temporary_postgres() as server:
        await migrate(server.dsn)
        database = Database(server.dsn, pool_size=3)
        shop = await Shop(database, near=5).open()
        order = await shop.placed(2)
        server.kill()
        for _ in range(3):
            with pytest.raises(Unavailable):
                await shop.reserve(order)
        server.start()
        assert (await shop.reserve(order)).allocations
        assert await rows(database, "SELECT reserved FROM stock WHERE location_id = :place", place=shop.near) == [(2,)]
        await database.close()
