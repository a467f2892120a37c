"""A worker in the middle of a step while its order gets a later life: it must not write over that one's rows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor

from domain.reconciling import ReconcileInput
from localstack.stack import Stack
from tests.shop import PATIENCE_SECONDS, Shop, line, open_shop
from usecases.reconciliation import reconcile
from workflows import steps
from workflows.names import WORKFLOW, workflow_id
from workflows.options import STORE_LOCAL

LONG = timedelta(seconds=45)
"""So that the step may stand still for a whole life; it stands still no longer than that takes."""


class Held(ClientInterceptor, WorkerInterceptor):
    """The first packing stands still right before it reaches PostgreSQL, until it may go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.refused = asyncio.Event()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        held = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                if activity.info().activity_type != "record_packing" or held.begun.is_set():
                    return await super().execute_activity(input)
                held.begun.set()
                await held.may_go_on.wait()
                try:
                    return await super().execute_activity(input)
                finally:
                    held.refused.set()

        return Inbound(next)


@pytest.fixture
async def held(
    stack: Stack, client: Client, fresh_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Shop, Held]]:
    patient = STORE_LOCAL._replace(one_try=LONG, all_tries=LONG)
    monkeypatch.setattr(steps, "STORE_LOCAL", patient)
    held = Held()
    config = client.config()
    config["interceptors"] = [held]
    # The sandbox would import the patience anew.
    async with open_shop(stack, Client(**config), fresh_database(), workflow_sandbox=False) as shop:
        yield shop, held


async def test_a_step_of_an_earlier_life_overwrites_no_rows(held: tuple[Shop, Held]) -> None:
    shop, step = held
    sku = await shop.lists(5)
    body = shop.body(line(sku, 2))
    order_id = str(body["order_id"])
    await shop.client.start_workflow(
        WORKFLOW, body, id=workflow_id(order_id), task_queue=shop.task_queue, task_timeout=timedelta(minutes=1)
    )
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    packing = asyncio.create_task(shop.packs(order_id))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await step.begun.wait()

    await shop.terminated(order_id)
    report = await reconcile(shop.client, ReconcileInput(grace_seconds=0.0), shop.task_queue)
    assert f"taken_up {order_id}" in report.orders
    assert (await shop.ended(order_id)).status == "Canceled"
    await shop.conserves(order_id)
    ended = await _rows(shop, order_id)

    step.may_go_on.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await step.refused.wait()
    await asyncio.gather(packing, return_exceptions=True)
    other = await shop.placed(line(sku, 1))  # the worker has long had the time to do what it must not
    await shop.packs(other)
    await shop.update(other, "cancel", by="seller:acme")
    await shop.ended(other)
    assert await _rows(shop, order_id) == ended
    await shop.conserves()


async def _rows(shop: Shop, order_id: str) -> list[Any]:
    found: list[Any] = []
    async with shop.database.statement() as connection:
        for query in (
            "SELECT version, status, closed FROM orders WHERE order_id = :of",
            "SELECT * FROM order_units WHERE order_id = :of AND quantity > 0 ORDER BY 1, 2, 3, 4",
            "SELECT seq, what FROM timeline WHERE order_id = :of ORDER BY seq",
        ):
            found += (await connection.execute(text(query), {"of": order_id})).all()
    return found
