"""Every activity done twice, as after a crash between its effect and its report: the same end, each effect once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput
from temporalio.worker import Interceptor as WorkerInterceptor

from adapters.carriers.simulated import CarrierScenarios
from localstack.stack import Stack
from tests.faults.shop import all_mails_are_sent, copies
from tests.faults.stories import LOST_OVERRIDES, STORIES, tell, wrongs
from tests.shop import Shop, open_shop


class Twice(ClientInterceptor, WorkerInterceptor):
    """Of a client: its workers have it too."""

    def __init__(self) -> None:
        self.calls = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        twice = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:
                await super().execute_activity(input)
                twice.calls += 1
                return await super().execute_activity(input)

        return Inbound(next)


@pytest.fixture
def twice() -> Twice:
    return Twice()


@pytest.fixture
async def shop(stack: Stack, fresh_database: Callable[[], str], twice: Twice) -> AsyncIterator[Shop]:
    client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter, interceptors=[twice])
    scenarios = CarrierScenarios.model_validate(LOST_OVERRIDES)
    async with open_shop(stack, client, fresh_database(), carrier_scenarios=scenarios) as shop:
        yield shop


async def test_every_activity_done_twice_has_one_effect(shop: Shop, twice: Twice) -> None:
    told = await asyncio.gather(*(tell(shop, story) for story in STORIES))
    written = await all_mails_are_sent(shop)
    assert await wrongs(shop, told) == []
    assert len(told) == len(STORIES)
    assert twice.calls > 5 * len(STORIES)
    orders = {one.teller.order_id for one in told}
    counts = [count for message, count in copies(shop).items() if message.split(".")[0].removeprefix("<") in orders]
    assert counts == [1] * written
    await shop.conserves()
