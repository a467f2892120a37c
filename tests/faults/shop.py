"""A shop on servers of its own that a test may stop or kill, with its worker in a process of its own."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from store.database import Database
from store.inventory import Inventory
from store.views.order import OrderViews
from tests.shop import PATIENCE_SECONDS, PatientOrders, Shop
from workflows.names import SEARCH_ATTRIBUTES, TASK_QUEUE

_BUG = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
)


class BesiegedShop(Shop):
    """`worker` runs `worker.py` for this shop alone."""

    def __init__(self, stack: Stack, client: Client, environ: dict[str, str] | None = None) -> None:
        self.stack = stack
        self.client = client
        self.task_queue = TASK_QUEUE
        self.database = Database(stack.postgres.dsn)
        self.orders = PatientOrders(client)
        self.inventory = Inventory(self.database)
        self.views = OrderViews(self.database)
        self.worker = stack.worker(environ)


@asynccontextmanager
async def besieged_shop(
    environ: dict[str, str] | None = None, converter: DataConverter = pydantic_data_converter
) -> AsyncIterator[BesiegedShop]:
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        client = await Client.connect(stack.temporal.address, data_converter=converter)
        shop = BesiegedShop(stack, client, environ)
        try:
            shop.worker.start()
            wait_until_ready(shop.worker)
            await shop.open()
            yield shop
        finally:
            await shop.database.close()


async def history(shop: Shop, order_id: str) -> list[HistoryEvent]:
    return [event async for event in shop.handle(order_id).fetch_history_events()]


async def where(shop: Shop, order_id: str) -> str:
    """Where an order stands that has not ended, and what it waits for."""
    description = await shop.handle(order_id).describe()
    pending = [
        f"{one.activity_type.name}, try {one.attempt}: {one.last_failure.message}"
        for one in description.raw_description.pending_activities
    ]
    task = description.raw_description.pending_workflow_task.attempt
    view = await shop.status(order_id)
    return f"{order_id}: {view.status}, waits for {view.waits_for}; {pending}; try {task} of its workflow task"


def bugs(events: list[HistoryEvent]) -> list[str]:
    """What workflow tasks failed of that no kill explains."""
    return [
        event.workflow_task_failed_event_attributes.failure.message
        for event in events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        and event.workflow_task_failed_event_attributes.cause in _BUG
    ]


def task_timeouts(events: list[HistoryEvent]) -> int:
    """How often a worker died, or hung, with a task of this order in its hands."""
    return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT for event in events)


def regular_activities(events: list[HistoryEvent]) -> list[str]:
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]


async def all_mails_are_sent(shop: Shop) -> int:
    """Wait until no mail waits in the outbox; gives how many there were."""
    rows = "SELECT count(*) FILTER (WHERE sent_at IS NULL) AS waiting, count(*) AS written FROM outbox"
    row = None
    for _ in range(PATIENCE_SECONDS):
        async with shop.database.statement() as connection:
            row = (await connection.execute(text(f"{rows} WHERE kind = 'mail'"))).one()
        if row.waiting == 0:
            return int(row.written)
        await asyncio.sleep(1)
    raise AssertionError(f"{row} mails never went out")


def copies(shop: Shop) -> dict[str, int]:
    """Message-ID to how often it reached the mail server."""
    return dict(Counter(map(_message_id, shop.stack.mails.mailbox.folder.glob("*.eml"))))


def _message_id(path: Path) -> str:
    """By a look at the header: thousands of mails are counted here, and to parse each takes minutes."""
    found = re.search(rb"^Message-ID:\s*(<[^>]+>)", path.read_bytes(), re.MULTILINE | re.IGNORECASE)
    assert found is not None, f"{path} has no Message-ID"
    return found[1].decode()
