"""The worker killed with -9 at random moments while orders of every kind are on their way."""

import asyncio
import os
import random
from collections.abc import AsyncIterator

import pytest

from localstack.worker_process import wait_until_ready
from tests.faults.shop import BesiegedShop, all_mails_are_sent, besieged_shop, copies, history, task_timeouts, where
from tests.faults.stories import LOST_PARCELS, STORIES, Teller, Told, told_of, wrongs

KILLS = 10
ORDERS = 28
ARRIVAL_SECONDS = 38.0
END_SECONDS = 120


@pytest.fixture
async def shop() -> AsyncIterator[BesiegedShop]:
    async with besieged_shop(LOST_PARCELS) as shop:
        yield shop


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_orders_end_right_though_the_worker_is_killed_again_and_again(shop: BesiegedShop) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: FAULTS_SEED={seed} kills at the same moments again")
    chance = random.Random(seed)
    gaps = [chance.uniform(2.5, 6.0) for _ in range(KILLS)]
    stories = [STORIES[number % len(STORIES)] for number in range(ORDERS)]
    chance.shuffle(stories)
    arrivals = [chance.uniform(0, ARRIVAL_SECONDS) for _ in stories]

    async def kill() -> None:
        for gap in gaps:
            await asyncio.sleep(gap)
            # On a busy machine it may not have begun yet, and a kill would hit nothing.
            await asyncio.to_thread(wait_until_ready, shop.worker)
            shop.worker.kill()
            shop.worker.start()

    tellers = [Teller(shop, story.__name__) for story in stories]

    async def arrive(number: int) -> Told:
        await asyncio.sleep(arrivals[number])
        return await told_of(tellers[number], await stories[number](tellers[number]))

    killing = asyncio.create_task(kill())
    arriving = [asyncio.create_task(arrive(number)) for number in range(ORDERS)]
    await killing
    done, late = await asyncio.wait(arriving, timeout=END_SECONDS)
    for order in late:
        order.cancel()
    # A scan that is lent to a worker that dies comes after those that are told meanwhile.
    told = [order.result()._replace(in_order=False) for order in done]
    ended = {one.teller.order_id for one in told}
    stuck = [await where(shop, teller.order_id) for teller in tellers if teller.order_id not in ended]
    written = await all_mails_are_sent(shop)

    found = await wrongs(shop, told)
    timeouts = [task_timeouts(await history(shop, one.teller.order_id)) for one in told]
    sent = copies(shop)
    second = {message: count for message, count in sent.items() if count > 1}
    print(
        f"{KILLS} kills, {len(told)} of {ORDERS} orders ended, {sum(timeouts)} workflow tasks died, "
        f"{written} mails, {len(second)} of them twice"
    )
    assert stuck == []
    assert found == []
    assert len(told) == ORDERS
    assert sum(timeouts) > 0, "no kill hit anything"
    assert len(sent) == written
    assert sum(count - 1 for count in second.values()) <= KILLS
    await shop.conserves()
