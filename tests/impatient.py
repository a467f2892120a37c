"""A Temporal server that asks for a new run after sixty events and not after four thousand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.temporal import TemporalServer
from workflows.names import SEARCH_ATTRIBUTES

_CONFIG = ("limit.historyCount.suggestContinueAsNew=60", 'history.workflowIdReuseMinimalInterval="0s"')


@asynccontextmanager
async def impatient_server(folder: Path) -> AsyncIterator[Client]:
    server = TemporalServer(folder, search_attributes=SEARCH_ATTRIBUTES, dynamic_config=_CONFIG)
    await asyncio.to_thread(server.start)
    try:
        yield await Client.connect(server.address, data_converter=pydantic_data_converter)
    finally:
        await asyncio.to_thread(server.stop)
