"""A worker that dies between a step's commit and its report, with another message there before the next one starts."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localstack.process import ManagedProcess
from localstack.worker_process import CHECKOUT
from store.identities import violations
from tests.faults.shop import BesiegedShop, besieged_shop, where
from tests.faults.stories import Teller
from tests.shop import PATIENCE_SECONDS, UPS, line
from usecases.errors import OrderClosed, Refused

DYING_WORKER = Path(__file__).with_name("dying_worker.py")


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[BesiegedShop]:
    async with besieged_shop() as shop:
        yield shop


async def _lose(shop: BesiegedShop, teller: Teller, dies_after: str, name: str, **body: Any) -> "asyncio.Task[Any]":
    """Send an update; the worker dies after this step of it. Gives the caller, who tries on and on."""
    shop.worker.stop()
    log = shop.stack.state_dir / "dying.log"
    dying = ManagedProcess(
        "dying worker",
        [sys.executable, str(DYING_WORKER), dies_after],
        log,
        environ=shop.stack.environment,
        folder=CHECKOUT,
    )
    dying.start()
    try:
        sending = asyncio.create_task(teller.send(name, body.pop("by"), **body))
        for _ in range(2 * PATIENCE_SECONDS * 10):
            if not dying.running:
                break
            await asyncio.sleep(0.1)
        assert dying.exit_code == -9, dying.log_tail()
    finally:
        dying.kill()
    return sending


async def _reserved(shop: BesiegedShop) -> Teller:
    teller = Teller(shop, "lost-task")
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    return teller


def _contents(teller: Teller) -> dict[str, Any]:
    contents = [{"line_id": "1", "sku": teller.skus[0], "quantity": 2}]
    return {"by": "seller:acme", "fulfillment_id": "acme-1", "parcels": [{"contents": contents}]}


async def test_what_the_worker_died_of_comes_first_again(shop: BesiegedShop) -> None:
    """A cancellation whose stock has been released already is not overtaken by a signal or update that came later."""
    teller = await _reserved(shop)
    cancelling = await _lose(shop, teller, "release_stock", "cancel", by="customer")
    pack = _contents(teller)
    await shop.orders.signal(teller.order_id, "pack", pack)
    packing = asyncio.create_task(
        teller.send("pack", pack["by"], **{name: part for name, part in pack.items() if name != "by"})
    )
    await asyncio.sleep(0.5)
    shop.worker.start()
    assert (await cancelling).cancelled == 2
    with pytest.raises((Refused, OrderClosed)):
        await packing
    assert (await teller.ended()).status == "Canceled"
    assert (await shop.timeline(teller.order_id)).count("pack_refused") == 1
    assert await shop.on_hand(teller.skus[0]) == {"ACME-1": (10, 0)}
    await shop.conserves()


async def test_a_scan_that_is_told_of_before_its_handoff_is_not_lost(shop: BesiegedShop) -> None:
    """The handoff is in the rows, and the carrier scans, before the worker that comes next hears of either."""
    teller = await _reserved(shop)
    await teller.pack()
    how = {"by": "seller:acme", "fulfillment_id": "acme-1"}  # its label is bought first
    shipping = await _lose(shop, teller, "hand_to_carrier", "ship", **how)
    scan = {"event_id": "at-the-door", "parcel_id": "acme-1-p1", "occurred_at": datetime.now(UTC).isoformat()}
    await shop.orders.signal(teller.order_id, "carrier_event", {**scan, "status": "delivered"})
    shop.worker.start()
    await shipping
    assert (await teller.ended()).status == "Delivered"
    assert "carrier_event_refused" not in await shop.timeline(teller.order_id)
    await shop.conserves()


async def _ends(shop: BesiegedShop, teller: Teller) -> None:
    try:
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            await teller.ended()
    except TimeoutError:
        raise AssertionError(await where(shop, teller.order_id)) from None


async def _forget(shop: BesiegedShop, sending: "asyncio.Task[Any]") -> None:
    """The caller dies, and Temporal too, which keeps an update that nobody has answered in memory only."""
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    shop.stack.temporal.kill()
    await asyncio.to_thread(shop.stack.temporal.start)
    shop.worker.start()


async def test_a_cancellation_that_nobody_remembers_took_no_stock(shop: BesiegedShop) -> None:
    teller = await _reserved(shop)
    await _forget(shop, await _lose(shop, teller, "release_stock", "cancel", by="customer"))
    view = await teller.reserved()
    if view.status != "Canceled":
        await teller.pack()
        await teller.ship(carrier="ups", tracking_number=UPS)
    await _ends(shop, teller)
    await shop.conserves()


async def test_a_packing_that_nobody_remembers_leaves_no_rows(shop: BesiegedShop) -> None:
    teller = await _reserved(shop)
    await _forget(shop, await _lose(shop, teller, "record_packing", "pack", **_contents(teller)))
    await teller.reserved()
    await teller.send("cancel", "customer")
    await _ends(shop, teller)
    assert await violations(shop.database, teller.order_id) == []
