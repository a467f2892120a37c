"""The status of an order follows from where its units are."""

import pytest

from domain.state import OrderStatus
from domain.status import attention, fulfillment_status, is_at_rest, next_ship_by, promised_at
from tests.domain.building import DELIVER_BY, SHIP_BY, Luck, Shelf, Story, cart_line, open_story, story


def two_sellers() -> Story:
    return open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))


def test_the_statuses_of_an_order_on_its_way() -> None:
    told = story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    seen = [told.status()]
    told.settle()
    seen.append(told.status())
    for fulfillment_id in ("acme-1", "beta-1"):
        told.pack(fulfillment_id)
        told.ship(fulfillment_id, f"TRACK-{fulfillment_id}")
        seen.append(told.status())
    for parcel_id in ("acme-1-p1", "beta-1-p1"):
        told.carrier_says("delivered", parcel_id)
        seen.append(told.status())
    assert seen == [
        OrderStatus.PENDING,
        OrderStatus.UNSHIPPED,
        OrderStatus.PARTIALLY_SHIPPED,
        OrderStatus.SHIPPED,
        OrderStatus.SHIPPED,
        OrderStatus.DELIVERED,
    ]


def test_cancelled_units_are_set_aside() -> None:
    told = two_sellers()
    told.pack()
    told.ship()
    told.send("cancel")
    assert told.status() is OrderStatus.SHIPPED
    told.carrier_says("delivered")
    assert told.status() is OrderStatus.DELIVERED


@pytest.mark.parametrize(("there", "status"), [(0, OrderStatus.UNFULFILLABLE), (1, OrderStatus.CANCELED)])
def test_unfulfillable_is_only_what_fell_short_as_a_whole(there: int, status: OrderStatus) -> None:
    told = open_story(cart_line(quantity=2), shelves=[Shelf("north", "acme", "MUG", there)])
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    if there:
        told.send("cancel")
    told.close()
    assert told.status() is status


def test_a_seller_sees_the_status_of_its_own_part() -> None:
    told = two_sellers()
    told.pack()
    acme, beta = told.state.fulfillments
    assert fulfillment_status(told.state, acme) == "Packed"
    told.ship()
    assert fulfillment_status(told.state, acme) == "Shipped"
    assert fulfillment_status(told.state, beta) == "Unshipped"
    told.carrier_says("delivered")
    told.send("cancel")
    assert fulfillment_status(told.state, acme) == "Delivered"
    assert fulfillment_status(told.state, beta) == "Canceled"


def test_the_next_ship_by_is_that_of_what_has_not_left() -> None:
    told = open_story()
    assert next_ship_by(told.state) == SHIP_BY
    assert promised_at(told.state) == DELIVER_BY
    told.pack()
    told.ship()
    assert next_ship_by(told.state) is None


def test_attention_says_what_a_person_should_look_at() -> None:
    told = open_story(cart_line(quantity=2), shelves=[Shelf("north", "acme", "MUG", 1)])
    told.send("hold")
    told.later(days=3)
    assert attention(told.state) == ("on_hold",)
    declined = story()
    declined.world.luck = Luck(declined=frozenset({"1"}))
    assert attention(declined.settle().state) == ("payment_declined",)


def test_an_order_with_work_to_do_is_not_at_rest() -> None:
    told = open_story()
    told.send("cancel")
    assert not is_at_rest(told.state)  # the stock is still to be released
    told.settle()
    assert is_at_rest(told.state)
