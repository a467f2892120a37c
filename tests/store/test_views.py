"""Lists and pages."""

from datetime import timedelta

import pytest

from domain.units import Place
from store.database import Database
from store.views.order import OrderViews
from store.views.orders import OrderFilter, OrderLists, Sorting
from store.views.seller_parts import SellerParts
from store.views.sellers import QueueCounts, SellerViews
from store.views.stock import Holder, StockViews
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
                        "due_at": due or NOON,
                        "on_hold": day == 3,
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


async def _ids(database: Database, wanted: OrderFilter, sort: Sorting = "ship_by") -> list[str]:
    return [order.order_id for order in (await OrderLists(database).orders(wanted, sort=sort)).orders]


@pytest.mark.parametrize(
    ("sort", "ids"), [("ship_by", [f"o{day}" for day in range(7)]), ("newest", [f"o{day}" for day in range(6, -1, -1)])]
)
async def test_pages_follow_each_other_without_gap_or_copy(shop: Shop, sort: Sorting, ids: list[str]) -> None:
    lists, seen, after = OrderLists(shop.database), [], None
    while True:
        page = await lists.orders(OrderFilter(), sort=sort, after=after, limit=2)
        seen += [order.order_id for order in page.orders]
        if (after := page.next) is None:
            break
    assert seen == ids
    assert (await lists.orders(OrderFilter(), sort=sort, after="nobody")).orders == ()


async def test_each_filter_finds_its_orders(shop: Shop) -> None:
    database = shop.database
    assert await _ids(database, OrderFilter(attention="late")) == ["o3"]
    assert await _ids(database, OrderFilter(attention="lost")) == []
    assert await _ids(database, OrderFilter(status="Shipped")) == ["o5", "o6"]
    assert await _ids(database, OrderFilter(ship_by_until=NOON + timedelta(days=1))) == ["o0", "o1"]
    assert len(await _ids(database, OrderFilter(seller=shop.seller, open_only=True))) == 7
    assert await _ids(database, OrderFilter(seller="somebody-else")) == []
    assert await _ids(database, OrderFilter(status="Unshipped", attention="on_hold", customer_id="c1")) == ["o3"]
    assert await _ids(database, OrderFilter(placed_from=NOON + timedelta(seconds=1))) == []
    assert len(await _ids(database, OrderFilter(placed_until=NOON + timedelta(seconds=1)), "newest")) == 7


async def test_a_seller_sees_what_it_must_hand_over_the_most_urgent_first(shop: Shop) -> None:
    views, seen, after = SellerViews(shop.database), [], None
    while True:
        page = await views.queue(shop.seller, after=after, limit=2)
        seen += [part.order_id for part in page.fulfillments]
        if (after := page.next) is None:
            break
    assert seen == ["o0", "o1", "o2", "o3", "o4"]
    assert (await views.queue(shop.seller)).fulfillments[0].units == {"packed": 1, "reserved": 1}
    assert len((await views.queue(shop.seller, due_until=NOON)).fulfillments) == 1
    assert (await views.queue("somebody-else")).fulfillments == ()
    assert (await views.queue(shop.seller, after="o0:birch-1")).fulfillments == ()


async def test_a_seller_sees_how_much_is_due_and_when(shop: Shop) -> None:
    noons = (NOON + timedelta(days=day) for day in range(1, 4))
    counts = await SellerViews(shop.database).counts(shop.seller, *noons)
    assert counts == QueueCounts(late=1, today=2, tomorrow=0, later=1, on_hold=1)


async def test_a_part_of_an_order_is_found_by_its_own_seller_only(shop: Shop) -> None:
    views = SellerParts(shop.database)
    part = await views.order(shop.seller, "o0", "f1")
    assert part is not None
    assert [(line.sku, line.quantity, line.units) for line in part.lines] == [("mug", 2, {"packed": 1, "reserved": 1})]
    assert (part.ship_to.city, part.fulfillment.status) == ("Berlin", "Unshipped")
    assert await views.parts(shop.seller, "o0") == ("f1",)
    assert await views.order("somebody-else", "o0", "f1") is None
    assert await views.order(shop.seller, "o0", "f2") is None
    assert await views.parts("somebody-else", "o0") == await views.parts(shop.seller, "nobody") == ()


async def test_an_order_is_shown_whole(shop: Shop) -> None:
    views = OrderViews(shop.database)
    detail = await views.order("o3")
    assert detail is not None
    assert detail.order.attention == ("late", "on_hold")
    assert [(u.place, u.quantity) for u in detail.units] == [("packed", 1), ("reserved", 1)]
    assert [line.units for line in detail.lines] == [{"packed": 1, "reserved": 1}]
    assert [(mail.template, mail.to, mail.sent_at) for mail in detail.mails] == [("cancelled", "customer", None)]
    assert await views.mails("o3") == detail.mails
    assert [body["key"] for body in await views.mail_bodies("o3")] == ["o3:cancelled"]
    assert await views.order("nobody") is None


async def test_stock_tells_who_holds_it(shop: Shop) -> None:
    views = StockViews(shop.database)
    (near,) = (await views.levels(location=shop.near)).levels
    assert (near.on_hand, near.reserved, near.title) == (100, 14, "Mug")
    assert near.held_by == tuple(Holder(order_id=f"o{day}", quantity=2) for day in range(7))
    assert (await views.levels(seller=shop.seller, search="MU", location=shop.near)).levels == (near,)
    assert (await views.levels(seller=shop.seller, search="100%")).levels == ()


async def test_levels_and_movements_come_in_pages(shop: Shop) -> None:
    views, seen, after = StockViews(shop.database), [], None
    while True:
        page = await views.levels(seller=shop.seller, after=after, limit=1)
        seen += [level.location for level in page.levels]
        if (after := page.next) is None:
            break
    assert sorted(seen) == sorted((shop.near, shop.far, shop.network))
    newest = await views.movements(shop.seller, sku="mug", limit=3)
    assert [(m.order_id, m.reserved_delta) for m in newest] == [("o6", 2), ("o5", 2), ("o4", 2)]
    assert (await views.movements(shop.seller, before=newest[-1].at, limit=1))[0].order_id == "o3"
    assert await views.movements("somebody-else") == ()
