"""The identities hold under any mix of calls, and each is broken by what it is there to find."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text

from domain.catalog import Receipt
from domain.placing import PlaceOrder
from domain.units import Place
from store.database import Database
from store.identities import violations
from tests.store.shop import NOON, Shop, items_of, progress_of, rows, units, wants_of


@pytest.mark.parametrize("seed", range(3))
async def test_a_mix_of_everything_at_once_keeps_stock_and_orders_in_step(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    shop = await Shop(database, near=20, far=10).open()

    async def live(order: PlaceOrder) -> None:
        found = await shop.reserve(order)
        for short in found.shortages:
            want = wants_of(order)[0].model_copy(update={"line_id": short.line_id, "quantity": short.quantity})
            await shop.stock.register_backorder(order.order_id, f"{order.order_id}:b:{short.line_id}", want, NOON, None)
        items = items_of(order, found.allocations)
        end = chance.choice(("release", "hand_over", "missing", "stay"))
        for _ in range(chance.choice((1, 2))):
            if end == "hand_over":
                await shop.stock.hand_over(order.order_id, f"{order.order_id}:{end}", items, None)
            elif end != "stay":
                await shop.stock.release(order.order_id, f"{order.order_id}:{end}", items, end == "missing", None)

    async def receive(number: int) -> None:
        place = chance.choice((shop.near, shop.far))
        await shop.inventory.receive(
            Receipt(
                location=place,
                seller=shop.seller,
                sku="mug",
                quantity=chance.randint(1, 3),
                key=f"{shop.seller}-{number // 2}",
            )
        )

    orders = [await shop.placed(*(chance.randint(1, 3) for _ in range(chance.randint(1, 3)))) for _ in range(60)]
    jobs = [live(order) for order in orders] + [receive(number) for number in range(40)]
    chance.shuffle(jobs)
    await asyncio.gather(*jobs)
    assert await violations(database, at_rest=False) == []
    free = "SELECT sum(on_hand - reserved) FROM stock WHERE seller_id = :seller AND sku = 'mug'"
    waiting = "SELECT sum(quantity - allocated) FROM backorders WHERE seller_id = :seller"
    (units_free,), (units_waiting,) = [
        row for query in (free, waiting) for row in await rows(database, query, seller=shop.seller)
    ]
    assert not (units_free and units_waiting), "nobody waits beside free stock"


async def _closed(shop: Shop) -> PlaceOrder:
    """An order with one unit of which nothing is left to do."""
    order = await shop.placed(1)
    found = await shop.reserve(order)
    await shop.stock.release(
        order.order_id, f"{order.order_id}:release", items_of(order, found.allocations), False, None
    )
    progress = progress_of(
        order,
        1,
        order={"status": "Canceled", "closed": True},
        units=(units("l1", Place.PENDING, 0), units("l1", Place.CANCELLED, 1, "f")),
        fulfillments=(
            {
                "fulfillment_id": "f",
                "seller": shop.seller,
                "location": shop.near,
                "channel": "FBM",
                "ship_by": NOON,
                "deliver_by": NOON,
                "status": "Canceled",
            },
        ),
        line_money=({"line_id": "l1", "dropped": 500},),
    )
    await shop.orders.close(progress, "{}")
    assert await violations(shop.database) == []
    return order


@pytest.fixture
async def fresh(new_database: Callable[[], str]) -> AsyncIterator[Database]:
    """A database for one test: what breaks here breaks for all."""
    database = Database(new_database())
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE order_units SET quantity = 2 WHERE order_id = :order AND quantity > 0", "add up to what was ordered"),
        ("UPDATE stock SET reserved = 1 WHERE location_id = :place", "reserved stock is what orders hold"),
        ("UPDATE stock SET on_hand = 99 WHERE location_id = :place", "sum of its movements"),
        ("UPDATE reservations SET quantity = 1 WHERE order_id = :order", "what an order holds"),
        ("UPDATE reservations SET quantity = 1 WHERE order_id = :order", "a closed order holds no stock"),
        (
            "UPDATE order_units SET place = 'reserved', fulfillment_id = 'f' WHERE order_id = :order AND quantity > 0",
            "held at their location",
        ),
        ("UPDATE payments SET authorized = 5 WHERE order_id = :order", "a payment is the sum of its movements"),
        ("UPDATE payments SET authorized = 5 WHERE order_id = :order", "holds no authorization"),
        ("UPDATE payments SET authorized = 5, captured = 5 WHERE order_id = :order", "brought in what the lines"),
        ("UPDATE line_money SET dropped = 400 WHERE order_id = :order", "charged or dropped all of each line"),
        ("UPDATE order_lines SET total = 400 WHERE order_id = :order", "the lines cost what the order does"),
        ("UPDATE orders SET result = NULL WHERE order_id = :order", "has its result"),
    ],
)
async def test_what_is_out_of_step_is_told(fresh: Database, change: str, told: str) -> None:
    shop = await Shop(fresh, near=5).open()
    order = await _closed(shop)
    async with fresh.transaction() as connection:
        await connection.execute(text(change), {"order": order.order_id, "place": shop.near})
    found = await violations(fresh)
    assert any(told in violation for violation in found), found


async def test_one_order_can_be_asked_about(fresh: Database) -> None:
    shop = await Shop(fresh, near=5).open()
    right, wrong = await _closed(shop), await _closed(shop)
    async with fresh.transaction() as connection:
        change = text("UPDATE orders SET result = NULL WHERE order_id = :order")
        await connection.execute(change, {"order": wrong.order_id})
    assert await violations(fresh, right.order_id) == []
    assert len(await violations(fresh, wrong.order_id)) == 1
