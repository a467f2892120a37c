"""Reserving, releasing and handing over: never more than there is, never twice."""

import asyncio

import pytest
from sqlalchemy.exc import IntegrityError

from domain.catalog import Receipt
from domain.placing import Channel
from store.database import Database
from tests.store.shop import Shop, items_of


async def test_one_location_with_everything_is_preferred_to_two(database: Database) -> None:
    shop = await Shop(database, near=2, far=5).open()
    order = await shop.placed(4)
    found = await shop.reserve(order)
    assert [(a.location, a.quantity) for a in found.allocations] == [(shop.far, 4)]
    assert not found.shortages


async def test_what_no_location_has_alone_is_split_by_priority(database: Database) -> None:
    shop = await Shop(database, near=2, far=3).open()
    order = await shop.placed(4)
    found = await shop.reserve(order)
    assert [(a.location, a.quantity) for a in found.allocations] == [(shop.near, 2), (shop.far, 2)]


async def test_the_same_sku_on_two_lines_is_summed(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = await shop.placed(3, 3)
    found = await shop.reserve(order)
    assert [(a.line_id, a.quantity) for a in found.allocations] == [("l1", 3), ("l2", 2)]
    assert [(s.line_id, s.quantity) for s in found.shortages] == [("l2", 1)]
    assert await shop.level(shop.near) == (5, 5)


async def test_barred_locations_are_passed_over(database: Database) -> None:
    shop = await Shop(database, near=5, far=5).open()
    order = await shop.placed(1)
    found = await shop.reserve(order, barred=(shop.near,))
    assert [a.location for a in found.allocations] == [shop.far]


async def test_the_network_fills_fba_lines_and_no_others(database: Database) -> None:
    shop = await Shop(database, near=5, network=1).open()
    order = await shop.placed(2, channel=Channel.FBA)
    found = await shop.reserve(order)
    assert [(a.location, a.quantity) for a in found.allocations] == [(shop.network, 1)]
    assert [(s.line_id, s.quantity) for s in found.shortages] == [("l1", 1)]


async def test_a_shortage_names_substitutes_that_are_there_in_the_sellers_order(database: Database) -> None:
    shop = await Shop(database).open()
    for sku in ("jug", "cup"):
        await shop.inventory.receive(
            Receipt(location=shop.near, seller=shop.seller, sku=sku, quantity=2, key=f"{shop.seller}-{sku}")
        )
    found = await shop.reserve(await shop.placed(2))
    assert [[s.sku for s in short.substitutes] for short in found.shortages] == [["cup", "jug"]]
    found = await shop.reserve(await shop.placed(3))
    assert [[s.sku for s in short.substitutes] for short in found.shortages] == [[]]


async def test_the_promise_is_that_of_the_sale(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = shop.order(1)
    recorded = await shop.place(order)
    (allocation,) = (await shop.reserve(order)).allocations
    assert (allocation.ship_by, allocation.deliver_by) == (recorded.lines[0].ship_by, recorded.lines[0].deliver_by)


async def test_each_call_twice_is_as_once(database: Database) -> None:
    shop = await Shop(database, near=3).open()
    order = await shop.placed(2, 2)
    first = await shop.reserve(order)
    assert await shop.reserve(order) == first
    assert await shop.level(shop.near) == (3, 3)
    shipped, given_back = (items_of(order, (a,)) for a in first.allocations)
    for _ in range(2):
        await shop.stock.hand_over(order.order_id, f"{order.order_id}:hand_over", shipped, None)
        await shop.stock.release(order.order_id, f"{order.order_id}:release", given_back, False, None)
    assert await shop.level(shop.near) == (1, 0)


async def test_a_check_that_found_nothing_is_remembered_too(database: Database) -> None:
    shop = await Shop(database).open()
    order = await shop.placed(1)
    first = await shop.reserve(order)
    assert first.shortages
    await shop.inventory.receive(
        Receipt(location=shop.near, seller=shop.seller, sku="mug", quantity=5, key=shop.seller)
    )
    assert await shop.reserve(order) == first
    assert await shop.level(shop.near) == (5, 0)


async def test_two_tries_at_once_reserve_once(database: Database) -> None:
    shop = await Shop(database, near=100).open()
    order = await shop.placed(2)
    found = await asyncio.gather(*(shop.reserve(order) for _ in range(20)))
    assert all(answer == found[0] for answer in found)
    assert await shop.level(shop.near) == (100, 2)


async def test_missing_units_lower_what_is_on_hand(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = await shop.placed(2)
    found = await shop.reserve(order)
    await shop.stock.release(
        order.order_id, f"{order.order_id}:missing", items_of(order, found.allocations), True, None
    )
    assert await shop.level(shop.near) == (3, 0)


async def test_two_items_of_one_line_are_moved_together(database: Database) -> None:
    shop = await Shop(database, near=5).open()
    order = await shop.placed(4)
    (allocation,) = (await shop.reserve(order)).allocations
    halves = items_of(order, (allocation.model_copy(update={"quantity": 2}),)) * 2
    await shop.stock.hand_over(order.order_id, f"{order.order_id}:hand_over", halves, None)
    assert await shop.level(shop.near) == (1, 0)


async def test_200_buyers_at_once_get_exactly_the_last_50_units(database: Database) -> None:
    shop = await Shop(database, near=30, far=20).open()
    orders = [await shop.placed(1) for _ in range(200)]
    found = await asyncio.gather(*(shop.reserve(order) for order in orders))
    assert sum(bool(answer.allocations) for answer in found) == 50
    assert sum(bool(answer.shortages) for answer in found) == 150
    assert await shop.level(shop.near) == (30, 30)
    assert await shop.level(shop.far) == (20, 20)


async def test_an_order_cannot_give_back_what_others_hold(database: Database) -> None:
    shop = await Shop(database, near=10).open()
    mine, theirs = await shop.placed(1), await shop.placed(5)
    allocations = (await shop.reserve(mine)).allocations
    await shop.reserve(theirs)
    await shop.stock.release(mine.order_id, f"{mine.order_id}:release:1", items_of(mine, allocations), False, None)
    with pytest.raises(IntegrityError, match="ck_reservations_quantity"):
        await shop.stock.release(mine.order_id, f"{mine.order_id}:release:2", items_of(mine, allocations), False, None)
    assert await shop.level(shop.near) == (10, 5)


async def test_a_key_used_for_two_things_is_a_bug(database: Database) -> None:
    shop = await Shop(database, near=10).open()
    order = await shop.placed(1, 1)
    first, second = items_of(order, (await shop.reserve(order)).allocations)
    await shop.stock.release(order.order_id, f"{order.order_id}:release", (first,), False, None)
    with pytest.raises(AssertionError, match="1 of 2 are new"):
        await shop.stock.release(order.order_id, f"{order.order_id}:release", (first, second), False, None)
    assert await shop.level(shop.near) == (10, 1)
