"""Parcels on their way: carrier events in any order, deliveries, corrections."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import parcels
from domain.messages import CarrierEvent
from domain.state import CarrierStatus, OrderState, OrderStatus
from domain.status import attention
from domain.units import Place
from tests.domain.building import DELIVER_BY, NOW, cart_line, open_story, shipped_story
from tests.domain.identities import check_all


def test_from_checkout_to_the_doorstep() -> None:
    told = shipped_story()
    for status in ("in_transit", "out_for_delivery", "delivered"):
        told.later(hours=6)
        told.carrier_says(status)
    assert told.status() is OrderStatus.DELIVERED
    assert told.mailed() == [
        "confirmed",
        "seller_new_order",
        "shipped",
        "out_for_delivery",
        "delivered",
    ]
    told.close()
    check_all(told)


def test_an_event_told_twice_counts_once() -> None:
    told = shipped_story()
    told.carrier_says("out_for_delivery", event_id="x")
    before = told.state
    told.carrier_says("out_for_delivery", event_id="x")
    assert told.state.model_copy(update={"cause": before.cause, "cause_keys": before.cause_keys}) == before


def test_an_event_that_comes_late_moves_nothing_back() -> None:
    told = shipped_story()
    told.later(days=2)
    told.carrier_says("out_for_delivery")
    told.carrier_says("in_transit", occurred_at=told.now - timedelta(days=1))
    assert told.parcel().status is CarrierStatus.OUT_FOR_DELIVERY
    assert told.state.entries[-1].summary.endswith("out of order")


@pytest.mark.parametrize("status", ["in_transit", "lost", "returned", "exception", "delivered"])
def test_a_delivered_parcel_stays_delivered(status: str) -> None:
    told = shipped_story()
    told.carrier_says("delivered")
    told.carrier_says(status)
    assert told.units(Place.DELIVERED) == 1
    assert told.state.issues == ()


def test_a_delivery_counts_even_when_its_time_is_earlier_than_the_last_scan() -> None:
    told = shipped_story()
    told.later(days=1)
    told.carrier_says("in_transit")
    told.carrier_says("delivered", occurred_at=told.now - timedelta(hours=1))
    assert told.status() is OrderStatus.DELIVERED


def test_a_scan_before_the_seller_told_of_the_handoff_is_the_first_news() -> None:
    told = shipped_story()
    told.carrier_says("in_transit", occurred_at=NOW - timedelta(hours=3))
    assert told.parcel().status is CarrierStatus.IN_TRANSIT


def test_a_carrier_does_not_know_the_future() -> None:
    told = shipped_story()
    told.carrier_says("delivered", occurred_at=NOW + timedelta(days=9))
    assert told.parcel().delivered_at == NOW


EVENTS = st.lists(
    st.tuples(st.sampled_from(["label_created", "in_transit", "out_for_delivery", "delivered"]), st.integers(0, 48)),
    min_size=1,
    max_size=6,
)


@given(EVENTS, st.randoms(use_true_random=False))
def test_a_delivered_parcel_ends_so_in_whatever_order_it_is_told(events: list[tuple[str, int]], order: Random) -> None:
    scans = [
        CarrierEvent.model_validate_json(
            f'{{"event_id": "e{number}", "parcel_id": "acme-1-p1", "status": "{status}",'
            f' "occurred_at": "{(NOW + timedelta(hours=hours)).isoformat()}"}}'
        )
        for number, (status, hours) in enumerate(events)
    ]
    shuffled = scans + scans
    order.shuffle(shuffled)
    state = _SHIPPED
    for scan in shuffled:
        assert parcels.carrier_event_refusal(state, scan) is None
        state = parcels.accept_carrier_event(state, scan, NOW + timedelta(days=3))
    delivered = any(scan.status is CarrierStatus.DELIVERED for scan in scans)
    assert (state.parcels[0].delivered_at is not None) is delivered
    assert state.carrier_events == len(scans)


_SHIPPED: OrderState = shipped_story().state


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"parcel_id": "acme-1-p9"}, "parcel_id: the order has no parcel 'acme-1-p9'"),
        ({"tracking_number": "NOPE"}, "tracking_number: no parcel of the order has 'NOPE'"),
        (
            {"parcel_id": "acme-1-p1", "tracking_number": "NOPE"},
            "tracking_number: acme-1-p1 has TRACK-1, not NOPE",
        ),
        ({}, "parcel_id: the parcel or its tracking_number is needed"),
        *(
            ({"parcel_id": "acme-1-p1", "by": by}, f"by: {by} does not speak for the carrier")
            for by in ("customer", "seller:acme", "seller:beta", "network", "customer/c-1")
        ),
    ],
)
def test_an_event_of_no_parcel_is_refused(body: dict[str, str], why: str) -> None:
    event = {"event_id": "x", "status": "in_transit", "occurred_at": NOW}
    assert shipped_story().refusal("carrier_event", **event, **body) == why


def test_a_parcel_is_known_by_its_number_however_it_is_written() -> None:
    told = shipped_story(number="ab 12-34")
    event = {"event_id": "x", "status": "in_transit", "occurred_at": NOW, "tracking_number": "AB12-34"}
    assert told.refusal("carrier_event", **event) is None


def test_a_parcel_that_has_not_left_has_no_events() -> None:
    told = open_story()
    told.pack()
    event = {"event_id": "x", "status": "in_transit", "occurred_at": NOW, "parcel_id": "acme-1-p1"}
    assert told.refusal("carrier_event", **event) == "parcel_id: acme-1-p1 has not been handed over yet"


def test_a_mad_feed_raises_attention_and_grows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "CARRIER_EVENTS_MAX", 3)
    told = shipped_story()
    for _ in range(5):
        told.carrier_says("in_transit")
    assert told.state.carrier_events == 3
    assert "too_many_events" in attention(told.state)


# -- lateness --------------------------------------------------------------------------


def test_the_carriers_estimate_stands_beside_the_promise() -> None:
    told = shipped_story()
    later = DELIVER_BY + timedelta(days=2)
    told.carrier_says("in_transit", estimated_delivery=later)
    assert told.parcel().estimate == later
    assert told.state.fulfillments[0].deliver_by == DELIVER_BY
    assert told.mail("delayed").estimated_until == later
    assert "late" in attention(told.state)


def test_an_estimate_within_the_promise_is_no_delay() -> None:
    told = shipped_story()
    told.carrier_says("in_transit", estimated_delivery=DELIVER_BY - timedelta(days=1))
    assert "delayed" not in told.mailed()


def test_a_missed_date_is_told_once() -> None:
    told = shipped_story()
    for _ in range(3):
        told.carrier_says("in_transit")
        told.later(days=4)
    assert told.mailed().count("delayed") == 1
    check_all(told)


# -- delivery by word of mouth -----------------------------------------------------------


def test_the_customer_confirms_a_delivery() -> None:
    told = shipped_story(number=None)
    told.send("confirm_delivery", note="on the porch")
    told.settle()
    assert told.status() is OrderStatus.DELIVERED
    assert told.mail("delivered").confirmed_by == "customer"
    assert told.refusal("confirm_delivery") == "no parcel of this is on its way"
    check_all(told)


def test_a_seller_does_not_confirm_its_own_delivery() -> None:
    assert shipped_story().refusal("confirm_delivery", by="seller:acme") == (
        "by: the customer, the carrier or support confirms a delivery, not the seller"
    )


def test_an_untracked_parcel_counts_as_delivered_some_days_past_its_promise() -> None:
    told = shipped_story(number=None)
    told.later(days=9)
    assert told.status() is OrderStatus.SHIPPED
    told.later(days=2)
    assert told.status() is OrderStatus.DELIVERED
    assert told.parcel().presumed_delivered
    assert told.mail("delivered").confirmed_by == "assumed"
    told.close()
    check_all(told)


def test_an_untracked_parcel_that_was_refunded_is_not_presumed_delivered() -> None:
    told = shipped_story(number=None)
    told.send("report_issue", kind="missing", parcel_id="acme-1-p1")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    told.settle()
    told.later(days=30)
    assert told.units(Place.LOST) == 1
    assert "delivered" not in told.mailed()
    check_all(told)


# -- corrections -------------------------------------------------------------------------


def test_a_mended_number_begins_a_new_story() -> None:
    told = shipped_story()
    told.later(days=1)
    told.carrier_says("in_transit")
    told.send("correct_tracking", parcel_id="acme-1-p1", carrier="local-courier", tracking_number="RIGHT-1")
    assert told.parcel().status is CarrierStatus.LABEL_CREATED
    assert told.mail("shipped").parcels[0].tracking_number == "RIGHT-1"
    told.carrier_says("out_for_delivery", occurred_at=told.now - timedelta(hours=2))
    assert told.parcel().status is CarrierStatus.OUT_FOR_DELIVERY
    check_all(told)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"parcel_id": "acme-1-p9"}, "parcel_id: the order has no parcel 'acme-1-p9'"),
        ({"by": "seller:beta"}, "parcel_id: the order has no parcel 'acme-1-p1'"),
        ({"tracking_number": "TRACK-1"}, "tracking_number: TRACK-1 is on acme-1-p1"),
        ({"carrier": "UPS", "tracking_number": "1Z5R89390357567128"}, "wrong check digit for UPS"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(body: dict[str, str], why: str) -> None:
    good = {"parcel_id": "acme-1-p1", "carrier": "local-courier", "tracking_number": "RIGHT-1"}
    refusal = shipped_story().refusal("correct_tracking", **{**good, **body})
    assert refusal is not None
    assert why in refusal


def test_a_parcel_that_came_back_keeps_its_number() -> None:
    told = shipped_story(cart_line())
    told.carrier_says("returned")
    assert told.refusal(
        "correct_tracking", parcel_id="acme-1-p1", carrier="local-courier", tracking_number="RIGHT-1"
    ) == ("parcel_id: acme-1-p1 came back")
