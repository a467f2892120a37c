"""Cancelling: free while unpacked, a request while packed, refused once it left."""

import pytest

from domain.placing import Channel
from domain.policy import Policy
from domain.state import OrderStatus, ParcelStage
from domain.units import Place
from tests.domain.building import Refused, Shelf, Story, cart_line, open_story, shipped_story, story
from tests.domain.identities import check_all


def packed_story(policy: Policy = Policy()) -> Story:
    told = open_story(cart_line(quantity=2), policy=policy)
    told.pack(buy_labels=True)
    return told


# -- unpacked --------------------------------------------------------------------------


def test_an_unpacked_order_is_cancelled_at_once() -> None:
    told = open_story(cart_line(quantity=2))
    answer = told.send("cancel", reason="changed my mind")
    assert (answer.cancelled, answer.requested, answer.refused) == (2, 0, 0)
    assert answer.status == "Canceled"
    told.close()
    assert told.world.shelves[0].reserved == 0
    assert told.state.money.voided == 2000
    assert told.mail("cancelled").whole_order
    assert told.mail("cancelled").released == 2000
    assert told.mail("seller_cancelled").fulfillment_id == "acme-1"
    check_all(told)


def test_some_units_of_a_line_may_be_cancelled() -> None:
    told = open_story(cart_line(quantity=3))
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert told.units(Place.CANCELLED) == 1
    assert told.status() is OrderStatus.UNSHIPPED
    assert not told.mail("cancelled").whole_order
    check_all(told)


def test_units_cancelled_while_the_stock_is_checked_go_back() -> None:
    told = story(cart_line(quantity=3)).settle_until("reserve")
    end = told.start("reserve")
    told.send("cancel", items=[{"line_id": "L1", "quantity": 2}])
    end()
    told.settle()
    assert told.units(Place.RESERVED) == 1
    assert told.world.shelves[0].reserved == 1
    check_all(told)


def test_what_is_not_there_cannot_be_cancelled() -> None:
    told = open_story()
    assert told.refusal("cancel", items=[{"line_id": "L9"}]) == "items.0.line_id: the order has no line 'L9'"
    assert told.refusal("cancel", items=[{"line_id": "L1", "quantity": 2}]) == "items.0.quantity: 2 of 1 ordered"
    assert told.refusal("cancel", fulfillment_id="acme-2") == (
        "fulfillment_id: the order has no fulfillment 'acme-2' (it has: acme-1)"
    )
    told.send("cancel")
    assert told.refusal("cancel") == "nothing is left to cancel"


def test_a_seller_cancels_its_own_only() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    absent = told.refusal("cancel", by="seller:acme", items=[{"line_id": "L9", "quantity": 9}])
    of_beta = told.refusal("cancel", by="seller:acme", items=[{"line_id": "L2", "quantity": 9}])
    assert (absent or "").replace("L9", "L2") == of_beta == "items.0.line_id: the order has no line 'L2'"
    told.send("cancel", by="seller:acme")
    assert told.refusal("cancel", by="seller:acme") == "nothing is left to cancel"
    told.settle()
    assert told.units(Place.CANCELLED, line_id="L1") == 1
    assert told.units(Place.RESERVED, line_id="L2") == 1
    assert told.mail("cancelled").by == "seller"
    check_all(told)


# -- packed ----------------------------------------------------------------------------


def test_a_packed_parcel_is_asked_of_its_seller() -> None:
    told = packed_story()
    answer = told.send("cancel")
    assert (answer.cancelled, answer.requested) == (0, 2)
    assert answer.request_ids == ("acme-1-c1",)
    assert told.mail("cancellation_requested").answer_by
    assert told.refusal("cancel") == "a cancellation of this has been asked for and waits for its answer"
    assert told.units(Place.PACKED) == 2


def test_an_accepted_request_unpacks_voids_the_label_and_gives_stock_and_money_back() -> None:
    told = packed_story()
    told.send("cancel")
    told.send("answer_cancellation", by="seller:acme", request_id="acme-1-c1", answer="accept")
    told.settle()
    assert told.status() is OrderStatus.CANCELED
    assert told.parcel().stage is ParcelStage.UNPACKED
    assert told.world.labels == {}
    assert told.world.shelves[0].reserved == 0
    told.close()
    assert told.state.money.voided == 2000
    check_all(told)


def test_a_rejected_request_lets_the_parcel_go() -> None:
    told = packed_story()
    told.send("cancel")
    told.send("answer_cancellation", by="seller:acme", request_id="acme-1-c1", answer="reject", reason="gone")
    assert told.mail("cancellation_refused").reason == "gone"
    told.ship()
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


@pytest.mark.parametrize(("default", "status"), [("accept", "Canceled"), ("reject", "Unshipped")])
def test_without_an_answer_the_policy_answers(default: str, status: str) -> None:
    told = packed_story(policy=Policy.model_validate({"cancellation_default": default}))
    told.send("cancel")
    told.later(hours=49)
    assert told.status() == status
    assert told.state.requests == ()
    check_all(told)


@pytest.mark.parametrize(("name", "more"), [("ship", {"carrier": "local-courier"}), ("unpack", {})])
def test_a_parcel_in_a_request_stays_as_it_is(name: str, more: dict[str, str]) -> None:
    told = packed_story()
    told.send("cancel")
    assert told.refusal(name, fulfillment_id="acme-1", **more) == (
        "a cancellation of acme-1-p1 waits for its answer: answer_cancellation comes first"
    )


def test_only_the_seller_asked_or_support_answers() -> None:
    told = packed_story()
    told.send("cancel")
    assert told.refusal("answer_cancellation", by="customer", request_id="acme-1-c1", answer="accept") == (
        "by: only the seller of the fulfillment, or support, answers"
    )
    assert told.refusal("answer_cancellation", by="seller:beta", request_id="acme-1-c1", answer="accept") == (
        "request_id: no request 'acme-1-c1' waits for an answer (open: none)"
    )
    assert told.refusal("answer_cancellation", request_id="acme-1-c9", answer="accept") == (
        "request_id: no request 'acme-1-c9' waits for an answer (open: acme-1-c1)"
    )


def test_units_beside_a_packed_parcel_are_free() -> None:
    told = open_story(cart_line(quantity=3))
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}])
    answer = told.send("cancel")
    assert (answer.cancelled, answer.requested) == (2, 1)
    told.settle()
    assert told.units(Place.CANCELLED) == 2
    check_all(told)


def test_unpacked_units_stay_free_while_a_request_waits() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE"))
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}])
    told.send("cancel", items=[{"line_id": "L1"}])
    answer = told.send("cancel", items=[{"line_id": "L2"}])
    assert answer.cancelled == 1
    told.settle()
    check_all(told)


def test_a_line_in_two_parcels_is_one_request() -> None:
    told = open_story(cart_line(quantity=2))
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}, {"contents": contents}])
    told.send("cancel")
    told.send("answer_cancellation", request_id="acme-1-c1", answer="accept")
    told.settle()
    assert told.units(Place.CANCELLED) == 2
    check_all(told)


def test_what_else_lies_in_the_parcel_goes_back_to_the_shelf() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE"))
    told.pack()
    told.send("cancel", items=[{"line_id": "L1"}])
    told.send("answer_cancellation", request_id="acme-1-c1", answer="accept")
    told.settle()
    assert told.units(Place.CANCELLED, line_id="L1") == 1
    assert told.units(Place.RESERVED, line_id="L2") == 1
    told.pack()
    told.ship()
    check_all(told)


def test_a_seller_cancels_what_it_packed_without_asking_itself() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE"))
    told.pack(buy_labels=True)
    told.send("cancel", by="seller:acme", fulfillment_id="acme-1", items=[{"line_id": "L1"}])
    told.settle()
    assert told.parcel().stage is ParcelStage.UNPACKED
    assert told.units(Place.RESERVED, line_id="L2") == 1
    assert told.world.labels == {}
    check_all(told)


# -- leaving, and gone -----------------------------------------------------------------


def test_what_was_handed_over_is_returned_not_cancelled() -> None:
    assert shipped_story().refusal("cancel") == (
        "too late to cancel: it was handed to the carrier; return it after delivery instead"
    )


def test_a_parcel_that_waits_for_its_label_is_leaving() -> None:
    told = open_story()
    told.pack()
    told.send("ship", fulfillment_id="acme-1")
    with pytest.raises(Refused, match="too late to cancel"):
        told.send("cancel")
    told.settle()
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


def test_of_an_order_partly_gone_the_rest_is_cancelled() -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack()
    told.ship()
    answer = told.send("cancel")
    assert (answer.cancelled, answer.refused) == (1, 1)
    told.settle()
    assert told.status() is OrderStatus.SHIPPED
    told.carrier_says("delivered")
    told.close()
    assert (told.state.money.captured, told.state.money.voided) == (1000, 1000)
    check_all(told)


# -- at the network --------------------------------------------------------------------


def fba_story(quantity: int = 2, policy: Policy = Policy()) -> Story:
    line = cart_line(quantity=quantity, channel=Channel.FBA)
    return open_story(line, shelves=[Shelf("east", "acme", "MUG", 10, Channel.FBA)], policy=policy)


def test_what_is_at_the_network_is_asked_of_the_network() -> None:
    told = fba_story()
    answer = told.send("cancel")
    assert (answer.cancelled, answer.requested) == (0, 2)
    told.settle()
    assert told.status() is OrderStatus.CANCELED
    assert told.world.jobs["acme-1"].status == "Cancelled"
    check_all(told)


def test_the_network_does_not_stop_what_it_is_packing() -> None:
    told = fba_story()
    told.world.jobs["acme-1"].status = "Processing"
    told.send("cancel")
    told.settle()
    assert told.units(Place.RESERVED) == 2
    assert told.mail("cancellation_refused").lines[0].quantity == 2
    check_all(told)


def test_the_customer_is_told_no_also_where_the_parcel_left_before_the_answer() -> None:
    told = fba_story()
    told.send("cancel")
    item = {"line_id": "L1", "quantity": 2}
    told.world.jobs["acme-1"].status = "Complete"
    told.network_says("Complete", {"carrier": "local-courier", "tracking_number": "N-1", "items": [item]})
    assert told.status() is OrderStatus.SHIPPED
    assert told.mail("cancellation_refused").lines[0].quantity == 2
    check_all(told)


def test_the_network_cancels_whole_orders_so_the_rest_is_asked_for_anew() -> None:
    told = fba_story(quantity=3)
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert told.units(Place.CANCELLED) == 1
    assert told.world.jobs["acme-2"].items == {"L1": 2}
    assert told.world.shelves[0].reserved == 2
    check_all(told)


def test_a_held_order_the_network_never_heard_of_is_cancelled_at_once() -> None:
    told = story(cart_line(channel=Channel.FBA))
    told.send("hold")
    told.settle()
    assert told.world.jobs == {}
    assert told.send("cancel").cancelled == 1
    told.settle()
    assert told.world.jobs == {}
    told.close()
    check_all(told)


def test_a_hold_placed_while_the_network_is_asked_does_not_make_it_free() -> None:
    told = story(cart_line(channel=Channel.FBA)).settle_until("ask_network")
    end = told.start("ask_network")
    told.send("hold")
    assert told.send("cancel").requested == 1
    end()
    told.settle()
    assert told.status() is OrderStatus.CANCELED
    check_all(told)
