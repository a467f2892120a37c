"""Orders whose workflow is gone, rows that nobody remembers, and what is held for nobody: found and mended once."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio import workflow
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

import worker
from benchmarks.sql_meter import SqlMeter
from domain.effects import Reserve, Want
from domain.placing import Channel
from domain.reconciling import ReconcileInput, ReconcileReport
from domain.results import StatusView, TimelineView
from domain.timeline import Entry
from localstack.stack import Stack
from store.stock import Stock
from tests.encryption import NEW, OLD, client_with
from tests.schedule import NEVER_BY_ITSELF, triggered
from tests.shop import Shop, eventually, line, open_shop
from usecases.reconciliation import last_finished, reconcile, register_schedule, schedule_id, trigger_if_overdue
from worker import workflow_runner
from workflows.arguments import ARGUMENTS
from workflows.names import RECONCILE, WORKFLOW, workflow_id
from workflows.order import OrderWorkflow

WHY = "placed by a script that ran wild"


async def _reconcile(shop: Shop, **look: Any) -> ReconcileReport:
    return await reconcile(shop.client, ReconcileInput(**{"grace_seconds": 0.0, **look}), shop.task_queue)


async def _terminate(shop: Shop, order_id: str) -> None:
    await shop.terminated(order_id, WHY)


async def _taken_up(shop: Shop, *order_ids: str) -> ReconcileReport:
    report = await _reconcile(shop)
    assert {f"taken_up {order_id}" for order_id in order_ids} <= {*report.orders}, report
    return report


async def _ends_and_adds_up(shop: Shop, order_id: str) -> StatusView:
    status = await shop.ended(order_id)
    await shop.conserves(order_id)
    return status


async def _entry(shop: Shop, order_id: str) -> Entry:
    """Of the newest taking up."""
    view = await shop.orders.query(order_id, "timeline")
    assert isinstance(view, TimelineView)
    return [entry for entry in view.entries if entry.what == "taken_up"][-1]


async def _row(shop: Shop, order_id: str) -> Any:
    async with shop.database.statement() as connection:
        return (await connection.execute(text("SELECT * FROM orders WHERE order_id = :of"), {"of": order_id})).one()


async def _written_above(shop: Shop, order_id: str, version: int) -> Any:
    """The order has been asked to write its rows, and does so a moment later."""
    return await eventually(lambda: _row(shop, order_id), lambda row: bool(row.version > version))


async def _sql(shop: Shop, statement: str, **values: Any) -> None:
    async with shop.database.statement() as connection:
        await connection.execute(text(statement), values)


async def test_an_order_terminated_before_packing_is_cancelled_and_everybody_told(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    await _terminate(shop, order_id)
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 2)

    planned = await _reconcile(shop, dry_run=True)
    assert planned.dry_run
    assert f"taken_up {order_id}" in planned.orders
    assert not (await _row(shop, order_id)).closed

    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)
    result = await shop.orders.result(order_id)
    assert (result.units, result.captured, result.voided) == ({"cancelled": 2}, 0, 2000)
    row = await _row(shop, order_id)
    assert (row.closed, row.status, row.attention) == (True, "Canceled", [])

    view = await shop.orders.query(order_id, "timeline")
    assert isinstance(view, TimelineView)
    entry = await _entry(shop, order_id)
    assert (entry.who, entry.why) == ("reconciliation", WHY)
    assert "its workflow was terminated" in entry.summary
    assert [e.seq for e in view.entries] == [*range(1, view.count + 1)], "its former life stands before it"
    kinds = [mail.message_id for mail in await shop.mails(order_id, at_least=4)]
    assert len([kind for kind in kinds if ".cancelled." in kind]) == 2, kinds
    assert not any(WHY in mail.text for mail in await shop.mails(order_id)), "that is for staff"

    again = await _reconcile(shop)
    assert not any(order_id in one for one in again.orders)


async def test_what_waits_for_stock_waits_no_more(shop: Shop) -> None:
    sku = await shop.lists(1)
    order_id = await shop.placed(line(sku, 3))
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="wait")
    other = await shop.placed(line(sku, 2))
    await shop.update(other, "choose_for_shortage", line_id="1", choice="wait")
    await _terminate(shop, order_id)
    # Comes in while nobody is there to be told.
    await shop.receives(sku, 1)
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    # What it held goes to who waits behind it.
    await shop.until(other, lambda status: len(status.fulfillments) >= 1 and not status.attention)
    assert (await shop.on_hand(sku))["ACME-1"] == (2, 2)
    await shop.update(other, "cancel", reason="enough")
    await _ends_and_adds_up(shop, other)


async def test_a_packed_one_is_opened_and_its_label_voided(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    await shop.packs(order_id, buy_labels=True)
    await shop.noted(order_id, "label_bought")
    held = await shop.placed(line(sku, 1))
    await shop.update(held, "hold", reason="looks odd")
    await _terminate(shop, order_id)
    await _terminate(shop, held)
    await _taken_up(shop, order_id, held)
    for one in (order_id, held):
        assert (await _ends_and_adds_up(shop, one)).status == "Canceled"
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)
    assert "label_voided" in await shop.timeline(order_id)
    assert (await _row(shop, held)).attention == []


async def test_a_parcel_on_its_way_is_followed_to_the_door(shop: Shop) -> None:
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.until(order_id, lambda status: status.money.captured == 2000)
    await _terminate(shop, order_id)
    # A scan that comes while nobody is there is not lost.
    await _sql(
        shop,
        "INSERT INTO outbox (key, kind, order_id, body, sent_at, last_error)"
        " VALUES (:key, 'message', :of, CAST(:body AS jsonb), now(), 'the order is closed or unknown')",
        key=uuid4().hex,
        of=order_id,
        body=_scan("in_transit"),
    )
    await _taken_up(shop, order_id)
    status = await shop.until(order_id, lambda s: s.fulfillments[0].parcels[0].status == "in_transit")
    assert status.status == "Shipped", "the rest is cancelled"
    assert status.fulfillments[1].units == {"cancelled": 1}
    entry = await _entry(shop, order_id)
    assert "acme-1-p1 still on the way; 20.00 USD captured" in entry.summary

    # It lives: terminated once more, it is taken up once more.
    await _terminate(shop, order_id)
    await _taken_up(shop, order_id)
    await shop.until(order_id, lambda s: True)
    await shop.delivers(order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Delivered"
    result = await shop.orders.result(order_id)
    assert (result.units, result.captured, result.voided) == ({"delivered": 2, "cancelled": 1}, 2000, 1000)
    replayer = Replayer(workflows=[OrderWorkflow], data_converter=ARGUMENTS, workflow_runner=workflow_runner())
    await replayer.replay_workflow(await shop.handle(order_id).fetch_history())


def _scan(status: str) -> str:
    return (
        '{"signal": "carrier_event", "body": {"event_id": "late", "parcel_id": "acme-1-p1", '
        f'"status": "{status}", "occurred_at": "{datetime.now(UTC).isoformat()}"}}}}'
    )


async def test_what_the_network_has_is_asked_back(shop: Shop) -> None:
    sku = await shop.lists(5, at="FBA-1")
    order_id = await shop.placed(line(sku, 2, channel="FBA"))
    await shop.until(order_id, lambda s: s.fulfillments[0].network_status is not None)
    await _terminate(shop, order_id)
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    assert (await shop.on_hand(sku))["FBA-1"] == (5, 0)


async def test_an_execution_that_was_deleted_is_made_up_from_its_rows(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    execution = WorkflowExecution(workflow_id=f"order:{order_id}")
    await shop.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=shop.client.namespace, workflow_execution=execution)
    )
    await shop.forgotten(order_id)
    listed = f'WorkflowId = "order:{order_id}"'
    await eventually(lambda: shop.client.count_workflows(listed), lambda found: found.count == 0)
    held_back = await _reconcile(shop, taken_up_max=0)
    assert held_back.held_back >= 1, "one that has lost too many is not believed"
    assert not (await _row(shop, order_id)).closed
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)


async def test_an_order_that_was_given_too_little_time_is_taken_up(shop: Shop) -> None:
    """A backend may start it with an execution timeout of its own."""
    sku = await shop.lists(5)
    body = shop.body(line(sku, 2))
    order_id = str(body["order_id"])
    await shop.client.start_workflow(
        WORKFLOW, body, id=workflow_id(order_id), task_queue=shop.task_queue, execution_timeout=timedelta(seconds=15)
    )
    await _ends_as(shop, order_id, WorkflowExecutionStatus.TIMED_OUT)
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 2)
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)
    assert "its workflow ran out of time" in (await _entry(shop, order_id)).summary


async def test_an_order_whose_workflow_failed_is_taken_up(shop: Shop) -> None:
    """By a bug that lets an error escape; here another program's workflow of the name, under the order's id."""
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    await shop.packs(order_id)
    await _terminate(shop, order_id)
    queue = f"failing-{uuid4().hex[:8]}"
    async with Worker(
        shop.client, task_queue=queue, workflows=[FailingOrder], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await shop.client.start_workflow(WORKFLOW, id=workflow_id(order_id), task_queue=queue)
        await _ends_as(shop, order_id, WorkflowExecutionStatus.FAILED)
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)
    assert "its workflow failed" in (await _entry(shop, order_id)).summary


@workflow.defn(name=WORKFLOW)
class FailingOrder:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("a bug", non_retryable=True)


async def _ends_as(shop: Shop, order_id: str, status: WorkflowExecutionStatus) -> None:
    await eventually(shop.handle(order_id).describe, lambda found: found.status is status)
    await shop.listed_as_ended(order_id)


async def test_with_encryption_required_an_order_is_taken_up_and_nothing_stands_in_clear(
    stack: Stack, fresh_database: Callable[[], str]
) -> None:
    """By a run of the schedule, which was made when nothing was encrypted yet."""
    clear = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
    async with open_shop(stack, await client_with(stack, NEW, OLD), fresh_database()) as shop:
        sku = await shop.lists(5)
        order_id = await shop.placed(line(sku, 2))
        half = await shop.placed(line(sku, 1))
        version = (await _row(shop, half)).version
        await _sql(shop, "UPDATE orders SET version = version + 3, status = 'Shipped' WHERE order_id = :of", of=half)
        # What is younger than a minute is left alone by the schedule.
        await _sql(
            shop, "UPDATE orders SET saved_at = now() - interval '2 min', recorded_at = now() - interval '2 min'"
        )
        await register_schedule(clear, NEVER_BY_ITSELF, shop.task_queue)
        report = await triggered(shop.client, shop.task_queue, 1)
        assert (report.looked_at, report.rewritten, report.orders) == (2, 1, (f"rewritten {half}",))
        assert (await _written_above(shop, half, version + 3)).status == "Unshipped"
        await clear.get_schedule_handle(schedule_id(shop.task_queue)).delete()
        await _terminate(shop, order_id)
        await _taken_up(shop, order_id)
        await shop.update(half, "cancel")
        for one in (order_id, half):
            assert (await _ends_and_adds_up(shop, one)).status == "Canceled"
        assert (await _entry(shop, order_id)).why == WHY
        history = await shop.handle(order_id).fetch_history()
        assert b"Lovelace" not in b"".join(event.SerializeToString() for event in history.events)


async def test_the_same_order_placed_again_after_its_end_by_hand(shop: Shop) -> None:
    """That run ends at once with what is known, and nobody works for the order."""
    sku = await shop.lists(5)
    body = shop.body(line(sku, 1))
    order_id = await shop.checked(body)
    await _terminate(shop, order_id)
    assert (await shop.orders.place(body)).outcome == "new"
    await shop.orders.result(order_id)
    await shop.listed_as_ended(order_id)
    await _taken_up(shop, order_id)
    assert (await _ends_and_adds_up(shop, order_id)).status == "Canceled"


async def test_a_living_order_is_left_alone(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    await shop.packs(order_id)
    before = await shop.handle(order_id).describe()
    report = await _reconcile(shop)
    assert report.looked_at >= 1
    assert not any(order_id in one for one in report.orders)
    after = await shop.handle(order_id).describe()
    assert after.history_length == before.history_length
    await shop.update(order_id, "cancel", by="seller:acme")
    await shop.ended(order_id)


async def test_with_nothing_to_do_it_asks_little(shop: Shop) -> None:
    """The figures of docs/decisions/0021-orders-without-a-workflow.md."""
    order_id = await shop.placed(line(await shop.lists(5), 2))
    # One that is not listed yet is looked up, which is one statement more.
    listed = f'WorkflowId = "order:{order_id}" AND ExecutionStatus = "Running"'
    await eventually(lambda: shop.client.count_workflows(listed), lambda found: found.count == 1)
    await _reconcile(shop)
    await shop.conserves()
    look, run = ReconcileInput(grace_seconds=0.0), f"reconcile-{uuid4().hex[:8]}"
    with SqlMeter() as meter:
        report: ReconcileReport = await shop.client.execute_workflow(
            RECONCILE, look, id=run, task_queue=shop.task_queue, result_type=ReconcileReport
        )
    assert report.is_clean, report
    assert report.looked_at >= 1
    sent = meter.read()
    assert {name: count for name, count in sent.statements.items() if name in _ASKS} == _ASKS
    assert (await shop.client.get_workflow_handle(run).describe()).history_length == 23
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


_ASKS = {"find_lost_orders": 3, "release_dead_stock": 3, "find_held_money": 1}


async def test_rows_of_a_forgotten_step_are_written_anew(shop: Shop) -> None:
    """As a packing leaves them that nobody remembers; how that comes about is in tests/faults/test_lost_task.py."""
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 2))
    version = (await _row(shop, order_id)).version
    await _sql(shop, "UPDATE orders SET version = version + 3, status = 'Shipped' WHERE order_id = :of", of=order_id)
    await _sql(shop, "UPDATE order_units SET place = 'packed' WHERE order_id = :of AND quantity > 0", of=order_id)
    report = await _reconcile(shop)
    assert f"rewritten {order_id}" in report.orders
    row = await _written_above(shop, order_id, version + 3)
    assert row.status == "Unshipped"
    await shop.conserves(order_id)
    assert f"rewritten {order_id}" not in (await _reconcile(shop)).orders
    await shop.update(order_id, "cancel")
    await _ends_and_adds_up(shop, order_id)


async def test_stock_held_for_nobody_is_given_back(shop: Shop) -> None:
    """Each case of it is in tests/store/test_reconciling.py."""
    sku = await shop.lists(5)
    done = await shop.placed(line(sku, 1))
    await shop.update(done, "cancel")
    await shop.ended(done)
    want = Want(line_id="1", seller="acme", channel=Channel.FBM, sku=sku, quantity=2)
    at = (await _row(shop, done)).placed_at
    late = Reserve(key=f"{done}:late", wants=(want,), placed_at=at, method="Standard", country="US")
    await Stock(shop.database).reserve(done, late, None)
    report = await _reconcile(shop)
    assert report.units_released == 2
    assert f"stock_released {done}" in report.orders
    assert (await shop.on_hand(sku))["ACME-1"] == (5, 0)
    await shop.conserves(done)
    assert (await _reconcile(shop)).units_released == 0


async def test_money_of_a_closed_order_is_given_back_once(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await shop.placed(line(sku, 1))
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    await shop.conserves(order_id)
    # As if its last step had forgotten the void: at the provider too.
    for statement in (
        "DELETE FROM money_moves WHERE order_id = :of AND kind = 'void'",
        "UPDATE payments SET voided = 0 WHERE order_id = :of",
        "UPDATE sandbox_authorizations SET voided = 0 WHERE reference IN"
        " (SELECT reference FROM payments WHERE order_id = :of)",
    ):
        await _sql(shop, statement, of=order_id)
    report = await _reconcile(shop)
    assert f"voided {order_id}" in report.orders
    assert report.voided == 1000
    await shop.conserves(order_id)
    assert f"voided {order_id}" not in (await _reconcile(shop)).orders


async def test_the_schedule_is_made_once_and_kept_as_it_is_set(client: Client) -> None:
    queue = f"schedule-{uuid4().hex[:8]}"
    assert await register_schedule(client, 60, queue)
    assert not await register_schedule(client, 60, queue)
    handle = client.get_schedule_handle(schedule_id(queue))
    await handle.pause(note="while we move the database")
    assert await register_schedule(client, 30, queue)
    found = (await handle.describe()).schedule
    assert found.spec.intervals[0].every.total_seconds() == 1800
    assert found.state.paused
    assert await register_schedule(client, 0, queue)
    with pytest.raises(RPCError):
        await handle.describe()
    assert not await register_schedule(client, 0, queue)


async def test_a_schedule_that_nobody_was_there_to_run_is_run_by_workers_that_start(client: Client) -> None:
    queue = f"schedule-{uuid4().hex[:8]}"
    assert not await trigger_if_overdue(client, 60, queue), "there is none"
    await register_schedule(client, 60, queue)
    handle = client.get_schedule_handle(schedule_id(queue))
    assert not await trigger_if_overdue(client, 60, queue), "it was made a moment ago"
    long_over = 1e-6
    await handle.pause(note="while we move the database")
    assert not await trigger_if_overdue(client, long_over, queue)
    await handle.unpause()
    assert await asyncio.gather(*(trigger_if_overdue(client, long_over, queue) for _ in range(3))) == [True] * 3
    await eventually(handle.describe, lambda seen: bool(seen.info.running_actions))
    assert await trigger_if_overdue(client, long_over, queue)
    seen = await eventually(handle.describe, lambda seen: seen.info.num_actions_skipped_overlap > 0)
    assert seen.info.num_actions == 1
    [running] = seen.info.running_actions
    assert isinstance(running, ScheduleActionExecutionStartWorkflow)
    await client.get_workflow_handle(running.workflow_id).terminate()
    await handle.delete()


async def test_each_run_of_the_schedule_looks_on_from_the_last(shop: Shop) -> None:
    """And when the last one ended is known, by what stands in Temporal alone."""
    assert await last_finished(shop.client, shop.task_queue) is None
    await register_schedule(shop.client, NEVER_BY_ITSELF, shop.task_queue)
    handle = shop.client.get_schedule_handle(schedule_id(shop.task_queue))
    newest = (await handle.describe()).info.created_at
    assert await last_finished(shop.client, shop.task_queue) == newest
    for number in (1, 2):
        assert (await triggered(shop.client, shop.task_queue, number)).looked_until is not None
        newest = await _finished_after(shop, newest)
    await _reconcile(shop)
    assert await last_finished(shop.client, shop.task_queue) == newest, "a run by hand is none of the schedule"
    await handle.delete()
    assert await last_finished(shop.client, shop.task_queue) == newest


async def _finished_after(shop: Shop, before: datetime) -> datetime:
    """Temporal lists a run a moment after its end."""
    found = await eventually(
        lambda: last_finished(shop.client, shop.task_queue), lambda found: found is not None and found > before
    )
    assert found is not None
    return found


async def test_the_schedule_outlives_the_key_of_the_day(stack: Stack, fresh_database: Callable[[], str]) -> None:
    """Made by a build of before, which encrypted its argument; and its last run's result is encrypted in any case."""
    before, after = await client_with(stack, OLD), await client_with(stack, NEW)
    async with open_shop(stack, before, fresh_database()) as shop:
        await register_schedule(before, NEVER_BY_ITSELF, shop.task_queue)
        handle = before.get_schedule_handle(schedule_id(shop.task_queue))
        await handle.update(_with_encrypted_argument)
        assert _argument(await handle.describe()).metadata["encryption-key-id"] == b"old"
        await triggered(shop.client, shop.task_queue, 1)
    assert await register_schedule(after, NEVER_BY_ITSELF, shop.task_queue)
    assert not await register_schedule(before, NEVER_BY_ITSELF, shop.task_queue), "no key changes it any more"
    assert _argument(await handle.describe()).metadata["encoding"] == b"json/plain"
    shop.client = after
    async with worker.running(worker.build(after, shop.settings, shop.task_queue)):
        await triggered(shop.client, shop.task_queue, 2)
    await handle.delete()


def _with_encrypted_argument(current: ScheduleUpdateInput) -> ScheduleUpdate:
    action = current.description.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    action.args = [ReconcileInput()]
    return ScheduleUpdate(current.description.schedule)


def _argument(found: ScheduleDescription) -> Payload:
    assert isinstance(found.schedule.action, ScheduleActionStartWorkflow)
    [argument] = found.schedule.action.args
    assert isinstance(argument, Payload)
    return argument
