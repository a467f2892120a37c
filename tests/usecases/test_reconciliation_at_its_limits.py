"""What reconciliation makes of a list that lags, orders that do not answer, and very many that have lost their life."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

import worker
from activities.reconciling import ReconcileActivities
from activities.steps import Step
from domain.effects import VoidRest
from domain.reconciling import (
    ASKED_AGAIN_MAX,
    NAMED_MAX,
    REWRITTEN_AT_ONCE,
    VOIDS_FAILED_MAX,
    Found,
    FoundMoney,
    HalfWritten,
    HeldMoney,
    OpenRow,
    ReconcileInput,
    ReconcileReport,
)
from domain.requests import PaymentOutcome, Unavailable
from localstack.stack import Stack
from store.reconciling import Reconciling
from tests.schedule import NEVER_BY_ITSELF, triggered
from tests.shop import PATIENCE_SECONDS, Shop, eventually, line, open_shop
from usecases.reconciliation import OrderWorkflows, reconcile, register_schedule, schedule_id
from worker import workflow_runner
from workflows.names import queue_of
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
    shop: Shop, activities: ReconcileActivities, *of_payments: Callable[..., Any]
) -> AsyncIterator[Callable[[], Awaitable[ReconcileReport]]]:
    """Reconciliation on a worker of its own, beside that of the orders; gives what triggers a run of its schedule."""
    queue = f"reconciling-{uuid4().hex[:8]}"
    methods: list[Callable[..., Any]] = [
        activities.find_lost_orders,
        activities.write_rows_anew,
        activities.release_dead_stock,
        activities.find_held_money,
    ]
    await register_schedule(shop.client, NEVER_BY_ITSELF, queue)
    schedule = shop.client.get_schedule_handle(schedule_id(queue))
    runs = 0

    async def run() -> ReconcileReport:
        nonlocal runs
        runs += 1
        return await triggered(shop.client, queue, runs)

    try:
        async with AsyncExitStack() as workers:
            reconciling = Worker(
                shop.client,
                task_queue=queue,
                workflows=[ReconcileWorkflow],
                activities=methods,
                workflow_runner=workflow_runner(),
            )
            await workers.enter_async_context(reconciling)
            if of_payments:
                payments = Worker(shop.client, task_queue=queue_of(queue, "payments"), activities=of_payments)
                await workers.enter_async_context(payments)
            yield run
    finally:
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
    orders = OrderWorkflows(client, shop.task_queue)
    activities = _FailingToWrite(Reconciling(shop.database), orders)
    async with _reconciling(shop, activities) as run:
        patience, orders.query_patience = orders.query_patience, timedelta(seconds=0.5)
        first = await run()
        orders.query_patience = patience
        assert (first.compared, first.unanswered, first.ask_again) == (0, 1, (order_id,))
        assert first.looked_until is not None, "the others need not be compared again"
        async with worker.running(built):
            await shop.until(order_id, lambda status: True)
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
    """Runs of all orders, of which those in `silent` give no answer, and the others the version of their rows."""

    def __init__(self, client: Client, order_ids: Iterable[str], silent: Iterable[str]) -> None:
        super().__init__(client)
        self.order_ids = [*order_ids]
        self.silent = {*silent}
        self.asked: list[str] = []

    async def running(self, grace: timedelta) -> dict[str, bool]:
        return dict.fromkeys(self.order_ids, True)

    async def version(self, order_id: str) -> int | None:
        self.asked.append(order_id)
        if order_id in self.silent:
            await self.nobody_answers()
            raise Unavailable("no answer within 5 s: is a worker running?")
        return 1_000

    async def nobody_answers(self) -> None:
        """What is waited for."""


async def test_orders_that_never_answer_take_a_bounded_part_of_each_run(shop: Shop) -> None:
    async with _open_rows(shop, 3 * ASKED_AGAIN_MAX) as rows:
        by_time = [row.order_id for row in rows]
        orders = _Silent(shop.client, by_time, by_time)
        activities = ReconcileActivities(Reconciling(shop.database), orders)
        look = ReconcileInput(grace_seconds=0.0)
        for number in range(3):
            orders.asked.clear()
            found = await _found(activities, look)
            start = number * ASKED_AGAIN_MAX
            assert [*found.unanswered] == orders.asked == by_time[start : start + ASKED_AGAIN_MAX], "each is asked once"
            assert found.not_compared == len(rows) - start - ASKED_AGAIN_MAX
            assert found.unanswered_count == (ASKED_AGAIN_MAX if number == 0 else 2 * ASKED_AGAIN_MAX)
            look = _from_there(look, found)
        orders.asked.clear()
        found = await _found(activities, look)
        assert {*found.unanswered} == {*orders.asked} == {*by_time[-ASKED_AGAIN_MAX:]}, (
            "and then those of the run before"
        )


async def test_silent_orders_of_one_moment_are_passed_by_runs_of_the_schedule(shop: Shop) -> None:
    """All were written at once, as by an import; what is younger than a minute is left alone."""
    async with _open_rows(shop, 2 * ASKED_AGAIN_MAX + 50, at_once=True) as rows:
        in_order = [row.order_id for row in rows]
        orders = _Silent(shop.client, in_order, in_order)
        asked: list[str] = []
        told: list[tuple[int, int, int]] = []
        async with _reconciling(shop, ReconcileActivities(Reconciling(shop.database), orders)) as run:
            for _ in range(3):
                report = await run()
                asked += [one for one in orders.asked if one not in asked]
                orders.asked.clear()
                told.append((report.not_compared, report.unanswered, report.let_go))
                assert report.compared == 0
                assert not report.is_clean
                assert len(report.ask_again) == ASKED_AGAIN_MAX
        assert asked == in_order, "a run begins with the first that the one before it left"
        assert told == [(250, 200, 0), (50, 400, 200), (0, 250, 50)]


async def test_more_orders_of_one_moment_than_a_run_compares_are_all_compared(shop: Shop) -> None:
    async with _open_rows(shop, 250, at_once=True) as rows:
        orders = _Silent(shop.client, [row.order_id for row in rows], ())
        activities = ReconcileActivities(Reconciling(shop.database), orders)
        look = ReconcileInput(compared_max=100)
        for compared, left in ((100, 150), (100, 50), (50, 0)):
            found = await _found(activities, look)
            assert (found.compared, found.not_compared) == (compared, left)
            look = _from_there(look, found)
        assert orders.asked == [row.order_id for row in rows]


class _SilentUntilAllAreAsked(_Silent):
    all_asked: asyncio.Event

    async def version(self, order_id: str) -> int | None:
        if len(self.asked) + 1 == len(self.order_ids):
            self.all_asked.set()
        return await super().version(order_id)

    async def nobody_answers(self) -> None:
        await self.all_asked.wait()


async def test_a_silent_order_keeps_no_other_waiting(shop: Shop) -> None:
    """Every twentieth is silent, and is so until all are asked."""
    async with _open_rows(shop, 300) as rows:
        order_ids = [row.order_id for row in rows]
        orders = _SilentUntilAllAreAsked(shop.client, order_ids, order_ids[::20])
        orders.all_asked = asyncio.Event()
        activities = ReconcileActivities(Reconciling(shop.database), orders)
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await _found(activities, ReconcileInput(grace_seconds=0.0))
        assert found.unanswered == tuple(order_ids[::20])
        assert (found.compared, found.not_compared) == (285, 0)


class _Behind(_Silent):
    async def version(self, order_id: str) -> int | None:
        await super().version(order_id)
        return 1


async def test_of_very_many_orders_whose_rows_are_ahead_a_run_finds_a_bounded_number(shop: Shop) -> None:
    """As after Temporal was restored, and a person has all rows of a day compared."""
    async with _open_rows(shop, REWRITTEN_AT_ONCE + 100) as rows:
        orders = _Behind(shop.client, [row.order_id for row in rows], ())
        activities = ReconcileActivities(Reconciling(shop.database), orders)
        since = rows[0].saved_at
        found = await _found(activities, ReconcileInput(grace_seconds=0.0, since=since, compared_max=20_000))
        assert REWRITTEN_AT_ONCE <= found.compared == len(found.half_written) < REWRITTEN_AT_ONCE + 20
        assert found.not_compared == len(rows) - found.compared
        assert [half.order_id for half in found.half_written] == [row.order_id for row in rows[: found.compared]]


class _NoProvider(ReconcileActivities):
    """Very many orders whose money is held, and a provider that does not answer."""

    voids = 0

    @activity.defn
    async def find_held_money(self, look: ReconcileInput) -> FoundMoney:
        held = [HeldMoney(order_id=f"held-{number}", amount=100, key=f"held-{number}:void") for number in range(500)]
        return FoundMoney(held=tuple(held), count=900)

    @activity.defn
    async def void_payment(self, step: Step[VoidRest]) -> PaymentOutcome:
        self.voids += 1
        raise ApplicationError("no answer for a minute", non_retryable=True)


async def test_a_provider_that_does_not_answer_keeps_no_run_from_its_end(shop: Shop) -> None:
    activities = _NoProvider(Reconciling(shop.database), _Silent(shop.client, (), ()))
    async with _reconciling(shop, activities, activities.void_payment) as run:
        report = await run()
    assert (report.failed, report.not_voided, report.voided) == (VOIDS_FAILED_MAX, 900 - VOIDS_FAILED_MAX, 0)
    assert activities.voids == VOIDS_FAILED_MAX
    assert report.looked_until is not None
    assert report.leaves_something


class _SlowToBeSilent(_Silent):
    async def nobody_answers(self) -> None:
        await asyncio.sleep(0.02)


async def test_a_run_compares_for_a_limited_time_and_the_next_one_goes_on(shop: Shop) -> None:
    """However short the time, each run comes further."""
    async with _open_rows(shop, 6) as rows:
        order_ids = [row.order_id for row in rows]
        orders = _SlowToBeSilent(shop.client, order_ids, order_ids)
        no_time = ReconcileActivities(Reconciling(shop.database), orders, comparing_time=timedelta(0))
        look = ReconcileInput(grace_seconds=0.0)
        for left in (5, 4, 3, 2, 1, 0):
            found = await _found(no_time, look)
            assert (found.compared, found.not_compared, found.unanswered_count) == (0, left, 6 - left)
            look = _from_there(look, found)
        assert orders.asked == order_ids


async def test_an_order_to_be_asked_again_may_be_missing_in_the_list(shop: Shop) -> None:
    """Between two runs of it, for one. It runs for sure, by its id."""
    order_id = await shop.placed(line(await shop.lists(5), 1))
    await _sql(shop, "UPDATE orders SET saved_at = now() - interval '2 h' WHERE order_id = :of", of=order_id)
    orders = _ListOfBefore(shop.client, shop.task_queue)
    orders.listed = {}
    activities = ReconcileActivities(Reconciling(shop.database), orders)
    look = ReconcileInput(grace_seconds=0.0, ask_again=(order_id,))
    assert (await _found(activities, look)).compared == 1
    assert (await _found(activities, look.model_copy(update={"ask_again": ()}))).compared == 0, "written long ago"
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def _found(activities: ReconcileActivities, look: ReconcileInput) -> Found:
    found: Found = await ActivityEnvironment().run(activities.find_lost_orders, look)
    return found


def _from_there(look: ReconcileInput, found: Found) -> ReconcileInput:
    """What the workflow gives the next run of the schedule."""
    there = {"since": found.looked_until, "since_order_id": found.looked_until_order_id}
    return look.model_copy(update={**there, "ask_again": found.unanswered})


# -- orders that Temporal has lost ---------------------------------------------------------------


@asynccontextmanager
async def _open_rows(
    shop: Shop, number: int, *, at_once: bool = False, body_hash: str = ""
) -> AsyncIterator[list[OpenRow]]:
    """So many open orders that Temporal knows nothing of, and no stock or money of theirs; by the time they were
    written, which is at least two minutes ago."""
    order_id = await shop.placed(line(await shop.lists(5), 1))
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    copies = """
        INSERT INTO orders SELECT (jsonb_populate_record(orders, jsonb_build_object(
            'order_id', 'lost-' || lpad(number::text, 5, '0'), 'closed', false, 'result', NULL, 'version', 7,
            'status', 'Unshipped', 'body_hash', CAST(:hash AS text) || body_hash,
            'recorded_at', now() - interval '2 h',
            'saved_at', now() - interval '2 min' - CASE WHEN :at_once THEN 0 ELSE number END * interval '1 s'))).*
        FROM orders, generate_series(1, :number) AS number WHERE order_id = :of
    """
    await _sql(shop, copies, of=order_id, number=number, hash=body_hash, at_once=at_once)
    try:
        rows: list[OpenRow] = []
        while page := await Reconciling(shop.database).open_orders(rows[-1].order_id if rows else "", NO_GRACE):
            rows += page
        assert len(rows) == number
        yield sorted(rows, key=lambda row: (row.saved_at, row.order_id))
    finally:
        await _sql(shop, "DELETE FROM orders WHERE order_id LIKE 'lost-%'")


@pytest.mark.parametrize("at_most", [50, 20_000])
async def test_however_many_orders_have_lost_their_life_they_are_counted(shop: Shop, at_most: int) -> None:
    """20,000 of them are 3.2 MB, of which the engine takes two; these are fewer, and each longer."""
    async with _open_rows(shop, 1_200, body_hash="0" * 2_000):
        look = ReconcileInput(grace_seconds=0.0, taken_up_max=at_most, dry_run=True)
        report = await reconcile(shop.client, look, shop.task_queue)
        taken_up = 0 if at_most == 50 else 500
        assert (report.looked_at, report.taken_up, report.held_back) == (1_200, taken_up, 1_200 - taken_up)
        named = [entry.split()[0] for entry in report.orders]
        assert named.count("held_back") == NAMED_MAX
