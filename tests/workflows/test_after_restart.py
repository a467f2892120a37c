"""An order whose clock is told wrong for a moment, as the SDK does after a restart: it goes the way of its events."""

from datetime import datetime, timedelta

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from domain.results import TimelineView
from tests.shop import Shop, line
from workflows.open_order import OpenOrder
from workflows.order import OrderWorkflow

ORIGIN = datetime.fromisoformat("2026-03-10T12:00:00Z")
HOUR = timedelta(hours=1)


async def test_a_timer_that_is_told_of_at_an_earlier_time_is_due_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen with a worker that was killed: a query brought the order back just when its timer fired, and the SDK told
    of the timer at the time of the last local activity. The order set the same timer again; no replay would do that.
    """
    by_the_clock = vars(OpenOrder)["_by_the_clock"].fget
    rings: list[str] = []

    def told_wrong(order: OpenOrder) -> datetime:
        if order._alarm is not None and order._alarm.rang and order.state.order_id == order_id:
            rings.append(order._alarm.what)
            return ORIGIN + HOUR
        moment: datetime = by_the_clock(order)
        return moment

    body = shop.body(
        line(await shop.lists()),
        clock={"origin": ORIGIN.isoformat(), "factor": 4320},
        promised_ship_by=(ORIGIN + 24 * HOUR).isoformat(),
        promised_by=(ORIGIN + 60 * 24 * HOUR).isoformat(),
    )
    order_id = body["order_id"]
    with monkeypatch.context() as patch:
        patch.setattr(OpenOrder, "_by_the_clock", property(told_wrong))
        await shop.place(body)
        await shop.until(order_id, lambda status: "late" in status.attention)
        await shop.packs(order_id)
    assert {"ship_by_warning", "ship_by"} <= set(rings)
    timeline = await shop.orders.query(order_id, "timeline")
    assert isinstance(timeline, TimelineView)
    (missed,) = (entry for entry in timeline.entries if entry.what == "ship_by_missed")
    assert missed.received_at >= ORIGIN + 24 * HOUR
    history = await shop.handle(order_id).fetch_history()
    await Replayer(workflows=[OrderWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)
