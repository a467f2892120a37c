"""Waiting for stock: served in the order of placing, woken through the outbox, never twice."""

import asyncio
from datetime import timedelta

from domain.catalog import Receipt, StockLevel
from domain.messages import StockAllocated
from domain.placing import Channel, PlaceOrder
from store.database import Database
from store.identities import violations
from tests.store.shop import NOON, Shop, items_of, rows, wants_of


async def _waiting(shop: Shop, quantity: int, *, days: int = 0, channel: Channel = Channel.FBM) -> PlaceOrder:
    order = await shop.placed(quantity, channel=channel, at=NOON + timedelta(days=days))
    await _register(shop, order, days=days)
    return order


async def _register(shop: Shop, order: PlaceOrder, *, days: int = 0, barred: tuple[str, ...] = ()) -> None:
    (want,) = wants_of(order, barred)
    await shop.stock.register_backorder(order.order_id, _key(order), want, NOON + timedelta(days=days), None)


def _key(order: PlaceOrder) -> str:
    return f"{order.order_id}:backorder:l1:1"


async def _given(shop: Shop, order: PlaceOrder) -> list[tuple[object, ...]]:
    query = "SELECT location_id, quantity FROM backorder_allocations WHERE backorder_key = :key ORDER BY number"
    return await rows(shop.database, query, key=_key(order))


async def test_units_that_come_in_go_to_the_order_placed_first(database: Database) -> None:
    shop = await Shop(database).open()
    late, early, latest = [await _waiting(shop, 2, days=days) for days in (2, 1, 3)]
    level = await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=3, key=shop.seller)
    )
    assert isinstance(level, StockLevel)
    assert (level.on_hand, level.reserved) == (3, 3)
    assert await _given(shop, early) == [(shop.near, 2)]
    assert await _given(shop, late) == [(shop.near, 1)]
    assert await _given(shop, latest) == []
    await shop.inventory.receive(
        Receipt(location=shop.far, seller=shop.seller, sku="mug", quantity=9, key=f"{shop.seller}-2")
    )
    assert await _given(shop, late) == [(shop.near, 1), (shop.far, 1)]
    assert await _given(shop, latest) == [(shop.far, 2)]
    assert await shop.level(shop.far) == (9, 3)
    assert await violations(database, at_rest=False) == []


async def test_each_allocation_wakes_its_order_with_a_message_that_it_understands(database: Database) -> None:
    shop = await Shop(database).open()
    order = await _waiting(shop, 2)
    for delivery in (1, 1, 2):
        await shop.inventory.receive(
            Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=f"{shop.seller}-{delivery}")
        )
    query = "SELECT kind, body->>'signal', body->'body' FROM outbox WHERE order_id = :id ORDER BY id"
    found = await rows(database, query, id=order.order_id)
    assert [row[:2] for row in found] == [("message", "stock_allocated")] * 2
    messages = [StockAllocated.model_validate(row[2]) for row in found]
    assert [(m.key, m.line_id, m.allocation.quantity) for m in messages] == [
        (f"{_key(order)}:{n}", "l1", 1) for n in (1, 2)
    ]
    assert messages[0].allocation.ship_by > NOON


async def test_released_units_go_to_who_waits(database: Database) -> None:
    shop = await Shop(database, near=2).open()
    holder = await shop.placed(2)
    found = await shop.reserve(holder)
    order = await _waiting(shop, 1)
    for _ in range(2):
        await shop.stock.release(
            holder.order_id, f"{holder.order_id}:release", items_of(holder, found.allocations), False, None
        )
    assert await _given(shop, order) == [(shop.near, 1)]
    assert await shop.level(shop.near) == (2, 1)


async def test_units_that_came_meanwhile_are_given_at_once(database: Database) -> None:
    shop = await Shop(database, near=1).open()
    order = await _waiting(shop, 3)
    assert await _given(shop, order) == [(shop.near, 1)]
    await _register(shop, order)
    assert await _given(shop, order) == [(shop.near, 1)]


async def test_a_location_that_missed_them_gives_only_what_comes_in_later(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = await shop.placed(1)
    await _register(shop, order, barred=(shop.near,))
    assert await _given(shop, order) == []
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=shop.seller)
    )
    assert await _given(shop, order) == [(shop.near, 1)]


async def test_channels_are_kept_apart(database: Database) -> None:
    shop = await Shop(database).open()
    order = await _waiting(shop, 1, channel=Channel.FBA)
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=f"{shop.seller}-1")
    )
    assert await _given(shop, order) == []
    await shop.inventory.receive(
        Receipt(location=shop.network, seller=shop.seller, sku="mug", quantity=1, key=f"{shop.seller}-2")
    )
    assert await _given(shop, order) == [(shop.network, 1)]


async def test_a_cancelled_backorder_gets_nothing_more_and_tells_what_it_got(database: Database) -> None:
    shop = await Shop(database).open()
    order = await _waiting(shop, 3)
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=f"{shop.seller}-1")
    )
    for _ in range(2):
        made = await shop.stock.cancel_backorder(order.order_id, f"{_key(order)}:cancel", _key(order), None)
        assert [(m.key, m.allocation.location, m.allocation.quantity) for m in made] == [
            (f"{_key(order)}:1", shop.near, 1)
        ]
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=f"{shop.seller}-2")
    )
    assert await _given(shop, order) == [(shop.near, 1)]
    assert await shop.level(shop.near) == (2, 1)


async def test_registering_and_receiving_at_once_leaves_nobody_waiting_beside_free_stock(database: Database) -> None:
    for _ in range(20):
        shop = await Shop(database).open()
        order = await shop.placed(1)
        await asyncio.gather(
            _register(shop, order),
            shop.inventory.receive(
                Receipt(location=shop.far, seller=shop.seller, sku="jug", quantity=1, key=f"{shop.seller}-jug")
            ),
            shop.inventory.receive(
                Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=1, key=shop.seller)
            ),
        )
        assert await _given(shop, order) == [(shop.near, 1)]
