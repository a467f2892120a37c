"""A customer's, two sellers' and a support agent's story, each from the first message to the last."""

import asyncio

import pytest

from store.views.sellers import SellerViews
from tests.shop import UPS, Shop, line
from usecases.errors import Refused


async def test_a_customer_takes_a_substitute_and_gets_money_back_for_what_was_lost(shop: Shop) -> None:
    green = await shop.lists(5, title="Green mug")
    blue = await shop.lists(1, title="Blue mug", substitutes=[green])
    order_id = await shop.placed(line(blue, 3))
    [short] = (await shop.status(order_id)).shortages
    assert (short.quantity, short.substitutes) == (2, (green,))
    [told] = [mail for mail in await shop.mails(order_id, at_least=3) if "out_of_stock" in mail.message_id]
    assert "Green mug" in told.text

    chosen = await shop.update(order_id, "choose_for_shortage", line_id="1", choice="substitute", substitute_sku=green)
    assert chosen.substitute_line_id == "1-s1"
    for number, fulfillment_id in enumerate(("acme-1", "acme-2"), start=1):
        await shop.packs(order_id, fulfillment_id)
        await shop.ships(order_id, fulfillment_id, carrier="local courier", tracking_number=f"LC-{number}")
    await shop.delivers(order_id, "acme-1-p1")
    await shop.carrier_says(order_id, "lost", "acme-2-p1")
    status = await shop.until(order_id, lambda status: "lost" in status.attention)
    with pytest.raises(Refused, match="by"):
        await shop.update(order_id, "resolve_issue", by="customer", issue_id=status.issues[0], remedy="refund")
    await shop.update(order_id, "resolve_issue", by="support", issue_id=status.issues[0], remedy="refund")

    result = await shop.orders.result(order_id)
    assert (result.captured, result.refunded) == (3000, 2000)
    assert result.units == {"cancelled": 2, "delivered": 1, "lost": 2}
    kinds = {mail.message_id.split("@")[0].split(".")[1] for mail in await shop.mails(order_id, at_least=12)}
    assert {"confirmed", "shortage_settled", "shipped", "delivered", "refund"} <= kinds
    await shop.conserves()


async def test_two_sellers_of_one_order_learn_nothing_of_each_other(shop: Shop) -> None:
    mug = await shop.lists(9, title="Acme mug")
    lamp = await shop.lists(9, seller="birch", title="Birch lamp")
    order_id = await shop.placed(line(mug, 2), line(lamp, 1, "birch"))
    queue = (await SellerViews(shop.database).queue("acme")).fulfillments
    [mine] = [row for row in queue if row.order_id == order_id]
    assert (mine.fulfillment_id, mine.seller) == ("acme-1", "acme")
    assert "birch" not in mine.model_dump_json()
    assert "birch" not in (await shop.packing_list(order_id, "acme-1")).model_dump_json()
    with pytest.raises(Refused, match="no fulfillment 'birch-1'"):
        await shop.orders.query(order_id, "packing_list", {"fulfillment_id": "birch-1", "seller": "acme"})
    contents = [{"line_id": "2", "sku": lamp, "quantity": 1}]
    with pytest.raises(Refused, match="no fulfillment 'birch-1'"):
        await shop.update(
            order_id, "pack", by="seller:acme", fulfillment_id="birch-1", parcels=[{"contents": contents}]
        )

    wrong = [{"line_id": "1", "sku": lamp, "quantity": 2}]
    with pytest.raises(Refused, match="wrong item"):
        await shop.update(order_id, "pack", by="seller:acme", fulfillment_id="acme-1", parcels=[{"contents": wrong}])
    await shop.packs(order_id, "acme-1")
    await shop.update(order_id, "unpack", by="seller:acme", fulfillment_id="acme-1")
    one = [{"contents": [{"line_id": "1", "sku": mug, "quantity": 1}]}]
    await shop.update(order_id, "pack", by="seller:acme", fulfillment_id="acme-1", parcels=one)
    item = {"line_id": "1", "quantity": 1}
    await shop.update(order_id, "reject_lines", by="seller:acme", fulfillment_id="acme-1", items=[item])
    status = await shop.until(order_id, lambda status: bool(status.shortages))
    assert status.shortages[0].quantity == 1
    assert await shop.on_hand(mug) == {"ACME-1": (8, 1)}
    with pytest.raises(Refused, match="tracking_number"):
        await shop.ships(order_id, "acme-1", carrier="ups", tracking_number=UPS[:-1] + "0")
    await shop.ships(order_id, "acme-1")
    await shop.update(order_id, "choose_for_shortage", line_id="1", choice="refund")
    await shop.packs(order_id, "birch-1")
    await shop.ships(order_id, "birch-1", carrier="local courier", tracking_number="B-1")
    await shop.delivers(order_id, "acme-1-p2")
    await shop.delivers(order_id, "birch-1-p1")

    await shop.ended(order_id)
    result = await shop.orders.result(order_id)
    assert (result.status, result.captured, result.voided) == ("Delivered", 2000, 1000)
    for mail in await shop.mails(order_id, at_least=9):
        if "orders@acme.example" in mail.recipients:
            assert "Birch lamp" not in mail.text + mail.html
        if "orders@birch.example" in mail.recipients:
            assert "Acme mug" not in mail.text + mail.html
    await shop.conserves()


async def test_support_holds_mends_and_makes_good(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(5), 1))
    held = await shop.update(order_id, "hold", by="support/ann", reason="the address looks wrong")
    with pytest.raises(Refused, match="on hold"):
        await shop.packs(order_id)
    home = {"name": "Ada Lovelace", "line1": "14 Mill Street", "city": "Springfield", "country": "US"}
    await shop.update(order_id, "change_address", by="support/ann", ship_to=home)
    await shop.update(order_id, "release_hold", by="support/ann", hold_id=held.id)
    await shop.packs(order_id)
    await shop.ships(order_id)
    corrected = {"carrier": "local courier", "tracking_number": "LC-9"}
    await shop.update(order_id, "correct_tracking", parcel_id="acme-1-p1", reason="mistyped", **corrected)
    await shop.update(order_id, "note", by="support/ann", text="called the customer")
    reported = await shop.update(order_id, "report_issue", kind="damaged", parcel_id="acme-1-p1", note="the box is wet")
    await shop.until(order_id, lambda status: status.money.captured == 1000)
    paid_back = await shop.update(order_id, "goodwill_refund", by="support/ann", amount=300, reason="the wet box")
    assert (paid_back.done, paid_back.amount) == (True, 300)
    await shop.update(order_id, "resolve_issue", by="support/ann", issue_id=reported.id, remedy="wait")
    mails = await shop.mails(order_id, at_least=5)
    refused, *_ = await asyncio.gather(
        shop.update(order_id, "resend_mail", by="support/ann", mail_key=f"{order_id}:confirmed:never sent"),
        shop.update(order_id, "resend_mail", by="support/ann", mail_key=f"{order_id}:confirmed"),
        *(shop.update(order_id, "note", by="support/ann", text=f"{number}") for number in range(5)),
        return_exceptions=True,
    )
    assert isinstance(refused, Refused)
    assert str(refused).startswith("mail_key")
    assert len(await shop.mails(order_id, at_least=len(mails) + 1)) > len(mails)
    await shop.delivers(order_id)
    result = await shop.orders.result(order_id)
    assert (result.status, result.captured, result.refunded) == ("Delivered", 1000, 300)
    words = await shop.timeline(order_id)
    assert {"held", "released", "address_changed", "tracking_corrected", "issue_opened", "goodwill"} <= set(words)
    await shop.conserves()
