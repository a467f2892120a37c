"""Each lever changes what it says, and orders come to their end under it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum

import worker
from benchmarks import rates, story
from benchmarks.history import History, history_of
from benchmarks.lever_worker import LEVERS, build
from benchmarks.levers import Measured, levers_table, open_for_orders, turn
from localstack.stack import Stack
from usecases.orders import Orders
from usecases.settings import Settings


@pytest.fixture(scope="module")
def settings(stack: Stack, fresh_database: Callable[[], str]) -> Settings:
    return Settings(
        database_url=SecretStr(fresh_database()),
        smtp_host=stack.mails.smtp_host,
        smtp_port=stack.mails.smtp_port,
        carrier="manual",
    )


@asynccontextmanager
async def _running(
    name: str, client: Client, settings: Settings
) -> AsyncIterator[tuple[Client, str, worker.OpenOrders]]:
    task_queue = f"levers-{uuid4().hex[:8]}"
    changed, built = build(client, settings, LEVERS[name], task_queue)
    async with worker.running(built):
        await story.open_shop(built.database)
        yield changed, task_queue, built


class _Played(NamedTuple):
    task_queue: str
    history: History
    queues: dict[str, str]
    """Of each kind of regular activity."""


async def _played(name: str, client: Client, settings: Settings) -> _Played:
    """What an order leaves behind, whose messages come without a pause."""

    async def no_pause() -> None:
        return

    order_id = f"lever-{name}-{uuid4().hex[:6]}"
    async with _running(name, client, settings) as (changed, task_queue, _):
        await story.play(Orders(changed, task_queue=task_queue), order_id, story.SELLERS[:1], no_pause)
    handle = client.get_workflow_handle(f"order:{order_id}")
    events = [event async for event in handle.fetch_history_events()]
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    queues = {one.activity_type.name: one.task_queue.name for one in scheduled}
    return _Played(task_queue, await history_of(handle), queues)


async def test_without_a_lever_there_is_one_regular_activity_and_no_eager_start(
    client: Client, settings: Settings
) -> None:
    played = await _played("default", client, settings)
    assert played.history.order[0] == "WORKFLOW_EXECUTION_STARTED"
    assert played.queues["capture_payment"] == f"{played.task_queue}-payments"
    assert played.history.local_activities > 5


async def test_an_order_placed_by_a_process_with_a_worker_can_start_eagerly(client: Client, settings: Settings) -> None:
    played = await _played("eager-start", client, settings)
    assert played.history.order[0] == "WORKFLOW_EXECUTION_STARTED eagerly"


@pytest.mark.parametrize("name", ["regular", "regular-not-eager"])
async def test_local_steps_become_regular_activities(name: str, client: Client, settings: Settings) -> None:
    history = (await _played(name, client, settings)).history
    assert history.local_activities == 0
    assert history.regular_activities > 5


async def test_captures_are_made_by_the_worker_of_the_orders(client: Client, settings: Settings) -> None:
    played = await _played("eager-capture", client, settings)
    assert played.queues["capture_payment"] == played.task_queue


async def test_workers_are_made_with_the_change(client: Client, settings: Settings) -> None:
    async def config(name: str, which: int = 0) -> dict[str, object]:
        _, built = build(client, settings, LEVERS[name], f"never-polled-{uuid4().hex[:8]}")
        await built.database.close()
        return dict(built.workers[which].config(active_config=True))

    five = PollerBehaviorSimpleMaximum(5)
    assert (await config("pollers"))["workflow_task_poller_behavior"] == five
    assert (await config("pollers", 1))["activity_task_poller_behavior"] == five
    assert (await config("cache"))["max_cached_workflows"] == 10
    assert (await config("regular-not-eager"))["disable_eager_activity_execution"] is True
    assert (await config("regular"))["disable_eager_activity_execution"] is False


def test_a_turn_is_played_by_the_worker_process_and_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "WARM_UP", 1)
    open_for_orders(stack)
    played = turn(stack, "eager-start", 2, "levers-")
    assert played.rate.played == 2
    assert played.rate.cpu.worker > 0
    assert [history.order[0] for history in played.histories] == ["WORKFLOW_EXECUTION_STARTED eagerly"] * 2
    told = levers_table({"eager-start": Measured(base=(played,), changed=(played,))}).splitlines()
    (row,) = (line for line in told if LEVERS["eager-start"].says in line)
    assert row.count("1.00 x") == 4
