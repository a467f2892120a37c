"""What became of an order, held against the files: which differences there are, and which rule explains each."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from store.standings import Heard, Standing
from tests.usecases.test_olist import ITEM, ORDER, PAYMENT, Row, folder_with, one
from usecases.olist import OlistOrder
from usecases.replay import Lag, Turndown, moves_of, planned, start_body
from usecases.replay_report import Difference, differences, end_of, is_as_expected, report_on

HANDED = datetime(2018, 7, 26, 17, 31, tzinfo=UTC)
SHIP_BY = datetime(2018, 7, 30, 6, 24, 27, tzinfo=UTC)
DELIVERED = datetime(2018, 8, 7, 18, 27, 45, tzinfo=UTC)
HOUR = timedelta(hours=1)
DATES = ("order_approved_at", "order_delivered_carrier_date", "order_delivered_customer_date")


def order_like(path: Path, **columns: str) -> OlistOrder:
    return one(path, orders=[ORDER | columns])


def without(*columns: str) -> Row:
    return dict.fromkeys(columns, "")


def standing(**changes: Any) -> Standing:
    """Of an order that went as `ORDER` says."""
    whole: dict[str, Any] = {
        "order_id": "o1",
        "status": "Delivered",
        "closed": True,
        "factor": 8640.0,
        "total": 1383,
        "unpaid": 0,
        "units": {"delivered": 1},
        "authorized": 1383,
        "captured": 1383,
        "refunded": 0,
        "voided": 0,
        "handed_over_at": HANDED,
        "handed_over_late": False,
        "delivered_at": DELIVERED,
        "delivered_late": False,
        "presumed_delivered": False,
        "heard": (heard("handed_over", HANDED), heard("delivered", DELIVERED)),
    }
    return Standing.model_validate(whole | changes)


def heard(what: str, occurred_at: datetime, after: timedelta = HOUR, who: str = "carrier/olist") -> Heard:
    return Heard(what=what, who=who, occurred_at=occurred_at, received_at=occurred_at + after)


def found(
    order: OlistOrder, actual: Standing | None, largest_lag: Lag | None = None
) -> list[tuple[str, str, str, str | None]]:
    return [(one.about, one.files, one.engine, one.rule) for one in differences(order, actual, largest_lag)]


def shipped(**changes: Any) -> Standing:
    open_still = {"status": "Shipped", "closed": False, "units": {"shipped": 1}, "delivered_at": None}
    return standing(**open_still, heard=(heard("handed_over", HANDED),), **changes)


def test_an_order_that_went_as_recorded_does_not_differ(tmp_path: Path) -> None:
    order = order_like(tmp_path)
    assert found(order, standing()) == []
    assert is_as_expected(order, standing())


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"status": "Shipped"}, "status"),
        ({"closed": False}, "status"),
        ({"units": {"delivered": 2}}, "units"),
        ({"units": {"shipped": 1}}, "units"),
        ({"captured": 1382}, "money"),
        ({"refunded": 1}, "money"),
        ({"voided": 1}, "money"),
        ({"unpaid": 1}, "total"),
        ({"total": 1384}, "total"),
        ({"handed_over_at": HANDED + HOUR}, "handed"),
        ({"delivered_at": None}, "delivered"),
        ({"presumed_delivered": True}, "delivered"),
        ({"handed_over_late": True}, "handed late"),
        ({"delivered_late": True}, "delivered late"),
        ({"heard": (heard("ship_by_missed", SHIP_BY),)}, "ship_by_missed"),
        ({"heard": (heard("carrier_event", HANDED, who="carrier"),)}, "scans"),
    ],
)
def test_whatever_went_otherwise_has_no_rule_and_is_no_end(tmp_path: Path, changes: Any, about: str) -> None:
    order = order_like(tmp_path)
    assert [(one[0], one[3]) for one in found(order, standing(**changes))] == [(about, None)]
    assert not is_as_expected(order, standing(**changes))


def test_an_order_that_was_never_recorded_differs_without_a_rule(tmp_path: Path) -> None:
    assert found(order_like(tmp_path), None) == [("status", "delivered", "was never recorded", None)]


def test_what_cannot_be_an_order_must_not_be_one(tmp_path: Path) -> None:
    order = one(tmp_path, order_items=[])
    assert found(order, None) == [("status", "delivered", "(no order)", "no items: refused")]
    assert [one[3] for one in found(order, standing())] == [None]


def test_a_cancellation_after_handoff_comes_too_late(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_status="canceled", order_delivered_customer_date="")
    rule = "canceled after handoff: too late, the parcel is on its way"
    assert found(order, shipped()) == [("status", "canceled", "Shipped", rule)]
    cancelled = standing(status="Canceled", units={"cancelled": 1}, captured=0, voided=1383)
    assert found(order, cancelled)[0] == ("status", "Shipped, open", "Canceled, closed", None)


@pytest.mark.parametrize("approved", [True, False])
def test_a_cancelled_order_gives_back_what_was_authorized(tmp_path: Path, approved: bool) -> None:
    order = order_like(tmp_path, order_status="canceled", **without(*DATES[approved:]))
    held = 1383 if approved else 0
    gone = {"status": "Canceled", "units": {"cancelled": 1}, "captured": 0, "handed_over_at": None}
    actual = standing(**gone, delivered_at=None, heard=(), authorized=held, voided=held)
    assert found(order, actual) == []


def test_an_order_that_nobody_handed_over_holds_its_money_and_stock(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_status="invoiced", **without(*DATES[1:]))
    waiting = {"status": "Unshipped", "closed": False, "units": {"reserved": 1}, "captured": 0}
    late = (heard("ship_by_missed", SHIP_BY),)
    assert found(order, standing(**waiting, handed_over_at=None, delivered_at=None, heard=late)) == []


# -- dirty dates ---------------------------------------------------------------------------


def test_handed_over_before_its_approval_it_is_paid_with_the_handoff(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_approved_at="2018-07-29 00:00:00")
    assert [event.what for event in order.events] == ["approved", "handed", "delivered"]
    assert found(order, standing()) == [
        (
            *("approved", "2018-07-29T03:00:00+00:00", "2018-07-26T17:31:00+00:00"),
            "handed over before its approval: approved with the handoff",
        )
    ]


def test_handed_over_without_an_approval_it_is_paid_with_the_handoff(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_approved_at="")
    assert order.expected.status == "Delivered"
    assert [one[3] for one in found(order, standing())] == ["handed over, so paid"]


def test_nothing_is_handed_over_before_its_purchase(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_delivered_carrier_date="2018-07-20 00:00:00")
    purchase = datetime(2018, 7, 24, 23, 41, 37, tzinfo=UTC)
    actual = standing(handed_over_at=purchase, heard=())
    assert [(one[0], one[3]) for one in found(order, actual)] == [
        ("handed", "handed over before its purchase: at the purchase"),
        ("approved", "handed over before its approval: approved with the handoff"),
    ]


def test_delivered_without_a_date_it_arrives_on_its_estimated_day(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_delivered_customer_date="")
    day = datetime(2018, 8, 14, 2, 59, 59, tzinfo=UTC)
    rule = "delivered without a date: on its estimated day"
    assert [one[3] for one in found(order, standing(delivered_at=day))] == [rule]


def test_without_payment_rows_it_is_prepaid(tmp_path: Path) -> None:
    order = one(tmp_path, order_payments=[])
    assert [(one[0], one[3]) for one in found(order, standing())] == [
        ("money", "no payment rows: one prepaid payment of items and freight")
    ]


# -- what the timers noticed -----------------------------------------------------------------


def test_an_alarm_of_a_late_replay_is_explained_by_its_lag(tmp_path: Path) -> None:
    order = order_like(tmp_path)
    late = (heard("ship_by_missed", SHIP_BY), heard("handed_over", HANDED, after=timedelta(days=5)))
    ((about, files, engine, rule),) = found(order, standing(heard=late))
    assert (about, files, engine) == ("ship_by_missed", "no", "yes")
    assert rule is not None
    assert rule.startswith("ship_by_missed rang: it happened in time")


def test_a_message_may_overtake_the_timer_but_not_by_much(tmp_path: Path) -> None:
    def rules(hour: int, after: timedelta, away_seconds: float = 0.5) -> list[str | None]:
        order = order_like(tmp_path, order_delivered_carrier_date=f"2018-07-30 {hour - 3:02}:00:00")
        handed = datetime(2018, 7, 30, hour, tzinfo=UTC)
        late = {"handed_over_at": handed, "handed_over_late": True, "heard": (heard("handed_over", handed, after),)}
        lag = Lag(order_id="another", what="handed", seconds=away_seconds, business_hours=0)
        return [one[3] for one in found(order, standing(**late), lag)]

    overtaken = ["ship_by_missed did not ring: the message overtook the timer"]
    assert rules(7, HOUR) == overtaken  # half an hour late
    assert rules(16, HOUR) == [None]
    assert rules(16, 10 * HOUR) == overtaken  # the worker was away when the message came
    assert rules(16, HOUR, away_seconds=5) == overtaken  # or was away in this run, just before it came


def test_what_left_late_is_expected_later(tmp_path: Path) -> None:
    handed, delivered = datetime(2018, 8, 1, 3, tzinfo=UTC), datetime(2018, 8, 15, 3, tzinfo=UTC)
    order = order_like(
        tmp_path,
        order_delivered_carrier_date="2018-08-01 00:00:00",
        order_delivered_customer_date="2018-08-15 00:00:00",
    )
    late = {"handed_over_at": handed, "handed_over_late": True, "delivered_at": delivered, "delivered_late": True}
    missed = heard("ship_by_missed", SHIP_BY)
    assert found(order, standing(**late, heard=(missed,))) == []  # two days late, and left as late


# -- what is played, and the report ------------------------------------------------------------


def test_an_approval_with_the_purchase_sends_nothing_and_a_later_one_pays(tmp_path: Path) -> None:
    soon = order_like(tmp_path, order_approved_at="2018-07-24 21:00:00")
    assert [event.what for event in moves_of(soon)] == ["handed", "delivered"]
    assert start_body(soon) == soon.body
    later = order_like(tmp_path)
    assert [event.what for event in moves_of(later)] == ["approved", "handed", "delivered"]
    (payment,) = start_body(later)["payments"]
    assert payment["token"].startswith("tok_decline_")
    assert later.body is not None
    assert later.body["payments"][0]["token"] == "olist-1"


def test_orders_are_placed_evenly_and_early_enough_to_end_with_the_longest(tmp_path: Path) -> None:
    days = {"short": 1, "long": 8, "middle": 4, "medium": 5}
    orders = [
        ORDER
        | without(*DATES)
        | {"order_id": name, "order_status": "shipped", "order_purchase_timestamp": "2018-07-20 00:00:00"}
        | {"order_delivered_carrier_date": f"2018-07-{20 + length} 00:00:00"}
        for name, length in days.items()
    ]
    items = [ITEM | {"order_id": name} for name in days]
    payments = [PAYMENT | {"order_id": name} for name in days]
    folder = folder_with(tmp_path, orders=orders, order_items=items, order_payments=payments)
    day = 86_400
    assert [(seconds / day, order.order_id) for seconds, order in planned(folder.orders)] == [
        (0, "long"),
        (1.5, "medium"),
        (3, "middle"),
        (4.5, "short"),
    ]
    assert planned([]) == []


def test_the_report_counts_orders_rules_and_the_largest_lag(tmp_path: Path) -> None:
    order = order_like(tmp_path, order_status="canceled", order_delivered_customer_date="")
    answered = Lag(order_id="o1", what="handed", seconds=0.5, business_hours=1.2)
    report = report_on("here", 8640.0, 12.34, [order], {"o1": shipped()}, lag_answered=answered)
    assert report.ok
    assert (report.files, report.expected, report.actual) == ({"canceled": 1}, {"Shipped": 1}, {"Shipped": 1})
    assert (report.units, report.captured, report.unexplained) == (1, 1383, 0)
    assert report.rules == {"canceled after handoff: too late, the parcel is on its way": 1}
    assert report.lag_heard == Lag(order_id="o1", what="handed", seconds=0.417, business_hours=1.0)
    assert report.ends == (end_of(shipped()),)
    assert isinstance(report.differences[0], Difference)


@pytest.mark.parametrize(
    "trouble", [{"violations": ["x"]}, {"refused": [Turndown(order_id="o1", what="handed", reason="no")]}]
)
def test_a_violation_or_a_refusal_makes_the_report_a_failure(tmp_path: Path, trouble: Any) -> None:
    assert not report_on("here", 8640.0, 1.0, [order_like(tmp_path)], {"o1": standing()}, **trouble).ok


def test_units_and_payments_are_counted_from_the_rows_of_the_files(tmp_path: Path) -> None:
    items = [ITEM, ITEM | {"order_item_id": "2"}]
    payments = [PAYMENT, PAYMENT | {"payment_sequential": "2", "payment_value": "20"}]
    order = one(tmp_path, order_items=items, order_payments=payments)
    assert order.recorded is not None
    assert (order.recorded.units, order.recorded.paid) == (2, 3383)
