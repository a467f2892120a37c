"""Counts one order on an otherwise idle stack: the same at every run, whatever the machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

import worker
from benchmarks import story
from benchmarks.history import History, history_of
from benchmarks.sql_meter import Sql, SqlMeter
from localstack.stack import Stack
from usecases.orders import Orders
from usecases.settings import Settings

_QUIET_SECONDS = 0.2
_OUTBOX_QUIET_SECONDS = 1.5
"""Longer than the outbox sleeps between two looks."""

_PATIENCE_SECONDS = 60


class Counts(NamedTuple):
    sellers: int
    history: History
    sql: Sql
    mails: int


class Counter:
    """A worker in this process, so that its statements can be listened to; orders are counted one after another."""

    def __init__(self, client: Client, stack: Stack, meter: SqlMeter, task_queue: str) -> None:
        self._client = client
        self._stack = stack
        self._meter = meter
        self._orders = Orders(client, task_queue=task_queue)

    async def count(self, sellers: tuple[str, ...]) -> Counts:
        order_id = f"count-{len(sellers)}-{uuid4().hex[:6]}"
        before = self._meter.read()
        await story.play(self._orders, order_id, sellers, lambda: self._nothing_under_way(order_id))
        mails = await self._all_mails(order_id, story.mails_of(sellers))
        await self._nothing_sent()
        return Counts(
            sellers=len(sellers),
            history=await history_of(self._client.get_workflow_handle(f"order:{order_id}")),
            sql=self._meter.read().since(before),
            mails=mails,
        )

    async def _nothing_under_way(self, order_id: str) -> None:
        """Hours lie between two messages in life, so each is to meet an order that waits for it and nothing else."""
        handle = self._client.get_workflow_handle(f"order:{order_id}")
        length = -1
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                found = (await handle.describe()).raw_description
                now = found.workflow_execution_info.history_length
                busy = bool(found.pending_activities) or found.HasField("pending_workflow_task")
                if now == length and not busy:
                    return
                length = now
                await asyncio.sleep(_QUIET_SECONDS)

    async def _all_mails(self, order_id: str, expected: int) -> int:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                found = len(self._stack.mails.mailbox.about(order_id))
                if found >= expected:
                    return found
                await asyncio.sleep(_QUIET_SECONDS)

    async def _nothing_sent(self) -> None:
        """A mail is noted as sent only after the mail server has it."""
        while True:
            seen = self._meter.read().of_outbox()
            await asyncio.sleep(_OUTBOX_QUIET_SECONDS)
            if self._meter.read().of_outbox() == seen:
                return


@asynccontextmanager
async def counter(stack: Stack, database_url: str, meter: SqlMeter) -> AsyncIterator[Counter]:
    """A shop of its own in a database with the schema. Sellers type the numbers, and the carrier sends no scans."""
    client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
    settings = Settings(
        database_url=SecretStr(database_url),
        smtp_host=stack.mails.smtp_host,
        smtp_port=stack.mails.smtp_port,
        carrier="manual",
    )
    task_queue = f"counts-{uuid4().hex[:8]}"
    built = worker.build(client, settings, task_queue)
    async with worker.running(built):
        await story.open_shop(built.database)
        yield Counter(client, stack, meter, task_queue)
