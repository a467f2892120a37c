"""An order from checkout to the doorstep, on real servers."""

from tests.shop import Shop, line


async def test_one_order_with_two_sellers_is_delivered(shop: Shop) -> None:
    mug, lamp = await shop.lists(5), await shop.lists(5, seller="birch")
    body = shop.body(
        line(mug, 2), line(lamp, 1, "birch"), shipping={"method": "TwoDay", "price": 700}, tax=301, discount=100
    )
    order_id = await shop.place(body)
    status = await shop.until(order_id, lambda status: len(status.fulfillments) == 2)
    assert status.status == "Unshipped"
    assert await shop.on_hand(mug) == {"ACME-1": (5, 2)}

    await shop.packs(order_id, "acme-1")
    await shop.ships(order_id, "acme-1")
    assert (await shop.status(order_id)).status == "PartiallyShipped"
    await shop.packs(order_id, "birch-1")
    await shop.ships(order_id, "birch-1", carrier="local courier", tracking_number="B-778")
    assert (await shop.status(order_id)).status == "Shipped"
    await shop.delivers(order_id, "acme-1-p1")
    await shop.delivers(order_id, "birch-1-p1")

    result = await shop.orders.result(order_id)
    assert (result.status, result.units, result.captured, result.refunded) == ("Delivered", {"delivered": 3}, 3901, 0)
    assert await shop.on_hand(mug) == {"ACME-1": (3, 0)}
    await shop.conserves()

    mails = await shop.mails(order_id, at_least=9)
    kinds = sorted(mail.message_id.split("@")[0].removeprefix(f"<{order_id}.") for mail in mails)
    assert kinds == [
        "confirmed",
        "delivered.acme-1-p1",
        "delivered.birch-1-p1",
        "new.acme-1",
        "new.birch-1",
        "out_for_delivery.acme-1-p1",
        "out_for_delivery.birch-1-p1",
        "shipped.acme-1.p1",
        "shipped.birch-1.p1",
    ]
    [to_acme] = [mail for mail in mails if ".new.acme-1" in mail.message_id]
    assert mug in to_acme.text
    assert lamp not in to_acme.text


async def test_the_last_units_are_sold_once_and_given_back(shop: Shop) -> None:
    sku = await shop.lists(3)
    first = await shop.placed(line(sku, 2))
    second = await shop.placed(line(sku, 2))
    assert await shop.on_hand(sku) == {"ACME-1": (3, 3)}
    assert (await shop.status(first)).shortages == ()
    [short] = (await shop.status(second)).shortages
    assert short.quantity == 1
    await shop.update(first, "cancel")
    await shop.update(second, "cancel")
    assert (await shop.orders.result(first)).status == "Canceled"
    assert (await shop.orders.result(second)).status == "Canceled"
    await shop.conserves()
    assert await shop.on_hand(sku) == {"ACME-1": (3, 0)}
