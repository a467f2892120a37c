"""The cancel button of the Temporal UI: it does what `cancel` does, and cuts no step in two."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from domain.results import OrderResult
from tests.rawclient import start
from tests.shop import Shop, line
from usecases.errors import InvalidMessage, OrderClosed, Refused


async def test_a_free_order_is_cancelled_and_all_is_given_back(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 3))
    await shop.handle(order_id).cancel()
    result = OrderResult.model_validate(await shop.handle(order_id).result())
    assert (result.status, result.units, result.captured, result.voided) == ("Canceled", {"cancelled": 3}, 0, 3000)
    assert await shop.on_hand(sku) == {"ACME-1": (5, 0)}
    assert "cancelled" in await shop.timeline(order_id)
    await shop.mails(order_id, at_least=4)  # confirmed and cancelled; the seller told of both
    await shop.conserves(order_id)


async def test_a_packed_order_is_asked_for(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 3))
    await shop.packs(order_id)
    await shop.handle(order_id).cancel()
    status = await shop.until(order_id, lambda status: bool(status.cancellation_requests))
    assert (status.status, status.attention) == ("Unshipped", ("cancellation_requested",))
    [request] = status.cancellation_requests
    await shop.update(order_id, "answer_cancellation", by="seller:acme", request_id=request, answer="accept")
    assert (await shop.orders.result(order_id)).status == "Canceled"
    await shop.conserves(order_id)


async def test_after_handoff_it_is_refused_and_the_timeline_names_the_signal(shop: Shop) -> None:
    """The engine delivers the button once only: what support can still do is said there."""
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 3))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.handle(order_id).cancel()
    await shop.until(order_id, lambda status: True)
    entries = (await shop.orders.query(order_id, "timeline")).model_dump()["entries"]
    [refused] = [entry for entry in entries if entry["what"] == "cancel_refused"]
    assert refused["who"] == "support"
    assert refused["summary"].startswith("too late to cancel: it was handed to the carrier; return it after delivery")
    assert (await shop.status(order_id)).status == "Shipped"
    await shop.update(order_id, "note", text="the order still listens")
    await shop.handle(order_id).cancel()  # once more, to no effect
    await shop.delivers(order_id)
    assert (await shop.orders.result(order_id)).status == "Delivered"
    await shop.conserves(order_id)


async def test_at_any_moment_it_leaves_units_and_money_whole(shop: Shop) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    moments = random.Random(seed)
    sku = await shop.lists(100)
    order_ids = await asyncio.gather(*(_cancelled_on_the_way(shop, sku, moments.uniform(0, 2.5)) for _ in range(12)))
    results = [await shop.orders.result(order_id) for order_id in order_ids]
    assert {result.status for result in results} <= {"Canceled", "Delivered"}
    assert all(sum(result.units.values()) == 3 for result in results)
    delivered = sum(result.units.get("delivered", 0) for result in results)
    assert sum(result.captured for result in results) == 1000 * delivered
    assert await shop.on_hand(sku) == {"ACME-1": (100 - delivered, 0)}
    await shop.conserves()


async def _cancelled_on_the_way(shop: Shop, sku: str, after_seconds: float) -> str:
    """The button is pressed while seller and carrier go on as if nobody had."""
    body = shop.body(line(sku, 2), line(sku, 1))
    order_id = str(body["order_id"])
    await start(shop, body)

    async def press() -> None:
        await asyncio.sleep(after_seconds)
        await shop.handle(order_id).cancel()

    async def play() -> None:
        status = await shop.until(order_id, lambda status: bool(status.fulfillments) or status.closed)
        while not status.closed:
            await asyncio.gather(*(_does(shop, order_id, action.message) for action in status.actions))
            await asyncio.sleep(0.2)
            status = await shop.status(order_id)

    await asyncio.gather(press(), play())
    return order_id


async def _does(shop: Shop, order_id: str, message: str) -> None:
    """What the order offers now; by the time it is asked for it may be refused."""
    moves: dict[str, Callable[[], Awaitable[Any]]] = {
        "pack": lambda: shop.packs(order_id),
        "ship": lambda: shop.ships(order_id, carrier="van"),
        "confirm_delivery": lambda: shop.update(order_id, "confirm_delivery"),
        "answer_cancellation": lambda: shop.update(
            order_id, "answer_cancellation", by="seller:acme", request_id="acme-1-c1", answer="accept"
        ),
    }
    if message in moves:
        with suppress(Refused, OrderClosed, InvalidMessage):
            await moves[message]()
