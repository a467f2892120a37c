"""Messages that come with the start, or before the order has been recorded: they wait for it, and are then answered."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

import worker
from domain.results import Accepted, CancelResult, OrderResult, StatusView
from domain.timeline import ENTRIES_KEPT
from store.tables.orders import timeline
from tests import rawclient
from tests.shop import PATIENCE_SECONDS, Body, Shop, line

HELD_BACK = timedelta(seconds=3)
"""What is sent within this time comes in the first workflow task."""


async def start_with(
    shop: Shop, body: Body, update: str, message: Body, **options: Any
) -> tuple[Any, WorkflowHandle[Any, Any]]:
    """The answer to the update that came with the start, and the order."""
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "OrderWorkflow",
        body,
        id=f"order:{body['order_id']}",
        task_queue=shop.task_queue,
        execution_timeout=rawclient.AT_MOST,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    answer = await shop.client.execute_update_with_start_workflow(
        update, message, start_workflow_operation=start, **options
    )
    return answer, await start.workflow_handle()


async def test_an_update_with_the_start_is_obeyed_once_the_order_stands(shop: Shop) -> None:
    sku = await shop.lists(9)
    first, second, third = (shop.body(line(sku, 2)) for _ in range(3))
    (held, _), (noted, _), (cancelled, order) = await asyncio.gather(
        start_with(shop, first, "hold", {"reason": "fraud check"}, result_type=Accepted),
        start_with(shop, second, "note", {"text": "gift wrap"}, result_type=Accepted),
        start_with(shop, third, "cancel", {}, result_type=CancelResult),
    )
    assert (held.id, noted.what, cancelled.cancelled) == ("hold-1", "noted", 2)
    assert OrderResult.model_validate(await order.result()).status == "Canceled"
    for body in (first, second):
        await shop.update(body["order_id"], "cancel")
        await shop.ended(body["order_id"])
    assert await shop.on_hand(sku) == {"ACME-1": (9, 0)}
    await shop.conserves()


async def test_an_update_with_the_start_is_refused_by_name(shop: Shop) -> None:
    sku = await shop.lists(9)
    body, bad = shop.body(line(sku, 2)), shop.body(line("NO-SUCH"))
    ship = {"fulfillment_id": "acme-1", "carrier": "van"}
    errors: list[Any] = await asyncio.gather(
        start_with(shop, body, "ship", ship),
        start_with(shop, shop.body(line(sku), order_id=body["order_id"] + "-2"), "ship", {"carrier": "van"}),
        start_with(shop, bad, "note", {"text": "gift wrap"}),
        return_exceptions=True,
    )
    assert [reason_of(error) for error in errors] == [
        ("Refused", "the order is Pending: it is not paid for yet"),
        ("InvalidMessage", "fulfillment_id: Field required"),
        ("Refused", "the order was not accepted"),
    ]
    assert await rawclient.failure(shop.handle(bad["order_id"])) == (
        "InvalidOrder",
        "lines.0.sku: acme has no 'NO-SUCH' to sell",
    )
    for order_id in (body["order_id"], body["order_id"] + "-2"):
        await shop.update(order_id, "cancel")
        await shop.ended(order_id)
    await shop.conserves()


def reason_of(error: object) -> tuple[str | None, str]:
    assert isinstance(error, WorkflowUpdateFailedError), error
    assert isinstance(error.cause, ApplicationError)
    return error.cause.type, error.cause.message


async def test_messages_right_behind_the_start_are_kept_until_the_order_stands(shop: Shop) -> None:
    """The start is held back, so that all of them come in the first workflow task."""
    sku = await shop.lists(9)
    body = shop.body(line(sku, 2))
    order_id = body["order_id"]
    handle = await rawclient.start(shop, body, start_delay=HELD_BACK)
    await handle.signal("pack", {"fulfillment_id": "acme-1"})
    await handle.signal("ship", {"fulfillment_id": "acme-1", "carrier": "van"})
    await handle.signal("nonsense", "?")
    await handle.signal("cancel", {"items": [{"line_id": "1", "quantity": 1}]})
    status = await shop.until(order_id, lambda status: bool(status.fulfillments))
    assert status.lines[0].units == {"cancelled": 1, "reserved": 1}
    told = await shop.timeline(order_id)
    assert told[0] == "placed"
    assert {"pack_refused", "ship_refused", "signal_refused", "cancelled"} <= set(told)
    await shop.update(order_id, "cancel")
    assert (await shop.orders.result(order_id)).units == {"cancelled": 2}
    await shop.conserves(order_id)


async def test_the_cancel_button_right_behind_the_start_cancels(shop: Shop) -> None:
    sku = await shop.lists(9)
    body = shop.body(line(sku, 2))
    handle = await rawclient.start(shop, body, start_delay=HELD_BACK)
    await handle.cancel()
    result = OrderResult.model_validate(await handle.result())
    assert (result.status, result.units) == ("Canceled", {"cancelled": 2})
    assert await shop.on_hand(sku) == {"ACME-1": (9, 0)}
    await shop.conserves(body["order_id"])


async def test_messages_to_a_start_that_is_refused_do_no_harm(shop: Shop) -> None:
    body = shop.body(line("NO-SUCH"))
    handle = await rawclient.start(shop, body, start_delay=HELD_BACK)
    await handle.signal("cancel", {})
    await handle.signal("nonsense")
    assert (await rawclient.failure(handle))[0] == "InvalidOrder"
    cancelled = await rawclient.start(shop, {"order_id": "x"}, start_delay=HELD_BACK)
    await cancelled.cancel()
    with pytest.raises(WorkflowFailureError):
        await cancelled.result()


async def test_an_order_cancelled_before_it_was_paid_for_charges_nothing(shop: Shop) -> None:
    """Cancelled in the first workflow task, while the payment is being authorized."""
    sku = await shop.lists(9)
    bodies = [shop.body(line(sku, 2), payments=[{"token": "tok_unavailable_once", "amount": 2000}]) for _ in range(5)]
    handles = [await rawclient.start(shop, body, start_delay=HELD_BACK) for body in bodies]
    for handle in handles:
        await handle.signal("cancel", {})
    results = [OrderResult.model_validate(await handle.result()) for handle in handles]
    assert {(result.status, result.captured, result.voided) for result in results} == {("Canceled", 0, 2000)}
    assert await shop.on_hand(sku) == {"ACME-1": (9, 0)}
    await shop.conserves()


async def test_a_query_before_the_order_stands_says_so(shop: Shop) -> None:
    handle = await rawclient.start(shop, shop.body(line("NO-SUCH")))
    await rawclient.failure(handle)
    with pytest.raises(WorkflowQueryFailedError, match="the order was not accepted"):
        await handle.query("status", result_type=StatusView)


async def test_a_crowd_of_messages_at_once_leaves_no_gap_in_the_timeline(shop: Shop) -> None:
    """Seen at the doors: more refused signals in one workflow task than the order keeps entries of."""
    queue, sku = f"{shop.task_queue}-later", await shop.lists(9)
    crowd, still_open, closing = 2 * ENTRIES_KEPT + 50, shop.body(line(sku)), shop.body(line(sku))
    for body in (still_open, closing):
        handle = await shop.client.start_workflow(
            "OrderWorkflow", body, id=f"order:{body['order_id']}", task_queue=queue, execution_timeout=rawclient.AT_MOST
        )
        for _ in range(crowd):
            await handle.signal("ship", {})
    await shop.orders.signal(closing["order_id"], "cancel", {})
    async with worker.running(worker.build(shop.client, shop.settings, queue)):
        await shop.ended(closing["order_id"])
        await shop.until(still_open["order_id"], lambda status: status.status == "Unshipped")
        for body in (still_open, closing):
            assert await recorded(shop, body["order_id"], "ship_refused", crowd) == crowd
        await shop.update(still_open["order_id"], "cancel")
        await shop.ended(still_open["order_id"])
        await shop.conserves()


async def recorded(shop: Shop, order_id: str, what: str, at_least: int) -> int:
    """How often it stands in PostgreSQL's timeline; the last rows may still be on their way."""
    found = 0
    for _ in range(PATIENCE_SECONDS):
        async with shop.database.statement() as connection:
            query = select(func.count()).where(timeline.c.order_id == order_id, timeline.c.what == what)
            found = await connection.scalar(query) or 0
        if found >= at_least:
            break
        await asyncio.sleep(1)
    return found
