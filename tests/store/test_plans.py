"""How the statements of an order's steps find their rows: by index, whatever else is in the tables."""

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text

from benchmarks.population import populate
from domain.catalog import Receipt
from domain.outbox import OutboxKind
from domain.reconciling import FoundMoney, MendedStock
from store.database import Database, plain_url
from store.outbox import Outbox
from store.reconciling import Reconciling
from tests.shop import eventually
from tests.store.shop import NOON, Shop, items_of, wants_of

_ORDERS = 2_000
_LISTINGS = 10_000
"""A few hundred rows are read whole faster than by index, and rightly so."""

_TABLES = ["listings", "sellers", "stock", "stock_movements", "reservations", "orders", "order_lines", "outbox"]
_TABLES += ["payments", "money_moves"]
_AGAIN = 12
"""PostgreSQL plans a prepared statement anew some times before it keeps a plan for good."""


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    url = new_database()
    populate(url, _ORDERS)
    with psycopg.connect(plain_url(url).replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(_LIST_MORE, [_LISTINGS])
        connection.execute("ANALYZE listings, stock")
    return url


_LIST_MORE = """
    WITH numbers AS (SELECT generate_series(1, %s) AS n),
    listed AS (
        INSERT INTO listings (seller_id, sku, title, unit_price, currency, substitutes)
        SELECT 'ps0', 'more-' || n, 'Thing', 500, 'BRL', '{}' FROM numbers
    )
    INSERT INTO stock (location_id, seller_id, sku, on_hand, reserved)
    SELECT 'ps0-home', 'ps0', 'more-' || n, 5, 0 FROM numbers
"""


async def test_no_step_reads_a_table_that_grows_from_end_to_end(url: str) -> None:
    database = Database(url, pool_size=1, overflow=0)
    try:
        shop = await Shop(database, near=_AGAIN).open()
    finally:
        await database.close()
    before = await _scans(url)
    database = Database(url, pool_size=1, overflow=0)
    try:
        for number in range(_AGAIN):
            await _steps(shop.on(database), number)
    finally:
        await database.close()
    assert await _scans(url) == before


async def _steps(shop: Shop, number: int) -> None:
    order = await shop.placed(1)
    found = await shop.reserve(order)
    items = items_of(order, found.allocations)
    if number % 2:
        await shop.stock.release(order.order_id, f"{order.order_id}:release", items, False, None)
    else:
        await shop.stock.hand_over(order.order_id, f"{order.order_id}:hand_over", items, None)
    (want,) = wants_of(order)
    await shop.stock.register_backorder(order.order_id, f"{order.order_id}:backorder", want, NOON, None)
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=f"note-{number}")
    )
    for kind in OutboxKind:
        await Outbox(shop.database).claim(kind, 10, timedelta(seconds=1))


async def test_reconciliation_reads_what_is_open_and_what_is_held_and_nothing_else(url: str) -> None:
    """Most orders have long ended. Levels alone are read whole: they are of the catalogue, and grow with no order."""
    with psycopg.connect(plain_url(url).replace("+psycopg", "", 1)) as connection:
        [open_orders] = connection.execute("SELECT count(*) FROM orders WHERE NOT closed").fetchone() or [0]
    before, read = await _scans(url), await _open_orders_read(url)
    database = Database(url, pool_size=1, overflow=0)
    try:
        reconciling = Reconciling(database)
        for _ in range(_AGAIN):
            assert len(await reconciling.open_orders("", timedelta(0))) == open_orders
            assert await reconciling.release_dead_stock(timedelta(0), dry_run=True) == MendedStock()
            assert await reconciling.held_money(timedelta(0)) == FoundMoney()
    finally:
        await database.close()
    assert 0 < open_orders < _ORDERS / 10
    assert await _scans(url) == before | {"stock": before["stock"] + _AGAIN}
    assert await _open_orders_read(url) - read == _AGAIN * open_orders


async def _open_orders_read(url: str) -> int:
    """Rows taken by way of the index of open orders by their id."""
    database = Database(url, pool_size=1, overflow=0)
    query = text("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_orders_open_by_id'")
    try:
        await _all_is_counted(database)
        async with database.statement() as connection:
            return int((await connection.execute(query)).scalar_one())
    finally:
        await database.close()


async def _scans(url: str) -> dict[str, int]:
    """How often each table was read whole."""
    database = Database(url, pool_size=1, overflow=0)
    query = text("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(:tables)")
    try:
        await _all_is_counted(database)
        async with database.statement() as connection:
            return {row.relname: row.seq_scan for row in await connection.execute(query, {"tables": _TABLES})}
    finally:
        await database.close()


async def _all_is_counted(database: Database) -> None:
    """PostgreSQL counts what a connection has read at the latest when it ends, which is a moment after it is closed."""
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )

    async def still_there() -> int:
        async with database.statement() as connection:
            return int(await connection.scalar(others) or 0)

    await eventually(still_there, lambda count: count == 0)
