"""Carrier handoff: with the seller's number, with none, or with a label that must first be bought."""

import pytest

from domain.state import CarrierStatus, OrderStatus, ParcelStage
from domain.units import Place
from tests.domain.building import DELIVER_BY, Luck, Refused, Story, cart_line, open_story, shipped_story
from tests.domain.identities import check_all

BOXES = [{"contents": [{"line_id": "L1", "sku": "MUG", "quantity": 1}]}] * 2


def two_parcels() -> Story:
    told = open_story(cart_line(quantity=2))
    told.send("pack", fulfillment_id="acme-1", parcels=BOXES)
    return told.settle()


def test_what_is_handed_over_leaves_the_stock_and_is_charged() -> None:
    told = shipped_story(cart_line(quantity=2))
    shelf = told.world.shelves[0]
    assert (shelf.on_hand, shelf.reserved) == (98, 0)
    assert told.state.money.captured == 2000
    assert told.status() is OrderStatus.SHIPPED
    assert told.parcel().estimate == DELIVER_BY
    shipped = told.mail("shipped")
    assert shipped.parcels[0].tracking_number == "TRACK-1"
    check_all(told)


def test_nothing_ships_before_it_is_packed() -> None:
    assert open_story().refusal("ship", fulfillment_id="acme-1") == "nothing is packed: pack comes first"


def test_one_of_two_parcels_may_go_first() -> None:
    told = two_parcels()
    told.send(
        "ship",
        fulfillment_id="acme-1",
        parcels=[{"parcel_id": "acme-1-p2", "carrier": "local-courier", "tracking_number": "TRACK-2"}],
    )
    told.settle()
    assert told.status() is OrderStatus.PARTIALLY_SHIPPED
    assert told.mail("shipped").still_to_come
    told.ship()
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


def test_two_parcels_do_not_share_a_number() -> None:
    told = two_parcels()
    assert told.refusal("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1") == (
        "tracking_number: 2 parcels are packed; give each its own in parcels"
    )
    one = {"parcel_id": "acme-1-p1", "carrier": "local-courier", "tracking_number": "TRACK-1"}
    again = told.refusal("ship", fulfillment_id="acme-1", parcels=[one, {**one, "parcel_id": "acme-1-p2"}])
    assert again == "parcels.1.tracking_number: TRACK-1 is on another parcel already"


def test_a_parcel_named_twice_is_refused() -> None:
    one = {"parcel_id": "acme-1-p1", "carrier": "local-courier"}
    assert two_parcels().refusal("ship", fulfillment_id="acme-1", parcels=[one, one]) == (
        "parcels.1.parcel_id: 'acme-1-p1' is no packed parcel of acme-1"
    )


@pytest.mark.parametrize(
    ("carrier", "number", "why"),
    [
        (None, "TRACK-1", "carrier: which carrier gave the tracking number?"),
        ("UPS", "1Z5R89390357567128", "tracking_number 1Z5R89390357567128 has a wrong check digit for UPS"),
        ("UPS", "NONSENSE", "tracking_number NONSENSE does not have the form of any UPS number"),
    ],
)
def test_a_number_must_be_one_of_its_carrier(carrier: str | None, number: str, why: str) -> None:
    told = open_story()
    told.pack()
    assert told.refusal("ship", fulfillment_id="acme-1", carrier=carrier, tracking_number=number) == why


def test_without_carrier_a_label_is_bought_and_then_it_leaves() -> None:
    told = open_story()
    told.pack()
    told.send("ship", fulfillment_id="acme-1")
    assert told.parcel().stage is ParcelStage.SHIPPING
    assert told.units(Place.PACKED) == 1
    told.settle()
    assert told.parcel().stage is ParcelStage.SHIPPED
    assert told.parcel().tracking_number in told.world.labels
    check_all(told)


def test_a_label_bought_while_packing_is_used() -> None:
    told = open_story()
    told.pack(buy_labels=True)
    told.send("ship", fulfillment_id="acme-1")
    told.settle()
    assert len(told.world.labels) == 1
    check_all(told)


def test_a_label_that_is_on_its_way_is_not_bought_twice() -> None:
    told = open_story()
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}], buy_labels=True)
    told.send("ship", fulfillment_id="acme-1")
    told.settle()
    assert told.said().count("label_bought") == 1
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


@pytest.mark.parametrize("label_comes_first", [True, False])
def test_a_label_that_is_not_used_is_voided(label_comes_first: bool) -> None:
    told = open_story()
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}], buy_labels=True)
    if label_comes_first:
        told.settle()
    told.ship(number="MY-OWN")
    assert told.world.labels == {}
    assert told.parcel().tracking_number == "MY-OWN"
    check_all(told)


def test_where_no_label_is_to_be_had_the_seller_types_a_number() -> None:
    told = open_story()
    told.pack()
    told.world.luck = Luck(labels=False)
    told.send("ship", fulfillment_id="acme-1")
    told.settle()
    assert told.parcel().stage is ParcelStage.PACKED
    assert "label_refused" in told.said()
    told.ship()
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


def test_a_late_handoff_moves_the_estimate_and_not_the_promise() -> None:
    told = open_story()
    told.pack()
    told.later(days=3)
    told.ship()
    assert told.state.fulfillments[0].deliver_by == DELIVER_BY
    estimate = told.parcel().estimate
    assert estimate is not None
    assert (estimate - DELIVER_BY).days == 1


def test_a_handoff_is_not_in_the_future() -> None:
    told = open_story()
    told.pack()
    told.ship(occurred_at=told.now.replace(year=2030))
    assert told.parcel().shipped_at == told.now


def test_held_parcels_do_not_ship() -> None:
    told = open_story()
    told.pack()
    told.send("hold", reason="address looks wrong")
    with pytest.raises(Refused, match="address looks wrong"):
        told.ship()


def test_an_untracked_parcel_has_no_carrier_story() -> None:
    told = shipped_story(number=None)
    assert told.parcel().status is None
    assert told.parcel().carrier == "local-courier"


def test_a_tracked_parcel_begins_with_its_label() -> None:
    assert shipped_story().parcel().status is CarrierStatus.LABEL_CREATED
