"""Messages that are not what they should be, or come to the wrong place: refused, told, and nothing changed."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowQueryFailedError, WorkflowUpdateFailedError

from domain.messages import MESSAGES
from domain.results import TimelineView
from domain.timeline import Entry
from tests import rawclient
from tests.bad_input import BAD_MESSAGES, BAD_QUERIES, example
from tests.rawclient import refusal
from tests.shop import Shop, eventually, line
from usecases.errors import InvalidMessage, OrderClosed, OrderNotFound, Refused

SIGNALS = {message.name for message in MESSAGES if message.signal}
WRONG_COUNTS: tuple[tuple[Any, ...], ...] = ((), ({}, {}), (1, 2, 3))
UPDATES = {message.name for message in MESSAGES if message.update}


async def entries(shop: Shop, order_id: str) -> list[Entry]:
    answer = await shop.orders.query(order_id, "timeline")
    assert isinstance(answer, TimelineView)
    return list(answer.entries)


async def history_length(shop: Shop, order_id: str) -> int:
    return (await shop.handle(order_id).describe()).history_length


def begins(field: str) -> str:
    return f"{field}: " if field else "expected one JSON object"


async def test_a_bad_update_is_answered_and_leaves_no_event(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    before, length = await entries(shop, order_id), await history_length(shop, order_id)
    bad = [one for one in BAD_MESSAGES if one.target in UPDATES]
    answers = [await refusal(shop, order_id, one.target, one.body) for one in bad]
    wrong = [
        (one.name, got)
        for one, got in zip(bad, answers, strict=True)
        if got[0] != "InvalidMessage" or not got[1].startswith(begins(one.field))
    ]
    assert wrong == []
    assert len(bad) > 30
    for arguments in WRONG_COUNTS:
        assert await refusal(shop, order_id, "pack", *arguments) == (
            "InvalidMessage",
            f"expected one JSON object, got {len(arguments)} arguments",
        )
    unreadable = await refusal(shop, order_id, "pack", rawclient.payload(b"{"))
    assert unreadable == ("InvalidMessage", "expected one JSON object, got something that is no JSON")
    assert await entries(shop, order_id) == before
    assert await history_length(shop, order_id) == length
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def test_a_bad_signal_stands_in_the_timeline(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    before = await entries(shop, order_id)
    bad = [one for one in BAD_MESSAGES if one.target in SIGNALS]
    for one in bad:
        await shop.handle(order_id).signal(one.target, one.body)
    for arguments in (*WRONG_COUNTS, (rawclient.payload(b"{"),)):
        await shop.handle(order_id).signal("ship", args=arguments)
    noted = await eventually(lambda: entries(shop, order_id), lambda found: len(found) >= len(before) + len(bad) + 4)
    told = [(entry.what, entry.summary) for entry in noted[len(before) :]]
    assert len(told) == len(bad) + 4
    wrong = [
        (one.name, what, reason)
        for one, (what, reason) in zip(bad, told, strict=False)
        if what != f"{one.target}_refused" or not reason.startswith(begins(one.field))
    ]
    assert wrong == []
    assert told[-4:] == [
        ("ship_refused", f"expected one JSON object, got {what}")
        for what in ("0 arguments", "2 arguments", "3 arguments", "something that is no JSON")
    ]
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    await shop.conserves(order_id)  # the refusals were no trouble for the database


async def test_what_stands_in_a_signal_never_stops_the_order(shop: Shop) -> None:
    """Names of fields and of signals go into the timeline, and PostgreSQL takes no NUL."""
    order_id = await shop.placed(line(await shop.lists(5), 2))
    handle = shop.handle(order_id)
    await handle.signal("pack", {"fulfillment_id": "acme-1", "parcels": [], "a\x00b": 1})
    await handle.signal("pack", {"x" * 100_000: 1})
    await handle.signal("pack", {f"field-{number}": 1 for number in range(5_000)})
    await handle.signal("pakc", {"fulfillment_id": "acme-1"})
    await handle.signal("a\x01b", 1)
    await handle.signal("é" * 500)
    await handle.signal("cancle", args=[1, 2, 3])
    noted = await eventually(
        lambda: entries(shop, order_id), lambda found: [one.what for one in found].count("signal_refused") == 4
    )
    told = [(entry.what, entry.summary) for entry in noted[-7:]]
    assert [what for what, _ in told] == ["pack_refused"] * 3 + ["signal_refused"] * 4
    assert told[3][1].startswith("there is no signal 'pakc' (there are: cancel, pack, ship,")
    assert all(len(summary) < 2_500 for _, summary in told)
    await shop.update(order_id, "cancel")
    assert (await shop.orders.result(order_id)).status == "Canceled"
    detail = await shop.views.order(order_id)
    assert detail is not None
    assert [entry.what for entry in detail.timeline].count("signal_refused") == 4


async def test_bad_queries_are_answered(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    for one in BAD_QUERIES:
        with pytest.raises(WorkflowQueryFailedError, match=begins(one.field)):
            await shop.handle(order_id).query(one.target, one.body)
        with pytest.raises(InvalidMessage, match=begins(one.field)):
            await shop.orders.query(order_id, one.target, one.body)
    with pytest.raises(WorkflowQueryFailedError, match="got 2 arguments"):
        await shop.handle(order_id).query("status", args=[{}, {}])
    with pytest.raises(Refused, match="has no fulfillment 'acme-2'"):
        await shop.packing_list(order_id, "acme-2")
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def test_nothing_reaches_an_order_that_is_unknown_or_closed(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)
    left = await rawclient.effects(shop, order_id)
    for name in sorted(UPDATES):
        with pytest.raises(OrderClosed, match="has ended"):
            await shop.orders.update(order_id, name, _valid(name))
        with pytest.raises(OrderNotFound, match="there is no order 'nobody-s'"):
            await shop.orders.update("nobody-s", name, _valid(name))
    for name in sorted(SIGNALS - {"stock_allocated"}):
        with pytest.raises(OrderClosed):
            await shop.orders.signal(order_id, name, _valid(name))
        with pytest.raises(OrderNotFound):
            await shop.orders.signal("nobody-s", name, _valid(name))
    with pytest.raises(OrderNotFound):
        await shop.status("nobody-s")
    with pytest.raises(OrderNotFound):
        await shop.orders.result("nobody-s")
    assert (await shop.status(order_id)).closed
    assert await rawclient.effects(shop, order_id) == left


def _valid(name: str) -> Any:
    return example(f"messages/{name}")


async def test_what_is_of_no_fulfillment_or_of_another_seller_is_not_there(shop: Shop) -> None:
    """To one seller the parts of another do not exist: the words are those for an id that nobody has."""
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"))
    await shop.packs(order_id, "acme-1")
    await shop.ships(order_id, "acme-1")
    await shop.packs(order_id, "birch-1")
    await shop.update(order_id, "cancel", by="customer", fulfillment_id="birch-1")
    contents = [{"contents": [{"line_id": "1", "sku": mug, "quantity": 2}]}]
    bodies: dict[str, dict[str, Any]] = {
        "pack": {"fulfillment_id": "acme-1", "parcels": contents},
        "ship": {"fulfillment_id": "acme-1"},
        "unpack": {"fulfillment_id": "acme-1"},
        "reject_lines": {"fulfillment_id": "acme-1", "items": [{"line_id": "1"}]},
        "cancel": {"fulfillment_id": "acme-1"},
    }
    for name, body in bodies.items():
        foreign = await refusal(shop, order_id, name, {**body, "by": "seller:birch"})
        unknown = await refusal(shop, order_id, name, {**body, "by": "seller:birch", "fulfillment_id": "acme-9"})
        assert foreign[0] == unknown[0] == "Refused"
        assert foreign[1].replace("acme-1", "acme-9") == unknown[1]
        assert "birch-1" in foreign[1]
    others: dict[str, tuple[str, dict[str, Any]]] = {
        "correct_tracking": ("parcel_id", {"carrier": "ups", "tracking_number": "1Z5R89390357567127"}),
        "report_issue": ("parcel_id", {"kind": "damaged"}),
        "confirm_delivery": ("parcel_id", {}),
        "answer_cancellation": ("request_id", {"answer": "accept"}),
        "hold": ("fulfillment_id", {}),
    }
    there = {"parcel_id": "acme-1-p1", "request_id": "acme-1-c1", "fulfillment_id": "acme-1"}
    for name, (field, body) in others.items():
        by = "seller:acme" if field == "request_id" else "seller:birch"
        foreign = await refusal(shop, order_id, name, {**body, field: there[field], "by": by})
        unknown = await refusal(shop, order_id, name, {**body, field: "nothing-7", "by": by})
        assert foreign[0] == "Refused"
        assert foreign[1].replace(there[field], "nothing-7") == unknown[1], name
    with pytest.raises(Refused, match="no fulfillment 'acme-1'"):
        await shop.orders.query(order_id, "packing_list", {"fulfillment_id": "acme-1", "seller": "birch"})
    await shop.update(order_id, "answer_cancellation", by="seller:birch", request_id="birch-1-c1", answer="accept")
    await shop.delivers(order_id)
    assert (await shop.orders.result(order_id)).units == {"cancelled": 1, "delivered": 2}
    await shop.conserves(order_id)


async def test_an_unknown_update_and_an_unknown_query_are_answered(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 2))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.handle(order_id).execute_update("pakc", {})
    assert "pakc" in str(refused.value.cause)
    with pytest.raises(WorkflowQueryFailedError, match="stauts"):
        await shop.handle(order_id).query("stauts")
    with pytest.raises(InvalidMessage, match="there is no message 'pakc'"):
        await shop.orders.update(order_id, "pakc", {})
    with pytest.raises(InvalidMessage, match="sent as an update"):
        await shop.orders.signal(order_id, "hold", {})
    with pytest.raises(InvalidMessage, match="sent as a signal"):
        await shop.orders.update(order_id, "carrier_event", _valid("carrier_event"))
    await asyncio.gather(shop.update(order_id, "cancel"), shop.ended(order_id))
