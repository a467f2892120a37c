"""Insights of real orders: equal to what is counted straight from their files by `tests/web/olist_counts.py`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

import pytest

from domain.deadlines import apply_due
from domain.decoding import Refusal, decode
from domain.insights_reports import Report, ReportName
from domain.placing import PlaceOrder, body_hash
from domain.requests import Allocation, RecordOrder
from domain.units import Place
from store.database import Database
from store.insights.reading import InsightViews
from store.insights.refreshing import Refreshing
from store.inventory import Inventory
from store.orders import Orders
from tests.data import data_folder
from tests.domain.building import Luck, Refused, Shelf, Story, World
from tests.web.olist_counts import counts_of, differences
from usecases.insights import Insights, Question
from usecases.insights_refresher import bring_up_to_date
from usecases.olist import ZONE, OlistFolder, OlistOrder, read_olist

pytestmark = pytest.mark.data

COMPARED = (
    ReportName.ORDER_STATUSES,
    ReportName.HANDOFFS,
    ReportName.DELIVERIES,
    ReportName.SELLERS,
    ReportName.PRODUCTS,
)


class _PromisedWorld(World):
    """Each order has the dates that it was promised at sale; of what was unavailable there is nothing."""

    def __init__(self, order: PlaceOrder) -> None:
        goods = {(line.seller, line.sku, line.channel) for line in order.lines}
        super().__init__(
            [
                Shelf(f"{seller}-1", seller, sku, 0 if sku.endswith("-unavailable") else 10_000, channel)
                for seller, sku, channel in sorted(goods)
            ]
        )
        self._order = order

    def _promised(self, line_id: str, location: str, quantity: int) -> Allocation:
        ship_by, deliver_by = self._order.promised_ship_by, self._order.promised_by
        assert ship_by is not None
        assert deliver_by is not None
        return Allocation(line_id=line_id, location=location, quantity=quantity, ship_by=ship_by, deliver_by=deliver_by)


def _order(olist: OlistOrder) -> PlaceOrder:
    assert olist.body is not None
    order = decode(PlaceOrder, (olist.body,))
    assert not isinstance(order, Refusal), order.reason
    return order


async def _play(database: Database, olist: OlistOrder) -> None:
    """What a replay leaves of it, by the same rules and without the days in between."""
    order = _order(olist)
    origin = order.clock.origin
    assert origin is not None
    world = _PromisedWorld(order)
    if not any(event.what == "approved" for event in olist.events):
        world.luck = Luck(declined=frozenset(str(number) for number in range(1, len(order.payments) + 1)))
    told = Story(order, world, origin)
    store = Orders(database)
    await store.record_order(RecordOrder(order=order, body_hash=body_hash(order), first_run_id="run", placed_at=origin))
    await store.save(told.save())
    told.settle()
    for event in olist.events:
        _until(told, event.at)
        match event.what:
            case "handed":
                _hand_over(told, olist.order_id, event.at)
            case "delivered":
                for parcel in told.state.parcels:
                    told.carrier_says("delivered", parcel.parcel_id, occurred_at=event.at)
            case "canceled":
                with suppress(Refused):  # once the parcel is on its way
                    told.send("cancel", by="customer", reason="canceled in the files")
                told.settle()
    if olist.recorded is not None and olist.recorded.status == "unavailable":
        told.later(days=60)
    await store.save(told.save())


def _until(told: Story, moment: datetime) -> None:
    told.now = max(told.now, moment)
    told.state = apply_due(told.state, told.now)
    told.settle()


def _hand_over(told: Story, order_id: str, moment: datetime) -> None:
    for fulfillment in told.state.fulfillments:
        fulfillment_id = fulfillment.fulfillment_id
        if any(u.spot.fulfillment_id == fulfillment_id and u.spot.place is Place.RESERVED for u in told.state.units):
            told.pack(fulfillment_id)
            told.ship(fulfillment_id, f"OL-{order_id[:12]}-{fulfillment_id[-8:]}", occurred_at=moment)


@pytest.fixture(params=["ordinary", "troubled"])
def folder(request: pytest.FixtureRequest) -> Path:
    return data_folder() / "olist" / str(request.param)


@pytest.fixture
async def database(fresh_database: Callable[[], str], folder: Path) -> AsyncIterator[Database]:
    database = Database(fresh_database(), pool_size=10)
    olist: OlistFolder = await asyncio.to_thread(read_olist, folder)
    assert await Inventory(database).load(olist.catalog) is None
    for order in olist.orders:
        if order.reason is None:
            await _play(database, order)
    await bring_up_to_date(Refreshing(database, ZONE.key))
    yield database
    await database.close()


async def test_reports_say_what_the_files_do(database: Database, folder: Path) -> None:
    counts = counts_of(folder)
    assert sum(counts["order_statuses"].values()) >= 300
    insights = Insights(InsightViews(database), ZONE.key)
    for name in COMPARED:
        always = Question(first=date(2016, 1, 1), last=date(2019, 12, 31), limit=10_000)
        report: Report = await insights.report(name, always)
        assert report.up_to_date
        assert not report.more
        assert report.time_zone == ZONE.key
        assert differences(counts, report.model_dump(mode="json")) == []


def test_a_difference_is_found() -> None:
    """A comparison that cannot fail would prove nothing."""
    counts = counts_of(data_folder() / "olist" / "ordinary")
    report = {"report": "order_statuses", "rows": [{"status": "Delivered", "orders": 1}]}
    assert any("Delivered" in one for one in differences(counts, report))
    assert differences(counts, {"report": "handoffs", "rows": [{"late": counts["late_handoffs"] + 1}]}) != []
    assert differences(counts, {"report": "products", "rows": []}) != []
