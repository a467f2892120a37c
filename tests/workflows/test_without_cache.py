"""A worker that keeps no order in memory replays each from its history at every step: to the same end."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from temporalio.client import Client

from localstack.stack import Stack
from tests.replay.stories import in_several_parcels, refused_and_cancelled, shortages, supported, unpaid
from tests.shop import Shop, open_shop


@pytest.fixture(scope="module")
async def shop(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with open_shop(stack, client, fresh_database(), cached_orders_max=0) as shop:
        yield shop


async def test_stories_end_as_they_do_with_a_cache(shop: Shop) -> None:
    stories = (in_several_parcels, shortages, refused_and_cancelled, supported, unpaid)
    order_ids = await asyncio.gather(*(story(shop) for story in stories))
    results = [await shop.orders.result(order_id) for order_id in order_ids]
    assert {
        story.__name__: (result.status, result.units, result.captured - result.refunded)
        for story, result in zip(stories, results, strict=True)
    } == {
        "in_several_parcels": ("Delivered", {"delivered": 3}, 3901),
        "shortages": ("Delivered", {"cancelled": 3, "delivered": 7}, 7000),
        "refused_and_cancelled": ("Canceled", {"cancelled": 4}, 0),
        "supported": ("Delivered", {"delivered": 3}, 1900),
        "unpaid": ("Delivered", {"delivered": 2}, 2000),
    }
    await shop.conserves()
