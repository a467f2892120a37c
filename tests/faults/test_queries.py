"""Orders that are asked and told while their worker is dead: a query moves nothing, and messages are obeyed in turn."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowQueryFailedError

from localstack.worker_process import wait_until_ready
from tests.faults.shop import BesiegedShop, besieged_shop, history
from tests.faults.stories import Teller
from tests.shop import Body, eventually, line
from workflows.runner import TAKEN_OVER

LATER_SECONDS = 4

_STICKY_SECONDS = 10
"""So long the server keeps what is for a worker that knows the order, and may be dead."""


async def test_an_order_follows_its_history_whoever_asks_and_tells_it_while_its_worker_is_dead() -> None:
    async with besieged_shop() as shop:
        asked_first, asked_within, told_twice = [await _reserved(shop) for _ in range(3)]
        before = {one.order_id: await _version(shop, one) for one in (asked_first, asked_within)}
        shop.worker.kill()

        # No event waits for a worker, so the query goes to the dead one by itself, and then to the next one.
        early = asyncio.create_task(_ask(shop, asked_first))
        await _signal(shop, asked_within)
        within = asyncio.create_task(_ask(shop, asked_within))
        await asyncio.sleep(LATER_SECONDS)
        await _signal(shop, asked_first)
        signalled = asyncio.get_running_loop().time()
        # An update that asks for what the signal before it does: the new worker hears of both in one task.
        await shop.handle(told_twice.order_id).signal("pack", _all_in_one_box(told_twice))
        shipping = asyncio.create_task(told_twice.ship())
        shop.worker.start()
        wait_until_ready(shop.worker)
        in_time = asyncio.get_running_loop().time() - signalled < _STICKY_SECONDS / 2

        # Where the worker took too long to start, the signal's task came before the query.
        refused = (await asyncio.gather(early, return_exceptions=True))[0]
        if in_time or refused is not None:
            assert isinstance(refused, WorkflowQueryFailedError)
            assert str(refused) == TAKEN_OVER
            assert await _version(shop, asked_first) == before[asked_first.order_id]
        # One that comes with a task may meet it when its time is over, and is to be asked again then.
        late = (await asyncio.gather(within, return_exceptions=True))[0]
        if late is not None:
            assert isinstance(late, WorkflowQueryFailedError)
            assert str(late) == TAKEN_OVER
        await shipping

        for teller in (asked_first, asked_within):
            await _until(lambda teller=teller: _version(shop, teller), before[teller.order_id] + 1)  # type: ignore[misc]
            events = [event.event_type for event in await history(shop, teller.order_id)]
            after = events[events.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) :]
            assert after.count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) == 1
            assert after.count(EventType.EVENT_TYPE_MARKER_RECORDED) == 1
            await teller.when(lambda view: view.status == "Unshipped")


async def _reserved(shop: BesiegedShop) -> Teller:
    teller = Teller(shop, "asked")
    await teller.place(line(await teller.lists(), 2))
    await teller.reserved()
    return teller


async def _signal(shop: BesiegedShop, teller: Teller) -> None:
    """Refused: the timeline says so, which is one local step."""
    now = datetime.now(UTC).isoformat()
    scan = {"event_id": "1", "parcel_id": "none-p1", "status": "delivered", "occurred_at": now}
    await shop.handle(teller.order_id).signal("carrier_event", scan)


def _all_in_one_box(teller: Teller) -> Body:
    parcels = [{"contents": [{"line_id": "1", "sku": teller.skus[0], "quantity": 2}]}]
    return {"by": "seller:acme", "fulfillment_id": "acme-1", "parcels": parcels}


async def _ask(shop: BesiegedShop, teller: Teller) -> None:
    await shop.handle(teller.order_id).query("status", {})


async def _version(shop: BesiegedShop, teller: Teller) -> int:
    async with shop.database.statement() as connection:
        found = await connection.scalar(
            text("SELECT version FROM orders WHERE order_id = :order"), {"order": teller.order_id}
        )
    assert isinstance(found, int)
    return found


async def _until(look: Callable[[], Awaitable[int]], expected: int) -> None:
    await eventually(look, lambda found: found == expected)
