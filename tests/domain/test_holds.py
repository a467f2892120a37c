"""Holds: they stop the next merchant step and the seller's clock, not parcels in flight."""

from datetime import datetime, timedelta

import pytest

from domain.deadlines import next_deadline
from domain.holds import ship_by_with_holds
from domain.placing import Channel
from domain.status import attention
from domain.units import Place
from tests.domain.building import NOW, SHIP_BY, Refused, Story, cart_line, open_story, shipped_story, story
from tests.domain.identities import check_all


def due(told: Story, number: int = 0) -> datetime:
    return ship_by_with_holds(told.state.fulfillments[number])


def test_a_held_order_is_not_packed_and_its_seller_is_told() -> None:
    told = open_story()
    assert told.send("hold", reason="fraud check") == "hold-1"
    assert attention(told.state) == ("on_hold",)
    assert told.mail("on_hold").reason == "fraud check"
    with pytest.raises(Refused, match="on hold"):
        told.pack()
    told.send("release_hold", hold_id="hold-1")
    told.pack()
    check_all(told)


def test_the_sellers_clock_stands_still_and_the_promise_does_not_move() -> None:
    told = open_story()
    told.send("hold")
    told.later(days=5)
    assert "ship_by_missed" not in told.mailed()
    told.send("release_hold", hold_id="hold-1")
    assert due(told) == SHIP_BY + timedelta(days=5)
    assert told.state.fulfillments[0].ship_by == SHIP_BY
    assert told.mail("hold_released").ship_by == SHIP_BY + timedelta(days=5)
    told.later(days=1)
    assert "ship_by_missed" not in told.mailed()
    told.later(days=1, hours=1)
    assert told.mail("ship_by_missed").cancels_at == SHIP_BY + timedelta(days=12)


def test_several_holds_are_released_one_by_one() -> None:
    told = open_story()
    told.send("hold", reason="fraud")
    told.later(hours=10)
    told.send("hold", hold_id="stock-count", fulfillment_id="acme-1")
    told.later(hours=10)
    told.send("release_hold", hold_id="hold-1")
    with pytest.raises(Refused, match="stock-count"):
        told.pack()
    told.later(hours=10)
    told.send("release_hold", hold_id="stock-count")
    assert due(told) == SHIP_BY + timedelta(hours=30)
    assert told.mailed().count("on_hold") == told.mailed().count("hold_released") == 1
    check_all(told)


def test_a_hold_that_runs_out_is_released_as_of_that_time_however_late_it_is_seen() -> None:
    told = open_story()
    told.send("hold", expires_at=NOW + timedelta(hours=5))
    told.later(hours=30)
    assert told.state.holds == ()
    assert due(told) == SHIP_BY + timedelta(hours=5)
    check_all(told)


def test_a_hold_of_one_fulfillment_leaves_the_others_alone() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.send("hold", fulfillment_id="beta-1")
    told.pack()
    with pytest.raises(Refused, match="on hold"):
        told.pack("beta-1")


def test_a_hold_after_packing_does_not_unpack() -> None:
    told = open_story()
    told.pack()
    told.send("hold")
    assert told.units(Place.PACKED) == 1
    assert told.refusal("ship", fulfillment_id="acme-1", carrier="local-courier") is not None
    assert told.refusal("unpack", fulfillment_id="acme-1") is None


def test_a_parcel_in_flight_is_not_held() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack()
    told.ship()
    told.send("hold")
    told.carrier_says("delivered")
    assert told.units(Place.DELIVERED) == 1
    assert told.refusal("hold", fulfillment_id="acme-1") == (
        "nothing is left to hold: everything was handed over or cancelled"
    )
    check_all(told)


def test_an_order_held_before_its_check_has_its_fulfillments_held() -> None:
    told = story()
    told.send("hold")
    told.settle()
    told.later(days=3)
    told.send("release_hold", hold_id="hold-1")
    assert due(told) == SHIP_BY + timedelta(days=3)


def test_the_network_is_asked_only_after_the_release() -> None:
    told = story(cart_line(channel=Channel.FBA))
    told.send("hold")
    told.settle()
    assert told.world.jobs == {}
    assert told.refusal("change_address", ship_to={"name": "A", "line1": "B", "city": "C", "country": "US"}) is None
    told.send("release_hold", hold_id="hold-1")
    told.settle()
    assert told.world.jobs["acme-1"].items == {"L1": 1}
    check_all(told)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"by": "seller:acme"}, "by: support or the marketplace holds an order, not a seller"),
        ({"fulfillment_id": "acme-9"}, "fulfillment_id: the order has no fulfillment 'acme-9'"),
        ({"expires_at": NOW}, "expires_at: lies in the past of the order's clock"),
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(body: dict[str, str], why: str) -> None:
    assert open_story().refusal("hold", **body) == why


def test_a_name_is_given_to_one_hold_only() -> None:
    told = open_story()
    told.send("hold", hold_id="hold-2")
    assert told.refusal("hold", hold_id="hold-2") == "hold_id: 'hold-2' is placed already"
    assert told.send("hold") == "hold-3"
    assert told.refusal("release_hold", hold_id="hold-9") == (
        "hold_id: no hold 'hold-9' is placed (placed: hold-2, hold-3)"
    )


@pytest.mark.parametrize("by", ["seller:acme", "customer"])
def test_a_hold_is_not_for_everybody_to_release(by: str) -> None:
    told = open_story()
    told.send("hold")
    assert told.refusal("release_hold", by=by, hold_id="hold-1") == (
        "by: hold-1 was placed by support; support or the marketplace releases it"
    )


def test_nothing_left_is_nothing_to_hold() -> None:
    told = shipped_story()
    assert told.refusal("hold") == "nothing is left to hold: everything was handed over or cancelled"
    assert next_deadline(told.state) is not None
