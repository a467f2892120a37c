"""What reconciliation makes of a list that lags, orders that do not answer, and very many that have lost their life."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

import worker
from activities.reconciling import ReconcileActivities
from domain.reconciling import ASKED_AGAIN_MAX, NAMED_MAX, Found, HalfWritten, OpenRow, ReconcileInput, ReconcileReport
from domain.requests import Unavailable
from localstack.stack import Stack
from store.reconciling import Reconciling
from tests.shop import Shop, eventually, line, open_shop
from usecases.reconciliation import OrderWorkflows, reconcile, register_schedule, schedule_id
from worker import workflow_runner
from workflows.reconcile import ReconcileWorkflow

NO_GRACE = timedelta(0)


async def _sql(shop: Shop, statement: str, **values: Any) -> None:
    async with shop.database.statement() as connection:
        await connection.execute(text(statement), values)


# -- running orders without rows ---------------------------------------------------------------


class _ListOfBefore(OrderWorkflows):
    """Temporal's list as it was when this was made: it may lag by any time."""

    listed: dict[str, bool]

    @classmethod
    async def of(cls, shop: Shop) -> "_ListOfBefore":
        orders = cls(shop.client, shop.task_queue)
        orders.listed = await OrderWorkflows.running(orders, NO_GRACE)
        return orders

    async def running(self, grace: timedelta) -> dict[str, bool]:
        return self.listed


async def _is_listed(shop: Shop, order_id: str) -> _ListOfBefore:
    return await eventually(lambda: _ListOfBefore.of(shop), lambda orders: order_id in orders.listed)


async def _without_rows(shop: Shop, orders: OrderWorkflows, **look: Any) -> tuple[str, ...]:
    activities = ReconcileActivities(Reconciling(shop.database), orders)
    found: Found = await ActivityEnvironment().run(activities.find_lost_orders, ReconcileInput(**look))
    assert found.without_rows_count == len(found.without_rows)
    return found.without_rows


async def test_an_order_that_ended_and_is_listed_still_is_no_stranger(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 1))
    orders = await _is_listed(shop, order_id)
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    assert await _without_rows(shop, orders, grace_seconds=0.0) == ()


async def test_an_order_whose_rows_closed_a_moment_ago_is_no_stranger_yet(shop: Shop) -> None:
    """Its workflow ends a moment later; ten seconds where its worker dies in between."""
    order_id = await shop.placed(line(await shop.lists(5), 1))
    orders = await _is_listed(shop, order_id)
    await _sql(shop, "UPDATE orders SET closed = true, saved_at = now() WHERE order_id = :of", of=order_id)
    assert await _without_rows(shop, orders) == ()
    await _sql(shop, "UPDATE orders SET saved_at = now() - interval '2 min' WHERE order_id = :of", of=order_id)
    assert await _without_rows(shop, orders) == (order_id,)
    await _sql(shop, "UPDATE orders SET closed = false WHERE order_id = :of", of=order_id)
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


# -- orders that do not answer -----------------------------------------------------------------


class _FailingToWrite(ReconcileActivities):
    """Rows cannot be written anew while `fails` is set."""

    fails = False

    @activity.defn
    async def write_rows_anew(self, order: HalfWritten) -> bool:
        if self.fails:
            raise ApplicationError("the order took too long", non_retryable=True)
        return await super().write_rows_anew(order)


@asynccontextmanager
async def _reconciling(
    shop: Shop, activities: ReconcileActivities
) -> AsyncIterator[Callable[[], Awaitable[ReconcileReport]]]:
    """Reconciliation on a worker of its own, beside that of the orders; gives what triggers a run of its schedule."""
    queue = f"reconciling-{uuid4().hex[:8]}"
    methods: list[Callable[..., Any]] = [
        activities.find_lost_orders,
        activities.write_rows_anew,
        activities.release_dead_stock,
        activities.find_held_money,
    ]
    await register_schedule(shop.client, 600, queue)
    schedule = shop.client.get_schedule_handle(schedule_id(queue))
    runs = 0

    async def run() -> ReconcileReport:
        nonlocal runs
        runs += 1
        await schedule.trigger()
        found = await eventually(schedule.describe, lambda found: len(found.info.recent_actions) >= runs)
        started = found.info.recent_actions[-1].action
        assert isinstance(started, ScheduleActionExecutionStartWorkflow)
        handle = shop.client.get_workflow_handle(started.workflow_id, result_type=ReconcileReport)
        report: ReconcileReport = await handle.result()
        return report

    async with Worker(
        shop.client,
        task_queue=queue,
        workflows=[ReconcileWorkflow],
        activities=methods,
        workflow_runner=workflow_runner(),
    ):
        yield run
    await schedule.delete()


async def test_an_order_that_gave_no_answer_is_compared_by_the_next_run(
    stack: Stack, client: Client, fresh_database: Callable[[], str]
) -> None:
    """And so is one whose rows could not be written anew, however long ago they were written."""
    async with open_shop(stack, client, fresh_database()) as shop:
        order_id = await shop.placed(line(await shop.lists(5), 1))
    # Nobody carries orders on now.
    built = worker.build(client, shop.settings, shop.task_queue)
    shop.database = built.database
    await _sql(
        shop,
        "UPDATE orders SET version = version + 3, saved_at = now() - interval '30 min',"
        " recorded_at = now() - interval '30 min'",
    )
    activities = _FailingToWrite(Reconciling(shop.database), OrderWorkflows(client, shop.task_queue))
    async with _reconciling(shop, activities) as run:
        first = await run()
        assert (first.compared, first.unanswered, first.ask_again) == (1, 1, (order_id,))
        assert first.looked_until is not None, "the others need not be compared again"
        async with worker.running(built):
            activities.fails = True
            second = await run()
            assert (second.compared, second.unanswered, second.rewritten, second.failed) == (1, 0, 0, 1)
            assert second.ask_again == (order_id,)
            activities.fails = False
            third = await run()
            assert (third.compared, third.rewritten, third.ask_again) == (1, 1, ())
            await shop.update(order_id, "cancel")
            await shop.ended(order_id)
            await shop.conserves()


class _Silent(OrderWorkflows):
    """Runs of all orders, none of which answers."""

    def __init__(self, client: Client, order_ids: list[str]) -> None:
        super().__init__(client)
        self.order_ids = order_ids
        self.asked: list[str] = []

    async def running(self, grace: timedelta) -> dict[str, bool]:
        return dict.fromkeys(self.order_ids, True)

    async def version(self, order_id: str) -> int | None:
        self.asked.append(order_id)
        raise Unavailable("no answer within 5 s: is a worker running?")


async def test_orders_that_never_answer_take_a_bounded_part_of_each_run(
    shop: Shop, client: Client, fresh_database: Callable[[], str]
) -> None:
    async with _with_open_rows(shop, fresh_database(), 3 * ASKED_AGAIN_MAX) as many:
        rows = list(await Reconciling(many.database).open_orders("", NO_GRACE))
        orders = _Silent(client, [row.order_id for row in rows])
        activities = ReconcileActivities(Reconciling(many.database), orders)
        by_time = [row.order_id for row in sorted(rows, key=_saved_at)]
        look = ReconcileInput(grace_seconds=0.0)
        for number in range(3):
            orders.asked.clear()
            found: Found = await ActivityEnvironment().run(activities.find_lost_orders, look)
            start = number * ASKED_AGAIN_MAX
            assert [*found.unanswered] == orders.asked == by_time[start : start + ASKED_AGAIN_MAX], "each is asked once"
            assert found.not_compared == len(rows) - start - ASKED_AGAIN_MAX
            look = look.model_copy(update={"since": found.looked_until, "ask_again": found.unanswered})
        orders.asked.clear()
        found = await ActivityEnvironment().run(activities.find_lost_orders, look)
        assert {*found.unanswered} == {*orders.asked} == {*by_time[-ASKED_AGAIN_MAX:]}, (
            "and then those of the run before"
        )


def _saved_at(row: OpenRow) -> Any:
    return row.saved_at


# -- orders that Temporal has lost ---------------------------------------------------------------


@asynccontextmanager
async def _with_open_rows(shop: Shop, url: str, number: int, body_hash: str = "") -> AsyncIterator[Shop]:
    """Another shop that has so many open orders that Temporal knows nothing of, and no stock or money of theirs."""
    async with open_shop(shop.stack, shop.client, url) as other:
        order_id = await other.placed(line(await other.lists(5), 1))
        await other.update(order_id, "cancel")
        await other.ended(order_id)
        copies = """
            INSERT INTO orders SELECT (jsonb_populate_record(orders, jsonb_build_object(
                'order_id', 'lost-' || lpad(number::text, 5, '0'), 'closed', false, 'result', NULL,
                'status', 'Unshipped', 'body_hash', CAST(:hash AS text) || body_hash,
                'saved_at', now() - number * interval '1 s'))).*
            FROM orders, generate_series(1, :number) AS number WHERE order_id = :of
        """
        await _sql(other, copies, of=order_id, number=number, hash=body_hash)
        yield other


@pytest.mark.parametrize("at_most", [50, 20_000])
async def test_however_many_orders_have_lost_their_life_they_are_counted(
    shop: Shop, fresh_database: Callable[[], str], at_most: int
) -> None:
    """20,000 of them are 3.2 MB, of which the engine takes two; these are fewer, and each longer."""
    async with _with_open_rows(shop, fresh_database(), 1_200, body_hash="0" * 2_000) as other:
        look = ReconcileInput(grace_seconds=0.0, taken_up_max=at_most, dry_run=True)
        report = await reconcile(other.client, look, other.task_queue)
        taken_up = 0 if at_most == 50 else 500
        assert (report.looked_at, report.taken_up, report.held_back) == (1_200, taken_up, 1_200 - taken_up)
        named = [entry.split()[0] for entry in report.orders]
        assert named.count("held_back") == NAMED_MAX
