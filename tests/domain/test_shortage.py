"""Without stock: another location first, then the customer's choice, then the policy's default."""

from datetime import timedelta

import pytest

from domain.placing import Channel
from domain.policy import Policy
from domain.shortage import allocation_refusal
from domain.state import OrderStatus, Substitute
from domain.units import Place
from tests.domain.building import NOW, Refused, Shelf, Story, cart_line, open_story
from tests.domain.identities import check_all

CUP = Substitute(sku="CUP", title="A CUP", unit_price=800)


def short_story(wanted: int = 3, there: int = 1, policy: Policy = Policy(), shipping: int = 0) -> Story:
    shelves = [Shelf("north", "acme", "MUG", there), Shelf("north", "acme", "CUP", 5)]
    told = open_story(cart_line(quantity=wanted), shelves=shelves[:1], policy=policy, shipping=shipping)
    told.world.shelves.append(shelves[1])
    return told


def offered_story() -> Story:
    told = short_story()
    shortage = told.state.shortages[0].model_copy(update={"substitutes": (CUP,)})
    told.state = told.state.model_copy(update={"shortages": (shortage,)})
    return told


def test_another_location_of_the_seller_is_asked_before_the_customer() -> None:
    shelves = [Shelf("north", "acme", "MUG", 1, priority=1), Shelf("south", "acme", "MUG", 2, priority=2)]
    told = open_story(cart_line(quantity=3), shelves=shelves)
    assert [f.location for f in told.state.fulfillments] == ["north", "south"]
    assert told.state.shortages == ()
    check_all(told)


def test_the_customer_is_told_at_once_and_the_rest_goes_on() -> None:
    told = short_story()
    mail = told.mail("out_of_stock")
    assert mail.lines[0].quantity == 2
    assert mail.default == "refund"
    assert mail.others_ship
    assert told.units(Place.RESERVED) == 1
    told.pack()
    told.ship()
    assert told.status() is OrderStatus.PARTIALLY_SHIPPED
    check_all(told)


def test_refund_gives_the_units_up() -> None:
    told = short_story(shipping=90)
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    told.settle()
    assert told.units(Place.CANCELLED) == 2
    assert told.mail("shortage_settled").lines[0].refund == 2060
    told.pack()
    told.ship()
    told.carrier_says("delivered")
    told.close()
    assert told.status() is OrderStatus.DELIVERED
    assert (told.state.money.captured, told.state.money.voided) == (1030, 2060)
    check_all(told)


def test_cancel_cancels_the_order() -> None:
    told = short_story()
    told.send("choose_for_shortage", line_id="L1", choice="cancel")
    told.settle()
    assert told.status() is OrderStatus.CANCELED  # some of it was there
    check_all(told)


def test_an_order_of_which_nothing_is_there_is_unfulfillable() -> None:
    told = short_story(there=0)
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    told.close()
    assert told.status() is OrderStatus.UNFULFILLABLE
    assert "confirmed" not in told.mailed()
    check_all(told)


def test_a_substitute_is_a_new_line_that_never_costs_more() -> None:
    told = offered_story()
    new_line = told.send("choose_for_shortage", line_id="L1", choice="substitute", substitute_sku="CUP")
    told.settle()
    assert new_line == "L1-s1"
    line = told.line("L1-s1")
    assert (line.replaces, line.quantity, line.money.total) == ("L1", 2, 1600)
    assert told.units(Place.RESERVED, line_id="L1-s1") == 2
    assert told.units(Place.CANCELLED, line_id="L1") == 2
    check_all(told)


def test_a_substitute_the_customer_then_cancels_makes_the_order_canceled() -> None:
    told = short_story(there=0)
    shortage = told.state.shortages[0].model_copy(update={"substitutes": (CUP,)})
    told.state = told.state.model_copy(update={"shortages": (shortage,)})
    told.send("choose_for_shortage", line_id="L1", choice="substitute", substitute_sku="CUP")
    told.settle()
    told.send("cancel")
    told.close()
    assert told.status() is OrderStatus.CANCELED


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"line_id": "L9", "choice": "refund"}, "line_id: 'L9' waits for no choice (waiting: L1)"),
        (
            {"line_id": "L1", "choice": "substitute", "substitute_sku": "HAT"},
            "substitute_sku: 'HAT' is not offered (offered: none)",
        ),
        (
            {"line_id": "L1", "choice": "refund", "substitute_sku": "CUP"},
            "substitute_sku: belongs to the choice 'substitute', not to 'refund'",
        ),
        (
            {"line_id": "L1", "choice": "refund", "wait_until": NOW},
            "wait_until: belongs to the choice 'wait', not to 'refund'",
        ),
        (
            {"line_id": "L1", "choice": "wait", "wait_until": NOW},
            f"wait_until: must lie between now and {(NOW + timedelta(days=60)).isoformat()}",
        ),
        ({"line_id": "L1", "choice": "refund", "by": "seller:acme"}, "by: the customer or support chooses"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(body: dict[str, str], why: str) -> None:
    assert short_story().refusal("choose_for_shortage", **body) == why


@pytest.mark.parametrize(("default", "place"), [("refund", Place.CANCELLED), ("wait", Place.BACKORDERED)])
def test_without_an_answer_the_policy_chooses(default: str, place: Place) -> None:
    told = short_story(policy=Policy.model_validate({"shortage_default": default}))
    told.later(hours=49)
    assert told.units(place) == 2
    assert told.mail("shortage_settled").decided_by == "default"
    check_all(told)


# -- waiting ---------------------------------------------------------------------------


def waiting_story(**more: object) -> Story:
    told = short_story()
    told.send("choose_for_shortage", line_id="L1", choice="wait", **more)
    return told.settle()


def test_units_waited_for_go_on_when_stock_comes_in() -> None:
    told = waiting_story()
    assert told.units(Place.BACKORDERED) == 2
    told.world.receive("north", "acme", "MUG", 5)
    told.settle()
    assert told.units(Place.RESERVED) == 3
    assert told.state.backorders == ()
    assert [f.fulfillment_id for f in told.state.fulfillments] == ["acme-1", "acme-2"]
    assert "back_in_stock" in told.mailed()
    check_all(told)


def test_stock_may_come_in_bit_by_bit_and_news_of_it_twice() -> None:
    told = waiting_story()
    told.world.receive("north", "acme", "MUG", 1)
    news = told.world.messages[0]
    told.settle()
    told.world.messages.append(news)
    told.settle()
    assert told.units(Place.RESERVED) == 2
    assert told.state.backorders[0].quantity == 1
    told.world.receive("north", "acme", "MUG", 1)
    told.settle()
    assert told.state.backorders == ()
    check_all(told)


def test_after_the_date_the_units_are_given_up() -> None:
    told = waiting_story(wait_until=NOW + timedelta(days=3))
    told.later(days=4)
    assert told.units(Place.CANCELLED) == 2
    assert next(iter(told.world.waiting.values())).cancelled
    check_all(told)


def test_stock_that_came_in_too_late_is_given_back() -> None:
    told = waiting_story()
    told.world.receive("north", "acme", "MUG", 2)
    told.send("cancel", items=[{"line_id": "L1"}])  # before the news of it
    told.settle()
    assert told.world.shelves[0].reserved == 0
    assert told.units(Place.CANCELLED) == 3
    check_all(told)


def test_units_given_up_while_waiting_leave_nothing_behind_in_the_store() -> None:
    told = waiting_story()
    told.send("cancel", items=[{"line_id": "L1", "quantity": 2}])  # the one on the shelf, one that waits
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    check_all(told)
    assert next(iter(told.world.waiting.values())).cancelled
    told.world.receive("north", "acme", "MUG", 9)
    assert told.world.messages == []


def test_a_backorder_cut_short_takes_no_more_than_is_still_wanted() -> None:
    told = waiting_story()
    told.pack()
    told.ship()
    told.send("cancel", items=[{"line_id": "L1", "quantity": 1}])
    told.settle()
    assert told.state.backorders[0].quantity == 1
    told.world.receive("north", "acme", "MUG", 9)
    told.settle()
    assert told.units(Place.RESERVED) == 1
    assert told.world.shelves[0].reserved == 1
    check_all(told)


def test_two_backorders_of_a_line_have_dates_of_their_own() -> None:
    shelves = [Shelf("north", "acme", "MUG", 1), Shelf("south", "acme", "MUG", 0)]
    told = open_story(cart_line(quantity=3), shelves=shelves)
    told.send("choose_for_shortage", line_id="L1", choice="wait", wait_until=NOW + timedelta(days=3))
    told.send("reject_lines", fulfillment_id="acme-1", items=[{"line_id": "L1"}])
    told.settle()
    told.send("choose_for_shortage", line_id="L1", choice="wait", wait_until=NOW + timedelta(days=30))
    told.settle()
    told.later(days=4)
    assert told.units(Place.BACKORDERED) == 1
    assert told.units(Place.CANCELLED) == 2
    told.world.receive("south", "acme", "MUG", 1)
    told.settle()
    assert told.units(Place.RESERVED) == 1
    check_all(told)


def test_news_of_a_backorder_that_is_not_the_orders_is_refused() -> None:
    told = waiting_story()
    told.world.receive("north", "acme", "MUG", 1)
    news = told.world.messages[0]
    assert allocation_refusal(told.state, news) is None
    for changed in ({"line_id": "L9"}, {"key": "1042:backorder:L1:other:1"}, {"key": "junk"}):
        assert allocation_refusal(told.state, news.model_copy(update=changed)) is not None


def test_the_network_is_asked_again_elsewhere_when_it_cannot_ship() -> None:
    shelves = [Shelf("east", "acme", "MUG", 2, Channel.FBA, 1), Shelf("west", "acme", "MUG", 2, Channel.FBA, 2)]
    told = open_story(cart_line(quantity=2, channel=Channel.FBA), shelves=shelves)
    told.world.jobs["acme-1"].status = "Unfulfillable"
    told.network_says("Unfulfillable")
    assert told.world.jobs["acme-2"].items == {"L1": 2}
    assert told.state.fulfillments[1].location == "west"
    check_all(told)


def test_a_choice_is_made_once() -> None:
    told = short_story()
    told.send("choose_for_shortage", line_id="L1", choice="refund")
    with pytest.raises(Refused, match="waits for no choice"):
        told.send("choose_for_shortage", line_id="L1", choice="wait")
