"""What the seller's pages read: its own parts only, page by page."""

from datetime import UTC, datetime, timedelta

from store.views.sellers import OrderParts, SellerViews
from tests.shop import Shop, line


async def test_orders_of_a_seller_follow_each_other_without_gap_or_copy(shop: Shop) -> None:
    mug, lamp = await shop.lists(20, title="Mug"), await shop.lists(20, seller="birch", title="Lamp")
    now = datetime.now(UTC)
    placed = []
    for number, lines in enumerate(
        ([line(mug, 1)], [line(lamp, 1, "birch")], [line(mug, 1), line(lamp, 2, "birch")], [line(mug, 3)])
    ):
        origin = (now - timedelta(hours=10 - number)).isoformat()
        placed.append(await shop.placed(*lines, clock={"origin": origin}))
    views, after = SellerViews(shop.database), None
    seen: list[OrderParts] = []
    while True:
        page = await views.orders("acme", after=after, limit=2)
        seen += page.orders
        if (after := page.next) is None:
            break
    assert [order.order_id for order in seen] == [placed[3], placed[2], placed[0]]
    assert [part.fulfillment_id for order in seen for part in order.parts] == ["acme-1"] * 3
    assert (await views.orders("acme", after=placed[1])).orders == ()
    assert (await views.orders("nobody")).orders == ()

    parts = [(order_id, part) for order_id in placed for part in ("acme-1", "birch-1")]
    items = await views.items("acme", parts)
    assert {key: [(item.title, item.quantity) for item in own] for key, own in items.items()} == {
        (placed[0], "acme-1"): [("Mug", 1)],
        (placed[2], "acme-1"): [("Mug", 1)],
        (placed[3], "acme-1"): [("Mug", 3)],
    }
    assert await views.items("acme", []) == {}


async def test_an_order_is_found_among_the_seller_s_own_only(shop: Shop) -> None:
    order_id = await shop.placed(line(await shop.lists(), 1), line(await shop.lists(seller="birch"), 1, "birch"))
    await shop.packs(order_id)
    await shop.ships(order_id, carrier="local courier", tracking_number="LC 7 a")
    await shop.until(order_id, lambda status: status.money.captured > 0)
    views = SellerViews(shop.database)
    for text in (order_id, f" {order_id} ", "lc7A", "LC 7 A"):
        assert [order.order_id for order in await views.find("acme", text)] == [order_id], text
    assert [part.fulfillment_id for order in await views.find("acme", order_id) for part in order.parts] == ["acme-1"]
    assert await views.find("birch", "lc7a") == ()
    assert await views.find("acme", order_id[:-1]) == ()


async def test_a_seller_has_a_time_zone_and_places(shop: Shop) -> None:
    profile = await SellerViews(shop.database).profile("acme")
    assert (profile.name, profile.time_zone) == ("Acme", "UTC")
    assert profile.countries == {"ACME-1": None, "ACME-2": None}
