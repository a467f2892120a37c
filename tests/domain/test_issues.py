"""When a parcel goes wrong after handoff: an issue, a remedy, and no unit made good twice."""

from datetime import timedelta

import pytest

from domain.deadlines import apply_due
from domain.order import answered
from domain.placing import Channel
from domain.policy import Policy
from domain.state import OrderStatus
from domain.status import attention
from domain.units import Place
from tests.domain.building import Luck, Shelf, Story, cart_line, open_story, shipped_story
from tests.domain.identities import check_all

ONE = [{"line_id": "L1", "quantity": 1}]


def lost_story(quantity: int = 1, policy: Policy = Policy()) -> Story:
    told = shipped_story(cart_line(quantity=quantity), policy=policy)
    told.carrier_says("lost")
    return told


def test_a_lost_parcel_opens_an_issue_and_the_customer_is_told() -> None:
    told = lost_story()
    assert told.units(Place.LOST) == 1
    assert attention(told.state) == ("lost",)
    assert told.mail("issue_opened").issue == "lost"
    check_all(told)


def test_refund_gives_the_money_back() -> None:
    told = lost_story()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund", reason="our apologies")
    told.close()
    assert told.state.money.refunded == 1000
    assert told.mail("issue_resolved").refund == 1000
    assert told.status() is OrderStatus.SHIPPED
    check_all(told)


def test_reship_sends_the_same_again_at_no_charge() -> None:
    told = lost_story()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="reship")
    told.settle()
    line = told.line("L1-r1")
    assert (line.replaces, line.reship, line.money.total) == ("L1", True, 0)
    told.pack("acme-2")
    told.ship("acme-2", "TRACK-2")
    told.carrier_says("delivered", "acme-2-p1")
    told.close()
    assert told.status() is OrderStatus.DELIVERED
    assert told.state.money.captured == 1000
    check_all(told)


def test_a_reship_that_is_lost_too_is_refunded_from_what_was_paid() -> None:
    told = lost_story()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="reship")
    told.settle()
    told.pack("acme-2")
    told.ship("acme-2", "TRACK-2")
    told.carrier_says("lost", "acme-2-p1")
    told.send("resolve_issue", issue_id="acme-2-i1", remedy="refund")
    told.close()
    assert told.state.money.refunded == 1000
    check_all(told)


def test_a_reship_that_is_cancelled_is_refunded() -> None:
    told = lost_story()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="reship")
    told.settle()
    told.send("cancel")
    told.close()
    assert told.state.money.refunded == 1000
    check_all(told)


def test_a_reship_without_stock_asks_the_customer() -> None:
    told = open_story(shelves=[Shelf("north", "acme", "MUG", 1)])
    told.pack()
    told.ship()
    told.carrier_says("lost")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="reship")
    told.settle()
    assert told.state.shortages[0].line_id == "L1-r1"
    told.send("choose_for_shortage", line_id="L1-r1", choice="refund")
    told.close()
    assert told.state.money.refunded == 1000
    check_all(told)


def test_wait_puts_a_lost_parcel_on_its_way_again() -> None:
    told = lost_story()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="wait")
    assert told.units(Place.SHIPPED) == 1
    told.carrier_says("delivered")
    told.close()
    assert told.status() is OrderStatus.DELIVERED
    check_all(told)


def test_a_lost_parcel_that_is_found_closes_its_issue() -> None:
    told = lost_story()
    told.later(days=1)
    told.carrier_says("delivered")
    assert told.units(Place.DELIVERED) == 1
    assert attention(told.state) == ()
    told.close()
    assert told.state.money.refunded == 0
    check_all(told)


def test_a_parcel_found_after_its_refund_stays_made_good() -> None:
    told = lost_story(quantity=2)
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund", items=ONE)
    told.settle()
    assert told.state.money.refunded == 1000
    assert attention(told.state) == ("lost",)  # the other unit is still owed
    told.carrier_says("delivered")
    assert told.units(Place.DELIVERED) == 1
    assert told.units(Place.LOST) == 1
    told.close()
    check_all(told)


def test_without_a_remedy_the_policy_refunds() -> None:
    told = lost_story(quantity=2)
    told.later(hours=73)
    assert told.state.money.refunded == 2000
    told.close()
    check_all(told)


def test_the_policy_waits_once_and_then_refunds() -> None:
    told = lost_story(policy=Policy(issue_default="wait"))
    told.later(hours=73)
    assert told.units(Place.SHIPPED) == 1
    told.later(days=15)  # silent again
    told.later(hours=73)
    assert told.units(Place.LOST) == 1
    assert told.state.money.refunded == 1000
    told.close()
    check_all(told)


def test_silence_is_seen_and_then_taken_for_a_loss() -> None:
    told = shipped_story()
    told.later(days=6)
    assert "silent" in attention(told.state)
    told.later(days=9)
    assert "lost" in attention(told.state)
    check_all(told)


def test_a_parcel_that_came_back_is_not_waited_for() -> None:
    told = shipped_story()
    told.carrier_says("returned")
    assert told.units(Place.RETURNED) == 1
    assert told.refusal("resolve_issue", issue_id="acme-1-i1", remedy="wait") == (
        "remedy: acme-1-p1 came back, waiting brings nothing"
    )
    told.later(hours=73)
    assert told.state.money.refunded == 1000
    told.close()
    check_all(told)


@pytest.mark.parametrize("exception", ["damaged", "undeliverable"])
def test_an_exception_opens_one_issue_however_often_it_is_told(exception: str) -> None:
    told = shipped_story()
    told.carrier_says("exception", exception=exception)
    told.carrier_says("exception", exception=exception)
    assert [issue.kind for issue in told.state.issues] == [exception]
    assert attention(told.state) == (exception,)
    check_all(told)


def test_no_unit_is_made_good_twice() -> None:
    told = open_story(cart_line(quantity=2))
    contents = [{"line_id": "L1", "sku": "MUG", "quantity": 1}]
    told.send("pack", fulfillment_id="acme-1", parcels=[{"contents": contents}, {"contents": contents}])
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier")
    told.settle()
    told.send("report_issue", kind="missing", parcel_id="acme-1-p1")
    told.send("report_issue", kind="damaged", parcel_id="acme-1-p1")
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund")
    assert told.refusal("resolve_issue", issue_id="acme-1-i2", remedy="refund") == (
        "remedy: acme-1-i2 is about no unit that could be sent again or refunded"
    )
    told.later(hours=73)
    assert told.state.money.refunded == 1000
    told.send("confirm_delivery")
    told.close()
    check_all(told)


def test_a_customer_reports_a_damaged_item_before_the_order_closes() -> None:
    told = open_story(cart_line("L1", 2), cart_line("L2", sku="TEE", seller="beta"))
    told.pack()
    told.ship()
    told.carrier_says("delivered")
    assert told.send("report_issue", kind="damaged", parcel_id="acme-1-p1", note="broken handle")[1:] != ()
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund", items=ONE)
    told.settle()
    assert told.state.money.refunded == 1000
    assert told.units(Place.DELIVERED) == 2
    check_all(told)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "parcel_id: which parcel, or which fulfillment_id, is it about?"),
        ({"fulfillment_id": "acme-9"}, "fulfillment_id: the order has no fulfillment 'acme-9'"),
        ({"parcel_id": "acme-1-p9"}, "parcel_id: the order has no parcel 'acme-1-p9'"),
        ({"parcel_id": "acme-1-p1", "fulfillment_id": "beta-1"}, "parcel_id: acme-1-p1 is of acme-1"),
        ({"fulfillment_id": "beta-1"}, "fulfillment_id: nothing of it has been handed over yet"),
        ({"parcel_id": "acme-1-p1", "by": "seller:beta"}, "parcel_id: the order has no parcel 'acme-1-p1'"),
    ],
)
def test_a_report_about_nothing_is_refused(body: dict[str, str], why: str) -> None:
    told = open_story(cart_line("L1"), cart_line("L2", sku="TEE", seller="beta"))
    told.pack()
    told.ship()
    assert told.refusal("report_issue", kind="damaged", **body) == why


def test_the_same_is_reported_once() -> None:
    told = shipped_story()
    told.send("report_issue", kind="missing", parcel_id="acme-1-p1")
    assert told.refusal("report_issue", kind="missing", parcel_id="acme-1-p1") == (
        "kind: acme-1-i1 is open about the same"
    )


def test_who_resolves_an_issue() -> None:
    told = lost_story()
    assert told.refusal("resolve_issue", by="customer", issue_id="acme-1-i1", remedy="refund") == (
        "by: the seller or support resolves an issue"
    )
    assert told.refusal("resolve_issue", by="seller:beta", issue_id="acme-1-i1", remedy="refund") == (
        "issue_id: no open issue 'acme-1-i1' (open: none)"
    )
    assert told.refusal("resolve_issue", by="seller:acme", issue_id="acme-1-i1", remedy="refund") is None


def test_a_parcel_of_the_network_that_does_not_match_is_for_a_person_and_costs_nothing() -> None:
    shelves = [Shelf("east", "acme", "MUG", 10, Channel.FBA)]
    told = open_story(cart_line(quantity=2, channel=Channel.FBA), shelves=shelves)
    told.world.jobs["acme-1"].status = "Complete"
    items = [{"line_id": "L1", "quantity": 3}]
    told.network_says("Complete", {"carrier": "local-courier", "tracking_number": "N-1", "items": items})
    assert attention(told.state) == ("issue",)
    assert told.units(Place.SHIPPED) == 2
    told.later(hours=73)
    assert told.state.money.refunded == 0
    told.carrier_says("delivered")
    told.close()
    check_all(told)


@pytest.mark.parametrize("event", ["lost", "returned"])
def test_a_refund_that_waits_for_a_refused_capture_also_forgives_what_was_written_off(event: str) -> None:
    """The parcel goes wrong right at its handoff, and the debt is written off before the provider is asked."""
    told = open_story(cart_line(quantity=2, unit_price=333), policy=Policy(unpaid_close_days=1.0))
    told.pack()
    told.world.luck = Luck(captures=False)
    told.send("ship", fulfillment_id="acme-1", carrier="local-courier", tracking_number="TRACK-1")
    told.send("carrier_event", event_id="e", occurred_at=told.now, parcel_id="acme-1-p1", status=event)
    told.send("resolve_issue", issue_id="acme-1-i1", remedy="refund", by="support")
    (capture,) = [effect for effect in told.state.effects if effect.kind == "capture"]
    answer = told.world.perform(told.state, capture)
    told.state = answered(told.state, capture.key, answer, told.now)
    told.now += timedelta(days=2)
    told.state = apply_due(told.state, told.now)
    assert told.state.written_off == 666
    told.settle()
    check_all(told)
    assert (told.state.unpaid, told.state.written_off) == (0, 0)
