"""What is held for nobody is given back once, and the ledgers add up again, whatever somebody did to them by hand."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from domain.reconciling import NAMED_MAX, VOIDED_AT_ONCE, MendedStock
from store.database import Database
from store.identities import violations
from store.reconciling import Reconciling
from tests.store.shop import NOON, Shop, rows, wants_of

NO_GRACE = timedelta(0)


async def _mend(database: Database) -> MendedStock:
    return await Reconciling(database).release_dead_stock(NO_GRACE, dry_run=False)


async def _copied(database: Database, table: str, order_id: str, number: int) -> None:
    """The rows of one order as those of so many others."""
    await _sql(
        database,
        f"INSERT INTO {table} OVERRIDING USER VALUE SELECT (jsonb_populate_record({table},"
        " jsonb_build_object('order_id', order_id || '-' || number))).*"
        f" FROM {table}, generate_series(1, :number) AS number WHERE order_id = :of",
        of=order_id,
        number=number,
    )


async def _sql(database: Database, statement: str, **values: object) -> None:
    async with database.statement() as connection:
        await connection.execute(text(statement), values)


async def _closed(shop: Shop, *quantities: int) -> str:
    order = await shop.placed(*quantities)
    await shop.reserve(order)
    # As an order that forgot to release; the result is what the identities want.
    await _sql(shop.database, "UPDATE orders SET closed = true, result = '{}' WHERE order_id = :of", of=order.order_id)
    await _sql(
        shop.database,
        "INSERT INTO line_money (order_id, line_id, captured, dropped, refunded)"
        " SELECT order_id, line_id, 0, total, 0 FROM order_lines WHERE order_id = :of",
        of=order.order_id,
    )
    return order.order_id


async def test_a_closed_order_gives_back_what_it_holds(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order_id = await _closed(shop, 2, 1)
    planned = await Reconciling(database).release_dead_stock(NO_GRACE, dry_run=True)
    assert (planned.units, await shop.level(shop.near)) == (3, (5, 3))
    assert (await Reconciling(database).release_dead_stock(timedelta(hours=1), dry_run=False)).units == 0, "too young"
    mended = await _mend(database)
    assert (mended.units, mended.orders) == (3, (order_id,))
    assert await shop.level(shop.near) == (5, 0)
    assert await violations(database) == []
    query = "SELECT what, who FROM timeline WHERE order_id = :of AND seq > 1"
    assert await rows(database, query, of=order_id) == [("stock_reconciled", "reconciliation")] * 2
    query = "SELECT reason, sum(reserved_delta)::int FROM stock_movements WHERE order_id = :of GROUP BY 1 ORDER BY 1"
    assert await rows(database, query, of=order_id) == [("reconciled", -3), ("reserved", 3)]
    assert await _mend(database) == MendedStock()


async def test_an_open_order_keeps_what_it_holds(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = await shop.placed(2)
    await shop.reserve(order)
    assert await _mend(database) == MendedStock()
    assert await shop.level(shop.near) == (5, 2)


async def test_what_comes_free_goes_to_who_waits_and_not_to_who_is_gone(database: Database) -> None:
    shop = await Shop(database, near=2).open()
    gone = await _closed(shop, 2)
    first, waiting = await shop.placed(1, at=NOON - timedelta(days=1)), await shop.placed(2)
    for order in (first, waiting):
        (want,) = wants_of(order)
        await shop.stock.register_backorder(order.order_id, f"{order.order_id}:b", want, NOON, None)
    await _sql(database, "DELETE FROM timeline WHERE order_id = :of", of=first.order_id)
    await _sql(database, "UPDATE orders SET closed = true, result = '{}' WHERE order_id = :of", of=first.order_id)
    await _sql(
        database,
        "INSERT INTO line_money (order_id, line_id, captured, dropped, refunded)"
        " SELECT order_id, line_id, 0, total, 0 FROM order_lines WHERE order_id = :of",
        of=first.order_id,
    )
    mended = await _mend(database)
    assert (mended.units, mended.backorders) == (2, 1)
    assert set(mended.orders) == {gone, first.order_id}
    query = "SELECT order_id, quantity FROM reservations WHERE quantity > 0 AND seller_id = :seller"
    assert await rows(database, query, seller=shop.seller) == [(waiting.order_id, 2)]
    assert await violations(database, at_rest=False) == []


async def test_a_reservation_that_no_ledger_knows_of(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    await _sql(
        database,
        "INSERT INTO reservations (order_id, line_id, location_id, seller_id, sku, quantity)"
        " VALUES ('nobody', 'l1', :near, :seller, 'mug', 2)",
        near=shop.near,
        seller=shop.seller,
    )
    await _sql(database, "UPDATE stock SET reserved = 2 WHERE location_id = :near AND sku = 'mug'", near=shop.near)
    assert (await _mend(database)).units == 2
    assert await shop.level(shop.near) == (5, 0)
    assert await violations(database, at_rest=False) == []


async def test_an_order_that_works_still_and_reconciliation_wait_for_each_other_in_one_order(
    database: Database,
) -> None:
    """A late step of a closed order has its row and wants the level: who mends it must not hold the level meanwhile."""
    shop = await Shop(database, near=5).open()
    order_id = await _closed(shop, 2)
    want = {"near": shop.near}
    async with database.transaction() as late:
        await late.execute(text("UPDATE orders SET unpaid = 0 WHERE order_id = :of"), {"of": order_id})
        mending = asyncio.create_task(_mend(database))
        await _somebody_waits_for_a_lock(database)
        await late.execute(text("SELECT 1 FROM stock WHERE location_id = :near AND sku = 'mug' FOR UPDATE"), want)
    assert (await mending).units == 2
    assert database.troubles["40P01"] == 0
    assert await shop.level(shop.near) == (5, 0)


async def _somebody_waits_for_a_lock(database: Database) -> None:
    waiting = "SELECT count(*) FROM pg_locks JOIN pg_database AS own ON own.oid = database OR database IS NULL"
    for _ in range(600):
        query = f"{waiting} WHERE NOT granted AND datname = current_database()"
        if (await rows(database, query))[0][0]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits")


async def test_levels_that_say_another_thing_than_the_orders_do(database: Database) -> None:
    shop = await Shop(database, near=5, far=5).open()
    order = await shop.placed(2)
    await shop.reserve(order)
    for place, reserved in ((shop.near, 4), (shop.far, 1)):
        await _sql(
            database,
            "UPDATE stock SET reserved = :reserved WHERE location_id = :place AND sku = 'mug'",
            place=place,
            reserved=reserved,
        )
    assert len((await _mend(database)).levels) == 2
    assert (await shop.level(shop.near), await shop.level(shop.far)) == ((5, 2), (5, 0))
    # Too few: what orders hold is told again, as long as it is there.
    await _sql(database, "UPDATE stock SET reserved = 0 WHERE location_id = :near AND sku = 'mug'", near=shop.near)
    assert len((await _mend(database)).levels) == 1
    assert await shop.level(shop.near) == (5, 2)
    assert await violations(database, at_rest=False) == []
    await _sql(
        database,
        "UPDATE stock SET reserved = 0, on_hand = 1 WHERE location_id = :near AND sku = 'mug'",
        near=shop.near,
    )
    assert (await _mend(database)).not_mended == (f"{shop.near}/{shop.seller}/mug",), "a person must count"


async def test_very_many_that_hold_stock_are_counted_and_each_is_a_sign_of_life(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order_id = await _closed(shop, 1)
    others = NAMED_MAX + 20
    for table in ("orders", "reservations"):
        await _copied(database, table, order_id, others)
    level = {"all": others + 1, "near": shop.near}
    statement = "UPDATE stock SET on_hand = :all, reserved = :all WHERE location_id = :near AND sku = 'mug'"
    await _sql(database, statement, **level)
    signs: list[None] = []
    mended = await Reconciling(database).release_dead_stock(NO_GRACE, False, lambda: signs.append(None))
    assert (mended.units, mended.orders_count, len(mended.orders)) == (others + 1, others + 1, NAMED_MAX)
    assert len(signs) >= others + 1, "and levels that other tests left wrong"
    assert await shop.level(shop.near) == (others + 1, 0)


async def test_of_very_many_whose_money_is_held_a_run_gets_some_and_the_number(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order_id = await _closed(shop, 1)
    others = VOIDED_AT_ONCE + 20
    await _sql(
        database, "UPDATE payments SET authorized = captured + 500, voided = 0 WHERE order_id = :of", of=order_id
    )
    for table in ("orders", "payments"):
        await _copied(database, table, order_id, others)
    seen: set[str] = set()
    for _ in range(100):
        found = await Reconciling(database).held_money(NO_GRACE)
        assert found.count == others + 1
        assert len({held.order_id for held in found.held}) == VOIDED_AT_ONCE
        seen.update(held.order_id for held in found.held)
        if len(seen) == found.count:
            break
    assert len(seen) == others + 1, "those that no run can void keep no other from it"
    await _sql(database, "UPDATE payments SET authorized = captured")
    assert (await Reconciling(database).held_money(NO_GRACE)).count == 0
