"""Records histories of whole stories from a real server: `python -m tests.replay.record`.

Run it when a version is released, and never edit what it wrote: open orders of that version must
replay for as long as there may be any. An existing recording is left alone.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.stack import Stack
from localstack.worker_process import CHECKOUT
from store.migrations import migrate
from tests.impatient import impatient_server
from tests.replay.stories import MORE_STORIES, Story, continued_as_new
from tests.shop import Shop, line, open_shop
from workflows.names import SEARCH_ATTRIBUTES

HISTORIES = Path(__file__).parent / "histories"


async def two_sellers(shop: Shop) -> str:
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"), shipping={"method": "TwoDay", "price": 700})
    for fulfillment_id in ("acme-1", "birch-1"):
        await shop.packs(order_id, fulfillment_id)
        await shop.ships(order_id, fulfillment_id, carrier="local courier", tracking_number=f"N-{fulfillment_id}")
        await shop.delivers(order_id, f"{fulfillment_id}-p1")
    await shop.ended(order_id)
    return order_id


async def shortage_and_substitute(shop: Shop) -> str:
    other = await shop.lists(5)
    sku = await shop.lists(1, substitutes=[other])
    order_id = await shop.placed(line(sku, 2))
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="substitute", substitute_sku=other)
    for fulfillment_id in ("acme-1", "acme-2"):
        await shop.packs(order_id, fulfillment_id)
        await shop.ships(order_id, fulfillment_id, carrier="local courier", tracking_number=f"N-{fulfillment_id}")
        await shop.delivers(order_id, f"{fulfillment_id}-p1")
    await shop.ended(order_id)
    return order_id


async def hold_and_cancellation_after_packing(shop: Shop) -> str:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    hold = await shop.update(order_id, "hold", reason="fraud check")
    await shop.update(order_id, "release_hold", hold_id=hold.id)
    await shop.packs(order_id)
    answer = await shop.update(order_id, "cancel")
    await shop.update(
        order_id, "answer_cancellation", request_id=answer.request_ids[0], answer="accept", by="seller:acme"
    )
    await shop.ended(order_id)
    return order_id


async def lost_and_sent_again(shop: Shop) -> str:
    order_id = await shop.placed(line(await shop.lists(5), 1))
    await shop.packs(order_id, buy_labels=True)
    await shop.ships(order_id, parcels=[{"parcel_id": "acme-1-p1"}])
    await shop.carrier_says(order_id, "lost")
    await shop.until(order_id, lambda status: bool(status.issues))
    await shop.update(order_id, "resolve_issue", issue_id="acme-1-i1", remedy="reship", by="support")
    await shop.until(order_id, lambda status: len(status.fulfillments) == 2)
    await shop.packs(order_id, "acme-2")
    await shop.ships(order_id, "acme-2", carrier="local courier", tracking_number="N-2")
    await shop.delivers(order_id, "acme-2-p1")
    await shop.ended(order_id)
    return order_id


async def network(shop: Shop) -> str:
    sku = await shop.lists(5, at="FBA-1")
    order_id = await shop.placed(line(sku, 2, channel="FBA"), clock={"factor": 8640.0})
    await shop.until(order_id, lambda status: status.status == "Shipped")
    await shop.delivers(order_id)
    await shop.ended(order_id)
    return order_id


async def declined_then_paid_still_open(shop: Shop) -> str:
    body = shop.body(line(await shop.lists(5), 1))
    body["payments"][0]["token"] = "tok_decline_expired_card"
    order_id = await shop.place(body)
    await shop.until(order_id, lambda status: "payment_declined" in status.attention)
    payment = {"token": "tok_visa", "amount": body["payments"][0]["amount"]}
    await shop.update(order_id, "update_payment", payments=[payment])
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    return order_id


STORIES: tuple[Story, ...] = (
    *MORE_STORIES,
    continued_as_new,
    two_sellers,
    shortage_and_substitute,
    hold_and_cancellation_after_packing,
    lost_and_sent_again,
    network,
    declined_then_paid_still_open,
)


async def record(stack: Stack, version: str) -> None:
    client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
    urls = [stack.postgres.create_database(name) for name in ("recording", "recording_impatiently")]
    for url in urls:
        await migrate(url)
    scenarios = {"default": "complete", "overrides": {"*-partial:*": "partial"}}
    async with (
        impatient_server(stack.state_dir / "impatient") as impatient,
        open_shop(stack, client, urls[0], network_scenarios=scenarios) as shop,
        open_shop(stack, impatient, urls[1]) as impatient_shop,
    ):
        for story in STORIES:
            if list(HISTORIES.glob(f"{version}-{story.__name__}.*")):
                continue
            at = impatient_shop if story is continued_as_new else shop
            order_id = await story(at)
            histories = [history async for history in _runs(at, order_id)]
            for number, history in enumerate(reversed(histories), start=1):
                run = f".run-{number}" if len(histories) > 1 else ""
                path = HISTORIES / f"{version}-{story.__name__}{run}.json"
                path.write_text(history.to_json().replace(f"{CHECKOUT}/", "") + "\n")
                print(f"{path.name}: {len(history.events)} events")


async def _runs(shop: Shop, order_id: str) -> AsyncIterator[WorkflowHistory]:
    """The last one first."""
    run_id: str | None = None
    while run_id != "":
        history = await shop.client.get_workflow_handle(f"order:{order_id}", run_id=run_id).fetch_history()
        yield history
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def main() -> None:
    version = os.environ.get("OPENORDERS_VERSION", "0.1.0")
    HISTORIES.mkdir(exist_ok=True)
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        asyncio.run(record(stack, version))


if __name__ == "__main__":
    main()
