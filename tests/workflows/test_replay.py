"""Whatever has happened to orders here, their histories replay: a worker that meets them anew goes the same way.

Recorded histories of released versions are in tests/replay; these are fresh ones, of messages that
come close upon one another.
"""

import asyncio
import random
from contextlib import suppress
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer

from tests.replay.stories import MORE_STORIES, Story, network_in_part
from tests.shop import Shop, line
from usecases.errors import OrderError
from worker import workflow_runner
from workflows.arguments import ARGUMENTS
from workflows.order import OrderWorkflow

STORIES: tuple[Story, ...] = tuple(story for story in MORE_STORIES if story is not network_in_part)


async def test_fresh_histories_replay(shop: Shop) -> None:
    order_ids = await asyncio.gather(*(story(shop) for story in STORIES))
    assert await failures(shop, order_ids) == {}


async def test_histories_of_messages_side_by_side_replay(shop: Shop) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    sku = await shop.lists(1_000)
    moments = random.Random(seed)
    order_ids = await asyncio.gather(*(_bombarded(shop, sku, moments.randrange(10**6)) for _ in range(15)))
    assert await failures(shop, order_ids) == {}
    await shop.conserves()


async def failures(shop: Shop, order_ids: list[str]) -> dict[str, str]:
    """Order id to what is wrong with its replay."""
    replayer = Replayer(
        workflows=[OrderWorkflow], data_converter=ARGUMENTS, workflow_runner=workflow_runner(), namespace="default"
    )
    histories: list[WorkflowHistory] = [await shop.handle(order_id).fetch_history() for order_id in order_ids]
    assert all(len(history.events) > 5 for history in histories)
    found = {}
    for history in histories:
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if result.replay_failure is not None:
            found[history.workflow_id] = str(result.replay_failure)
    return found


async def _bombarded(shop: Shop, sku: str, seed: int) -> str:
    """Three lines, and everybody sends at once what comes to mind."""
    dice = random.Random(seed)
    order_id = await shop.place(shop.body(line(sku, 3), line(sku, 2), line(await shop.lists(1), 2)))
    handle = shop.handle(order_id)
    contents = [{"contents": [{"line_id": "1", "sku": sku, "quantity": 1}]}]
    updates: list[tuple[str, dict[str, Any]]] = [
        ("note", {"text": "hello"}),
        ("hold", {"reason": "look"}),
        ("release_hold", {"hold_id": "hold-1"}),
        ("release_hold", {"hold_id": "hold-2"}),
        ("pack", {"fulfillment_id": "acme-1", "parcels": contents}),
        ("pack", {"fulfillment_id": "acme-1", "parcels": contents, "buy_labels": True}),
        ("ship", {"fulfillment_id": "acme-1", "carrier": "van"}),
        ("ship", {"fulfillment_id": "acme-1"}),
        ("unpack", {"fulfillment_id": "acme-1"}),
        ("cancel", {"items": [{"line_id": "2", "quantity": 1}]}),
        ("choose_for_shortage", {"line_id": "3", "choice": "wait"}),
        ("choose_for_shortage", {"line_id": "3", "choice": "refund"}),
        ("reject_lines", {"fulfillment_id": "acme-1", "items": [{"line_id": "2", "quantity": 1}]}),
        ("goodwill_refund", {"amount": 1, "reason": "sorry"}),
        ("resend_mail", {"mail_key": f"{order_id}:confirmed"}),
        ("confirm_delivery", {}),
    ]

    async def one() -> None:
        for _ in range(12):
            name, body = dice.choice(updates)
            with suppress(OrderError, RPCError):
                if name in ("pack", "ship", "cancel") and dice.random() < 0.5:
                    await handle.signal(name, body)
                else:
                    await shop.orders.update(order_id, name, body)
            await asyncio.sleep(dice.random() * 0.1)

    await asyncio.gather(*(one() for _ in range(4)))
    return order_id
