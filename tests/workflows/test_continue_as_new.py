"""A long order goes on in a new run and loses nothing, on a server that asks for that after a few events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from uuid import uuid4

import pytest

from domain.results import TimelineView
from localstack.stack import Stack
from tests.impatient import impatient_server
from tests.shop import UPS, Body, Shop, eventually, line, open_shop
from usecases.errors import Refused
from workflows.answers import KEPT


@pytest.fixture(scope="module")
async def shop(
    stack: Stack, fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    async with (
        impatient_server(tmp_path_factory.mktemp("temporal")) as client,
        open_shop(stack, client, fresh_database(), carrier="manual") as shop,
    ):
        yield shop


async def runs(shop: Shop, order_id: str) -> int:
    """How many runs the order has had so far."""
    found = [run async for run in shop.client.list_workflows(f'WorkflowId = "order:{order_id}"')]
    return len(found)


async def run_id(shop: Shop, order_id: str) -> str:
    return str((await shop.handle(order_id).describe()).run_id)


async def grows(shop: Shop, order_id: str) -> None:
    """Notes until the order has gone on in a new run."""
    before = await run_id(shop, order_id)
    for number in range(30):
        await shop.update(order_id, "note", text=f"note {number}")
    await goes_on(shop, order_id, before)


async def goes_on(shop: Shop, order_id: str, before: str) -> None:
    """The server lets even the shortest timer ring a second late."""
    await eventually(lambda: run_id(shop, order_id), lambda run: run != before)


async def test_a_long_order_loses_nothing(shop: Shop) -> None:
    """300 notes and scans, told one after the other and many at once."""
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"))
    first = await run_id(shop, order_id)
    await shop.packs(order_id)
    await shop.ships(order_id)
    now, noted = (await shop.status(order_id)).business_time, 0
    for _ in range(10):
        await asyncio.gather(*(shop.update(order_id, "note", text=f"note {noted + n}") for n in range(10)))
        await asyncio.gather(*(shop.orders.signal(order_id, "carrier_event", _scan(now)) for _ in range(20)))
        noted += 10
        if noted == 50:
            await goes_on(shop, order_id, first)
    await shop.packs(order_id, "birch-1")
    await shop.ships(order_id, "birch-1", carrier="van", tracking_number="B-778")
    await shop.delivers(order_id, "birch-1-p1")
    await shop.delivers(order_id)

    result = await shop.orders.result(order_id)
    assert (result.status, result.units, result.captured) == ("Delivered", {"delivered": 3}, 3000)
    assert await run_id(shop, order_id) != first
    await shop.conserves(order_id)
    detail = await shop.views.order(order_id)
    assert detail is not None
    told = [entry.what for entry in detail.timeline]
    assert [entry.seq for entry in detail.timeline] == list(range(1, len(told) + 1))
    assert (told.count("note"), told.count("carrier_event")) == (100, 206)
    assert {entry.summary for entry in detail.timeline if entry.what == "note"} == {f"note {n}" for n in range(100)}
    newest = await shop.orders.query(order_id, "timeline")
    assert isinstance(newest, TimelineView)
    assert newest.count == len(told)
    # When an order heard of something may be a few milliseconds later once the SDK has read its history again.
    unheard = {"received_at": datetime.min}
    assert [entry.model_copy(update=unheard) for entry in newest.entries] == [
        entry.model_copy(update=unheard) for entry in detail.timeline[-200:]
    ]
    assert len(await shop.mails(order_id, at_least=9)) == 9


def _scan(now: datetime) -> Body:
    scanned = {"status": "in_transit", "occurred_at": now.isoformat()}
    return {"event_id": uuid4().hex, "parcel_id": "acme-1-p1", **scanned}


async def test_state_is_the_same_in_the_next_run(shop: Shop) -> None:
    """Everything that can be open at once: a shortage, a backorder, a hold, a request, an issue, a parcel."""
    scarce, wanted, mug = await shop.lists(1), await shop.lists(1), await shop.lists(9)
    order_id = await shop.placed(line(scarce, 2), line(wanted, 3), line(mug, 4))
    await shop.update(order_id, "choose_for_shortage", line_id="2", choice="wait")
    one = [{"contents": [{"line_id": "3", "sku": mug, "quantity": 1}]}]
    await shop.update(order_id, "pack", fulfillment_id="acme-1", parcels=one)
    await shop.ships(order_id)
    await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1")
    await shop.update(order_id, "pack", fulfillment_id="acme-1", parcels=one)
    await shop.update(order_id, "cancel", items=[{"line_id": "3", "quantity": 3}])
    await shop.update(order_id, "hold", reason="look at it", fulfillment_id="acme-1")
    # Steps under way come first in what an order waits for.
    before = await shop.until(
        order_id, lambda status: status.money.captured > 0 and status.waits_for[0].startswith("the customer's choice")
    )
    await grows(shop, order_id)
    after = await shop.status(order_id)
    told, still = after.model_dump(), before.model_dump()
    changed = {name: (still[name], told[name]) for name in told if told[name] != still[name]}
    assert changed.keys() <= {"business_time", "version"}, changed
    assert {"backordered", "cancellation_requested", "issue", "on_hold", "out_of_stock"} <= {*after.attention, "issue"}
    assert [shortage.line_id for shortage in after.shortages] == ["1"]

    description = await shop.handle(order_id).describe()
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert attributes["OrderStatus"] == "PartiallyShipped"
    assert set(attributes["OrderAttention"]) == set(after.attention)

    # And all of it goes on from there.
    await shop.receives(wanted, 5)
    await shop.until(order_id, lambda status: "backordered" not in status.attention)
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="refund")
    await shop.update(order_id, "release_hold", hold_id="acme-1-h1")
    await shop.update(order_id, "answer_cancellation", request_id="acme-1-c1", answer="accept")
    await shop.update(order_id, "resolve_issue", issue_id="acme-1-i1", remedy="dismiss")
    await shop.update(order_id, "cancel")
    await shop.delivers(order_id)
    result = await shop.orders.result(order_id)
    assert (result.units, result.captured) == ({"cancelled": 8, "delivered": 1}, 1000)
    await shop.conserves(order_id)


async def test_an_update_that_is_sent_again_to_the_next_run_has_one_effect(shop: Shop) -> None:
    """As whoever lost its answer does. Without the order's own memory it would be refused, or obeyed twice."""
    order_id = await shop.placed(line(await shop.lists(9), 2))
    pack = {
        "by": "seller:acme",
        "fulfillment_id": "acme-1",
        "parcels": [{"contents": [{"line_id": "1", "sku": (await shop.status(order_id)).lines[0].sku, "quantity": 2}]}],
    }
    packed = await shop.orders.update(order_id, "pack", pack, update_id="pack-1")
    noted = await shop.orders.update(order_id, "note", {"text": "once"}, update_id="note-1")
    for _ in range(2):
        await grows(shop, order_id)
        assert await shop.orders.update(order_id, "pack", pack, update_id="pack-1") == packed
        assert await shop.orders.update(order_id, "note", {"text": "once"}, update_id="note-1") == noted
        with pytest.raises(Refused):
            await shop.orders.update(order_id, "pack", pack, update_id="pack-2")
    answer = await shop.orders.query(order_id, "timeline")
    assert isinstance(answer, TimelineView)
    assert [entry.summary for entry in answer.entries].count("once") == 1
    await shop.update(order_id, "cancel", by="seller:acme")


async def test_deadlines_fall_in_the_next_run(shop: Shop) -> None:
    """A day of the order's own clock is ten seconds; the notes are to be told in less than three."""
    scarce = await shop.lists(1)
    fast = {"clock": {"factor": 8640}, "policy": {"shortage_answer_hours": 72, "late_cancel_days": None}}
    order_id = await shop.placed(line(scarce, 2), **fast)
    before = await shop.status(order_id)
    await grows(shop, order_id)
    assert (await shop.status(order_id)).shortages == before.shortages
    await shop.until(order_id, lambda status: not status.shortages)
    assert (await shop.status(order_id)).lines[0].units == {"cancelled": 1, "reserved": 1}
    assert "shortage_answered" in await shop.timeline(order_id)
    await shop.update(order_id, "cancel")
    assert (await shop.orders.result(order_id)).status == "Canceled"
    await shop.conserves(order_id)


async def test_what_was_seen_before_is_known_in_the_next_run(shop: Shop) -> None:
    """The same carrier event, and the same start body, have no second effect there either."""
    sku = await shop.lists(5)
    body = shop.body(line(sku, 2))
    order_id = await shop.place(body)
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.carrier_says(order_id, "in_transit", event_id="scan-1")
    await grows(shop, order_id)
    told = await shop.timeline(order_id)
    await shop.carrier_says(order_id, "in_transit", event_id="scan-1")
    assert await shop.timeline(order_id) == told
    assert (await shop.orders.place(body)).outcome == "running_same"
    with pytest.raises(Refused, match="nothing is packed"):
        await shop.ships(order_id, carrier="ups", tracking_number=UPS)
    await shop.delivers(order_id)
    result = await shop.orders.result(order_id)
    assert (await shop.orders.place(body)).result == result
    await shop.conserves(order_id)


async def test_what_changes_nothing_makes_a_history_long_too(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.carrier_says(order_id, "in_transit", event_id="scan-1")
    before = await run_id(shop, order_id)
    for _ in range(40):
        await shop.carrier_says(order_id, "in_transit", event_id="scan-1")
    await goes_on(shop, order_id, before)
    assert (await shop.timeline(order_id)).count("carrier_event") == 1
    await shop.delivers(order_id)
    await shop.ended(order_id)


async def test_an_update_id_that_is_used_again_much_later_is_another_message(shop: Shop) -> None:
    """The order remembers the newest hundred; what two of one id do must not be taken for one thing either."""
    sku = await shop.lists(9)
    order_id = await shop.placed(line(sku, 5))
    one = {"items": [{"line_id": "1", "quantity": 1}]}
    await shop.orders.update(order_id, "cancel", one, update_id="k-1")
    for number in range(KEPT):
        await shop.update(order_id, "note", text=f"note {number}")
    await grows(shop, order_id)
    await shop.orders.update(order_id, "cancel", one, update_id="k-1")
    assert (await shop.status(order_id)).lines[0].units == {"cancelled": 2, "reserved": 3}
    await shop.conserves(order_id)
    assert await shop.on_hand(sku) == {"ACME-1": (9, 3)}
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    assert await shop.on_hand(sku) == {"ACME-1": (9, 0)}


async def test_cancel_button_in_the_next_run(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(9), 2))
    await grows(shop, order_id)
    await shop.handle(order_id).cancel()
    assert (await shop.orders.result(order_id)).status == "Canceled"
    await eventually(lambda: runs(shop, order_id), lambda found: found > 1)
    await shop.conserves()
