"""Recorded orders played on a real server: of our own files, and a dozen real ones where they are there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from localstack.stack import Stack
from store.identities import violations
from tests.data import data_folder
from tests.shop import Shop, open_shop
from tests.usecases.test_olist import ITEM, ORDER, PAYMENT, Row, folder_with
from usecases.errors import OrderConflict, Refused
from usecases.olist import OlistOrder, read_olist
from usecases.replay import Progress
from usecases.replay_report import ReplayReport
from usecases.replaying import replay_folder, replay_orders


@pytest.fixture
async def typed(stack: Stack, client: Client, fresh_database: Callable[[], str]) -> AsyncIterator[Shop]:
    """A shop whose sellers type the numbers: no carrier of the worker's own scans anything."""
    async with open_shop(stack, client, fresh_database(), carrier="manual") as shop:
        yield shop


def local(**after: float) -> Row:
    """The columns of an order's dates, so many hours after its purchase."""
    purchase = datetime(2018, 7, 24, 12)
    columns = {
        "approved": "order_approved_at",
        "handed": "order_delivered_carrier_date",
        "delivered": "order_delivered_customer_date",
    }
    dates = dict.fromkeys(columns.values(), "")
    dates |= {columns[name]: str(purchase + timedelta(hours=hours)) for name, hours in after.items()}
    return dates | {"order_purchase_timestamp": str(purchase), "order_estimated_delivery_date": "2018-07-26 00:00:00"}


ORDERS = {
    "plain": {"order_status": "delivered", **local(approved=0.2, handed=12, delivered=36)},
    "paid-later": {"order_status": "delivered", **local(approved=10, handed=20, delivered=30)},
    "late": {"order_status": "delivered", **local(approved=0.2, handed=40, delivered=70)},
    "before-approval": {"order_status": "delivered", **local(approved=30, handed=12, delivered=36)},
    "before-purchase": {"order_status": "delivered", **local(approved=0.2, handed=-5, delivered=20)},
    "two-sellers": {"order_status": "delivered", **local(approved=0.2, handed=14, delivered=28)},
    "no-items": {"order_status": "unavailable", **local(approved=0.2)},
    "on-its-way": {"order_status": "shipped", **local(approved=0.2, handed=12)},
    "waiting": {"order_status": "invoiced", **local(approved=0.2)},
    "unpaid": {"order_status": "created", **local()},
    "canceled": {"order_status": "canceled", **local(approved=8)},
    "too-late": {"order_status": "canceled", **local(approved=0.2, handed=12)},
    "yet-delivered": {"order_status": "canceled", **local(approved=0.2, handed=12, delivered=30)},
}
LIMIT = {"shipping_limit_date": "2018-07-25 23:00:00"}


def our_folder(path: Path) -> None:
    items = [ITEM | LIMIT | {"order_id": order_id} for order_id in ORDERS if order_id != "no-items"]
    items.append(ITEM | LIMIT | {"order_id": "two-sellers", "order_item_id": "2", "seller_id": "s2"})
    paid = dict.fromkeys(ORDERS, "13.83") | {"two-sellers": "28.00"}
    folder_with(
        path,
        orders=[ORDER | columns | {"order_id": order_id} for order_id, columns in ORDERS.items()],
        order_items=items,
        order_payments=[PAYMENT | {"order_id": order_id, "payment_value": value} for order_id, value in paid.items()],
    )


def one_order(path: Path, order_id: str, **columns: str) -> None:
    """Order ids are workflow ids: those of this file's tests must differ."""
    folder_with(
        path,
        orders=[ORDER | columns | {"order_id": order_id}],
        order_items=[ITEM | LIMIT | {"order_id": order_id}],
        order_payments=[PAYMENT | {"order_id": order_id}],
    )


def about(report: ReplayReport) -> dict[str, set[str]]:
    """Order id to what differs, explained by a rule; an alarm is a matter of the machine's speed."""
    assert all(one.rule is not None for one in report.differences), report.differences
    found: dict[str, set[str]] = {}
    for one in report.differences:
        if one.about not in ("ship_by_missed", "delayed"):
            found.setdefault(one.order_id, set()).add(one.about)
    return found


async def test_every_kind_of_order_ends_as_its_rule_says_and_playing_it_again_changes_nothing(
    typed: Shop, tmp_path: Path
) -> None:
    our_folder(tmp_path)
    with pytest.raises(TimeoutError):  # cut off in mid-order
        async with asyncio.timeout(6):
            await replay_folder(typed.orders, typed.database, tmp_path)
    seen: list[Progress] = []
    report = await replay_folder(typed.orders, typed.database, tmp_path, told=seen.append)
    assert report.ok, (report.differences, report.refused, report.violations)
    assert about(report) == {
        "before-approval": {"approved"},
        "before-purchase": {"handed", "approved"},
        "no-items": {"status"},
        "too-late": {"status"},
        "yet-delivered": {"status"},
    }
    assert report.actual == {
        "(no order)": 1,
        "Canceled": 1,
        "Delivered": 7,
        "Pending": 1,
        "Shipped": 2,
        "Unshipped": 1,
    }
    assert (report.handed_over_late, report.delivered_late) == (1, 1)
    assert report.lag_answered is not None
    assert report.lag_answered.seconds >= 0
    assert (seen[-1].started, seen[-1].made) == (12, seen[-1].moves)

    again = await replay_folder(typed.orders, typed.database, tmp_path)
    assert again.ok, (again.differences, again.refused)
    assert again.ends == report.ends
    assert await violations(typed.database) == []


async def test_another_speed_is_another_order(typed: Shop, tmp_path: Path) -> None:
    one_order(tmp_path, "other-speed", **ORDERS["waiting"])
    await replay_folder(typed.orders, typed.database, tmp_path)
    with pytest.raises(OrderConflict):
        await replay_folder(typed.orders, typed.database, tmp_path, factor=4320)


async def test_a_carrier_that_scans_the_parcels_as_well_stops_the_replay(typed: Shop, tmp_path: Path) -> None:
    one_order(tmp_path, "scanned", order_status="shipped", **local(approved=0.2, handed=1))
    assert (await replay_folder(typed.orders, typed.database, tmp_path)).ok
    (fulfillment,) = (await typed.status("scanned")).fulfillments
    (parcel,) = fulfillment.parcels
    await typed.carrier_says("scanned", "in_transit", parcel.parcel_id)
    assert "carrier_event" in await typed.timeline("scanned")
    await typed.until("scanned", lambda status: status.fulfillments[0].parcels[0].status == "in_transit")
    with pytest.raises(Refused, match="OPENORDERS_CARRIER=manual"):
        for _ in range(20):  # its row may be a moment behind
            await replay_folder(typed.orders, typed.database, tmp_path)


@pytest.mark.data
@pytest.mark.slow
async def test_a_dozen_real_orders_end_as_they_did(typed: Shop) -> None:
    """The shortest of each rule, over both folders."""
    folders = [read_olist(data_folder() / "olist" / name, 8640) for name in ("ordinary", "troubled")]
    for folder in folders:
        assert await typed.inventory.load(folder.catalog) is None
    chosen = [order for folder in folders for order in _shortest_of_each_rule(folder.orders)]
    assert len(chosen) >= 12
    report = await replay_orders(typed.orders, typed.database, chosen, folder="a dozen")
    assert report.ok, (report.differences, report.refused, report.violations)
    assert report.actual == report.expected


def _shortest_of_each_rule(orders: tuple[OlistOrder, ...]) -> list[OlistOrder]:
    shortest: dict[str, OlistOrder] = {}
    for order in sorted(orders, key=_days):
        shortest.setdefault(order.expected.rule, order)
    return [order for order in shortest.values() if _days(order) < 7]


def _days(order: OlistOrder) -> float:
    if order.recorded is None or not order.events:
        return 0.0
    return (order.events[-1].at - order.recorded.purchased_at) / timedelta(days=1)
