"""PostgreSQL, the mail server and Temporal gone for a while with orders on their way: all of them end right."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from tests.faults.shop import (
    BesiegedShop,
    all_mails_are_sent,
    besieged_shop,
    copies,
    history,
    regular_activities,
)
from tests.faults.stories import LOST_PARCELS, ONE_DELIVERED, STORIES, Teller, plain, tell, told_of, wrongs
from tests.shop import UPS, line

OUTAGE_SECONDS = 25
REFUSAL_SECONDS = 6


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[BesiegedShop]:
    async with besieged_shop(LOST_PARCELS) as shop:
        yield shop


async def _at_a_seller(shop: BesiegedShop, orders: int) -> list[Teller]:
    """Orders whose sellers have not packed yet."""

    async def one() -> Teller:
        teller = Teller(shop, "plain")
        await teller.place(line(await teller.lists(), 2))
        await teller.reserved()
        return teller

    return list(await asyncio.gather(*(one() for _ in range(orders))))


@pytest.mark.slow
async def test_without_postgresql_orders_still_answer_and_lose_nothing(shop: BesiegedShop) -> None:
    tellers = await _at_a_seller(shop, 6)
    new = Teller(shop, "plain")
    sku = await new.lists()
    seconds: list[float] = []

    async def at_once(call: Awaitable[Any]) -> Any:
        """An answer that does not come before PostgreSQL is back is `Unreachable` and fails the test."""
        asked = time.monotonic()
        answer = await call
        seconds.append(time.monotonic() - asked)
        return answer

    async def in_the_dark(teller: Teller) -> None:
        order_id = teller.order_id
        await at_once(shop.update(order_id, "note", text="Is anybody there?"))
        hold = await at_once(shop.update(order_id, "hold", reason="looking"))
        assert (await at_once(shop.status(order_id))).holds == (hold.id,)
        await at_once(shop.update(order_id, "release_hold", hold_id=hold.id))
        await at_once(shop.packs(order_id))
        await at_once(shop.ships(order_id, carrier="ups", tracking_number=UPS))
        assert (await at_once(shop.status(order_id))).status == "Shipped"

    shop.stack.postgres.kill()
    stopped = time.monotonic()
    try:
        await new.place(line(sku, 2))
        await asyncio.gather(*(in_the_dark(teller) for teller in tellers[:4]))
        while time.monotonic() - stopped < OUTAGE_SECONDS:
            for teller in tellers:
                await at_once(shop.status(teller.order_id))
            await asyncio.sleep(1)
    finally:
        shop.stack.postgres.start()
        await shop.database.close()  # our own connections of before are dead

    await new.reserved()
    for teller in (*tellers[4:], new):
        await teller.pack()
        await teller.ship(carrier="ups", tracking_number=UPS)
    held = ONE_DELIVERED._replace(mails=(*ONE_DELIVERED.mails, "held.acme-1", "hold_released.acme-1"))
    told = [await told_of(teller, held) for teller in tellers[:4]]
    told += [await told_of(teller, ONE_DELIVERED) for teller in (*tellers[4:], new)]
    await all_mails_are_sent(shop)
    print(f"{len(seconds)} answers without PostgreSQL, the slowest after {max(seconds):.1f} s")

    assert await wrongs(shop, told) == []
    assert len(told) == 7
    for teller in tellers[:4]:
        # What could not be done within a workflow task went on outside of it, and nothing else did.
        steps = regular_activities(await history(shop, teller.order_id))
        assert "record_packing" in steps or "save_progress" in steps
        assert "hand_to_carrier" in steps
    assert "record_order" in regular_activities(await history(shop, new.order_id))
    await shop.conserves()


@pytest.mark.slow
async def test_without_a_mail_server_orders_go_on_and_every_mail_comes_once(shop: BesiegedShop) -> None:
    before = len(copies(shop))
    shop.stack.mails.refuse(True)
    telling = [asyncio.create_task(tell(shop, plain)) for _ in range(5)]
    await asyncio.sleep(REFUSAL_SECONDS)
    shop.stack.mails.stop()
    try:
        told = await asyncio.gather(*telling)
        assert len(copies(shop)) == before
    finally:
        shop.stack.mails.refuse(False)
        shop.stack.mails.start()

    await all_mails_are_sent(shop)
    assert await wrongs(shop, told) == []
    assert len(told) == 5
    assert len(copies(shop)) >= before + 5 * len(told[0].expected.mails)
    assert set(copies(shop).values()) == {1}


@pytest.mark.slow
async def test_temporal_killed_in_mid_order_carries_on_from_its_file(shop: BesiegedShop) -> None:
    seed = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed}: FAULTS_SEED={seed} kills at the same moments again")
    chance = random.Random(seed)
    telling = [asyncio.create_task(tell(shop, story)) for story in STORIES]
    for _ in range(2):
        await asyncio.sleep(chance.uniform(1, 6))
        shop.stack.temporal.kill()
        await asyncio.to_thread(shop.stack.temporal.start)
    # A scan that fails once comes after those that are told meanwhile.
    told = [one._replace(in_order=False) for one in await asyncio.gather(*telling)]

    await all_mails_are_sent(shop)
    assert await wrongs(shop, told) == []
    assert len(told) == len(STORIES)
    assert set(copies(shop).values()) == {1}
    await shop.conserves()
