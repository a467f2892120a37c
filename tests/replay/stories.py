"""Longer stories than those of `record`: together they go through most of what an order can do."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.shop import Shop, eventually, line

Story = Callable[[Shop], Awaitable[str]]
"""Plays an order; gives its id."""


async def _ended(shop: Shop, order_id: str) -> str:
    await shop.orders.result(order_id)
    return order_id


async def in_several_parcels(shop: Shop) -> str:
    """Two sellers, one of whom ships in two parcels, one with a label."""
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    lines = (line(mug, 2), line(lamp, 1, "birch"))
    order_id = await shop.placed(*lines, shipping={"method": "TwoDay", "price": 700}, tax=301, discount=100)
    one = [{"contents": [{"line_id": "1", "sku": mug, "quantity": 1}]}]
    await shop.update(order_id, "pack", by="seller:acme", fulfillment_id="acme-1", parcels=one)
    await shop.ships(order_id, "acme-1")
    await shop.handle(order_id).signal("pack", {"fulfillment_id": "acme-1", "parcels": one, "buy_labels": True})
    await shop.until(order_id, lambda status: len(status.fulfillments[0].parcels) == 2)
    await shop.ships(order_id, "acme-1", by="seller:acme/ann")
    await shop.packs(order_id, "birch-1")
    await shop.ships(order_id, "birch-1", carrier="local courier", tracking_number="B-778")
    for parcel_id in ("acme-1-p1", "birch-1-p1"):
        await shop.delivers(order_id, parcel_id)
    await shop.update(order_id, "confirm_delivery", parcel_id="acme-1-p2")
    return await _ended(shop, order_id)


async def shortages(shop: Shop) -> str:
    """Shortages: a substitute, a backorder that is woken, a refund; and a line that the seller rejects."""
    spare = await shop.lists(9)
    scarce, tea = await shop.lists(1, substitutes=[spare]), await shop.lists(1)
    order_id = await shop.placed(line(scarce, 2), line(tea, 2), line(await shop.lists(4), 4))
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="substitute", substitute_sku=spare)
    await shop.update(order_id, "choose_for_shortage", line_id="2", choice="wait")
    rejected = [{"line_id": "3", "quantity": 1}]
    await shop.update(order_id, "reject_lines", by="seller:acme", fulfillment_id="acme-1", items=rejected)
    await shop.until(order_id, lambda status: bool(status.shortages))
    await shop.receives(tea, 5)
    await shop.until(order_id, lambda status: "backordered" not in status.attention)
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="van")
    await shop.update(order_id, "choose_for_shortage", line_id="3", choice="cancel")
    await shop.update(order_id, "confirm_delivery")
    return await _ended(shop, order_id)


async def refused_and_cancelled(shop: Shop) -> str:
    """Signals that are refused, a request that is rejected, one that is accepted, the button."""
    sku = await shop.lists(9)
    order_id = await shop.placed(line(sku, 4))
    handle = shop.handle(order_id)
    await handle.signal("pack", {"nonsense": 1})
    await handle.signal("pakc", {})
    await handle.signal("cancel", {"items": [{"line_id": "1", "quantity": 1}]})
    await shop.packs(order_id)
    for answer in ("reject", "accept"):
        asked = await shop.update(order_id, "cancel")
        [request] = asked.request_ids
        if answer == "reject":
            await handle.cancel()
            await shop.noted(order_id, "cancel_refused")
        await shop.update(order_id, "answer_cancellation", by="seller:acme", request_id=request, answer=answer)
    return await _ended(shop, order_id)


async def supported(shop: Shop) -> str:
    """Hold, address, note, tracking corrected, issue and reship, goodwill, a mail once more."""
    sku = await shop.lists(9)
    order_id = await shop.placed(line(sku, 2))
    await shop.update(order_id, "hold", reason="fraud check")
    address = {"name": "A. L.", "line1": "1 New Road", "city": "Salem", "country": "US"}
    await shop.update(order_id, "change_address", ship_to=address)
    await shop.update(order_id, "note", text="called the customer")
    await shop.update(order_id, "release_hold", hold_id="hold-1")
    await shop.packs(order_id)
    await shop.update(order_id, "unpack", fulfillment_id="acme-1")
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="van")
    await shop.update(order_id, "correct_tracking", parcel_id="acme-1-p2", carrier="van", tracking_number="V-1")
    await shop.until(order_id, lambda status: status.money.captured > 0)
    await shop.update(order_id, "goodwill_refund", amount=100, reason="it took long")
    await shop.update(order_id, "resend_mail", mail_key=f"{order_id}:confirmed")
    await shop.carrier_says(order_id, "exception", "acme-1-p2", exception="damaged")
    await shop.until(order_id, lambda status: bool(status.issues))
    one = [{"line_id": "1", "quantity": 1}]
    await shop.update(order_id, "resolve_issue", issue_id="acme-1-i1", remedy="reship", items=one)
    await shop.delivers(order_id, "acme-1-p2")
    await shop.until(order_id, lambda status: len(status.fulfillments) == 2)
    await shop.packs(order_id, "acme-2")
    await shop.ships(order_id, "acme-2", carrier="van", tracking_number="V-2")
    await shop.delivers(order_id, "acme-2-p1")
    return await _ended(shop, order_id)


async def unpaid(shop: Shop) -> str:
    """Declined, paid by another card, refused at capture and paid once more."""
    sku = await shop.lists(5)
    declined = [{"token": "tok_decline_expired", "amount": 1000}, {"token": "tok_visa", "amount": 1000}]
    order_id = await shop.place(shop.body(line(sku, 2), payments=declined))
    await shop.until(order_id, lambda status: "payment_declined" in status.attention)
    refused = [{"token": "tok_capture_refused", "amount": 1000}]
    await shop.update(order_id, "update_payment", payments=refused)
    await shop.until(order_id, lambda status: bool(status.fulfillments))
    await shop.packs(order_id)
    await shop.ships(order_id)
    await shop.until(order_id, lambda status: status.money.unpaid == 1000)
    await shop.update(order_id, "update_payment", payments=[{"token": "tok_visa", "amount": 1000}])
    await shop.delivers(order_id)
    return await _ended(shop, order_id)


async def network_in_part(shop: Shop) -> str:
    """A fulfillment of the network that it completes in part, beside one that it cancels."""
    sku = await shop.lists(9, at="FBA-1")
    clock = {"clock": {"factor": 8640}}
    lines = (line(sku, 3, channel="FBA"),)
    body = shop.body(*lines, **clock)
    body["order_id"] += "-partial"
    order_id = await shop.place(body)
    status = await shop.until(order_id, lambda status: bool(status.shortages))
    assert status.fulfillments[0].network_status == "CompletePartialled"
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="refund")
    return await _ended(shop, order_id)


async def cancelled_as_late(shop: Shop) -> str:
    """Everything by the clock: warned, missed, escalated, cancelled as late."""
    policy = {"ship_by_warning_hours": 12, "ship_by_escalation_hours": 1, "late_cancel_days": 0.2}
    placed = await shop.placed(line(await shop.lists(5), 2))
    now = (await shop.status(placed)).business_time
    await shop.update(placed, "cancel")
    promised = {
        "promised_ship_by": (now + timedelta(days=1)).isoformat(),
        "promised_by": (now + timedelta(days=2)).isoformat(),
    }
    order_id = await shop.placed(line(await shop.lists(5), 2), clock={"factor": 8640}, policy=policy, **promised)
    return await _ended(shop, order_id)


async def continued_as_new(shop: Shop) -> str:
    """So long that it goes on in another run; only on an impatient server."""
    order_id = await shop.placed(line(await shop.lists(5), 2))
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="van", tracking_number="V-1")
    handle = shop.handle(order_id)
    first = (await handle.describe()).run_id
    for number in range(30):
        await shop.update(order_id, "note", text=f"note {number}")
    await eventually(handle.describe, lambda found: found.run_id != first)
    await shop.delivers(order_id)
    return await _ended(shop, order_id)


MORE_STORIES: tuple[Story, ...] = (
    in_several_parcels,
    shortages,
    refused_and_cancelled,
    supported,
    unpaid,
    network_in_part,
    cancelled_as_late,
)
