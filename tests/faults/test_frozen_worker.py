"""A worker that stood still while another one took its order to the end: what it writes then must change nothing."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from store.identities import violations
from tests.faults.dying import Death
from tests.faults.siege import Siege, siege
from tests.faults.stories import ONE_DELIVERED, Teller, told_of, wrongs
from tests.shop import PATIENCE_SECONDS, UPS, line
from workflows.names import workflow_id

QUEUE = "frozen"
TRIES_AGAIN_SECONDS = 4
"""In which the thawed worker would have overwritten the rows: it did so within one."""


async def _comes(holds: Callable[[], bool], what: str) -> None:
    for _ in range(PATIENCE_SECONDS * 10):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(what)


async def _versions(shop: Siege, order_id: str) -> tuple[int, str]:
    rows = text("SELECT version, status FROM orders WHERE order_id = :order")
    async with shop.database.statement() as connection:
        row = (await connection.execute(rows, {"order": order_id})).one()
    return row.version, row.status


@pytest.mark.slow
async def test_a_worker_that_thaws_overwrites_no_rows_of_a_later_life() -> None:
    async with siege() as everybody:
        shop = everybody.on_queue(QUEUE)
        teller = Teller(shop, "frozen")
        death = Death(workflow_id(teller.order_id), freezes_before="record_packing")
        frozen = shop.worker(QUEUE, full=False, death=death)
        living = shop.worker(QUEUE, full=False)
        outbox = shop.worker()
        try:
            outbox.start()
            frozen.start()
            await teller.place(line(await teller.lists(), 2))
            await teller.reserved()
            packing = asyncio.create_task(teller.pack())
            await _comes(lambda: frozen.frozen, "it never came to pack")
            living.start()
            await packing
            await teller.ship(carrier="ups", tracking_number=UPS)
            told = await told_of(teller, ONE_DELIVERED)
            ended = await _versions(shop, teller.order_id)
            frozen.thaw()
            await _comes(lambda: frozen.says("went on"), "it never went on")
            await asyncio.sleep(TRIES_AGAIN_SECONDS)
            assert await _versions(shop, teller.order_id) == ended
            assert await violations(shop.database) == []
            assert await wrongs(shop, [told]) == []
        finally:
            for worker in (frozen, living, outbox):
                worker.kill()
