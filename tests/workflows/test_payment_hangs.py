"""A payment provider that hangs: it is asked patiently, holds up no other order, and authorizes once in the end."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from adapters.payments.sandbox import PaymentSandbox
from domain.requests import ProviderOutcome
from tests.faults.shop import history, regular_activities
from tests.shop import UPS, Shop, eventually, line

HANGING = 40
"""More than may wait locally at once, with the slots of a test's worker."""


async def test_other_orders_go_on_while_the_payment_provider_hangs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    sku = await shop.lists(100)
    paid = [await shop.placed(line(sku)) for _ in range(3)]
    # Where a busy machine holds up the local try for two seconds another one follows it, outside of the task.
    tries = [regular_activities(await history(shop, order_id)).count("authorize_payment") for order_id in paid]
    assert 0 in tries, "one local try is enough"

    answers = asyncio.Event()
    asked: list[str] = []
    authorize = PaymentSandbox.authorize

    async def hangs(provider: PaymentSandbox, key: str, *more: Any) -> ProviderOutcome:
        asked.append(key)
        await answers.wait()
        return await authorize(provider, key, *more)

    monkeypatch.setattr(PaymentSandbox, "authorize", hangs)
    waiting = [await shop.place(shop.body(line(sku))) for _ in range(HANGING)]
    for order_id in paid:  # their rows and stock move, and they are answered
        await shop.packs(order_id)
        await shop.ships(order_id, carrier="ups", tracking_number=UPS)
        await shop.delivers(order_id)
        await shop.ended(order_id)
    for order_id in waiting:
        assert (await shop.until(order_id, lambda status: status.status == "Pending")).status == "Pending"
    # Staff find them, though the step that was to take a moment takes longer.
    for order_id in waiting[:3]:
        await eventually(
            shop.handle(order_id).describe,
            lambda found: (
                "Pending" in [one.value for one in found.typed_search_attributes if one.key.name == "OrderStatus"]
            ),
        )

    answers.set()
    for order_id in waiting:
        await shop.until(order_id, lambda status: bool(status.fulfillments))
    assert len(set(asked)) == HANGING
    once = text("SELECT count(*), count(DISTINCT order_id) FROM money_moves WHERE kind = 'authorize'")
    async with shop.database.statement() as connection:
        moves, orders = (await connection.execute(once)).one()
    assert moves == orders
    for order_id in waiting[:3]:
        assert "authorize_payment" in regular_activities(await history(shop, order_id))
    await shop.conserves()
