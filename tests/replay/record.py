"""Records histories of whole stories from a real server: `python -m tests.replay.record`.

Run it when a story is new and when a version is released, and never edit what it wrote: open orders of that version
must replay for as long as there may be any. An existing recording is left alone; until a release, `--again`
makes them all anew.
"""

import argparse
import asyncio
import re
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter

from localstack.demo.__main__ import worker_settings
from localstack.demo.performance import Performance
from localstack.demo.sample import sample
from localstack.demo.story import Story as DemoStory
from localstack.demo.watching import Live
from localstack.stack import Stack
from localstack.worker_process import CHECKOUT, wait_until_ready
from store.database import Database
from store.migrations import migrate
from store.views.order import OrderViews
from store.views.orders import OrderLists
from tests.faults.stories import LOST_OVERRIDES, tell
from tests.faults.stories import STORIES as FAULT_STORIES
from tests.faults.stories import Story as FaultStory
from tests.impatient import impatient_server
from tests.replay.stories import MORE_STORIES, Story, continued_as_new
from tests.shop import Shop, line, open_shop
from usecases.orders import Orders
from usecases.process import end_process
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


def recorded_names() -> set[str]:
    """Of every story that there is: those for recordings, those of the fault tests and those of the demo."""
    own = {story.__name__ for story in STORIES}
    return own | {_of_faults(story) for story in FAULT_STORIES} | {_of_demo(story) for story in sample().stories}


def _of_faults(story: FaultStory) -> str:
    return f"faults_{story.__name__}"


def _of_demo(story: DemoStory) -> str:
    return f"demo_{story.order_id}"


async def record(stack: Stack, version: str) -> None:
    """Those that are not there yet."""
    missing = {name for name in recorded_names() if not list(HISTORIES.glob(f"{version}-{name}.*"))}
    client = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
    urls = [stack.postgres.create_database(name) for name in ("recording", "recording_impatiently")]
    for url in urls:
        await migrate(url)
    network = {"default": "complete", "overrides": {"*-partial:*": "partial"}}
    scenarios = {"carrier_scenarios": LOST_OVERRIDES, "network_scenarios": network}
    async with (
        impatient_server(stack.state_dir / "impatient") as impatient,
        open_shop(stack, client, urls[0], **scenarios) as shop,
        open_shop(stack, impatient, urls[1]) as impatient_shop,
    ):
        for story in STORIES:
            if story.__name__ in missing:
                at = impatient_shop if story is continued_as_new else shop
                await _keep(at, await story(at), f"{version}-{story.__name__}")
        told = await asyncio.gather(*(tell(shop, story) for story in FAULT_STORIES if _of_faults(story) in missing))
        for one in told:
            await _keep(shop, one.teller.order_id, f"{version}-faults_{one.teller.order_id.partition('-')[2]}")
        if any(name.startswith("demo_") for name in missing):
            for demo_story in await _demo(stack, client):
                if _of_demo(demo_story) in missing:
                    await _keep(shop, demo_story.order_id, f"{version}-{_of_demo(demo_story)}")


async def _demo(stack: Stack, client: Client) -> tuple[DemoStory, ...]:
    """Play the demo, with a worker process of its own on the task queue of everybody."""
    programme = sample()
    worker = stack.worker(worker_settings(programme))
    worker.start()
    wait_until_ready(worker)
    database = Database(stack.postgres.dsn, pool_size=4)
    live = Live(OrderLists(database), OrderViews(database), lambda _: None, 4)
    endings = await Performance(Orders(client), database, live, worker).play(programme)
    await database.close()
    worker.stop()
    assert [ending.troubles for ending in endings if ending.troubles] == []
    return programme.stories


async def _keep(shop: Shop, order_id: str, name: str) -> None:
    histories = [history async for history in _runs(shop, order_id)]
    for number, history in enumerate(reversed(histories), start=1):
        run = f".run-{number}" if len(histories) > 1 else ""
        path = HISTORIES / f"{name}{run}.json"
        path.write_text(history.to_json().replace(f"{CHECKOUT}/", "") + "\n")
        print(f"{path.name}: {len(history.events)} events", flush=True)


async def _runs(shop: Shop, order_id: str) -> AsyncIterator[WorkflowHistory]:
    """The last one first."""
    run_id: str | None = None
    while run_id != "":
        history = await shop.client.get_workflow_handle(f"order:{order_id}", run_id=run_id).fetch_history()
        yield history
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


def present_version() -> str:
    """Of the code in the checkout."""
    return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def released_versions() -> set[str]:
    """Those with a heading in the changelog."""
    text = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    return set(re.findall(r"^## \[?v?(\d+\.\d+\.\d+)", text, flags=re.MULTILINE))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record", description=__doc__)
    parser.add_argument("--again", action="store_true", help="also those that are there, of a version not released yet")
    again = parser.parse_args(arguments).again
    version = present_version()
    if again and version in released_versions():
        print(f"{version} is released: there may be open orders of it, and its recordings stay", file=sys.stderr)
        return 1
    for path in HISTORIES.glob(f"{version}-*.json") if again else ():
        path.unlink()
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        asyncio.run(record(stack, version))
    return 0


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
