"""The fulfillment network (FBA): it packs and ships, and what it says is checked."""

from typing import Any

import pytest

from domain.placing import Channel
from domain.readiness import is_ready
from domain.state import OrderStatus
from domain.status import attention
from domain.units import Place
from tests.domain.building import Luck, Shelf, Story, cart_line, open_story, story
from tests.domain.identities import check_all


def fba_story(quantity: int = 3) -> Story:
    shelves = [Shelf("east", "acme", "MUG", 10, Channel.FBA, 1), Shelf("west", "acme", "MUG", 10, Channel.FBA, 2)]
    return open_story(cart_line(quantity=quantity, channel=Channel.FBA), shelves=shelves)


def parcel(quantity: int, number: str = "N-1", line_id: str = "L1") -> dict[str, Any]:
    items = [{"line_id": line_id, "quantity": quantity}]
    return {"carrier": "local-courier", "tracking_number": number, "items": items}


def ended(told: Story, status: str, *parcels: dict[str, Any]) -> None:
    told.world.jobs["acme-1"].status = status
    told.network_says(status, *parcels)


def test_a_complete_order_is_shipped_and_charged() -> None:
    told = fba_story()
    assert told.world.jobs["acme-1"].items == {"L1": 3}
    told.network_says("Processing")
    ended(told, "Complete", parcel(3))
    assert told.status() is OrderStatus.SHIPPED
    assert told.state.money.captured == 3000
    assert told.world.shelves[0].on_hand == 7
    told.carrier_says("delivered")
    told.close()
    check_all(told)


def test_parcels_may_come_one_by_one_and_twice() -> None:
    told = fba_story()
    told.network_says("Processing", parcel(1, "N-1"))
    told.network_says("Processing", parcel(1, "N-1"))
    assert told.units(Place.SHIPPED) == 1
    ended(told, "Complete", parcel(1, "N-1"), parcel(2, "N-2"))
    assert told.units(Place.SHIPPED) == 3
    check_all(told)


def test_what_the_network_leaves_out_is_looked_for_elsewhere() -> None:
    told = fba_story()
    ended(told, "CompletePartialled", parcel(1))
    assert told.status() is OrderStatus.PARTIALLY_SHIPPED
    assert told.world.jobs["acme-2"].items == {"L1": 2}
    assert told.state.fulfillments[1].location == "west"
    assert (told.world.shelves[0].on_hand, told.world.shelves[0].reserved) == (7, 0)
    check_all(told)


def test_complete_with_units_missing_is_taken_as_partial() -> None:
    told = fba_story()
    ended(told, "Complete", parcel(2))
    assert told.world.jobs["acme-2"].items == {"L1": 1}
    check_all(told)


def test_what_no_network_location_has_is_the_customers_choice() -> None:
    told = open_story(cart_line(channel=Channel.FBA), shelves=[Shelf("east", "acme", "MUG", 10, Channel.FBA)])
    ended(told, "Unfulfillable")
    assert attention(told.state) == ("out_of_stock",)
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    told.close()
    assert told.status() is OrderStatus.UNFULFILLABLE
    check_all(told)


def test_an_order_the_network_refuses_at_once_is_sourced_anew() -> None:
    told = story(cart_line(channel=Channel.FBA), shelves=[Shelf("east", "acme", "MUG", 10, Channel.FBA)])
    told.world.luck = Luck(network="Invalid")
    told.settle()
    assert told.state.shortages[0].quantity == 1
    check_all(told)


def test_a_state_that_comes_late_takes_nothing_back() -> None:
    told = fba_story()
    ended(told, "Complete", parcel(3))
    told.network_says("Planning")
    told.network_says("Unfulfillable")
    assert told.state.fulfillments[0].network_status == "Complete"
    assert told.units(Place.SHIPPED) == 3


def test_an_event_told_twice_counts_once() -> None:
    told = fba_story()
    told.network_says("Processing")
    told.events -= 1
    before = told.state
    told.network_says("Processing")
    assert told.state.model_copy(update={"cause": before.cause, "cause_keys": before.cause_keys}) == before


def test_a_cancellation_is_granted_where_the_network_does_not_ship_anyway() -> None:
    told = fba_story()
    told.world.luck = Luck(network_cancels=False)
    told.send("cancel")
    ended(told, "Unfulfillable")
    assert told.status() is OrderStatus.CANCELED
    assert told.state.requests == ()
    check_all(told)


def test_news_of_the_cancellation_may_come_before_the_answer() -> None:
    told = fba_story()
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    end = told.start("cancel_network")
    event = {"event_id": "n", "fulfillment_id": "acme-1", "status": "Cancelled", "occurred_at": told.now}
    told.send("network_event", **event)
    end()
    told.settle()
    assert told.units(Place.CANCELLED) == 1
    assert told.world.jobs["acme-2"].items == {"L1": 2}
    check_all(told)


def test_the_network_is_not_asked_to_cancel_what_it_has_not_been_asked_for_yet() -> None:
    told = story(cart_line(channel=Channel.FBA)).settle_until("ask_network")
    told.send("cancel")
    ask, cancel = told.state.effects
    assert is_ready(told.state, ask)
    assert not is_ready(told.state, cancel)
    told.settle()
    assert told.status() is OrderStatus.CANCELED
    check_all(told)


def test_the_network_speaks_of_its_own_fulfillments_only() -> None:
    told = open_story()
    event = {"event_id": "n", "status": "Complete", "occurred_at": told.now}
    assert told.refusal("network_event", fulfillment_id="acme-1", **event) == (
        "fulfillment_id: acme-1 is packed by its seller"
    )
    assert told.refusal("network_event", fulfillment_id="acme-2", **event) is not None
    fba = fba_story()
    wrong = {**parcel(3), "carrier": "UPS"}
    refusal = fba.refusal("network_event", fulfillment_id="acme-1", **event, parcels=[wrong])
    assert refusal is not None
    assert refusal.startswith("parcels.0.tracking_number")


@pytest.mark.parametrize("by", ["customer", "customer/c-1", "seller:acme", "seller:birch", "carrier"])
def test_nobody_else_speaks_for_the_network(by: str) -> None:
    fba = fba_story()
    event = {"fulfillment_id": "acme-1", "event_id": "n", "status": "Complete", "occurred_at": fba.now}
    assert fba.refusal("network_event", **event, by=by) == f"by: {by} does not speak for the network"
    assert fba.refusal("network_event", **event) is None


def test_an_address_does_not_change_once_the_network_has_it() -> None:
    ship_to = {"name": "A", "line1": "B", "city": "C", "country": "US"}
    assert fba_story().refusal("change_address", ship_to=ship_to) == (
        "acme-1 is with the fulfillment network, which has the old address"
    )
