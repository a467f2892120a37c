"""Recording, saving and closing an order."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from domain.changes import whole_progress
from domain.placement import placed
from domain.placing import Channel
from domain.progress import FulfillmentRow, OrderRow
from domain.requests import RowsAhead
from domain.results import OrderResult
from domain.units import Place, Spot, Units
from store.database import Database
from store.views.order import OrderViews
from tests.store.shop import NOON, Shop, items_of, progress_of, rows, units

RESULT = '{"status": "Delivered"}'


@pytest.fixture(scope="module")
async def shop(database: Database) -> Shop:
    return await Shop(database, near=100).open()


# -- recording -----------------------------------------------------------------------


async def test_a_new_order_gets_its_titles_and_promises(shop: Shop) -> None:
    order = shop.order(2, 1)
    recorded = await shop.place(order)
    assert recorded.verdict == "new"
    assert [(line.line_id, line.title) for line in recorded.lines] == [("l1", "Mug"), ("l2", "Mug")]
    assert NOON < recorded.lines[0].ship_by < recorded.lines[0].earliest_delivery < recorded.lines[0].deliver_by


async def test_a_new_order_is_written_as_its_workflow_believes_it_is(shop: Shop) -> None:
    """The workflow saves only what has changed since."""
    order = shop.order(2, 1)
    recorded = await shop.place(order)
    believed = whole_progress(placed(order, recorded.lines, NOON, NOON), NOON)
    detail = await OrderViews(shop.database).order(order.order_id)
    assert detail is not None
    assert believed.order == OrderRow.model_validate(
        {**dict(detail.order), "unpaid": detail.unpaid, "goodwill": detail.goodwill}
    )
    assert believed.entries == detail.timeline
    assert [(u.line_id, u.spot.place, u.quantity) for u in believed.units] == [
        (u.line_id, u.place, u.quantity) for u in detail.units
    ]
    assert not any((believed.fulfillments, believed.parcels, believed.mails, believed.follow, believed.line_money))


async def test_dates_that_were_promised_already_stand(shop: Shop) -> None:
    by = NOON + timedelta(days=2)
    order = shop.order(1).model_copy(update={"promised_ship_by": NOON, "promised_by": by})
    recorded = await shop.place(order)
    assert (recorded.lines[0].ship_by, recorded.lines[0].deliver_by) == (NOON, by)
    (allocation,) = (await shop.reserve(order)).allocations
    assert (allocation.ship_by, allocation.deliver_by) == (NOON, by)


async def test_the_same_run_again_is_new_again_with_the_same_answer(shop: Shop) -> None:
    order = shop.order(1)
    first = await shop.place(order)
    again = await shop.place(order, at=NOON + timedelta(days=3))
    assert again == first


async def test_the_same_order_of_another_run_gets_the_result(shop: Shop) -> None:
    order = await shop.placed(2)
    again = await shop.place(order, run="run-2")
    assert (again.verdict, again.first_run_id) == ("same", "run-1")
    assert OrderResult.model_validate_json(again.result or "").status == "Pending"
    await shop.orders.close(progress_of(order, 1, order={"status": "Delivered", "closed": True}), RESULT)
    again = await shop.place(order, run="run-2")
    assert json.loads(again.result or "") == json.loads(RESULT)


async def test_another_body_is_a_conflict(shop: Shop) -> None:
    order = await shop.placed(1)
    other = shop.order(2, order_id=order.order_id)
    assert (await shop.place(other, run="run-2")).verdict == "conflict"
    assert (await shop.place(other)).verdict == "conflict"
    assert await rows(shop.database, "SELECT quantity FROM order_lines WHERE order_id = :id", id=order.order_id) == [
        (1,)
    ]


async def test_unknown_skus_are_named_and_nothing_is_kept(shop: Shop) -> None:
    order = shop.order(1, 1)
    stranger = order.lines[1].model_copy(update={"sku": "unheard-of"})
    order = order.model_copy(update={"lines": (order.lines[0], stranger)})
    recorded = await shop.place(order)
    assert recorded.verdict == "unknown_sku"
    assert recorded.unknown == ((1, "unheard-of", shop.seller),)
    for table in ("orders", "order_contacts", "order_lines", "payments"):
        assert await rows(shop.database, f"SELECT * FROM {table} WHERE order_id = :id", id=order.order_id) == []


async def test_a_seller_without_a_location_of_the_channel_sells_nothing_there(
    new_database: Callable[[], str],
) -> None:
    database = Database(new_database())
    shop = Shop(database)
    catalog = shop.catalog()
    own = tuple(place for place in catalog.locations if place.seller)
    await shop.inventory.load(catalog.model_copy(update={"locations": own, "stock": ()}))
    assert (await shop.place(shop.order(1, channel=Channel.FBM))).verdict == "new"
    assert (await shop.place(shop.order(1, channel=Channel.FBA))).verdict == "unknown_sku"
    await database.close()


async def test_of_many_runs_at_once_one_is_new(shop: Shop) -> None:
    order = shop.order(1)
    answers = await asyncio.gather(*(shop.place(order, run=f"run-{n}") for n in range(20)))
    assert sorted(answer.verdict for answer in answers) == ["new", *["same"] * 19]


async def test_an_address_is_changed_once_per_key(shop: Shop) -> None:
    order = await shop.placed(1)
    first, second = (order.ship_to.model_copy(update={"line1": f"Elsewhere {n}"}) for n in (1, 2))
    await shop.orders.change_address(order.order_id, f"{order.order_id}:address:1", first, (), None)
    await shop.orders.change_address(order.order_id, f"{order.order_id}:address:2", second, ("acme-1",), None)
    await shop.orders.change_address(order.order_id, f"{order.order_id}:address:1", first, (), None)
    assert await shop.orders.address(order.order_id) == second
    assert await shop.orders.address("nobody") is None


# -- saving --------------------------------------------------------------------------


def _entry(seq: int, summary: str = "") -> dict[str, object]:
    moments = {"occurred_at": NOON, "received_at": NOON}
    return {"seq": seq, **moments, "who": "seller", "what": "packed", "summary": summary}


async def _status(shop: Shop, order_id: str) -> tuple[object, ...]:
    (row,) = await rows(shop.database, "SELECT status, version FROM orders WHERE order_id = :id", id=order_id)
    return row


async def test_an_older_write_never_overwrites_a_newer_one(shop: Shop) -> None:
    order = await shop.placed(3)
    older = progress_of(
        order, 1, order={"status": "Pending"}, units=(units("l1", Place.PENDING, 3),), entries=(_entry(1, "older"),)
    )
    newer = progress_of(
        order,
        2,
        order={"status": "Unshipped"},
        units=(units("l1", Place.PENDING, 0), units("l1", Place.RESERVED, 3, "f")),
        entries=(_entry(1, "newer"),),
    )
    await shop.orders.save(newer)
    with pytest.raises(RowsAhead) as ahead:
        await shop.orders.save(older)
    assert ahead.value.version == 2
    assert await _status(shop, order.order_id) == ("Unshipped", 2)
    of_order = {"id": order.order_id}
    assert await rows(
        shop.database, "SELECT place FROM order_units WHERE quantity > 0 AND order_id = :id", **of_order
    ) == [("reserved",)]
    assert await rows(shop.database, "SELECT summary FROM timeline WHERE order_id = :id", **of_order) == [("newer",)]


async def test_all_rows_written_twice_are_written_once_and_another_step_of_that_version_is_not(shop: Shop) -> None:
    order = await shop.placed(1)
    whole = progress_of(order, 4, whole=True, order={"status": "Shipped"}, entries=(_entry(1),))
    for _ in range(2):
        await shop.orders.save(whole)
    other = whole.model_copy(update={"at": NOON + timedelta(seconds=1), "order": OrderRow(status="Canceled")})
    with pytest.raises(RowsAhead):
        await shop.orders.save(other)
    assert await _status(shop, order.order_id) == ("Shipped", 4)


async def test_an_end_that_is_forgotten_leaves_no_result(shop: Shop) -> None:
    order = await shop.placed(1)
    await shop.orders.close(progress_of(order, 1, order={"status": "Delivered", "closed": True}), RESULT)
    await shop.orders.save(progress_of(order, 2, whole=True, order={"status": "Shipped"}, entries=(_entry(1),)))
    known = await shop.orders.known_order(order.order_id)
    assert known is not None
    assert known.result is None


async def _rows_of(shop: Shop, order_id: str) -> dict[str, list[tuple[object, ...]]]:
    queries = {
        "units": "SELECT place, parcel_id, quantity FROM order_units WHERE order_id = :id AND quantity > 0",
        "parcels": "SELECT parcel_id FROM parcels WHERE order_id = :id",
        "fulfillments": "SELECT fulfillment_id FROM fulfillments WHERE order_id = :id",
        "lines": "SELECT line_id FROM order_lines WHERE order_id = :id ORDER BY line_id",
        "money": "SELECT line_id, captured FROM line_money WHERE order_id = :id",
        "timeline": "SELECT seq, summary FROM timeline WHERE order_id = :id ORDER BY seq",
    }
    return {name: await rows(shop.database, query, id=order_id) for name, query in queries.items()}


async def test_what_a_forgotten_step_wrote_goes_when_the_order_writes_all_its_rows(shop: Shop) -> None:
    """A worker packed and bought a substitute, died of it, and the customer cancelled before the next one looked."""
    order = await shop.placed(3)
    reserved = units("l1", Place.RESERVED, 3, "f1")
    await shop.orders.save(
        progress_of(
            order,
            1,
            units=(units("l1", Place.PENDING, 0), reserved),
            fulfillments=(_fulfillment("f1"),),
            entries=(_entry(2, "reserved"),),
        )
    )
    before = await _rows_of(shop, order.order_id)
    in_parcel = Units(line_id="l1", spot=Spot(place=Place.PACKED, fulfillment_id="f1", parcel_id="f1-p1"), quantity=3)
    forgotten = progress_of(
        order,
        2,
        order={"status": "Unshipped"},
        units=(units("l1", Place.RESERVED, 0, "f1"), in_parcel),
        fulfillments=(_fulfillment("f2"),),
        parcels=({"parcel_id": "f1-p1", "fulfillment_id": "f1", "stage": "packed"},),
        lines=(_substitute("l1-s1"),),
        line_money=({"line_id": "l1", "captured": 5},),
        entries=(_entry(3, "packed"), _entry(4, "and more")),
    )
    await shop.orders.save(forgotten)
    assert await _rows_of(shop, order.order_id) != before
    cancelled = units("l1", Place.CANCELLED, 3)
    known = progress_of(order, 2, order={"status": "Canceled"}, units=(cancelled,), entries=(_entry(3, "cancelled"),))
    with pytest.raises(RowsAhead):
        await shop.orders.save(known)
    whole = known.model_copy(
        update={"version": 3, "whole": True, "fulfillments": (FulfillmentRow.model_validate(_fulfillment("f1")),)}
    )
    for _ in range(2):  # the answer of the first may be lost
        await shop.orders.save(whole)
        assert await _status(shop, order.order_id) == ("Canceled", 3)
        assert await _rows_of(shop, order.order_id) == {
            "units": [("cancelled", "", 3)],
            "parcels": [],
            "fulfillments": [("f1",)],
            "lines": [("l1",)],
            "money": [],
            "timeline": [(1, before["timeline"][0][1]), (2, "reserved"), (3, "cancelled")],
        }


def _fulfillment(fulfillment_id: str) -> dict[str, object]:
    named = {"fulfillment_id": fulfillment_id, "seller": "acme", "location": "acme-1", "channel": "FBM"}
    return {**named, "ship_by": NOON, "deliver_by": NOON, "status": "Unshipped"}


def _substitute(line_id: str) -> dict[str, object]:
    named = {"line_id": line_id, "sku": "cup", "title": "Cup", "seller": "acme", "channel": "FBM", "replaces": "l1"}
    return {**named, "quantity": 1, "unit_price": 1, "total": 1}


async def test_mails_and_parcels_to_follow_go_out_once(shop: Shop) -> None:
    order = await shop.placed(1)
    mail = {
        "key": f"{order.order_id}:cancelled",
        "order_id": order.order_id,
        "template": "cancelled",
        "lines": (),
        "by": "customer",
    }
    follow = {
        "parcel_id": "p1",
        "fulfillment_id": "f",
        "carrier": "UPS",
        "tracking_number": "1Z",
        "method": "Standard",
        "shipped_at": NOON,
        "deliver_by": NOON,
        "factor": 1,
    }
    for version in (1, 2):
        await shop.orders.save(progress_of(order, version, mails=(mail,), follow=(follow,)))
    assert await rows(
        shop.database, "SELECT kind, key FROM outbox WHERE order_id = :id ORDER BY id", id=order.order_id
    ) == [("mail", f"{order.order_id}:cancelled"), ("follow", f"{order.order_id}:follow:p1:1Z")]


async def test_a_mail_sent_again_is_a_mail_of_its_own(shop: Shop) -> None:
    order = await shop.placed(1)
    key = f"{order.order_id}:cancelled"
    mail = {"key": key, "order_id": order.order_id, "template": "cancelled", "lines": (), "by": "customer"}
    await shop.orders.save(progress_of(order, 1, mails=(mail,)))
    for _ in range(2):
        assert await shop.orders.resend_mail(order.order_id, f"{key}:again", key, None)
    assert not await shop.orders.resend_mail(order.order_id, "x", "never written", None)
    assert await rows(
        shop.database, "SELECT key, body->>'key' FROM outbox WHERE order_id = :id ORDER BY id", id=order.order_id
    ) == [(key, key), (f"{key}:again", f"{key}:again")]


async def test_a_result_outlives_later_writes(shop: Shop) -> None:
    order = await shop.placed(1)
    await shop.orders.close(progress_of(order, 5, order={"status": "Delivered", "closed": True}), RESULT)
    await shop.orders.save(progress_of(order, 6, order={"status": "Delivered", "closed": True}))
    (row,) = await rows(shop.database, "SELECT closed, result FROM orders WHERE order_id = :id", id=order.order_id)
    assert row == (True, json.loads(RESULT))


async def test_progress_is_saved_with_the_stock_it_belongs_to_or_not_at_all(shop: Shop) -> None:
    order = await shop.placed(1)
    found = await shop.reserve(order)
    progress = progress_of(order, 1, order={"status": "Shipped"})
    wrong = tuple(item.model_copy(update={"quantity": 7}) for item in items_of(order, found.allocations))
    with pytest.raises(IntegrityError, match="ck_"):
        await shop.stock.hand_over(order.order_id, f"{order.order_id}:hand_over", wrong, progress)
    assert await _status(shop, order.order_id) == ("Pending", 0)
