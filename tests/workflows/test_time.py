"""What happens by itself: deadlines on clocks that run a day in twenty seconds. The orders wait side by side."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

from domain.results import StatusView, TimelineView
from domain.timeline import Entry
from localstack.stack import Stack
from tests.shop import PATIENCE_SECONDS, Body, Shop, line, open_shop

FACTOR = 4320


@pytest.fixture(scope="module")
async def shop(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    """Carriers say only what the tests say."""
    async with open_shop(stack, client, fresh_database(), carrier="manual") as shop:
        yield shop


async def fast(shop: Shop, *lines: Body, ship_by_hours: float = 240, policy: Body | None = None, **more: Any) -> str:
    """An order to be shipped within so many hours of its own clock, an hour being 0.83 seconds."""
    origin = datetime.fromisoformat("2026-03-02T09:00:00Z")
    promised = {
        "promised_ship_by": (origin + timedelta(hours=ship_by_hours)).isoformat(),
        "promised_by": (origin + timedelta(hours=ship_by_hours + 24)).isoformat(),
    }
    clock = {"origin": origin.isoformat(), "factor": FACTOR}
    return await shop.placed(*lines, clock=clock, policy=policy or {}, **promised, **more)


async def entries(shop: Shop, order_id: str) -> dict[str, Entry]:
    answer = await shop.orders.query(order_id, "timeline")
    assert isinstance(answer, TimelineView)
    return {entry.what: entry for entry in answer.entries}


async def mailed(shop: Shop, order_id: str, *kinds: str) -> None:
    """Wait until mails of these kinds have come."""
    missing: set[str] = set()
    for _ in range(PATIENCE_SECONDS * 10):
        ids = (mail.message_id.split("@")[0] for mail in await shop.mails(order_id))
        missing = {*kinds} - {one.removeprefix(f"<{order_id}.").split(".")[0] for one in ids}
        if not missing:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{order_id}: no mail of {missing}")


async def a_seller_who_does_not_ship_is_warned_missed_escalated_and_cancelled(shop: Shop) -> None:
    sku = await shop.lists(5)
    policy = {"ship_by_warning_hours": 6, "ship_by_escalation_hours": 6, "late_cancel_days": 1}
    order_id = await fast(shop, line(sku, 2), ship_by_hours=12, policy=policy)
    await shop.until(order_id, lambda status: status.attention == ("late",))
    result = await shop.orders.result(order_id)
    assert (result.status, result.reason, result.voided) == ("Canceled", "the seller did not ship in time", 2000)
    told = await entries(shop, order_id)
    assert told["ship_by_missed"].seq < told["escalated"].seq < told["cancelled"].seq
    assert told["cancelled"].received_at - told["placed"].received_at >= timedelta(hours=36)
    await mailed(shop, order_id, "ship_by_warning", "ship_by_missed", "delayed", "cancelled")
    assert await shop.on_hand(sku) == {"ACME-1": (5, 0)}
    await shop.conserves(order_id)


async def one_who_ships_late_is_not_cancelled(shop: Shop) -> None:
    """And a rule that is switched off never falls due."""
    sku = await shop.lists(5)
    order_id = await fast(shop, line(sku, 2), ship_by_hours=6, policy={"late_cancel_days": None})
    await shop.until(order_id, lambda status: status.attention == ("late",))
    await shop.packs(order_id)
    await shop.ships(order_id)
    assert "late" not in (await shop.status(order_id)).attention
    await shop.delivers(order_id)
    assert (await shop.orders.result(order_id)).status == "Delivered"


async def no_answer_to_a_shortage_is_the_default(shop: Shop) -> None:
    refund, wait = await shop.lists(1), await shop.lists(1)
    hours = {"shortage_answer_hours": 8}
    first = await fast(shop, line(refund, 3), policy=hours)
    second = await fast(
        shop, line(wait, 3), policy={**hours, "shortage_default": "wait", "backorder_days_max": 1}, ship_by_hours=500
    )
    await shop.until(first, lambda status: not status.shortages)
    assert (await shop.status(first)).lines[0].units == {"cancelled": 2, "reserved": 1}
    told = await entries(shop, first)
    assert (told["shortage_answered"].who, told["shortage_answered"].after) == ("marketplace", "refund")
    await shop.until(second, lambda status: "backordered" in status.attention)
    await shop.until(second, lambda status: "backordered" not in status.attention)
    assert (await shop.status(second)).lines[0].units == {"cancelled": 2, "reserved": 1}
    assert (await entries(shop, second))["cancelled"].why == "not in stock in time"
    for order_id in (first, second):
        await shop.update(order_id, "cancel")
        await shop.ended(order_id)
        await shop.conserves(order_id)


async def a_hold_runs_out_and_the_sellers_clock_stood_still(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await fast(shop, line(sku, 2), ship_by_hours=24, policy={"late_cancel_days": None})
    now = (await shop.status(order_id)).business_time
    expires_at = now + timedelta(hours=18)
    await shop.update(order_id, "hold", reason="fraud check", expires_at=expires_at.isoformat())
    held = (await entries(shop, order_id))["held"]
    await shop.update(order_id, "hold", reason="and another", fulfillment_id="acme-1", hold_id="mine")
    await shop.until(order_id, lambda status: status.holds == ("mine",))
    await shop.update(order_id, "release_hold", hold_id="mine")
    [fulfillment] = (await shop.status(order_id)).fulfillments
    await shop.until(order_id, lambda status: "late" in status.attention)
    stood_still = (await entries(shop, order_id))["released"].received_at - held.received_at
    assert stood_still >= expires_at - held.received_at > timedelta(0)
    missed = (await entries(shop, order_id))["ship_by_missed"]
    assert missed.received_at >= fulfillment.ship_by + stood_still
    await shop.update(order_id, "cancel")
    await shop.ended(order_id)


async def a_parcel_falls_silent_is_late_and_counts_as_lost(shop: Shop) -> None:
    """Nobody resolves it either: the policy refunds it."""
    sku = await shop.lists(5)
    policy = {"silence_days": 0.5, "lost_after_days": 2, "issue_answer_hours": 24}
    order_id = await fast(shop, line(sku, 2), ship_by_hours=4, policy=policy)
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.until(order_id, lambda status: "silent" in status.attention)
    await shop.carrier_says(order_id, "in_transit")
    assert "silent" not in (await shop.status(order_id)).attention
    await shop.until(order_id, lambda status: "late" in status.attention)
    lost = await shop.until(order_id, lambda status: "lost" in status.attention)
    assert lost.lines[0].units == {"lost": 2}
    assert lost.issues == ("acme-1-i1",)
    result = await shop.orders.result(order_id)
    assert (result.status, result.captured, result.refunded) == ("Shipped", 2000, 2000)
    told = await entries(shop, order_id)
    assert told["issue_resolved"].who == "marketplace"
    await mailed(shop, order_id, "delayed", "acme-1-i1", "refund")
    await shop.conserves(order_id)


async def an_untracked_parcel_is_presumed_delivered(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await fast(shop, line(sku, 2), ship_by_hours=4, policy={"untracked_delivered_days": 1})
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="my van")
    result = await shop.orders.result(order_id)
    assert (result.status, result.captured) == ("Delivered", 2000)
    status = await shop.status(order_id)
    [parcel] = status.fulfillments[0].parcels
    assert (parcel.presumed_delivered, parcel.tracking_number) == (True, None)
    assert "silent" not in status.attention
    await shop.conserves(order_id)


async def a_declined_customer_has_so_long(shop: Shop) -> None:
    sku = await shop.lists(5)
    body = shop.body(
        line(sku, 2),
        payments=[{"token": "tok_decline_expired", "amount": 2000}],
        clock={"factor": FACTOR},
        policy={"payment_retry_hours": 24},
    )
    order_id = await shop.place(body)
    waiting = await shop.until(order_id, lambda status: status.attention == ("payment_declined",))
    assert waiting.status == "Pending"
    assert waiting.waits_for[0].startswith("another payment, until ")
    result = await shop.orders.result(order_id)
    assert (result.status, result.reason, result.captured) == ("Canceled", "payment declined", 0)
    await mailed(shop, order_id, "authorize", "cancelled")
    assert await shop.on_hand(sku) == {"ACME-1": (5, 0)}
    await shop.conserves(order_id)


async def a_seller_who_does_not_answer_a_cancellation_has_agreed(shop: Shop) -> None:
    sku = await shop.lists(5)
    order_id = await fast(shop, line(sku, 2), policy={"cancellation_answer_hours": 6})
    await shop.packs(order_id)
    answer = await shop.update(order_id, "cancel")
    assert (answer.cancelled, answer.requested) == (0, 2)
    assert (await shop.orders.result(order_id)).status == "Canceled"
    assert (await entries(shop, order_id))["cancellation_accepted"].why == "nobody answered in time"
    await shop.conserves(order_id)


async def what_stays_unpaid_is_written_off_and_the_parcel_followed(shop: Shop) -> None:
    sku = await shop.lists(5)
    refused = [{"token": "tok_capture_refused", "amount": 2000}]
    order_id = await fast(shop, line(sku, 2), policy={"unpaid_close_days": 1}, payments=refused)
    await shop.packs(order_id)
    await shop.ships(order_id)
    owing: StatusView = await shop.until(order_id, lambda status: "unpaid" in status.attention)
    assert owing.money.unpaid == 2000
    await shop.delivers(order_id)
    result = await shop.orders.result(order_id)
    assert (result.status, result.captured, result.voided) == ("Delivered", 0, 2000)
    assert "written_off" in await entries(shop, order_id)
    await shop.conserves(order_id)


# -- side by side ------------------------------------------------------------------------------

STORIES = (
    a_seller_who_does_not_ship_is_warned_missed_escalated_and_cancelled,
    one_who_ships_late_is_not_cancelled,
    no_answer_to_a_shortage_is_the_default,
    a_hold_runs_out_and_the_sellers_clock_stood_still,
    a_parcel_falls_silent_is_late_and_counts_as_lost,
    an_untracked_parcel_is_presumed_delivered,
    a_declined_customer_has_so_long,
    a_seller_who_does_not_answer_a_cancellation_has_agreed,
    what_stays_unpaid_is_written_off_and_the_parcel_followed,
)


@pytest.fixture(scope="module")
async def told(shop: Shop) -> AsyncIterator[dict[str, "asyncio.Task[None]"]]:
    """All stories, begun at once."""
    tasks = {story.__name__: asyncio.create_task(story(shop)) for story in STORIES}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("story", [story.__name__ for story in STORIES])
async def test_by_itself(told: dict[str, "asyncio.Task[None]"], story: str) -> None:
    await told[story]


async def test_units_and_money_of_all_of_them(told: dict[str, "asyncio.Task[None]"], shop: Shop) -> None:
    await asyncio.gather(*told.values(), return_exceptions=True)
    await shop.conserves()
