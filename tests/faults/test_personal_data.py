"""A full run with encryption: no name, address, mail or card is found anywhere in Temporal, in logs or in metrics."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.access import Scope
from localstack.ports import HOST, choose
from localstack.stack import Stack
from localstack.worker_process import wait_until_ready
from store.keys import Keys
from tests.encryption import NEW, OLD, client_with
from tests.faults.shop import BesiegedShop, all_mails_are_sent
from tests.faults.stories import (
    LOST_PARCELS,
    Told,
    backordered,
    by_the_network,
    cancelled_when_packed,
    goodwill,
    label_bought,
    lost,
    plain,
    tell,
    two_sellers,
    wrongs,
)
from tests.shop import PATIENCE_SECONDS, Body, line
from usecases.keys import new_key
from workflows.names import SEARCH_ATTRIBUTES

CARD = "card-4111111111111111"
"""Taken by the sandbox as a card that pays."""

CANARIES = (
    "Zebulon",
    "Quagmire",
    "Xylophone",
    "Tumbolia",
    "zq-mail",
    CARD,
    "Wimbleton",  # where another address is given
    "kumquat",  # written by support and customers
)
STORIES = (plain, two_sellers, by_the_network, backordered, cancelled_when_packed, label_bought, lost, goodwill)
ADDRESS = {"name": "Zebulon Quagmire", "line1": "77 Xylophone Lane", "city": "Tumbolia", "country": "US"}


class MarkedShop(BesiegedShop):
    """All its customers have what can be found again."""

    def body(self, *lines: Body, **more: Any) -> Body:
        body = super().body(*lines, **more)
        body["customer"] |= {"name": "Zebulon Quagmire", "email": "zq-mail@quagmire.example"}
        body["ship_to"] = dict(ADDRESS)
        for payment in body["payments"]:
            payment["token"] = CARD
        return body


@pytest.mark.slow
async def test_a_full_run_leaves_no_personal_data_outside_the_database(tmp_path: Path) -> None:
    with Stack.temporary(SEARCH_ATTRIBUTES) as stack:
        of_sdk = f"{HOST}:{choose(0, 'OPENORDERS_METRICS_ADDRESS')}"
        of_worker, of_web = (f"{HOST}:{choose(0, 'OPENORDERS_HEALTH_ADDRESS')}" for _ in range(2))
        settings = {
            "OPENORDERS_ENCRYPTION_KEYS": f"{NEW},{OLD}",
            "OPENORDERS_LOG_LEVEL": "DEBUG",
            "OPENORDERS_RECONCILE_MINUTES": "0",  # workflows are counted below
            **LOST_PARCELS,
        }
        client = await client_with(stack, NEW, OLD)
        shop = MarkedShop(
            stack,
            client,
            settings | {"OPENORDERS_METRICS_ADDRESS": of_sdk, "OPENORDERS_HEALTH_ADDRESS": of_worker},
        )
        web = stack.web(settings | {"OPENORDERS_HEALTH_ADDRESS": of_web})
        for process in (shop.worker, web):
            process.start()
        for process in (shop.worker, web):
            wait_until_ready(process)
        try:
            await shop.open()
            told: list[Told] = await asyncio.gather(*(tell(shop, story, CARD) for story in STORIES))
            await all_mails_are_sent(shop)
            assert await wrongs(shop, told) == []
            await _much_talk(shop)
            await _by_the_web(shop)
            async with httpx.AsyncClient(timeout=60) as browser:
                metrics = {
                    f"metrics of {name}": (await browser.get(f"http://{address}/metrics")).content
                    for name, address in {"SDK": of_sdk, "worker": of_worker, "web": of_web}.items()
                }
        finally:
            await shop.database.close()
        assert b"temporal_workflow_completed" in metrics["metrics of SDK"]
        assert b'openorders_orders_ended_total{status="Delivered"}' in metrics["metrics of worker"]
        assert b'route="/v1/orders",status="422"' in metrics["metrics of web"]
        found = await _all_of(client, len(STORIES) + 4)
        logs = {path.name: path.read_bytes() for path in _logs(stack)}
        assert {"worker.log", "web.log", "temporal.log"} <= set(logs)
        assert b" DEBUG   usecases.metrics: an activity ended outcome=done order_id=" in logs["worker.log"]
        assert b"POST /v1/orders 422" in logs["web.log"]
        assert _found_in(found | logs | metrics | _files(stack)) == []

        # The same search finds them where nothing is encrypted.
        in_clear = await Client.connect(stack.temporal.address, data_converter=pydantic_data_converter)
        await in_clear.start_workflow("OrderWorkflow", shop.body(line("MUG")), id="order:clear", task_queue="nobody")
        words = {word for _, word in _found_in(await _all_of(client, len(found) + 1))}
        assert words == {word for word in CANARIES if word not in ("Wimbleton", "kumquat")}
        assert {"Zebulon", CARD} <= {word for _, word in _found_in(_files(stack))}


async def _much_talk(shop: MarkedShop) -> None:
    """Everything that a person may type, and what is refused."""
    order_id = await shop.placed(line(await shop.lists(5), 2))
    await shop.update(order_id, "note", text="call about the kumquat")
    await shop.update(order_id, "change_address", ship_to=ADDRESS | {"line1": "1 Wimbleton"}, reason="kumquat")
    await shop.update(order_id, "hold", hold_id="hold-1", reason="kumquat")
    await shop.update(order_id, "release_hold", hold_id="hold-1", reason="kumquat")
    wrong: tuple[tuple[str, Body], ...] = (
        ("change_address", {"ship_to": ADDRESS | {"country": "Xylophone"}}),
        ("note", {"text": "", "kumquat": "kumquat"}),
        ("cancel", {"fulfillment_id": "kumquat"}),
        ("resend_mail", {"mail_key": "kumquat"}),
    )
    for name, body in wrong:
        with pytest.raises(WorkflowUpdateFailedError):
            await shop.handle(order_id).execute_update(name, body)
    for body in ({"reason": 5, "by": "Zebulon"}, {"fulfillment_id": "kumquat"}):
        await shop.handle(order_id).signal("cancel", body)
    for number, bad in enumerate(({"currency": "Xylophone"}, {"order_id": "x", "customer": "Zebulon"})):
        body = shop.body(line("NO-SUCH-KUMQUAT"), order_id=f"bad-{number}") | bad
        await shop.client.start_workflow("OrderWorkflow", body, id=f"order:bad-{number}", task_queue=shop.task_queue)
    declined = shop.body(line(await shop.lists(5)))
    for payment in declined["payments"]:
        payment["token"] = f"tok_decline_{CARD}"
    await shop.place(declined)
    await shop.until(declined["order_id"], lambda status: "unpaid" in status.attention or status.status == "Pending")
    await shop.update(order_id, "cancel", reason="kumquat")
    await shop.ended(order_id)


async def _by_the_web(shop: MarkedShop) -> None:
    """Placed and searched by HTTP, with bodies that are refused too."""
    support = await new_key(Keys(shop.database), Scope.SUPPORT, "test")
    backend = await new_key(Keys(shop.database), Scope.BACKEND, "test")
    async with httpx.AsyncClient(base_url=shop.stack.web_url, timeout=60) as browser:
        signin = await browser.get("/signin")
        csrf = re.search(r'name="csrf" value="([^"]+)"', signin.text)
        assert csrf is not None
        signed = await browser.post("/signin", data={"csrf": csrf[1], "key": support})
        assert signed.status_code == 303
        looked = await browser.get("/support", params={"q": "Zebulon Quagmire"})
        assert looked.status_code == 200
        headers = {"Authorization": f"Bearer {backend}"}
        good = shop.body(line(await shop.lists(5)))
        answer = await browser.post("/v1/orders", json=good, headers=headers)
        assert answer.status_code < 300, answer.text
        for bad in (good | {"currency": "Xylophone"}, good | {"ship_to": "Tumbolia"}, "Zebulon"):
            answer = await browser.post("/v1/orders", json=bad, headers=headers)
            assert answer.status_code == 422
        await _shown(browser, f"/support/orders/{good['order_id']}")


async def _shown(browser: httpx.AsyncClient, path: str) -> None:
    """Wait for the rows: the API answers as soon as Temporal has the order."""
    for _ in range(PATIENCE_SECONDS):
        page = await browser.get(path)
        assert page.status_code == 200
        if "Zebulon" in page.text:
            return
        await asyncio.sleep(1)
    raise AssertionError(page.text)


async def _all_of(client: Client, least: int) -> dict[str, bytes]:
    """Of every workflow: its id, what lists and descriptions say of it, and every event of its history."""
    listed = [one async for one in client.list_workflows()]
    for _ in range(PATIENCE_SECONDS):
        if len(listed) >= least:
            break
        await asyncio.sleep(1)  # Temporal lists a workflow a little after it has begun
        listed = [one async for one in client.list_workflows()]
    assert len(listed) >= least
    found = {}
    for one in listed:
        handle = client.get_workflow_handle(one.id, run_id=one.run_id)
        described = (await handle.describe()).raw_description.SerializeToString()
        events = [event.SerializeToString() async for event in handle.fetch_history_events()]
        info = one.raw_info.SerializeToString()
        found[f"{one.id} {one.run_id}"] = b"\n".join((one.id.encode(), info, described, *events))
    return found


def _logs(stack: Stack) -> Iterable[Path]:
    return (path for path in stack.state_dir.rglob("*.log") if "postgres" not in path.parts)


def _files(stack: Stack) -> dict[str, bytes]:
    """Temporal's database as it lies on the disk, with what is not merged yet."""
    return {path.name: path.read_bytes() for path in (stack.state_dir / "temporal").glob("temporal.db*")}


def _found_in(places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Where which canary stands, whatever its case."""
    lowered = {name: content.lower() for name, content in places.items()}
    return [(name, word) for name, content in lowered.items() for word in CANARIES if word.lower().encode() in content]
