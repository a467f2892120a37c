"""Signals to orders on a real Temporal server: delivered as plain JSON, and a closed order is no trouble."""

import json
import os
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from localstack.temporal import TemporalServer
from usecases.outbox import OrderSignals

pytestmark = pytest.mark.asyncio

EVENT = {"event_id": "1Z-1", "status": "in_transit", "location": "São Paulo"}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[TemporalServer]:
    with tempfile.TemporaryDirectory(prefix="openorders-test-") as folder:
        os.chmod(folder, 0o755)
        server = TemporalServer(Path(folder) / "temporal")
        server.start()
        yield server
        server.stop()


async def test_an_open_order_is_told_and_of_others_there_is_a_note_while_trouble_is_raised(
    server: TemporalServer,
) -> None:
    client = await Client.connect(server.address, data_converter=pydantic_data_converter)
    signals = OrderSignals(client, rpc_timeout=timedelta(seconds=5))
    order = await client.start_workflow("OrderWorkflow", id="order:1042", task_queue="nobody")

    assert await signals.signal("1042", "carrier_event", EVENT) == ""
    (told,) = [
        event.workflow_execution_signaled_event_attributes
        async for event in order.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    assert told.signal_name == "carrier_event"
    assert [json.loads(payload.data) for payload in told.input.payloads] == [EVENT]

    await order.terminate()
    assert await signals.signal("1042", "carrier_event", EVENT) == "the order is closed or unknown"
    assert await signals.signal("7", "carrier_event", EVENT) == "the order is closed or unknown"

    server.stop()
    with pytest.raises(RPCError):
        await signals.signal("1042", "carrier_event", EVENT)
