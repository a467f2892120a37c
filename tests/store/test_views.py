"""Lists and pages."""

from datetime import timedelta

import pytest

from domain.units import Place
from store.database import Database
from store.views import Holder, OrderFilter, Views
from tests.store.shop import NOON, Shop, progress_of, units


@pytest.fixture(scope="module")
async def shop(database: Database) -> Shop:
    """Seven orders, due in 0 to 4 days and two of them never; the first one packed in part."""
    shop = await Shop(database, near=100).open()
    for day in range(7):
        order = shop.order(2, order_id=f"o{day}")
        await shop.place(order)
        await shop.reserve(order)
        due = NOON + timedelta(days=day) if day < 5 else None
        await shop.orders.save(
            progress_of(
                order,
                1,
                order={
                    "status": "Unshipped" if due else "Shipped",
                    "ship_by": due,
                    "promised_at": NOON,
                    "attention": ("late", "on_hold") if day == 3 else (),
                },
                units=(
                    units("l1", Place.PENDING, 0),
                    units("l1", Place.PACKED, 1, "f1"),
                    units("l1", Place.RESERVED, 1, "f1"),
                ),
                fulfillments=(
                    {
                        "fulfillment_id": "f1",
                        "seller": shop.seller,
                        "location": shop.near,
                        "channel": "FBM",
                        "ship_by": due or NOON,
                        "deliver_by": NOON,
                        "status": "Unshipped" if due else "Shipped",
                    },
                ),
                mails=(
                    {
                        "key": f"o{day}:cancelled",
                        "order_id": f"o{day}",
                        "template": "cancelled",
                        "lines": (),
                        "by": "customer",
                    },
                ),
            )
        )
    return shop


async def _ids(views: Views, wanted: OrderFilter) -> list[str]:
    return [order.order_id for order in (await views.orders(wanted)).orders]


async def test_pages_follow_each_other_without_gap_or_copy(shop: Shop) -> None:
    views, seen, after = Views(shop.database), [], None
    while True:
        page = await views.orders(OrderFilter(), after=after, limit=2)
        seen += [order.order_id for order in page.orders]
        if (after := page.next) is None:
            break
    assert seen == [f"o{day}" for day in range(7)]


async def test_each_filter_finds_its_orders(shop: Shop) -> None:
    views = Views(shop.database)
    assert await _ids(views, OrderFilter(attention="late")) == ["o3"]
    assert await _ids(views, OrderFilter(attention="lost")) == []
    assert await _ids(views, OrderFilter(status="Shipped")) == ["o5", "o6"]
    assert await _ids(views, OrderFilter(ship_by_until=NOON + timedelta(days=1))) == ["o0", "o1"]
    assert len(await _ids(views, OrderFilter(seller=shop.seller, open_only=True))) == 7
    assert await _ids(views, OrderFilter(seller="somebody-else")) == []
    assert await _ids(views, OrderFilter(status="Unshipped", attention="on_hold", customer_id="c1")) == ["o3"]


async def test_a_seller_sees_what_it_must_hand_over_the_most_urgent_first(shop: Shop) -> None:
    views = Views(shop.database)
    found = await views.fulfillments(shop.seller)
    assert [part.order_id for part in found] == ["o0", "o1", "o2", "o3", "o4"]
    assert found[0].units == {"packed": 1, "reserved": 1}
    assert len(await views.fulfillments(shop.seller, ship_by_until=NOON)) == 1
    assert await views.fulfillments("somebody-else") == ()


async def test_an_order_is_shown_whole(shop: Shop) -> None:
    views = Views(shop.database)
    detail = await views.order("o3")
    assert detail is not None
    assert detail.order.attention == ("late", "on_hold")
    assert [(u.place, u.quantity) for u in detail.units] == [("packed", 1), ("reserved", 1)]
    assert [(mail.template, mail.to, mail.sent_at) for mail in detail.mails] == [("cancelled", "customer", None)]
    assert await views.mails("o3") == detail.mails
    assert [body["key"] for body in await views.mail_bodies("o3")] == ["o3:cancelled"]
    assert await views.order("nobody") is None


async def test_stock_tells_who_holds_it(shop: Shop) -> None:
    (near,) = await Views(shop.database).stock(location=shop.near)
    assert (near.on_hand, near.reserved, near.title) == (100, 14, "Mug")
    assert near.held_by == tuple(Holder(order_id=f"o{day}", line_id="l1", quantity=2) for day in range(7))
