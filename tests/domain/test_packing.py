"""Packing: what is in the box is checked against the lines, by the seller whose box it is."""

from typing import Any

import pytest

from domain.messages import PackingListQuery
from domain.placing import Channel
from domain.state import ParcelStage
from domain.units import Place
from domain.views import packing_list_view
from tests.domain.building import Refused, Shelf, cart_line, open_story, shipped_story
from tests.domain.identities import check_all


def box(quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"contents": [{"line_id": "L1", "sku": "MUG", "quantity": quantity, **more}]}


def test_packed_units_keep_their_reservation() -> None:
    told = open_story(cart_line(quantity=2))
    assert told.pack() == ("acme-1-p1",)
    assert told.units(Place.PACKED) == 2
    assert told.world.shelves[0].reserved == 2
    check_all(told)


@pytest.mark.parametrize(
    ("parcel", "why"),
    [
        (box(sku="TEE"), "parcels.0.contents.0.sku: wrong item: TEE packed, MUG ordered"),
        (box(3), "parcels.0.contents.0.quantity: wrong count: 3 x MUG packed, 2 to pack"),
        (
            box(condition="damaged"),
            "parcels.0.contents.0.condition: a damaged MUG must not leave; reject_lines tells of it",
        ),
        (box(line_id="L9"), "parcels.0.contents.0.line_id: 'L9' is not to be packed in acme-1"),
    ],
)
def test_a_wrong_box_is_refused_with_the_reason(parcel: dict[str, Any], why: str) -> None:
    told = open_story(cart_line(quantity=2))
    assert told.refusal("pack", fulfillment_id="acme-1", parcels=[parcel]) == why


def test_two_boxes_together_hold_no_more_than_was_ordered() -> None:
    told = open_story(cart_line(quantity=2))
    assert told.refusal("pack", fulfillment_id="acme-1", parcels=[box(1), box(2)]) == (
        "parcels.1.contents.0.quantity: wrong count: 3 x MUG packed, 2 to pack"
    )


def test_a_part_may_be_packed_first() -> None:
    told = open_story(cart_line(quantity=2))
    told.send("pack", fulfillment_id="acme-1", parcels=[box()])
    told.send("pack", fulfillment_id="acme-1", parcels=[box()])
    told.settle()
    assert [parcel.parcel_id for parcel in told.state.parcels] == ["acme-1-p1", "acme-1-p2"]
    assert told.refusal("pack", fulfillment_id="acme-1", parcels=[box()]) == (
        "nothing of this fulfillment is left to pack"
    )


def test_unpacked_units_are_on_the_shelf_again() -> None:
    told = open_story(cart_line(quantity=2))
    told.pack()
    told.send("unpack", fulfillment_id="acme-1")
    assert told.units(Place.RESERVED) == 2
    assert told.parcel().stage is ParcelStage.UNPACKED
    assert told.refusal("unpack", fulfillment_id="acme-1") == "no packed parcel is there to unpack"
    assert told.pack() == ("acme-1-p2",)
    check_all(told)


def test_unpacking_voids_the_label() -> None:
    told = open_story()
    told.pack(buy_labels=True)
    assert len(told.world.labels) == 1
    told.send("unpack", fulfillment_id="acme-1")
    told.settle()
    assert told.world.labels == {}
    check_all(told)


def test_a_label_bought_for_a_box_opened_meanwhile_is_voided() -> None:
    told = open_story()
    told.send("pack", fulfillment_id="acme-1", parcels=[box()], buy_labels=True)
    told.send("unpack", fulfillment_id="acme-1")
    told.settle()
    assert told.world.labels == {}
    check_all(told)


# -- who -------------------------------------------------------------------------------


def two_sellers() -> Any:
    return open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))


@pytest.mark.parametrize("name", ["pack", "ship", "unpack", "reject_lines", "cancel"])
def test_a_seller_learns_nothing_of_another_sellers_fulfillment(name: str) -> None:
    more: dict[str, Any] = {}
    if name == "pack":
        more = {"parcels": [{"contents": [{"line_id": "L2", "sku": "TEE", "quantity": 1}]}]}
    if name == "reject_lines":
        more = {"items": [{"line_id": "L2"}]}
    told = two_sellers()
    theirs = told.refusal(name, by="seller:acme", fulfillment_id="beta-1", **more)
    nobodys = told.refusal(name, by="seller:acme", fulfillment_id="beta-9", **more)
    assert theirs == "fulfillment_id: the order has no fulfillment 'beta-1' (it has: acme-1)"
    assert nobodys == "fulfillment_id: the order has no fulfillment 'beta-9' (it has: acme-1)"


def test_the_packing_list_holds_one_fulfillment_and_no_price() -> None:
    told = two_sellers()
    mine = packing_list_view(told.state, PackingListQuery(fulfillment_id="acme-1", seller="acme"))
    assert mine is not None
    assert [line.sku for line in mine.lines] == ["MUG"]
    assert "price" not in mine.model_dump_json()
    assert packing_list_view(told.state, PackingListQuery(fulfillment_id="beta-1", seller="acme")) is None
    assert packing_list_view(told.state, PackingListQuery(fulfillment_id="beta-9", seller="acme")) is None


def test_the_network_packs_its_own() -> None:
    told = open_story(cart_line(channel=Channel.FBA))
    with pytest.raises(Refused, match="the fulfillment network packs and ships acme-1"):
        told.send("pack", fulfillment_id="acme-1", parcels=[box()])


# -- reject_lines ------------------------------------------------------------------------


def two_locations(north: int = 2, south: int = 5) -> list[Shelf]:
    return [Shelf("north", "acme", "MUG", north, priority=1), Shelf("south", "acme", "MUG", south, priority=2)]


def test_units_the_seller_cannot_find_come_from_another_location() -> None:
    told = open_story(cart_line(quantity=2), shelves=two_locations())
    told.send("reject_lines", by="seller:acme", fulfillment_id="acme-1", items=[{"line_id": "L1"}])
    told.settle()
    north, south = told.world.shelves
    assert (north.on_hand, north.reserved) == (0, 0)  # corrected: they were not there
    assert south.reserved == 2
    assert told.state.fulfillments[1].location == "south"
    check_all(told)


def test_a_location_that_failed_is_not_asked_again_for_the_line() -> None:
    told = open_story(cart_line(quantity=2), shelves=two_locations(north=9, south=0))
    told.send("reject_lines", fulfillment_id="acme-1", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert told.world.shelves[0].reserved == 1
    assert told.state.shortages[0].quantity == 1
    check_all(told)


def test_rejecting_more_joins_the_shortage_that_is_open() -> None:
    told = open_story(cart_line(quantity=5), shelves=two_locations(north=3, south=0))
    assert told.state.shortages[0].quantity == 2
    told.send("reject_lines", fulfillment_id="acme-1", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert [shortage.quantity for shortage in told.state.shortages] == [3]
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    told.settle()
    assert told.units(Place.CANCELLED) == 3
    check_all(told)


def test_units_in_a_shortage_are_not_taken_by_another_check() -> None:
    told = open_story(cart_line(quantity=5), shelves=two_locations(north=3, south=0))
    told.world.receive("south", "acme", "MUG", 9)
    told.send("reject_lines", fulfillment_id="acme-1", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert told.state.shortages[0].quantity == 2  # still the customer's to choose
    assert told.units(Place.RESERVED) == 3
    check_all(told)


def test_packed_units_are_not_rejected() -> None:
    told = open_story()
    told.pack()
    assert told.refusal("reject_lines", fulfillment_id="acme-1", items=[{"line_id": "L1"}]) == (
        "items.0.line_id: no unpacked unit of 'L1' in acme-1"
    )


def test_a_rejected_line_named_twice_is_counted_together() -> None:
    told = open_story(cart_line(quantity=2))
    items = [{"line_id": "L1", "quantity": 1}, {"line_id": "L1", "quantity": 2}]
    assert told.refusal("reject_lines", fulfillment_id="acme-1", items=items) == (
        "items.1.quantity: 3 rejected, 2 to pack"
    )


def test_nothing_is_packed_after_it_left() -> None:
    assert shipped_story().refusal("pack", fulfillment_id="acme-1", parcels=[box()]) is not None
