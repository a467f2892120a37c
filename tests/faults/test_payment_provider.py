"""A payment provider whose answer is lost after it has moved the money: it is asked again, and moves it once."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import text
from temporalio.client import Client

from adapters.carriers.simulated import CarrierScenarios
from localstack.stack import Stack
from tests.faults.shop import all_mails_are_sent
from tests.faults.stories import LOST_OVERRIDES, STORIES, declined_then_paid, tell, wrongs
from tests.shop import Shop, open_shop

PAID_BY_IT = [story for story in STORIES if story is not declined_then_paid]  # that one brings cards of its own


@pytest.fixture
async def shop(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    scenarios = CarrierScenarios.model_validate(LOST_OVERRIDES)
    async with open_shop(stack, client, fresh_database(), carrier_scenarios=scenarios) as shop:
        yield shop


@pytest.mark.slow
async def test_each_charge_is_made_once_though_its_answer_was_lost(shop: Shop) -> None:
    told = await asyncio.gather(*(tell(shop, story, "tok_timeout_after_success") for story in PAID_BY_IT))
    await all_mails_are_sent(shop)
    assert await wrongs(shop, told) == []
    assert len(told) == len(PAID_BY_IT)
    calls = text("SELECT first ->> 'kind' AS kind, min(attempts) AS tries FROM sandbox_payment_calls GROUP BY 1")
    async with shop.database.statement() as connection:
        tries = {row.kind: row.tries for row in await connection.execute(calls)}
    assert tries.keys() == {"authorize", "capture", "refund", "void"}
    assert min(tries.values()) >= 2, f"a first try was believed: {tries}"
    await shop.conserves()
